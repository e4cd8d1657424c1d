"""Sums of products as if computed in twice the precision: where large terms nearly cancel.

Every product is split into its rounded value and the error of the rounding, both exactly
representable, and every addition likewise; the errors are summed beside.

Source: Ogita, Rump & Oishi (2005), SIAM J. Sci. Comput. 26:1955, algorithms TwoProduct and Dot2.
"""

import numpy as np

from hierbayes.arrays import FloatArray

SPLIT = 2.0**27 + 1.0  # halves the 53 digits of a float


def exact_product(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the rounded product of two arrays and the error of the rounding."""
    rounded = np.asarray(a * b)
    a_high, a_low = _halves(a)
    b_high, b_low = _halves(b)
    error = a_low * b_low - (((rounded - a_high * b_high) - a_low * b_high) - a_high * b_low)
    return rounded, np.asarray(error)


def accurate_matmul(A: FloatArray, B: FloatArray) -> FloatArray:
    """Return A @ B for A (..., m, k) and B (k, n), each sum as if in twice the precision.

    Meant for small k: one step of arrays for each term.
    """
    total = np.zeros((*A.shape[:-1], B.shape[1]))
    lost = np.zeros_like(total)
    for k in range(B.shape[0]):
        term, error = exact_product(A[..., k, None], B[k])
        new = total + term
        part = new - total
        lost += (total - (new - part)) + (term - part) + error
        total = new
    return total + lost


def _halves(a: FloatArray) -> tuple[FloatArray, FloatArray]:
    scaled = SPLIT * a
    high = scaled - (scaled - a)
    return high, a - high
