"""The parametric-bootstrap likelihood-ratio test of two nested fits."""

from typing import ClassVar

import pandas as pd

from hierbayes.arrays import FloatArray, record
from hierbayes.results.tabled import Tabled

PB_COLUMNS = ("statistic", "df", "ddf", "p_value")
ROWS = ("LRT", "PBtest", "Gamma", "Bartlett", "F")


@record(repr=False)
class PbTest(Tabled):
    """A likelihood-ratio statistic and its distribution under the smaller model, by simulation.

    Attributes
    ----------
    statistic : 2 (loglik of large - loglik of small), both by ML
    df : difference in number of parameters
    p_value : (1 + extremes) / (1 + used): the bootstrap's
    p_mcse : Monte-Carlo standard error of ``p_value``
    p_asymptotic : of the chi-squared distribution with ``df`` degrees of freedom
    reference : array, shape (used,), statistics of samples drawn from the small model
    n_samples : samples asked for; ``used`` of them could be fitted by both models
    table : index LRT, PBtest, Gamma, Bartlett, F; columns ``statistic df ddf p_value``
    small, large : formulas of the models
    data_name : name of the data, may be empty
    refitted : whether REML fits were fitted again with ML
    seconds : wall time

    Examples
    --------
    >>> import hierbayes as hb
    >>> large = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> small = large.update("Reaction ~ Days + (Days || Subject)")
    >>> test = hb.pb_test(small, large, nsim=50, random_seed=1)
    >>> test.to_frame().index.tolist()
    ['LRT', 'PBtest', 'Gamma', 'Bartlett', 'F']
    """

    FRAME: ClassVar = ("table", "pb_test")

    statistic: float
    df: int
    p_value: float
    p_mcse: float
    p_asymptotic: float
    reference: FloatArray
    n_samples: int
    table: pd.DataFrame
    small: str
    large: str
    data_name: str
    refitted: bool
    seconds: float

    def __post_init__(self) -> None:
        """Make the reference distribution read-only: results are safe to share."""
        self.reference.flags.writeable = False

    @property
    def used(self) -> int:
        """Number of samples that both models could be fitted to."""
        return self.reference.size

    @property
    def extremes(self) -> int:
        """Number of samples whose statistic is at least the observed one."""
        return int((self.reference >= self.statistic).sum())

    @property
    def share_at_zero(self) -> float:
        """Share of the samples in which the large model fits no better than the small one."""
        return float((self.reference == 0).mean()) if self.used else float("nan")
