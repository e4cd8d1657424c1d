"""Where the effects that are not integrated out meet each other, and the levels of the chain.

Products Z_k'WZ_c and Z_c'WZ_c for weights W of the rows at many points at once: all indices are
made once, and each entry is a sum over the rows that two levels share.
"""

from functools import cached_property

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.gaussian.weighted import WeightedLevels


@record
class KeptPattern:
    """The pattern of the kept factors' columns.

    Attributes
    ----------
    levels : the rows by level of every factor
    kept : factors whose effects are kept, J levels and q columns each: d effects in all
    chain, codes : factors of the chain, and which of its levels each row is in
    counts : array, shape (n,), how many rows each stands for, or None
    """

    levels: WeightedLevels
    kept: tuple[int, ...]
    chain: tuple[int, ...]
    codes: tuple[IntArray, ...]
    counts: FloatArray | None

    @cached_property
    def slices(self) -> tuple[tuple[int, slice, int, int], ...]:
        """Per kept factor: it, its part of the kept effects, levels J and columns q."""
        found, start = [], 0
        for f in self.kept:
            J, q = self.levels.n_levels[f], self.levels.z[f].shape[0]
            found.append((f, slice(start, start + J * q), J, q))
            start += J * q
        return tuple(found)

    @property
    def size(self) -> int:
        """Number of kept effects d."""
        return self.slices[-1][1].stop if self.slices else 0

    def sums_of(self, values: FloatArray, f: int) -> FloatArray:
        """Z_f'r of rows r (n, T) for a kept factor, (T, J, q)."""
        order, starts, _ = self._meetings[f,]
        sums = [self._sums(values, z, order, starts) for z in self.levels.z[f]]
        return np.stack(sums, axis=2).swapaxes(0, 1)

    def with_chain(self, weight: FloatArray, k: int) -> FloatArray:
        """Z_k'WZ_c for a factor of the chain and weights (n, T), (T, J_k, q_k, d)."""
        z = self.levels.z
        left = z[self.chain[k]]
        J = int(self.codes[k].max()) + 1
        out = np.zeros((weight.shape[1], J, left.shape[0], self.size))
        for f, part, _, q in self.slices:
            order, starts, one = self._meetings[-1 - k, f]
            rows, columns = self.codes[k][one], part.start + self.levels.codes[f][one] * q
            for a in range(left.shape[0]):
                for b in range(q):
                    sums = self._sums(weight, left[a] * z[f][b], order, starts)
                    out[:, rows, a, columns + b] = sums.T
        return out

    def among_kept(self, weight: FloatArray) -> FloatArray:
        """Z_c'WZ_c for weights (n, T), (T, d, d)."""
        z, codes = self.levels.z, self.levels.codes
        out = np.zeros((weight.shape[1], self.size, self.size))
        for f, part, _, q in self.slices:
            for g, other, _, q_g in self.slices:
                if g < f:
                    continue
                order, starts, one = self._meetings[f, g]
                for a in range(q):
                    for b in range(q_g):
                        sums = self._sums(weight, z[f][a] * z[g][b], order, starts).T
                        left = part.start + codes[f][one] * q + a
                        right = other.start + codes[g][one] * q_g + b
                        out[:, left, right] = out[:, right, left] = sums
        return out

    @cached_property
    def _meetings(self) -> dict[tuple[int, ...], tuple[IntArray, IntArray, IntArray]]:
        """Rows in the order of the pairs of levels they are in, where pairs begin, a row of each.

        Keys are a kept factor, two of them, or -1 - k and a kept factor for factor k of the chain.
        """
        codes = self.levels.codes
        found: dict[tuple[int, ...], tuple[IntArray, IntArray, IntArray]] = {}
        for f in self.kept:
            found[f,] = _grouped(codes[f])
            for g in self.kept:
                if g >= f:
                    found[f, g] = _grouped(codes[f], codes[g])
            for k, own in enumerate(self.codes):
                found[-1 - k, f] = _grouped(own, codes[f])
        return found

    def _sums(
        self, weight: FloatArray, product: FloatArray, order: IntArray, starts: IntArray
    ) -> FloatArray:
        if self.counts is not None:
            product = product * self.counts
        weighted = weight if (product == 1).all() else product[:, None] * weight
        return np.add.reduceat(weighted[order], starts, axis=0)


def _grouped(*codes: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    order = np.lexsort(codes[::-1])
    changes = np.zeros(order.size - 1, dtype=np.bool_)
    for code in codes:
        changes |= np.diff(code[order]) != 0
    starts = np.append(0, 1 + np.flatnonzero(changes))
    return order, starts, order[starts]
