"""Models of the same data with other structures, beside each other."""

from collections.abc import Mapping
from typing import ClassVar

import pandas as pd

from hierbayes.arrays import record
from hierbayes.results.finding import Finding
from hierbayes.results.tabled import Tabled

STRUCTURE_COLUMNS = ("npar", "aic", "bic", "criterion")
TEST_COLUMNS = ("against", "chisq", "df", "p_value", "p_mixture")
POSTERIOR_COLUMNS = (
    "log_marginal_likelihood", "log_marginal_likelihood_mcse", "elpd", "se", "elpd_diff",
    "se_diff", "high_k",
)  # fmt: skip


@record(repr=False)
class StructureTable(Tabled):
    """Models with different structures, by what the data say of each.

    Attributes
    ----------
    table : index the names of the models, by increasing number of parameters; columns ``npar aic
        bic``; ``criterion``, the REML criterion or -2 log likelihood; ``against``, the largest
        model before it that is a special case of it, with ``chisq df p_value`` of their likelihood
        ratio and ``p_mixture``, under the chi-bar-squared mixture where one variance is set to
        zero; and of posteriors ``log_marginal_likelihood log_marginal_likelihood_mcse``, ``elpd
        se elpd_diff se_diff high_k`` of leave-one-out prediction as of ``hb.compare``. What is not
        known is missing
    tests : the likelihood ratio of every two nested models; columns ``small large chisq df p_value
        p_mixture``
    models : name of each model -> its formula, and arguments that differ
    method : "reml" or "ml"
    refitted : whether REML was asked for and ML taken, as fixed parts differ
    verdict : what is preferred by what, a sentence each
    notes : sentences on single tests
    what : what leave-one-out leaves out; empty without posteriors
    data_name, n_obs : the data
    findings : findings of the fits, each with the name of the model

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.Model("score ~ Machine + (0 + Machine | Worker)", hb.load_dataset("Machines"))
    >>> found = hb.compare_structures(model, ["diag", "cs"], posterior=False)
    >>> found.to_frame()["against"].to_dict()
    {'diag': '', 'cs': 'diag', 'model': 'cs'}
    """

    FRAME: ClassVar = ("table", "compare_structures")

    table: pd.DataFrame
    tests: pd.DataFrame
    models: Mapping[str, str]
    method: str
    refitted: bool
    verdict: tuple[str, ...]
    notes: tuple[str, ...]
    what: str
    data_name: str
    n_obs: int
    findings: tuple[Finding, ...] = ()
