"""Sums over the rows of a batch, compiled: cross-products, in all and by level, and moments.

A row is put in the basis of the sums where it is read, so that a batch costs one pass over its
columns; the lock of the interpreter is free meanwhile. Imports numba: only streams import it.
"""

import numpy as np
from numba import njit

EMPTY = -1  # a place of a table of pairs that holds none
# Rows that are put in an order in which levels of one neighbourhood come together, so that their
# sums stay in the cache: of 50,000 levels at random a row costs four times as much.
CHUNK = 131_072
FULL = 0.5  # part of the places that may be taken


@njit(cache=True, nogil=True)
def near_levels(  # type: ignore[no-untyped-def]
    X, left, Z, codes, weights, begin, end, shift, rows, levels
):
    """Copy rows from ``begin`` to ``end``, those of one neighbourhood of levels together.

    A neighbourhood are the levels of the first factor that agree but for ``shift`` bits; a negative
    shift leaves the order. Rows (m, p + 1 + Q + 1) get X, left, Z and weight, levels (m, F) codes.
    """
    p, Q, F = X.shape[0], Z.shape[0], codes.shape[0]
    near = shift >= 0 and F > 0
    most = 0
    if near:
        for i in range(begin, end):
            most = max(most, codes[0, i] >> shift)
    places = np.zeros(most + 2, dtype=np.int64)
    if near:
        for i in range(begin, end):
            places[(codes[0, i] >> shift) + 1] += 1
        for k in range(most + 1):
            places[k + 1] += places[k]
    for i in range(begin, end):
        k = codes[0, i] >> shift if near else 0
        at = places[k]
        places[k] += 1
        for a in range(p):
            rows[at, a] = X[a, i]
        rows[at, p] = left[i]
        for a in range(Q):
            rows[at, p + 1 + a] = Z[a, i]
        rows[at, p + 1 + Q] = weights[i] if weights.size > 0 else 1.0
        for f in range(F):
            levels[at, f] = codes[f, i]


@njit(cache=True, nogil=True)
def add_rows(  # type: ignore[no-untyped-def]
    X, left, Z, codes, weights, basis, beta0, z_basis, ends, total, sums, starts, n_levels, counts,
    grams, shift
):  # fmt: skip
    """Add [X1 r]'W[X1 r] to total (p + 1, p + 1) and each level's Z1'W[Z1 X1 r] to sums.

    X (p, n), left (n,), Z (Q, n) the columns of all factors, codes (F, n), weights (n,) or (0,);
    X1 = X basis, r = left - X beta0, Z1 = Z z_basis; the columns of factor f end at ``ends[f]``.
    In sums a level of factor f has q (q + 1) / 2 + q (p + 1) places from ``starts[f]`` on. Rows of
    level j of factor f are counted in counts[first + j], where earlier factors have ``first``
    levels, and grams (levels, m) gets each level's [X1 r]'W[X1 r], by triangle; m is 0 for none.
    ``shift`` is that of ``near_levels``.
    """
    n = left.size
    size = min(n, CHUNK)
    rows = np.empty((size, X.shape[0] + Z.shape[0] + 2))
    levels = np.empty((size, codes.shape[0]), dtype=np.int64)
    for begin in range(0, n, CHUNK):
        end = min(begin + CHUNK, n)
        near_levels(X, left, Z, codes, weights, begin, end, shift, rows, levels)
        _add_copies(
            rows[: end - begin], levels, basis, beta0, z_basis, ends, total, sums, starts,
            n_levels, counts, grams
        )  # fmt: skip


@njit(cache=True, nogil=True)
def _add_copies(  # type: ignore[no-untyped-def]
    rows, levels, basis, beta0, z_basis, ends, total, sums, starts, n_levels, counts, grams
):
    """Add rows as ``near_levels`` has copied them."""
    p = beta0.size
    Q, F = z_basis.shape[0], levels.shape[1]
    x, z = np.empty(p + 1), np.empty(Q)
    with_grams = grams.shape[1] > 0
    for i in range(rows.shape[0]):
        r = rows[i, p]
        for a in range(p):
            s = 0.0
            for k in range(a + 1):
                s += rows[i, k] * basis[k, a]
            x[a] = s
            r -= rows[i, a] * beta0[a]
        x[p] = r
        w = rows[i, p + 1 + Q]
        for a in range(p + 1):
            own = w * x[a]
            for b in range(a + 1):
                total[a, b] += own * x[b]
        first = 0
        level = 0
        for f in range(F):
            end = ends[f]
            q = end - first
            own_level = level + levels[i, f]
            counts[own_level] += 1
            if with_grams:
                k = 0
                for a in range(p + 1):
                    own = w * x[a]
                    for b in range(a + 1):
                        grams[own_level, k] += own * x[b]
                        k += 1
            level += n_levels[f]
            for a in range(first, end):
                s = 0.0
                for k in range(first, end):
                    s += rows[i, p + 1 + k] * z_basis[k, a]
                z[a] = s
            at = starts[f] + levels[i, f] * (q * (q + 1) // 2 + q * (p + 1))
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
