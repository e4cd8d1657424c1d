"""Average information of one grouping factor: sums over its levels instead of solves.

With s_(r, c) = e_r u_c + Lambda e_c h_r for the entry (r, c) of Lambda, M = Lambda'A Lambda + I and
P = Z_j'V^-1Z_j of a level, where A = Z_j'WZ_j,

    P Lambda = A Lambda M^-1,    Lambda'P Lambda = I - M^-1,

so s_i'P s_j is a sum of four products of an entry of u u', u h' or h h' with one of these matrices,
and their sums over levels are matrix products of q squared rows. A solve would have as many columns
as Lambda has entries.
"""

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.linalg.stacked import product_stack


def entry_information(
    A: FloatArray, Lambda: FloatArray, inverse: FloatArray, *, u: FloatArray, h: FloatArray
) -> FloatArray:
    """s_i'Z'V^-1Z s_j for all pairs of entries of Lambda, shape (T, q, q, q, q): i, then j.

    Parameters
    ----------
    A : array, shape (J, q, q), Z_j'WZ_j
    Lambda : array, shape (T, q, q)
    inverse : array, shape (T, J, q, q), M^-1
    u, h : arrays, shape (T, J, q)
    """
    scaled = product_stack(A, Lambda[:, None])
    right = product_stack(scaled, inverse)
    whole = A - product_stack(right, scaled.swapaxes(2, 3))
    both = np.eye(A.shape[-1]) - inverse
    column, row = u[..., None], h[..., None, :]
    squares = _sums(column * u[..., None, :], whole).transpose(0, 3, 1, 4, 2)
    squares = squares + _sums(h[..., None] * row, both).transpose(0, 1, 3, 2, 4)
    crossed = _sums(column * row, right).transpose(0, 3, 1, 2, 4)
    return np.asarray(squares + crossed + crossed.transpose(0, 3, 4, 1, 2))


def _sums(a: FloatArray, b: FloatArray) -> FloatArray:
    """Sum over J of all products of an entry of a with one of b (T, J, q, q): (T, q, q, q, q)."""
    T, J, q = a.shape[:3]
    flat = np.swapaxes(a.reshape(T, J, q * q), 1, 2) @ b.reshape(T, J, q * q)
    return np.asarray(flat.reshape(T, q, q, q, q))
