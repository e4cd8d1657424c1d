"""A root of the residuals' covariance: independent numbers of correlated rows, and back.

With Var(e) = sigma^2 S C S (and weights in S) and C = L L' within each series, ``whitened`` gives
L^-1 S^-1 e and ``coloured`` S L z. Of ar1 and car1 L is that of a Markov chain, of us Cholesky's by
visits, of cs the symmetric root. ``inverse_times`` and ``inverse_diagonal`` are of C^-1, with which
each row has a mean and a variance given all others. Both are of T points at once.
"""

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.design.series import Series
from hierbayes.gaussian.residual.correlation import Exchangeable, Serial, Unstructured
from hierbayes.gaussian.residual.entries import Entries
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
    return _within_series(found, phi).through_root(rows, inverse=inverse)


def inverse_times(found: DesignResiduals, phi: FloatArray, rows: FloatArray) -> FloatArray:
    """C^-1 times rows (T, n, c) at phi (T, d)."""
    return _within_series(found, phi).inverse_times(rows)


def inverse_diagonal(found: DesignResiduals, phi: FloatArray) -> FloatArray:
    """Diagonal of C^-1, (T, n), at phi (T, d)."""
    return _within_series(found, phi).inverse_diagonal()


def log_det(found: DesignResiduals, phi: FloatArray) -> FloatArray:
    """Return log|C| of all series together, (T,), at phi (T, d)."""
    return found.structure.correlation.kinds(phi[:, found.structure.n_spreads :]).log_det


def _within_series(found: DesignResiduals, phi: FloatArray) -> "_Alone":
    """Return the correlations of the rows at phi (T, d)."""
    own, rest = found.structure.correlation, phi[:, found.structure.n_spreads :]
    shape = phi.shape[0], found.structure.spread.index.size
    if isinstance(own, Serial):
        return _Chains(*shape, found.structure.entries, own, rest)
    if found.series is None:
        return _Alone(*shape)
    if isinstance(own, Exchangeable):
        return _Blocks(*shape, found.series.codes, own.correlations(rest))
    assert isinstance(own, Unstructured)
    return _Visits(*shape, found.series, own.matrices(rest))


class _Alone:
    """T times n rows of which none is correlated with another."""

    def __init__(self, n_points: int, n_rows: int) -> None:
        self.shape = n_points, n_rows

    def through_root(self, rows: FloatArray, *, inverse: bool) -> FloatArray:
        return rows

    def inverse_times(self, rows: FloatArray) -> FloatArray:
        return rows

    def inverse_diagonal(self) -> FloatArray:
        return np.ones(self.shape)


class _Chains(_Alone):
    """Markov chains: rows that follow each other in time, with correlations f (T, m)."""

    def __init__(
        self, n_points: int, n_rows: int, entries: Entries, own: Serial, rest: FloatArray
    ) -> None:
        super().__init__(n_points, n_rows)
        m = (entries.left.size - n_rows) // 3
        self.first = entries.left[n_rows : n_rows + m]
        self.second = entries.left[n_rows + m : n_rows + 2 * m]
        f = own.at_unit(rest) ** own.gaps
        self.f = f[:, entries.kind[n_rows : n_rows + m] - 1]

    def through_root(self, rows: FloatArray, *, inverse: bool) -> FloatArray:
        first, second, f = self.first, self.second, self.f[:, :, None]
        width = np.sqrt(1 - f**2)
        out = rows.copy()
        if inverse:
            out[:, second] = (rows[:, second] - f * rows[:, first]) / width
            return out
        for step in _steps(first, second):
            at = second[step]
            out[:, at] = f[:, step] * out[:, first[step]] + width[:, step] * rows[:, at]
        return out

    def inverse_times(self, rows: FloatArray) -> FloatArray:
        first, second, f = self.first, self.second, self.f[:, :, None]
        out = rows.copy()
        between, further = f / (1 - f**2), f**2 / (1 - f**2)
        out[:, first] += further * rows[:, first] - between * rows[:, second]
        out[:, second] += further * rows[:, second] - between * rows[:, first]
        return out

    def inverse_diagonal(self) -> FloatArray:
        out, further = np.ones(self.shape), self.f**2 / (1 - self.f**2)
        out[:, self.first] += further
        out[:, self.second] += further
        return out


class _Blocks(_Alone):
    """Blocks of rows ``codes`` (n,), any two of one with the correlation r (T, 1)."""

    def __init__(self, n_points: int, n_rows: int, codes: IntArray, r: FloatArray) -> None:
        super().__init__(n_points, n_rows)
        self.codes, self.r = codes, r
        self.size = np.bincount(codes)[codes]

    def _sums(self, rows: FloatArray) -> FloatArray:
        """Sum over the block of each row, (T, n, c)."""
        order, size = np.argsort(self.codes, kind="stable"), np.bincount(self.codes)
        starts = np.concatenate([[0], np.cumsum(size)[:-1]])
        return np.add.reduceat(rows[:, order], starts, axis=1)[:, self.codes]

    def through_root(self, rows: FloatArray, *, inverse: bool) -> FloatArray:
        r, size = self.r[:, :, None], self.size[:, None]
        mean = self._sums(rows) / size
        apart, whole = np.sqrt(1 - r), np.sqrt(1 + (size - 1) * r)
        power = -1 if inverse else 1
        return np.asarray((rows - mean) * apart**power + mean * whole**power)

    def inverse_times(self, rows: FloatArray) -> FloatArray:
        r, size = self.r[:, :, None], self.size[:, None]
        return np.asarray((rows - self._sums(rows) * r / (1 + (size - 1) * r)) / (1 - r))

    def inverse_diagonal(self) -> FloatArray:
        return np.asarray((1 - self.r / (1 + (self.size - 1) * self.r)) / (1 - self.r))


class _Visits(_Alone):
    """Visits of series, with correlation matrices (T, V, V)."""

    def __init__(self, n_points: int, n_rows: int, series: Series, matrices: FloatArray) -> None:
        super().__init__(n_points, n_rows)
        # visits (v,) that some series have, and the rows (k, v) of these series
        self.patterns, self.matrices = _patterns(series), matrices

    def through_root(self, rows: FloatArray, *, inverse: bool) -> FloatArray:
        out = np.empty_like(rows)
        for visits, at in self.patterns:
            L = np.linalg.cholesky(self.matrices[:, visits[:, None], visits])[:, None]
            out[:, at] = np.linalg.solve(L, rows[:, at]) if inverse else L @ rows[:, at]
        return out

    def inverse_times(self, rows: FloatArray) -> FloatArray:
        out = np.empty_like(rows)
        for visits, at in self.patterns:
            out[:, at] = self._inverse(visits)[:, None] @ rows[:, at]
        return out

    def inverse_diagonal(self) -> FloatArray:
        out = np.empty(self.shape)
        for visits, at in self.patterns:
            out[:, at] = np.diagonal(self._inverse(visits), axis1=1, axis2=2)[:, None]
        return out

    def _inverse(self, visits: IntArray) -> FloatArray:
        return np.linalg.inv(self.matrices[:, visits[:, None], visits])


def _steps(first: IntArray, second: IntArray) -> list[IntArray]:
    """Pairs of neighbours, run by run in the order of time, by how far into the run they are."""
    if not first.size:
        return []
    begins = np.concatenate([[True], first[1:] != second[:-1]])
    start = np.maximum.accumulate(np.where(begins, np.arange(first.size), 0))
    depth = np.arange(first.size) - start
    order = np.argsort(depth, kind="stable")
    return np.split(order, np.cumsum(np.bincount(depth))[:-1])


def _patterns(series: Series) -> list[tuple[IntArray, IntArray]]:
    """Return the visits (v,) that some series have, and the rows (k, v) of these series."""
    assert series.visit is not None
    codes, visit = series.codes, series.visit
    order = np.lexsort((visit, codes))
    has = np.zeros((series.labels.size, len(series.visits)), dtype=np.bool_)
    has[codes, visit] = True
    starts = np.concatenate([[0], np.cumsum(np.bincount(codes))[:-1]])
    some, of_series = np.unique(has, axis=0, return_inverse=True)
    patterns = []
    for k, pattern in enumerate(some):
        visits = np.flatnonzero(pattern)
        at = order[starts[of_series.ravel() == k][:, None] + np.arange(visits.size)]
        patterns.append((visits, at))
    return patterns
