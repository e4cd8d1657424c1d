"""Wald confidence intervals of fixed effects and thresholds: estimate plus or minus z errors.

Sds and correlations get none, as in lme4: their estimates are skewed and bounded, and an interval
symmetric around them covers too rarely.
"""

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.results.likelihood_fit import LikelihoodFit

NO_WALD = (
    "a Wald interval assumes a symmetric, unbounded estimate, which that of an sd, a correlation "
    'or a parameter of a family is not; method="profile" and method="bootstrap" give one'
)


def wald_limits(fit: LikelihoodFit, level: float) -> FloatArray:
    """Limits of the fixed effects, by normal quantiles.

    Parameters
    ----------
    fit : LikelihoodFit
    level : float, between 0 and 1

    Returns
    -------
    array, shape (p, 2), response units per unit of each column
    """
    from scipy.special import ndtri

    reach = ndtri((1 + level) / 2) * fit.std_errors
    return np.column_stack([fit.beta - reach, fit.beta + reach])


def unbounded_limits(fit: LikelihoodFit, level: float) -> dict[str, FloatArray]:
    """Limits (2,) of the parameters of a family without bounds, such as thresholds, by name."""
    from scipy.special import ndtri

    reach = ndtri((1 + level) / 2) * np.array([-1.0, 1.0])
    free = {p.name for p in fit.response_family.parameters if np.isinf(p.bounds).all()}
    return {
        name: estimate + reach * error
        for name, (estimate, error) in fit.further_parameters.items()
        if name.partition("[")[0] in free
    }
