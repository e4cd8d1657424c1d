"""The likelihood-ratio table of nested fits."""

from collections.abc import Mapping
from dataclasses import field
from typing import ClassVar

import pandas as pd

from hierbayes.arrays import record
from hierbayes.results.tabled import Tabled

ANOVA_COLUMNS = ("npar", "aic", "bic", "loglik", "deviance", "chisq", "df", "p_value")


@record(repr=False)
class AnovaTable(Tabled):
    """Likelihood-ratio tests of models, each against the one before it.

    Attributes
    ----------
    table : index the names of the models by increasing number of parameters; columns ``npar aic
        bic loglik deviance chisq df p_value``, the last three missing in the first row;
        ``p_mixture``, under the chi-bar-squared mixture, where one variance is set to zero
    models : name of each model -> its formula
    data_name : name of the data, may be empty
    refitted : whether REML fits were fitted again with ML for this comparison
    mixtures : name of the larger model -> the mixture, for example "1/2 chi2(0) + 1/2 chi2(1)",
        where ``p_mixture`` is known
    notes : sentences on rows that are no test, as their models are not nested

    Examples
    --------
    >>> import hierbayes as hb
    >>> sleep = hb.load_dataset("sleepstudy")
    >>> fits = [hb.lmer(f"Reaction ~ Days + ({x} | Subject)", sleep) for x in ("1", "Days")]
    >>> hb.anova(*fits).to_frame()["npar"].tolist()
    [4, 6]
    """

    FRAME: ClassVar = ("table", "anova")

    table: pd.DataFrame
    models: Mapping[str, str]
    data_name: str = ""
    refitted: bool = False
    mixtures: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
