"""Products of columns of Z and values of the rows, added up where levels meet; compiled.

Imports numba: only samplers import it.
"""

from numba import njit


@njit(cache=True, nogil=True)
def add_rows(values, z, codes, out):  # type: ignore[no-untyped-def]
    """Add Z'r of rows r (T, n) to out (T, J, q), with z (q, n)."""
    T, n = values.shape
    for t in range(T):
        for i in range(n):
            for a in range(z.shape[0]):
                out[t, codes[i], a] += z[a, i] * values[t, i]


@njit(cache=True, nogil=True)
def add_products(weight, left, right, rows, columns, out):  # type: ignore[no-untyped-def]
    """Add Z_l'WZ_r for weights W (T, n) to out (T, r, c).

    The columns left (q_l, n) and right (q_r, n) of a row belong into rows from ``rows[i]`` and
    columns from ``columns[i]`` on.
    """
    T, n = weight.shape
    for t in range(T):
        for i in range(n):
            for a in range(left.shape[0]):
                own = left[a, i] * weight[t, i]
                for b in range(right.shape[0]):
                    out[t, rows[i] + a, columns[i] + b] += own * right[b, i]
