"""Predictions of a posterior, with the arguments of a REML fit's.

Which effects count, what happens at new or missing levels, and what of it is in an interval are
the tables of ``predict.py``; a new level's effects are drawn anew with every posterior draw, and
shared by the rows of that level. A point prediction is the posterior mean; intervals are taken over
the draws of the expected response ("confidence") or of a new response ("prediction").
"""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.bayes.predictive import (
    FlatDraws,
    fitted_predictor,
    flat_draws,
    linear_predictor,
    new_effects,
    row_blocks,
)
from hierbayes.bayes.residual_draws import draw_blocks, residual_draws
from hierbayes.bayes.response import FormulaRows, Response, observed_response
from hierbayes.design.design import MISSING_LEVEL, NEW_LEVEL, GroupingFactor, NewRows
from hierbayes.design.new_data import new_rows
from hierbayes.errors import NewLevelError, OptionError
from hierbayes.families.observations import (
    category_labels,
    first_category,
)
from hierbayes.families.parameter_formulas import check_no_formulas, links_of
from hierbayes.options import (
    IntervalKind,
    NewLevels,
    PredictionType,
    ResidualKind,
    random_generator,
)
from hierbayes.prediction.posterior_residuals import (
    NewResiduals,
    new_residuals,
    structured_mean_residuals,
)
from hierbayes.prediction.predict import (
    check_can_be_drawn,
    check_type,
    new_level_sentence,
    residual_words,
    row_precisions,
    rows_asked,
    trials_of,
)
from hierbayes.prediction.residual_rows import check_series
from hierbayes.results.chains import credible_interval
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.prediction_request import PredictionRequest
from hierbayes.results.prediction_table import PREDICTION_COLUMNS, included, prediction_table


@record
class LevelEffects:
    """Flat draws, the chosen factors with a level of theirs for every row, and rows without one."""

    flat: FlatDraws
    factors: tuple[GroupingFactor | None, ...]
    missing: BoolArray


@record
class _Task:
    """What to predict: rows, effects in the expected and in a new response (None: not asked).

    ``new_response`` has the further parameters of new responses where they differ between rows,
    ``residuals`` what residuals are where these are correlated.
    """

    rows: NewRows
    X: FloatArray
    response: Response
    new_response: Response
    kind: PredictionType
    expected: LevelEffects
    new: LevelEffects | None
    residuals: NewResiduals | None


def predict(fit: PosteriorFit, asked: PredictionRequest) -> pd.Series | pd.DataFrame:
    """Predict for rows; an interval makes it a table."""
    check_type(asked.type, fit.response_family)
    check_series(fit, asked)
    new_levels, interval, observed = asked.new_levels, asked.interval, asked.series == "observed"
    rng = random_generator(asked.random_seed)
    chosen, rows = rows_asked(fit, asked)
    if interval == "prediction" and (
        asked.type == "probability" or (asked.on_link and not fit.predictor_is_expectation)
    ):
        what = "no link scale" if asked.on_link else "one category each"
        raise OptionError(
            f"interval='prediction' is about new responses, which have {what}; leave "
            "type='response'."
        )
    trials = trials_of(fit, asked)
    sampled = new_levels == "sample" and bool(_without_level(rows, chosen, new_only=True))
    on_link = asked.on_link or fit.predictor_is_expectation
    flat = flat_draws(fit.draws, fit.design)
    if interval is None and on_link and not sampled and not observed:
        flat = flat.mean()  # the mean of a linear function of the draws
    expected = effects_of_levels(flat, rows, chosen=chosen, new_levels=new_levels, rng=rng)
    new, precisions, drawn = None, None, _without_level(rows, chosen, new_only=True) * sampled
    if interval == "prediction":
        new = expected
        if new_levels == "population":
            drawn = _without_level(rows, chosen)
            new = effects_of_levels(flat, rows, chosen=chosen, new_levels="drawn", rng=rng)
    if (new is not None or observed) and fit.response_family.weighs_sigma:
        precisions = row_precisions(fit, asked.newdata)
    residuals = None
    if fit.design.residual is not None and (new is not None or observed):
        given, formula = (asked.newdata, precisions), None
        if fit.design.predictors["sigma"].factors if fit.design.formulas else ():
            drawn_too = new is not None and new_levels == "population"
            own = _formula_rows(fit, asked, "drawn" if drawn_too else new_levels, rng)
            (formula,) = own.rows
            expected = replace(expected, missing=expected.missing | own.missing)
        residuals = new_residuals(fit, flat, rows, *given, observed=observed, formula=formula)
        if observed:
            lost = np.isnan(residuals.rows.place)
            expected = replace(expected, missing=expected.missing | lost)
    if trials is not None and (interval == "prediction" or asked.type == "count"):
        lost = np.isnan(trials) | ((trials == 0) & (asked.type != "count"))
        trials = np.where(lost, 1.0, trials)
        expected = replace(expected, missing=expected.missing | lost)
    response = new_response = response_of(fit, asked.newdata, precisions, trials)
    if fit.design.formulas and residuals is None and (interval == "prediction" or not on_link):
        own = _formula_rows(fit, asked, new_levels, rng)
        expected = replace(expected, missing=expected.missing | own.missing)
        response = new_response = replace(response, formulas=own.rows)
        if new is not None and new_levels == "population":
            new_response = replace(response, formulas=_formula_rows(fit, asked, "drawn", rng).rows)
    task = _Task(
        rows=rows,
        X=rows.X[:, fit.kept],
        response=response,
        new_response=new_response,
        kind="link" if on_link else asked.type,
        expected=expected,
        new=new,
        residuals=residuals,
    )
    values = _summaries(task, asked.level if interval else None, asked.kind, rng)
    index: Any = rows.row_labels
    if asked.type == "probability":
        categories = category_labels(fit.design, n_categories=values.shape[2])
        if interval is None:
            return pd.DataFrame(values[0], index=index, columns=categories)
        index = pd.MultiIndex.from_product([index, categories], names=["row", "category"])
        values = values.reshape(values.shape[0], -1)
    elif interval is None:
        return pd.Series(values[0], index=rows.row_labels, name="prediction")
    else:
        index = rows.row_labels
    return prediction_table(
        list(values),
        index=index,
        interval=interval,
        level=asked.level,
        kind=asked.kind,
        includes=included(
            fit,
            chosen,
            drawn=drawn,
            residual=_residual(fit, asked.newdata, task, observed=observed),
            sigma_estimated=fit.draws.sigma is not None or bool(fit.draws.formulas),
        ),
    )


def _residual(fit: PosteriorFit, newdata: Any, task: _Task, *, observed: bool) -> str | None:
    """Name the residual variation of new responses; None where they were not asked for."""
    if task.new is None:
        return None
    if fit.response_family.counts_trials and task.response.trials is None:
        return "residual variation of one trial"
    return residual_words(fit, newdata, task.response.weights, observed=observed)


def _without_level(rows: NewRows, chosen: tuple[str, ...], *, new_only: bool = False) -> list[str]:
    """Name the chosen factors some rows of which have no fitted level (or: a new one)."""
    least = NEW_LEVEL if new_only else MISSING_LEVEL
    return [
        factor.name
        for factor in rows.factors
        if factor.name in chosen and ((factor.codes < 0) & (factor.codes >= least)).any()
    ]


def _summaries(
    task: _Task, level: float | None, kind: IntervalKind, rng: np.random.Generator
) -> FloatArray:
    """Mean, and with a level sd and ends of the interval, of every row: (1 or 4, m).

    Of category probabilities (1 or 4, m, K + 1).
    """
    m = task.X.shape[0]
    parts = []
    for block in row_blocks(task.expected.flat.n_draws, m):
        eta = _predictor(task, task.expected, block)
        values = _expected_values(task, eta, block)
        residuals = None if task.residuals is None else task.residuals.moments(block)
        if residuals is not None and residuals.mean is not None:
            values = values + residuals.mean
        out = np.full((1 if level is None else len(PREDICTION_COLUMNS), *values.shape[1:]), np.nan)
        out[0] = values.mean(axis=0)
        if level is not None:
            if task.new is not None:
                if task.new is not task.expected:
                    eta = _predictor(task, task.new, block)
                if residuals is None:
                    values = task.new_response.draw(eta, task.new.flat, block, rng)
                else:
                    mean = 0.0 if residuals.mean is None else residuals.mean
                    values = eta + mean + residuals.sd * rng.standard_normal(eta.shape)
                if task.response.trials is not None and task.kind != "count":
                    values = values / task.response.trials[block]  # shares, as expected ones are
            found = credible_interval(values, level, kind)
            out[1] = values.std(axis=0, ddof=1)
            out[2], out[3] = found.low, found.high
        parts.append(out)
    if not parts:
        return np.empty((1 if level is None else len(PREDICTION_COLUMNS), 0))
    whole = np.concatenate(parts, axis=1)
    whole[:, task.expected.missing] = np.nan
    return whole


def _expected_values(task: _Task, eta: FloatArray, block: slice) -> FloatArray:
    """Return what is expected at eta (S, rows), (S, rows), or (S, rows, K + 1) probabilities."""
    flat = task.expected.flat
    if task.kind == "link":
        return eta
    if task.kind == "probability":
        return task.response.category_probabilities(eta, flat, block)
    values = task.response.mean(eta, flat, block)
    if task.kind == "count":
        assert task.response.trials is not None
        return np.asarray(values * task.response.trials[block])
    return values


def _predictor(task: _Task, effects: LevelEffects, block: slice) -> FloatArray:
    return linear_predictor(
        effects.flat, task.X, effects.factors, offset=task.rows.offset, rows=block
    )


def effects_of_levels(
    flat: FlatDraws,
    rows: NewRows,
    *,
    chosen: tuple[str, ...],
    new_levels: NewLevels | Literal["drawn"],
    rng: np.random.Generator,
) -> LevelEffects:
    """Give every row a level the draws have effects of; say which rows have no prediction.

    Levels without effects become one more level, whose effects are zero; sampled levels are
    appended behind it. "drawn" samples a level for rows without one, too.
    """
    factors: list[GroupingFactor | None] = []
    b = list(flat.b)
    missing = np.zeros(rows.X.shape[0], dtype=bool)
    for position, factor in enumerate(rows.factors):
        if factor.name not in chosen:
            factors.append(None)
            continue
        new, unknown = factor.codes == NEW_LEVEL, factor.codes == MISSING_LEVEL
        if not new.any() and not unknown.any():
            factors.append(factor)
            continue
        labels = rows.new_labels.get(factor.name)
        if new.any() and new_levels == "error":
            assert labels is not None
            found = list(dict.fromkeys(labels[new]))
            raise NewLevelError(new_level_sentence(factor, found))
        S, J, q = b[position].shape
        codes, z = factor.codes.copy(), factor.z
        extra = [np.zeros((S, 1, q))]
        codes[new | unknown] = J
        if new_levels == "population":  # a missing covariate of a zero effect does no harm
            z = np.where((new | unknown)[:, None], 0.0, z)
        elif new_levels in ("sample", "drawn"):
            drawn = new | unknown if new_levels == "drawn" else new
            missing |= unknown & ~drawn
            if drawn.any():
                assert labels is not None
                check_can_be_drawn(flat.relations[position], factor.name)
                # by sorted label: the order of the rows does not matter
                names, index = np.unique(labels[drawn].astype(str), return_inverse=True)
                extra.append(new_effects(flat.roots[position], names.size, rng))
                codes[drawn] = J + 1 + index
        else:
            missing |= unknown | new
        b[position] = np.concatenate([b[position], *extra], axis=1)
        factors.append(replace(factor, codes=codes, z=z))
    return LevelEffects(flat=replace(flat, b=tuple(b)), factors=tuple(factors), missing=missing)


@record(kw_only=False)
class FormulasOfRows:
    """Further parameters that have a formula in new rows, and the rows (m,) that lack something."""

    rows: tuple[FormulaRows, ...]
    missing: BoolArray


def _formula_rows(
    fit: PosteriorFit,
    asked: PredictionRequest,
    new_levels: NewLevels | Literal["drawn"],
    rng: np.random.Generator,
) -> FormulasOfRows:
    """Lay the formulas of further parameters over the rows asked for; groups count as the mean's.

    Raises
    ------
    NotSupportedError
        For bars in ``groups``, which stand for terms of the mean.
    """
    named = [asked.groups] if isinstance(asked.groups, str) else list(asked.groups)
    if any("|" in name for name in named):
        check_no_formulas(fit.design, "groups= with bars")
    return formulas_of_rows(
        fit,
        flat_draws(fit.draws, fit.design),
        asked.newdata,
        groups=None if named == ["all"] else tuple(named),
        new_levels=new_levels,
        rng=rng,
    )


def formulas_of_rows(
    fit: PosteriorFit,
    flat: FlatDraws,
    newdata: Any,
    *,
    groups: tuple[str, ...] | None,
    new_levels: NewLevels | Literal["drawn"],
    rng: np.random.Generator,
) -> FormulasOfRows:
    """Lay the formulas of further parameters over the rows used or new ones.

    Parameters
    ----------
    fit : PosteriorFit
    flat : draws of its parameters
    newdata : frame, or None for the rows used
    groups : names of the factors whose effects count; None for all
    new_levels, rng : as of ``effects_of_levels``
    """
    found, lost = [], None
    for name, link in links_of(fit.design, fit.response_family).items():
        own, kept = fit.design.of(name), fit.spec.kept_of[name]
        every = [factor.name for factor in own.factors]
        chosen = tuple(g for g in every if groups is None or g in groups)
        if newdata is None:
            rows = NewRows(
                X=own.X, factors=own.factors, offset=own.offset, new_labels={},
                row_labels=own.row_labels,
            )  # fmt: skip
        else:
            rows = new_rows(own, newdata, need_groups=chosen)
        effects = effects_of_levels(
            flat.formulas[name], rows, chosen=chosen, new_levels=new_levels, rng=rng
        )
        missing = effects.missing | np.isnan(rows.X).any(axis=1)
        if rows.offset is not None:
            missing |= np.isnan(rows.offset)
        found.append(
            FormulaRows(
                link=link,
                X=np.where(missing[:, None], 0.0, rows.X[:, kept]),
                factors=tuple(
                    f if f is None else replace(f, z=np.where(missing[:, None], 0.0, f.z))
                    for f in effects.factors
                ),
                offset=None if rows.offset is None else np.where(missing, 0.0, rows.offset),
                flat=effects.flat,
            )
        )
        lost = missing if lost is None else lost | missing
    assert lost is not None
    return FormulasOfRows(tuple(found), lost)


def response_of(
    fit: PosteriorFit,
    newdata: Any = None,
    precisions: FloatArray | None = None,
    trials: FloatArray | None = None,
) -> Response:
    """Return the distribution of the response of the rows used, or of new rows."""
    if newdata is None:
        return observed_response(fit.spec)
    first = first_category(fit.design) if fit.response_family.is_ordinal else 0.0
    return Response(
        family=fit.response_family, y=None, weights=precisions, trials=trials, first=first
    )


def response_draws(
    fit: PosteriorFit, flat: FlatDraws, rng: np.random.Generator, *, some_missing: bool = False
) -> FloatArray:
    """Draw one response of every row with each draw, shape (S, n); NaN for some if allowed."""
    out = np.empty((flat.n_draws, fit.nobs))
    X, is_correlated = fit.design.X[:, fit.kept], fit.design.residual is not None
    response = None if is_correlated else response_of(fit)
    for rows in row_blocks(flat.n_draws, fit.nobs):
        out[:, rows] = eta = fitted_predictor(flat, fit.design, X, rows)
        if response is not None:
            out[:, rows] = response.draw(eta, flat, rows, rng, some_missing=some_missing)
    return out + residual_draws(fit.spec, flat).drawn(rng) if is_correlated else out


def expected_response(fit: PosteriorFit) -> FloatArray:
    """Posterior mean of the expected response of every row, shape (n,)."""
    response, X = response_of(fit), fit.design.X[:, fit.kept]
    flat = flat_draws(fit.draws, fit.design)
    out = np.empty(fit.nobs)
    for rows in row_blocks(flat.n_draws, fit.nobs):
        eta = fitted_predictor(flat, fit.design, X, rows)
        out[rows] = response.mean(eta, flat, rows).mean(axis=0)
    return out


def mean_residuals(fit: PosteriorFit, kind: ResidualKind) -> FloatArray:
    """Posterior mean of a kind of residuals of every row, shape (n,)."""
    is_correlated = fit.design.residual is not None
    if is_correlated or (kind == "normalized" and fit.spec.has_residual_structure):
        return structured_mean_residuals(fit, kind)
    if kind == "deviance":
        check_no_formulas(fit.design, "residuals(kind='deviance')")
    response, X = response_of(fit), fit.design.X[:, fit.kept]
    flat = flat_draws(fit.draws, fit.design)
    out = np.empty(fit.nobs)
    for rows in row_blocks(flat.n_draws, fit.nobs):
        eta = fitted_predictor(flat, fit.design, X, rows)
        observed = fit.observed[rows]
        out[rows] = response.residuals(kind, observed, eta, flat, rows).mean(axis=0)
    return out


def joint_log_likelihood(fit: PosteriorFit) -> FloatArray:
    """Log-likelihood of all rows together of every draw, shape (C, D)."""
    if fit.design.residual is None:
        return np.asarray(log_likelihood(fit).sum(axis=2))
    X, flat = fit.design.X[:, fit.kept], flat_draws(fit.draws, fit.design)
    residuals, found = residual_draws(fit.spec, flat), []
    for at in draw_blocks(flat.n_draws, fit.nobs):
        eta = fitted_predictor(flat.take(at), fit.design, X, slice(None))
        found.append(residuals.joint_log_density(fit.design.y - eta, at))
    return np.concatenate(found).reshape(fit.n_chains, -1)


def log_likelihood(fit: PosteriorFit) -> FloatArray:
    """Pointwise log-likelihood of every draw, shape (C, D, n).

    Of correlated residuals that of each row given all others (``bayes/residual_draws.py``).
    """
    X, flat = fit.design.X[:, fit.kept], flat_draws(fit.draws, fit.design)
    if fit.design.residual is not None:
        residuals, y, found = residual_draws(fit.spec, flat), fit.design.y, []
        for at in draw_blocks(flat.n_draws, fit.nobs):
            eta = fitted_predictor(flat.take(at), fit.design, X, slice(None))
            found.append(residuals.log_densities(y - eta, at))
        return np.concatenate(found).reshape(fit.n_chains, -1, fit.nobs)
    response = response_of(fit)
    parts = [
        response.log_density(fitted_predictor(flat, fit.design, X, rows), flat, rows)
        for rows in row_blocks(flat.n_draws, fit.nobs)
    ]
    out = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    return out.reshape(fit.n_chains, -1, fit.nobs)
