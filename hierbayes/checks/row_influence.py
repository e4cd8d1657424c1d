"""What every row does to a fit: leverage, studentised residuals, and the estimates without it.

Given theta the estimates of beta and b solve the mixed-model equations, those of least squares of
rows t_i = (x_i, z_i) with a penalty. With M their matrix over sigma^2, without row i of weight w_i
and residual e_i and with C = (X'V^-1X)^-1 sigma^-2,

    h_i             = w_i t_i'M^-1t_i                          leverage, lme4's ``hatvalues``
    beta - beta_(i) = C d_i w_i e_i / (1 - h_i)
    r^2 - r_(i)^2   = w_i e_i^2 / (1 - h_i)                    the penalised sum of squares
    |C_(i)| / |C|   = 1 + w_i d_i'C d_i / (1 - h_i)

with d of ``prediction/prediction_variance.py``: the fit to the other rows at the same theta,
exactly. The sd without the row is sigma_(i)^2 = r_(i)^2 / (df - 1).

Where residuals have a structure R, of which w_i is the inverse above, the same holds with
Q = R^-1 - R^-1T M^-1 T'R^-1 and t~_i = T'R^-1 of row i, a combination of rows of its series:

    w_i (1 - h_i) = Q_ii = (R^-1)_ii - t~_i'M^-1t~_i,    w_i e_i = (Q y)_i = (R^-1 e)_i,
    w_i d_i       = X'V^-1 of row i = d of t~_i

so that a row left out leaves a gap in its series, whose times stay. A studentised residual is then
what a row is off the prediction from all other rows, those of its series too; the leverage is that
of the fitted value, 1 - (R Q)_ii. (Christensen, Pearson & Johnson, 1992, Technometrics 34:38.)

Of a generalised fit the rows are those of the last step of its search: w_i is minus the second
derivative of the row's log density in eta, w_i e_i the first. What is without a row is one step
from the estimates towards those without it, at the same theta and further parameters.

Source: Cook & Weisberg (1982), Residuals and Influence in Regression; Demidenko & Stukel (2005),
Statistics in Medicine 24:893; Pregibon (1981), Ann. Stat. 9:705.
"""

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, record
from hierbayes.capabilities import not_supported
from hierbayes.families.observations import checked_observations
from hierbayes.gaussian.residual.precision import Precision
from hierbayes.prediction.generalised_predict import error_parts
from hierbayes.prediction.prediction_variance import row_images
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.linear_fit import LinearFit

RowsOf = tuple[FloatArray, list[FloatArray]]  # columns of X, and of each factor
ALONE = 1e-10  # 1 - h below which the other rows say nothing of a row's own


@record
class _Rows:
    """The rows of a fit; all (n,) but for ``image`` (n, p), and ``root`` (p, p).

    Attributes
    ----------
    leverage : h of the fitted value
    left : 1 - h, of the equations above
    slope : w e
    size : w d'C d, the part of h that is of beta
    image : R'd with R R' = C
    root : R
    pearson : w e over sigma sqrt(w)
    sigma : residual sd, 1 where C is no ratio to it
    sigma_without : the same without each row
    """

    leverage: FloatArray
    left: FloatArray
    slope: FloatArray
    size: FloatArray
    image: FloatArray
    root: FloatArray
    pearson: FloatArray
    sigma: float
    sigma_without: FloatArray


def row_influence(fit: LinearFit | GeneralisedFit) -> pd.DataFrame:
    """Leverage, studentised residuals, Cook's distances and more of every row used.

    Raises
    ------
    NotSupportedError
        Of ordinal fits, and of fits that the data do not determine.
    """
    rows = _linear(fit) if isinstance(fit, LinearFit) else _generalised(fit)
    p = rows.image.shape[1]
    left = np.where(rows.left > ALONE, rows.left, np.nan)
    moved = rows.slope / left  # R^-1 (beta - beta_(i)) = image x this
    steps = (rows.image * moved[:, None]) @ rows.root.T
    errors = np.sqrt((rows.root**2).sum(axis=1))
    square = (rows.image**2).sum(axis=1)
    internal = rows.pearson / np.sqrt(left)
    ratio = rows.sigma_without / rows.sigma
    table = pd.DataFrame(
        {
            "fitted": fit.fitted_values,
            "residual": fit.observed - fit.fitted_values,
            "leverage": rows.leverage,
            "studentised_internal": internal,
            "studentised_external": internal / ratio,
            "cooks_distance": square * moved**2 / (rows.sigma**2 * max(p, 1)),
            "cooks_distance_conditional": internal**2 * _odds(fit, rows, left) / max(p, 1),
            "covratio": ratio ** (2 * p) * (1 + rows.size / left),
        },
        index=fit.design.row_labels,
    )
    dfbetas = steps / (rows.sigma_without[:, None] * errors)
    for name, values in zip(fit.coef_names, dfbetas.T, strict=True):
        table[f"dfbetas[{name}]"] = values
    table.attrs["given"] = "theta"
    return table


def _odds(fit: LinearFit | GeneralisedFit, rows: _Rows, left: FloatArray) -> FloatArray:
    """Return h / (1 - h), NaN beside correlated residuals: that distance knows rows alone."""
    if fit.design.residual is not None:
        return np.full(left.shape, np.nan)
    return rows.leverage / left


def _linear(fit: LinearFit) -> _Rows:
    if fit.kernel.undetermined is not None:
        raise not_supported("influence-undetermined", note=fit.undetermined_note)
    X, zs = fit.design.X[:, fit.kept], [factor.z for factor in fit.design.factors]
    e = fit.design.y - fit.fitted_values
    if fit.residual is None:
        w = np.ones(fit.nobs) if fit.weights is None else fit.weights
        found = row_images(fit, X, zs)
        slope, image, h = w * e, found.image, w * found.relative
        leverage = h
    else:
        precision = Precision(found=fit.spec.residuals, phi=fit.residual.phi)
        w, slope = precision.diagonal(), precision.times(e[:, None])[:, 0]
        beside, zs_beside = precision.times(X), [precision.times(z) for z in zs]
        found = row_images(fit, beside, zs_beside)
        image, h = found.image / w[:, None], found.relative / w
        leverage = _leverage(
            fit, (X, zs), (beside / w[:, None], [z / w[:, None] for z in zs_beside])
        )
        leverage *= w
    without = np.full(fit.nobs, fit.sigma)
    if fit.has_residual_sd:
        df = fit.kernel.df
        with np.errstate(divide="ignore", invalid="ignore"):
            square = (df * fit.sigma**2 - slope**2 / w / (1 - h)) / (df - 1)
            without = np.sqrt(np.maximum(square, 0.0))
    return _Rows(
        leverage=leverage,
        left=1 - h,
        slope=slope,
        size=w * (image**2).sum(axis=1),
        image=image,
        root=found.root,
        pearson=slope / np.sqrt(w) / fit.sigma,
        sigma=fit.sigma,
        sigma_without=without,
    )


def _leverage(fit: LinearFit, rows: RowsOf, others: RowsOf) -> FloatArray:
    """Return t'M^-1u of rows t and others u, (n,): a quarter of |t + u|^2 - |t - u|^2."""
    squares = [
        row_images(
            fit,
            rows[0] + sign * others[0],
            [z + sign * other for z, other in zip(rows[1], others[1], strict=True)],
        ).relative
        for sign in (1, -1)
    ]
    return np.asarray((squares[0] - squares[1]) / 4)


def _generalised(fit: GeneralisedFit) -> _Rows:
    family = fit.response_family
    if family.is_ordinal:
        raise not_supported("influence-of-categories", family=fit.family)
    X, w = fit.design.X[:, fit.kept], fit.row_curvature
    error = error_parts(fit, X, fit.design.factors)
    precision = (w[:, None] * error.lines).T @ X
    scale = np.sqrt(np.diagonal(precision))  # columns of any units
    inner = np.linalg.cholesky((precision + precision.T) / (2 * np.outer(scale, scale)))
    root = np.linalg.inv(inner).T / scale[:, None]
    image = error.lines @ root
    y = checked_observations(fit.design, family)
    y = y[:, 0] if family.counts_trials else y
    found = family.derivatives(y, fit.linear_predictor, fit.row_parameters, order=1)
    size = w * (image**2).sum(axis=1)
    leverage = w * error.given + size
    return _Rows(
        leverage=leverage,
        left=1 - leverage,
        slope=np.asarray(found.derivative(1)),
        size=size,
        image=image,
        root=root,
        pearson=fit.residuals("pearson").to_numpy() / fit.sigma,
        sigma=1.0,
        sigma_without=np.ones(fit.nobs),
    )
