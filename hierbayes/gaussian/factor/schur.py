"""Factor of Lambda'Z'WZ Lambda + I for large crossed factors whose levels meet nearly everywhere.

With L_0 L_0' = Lambda_0'A_00 Lambda_0 + I of the largest factor and r columns of all others,

    F = Lambda_r'A_rr Lambda_r + I - B'B,    B = L_0^-1 Lambda_0'A_0r Lambda_r,

where A = Z'WZ. B and A_rr are sparse, F is dense: it is worked out where it is factorised, and its
inverse is written into the triangle that the factor leaves free.

Arrays carry a leading axis T, one factorisation after the other. Imports numba through ``linalg``,
so import this module only where it is used.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.linalg import blas, lapack

from hierbayes.arrays import FloatArray, Int64Array, record
from hierbayes.gaussian.factor.gram_matrix import GramMatrix
from hierbayes.gaussian.pattern.schur import SchurPattern
from hierbayes.gaussian.products import LevelBlocks, Products, Squares, summed_diagonal_blocks
from hierbayes.linalg.pair_sums import take_off_squares, times_at_entries
from hierbayes.linalg.stacked import (
    cholesky_stack,
    log_det_stack,
    sandwich,
    solve_lower_stack,
    solve_upper_stack,
)

AT_ONCE = 512  # rows and columns of a triangle that are turned together


@record
class SchurBlocks(LevelBlocks):
    """The blocks of Z'WZ on a pattern with a dense rest: those of the products as they are.

    Attributes
    ----------
    pattern : SchurPattern
    """

    pattern: SchurPattern

    def factorise(self, Lambdas: Sequence[FloatArray]) -> "SchurFactor":
        """Factorise at one Lambda (T, q, q) a grouping factor."""
        return SchurFactor(self, Lambdas)

    @cached_property
    def _gram(self) -> GramMatrix:
        return GramMatrix(self.zz, self.couplings)

    def times(self, vectors: Sequence[FloatArray]) -> list[FloatArray]:
        """Z'WZ times vectors given per factor as (T, J, q, c)."""
        return self._gram.times(vectors)


def schur_blocks(pattern: SchurPattern, products: Products | Squares) -> SchurBlocks:
    """Lay the blocks of Z'WZ out for a pattern of the same levels."""
    return SchurBlocks(pattern=pattern, zz=products.zz, couplings=products.couplings)


class SchurFactor:
    """L L' = Lambda'Z'WZ Lambda + I, and what follows from it."""

    def __init__(self, blocks: SchurBlocks, Lambdas: Sequence[FloatArray]) -> None:
        self.blocks, self.pattern, self.Lambdas = blocks, blocks.pattern, Lambdas
        zz = blocks.zz
        self.L0 = cholesky_stack(sandwich(zz[0], Lambdas[0], Lambdas[0]) + np.eye(zz[0].shape[1]))
        T, _, q = self.L0.shape[:3]
        within = [
            sandwich(A, Lam, Lam) + np.eye(A.shape[1])
            for A, Lam in zip(zz[1:], Lambdas[1:], strict=True)
        ]
        between = {
            (f, g): sandwich(c.blocks, Lambdas[f], Lambdas[g])
            for (f, g), c in blocks.couplings.items()
        }
        self.B = []  # entries (m, q) in the order of ``places``
        self.LF = []
        for t in range(T):
            entries = []
            for (f, g), block in between.items():
                if f == 0:
                    at = blocks.couplings[f, g].rows
                    half = solve_lower_stack(self.L0[t : t + 1, at], block[t : t + 1])[0]
                    entries.append(np.swapaxes(half, 1, 2).reshape(-1, q))
            self.B.append(np.concatenate(entries)[self.pattern.order])
            others = {pair: block[t] for pair, block in between.items()}
            self.LF.append(self._rest([x[t] for x in within], others))
            take_off_squares(self.pattern.places, self.B[t], self.LF[t])
            # by columns the lower triangle is an upper one; what lies on its other side is not read
            _, info = lapack.dpotrf(self.LF[t].T, lower=0, overwrite_a=1, clean=0)
            if info:
                raise np.linalg.LinAlgError("the reduced matrix is not positive definite")

    def _rest(
        self, within: list[FloatArray], between: dict[tuple[int, int], FloatArray]
    ) -> FloatArray:
        """Lower triangle of Lambda_r'A_rr Lambda_r + I, shape (r, r)."""
        out = np.zeros((self.pattern.n_rest,) * 2)
        for f, block in enumerate(within, start=1):
            at = self._columns(f, np.arange(block.shape[0]))
            out[at[:, :, None], at[:, None, :]] = block
        for (f, g), block in between.items():
            if f > 0:  # later factors have later columns
                c = self.blocks.couplings[f, g]
                rows, columns = self._columns(g, c.columns), self._columns(f, c.rows)
                out[rows[:, :, None], columns[:, None, :]] = np.swapaxes(block, 1, 2)
        return out

    def _columns(self, factor: int, levels: Int64Array) -> Int64Array:
        """Columns among the rest of levels (m,) of a factor, (m, q)."""
        q = self.blocks.zz[factor].shape[1]
        return np.asarray(self.pattern.starts[factor - 1] + levels[:, None] * q + np.arange(q))

    @property
    def log_det(self) -> FloatArray:
        """Log det(Lambda'Z'WZ Lambda + I), shape (T,)."""
        rest = np.array([2 * np.log(np.diag(L)).sum() for L in self.LF])
        return np.asarray(log_det_stack(self.L0) + rest)

    @property
    def roots(self) -> FloatArray | None:
        """None: several grouping factors are made of the blocks of Z'WZ."""
        return None

    @cached_property
    def _coupling(self) -> list[sparse.csr_array]:
        """B of each theta as a sparse matrix (J q, r)."""
        places, (J, q) = self.pattern.places, self.L0.shape[1:3]
        rows = (places.levels[:, None].astype(np.int64) * q + np.arange(q)).ravel()
        at = rows, np.repeat(places.columns, q)
        return [
            sparse.csr_array((B.ravel(), at), shape=(J * q, self.pattern.n_rest)) for B in self.B
        ]

    def half_solve(self, right: Sequence[FloatArray]) -> list[FloatArray]:
        """L^-1 of right sides given per factor as (T, J, q, c); the rest comes as one entry."""
        T, c = len(self.LF), right[0].shape[3]
        first = solve_lower_stack(self.L0, np.broadcast_to(right[0], (T, *right[0].shape[1:])))
        out = np.empty((T, self.pattern.n_rest, 1, c))
        for t, (L, B) in enumerate(zip(self.LF, self._coupling, strict=True)):
            rest = np.concatenate([x[t % x.shape[0]].reshape(-1, c) for x in right[1:]])
            rest = rest - B.T @ first[t].reshape(-1, c)
            out[t, :, 0] = _solve(L, rest)
        return [first, out]

    def back_solve(self, half: Sequence[FloatArray]) -> list[FloatArray]:
        """L'^-1 of the result of ``half_solve``, per factor."""
        T, c = len(self.LF), half[0].shape[3]
        solved = np.empty((T, self.pattern.n_rest, c))
        first = np.array(half[0])
        for t, (L, B) in enumerate(zip(self.LF, self._coupling, strict=True)):
            solved[t] = _solve(L, half[1][t, :, 0], transpose=True)
            first[t] -= (B @ solved[t]).reshape(first.shape[1:])
        out = [solve_upper_stack(self.L0, first)]
        for f, (J, q) in enumerate(self.pattern.graph.sizes[1:], start=1):
            part = solved[:, self.pattern.starts[f - 1] : self.pattern.starts[f]]
            out.append(part.reshape(T, J, q, c))
        return out

    @cached_property
    def _inverse(self) -> tuple[list[FloatArray], dict[tuple[int, int], FloatArray]]:
        """Blocks of (L L')^-1 where Z'WZ has blocks: diagonal ones, and those between factors."""
        parts = [self._inverse_of(t) for t in range(len(self.LF))]
        diagonal = [np.stack(blocks) for blocks in zip(*(own for own, _ in parts), strict=True)]
        cross = {pair: np.stack([of[pair] for _, of in parts]) for pair in self.blocks.couplings}
        return diagonal, cross

    def _inverse_of(self, t: int) -> tuple[list[FloatArray], dict[tuple[int, int], FloatArray]]:
        upper, on_diagonal = _inverse_above(self.LF[t])
        J, q = self.L0.shape[1:3]
        places, B = self.pattern.places, self.B[t]
        # B F^-1 at the places of B, and from it the diagonal blocks of B F^-1 B'
        image = times_at_entries(places, B, upper, on_diagonal)
        spread = np.empty((J, q, q))
        for a in range(q):
            for b in range(q):
                products = image[:, a] * B[:, b]
                spread[:, a, b] = np.bincount(places.levels, weights=products, minlength=J)
        root = solve_upper_stack(self.L0[t], np.broadcast_to(np.eye(q), (J, q, q)))
        diagonal = [root @ (np.eye(q) + spread) @ np.swapaxes(root, 1, 2)]
        for f, (levels, _) in enumerate(self.pattern.graph.sizes[1:], start=1):
            at = self._columns(f, np.arange(levels))
            block = np.triu(upper[at[:, :, None], at[:, None, :]], 1)
            block += np.swapaxes(block, 1, 2)
            block[:, np.arange(at.shape[1]), np.arange(at.shape[1])] = on_diagonal[at]
            diagonal.append(block)
        unsorted = np.empty_like(image)
        unsorted[self.pattern.order] = image
        cross, start = {}, 0
        for (f, g), c in self.blocks.couplings.items():
            m, q_f, q_g = c.blocks.shape[-3:]
            if f == 0:
                block = np.swapaxes(unsorted[start : start + m * q_g].reshape(m, q_g, q_f), 1, 2)
                start += m * q_g
                cross[f, g] = -root[c.rows] @ block
            else:
                rows, columns = self._columns(f, c.rows), self._columns(g, c.columns)
                cross[f, g] = upper[rows[:, :, None], columns[:, None, :]]
        return diagonal, cross

    def covariances(self) -> list[FloatArray]:
        """Diagonal blocks of (L L')^-1 per factor, shape (T, J, q, q)."""
        return self._inverse[0]

    def cross_covariances(self) -> dict[tuple[int, int], FloatArray]:
        """Blocks of (L L')^-1 between factors where Z'WZ has blocks, (T, m, q_f, q_g)."""
        return self._inverse[1]

    def trace_blocks(self) -> list[FloatArray]:
        """Per factor the sum over levels of the diagonal blocks of Z'WZ Lambda (L L')^-1."""
        diagonal, cross = self._inverse
        return summed_diagonal_blocks(self.blocks, self.Lambdas, diagonal=diagonal, cross=cross)


def _solve(L: FloatArray, x: FloatArray, *, transpose: bool = False) -> FloatArray:
    """L^-1 x, or L'^-1 x, for a lower triangle L (r, r) and x (r, c)."""
    return np.asarray(blas.dtrsm(1.0, L.T, x.T, side=1, lower=0, trans_a=int(transpose)).T)


def _inverse_above(L: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Write (L L')^-1 above the diagonal of L, whose triangle stays; return both, and its diagonal.

    Matrices of gigabytes are not copied.
    """
    for start in range(0, L.shape[0], AT_ONCE):
        stop = start + AT_ONCE
        L[start:stop, stop:] = L[stop:, start:stop].T
        block = L[start:stop, start:stop]
        block += np.tril(block, -1).T - np.triu(block, 1)
    diagonal = np.diag(L).copy()
    lapack.dpotri(L.T, lower=1, overwrite_c=1)  # by columns the upper triangle is a lower one
    of_inverse = np.diag(L).copy()
    np.fill_diagonal(L, diagonal)
    return L, of_inverse
