"""A root of the residuals' covariance: independent numbers of correlated rows, and back.

With Var(e) = sigma^2 S C S (and weights in S) and C = L L' within each series, ``whitened`` gives
L^-1 S^-1 e and ``coloured`` S L z. Of ar1 and car1 L is that of a Markov chain, of us Cholesky's by
visits, of cs the symmetric root. ``inverse_times`` and ``inverse_diagonal`` are of C^-1, with which
each row has a mean and a variance given all others. Both are of T points at once.
"""

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.gaussian.residual.correlation import Exchangeable, Serial, Unstructured
from hierbayes.gaussian.residual.of_design import DesignResiduals


def whitened(found: DesignResiduals, phi: FloatArray, rows: FloatArray) -> FloatArray:
    """Return independent numbers of sd sigma from residuals (n, c) at phi (d,)."""
    return through_root(
        found, phi[None], (rows / found.relative_sds(phi)[:, None])[None], inverse=True
    )[0]


def coloured(found: DesignResiduals, phi: FloatArray, numbers: FloatArray) -> FloatArray:
    """Return residuals (n, c) from independent numbers of sd sigma."""
    return through_root(found, phi[None], numbers[None])[0] * found.relative_sds(phi)[:, None]


def correlated(found: DesignResiduals, values: FloatArray, numbers: FloatArray) -> FloatArray:
    """Return numbers of sd one (n, c) with correlations ``values`` (1, k) from independent ones."""
    rest = found.structure.correlation.coordinates(values)
    phi = np.concatenate([np.zeros((1, found.structure.n_spreads)), rest], axis=1)
    return through_root(found, phi, numbers[None])[0]


def through_root(
    found: DesignResiduals, phi: FloatArray, rows: FloatArray, *, inverse: bool = False
) -> FloatArray:
    """L times rows (T, n, c) at phi (T, d), or L^-1 times them."""
    own, rest = found.structure.correlation, phi[:, found.structure.n_spreads :]
    if isinstance(own, Serial):
        return _of_chain(found, own, rest, rows, inverse=inverse)
    if found.series is None:
        return rows
    if isinstance(own, Exchangeable):
        r = own.correlations(rest)[:, :, None]
        size, total = _sums_of_series(found, rows)
        mean = total / size[:, None]
        apart, whole = np.sqrt(1 - r), np.sqrt(1 + (size[:, None] - 1) * r)
        power = -1 if inverse else 1
        return np.asarray((rows - mean) * apart**power + mean * whole**power)
    assert isinstance(own, Unstructured)
    out, matrices = np.empty_like(rows), own.matrices(rest)
    for visits, at in _patterns(found):
        L = np.linalg.cholesky(matrices[:, visits[:, None], visits])[:, None]
        out[:, at] = np.linalg.solve(L, rows[:, at]) if inverse else L @ rows[:, at]
    return out


def inverse_times(found: DesignResiduals, phi: FloatArray, rows: FloatArray) -> FloatArray:
    """C^-1 times rows (T, n, c) at phi (T, d)."""
    own, rest = found.structure.correlation, phi[:, found.structure.n_spreads :]
    if isinstance(own, Serial):
        first, second, f = _neighbours(found, own, rest)
        f, out = f[:, :, None], rows.copy()
        between, further = f / (1 - f**2), f**2 / (1 - f**2)
        out[:, first] += further * rows[:, first] - between * rows[:, second]
        out[:, second] += further * rows[:, second] - between * rows[:, first]
        return out
    if found.series is None:
        return rows
    if isinstance(own, Exchangeable):
        r = own.correlations(rest)[:, :, None]
        size, total = _sums_of_series(found, rows)
        return np.asarray((rows - total * r / (1 + (size[:, None] - 1) * r)) / (1 - r))
    assert isinstance(own, Unstructured)
    out, matrices = np.empty_like(rows), own.matrices(rest)
    for visits, at in _patterns(found):
        inverse = np.linalg.inv(matrices[:, visits[:, None], visits])
        out[:, at] = inverse[:, None] @ rows[:, at]
    return out


def inverse_diagonal(found: DesignResiduals, phi: FloatArray) -> FloatArray:
    """Diagonal of C^-1, (T, n), at phi (T, d)."""
    own, rest = found.structure.correlation, phi[:, found.structure.n_spreads :]
    out = np.ones((phi.shape[0], found.structure.spread.index.size))
    if isinstance(own, Serial):
        first, second, f = _neighbours(found, own, rest)
        further = f**2 / (1 - f**2)
        out[:, first] += further
        out[:, second] += further
    elif isinstance(own, Exchangeable):
        assert found.series is not None
        r, size = own.correlations(rest), np.bincount(found.series.codes)[found.series.codes]
        out = (1 - r / (1 + (size - 1) * r)) / (1 - r)
    elif isinstance(own, Unstructured):
        matrices = own.matrices(rest)
        for visits, at in _patterns(found):
            inverse = np.linalg.inv(matrices[:, visits[:, None], visits])
            out[:, at] = np.diagonal(inverse, axis1=1, axis2=2)[:, None]
    return out


def log_det(found: DesignResiduals, phi: FloatArray) -> FloatArray:
    """Return log|C| of all series together, (T,), at phi (T, d)."""
    own, rest = found.structure.correlation, phi[:, found.structure.n_spreads :]
    if not isinstance(own, Unstructured):
        return own.kinds(rest).log_det
    matrices, total = own.matrices(rest), np.zeros(phi.shape[0])
    for visits, at in _patterns(found):
        total += at.shape[0] * np.linalg.slogdet(matrices[:, visits[:, None], visits])[1]
    return total


def _neighbours(
    found: DesignResiduals, own: Serial, rest: FloatArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """Rows that follow each other in time (m,), and their correlations (T, m)."""
    entries, n = found.structure.entries, found.structure.spread.index.size
    m = (entries.left.size - n) // 3
    first, second = entries.left[n : n + m], entries.left[n + m : n + 2 * m]
    f = own.at_unit(rest) ** own.gaps
    return first, second, f[:, entries.kind[n : n + m] - 1]


def _of_chain(
    found: DesignResiduals, own: Serial, rest: FloatArray, rows: FloatArray, *, inverse: bool
) -> FloatArray:
    first, second, f = _neighbours(found, own, rest)
    f = f[:, :, None]
    width = np.sqrt(1 - f**2)
    out = rows.copy()
    if inverse:
        out[:, second] = (rows[:, second] - f * rows[:, first]) / width
        return out
    for step in _steps(first, second):
        at = second[step]
        out[:, at] = f[:, step] * out[:, first[step]] + width[:, step] * rows[:, at]
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


def _sums_of_series(found: DesignResiduals, rows: FloatArray) -> tuple[IntArray, FloatArray]:
    """How many rows the series of each row has, (n,), and their sums (T, n, c)."""
    assert found.series is not None
    codes = found.series.codes
    order, size = np.argsort(codes, kind="stable"), np.bincount(codes)
    starts = np.concatenate([[0], np.cumsum(size)[:-1]])
    return size[codes], np.add.reduceat(rows[:, order], starts, axis=1)[:, codes]


def _patterns(found: DesignResiduals) -> list[tuple[IntArray, IntArray]]:
    """Return the visits (v,) that some series have, and the rows (k, v) of these series."""
    assert found.series is not None and found.series.visit is not None
    codes, visit = found.series.codes, found.series.visit
    order = np.lexsort((visit, codes))
    has = np.zeros((found.series.labels.size, len(found.series.visits)), dtype=np.bool_)
    has[codes, visit] = True
    starts = np.concatenate([[0], np.cumsum(np.bincount(codes))[:-1]])
    some, of_series = np.unique(has, axis=0, return_inverse=True)
    patterns = []
    for k, pattern in enumerate(some):
        visits = np.flatnonzero(pattern)
        at = order[starts[of_series.ravel() == k][:, None] + np.arange(visits.size)]
        patterns.append((visits, at))
    return patterns
