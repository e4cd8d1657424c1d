"""Estimated marginal means: what the fixed part predicts, averaged over a balanced grid.

A mean is l'beta with l the average, with equal weights unless said, of the grid's rows that share
the values of ``specs`` and ``by``. Random effects are left out: it is a mean for the typical group.
A likelihood fit has t intervals with degrees of freedom of their own for every l; a posterior has
l'beta in every draw. Averages of expected responses are made cell by cell before averaging, on
request.

Source: Searle, Speed & Milliken (1980), Am. Stat. 34:216; Lenth (2016), J. Stat. Softw. 69(1).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from hierbayes.calls import checked_call
from hierbayes.errors import OptionError
from hierbayes.families.observations import category_labels, checked_observations
from hierbayes.marginal_means.emmeans_contrasts import Asked
from hierbayes.marginal_means.emmeans_estimates import Request, mean_marginals
from hierbayes.marginal_means.grid_quantities import averaged_cells, averaged_rows, regridded
from hierbayes.marginal_means.marginal_table import (
    Prepared,
    checked_ddf,
    marginal_table,
    prepared,
)
from hierbayes.marginal_means.response_scale import check_kind
from hierbayes.marginal_means.spellings import adjust_named
from hierbayes.options import (
    ContrastKind,
    Ddf,
    GridTransform,
    IntervalKind,
    MeanWeights,
    PredictionType,
    check_option,
)
from hierbayes.results.emmeans_table import EmmeansTable
from hierbayes.results.fit import Fit
from hierbayes.results.marginal_quantities import Marginals, Question
from hierbayes.wording import shown

CATEGORY = "category"  # the column of ordered categories, as in predictions


@checked_call("hb.emmeans")
def emmeans(
    fit: Fit,
    specs: str | Iterable[str],
    by: str | Iterable[str] | None = None,
    *,
    contrasts: str | Mapping[str, Any] | Iterable[Any] | None = None,
    at: Mapping[str, Any] | None = None,
    ddf: Ddf | None = None,
    adjust: str | None = None,
    level: float = 0.95,
    type: PredictionType = "link",
    kind: ContrastKind = "difference",
    bias_adjust: bool = False,
    weights: MeanWeights | Iterable[float] = "equal",
    cov_reduce: Any = "mean",
    regrid: GridTransform | None = None,
    interval: IntervalKind = "eti",
) -> EmmeansTable:
    """Estimate marginal means of predictors, and contrasts between them.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    specs : str or list of str
        Columns of the data in the fixed part: one mean for each combination of their values. All
        other factors are averaged over with equal weights; numbers stand at their mean (both
        values of a number that has two). An empty list gives the mean over everything. Of nested
        factors only the combinations in the data count, and rows say what they are nested in.
        R's formulas are understood: ``"a * b"``, ``"a | b"``, ``"pairwise ~ a | b"``.
    by : str or list of str, optional
        Predictors whose values are kept apart: contrasts are made, and adjusted, within each.
    contrasts : str, dict, list, array or DataFrame, optional
        "pairwise" for all differences, or another family of emmeans ("trt.vs.ctrl", "consec",
        "poly", "eff" ...); a dict from a name to weights, one for each mean of a group or as a
        dict from its label; a list of pairs ``("A", "B")`` for A - B; a matrix of weights. The
        table's method ``contrast`` has further options.
    at : dict, optional
        Values of predictors: ``{"Days": [0, 9]}``, or some of the levels of a factor.
    ddf : {"satterthwaite", "kenward-roger", "normal", "none"}
        Degrees of freedom of a likelihood fit, "satterthwaite" when not given, of other families
        "normal".
    adjust : str, optional
        For several tests: "tukey", "mvt", "dunnettx", "scheffe", "sidak", "bonferroni", "holm",
        "hochberg", "hommel", "fdr", "by" or "none". Each family of contrasts has its own: Tukey's
        for pairwise differences, none for contrasts of your own.
    level : float
    type : {"link", "response", "probability"}
        Scale of the means, and of contrasts, which are differences there unless ``kind`` says
        otherwise. The same for a Gaussian model. For ordered categories "response" is the mean
        number of the category, as ``predict`` has it, and "probability" has a row for each
        category, which are contrasted apart. Means are averaged as linear predictors, then carried
        over.
    kind : {"difference", "ratio", "odds_ratio"}
        What contrasts are on the response scale. Ratios and odds ratios are tested and have their
        intervals as logs, so that of a log or logit link p is that of the link scale; weights of
        contrasts of your own are those of logs.
    bias_adjust : bool
        On the response scale, average over the groups that the random effects describe: the mean
        of all groups, where by default means are of a typical group. The sds of a likelihood fit
        count as known.
    weights : {"equal", "proportional", "outer", "cells", "flat"} or list of numbers
        How what is averaged over is weighed: alike; by the rows used with each combination, or
        with each value alone; by the rows of each cell; alike over cells that have rows. Numbers
        are for each combination averaged over, the first predictor fastest. Rows count as much as
        the model's weights say.
    cov_reduce : "mean", "median", "min", "max", "range", False, function or dict
        What numbers stand at that ``at`` says nothing of; of several values as of levels. False
        takes all values in the data; a dict goes by predictor.
    regrid : {"response", "log", "log2", "log10", "sqrt", "inverse", "logit", "probit"}, optional
        Carry every cell of the grid over before averaging: to its expected response, or to a
        transform of that. By default linear predictors are averaged, then carried over.
    interval : {"eti", "hdi"}
        Of a posterior: equal-tailed or highest-density intervals.

    Returns
    -------
    EmmeansTable
        ``.to_frame()`` for the means, ``.contrasts`` for the contrasts, and the methods
        ``contrast``, ``pairs``, ``test``, ``confint``, ``regrid`` and ``eff_size`` for more; NaN
        where the data do not determine a mean (a combination of levels without rows in a model
        with interactions).

    Raises
    ------
    OptionError
        If a name is no predictor of the fixed part, or options do not go together.
    DataError
        If ``at`` has a level that is not in the data, or ``bias_adjust`` asks for the spread of a
        slope whose column is not in the fixed part.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("score ~ Machine + (1 | Worker/Machine)", hb.load_dataset("Machines"))
    >>> found = hb.emmeans(fit, "Machine", contrasts="pairwise")
    >>> found.contrasts[["contrast", "p_value"]].round(4).values.tolist()
    [['A - B', 0.0111], ['A - C', 0.0002], ['B - C', 0.0507]]

    Odds ratios of a generalised model:

    >>> cbpp = hb.load_dataset("cbpp")
    >>> fit = hb.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp)
    >>> odds = {"type": "response", "kind": "odds_ratio"}
    >>> found = hb.emmeans(fit, "period", contrasts=[("1", "2")], **odds)
    >>> found.contrasts[["contrast", "estimate"]].round(2).values.tolist()
    [['period1 / period2', 2.7]]
    """
    ddf = checked_ddf(fit, "emmeans", ddf, level=level, type=type, interval=interval)
    how = None if adjust is None else adjust_named(adjust)
    if regrid is not None:
        type = _regridded_type(regrid, type, kind)
    _check_scale(fit, type=type, kind=kind, bias_adjust=bias_adjust)
    made = prepared(
        fit, specs, by, contrasts, at=at, weights=weights, cov_reduce=cov_reduce,
        effects=bias_adjust,
    )  # fmt: skip
    request = Request(ddf=ddf, on_link=type == "link", kind=kind, interval=interval)
    marginals = _marginals(fit, made, request, regrid=regrid, of_categories=type == "probability")
    return marginal_table(
        fit,
        made,
        marginals,
        Question(level=level),
        contrasts=Asked(contrasts=made.contrasts, sign="/" if marginals.shows_exp else "-"),
        adjust=how,
        of_all_groups=bias_adjust,
    )


def _regridded_type(regrid: Any, type: PredictionType, kind: ContrastKind) -> PredictionType:
    check_option("regrid", regrid, GridTransform)
    if regrid != "response" and (type == "response" or kind != "difference"):
        given = "type='response'" if type == "response" else f"kind={kind!r}"
        raise OptionError(
            f"{given} with regrid={regrid!r}: means of the transform are wanted and of the "
            "response, too. Leave one out; .pairs(type='response') shows differences of logs as "
            "ratios."
        )
    return "response" if type == "link" else type


def _marginals(
    fit: Fit, made: Prepared, request: Request, *, regrid: Any, of_categories: bool
) -> Marginals:
    """Means on the scale asked for, averaged before or after they are carried over."""
    rows, cells, by = averaged_rows(fit, made.averaging), None, made.by
    names, column = category_names(fit, rows.labels.columns) if of_categories else ((), "")
    if regrid is not None:
        cells = averaged_cells(
            fit, made.averaging, ddf=request.ddf, interval=request.interval, transform=regrid,
            n_categories=len(names),
        )  # fmt: skip
    if of_categories:
        rows, by = rows.of_categories(names, column), (*by, column)
    if cells is None:
        return mean_marginals(fit, rows, request, specs=made.specs, by=by)
    return regridded(fit, rows, cells, request, transform=regrid, specs=made.specs, by=by)


def category_names(fit: Fit, taken: Iterable[str]) -> tuple[tuple[str, ...], str]:
    """Names of the ordered categories, and of their column; no predictor is called so."""
    n_thresholds = checked_observations(fit.design, fit.response_family).max()
    column, others = CATEGORY, list(taken)
    while column in others:
        column += "_"
    return tuple(category_labels(fit.design, int(n_thresholds) + 1)), column


def _check_scale(fit: Fit, *, type: PredictionType, kind: ContrastKind, bias_adjust: bool) -> None:
    check_option("kind", kind, ContrastKind)
    check_kind(kind, fit.response_family, of_categories=type == "probability")
    if not isinstance(bias_adjust, bool):
        raise OptionError(f"bias_adjust={shown(bias_adjust)} must be True or False.")
    if type == "link" and (kind != "difference" or bias_adjust):
        given = "bias_adjust=True" if bias_adjust else f"kind={kind!r}"
        raise OptionError(f"{given} is about expected responses; add type='response'.")
