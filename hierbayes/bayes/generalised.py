"""The collapsed sampler for generalised models of one grouping factor.

The effects of each level are integrated out by adaptive quadrature (``generalised_density.py``), so
that only beta, the variance parameters and further parameters of the family are sampled, by the
adaptive importance sampling and independence Metropolis of ``importance.py``. The mean weight is
the marginal likelihood p(y).

The effects of a level given a draw of the parameters are drawn by independence Metropolis too: its
proposals are t distributed with the mean and covariance that quadrature found, so that a few of
them are enough. Nodes are added until twice as many change log p(y | parameters) by less than
``MOST_ERROR`` at the draws.
"""

import time
from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.bayes.collapsed import NOWHERE, NOWHERE_ADVICE, TRUSTED_K, weight_findings
from hierbayes.bayes.generalised_density import (
    MOST_ERROR,
    GeneralisedTarget,
    generalised_target,
    start_of,
)
from hierbayes.bayes.importance import (
    ImportanceSample,
    Mode,
    Round,
    adapt,
    find_mode,
    metropolis,
    weigh,
)
from hierbayes.bayes.mixture import single
from hierbayes.bayes.variance_draws import correlation_draws, sd_draws
from hierbayes.errors import DataError, SamplingError
from hierbayes.generalised.conditional import conditional
from hierbayes.generalised.level_integrals import Integrals
from hierbayes.linalg.stacked import cholesky_stack
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.finding import Finding
from hierbayes.specification.specification import Specification

ADAPT = tuple(Round(1000, components, 0.75) for components in (1, 2, 3, 4))
ADAPT_HARDER = tuple(Round(3000, components, 0.9) for components in (3, 4, 6, 8))
ADAPTED_POINTS = 3  # nodes a column while the proposal adapts: what it misses the weights make good
LEAST_PROPOSALS, MOST_PROPOSALS = 2, 8  # proposals a draw of the chains
THIN = 1.6  # effective proposals a draw
THIN_SMALL = 2.3  # where they cost little: chains mix better
SMALL = 5000  # numbers, of rows and nodes, an evaluation holds
CHECKED = 64  # points at which the error of quadrature is measured
# Proposals a level of its effects: the first is a start near the target already, and each further
# one leaves less than half of what is left of the difference.
CANDIDATES = 6
ROUGH_POINTS = 3  # nodes a column for the moments of their distribution
DEGREES = 6.0  # of their t distribution
WIDER = 1.1  # of its sds
FLOOR = 0.01  # part of the covariance by curvature that is added


def sample_generalised(
    spec: Specification,
    *,
    draws: int = 1000,
    chains: int = 4,
    random_seed: int | np.random.Generator | np.random.SeedSequence | None = None,
) -> PosteriorDraws:
    """Sample the posterior of a generalised model.

    Returns
    -------
    PosteriorDraws
        With a finding "pareto_k" where the weights say that the draws cannot be trusted, and
        "quadrature_error" where the integrals are not as exact as they should be.

    Raises
    ------
    SamplingError
        If the density can't be computed at any proposal.
    """
    started = time.perf_counter()
    rng = np.random.default_rng(random_seed)
    target = generalised_target(conditional(spec.design, spec.family), spec.priors)
    try:
        start = start_of(target)
    except DataError as error:  # as a link leaves no possible mean near the response
        raise SamplingError(f"{NOWHERE} {NOWHERE_ADVICE}") from error
    mode = find_mode(target.log_density, target.value_and_slope, start)
    target = replace(target, guide=target.guided(mode.x))
    target = _refined(target, _typical(target, mode, rng))
    found = _explored(target, mode, n=draws * chains, rng=rng)
    if not np.isfinite(found.drawn.log_weights).any():
        raise SamplingError(f"{NOWHERE} {NOWHERE_ADVICE}")
    index = metropolis(found.drawn, chains=chains, draws=draws, rng=rng).ravel()
    x = found.drawn.x[index]
    return _draws(spec, found, x, index, (chains, draws), rng, started)


@record(kw_only=False)
class _Explored:
    """The target at the accuracy it needs, proposals with their weights, and the error left."""

    target: GeneralisedTarget
    drawn: ImportanceSample
    error: float


def _typical(target: GeneralisedTarget, mode: Mode, rng: np.random.Generator) -> FloatArray:
    """Draw points of the posterior, roughly, to measure the error of quadrature at."""
    around = single(mode.x, mode.covariance)
    x = around.draw(4 * CHECKED, rng)
    return _resampled(weigh(x, target.log_density(x), around.log_density(x)), rng)


def _resampled(drawn: ImportanceSample, rng: np.random.Generator) -> FloatArray:
    """Pick points by their weights."""
    if not np.isfinite(drawn.log_weights).any():
        return drawn.x[:CHECKED]
    weights = np.exp(drawn.log_weights - drawn.log_weights.max())
    return drawn.x[rng.choice(weights.size, size=CHECKED, p=weights / weights.sum())]


def _refined(target: GeneralisedTarget, x: FloatArray) -> GeneralisedTarget:
    """Take the fewest nodes whose error at points x is small enough."""
    for n_points in target.ladder:
        target = replace(target, n_points=n_points)
        if target.quadrature_error(x) <= MOST_ERROR:
            break
    return target


def _explored(
    target: GeneralisedTarget, mode: Mode, *, n: int, rng: np.random.Generator
) -> _Explored:
    """Adapt a proposal and weigh its draws; again with more care where they can't be trusted."""
    is_small = target.rows.size[0] * target.n_nodes(target.n_points) < SMALL
    rough = replace(target, n_points=min(target.n_points, ADAPTED_POINTS))
    for rounds in (ADAPT, ADAPT_HARDER):
        adapted = adapt(rough.log_density, mode, tails=target.tails, rounds=rounds, rng=rng)
        thin = THIN_SMALL if is_small else THIN
        a_draw = np.clip(thin / max(adapted.efficiency, 0.01), LEAST_PROPOSALS, MOST_PROPOSALS)
        x = adapted.proposal.draw(int(np.ceil(n * a_draw)), rng)
        under = adapted.proposal.log_density(x)
        drawn = weigh(x, target.log_density(x), under)
        if drawn.pareto_k <= TRUSTED_K:
            break
    return _checked(target, drawn, under, rng)


def _checked(
    target: GeneralisedTarget, drawn: ImportanceSample, under: FloatArray, rng: np.random.Generator
) -> _Explored:
    """Measure the error of quadrature at draws of the posterior; more nodes where it is large."""
    at = _resampled(drawn, rng)
    error = target.quadrature_error(at)
    if error > MOST_ERROR and target.n_points < target.ladder[-1]:
        finer = _refined(target, at)
        if finer.n_points > target.n_points:
            again = weigh(drawn.x, finer.log_density(drawn.x), under)
            return _checked(finer, again, under, rng)
    return _Explored(target, drawn, error)


def _draws(
    spec: Specification,
    found: _Explored,
    x: FloatArray,
    index: IntArray,
    shape: tuple[int, int],
    rng: np.random.Generator,
    started: float,
) -> PosteriorDraws:
    target, drawn, design = found.target, found.drawn, spec.design
    variances = target.variances(x)
    further = {
        name: values.reshape(*shape, *values.shape[1:])
        for name, values in target.further(x).items()
    }
    has_sigma = spec.priors.sigma is not None
    sigma = further.pop("sigma") if has_sigma else None
    is_proper = spec.priors.is_proper
    b = effects(target, x, rng)
    return PosteriorDraws(
        beta=target.beta(x).reshape(*shape, -1),
        sigma=sigma,
        sd=sd_draws(target.coordinates, variances, design, shape),
        corr=correlation_draws(target.coordinates, variances, design, shape),
        b={design.factors[0].name: b.reshape(*shape, *b.shape[1:])},
        family=further,
        sample_stats={
            "lp": drawn.log_density[index].reshape(shape),
            "log_weight": drawn.log_weights[index].reshape(shape),
        },
        sampler="collapsed",
        log_marginal_likelihood=drawn.log_integral if is_proper else None,
        log_marginal_likelihood_mcse=drawn.log_integral_mcse if is_proper else None,
        pareto_k=drawn.pareto_k,
        quadrature_error=found.error,
        findings=(*weight_findings(drawn), *_error_findings(found)),
        seconds=time.perf_counter() - started,
    )


def _error_findings(found: _Explored) -> tuple[Finding, ...]:
    if found.error <= MOST_ERROR:
        return ()
    n = found.target.n_points
    return (
        Finding(
            "quadrature_error",
            f"The integrals over the effects of each level, by {n} nodes a column, change the log "
            f"density by up to {found.error:.2g} where twice as many are taken (allowed up to "
            f"{MOST_ERROR:g}).",
            'sampler="nuts" does not depend on integrals.',
            {"error": found.error, "nodes": n},
        ),
    )


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def effects(target: GeneralisedTarget, x: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw the effects of each level given points x (T, d): (T, J, q) on the user's scale."""
    _, J, q = target.rows.size
    out = np.empty((x.shape[0], J, q))
    n_points = min(target.n_points, ROUGH_POINTS)
    n_nodes = max(target.n_nodes(n_points), CANDIDATES)
    for at in target.rows.chunks(x.shape[0], n_nodes):
        u = _effects_at(target, x[at], target.integrals(x[at], n_points), rng)
        root = target.coordinates.roots(target.variances(x[at]))[0]
        out[at] = np.einsum("tab,jtb->tja", root, u)
    return out


def _effects_at(
    target: GeneralisedTarget,
    x: FloatArray,
    found: Integrals,
    rng: np.random.Generator,
) -> FloatArray:
    """Draw spherical effects (J, T, q) by independence Metropolis."""
    mean, covariance = found.moments()
    q = mean.shape[2]
    # where one node has nearly all of an integral its moments are none
    least = FLOOR * (found.scale @ np.swapaxes(found.scale, 2, 3))
    root = WIDER * cholesky_stack(covariance + least)
    shape = (*mean.shape[:2], 1, CANDIDATES)
    stretch = np.sqrt(DEGREES / rng.chisquare(DEGREES, size=shape))
    z = rng.standard_normal((*mean.shape, CANDIDATES)) * stretch
    candidates = mean[..., None] + root @ z
    distance = (z**2).sum(axis=2)
    log_proposal = -0.5 * (DEGREES + q) * np.log1p(distance / DEGREES)
    log_weight = target.rows.log_joint(target.points(x), candidates) - log_proposal
    log_uniform = np.log(rng.random(log_weight.shape))
    now = np.zeros(mean.shape[:2], dtype=np.intp)
    height = log_weight[..., 0].copy()
    for c in range(1, CANDIDATES):
        accepted = log_uniform[..., c] < log_weight[..., c] - height
        now[accepted] = c
        height = np.where(accepted, log_weight[..., c], height)
    return np.take_along_axis(candidates, now[:, :, None, None], axis=3)[..., 0]
