"""Where the Cholesky factor of a sparse symmetric matrix has entries, in blocks of equal columns.

Row i of the factor has an entry in column k where i is joined to k or to something eliminated
before k, below it in the elimination tree. Neighbouring columns with the same rows below them form
a *supernode*: it is stored as one dense panel, so that the work is done by dense products. Columns
whose rows are nearly the same are put together too, at the price of some stored zeros.

Works on the graph of nodes that stand for one or more columns each, so that the levels of a
grouping factor with q columns are handled once and not q times. Knows no numbers.

Source: Liu (1990), SIAM J. Matrix Anal. Appl. 11(1):134 (elimination trees); Ashcraft & Grimes
(1989), ACM Trans. Math. Softw. 15(4):291 (relaxed supernodes). Imports numba, so import this module
only where it is used.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from hierbayes.arrays import FloatArray, Int64Array, record
from hierbayes.linalg.minimum_degree import minimum_degree

# A panel is at most this wide: wide enough for BLAS, and what is done by simple loops (the
# triangles on the diagonal) stays a small part of the work.
WIDEST = 96
# Supernodes up to this wide may be joined if at most this part of the joined panel is zeros that
# need not be stored: narrow panels gain most from company.
ALLOWED_ZEROS = ((8.0, 0.8), (32.0, 0.3), (np.inf, 0.08))


class Panels(NamedTuple):
    """The supernodes of a factor with n columns, in order of elimination.

    Attributes
    ----------
    first : array, shape (S + 1,), the first column of each; the last entry is n
    row_start : array, shape (S + 1,), where each one's part of ``rows`` begins
    rows : the rows of each below its own columns, ascending
    panel_start : array, shape (S + 1,), where each panel begins in the stored numbers: a matrix
        with a row for each of its columns and then of its rows, stored row by row
    owner : array, shape (n,), the supernode of each column
    """

    first: Int64Array
    row_start: Int64Array
    rows: Int64Array
    panel_start: Int64Array
    owner: Int64Array


@record
class Pattern:
    """Order of elimination and the supernodes of the factor.

    Attributes
    ----------
    place : array, shape (nodes,), the position of each node's first column in the order
    panels : the supernodes
    n_entries : numbers to store
    n_flops : multiplications and additions of one factorisation
    """

    place: Int64Array
    panels: Panels
    n_entries: int
    n_flops: float


class TooManyEntriesError(Exception):
    """The factor would hold more numbers than allowed."""


def pattern_of(
    starts: Int64Array, neighbours: Int64Array, weights: Int64Array, *, largest: int
) -> Pattern:
    """Order of elimination and pattern of the factor of a graph.

    Parameters
    ----------
    starts, neighbours : arrays of int64, shapes (n + 1,) and (m,)
        Neighbours of node i are ``neighbours[starts[i]:starts[i + 1]]``; both directions of an
        edge are listed and no node is its own neighbour.
    weights : array of int64, shape (n,)
        Number of columns of each node.
    largest : int
        How many entries the factor may have.

    Raises
    ------
    TooManyEntriesError
        If it has more.
    """
    order = minimum_degree(starts, neighbours, weights)
    rank = _rank(order)
    parent = _tree(starts, neighbours, order, rank)
    sizes = _column_sizes(starts, neighbours, order, rank, parent, weights, largest)
    if sizes.size < order.size:
        raise TooManyEntriesError(f"the factor has more than {largest} entries")
    after = _postorder(parent, np.argsort(-sizes, kind="stable"))
    order, sizes = order[after], sizes[after]
    parent = np.append(_rank(after), -1)[parent[after]]
    width = weights[order]
    first_nodes, height = _supernodes(parent, sizes, width)
    node_rows, n_rows = _rows(starts, neighbours, order, parent, first_nodes, height)
    columns = np.concatenate([[0], np.cumsum(width)])
    panels = _panels(columns, width, first_nodes, node_rows, n_rows)
    place = np.empty_like(order)
    place[order] = columns[:-1]
    w = np.diff(panels.first).astype(float)
    u = np.diff(panels.row_start)
    return Pattern(
        place=place,
        panels=panels,
        n_entries=int(panels.panel_start[-1]),
        n_flops=float((w**3 / 3 + w**2 * u + w * u.astype(float) ** 2).sum()),
    )


def positions(panels: Panels, row: Int64Array, column: Int64Array) -> Int64Array:
    """Where entries (row, column) of the symmetric matrix are stored; in either triangle."""
    found = _positions(panels, np.maximum(row, column).ravel(), np.minimum(row, column).ravel())
    return np.asarray(found.reshape(row.shape))


@njit(cache=True)
def _positions(panels: Panels, row: Int64Array, column: Int64Array) -> Int64Array:
    out = np.empty(row.size, np.int64)
    for m in range(row.size):
        s = panels.owner[column[m]]
        first = panels.first[s]
        width = panels.first[s + 1] - first
        i = row[m] - first
        if i >= width:
            rows = panels.rows[panels.row_start[s] : panels.row_start[s + 1]]
            i = width + np.searchsorted(rows, row[m])
        out[m] = panels.panel_start[s] + i * width + column[m] - first
    return out


@njit(cache=True)
def _tree(
    starts: Int64Array, neighbours: Int64Array, order: Int64Array, rank: Int64Array
) -> Int64Array:
    """Parent of each node in the elimination tree, by order; -1 for a root."""
    n = order.size
    parent, ancestor = np.full(n, -1), np.full(n, -1)
    for i in range(n):
        node = order[i]
        for j in neighbours[starts[node] : starts[node + 1]]:
            k = rank[j]
            while k != -1 and k < i:
                k_next = ancestor[k]
                ancestor[k] = i
                if k_next == -1:
                    parent[k] = i
                k = k_next
    return parent


@njit(cache=True)
def _column_sizes(
    starts: Int64Array,
    neighbours: Int64Array,
    order: Int64Array,
    rank: Int64Array,
    parent: Int64Array,
    weights: Int64Array,
    largest: int,
) -> Int64Array:
    """Entries in the first column of each node, by order; empty when there are too many."""
    n = order.size
    sizes, seen = weights[order], np.full(n, -1)
    total = 0
    for i in range(n):
        node = order[i]
        seen[i] = i
        for j in neighbours[starts[node] : starts[node + 1]]:
            k = rank[j]
            while k < i and seen[k] != i:
                seen[k] = i
                sizes[k] += weights[node]
                total += weights[node] * weights[order[k]]
                k = parent[k]
        if total > largest:
            return sizes[:0]
    return sizes


@njit(cache=True)
def _postorder(parent: Int64Array, descending: Int64Array) -> Int64Array:
    """Order of the nodes in which each subtree is in one piece, its longest column last."""
    n = parent.size
    child, sibling = np.full(n, -1), np.full(n, -1)
    root = -1
    for i in descending:  # put in front: the longest comes last
        if parent[i] == -1:
            sibling[i], root = root, i
        else:
            sibling[i], child[parent[i]] = child[parent[i]], i
    out, count, i = np.empty(n, np.int64), 0, root
    while i != -1:
        while child[i] != -1:
            i = child[i]
        out[count] = i
        count += 1
        while sibling[i] == -1 and parent[i] != -1:
            i = parent[i]
            out[count] = i
            count += 1
        i = sibling[i]
    return out


def _rank(order: Int64Array) -> Int64Array:
    """Position of each node in the order."""
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    return rank


@njit(cache=True)
def _supernodes(
    parent: Int64Array, sizes: Int64Array, width: Int64Array
) -> tuple[Int64Array, Int64Array]:
    """First node of each supernode (with the number of nodes at the end) and its height."""
    n = parent.size
    first, height = np.empty(n + 1, np.int64), np.empty(n, np.int64)
    columns, entries = np.zeros(n), np.zeros(n)  # entries: those that have to be stored
    top = -1
    for j in range(n):
        stored = width[j] * (sizes[j] - (width[j] - 1) / 2)
        if top >= 0 and parent[j - 1] == j and sizes[j] == sizes[j - 1] - width[j - 1]:
            columns[top] += width[j]
            entries[top] += stored
            continue
        top = _joined(parent, first, height, columns, entries, top, j)
        top += 1
        first[top], height[top], columns[top], entries[top] = j, sizes[j], width[j], stored
    top = _joined(parent, first, height, columns, entries, top, n)
    first[top + 1] = n
    return first[: top + 2], height[: top + 1]


@njit(cache=True)
def _joined(
    parent: Int64Array,
    first: Int64Array,
    height: Int64Array,
    columns: FloatArray,
    entries: FloatArray,
    top: int,
    end: int,
) -> int:
    """Join the last supernode (up to node ``end``) with the ones before, where that is cheap."""
    while top > 0:
        above = parent[first[top] - 1]
        if above == -1 or above >= end:
            break
        wide = columns[top] + columns[top - 1]
        high = columns[top - 1] + height[top]
        stored = wide * (high - (wide - 1) / 2)
        zeros = 1 - (entries[top] + entries[top - 1]) / stored
        allowed = 0.0
        for limit, part in ALLOWED_ZEROS:
            if wide <= limit:
                allowed = part
                break
        if zeros > allowed:
            break
        top -= 1
        height[top], columns[top] = high, wide
        entries[top] += entries[top + 1]
    return top


def _rows(
    starts: Int64Array,
    neighbours: Int64Array,
    order: Int64Array,
    parent: Int64Array,
    first: Int64Array,
    height: Int64Array,
) -> tuple[Int64Array, Int64Array]:
    """Nodes below each supernode, ascending, one after the other, and how many each has."""
    owner = np.repeat(np.arange(height.size), np.diff(first))
    begin = np.concatenate([[0], np.cumsum(height)])  # more room than needed: nodes, not columns
    rows = np.empty(begin[-1], np.int64)
    counts = _collect(starts, neighbours, order, _rank(order), parent, first, owner, begin, rows)
    at = np.repeat(begin[:-1] - (np.cumsum(counts) - counts), counts)
    rows = rows[at + np.arange(at.size)]
    of = np.repeat(np.arange(counts.size), counts)
    return rows[np.lexsort((rows, of))], counts


@njit(cache=True)
def _collect(
    starts: Int64Array,
    neighbours: Int64Array,
    order: Int64Array,
    rank: Int64Array,
    parent: Int64Array,
    first: Int64Array,
    owner: Int64Array,
    begin: Int64Array,
    rows: Int64Array,
) -> Int64Array:
    """Write the nodes below supernode s to ``rows`` from ``begin[s]`` on; return how many."""
    S = first.size - 1
    child, sibling, seen = np.full(S, -1), np.full(S, -1), np.full(order.size, -1)
    counts = np.zeros(S, np.int64)
    for s in range(S):
        free, end = begin[s], first[s + 1]
        for j in range(first[s], end):
            for p in range(starts[order[j]], starts[order[j] + 1]):
                i = rank[neighbours[p]]
                if i >= end and seen[i] != s:
                    seen[i], rows[free] = s, i
                    free += 1
        c = child[s]
        while c != -1:
            for p in range(begin[c], begin[c] + counts[c]):
                i = rows[p]
                if i >= end and seen[i] != s:
                    seen[i], rows[free] = s, i
                    free += 1
            c = sibling[c]
        counts[s] = free - begin[s]
        above = parent[end - 1]
        if above != -1:
            sibling[s], child[owner[above]] = child[owner[above]], s
    return counts


def _panels(
    columns: Int64Array,
    width: Int64Array,
    first: Int64Array,
    node_rows: Int64Array,
    n_rows: Int64Array,
) -> Panels:
    """Supernodes in columns instead of nodes, the wide ones cut into panels."""
    counts = width[node_rows]
    rows = np.repeat(columns[node_rows] - (np.cumsum(counts) - counts), counts)
    rows += np.arange(rows.size)
    edges = np.concatenate([[0], np.cumsum(counts)])
    ends = edges[np.cumsum(n_rows)]
    starts = np.concatenate([[0], ends[:-1]])
    wide = np.diff(columns[first])
    pieces = -(-wide // WIDEST)
    of = np.repeat(np.arange(wide.size), pieces)
    piece = np.arange(of.size) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begin = columns[first[of]] + wide[of] * piece // pieces[of]
    end = columns[first[of]] + wide[of] * (piece + 1) // pieces[of]
    below = columns[first[of + 1]] - end  # columns of the same supernode in later panels
    row_start = np.concatenate([[0], np.cumsum(below + (ends - starts)[of])])
    tall = end - begin + np.diff(row_start)
    return Panels(
        first=np.append(begin, columns[-1]),
        row_start=row_start,
        rows=_cut_rows(rows, starts[of], end, below, row_start),
        panel_start=np.concatenate([[0], np.cumsum((end - begin) * tall)]),
        owner=np.repeat(np.arange(of.size), end - begin),
    )


@njit(cache=True)
def _cut_rows(
    rows: Int64Array, starts: Int64Array, end: Int64Array, below: Int64Array, row_start: Int64Array
) -> Int64Array:
    """Rows of each panel: the later columns of its own supernode, then the supernode's rows."""
    out = np.empty(row_start[-1], np.int64)
    for s in range(end.size):
        middle = row_start[s] + below[s]
        for i in range(below[s]):
            out[row_start[s] + i] = end[s] + i
        size = row_start[s + 1] - middle
        for i in range(size):
            out[middle + i] = rows[starts[s] + i]
    return out
