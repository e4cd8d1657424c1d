"""A result that is a frame, in blocks: as pandas prints it, and on a page to its errors' digits.

On the page the estimates of a row, their errors and limits have the decimals that its standard
error asks for (of an interval without one: a quarter of its width); what the user rounded stays as
it was rounded. Why numbers are missing and what the limits are stands below.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.errors import OptionError
from hierbayes.options import is_whole
from hierbayes.render.blocks import Block, Blocks, Column, Paragraph, Printed, Table
from hierbayes.render.layout import wrapped
from hierbayes.render.numbers import format_plain, format_probability
from hierbayes.reports.coefficients import decimals_of, fixed_cell, numbers
from hierbayes.results.plain_frame import is_numbered
from hierbayes.results.result_table import ResultTable, frame_lines, line_width

ERRORS = ("std_error", "se", "sd")
LIMITS = (("conf_low", "conf_high"), ("lower", "upper"), ("low", "high"))
ESTIMATES = (
    "estimate", "mean", "median", "mode", "prediction", "unit",
    *ERRORS, *(name for pair in LIMITS for name in pair),
)  # fmt: skip
TESTS = {"statistic": 2, "f_value": 2, "chisq": 2, "df": 1, "den_df": 1, "r_hat": 3,
         "ess_bulk": 0, "ess_tail": 0, "n_draws": 0, "npar": 0}  # fmt: skip
# columns that are left out where all of them is missing; limits never are
OPTIONAL = ("group", "level", "statistic", "df", "p_value")
ERROR_DIGITS = 3  # significant digits of a row's standard error
PLAIN_DIGITS = 4  # of numbers without one
QUARTERS = 4  # an interval is about so many standard errors wide
MOST_ROUNDED = 6  # decimals up to which a column counts as rounded by its user
MAX_ROWS = 60  # shown in a notebook
MOST_DECIMALS = 12


def result_table_blocks(
    table: ResultTable, digits: int = ERROR_DIGITS, whole: bool = False
) -> Blocks:
    """Show a table of results.

    Parameters
    ----------
    table : ResultTable
    digits : significant digits of a standard error
    whole : every row; by default the first and last of many
    """
    frame, notes = pd.DataFrame(table), table_notes(table)
    return (
        Printed(partial(_lines, frame, notes), partial(_page, table, digits=digits, whole=whole)),
    )


def table_notes(table: pd.DataFrame) -> list[str]:
    """Say why numbers are missing: each reason once, with the rows that have it."""
    attrs = table.attrs
    notes = [str(note) for note in attrs.get("notes", ())]
    rows: dict[str, list[str]] = {}
    reasons = attrs.get("reasons", {})
    for name in map(str, table.index):
        if name in reasons:
            rows.setdefault(str(reasons[name]), []).append(name)
    missing = [f"{', '.join(names)}: {reason}." for reason, names in rows.items()]
    return [*notes, *missing]


def _lines(frame: pd.DataFrame, notes: Sequence[str]) -> list[str]:
    said = [line for note in notes for line in wrapped(note, width=line_width())]
    return [*frame_lines(frame), *said]


def limit_words(table: pd.DataFrame) -> str:
    """Say what the limits are, where that is known."""
    attrs, columns = table.attrs, set(map(str, table.columns))
    if "level" not in attrs or not any(columns.issuperset(pair) for pair in LIMITS):
        return ""
    kind = {"eti": "equal-tailed ", "hdi": "highest-density "}.get(str(attrs.get("kind")), "")
    is_credible = attrs.get("interval") == "credible" or attrs.get("method") == "posterior"
    of = "credible" if is_credible else "confidence"
    words = f"{100 * float(attrs['level']):.10g} % {kind}{of} intervals"
    details = str(attrs.get("details", "")).rstrip(".")
    return f"{words}: {details}." if details else f"{words}."


def _page(table: ResultTable, *, digits: int, whole: bool) -> list[Block]:
    if not (is_whole(digits) and 1 <= digits <= MOST_DECIMALS):
        raise OptionError(f"digits={digits!r} must be a whole number from 1 to {MOST_DECIMALS}.")
    frame = pd.DataFrame(table)
    cut = not whole and len(frame) > MAX_ROWS
    half = MAX_ROWS // 2
    shown = pd.concat([frame.head(half), frame.tail(half)]) if cut else frame
    columns, n_labels = _columns(shown, digits)
    rows = None if is_numbered(frame.index) else [_name(label) for label in shown.index]
    if cut:
        columns = [(name, [*cells[:half], "...", *cells[half:]]) for name, cells in columns]
        rows = None if rows is None else [*rows[:half], "...", *rows[half:]]
    beside = "" if frame.columns.name is None else f"{frame.columns.name}."
    notes = [note for note in (beside, limit_words(table), *table_notes(table)) if note]
    blocks: list[Block] = [Table(columns, rows, labels=n_labels, notes=notes)]
    size = f"{len(frame)} rows × {frame.shape[1]} columns"
    return [*blocks, Paragraph(size, soft=True)] if cut else blocks


def _name(label: Any) -> str:
    return ", ".join(map(str, label)) if isinstance(label, tuple) else str(label)


def _columns(frame: pd.DataFrame, digits: int) -> tuple[list[Column], int]:
    """Columns of texts, and how many first ones are words."""
    decimals = _row_decimals(frame, digits)
    found: list[Column] = []
    n_labels, words_first = 0, True
    for j in range(frame.shape[1]):
        name, values = _name(frame.columns[j]), frame.iloc[:, j]
        if name in OPTIONAL and len(values) and values.isna().all():
            continue
        is_words = not pd.api.types.is_numeric_dtype(values.dtype)
        words_first = words_first and is_words
        n_labels += words_first
        found.append((name, _cells(name, values, decimals)))
    return found, n_labels


def _cells(name: str, values: "pd.Series[Any]", decimals: list[int] | None) -> list[str]:
    """Cells of a column."""
    if not pd.api.types.is_float_dtype(values.dtype):
        return ["" if value is None or value is pd.NA else str(value) for value in values]
    own = [float(v) for v in values.to_numpy(dtype=float, na_value=math.nan)]
    if decimals is not None and _is_estimate(name):
        pairs = zip(own, decimals, strict=True)
        return [_number(v, d) if d >= 0 else _plain(v) for v, d in pairs]
    rounded = _rounded_to(own)
    if rounded is not None:
        return [_number(v, rounded) for v in own]
    if name == "p_value" or name.endswith("_p_value") or name == "p_mixture":
        return [_p_value(v) for v in own]
    if name.startswith("prob_") or name.endswith("_prob_positive"):
        return ["NA" if math.isnan(v) else format_probability(v) for v in own]
    places = TESTS.get(name)
    places = _column_decimals(own) if places is None else places
    return [_number(v, places) for v in own]


def _is_estimate(name: str) -> bool:
    return name in ESTIMATES or name.rsplit("_", 1)[-1] in (
        "estimate", "se", "sd", "low", "high", "mean", "median", "mode",
    )  # fmt: skip


def _row_decimals(frame: pd.DataFrame, digits: int) -> list[int] | None:
    """Decimals of each row's estimates; -1 without an error; None without such columns."""
    names = [str(name) for name in frame.columns]
    mine = [name for name in names if _is_estimate(name)]
    if not mine or len(set(names)) < len(names):
        return None
    numeric = [name for name in mine if pd.api.types.is_float_dtype(frame[name].dtype)]
    if not numeric:
        return None
    given = _rounded_to([v for name in numeric for v in numbers(frame, name)])
    if given is not None:
        return [given] * len(frame)
    errors = [
        numbers(frame, name)
        for name in numeric
        if name in ERRORS or name.rsplit("_", 1)[-1] in ("se", "sd")
    ]
    for low, high in LIMITS:
        if low in numeric and high in numeric:
            width = np.subtract(numbers(frame, high), numbers(frame, low)) / QUARTERS
            errors.append([float(w) for w in width])
            break
    rows = zip(*errors, strict=True) if errors else ([] for _ in range(len(frame)))
    return [_decimals(row, digits) for row in rows]


def _decimals(errors: Sequence[float], digits: int) -> int:
    known = [error for error in errors if math.isfinite(error) and error > 0]
    return decimals_of(known[0], digits=digits, most=MOST_DECIMALS, least=0) if known else -1


def _rounded_to(values: Sequence[float]) -> int | None:
    """Decimals to which all numbers were rounded, where they are few."""
    known = [v for v in values if math.isfinite(v)]
    if not known:
        return None
    return next((d for d in range(MOST_ROUNDED + 1) if all(round(v, d) == v for v in known)), None)


def _column_decimals(values: Sequence[float]) -> int:
    sizes = [abs(v) for v in values if math.isfinite(v) and v != 0]
    if not sizes:
        return 0
    return decimals_of(float(np.median(sizes)), digits=PLAIN_DIGITS, most=MOST_DECIMALS, least=0)


def _number(value: float, decimals: int) -> str:
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return fixed_cell(value, decimals)


def _plain(value: float) -> str:
    return format_plain(value, PLAIN_DIGITS) if math.isfinite(value) else _number(value, 0)


def _p_value(value: float) -> str:
    if math.isnan(value):
        return "NA"
    return "<0.001" if value < 0.001 else f"{value:.3f}"
