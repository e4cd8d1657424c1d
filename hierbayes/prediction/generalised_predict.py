"""Predictions of a generalised fit for the rows used or for new data, and their intervals.

Levels, new levels and missing values count as in ``predict.py``. The intervals are of eta, by the
delta method with the covariance of the random effects taken as known: with the modes b(beta) and
C = Var(b | y, beta) of a level, H = Z'WZ + Sigma^-1 = C^-1 and db/dbeta = -C Z'WX of its rows,

    Var(x'beta + z'b) = z'C z + l'V l,   l = x - X'WZ C z,

V the covariance of beta. The limits go to the scale of the response by the inverse link. Those of a
new response are quantiles of draws: eta from its normal distribution, the response from the family.
A level that was not fitted has the covariance of such levels in the place of C, and no db/dbeta. Of
several factors C is that of all effects together.

Of ordered categories beta goes with the thresholds t, whose columns in X are zero and in -WX the
derivatives of the rows' slopes in t. A quantity q(eta, t), a probability or the mean category, has
the standard error of its slopes in both, and limits that are symmetric on the logit of its place
between its ends.

Source: Booth & Hobert (1998), J. Am. Stat. Assoc. 93:262 (the first terms of their conditional
mean squared error).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import solve_triangular
from scipy.sparse import csr_array
from scipy.special import expit, logit, ndtri

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.capabilities import not_supported
from hierbayes.design.design import NEW_LEVEL, GroupingFactor, NewRows
from hierbayes.errors import OptionError
from hierbayes.families.family import Family
from hierbayes.families.mean_ends import check_means, eta_ends
from hierbayes.families.observations import category_labels, no_responses
from hierbayes.intervals.resampling import responses_at
from hierbayes.options import random_generator
from hierbayes.prediction.predict import (
    check_type,
    drawn_part,
    expected,
    row_precisions,
    rows_asked,
    trials_of,
    warn_of_undetermined,
)
from hierbayes.prediction.residual_rows import check_series
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.once_a_fit import once_a_fit
from hierbayes.results.prediction_request import PredictionRequest
from hierbayes.results.prediction_table import prediction_table
from hierbayes.wording import listed

MOST_EFFECTS = 3000  # of several factors, whose covariances are dense: 72 MB, a second
DRAWS = 4000  # responses drawn for each row: an end of a 95 % interval is off by 0.04 of its sd
AT_ONCE = 2**22  # numbers of the rows of Z that are laid out at once: 32 MB


def predict(fit: GeneralisedFit, asked: PredictionRequest) -> pd.Series | pd.DataFrame:
    """Predict for rows; an interval makes it a table."""
    check_type(asked.type, fit.response_family)
    check_series(fit, asked)
    new_levels, interval = asked.new_levels, asked.interval
    rng = random_generator(asked.random_seed)
    _check_new_response(fit, asked)
    chosen, rows = rows_asked(fit, asked)
    trials = _trials(fit, asked)
    counted = trials if asked.type == "count" and trials is not None else 1.0
    if asked.newdata is not None:
        warn_of_undetermined(fit, rows.X)
    eta = expected(rows, chosen, new_levels, fit)
    if not asked.on_link:
        check_means(fit.response_family, eta)
    if interval is None:
        if new_levels == "sample":
            for position, factor in enumerate(rows.factors):
                if factor.name in chosen:
                    labels = rows.new_labels.get(factor.name)
                    eta = eta + drawn_part(fit, position, factor, labels=labels, rng=rng)
        if not asked.on_link:
            check_means(fit.response_family, eta)
        if asked.type == "probability":
            shares = fit.category_probabilities(eta)
            names = category_labels(fit.design, shares.shape[1])
            return pd.DataFrame(shares, index=rows.row_labels, columns=names)
        values = eta if asked.on_link else counted * fit.expected_at(eta)
        return pd.Series(values, index=rows.row_labels, name="prediction")
    error, kind = _error(fit, rows, chosen, asked), "normal"
    index: Any = rows.row_labels
    if fit.response_family.is_ordinal and not asked.on_link:
        columns, kind = _limits_of_categories(fit, eta, error, asked), "logit"
        if asked.type == "probability":
            categories = category_labels(fit.design, fit.n_thresholds + 1)
            index = pd.MultiIndex.from_product([index, categories], names=["row", "category"])
    else:
        sd = np.where(np.isnan(eta), np.nan, np.sqrt(error.variance(fit)))
        if interval == "prediction":
            at = _new_rows(fit, asked, trials)
            columns, kind = _of_new_responses(fit, eta, sd, at, asked, rng), "simulated"
        else:
            columns = _limits(fit, eta, sd, level=asked.level, on_link=asked.on_link)
            columns = [counted * column for column in columns]
    return prediction_table(
        columns,
        index=index,
        interval=interval,
        level=asked.level,
        kind=kind,
        includes=_words(fit, rows, chosen, asked, of_one=trials is None),
    )


def _check_new_response(fit: GeneralisedFit, asked: PredictionRequest) -> None:
    """Refuse intervals of new responses where there is no such thing, or nothing draws them."""
    if asked.interval != "prediction":
        return
    if asked.on_link:
        raise OptionError(
            "interval='prediction' is about new responses, which have no link scale; leave "
            "type='response'."
        )
    if fit.response_family.is_ordinal:
        raise not_supported("prediction-interval-of-categories", family=fit.family)
    if fit.response_family.draw is None:
        raise no_responses(fit.response_family)


def _trials(fit: GeneralisedFit, asked: PredictionRequest) -> FloatArray | None:
    """Return the trials of the rows, (m,), where they are known and count."""
    known = trials_of(fit, asked)
    if asked.newdata is None and fit.response_family.counts_trials:
        return fit.row_parameters["trials"]
    return known


def _new_rows(
    fit: GeneralisedFit, asked: PredictionRequest, trials: FloatArray | None
) -> dict[str, FloatArray]:
    """Return the further parameters of the distribution of each row, numbers or arrays (m,)."""
    found = {name: np.asarray(value) for name, value in fit.optimum.dispersion.items()}
    family = fit.response_family
    if family.weighs_sigma:
        precisions = row_precisions(fit, asked.newdata)
        if fit.design.known_sd is not None:
            found["sigma"] = np.ones(1)
        if precisions is not None:
            found["sigma"] = found["sigma"] / np.sqrt(precisions)
    if family.counts_trials:
        found["trials"] = np.ones(1) if trials is None else trials
    return found


def _of_new_responses(
    fit: GeneralisedFit,
    eta: FloatArray,
    sd: FloatArray,
    at: dict[str, FloatArray],
    asked: PredictionRequest,
    rng: np.random.Generator,
) -> list[FloatArray]:
    """Return the four columns of the table: quantiles and sd of responses drawn for each row.

    A row's eta takes the normal quantiles at equal steps of probability, in an order of its own.
    """
    m, family = eta.size, fit.response_family
    scores = ndtri((np.arange(DRAWS) + 0.5) / DRAWS)
    tails = [(1 - asked.level) / 2, (1 + asked.level) / 2]
    count = at.get("trials", np.ones(1))
    spread, ends = np.full(m, np.nan), np.full((2, m), np.nan)
    usable = np.flatnonzero(np.isfinite(eta + sd) & np.isfinite(count) & (count > 0))
    for rows in np.array_split(usable, -(-usable.size * DRAWS // AT_ONCE) or 1):
        own = {name: value[rows] if value.size == m > 1 else value for name, value in at.items()}
        drawn = rng.permuted(np.repeat(scores[:, None], rows.size, axis=1), axis=0)
        y = responses_at(family, rng, eta[rows] + sd[rows] * drawn, own)
        if family.counts_trials and asked.type != "count":
            y = y / own["trials"]
        spread[rows] = y.std(axis=0)
        ends[:, rows] = np.quantile(y, tails, axis=0, method=_quantile(family))
    middle = fit.expected_at(eta) * (count if asked.type == "count" else 1.0)
    return [middle, spread, *ends]


def _quantile(family: Family) -> Any:
    """Return how quantiles are read: of whole numbers they are whole numbers."""
    return "inverted_cdf" if family.is_discrete or family.counts_trials else "linear"


def _limits(
    fit: GeneralisedFit, eta: FloatArray, sd: FloatArray, *, level: float, on_link: bool
) -> list[FloatArray]:
    """Return the four columns of the table, arrays (m,)."""
    half = ndtri((1 + level) / 2) * sd
    if on_link:
        return [eta, sd, eta - half, eta + half]
    curve = fit.response_family.curve
    if curve is not None and not curve.rates_are_known:
        raise not_supported("interval-of-estimated-rates", rates=listed(curve.estimated))
    limits = np.clip([eta - half, eta + half], *eta_ends(fit.response_family))
    ends = np.sort([fit.expected_at(limit) for limit in limits], axis=0)
    return [fit.expected_at(eta), np.abs(fit.expected_slope(eta)) * sd, ends[0], ends[1]]


@record
class EtaError:
    """What the error of eta of m rows is made of.

    Attributes
    ----------
    given : array, shape (m,), variance given beta (and thresholds)
    lines : array, shape (m, p + K), derivative in beta and thresholds
    """

    given: FloatArray
    lines: FloatArray

    def variance(self, fit: GeneralisedFit) -> FloatArray:
        """Variance of eta, (m,)."""
        return np.asarray(self.given + ((self.lines @ fit.fixed_root) ** 2).sum(axis=1))


def _limits_of_categories(
    fit: GeneralisedFit, eta: FloatArray, error: EtaError, asked: PredictionRequest
) -> list[FloatArray]:
    """Return the four columns of the mean category (m,), or of each probability (m (K + 1),)."""
    shares, slopes = fit.category_probabilities(eta), fit.category_slopes(eta)
    K = fit.n_thresholds
    low, high = 0.0, 1.0
    if asked.type == "response":
        k = np.arange(K + 1.0)
        shares, slopes = shares @ k[:, None], np.einsum("mkj,k->mj", slopes, k)[:, None]
        high = float(K)
    own = slopes[..., 0]  # (m, C) in eta
    moved = own[..., None] * error.lines[:, None]
    moved[..., moved.shape[-1] - K :] += slopes[..., 1:]
    variance = own**2 * error.given[:, None] + ((moved @ fit.fixed_root) ** 2).sum(axis=-1)
    sd = np.sqrt(variance)
    first = fit.first_category if asked.type == "response" else 0.0
    ends = limits_between(shares, sd, low=low, high=high, level=asked.level)
    return [(first + shares).ravel(), sd.ravel(), *((first + end).ravel() for end in ends)]


def limits_between(
    values: FloatArray, sd: FloatArray, *, low: float, high: float, level: float
) -> tuple[FloatArray, FloatArray]:
    """Limits of values between two ends, symmetric on the logit of their place."""
    place = (values - low) / (high - low)
    with np.errstate(divide="ignore", invalid="ignore"):  # a probability that is 0 or 1 in doubles
        half = ndtri((1 + level) / 2) * sd / ((high - low) * place * (1 - place))
        below, above = (low + (high - low) * expit(logit(place) + s * half) for s in (-1, 1))
    return below, above


def _spreads(factor: GroupingFactor, asked: PredictionRequest) -> BoolArray:
    """Which rows (m,) have a level whose effects vary in the interval, as such levels do."""
    if asked.new_levels == "population" and asked.interval == "prediction":
        return np.asarray(factor.codes < 0)
    return (factor.codes == NEW_LEVEL) & (asked.new_levels == "sample")


def _error(
    fit: GeneralisedFit, rows: NewRows, chosen: tuple[str, ...], asked: PredictionRequest
) -> EtaError:
    """Say what the error of eta of the rows is made of."""
    effects = [f if f.name in chosen and (f.codes >= 0).any() else None for f in rows.factors]
    found = error_parts(fit, rows.X[:, fit.kept], effects)
    total, lines = found.given, found.lines
    for position, factor in enumerate(rows.factors):
        drawn = _spreads(factor, asked) & (factor.name in chosen)
        if drawn.any():
            total[drawn] += ((factor.z[drawn] @ fit.effect_roots[position]) ** 2).sum(axis=1)
    return EtaError(given=total, lines=lines)


def error_parts(
    fit: GeneralisedFit, X: FloatArray, effects: Sequence[GroupingFactor | None]
) -> EtaError:
    """Say what the error of eta is made of in rows of X (m, p) with effects of fitted levels."""
    lines = np.pad(X, ((0, 0), (0, fit.n_thresholds)))
    total = np.zeros(lines.shape[0])
    if any(effects) and len(effects) > 1:
        total, moved = _of_several(fit, effects)
        lines -= moved
    elif any(effects):
        (factor,) = effects
        assert factor is not None
        known = factor.codes >= 0
        codes, z = factor.codes[known], factor.z[known]
        total[known] += np.einsum("ni,nij,nj->n", z, fit.mode_covariances[0][codes], z)
        lines[known] -= np.einsum("nqp,nq->np", _moved(fit)[codes], z)
    return EtaError(given=total, lines=lines)


@once_a_fit
def _moved(fit: GeneralisedFit) -> FloatArray:
    """Minus the derivative of b in beta and thresholds, of one factor's levels, (J, q, p + K)."""
    (factor,) = fit.design.summands.factors
    return np.asarray(fit.mode_covariances[0] @ factor.sums_with(fit.fixed_curvature))


def _of_several(
    fit: GeneralisedFit, effects: Sequence[GroupingFactor | None]
) -> tuple[FloatArray, FloatArray]:
    """Return z'C z (m,) and what z moves of l, (m, p + K), of effects of several factors."""
    half, moved = effects_root(fit)
    step = max(1, AT_ONCE // half.shape[0])
    m = next(factor.codes.size for factor in effects if factor is not None)
    variance, lines = np.empty(m), np.empty((m, moved.shape[1]))
    for start in range(0, m, step):
        part = slice(start, start + step)
        spherical = _spherical_rows(fit, effects, part).toarray().T
        solved = solve_triangular(half, spherical, lower=True)
        variance[part] = (solved**2).sum(axis=0)
        lines[part] = solved.T @ moved
    return variance, lines


def level_uncertainty(
    fit: GeneralisedFit, levels: Sequence[FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Uncertainty of m combinations of the effects of all fitted levels.

    Parameters
    ----------
    fit : GeneralisedFit
    levels : weights of the effects of every grouping factor, arrays (m, J, q)

    Returns
    -------
    array, shape (m,); array, shape (m, p + K)
        Their variance given beta (and thresholds), and minus their derivative in these.

    Raises
    ------
    NotSupportedError
        For very many effects of several factors.
    """
    if len(levels) == 1:
        (w,) = levels
        variance = np.einsum("mja,jab,mjb->m", w, fit.mode_covariances[0], w, optimize=True)
        return variance, np.einsum("mja,jap->mp", w, _moved(fit), optimize=True)
    half, moved = effects_root(fit)
    pairs = zip(levels, fit.effect_roots, strict=True)
    spherical = np.concatenate([(w @ root).reshape(w.shape[0], -1) for w, root in pairs], axis=1)
    solved = solve_triangular(half, spherical.T, lower=True)
    return (solved**2).sum(axis=0), solved.T @ moved


@once_a_fit
def effects_root(fit: GeneralisedFit) -> tuple[FloatArray, FloatArray]:
    """Return L (Q, Q) with L L' = Lambda'Z'WZ Lambda + I, and L^-1 Lambda'Z'WX (Q, p + K)."""
    size = sum(b.size for b in fit.modes)
    if size > MOST_EFFECTS:
        raise not_supported("interval-of-several-factors", effects=size, most=MOST_EFFECTS)
    rows = _spherical_rows(fit, fit.design.summands.factors, slice(None))
    weighted = rows.multiply(fit.row_curvature[:, None]).T
    half = np.linalg.cholesky((weighted @ rows).toarray() + np.eye(size))
    return half, solve_triangular(half, rows.T @ fit.fixed_curvature, lower=True)


def _spherical_rows(
    fit: GeneralisedFit, effects: Sequence[GroupingFactor | None], part: slice
) -> csr_array:
    """Rows of Z Lambda, (m, Q); nothing for a factor that is None or a level not fitted."""
    values, rows, columns, start, m = [], [], [], 0, 0
    for factor, b, root in zip(effects, fit.modes, fit.effect_roots, strict=True):
        if factor is not None:
            codes = factor.codes[part]
            known, q = np.flatnonzero(codes >= 0), root.shape[1]
            m = codes.size
            values.append((factor.z[part][known] @ root).ravel())
            rows.append(np.repeat(known, q))
            columns.append((start + codes[known][:, None] * q + np.arange(q)).ravel())
        start += b.size
    at = (np.concatenate(rows), np.concatenate(columns))
    return csr_array((np.concatenate(values), at), shape=(m, start))


def _words(
    fit: GeneralisedFit,
    rows: NewRows,
    chosen: tuple[str, ...],
    asked: PredictionRequest,
    *,
    of_one: bool,
) -> str:
    """Name the uncertainties that are in an interval, and what is left out."""
    drawn = [
        factor.name
        for factor in rows.factors
        if factor.name in chosen and _spreads(factor, asked).any()
    ]
    parts = ["fixed effects"] if fit.kept.size else []
    parts += [f"effects of {' and '.join(chosen)}"] if chosen else []
    parts += [f"the spread of new levels of {' and '.join(drawn)}"] if drawn else []
    if asked.interval == "prediction":
        one = fit.response_family.counts_trials and of_one
        parts.append("the variation of responses" + (" of one trial" if one else ""))
    text = ", ".join(parts)
    if fit.design.factors:
        text += "; covariance parameters are taken as known"
        text += "" if chosen else "; random effects left out (the typical group)"
    return text
