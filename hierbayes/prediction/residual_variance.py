"""Variance of predictions where residuals are correlated or of unequal variance.

As ``prediction_variance.py``, with the coordinates phi of the residuals beside theta. Of a row of
an observed series w says what the residuals e of that series make of its own: what is predicted is

    x'beta + z'b + w'e + rest = (x - X'w)'beta + (z - Z'w)'b + w'y + rest,

so its error is that of the combination (x - X'w, z - Z'w), and of a new response the variance of
the rest. All of it moves with phi: each point has a kernel and combinations of its own.

Source: as there; Goldberger (1962), J. Am. Stat. Assoc. 57:369 (prediction from correlated errors).
"""

from collections.abc import Callable, Sequence

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.design.design import NewRows
from hierbayes.gaussian.residual.kernel import ResidualKernel
from hierbayes.intervals.residual_curvature import residual_curvature
from hierbayes.intervals.satterthwaite import STEP
from hierbayes.prediction.prediction_variance import (
    GroupRows,
    PredictionVariance,
    by_theta,
    combination_variance,
    combined,
    in_basis,
    uncertain,
)
from hierbayes.prediction.residual_rows import ResidualRows, moved_by_series
from hierbayes.results.linear_fit import LinearFit


def residual_prediction_variance(
    fit: LinearFit,
    rows: NewRows,
    residuals: ResidualRows | None,
    *,
    groups_of: Callable[[NewRows], Sequence[GroupRows]],
    new_response: bool,
) -> PredictionVariance:
    """Variances of the predictions of m rows.

    Parameters
    ----------
    fit : LinearFit
    rows : as they were given
    residuals : of them; None where none of them counts
    groups_of : what is known of the effects of the chosen factors in rows
    new_response : whether it is for new responses; else for what is expected
    """
    own, k, points = _points(fit)
    y = fit.design.y if fit.design.offset is None else fit.design.y - fit.design.offset
    predicted, relative = [], []
    for point in points:
        kernel, moved, rest = own.at(point[k:]), rows, 0.0
        given = None if residuals is None else residuals.given(point[k:])
        if given is not None:
            moved, rest = moved_by_series(fit, rows, given), given.weights @ y
        X = moved.X[:, fit.kept]
        w, v = by_theta(kernel, point[None, :k], in_basis(kernel, X, groups_of(moved)))
        predicted.append(w[0] + X @ kernel.products.anchor.beta0 + rest)
        relative.append(v[0] + (given.variance if given is not None and new_response else 0.0))
    levels = [fit.design.factors[rows_.position].levels.size for rows_ in groups_of(rows)]
    return uncertain(fit, np.array(predicted), np.array(relative), levels)


def effects_variance(
    fit: LinearFit, X: FloatArray, levels: Sequence[FloatArray]
) -> PredictionVariance:
    """``combination_variance``, whatever the residuals of the fit."""
    if fit.residual is None:
        return combination_variance(fit, X, levels)
    own, k, points = _points(fit)
    predicted, relative = [], []
    for point in points:
        kernel = own.at(point[k:])
        w, v = combined(kernel, point[None, :k], X, levels)
        predicted.append(w[0] + X @ kernel.products.anchor.beta0)
        relative.append(v[0])
    counts = [w.shape[1] for w in levels]
    return uncertain(fit, np.array(predicted), np.array(relative), counts)


def _points(fit: LinearFit) -> tuple[ResidualKernel, int, FloatArray]:
    """Points (1 + 2m, k + d): the estimates, and a step both ways along each psi but log sigma."""
    assert fit.residual is not None
    found = residual_curvature(fit)
    here = np.concatenate([found.at.theta[0], fit.residual.phi])
    steps = STEP * found.moves
    points = here + np.concatenate([np.zeros((1, here.size)), steps, -steps])
    return fit.spec.residual_kernel(fit.method), found.at.theta.shape[1], points
