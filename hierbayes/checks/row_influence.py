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
from hierbayes.prediction.generalised_predict import error_parts
from hierbayes.prediction.prediction_variance import row_images
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.linear_fit import LinearFit

ALONE = 1e-10  # 1 - h below which the other rows say nothing of a row's own


@record
class _Rows:
    """The rows of a fit; all (n,) but for ``image`` (n, p), and ``root`` (p, p).

    Attributes
    ----------
    leverage : h
    slope : w e
    size : w d'C d, the part of h that is of beta
    image : R'd with R R' = C
    root : R
    pearson : residual over its sd
    sigma : residual sd, 1 where C is no ratio to it
    sigma_without : the same without each row
    """

    leverage: FloatArray
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
    left = 1 - rows.leverage
    left = np.where(left > ALONE, left, np.nan)
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
            "cooks_distance_conditional": internal**2 * rows.leverage / (left * max(p, 1)),
            "covratio": ratio ** (2 * p) * (1 + rows.size / left),
        },
        index=fit.design.row_labels,
    )
    dfbetas = steps / (rows.sigma_without[:, None] * errors)
    for name, values in zip(fit.coef_names, dfbetas.T, strict=True):
        table[f"dfbetas[{name}]"] = values
    table.attrs["given"] = "theta"
    return table


def _linear(fit: LinearFit) -> _Rows:
    if fit.kernel.undetermined is not None:
        raise not_supported("influence-undetermined", note=fit.undetermined_note)
    found = row_images(fit)
    w = np.ones(fit.nobs) if fit.weights is None else fit.weights
    e, h = fit.design.y - fit.fitted_values, w * found.relative
    without = np.full(fit.nobs, fit.sigma)
    if fit.has_residual_sd:
        df = fit.kernel.df
        with np.errstate(divide="ignore", invalid="ignore"):
            square = (df * fit.sigma**2 - w * e**2 / (1 - h)) / (df - 1)
            without = np.sqrt(np.maximum(square, 0.0))
    return _Rows(
        leverage=h,
        slope=w * e,
        size=w * (found.image**2).sum(axis=1),
        image=found.image,
        root=found.root,
        pearson=np.sqrt(w) * e / fit.sigma,
        sigma=fit.sigma,
        sigma_without=without,
    )


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
    return _Rows(
        leverage=w * error.given + size,
        slope=np.asarray(found.derivative(1)),
        size=size,
        image=image,
        root=root,
        pearson=fit.residuals("pearson").to_numpy() / fit.sigma,
        sigma=1.0,
        sigma_without=np.ones(fit.nobs),
    )
