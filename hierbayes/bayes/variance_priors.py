"""The prior of variance parameters as a density of their coordinates (``coordinates.py``).

Where sigma has a formula, its prior is that of the formula's coefficients, which is none of these.
"""

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.bayes.coordinates import Coordinates
from hierbayes.gaussian.residual.of_design import SIGMA
from hierbayes.priors.model_priors import ModelPriors


def variance_log_prior(
    coordinates: Coordinates, priors: ModelPriors, phi: FloatArray
) -> FloatArray:
    """Log prior density of phi (T, d), Jacobian included, shape (T,)."""
    total = coordinates.log_lkj(phi, priors.lkj)
    for sds, laws in zip(coordinates.sds(phi), coordinates.free_sds(priors.sd), strict=True):
        for sd, law in zip(sds.T, laws, strict=True):
            total = total + law.log_density(sd) + np.log(sd)
    for own, part, term in coordinates.structured:
        total = total + own.log_prior(phi[:, part], priors.of_structure(term))
    if not coordinates.sigma_known and SIGMA not in priors.formulas:
        assert priors.sigma is not None
        total = total + priors.sigma.log_density(coordinates.sigma(phi)) + phi[:, -1]
    return total


def variance_log_prior_slope(
    coordinates: Coordinates, priors: ModelPriors, phi: FloatArray
) -> FloatArray:
    """Return the derivative of ``variance_log_prior`` in phi, shape (T, d)."""
    out = coordinates.log_lkj_slope(phi, priors.lkj)
    starts = coordinates.sd_starts
    free = coordinates.free_sds(priors.sd)
    for f, (sds, laws) in enumerate(zip(coordinates.sds(phi), free, strict=True)):
        for i, law in enumerate(laws):
            out[:, starts[f] + i] += law.derivative(sds[:, i]) * sds[:, i] + 1.0
    for own, part, term in coordinates.structured:
        out[:, part] += own.log_prior_slope(phi[:, part], priors.of_structure(term))
    if not coordinates.sigma_known and SIGMA not in priors.formulas:
        assert priors.sigma is not None
        sigma = coordinates.sigma(phi)
        out[:, -1] += priors.sigma.derivative(sigma) * sigma + 1.0
    return out
