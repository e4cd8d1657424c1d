"""The levels of grouping factors under weights that change: Z'WZ again and again on one pattern.

A generalised model has working weights W that differ from step to step, while which levels meet in
which rows does not. All indices are made once; a new Z'WZ is one sum over rows for each entry of
its blocks.

Vectors of the random effects are lists, one array (1, J, q, c) a factor, as everywhere in this
package; vectors of rows are (n,) or (n, c).
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.design import GroupingFactor
from hierbayes.gaussian.kernel import blocks_of, pattern_of
from hierbayes.gaussian.marginal import Blocks, Factor, Pattern, times, transpose_times
from hierbayes.gaussian.pattern.level_graph import level_graph
from hierbayes.gaussian.products import Coupling, Squares


@record
class WeightedLevels:
    """Rows of Z by grouping factor, in the basis of a search.

    Attributes
    ----------
    n_rows : n
    codes : per factor, array (n,), the level of each row
    z : per factor, array (q, n), its columns
    n_levels : per factor J
    """

    n_rows: int
    codes: tuple[IntArray, ...]
    z: tuple[FloatArray, ...]
    n_levels: tuple[int, ...]

    @cached_property
    def row_meetings(self) -> dict[tuple[int, int], tuple[IntArray, IntArray, IntArray]]:
        """Per pair of factors the levels that meet, and which pair each row belongs to."""
        found = {}
        for g in range(len(self.codes)):
            for f in range(g):
                keys = self.codes[f].astype(np.int64) * self.n_levels[g] + self.codes[g]
                pairs, index = np.unique(keys, return_inverse=True)
                found[f, g] = pairs // self.n_levels[g], pairs % self.n_levels[g], index.ravel()
        return dict(sorted(found.items()))

    @cached_property
    def _products_of_columns(self) -> dict[tuple[int, int, int, int], FloatArray | None]:
        """z_a z_b of each row for columns of two factors; None where it is one everywhere."""
        found: dict[tuple[int, int, int, int], FloatArray | None] = {}
        pairs = [(f, f) for f in range(len(self.z))] + list(self.row_meetings)
        for f, g in pairs:
            for a, left in enumerate(self.z[f]):
                for b, right in enumerate(self.z[g][: a + 1] if f == g else self.z[g]):
                    product = left * right
                    found[f, g, a, b] = None if (product == 1).all() else product
        return found

    @cached_property
    def pattern(self) -> Pattern:
        """The pattern of the factorisation."""
        return pattern_of(level_graph(self._squares(np.ones(self.n_rows))))

    def blocks(self, weights: FloatArray) -> Blocks:
        """Z'WZ for weights (n,), laid out for the pattern."""
        if not self.codes:
            return NoLevels()
        return blocks_of(self.pattern, self._squares(weights))

    def level_blocks(self, weights: FloatArray) -> FloatArray:
        """Z_j'WZ_j of the first factor, (J, q, q)."""
        return self._squares(weights).zz[0]

    def of_rows(self, rows: IntArray) -> "WeightedLevels":
        """Return some of the rows; levels without any stay."""
        return replace(
            self,
            n_rows=rows.size,
            codes=tuple(codes[rows] for codes in self.codes),
            z=tuple(np.ascontiguousarray(z[:, rows]) for z in self.z),
        )

    def some(self, factors: slice) -> "WeightedLevels":
        """Return the rows of some of the factors."""
        return WeightedLevels(
            n_rows=self.n_rows,
            codes=self.codes[factors],
            z=self.z[factors],
            n_levels=self.n_levels[factors],
        )

    def columns(self) -> FloatArray:
        """Z as one matrix (n, r), factor by factor and level by level."""
        parts = []
        for codes, z, J in zip(self.codes, self.z, self.n_levels, strict=True):
            part = np.zeros((self.n_rows, J, z.shape[0]))
            part[np.arange(self.n_rows), codes] = z.T
            parts.append(part.reshape(self.n_rows, -1))
        return np.concatenate(parts, axis=1)

    def dense(self, weights: FloatArray) -> FloatArray:
        """Z'WZ as one matrix (r, r), factor by factor and level by level."""
        squares = self._squares(weights)
        sizes = [A.shape[0] * A.shape[1] for A in squares.zz]
        starts = np.cumsum([0, *sizes])
        out = np.zeros((starts[-1], starts[-1]))
        for start, A in zip(starts, squares.zz, strict=False):
            at = start + np.arange(A.shape[0] * A.shape[1]).reshape(A.shape[:2])
            out[at[:, :, None], at[:, None, :]] = A
        for (f, g), coupling in squares.couplings.items():
            q_f, q_g = coupling.blocks.shape[1:]
            at_f = starts[f] + coupling.rows[:, None] * q_f + np.arange(q_f)
            at_g = starts[g] + coupling.columns[:, None] * q_g + np.arange(q_g)
            out[at_f[:, :, None], at_g[:, None, :]] = coupling.blocks
            out[at_g[:, None, :], at_f[:, :, None]] = coupling.blocks
        return out

    def _squares(self, weights: FloatArray) -> Squares:
        zz = []
        for f, (codes, J) in enumerate(zip(self.codes, self.n_levels, strict=True)):
            q = self.z[f].shape[0]
            block = np.empty((J, q, q))
            for a in range(q):
                for b in range(a + 1):
                    sums = self._summed(f, f, a, b, weights, codes, J)
                    block[:, a, b] = block[:, b, a] = sums
            zz.append(block)
        couplings = {}
        for (f, g), (rows, columns, index) in self.row_meetings.items():
            block = np.empty((rows.size, self.z[f].shape[0], self.z[g].shape[0]))
            for a in range(block.shape[1]):
                for b in range(block.shape[2]):
                    block[:, a, b] = self._summed(f, g, a, b, weights, index, rows.size)
            couplings[f, g] = Coupling(rows=rows, columns=columns, blocks=block)
        return Squares(zz=tuple(zz), couplings=couplings)

    def _summed(
        self, f: int, g: int, a: int, b: int, weights: FloatArray, index: IntArray, size: int
    ) -> FloatArray:
        product = self._products_of_columns[f, g, a, b]
        values = weights if product is None else weights * product
        return np.bincount(index, weights=values, minlength=size)

    def rows_of(self, effects: Sequence[FloatArray]) -> FloatArray:
        """Z b for effects b, per factor (1, J, q, c): (n, c)."""
        total = np.zeros((self.n_rows, effects[0].shape[3] if effects else 1))
        for codes, z, b in zip(self.codes, self.z, effects, strict=True):
            for a, column in enumerate(z):
                total += column[:, None] * b[0, codes, a]
        return total

    def sums_of(self, rows: FloatArray) -> list[FloatArray]:
        """Z'r for rows r (n, c): per factor (1, J, q, c)."""
        found = []
        for codes, z, J in zip(self.codes, self.z, self.n_levels, strict=True):
            out = np.empty((1, J, z.shape[0], rows.shape[1]))
            for a, column in enumerate(z):
                for c in range(rows.shape[1]):
                    values = column * rows[:, c]
                    out[0, :, a, c] = np.bincount(codes, weights=values, minlength=J)
            found.append(out)
        return found

    def row_forms(
        self, diagonal: Sequence[FloatArray], cross: dict[tuple[int, int], FloatArray]
    ) -> FloatArray:
        """Return z'C z of each row, (n,), for a symmetric C.

        Parameters
        ----------
        diagonal : per factor, its blocks (J, q, q)
        cross : per pair of factors, its blocks (m, q_f, q_g) where Z'WZ has blocks
        """
        total = np.zeros(self.n_rows)
        for codes, z, C in zip(self.codes, self.z, diagonal, strict=True):
            for a in range(z.shape[0]):
                for b in range(a + 1):
                    part = C[codes, a, b] * (z[a] * z[b])
                    total += part if a == b else 2 * part
        for (f, g), (_, _, index) in self.row_meetings.items():
            for a, left in enumerate(self.z[f]):
                for b, right in enumerate(self.z[g]):
                    total += 2 * cross[f, g][index, a, b] * (left * right)
        return total

    def row_variances(self, factor: Factor, Lambdas: Sequence[FloatArray]) -> FloatArray:
        """Return z'Lambda (L L')^-1 Lambda'z of each row, the variance of its eta, (n,)."""
        diagonal = [
            L[0] @ V[0] @ L[0].T for L, V in zip(Lambdas, factor.covariances(), strict=True)
        ]
        between = factor.cross_covariances()
        cross = {(f, g): Lambdas[f][0] @ V[0] @ Lambdas[g][0].T for (f, g), V in between.items()}
        return self.row_forms(diagonal, cross)


def weighted_levels(
    factors: Sequence[GroupingFactor], bases: Sequence[FloatArray], *, n_rows: int
) -> WeightedLevels:
    """Rows of the random effects of a design, with their columns as z @ basis."""
    return WeightedLevels(
        n_rows=n_rows,
        codes=tuple(factor.codes for factor in factors),
        z=tuple(
            np.ascontiguousarray((factor.z @ basis).T)
            for factor, basis in zip(factors, bases, strict=True)
        ),
        n_levels=tuple(int(factor.levels.size) for factor in factors),
    )


class NoLevels:
    """Blocks and factor of a model without random effects."""

    roots = None
    log_det = np.zeros(1)

    @property
    def pattern(self) -> Pattern:
        """There is none."""
        raise ValueError("A model without random effects has no pattern.")

    def times(self, vectors: Sequence[FloatArray]) -> list[FloatArray]:
        """Return vectors of nothing, as all methods do."""
        return list(vectors)

    def factorise(self, Lambdas: Sequence[FloatArray]) -> "NoLevels":
        """Return itself."""
        del Lambdas
        return self

    half_solve = back_solve = relate = times

    def covariances(self) -> list[FloatArray]:
        """Return nothing."""
        return []

    def cross_covariances(self) -> dict[tuple[int, int], FloatArray]:
        """Return nothing."""
        return {}

    trace_blocks = covariances


def to_effects(Lambdas: Sequence[FloatArray], u: Sequence[FloatArray]) -> list[FloatArray]:
    """Lambda u, per factor (1, J, q, c)."""
    return [times(L, x) for L, x in zip(Lambdas, u, strict=True)]


def to_spherical(Lambdas: Sequence[FloatArray], x: Sequence[FloatArray]) -> list[FloatArray]:
    """Lambda'x, per factor (1, J, q, c)."""
    return [transpose_times(L, v) for L, v in zip(Lambdas, x, strict=True)]
