"""Factor of Lambda'Z'WZ Lambda + I for crossed grouping factors.

The levels of the largest factor (index 0) are eliminated as a stack of small blocks. What is left
is a dense matrix over the columns r of all other factors (gaussian/pattern/crossed.py),

    F = Lambda_r'(A_rr - B'B) Lambda_r + I,    B = E A_0r,  E = L_0^-1 Lambda_0',

where A = Z'WZ and L_0 L_0' = Lambda_0'A_00 Lambda_0 + I. Z itself is never formed.

All arrays carry a leading axis T: many thetas at once.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.linalg import blas, lapack

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.gaussian.factor.gram_matrix import GramMatrix
from hierbayes.gaussian.pattern.crossed import CrossedPattern
from hierbayes.gaussian.products import (
    LevelBlocks,
    Products,
    Squares,
    dense_beside_first,
    dense_levels,
)
from hierbayes.linalg.stacked import (
    cholesky_stack,
    inverse_stack,
    log_det_stack,
    sandwich,
    solve_lower_stack,
    solve_upper_stack,
)

# Rows up to which an inverse is worked out by dtrtri, on one thread: dpotri, which is quicker from
# here on, starts all threads for a matrix of any size.
SMALL_INVERSE = 64
AT_ONCE = 10**7  # numbers of the inverse beside the first factor that are made at once
STACK_ROUNDS = 2  # matrices a row from which one step for all is quicker than a call for each


@record
class CrossedBlocks(LevelBlocks):
    """The blocks of Z'WZ on a crossed pattern.

    Attributes
    ----------
    pattern : CrossedPattern
    zz, couplings : as in ``Products``, or where A_0r is kept dense with a leading axis T of their
        own, one W a batch entry; so are then ``rest`` and ``coupling``
    rest : array, shape (r, r), A_rr of all other factors, dense
    coupling : array, shape (J, q, r), A_0r where it is kept dense, else (J, q, 0)
    values : array, shape (m, q), A_0r beside the pattern's ``Meeting``; none where it is dense
    pair_products : array, shape (q (q + 1) / 2, pairs): for columns a <= b of factor 0, what
        multiplies entry (a, b) of a symmetric (q, q) matrix K in v_first'K v_second; none where
        A_0r is kept dense
    """

    pattern: CrossedPattern
    rest: FloatArray
    coupling: FloatArray
    values: FloatArray
    pair_products: FloatArray

    @property
    def first(self) -> FloatArray:
        """Blocks of factor 0, (J, q, q), or (T, J, q, q)."""
        return self.zz[0]

    @cached_property
    def _gram(self) -> GramMatrix:
        return GramMatrix(self.zz, self.couplings)

    def times(self, vectors: Sequence[FloatArray]) -> list[FloatArray]:
        """Z'WZ times vectors given per factor as (T, J, q, c)."""
        if self.first.ndim == 3:
            return self._gram.times(vectors)
        T, J, q, c = vectors[0].shape
        rest = np.concatenate([_one_below_another(v) for v in vectors[1:]], axis=1)
        coupling, flat = self.coupling.reshape(T, J * q, -1), _one_below_another(vectors[0])
        first = self.first @ vectors[0] + (coupling @ rest).reshape(T, J, q, c)
        spread = self.rest @ rest + np.swapaxes(coupling, 1, 2) @ flat
        parts = np.split(spread, self.pattern.starts[1:-1], axis=1)
        return [first, *(p.reshape(v.shape) for p, v in zip(parts, vectors[1:], strict=True))]

    def scale_rest(
        self, M: FloatArray, Lambdas: Sequence[FloatArray], *, transpose: bool = False
    ) -> FloatArray:
        """M Lambda_r for M (T, m, r); with ``transpose`` M Lambda_r'."""
        if all(Lam.shape[1] == 1 for Lam in Lambdas[1:]):
            return np.asarray(M * self.scale_of_rest(Lambdas)[:, None, :])
        out = np.empty((Lambdas[1].shape[0], *M.shape[1:]))
        for f in range(1, len(Lambdas)):
            at, Lam = self.pattern.rest_slice(f), Lambdas[f]
            if transpose:
                Lam = np.swapaxes(Lam, 1, 2)
            T, q = Lam.shape[:2]
            flat = M[:, :, at].reshape(M.shape[0], -1, q) @ Lam
            out[:, :, at] = flat.reshape(T, M.shape[1], -1)
        return out

    def scale_of_rest(self, Lambdas: Sequence[FloatArray]) -> FloatArray:
        """Lambda of each column of the rest where all its factors have one, shape (T, r)."""
        sizes = [J for J, _ in self.pattern.graph.sizes[1:]]
        return np.repeat(np.concatenate([Lam[:, 0] for Lam in Lambdas[1:]], 1), sizes, axis=1)

    def factorise(self, Lambdas: Sequence[FloatArray]) -> "CrossedFactor":
        """Factorise at one Lambda (T, q, q) a grouping factor."""
        return CrossedFactor(self, Lambdas)


def crossed_blocks(pattern: CrossedPattern, products: Products | Squares) -> CrossedBlocks:
    """Lay the blocks of Z'WZ out for a pattern of the same levels."""
    J, q = products.zz[0].shape[-3:-1]
    coupling, values = np.zeros((J, q, 0)), np.zeros((0, q))
    pair_products = np.zeros((q * (q + 1) // 2, 0))
    if pattern.pairs is None:
        coupling = dense_beside_first(products.zz, products.couplings)
    else:
        between = [
            np.swapaxes(c.blocks, 1, 2).reshape(-1, q)
            for (f, _), c in products.couplings.items()
            if f == 0
        ]
        values = np.concatenate(between)[pattern.pairs.meeting.order]
        v = np.ascontiguousarray(values.T)
        first, second = pattern.pairs.first, pattern.pairs.second
        pair_products = np.stack(
            [
                v[a][first] * v[b][second] + (v[b][first] * v[a][second] if a != b else 0.0)
                for a, b in _triangle(q)
            ]
        )
    return CrossedBlocks(
        pattern=pattern,
        zz=products.zz,
        couplings=products.couplings,
        rest=dense_levels(products.zz, products.couplings, first=1),
        coupling=coupling,
        values=values,
        pair_products=pair_products,
    )


def _triangle(q: int) -> list[tuple[int, int]]:
    return [(a, b) for b in range(q) for a in range(b + 1)]


class CrossedFactor:
    """L L' = Lambda'Z'WZ Lambda + I, and what follows from it."""

    def __init__(self, blocks: CrossedBlocks, Lambdas: Sequence[FloatArray]) -> None:
        self.blocks = blocks
        self.pattern = blocks.pattern
        self.Lambdas = Lambdas
        A00 = blocks.first
        self.L0 = cholesky_stack(sandwich(A00, Lambdas[0], Lambdas[0]) + np.eye(A00.shape[-1]))
        J, q = A00.shape[-3:-1]
        shape = (Lambdas[0].shape[0], J, q, q)
        self.E = solve_lower_stack(
            self.L0, np.broadcast_to(np.swapaxes(Lambdas[0], 1, 2)[:, None], shape)
        )
        self.B = self._scaled_coupling()
        # Of symmetric matrices as large as these only lower triangles are made: reading a million
        # numbers across the grain takes as long as computing them.
        self.lower = blocks.rest - self._squared_coupling()
        if all(Lam.shape[1] == 1 for Lam in Lambdas[1:]):
            F = blocks.scale_rest(self.lower, Lambdas)
            F *= blocks.scale_of_rest(Lambdas)[:, :, None]
        else:
            scaled = blocks.scale_rest(self.reduced, Lambdas)
            F = blocks.scale_rest(np.swapaxes(scaled, 1, 2), Lambdas)
        F[:, np.arange(F.shape[1]), np.arange(F.shape[1])] += 1.0
        self.LF = np.linalg.cholesky(F) if _is_stack(F) else _stack([_cholesky(f) for f in F])

    @cached_property
    def reduced(self) -> FloatArray:
        """A_rr - B'B, shape (T, r, r)."""
        if self.pattern.is_dense:
            return self.lower
        lower = np.tril(self.lower, -1)
        lower += np.swapaxes(np.tril(self.lower), 1, 2)
        return lower

    def _scaled_coupling(self) -> FloatArray:
        """B: entries (T, m, q) beside ``Meeting``, or dense (T, J, q, r)."""
        if self.pattern.pairs is None:
            coupling = self.blocks.coupling
            return np.asarray(self.E * coupling if self.E.shape[-1] == 1 else self.E @ coupling)
        meeting = self.pattern.pairs.meeting
        if self.E.shape[-1] == 1:
            return np.asarray(self.E[:, meeting.levels, 0] * self.blocks.values)
        return np.einsum("tmab,mb->tma", self.E[:, meeting.levels], self.blocks.values)

    def _squared_coupling(self) -> FloatArray:
        """Lower triangle of B'B, shape (T, r, r); all of it where it is a dense product."""
        r, pairs = self.pattern.n_rest, self.pattern.pairs
        if pairs is None:
            flat = self._flat_coupling
            return np.asarray(np.swapaxes(flat, 1, 2) @ flat)
        K = np.swapaxes(self.E, -1, -2) @ self.E
        out = np.zeros((self.B.shape[0], r, r))
        for t in range(out.shape[0]):
            parts = [
                K[t, :, a, b][pairs.levels] * product
                for (a, b), product in zip(
                    _triangle(K.shape[-1]), self.blocks.pair_products, strict=True
                )
            ]
            values = parts[0] if len(parts) == 1 else np.sum(parts, axis=0)
            out[t].ravel()[pairs.places] = np.add.reduceat(values, pairs.starts)
        return out

    @property
    def log_det(self) -> FloatArray:
        """Log det(Lambda'Z'WZ Lambda + I), shape (T,)."""
        diagonal = np.diagonal(self.LF, axis1=1, axis2=2)
        return np.asarray(log_det_stack(self.L0) + 2 * np.log(diagonal).sum(axis=1))

    @property
    def _flat_coupling(self) -> FloatArray:
        """B where it is dense, as (T, J q, r)."""
        return self.B.reshape(self.B.shape[0], -1, self.pattern.n_rest)

    @cached_property
    def _sparse_coupling(self) -> list[sparse.csr_array]:
        """B of each theta as a sparse matrix (J q, r)."""
        assert self.pattern.pairs is not None
        meeting, (J, q) = self.pattern.pairs.meeting, self.E.shape[1:3]
        rows = (meeting.levels[:, None] * q + np.arange(q)).ravel()
        places = rows, np.repeat(meeting.columns, q)
        shape = J * q, self.pattern.n_rest
        return [sparse.csr_array((B.ravel(), places), shape=shape) for B in self.B]

    def _times_coupling(self, x: FloatArray) -> FloatArray:
        """B x for x (T, r, c): (T, J, q, c)."""
        if self.pattern.pairs is None:
            return np.asarray(self._flat_coupling @ x).reshape(*self.B.shape[:3], x.shape[2])
        J, q = self.E.shape[1:3]
        return _stack([B @ of for B, of in zip(self._sparse_coupling, x, strict=True)]).reshape(
            x.shape[0], J, q, x.shape[2]
        )

    def _times_coupling_transposed(self, x: FloatArray) -> FloatArray:
        """B'x for x (T, J, q, c): (T, r, c)."""
        if self.pattern.pairs is None:
            flat = _one_below_another(x)
            return np.asarray(np.swapaxes(self._flat_coupling, 1, 2) @ flat)
        flat = _one_below_another(x)
        return _stack([B.T @ of for B, of in zip(self._sparse_coupling, flat, strict=True)])

    @property
    def roots(self) -> FloatArray | None:
        """None: several grouping factors are made of the blocks of Z'WZ."""
        return None

    def half_solve(self, right: Sequence[FloatArray]) -> list[FloatArray]:
        """L^-1 of right sides given per factor as (T, J, q, c); the rest comes as one entry."""
        first = solve_lower_stack(self.L0, right[0])
        rest = np.concatenate([_one_below_another(x) for x in right[1:]], axis=1)
        if right[0].any():  # columns of the inverse at the other factors have nothing here
            update = np.swapaxes(self._times_coupling_transposed(first), 1, 2)
            update = self.blocks.scale_rest(update, self.Lambdas)
            rest = rest - np.swapaxes(update, 1, 2)
        if _is_stack(self.LF):
            solved = solve_lower_stack(self.LF, rest)
        else:
            solved = _stack([_solve(L, x) for L, x in zip(self.LF, rest, strict=True)])
        return [first, solved[:, :, None, :]]

    def back_solve(self, half: Sequence[FloatArray]) -> list[FloatArray]:
        """L'^-1 of the result of ``half_solve``, per factor."""
        right = half[1][:, :, 0]
        if _is_stack(self.LF):
            solved = solve_upper_stack(self.LF, right)
        else:
            pairs = zip(self.LF, right, strict=True)
            solved = _stack([_solve(L, x, transpose=True) for L, x in pairs])
        scaled = np.swapaxes(
            self.blocks.scale_rest(np.swapaxes(solved, 1, 2), self.Lambdas, transpose=True), 1, 2
        )
        first = solve_upper_stack(self.L0, half[0] - self._times_coupling(scaled))
        out = [first]
        for f, (J, q) in enumerate(self.pattern.graph.sizes[1:], start=1):
            part = solved[:, self.pattern.rest_slice(f)]
            out.append(part.reshape(part.shape[0], J, q, part.shape[-1]))
        return out

    @cached_property
    def rest_inverse(self) -> FloatArray:
        """F^-1, shape (T, r, r)."""
        if _is_stack(self.LF):
            return inverse_stack(self.LF)
        return _stack([_inverse_from_cholesky(L) for L in self.LF])

    @cached_property
    def _scaled_inverse(self) -> FloatArray:
        """F^-1 Lambda_r', shape (T, r, r)."""
        return self.blocks.scale_rest(self.rest_inverse, self.Lambdas, transpose=True)

    @cached_property
    def _spread_blocks(self) -> FloatArray:
        """Diagonal blocks of A_0r Lambda_r F^-1 Lambda_r' A_r0 by level, (T, J, q, q)."""
        X = self.blocks.scale_rest(
            np.swapaxes(self._scaled_inverse, 1, 2), self.Lambdas, transpose=True
        )
        return self._quadratic_blocks(X)

    def _quadratic_blocks(self, X: FloatArray) -> FloatArray:
        pairs = self.pattern.pairs
        if pairs is None:
            A = self.blocks.coupling
            J, q, r = A.shape[-3:]
            AX = (A.reshape(*A.shape[:-3], J * q, r) @ X).reshape(-1, J, q, r)
            return np.einsum(f"tjar,{'t' * (A.ndim == 4)}jbr->tjab", AX, A)
        J, q = self.blocks.first.shape[:2]
        out = np.empty((X.shape[0], J, q, q))
        for t in range(X.shape[0]):
            twice = X[t] * 2.0  # a pair stands for both orders; a column with itself for one
            np.fill_diagonal(twice, np.diag(X[t]))
            x = np.repeat(twice.ravel()[pairs.places], pairs.counts())
            for (a, b), product in zip(_triangle(q), self.blocks.pair_products, strict=True):
                block = np.bincount(pairs.levels, weights=x * product, minlength=J)
                out[t, :, a, b] = out[t, :, b, a] = block if a == b else block / 2
        return out

    def covariances(self) -> list[FloatArray]:
        """Diagonal blocks of (L L')^-1 per factor, shape (T, J, q, q)."""
        inverse = inverse_stack(self.L0)
        back = inverse @ np.swapaxes(self.Lambdas[0], 1, 2)[:, None]
        first = inverse + back @ self._spread_blocks @ np.swapaxes(back, -1, -2)
        out = [first]
        Finv = self.rest_inverse
        for f, (J, q) in enumerate(self.pattern.graph.sizes[1:], start=1):
            at = self.pattern.starts[f - 1] + np.arange(J * q).reshape(J, q)
            out.append(Finv[:, at[:, :, None], at[:, None, :]])
        return out

    def cross_covariances(self) -> dict[tuple[int, int], FloatArray]:
        """Blocks of (L L')^-1 between factors where Z'WZ has blocks, (T, m, q_f, q_g)."""
        inverse = self.rest_inverse
        found = {}
        for (f, g), c in self.blocks.couplings.items():
            to = self._rest_columns(g, c.columns)
            if f == 0:
                found[f, g] = self._beside_first(c.rows, to)
            else:
                at = self._rest_columns(f, c.rows)
                found[f, g] = inverse[:, at[:, :, None], to[:, None]]
        return found

    def _rest_columns(self, factor: int, levels: IntArray) -> IntArray:
        """Columns among the rest of levels (m,) of a factor, (m, q)."""
        q = self.blocks.zz[factor].shape[-1]
        return np.asarray(self.pattern.starts[factor - 1] + levels[:, None] * q + np.arange(q))

    def _beside_first(self, levels: IntArray, columns: IntArray) -> FloatArray:
        """Blocks of (L L')^-1 between levels (m,) of the first factor and columns (m, b) of others.

        They are -L_0'^-1 B Lambda_r F^-1; levels come sorted, some at a time.
        """
        spread = np.swapaxes(self._scaled_inverse, 1, 2)
        T, J, q = self.E.shape[:3]
        found = np.empty((T, levels.size, q, columns.shape[1]))
        some = max(1, AT_ONCE // (q * self.pattern.n_rest))
        for first in range(0, J, some):
            a, b = np.searchsorted(levels, (first, first + some))
            of_levels = slice(first, first + some)
            block = solve_upper_stack(self.L0[:, of_levels], -self._coupled(of_levels, spread))
            at = levels[a:b, None, None] - first
            found[:, a:b] = block[:, at, np.arange(q)[:, None], columns[a:b, None]]
        return found

    def _coupled(self, levels: slice, x: FloatArray) -> FloatArray:
        """B x of some levels for x (T, r, c): (T, levels, q, c)."""
        if self.pattern.pairs is None:
            return np.asarray(self.B[:, levels] @ x[:, None])
        q = self.E.shape[2]
        rows = slice(levels.start * q, levels.stop * q)
        products = [B[rows] @ of for B, of in zip(self._sparse_coupling, x, strict=True)]
        return _stack(products).reshape(x.shape[0], -1, q, x.shape[2])

    def trace_blocks(self) -> list[FloatArray]:
        """Per factor the sum over levels of the diagonal blocks of Z'WZ Lambda (L L')^-1."""
        A00, Lam0 = self.blocks.first, self.Lambdas[0]
        right = Lam0[:, None] @ inverse_stack(self.L0)
        own = A00 @ right
        through = np.eye(A00.shape[-1]) - own @ np.swapaxes(Lam0, 1, 2)[:, None]
        blocks = [(own - through @ self._spread_blocks @ right).sum(axis=1)]
        spread = self._scaled_inverse
        for f, (J, q) in enumerate(self.pattern.graph.sizes[1:], start=1):
            at = self.pattern.rest_slice(f)
            left = self.reduced[:, at].reshape(-1, J, q, self.pattern.n_rest)
            other = spread[:, at].reshape(-1, J, q, self.pattern.n_rest)
            blocks.append(_row_products(left, other))
        return blocks


def _stack(matrices: list[FloatArray]) -> FloatArray:
    """Matrices as (T, r, r); a single large one is not copied."""
    return matrices[0][None] if len(matrices) == 1 else np.stack(matrices)


def _is_stack(F: FloatArray) -> bool:
    """Whether matrices (T, r, r) are many and small: then the loops run over r, not over T."""
    return F.shape[0] > STACK_ROUNDS * F.shape[1]


def _row_products(left: FloatArray, right: FloatArray) -> FloatArray:
    """Sum over j and r of left[t, j, a, r] right[t, j, b, r]: (T, q, q)."""
    q = left.shape[2]
    out = np.empty((left.shape[0], q, q))
    for a in range(q):
        for b in range(q):
            out[:, a, b] = np.einsum("tjr,tjr->t", left[:, :, a], right[:, :, b])
    return out


def _cholesky(F: FloatArray) -> FloatArray:
    factor, info = lapack.dpotrf(F.T, lower=0, overwrite_a=1, clean=1)
    if info:
        raise np.linalg.LinAlgError("the reduced matrix is not positive definite")
    return np.asarray(factor.T)


def _solve(L: FloatArray, x: FloatArray, *, transpose: bool = False) -> FloatArray:
    """L^-1 x, or L'^-1 x, for a lower triangle L (r, r) and x (r, c).

    By BLAS itself: LAPACK's dtrtrs starts all its threads for a triangle of any size.
    """
    return np.asarray(blas.dtrsm(1.0, L.T, x.T, side=1, lower=0, trans_a=int(transpose)).T)


def _inverse_from_cholesky(L: FloatArray) -> FloatArray:
    if L.shape[0] <= SMALL_INVERSE:
        half, _ = lapack.dtrtri(L.T, lower=0)
        return np.asarray(half @ half.T)
    inverse, _ = lapack.dpotri(L.T, lower=0)
    lower = np.asarray(inverse.T)
    diagonal = np.diag(lower).copy()
    full = lower + lower.T
    np.fill_diagonal(full, diagonal)
    return full


def _one_below_another(x: FloatArray) -> FloatArray:
    """Return matrices (T, J, q, c) of the levels as one (T, J q, c); c may be zero."""
    T, J, q, c = x.shape
    return x.reshape(T, J * q, c)
