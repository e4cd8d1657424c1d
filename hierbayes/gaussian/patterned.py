"""Covariances whose correlations follow a pattern: ``diag cs ar1 toep`` of a formula.

Var(b) / sigma^2 = S R(r) S with S the diagonal of the sds of the q columns, one each or one for all
(homogeneous), and a correlation matrix R of few parameters r:

    diag   R = I, of one sd for all (with an sd each it is ``(x || g)``: terms of their own)
    cs     R_ij = r, -1 / (q - 1) < r < 1 (compound symmetry)
    ar1    R_ij = r^|i - j|, -1 < r < 1 (autoregressive of order one)
    toep   R_ij = rho_|i - j|, by the partial autocorrelations p_1 .. p_(q - 1), each in (-1, 1):
           p_k is the correlation of two columns k apart given those between, p_1 = rho_1. Any p is
           a correlation matrix, and every Toeplitz correlation matrix has one.

The names, and which of them are homogeneous by default, are lme4's (2.0); ``toep`` is glmmTMB's.

Source: the vignette "Covariance structures" of lme4 2.0; Joe (2006), J. Multivariate Analysis
97:2177 (partial autocorrelations).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray
from hierbayes.design.design import Design
from hierbayes.gaussian.structures import Structured, register, structure, unknown_structure

# A guess from moments that is no correlation matrix of the pattern starts this far from its bounds.
CLOSE = 0.9
# What rounding may take a correlation beyond its bound, of a covariance that is of the pattern.
ROUNDED = 1e-9
COMPLEX_STEP = 1e-30


@dataclass(frozen=True)
class Patterned(Structured):
    """Sds of q columns, or one for all, and correlations that follow a pattern.

    ``within`` are narrower bounds of r, those of a prior. A pattern adds ``correlation_names``,
    ``correlation_bounds`` (m, 2), ``unit_root`` of r (T, m), its ``unit_slope`` and ``pattern_of``,
    r of correlation matrices.
    """

    q: int
    hom: bool
    within: tuple[tuple[float, float], ...] = ()

    @property
    def correlation_names(self) -> tuple[str, ...]:
        """Names of the m parameters of R."""
        return ()

    @property
    def correlation_bounds(self) -> FloatArray:
        """Lower and upper bound of the m parameters of R, (m, 2)."""
        return np.empty((0, 2))

    def unit_root(self, r: FloatArray) -> FloatArray:
        """Return a root of R (T, q, q), of complex r too."""
        return np.tile(np.eye(self.q, dtype=r.dtype), (r.shape[0], 1, 1))

    def unit_slope(self, r: FloatArray) -> FloatArray:
        """Return the derivative of ``unit_root`` in r, (T, m, q, q)."""
        return np.empty((r.shape[0], 0, self.q, self.q))

    def pattern_of(self, corr: FloatArray, known: BoolArray) -> FloatArray:
        """Return r (T, m) of matrices (T, q, q), of which the entries ``known`` count."""
        return np.empty((corr.shape[0], 0))

    @property
    def n_scales(self) -> int:
        """Number of sds."""
        return 1 if self.hom else self.q

    @cached_property
    def names(self) -> tuple[str, ...]:
        """``sd_*``, or ``sd_1 ... sd_q`` where each column has its own; then the correlations."""
        sds = ("sd_*",) if self.hom else tuple(f"sd_{i + 1}" for i in range(self.q))
        return (*sds, *self.correlation_names)

    def names_of(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the names, sds of columns by the columns."""
        sds = self.names[:1] if self.hom else tuple(f"sd_{column}" for column in columns)
        return (*sds, *self.correlation_names)

    @cached_property
    def is_scale(self) -> BoolArray:
        """See ``Covariance``."""
        return np.arange(self.n_scales + len(self.correlation_names)) < self.n_scales

    @cached_property
    def bounds(self) -> FloatArray:
        """See ``Covariance``."""
        scales = np.tile([0.0, np.inf], (self.n_scales, 1))
        inner = np.array(self.within) if self.within else self.correlation_bounds
        return np.concatenate([scales, inner])

    def root(self, par: FloatArray) -> FloatArray:
        """Return S times a root of R."""
        return par[:, : self.n_scales, None] * self.unit_root(par[:, self.n_scales :])

    def slope(self, par: FloatArray) -> FloatArray:
        """See ``Covariance``."""
        sds, r = par[:, : self.n_scales], par[:, self.n_scales :]
        unit = self.unit_root(r)[:, None]
        of_sds = unit if self.hom else np.eye(self.q)[:, :, None] * unit
        return np.concatenate([of_sds, sds[:, None, :, None] * self.unit_slope(r)], axis=1)

    def nearest(self, covariance: FloatArray) -> FloatArray:
        """See ``Covariance``."""
        variances = np.diagonal(covariance, axis1=1, axis2=2)
        if self.hom:
            variances = np.broadcast_to(variances.mean(axis=1, keepdims=True), variances.shape)
        sds = np.sqrt(variances)
        size = sds[:, :, None] * sds[:, None]
        corr = np.divide(covariance, size, out=np.zeros_like(size), where=size > 0)
        found = self.pattern_of(corr, size > 0)
        low, high = self.correlation_bounds.T
        middle, half = (low + high) / 2, (high - low) / 2
        beyond = np.abs(found - middle) > half + ROUNDED
        guess = middle + CLOSE * half * np.sign(found - middle)
        found = np.where(beyond, guess, np.clip(found, low, high))
        return np.concatenate([sds[:, : self.n_scales], found], axis=1)


def triangle_of(own: Patterned, r: Sequence[Any]) -> list[list[Any]]:
    """Rows of the lower triangle of R, from numbers of any kind that know arithmetic and ** 0.5.

    Of compound symmetry L_jj = sqrt(1 - r^2 a_j) and below it L_ij = (r - r^2 a_j) / L_jj, where
    a_j is the sum of the squares before, over r^2: a_1 = 0, a_j+1 = a_j + (1 - r a_j)^2 / L_jj^2.
    """
    q = own.q
    if isinstance(own, CompoundSymmetry):
        (rho,) = r
        rows: list[list[Any]] = [[] for _ in range(q)]
        a: Any = 0.0
        for j in range(q):
            square = 1.0 - rho * rho * a
            for i in range(j + 1, q):
                rows[i].append((rho - rho * rho * a) / square**0.5)
            rows[j].append(square**0.5)
            a = a + (1.0 - rho * a) * (1.0 - rho * a) / square
        return rows
    partial = [r[0], *[0.0] * (q - 2)] if isinstance(own, Autoregressive) else list(r)
    rows, missed = [[1.0]], 1.0
    weights: list[Any] = []
    for k in range(1, q):
        p = partial[k - 1] if own.correlation_names else 0.0
        flipped = weights[::-1]
        weights = [*(w - p * v for w, v in zip(weights, flipped, strict=True)), p]
        missed = missed * (1.0 - p * p) ** 0.5
        row = [
            sum(w * rows[k - 1 - n][c] for n, w in enumerate(weights) if c < len(rows[k - 1 - n]))
            for c in range(k)
        ]
        rows.append([*row, missed])
    return rows


class Diagonal(Patterned):
    """No correlations."""

    def entries(self, L: FloatArray) -> FloatArray:
        """Return the diagonal, or the one number it has."""
        diagonal = np.diagonal(L)
        return diagonal[:1] if self.hom else diagonal


class CompoundSymmetry(Patterned):
    """One correlation of all columns.

    R has the eigenvalue 1 + (q - 1) r along the mean of the columns and 1 - r elsewhere, so its
    symmetric root is a (I - J / q) + b J / q with a, b their roots.
    """

    @property
    def correlation_names(self) -> tuple[str, ...]:
        """See ``Patterned``."""
        return ("cor_rho",)

    @property
    def correlation_bounds(self) -> FloatArray:
        """See ``Patterned``."""
        return np.array([[-1.0 / (self.q - 1), 1.0]])

    def _parts(self, r: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        r = r[:, :, None]
        mean = np.full((self.q, self.q), 1 / self.q)
        return np.sqrt(1 - r), np.sqrt(1 + (self.q - 1) * r), np.eye(self.q) - mean, mean

    def unit_root(self, r: FloatArray) -> FloatArray:
        """See ``Patterned``."""
        a, b, apart, mean = self._parts(r)
        return np.asarray(a * apart + b * mean)

    def unit_slope(self, r: FloatArray) -> FloatArray:
        """See ``Patterned``."""
        a, b, apart, mean = self._parts(r)
        return np.asarray((self.q - 1) / (2 * b) * mean - apart / (2 * a))[:, None]

    def entries(self, L: FloatArray) -> FloatArray:
        """Return, of one sd, the diagonal and what stands below it in each column, as lme4."""
        if not self.hom:
            return super().entries(L)
        below = np.append(np.diagonal(L, -1), 0.0)
        return np.stack([np.diagonal(L), below], axis=1).ravel()[:-1]

    def pattern_of(self, corr: FloatArray, known: BoolArray) -> FloatArray:
        """Return the mean of the correlations."""
        off = known & ~np.eye(self.q, dtype=np.bool_)
        return _mean(corr, off)[:, None]


class Autoregressive(Patterned):
    """Correlation r^|i - j|; the root by rows, u_0 and then r row_(i-1) + sqrt(1 - r^2) u_i."""

    @property
    def correlation_names(self) -> tuple[str, ...]:
        """See ``Patterned``."""
        return ("cor_rho",)

    @property
    def correlation_bounds(self) -> FloatArray:
        """See ``Patterned``."""
        return np.array([[-1.0, 1.0]])

    @cached_property
    def _lags(self) -> tuple[FloatArray, BoolArray, BoolArray]:
        lag = np.subtract.outer(np.arange(self.q), np.arange(self.q))
        return np.maximum(lag, 0), lag >= 0, np.arange(self.q) == 0

    def unit_root(self, r: FloatArray) -> FloatArray:
        """See ``Patterned``."""
        lag, below, first = self._lags
        r = r[:, :, None]
        return np.where(below, r**lag, 0.0) * np.where(first, 1.0, np.sqrt(1 - r**2))

    def unit_slope(self, r: FloatArray) -> FloatArray:
        """See ``Patterned``."""
        lag, below, first = self._lags
        r = r[:, :, None]
        width = np.sqrt(1 - r**2)
        power = np.where(below, r**lag, 0.0)
        steeper = np.where(lag > 0, lag * r ** np.maximum(lag - 1, 0), 0.0)
        thinner = np.where(first, 0.0, -r / width)
        return np.asarray(steeper * np.where(first, 1.0, width) + power * thinner)[:, None]

    def entries(self, L: FloatArray) -> FloatArray:
        """Return, of one sd, the first two columns, whose numbers all others repeat, as lme4."""
        return np.concatenate([L[:, 0], L[1:, 1]]) if self.hom else super().entries(L)

    def pattern_of(self, corr: FloatArray, known: BoolArray) -> FloatArray:
        """Return the mean correlation of neighbours."""
        return _mean(corr, known & np.eye(self.q, k=1, dtype=np.bool_))[:, None]


class Toeplitz(Patterned):
    """Correlations by distance, from partial autocorrelations.

    Row k of the root is that of the best prediction of column k from those before, whose
    coefficients are Levinson's and Durbin's, and beside it what it misses, prod sqrt(1 - p_j^2).
    """

    @property
    def correlation_names(self) -> tuple[str, ...]:
        """``pacf_1`` is the correlation of neighbours."""
        return tuple(f"pacf_{k}" for k in range(1, self.q))

    @property
    def correlation_bounds(self) -> FloatArray:
        """See ``Patterned``."""
        return np.tile([-1.0, 1.0], (self.q - 1, 1))

    def unit_root(self, r: FloatArray) -> FloatArray:
        """See ``Patterned``."""
        L = np.zeros((r.shape[0], self.q, self.q), dtype=r.dtype)
        L[:, 0, 0] = 1.0
        weights = np.empty((r.shape[0], 0), dtype=r.dtype)  # of the columns before, nearest first
        missed = np.ones(r.shape[0], dtype=r.dtype)
        for k in range(1, self.q):
            p = r[:, k - 1 : k]
            weights = np.concatenate([weights - p * weights[:, ::-1], p], axis=1)
            missed = missed * np.sqrt(1 - p[:, 0] ** 2)
            L[:, k] = np.einsum("tj,tja->ta", weights, L[:, k - 1 :: -1][:, :k])
            L[:, k, k] = missed
        return L

    def unit_slope(self, r: FloatArray) -> FloatArray:
        """See ``Patterned``: by complex steps, which have no cancellation."""
        T, m = r.shape
        stepped = (r[:, None] + 1j * COMPLEX_STEP * np.eye(m)).reshape(T * m, m)
        slope: FloatArray = self.unit_root(stepped).imag / COMPLEX_STEP
        return slope.reshape(T, m, self.q, self.q)

    def pattern_of(self, corr: FloatArray, known: BoolArray) -> FloatArray:
        """Return the partial autocorrelations of the mean correlations by distance."""
        means = [_mean(corr, known & np.eye(self.q, k=k, dtype=np.bool_)) for k in range(1, self.q)]
        rho = np.stack(means, axis=1)
        found = np.zeros_like(rho)
        weights, left = rho[:, :0], np.ones(rho.shape[0])
        for k in range(1, self.q):
            rest = rho[:, k - 1] - (weights * rho[:, : k - 1][:, ::-1]).sum(axis=1)
            p = np.divide(rest, left, out=np.zeros_like(rest), where=left > ROUNDED)
            found[:, k - 1] = p
            p = np.clip(p, -1.0, 1.0)[:, None]
            weights = np.concatenate([weights - p * weights[:, ::-1], p], axis=1)
            left = left * (1 - p[:, 0] ** 2)
        return found


def _mean(values: FloatArray, some: BoolArray) -> FloatArray:
    """Mean of some entries of matrices (T, q, q), zero of none, (T,)."""
    count = some.sum(axis=(1, 2))
    return np.asarray((values * some).sum(axis=(1, 2)) / np.maximum(count, 1))


def is_special_case(small: str, large: str) -> bool:
    """Whether every covariance with one structure also has the other, for the same columns."""
    if small == large or large == "us":
        return True
    if "us" in (small, large):
        return False
    one, other = structure(small, 3), structure(large, 3)
    if not isinstance(one, Patterned) or not isinstance(other, Patterned):
        return False
    if other.hom and not one.hom:
        return False
    return isinstance(other, Toeplitz | type(one)) or isinstance(one, Diagonal)


def check_patterned(design: Design, what: str) -> None:
    """Raise NotSupportedError from ``what`` if a term has a structure that is no pattern."""
    for term in design.terms:
        own = structure(term.covariance, len(term.columns))
        if own is not None and not isinstance(own, Patterned):
            raise unknown_structure(term, what)


register("homdiag", lambda q: Diagonal(q, True))
register("cs", lambda q: CompoundSymmetry(q, False))
register("homcs", lambda q: CompoundSymmetry(q, True))
register("ar1", lambda q: Autoregressive(q, True))
register("hetar1", lambda q: Autoregressive(q, False))
register("toep", lambda q: Toeplitz(q, False))
register("homtoep", lambda q: Toeplitz(q, True))
