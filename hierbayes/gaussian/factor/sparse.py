"""Factor of Lambda'Z'WZ Lambda + I for several large crossed grouping factors.

A fit needs no inverse: the gradient is a sum of entries of (L L')^-1 where Z'WZ has entries, and
these lie on the pattern of the factor, where the selected inverse gives them.

Arrays carry a leading axis T, one factorisation after the other. Imports numba through ``linalg``,
so import this module only where it is used.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.gaussian.factor.gram_matrix import GramMatrix
from hierbayes.gaussian.pattern.sparse import SparsePattern
from hierbayes.gaussian.products import LevelBlocks, Products, Squares, summed_diagonal_blocks
from hierbayes.linalg import sparse_cholesky
from hierbayes.linalg.stacked import sandwich


@record
class SparseBlocks(LevelBlocks):
    """The blocks of Z'WZ on a sparse pattern: those of the products as they are.

    Attributes
    ----------
    pattern : SparsePattern
    """

    pattern: SparsePattern

    def factorise(self, Lambdas: Sequence[FloatArray]) -> "SparseFactor":
        """Factorise at one Lambda (T, q, q) a grouping factor."""
        return SparseFactor(self, Lambdas)

    @cached_property
    def _gram(self) -> GramMatrix:
        return GramMatrix(self.zz, self.couplings)

    def times(self, vectors: Sequence[FloatArray]) -> list[FloatArray]:
        """Z'WZ times vectors given per factor as (T, J, q, c)."""
        return self._gram.times(vectors)

    def joined(self, parts: Sequence[FloatArray], t: int) -> FloatArray:
        """Entry t of right sides per factor (T or 1, J, q, c), in the order of elimination."""
        c = parts[0].shape[3]
        out = np.empty((self.pattern.elimination.panels.owner.size, c))
        for place, part in zip(self.pattern.places, parts, strict=True):
            out[place] = part[t % part.shape[0]]
        return out


def sparse_blocks(pattern: SparsePattern, products: Products | Squares) -> SparseBlocks:
    """Lay the blocks of Z'WZ out for a pattern of the same levels."""
    return SparseBlocks(pattern=pattern, zz=products.zz, couplings=products.couplings)


class SparseFactor:
    """L L' = Lambda'Z'WZ Lambda + I, and what follows from it."""

    def __init__(self, blocks: SparseBlocks, Lambdas: Sequence[FloatArray]) -> None:
        self.blocks = blocks
        self.pattern = blocks.pattern
        self.elimination = blocks.pattern.elimination
        self.Lambdas = Lambdas
        scaled = [
            sandwich(A, Lam, Lam) + np.eye(A.shape[1])
            for A, Lam in zip(blocks.zz, Lambdas, strict=True)
        ]
        scaled += [
            sandwich(c.blocks, Lambdas[f], Lambdas[g]) for (f, g), c in blocks.couplings.items()
        ]
        self.L = []
        for t in range(Lambdas[0].shape[0]):
            values = np.concatenate([block[t].ravel() for block in scaled])
            self.L.append(sparse_cholesky.factorise(self.elimination, self.pattern.at, values))

    @property
    def log_det(self) -> FloatArray:
        """Log det(Lambda'Z'WZ Lambda + I), shape (T,)."""
        return np.array([sparse_cholesky.log_det(self.elimination, L) for L in self.L])

    @property
    def roots(self) -> FloatArray | None:
        """None: several grouping factors are made of the blocks of Z'WZ."""
        return None

    def half_solve(self, right: Sequence[FloatArray]) -> list[FloatArray]:
        """L^-1 of right sides given per factor as (T, J, q, c); the result is one entry."""
        solved = [self.blocks.joined(right, t) for t in range(len(self.L))]
        for x, L in zip(solved, self.L, strict=True):
            sparse_cholesky.half_solve(self.elimination, L, x)
        return [np.stack(solved)[:, :, None]]

    def back_solve(self, half: Sequence[FloatArray]) -> list[FloatArray]:
        """L'^-1 of the result of ``half_solve``, per factor."""
        solved = half[0][:, :, 0].copy()
        for x, L in zip(solved, self.L, strict=True):
            sparse_cholesky.back_solve(self.elimination, L, x)
        return [solved[:, place] for place in self.pattern.places]

    @cached_property
    def _inverse_blocks(self) -> list[FloatArray]:
        """Blocks of (L L')^-1 where Z'WZ has blocks: diagonal ones, then those between factors."""
        places = [*self.pattern.diagonal_at, *self.pattern.cross_at.values()]
        found = [np.empty((len(self.L), *at.shape)) for at in places]
        for t, L in enumerate(self.L):
            inverse = sparse_cholesky.selected_inverse(self.elimination, L)
            for block, at in zip(found, places, strict=True):
                block[t] = inverse[at]
        return found

    def covariances(self) -> list[FloatArray]:
        """Diagonal blocks of (L L')^-1 per factor, shape (T, J, q, q)."""
        return self._inverse_blocks[: len(self.Lambdas)]

    def cross_covariances(self) -> dict[tuple[int, int], FloatArray]:
        """Blocks of (L L')^-1 between factors where Z'WZ has blocks, (T, m, q_f, q_g)."""
        between = self._inverse_blocks[len(self.Lambdas) :]
        return dict(zip(self.pattern.cross_at, between, strict=True))

    def trace_blocks(self) -> list[FloatArray]:
        """Per factor the sum over levels of the diagonal blocks of Z'WZ Lambda (L L')^-1."""
        own, cross = self.covariances(), self.cross_covariances()
        return summed_diagonal_blocks(self.blocks, self.Lambdas, diagonal=own, cross=cross)
