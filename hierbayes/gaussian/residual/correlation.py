"""Correlations C of the residuals of a series, by what their inverse needs.

An entry of C^-1 is one of few functions of the parameters, its kinds:

    independent  1
    ar1, car1    with f = r^gap of neighbours in time: 1 for every row, f^2 / (1 - f^2) more for
                 both rows of a neighbouring pair, -f / (1 - f^2) between them (a Markov chain);
                 log|C| = sum over neighbours of log(1 - f^2)
    cs           of a block of m rows (I - r / (1 + (m - 1) r) 11') / (1 - r);
                 |C| = (1 - r)^(m - 1) (1 + (m - 1) r)
    us           the inverse of the matrix of the visits that a subject has, one for each pattern

Parameters are coordinates phi without bounds: inverse hyperbolic tangents of (r - m) / h for r
between m - h and m + h, of an unstructured matrix those of its canonical partial correlations.

Source: Pinheiro & Bates (2000), Mixed-Effects Models in S and S-PLUS, section 5.3; Lewandowski,
Kurowicka & Joe (2009), J. Multivariate Analysis 100:1989 (partial correlations).
"""

from collections.abc import Callable
from functools import cached_property
from typing import Protocol

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.linalg.stacked import inverse_and_log_det

COMPLEX_STEP = 1e-30  # derivatives by a complex step have no cancellation
NEAREST_ZERO = -300.0  # the same of a correlation of car1 near zero, which may be any number
FARTHEST = 14.0  # coordinates beyond are taken as this one: nearer to a bound 1 - r is rounding


@record(kw_only=False)
class KindSlopes:
    """Derivatives in the d coordinates.

    Attributes
    ----------
    value : array, shape (T, d, K)
    log_det : array, shape (T, d)
    """

    value: FloatArray
    log_det: FloatArray


@record
class Kinds:
    """What C^-1 and log|C| are at T points, with derivatives once they are asked for.

    Attributes
    ----------
    value : array, shape (T, K), the kinds of entries of C^-1
    log_det : array, shape (T,), of all series together
    derive : returns the derivatives of both
    """

    value: FloatArray
    log_det: FloatArray
    derive: Callable[[], KindSlopes]

    @cached_property
    def slopes(self) -> KindSlopes:
        """Derivatives of both in the coordinates."""
        return self.derive()


class Correlation(Protocol):
    """The correlations within series, in d coordinates."""

    @property
    def size(self) -> int:
        """Number of coordinates d."""

    def kinds(self, phi: FloatArray) -> Kinds:
        """Return the kinds of entries of C^-1 at phi (T, d)."""

    def correlations(self, phi: FloatArray) -> FloatArray:
        """Correlations that are reported, (T, d), from phi (T, d)."""

    def coordinates(self, correlations: FloatArray) -> FloatArray:
        """Undo ``correlations``."""

    def search_sizes(self, phi: FloatArray) -> FloatArray | None:
        """Sizes (T, d) of the coordinates at phi (T, d), in which a search takes its steps.

        None where they are one.
        """

    @property
    def is_chain(self) -> bool:
        """Whether a row has the same correlations with all others given its neighbours in time."""

    def between(self, phi: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
        """Correlations (T, ...) of two rows of one series, at phi (T, d), by times or visits."""

    def slopes_between(self, phi: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
        """Return the derivatives (d, ...) at phi (d,) of ``between`` of rows not the same."""

    def solve(self, phi: FloatArray, place: FloatArray, right: FloatArray) -> FloatArray:
        """Return C^-1 times right sides (T, B, m) for B times m rows of one series each."""


@record
class Independent:
    """C = I."""

    size: int = 0
    is_chain: bool = False

    def kinds(self, phi: FloatArray) -> Kinds:
        """Return ones."""
        T = phi.shape[0]
        return Kinds(
            value=np.ones((T, 1)),
            log_det=np.zeros(T),
            derive=lambda: KindSlopes(np.zeros((T, 0, 1)), np.zeros((T, 0))),
        )

    def correlations(self, phi: FloatArray) -> FloatArray:
        """There are none."""
        return phi

    coordinates = correlations

    def search_sizes(self, phi: FloatArray) -> None:
        """There are none."""

    def between(self, phi: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
        """Return zeros: no row is in a series with another."""
        return np.zeros((phi.shape[0], *np.broadcast_shapes(left.shape, right.shape)))

    def slopes_between(self, phi: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
        """There are none."""
        return np.zeros((0, *np.broadcast_shapes(left.shape, right.shape)))

    def solve(self, phi: FloatArray, place: FloatArray, right: FloatArray) -> FloatArray:
        """Return the right sides."""
        return right


@record
class Bounded:
    """One correlation r = m + h tanh(phi) between two bounds."""

    lower: float
    upper: float

    @property
    def size(self) -> int:
        """One coordinate."""
        return 1

    def correlations(self, phi: FloatArray) -> FloatArray:
        """Return r."""
        half = (self.upper - self.lower) / 2
        return np.asarray(self.lower + half + half * np.tanh(np.clip(phi, -FARTHEST, FARTHEST)))

    def coordinates(self, correlations: FloatArray) -> FloatArray:
        """Return phi."""
        half = (self.upper - self.lower) / 2
        return np.asarray(np.arctanh((correlations - self.lower - half) / half))

    def search_sizes(self, phi: FloatArray) -> FloatArray | None:
        """They are one."""
        del phi
        return None

    def slope(self, phi: FloatArray) -> FloatArray:
        """Return the derivative of r in phi."""
        phi = np.clip(phi, NEAREST_ZERO, -NEAREST_ZERO)
        return np.asarray((self.upper - self.lower) / 2 / np.cosh(phi) ** 2)

    def log_slope(self, phi: FloatArray) -> FloatArray:
        """Return the log of the derivative of what is reported in phi, whatever is left of it."""
        size = np.abs(phi)
        half = (self.upper - self.lower) / 2
        return np.asarray(np.log(half) + 2 * (np.log(2) - size - np.log1p(np.exp(-2 * size))))

    def log_slope_slope(self, phi: FloatArray) -> FloatArray:
        """Return the derivative of ``log_slope`` in phi."""
        return np.asarray(-2 * np.tanh(phi))


@record
class Serial(Bounded):
    """Correlation r^gap of two rows of a series: ar1 of whole gaps, car1 of any.

    Attributes
    ----------
    gaps : array, shape (g,), the distinct gaps between neighbours in time, in units of ``unit``
    counts : array, shape (g,), how many pairs of neighbours have each
    unit : of time; the coordinate is that of the correlation at one unit, and what is reported the
        correlation at a gap of one
    """

    gaps: FloatArray
    counts: FloatArray
    unit: float = 1.0
    is_chain: bool = True

    def correlations(self, phi: FloatArray) -> FloatArray:
        """Return r at a gap of one."""
        found = self.at_unit(phi)
        return found if self.unit == 1 else np.asarray(found ** (1 / self.unit))

    def coordinates(self, correlations: FloatArray) -> FloatArray:
        """Return phi."""
        r = correlations if self.unit == 1 else correlations**self.unit
        return super().coordinates(r) if self.lower else np.asarray(np.log(r / (1 - r)) / 2)

    def at_unit(self, phi: FloatArray) -> FloatArray:
        """Return r at a gap of one unit."""
        if self.lower:
            return super().correlations(phi)
        phi = np.clip(phi, NEAREST_ZERO, FARTHEST)
        return np.asarray(1 / (1 + np.exp(-2 * phi)))  # keeps the digits of one near zero

    def log_correlations(self, phi: FloatArray) -> FloatArray:
        """Return log r at a gap of one, of r between 0 and 1."""
        return np.asarray(-np.logaddexp(0, -2 * phi) / self.unit)

    def log_slope(self, phi: FloatArray) -> FloatArray:
        """Return the log of the derivative of ``correlations`` in phi."""
        if self.lower:
            return super().log_slope(phi)
        own = self.log_correlations(phi) + np.log(2 / self.unit)
        return np.asarray(own - np.logaddexp(0, 2 * phi))

    def log_slope_slope(self, phi: FloatArray) -> FloatArray:
        """Return the derivative of ``log_slope`` in phi."""
        if self.lower:
            return super().log_slope_slope(phi)
        s = self.at_unit(phi)
        return np.asarray(2 * (1 - s) / self.unit - 2 * s)

    def search_sizes(self, phi: FloatArray) -> FloatArray | None:
        """One, and towards zero such that the correlation at the smallest gap has one curvature.

        It fades slowly in phi where gaps are far smaller than the unit, long after all others.
        """
        if self.lower:
            return None
        return np.exp(-np.clip(phi, NEAREST_ZERO, 0.0) * self.gaps.min())

    def between(self, phi: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
        """Return r^gap."""
        gap = np.abs(left - right) / self.unit
        return np.asarray(self.at_unit(phi).reshape(-1, *[1] * gap.ndim) ** gap)

    def slopes_between(self, phi: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
        """Return the derivative of r^gap, (1, ...); zero where there is no gap."""
        gap = np.abs(left - right) / self.unit
        some = gap > 0
        with np.errstate(divide="ignore"):
            power = self.at_unit(phi)[0] ** np.where(some, gap - 1, 0.0)
        return np.where(some, gap * power * self.slope(phi)[0], 0.0)[None]

    def solve(self, phi: FloatArray, place: FloatArray, right: FloatArray) -> FloatArray:
        """Return C^-1 times right sides (T, B, m)."""
        return _solved(self, phi, place, right)

    def kinds(self, phi: FloatArray) -> Kinds:
        """Kinds: one; of each gap what both ends have more; of each gap the pair."""
        r = self.at_unit(phi)
        f = r**self.gaps
        g, own = f.shape[1], 1 / (1 - f**2)
        value = np.empty((r.size, 1 + 2 * g))
        value[:, 0] = 1.0
        value[:, 1 : 1 + g], value[:, 1 + g :] = f**2 * own, -f * own

        def derive() -> KindSlopes:
            # dr / r of r between 0 and 1 is 2 (1 - r), whatever is left of r
            of_power = r ** (self.gaps - 1) * self.slope(phi) if self.lower else 2 * (1 - r) * f
            df, slope = self.gaps * of_power, np.empty((r.size, 1, 1 + 2 * g))
            turned = df * own**2
            slope[:, 0, 0] = 0.0
            slope[:, 0, 1 : 1 + g], slope[:, 0, 1 + g :] = 2 * f * turned, -turned * (1 + f**2)
            return KindSlopes(slope, ((-2 * f * df * own) @ self.counts)[:, None])

        return Kinds(value=value, log_det=-np.log(own) @ self.counts, derive=derive)


@record
class Exchangeable(Bounded):
    """One correlation r of all rows of a block: cs.

    Attributes
    ----------
    sizes, counts : arrays, shape (s,), the distinct numbers of rows of a block, and how many have
        each
    """

    sizes: FloatArray
    counts: FloatArray
    is_chain: bool = False

    def between(self, phi: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
        """Return r everywhere."""
        shape = np.broadcast_shapes(left.shape, right.shape)
        r = self.correlations(phi).reshape(-1, *[1] * len(shape))
        return np.broadcast_to(r, (phi.shape[0], *shape))

    def slopes_between(self, phi: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
        """Return the derivative of r, (1, ...)."""
        return np.full((1, *np.broadcast_shapes(left.shape, right.shape)), self.slope(phi)[0])

    def solve(self, phi: FloatArray, place: FloatArray, right: FloatArray) -> FloatArray:
        """Return C^-1 times right sides (T, B, m), by the formula of the module's header."""
        r = self.correlations(phi)[:, :, None]
        left = right.sum(axis=2, keepdims=True) * r / (1 + (right.shape[2] - 1) * r)
        return np.asarray((right - left) / (1 - r))

    def kinds(self, phi: FloatArray) -> Kinds:
        """Kinds: of a row; of each size that between the sums of a block."""
        r = self.correlations(phi)
        own = 1 / (1 - r)
        whole = 1 + (self.sizes - 1) * r
        between = -r * own / whole
        log_det = (self.sizes - 1) * np.log(1 - r) + np.log(whole)

        def derive() -> KindSlopes:
            dr = self.slope(phi)
            # d/dr of r / ((1 - r) whole), by parts
            bend = -(own / whole + r * own**2 / whole - r * own * (self.sizes - 1) / whole**2)
            turn = -(self.sizes - 1) * own + (self.sizes - 1) / whole
            slope = np.concatenate([own**2, bend], axis=1) * dr
            return KindSlopes(slope[:, None], (turn @ self.counts)[:, None] * dr)

        return Kinds(
            value=np.concatenate([own, between], axis=1),
            log_det=log_det @ self.counts,
            derive=derive,
        )


@record
class Unstructured:
    """A correlation of every pair of visits: us.

    Attributes
    ----------
    n_visits : number of visits V; d = V (V - 1) / 2
    patterns : per pattern of visits that some subjects have, array (m,), their numbers
    counts : array, how many subjects have each pattern
    """

    n_visits: int
    patterns: tuple[IntArray, ...]
    counts: FloatArray
    is_chain: bool = False

    @property
    def size(self) -> int:
        """One coordinate a pair of visits."""
        return self.n_visits * (self.n_visits - 1) // 2

    def matrices(self, phi: FloatArray) -> FloatArray:
        """Correlation matrices (T, V, V), of complex phi too."""
        root = correlation_root(np.tanh(phi), self.n_visits)
        return np.asarray(root @ np.swapaxes(root, 1, 2))

    def correlations(self, phi: FloatArray) -> FloatArray:
        """Return the correlations below the diagonal, row by row."""
        rows, columns = np.tril_indices(self.n_visits, -1)
        return np.asarray(self.matrices(phi)[:, rows, columns])

    def coordinates(self, correlations: FloatArray) -> FloatArray:
        """Undo ``correlations``."""
        rows, columns = np.tril_indices(self.n_visits, -1)
        root = np.linalg.cholesky(correlation_matrices(correlations, self.n_visits))
        left = (1 - np.cumsum(root**2, axis=2) + root**2)[:, rows, columns]
        return np.asarray(np.arctanh(root[:, rows, columns] / np.sqrt(left)))

    def search_sizes(self, phi: FloatArray) -> None:
        """They are one."""

    def slopes(self, phi: FloatArray) -> FloatArray:
        """Return the derivatives of the matrices, (T, d, V, V)."""
        T, d = phi.shape
        stepped = (phi[:, None] + 1j * COMPLEX_STEP * np.eye(d)).reshape(T * d, d)
        found = self.matrices(stepped).imag / COMPLEX_STEP
        return np.asarray(found.reshape(T, d, self.n_visits, self.n_visits))

    def between(self, phi: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
        """Return those of the visits."""
        return np.asarray(self.matrices(phi)[:, left.astype(np.intp), right.astype(np.intp)])

    def slopes_between(self, phi: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
        """Return the derivatives of those of the visits, (d, ...)."""
        return self.slopes(phi[None])[0][:, left.astype(np.intp), right.astype(np.intp)]

    def solve(self, phi: FloatArray, place: FloatArray, right: FloatArray) -> FloatArray:
        """Return C^-1 times right sides (T, B, m)."""
        return _solved(self, phi, place, right)

    def kinds(self, phi: FloatArray) -> Kinds:
        """Kinds: pattern by pattern the lower triangle of the inverse, row by row."""
        C = self.matrices(phi)
        inverses, log_det = [], np.zeros(phi.shape[0])
        for visits, count in zip(self.patterns, self.counts, strict=True):
            inverse, own_log_det = inverse_and_log_det(C[:, visits[:, None], visits])
            inverses.append(inverse)
            log_det += count * own_log_det

        def derive() -> KindSlopes:
            dC, slopes, turn = self.slopes(phi), [], np.zeros(phi.shape)
            for visits, inverse, count in zip(self.patterns, inverses, self.counts, strict=True):
                own = dC[:, :, visits[:, None], visits]
                slopes.append(_lower(-inverse[:, None] @ own @ inverse[:, None]))
                turn += count * np.einsum("tab,tdab->td", inverse, own)
            return KindSlopes(np.concatenate(slopes, axis=2), turn)

        value = np.concatenate([_lower(inverse) for inverse in inverses], axis=1)
        return Kinds(value=value, log_det=log_det, derive=derive)


def correlation_matrices(below: FloatArray, size: int) -> FloatArray:
    """Correlation matrices (..., V, V) from what is below the diagonal, row by row, (..., d)."""
    rows, columns = np.tril_indices(size, -1)
    C = np.tile(np.eye(size), (*below.shape[:-1], 1, 1))
    C[..., rows, columns] = C[..., columns, rows] = below
    return C


def _solved(own: Correlation, phi: FloatArray, place: FloatArray, right: FloatArray) -> FloatArray:
    C = own.between(phi, place[:, :, None], place[:, None, :])
    return np.asarray(np.linalg.solve(C, right[..., None])[..., 0])


def _lower(matrices: FloatArray) -> FloatArray:
    """Lower triangles (..., m (m + 1) / 2) of matrices (..., m, m), row by row."""
    rows, columns = np.tril_indices(matrices.shape[-1])
    return np.asarray(matrices[..., rows, columns])


def correlation_root(partial: FloatArray, q: int) -> FloatArray:
    """Cholesky factor (T, q, q) from canonical partial correlations (T, q (q - 1) / 2) by rows."""
    R = np.zeros((partial.shape[0], q, q), dtype=partial.dtype)
    R[:, 0, 0] = 1.0
    at = 0
    for i in range(1, q):
        left = np.ones(partial.shape[0], dtype=partial.dtype)
        for j in range(i):
            R[:, i, j] = partial[:, at] * np.sqrt(left)
            left = left * (1 - partial[:, at]) * (1 + partial[:, at])
            at += 1
        R[:, i, i] = np.sqrt(left)
    return R
