"""Correlations of residuals between any rows, those of a fit or new ones, and their derivatives.

A row is placed in its series: by a number of the series, and a time or a visit. Rows of different
series are independent; two rows of one series have the correlation of its term: r^gap, r, or that
of their visits. Rows with the same number are one row.
"""

from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.gaussian.residual.correlation import Exchangeable, Serial, Unstructured
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
    return _masked(_within(found, phi, left, right), left, right)


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
        for slope in _slopes_within(found, phi[G:], left, right)
    ]
    parts = [*of_sds, *of_correlations]
    return np.array(parts) if parts else np.zeros((0, *R.shape))


def _masked(correlation: FloatArray, left: PlacedRows, right: PlacedRows) -> FloatArray:
    inside = np.where(left.series == right.series, correlation, 0.0)
    return np.where(left.number == right.number, 1.0, inside)


def _within(
    found: DesignResiduals, phi: FloatArray, left: PlacedRows, right: PlacedRows
) -> FloatArray:
    """Correlations at phi (T, d) as if all rows were of one series and no two the same."""
    own, rest = found.structure.correlation, phi[:, found.structure.n_spreads :]
    shape = np.broadcast_shapes(left.place.shape, right.place.shape)
    if isinstance(own, Unstructured):
        i, j = left.place.astype(np.intp), right.place.astype(np.intp)
        return np.asarray(own.matrices(rest)[:, i, j])
    if isinstance(own, Serial):
        gap = np.abs(left.place - right.place) / own.unit
        return np.asarray(own.at_unit(rest).reshape(-1, *[1] * gap.ndim) ** gap)
    if isinstance(own, Exchangeable):
        r = own.correlations(rest).reshape(-1, *[1] * len(shape))
        return np.broadcast_to(r, (phi.shape[0], *shape))
    return np.zeros((phi.shape[0], *shape))


def _slopes_within(
    found: DesignResiduals, rest: FloatArray, left: PlacedRows, right: PlacedRows
) -> list[FloatArray]:
    own = found.structure.correlation
    if isinstance(own, Serial):
        gap = np.abs(left.place - right.place) / own.unit
        r, dr = own.at_unit(rest[None])[0, 0], own.slope(rest[None])[0, 0]
        with np.errstate(divide="ignore"):  # of a row with itself, which does not count
            return [np.where(gap > 0, gap * r ** np.where(gap > 0, gap - 1, 0.0) * dr, 0.0)]
    if isinstance(own, Exchangeable):
        shape = np.broadcast_shapes(left.place.shape, right.place.shape)
        return [np.full(shape, own.slope(rest[None])[0, 0])]
    if isinstance(own, Unstructured):
        i, j = left.place.astype(np.intp), right.place.astype(np.intp)
        return [slope[i, j] for slope in own.slopes(rest[None])[0]]
    return []
