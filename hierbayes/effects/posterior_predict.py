"""Predictions and simulated responses of a posterior, with the arguments of a REML fit's.

Which effects count and what happens at new or missing levels is the table of ``predict.py``; under
``new_levels="sample"`` a new level's effects are drawn anew with every posterior draw, and shared
by the rows of that level. A point prediction is the posterior mean; intervals are taken over the
draws of the expected response ("confidence") or of a new response ("prediction").
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hierbayes.bayes.families import TRIALS, checked_observations
from hierbayes.bayes.predictive import (
    FlatDraws,
    fitted_predictor,
    flat_draws,
    linear_predictor,
    new_effects,
    row_blocks,
)
from hierbayes.bayes.response import Response
from hierbayes.design.design import MISSING_LEVEL, NEW_LEVEL, GroupingFactor, NewRows
from hierbayes.design.new_data import new_rows
from hierbayes.effects.predict import chosen_groups, new_level_sentence, rows_used
from hierbayes.errors import NewLevelError, NotSupportedError, OptionError
from hierbayes.options import (
    Interval,
    IntervalKind,
    NewLevels,
    PredictionType,
    SimulatedGroups,
    check_option,
    random_generator,
)
from hierbayes.results.chains import credible_interval
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.tidy import check_level

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """What to predict: flat draws, rows in the order of the draws, and how."""

    flat: FlatDraws
    rows: NewRows
    factors: tuple[GroupingFactor | None, ...]
    X: FloatArray
    response: Response
    missing: npt.NDArray[np.bool_]
    on_link: bool
    new_response: bool


def predict(
    fit: PosteriorFit,
    newdata: Any = None,
    *,
    groups: str | Iterable[str] = "all",
    new_levels: NewLevels = "error",
    interval: Interval | None = None,
    level: float = 0.95,
    kind: IntervalKind = "eti",
    type: PredictionType = "response",
    random_seed: Any = None,
) -> pd.Series | pd.DataFrame:
    """Predict; the arguments are those of ``PosteriorFit.predict``."""
    check_option("new_levels", new_levels, NewLevels)
    check_option("type", type, PredictionType)
    check_option("kind", kind, IntervalKind)
    check_level(level)
    rng = random_generator(random_seed)
    if interval is not None:
        check_option("interval", interval, Interval)
    chosen = chosen_groups(fit, groups)
    rows = rows_used(fit) if newdata is None else new_rows(fit.design, newdata, need_groups=chosen)
    new_response = interval == "prediction"
    if new_response:
        _check_new_response(fit, type, newdata is not None)
    sampled = new_levels == "sample" and any(
        factor.name in chosen and (factor.codes == NEW_LEVEL).any() for factor in rows.factors
    )
    on_link = type == "link" or fit.predictor_is_expectation
    flat = flat_draws(fit.draws, fit.design)
    if interval is None and on_link and not sampled:
        flat = flat.mean()  # the mean of a linear function of the draws
    flat, factors, missing = _with_new_levels(
        flat, rows, chosen=chosen, new_levels=new_levels, rng=rng
    )
    task = _Task(
        flat=flat,
        rows=rows,
        factors=factors,
        X=rows.X[:, fit.kept],
        response=response_of(fit, new=newdata is not None),
        missing=missing,
        on_link=on_link,
        new_response=new_response,
    )
    attrs: dict[Hashable | None, Any] = {
        "interval": interval,
        "level": level if interval else None,
        "kind": kind if interval else None,
        "includes": _includes(chosen, new_levels if sampled else None, interval, newdata),
    }
    values = _summaries(task, level if interval else None, kind, rng)
    if interval is None:
        series = pd.Series(values[0], index=rows.row_labels, name="prediction")
        series.attrs = attrs
        return series
    names = ("prediction", "lower", "upper")
    table = pd.DataFrame(dict(zip(names, values, strict=True)), index=rows.row_labels)
    table.attrs = attrs
    return table


def _summaries(
    task: _Task, level: float | None, kind: IntervalKind, rng: np.random.Generator
) -> FloatArray:
    """Mean, and with a level the ends of the interval, of every row: (1 or 3, m)."""
    m = task.X.shape[0]
    out = np.full((1 if level is None else 3, m), np.nan)
    for block in row_blocks(task.flat.n_draws, m):
        eta = linear_predictor(task.flat, task.X, task.factors, offset=task.rows.offset, rows=block)
        values = eta if task.on_link else task.response.mean(eta)
        out[0, block] = values.mean(axis=0)
        if level is not None:
            if task.new_response:
                values = task.response.draw(eta, task.flat, block, rng)
                if task.response.trials is not None:  # expected responses are shares too
                    values = values / task.response.trials[block]
            found = credible_interval(values, level, kind)
            out[1, block], out[2, block] = found.low, found.high
    out[:, task.missing] = np.nan
    return out


def _with_new_levels(
    flat: FlatDraws,
    rows: NewRows,
    *,
    chosen: tuple[str, ...],
    new_levels: NewLevels,
    rng: np.random.Generator,
) -> tuple[FlatDraws, tuple[GroupingFactor | None, ...], npt.NDArray[np.bool_]]:
    """Give every row a level the draws have effects of; say which rows have no prediction.

    Levels without effects become one more level, whose effects are zero; sampled levels are
    appended behind it.
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
        elif new_levels == "sample":
            missing |= unknown
            if new.any():
                assert labels is not None
                # by sorted label: the order of the rows does not matter
                names, index = np.unique(labels[new].astype(str), return_inverse=True)
                extra.append(new_effects(flat.roots[position], names.size, rng))
                codes[new] = J + 1 + index
        else:
            missing |= unknown | new
        b[position] = np.concatenate([b[position], *extra], axis=1)
        factors.append(replace(factor, codes=codes, z=z))
    return replace(flat, b=tuple(b)), tuple(factors), missing


def response_of(fit: PosteriorFit, *, new: bool = False) -> Response:
    """Return the distribution of the response of the rows used, or of new rows."""
    if new:
        return Response(family=fit.family, link=fit.link, y=None)
    y, trials = fit.design.y, None
    if fit.family in TRIALS:
        both = checked_observations(fit.design, fit.family)
        y, trials = both[:, 0], both[:, 1]
    weights = None if fit.family in TRIALS else fit.weights
    return Response(family=fit.family, link=fit.link, y=y, trials=trials, weights=weights)


def _check_new_response(fit: PosteriorFit, type: str, new: bool) -> None:
    if type == "link" and not fit.predictor_is_expectation:
        raise OptionError(
            "interval='prediction' is about new responses, which have no link scale; leave "
            "type='response'."
        )
    if new and fit.design.known_sd is not None:
        raise NotSupportedError(
            "interval='prediction' for new rows: known_sd has no values for them. "
            "interval='confidence' needs none."
        )


def _includes(
    chosen: tuple[str, ...], new_levels: str | None, interval: str | None, newdata: Any
) -> str:
    """Name the uncertainties that are in a prediction."""
    parts = ["fixed effects"]
    parts += [f"effects of {', '.join(chosen)}"] if chosen else []
    parts += ["effects of new levels drawn from their distribution"] if new_levels else []
    if interval == "prediction":
        row = " of one trial or weight 1" if newdata is not None else ""
        parts.append(f"residual variation{row}")
    left_out = "" if chosen else "; random effects left out (the typical group)"
    return ", ".join(parts) + left_out


def simulate(
    fit: PosteriorFit,
    nsim: int = 1,
    *,
    random_seed: Any = None,
    groups: SimulatedGroups = "fitted",
) -> pd.DataFrame:
    """Draw responses; the arguments are those of ``PosteriorFit.simulate``."""
    if not isinstance(nsim, (int, np.integer)) or isinstance(nsim, bool) or nsim < 1:
        raise OptionError(f"nsim={nsim!r} must be a whole number of at least 1.")
    check_option("groups", groups, SimulatedGroups)
    rng = random_generator(random_seed)
    flat = flat_draws(fit.draws, fit.design)
    chosen = rng.choice(flat.n_draws, size=nsim, replace=nsim > flat.n_draws)
    flat = flat.take(chosen)
    if groups == "new":
        flat = flat.with_new_groups(rng)
    names = [f"sim_{i + 1}" for i in range(nsim)]
    y = response_draws(fit, flat, rng)
    return pd.DataFrame(y.T, index=fit.design.row_labels, columns=names)


def response_draws(fit: PosteriorFit, flat: FlatDraws, rng: np.random.Generator) -> FloatArray:
    """Draw one response of every row with each draw, shape (S, n)."""
    response, X = response_of(fit), fit.design.X[:, fit.kept]
    out = np.empty((flat.n_draws, fit.nobs))
    for rows in row_blocks(flat.n_draws, fit.nobs):
        eta = fitted_predictor(flat, fit.design, X, rows)
        out[:, rows] = response.draw(eta, flat, rows, rng)
    return out


def expected_response(fit: PosteriorFit) -> FloatArray:
    """Posterior mean of the expected response of every row, shape (n,)."""
    response, X = response_of(fit), fit.design.X[:, fit.kept]
    flat = flat_draws(fit.draws, fit.design)
    out = np.empty(fit.nobs)
    for rows in row_blocks(flat.n_draws, fit.nobs):
        out[rows] = response.mean(fitted_predictor(flat, fit.design, X, rows)).mean(axis=0)
    return out


def log_likelihood(fit: PosteriorFit) -> FloatArray:
    """Pointwise log-likelihood of every draw, shape (C, D, n)."""
    response, X = response_of(fit), fit.design.X[:, fit.kept]
    flat = flat_draws(fit.draws, fit.design)
    out = np.empty((flat.n_draws, fit.nobs))
    for rows in row_blocks(flat.n_draws, fit.nobs):
        eta = fitted_predictor(flat, fit.design, X, rows)
        out[:, rows] = response.log_density(eta, flat, rows)
    return out.reshape(fit.n_chains, -1, fit.nobs)
