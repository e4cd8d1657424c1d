"""How far the Laplace approximation (or few nodes) is from the exact likelihood, as a result."""

import pandas as pd

from hierbayes.arrays import record
from hierbayes.results.printing import Printable


@record(repr=False)
class LaplaceError(Printable):
    """The error of the approximate likelihood that a generalised model was fitted by.

    Attributes
    ----------
    loglik : approximate minus exact log-likelihood, at the fit's own estimates
    shifts : by parameter, the estimate of the exact likelihood minus that of the fit, in standard
        errors of the latter; NaN where it has none
    n_quadrature : nodes a column that are recommended; the fit's own where its error does not
        matter
    nodes : nodes a column of what is called exact here: more of them change the log-likelihood by
        less than a thousandth
    own_nodes : those of the fit; 1 is Laplace, 0 Laplace with the coefficients profiled out
    formula_text, data_name : what was fitted
    """

    loglik: float
    shifts: pd.Series
    n_quadrature: int
    nodes: int
    own_nodes: int
    formula_text: str
    data_name: str

    @property
    def matters(self) -> bool:
        """Whether more nodes than the fit's are recommended."""
        return self.n_quadrature != self.own_nodes
