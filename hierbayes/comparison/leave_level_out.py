"""Log p(y_j | phi) of the rows of whole levels of a grouping factor of a generalised model.

Given phi, the coefficients, the covariance of the effects, the further parameters of the family and
the effects of all other grouping factors, the rows y_j of a level are independent of all others, so
that what phi predicts of a level that was left out is the integral over its effects of
``level_integrals.py``, by adaptive quadrature. Nodes are added until more of them change nothing;
no draw of the effects of this factor is needed, of whichever sampler.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.bayes.predictive import FlatDraws, flat_draws, linear_predictor
from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design, GroupingFactor
from hierbayes.generalised.conditional import conditional
from hierbayes.generalised.level_integrals import LevelRows, Points, level_rows
from hierbayes.results.posterior_fit import PosteriorFit

# Nodes a column, tried in turn until the next would change no term by more than that.
LADDERS = {1: (5, 9, 19, 39, 79), 2: (5, 9, 19, 39)}
MOST_ERROR = 1e-4
CHECKED = 32  # draws, evenly spaced and at least, at which the error is measured


@record(kw_only=False)
class Levels:
    """The rows of a model by the levels of one factor, and S draws of all else."""

    rows: LevelRows
    at: Points


def level_log_densities(
    fit: PosteriorFit, factor: int = 0, flat: FlatDraws | None = None
) -> FloatArray:
    """Log p(y_j | phi) for every draw and level of a grouping factor, shape (S, J).

    ``flat`` are other draws than those of the fit.

    Raises
    ------
    NotSupportedError
        Where ``levels_apply`` says so.
    """
    if not levels_apply(fit, factor):
        name = fit.design.factors[factor].name
        raise not_supported("loo-groups-of-family", factor=name, family=fit.family)
    levels = levels_of(fit, factor, flat)
    return log_integrals(levels.rows, levels.at).T


def levels_apply(fit: PosteriorFit, factor: int) -> bool:
    """Whether the effects of a factor are integrated out by quadrature.

    The family has a smooth density, the factor one or two columns, and no other factor is nested in
    it: effects of levels that no other rows know of can't be taken from draws.
    """
    factors, family = fit.design.factors, fit.response_family
    own = factors[factor]
    is_smooth = family.log_density is not None and family.is_smooth
    nested = any(is_within(other, own.codes) for f, other in enumerate(factors) if f != factor)
    return is_smooth and len(own.columns) in LADDERS and not nested


def is_within(factor: GroupingFactor, codes: IntArray) -> bool:
    """Whether the rows of each level of a factor have one code (n,)."""
    pairs = factor.codes * (int(codes.max()) + 1) + codes
    return bool(np.unique(pairs).size == factor.levels.size)


def levels_of(fit: PosteriorFit, factor: int, flat: FlatDraws | None = None) -> Levels:
    """Lay the rows of a model out by the levels of one factor, and its draws (or others)."""
    design = fit.design
    flat = flat_draws(fit.draws, design) if flat is None else flat
    model = conditional(design, fit.response_family)
    phi = model.phi_of(flat.family | {"sigma": flat.sigma}, flat.beta)
    basis = model.z_bases[factor]
    one = slice(factor, factor + 1)
    rows = level_rows(replace(model, levels=model.levels.some(one), z_bases=(basis,)))
    first = np.unique(rows.place, return_index=True)[1]
    at = Points(
        beta=flat.beta @ np.linalg.inv(model.x_basis).T,
        Lambda=np.linalg.inv(basis) @ flat.roots[factor],
        phi=phi if phi.size else np.zeros((flat.n_draws, 0)),
        others=_of_others(flat, design, factor)[:, first] if len(design.factors) > 1 else None,
    )
    return Levels(rows, at)


def _of_others(flat: FlatDraws, design: Design, factor: int) -> FloatArray:
    """Sum what the effects of all factors but one add to eta, (S, n)."""
    no_beta = replace(flat, beta=np.empty((flat.n_draws, 0)))
    factors = [None if f == factor else own for f, own in enumerate(design.factors)]
    return linear_predictor(no_beta, design.X[:, :0], factors, offset=None, rows=slice(None))


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


def _log_levels(rows: LevelRows, at: Points, n_points: int) -> FloatArray:
    """Log integrals (J, S) by the rule of ``n_points`` a column."""
    found = np.empty((rows.size[1], at.beta.shape[0]))
    for which, _, integrals in rows.integrated(at, n_points):
        found[:, which] = integrals.log_levels
    return found
