"""Which rows can be used, and what is wrong with the others.

A row is used if no column of the model is missing in it. Infinite values, and transforms that leave
the numbers (``log(-1)``), are errors that name the column and the first rows.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from hierbayes.arrays import BoolArray, IntArray, record
from hierbayes.design.values import Factor, Logical, Matrix, is_missing
from hierbayes.errors import DataError
from hierbayes.formula.deparse import deparse
from hierbayes.formula.expressions import Expression, Name
from hierbayes.wording import SHOWN_ROWS, counted_rows


@record
class CompleteRows:
    """The rows used.

    Attributes
    ----------
    rows : array of int, their positions; None when every row is used
    dropped : per column the number of rows in which it is missing, columns without any left out
    """

    rows: IntArray | None
    dropped: dict[str, int]


def complete_rows(
    columns: Mapping[str, Any], made: Mapping[Expression, Any], n_rows: int
) -> CompleteRows:
    """Find the rows in which no column is missing.

    Parameters
    ----------
    columns : the columns used, by name
    made : factors made in the formula; ``factor(x, levels = ...)`` can make a value missing
    n_rows : rows of the frame

    Raises
    ------
    DataError
        If a column has no value at all, or no row is complete.
    """
    anywhere: BoolArray | None = None
    dropped: dict[str, int] = {}
    for name, values in columns.items():
        missing = is_missing(values)
        if missing is None:
            continue
        dropped[name] = count = int(np.count_nonzero(missing))
        if count == n_rows:
            raise DataError(f"Column {name!r} has no values: it is missing in all {n_rows} rows.")
        anywhere = missing if anywhere is None else anywhere | missing
    for expression, factor in made.items():
        missing = is_missing(factor)
        if missing is None:
            continue
        if missing.all():
            raise DataError(
                f"{deparse(expression)} leaves no row: no value of the variable is "
                "one of these levels."
            )
        own = missing if anywhere is None else missing & ~anywhere
        if own.any():
            dropped[deparse(expression)] = int(np.count_nonzero(own))
            anywhere = missing if anywhere is None else anywhere | missing
    if anywhere is None:
        return CompleteRows(rows=None, dropped=dropped)
    rows = np.flatnonzero(~anywhere)
    if not rows.size:
        counts = " and ".join(f"{name!r} in {count}" for name, count in dropped.items())
        raise DataError(
            f"No row is complete: of {n_rows} rows, {counts} are missing. "
            "Leave a column out of the formula or fill it in."
        )
    return CompleteRows(rows=rows, dropped=dropped)


def check_columns(columns: Mapping[str, Any], row_labels: Any) -> None:
    """Raise DataError for the first column that holds infinite values."""
    for name, values in columns.items():
        bad = _rows_where(np.isinf, values)  # missing is no error: new data may have it
        if bad is not None:
            where = _where(bad, row_labels)
            raise DataError(
                f"Column {name!r} has an infinite value in {where}; "
                "correct it, or make it missing to leave the row out."
            )


def check_values(values: Mapping[Expression, Any], row_labels: Any) -> None:
    """Raise DataError for the first expression that isn't a number in a row used.

    The columns are known to be finite, so it is the expression that is undefined there.
    """
    for expression, value in values.items():
        if isinstance(expression, Name):
            continue
        bad = _rows_where(_is_not_finite, value)
        if bad is not None:
            where = _where(bad, row_labels)
            raise DataError(
                f"{deparse(expression)} is not a finite number in {where}: the function isn't "
                "defined for the values there. Transform the column in another way or make these "
                "values missing."
            )


def _is_not_finite(numbers: Any) -> Any:
    return ~np.isfinite(numbers)


def _rows_where(is_bad: Callable[[Any], Any], value: Any) -> BoolArray | None:
    """Return the rows with a bad number, or None; ``is_bad`` is false for finite numbers."""
    if isinstance(value, Factor):
        return None
    numbers = value.values if isinstance(value, Logical | Matrix) else value
    if numbers.dtype.kind != "f":
        return None
    with np.errstate(all="ignore"):
        if np.isfinite(numbers.sum()):  # one pass without a temporary array: the usual case
            return None
    bad = is_bad(numbers)
    if bad.ndim > 1:
        bad = bad.any(axis=1)
    return bad if bad.any() else None


def _where(bad: BoolArray, row_labels: Any) -> str:
    positions = np.flatnonzero(bad)
    labels: Iterable[Any] = row_labels[positions[:SHOWN_ROWS]]
    return counted_rows(list(labels), positions.size)
