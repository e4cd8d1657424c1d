"""Stacks of small matrices: Cholesky factors, triangular solves, congruences.

A stack is an array of shape (..., J, q, q): J small matrices, usually one a level of a grouping
factor, with any number of leading batch axes. q is a handful and J may be a hundred thousand, so
up to ``UNROLLED`` rows the loops run over rows of the small matrices and each step is one vector
operation over the whole stack; above that, and for ``FEW`` matrices, LAPACK runs once a matrix.
"""

import math
from functools import cached_property

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.linalg.tiny import cholesky_of_one, inverse_of_one, is_tiny

UNROLLED = 3  # up to here q^3 vector operations beat J calls of LAPACK
FEW = 40  # but not so few: one call from Python costs as much as twenty of LAPACK's
NOT_POSITIVE = "a matrix of the stack is not positive definite"


def are_few(A: FloatArray) -> bool:
    """Whether a stack (..., q, a) has so few matrices that each may be a call of its own."""
    return A.size <= FEW * A.shape[-2] * A.shape[-1]


def cholesky(A: FloatArray) -> FloatArray:
    """Lower Cholesky factors of matrices (..., q, q), of which there may be one.

    Raises
    ------
    numpy.linalg.LinAlgError
        If one of the matrices is not positive definite.
    """
    return cholesky_of_one(A) if is_tiny(A) else np.linalg.cholesky(A)


def cholesky_stack(A: FloatArray) -> FloatArray:
    """Lower Cholesky factors of a stack of positive-definite matrices, shape (..., J, q, q).

    Raises
    ------
    numpy.linalg.LinAlgError
        If one of the matrices is not positive definite.
    """
    q = A.shape[-1]
    if q == 1:
        if not (A > 0).all():
            raise np.linalg.LinAlgError(NOT_POSITIVE)
        return np.sqrt(A)
    if q > UNROLLED or are_few(A):
        L = np.linalg.cholesky(A)
        if math.isnan(L[..., -1:, -1:].sum()):  # of which LAPACK says nothing
            raise np.linalg.LinAlgError(NOT_POSITIVE)
        return L
    L = np.zeros_like(A)
    for j in range(q):
        pivot = A[..., j, j]
        for k in range(j):
            pivot = pivot - L[..., j, k] ** 2
        if not (pivot > 0).all():
            raise np.linalg.LinAlgError(NOT_POSITIVE)
        diagonal = np.sqrt(pivot)
        L[..., j, j] = diagonal
        for i in range(j + 1, q):
            entry = A[..., i, j]
            for k in range(j):
                entry = entry - L[..., i, k] * L[..., j, k]
            L[..., i, j] = entry / diagonal
    return L


def solve_lower_stack(L: FloatArray, B: FloatArray) -> FloatArray:
    """Solve L X = B for stacks of lower triangles (..., J, q, q) and of right sides (..., q, c)."""
    q = L.shape[-1]
    if q == 1:
        return np.asarray(B / L)
    X = _solution_of(L, B)
    for i in range(q):
        row = B[..., i, :]
        if q <= UNROLLED:
            for k in range(i):
                row = row - L[..., i, k, None] * X[..., k, :]
        elif i:
            row = row - (L[..., i : i + 1, :i] @ X[..., :i, :])[..., 0, :]
        X[..., i, :] = row / L[..., i, i, None]
    return X


def solve_upper_stack(L: FloatArray, B: FloatArray) -> FloatArray:
    """Solve L' X = B for stacks of lower triangles (..., J, q, q) and right sides (..., q, c)."""
    q = L.shape[-1]
    if q == 1:
        return np.asarray(B / L)
    X = _solution_of(L, B)
    for i in reversed(range(q)):
        row = B[..., i, :]
        if q <= UNROLLED:
            for k in range(i + 1, q):
                row = row - L[..., k, i, None] * X[..., k, :]
        elif i < q - 1:
            below = L[..., i + 1 :, i : i + 1]
            row = row - (below.swapaxes(-1, -2) @ X[..., i + 1 :, :])[..., 0, :]
        X[..., i, :] = row / L[..., i, i, None]
    return X


def _solution_of(L: FloatArray, B: FloatArray) -> FloatArray:
    """Make room for the solution of L X = B; matrices may have no rows."""
    leading, own = L.shape[:-2], B.shape[:-2]
    if own and own != leading:
        leading = np.broadcast_shapes(leading, own)
    return np.empty((*leading, *B.shape[-2:]))


def inverse_of_triangles(L: FloatArray) -> FloatArray:
    """Inverses of a stack of lower triangles, (..., q, q), each row's own unit whatever it is.

    A general inverse pivots: on the row with the largest unit, which costs the others their digits.
    """
    if L.shape[-1] == 1:
        return np.asarray(1.0 / L)
    if is_tiny(L):
        return inverse_of_one(L)
    if are_few(L):  # the inverse of an upper triangle has no row to pivot on
        return np.linalg.inv(L.swapaxes(-1, -2)).swapaxes(-1, -2)
    return solve_lower_stack(L, np.eye(L.shape[-1]))


class Triangles:
    """A stack of lower triangles L (..., q, q) to solve with, again and again.

    Few are inverted once, and a solve is then one product; if it must be, they are not.
    """

    def __init__(self, L: FloatArray, *, inverted: bool = True) -> None:
        self.L = L
        self._is_inverted = inverted and L.shape[-1] > 1 and are_few(L)

    @cached_property
    def inverse(self) -> FloatArray:
        """L^-1."""
        return inverse_of_triangles(self.L)

    def solve(self, B: FloatArray) -> FloatArray:
        """L^-1 B for right sides (..., q, c)."""
        if self._is_inverted:
            return product_stack(self.inverse, B)
        return solve_lower_stack(self.L, B)

    def solve_transposed(self, B: FloatArray) -> FloatArray:
        """L'^-1 B for right sides (..., q, c)."""
        if self._is_inverted:
            return transposed_product(self.inverse, B)
        return solve_upper_stack(self.L, B)


def inverse_stack(L: FloatArray) -> FloatArray:
    """Inverses of L L' for a stack of lower triangles, shape (..., J, q, q)."""
    return gram_stack(inverse_of_triangles(L))


def inverse_and_log_det(A: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Inverses (T, q, q) and log dets (T,) of a stack of positive-definite matrices (T, q, q).

    Many are worked out entry by entry, each of all matrices at once.

    Raises
    ------
    numpy.linalg.LinAlgError
        If one of many is not positive definite, or one of few is singular.
    """
    if are_few(A):
        found = np.linalg.inv(A)
        return found, -np.linalg.slogdet(found)[1]
    q, T = A.shape[1], A.shape[0]
    a, L, M = np.ascontiguousarray(np.moveaxis(A, 0, 2)), np.zeros((q, q, T)), np.zeros((q, q, T))
    log_det = np.zeros(T)
    for j in range(q):
        pivot = a[j, j] - (L[j, :j] ** 2).sum(axis=0)
        if not (pivot > 0).all():
            raise np.linalg.LinAlgError(NOT_POSITIVE)
        log_det += np.log(pivot)
        L[j, j] = root = np.sqrt(pivot)
        L[j + 1 :, j] = (a[j + 1 :, j] - np.einsum("ikt,kt->it", L[j + 1 :, :j], L[j, :j])) / root
    for i in range(q):  # M = L^-1
        M[i, i] = 1 / L[i, i]
        M[i, :i] = -np.einsum("kt,kjt->jt", L[i, :i], M[:i, :i]) / L[i, i]
    found = np.empty((T, q, q))
    for i in range(q):  # M'M
        own = np.einsum("kt,kjt->tj", M[i:, i], M[i:, : i + 1])
        found[:, i, : i + 1] = found[:, : i + 1, i] = own
    return found, log_det


def gram_stack(A: FloatArray) -> FloatArray:
    """Return A'A of a stack (..., J, q, a): shape (..., J, a, a)."""
    q, columns = A.shape[-2:]
    if q == columns == 1:
        return np.asarray(A * A)
    if max(q, columns) > UNROLLED or are_few(A):
        return np.asarray(A.swapaxes(-1, -2) @ A)
    out = np.empty((*A.shape[:-2], columns, columns))
    for a in range(columns):
        for b in range(a + 1):
            entry = A[..., 0, a] * A[..., 0, b]
            for c in range(1, q):
                entry = entry + A[..., c, a] * A[..., c, b]
            out[..., a, b] = out[..., b, a] = entry
    return out


def product_stack(A: FloatArray, B: FloatArray) -> FloatArray:
    """Return A B for stacks (..., J, a, q) and (..., J, q, b): shape (..., J, a, b)."""
    return np.asarray(A * B if A.shape[-1] == 1 else A @ B)


def transposed_product(A: FloatArray, B: FloatArray) -> FloatArray:
    """Return A' B for stacks (..., J, q, a) and (..., J, q, b): shape (..., J, a, b)."""
    return product_stack(A.swapaxes(-1, -2), B)


def summed_products(A: FloatArray, B: FloatArray) -> FloatArray:
    """Sum over J of A B' for stacks (T, J, a, c) and (T, J, b, c), as one product: (T, a, b)."""
    left = A.swapaxes(1, 2).reshape(A.shape[0], A.shape[2], -1)
    right = B.swapaxes(1, 2).reshape(B.shape[0], B.shape[2], -1)
    return np.asarray(left @ right.swapaxes(1, 2))


def log_det_stack(L: FloatArray) -> FloatArray:
    """Sum over the stack of log det(L L'), shape (...)."""
    diagonals = L.diagonal(axis1=-2, axis2=-1)
    return np.asarray(2.0 * np.log(diagonals).sum(axis=(-2, -1)))


def sandwich(A: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
    """Left' A right for a stack A (J, a, b), or one a batch entry, and a pair of matrices each.

    Parameters
    ----------
    A : array, shape (J, a, b) or (T, J, a, b)
    left : array, shape (T, a, a)
    right : array, shape (T, b, b)

    Returns
    -------
    array, shape (T, J, a, b)
        The stack is never looped over: up to ``UNROLLED`` rows and columns there is one matrix
        product of shape (J, ab) x (ab, ab) a batch entry, above that one for each of the two sides,
        as ab squared numbers a batch entry would be more than the stack itself.
    """
    J, a, b = A.shape[-3:]
    if a == b == 1:
        return np.asarray(A * (left * right)[:, :, None, :].reshape(-1, 1, 1, 1))
    if A.ndim == 4:
        return np.asarray(left.swapaxes(1, 2)[:, None] @ A @ right[:, None])
    if a == b and a > UNROLLED and _are_diagonal(left) and _are_diagonal(right):
        sizes = [np.diagonal(roots, axis1=1, axis2=2) for roots in (left, right)]
        return np.asarray(A * (sizes[0][:, :, None] * sizes[1][:, None, :])[:, None])
    if max(a, b) > UNROLLED:
        half = (A.reshape(J * a, b) @ right).reshape(-1, J, a, b)
        turned = half.swapaxes(2, 3).reshape(-1, J * b, a) @ left
        return np.swapaxes(turned.reshape(-1, J, b, a), 2, 3)
    both = left[:, :, None, :, None] * right[:, None, :, None, :]
    flat = A.reshape(J, a * b) @ both.reshape(-1, a * b, a * b)
    return np.asarray(flat.reshape(-1, J, a, b))


def _are_diagonal(matrices: FloatArray) -> bool:
    """Whether matrices (T, q, q) are zero off the diagonal, as roots without correlations are."""
    q = matrices.shape[1]
    return not matrices[:, ~np.eye(q, dtype=np.bool_)].any()
