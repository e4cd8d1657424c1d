"""Tables of F tests: terms of a model, single-term deletions, joint tests of contrasts."""

from typing import ClassVar

import pandas as pd

from hierbayes.arrays import record
from hierbayes.options import Ddf
from hierbayes.results.tabled import Tabled

F_COLUMNS = ("sum_sq", "mean_sq", "num_df", "den_df", "f_value", "p_value")
DELETION_COLUMNS = ("npar", "aic", "lrt", "p_value")


@record(repr=False)
class FTable(Tabled):
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

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> hb.anova(fit).to_frame()["den_df"].round(3).to_dict()
    {'Days': 17.0}
    """

    FRAME: ClassVar = ("table", "f_tests")

    table: pd.DataFrame
    title: str
    formula_text: str
    ddf: Ddf
    type: int = 0
    notes: tuple[str, ...] = ()


@record(repr=False)
class DeletionTable(Tabled):
    """Likelihood-ratio tests of single-term deletions.

    Attributes
    ----------
    table : index ``<none>`` (the model as it is), then each term that may be left out; columns
        ``npar`` (parameters that are lost), ``aic`` of the smaller model, ``lrt`` and ``p_value``
    formula_text : the model
    refitted : whether a REML fit was fitted again with ML for this table

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
    >>> hb.drop1(fit, test="Chisq").to_frame().index.tolist()
    ['<none>', 'Days']
    """

    FRAME: ClassVar = ("table", "f_tests")

    table: pd.DataFrame
    formula_text: str
    refitted: bool = False
