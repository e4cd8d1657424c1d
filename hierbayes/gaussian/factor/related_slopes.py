"""Factor of Lambda'Z'WZ Lambda + (A x I)^-1 for one factor of several columns with related levels.

With A = R R' and the axes Q of the last column, R'Z_q'WZ_q R = Q D Q', let for columns a and b
G_ab = (R Q)'Z_a'WZ_b R Q, J x J, so that G_qq = D. In these axes the effects of a column have the
identity for their covariance, whatever the column. With Lambda = T O, T lower triangular and O a
rotation, the matrix to be factored has the blocks, for columns c and d,

    M_cd = sum over a, b of T_ac T_bd G_ab, and I more where c = d.

Below its diagonal the last column of T is zero, so M_qq = T_qq^2 D + I is diagonal. It is
eliminated by a scaling, and J fewer rows are left to factor. For two columns that takes half the
multiplications, nearly all of them in one product.

Source: as ``related.py``.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from scipy.linalg import blas, lapack

from hierbayes.arrays import FloatArray, record
from hierbayes.gaussian.marginal import Factor


@record
class RelatedColumns:
    """The blocks of one factor in the axes of its last column.

    Attributes
    ----------
    axes : array, shape (J, J), R Q
    grams : array, shape (q, q, J, J), G
    sizes : array, shape (J,), D
    """

    axes: FloatArray
    grams: FloatArray
    sizes: FloatArray


def related_columns(root: FloatArray, zz: FloatArray) -> RelatedColumns:
    """Turn the blocks zz (J, q, q) of levels with the covariance root root' (J, J)."""
    sizes, axes = np.linalg.eigh(root.T @ (zz[:, -1, -1, None] * root))
    axes = root @ axes
    J, q = zz.shape[:2]
    grams = np.empty((q, q, J, J))
    for a in range(q):
        for b in range(a + 1):
            grams[a, b] = axes.T @ (zz[:, a, b, None] * axes)
            grams[b, a] = grams[a, b].T
    return RelatedColumns(axes=axes, grams=grams, sizes=np.maximum(sizes, 0.0))


class SlopesFactor:
    """One factor with q > 1 columns at Lambda (T, q, q).

    ``whole`` makes the factor of the whole matrix: derivatives need its inverse.
    """

    def __init__(
        self, columns: RelatedColumns, Lambda: FloatArray, whole: Callable[[], Factor]
    ) -> None:
        self.columns, self._make_whole = columns, whole
        turn, upper = np.linalg.qr(np.swapaxes(Lambda, 1, 2))
        self.turn = np.swapaxes(turn, 1, 2)  # O
        lower = np.swapaxes(upper, 1, 2)
        self.squares = lower[:, -1, -1, None] ** 2 * self.columns.sizes + 1.0  # (T, J)
        parts = [self._eliminated(T, d) for T, d in zip(lower, self.squares, strict=True)]
        self.between = [between for between, _ in parts]
        self.L = [L for _, L in parts]

    def _eliminated(self, lower: FloatArray, squares: FloatArray) -> tuple[FloatArray, FloatArray]:
        """M_kq M_qq^-1/2 of the columns k but the last, and the factor of what is left of M_kk."""
        G, (q, J) = self.columns.grams, (lower.shape[0], squares.size)
        k = q - 1
        beside = lower[-1, -1] * lower[:, :k].T @ G[:, -1].reshape(q, J * J)
        between = beside.reshape(k * J, J) / np.sqrt(squares)
        pairs = np.einsum("ac,bd->cdab", lower[:, :k], lower[:, :k]).reshape(k * k, q * q)
        own = (pairs @ G.reshape(q * q, J * J)).reshape(k, k, J, J)
        rest = np.ascontiguousarray(own.swapaxes(1, 2)).reshape(k * J, k * J)
        # upper triangles of Fortran are lower ones here
        rest = blas.dsyrk(-1.0, between.T, beta=1.0, c=rest.T, trans=1, overwrite_c=1)
        rest[np.diag_indices(k * J)] += 1.0
        factor, info = lapack.dpotrf(rest, lower=0, overwrite_a=1, clean=1)
        if info:
            raise np.linalg.LinAlgError("the matrix between effects is not positive definite")
        return between, factor.T

    @property
    def log_det(self) -> FloatArray:
        """Log det(R'Lambda'Z'WZ Lambda R + I), shape (T,)."""
        diagonal = np.array([np.diag(L) for L in self.L])
        return np.asarray(2 * np.log(diagonal).sum(axis=1) + np.log(self.squares).sum(axis=1))

    @property
    def roots(self) -> FloatArray | None:
        """None: there is no remainder here."""
        return None

    def half_solve(self, right: Sequence[FloatArray]) -> list[FloatArray]:
        """L^-1 of a right side (T, J, q, c); levels and columns are those of the axes."""
        x = self.turn[:, None] @ right[0]
        T, J, q, c = x.shape
        x = (self.columns.axes.T @ x.reshape(T, J, q * c)).reshape(T, J, q, c)
        last = x[:, :, -1] / np.sqrt(self.squares)[..., None]
        rest = np.swapaxes(x[:, :, :-1], 1, 2).reshape(T, -1, c)
        parts = zip(self.L, self.between, rest, last, strict=True)
        half = [solved(L, own - between @ beside) for L, between, own, beside in parts]
        first = np.stack(half).reshape(T, q - 1, J, c).swapaxes(1, 2)
        return [np.concatenate([first, last[:, :, None]], axis=2)]

    def back_solve(self, half: Sequence[FloatArray]) -> list[FloatArray]:
        """L'^-1 of the result of ``half_solve``."""
        T, J, q, c = half[0].shape
        right = np.swapaxes(half[0][:, :, :-1], 1, 2).reshape(T, -1, c)
        rest = [solved(L, own, transpose=True) for L, own in zip(self.L, right, strict=True)]
        spread = np.stack([b.T @ own for b, own in zip(self.between, rest, strict=True)])
        last = (half[0][:, :, -1] - spread) / np.sqrt(self.squares)[..., None]
        first = np.stack(rest).reshape(T, q - 1, J, c).swapaxes(1, 2)
        x = np.concatenate([first, last[:, :, None]], axis=2).reshape(T, J, q * c)
        x = (self.columns.axes @ x).reshape(T, J, q, c)
        return [np.swapaxes(self.turn, 1, 2)[:, None] @ x]

    @cached_property
    def _whole(self) -> Factor:
        return self._make_whole()

    def covariances(self) -> list[FloatArray]:
        """Diagonal blocks of K, (T, J, q, q)."""
        return self._whole.covariances()

    def cross_covariances(self) -> dict[tuple[int, int], FloatArray]:
        """None: there is one factor."""
        return {}

    def trace_blocks(self) -> list[FloatArray]:
        """Return the summed diagonal blocks of Z'WZ Lambda K, (T, q, q)."""
        return self._whole.trace_blocks()


def solved(L: FloatArray, x: FloatArray, *, transpose: bool = False) -> FloatArray:
    """L^-1 x, or L'^-1 x, for a lower triangle L (r, r) and x (r, c).

    By BLAS itself, whose call costs a fraction of one through LAPACK.
    """
    return np.asarray(blas.dtrsm(1.0, L.T, x.T, side=1, lower=0, trans_a=int(transpose)).T)
