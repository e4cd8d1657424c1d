"""Pattern of crossed grouping factors: the largest is eliminated by blocks, the rest is dense.

The levels of the largest factor (index 0) do not meet each other, so they are eliminated as a
stack of small blocks. What is left is a dense matrix over the columns r of all other factors, whose
update B'B comes from A_0r, the columns of the rest that meet each level of factor 0. B'B is
summed over the pairs of columns that meet in a level, with indices made once; where these pairs
outnumber what a dense product costs (small or well-filled models), A_0r is kept dense and BLAS does
the work.
"""

import numpy as np

from hierbayes.arrays import IntArray, record
from hierbayes.gaussian.pattern.level_graph import LevelGraph

# One indexed multiply-add of the pair list costs about as much as this many of a BLAS product.
PAIR_COST = 20
# Up to so many multiply-adds a dense product takes a few milliseconds, less than making the list.
SURELY_DENSE = 3 * 10**7


@record
class Meeting:
    """Nonzero columns of A_0r: entry m couples level ``levels[m]`` with rest column ``columns[m]``.

    Sorted by level, then column.

    Attributes
    ----------
    levels, columns : arrays, shape (m,)
    starts : array, shape (J + 1,), where each level begins
    order : array, shape (m,), the entries in the order of the blocks of the couplings
    """

    levels: IntArray
    columns: IntArray
    starts: IntArray
    order: IntArray


@record
class Pairs:
    """Pairs of entries of ``meeting`` in one level, by place in the matrix they add to.

    In this order sums run over neighbours, and what is looked up (one number a level) stays in the
    processor's cache.

    Attributes
    ----------
    meeting : the nonzero columns of A_0r
    first, second : entries of ``meeting`` of each pair, shape (m,); first <= second
    levels : level of each pair, shape (m,)
    places : places (second, first) of the columns of the pairs in a flattened (r, r) matrix: of its
        lower triangle, increasing, shape (u,)
    starts : where the pairs of each place begin, shape (u,)
    """

    meeting: Meeting
    first: IntArray
    second: IntArray
    levels: IntArray
    places: IntArray
    starts: IntArray

    def counts(self) -> IntArray:
        """Return the number of pairs of each place, shape (u,)."""
        return np.diff(self.starts, append=self.levels.size)


@record
class CrossedPattern:
    """The part of the factorisation that depends on which levels meet, and on nothing else.

    Attributes
    ----------
    graph : the levels
    starts : where the columns of factors 1, 2, ... begin among the rest, and r
    pairs : None where A_0r is kept dense
    n_numbers : how many numbers the factor of one theta holds
    """

    graph: LevelGraph
    starts: IntArray
    pairs: Pairs | None
    n_numbers: int
    name: str = "crossed"

    @property
    def n_rest(self) -> int:
        """Columns of all factors but the first, r."""
        return int(self.starts[-1])

    @property
    def is_dense(self) -> bool:
        """Whether A_0r is kept dense."""
        return self.pairs is None

    def rest_slice(self, factor: int) -> slice:
        """Columns of a factor (1, 2, ...) among the rest."""
        return slice(self.starts[factor - 1], self.starts[factor])


def crossed_pattern(graph: LevelGraph) -> CrossedPattern:
    """Return the pattern of crossed factors."""
    starts = np.cumsum([0] + [J * q for J, q in graph.sizes[1:]])
    pairs = None if _is_filled(graph) else _pairs(_meeting(graph, starts), graph.n_rest)
    n_numbers = graph.n_rest**2 + coupling_size(graph)
    return CrossedPattern(graph=graph, starts=starts, pairs=pairs, n_numbers=n_numbers)


def coupling_size(graph: LevelGraph) -> int:
    """Length of the list of pairs, or of a dense A_0r where that is used instead."""
    J, q = graph.sizes[0]
    return J * q * graph.n_rest if _is_filled(graph) else graph.n_pairs


def _is_filled(graph: LevelGraph) -> bool:
    """Whether dense products are quicker than the list of pairs."""
    dense = graph.sizes[0][0] * graph.n_rest**2
    return dense < SURELY_DENSE or graph.n_pairs * PAIR_COST > dense


def _meeting(graph: LevelGraph, starts: IntArray) -> Meeting:
    levels, columns = [], []
    for (f, g), (rows, partners) in graph.meetings.items():
        if f == 0:
            q_g = graph.sizes[g][1]
            at = starts[g - 1] + partners[:, None] * q_g + np.arange(q_g)
            levels.append(np.repeat(rows, q_g))
            columns.append(at.ravel())
    level, column = np.concatenate(levels), np.concatenate(columns)
    order = np.lexsort((column, level))
    level = level[order]
    return Meeting(
        levels=level,
        columns=column[order],
        starts=np.searchsorted(level, np.arange(graph.sizes[0][0] + 1)),
        order=order,
    )


def _pairs(meeting: Meeting, n_rest: int) -> Pairs:
    counts = np.diff(meeting.starts)
    remaining = np.repeat(meeting.starts[1:], counts) - np.arange(meeting.columns.size)
    first = np.repeat(np.arange(meeting.columns.size), remaining)
    before = np.cumsum(remaining) - remaining
    second = first + np.arange(first.size) - np.repeat(before, remaining)
    row, column = meeting.columns[second], meeting.columns[first]
    if n_rest <= np.iinfo(np.uint16).max:  # numbers of 16 bits are sorted in a time linear in them
        row, column = row.astype(np.uint16), column.astype(np.uint16)
    order = np.lexsort((column, row))
    place = row[order].astype(np.int64) * n_rest + column[order]
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    return Pairs(
        meeting=meeting,
        first=first[order],
        second=second[order],
        levels=meeting.levels[first[order]],
        places=place[starts],
        starts=starts,
    )
