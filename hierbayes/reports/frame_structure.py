"""What a data frame holds, in the layout of R's ``str``."""

import json
import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.render.layout import LINE_WIDTH, display_width, pad
from hierbayes.render.numbers import format_common, round_significant

DIGITS = 3
N_WHOLE = 10  # values shown of a column of whole (or short) numbers
N_DECIMAL = 5  # of a column of other numbers
N_LOGICAL = 6
N_TEXTS = 4
N_DATES = 2
LEVELS_WIDTH = 13  # levels are listed until they pass this many characters
LONGEST_TEXT = 128  # a longer text is cut and says so
SHORT_ENOUGH = 9e-16  # relative error below which a number counts as having 3 digits
PLAIN_RANGE = (1e-10, 1e10)  # sizes of numbers that may count as short


def str_text(frame: pd.DataFrame, name: str = "") -> str:
    """Write the size of a frame and type and first values of each column, as R's ``str``.

    Parameters
    ----------
    frame : pandas DataFrame; categoricals are factors, ordered ones ordered factors
    name : name of the data, put on a line above if given

    Examples
    --------
    >>> import pandas as pd
    >>> print(str_text(pd.DataFrame({"Days": [0.0, 1.0], "ok": [True, False]})).splitlines()[1])
     $ Days: num  0 1
    """
    n_rows, n_columns = frame.shape
    colon = f"variable{'s' if n_columns != 1 else ''}{':' if n_columns else ''}"
    lines = [f"'data.frame':\t{n_rows} obs. of  {n_columns} {colon}"]
    names = [str(column) for column in frame.columns]
    width = max(map(display_width, names), default=0)
    for i, column in enumerate(names):
        lines.append(f" $ {pad(column, width, right=False)}:{_column_text(frame.iloc[:, i])}")
    return "\n".join([name, *lines] if name else lines)


def _column_text(column: "pd.Series[Any]") -> str:
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _factor_text(column)
    if pd.api.types.is_bool_dtype(dtype):
        return _vector_text("logi", _logical_cells(column.head(N_LOGICAL)), len(column))
    if pd.api.types.is_integer_dtype(dtype):
        cells = ["NA" if pd.isna(v) else str(int(v)) for v in column.head(N_WHOLE)]
        return _vector_text("int", cells, len(column))
    if pd.api.types.is_numeric_dtype(dtype):
        values = column.to_numpy(dtype=float, na_value=math.nan)
        shown = N_WHOLE if _are_short(values[:N_WHOLE]) else N_DECIMAL
        return _vector_text("num", _number_cells(values[:shown]), len(column))
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return _date_text(column)
    return _vector_text("chr", _quoted_cells(column), len(column))


def _vector_text(kind: str, cells: Sequence[str], n: int) -> str:
    """Write type and first values; one value alone stands one blank nearer, as in R."""
    gap = " " if n == 1 else "  "
    if n == 0:
        return f" {kind} "
    return f" {kind}{gap}{' '.join(cells)}{' ...' if n > len(cells) else ''}"


def _date_text(column: "pd.Series[Any]") -> str:
    """Days are dates; anything with a time of day is a point in time."""
    days = bool((column.dropna().dt.normalize() == column.dropna()).all())
    kind, width = ("Date", 10) if days else ("POSIXct", 19)
    cells = [json.dumps(str(moment)[:width]) for moment in column.head(N_DATES)]
    return f" {kind}, format: {' '.join(cells)}{' ...' if len(column) > N_DATES else ''}"


def _number_cells(values: Any) -> list[str]:
    return format_common(values, DIGITS, drop_trailing_zeros=True, pad=False)


def _are_short(values: Any) -> bool:
    """Whether the numbers are told in full by three significant digits."""
    low, high = PLAIN_RANGE
    for value in values[~np.isnan(values)]:
        size = abs(value)
        if size == 0:
            continue
        error = abs(value - round_significant(float(value), DIGITS))
        if not (low < size < high and error <= SHORT_ENOUGH * size):
            return False
    return True


def _logical_cells(column: "pd.Series[Any]") -> list[str]:
    return ["NA" if pd.isna(v) else "TRUE" if v else "FALSE" for v in column]


def _quoted_cells(column: "pd.Series[Any]") -> list[str]:
    return ["NA" if pd.isna(v) else _cut(_quoted(str(v))) for v in column.head(N_TEXTS)]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _cut(text: str) -> str:
    mark = '"| __truncated__'
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - len(mark)] + mark


def _factor_text(column: "pd.Series[Any]") -> str:
    """Write number and first levels of a factor, and the codes of its first values."""
    levels = [_quoted(str(level)) for level in column.cat.categories]
    ordered = bool(column.cat.ordered)
    mark = "<" if ordered else ","
    # a level takes its text, the mark and, as R counts, no quotes
    ends = list(accumulate(1 + display_width(level) for level in levels[: LINE_WIDTH // 2]))
    shown = len(levels)
    if len(ends) > 1 and ends[-1] > LEVELS_WIDTH:
        shown = next(i for i, end in enumerate(ends) if end > LEVELS_WIDTH) + 1
    shown = min(shown, len(ends))
    listed = mark.join(_cut(level) for level in levels[:shown])
    more = f"{mark}.." if shown < len(levels) else ""
    kind = "Ord.factor" if ordered else "Factor"
    plural = "s" if len(levels) != 1 else ""
    codes = column.cat.codes.head(N_WHOLE)
    cells = ["NA" if code < 0 else str(code + 1) for code in codes]
    dots = " ..." if len(column) > N_WHOLE else ""
    gap = " " if levels else ""
    return f" {kind} w/ {len(levels)} level{plural}{gap}{listed}{more}: {' '.join(cells)}{dots}"
