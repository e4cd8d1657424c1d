"""Cross-products of many responses on the rows of one design.

Simulated and resampled data differ from the data in the response only, so of all cross-products
only Z'Wy, X'Wy and y'Wy change. One product of a sparse matrix made once with the responses as
columns gives them for all, with no loop over responses.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from hierbayes.design.design import Design, GroupingFactor
from hierbayes.gaussian.products import Products

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Responses:
    """Cross-products of T responses, in the basis of the products they belong to.

    Attributes
    ----------
    xy : array, shape (T, p)
    yy : array, shape (T,)
    zy : per factor, array (T, J, q)
    """

    xy: FloatArray
    yy: FloatArray
    zy: tuple[FloatArray, ...]

    @property
    def parts(self) -> tuple[FloatArray, FloatArray, tuple[FloatArray, ...]]:
        """The three as ``marginal.with_responses`` takes them."""
        return self.xy, self.yy, self.zy

    def take(self, rows: npt.NDArray[np.intp] | slice) -> "Responses":
        """Return some of the responses."""
        return Responses(self.xy[rows], self.yy[rows], tuple(zy[rows] for zy in self.zy))


class ResponseProducts:
    """Makes the cross-products of responses (n, T) on a design's rows.

    Parameters
    ----------
    products : Products
        Of the same rows; their anchor is the basis.
    design : Design
    weights : array, shape (n,), or None
        Precision weights of the rows.
    """

    def __init__(self, products: Products, design: Design, weights: FloatArray | None) -> None:
        anchor = products.anchor
        X = design.X[:, anchor.kept]
        self._first = X @ anchor.beta0
        if design.offset is not None:
            self._first = self._first + design.offset
        self._weights = weights
        self._xt = np.ascontiguousarray((X @ anchor.x_basis).T)
        self._zts = [
            _transposed(factor, factor.z @ basis)
            for factor, basis in zip(design.factors, anchor.z_bases, strict=True)
        ]
        self._sizes = [(factor.levels.size, factor.z.shape[1]) for factor in design.factors]

    def of(self, Y: FloatArray) -> Responses:
        """Cross-products of the responses Y (n, T), one a column."""
        left = Y - self._first[:, None]
        weighted = left if self._weights is None else left * self._weights[:, None]
        zy = tuple(
            np.ascontiguousarray((zt @ weighted).T).reshape(-1, J, q)
            for zt, (J, q) in zip(self._zts, self._sizes, strict=True)
        )
        xy = np.ascontiguousarray((self._xt @ weighted).T)
        return Responses(xy, np.einsum("nt,nt->t", left, weighted), zy)


def _transposed(factor: GroupingFactor, z: FloatArray) -> sparse.csr_array:
    """Z' as a sparse matrix (J q, n), rows by level and then by column."""
    n, q = z.shape
    rows = (factor.codes[:, None] * q + np.arange(q)).ravel()
    columns = np.repeat(np.arange(n), q)
    shape = (factor.levels.size * q, n)
    return sparse.csr_array((z.ravel(), (rows, columns)), shape=shape)
