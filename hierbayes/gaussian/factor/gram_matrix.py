"""Z'WZ of crossed factors as one matrix, for its products with vectors.

Every gradient and every curvature takes such products. Small or well-filled models are quickest as
a dense matrix, others as a sparse one.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.gaussian.products import Coupling, dense_levels

if TYPE_CHECKING:
    from scipy import sparse

# Reading an entry of a sparse matrix costs about as much as this many of a dense one.
SPARSE_COST = 4


class GramMatrix:
    """Z'WZ from its blocks, ``zz`` and ``couplings`` as in ``Products``."""

    def __init__(
        self, zz: Sequence[FloatArray], couplings: dict[tuple[int, int], Coupling]
    ) -> None:
        sizes = [A.shape[0] * A.shape[1] for A in zz]
        n_entries = sum(A.size for A in zz) + 2 * sum(c.blocks.size for c in couplings.values())
        self._ends = np.cumsum(sizes)
        self._matrix: FloatArray | sparse.csr_array
        if self._ends[-1] ** 2 <= SPARSE_COST * n_entries:
            self._matrix = dense_levels(zz, couplings)
        else:
            self._matrix = _sparse_levels(zz, couplings)

    def times(self, vectors: Sequence[FloatArray]) -> list[FloatArray]:
        """Z'WZ times vectors given per factor as (T, J, q, c); the result has the same shapes."""
        T, _, _, c = vectors[0].shape
        joined = np.concatenate([v.reshape(T, -1, c) for v in vectors], axis=1)
        if T == 1:
            found = (self._matrix @ joined[0])[None]
        else:  # one product with the vectors of all thetas side by side
            beside = joined.swapaxes(0, 1).reshape(-1, T * c)
            found = (self._matrix @ beside).reshape(-1, T, c).swapaxes(0, 1)
        parts = np.split(found, self._ends[:-1], axis=1)
        return [part.reshape(v.shape) for part, v in zip(parts, vectors, strict=True)]


def _sparse_levels(
    zz: Sequence[FloatArray], couplings: dict[tuple[int, int], Coupling]
) -> "sparse.csr_array":
    """Z'WZ of all factors as one sparse matrix."""
    from scipy import sparse  # here, so that fits of small models need not import it

    sizes = [A.shape[:2] for A in zz]
    starts = np.cumsum([0] + [J * q for J, q in sizes])
    rows, columns, values = [], [], []

    def add(f: int, g: int, at: IntArray, to: IntArray, blocks: FloatArray) -> None:
        i = starts[f] + at[:, None, None] * sizes[f][1] + np.arange(sizes[f][1])[:, None]
        j = starts[g] + to[:, None, None] * sizes[g][1] + np.arange(sizes[g][1])
        rows.append(np.broadcast_to(i, blocks.shape).ravel())
        columns.append(np.broadcast_to(j, blocks.shape).ravel())
        values.append(blocks.ravel())

    for f, A in enumerate(zz):
        add(f, f, np.arange(A.shape[0]), np.arange(A.shape[0]), A)
    for (f, g), c in couplings.items():
        add(f, g, c.rows, c.columns, c.blocks)
        add(g, f, c.columns, c.rows, np.swapaxes(c.blocks, 1, 2))
    places = (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_array((np.concatenate(values), places), shape=(starts[-1], starts[-1]))
