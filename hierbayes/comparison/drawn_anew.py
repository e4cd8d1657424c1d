"""A leave-one-out term of a Gaussian model by variance parameters drawn for it.

Where a row or block changes the posterior of phi too much for its draws to be reweighed, phi is
drawn from a mixture q of t distributions, one half fitted to the draws and one half to the draws
as they are reweighed. The posteriors with and without the block are both known up to a constant,

    p(y_j | y_-j) = int p(y, phi) dphi / int p(y, phi) / p(y_j | y_-j, phi) dphi,

and both integrals are means under q, from the same draws. Drawn anew from what was found, until
the weights of both can be trusted.

Source: Paananen, Piironen, Buerkner & Vehtari (2021), Statistics and Computing 31:16 (adapting
draws to what is left out); Meng & Wong (1996), Statistica Sinica 6:831 (ratios of integrals).
"""

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.bayes.collapsed_density import target_of
from hierbayes.bayes.collapsed_points import PointsOf
from hierbayes.bayes.coordinates import Coordinates
from hierbayes.bayes.mixture import FLOOR, TMixture, fitted_mixture, joined, log_sum_exp, single
from hierbayes.bayes.pareto_smoothing import pareto_k
from hierbayes.bayes.predictive import FlatDraws
from hierbayes.bayes.variance_draws import correlation_draws, sd_draws
from hierbayes.comparison.collapsed_draws import LeftOut
from hierbayes.comparison.leave_group_out import block_log_density
from hierbayes.design.design import Design
from hierbayes.gaussian.levels_apart import independent

FITTED = 1000  # draws, evenly spaced, that the first mixture is fitted to
COMPONENTS = 2  # of each half
WIDE, SCALE = 0.2, 2.0  # a part of each half has so many times its sds: no tail is missed
DRAWS = 4000
FINITE_K = 0.5  # up to here weights that are not smoothed have a finite variance
TRIES = 4


@record
class Anew:
    """Log predictive density of a block, its Monte-Carlo error, and k of the worse weights."""

    elpd: float
    mcse: float
    pareto_k: float


def can_draw_anew(problem: LeftOut) -> bool:
    """Whether phi is all that is weighed, and there is some."""
    coordinates = Coordinates(problem.kernel.shape, problem.kernel.sigma_known)
    return problem.priors.gaussian_beta() is not None and coordinates.size > 0


def draw_anew(problem: LeftOut, j: int, log_density: FloatArray, rng: np.random.Generator) -> Anew:
    """Find the term of block j, whose log density is known at the draws (S,)."""
    points = PointsOf(target_of(independent(problem.kernel), problem.priors))
    some = np.linspace(0, log_density.size - 1, min(FITTED, log_density.size)).astype(np.intp)
    x = _coordinates(points.target.coordinates, problem.flat, some)
    with_block, without = np.zeros(some.size), -log_density[some]
    for _ in range(TRIES):
        proposal = _fitted(x, with_block, without, rng)
        x = proposal.draw(DRAWS, rng)
        log_joint, under = points.log_density(x), proposal.log_density(x)
        flat = _flat(points.target.coordinates, x, problem.design, problem.flat.beta.shape[1])
        with_block = log_joint - under
        without = with_block - block_log_density(problem.with_flat(flat), j)
        k = max(pareto_k(with_block), pareto_k(without))
        if k <= FINITE_K:
            break
    totals = log_sum_exp(with_block), log_sum_exp(without)
    away = np.exp(with_block - totals[0]) - np.exp(without - totals[1])
    return Anew(elpd=float(totals[0] - totals[1]), mcse=float(np.sqrt((away**2).sum())), pareto_k=k)


def _fitted(
    x: FloatArray, with_block: FloatArray, without: FloatArray, rng: np.random.Generator
) -> TMixture:
    """Fit one half of a mixture to points (N, d) under each of two log weights (N,)."""
    around = np.atleast_2d(np.cov(x, rowvar=False))
    parts, sizes = [], []
    for log_weights in (with_block, without):
        w = np.exp(log_weights - log_sum_exp(log_weights))
        away = x - w @ x
        covariance = away.T @ (away * w[:, None]) + FLOOR * around
        parts.append(fitted_mixture(x, log_weights, COMPONENTS, around=around, rng=rng))
        parts.append(single(w @ x, SCALE**2 * covariance))
        sizes += [1 - WIDE, WIDE]
    return joined(parts, sizes)


def _coordinates(coordinates: Coordinates, flat: FlatDraws, at: IntArray) -> FloatArray:
    """Phi (N, d) of some draws."""
    terms = coordinates.shape.terms
    found = []
    for s in at:
        roots = []
        for f, columns in terms:
            block = flat.roots[f][s][np.ix_(columns, columns)]
            roots.append(np.linalg.cholesky(block @ block.T) / flat.sd[f][s][list(columns), None])
        found.append(coordinates.phi([sd[s] for sd in flat.sd], roots, float(flat.sigma[s])))
    return np.array(found)


def _flat(coordinates: Coordinates, x: FloatArray, design: Design, p: int) -> FlatDraws:
    """Draws of phi (N, d) alone."""
    shape = (1, x.shape[0])
    sd = sd_draws(coordinates, x, design, shape)
    corr = correlation_draws(coordinates, x, design, shape)
    names = [factor.name for factor in design.factors]
    return FlatDraws(
        beta=np.zeros((x.shape[0], p)),
        sigma=coordinates.sigma(x),
        sd=tuple(sd[name][0] for name in names),
        corr=tuple(corr[name][0] if name in corr else None for name in names),
        b=(),
        family={},
        relations=(),
    )
