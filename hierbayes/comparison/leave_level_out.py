"""Log p(y_j | phi) of the rows of whole levels of a generalised model of one grouping factor.

Given phi, the coefficients, the covariance of the effects and the further parameters of the family,
the rows y_j of a level are independent of all others, so that what phi predicts of a level that was
left out is the integral over its effects of ``level_integrals.py``, by adaptive quadrature. Nodes
are added until more of them change nothing; no draw of the effects is needed, of whichever sampler.
"""

from itertools import pairwise

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.bayes.predictive import FlatDraws, flat_draws
from hierbayes.capabilities import not_supported
from hierbayes.generalised.conditional import Conditional, conditional
from hierbayes.generalised.level_integrals import LevelRows, Points, level_rows
from hierbayes.results.posterior_fit import PosteriorFit

# Nodes a column, tried in turn until the next would change no term by more than that.
LADDERS = {1: (5, 9, 19, 39, 79), 2: (5, 9, 19, 39)}
MOST_ERROR = 1e-4
CHECKED = 32  # draws, evenly spaced and at least, at which the error is measured


def level_log_densities(fit: PosteriorFit) -> FloatArray:
    """Log p(y_j | phi) for every draw and level of the model's grouping factor, shape (S, J).

    Raises
    ------
    NotSupportedError
        With several grouping factors, more than two columns of random effects, or a family without
        a smooth density.
    """
    design, family = fit.design, fit.response_family
    if not levels_apply(fit):
        raise not_supported(
            "loo-groups-of-family", factor=design.factors[0].name, family=fit.family
        )
    model = conditional(design, family)
    return log_integrals(level_rows(model), points_of(model, flat_draws(fit.draws, design))).T


def log_integrals(rows: LevelRows, at: Points, *, most_error: float = MOST_ERROR) -> FloatArray:
    """Log integrals over the effects of each level, (J, S), by as many nodes as they need."""
    ladder = LADDERS[rows.size[2]]
    checked = at[slice(None, None, max(at.beta.shape[0] // CHECKED, 1))]
    n_points = ladder[-1]
    for fewer, more in pairwise(ladder):
        difference = _log_levels(rows, checked, fewer) - _log_levels(rows, checked, more)
        if np.abs(difference).max() <= most_error:
            n_points = fewer
            break
    return _log_levels(rows, at, n_points)


def levels_apply(fit: PosteriorFit) -> bool:
    """Whether the effects of a model are integrated out by quadrature: see above."""
    factors, family = fit.design.factors, fit.response_family
    is_smooth = family.log_density is not None and family.is_smooth
    return len(factors) == 1 and len(factors[0].columns) in LADDERS and is_smooth


def points_of(model: Conditional, flat: FlatDraws) -> Points:
    """Return draws in the basis of the model."""
    phi = model.phi_of(flat.family | {"sigma": flat.sigma}, flat.beta)
    return Points(
        beta=flat.beta @ np.linalg.inv(model.x_basis).T,
        Lambda=np.linalg.inv(model.z_bases[0]) @ flat.roots[0],
        phi=phi if phi.size else np.zeros((flat.n_draws, 0)),
    )


def _log_levels(rows: LevelRows, at: Points, n_points: int) -> FloatArray:
    """Log integrals (J, S) by the rule of ``n_points`` a column."""
    found = np.empty((rows.size[1], at.beta.shape[0]))
    for which, _, integrals in rows.integrated(at, n_points):
        found[:, which] = integrals.log_levels
    return found
