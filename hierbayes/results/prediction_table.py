"""Predictions with their intervals: a DataFrame that says which uncertainties are in it."""

from collections.abc import Sequence
from typing import Any

from hierbayes.arrays import FloatArray
from hierbayes.results.fit_tables import FitTables
from hierbayes.results.result_table import ResultTable

PREDICTION_COLUMNS = ("prediction", "se", "lower", "upper")


class PredictionTable(ResultTable):
    """A table ``prediction se lower upper``; a DataFrame in all but how it prints.

    ``attrs`` hold ``interval`` ("confidence", of the expected response, or "prediction", of a new
    one), ``level``, ``kind`` ("t", of other families "normal", "logit" or "simulated"; of a
    posterior "eti" or "hdi") and ``includes``, the uncertainties that are in ``se``, ``lower`` and
    ``upper``.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> fit.predict(interval="confidence").columns.tolist()
    ['prediction', 'se', 'lower', 'upper']
    """

    origin = "predict"


def prediction_table(columns: Sequence[FloatArray], index: Any, **attrs: Any) -> PredictionTable:
    """Make the table of its four columns, arrays (m,), and what ``attrs`` say of them."""
    named = dict(zip(PREDICTION_COLUMNS, columns, strict=True))
    table = PredictionTable(named, index=index)
    table.attrs.update(attrs)
    return table


def heading_lines(table: PredictionTable) -> list[str]:
    """Say what the intervals are of, and which uncertainties are in them."""
    attrs = table.attrs
    percent = f"{100 * attrs['level']:g} %"
    new = attrs["interval"] == "prediction"
    if attrs["kind"] == "t":
        kind = "prediction interval" if new else "confidence interval"
        how = "t quantiles, Satterthwaite's df"
    elif attrs["kind"] == "simulated":
        kind, how = "prediction interval", "quantiles of responses drawn"
    elif attrs["kind"] == "normal":
        kind, how = "confidence interval", "normal quantiles on the scale of the link"
    elif attrs["kind"] == "logit":
        kind, how = "confidence interval", "normal quantiles on the scale of the logit"
    else:
        kind = "credible interval"
        how = {"eti": "equal-tailed", "hdi": "highest density"}[attrs["kind"]]
    of = "a new response" if new else "the expected response"
    return [f"{percent} {kind} of {of} ({how})", f"in it: {attrs['includes']}"]


def included(
    fit: FitTables,
    groups: Sequence[str],
    *,
    drawn: Sequence[str],
    residual: str | None,
    sigma_estimated: bool,
    known_theta: bool = False,
) -> str:
    """Name the uncertainties that are in an interval, and what is left out.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    groups : names of the grouping factors whose effects are in the prediction
    drawn : those of them that have rows of levels not fitted, whose effects vary in the interval
    residual : how the residual variation is called, or None where it is not in
    sigma_estimated : whether there is a residual sd that is not known
    known_theta : whether a variance was estimated as zero and is taken as known
    """
    has_groups = bool(fit.design.factors)
    parts = ["fixed effects"] if fit.kept.size else []
    parts += [f"effects of {' and '.join(groups)}"] if groups else []
    parts += [f"the spread of new levels of {' and '.join(drawn)}"] if drawn else []
    if has_groups:
        parts.append("covariance parameters")
    elif sigma_estimated:
        parts.append("the estimate of sigma")
    parts += [residual] if residual else []
    text = ", ".join(parts)
    if known_theta:
        text += "; a variance or correlation on its boundary is taken as known"
    if has_groups and not groups:
        text += "; random effects left out (the typical group)"
    return text
