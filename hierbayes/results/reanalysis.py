"""A Bayesian reanalysis: one effect, REML beside several priors."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any, ClassVar

import pandas as pd

from hierbayes.arrays import record
from hierbayes.options import Guideline
from hierbayes.results.fit import Fit
from hierbayes.results.printing import Reportable
from hierbayes.results.tabled import Tabled


@record(repr=False)
class Reanalysis(Tabled, Reportable):
    """What the data say about one coefficient under several priors.

    Attributes
    ----------
    term : the coefficient
    table : index "REML" and the names of the priors; columns ``prior median sd low high
        prob_positive prob_beyond bayes_factor shift bayes_factor_mcse``: of REML its estimate,
        standard error, confidence interval and one-sided p value in their place;
        ``bayes_factor`` for the coefficient against none, NaN where it has none; ``shift`` of the
        median from REML, in standard errors; Monte-Carlo standard error of the Bayes factor
    threshold : the effect ``prob_beyond`` asks for, in units of the coefficient
    level : of the intervals
    fits : name -> fit, REML first
    paragraph : the result in words, ready to edit
    notes : what to know of it
    formula_text, data_name : the model and its data
    arguments : what was given to ``reanalyse`` besides formula and data and is not its default
    guideline : by which ``report`` reports, or None
    published : what the coefficient was read from, where its rows are not known; else empty
    """

    FRAME: ClassVar = ("table", "reanalyse")

    term: str
    table: pd.DataFrame
    threshold: float
    level: float
    fits: Mapping[str, Fit]
    paragraph: str
    notes: tuple[str, ...]
    formula_text: str
    data_name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    guideline: Guideline | None = None
    published: str = ""

    @property
    def beyond(self) -> str:
        """The event of ``prob_beyond``: ">5", or "<-5" of a negative estimate."""
        if float(self.table["median"].iloc[0]) >= 0:
            return f">{self.threshold:g}"
        return f"<{-abs(self.threshold):g}"
