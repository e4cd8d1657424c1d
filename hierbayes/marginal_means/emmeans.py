"""Estimated marginal means: what the fixed part predicts, averaged over a balanced grid.

A mean is l'beta with l the average, with equal weights, of the grid's rows that share the values of
``specs`` and ``by``. Random effects are left out: it is a mean for the typical group. A likelihood
fit has t intervals with degrees of freedom of their own for every l; a posterior has l'beta in
every draw.

Source: Searle, Speed & Milliken (1980), Am. Stat. 34:216; Lenth (2016), J. Stat. Softw. 69(1).
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise, product
from typing import Any, Literal

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.calls import checked_call
from hierbayes.errors import OptionError
from hierbayes.families.observations import category_labels, checked_observations
from hierbayes.intervals.linear_tests import own_ddf
from hierbayes.intervals.satterthwaite import held_notes
from hierbayes.marginal_means.emmeans_contrasts import ContrastRows, contrast_rows, no_contrasts
from hierbayes.marginal_means.emmeans_estimates import (
    FitEstimates,
    MeanRows,
    PosteriorEstimates,
    Request,
)
from hierbayes.marginal_means.emmeans_notes import grid_notes
from hierbayes.marginal_means.nesting import Nesting, grid_means, nesting
from hierbayes.marginal_means.response_scale import check_kind
from hierbayes.options import Adjust, ContrastKind, Ddf, PredictionType, check_option
from hierbayes.prediction.predict import check_type
from hierbayes.prediction.reference_grid import (
    ReferenceGrid,
    is_estimable,
    no_predictor,
    reference_grid,
)
from hierbayes.results.emmeans_table import EmmeansTable
from hierbayes.results.fit import Fit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.tidy import check_level
from hierbayes.wording import shown

SIGNS: dict[ContrastKind, str] = {"difference": "-", "ratio": "/", "odds_ratio": "/"}
CATEGORY = "category"  # the column of ordered categories, as in predictions
OVERALL = "1"  # the column of a mean that is over everything, as R calls it


@checked_call("hb.emmeans")
def emmeans(
    fit: Fit,
    specs: str | Iterable[str],
    by: str | Iterable[str] | None = None,
    *,
    contrasts: Literal["pairwise"] | Mapping[str, Any] | Iterable[Any] | None = None,
    at: Mapping[str, Any] | None = None,
    ddf: Ddf | None = None,
    adjust: Adjust | None = None,
    level: float = 0.95,
    type: PredictionType = "link",
    kind: ContrastKind = "difference",
    bias_adjust: bool = False,
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
    by : str or list of str, optional
        Predictors whose values are kept apart: contrasts are made, and adjusted, within each.
    contrasts : "pairwise", dict or list, optional
        "pairwise" for all differences; a dict from a name to weights, one for each mean of a
        group or as a dict from its label; a list of pairs ``("A", "B")`` for A - B.
    at : dict, optional
        Values of predictors: ``{"Days": [0, 9]}``, or some of the levels of a factor.
    ddf : {"satterthwaite", "kenward-roger", "normal", "none"}
        Degrees of freedom of a likelihood fit, "satterthwaite" when not given, of other families
        "normal".
    adjust : {"tukey", "holm", "none"}
        For several tests: Tukey for pairwise differences and none for others unless said.
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

    Returns
    -------
    EmmeansTable
        ``.to_frame()`` for the means, ``.contrasts`` for the contrasts; NaN where the data do not
        determine a mean (a combination of levels without rows in a model with interactions).

    Raises
    ------
    OptionError
        If a name is no predictor of the fixed part.
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
    ddf = own_ddf(fit) if ddf is None else ddf
    _check_options(fit, ddf=ddf, adjust=adjust, level=level, type=type)
    _check_scale(fit, type=type, kind=kind, bias_adjust=bias_adjust)
    asked, groups = _names("specs", specs, some=False), () if by is None else _names("by", by)
    _check_apart(asked, groups)
    grid = reference_grid(fit, at, effects=bias_adjust)
    for argument, names in (("specs", asked), ("by", groups)):
        for name in names:
            if name not in grid.names():
                raise OptionError(f"{argument}: {no_predictor(fit, name, grid.names())}")
    nested = nesting(fit, grid)
    asked, groups = nested.with_nests(asked, groups), nested.with_nests(groups, asked)
    rows = mean_rows(fit, grid, nested, specs=asked, by=groups)
    asked = asked or (OVERALL,)
    if type == "probability":
        n_thresholds = checked_observations(fit.design, fit.response_family).max()
        column = _category_column(rows.labels)
        rows = rows.of_categories(category_labels(fit.design, int(n_thresholds) + 1), column)
        groups = (*groups, column)
    wanted, method = None, None
    if contrasts is not None:
        wanted = _wanted_contrasts(contrasts, rows, asked, sign=SIGNS[kind])
        method = wanted[0].adjustment(adjust)
    request = Request(ddf=ddf, level=level, on_link=type == "link", kind=kind)
    weights = None if wanted is None else tuple(own.weights for own in wanted)
    estimates: FitEstimates | PosteriorEstimates
    if isinstance(fit, PosteriorFit):
        estimates = PosteriorEstimates.of(fit, rows, weights=weights, request=request)
    else:
        estimates = FitEstimates.of(fit, rows, weights=weights, request=request)
    table, words = None, ""
    if wanted is not None and method is not None:
        table = _contrast_table(rows, wanted, estimates, by=groups, method=method)
        words = estimates.contrast_words(
            method,
            n_means=_from_to([own.weights.shape[1] for own in wanted if own.names]),
            n_tests=_from_to([len(own.names) for own in wanted if own.names]),
            grouped=bool(groups),
        )
    predictors = tuple(name for name in asked + groups if name in grid.names())
    return EmmeansTable(
        means=rows.labels.assign(**estimates.means()),
        contrasts=table,
        specs=asked,
        by=groups,
        notes=nested.words()
        + grid_notes(
            fit,
            grid,
            predictors,
            nested=nested,
            estimable=rows.estimable,
            of_all_groups=bias_adjust,
        )
        + (held_notes(fit, ddf) if isinstance(fit, LikelihoodFit) else ()),
        mean_words=estimates.mean_words(),
        contrast_words=words,
        level=level,
        formula_text=fit.formula_text,
        data_name=fit.data_name,
    )


def _check_options(fit: Fit, *, ddf: Any, adjust: Any, level: float, type: Any) -> None:
    if not isinstance(fit, Fit):
        found = fit.__class__.__name__
        raise OptionError(f"emmeans is about a fit or a posterior; it got {found}.")
    check_option("ddf", ddf, Ddf)
    check_option("type", type, PredictionType)
    check_type(type, fit.response_family)
    if type == "count":
        raise OptionError(
            "type='count': a marginal mean has no number of trials. type='response' is the share "
            "of successes."
        )
    if adjust is not None:
        check_option("adjust", adjust, Adjust)
    check_level(level)


def _check_scale(fit: Fit, *, type: PredictionType, kind: ContrastKind, bias_adjust: bool) -> None:
    check_option("kind", kind, ContrastKind)
    check_kind(kind, fit.response_family, of_categories=type == "probability")
    if not isinstance(bias_adjust, bool):
        raise OptionError(f"bias_adjust={shown(bias_adjust)} must be True or False.")
    if type == "link" and (kind != "difference" or bias_adjust):
        given = "bias_adjust=True" if bias_adjust else f"kind={kind!r}"
        raise OptionError(f"{given} is about expected responses; add type='response'.")


def _names(argument: str, given: Any, *, some: bool = True) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, Iterable) or isinstance(names, Mapping):
        raise OptionError(
            f"{argument}={shown(given)} must be a predictor's name or a list of names."
        )
    names = tuple(names)
    if some and not names:
        raise OptionError(f"{argument}={shown(given)} names no predictor.")
    for name in names:
        if not isinstance(name, str):
            raise OptionError(f"{argument}: {shown(name)} is not a predictor's name.")
    if len(set(names)) < len(names):
        raise OptionError(f"{argument}={shown(given)} names a predictor twice.")
    return names


def _check_apart(specs: tuple[str, ...], by: tuple[str, ...]) -> None:
    both = [name for name in specs if name in by]
    if both:
        raise OptionError(f"{both[0]!r} stands in specs and in by; leave it out of one.")


def _category_column(labels: pd.DataFrame) -> str:
    """Name the column of categories; no predictor of the table is called so."""
    name = CATEGORY
    while name in labels:
        name += "_"
    return name


def _values(grid: ReferenceGrid, name: str) -> tuple[Any, ...]:
    return next(p.values for p in grid.predictors if p.name == name)


def mean_rows(
    fit: Fit, grid: ReferenceGrid, nested: Nesting, *, specs: tuple[str, ...], by: tuple[str, ...]
) -> MeanRows:
    """Average the grid over every predictor that is not wanted, innermost ones first."""
    wanted = specs + by
    axes = list(grid.names()[::-1])  # of the grid as an array
    over = [name for name in axes if name not in wanted]
    over.sort(key=lambda name: -len(nested.nests.get(name, ())))
    left = [name for name in axes if name in wanted]
    order = [left.index(name) for name in reversed(wanted)]
    p = grid.X.shape[1]
    columns = np.column_stack([grid.X, grid.offset, *grid.z])
    values = columns.reshape(*grid.shape, columns.shape[1])
    means, exists = grid_means(values, nested.exists, axes=axes, order=over)
    exists = exists.transpose(order).ravel()
    means = means.transpose(*order, len(order)).reshape(-1, columns.shape[1])[exists]
    combinations = list(product(*(_values(grid, name) for name in reversed(wanted))))
    labels = pd.DataFrame(
        [values[::-1] for values, own in zip(combinations, exists, strict=True) if own],
        columns=list(wanted),
    )
    if not specs:
        labels = pd.DataFrame({OVERALL: ["overall"] * means.shape[0], **labels})
    X = means[:, :p]
    return MeanRows(
        labels=labels,
        groups=_groups(labels, by),
        L=X[:, fit.kept],
        offset=means[:, p],
        estimable=is_estimable(X, fit.design.X, fit.identified),
        z=_parts(means[:, p + 1 :], [z.shape[1] for z in grid.z]),
    )


def _parts(columns: FloatArray, sizes: list[int]) -> tuple[FloatArray, ...]:
    ends = np.cumsum([0, *sizes]).tolist()
    return tuple(columns[:, a:b] for a, b in pairwise(ends))


def _groups(labels: pd.DataFrame, by: tuple[str, ...]) -> tuple[slice, ...]:
    """Rows of the means that share the values of ``by``; they stand together."""
    keys = list(labels[list(by)].itertuples(index=False, name=None)) if by else [()] * len(labels)
    starts = [i for i, key in enumerate(keys) if i == 0 or key != keys[i - 1]]
    return tuple(slice(a, b) for a, b in pairwise([*starts, len(keys)]))


def _wanted_contrasts(
    contrasts: Any, rows: MeanRows, specs: tuple[str, ...], *, sign: str
) -> tuple[ContrastRows, ...]:
    """Read the contrasts for each group; one mean alone has no pairs where others have some."""
    labels = [rows.labels[list(specs)].iloc[group] for group in rows.groups]
    several = any(len(own) > 1 for own in labels)
    return tuple(
        no_contrasts(len(own))
        if isinstance(contrasts, str) and contrasts == "pairwise" and several and len(own) == 1
        else contrast_rows(contrasts, own, sign=sign)
        for own in labels
    )


def _from_to(counts: list[int]) -> str:
    """Write how many there are in every group: ``3``, or ``2 to 3`` where groups differ."""
    return str(counts[0]) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def _contrast_table(
    rows: MeanRows,
    wanted: tuple[ContrastRows, ...],
    estimates: FitEstimates | PosteriorEstimates,
    *,
    by: tuple[str, ...],
    method: Adjust,
) -> pd.DataFrame:
    """Contrasts within each combination of ``by``, one family each."""
    parts = []
    for place, (group, own) in enumerate(zip(rows.groups, wanted, strict=True)):
        if not own.names:
            continue
        found = estimates.contrasts(place, method=method)
        part = pd.DataFrame({"contrast": list(own.names), **found})
        for column, name in enumerate(by):
            part.insert(column, name, rows.labels[name].iloc[group.start])
        parts.append(part)
    return pd.concat(parts, ignore_index=True)
