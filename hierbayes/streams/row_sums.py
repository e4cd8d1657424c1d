"""Sums over the rows of a batch, compiled: cross-products, in all and by level, and moments.

A row is put in the basis of the sums where it is read, so that a batch costs one pass over its
columns; the lock of the interpreter is free meanwhile. Imports numba: only streams import it.
"""

import numpy as np
from numba import njit

EMPTY = -1  # a place of a table of pairs that holds none
FULL = 0.5  # part of the places that may be taken


@njit(cache=True, nogil=True)
def add_rows(  # type: ignore[no-untyped-def]
    X, left, Z, codes, weights, basis, beta0, z_basis, ends, total, sums, starts
):
    """Add [X1 r]'W[X1 r] to total (p + 1, p + 1) and each level's Z1'W[Z1 X1 r] to sums.

    X (p, n), left (n,), Z (Q, n) the columns of all factors, codes (F, n), weights (n,) or (0,);
    X1 = X basis, r = left - X beta0, Z1 = Z z_basis; the columns of factor f end at ``ends[f]``.
    In sums a level of factor f has q (q + 1) / 2 + q (p + 1) places from ``starts[f]`` on.
    """
    p, n = X.shape
    F = codes.shape[0]
    x = np.empty(p + 1)
    z = np.empty(Z.shape[0])
    weighed = weights.size > 0
    for i in range(n):
        r = left[i]
        for a in range(p):
            s = 0.0
            for k in range(a + 1):
                s += X[k, i] * basis[k, a]
            x[a] = s
            r -= X[a, i] * beta0[a]
        x[p] = r
        w = weights[i] if weighed else 1.0
        for a in range(p + 1):
            own = w * x[a]
            for b in range(a + 1):
                total[a, b] += own * x[b]
        first = 0
        for f in range(F):
            end = ends[f]
            q = end - first
            for a in range(first, end):
                s = 0.0
                for k in range(first, end):
                    s += Z[k, i] * z_basis[k, a]
                z[a] = s
            at = starts[f] + codes[f, i] * (q * (q + 1) // 2 + q * (p + 1))
            for a in range(first, end):
                own = w * z[a]
                for b in range(first, a + 1):
                    sums[at] += own * z[b]
                    at += 1
                for b in range(p + 1):
                    sums[at] += own * x[b]
                    at += 1
            first = end


@njit(cache=True, nogil=True)
def add_pairs(  # type: ignore[no-untyped-def]
    first, second, Zf, Zg, weights, n_second, keys, blocks, taken, begin
):
    """Add Z_f'WZ_g of rows from ``begin`` on to a table of pairs of levels.

    Zf (q_f, n) and Zg (q_g, n) are in their bases; keys (m,) and blocks (m, q_f, q_g), m a power of
    two, are the table, ``taken`` (1,) its number of pairs. Returns the row before which the table
    was full, n if it never was.
    """
    n = first.size
    mask = keys.size - 1
    most = int(FULL * keys.size)
    weighed = weights.size > 0
    for i in range(begin, n):
        key = first[i] * n_second + second[i]
        place = _place(key, keys, mask)
        if keys[place] == EMPTY:
            if taken[0] >= most:
                return i
            keys[place] = key
            taken[0] += 1
        w = weights[i] if weighed else 1.0
        for a in range(Zf.shape[0]):
            own = w * Zf[a, i]
            for b in range(Zg.shape[0]):
                blocks[place, a, b] += own * Zg[b, i]
    return n


@njit(cache=True, nogil=True)
def _place(key, keys, mask):  # type: ignore[no-untyped-def]
    """Return the place of a key in a table, or the empty one where it belongs."""
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    place = np.int64((mixed >> np.uint64(20)) & np.uint64(mask))
    while keys[place] != EMPTY and keys[place] != key:
        place = (place + 1) & mask
    return place


@njit(cache=True, nogil=True)
def move_pairs(keys, blocks, into_keys, into_blocks):  # type: ignore[no-untyped-def]
    """Put the pairs of one table into a larger, empty one."""
    mask = into_keys.size - 1
    for i in range(keys.size):
        if keys[i] != EMPTY:
            place = _place(keys[i], into_keys, mask)
            into_keys[place] = keys[i]
            into_blocks[place] = blocks[i]


@njit(cache=True, nogil=True)
def in_basis(Z, basis):  # type: ignore[no-untyped-def]
    """Columns Z (q, n) in a basis (q, q): (q, n)."""
    q, n = Z.shape
    out = np.empty((q, n))
    for a in range(q):
        for i in range(n):
            s = 0.0
            for k in range(q):
                s += Z[k, i] * basis[k, a]
            out[a, i] = s
    return out


@njit(cache=True, nogil=True)
def column_sums(column, shift):  # type: ignore[no-untyped-def]
    """Sum and sum of squares of a column (n,) about ``shift``, its smallest and largest value."""
    first = second = 0.0
    low, high = np.inf, -np.inf
    for value in column:
        own = value - shift
        first += own
        second += own * own
        low = min(low, value)
        high = max(high, value)
    return first, second, low, high
