"""Single-term deletions of random effects."""

from collections.abc import Mapping
from typing import ClassVar

import pandas as pd

from hierbayes.arrays import record
from hierbayes.options import Method
from hierbayes.results.tabled import Tabled

RANOVA_COLUMNS = ("npar", "loglik", "aic", "chisq", "df", "p_value", "p_mixture", "p_exact")


@record(repr=False)
class RanovaTable(Tabled):
    """Likelihood-ratio tests of the random effects, each taken out in turn.

    Attributes
    ----------
    table : index "<none>" (the model itself) and what is taken out; columns ``npar loglik aic
        chisq df p_value p_mixture p_exact``: the p value of the plain chi-squared, that of the
        chi-bar-squared mixture, and that of the exact null distribution; NaN where not known
    mixtures : row -> the mixture, for example "1/2 chi2(1) + 1/2 chi2(2)"
    reasons : row -> why the mixture is not known
    undetermined : row -> how many of the parameters it takes out the data do not determine; they
        are not in ``df``
    method : "reml" or "ml", the likelihood compared
    formula_text, data_name : the model and its data
    nsim : draws behind ``p_exact``, 0 if there are none

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> hb.ranova(fit).to_frame()["npar"].tolist()
    [6, 4]
    """

    FRAME: ClassVar = ("table", "ranova")

    table: pd.DataFrame
    mixtures: Mapping[str, str]
    reasons: Mapping[str, str]
    undetermined: Mapping[str, int]
    method: Method
    formula_text: str
    data_name: str = ""
    nsim: int = 0
