"""Predictions of a REML or ML fit for the rows used or for new data, and their intervals.

The prediction of a row is X beta + offset + the conditional modes of the chosen grouping factors.
Which factors count (``groups``) and what happens at a level the model has not seen (``new_levels``)
are two separate choices. Rows in = rows out.

What the effects of one chosen grouping factor are, by the row's level of it:

============== ============== ================ =========================== ===========
``new_levels`` a fitted level a new level      no level (a missing value)  a missing x
============== ============== ================ =========================== ===========
"error"        its modes      NewLevelError    NaN                         NaN
"population"   its modes      0                0                           NaN
"sample"       its modes      one draw a label NaN                         NaN
"missing"      its modes      NaN              NaN                         NaN
============== ============== ================ =========================== ===========

A missing level is a group whose name is not known: it may be one of the fitted ones, so it is not
drawn as a new one and is no error, and only "population" has an answer that needs no name. Under
"population" a covariate that only the (zero) random effects need may be missing. A factor that was
not chosen is not looked at: with ``groups="none"`` its column may be missing or absent.

``interval="confidence"`` is for the expected response of what the row stands for,
``interval="prediction"`` for a new response. A new response comes from some group: where the
row's group was not fitted, what such groups differ by is in the interval.

===================== ================================ =====================================
the row's level       "confidence": uncertainty of     "prediction": besides, the spread of
===================== ================================ =====================================
a fitted level        beta and its effects, jointly    the residual
new, "population"     beta (the typical group)         new groups' effects and the residual
no level, the same    beta (the typical group)         new groups' effects and the residual
new, "sample"         beta, and new groups' effects    the residual
a factor not chosen   beta (the typical group)         the residual: a response of that group
===================== ================================ =====================================

With an interval "sample" makes no draw: the prediction is the centre of what would be drawn.
Where residuals are correlated (``residual=``) rows are of series of their own unless
``series="observed"``: then a row of a series that was fitted is predicted from its residuals too,
and "prediction" holds what they leave of its own.
That variances and correlations are estimates is in all of them (``prediction_variance.py``). An ML
fit's are too small on average, and so are its intervals; REML's are not.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.capabilities import not_supported
from hierbayes.design.design import MISSING_LEVEL, NEW_LEVEL, GroupingFactor, NewRows
from hierbayes.design.level_covariance import LevelCovariance
from hierbayes.design.new_data import new_precisions, new_rows, new_trials
from hierbayes.errors import DataError, NewLevelError, OptionError, RankDeficientWarning
from hierbayes.families.family import Family
from hierbayes.options import NewLevels, PredictionType, random_generator
from hierbayes.prediction.chosen_effects import chosen_effects, with_columns
from hierbayes.prediction.prediction_variance import (
    GroupRows,
    PredictionVariance,
    prediction_variance,
)
from hierbayes.prediction.reference_grid import is_estimable
from hierbayes.prediction.residual_rows import check_series, residual_rows_of
from hierbayes.prediction.residual_variance import residual_prediction_variance
from hierbayes.results.fit_tables import FitTables
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.prediction_request import PredictionRequest
from hierbayes.results.prediction_table import included, prediction_table
from hierbayes.specification.fitted_values import unknown_fitted_sds
from hierbayes.wording import warn

SHOWN_LEVELS = 5


def predict(fit: LinearFit, asked: PredictionRequest) -> pd.Series | pd.DataFrame:
    """Predict for rows; an interval makes it a table."""
    check_type(asked.type, fit.response_family)
    check_series(fit, asked)
    new_levels, interval = asked.new_levels, asked.interval
    rng = random_generator(asked.random_seed)
    chosen, rows = rows_asked(fit, asked)
    if asked.newdata is not None:
        warn_of_undetermined(fit, rows.X)
    total = fit.shown(partial(expected, rows, chosen, new_levels), fit.row_scale)
    if new_levels == "sample" and interval is None:
        for position, factor in enumerate(rows.factors):
            if factor.name in chosen:
                labels = rows.new_labels.get(factor.name)
                total = total + drawn_part(fit, position, factor, labels=labels, rng=rng)
                known = fit.determined(partial(_variance_of_levels, position, factor))
                total[(factor.codes == NEW_LEVEL) & ~known] = np.nan
    new_response = interval == "prediction"
    observed = asked.series == "observed"
    if fit.spec.has_fitted_sds and (interval is not None or observed):
        what = f"interval={interval!r}" if interval is not None else "series='observed'"
        raise unknown_fitted_sds(f"predict({what})")
    precisions = row_precisions(fit, asked.newdata) if new_response or observed else None
    residuals = None
    if fit.residual is not None and (new_response or observed):
        residuals = residual_rows_of(fit, rows, asked.newdata, precisions, observed=observed)
        if observed:
            given = residuals.given(fit.residual.phi)
            total = total + given.weights @ (fit.design.y - fit.fitted_values)
            total = np.where(np.isnan(residuals.place), np.nan, total)
    if interval is None:
        return pd.Series(total, index=rows.row_labels, name="prediction")
    groups_of = partial(
        _group_rows, chosen=chosen, new_levels=new_levels, new_response=new_response
    )
    effects = groups_of(rows)
    if fit.residual is not None:
        found = residual_prediction_variance(
            fit, rows, residuals, groups_of=groups_of, new_response=new_response
        )
    else:
        residual = residual_variances(precisions, total.size) if new_response else None
        variance = partial(_variance, rows.X[:, fit.kept], effects, residual)
        found = variance(fit.representing)
    sd = np.where(np.isnan(total), np.nan, found.sd)
    if fit.alternatives:
        sd[~fit.determined(lambda one: variance(one).given_theta)] = np.nan
    half = found.quantile(asked.level) * sd
    return prediction_table(
        [total, sd, total - half, total + half],
        index=rows.row_labels,
        interval=interval,
        level=asked.level,
        kind="t",
        includes=included(
            fit,
            chosen,
            drawn=[rows.factors[rows_.position].name for rows_ in effects if rows_.drawn.any()],
            residual=residual_words(fit, asked.newdata, precisions, observed=observed)
            if new_response
            else None,
            sigma_estimated=not fit.kernel.sigma_known,
            known_theta=fit.is_singular,
        ),
    )


def check_type(type: PredictionType, family: Family) -> None:
    """Raise OptionError for a kind of prediction that a family has not."""
    if type == "probability" and not family.is_ordinal:
        raise OptionError(
            f"type='probability' is for ordered categories; with family={family.name!r} "
            "type='response' is the expected response"
            f"{', a probability' if family.reads_categories else ''}."
        )
    if type == "count" and not family.counts_trials:
        raise OptionError(
            f"type='count' is for numbers of successes of so many trials; with "
            f"family={family.name!r} type='response' is the expected response."
        )


def expected(
    rows: NewRows, chosen: Collection[str], new_levels: NewLevels, fit: LikelihoodFit
) -> FloatArray:
    """X beta + Z b plus offset of the rows, shape (m,)."""
    total = rows.X[:, fit.kept] @ fit.beta
    if rows.offset is not None:
        total = total + rows.offset
    for position, factor in enumerate(rows.factors):
        if factor.name in chosen:
            labels = rows.new_labels.get(factor.name)
            total = total + _group_part(fit, position, factor, new_levels=new_levels, labels=labels)
    return np.asarray(total)


def _variance(
    X: FloatArray, effects: Sequence[GroupRows], residual: FloatArray | None, fit: LinearFit
) -> PredictionVariance:
    return prediction_variance(fit, X, effects, residual=residual)


def warn_of_undetermined(fit: LikelihoodFit, X: FloatArray) -> None:
    """Warn where X beta hinges on which of the dependent columns of X was dropped."""
    if fit.identified.size == X.shape[1]:
        return
    count = int((~is_estimable(np.nan_to_num(X), fit.design.X, fit.identified)).sum())
    if count:
        dropped = np.setdiff1d(np.arange(X.shape[1]), fit.identified)
        names = ", ".join(fit.design.coef_names[i] for i in dropped)
        warn(
            f"{count} of {X.shape[0]} predictions {'is' if count == 1 else 'are'} not determined "
            "by the data: columns of X that depended on each other in the data "
            f"({names} dropped) part in the new rows.",
            RankDeficientWarning,
        )


def _group_rows(
    rows: NewRows, chosen: Iterable[str], *, new_levels: NewLevels, new_response: bool
) -> list[GroupRows]:
    """Say of every row what is known of the effects of the chosen factors: the header's table."""
    found = []
    for position, factor in enumerate(rows.factors):
        if factor.name not in chosen:
            continue
        drawn = np.zeros(factor.codes.size, dtype=bool)
        if new_levels == "sample":
            drawn = factor.codes == NEW_LEVEL
        elif new_levels == "population" and new_response:
            drawn = factor.codes < 0
        found.append(GroupRows(position=position, codes=factor.codes, z=factor.z, drawn=drawn))
    return found


def trials_of(fit: FitTables, asked: PredictionRequest) -> FloatArray | None:
    """Return the trials of new rows, (m,); None for the rows used, or where they are not known."""
    if not fit.response_family.counts_trials:
        if asked.trials is not None:
            raise OptionError(f"trials= is for binomial models; this one has {fit.family!r}.")
        return None
    if asked.newdata is None:
        if asked.trials is not None:
            raise OptionError("trials= is for new rows; those of the rows used are known.")
        return None
    found = new_trials(fit.design, asked.newdata, asked.trials)
    if found is None and asked.type == "count":
        raise DataError(
            "type='count' needs the number of trials of the new rows: give their column, or "
            "trials=."
        )
    return found


def row_precisions(fit: FitTables, newdata: Any) -> FloatArray | None:
    """Precision weights of the rows used or of new ones, shape (m,), or None.

    Raises
    ------
    NotSupportedError
        If the residual sds of the rows used are known and those of the new rows are not.
    """
    if newdata is None:
        return fit.weights
    found = new_precisions(fit.design, newdata)
    if found is None and fit.design.known_sd is not None:
        raise not_supported("prediction-without-known-sd")
    return found


def residual_variances(precisions: FloatArray | None, n_rows: int) -> FloatArray:
    """Residual variances of new responses in units of sigma squared, shape (m,)."""
    return np.ones(n_rows) if precisions is None else 1 / precisions


def residual_words(
    fit: FitTables, newdata: Any, precisions: FloatArray | None, *, observed: bool = False
) -> str:
    """Name the residual variation of new responses; say where their weights are not known."""
    if observed:
        return "residual variation beside the observed rows of a series"
    weighted = fit.weights is not None and newdata is not None and precisions is None
    return "residual variation of weight 1" if weighted else "residual variation"


def rows_asked(fit: FitTables, asked: PredictionRequest) -> tuple[tuple[str, ...], NewRows]:
    """Return the factors whose effects count, and the rows: those used without new data."""
    effects = chosen_effects(fit.design, asked.groups)
    chosen = tuple(effects)
    if asked.newdata is None:
        rows = rows_used(fit)
    else:
        rows = new_rows(fit.design, asked.newdata, need_groups=chosen)
    return chosen, replace(rows, factors=with_columns(rows.factors, effects))


def rows_used(fit: FitTables) -> NewRows:
    """Return the rows the model was fitted to, as new data would come."""
    design = fit.design
    return NewRows(
        X=design.X,
        factors=design.factors,
        offset=design.offset,
        new_labels={},
        row_labels=design.row_labels,
    )


def _group_part(
    fit: LikelihoodFit,
    position: int,
    factor: GroupingFactor,
    *,
    new_levels: NewLevels,
    labels: Any,
) -> FloatArray:
    """Return z b of one grouping factor, shape (m,); zero at a level to be drawn."""
    new = factor.codes == NEW_LEVEL
    missing = factor.codes == MISSING_LEVEL
    if new.any() and new_levels == "error":
        raise NewLevelError(new_level_sentence(factor, list(dict.fromkeys(labels[new]))))
    b = fit.modes[position][np.maximum(factor.codes, 0)]
    part = np.asarray((b * factor.z).sum(axis=1))
    part[missing] = 0.0 if new_levels == "population" else np.nan
    part[new] = np.nan if new_levels == "missing" else 0.0
    if new_levels == "sample":
        part[new & np.isnan(factor.z).any(axis=1)] = np.nan
    return part


def _variance_of_levels(position: int, factor: GroupingFactor, fit: LinearFit) -> FloatArray:
    """Variance of z b over the levels of one factor, relative to sigma^2, shape (m,)."""
    Lambda = fit.kernel.shape.unpack(fit.representative[None])[position][0]
    return np.asarray(((factor.z @ Lambda) ** 2).sum(axis=1))


def drawn_part(
    fit: LikelihoodFit,
    position: int,
    factor: GroupingFactor,
    *,
    labels: Any,
    rng: np.random.Generator,
) -> FloatArray:
    """Return z b of the new levels of one factor, drawn from their distribution; else 0: (m,)."""
    new = factor.codes == NEW_LEVEL
    part = np.zeros(new.size)
    if new.any():
        # by sorted label: the order of the rows does not matter
        found, index = np.unique(labels[new].astype(str), return_inverse=True)
        check_can_be_drawn(fit.design.factors[position].relation, factor.name)
        root = fit.effect_roots[position]
        b = (rng.standard_normal((found.size, root.shape[1])) @ root.T)[index]
        part[new] = (b * factor.z[new]).sum(axis=1)
    return part


def check_can_be_drawn(relation: LevelCovariance | None, name: str) -> None:
    """Raise NotSupportedError for new levels of a factor whose levels are related."""
    if relation is not None:
        raise not_supported("cov-new-level", factor=name)


def new_level_sentence(factor: GroupingFactor, found: list[Any]) -> str:
    """Say that the new data hold levels the model was not fitted to, and what can be done."""
    shown = ", ".join(repr(str(label)) for label in found[:SHOWN_LEVELS])
    more = f" and {len(found) - SHOWN_LEVELS} more" if len(found) > SHOWN_LEVELS else ""
    return (
        f"The new data hold {len(found)} level{'s' if len(found) > 1 else ''} of {factor.name} "
        f"that the model was not fitted to: {shown}{more}. Say what to predict for them: "
        'new_levels="population" (the typical group), "sample" (a draw of a new group) or '
        '"missing" (NaN).'
    )
