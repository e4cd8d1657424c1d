"""Correlations of residuals between any rows, those of a fit or new ones, and their derivatives.

A row is placed in its series: by a number of the series, and a time or a visit. Rows of different
series are independent; two rows of one series have the correlation of its term: r^gap, r, or that
of their visits. Rows with the same number are one row.
"""

from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.gaussian.residual.of_design import DesignResiduals


@record
class PlacedRows:
    """Rows by where they are in their series; arrays of any one shape.

    Attributes
    ----------
    number : which row it is
    series : its series
    place : its time, or the number of its visit; zero where neither counts
    sd : sd of its residual over sigma
    """

    number: IntArray
    series: IntArray
    place: FloatArray
    sd: FloatArray

    def take(self, at: IntArray) -> "PlacedRows":
        """Return the rows at places of any shape."""
        return PlacedRows(
            number=self.number[at], series=self.series[at], place=self.place[at], sd=self.sd[at]
        )

    def beside(self, axis: int) -> "PlacedRows":
        """Return them with another axis."""
        arrays = ("number", "series", "place", "sd")
        return replace(self, **{n: np.expand_dims(getattr(self, n), axis) for n in arrays})


def placed_rows(found: DesignResiduals, phi: FloatArray) -> PlacedRows:
    """Return the rows (n,) of a design, at phi (d,)."""
    sd = found.relative_sds(phi)
    number = np.arange(sd.size)
    series, place = number, np.zeros(sd.size)
    if found.series is not None:
        series = found.series.codes
        own = found.series.time if found.series.visit is None else found.series.visit
        place = place if own is None else np.asarray(own, dtype=np.float64)
    return PlacedRows(number=number, series=series, place=place, sd=sd)


def covariance_between(
    found: DesignResiduals, phi: FloatArray, left: PlacedRows, right: PlacedRows
) -> FloatArray:
    """Covariances over sigma^2 between rows (..., a) and (..., b), shape (..., a, b)."""
    correlation = correlations_between(found, phi[None], left, right)[0]
    return np.asarray(correlation * left.sd[..., :, None] * right.sd[..., None, :])


def correlations_between(
    found: DesignResiduals, phi: FloatArray, left: PlacedRows, right: PlacedRows
) -> FloatArray:
    """Correlations between rows (..., a) and (..., b) at phi (T, d), shape (T, ..., a, b)."""
    left, right = left.beside(-1), right.beside(-2)
    own, rest = found.structure.correlation, phi[:, found.structure.n_spreads :]
    return _masked(own.between(rest, left.place, right.place), left, right)


def slopes_between(
    found: DesignResiduals, phi: FloatArray, left: PlacedRows, right: PlacedRows
) -> FloatArray:
    """Return the derivatives of ``covariance_between`` of rows of the design, (d, ..., a, b)."""
    G, D = found.structure.n_spreads, found.structure.spread.D[found.structure.spread.index]
    R = covariance_between(found, phi, left, right)
    of_sds = [
        R * (column[left.number][..., :, None] + column[right.number][..., None, :])
        for column in D.T
    ]
    left, right = left.beside(-1), right.beside(-2)
    both = left.sd * right.sd
    same = left.number == right.number
    of_correlations = [
        np.where((left.series == right.series) & ~same, slope, 0.0) * both
        for slope in found.structure.correlation.slopes_between(phi[G:], left.place, right.place)
    ]
    parts = [*of_sds, *of_correlations]
    return np.array(parts) if parts else np.zeros((0, *R.shape))


def _masked(correlation: FloatArray, left: PlacedRows, right: PlacedRows) -> FloatArray:
    inside = np.where(left.series == right.series, correlation, 0.0)
    return np.where(left.number == right.number, 1.0, inside)
