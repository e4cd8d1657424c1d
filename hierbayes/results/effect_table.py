"""Predictions, comparisons and slopes as a table, with the draws behind it where there are any."""

from typing import Any, Literal

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, record
from hierbayes.capabilities import not_supported
from hierbayes.results import verbs
from hierbayes.results.exporting import Exportable
from hierbayes.results.result_table import ResultTable, result_table

EffectKind = Literal["predictions", "comparisons", "slopes"]


@record(repr=False)
class EffectTable(Exportable):
    """Expected responses, or differences and ratios of them, averaged over rows.

    Attributes
    ----------
    table : one row a result: the columns ``labels``, then ``estimate std_error df``, of comparisons
        and slopes ``statistic p_value``, and ``conf_low conf_high``; of a posterior mean (or
        median), sd and credible interval, and the rest missing, but of comparisons and slopes
        ``p_direction``, the probability of the sign (of a ratio, of the side of one) that is more
        probable
    labels : names of the columns that say what a row is
    kind : "predictions", "comparisons" or "slopes"
    title : what they are
    target : whose expected response it is, in words
    over : what is averaged over, in words
    notes : what else is to be said
    words : what intervals and tests are
    level : level of the intervals
    formula_text, data_name : the model and its data
    sampled : array, shape (S, rows of the table), draws or replicates; None where there are none
    """

    table: pd.DataFrame
    labels: tuple[str, ...]
    kind: EffectKind
    title: str
    target: str
    over: str
    notes: tuple[str, ...]
    words: str
    level: float
    formula_text: str
    data_name: str
    sampled: FloatArray | None = None

    def to_frame(self) -> ResultTable:
        """Copy of the table.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
        >>> hb.slopes(fit, "Days").to_frame()["estimate"].round(2).tolist()
        [10.47]
        """
        return result_table(self.table, self.kind, attrs={"level": self.level})

    def plot(self, **options: Any) -> Any:
        """Draw the estimates with their intervals; options are those of ``hb.plot.estimates``.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
        >>> figure, axes = hb.predictions(fit, at={"Days": [0, 3, 6, 9]}).plot()
        """
        return verbs.ask(self, "picture", **options)

    def draws(self) -> pd.DataFrame:
        """Draws of a posterior, or replicates of a bootstrap, as a long table.

        Returns
        -------
        pandas.DataFrame
            ``draw``, counted from 1, the columns ``labels`` and ``value``; one row a draw and row
            of the table.

        Raises
        ------
        NotSupportedError
            For a likelihood fit by the delta method.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)",
        ...     hb.load_dataset("cbpp"))
        >>> found = hb.predictions(fit, method="bootstrap", nsim=50, random_seed=1)
        >>> found.draws().columns.tolist()
        ['draw', 'value']
        """
        if self.sampled is None:
            raise not_supported("draws-of-delta-method")
        S, m = self.sampled.shape
        rows = np.tile(np.arange(m), S)
        long = self.table[list(self.labels)].iloc[rows].reset_index(drop=True)
        long.insert(0, "draw", np.repeat(np.arange(1, S + 1), m))
        return long.assign(value=self.sampled.ravel())
