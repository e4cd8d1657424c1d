"""Predictions with their intervals: a DataFrame that says which uncertainties are in it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hierbayes.results.printing import Printable

FloatArray = npt.NDArray[np.float64]

PREDICTION_COLUMNS = ("prediction", "se", "lower", "upper")


class PredictionTable(Printable, pd.DataFrame):
    """A table ``prediction se lower upper``; a DataFrame in all but how it prints.

    ``attrs`` hold ``interval`` ("confidence", of the expected response, or "prediction", of a new
    one), ``level``, ``kind`` ("t"; of a posterior "eti" or "hdi") and ``includes``, the
    uncertainties that are in ``se``, ``lower`` and ``upper``.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> fit.predict(interval="confidence").columns.tolist()
    ['prediction', 'se', 'lower', 'upper']
    """

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return PredictionTable


def prediction_table(columns: Sequence[FloatArray], index: Any, **attrs: Any) -> PredictionTable:
    """Make the table of its four columns, arrays (m,), and what ``attrs`` say of them."""
    named = dict(zip(PREDICTION_COLUMNS, columns, strict=True))
    table = PredictionTable(named, index=index)
    table.attrs.update(attrs)
    return table


def included(
    groups: Sequence[str], *, drawn: Sequence[str], residual: str | None, known_theta: bool = False
) -> str:
    """Name the uncertainties that are in an interval, and what is left out.

    Parameters
    ----------
    groups : names of the grouping factors whose effects are in the prediction
    drawn : those of them that have rows of levels not fitted, whose effects vary in the interval
    residual : how the residual variation is called, or None where it is not in
    known_theta : whether a variance was estimated as zero and is taken as known
    """
    parts = ["fixed effects"]
    parts += [f"effects of {' and '.join(groups)}"] if groups else []
    parts += [f"the spread of new levels of {' and '.join(drawn)}"] if drawn else []
    parts += ["covariance parameters"]
    parts += [residual] if residual else []
    text = ", ".join(parts)
    if known_theta:
        text += "; a variance or correlation on its boundary is taken as known"
    return text if groups else text + "; random effects left out (the typical group)"
