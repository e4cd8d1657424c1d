"""Cross-products of many responses on the rows of one design.

Simulated and resampled data differ from the data in the response only, so of all cross-products
only Z'Wy, X'Wy and y'Wy change. One product of a sparse matrix made once with the responses as
columns gives them for all, with no loop over responses.
"""

from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.design import Design
from hierbayes.gaussian.products import Products
from hierbayes.gaussian.remainder import LevelRows, Remainder, transposed


@record(kw_only=False)
class Responses:
    """Cross-products of T responses, in the basis of the products they belong to.

    Attributes
    ----------
    xy : array, shape (T, p)
    yy : array, shape (T,)
    zy : per factor, array (T, J, q)
    remainder : of T responses, where the products have one
    """

    xy: FloatArray
    yy: FloatArray
    zy: tuple[FloatArray, ...]
    remainder: Remainder | None = None

    def take(self, rows: IntArray | slice) -> "Responses":
        """Return some of the responses."""
        left = None if self.remainder is None else self.remainder.take(rows)
        return Responses(self.xy[rows], self.yy[rows], tuple(zy[rows] for zy in self.zy), left)

    def put_in(self, products: Products, row: int) -> Products:
        """Return products with one of the responses in place of their own."""
        left = None if self.remainder is None else self.remainder.take(slice(row, row + 1))
        zy = tuple(zy[row] for zy in self.zy)
        yy = float(self.yy[row])
        return replace(products, xy=self.xy[row], yy=yy, zy=zy, remainder=left)


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
        basis_x = X @ anchor.x_basis
        self._xt = np.ascontiguousarray(basis_x.T)
        self._zts = [
            transposed(factor, factor.z @ basis)
            for factor, basis in zip(design.factors, anchor.z_bases, strict=True)
        ]
        self._rows: LevelRows | None = None
        if products.remainder is not None:
            self._rows = LevelRows(
                design.factors, anchor.z_bases, blocks=products.zz, weights=weights
            )
            self._x_swept = self._rows.settled(basis_x)
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
        remainder = None
        if self._rows is not None:
            remainder = self._rows.remainder(self._x_swept, self._rows.settled(left))
        return Responses(xy, np.einsum("nt,nt->t", left, weighted), zy, remainder)
