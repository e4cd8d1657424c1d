"""Moments of numbers by category, and what they say of the columns of a model."""

from collections.abc import Mapping

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.design.moments import Moments, RowMoments
from hierbayes.design.values import Column
from hierbayes.formula.expressions import Expression
from hierbayes.streams.push_down.columns import Ingredients, Part

ONE = "one"


@record
class NumberMoments:
    """Of numbers over the rows used, by combination of the categories of all predictors.

    Attributes
    ----------
    counts : array, shape (cells,)
    mean, squares, low, high : dict from number to array (cells,); squares are about the mean
    categories : the categories of each cell
    """

    counts: FloatArray
    mean: dict[str, FloatArray]
    squares: dict[str, FloatArray]
    low: dict[str, FloatArray]
    high: dict[str, FloatArray]
    categories: Mapping[Expression, Column]

    def total(self, number: str) -> float:
        """Sum of a number over all rows."""
        return float(self.counts @ self.mean[number])

    def of(self, number: str) -> Moments:
        """Moments of a number over all rows."""
        return self._combined([number], np.ones((self.counts.size, 1)))

    def of_columns(self, part: Part) -> Moments:
        """Moments of the columns of X or of a grouping factor."""
        contrasts = part.contrasts(self.categories, self.counts.size)
        return self._combined([str(m) if m else ONE for m in part.monomials.tolist()], contrasts)

    def _combined(self, numbers: list[str], times: FloatArray) -> Moments:
        """Moments of numbers times constants (cells, m), over all cells."""

        def each(kind: Mapping[str, FloatArray], one: float) -> FloatArray:
            full = np.full(self.counts.size, one)
            return np.column_stack([full if n == ONE else kind[n] for n in numbers])

        n = self.counts.sum()
        part = self.counts / n
        means = each(self.mean, 1.0) * times
        mean = part @ means
        squares = each(self.squares, 0.0) * times**2 + self.counts[:, None] * (means - mean) ** 2
        ends = np.array([each(self.low, 1.0) * times, each(self.high, 1.0) * times])
        return Moments(
            int(n), mean, squares.sum(axis=0), ends.min(axis=(0, 1)), ends.max(axis=(0, 1))
        )


def row_moments(moments: NumberMoments, own: Ingredients) -> RowMoments:
    """Return the moments of all columns of a model over the rows used."""
    return RowMoments(
        response=moments.of("response"),
        left=moments.of("response" if own.offset is None else "left"),
        X=moments.of_columns(own.x),
        z=tuple(moments.of_columns(part) for part in own.factors),
        offset=None if own.offset is None else moments.of("offset"),
    )
