"""Where the effects that are not integrated out meet each other, and the levels of the chain.

Products Z_k'WZ_c and Z_c'WZ_c for weights W of the rows at many points at once.
"""

from functools import cached_property

import numpy as np

from hierbayes.arrays import FloatArray, Int64Array, IntArray, record
from hierbayes.gaussian.weighted import WeightedLevels
from hierbayes.generalised.row_products import add_products, add_rows


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

    @cached_property
    def blocks(self) -> Int64Array:
        """Per kept factor: where its columns begin and end, and how many a level has."""
        blocks = [(part.start, part.stop, q) for _, part, _, q in self.slices]
        return np.array(blocks, dtype=np.int64)

    @cached_property
    def entries(self) -> tuple[FloatArray, Int64Array]:
        """Of Z_c: entries of each row and their columns, both (S, n)."""
        z = np.concatenate([self.levels.z[f] for f in self.kept])
        columns = [
            part.start + self.levels.codes[f] * q + np.arange(q)[:, None]
            for f, part, _, q in self.slices
        ]
        return z, np.concatenate(columns).astype(np.int64)

    @property
    def size(self) -> int:
        """Number of kept effects d."""
        return self.slices[-1][1].stop if self.slices else 0

    def sums_of(self, values: FloatArray, f: int) -> FloatArray:
        """Z_f'r of rows r (T, n) for a kept factor, (T, J, q)."""
        z = self.levels.z[f]
        out = np.zeros((values.shape[0], self.levels.n_levels[f], z.shape[0]))
        add_rows(np.ascontiguousarray(values), z * self.row_counts, self.levels.codes[f], out)
        return out

    def with_chain(self, weight: FloatArray, k: int) -> FloatArray:
        """Z_k'WZ_c for a factor of the chain and weights (T, n), (T, J_k, q_k, d)."""
        z, own = self.levels.z[self.chain[k]], self.codes[k]
        T, J, q = weight.shape[0], int(own.max()) + 1, z.shape[0]
        return self._with(weight, z, own * q, J * q).reshape(T, J, q, self.size)

    def among_kept(self, weight: FloatArray) -> FloatArray:
        """Z_c'WZ_c for weights (T, n), (T, d, d)."""
        out = np.zeros((weight.shape[0], self.size, self.size))
        for f, part, J, q in self.slices:
            codes = self.levels.codes[f]
            out[:, part] = self._with(weight, self.levels.z[f], codes * q, J * q)
        return out

    def squares(self, weight: FloatArray) -> list[FloatArray]:
        """Traces of Z_f'WZ_f for each kept factor and weights (T, n), (T,) each."""
        z = self.levels.z
        return [weight @ ((z[f] ** 2).sum(axis=0) * self.row_counts) for f in self.kept]

    def _with(self, weight: FloatArray, z: FloatArray, rows: IntArray, n_rows: int) -> FloatArray:
        """Z'WZ_c for columns z (q, n) that belong into rows from those of ``rows`` on."""
        out = np.zeros((weight.shape[0], n_rows, self.size))
        weight, left = np.ascontiguousarray(weight), z * self.row_counts
        for f, part, _, q in self.slices:
            columns = part.start + self.levels.codes[f] * q
            add_products(weight, left, self.levels.z[f], rows, columns, out)
        return out

    @cached_property
    def row_counts(self) -> FloatArray:
        """How many rows each stands for, (n,)."""
        n = self.levels.codes[0].size
        return np.ones(n) if self.counts is None else self.counts
