"""Tables of F tests: terms of a model, single-term deletions, joint tests of contrasts."""

import pandas as pd

from hierbayes.arrays import record
from hierbayes.options import Ddf
from hierbayes.results.exporting import Exportable
from hierbayes.results.result_table import ResultTable, result_table

F_COLUMNS = ("sum_sq", "mean_sq", "num_df", "den_df", "f_value", "p_value")
DELETION_COLUMNS = ("npar", "aic", "lrt", "p_value")


@record(repr=False)
class FTable(Exportable):
    """F tests, one row a term or hypothesis.

    Attributes
    ----------
    table : index the terms; columns ``sum_sq mean_sq num_df den_df f_value p_value``, missing for
        a term all of whose columns were dropped. ``mean_sq`` is the F statistic times sigma^2,
        before Kenward and Roger's scaling, in squared units of the response; ``sum_sq`` is
        ``mean_sq`` times ``num_df``.
    title : what was tested, and by which method
    formula_text : the model, where the title doesn't say what was tested in it
    ddf : kind of the denominator degrees of freedom
    type : 1, 2 or 3 for an analysis-of-variance table, else 0
    notes : sentences on tests that are missing
    """

    table: pd.DataFrame
    title: str
    formula_text: str
    ddf: Ddf
    type: int = 0
    notes: tuple[str, ...] = ()

    def to_frame(self) -> ResultTable:
        """Copy of the table, one row a term.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
        >>> hb.anova(fit).to_frame()["den_df"].round(3).to_dict()
        {'Days': 17.0}
        """
        return result_table(self.table, "f_tests")


@record(repr=False)
class DeletionTable(Exportable):
    """Likelihood-ratio tests of single-term deletions.

    Attributes
    ----------
    table : index ``<none>`` (the model as it is), then each term that may be left out; columns
        ``npar`` (parameters that are lost), ``aic`` of the smaller model, ``lrt`` and ``p_value``
    formula_text : the model
    refitted : whether a REML fit was fitted again with ML for this table
    """

    table: pd.DataFrame
    formula_text: str
    refitted: bool = False

    def to_frame(self) -> ResultTable:
        """Copy of the table, one row a deletion.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
        >>> hb.drop1(fit, test="Chisq").to_frame().index.tolist()
        ['<none>', 'Days']
        """
        return result_table(self.table, "f_tests")
