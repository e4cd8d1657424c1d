"""Which columns of a matrix are independent, and a basis in which they are orthogonal.

As in R, of a dependent set the later column is dropped.
"""

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.linalg.stacked import cholesky, inverse_of_triangles

# R's lm and lme4 call a column dependent when less than 1e-7 of its length is left after the
# earlier columns are projected out. The Gram matrix squares that, so it decides alone only while
# every remainder is far above sqrt(machine precision); otherwise a QR factorisation decides.
RANK_TOLERANCE = 1e-7
GRAM_SAFE = 1e-5
LOST = 1e-10  # part of the largest eigenvalue of X'X below which a direction has no rows left


@record(kw_only=False)
class ColumnBasis:
    """Independent columns and the map to an orthogonal basis of their span.

    Attributes
    ----------
    kept : array of int, positions of the independent columns, in order
    to_basis : array, shape (p, p), upper triangular T with (X T)'(X T) = n I for the kept columns
    """

    kept: IntArray
    to_basis: FloatArray


def column_basis(X: FloatArray) -> ColumnBasis:
    """Independent columns of X (n, p) and their orthogonal basis; zero columns are dependent."""
    n, p = X.shape
    if p == 0:
        return ColumnBasis(np.arange(0), np.zeros((0, 0)))
    gram = X.T @ X
    scale = np.sqrt(gram.diagonal())
    if (scale > 0).all():
        try:
            lower = cholesky(gram / scale / scale[:, None])
        except np.linalg.LinAlgError:
            lower = np.zeros((p, p))
        if lower.diagonal().min() > GRAM_SAFE:
            T = inverse_upper(lower.T * scale) * np.sqrt(n)
            return ColumnBasis(np.arange(p), T)
    return _basis_by_qr(X, scale)


def has_lost_directions(gram: FloatArray) -> bool:
    """Whether some of the rows that chose a basis leave columns of it dependent, by X'X (p, p)."""
    size = np.linalg.eigvalsh(gram)
    return bool(size.size and size[0] <= LOST * size[-1])


def columns_beside_constant(X: FloatArray, is_constant: BoolArray) -> IntArray:
    """Positions of the columns of X (n, p) that are independent of each other and of a constant.

    ``is_constant`` (p,) marks columns that are the constant, which are left out.
    """
    rest = np.flatnonzero(~is_constant)
    kept = column_basis(np.column_stack([np.ones(X.shape[0]), X[:, rest]])).kept
    return np.asarray(rest[kept[kept > 0] - 1])


def _basis_by_qr(X: FloatArray, scale: FloatArray) -> ColumnBasis:
    kept = np.flatnonzero(scale > 0)
    while True:
        R = np.linalg.qr(X[:, kept] / scale[kept], mode="r")
        dependent = np.flatnonzero(np.abs(np.diag(R)) < RANK_TOLERANCE)
        if R.shape[0] < kept.size:  # more columns than rows: those beyond are dependent
            dependent = np.append(dependent, R.shape[0])
        if not dependent.size:
            return ColumnBasis(kept, inverse_upper(R * scale[kept]) * np.sqrt(X.shape[0]))
        # after the first dependent column the factor holds noise: drop that one and look again
        kept = np.delete(kept, dependent[0])


def inverse_upper(R: FloatArray) -> FloatArray:
    """Inverse of an upper triangle (p, p); numpy alone, so that a fit need not import scipy.

    There is no row to pivot on, so below the diagonal it is exactly zero.
    """
    return inverse_of_triangles(R.T).T
