"""Criterion and exact gradient in theta and phi together, for one grouping factor or none.

The same numbers as those of ``kernel.py``, at many points in few operations: a small model spends
its time on calls, not on numbers. With A = Z_j'R^-1 Z_j, B = Z_j'R^-1[X y] of level j and S = [X
y]'R^-1[X y], all linear in the factors of the classes of entries (``products.py``),

    M = Lambda'A Lambda + I,  P = Lambda M^-1,  U = P'B,  b = Lambda U,  H = B - A b,
    Gram matrix  S - sum B'b,  K = C m C'  (m and C as in ``gaussian/marginal.py``),

and the derivatives of the criterion are 2 sum (A P - H K U') in Lambda, P Lambda' + b K b' in A,
-2 b K in B and K in S; those in phi follow, as the products are linear.
"""

from functools import cached_property

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.gaussian.covariance import CovarianceShape
from hierbayes.gaussian.residual.kernel import ResidualKernel
from hierbayes.linalg.stacked import cholesky_stack, inverse_of_triangles, log_det_stack

# Numbers of the products up to which points are quick: beyond, numbers cost more than calls.
MOST_NUMBERS = 20_000
MOST_COLUMNS = 3  # of a level: stacks of larger matrices are LAPACK's, one by one


def is_small(kernel: ResidualKernel) -> bool:
    """Whether points are quick, so that a search may ask for many."""
    kept = kernel.products.kept
    if kept is None or len(kept.zz) > 1:
        return False
    numbers = sum(A[0].size for A in kept.arrays)
    return numbers <= MOST_NUMBERS and all(A.shape[-1] <= MOST_COLUMNS for A in kept.zz)


@record(kw_only=False)
class Slopes:
    """The criterion at T points.

    Attributes
    ----------
    criterion : array, shape (T,)
    gradient : array, shape (T, k + d)
    """

    criterion: FloatArray
    gradient: FloatArray


@record
class OneFactor:
    """A kernel whose products are laid out for many points.

    Attributes
    ----------
    kernel : of one grouping factor or none, with the products of the classes kept
    shape : of theta in the basis of the products
    """

    kernel: ResidualKernel
    shape: CovarianceShape

    @cached_property
    def sizes(self) -> tuple[int, int, int]:
        """Columns c of [X y], levels J and columns q of a level."""
        products = self.kernel.products
        assert products.kept is not None
        c = products.kept.squares.shape[1]
        if not products.kept.zz:
            return c, 0, 0
        _, J, q, _ = products.kept.zz[0].shape
        return c, J, q

    @cached_property
    def flat(self) -> FloatArray:
        """The products of the classes, (K, c c + J q (q + c))."""
        products = self.kernel.products
        assert products.kept is not None
        K = products.kind.size
        return np.concatenate([A.reshape(K, -1) for A in products.kept.arrays], axis=1)

    @cached_property
    def constant(self) -> float:
        """What the criterion has beside its functions of theta and phi."""
        products, df = self.kernel.products, self.df
        found = df * (1 + np.log(2 * np.pi / df)) - products.sum_log_weights
        if self.kernel.method == "reml":
            found -= 2 * np.log(np.abs(np.diag(products.anchor.x_basis))).sum()
        return float(found)

    @cached_property
    def df(self) -> int:
        """Divisor of the residual variance: n - p (REML) or n (ML)."""
        p = self.sizes[0] - 1 if self.kernel.method == "reml" else 0
        return self.kernel.products.n_obs - p

    def at(self, x: FloatArray) -> Slopes:
        """Evaluate at points x (T, k + d), theta and phi.

        Raises
        ------
        numpy.linalg.LinAlgError
            If the criterion can't be computed at one of them.
        """
        products, k = self.kernel.products, self.shape.n_theta
        c, J, q = self.sizes
        T = x.shape[0]
        factors = products.structure.factors(x[:, k:])
        flat = products.weights(factors) @ self.flat
        S, adjoint = flat[:, : c * c].reshape(T, c, c), np.empty_like(flat)
        criterion = self.constant + factors.log_det
        if q:
            at = _Levels(flat[:, c * c :], self.shape.unpack(x[:, :k])[0], (c, J, q))
            S = S - np.swapaxes(at.B.reshape(T, J * q, c), 1, 2) @ at.b.reshape(T, J * q, c)
            criterion += log_det_stack(at.L)
        root = np.linalg.cholesky(S)
        diagonal = np.diagonal(root, axis1=1, axis2=2)
        weights = np.ones(c)
        weights[-1] = self.df
        if self.kernel.method == "ml":
            weights[:-1] = 0.0
        criterion += 2 * (np.log(diagonal) @ weights)
        rows = np.linalg.inv(root)
        K = np.swapaxes(rows * weights[:, None], 1, 2) @ rows
        adjoint[:, : c * c] = K.reshape(T, -1)
        slopes = np.empty_like(x)
        if q:
            slope = at.slope(K, adjoint[:, c * c :])
            slopes[:, :k] = self._along_theta(x[:, :k], slope)
        inner = adjoint @ self.flat.T
        slopes[:, k:] = factors.log_det_slope + products.along_classes(factors, inner)
        return Slopes(criterion, slopes)

    def _along_theta(self, theta: FloatArray, slope: FloatArray) -> FloatArray:
        """Gradient (T, k) from the derivatives in Lambda (T, q, q)."""
        if not self.shape.is_plain:
            return np.einsum("tab,tkab->tk", slope, self.shape.slopes(theta)[0])
        index, row, column = self.shape.factor_entries[0]
        found = np.empty(theta.shape)
        found[:, index] = slope[:, row, column]
        return found


class _Levels:
    """What follows from products of levels, flat (T, J q (q + c)), and Lambda (T, q, q)."""

    def __init__(self, flat: FloatArray, Lambda: FloatArray, sizes: tuple[int, int, int]) -> None:
        c, J, q = sizes
        T = flat.shape[0]
        self.A = A = flat[:, : J * q * q].reshape(T, J, q, q)
        self.B = B = flat[:, J * q * q :].reshape(T, J, q, c)
        self.Lambda = Lambda
        if q == 1:
            M = 1 + A * (Lambda**2)[:, None]
            self.L = np.sqrt(M)
            self.P = Lambda[:, None] / M
            self.N = self.P * Lambda[:, None]
            self.U, self.b = self.P * B, self.N * B
            self.H = B / M  # B - A b
            return
        both = (Lambda[:, :, None, :, None] * Lambda[:, None, :, None, :]).reshape(T, q * q, q * q)
        M = (A.reshape(T, J, q * q) @ both).reshape(T, J, q, q) + np.eye(q)
        self.L = cholesky_stack(M)
        rows = inverse_of_triangles(self.L)
        half = (rows.reshape(T, J * q, q) @ Lambda.swapaxes(1, 2)).reshape(T, J, q, q)
        self.P = _products(np.swapaxes(half, 2, 3), rows)
        self.N = _products(np.swapaxes(half, 2, 3), half)
        self.U, self.b = _products(np.swapaxes(self.P, 2, 3), B), _products(self.N, B)
        self.H = B - _products(A, self.b)

    def slope(self, K: FloatArray, adjoint: FloatArray) -> FloatArray:
        """Return the derivative in Lambda (T, q, q); put those in A and B into ``adjoint``."""
        T, J, q, c = self.B.shape
        Kb = (self.b.reshape(T, J * q, c) @ K).reshape(T, J, q, c)
        KU = (self.U.reshape(T, J * q, c) @ K).reshape(T, J, q, c)
        in_A = self.N + (Kb[..., :, None, :] * self.b[..., None, :, :]).sum(axis=-1)
        adjoint[:, : J * q * q] = in_A.reshape(T, -1)
        adjoint[:, J * q * q :] = -2 * Kb.reshape(T, -1)
        if q == 1:
            found = (self.A * self.P).sum(axis=(1, 2, 3)) - (self.H * KU).sum(axis=(1, 2, 3))
            return 2 * found[:, None, None]
        first = np.swapaxes(self.H, 1, 2).reshape(T, q, J * c)
        second = np.swapaxes(KU, 1, 2).reshape(T, q, J * c)
        A = np.swapaxes(self.A, 1, 2).reshape(T, q, J * q)
        P = self.P.reshape(T, J * q, q)
        return 2 * (A @ P - first @ np.swapaxes(second, 1, 2))


def _products(left: FloatArray, right: FloatArray) -> FloatArray:
    """Products of stacks (..., a, q) and (..., q, b), q a few."""
    found = left[..., :1] * right[..., :1, :]
    for i in range(1, left.shape[-1]):
        found = found + left[..., i : i + 1] * right[..., i : i + 1, :]
    return found
