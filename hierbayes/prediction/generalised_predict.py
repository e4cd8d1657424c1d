"""Predictions of a generalised fit for the rows used or for new data, and their intervals.

Levels, new levels and missing values count as in ``predict.py``. The intervals are of eta, by the
delta method with the covariance of the random effects taken as known: with the modes b(beta) and
C = Var(b | y, beta) of a level, H = Z'WZ + Sigma^-1 = C^-1 and db/dbeta = -C Z'WX of its rows,

    Var(x'beta + z'b) = z'C z + l'V l,   l = x - X'WZ C z,

V the covariance of beta. The limits go to the scale of the response by the inverse link. A level
that was not fitted has the covariance of such levels in the place of C, and no db/dbeta.

Source: Booth & Hobert (1998), J. Am. Stat. Assoc. 93:262 (the first terms of their conditional
mean squared error).
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from hierbayes.arrays import FloatArray
from hierbayes.capabilities import not_supported
from hierbayes.design.design import NEW_LEVEL, NewRows
from hierbayes.design.new_data import new_rows
from hierbayes.options import Interval, NewLevels, PredictionType, check_option, random_generator
from hierbayes.prediction.predict import (
    chosen_groups,
    drawn_part,
    expected,
    rows_used,
    warn_of_undetermined,
)
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.once_a_fit import once_a_fit
from hierbayes.results.prediction_table import prediction_table
from hierbayes.results.tidy import check_level


def predict(
    fit: GeneralisedFit,
    newdata: Any = None,
    *,
    groups: str | Iterable[str] = "all",
    new_levels: NewLevels = "error",
    interval: Interval | None = None,
    level: float = 0.95,
    type: PredictionType = "response",
    random_seed: Any = None,
) -> pd.Series | pd.DataFrame:
    """Predict; the arguments are those of ``GeneralisedFit.predict``."""
    check_option("new_levels", new_levels, NewLevels)
    check_option("type", type, PredictionType)
    check_level(level)
    rng = random_generator(random_seed)
    if interval is not None:
        check_option("interval", interval, Interval)
    if interval == "prediction":
        raise not_supported("prediction-interval-of-fit", family=fit.family)
    chosen = chosen_groups(fit, groups)
    rows = rows_used(fit) if newdata is None else new_rows(fit.design, newdata, need_groups=chosen)
    if newdata is not None:
        warn_of_undetermined(fit, rows.X)
    eta = expected(rows, chosen, new_levels, fit)
    if interval is None:
        if new_levels == "sample":
            for position, factor in enumerate(rows.factors):
                if factor.name in chosen:
                    labels = rows.new_labels.get(factor.name)
                    eta = eta + drawn_part(fit, position, factor, labels=labels, rng=rng)
        values = eta if type == "link" else fit.expected_at(eta)
        return pd.Series(values, index=rows.row_labels, name="prediction")
    sd = np.where(np.isnan(eta), np.nan, np.sqrt(_variance(fit, rows, chosen, new_levels)))
    return prediction_table(
        _limits(fit, eta, sd, level=level, on_link=type == "link"),
        index=rows.row_labels,
        interval=interval,
        level=level,
        kind="normal",
        includes=_words(fit, rows, chosen, new_levels),
    )


def _limits(
    fit: GeneralisedFit, eta: FloatArray, sd: FloatArray, *, level: float, on_link: bool
) -> list[FloatArray]:
    """Return the four columns of the table, arrays (m,)."""
    half = ndtri((1 + level) / 2) * sd
    if on_link:
        return [eta, sd, eta - half, eta + half]
    ends = np.sort([fit.expected_at(eta - half), fit.expected_at(eta + half)], axis=0)
    return [fit.expected_at(eta), np.abs(fit.expected_slope(eta)) * sd, ends[0], ends[1]]


def _variance(
    fit: GeneralisedFit, rows: NewRows, chosen: tuple[str, ...], new_levels: NewLevels
) -> FloatArray:
    """Variance of eta of the rows, (m,)."""
    lines = rows.X[:, fit.kept]
    total = np.zeros(lines.shape[0])
    for position, factor in enumerate(rows.factors):
        if factor.name not in chosen:
            continue
        known = factor.codes >= 0
        if known.any():
            if len(fit.design.factors) > 1:
                raise not_supported("interval-of-several-factors", factor=factor.name)
            codes, z = factor.codes[known], factor.z[known]
            C = fit.mode_covariances[position][codes]
            total[known] += np.einsum("ni,nij,nj->n", z, C, z)
            lines = lines.copy()
            lines[known] -= np.einsum("nqp,nq->np", _moved(fit)[codes], z)
        drawn = (factor.codes == NEW_LEVEL) & (new_levels == "sample")
        if drawn.any():
            total[drawn] += ((factor.z[drawn] @ fit.effect_roots[position]) ** 2).sum(axis=1)
    return np.asarray(total + ((lines @ fit.vcov_root) ** 2).sum(axis=1))


@once_a_fit
def _moved(fit: GeneralisedFit) -> FloatArray:
    """Minus db/dbeta of the levels of a model's only factor, (J, q, p)."""
    (factor,) = fit.design.factors
    weight = fit.row_curvature
    X = fit.design.X[:, fit.kept] * weight[:, None]
    J, q = fit.modes[0].shape
    sums = np.zeros((J, q, X.shape[1]))
    for k in range(q):
        for j in range(X.shape[1]):
            sums[:, k, j] = np.bincount(factor.codes, factor.z[:, k] * X[:, j], minlength=J)
    return np.asarray(fit.mode_covariances[0] @ sums)


def _words(
    fit: GeneralisedFit, rows: NewRows, chosen: tuple[str, ...], new_levels: NewLevels
) -> str:
    """Name the uncertainties that are in an interval, and what is left out."""
    drawn = [
        factor.name
        for factor in rows.factors
        if factor.name in chosen and new_levels == "sample" and (factor.codes == NEW_LEVEL).any()
    ]
    parts = ["fixed effects"] if fit.kept.size else []
    parts += [f"effects of {' and '.join(chosen)}"] if chosen else []
    parts += [f"the spread of new levels of {' and '.join(drawn)}"] if drawn else []
    text = ", ".join(parts)
    if fit.design.factors:
        text += "; covariance parameters are taken as known"
        text += "" if chosen else "; random effects left out (the typical group)"
    return text
