"""Which grouping factors are integrated out level by level: a chain of nested ones."""

from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import IntArray

MOST_COLUMNS = 3  # of a chain of several factors, whose rule is a product over all of them
NODES = 6  # that each of these columns has, about
MOST_NUMBERS = 2**18  # rows times nodes of such a chain, for one set of parameters


def chain_of(codes: Sequence[IntArray], J: Sequence[int], q: Sequence[int]) -> tuple[int, ...]:
    """Return the factor of most levels, and those above it that nest it, finest first.

    Each level of a factor of the chain has its rows in one level of the next. A factor above is
    left out where the product of all rules would be large: it has many rows to each level then, and
    a normal distribution is good enough to propose its effects from.

    Parameters
    ----------
    codes : per factor, array (n,), the level of each row
    J, q : per factor, its levels and columns
    """
    by_levels = sorted(range(len(J)), key=lambda f: (-J[f], f))
    chain = by_levels[:1]
    for f in by_levels[1:]:
        columns = sum(q[i] for i in chain) + q[f]
        is_small = columns <= MOST_COLUMNS and codes[f].size * NODES**columns <= MOST_NUMBERS
        if is_small and _nests(codes[chain[-1]], codes[f], J[chain[-1]]):
            chain.append(f)
    return tuple(chain)


def _nests(inner: IntArray, outer: IntArray, levels: int) -> bool:
    up = np.empty(levels, dtype=np.intp)
    up[inner] = outer
    return bool((up[inner] == outer).all())
