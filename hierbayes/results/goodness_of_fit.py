"""How well a psychometric function fits: its deviance among those of simulated responses."""

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.results.exporting import Exportable
from hierbayes.results.result_table import ResultTable, result_table


@record(repr=False)
class GoodnessOfFit(Exportable):
    """The deviance and the spread of the responses, beside those that the model itself makes.

    Attributes
    ----------
    deviance : of the cells (rows with the same predictors and level) from their own proportions
    dispersion : Pearson's statistic over its degrees of freedom; one where responses vary as the
        model says
    simulated_deviance, simulated_dispersion : arrays, shape (nsim,), of responses of the model
    cells : number of cells
    df : cells less the parameters estimated
    how : what was simulated
    formula_text, data_name : the model and its data
    """

    deviance: float
    dispersion: float
    simulated_deviance: FloatArray
    simulated_dispersion: FloatArray
    observed_deviance: FloatArray
    observed_dispersion: FloatArray
    cells: int
    df: int
    how: str
    formula_text: str
    data_name: str

    @property
    def nsim(self) -> int:
        """Number of simulated responses."""
        return self.simulated_deviance.size

    @property
    def p_deviance(self) -> float:
        """Share of simulated deviances at least as large, with the observed one among them."""
        return _share(self.simulated_deviance >= self.observed_deviance)

    @property
    def p_dispersion(self) -> float:
        """The same of the dispersion."""
        return _share(self.simulated_dispersion >= self.observed_dispersion)

    def to_frame(self) -> ResultTable:
        """Two rows, deviance and dispersion: ``observed``, mean ``simulated``, ``p_value``."""
        simulated = (self.simulated_deviance.mean(), self.simulated_dispersion.mean())
        columns = {
            "observed": (self.deviance, self.dispersion),
            "simulated": tuple(map(float, simulated)),
            "p_value": (self.p_deviance, self.p_dispersion),
        }
        return result_table(columns, "goodness_of_fit", index=["deviance", "dispersion"])


def _share(above: BoolArray) -> float:
    return float((1 + np.count_nonzero(above)) / (1 + above.size))
