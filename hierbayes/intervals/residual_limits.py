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
    # phi and log sigma along the coordinates
    ways = np.zeros((covariance.shape[0], phi.size + 1))
    ways[:-1, :-1], ways[-1, -1] = found.moves[:, k:], 1.0
    known = found.is_free & ~(flat.T @ ways).any(axis=0)
    reach = ndtri((1 + level) / 2) * np.sqrt(2 * ((covariance @ ways) * ways).sum(axis=0))
    limits = {}
    if known[-1]:
        limits["sigma"] = fit.sigma * np.exp(reach[-1] * np.array([-1.0, 1.0]))
    residuals = fit.spec.residuals
    for i in np.flatnonzero(known[:-1]).tolist():
        ends = np.tile(phi, (2, 1))
        ends[:, i] += reach[i] * np.array([-1.0, 1.0])
        limits[residuals.names[i]] = np.sort(residuals.values(ends)[:, i])
    return limits
