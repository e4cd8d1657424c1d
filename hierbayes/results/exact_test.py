"""The exact test of one variance component."""

from dataclasses import field

from hierbayes.arrays import FloatArray, record
from hierbayes.options import Method
from hierbayes.results.exporting import Exportable
from hierbayes.results.result_table import ResultTable, result_table


@record(repr=False)
class ExactTest(Exportable):
    """A likelihood ratio beside draws of its exact distribution when the variance is zero.

    Attributes
    ----------
    statistic : twice the (restricted) log-likelihood lost without the variance
    p_value : (1 + draws that reach it) / (1 + nsim)
    mcse : Monte-Carlo standard error of ``p_value``
    nsim : number of draws
    method : "reml" (restricted likelihood ratio) or "ml"
    term : the random-effects term, as in the formula
    formula_text, data_name : the model and its data
    refitted : whether the fit was made by the other method and fitted again
    zero_share : share of the null distribution that is exactly zero
    null : array, shape (nsim,), the draws
    """

    statistic: float
    p_value: float
    mcse: float
    nsim: int
    method: Method
    term: str
    formula_text: str
    data_name: str
    refitted: bool
    zero_share: float
    null: FloatArray = field(repr=False)

    def __post_init__(self) -> None:
        """Make the draws read-only."""
        self.null.flags.writeable = False

    def to_frame(self) -> ResultTable:
        """One row: ``statistic p_value mcse nsim zero_share method``."""
        names = ("statistic", "p_value", "mcse", "nsim", "zero_share", "method")
        return result_table([{name: getattr(self, name) for name in names}], "exact_test")
