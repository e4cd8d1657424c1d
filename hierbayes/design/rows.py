"""The rows of a model: which of the data can be used, and what is wrong with the others.

A row is used if no column of the model is missing in it. Infinite values, and transforms that leave
the numbers (``log(-1)``), are errors that name the column and the first rows.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.design.kept_sums import KeptSums
from hierbayes.design.moments import RowMoments
from hierbayes.design.values import Column, Factor, Logical, Matrix, is_missing, take_rows
from hierbayes.errors import DataError
from hierbayes.formula.deparse import deparse
from hierbayes.formula.expressions import Expression, Name
from hierbayes.wording import SHOWN_ROWS, counted_rows


@record
class Rows:
    """The rows used: what belongs to a row of the data and to no predictor.

    Attributes
    ----------
    response : array, shape (n,), or (n, 2) for ``cbind(successes, failures)``, in its units
    labels : of the rows in the user's frame
    positions : array of int, shape (n,), of the rows in the user's frame
    n_given : rows of the user's frame
    dropped : per column the number of rows in which it was missing
    values : the variables of the formula as they were read, by their expression
    weights : array, shape (n,), precision weights, all positive; None when not given
    known_sd : array, shape (n,), known residual sds; None when not given
    precision_source : the argument weights or known_sd, when it was a column or an expression
    counts : array of int, shape (n,): how many equal rows of the data each row is, where these are
        cells; None where each is one. Numbers of rows (``n_given``, ``dropped``) are those of data
    moments : of all columns of the design, where rows were a stream and none is kept
    sums : what is known of rows that were a stream, none of which is kept
    """

    response: FloatArray
    labels: pd.Index
    positions: IntArray
    n_given: int
    dropped: dict[str, int]
    values: Mapping[Expression, Column]
    weights: FloatArray | None = None
    known_sd: FloatArray | None = None
    precision_source: str | None = None
    counts: IntArray | None = None
    moments: RowMoments | None = None
    sums: KeptSums | None = None

    def of[C: Column](self, column: C) -> C:
        """Return what a column of the user's frame holds in these rows."""
        return take_rows(column, self.positions)

    def with_response(self, y: FloatArray, expression: Expression) -> "Rows":
        """Return the rows with another response, also where it stands among the variables.

        Parameters
        ----------
        y : array, shape (n,) or (n, 2)
        expression : of the response
        """
        value: Column = y
        before = self.values.get(expression)
        if isinstance(before, Matrix) and y.ndim == 2:
            value = Matrix(y, before.suffixes)
        if isinstance(before, Factor) and y.min() >= 1:  # ordered categories; 0 is that of two
            value = replace(before, codes=(y - 1).astype(np.intp))
        return replace(self, response=y, values={**self.values, expression: value})

    def some(self, rows: npt.NDArray[Any]) -> "Rows":
        """Return some of the rows, by positions among these or truth values."""
        return replace(
            self,
            response=self.response[rows],
            labels=self.labels[rows],
            positions=self.positions[rows],
            values={name: take_rows(value, rows) for name, value in self.values.items()},
            weights=None if self.weights is None else self.weights[rows],
            known_sd=None if self.known_sd is None else self.known_sd[rows],
            counts=None if self.counts is None else self.counts[rows],
        )


@record
class CompleteRows:
    """The rows used.

    Attributes
    ----------
    rows : array of int, their positions; None when every row is used
    dropped : per column the number of rows in which it is missing, columns without any left out
    doubtful : names of the columns that have missing values, or may have infinite ones
    """

    rows: IntArray | None
    dropped: dict[str, int]
    doubtful: list[str]


def complete_rows(
    columns: Mapping[str, Column],
    made: Mapping[Expression, Column],
    n_rows: int,
    counts: IntArray | None = None,
) -> CompleteRows:
    """Find the rows in which no column is missing.

    Parameters
    ----------
    columns : the columns used, by name
    made : factors made in the formula; ``factor(x, levels = ...)`` can make a value missing
    n_rows : rows of the data
    counts : how many rows of the data each row of the frame is; None of one

    Raises
    ------
    DataError
        If a column has no value at all, or no row is complete.
    """
    anywhere: BoolArray | None = None
    dropped: dict[str, int] = {}
    with np.errstate(all="ignore"):
        doubtful = [name for name, values in columns.items() if not _is_finite(values)]
    for name in doubtful:
        missing = is_missing(columns[name])
        if missing is None:
            continue
        dropped[name] = count = _number_of(missing, counts)
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
            dropped[deparse(expression)] = _number_of(own, counts)
            anywhere = missing if anywhere is None else anywhere | missing
    if anywhere is None:
        return CompleteRows(rows=None, dropped=dropped, doubtful=doubtful)
    rows = np.flatnonzero(~anywhere)
    if not rows.size:
        told = " and ".join(f"{name!r} in {count}" for name, count in dropped.items())
        raise DataError(
            f"No row is complete: of {n_rows} rows, {told} are missing. "
            "Leave a column out of the formula or fill it in."
        )
    return CompleteRows(rows=rows, dropped=dropped, doubtful=doubtful)


def _is_finite(value: Column) -> bool:
    """Whether a column has neither missing nor infinite values, as far as one pass tells.

    Where sums overflow it may be finite all the same.
    """
    if isinstance(value, Factor):
        return not value.codes.size or bool(value.codes.min() >= 0)
    numbers = value.values if isinstance(value, Logical | Matrix) else value
    return numbers.dtype.kind != "f" or math.isfinite(numbers.sum())


def _number_of(missing: BoolArray, counts: IntArray | None) -> int:
    """Count the rows of the data among some of the frame."""
    return int(np.count_nonzero(missing) if counts is None else counts[missing].sum())


def check_columns(columns: Mapping[str, Column], row_labels: pd.Index) -> None:
    """Raise DataError for the first column that holds infinite values."""
    for name, values in columns.items():
        bad = _rows_where(np.isinf, values)  # missing is no error: new data may have it
        if bad is not None:
            where = _where(bad, row_labels)
            raise DataError(
                f"Column {name!r} has an infinite value in {where}; "
                "correct it, or make it missing to leave the row out."
            )


def check_values(values: Mapping[Expression, Column], row_labels: pd.Index) -> None:
    """Raise DataError for the first expression that isn't a number in a row used.

    The columns are known to be finite, so it is the expression that is undefined there.
    """
    for expression, value in values.items():
        if isinstance(expression, Name):
            continue
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
        if math.isfinite(numbers.sum()):  # one pass without a temporary array: the usual case
            return None
    bad = is_bad(numbers)
    if bad.ndim > 1:
        bad = bad.any(axis=1)
    return bad if bad.any() else None


def _where(bad: BoolArray, row_labels: pd.Index) -> str:
    positions = np.flatnonzero(bad)
    labels: Iterable[Any] = row_labels[positions[:SHOWN_ROWS]]
    return counted_rows(list(labels), positions.size)
