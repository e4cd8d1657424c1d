"""Predictions, comparisons and slopes of both estimators: what is public of this package.

All three are averages of expected responses over rows and what is made of them (``plan.py``); they
differ in which predictors are changed between the averages (``changes.py``). Which rows, whose
effects and on which scale is asked in the same words by all.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd

from hierbayes.calls import checked_call
from hierbayes.errors import OptionError
from hierbayes.families.observations import category_labels, checked_observations
from hierbayes.marginal_effects.base_rows import BaseRows, base_rows, free_name
from hierbayes.marginal_effects.bootstrap import bootstrap_estimates
from hierbayes.marginal_effects.changes import Change, changes_of, checked_variables, slope_of
from hierbayes.marginal_effects.effect_words import over_words, scale_words, target_words
from hierbayes.marginal_effects.estimates import COLUMNS, Estimates
from hierbayes.marginal_effects.generalised import generalised_estimates
from hierbayes.marginal_effects.linear import linear_estimates
from hierbayes.marginal_effects.new_responses import new_response_estimates
from hierbayes.marginal_effects.plan import Plan, plan_of
from hierbayes.marginal_effects.posterior import posterior_estimates
from hierbayes.marginal_effects.request import (
    By,
    EffectOptions,
    EffectRequest,
    check_request,
)
from hierbayes.marginal_effects.several_tests import adjusted, contrasts_between
from hierbayes.marginal_means.contrast_families import Contrasts
from hierbayes.marginal_means.response_scale import check_kind
from hierbayes.options import ComparisonKind, check_option
from hierbayes.prediction.data_rows import is_category
from hierbayes.prediction.typical_values import known_column
from hierbayes.results.effect_table import EffectKind, EffectTable
from hierbayes.results.fit import Fit
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.posterior_fit import PosteriorFit

CATEGORY = "category"  # the column of ordered categories, as in predictions
KIND_TITLES: dict[ComparisonKind, str] = {
    "difference": "Differences",
    "ratio": "Ratios",
    "odds_ratio": "Odds ratios",
    "risk_ratio": "Risk ratios",
}


@checked_call("hb.predictions", options_of=EffectRequest)
def predictions(fit: Fit, by: By = None, **options: Unpack[EffectOptions]) -> EffectTable:
    """Predict expected responses, averaged over rows and groups as asked for.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    by : str, list of str, True or False, optional
        Columns of the data within whose values rows are averaged. None or True averages over all
        rows, False not at all: a row each.
    at : dict, optional
        Values that predictors are set to in every row, the other columns staying what they are:
        ``{"Days": [0, 9]}`` has an average at each. A value, a list, or of a number "mean",
        "median", "min", "max", "minmax" or "quartiles", of a factor "levels". ``at="mean"`` and
        ``at="balanced"`` are short for ``over``.
    over : "rows", "mean", "balanced" or a frame
        What is predicted for: the rows used, one row with numbers at their mean and factors at
        their most frequent level, all combinations of levels with numbers at their mean (equal
        weights, as ``hb.emmeans``), or rows of your own. ``by`` spreads the second over its levels.
    target : "typical group", "observed groups" or "new groups"
        Whose response: that of a group whose random effects are zero; that of the groups in the
        rows, with the effects estimated for them; or the mean over new groups as the random effects
        describe them, by exact integration. For Gaussian models the last is that of the typical
        group; elsewhere curves bend, and it is not.
    type : "response", "link" or "probability"
        Expected responses (of binomial families shares, of ordinal ones the mean category),
        linear predictors, or a row for each of ordered categories.
    weights : str or array, optional
        How much each row counts in averages; all alike unless said.
    contrasts : str, dict or list, optional
        Contrasts between the averages in their place: "pairwise" or another family of
        ``hb.emmeans``, weights by name, or pairs.
    adjust : "none", "bonferroni", "sidak", "holm", "hochberg", "hommel", "fdr" or "by"
        Adjustment for all tests of the table.
    ddf : "satterthwaite", "kenward-roger", "normal" or "none"
        Degrees of freedom of Gaussian fits, "satterthwaite" unless said.
    level : float
        Level of the intervals.
    interval : "confidence" or "prediction"
        Of expected responses, or of a new response of each row: of the target, and of new groups
        with what groups differ by, as ``fit.predict``.
    centre : "mean" or "median"
        Of the draws of a posterior.
    credible : "eti" or "hdi"
        Equal-tailed or shortest credible intervals.
    method : "delta" or "bootstrap"
        Standard errors by the delta method, or percentiles of refits of simulated responses.
    nsim, random_seed, n_jobs
        Of the bootstrap: replicates, seed, workers; the seed of drawn new responses, too.

    Returns
    -------
    EffectTable
        Prints what it is over and for whom; ``.to_frame()``, and ``.draws()`` of a posterior.

    Raises
    ------
    OptionError
        If a name or a word is none that is known.
    DataError
        If values are missing, or a level is not in the data.
    NewLevelError
        If the observed groups are asked for and a row's group has none.
    NotSupportedError
        For Kenward and Roger's method where effects of groups are in a result, and a bootstrap of
        the observed groups.

    Notes
    -----
    A prediction of a single row is that of ``fit.predict``, with the same interval. Limits of
    averages are made on the scale of the link and carried over, so that they stay inside of it.

    Examples
    --------
    >>> import hierbayes as hb
    >>> cbpp = hb.load_dataset("cbpp")
    >>> fit = hb.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp)
    >>> hb.predictions(fit, "period", target="new groups").to_frame()["estimate"].round(3).tolist()
    [0.216, 0.097, 0.086, 0.057]

    A new response of a new group:

    >>> sleep = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> new = {"target": "new groups", "interval": "prediction", "over": "mean"}
    >>> found = hb.predictions(sleep, at={"Days": [0, 9]}, **new).to_frame()
    >>> found[["estimate", "conf_low", "conf_high"]].round(0).values.tolist()
    [[251.0, 178.0, 325.0], [346.0, 206.0, 485.0]]
    """
    asked = EffectRequest(**options)
    check_request(fit, asked)
    base = base_rows(fit, by, asked)
    if asked.contrasts is not None:
        _check_expected(asked)
    elif asked.adjust != "none":
        raise OptionError(f"adjust={asked.adjust!r} is for tests; predictions have contrasts=.")
    return _table(fit, asked, base, (), kind="difference", what="predictions", by=by)


@checked_call("hb.comparisons", options_of=EffectRequest)
def comparisons(
    fit: Fit,
    x: str | Iterable[str] | None = None,
    by: By = None,
    *,
    change: Any = None,
    kind: ComparisonKind = "difference",
    **options: Unpack[EffectOptions],
) -> EffectTable:
    """Compare expected responses between values of a predictor, all else staying what it is.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    x : str or list of str, optional
        The predictors that are changed, one after the other; all unless said.
    by : str, list of str, True or False, optional
        As of ``hb.predictions``: comparisons are made within its values.
    change : number, pair, str or list of pairs, optional
        Of a number by how much it grows in each row (1 unless said), from where to where
        (``(0, 9)``), "sd" (about its mean), "iqr" or "minmax". Of a factor "reference" (each level
        with the baseline, unless said), "pairwise", "sequential", or pairs (from, to).
    kind : "difference", "ratio", "odds_ratio" or "risk_ratio"
        What is made of two averages: a ratio is one of averages, not an average of ratios. Ratios
        are tested, and have their intervals, as logs. A risk ratio is that of probabilities.
    **options
        As of ``hb.predictions``: ``at``, ``over``, ``target``, ``type``, ``weights``,
        ``contrasts`` (differences of differences, ratios of ratios), ``adjust``, ``ddf``,
        ``level``, ``centre``, ``credible``, ``method``, ``nsim``, ``random_seed``, ``n_jobs``.

    Returns
    -------
    EffectTable

    Raises
    ------
    OptionError, DataError, NewLevelError, NotSupportedError
        As ``hb.predictions``; also for ratios of what may be negative.

    Examples
    --------
    >>> import hierbayes as hb
    >>> cbpp = hb.load_dataset("cbpp")
    >>> fit = hb.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp)
    >>> found = hb.comparisons(fit, "period", kind="risk_ratio", target="new groups")
    >>> found.to_frame()[["contrast", "estimate"]].round(3).values.tolist()
    [['2 / 1', 0.449], ['3 / 1', 0.399], ['4 / 1', 0.265]]
    """
    asked = EffectRequest(**options)
    check_request(fit, asked)
    _check_expected(asked)
    check_option("kind", kind, ComparisonKind)
    _check_ratio(fit, asked, kind)
    names = checked_variables(fit, x, _predictors(fit, asked))
    changes = [own for name in names for own in changes_of(fit, name, change, kind=kind)]
    _check_apart(asked, changes, change)
    base = base_rows(fit, by, asked)
    return _table(fit, asked, base, changes, kind=kind, what="comparisons", by=by)


@checked_call("hb.slopes", options_of=EffectRequest)
def slopes(
    fit: Fit,
    x: str | Iterable[str] | None = None,
    by: By = None,
    **options: Unpack[EffectOptions],
) -> EffectTable:
    """Slopes of expected responses in a number: derivatives in each row, averaged.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    x : str or list of str, optional
        The predictors; all numbers unless said.
    by : str, list of str, True or False, optional
        As of ``hb.predictions``: slopes are averaged within its values.
    **options
        As of ``hb.predictions``.

    Returns
    -------
    EffectTable
        Slopes in units of the response, or of the linear predictor, per unit of x.

    Raises
    ------
    OptionError, DataError, NewLevelError, NotSupportedError
        As ``hb.predictions``; also if a predictor has levels.

    Notes
    -----
    Transformations, splines and interactions of x are differentiated with it.

    Examples
    --------
    >>> import hierbayes as hb
    >>> sleep = hb.load_dataset("sleepstudy")
    >>> fit = hb.lmer("Reaction ~ poly(Days, 2) + (Days | Subject)", sleep)
    >>> hb.slopes(fit, "Days", at={"Days": [0, 9]}).to_frame()["estimate"].round(2).tolist()
    [7.43, 13.5]
    """
    asked = EffectRequest(**options)
    check_request(fit, asked)
    _check_expected(asked)
    known = _predictors(fit, asked)
    if x is None:
        coded = _numbers(fit, known)
        if not coded:
            raise OptionError("No predictor is a number; hb.comparisons(fit) compares levels.")
        x = coded
    names = checked_variables(fit, x, known)
    changes = [slope_of(fit, name) for name in names]
    base = base_rows(fit, by, asked)
    return _table(fit, asked, base, changes, kind="difference", what="slopes", by=by)


def _predictors(fit: Fit, asked: EffectRequest) -> tuple[str, ...]:
    """Columns that may be changed: those of the fixed part, and of the effects where they count."""
    mean = fit.design.mean
    fixed = mean.layout.columns_used()
    if asked.target == "typical group":
        return fixed
    return tuple(dict.fromkeys((*fixed, *mean.random_columns())))


def _numbers(fit: Fit, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(n for n in names if not is_category(fit.design, n, known_column(fit, n)))


def _check_expected(asked: EffectRequest) -> None:
    """Refuse intervals of new responses where there are none."""
    if asked.interval == "prediction":
        raise OptionError(
            "interval='prediction' is about new responses, which hb.predictions has; comparisons, "
            "slopes and contrasts are of expected ones."
        )


def _check_ratio(fit: Fit, asked: EffectRequest, kind: ComparisonKind) -> None:
    """Refuse ratios of what has none."""
    if kind == "difference":
        return
    if asked.type == "link" and not fit.response_family.predictor_is_expectation:
        raise OptionError(f"kind={kind!r} is about expected responses; leave type='response'.")
    if asked.type == "probability":
        return
    family = fit.response_family
    if kind != "ratio" or not family.predictor_is_expectation:
        check_kind(kind, family)


def _check_apart(asked: EffectRequest, changes: Sequence[Change], change: Any) -> None:
    """Refuse values of what is set to others anyway."""
    moved = isinstance(change, int | float | np.number) or change is None
    for own in changes:
        sets = not (moved and own.label.startswith(("+", "-")))
        if own.variable in asked.values and sets:
            raise OptionError(
                f"{own.variable!r} stands in at, and is compared between values of its own; leave "
                "it out of at."
            )


def _table(
    fit: Fit,
    asked: EffectRequest,
    base: BaseRows,
    changes: Sequence[Change],
    *,
    kind: ComparisonKind,
    what: EffectKind,
    by: By,
) -> EffectTable:
    is_linear = asked.type == "link" or fit.response_family.predictor_is_expectation
    between = contrasts_between(base, by, asked, kind)
    plan = plan_of(
        fit,
        base,
        changes,
        target=asked.target,
        kind=kind,
        linear=is_linear and kind == "difference",
        between=None if between is None else between.weights,
    )
    tested = what != "predictions" or between is not None
    found = _estimates(fit, plan, asked, is_contrast=tested)
    if asked.interval == "prediction":
        found = new_response_estimates(fit, base, plan, asked, found)
    found = adjusted(found, plan, asked) if tested else found
    labels, names = _labels(fit, asked, base, changes, what=what, between=between)
    frame = labels.assign(**found.columns(tested=tested))
    averaged = "" if by is False or asked.interval == "prediction" else "Average "
    title = f"{averaged}{KIND_TITLES[kind] if what == 'comparisons' else what.capitalize()}"
    title = title if between is None else f"Contrasts of {title}"
    lost = int((~plan.estimable).sum())
    missing = (
        (
            f"{lost} of {plan.estimable.size} results not determined by the data: they need a "
            "combination of levels without rows, or columns of X that depend on each other.",
        )
        if lost
        else ()
    )
    return EffectTable(
        table=frame,
        labels=names,
        kind="comparisons" if tested and not changes else what,
        title=title[0] + title[1:].lower(),
        target=target_words(fit, asked.target),
        over=over_words(base, changes, averages=by is not False, is_slope=what == "slopes"),
        notes=(*base.notes, *scale_words(fit, asked, what, kind), *found.notes, *missing),
        words=found.words,
        level=asked.level,
        formula_text=fit.formula_text,
        data_name=fit.data_name,
        sampled=found.draws,
    )


def _estimates(fit: Fit, plan: Plan, asked: EffectRequest, *, is_contrast: bool) -> Estimates:
    if isinstance(fit, PosteriorFit):
        return posterior_estimates(fit, plan, asked)
    if asked.method == "bootstrap":
        return bootstrap_estimates(fit, plan, asked)
    if isinstance(fit, GeneralisedFit):
        return generalised_estimates(
            fit, plan, asked.type, ddf=asked.ddf, level=asked.level, is_contrast=is_contrast
        )
    assert isinstance(fit, LinearFit)
    return linear_estimates(fit, plan, ddf=asked.ddf, level=asked.level)


def _labels(
    fit: Fit,
    asked: EffectRequest,
    base: BaseRows,
    changes: Sequence[Change],
    *,
    what: EffectKind,
    between: Contrasts | None,
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Label the results: change, group (or contrast between groups), category."""
    labels, names = base.labels, base.names
    if between is not None:
        column = "between" if changes else "contrast"
        labels, names = pd.DataFrame({column: list(between.names)}), (column,)
    m = len(labels)
    if changes:
        each = np.repeat(np.arange(len(changes)), m).tolist()
        labels = labels.iloc[np.tile(np.arange(m), len(changes))].reset_index(drop=True)
        own = {free_name("variable", names): [changes[place].variable for place in each]}
        if what == "comparisons":
            own[free_name("contrast", names)] = [changes[place].label for place in each]
        labels = pd.DataFrame(own).assign(**labels)
        names = (*own, *names)
    if asked.type == "probability":
        n_thresholds = checked_observations(fit.design, fit.response_family).max()
        categories = category_labels(fit.design, int(n_thresholds) + 1)
        n = len(labels)
        labels = labels.iloc[np.repeat(np.arange(n), len(categories))].reset_index(drop=True)
        column = free_name(CATEGORY, names)
        labels = labels.assign(**{column: list(categories) * n})
        names = (*names, column)
    shown = tuple(free_name(name, COLUMNS) for name in names)
    labels.columns = pd.Index(shown)
    return labels.reset_index(drop=True), shown
