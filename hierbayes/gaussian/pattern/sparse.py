"""Pattern of several large crossed grouping factors.

Nothing is eliminated by hand: the whole matrix goes to a sparse Cholesky factorisation whose order
of elimination takes levels with few partners first. The columns of one level stay together.
Imports numba through ``linalg``, so import this module only where it is used.
"""

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse

from hierbayes.arrays import record
from hierbayes.gaussian.pattern.level_graph import LevelGraph
from hierbayes.linalg.elimination import (
    Pattern,
    TooManyEntriesError,
    pattern_of,
    positions,
)

Int64Array = npt.NDArray[np.int64]


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


@record
class SparsePattern:
    """The part of the factorisation that depends on which levels meet, and on nothing else.

    Attributes
    ----------
    elimination : the order of elimination and where the factor has entries
    places : per factor, array (J, q), each column's position in the order of elimination
    diagonal_at : per factor, array (J, q, q), where the diagonal blocks are stored
    cross_at : per pair of factors, array (m, q_f, q_g), where the blocks between them are stored
    at : where all blocks are stored, one after the other
    n_numbers : how many numbers the factor of one theta holds
    """

    elimination: Pattern
    places: list[Int64Array]
    diagonal_at: list[Int64Array]
    cross_at: dict[tuple[int, int], Int64Array]
    at: Int64Array
    n_numbers: int
    name: str = "sparse"

    @property
    def n_bytes(self) -> float:
        """Memory that a search needs for its factors."""
        return 8.0 * NUMBERS_AN_ENTRY * self.n_numbers


def sparse_pattern(graph: LevelGraph) -> SparsePattern:
    """Return the pattern of crossed factors of any number of levels.

    Raises
    ------
    DataError
        If the factor does not fit in memory.
    """
    elimination = elimination_of(graph)

    def stored(rows: Int64Array, columns: Int64Array) -> Int64Array:
        """Where blocks with these rows (m, a) and columns (m, b) are stored, (m, a, b)."""
        both = np.broadcast_arrays(rows[:, :, None], columns[:, None, :])
        return positions(elimination.panels, *both)

    places = [
        elimination.place[first : first + J, None] + np.arange(q)
        for first, (J, q) in zip(_first_nodes(graph), graph.sizes, strict=False)
    ]
    diagonal_at = [stored(place, place) for place in places]
    cross_at = {
        (f, g): stored(places[f][rows], places[g][columns])
        for (f, g), (rows, columns) in graph.meetings.items()
    }
    return SparsePattern(
        elimination=elimination,
        places=places,
        diagonal_at=diagonal_at,
        cross_at=cross_at,
        at=np.concatenate([at.ravel() for at in (*diagonal_at, *cross_at.values())]),
        n_numbers=elimination.n_entries,
    )


def elimination_of(graph: LevelGraph, *, memory: float | None = None) -> Pattern:
    """Order of elimination and pattern of the factor; nodes are the levels of all factors.

    Parameters
    ----------
    graph : LevelGraph
    memory : float, optional
        Bytes there are; those of this computer when not given.

    Raises
    ------
    DataError
        If the factor does not fit in memory.
    """
    memory = memory_bytes() if memory is None else memory
    largest = int(min(memory * MEMORY_SHARE / (8 * NUMBERS_AN_ENTRY), np.iinfo(np.int64).max))
    starts = _first_nodes(graph)
    low = np.concatenate([starts[f] + rows for (f, _), (rows, _) in graph.meetings.items()])
    high = np.concatenate([starts[g] + columns for (_, g), (_, columns) in graph.meetings.items()])
    ends = np.concatenate([low, high]), np.concatenate([high, low])
    n = int(starts[-1])
    graph_matrix = sparse.csr_array((np.ones(2 * low.size, dtype=np.int8), ends), shape=(n, n))
    weights = np.repeat([q for _, q in graph.sizes], [J for J, _ in graph.sizes])
    try:
        return pattern_of(
            graph_matrix.indptr.astype(np.int64),
            graph_matrix.indices.astype(np.int64),
            weights.astype(np.int64),
            largest=largest,
        )
    except TooManyEntriesError as error:
        raise graph.does_not_fit(
            f" ({low.size:,} pairs of levels) that the model's Cholesky factor would hold more "
            f"than {largest:,} numbers, which do not fit in {memory / 1e9:.0f} GB of memory",
            sample_of="the levels",
        ) from error


def _first_nodes(graph: LevelGraph) -> Int64Array:
    """Where the levels of each factor begin among all levels, and how many there are."""
    return np.cumsum([0] + [J for J, _ in graph.sizes], dtype=np.int64)
