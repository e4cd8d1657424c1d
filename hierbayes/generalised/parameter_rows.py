"""The linear predictors of further parameters that have a formula, in a basis without units.

    link(phi_i) = X_i gamma + Z_i c + offset,   c ~ N(0, Sigma),

each beside that of the mean (``conditional.py``), whose rows they share. Columns of X are
orthogonal and those of Z of unit length, as the mean's are; logarithms and logits have no units.
"""

from dataclasses import replace

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.design.design import Design
from hierbayes.families.family import Family, Parameter
from hierbayes.families.parameter_formulas import ParameterLink, links_of
from hierbayes.gaussian.covariance import CovarianceShape
from hierbayes.gaussian.products import covariance_shape, term_basis
from hierbayes.gaussian.weighted import WeightedLevels, weighted_levels
from hierbayes.linalg.rank import column_basis


@record
class ParameterRows:
    """The predictor of one parameter over n rows.

    Attributes
    ----------
    link : from the predictor to the family's parameter
    offset : array, shape (n,)
    X : array, shape (n, p), in the basis of the search
    kept, x_basis : X is design.X[:, kept] @ x_basis
    z_bases : per factor, array (q, q)
    levels : the rows of Z
    shape : covariance shape on the user's scale
    """

    link: ParameterLink
    offset: FloatArray
    X: FloatArray
    kept: IntArray
    x_basis: FloatArray
    z_bases: tuple[FloatArray, ...]
    levels: WeightedLevels
    shape: CovarianceShape

    further: tuple[Parameter, ...] = ()  # a parameter has none of its own
    n_cuts: int = 0

    @property
    def centre(self) -> FloatArray:
        """What the columns of X are centred at, shape (p,): nothing."""
        return np.zeros(self.kept.size)

    def of_rows(self, kept: BoolArray | IntArray) -> "ParameterRows":
        """Return the predictor of some of the rows, in the same basis."""
        rows = np.arange(self.offset.size)[kept]
        return replace(
            self,
            offset=self.offset[rows],
            X=np.ascontiguousarray(self.X[rows]),
            levels=self.levels.of_rows(rows),
        )


def parameter_rows(design: Design, family: Family) -> tuple[ParameterRows, ...]:
    """Lay out the predictor of each parameter of a design that has a formula."""
    return tuple(_rows(design.of(name), link) for name, link in links_of(design, family).items())


def _rows(own: Design, link: ParameterLink) -> ParameterRows:
    basis, n = column_basis(own.X), own.X.shape[0]
    z_bases = tuple(term_basis(own, f, None) for f in range(len(own.factors)))
    return ParameterRows(
        link=link,
        offset=np.zeros(n) if own.offset is None else own.offset,
        X=np.ascontiguousarray(own.X[:, basis.kept] @ basis.to_basis),
        kept=basis.kept,
        x_basis=basis.to_basis,
        z_bases=z_bases,
        levels=weighted_levels(own.factors, z_bases, n_rows=n),
        shape=covariance_shape(own),
    )
