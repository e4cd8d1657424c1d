"""The levels of one factor, or of nested ones, under many weights at once: Z'W_tZ for t = 1 ... T.

What ``weighted.py`` does for one vector of weights, for T of them side by side: the same model
fitted to T responses has T working weights, and one pattern. Arrays of rows are (n, T) or
(n, T, c); vectors of the random effects are lists, one array (T, J, q, c) a factor. Sums over the
rows of a level are products with a sparse matrix, which add contiguous pieces.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.gaussian.factor.nested import NestedBlocks
from hierbayes.gaussian.marginal import Factor
from hierbayes.gaussian.pattern.nested import NestedPattern
from hierbayes.gaussian.products import Coupling
from hierbayes.gaussian.weighted import NoLevels, WeightedLevels


@record(kw_only=False)
class ManyWeights:
    """Rows of Z by grouping factor, as sparse matrices.

    Attributes
    ----------
    levels : the rows of Z
    """

    levels: WeightedLevels

    @property
    def is_nested(self) -> bool:
        """Whether there is one factor, or each is nested in the next: what is done here."""
        return not self.levels.codes or isinstance(self.levels.pattern, NestedPattern)

    @cached_property
    def _rows(self) -> list[Any]:
        """Z of each factor, sparse (n, J q)."""
        return [
            _sparse(codes, z, J)
            for codes, z, J in zip(
                self.levels.codes, self.levels.z, self.levels.n_levels, strict=True
            )
        ]

    @cached_property
    def _sums(self) -> list[Any]:
        return [Z.T.tocsr() for Z in self._rows]

    @cached_property
    def _squares(self) -> list[list[tuple[int, int, Any]]]:
        """Per factor and pair of its columns what makes Z_a'WZ_b of weights, sparse (J, n)."""
        found = []
        for codes, z, J in zip(self.levels.codes, self.levels.z, self.levels.n_levels, strict=True):
            pairs = [(a, b) for a in range(z.shape[0]) for b in range(a + 1)]
            found.append(
                [(a, b, _sparse(codes, (z[a] * z[b])[None], J).T.tocsr()) for a, b in pairs]
            )
        return found

    @cached_property
    def _products(self) -> list[tuple[tuple[int, int], IntArray, IntArray, list[Any]]]:
        """Per pair of factors the levels that meet, and per pair of columns what sums products."""
        found = []
        for (f, g), (rows, columns, index) in self.levels.row_meetings.items():
            between = [
                _sparse(index, (left * right)[None], rows.size).T.tocsr()
                for left in self.levels.z[f]
                for right in self.levels.z[g]
            ]
            found.append(((f, g), rows, columns, between))
        return found

    def blocks(self, weights: FloatArray) -> NestedBlocks | NoLevels:
        """Z'WZ for weights (n, T), one block a level and batch entry."""
        if not self.levels.codes:
            return NoLevels()
        T, zz = weights.shape[1], []
        for J, z, pairs in zip(self.levels.n_levels, self.levels.z, self._squares, strict=True):
            block = np.empty((T, J, z.shape[0], z.shape[0]))
            for a, b, sums in pairs:
                block[:, :, a, b] = block[:, :, b, a] = (sums @ weights).T
            zz.append(block)
        couplings = {}
        for (f, g), rows, columns, between in self._products:
            sizes = self.levels.z[f].shape[0], self.levels.z[g].shape[0]
            block = np.stack([(sums @ weights).T for sums in between], axis=2)
            block = block.reshape(T, rows.size, *sizes)
            couplings[f, g] = Coupling(rows=rows, columns=columns, blocks=block)
        assert isinstance(self.levels.pattern, NestedPattern)
        return NestedBlocks(
            pattern=self.levels.pattern, zz=tuple(zz), couplings=couplings, roots=None
        )

    def rows_of(self, effects: Sequence[FloatArray], shape: tuple[int, int]) -> FloatArray:
        """Z b for effects b, per factor (T, J, q, c); ``shape`` is (T, c): (n, T, c)."""
        total = np.zeros((self.levels.n_rows, *shape))
        for Z, b in zip(self._rows, effects, strict=True):
            flat = np.moveaxis(b, 0, 2).reshape(Z.shape[1], -1)
            total += (Z @ flat).reshape(total.shape)
        return total

    def sums_of(self, rows: FloatArray) -> list[FloatArray]:
        """Z'r for rows r (n, T, c): per factor (T, J, q, c)."""
        n, T, c = rows.shape
        found = []
        for Zt, z, J in zip(self._sums, self.levels.z, self.levels.n_levels, strict=True):
            sums = (Zt @ rows.reshape(n, T * c)).reshape(J, z.shape[0], T, c)
            found.append(np.moveaxis(sums, 2, 0))
        return found

    def row_variances(self, factor: Factor, Lambdas: Sequence[FloatArray]) -> FloatArray:
        """Return z'Lambda (L L')^-1 Lambda'z of each row, (n, T)."""
        levels, T = self.levels, factor.log_det.size
        total = np.zeros((levels.n_rows, T))
        for codes, z, L, V in zip(
            levels.codes, levels.z, Lambdas, factor.covariances(), strict=True
        ):
            C = L[:, None] @ V @ np.swapaxes(L, 1, 2)[:, None]
            for a in range(z.shape[0]):
                for b in range(a + 1):
                    twice = 1.0 if a == b else 2.0
                    total += (twice * z[a] * z[b])[:, None] * C[:, :, a, b].T[codes]
        for (f, g), V in factor.cross_covariances().items():
            _, _, index = levels.row_meetings[f, g]
            C = Lambdas[f][:, None] @ V @ np.swapaxes(Lambdas[g], 1, 2)[:, None]
            for a, left in enumerate(levels.z[f]):
                for b, right in enumerate(levels.z[g]):
                    total += (2.0 * left * right)[:, None] * C[:, :, a, b].T[index]
        return total


def _sparse(codes: IntArray, z: FloatArray, n_levels: int) -> Any:
    """Rows with the values z (q, n) at their levels' columns, sparse (n, J q)."""
    from scipy.sparse import csr_matrix

    q, n = z.shape
    columns = codes[:, None] * q + np.arange(q)
    starts = np.arange(0, q * n + 1, q)
    return csr_matrix((z.T.ravel(), columns.ravel(), starts), shape=(n, n_levels * q))
