"""The regression table of a paper: models in columns, parameters and statistics in rows."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import pandas as pd

from hierbayes.arrays import record
from hierbayes.results.tabled import Tabled

Shown = Literal["interval", "std_error", "none"]
PAPER_COLUMNS = (
    "block", "row", "model", "estimate", "std_error", "conf_low", "conf_high", "p_value",
)  # fmt: skip


@record(repr=False)
class PaperTable(Tabled):
    """Models side by side, as ``hb.table`` lays them.

    Attributes
    ----------
    table : one row a cell: ``block`` ("fixed", "random", "groups", "model"), ``row``, ``model`` and
        ``estimate std_error conf_low conf_high p_value``; a statistic is an ``estimate``
    models : names of the models, the columns
    formulas : name of each model -> its formula
    headings : block -> the line above it
    shown : what stands beside an estimate: "interval", "std_error" or "none"
    p_values, stars : whether p values, or stars for them, stand in the cells
    digits : significant digits of an interval that a cell shows
    level : level of the intervals
    title : line above the table
    notes : what the cells are, model by model

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> hb.table(fit).to_frame()["row"].tolist()[:3]
    ['(Intercept)', 'sd((Intercept) | Batch)', 'sigma']
    """

    FRAME: ClassVar = ("table", "table")
    KNOWN: ClassVar = ("level",)

    table: pd.DataFrame
    models: tuple[str, ...]
    formulas: Mapping[str, str]
    headings: Mapping[str, str]
    shown: Shown
    p_values: bool
    stars: bool
    digits: int
    level: float
    title: str
    notes: tuple[str, ...]
