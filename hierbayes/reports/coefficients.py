"""Tables of coefficients as R's ``printCoefmat`` writes them.

Estimates and standard errors share one format, so that their decimals line up; test statistics
show at most ``digits - 1`` decimals; p-values have R's short forms and stars.
"""

import math
from collections.abc import Sequence

from hierbayes.render.layout import matrix_lines
from hierbayes.render.numbers import (
    PRINT_DIGITS,
    format_common,
    format_p_values,
    round_half_even,
    significance_mark,
    zap_small,
)

SUMMARY_DIGITS = 4  # lme4's and lm's summaries: three fewer than R prints elsewhere
TABLE_DIGITS = PRINT_DIGITS - 2  # anova tables: two fewer
STARS_FROM = 0.1  # no column of stars when no p-value is below it
LEGEND = (
    "Signif. codes:  0 \u2018***\u2019 0.001 \u2018**\u2019 0.01 \u2018*\u2019 0.05 "
    "\u2018.\u2019 0.1 \u2018 \u2019 1"
)


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
        return format_common(numbers, digits, missing=missing)
    zapped = zap_small(numbers, digits)
    return format_common(zapped, digits, missing=missing)


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


def table_lines(
    columns: Sequence[tuple[str, Sequence[str]]],
    row_names: Sequence[str],
    *,
    stars: Sequence[str] | None = None,
) -> list[str]:
    """Lines of a table from its named columns, with the stars and their legend if given."""
    named = [*columns, ("", stars)] if stars is not None else list(columns)
    cells = [[column[i] for _, column in named] for i in range(len(row_names))]
    lines = matrix_lines(cells, row_names, [name for name, _ in named])
    return [*lines, "---", LEGEND] if stars is not None else lines
