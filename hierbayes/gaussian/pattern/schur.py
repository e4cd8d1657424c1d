"""Pattern of two and more large crossed factors whose levels meet nearly everywhere.

The levels of the largest factor (index 0) are eliminated as a stack of small blocks, as in
``crossed.py``; what is left is a dense matrix over the r columns of all other factors, thousands of
them. No list of pairs is kept: compiled sums go over the columns that meet in a level
(``linalg/pair_sums.py``). Imports numba, so import this module only where it is used.
"""

import numpy as np

from hierbayes.arrays import Int64Array, record
from hierbayes.gaussian.pattern import sparse
from hierbayes.gaussian.pattern.level_graph import LevelGraph
from hierbayes.linalg.pair_sums import Places, places_of

# Matrices of r^2 numbers that a search holds: those of two thetas, factor and inverse in one.
MATRICES = 2


@record
class SchurPattern:
    """The part of the factorisation that depends on which levels meet, and on nothing else.

    Attributes
    ----------
    graph : the levels
    starts : where the columns of factors 1, 2, ... begin among the rest, and r
    places : where the columns of the rest meet the levels of the first factor
    order : array, shape (m,), the entries of ``places`` in the order of the couplings' columns
    n_numbers : how many numbers the factor of one theta holds
    """

    graph: LevelGraph
    starts: Int64Array
    places: Places
    order: Int64Array
    n_numbers: int
    name: str = "schur"

    @property
    def n_rest(self) -> int:
        """Columns of all factors but the first, r."""
        return int(self.starts[-1])

    @property
    def n_bytes(self) -> float:
        """Memory that a search needs for its factors."""
        return bytes_of(self.graph)


def bytes_of(graph: LevelGraph) -> float:
    """Memory that a search needs where the rest is dense."""
    return 8.0 * MATRICES * graph.n_rest**2


def schur_pattern(graph: LevelGraph, *, memory: float | None = None) -> SchurPattern:
    """Return the pattern of crossed factors with a dense rest of any size.

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
    memory = sparse.memory_bytes() if memory is None else memory
    if bytes_of(graph) > sparse.MEMORY_SHARE * memory:
        raise graph.does_not_fit(
            f" that a fit needs {bytes_of(graph) / 1e9:,.0f} GB for dense matrices of "
            f"{graph.n_rest:,} columns, and this computer has {memory / 1e9:,.0f} GB",
            sample_of="the levels of the second largest factor",
        )
    starts = np.cumsum([0] + [J * q for J, q in graph.sizes[1:]], dtype=np.int64)
    levels, columns = [], []
    for (f, g), (rows, partners) in graph.meetings.items():
        if f == 0:
            q = graph.sizes[g][1]
            levels.append(np.repeat(rows, q))
            columns.append((starts[g - 1] + partners[:, None] * q + np.arange(q)).ravel())
    level, column = np.concatenate(levels), np.concatenate(columns)
    order = np.lexsort((column, level))
    return SchurPattern(
        graph=graph,
        starts=starts,
        places=places_of(level[order], column[order], graph.sizes[0][0], graph.n_rest),
        order=order,
        n_numbers=graph.n_rest**2,
    )
