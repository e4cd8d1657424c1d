"""Estimated marginal means and their contrasts."""

import pandas as pd

from hierbayes.arrays import record
from hierbayes.results.printing import Printable

MEAN_COLUMNS = ("estimate", "std_error", "df", "conf_low", "conf_high")
CONTRAST_COLUMNS = (
    "estimate",
    "std_error",
    "df",
    "statistic",
    "p_value",
    "conf_low",
    "conf_high",
)


@record(repr=False)
class EmmeansTable(Printable):
    """Means of the model over a reference grid.

    Attributes
    ----------
    means : one row a combination of ``specs`` and ``by``: their values, then ``estimate std_error
        df conf_low conf_high``; of a posterior mean, sd and credible interval, df missing
    contrasts : ``by``, then ``contrast estimate std_error df statistic p_value conf_low
        conf_high``; None when no contrasts were asked for
    specs, by : the predictors whose values the rows are for
    notes : what is averaged over and where covariates stand
    mean_words, contrast_words : what the intervals and tests are
    level : level of the intervals
    formula_text, data_name : the model and its data
    """

    means: pd.DataFrame
    contrasts: pd.DataFrame | None
    specs: tuple[str, ...]
    by: tuple[str, ...]
    notes: tuple[str, ...]
    mean_words: str
    contrast_words: str
    level: float
    formula_text: str
    data_name: str

    def to_frame(self) -> pd.DataFrame:
        """Copy of the table of means; the contrasts are in ``contrasts``.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("score ~ Machine + (1 | Worker/Machine)", hb.load_dataset("Machines"))
        >>> hb.emmeans(fit, "Machine").to_frame()["estimate"].round(2).tolist()
        [52.36, 60.32, 66.27]
        """
        return self.means.copy()
