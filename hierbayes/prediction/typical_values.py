"""What is said of a column over the rows used: mean, spread, ends, quantiles, most frequent level.

Rows in memory say it themselves, cells with their counts, and of a stream it was learnt, or follows
from its sums; what does not raises the error of rows that were not kept.
"""

from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.counted import counted_moments, mean_of, quantiles_of
from hierbayes.design.moments import Moments, moments_of
from hierbayes.design.values import Factor, Logical, Matrix, Vector, as_factor, as_numbers
from hierbayes.results.fit import Fit, column_of_summands, is_streamed, seen_column


@record
class Numbers:
    """A number over the rows used.

    Attributes
    ----------
    name : of its column
    fit : whose rows these are
    moments : its mean, spread and ends
    few : its distinct values; of a stream the first three
    values, counts : the values and how many rows each stands for, where they are kept
    """

    name: str
    fit: Fit
    moments: Moments
    few: FloatArray
    values: FloatArray | None = None
    counts: IntArray | None = None

    @property
    def mean(self) -> float:
        """Mean."""
        if self.values is not None:
            return mean_of(self.values, self.counts)
        return float(self.moments.mean[0])

    @property
    def low(self) -> float:
        """Smallest value."""
        return float(self.moments.low[0])

    @property
    def high(self) -> float:
        """Largest value."""
        return float(self.moments.high[0])

    def sd(self, ddof: int = 0) -> float:
        """Return the standard deviation."""
        return float((self.moments.squares[0] / max(self.moments.n - ddof, 1)) ** 0.5)

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """Return quantiles; of a stream there are none."""
        if self.values is None:
            _ = self.fit.spec.table.raw(self.name)[:]  # says that it was not kept
        assert self.values is not None
        return [float(own) for own in quantiles_of(self.values, self.counts, shares)]


def known_column(fit: Fit, name: str) -> Vector:
    """Return a column that has the levels of the rows used, each at least once, or its numbers."""
    if is_streamed(fit):
        return seen_column(fit, name).vector()
    return column_of_summands(fit, name)


def numbers_of_column(fit: Fit, name: str) -> Numbers:
    """Say what a column of numbers is over the rows used."""
    if is_streamed(fit):
        seen = seen_column(fit, name)
        assert seen.moments is not None
        return Numbers(name=name, fit=fit, moments=seen.moments, few=seen.few)
    value, counts = column_of_summands(fit, name), fit.design.summands.counts
    values = as_numbers(value)  # type: ignore[arg-type]
    columns = values[:, None]
    return Numbers(
        name=name,
        fit=fit,
        moments=moments_of(columns) if counts is None else counted_moments(columns, counts),
        few=np.unique(values),
        values=values,
        counts=counts,
    )


def typical_value(fit: Fit, name: str) -> float | str | bool:
    """Return the mean of a number, or the most frequent category or truth value, of the rows used.

    The first in order, where several are as frequent.
    """
    coded = name in fit.design.mean.coded()
    column = known_column(fit, name)
    if not coded and not isinstance(column, Factor | Logical):
        return numbers_of_column(fit, name).mean
    counts = fit.design.summands.counts
    if is_streamed(fit):
        column, counts = _levels_counted(fit, name)
    if isinstance(column, Factor):
        return str(column.levels[np.bincount(column.codes, counts).argmax()])
    if isinstance(column, Logical):
        return mean_of(column.values, counts) > 1 / 2
    distinct, codes = np.unique(column, return_inverse=True)
    return float(distinct[np.bincount(codes, counts).argmax()])


def _levels_counted(fit: Fit, name: str) -> tuple[Vector, IntArray]:
    """Return the levels of a category of a stream, once each, and how many rows have each.

    Columns of ones for the levels are combinations of the fixed-effects columns, so that sums over
    the rows count them.
    """
    design = fit.design
    sums = design.rows.sums
    variables = [v for v in design.mean.layout.variables() if v.columns_used() == (name,)]
    if sums is None or design.weights is not None or not variables:
        _ = fit.spec.table.raw(name)[:]  # says that it was not kept
    assert sums is not None
    made = sums.made[variables[0].expression]
    assert not isinstance(made, Matrix)
    factor = as_factor(made)
    ones = sums.surrogate(np.eye(factor.levels.size)[factor.codes])
    counts = np.rint((ones**2).sum(axis=0)).astype(np.intp)
    codes = np.arange(counts.size)
    if isinstance(made, Logical):
        return Logical(np.array([float(label == "TRUE") for label in factor.levels])), counts
    if not isinstance(made, Factor):
        return np.unique(made), counts
    own = Factor(codes, factor.levels)
    if isinstance(known_column(fit, name), Factor):
        return own, counts
    return np.array([float(label) for label in factor.levels]), counts
