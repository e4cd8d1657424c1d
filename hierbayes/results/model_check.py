"""What the panel of model checks found."""

from typing import Any, ClassVar

import pandas as pd

from hierbayes.arrays import FloatArray, record
from hierbayes.results import verbs
from hierbayes.results.tabled import Tabled


@record(repr=False)
class ModelCheck(Tabled):
    """Checks of one fit, as numbers and as what its pictures are drawn from.

    Attributes
    ----------
    table : one row a check: ``check``, ``value``, ``good`` (what a good value looks like) and
        ``verdict``, "good", "look" or "-" where it can't be told
    scaled : array, shape (n,), residuals by simulation, uniform under the model
    expected : array, shape (n,), mean simulated response
    fixed_part : array, shape (n,), X beta plus offset
    observed : array, shape (n,)
    simulated : array, shape (n, m), some simulated responses
    fitted, residuals : arrays, shape (n,), response units; of a posterior, posterior means;
        residuals that are correlated or of unequal variance normalised, in units of their sd
    residual_word : what the residuals are called
    effects : random effects as ``tidy("ran_vals")`` has them, their terms told apart
    influence : what each level does, as ``hb.influence`` has it; empty where it was not asked for
        and for a posterior
    formula_text, data_name, method : of the fit
    """

    FRAME: ClassVar = ("table", "check")

    table: pd.DataFrame
    scaled: FloatArray
    expected: FloatArray
    fixed_part: FloatArray
    observed: FloatArray
    simulated: FloatArray
    fitted: FloatArray
    residuals: FloatArray
    effects: pd.DataFrame
    influence: pd.DataFrame
    formula_text: str
    data_name: str
    method: str
    residual_word: str = "residual"

    def plot(self, **options: Any) -> Any:
        """Draw the panel; the options are those of ``hb.plot.check``."""
        return verbs.ask(self, "picture", **options)
