"""In which order to eliminate the nodes of a sparse symmetric matrix, so that little fills in.

Eliminating a node joins all its neighbours to each other; taking always a node with few neighbours
left keeps the factor sparse. The joined neighbours of an eliminated node are kept as one list (an
*element*), so the graph never grows: a node's neighbours are its remaining original ones and the
members of its elements. Nodes that became indistinguishable are eliminated together, and the
number of neighbours is bounded from above rather than counted.

A node has a weight: the number of columns it stands for (the columns of one level of a grouping
factor have the same neighbours, and stay together).

Source: Amestoy, Davis & Duff (1996), SIAM J. Matrix Anal. Appl. 17(4):886 (approximate minimum
degree). Imports numba, so import this module only where it is used.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from hierbayes.arrays import Int64Array

# Nodes with more neighbours than this many times the root of the number of nodes are eliminated
# last without being followed: their lists would be read again at every step. (The paper's value.)
DENSE = 10.0
SMALLEST_DENSE = 16

VARIABLE, ELEMENT, GONE = 0, 1, 2


class Quotient(NamedTuple):
    """The graph that is left: arrays of one entry a node, changed in place.

    Attributes
    ----------
    start, length : where a node's list is; a variable's list holds elements, then variables
    n_elements : how many of a variable's list are elements
    weight : columns a variable stands for; 0 when absorbed or eliminated, negative while the
        variable is in the element being made
    state : VARIABLE, ELEMENT or GONE
    joined_to : the node an absorbed one is eliminated with, or -1
    degree : of a variable, a bound of its neighbours' weight; of an element, its members' weight
    seen : marks; an entry counts only while it is not below the current stamp
    head : first variable of each degree, or -1
    after, before : the other variables of the same degree, or -1
    """

    start: Int64Array
    length: Int64Array
    n_elements: Int64Array
    weight: Int64Array
    state: Int64Array
    joined_to: Int64Array
    degree: Int64Array
    seen: Int64Array
    head: Int64Array
    after: Int64Array
    before: Int64Array


def minimum_degree(starts: Int64Array, neighbours: Int64Array, weights: Int64Array) -> Int64Array:
    """Order of elimination: the nodes of a graph, first eliminated first.

    Parameters
    ----------
    starts, neighbours, weights : as of ``elimination.pattern_of``
    """
    n = weights.size
    degrees = np.diff(starts)
    is_dense = degrees > max(SMALLEST_DENSE, DENSE * np.sqrt(n))
    graph = _quotient(starts, neighbours, np.where(is_dense, 0, weights))
    rank = _ranks(graph, neighbours)
    rank[is_dense] = n + degrees[is_dense]
    return np.argsort(rank, kind="stable")


def _quotient(starts: Int64Array, neighbours: Int64Array, weights: Int64Array) -> Quotient:
    """Return the graph before the first elimination."""
    n = weights.size
    lengths = np.diff(starts)
    sums = np.concatenate([[0], np.cumsum(weights[neighbours])])
    return Quotient(
        start=starts[:-1].copy(),
        length=lengths,
        n_elements=np.zeros(n, np.int64),
        weight=weights.copy(),
        state=np.where(weights > 0, VARIABLE, GONE),
        joined_to=np.full(n, -1),
        degree=sums[starts[1:]] - sums[starts[:-1]],
        seen=np.zeros(n, np.int64),
        head=np.full(weights.sum() + 1, -1),
        after=np.full(n, -1),
        before=np.full(n, -1),
    )


@njit(cache=True)
def _ranks(graph: Quotient, neighbours: Int64Array) -> Int64Array:
    """When each node is eliminated; nodes of weight 0 are left out (rank 0)."""
    n, free = graph.weight.size, neighbours.size
    lists = np.empty(2 * free + n, np.int64)  # lists in use never hold more than at the start
    for p in range(free):
        lists[p] = neighbours[p]
    left = 0
    for i in range(n):
        if graph.weight[i] > 0:
            left += graph.weight[i]
            _link(graph, i)
    key, bucket, following = np.empty(n, np.int64), np.full(n, -1), np.full(n, -1)
    rank = np.zeros(n, np.int64)
    low, step, stamp = 0, 0, 1
    longest = left + 1
    while left > 0:
        while graph.head[low] == -1:
            low += 1
        pivot = graph.head[low]
        _unlink(graph, pivot)
        rank[pivot] = step
        step += 1
        left -= graph.weight[pivot]
        graph.weight[pivot] = 0
        if free + n > lists.size:
            lists, free = _compacted(graph, lists)
        begin = free
        free = _make_element(graph, lists, pivot, begin)
        _mark_outside(graph, lists[begin:free], lists, stamp)
        for p in range(begin, free):
            i = lists[p]
            kept, total = _bound_degree(graph, lists, i, pivot, stamp)
            if kept:
                key[i] = total % n
                following[i] = bucket[key[i]]
                bucket[key[i]] = i
            else:
                left += graph.weight[i]
                graph.degree[pivot] += graph.weight[i]
                graph.weight[i] = 0
        stamp += longest
        for p in range(begin, free):
            i = lists[p]
            if graph.weight[i] < 0 and bucket[key[i]] != -1:
                first, bucket[key[i]] = bucket[key[i]], -1
                stamp = _join_equal(graph, lists, first, following, stamp)
        free, low = _close_element(graph, lists, pivot, left, low)
        stamp += longest
    return _ranks_of_joined(rank, graph.joined_to)


@njit(cache=True)
def _link(graph: Quotient, i: int) -> None:
    """Put variable i at the head of the list of its degree."""
    first = graph.head[graph.degree[i]]
    if first != -1:
        graph.before[first] = i
    graph.after[i], graph.before[i], graph.head[graph.degree[i]] = first, -1, i


@njit(cache=True)
def _unlink(graph: Quotient, i: int) -> None:
    """Take variable i out of the list of its degree."""
    before, after = graph.before[i], graph.after[i]
    if before == -1:
        graph.head[graph.degree[i]] = after
    else:
        graph.after[before] = after
    if after != -1:
        graph.before[after] = before


@njit(cache=True)
def _make_element(graph: Quotient, lists: Int64Array, pivot: int, begin: int) -> int:
    """Write all that pivot is joined to from ``begin`` on; return where that ends."""
    free, members = begin, 0
    for p in range(graph.start[pivot], graph.start[pivot] + graph.length[pivot]):
        node, first, count = lists[p], p, 1
        if p < graph.start[pivot] + graph.n_elements[pivot]:
            if graph.state[node] == GONE:
                continue
            first, count = graph.start[node], graph.length[node]
            graph.state[node] = GONE
        for i in lists[first : first + count]:
            if graph.weight[i] > 0:
                _unlink(graph, i)
                members += graph.weight[i]
                graph.weight[i] = -graph.weight[i]
                lists[free] = i
                free += 1
    graph.state[pivot], graph.start[pivot], graph.length[pivot] = ELEMENT, begin, free - begin
    graph.degree[pivot] = members
    return free


@njit(cache=True)
def _mark_outside(graph: Quotient, members: Int64Array, lists: Int64Array, stamp: int) -> None:
    """Set seen - stamp of each older element to its weight outside the new one."""
    for i in members:
        for e in lists[graph.start[i] : graph.start[i] + graph.n_elements[i]]:
            if graph.state[e] == ELEMENT:
                if graph.seen[e] < stamp:
                    graph.seen[e] = stamp + graph.degree[e]
                graph.seen[e] += graph.weight[i]  # negative: it is a member


@njit(cache=True)
def _bound_degree(
    graph: Quotient, lists: Int64Array, i: int, pivot: int, stamp: int
) -> tuple[bool, int]:
    """Bound the degree of member i, and drop from its list what the new element covers.

    Returns whether i has other neighbours (if not it is joined to pivot), and the sum of its list.
    """
    bound, total, first = 0, 0, graph.start[i]
    keep, variables = first, first + graph.n_elements[i]
    for e in lists[first:variables]:
        if graph.state[e] == ELEMENT:
            outside = graph.seen[e] - stamp
            if outside > 0:
                bound += outside
                total += e
                lists[keep] = e
                keep += 1
            else:
                graph.state[e] = GONE
    middle = keep
    for j in lists[variables : first + graph.length[i]]:
        if graph.weight[j] > 0:
            bound += graph.weight[j]
            total += j
            lists[keep] = j
            keep += 1
    if bound == 0:
        graph.joined_to[i], graph.state[i] = pivot, GONE
        return False, 0
    # the new element goes first; pivot or one of its elements was dropped, so there is room
    lists[keep] = lists[middle]
    lists[middle] = lists[first]
    lists[first] = pivot
    graph.n_elements[i], graph.length[i] = middle - first + 1, keep - first + 1
    graph.degree[i] = min(graph.degree[i], bound)
    return True, total


@njit(cache=True)
def _join_equal(
    graph: Quotient, lists: Int64Array, first: int, following: Int64Array, stamp: int
) -> int:
    """Join the variables of one bucket that have equal lists; return the stamp used last."""
    i = first
    while i != -1:
        stamp += 1
        for e in lists[graph.start[i] : graph.start[i] + graph.length[i]]:
            graph.seen[e] = stamp
        last, j = i, following[i]
        while j != -1:
            same = graph.length[j] == graph.length[i] and graph.n_elements[j] == graph.n_elements[i]
            k = graph.start[j]
            while same and k < graph.start[j] + graph.length[j]:
                same = graph.seen[lists[k]] == stamp
                k += 1
            if same:
                graph.joined_to[j], graph.state[j] = i, GONE
                graph.weight[i] += graph.weight[j]
                graph.weight[j] = 0
                following[last] = following[j]
            else:
                last = j
            j = following[j]
        i = following[i]
    return stamp


@njit(cache=True)
def _close_element(
    graph: Quotient, lists: Int64Array, pivot: int, left: int, low: int
) -> tuple[int, int]:
    """Keep the members that are left, in the list of their degree; return its end and ``low``."""
    begin = graph.start[pivot]
    keep = begin
    for i in lists[begin : begin + graph.length[pivot]]:
        if graph.weight[i] < 0:
            weight = -graph.weight[i]
            graph.weight[i] = weight
            bound = graph.degree[i] + graph.degree[pivot] - weight
            graph.degree[i] = min(bound, left - weight)
            _link(graph, i)
            low = min(low, graph.degree[i])
            lists[keep] = i
            keep += 1
    graph.length[pivot] = keep - begin
    if keep == begin:
        graph.state[pivot] = GONE
    return keep, low


@njit(cache=True)
def _ranks_of_joined(rank: Int64Array, joined_to: Int64Array) -> Int64Array:
    """Give nodes that were joined to another the rank of that one."""
    for i in range(rank.size):
        root = i
        while joined_to[root] != -1:
            root = joined_to[root]
        j = i
        while joined_to[j] != -1:  # shorten the path for those who come after
            joined_to[j], j = root, joined_to[j]
        rank[i] = rank[root]
    return rank


@njit(cache=True)
def _compacted(graph: Quotient, lists: Int64Array) -> tuple[Int64Array, int]:
    """Return the lists still in use, moved to the front of a new array, and where that ends."""
    out, free = np.empty_like(lists), 0
    for i in range(graph.start.size):
        if graph.state[i] != GONE:
            begin, graph.start[i] = graph.start[i], free
            for p in range(begin, begin + graph.length[i]):
                out[free] = lists[p]
                free += 1
    return out, free
