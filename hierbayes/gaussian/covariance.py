"""theta <-> Lambda <-> sds and correlations: the only place that knows the packing.

The random effects of one level of factor f are b = Lambda_f u with u ~ N(0, sigma^2 I), so
Var(b) = sigma^2 Lambda_f Lambda_f'. Lambda_f (q, q) is lower triangular and, within it, each
covariance term has a full triangle over its own columns; entries between terms are zero by design.
theta holds the triangles column by column, terms in lme4's order.

Any lower triangle with the same Lambda Lambda' is the same model; ``rectified`` picks lme4's, the
one with a non-negative diagonal.

Source: Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), sections 2.2 and 3.3.
"""

import math
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record

# A diagonal entry of a triangle this small against the rest of its row is a rounding remainder
# of an exact zero: |t| enters the criterion squared, so 1e-9 moves it by less than 1e-16.
ZERO = 1e-9
# Part of the numbers added up to a row of a triangle that is their rounding, not a variance.
ROUNDED = 1e-15


@record(slots=False, kw_only=False)
class CovarianceShape:
    """Which entries of which Lambda are free.

    Attributes
    ----------
    sizes : number of columns q of each grouping factor
    terms : per covariance term, in lme4's order, its factor and the columns of that factor
    """

    sizes: tuple[int, ...]
    terms: tuple[tuple[int, tuple[int, ...]], ...]

    @cached_property
    def entries(self) -> tuple[IntArray, IntArray, IntArray]:
        """Factor, row and column of each entry of theta, three arrays of shape (k,)."""
        triples = [
            (factor, columns[r], columns[c])
            for factor, columns in self.terms
            for c in range(len(columns))
            for r in range(c, len(columns))
        ]
        table = np.array(triples, dtype=np.intp).reshape(-1, 3)
        return table[:, 0], table[:, 1], table[:, 2]

    @cached_property
    def factor_entries(self) -> tuple[tuple[IntArray, IntArray, IntArray], ...]:
        """Per factor: positions in theta, rows, columns."""
        factor, row, column = self.entries
        found = []
        for f in range(len(self.sizes)):
            at = np.flatnonzero(factor == f)
            found.append((at, row[at], column[at]))
        return tuple(found)

    @cached_property
    def blocks(self) -> tuple[tuple[int, tuple[IntArray, IntArray]], ...]:
        """Per covariance term its factor, and the places of its block in Lambda of that factor."""
        found = []
        for factor, columns in self.terms:
            at = np.array(columns, dtype=np.intp)
            found.append((factor, (at[:, None], at)))
        return tuple(found)

    @cached_property
    def entry_pairs(self) -> tuple[FloatArray, ...]:
        """Per factor (k_f, q q): the places of Var(b) that an entry of the covariance stands in."""
        found = []
        for q, (at, row, column) in zip(self.sizes, self.factor_entries, strict=True):
            S = np.zeros((at.size, q * q))
            S[np.arange(at.size), row * q + column] = 1.0
            S[np.arange(at.size), column * q + row] = 1.0
            found.append(S)
        return tuple(found)

    @cached_property
    def n_theta(self) -> int:
        """Number of free entries k."""
        return int(self.entries[0].size)

    @cached_property
    def is_diagonal(self) -> BoolArray:
        """Which entries of theta lie on a diagonal, shape (k,)."""
        _, row, column = self.entries
        return np.asarray(row == column)

    def unpack(self, theta: FloatArray) -> list[FloatArray]:
        """Lambda of each factor, shape (T, q, q), from theta of shape (T, k)."""
        found = []
        for q, (at, row, column) in zip(self.sizes, self.factor_entries, strict=True):
            Lambda = np.zeros((theta.shape[0], q, q))
            Lambda[:, row, column] = theta[:, at]
            found.append(Lambda)
        return found

    def pack(self, Lambdas: Sequence[FloatArray]) -> FloatArray:
        """Theta (T, k) from the Lambda of each factor (T, q, q); other entries are ignored."""
        theta = np.empty((Lambdas[0].shape[0] if Lambdas else 1, self.n_theta))
        for Lambda, (at, row, column) in zip(Lambdas, self.factor_entries, strict=True):
            theta[:, at] = Lambda[:, row, column]
        return theta

    def rectified(self, theta: FloatArray) -> FloatArray:
        """Return the theta (k,) of lme4's triangle for the same Lambda Lambda'."""
        if (theta[self.is_diagonal] > ZERO).all():
            return theta
        return self.transformed(theta, [np.eye(q) for q in self.sizes])

    def transformed(self, theta: FloatArray, bases: Sequence[FloatArray]) -> FloatArray:
        """Theta (k,) of the covariance B Lambda Lambda' B' for one matrix B (q, q) a factor.

        B mixes columns within a covariance term only. The triangle comes from a QR factorisation
        of (B Lambda)', so a singular covariance stays exactly as singular as it was.
        """
        Lambdas = self.unpack(theta[None])
        out = [np.zeros_like(Lambda) for Lambda in Lambdas]
        for factor, at in self.blocks:
            basis, Lambda = bases[factor][at], Lambdas[factor][0][at]
            size = (np.abs(basis) @ np.abs(Lambda)).sum(axis=1)
            out[factor][0][at] = lower_triangle(basis @ Lambda, size=size)
        return np.asarray(self.pack(out)[0])

    def transformed_batch(self, theta: FloatArray, bases: Sequence[FloatArray]) -> FloatArray:
        """Return ``transformed`` of each row of theta (T, k), with the same bases for all."""
        Lambdas = self.unpack(theta)
        out = [np.zeros_like(Lambda) for Lambda in Lambdas]
        for factor, at in self.blocks:
            basis, roots = bases[factor][at], Lambdas[factor][:, at[0], at[1]]
            size = (np.abs(basis) @ np.abs(roots)).sum(axis=2)
            out[factor][:, at[0], at[1]] = lower_triangles(basis @ roots, size=size)
        return np.asarray(self.pack(out))


@lru_cache(maxsize=256)
def shape_of(
    sizes: tuple[int, ...], terms: tuple[tuple[int, tuple[int, ...]], ...]
) -> CovarianceShape:
    """Return the shape of some sizes and terms: one object, whose index arrays are made once."""
    return CovarianceShape(sizes=sizes, terms=terms)


def lower_triangles(roots: FloatArray, *, size: FloatArray | float = 0.0) -> FloatArray:
    """Return ``lower_triangle`` of each matrix of a stack (T, q, q); ``size`` is (T, q)."""
    q = roots.shape[1]
    floor = np.broadcast_to(ROUNDED * np.asarray(size), roots.shape[:2])
    row_norm = np.sqrt((roots**2).sum(axis=2))
    L = np.zeros_like(roots)
    remaining = roots
    for j in range(q):
        norm = np.sqrt((remaining[:, j] ** 2).sum(axis=1))
        kept = (norm > ZERO * row_norm[:, j]) & (norm > floor[:, j])
        direction = np.where(kept, 1.0 / np.where(kept, norm, 1.0), 0.0)[:, None] * remaining[:, j]
        along = (remaining @ direction[:, :, None])[:, :, 0]
        L[:, j:, j] = along[:, j:]
        remaining = remaining - along[:, :, None] * direction[:, None, :]
    return L


def lower_triangle(root: FloatArray, *, size: FloatArray | float = 0.0) -> FloatArray:
    """Lower triangle L with non-negative diagonal and L L' = root root', shape (q, q).

    ``size`` (q,) is that of the numbers that were added up to each row: what is left of them by
    rounding counts as zero.

    Where a diagonal entry is zero the rest of its column is free; it is rotated into the later
    columns, so that a zero variance shows as a zero row and a perfect correlation as a zero
    diagonal entry.
    """
    q = root.shape[0]
    row_norm = np.sqrt((root * root).sum(axis=1))
    least = np.maximum(ZERO * row_norm, ROUNDED * size).tolist()
    L = np.zeros((q, q))
    remaining = root
    for j in range(q):
        norm = math.sqrt(remaining[j] @ remaining[j])
        if norm <= least[j]:
            continue
        direction = remaining[j] / norm
        along = remaining @ direction
        L[j:, j] = along[j:]
        if j + 1 < q:
            remaining = remaining - along[:, None] * direction
    return L


@record(kw_only=False)
class TermCovariance:
    """Sds (q,) and correlations (q, q) of one covariance term; NaN beside a zero sd."""

    sd: FloatArray
    corr: FloatArray


def term_covariances(
    shape: CovarianceShape, theta: FloatArray, sigma: float
) -> tuple[TermCovariance, ...]:
    """Sds and correlations of every covariance term, in lme4's order.

    Parameters
    ----------
    shape : CovarianceShape
    theta : array, shape (k,)
    sigma : float
        Residual sd, response units.
    """
    Lambdas = shape.unpack(theta[None])
    found = []
    for factor, at in shape.blocks:
        root = Lambdas[factor][0][at]
        length = np.sqrt((root**2).sum(axis=1))
        unit = np.divide(
            root, length[:, None], out=np.full_like(root, np.nan), where=length[:, None] > 0
        )
        corr = np.clip(unit @ unit.T, -1.0, 1.0)
        np.fill_diagonal(corr, np.where(length > 0, 1.0, np.nan))
        found.append(TermCovariance(sigma * length, corr))
    return tuple(found)
