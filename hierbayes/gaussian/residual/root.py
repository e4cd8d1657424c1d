"""A root of the residuals' covariance: independent numbers of correlated rows, and back.

With Var(e) = sigma^2 S C S (and weights in S) and C = L L' within each series, ``whitened`` gives
L^-1 S^-1 e and ``coloured`` S L z. Of ar1 and car1 L is that of a Markov chain, of us Cholesky's by
visits, of cs the symmetric root.
"""

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.gaussian.residual.correlation import Exchangeable, Serial, Unstructured
from hierbayes.gaussian.residual.of_design import DesignResiduals


def whitened(found: DesignResiduals, phi: FloatArray, rows: FloatArray) -> FloatArray:
    """Return independent numbers of sd sigma from residuals (n, c) at phi (d,)."""
    return _through(found, phi, rows / found.relative_sds(phi)[:, None], inverse=True)


def coloured(found: DesignResiduals, phi: FloatArray, numbers: FloatArray) -> FloatArray:
    """Return residuals (n, c) from independent numbers of sd sigma."""
    return _through(found, phi, numbers, inverse=False) * found.relative_sds(phi)[:, None]


def correlated(found: DesignResiduals, values: FloatArray, numbers: FloatArray) -> FloatArray:
    """Return numbers of sd one (n, c) with correlations ``values`` (1, k) from independent ones."""
    rest = found.structure.correlation.coordinates(values)[0]
    phi = np.concatenate([np.zeros(found.structure.n_spreads), rest])
    return _through(found, phi, numbers, inverse=False)


def _through(
    found: DesignResiduals, phi: FloatArray, rows: FloatArray, *, inverse: bool
) -> FloatArray:
    own, rest = found.structure.correlation, phi[None, found.structure.n_spreads :]
    if isinstance(own, Serial):
        return _of_chain(found, own, rest, rows, inverse=inverse)
    if found.series is None:
        return rows
    if isinstance(own, Exchangeable):
        r = float(own.correlations(rest)[0, 0])
        codes, size = found.series.codes, np.bincount(found.series.codes)
        mean = np.zeros((size.size, rows.shape[1]))
        np.add.at(mean, codes, rows)
        mean = (mean / size[:, None])[codes]
        apart, whole = np.sqrt(1 - r), np.sqrt(1 + (size - 1) * r)[codes, None]
        power = -1 if inverse else 1
        return np.asarray((rows - mean) * apart**power + mean * whole**power)
    assert isinstance(own, Unstructured)
    return _of_visits(found, own.matrices(rest)[0], rows, inverse=inverse)


def _of_chain(
    found: DesignResiduals, own: Serial, rest: FloatArray, rows: FloatArray, *, inverse: bool
) -> FloatArray:
    entries, n = found.structure.entries, rows.shape[0]
    m = (entries.left.size - n) // 3
    first, second = entries.left[n : n + m], entries.left[n + m : n + 2 * m]
    f = (own.at_unit(rest)[0] ** own.gaps)[entries.kind[n : n + m] - 1][:, None]
    width = np.sqrt(1 - f**2)
    out = rows.copy()
    if inverse:
        out[second] = (rows[second] - f * rows[first]) / width
        return out
    for step in _steps(first, second):
        out[second[step]] = f[step] * out[first[step]] + width[step] * rows[second[step]]
    return out


def _steps(first: IntArray, second: IntArray) -> list[IntArray]:
    """Pairs of neighbours, run by run in the order of time, by how far into the run they are."""
    if not first.size:
        return []
    begins = np.concatenate([[True], first[1:] != second[:-1]])
    start = np.maximum.accumulate(np.where(begins, np.arange(first.size), 0))
    depth = np.arange(first.size) - start
    order = np.argsort(depth, kind="stable")
    return np.split(order, np.cumsum(np.bincount(depth))[:-1])


def _of_visits(
    found: DesignResiduals, C: FloatArray, rows: FloatArray, *, inverse: bool
) -> FloatArray:
    assert found.series is not None and found.series.visit is not None
    codes, visit = found.series.codes, found.series.visit
    order = np.lexsort((visit, codes))
    has = np.zeros((found.series.labels.size, C.shape[0]), dtype=np.bool_)
    has[codes, visit] = True
    starts = np.concatenate([[0], np.cumsum(np.bincount(codes))[:-1]])
    some, of_series = np.unique(has, axis=0, return_inverse=True)
    out = np.empty_like(rows)
    for k, pattern in enumerate(some):
        visits = np.flatnonzero(pattern)
        L = np.linalg.cholesky(C[visits[:, None], visits])
        at = order[starts[of_series.ravel() == k][:, None] + np.arange(visits.size)]
        out[at] = (np.linalg.inv(L) if inverse else L) @ rows[at]
    return out
