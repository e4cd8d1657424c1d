"""Wald limits of the parameters of residuals, in coordinates without bounds.

Normal quantiles of the standard errors of log sigma, of coefficients of log sds, and of hyperbolic
arc tangents of correlations, and back: nlme's ``intervals`` of the same parameters.

Source: Pinheiro & Bates (2000), Mixed-Effects Models in S and S-PLUS, section 2.4.3.
"""

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.intervals.residual_curvature import residual_curvature
from hierbayes.intervals.satterthwaite import curved_inverse
from hierbayes.results.linear_fit import LinearFit


def residual_limits(fit: LinearFit, level: float) -> dict[str, FloatArray]:
    """Limits (2,) by name of sigma and of the parameters of residuals that are off their bounds."""
    from scipy.special import ndtri

    assert fit.residual is not None
    found, phi = residual_curvature(fit), fit.residual.phi
    k = found.at.theta.shape[1]
    covariance, flat = curved_inverse(found.hessian, np.abs(np.diag(found.hessian)))
    errors = np.sqrt(2 * np.diag(covariance))
    lost = (np.abs(flat) > 0).any(axis=1)
    reach = ndtri((1 + level) / 2)
    limits = {}
    if not lost[-1]:
        limits["sigma"] = fit.sigma * np.exp(reach * errors[-1] * np.array([-1.0, 1.0]))
    residuals = fit.spec.residuals
    place = {int(at): row for row, at in enumerate(np.flatnonzero(found.free))}
    for i, name in enumerate(residuals.names):
        row = place.get(k + i)
        if row is None or lost[row]:
            continue
        ends = np.tile(phi, (2, 1))
        ends[:, i] += reach * errors[row] * np.array([-1.0, 1.0])
        limits[name] = np.sort(residuals.values(ends)[:, i])
    return limits
