"""How far the Laplace approximation (or few nodes) is from the exact likelihood, as a result."""

import pandas as pd

from hierbayes.arrays import record
from hierbayes.results.exporting import Exportable
from hierbayes.results.result_table import ResultTable, result_table


@record(repr=False)
class LaplaceError(Exportable):
    """The error of the approximate likelihood that a generalised model was fitted by.

    Attributes
    ----------
    loglik : approximate minus exact log-likelihood, at the fit's own estimates
    loglik_error : its standard error; 0 with one grouping factor, where nothing is drawn
    shifts : by parameter, the estimate of the exact likelihood minus that of the fit, in standard
        errors of the latter; NaN where it has none
    shift_error : standard error of that shift which is known least, 0 with one grouping factor
    matters : whether the error is worth a better fit
    n_quadrature : nodes a column that are recommended; the fit's own where more do not help
    left, left_shift : error of the log-likelihood, and the largest shift, that any number of nodes
        leaves: of the coarser of several factors
    nodes : nodes a column of what is called exact here: more of them change the log-likelihood by
        less than a thousandth
    own_nodes : those of the fit; 1 is Laplace, 0 Laplace with the coefficients profiled out
    coarser : grouping factors whose effects were drawn
    formula_text, data_name : what was fitted
    """

    loglik: float
    loglik_error: float
    shifts: pd.Series
    shift_error: float
    matters: bool
    n_quadrature: int
    left: float
    left_shift: float
    nodes: int
    own_nodes: int
    coarser: tuple[str, ...]
    formula_text: str
    data_name: str

    def to_frame(self) -> ResultTable:
        """One row a parameter: ``shift``, its move in standard errors under the exact likelihood.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)",
        ...     hb.load_dataset("cbpp"))
        >>> fit.laplace_error.to_frame().columns.tolist()
        ['shift']
        """
        return result_table(self.shifts.rename("shift").to_frame(), "laplace_error")
