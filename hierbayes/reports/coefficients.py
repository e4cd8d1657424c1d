"""Tables of coefficients as R's ``printCoefmat`` writes them.

Estimates and standard errors share one format, so that their decimals line up; test statistics
show at most ``digits - 1`` decimals; p-values have R's short forms and stars.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd

from hierbayes.render.blocks import Column, Table
from hierbayes.render.numbers import (
    PRINT_DIGITS,
    format_common,
    format_number,
    format_p_values,
    round_half_even,
    significance_mark,
    zap_small,
)

Kind = Literal["plain", "zapped", "statistic", "p"]
TestColumn = tuple[str, str, Kind]  # header, name in the frame, how it is written
Columns = Sequence[TestColumn]
# columns that several tables of tests have
NPAR: TestColumn = ("npar", "npar", "plain")
AIC: TestColumn = ("AIC", "aic", "zapped")
BIC: TestColumn = ("BIC", "bic", "zapped")
LOGLIK: TestColumn = ("logLik", "loglik", "zapped")
DF: TestColumn = ("Df", "df", "plain")
P_CHISQ: TestColumn = ("Pr(>Chisq)", "p_value", "p")
SUMMARY_DIGITS = 4  # lme4's and lm's summaries: three fewer than R prints elsewhere
TABLE_DIGITS = PRINT_DIGITS - 2  # anova tables: two fewer
MOST_DECIMALS = 400  # more than a number that is not zero can ask for
STARS_FROM = 0.1  # no column of stars when no p-value is below it


def numbers(frame: pd.DataFrame, name: str) -> list[float]:
    """Numbers of a column; a missing one is NaN."""
    return [float(v) for v in frame[name].to_numpy(dtype=float, na_value=math.nan)]


def decimals_of(error: float, *, digits: int = 2, most: int = 6, least: int = 1) -> int:
    """Decimals that show ``digits`` digits of an error; three of one that is not known."""
    if not math.isfinite(error) or error <= 0:
        return 3
    return min(most, max(least, digits - 1 - math.floor(math.log10(error))))


def fixed_cell(value: float, decimals: int, *, missing: str = "NA") -> str:
    """Write a number with so many decimals; never minus zero."""
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return missing if math.isnan(value) else f"{round(value, decimals) + 0.0:.{decimals}f}"


def limit_names(level: float) -> tuple[str, str]:
    """Names of the columns of an interval's ends, "2.5 %" and "97.5 %"."""
    low, high = (format_number(100 * t, 4) for t in ((1 - level) / 2, (1 + level) / 2))
    return f"{low} %", f"{high} %"


def tests_table(frame: pd.DataFrame, columns: Columns, **layout: Any) -> Table:
    """Return a table of tests as R prints it, a row a row of a frame.

    Parameters
    ----------
    frame : the numbers
    columns : what a column is called, its name in the frame, and how it is written: "plain",
        "zapped" (what is tiny beside its largest number is rounded away), as a "statistic" or as
        the "p" value, which brings its stars
    layout : further fields of the table
    """
    shown: list[Column] = []
    stars = None
    for header, name, kind in columns:
        values = numbers(frame, name)
        if kind == "p":
            cells, stars = p_value_cells(values, TABLE_DIGITS, missing="")
        elif kind == "statistic":
            cells = statistic_cells(values, TABLE_DIGITS, missing="")
        else:
            cells = plain_cells(values, TABLE_DIGITS, zap=kind == "zapped", missing="")
        shown.append((header, cells))
    return Table(shown, [str(label) for label in frame.index], stars=stars, **layout)


def estimate_cells(columns: Sequence[Sequence[float]], digits: int) -> list[list[str]]:
    """Cells of estimates and standard errors: one format for all, by columns."""
    values = [float(v) for column in columns for v in column]
    sizes = [abs(v) for v in values if math.isfinite(v) and v != 0]
    before_point = [1 + math.floor(math.log10(s)) for s in sizes] or [1]
    decimals = max(1, digits - min(before_point))
    cells = format_common([round_half_even(v, decimals) for v in values], digits)
    n = len(columns[0])
    return [cells[k * n : (k + 1) * n] for k in range(len(columns))]


def statistic_cells(values: Sequence[float], digits: int, *, missing: str = "NA") -> list[str]:
    """Cells of a column of test statistics."""
    decimals = max(1, min(5, digits - 1))
    return format_common(
        [round_half_even(float(v), decimals) for v in values], digits, missing=missing
    )


def plain_cells(
    values: Sequence[float], digits: int, *, zap: bool = False, missing: str = "NA"
) -> list[str]:
    """Cells of any other column; ``zap`` first rounds away what is tiny beside the largest."""
    numbers = [float(v) for v in values]
    if not zap:
        return format_common(numbers, digits, missing="")
    zapped = zap_small(numbers, digits)
    return format_common(zapped, digits, missing="")


def p_value_cells(
    values: Sequence[float], digits: int, *, missing: str = "NA"
) -> tuple[list[str], list[str] | None]:
    """Cells of a column of p-values, and their stars (None when none is below 0.1)."""
    known = [float(v) for v in values if not math.isnan(v)]
    formatted = iter(format_p_values(known, max(1, min(5, digits - 1))))
    cells = [missing if math.isnan(v) else next(formatted) for v in values]
    if not any(p < STARS_FROM for p in known):
        return cells, None
    marks = [significance_mark(float(v)) for v in values]
    width = max(map(len, marks))
    return cells, [mark.ljust(width) for mark in marks]
