"""Factor of Lambda'Z'WZ Lambda + I for several large crossed grouping factors.

Nothing is eliminated by hand: the whole matrix goes to a sparse Cholesky factorisation whose order
of elimination, found once, takes levels with few partners first. A fit needs no inverse: the
gradient is a sum of entries of (L L')^-1 where Z'WZ has entries, and these lie on the pattern of
the factor, where the selected inverse gives them.

The columns of one level stay together. Arrays carry a leading axis T, one factorisation after the
other. Imports numba through ``linalg``, so import this module only where it is used.
"""

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse

from hierbayes.errors import DataError
from hierbayes.gaussian.products import Products, summed_diagonal_blocks
from hierbayes.linalg import sparse_cholesky
from hierbayes.linalg.elimination import (
    Pattern,
    TooManyEntriesError,
    pattern_of,
    positions,
)
from hierbayes.linalg.stacked import sandwich

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


# A search holds the factors of two thetas and one inverse on their pattern; more than this part of
# the memory would leave too little for the data and for everything else.
NUMBERS_AN_ENTRY = 3
MEMORY_SHARE = 0.7
MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")  # what a container may use, on Linux


def memory_bytes() -> float:
    """Memory of this computer or container in bytes; infinity where the system does not say."""
    try:
        found = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):  # not a POSIX system
        return np.inf
    try:
        return min(found, float(MEMORY_LIMIT.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no container, or "max"
        return found


def sparse_pattern(products: Products, *, memory: float | None = None) -> Pattern:
    """Order of elimination and pattern of the factor; nodes are the levels of all factors.

    Parameters
    ----------
    products : Products
    memory : float, optional
        Bytes there are; those of this computer when not given.

    Raises
    ------
    DataError
        If the factor does not fit in memory.
    """
    memory = memory_bytes() if memory is None else memory
    largest = int(min(memory * MEMORY_SHARE / (8 * NUMBERS_AN_ENTRY), np.iinfo(np.int64).max))
    starts = _first_nodes(products)
    couplings = products.couplings.items()
    low = np.concatenate([starts[f] + c.rows for (f, _), c in couplings])
    high = np.concatenate([starts[g] + c.columns for (_, g), c in couplings])
    ends = np.concatenate([low, high]), np.concatenate([high, low])
    n = int(starts[-1])
    graph = sparse.csr_array((np.ones(2 * low.size, dtype=np.int8), ends), shape=(n, n))
    weights = np.repeat([A.shape[1] for A in products.zz], np.diff(starts))
    try:
        return pattern_of(
            graph.indptr.astype(np.int64),
            graph.indices.astype(np.int64),
            weights.astype(np.int64),
            largest=largest,
        )
    except TooManyEntriesError as error:
        counts = [f"{A.shape[0]:,}" for A in products.zz]
        raise DataError(
            f"Crossed factors of {', '.join(counts[:-1])} and {counts[-1]} levels meet in so many "
            f"places ({low.size:,} pairs of levels) that the model's Cholesky factor would hold "
            f"more than {largest:,} numbers, which do not fit in {memory / 1e9:.0f} GB of memory. "
            "Fit a sample of the levels, leave a random-effects term out, or use a computer with "
            "more memory."
        ) from error


def _first_nodes(products: Products) -> IntArray:
    """Where the levels of each factor begin among all levels, and how many there are."""
    return np.cumsum([0] + [A.shape[0] for A in products.zz], dtype=np.int64)


class SparseStructure:
    """The part of the factorisation that does not depend on theta.

    Attributes
    ----------
    places : per factor, array (J, q), each column's position in the order of elimination
    diagonal_at : per factor, array (J, q, q), where the diagonal blocks are stored
    cross_at : per pair of factors, array (m, q_f, q_g), where the blocks between them are stored
    """

    name = "sparse"

    def __init__(self, products: Products) -> None:
        self.products = products
        self.pattern = pattern = sparse_pattern(products)
        self.n_numbers = pattern.n_entries
        starts = _first_nodes(products)
        self.places = [
            pattern.place[first : first + A.shape[0], None] + np.arange(A.shape[1])
            for first, A in zip(starts, products.zz, strict=False)
        ]
        self.diagonal_at = [self._at(place, place) for place in self.places]
        self.cross_at = {
            (f, g): self._at(self.places[f][c.rows], self.places[g][c.columns])
            for (f, g), c in products.couplings.items()
        }
        self.at = np.concatenate(
            [at.ravel() for at in (*self.diagonal_at, *self.cross_at.values())]
        )

    def _at(self, rows: IntArray, columns: IntArray) -> IntArray:
        """Where blocks with these rows (m, a) and columns (m, b) are stored, (m, a, b)."""
        both = np.broadcast_arrays(rows[:, :, None], columns[:, None, :])
        return positions(self.pattern.panels, *both)

    def factorise(self, Lambdas: Sequence[FloatArray]) -> "SparseFactor":
        """Factorise at one Lambda (T, q, q) a grouping factor."""
        return SparseFactor(self, Lambdas)

    def joined(self, parts: Sequence[FloatArray], t: int) -> FloatArray:
        """Entry t of right sides per factor (T or 1, J, q, c), in the order of elimination."""
        c = parts[0].shape[3]
        out = np.empty((self.pattern.panels.owner.size, c))
        for place, part in zip(self.places, parts, strict=True):
            out[place] = part[t % part.shape[0]]
        return out


class SparseFactor:
    """L L' = Lambda'Z'WZ Lambda + I, and what follows from it."""

    def __init__(self, structure: SparseStructure, Lambdas: Sequence[FloatArray]) -> None:
        self.structure = structure
        self.Lambdas = Lambdas
        products = structure.products
        blocks = [
            sandwich(A, Lam, Lam) + np.eye(A.shape[1])
            for A, Lam in zip(products.zz, Lambdas, strict=True)
        ]
        blocks += [
            sandwich(c.blocks, Lambdas[f], Lambdas[g]) for (f, g), c in products.couplings.items()
        ]
        self.L = []
        for t in range(Lambdas[0].shape[0]):
            values = np.concatenate([block[t].ravel() for block in blocks])
            self.L.append(sparse_cholesky.factorise(structure.pattern, structure.at, values))

    @property
    def log_det(self) -> FloatArray:
        """Log det(Lambda'Z'WZ Lambda + I), shape (T,)."""
        return np.array([sparse_cholesky.log_det(self.structure.pattern, L) for L in self.L])

    def half_solve(self, right: Sequence[FloatArray]) -> list[FloatArray]:
        """L^-1 of right sides given per factor as (T, J, q, c); the result is one entry."""
        solved = [self.structure.joined(right, t) for t in range(len(self.L))]
        for x, L in zip(solved, self.L, strict=True):
            sparse_cholesky.half_solve(self.structure.pattern, L, x)
        return [np.stack(solved)[:, :, None]]

    def back_solve(self, half: Sequence[FloatArray]) -> list[FloatArray]:
        """L'^-1 of the result of ``half_solve``, per factor."""
        solved = half[0][:, :, 0].copy()
        for x, L in zip(solved, self.L, strict=True):
            sparse_cholesky.back_solve(self.structure.pattern, L, x)
        return [solved[:, place] for place in self.structure.places]

    @cached_property
    def _inverse_blocks(self) -> list[FloatArray]:
        """Blocks of (L L')^-1 where Z'WZ has blocks: diagonal ones, then those between factors."""
        structure = self.structure
        places = [*structure.diagonal_at, *structure.cross_at.values()]
        found = [np.empty((len(self.L), *at.shape)) for at in places]
        for t, L in enumerate(self.L):
            inverse = sparse_cholesky.selected_inverse(structure.pattern, L)
            for block, at in zip(found, places, strict=True):
                block[t] = inverse[at]
        return found

    def covariances(self) -> list[FloatArray]:
        """Diagonal blocks of (L L')^-1 per factor, shape (T, J, q, q)."""
        return self._inverse_blocks[: len(self.Lambdas)]

    def trace_blocks(self) -> list[FloatArray]:
        """Per factor the sum over levels of the diagonal blocks of Z'WZ Lambda (L L')^-1."""
        between = self._inverse_blocks[len(self.Lambdas) :]
        cross = dict(zip(self.structure.cross_at, between, strict=True))
        return summed_diagonal_blocks(
            self.structure.products, self.Lambdas, self.covariances(), cross
        )
