"""Estimates of all levels of a generalised fit as their between-level sd goes to infinity.

As ``shrinkage_path.py``: Var(b) of one factor is scaled as a whole and the rest of the fit stays,
but the fixed effects, which are found again at every sd together with the modes (the coefficients
of ``n_quadrature=0``). Each sd is one search, begun where the last one ended. At an infinite sd a
level all of whose responses are of one kind has an infinite coefficient.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.errors import OptionError
from hierbayes.gaussian.covariance import CovarianceShape, lower_triangle
from hierbayes.gaussian.marginal import times
from hierbayes.generalised.pirls import Mode, at_effects, find_mode
from hierbayes.likelihood.generalised import optimum_of
from hierbayes.likelihood.glmm import GlmmOptimum
from hierbayes.naming.addresses import fixed_partners
from hierbayes.pooling.generalised_levels import in_triangles, own_effects
from hierbayes.results.generalised_fit import GeneralisedFit

STEPS = 61  # between-level sds between zero and infinity unless given
# The sd that stands for infinity, in eta of a column of unit length: an estimate that is known to a
# standard error s without shrinkage is within s^2 1e-6 of itself of it.
INFINITE = 1e3


@record
class Path:
    """Coefficients over the sd between levels.

    Attributes
    ----------
    sds : array, shape (T,), from small to large
    coefficients : array, shape (T, J)
    population : array, shape (T,), the fixed effect
    own : sd of the fit
    scale : typical standard error of a level, at which half of a deviation is kept
    """

    sds: FloatArray
    coefficients: FloatArray
    population: FloatArray
    own: float
    scale: float


def grid_of(scale: float, sds: Any) -> FloatArray:
    """Return the sds given, or those from 0 to infinity at equal steps of sd / (sd + scale).

    Raises
    ------
    OptionError
        If one is negative, or no number.
    """
    if sds is None:
        share = np.linspace(0.0, 1.0, STEPS)
        inner = scale * share[1:-1] / (1.0 - share[1:-1])
        return np.concatenate([[0.0], inner, [np.inf]])
    grid = np.asarray(sds, dtype=np.float64).ravel()
    if not grid.size or not (grid >= 0).all():
        raise OptionError("sds must be numbers of at least 0; infinity is allowed.")
    return np.sort(grid)


def generalised_path(fit: GeneralisedFit, position: int, t: int, sds: Any) -> Path:
    """Follow term t of one factor over its sd."""
    found = optimum_of(fit)
    basis = found.model.z_bases[position]
    direction = lower_triangle(found.at.mode.Lambdas[position][0])
    if not np.linalg.norm(basis[t] @ direction) > 0:
        direction = np.eye(direction.shape[0])
    unit = float(np.linalg.norm(basis[t] @ direction))
    z = fit.design.factors[position].z
    A = z.T @ (fit.row_curvature[:, None] * z) / fit.design.factors[position].levels.size
    own = float(np.linalg.norm(fit.effect_roots[position][t]))
    spread = float(np.linalg.pinv(A, hermitian=True)[t, t])
    scale = float(np.sqrt(spread)) if spread > 0 else own or 1.0  # curvatures may be negative
    grid = grid_of(scale, sds)
    factors = np.where(np.isfinite(grid), grid / unit, INFINITE / np.abs(direction).max())
    partner = fixed_partners(fit.design, fit.kept.tolist(), position)[t]
    coefficients = np.full((grid.size, fit.modes[position].shape[0]), np.nan)
    population = np.zeros(grid.size)
    near: Mode | None = None
    for i, factor in enumerate(factors.tolist()):
        try:
            near = _mode_at(found, position, factor * direction, near)
        except np.linalg.LinAlgError:  # the fixed effects cannot be told from these
            population[i] = np.nan
            continue
        if partner >= 0:
            population[i] = found.model.x_basis[partner] @ near.beta
        b = times(near.Lambdas[position], near.u[position])[0, :, :, 0] @ basis[t]
        coefficients[i] = population[i] + b
    free = own_effects(fit)[position]
    if np.isinf(grid[-1]) and not free.is_finite.all():
        beyond = np.where(free.endless, np.copysign(np.inf, free.effect), np.nan)[:, t]
        coefficients[-1] = np.where(free.is_finite, coefficients[-1], beyond)
        population[-1] = np.nan  # a mean over levels that are not all finite
    return Path(sds=grid, coefficients=coefficients, population=population, own=own, scale=scale)


def _mode_at(found: GlmmOptimum, position: int, root: FloatArray, near: Mode | None) -> Mode:
    """Return the mode of effects and coefficients at another root (q, q) of one factor."""
    at = found.at.mode
    model = at.model
    q = root.shape[0]
    others = tuple(term for term in model.shape.terms if term[0] != position)
    terms = (*others, (position, tuple(range(q))))
    wide = replace(model, shape=CovarianceShape(sizes=model.shape.sizes, terms=terms))
    start = at if near is None else near
    Lambdas, _ = in_triangles(at)
    Lambdas[position] = root[None]
    _, u = in_triangles(start)
    if root.any():
        b = times(start.Lambdas[position], start.u[position])
        u[position] = np.linalg.pinv(root) @ b
    theta = wide.shape.pack(Lambdas)[0]
    return find_mode(at_effects(wide, theta, start.beta, at.phi, u, profiled=True))
