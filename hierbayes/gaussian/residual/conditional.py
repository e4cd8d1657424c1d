"""Residuals of new rows of a series given those of its observed rows.

With R_o the covariance of the observed rows of a series over sigma^2, r their covariances with a
new row and v its variance, the new residual has the mean w'e and the variance v - w'r with
w = R_o^-1 r. Of ar1 and car1, Markov chains, only the neighbours in time count; of cs all rows of a
block alike, up to their sds; of us w comes from the matrix of the visits.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.gaussian.residual.between import PlacedRows, correlations_between, placed_rows
from hierbayes.gaussian.residual.of_design import DesignResiduals

AT_ONCE = 2**21  # numbers of the covariances of one batch of new rows: 16 MB


@record
class Conditional:
    """Residuals of m new rows given the n observed ones.

    Attributes
    ----------
    weights : sparse array, shape (m, n), w of the module's header
    variance : array, shape (m,), over sigma^2
    """

    weights: Any
    variance: FloatArray


def conditional(found: DesignResiduals, phi: FloatArray, new: PlacedRows) -> Conditional:
    """Return what observed rows say of new ones, at phi (d,).

    Parameters
    ----------
    found : of the design
    phi : array, shape (d,)
    new : rows (m,), whose series are those of the design; negative of other series
    """
    from scipy.sparse import csr_array

    sd = placed_rows(found, phi).sd
    lefts, rights, values = [], [], []
    variance = new.sd**2
    for part in given_observed(found, phi[None], new):
        rows, beside = part.rows, part.beside
        variance[rows] *= part.variance[0]
        lefts.append(np.repeat(rows, beside.shape[1]))
        rights.append(beside.ravel())
        values.append((part.weights[0] * new.sd[rows, None] / sd[beside]).ravel())
    none = np.empty(0, dtype=np.intp)
    entries = np.concatenate([*values, np.empty(0)])
    places = np.concatenate([*lefts, none]), np.concatenate([*rights, none])
    shape = new.sd.size, sd.size
    return Conditional(weights=csr_array((entries, places), shape=shape), variance=variance)


@record
class Given:
    """Some new rows given observed ones at T points, all in units of their own sds.

    Attributes
    ----------
    rows : array, shape (B,), new rows
    beside : array, shape (B, m), the observed rows that say all of each
    weights : array, shape (T, B, m), w of the module's header
    variance : array, shape (T, B)
    """

    rows: IntArray
    beside: IntArray
    weights: FloatArray
    variance: FloatArray


def given_observed(found: DesignResiduals, phi: FloatArray, new: PlacedRows) -> Iterator[Given]:
    """Yield what observed rows say of new ones at phi (T, d), some rows at a time.

    A new row of which they say nothing is in none of the parts.
    """
    observed, own = placed_rows(found, phi[0]), found.structure.correlation
    for rows, beside in _beside(found, observed, new, n_points=phi.shape[0]):
        at, there = new.take(rows[:, None]), observed.take(beside)
        r = correlations_between(found, phi, at, there)[:, :, 0]
        w = own.solve(phi[:, found.structure.n_spreads :], there.place, r)
        variance = np.maximum(1 - (w * r).sum(axis=2), 0.0)
        yield Given(rows=rows, beside=beside, weights=w, variance=variance)


def _beside(
    found: DesignResiduals, observed: PlacedRows, new: PlacedRows, *, n_points: int
) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield new rows (B,) and observed ones (B, m) that say all of them, some at a time."""
    inside = np.flatnonzero((new.series >= 0) & ~np.isnan(new.place))
    if found.series is None or not inside.size:
        return
    order = np.lexsort((observed.place, observed.series))
    counts = np.bincount(observed.series)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    series = new.series[inside]
    first, size = starts[series], counts[series]
    if found.structure.correlation.is_chain:
        # how many rows of its series are not later
        before = _not_later(observed, order, new.take(inside)) - first
        first = first + np.clip(before - 1, 0, size - 1)
        last = starts[series] + np.clip(before, 0, size - 1)
        size = 1 + last - first
    for m in np.unique(size).tolist():
        some = np.flatnonzero(size == m)
        step = max(1, AT_ONCE // (m * m * n_points))
        for at in range(0, some.size, step):
            part = some[at : at + step]
            yield inside[part], order[first[part, None] + np.arange(m)]


def _not_later(observed: PlacedRows, order: IntArray, new: PlacedRows) -> IntArray:
    """Count the observed rows, by series and time, before new ones or at their time."""
    n = order.size
    series = np.concatenate([observed.series[order], new.series])
    place = np.concatenate([observed.place[order], new.place])
    is_new = np.arange(series.size) >= n
    together = np.lexsort((is_new, place, series))
    passed = np.cumsum(together < n)
    found = np.empty(series.size, dtype=np.intp)
    found[together] = passed
    return found[n:]
