"""Pattern of one grouping factor, or of factors nested in each other.

With factors ordered from the finest, each level of a factor belongs to exactly one level of every
later one. Eliminating the levels of the finest factor then only touches their own ancestors.
"""

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.gaussian.pattern.level_graph import LevelGraph


@record
class Children:
    """Which levels of a finer factor belong to each level of a coarser one.

    Attributes
    ----------
    parent : array, shape (J_f,), the level of the coarser factor
    order, starts : levels of the finer factor sorted by parent, and where each parent begins
    """

    parent: IntArray
    order: IntArray
    starts: IntArray

    def sums(self, values: FloatArray) -> FloatArray:
        """Sum (T, J_f, ...) over the children of each parent: (T, J_g, ...)."""
        return np.asarray(np.add.reduceat(values[:, self.order], self.starts, axis=1))


@record
class NestedPattern:
    """Children of every pair of factors; the factor has entries where Z'WZ has them.

    Attributes
    ----------
    children : per pair f < g of factors
    n_numbers : how many numbers the factor of one theta holds
    """

    children: dict[tuple[int, int], Children]
    n_numbers: int
    name: str = "nested"


def nested_pattern(graph: LevelGraph) -> NestedPattern:
    """Return the pattern of nested factors, ``graph.is_nested``."""
    children = {}
    for pair, (_, parent) in graph.meetings.items():
        order = np.argsort(parent, kind="stable")
        starts = np.flatnonzero(np.diff(parent[order], prepend=-1))
        children[pair] = Children(parent=parent, order=order, starts=starts)
    return NestedPattern(children=children, n_numbers=graph.n_blocks)
