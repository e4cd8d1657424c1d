"""The collapsed sampler: the posterior of a Gaussian model in a fraction of a second.

beta and b are integrated out on the kernel REML uses, so only the variance parameters phi are
sampled (``collapsed_density.py``), by adaptive importance sampling and independence Metropolis
(``importance.py``). Given phi, beta and b are drawn exactly from their Gaussian distribution
(``collapsed_points.py``). Student-t priors of coefficients and bounded ones add coordinates to phi
(``scale_mixtures.py``, ``sampled_coefficients.py``).

The mean weight is the marginal likelihood p(y).
"""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.bayes.collapsed_density import (
    Target,
    collapsed,
    is_near_rounding,
    target_of,
)
from hierbayes.bayes.collapsed_points import Points, PointsOf
from hierbayes.bayes.collapsed_polynomial import CHECKED, MOST_ERROR, polynomial_points
from hierbayes.bayes.importance import (
    ImportanceSample,
    Mode,
    Round,
    adapt,
    find_mode,
    metropolis,
    resampled,
    weigh,
    weigh_thinned,
)
from hierbayes.bayes.sampled_coefficients import stand_in
from hierbayes.bayes.structured_residuals import StructuredResiduals
from hierbayes.bayes.variance_draws import correlation_draws, sd_draws
from hierbayes.design.design import Design
from hierbayes.errors import DataError, SamplingError
from hierbayes.families.builtin import GAUSSIAN
from hierbayes.families.family import Family
from hierbayes.families.mean_ends import link_with_means, mean_ends
from hierbayes.gaussian.levels_apart import levels_apart
from hierbayes.gaussian.marginal import Kernel
from hierbayes.gaussian.moments import moments
from hierbayes.gaussian.residual.of_design import SIGMA
from hierbayes.priors.model_priors import ModelPriors
from hierbayes.results.draws import TRUSTED_K, PosteriorDraws
from hierbayes.results.finding import Finding

# Rounds of adapting the proposal: few where weights are even soon, more for a hard posterior.
ADAPT = (
    *(Round(800, components, 0.78) for components in (2, 3, 4)),
    *(Round(3000, components, 0.5) for components in (5, 6, 8)),
)
# ... and once more, where the weights of the first try can't be trusted
ADAPT_HARDER = tuple(Round(4000, components, 0.95) for components in (4, 6, 8))
ADAPT_LARGE = (Round(200, 1, 0.6),)  # many levels make the posterior of their sds nearly normal
THIN = 2.3  # effective proposals a draw for small models: they cost little, chains mix better
MOST_THIN = 8
THIN_THINNED = 1.75  # the same where proposals of little weight are left out
# Weights this close to their mean have a bounded tail, whose k by a few hundred of them is noise:
# another proposal is adapted, a few times. Heavier ones say that the posterior is hard.
BOUNDED = 10.0
TRIES = 4
NOWHERE = (
    "The collapsed sampler found no values of the variance parameters at which the density of the "
    "data can be computed."
)
NOWHERE_ADVICE = (
    "Columns may be all but dependent, or differ in size by many powers of ten: centre and scale "
    'the predictors, or take sampler="nuts".'
)
IMPOSSIBLE_ADVICE = (
    "link={link!r} leaves many linear predictors without a mean: take link={other!r}, which has "
    'one everywhere, or sampler="nuts".'
)
# Share of draws at the edge of what rounding leaves, above which the posterior goes on beyond it. A
# posterior inside has fewer in its tails, and one that is cut piles up there.
CUT = 0.05


def nowhere(family: Family = GAUSSIAN, sentence: str = NOWHERE) -> SamplingError:
    """Return the error of a density that can't be computed, with the advice that fits the family.

    Its first sentence is the reason for another sampler.
    """
    return SamplingError(f"{sentence} {_another_link(family) or NOWHERE_ADVICE}")


def _another_link(family: Family) -> str | None:
    """Advise a link all of whose predictors have a mean; None where those of this one have."""
    other = link_with_means(family) if mean_ends(family) else None
    return other and IMPOSSIBLE_ADVICE.format(link=family.link.name, other=other)


def sample_collapsed(
    kernel: Kernel,
    priors: ModelPriors,
    design: Design,
    *,
    draws: int = 1000,
    chains: int = 4,
    random_seed: int | np.random.Generator | None = None,
    residual: StructuredResiduals | None = None,
) -> PosteriorDraws:
    """Sample the posterior of a Gaussian model.

    Parameters
    ----------
    kernel : Kernel
        Of either method.
    priors : ModelPriors
    design : Design
    draws, chains : int
    random_seed : int, Generator or SeedSequence
    residual : residuals with a structure

    Returns
    -------
    PosteriorDraws
        With a finding "pareto_k" where the weights say that the draws can't be trusted.

    Raises
    ------
    SamplingError
        If the density can't be computed at any proposal.
    DataError
        If rounding cuts the posterior.
    """
    started = time.perf_counter()
    rng = np.random.default_rng(random_seed)
    apart = None if residual is not None else levels_apart(kernel)
    kernel = kernel if apart is None else apart.kernel
    target, start = target_and_start(kernel, priors, residual)
    points = PointsOf(target)
    n = draws * chains
    by_polynomial = points.asks_polynomial and residual is None
    found = _by_polynomial(target, start, n=n, rng=rng) if by_polynomial else None
    if found is None and target.size:
        mode = find_mode(points.log_density, points.value_and_slope, start)
        found = _trusted(points, mode, n=n, rng=rng)
    elif found is None:  # nothing but beta is unknown
        found = _weighed(points, np.empty((n, 0)), np.zeros(n), rng)
    at, drawn, x = found.at, found.drawn, found.drawn.x
    if not np.isfinite(drawn.log_weights).any():
        raise nowhere()
    index = metropolis(drawn, chains=chains, draws=draws, rng=rng).ravel()
    phi = target.variances(x[index])
    if np.mean(is_near_rounding(target, phi)) > CUT:
        raise DataError(_cut(design))
    beta, b = found.points.draws(at, x, index, rng)
    b = b if apart is None else apart.related(b)
    shape = (chains, draws)
    marginal = (drawn.log_integral, drawn.log_integral_mcse) if target.is_proper else (None, None)
    sigma = target.coordinates.sigma(phi)
    formulas = _formulas(target, sigma, x[index], shape)
    further = {} if residual is None else residual.further(target.of_residuals(x[index]))
    found_draws = PosteriorDraws(
        beta=beta.reshape(*shape, -1),
        sigma=None if kernel.sigma_known or formulas else sigma.reshape(shape),
        sd=sd_draws(target.coordinates, phi, design, shape),
        corr=correlation_draws(target.coordinates, phi, design, shape),
        b={
            factor.name: part.reshape(*shape, *part.shape[1:])
            for factor, part in zip(design.factors, b, strict=False)  # none where they are later
        },
        family={name: values.reshape(shape) for name, values in further.items()},
        formulas=formulas,
        sample_stats={
            "lp": drawn.log_density[index].reshape(shape),
            "log_weight": drawn.log_weights[index].reshape(shape),
        },
        sampler="collapsed",
        log_marginal_likelihood=marginal[0],
        log_marginal_likelihood_mcse=marginal[1],
        pareto_k=drawn.pareto_k,
        findings=weight_findings(drawn),
        seconds=time.perf_counter() - started,
    )
    if len(b) == len(design.factors):
        return found_draws
    from hierbayes.bayes.level_effects import with_effects_later  # compiled code

    return with_effects_later(found_draws, kernel, seed=int(rng.integers(2**62)))


def _formulas(
    target: Target, sigma: FloatArray, x: FloatArray, shape: tuple[int, int]
) -> dict[str, PosteriorDraws]:
    """Coefficients of the formula of log sigma at points (S, d) with sigma (S,); {} without one."""
    own = target.residual
    beta = None if own is None else own.coefficients(np.log(sigma), target.of_residuals(x))
    if beta is None:
        return {}
    found = PosteriorDraws(
        beta=beta.reshape(*shape, -1), sigma=None, sd={}, corr={}, b={}, sampler="collapsed"
    )
    return {SIGMA: found}


def _cut(design: Design) -> str:
    groups = " and ".join(factor.name for factor in design.factors)
    return (
        f"The effects of {groups} are so large beside the residual sd that rounding cuts their "
        "posterior: what tells several grouping factors apart is lost in the squares of so many "
        "rows. Leave one of the grouping factors out."
    )


@record(kw_only=False)
class _Explored:
    """Proposals, what is known at them and by what, and their weights."""

    points: PointsOf
    at: Points
    drawn: ImportanceSample


def target_and_start(
    kernel: Kernel, priors: ModelPriors, residual: StructuredResiduals | None = None
) -> tuple[Target, FloatArray]:
    """Return the target and a point to climb to its mode from."""
    ends = np.empty(0) if residual is None else residual.start
    if priors.gaussian_beta() is not None:
        target = target_of(kernel, priors, residual=residual)
        return target, np.concatenate([start_phi(target), ends])
    gaussian = target_of(kernel, stand_in(priors), residual=residual)
    phi = np.concatenate([start_phi(gaussian), ends])
    if gaussian.size:
        points = PointsOf(gaussian)
        phi = find_mode(points.log_density, points.value_and_slope, phi).x
    near = collapsed(gaussian, phi[None])
    target = target_of(kernel, priors, near=near, residual=residual)
    start = np.zeros(target.size)
    n_variances = phi.size - ends.size
    start[:n_variances], start[target.size - ends.size :] = phi[:n_variances], phi[n_variances:]
    if target.sampled is not None:
        end = target.size - ends.size
        start[end - target.sampled.start.size : end] = target.sampled.start
    return target, start


def _trusted(points: PointsOf, mode: Mode, *, n: int, rng: np.random.Generator) -> _Explored:
    """Explore, and again with more care where the weights can't be trusted."""
    if points.is_large:
        return _explored(points, mode, ADAPT_LARGE, n=n, rng=rng)
    found = _explored(points, mode, ADAPT, n=n, rng=rng)
    for again in range(TRIES):
        bounded = found.drawn.log_weights.max() - found.drawn.log_integral < np.log(BOUNDED)
        if found.drawn.pareto_k <= TRUSTED_K or (again and not bounded):
            break
        found = _explored(points, mode, ADAPT_HARDER, n=n, rng=rng)
    return found


def _by_polynomial(
    target: Target, start: FloatArray, *, n: int, rng: np.random.Generator
) -> _Explored | None:
    """Explore through a polynomial of what is dear in an evaluation; None where there is none."""
    made = polynomial_points(target, start, rng)
    if made is None:
        return None
    points, mode = made
    adapted = adapt(points.inside, mode, tails=target.tails, rounds=ADAPT, rng=rng, thin=True)
    if not np.isfinite(adapted.log_weights).any():
        return None
    x = adapted.proposal.draw(int(THIN_THINNED * n), rng)
    at, added = points.at_some(x, rng)
    drawn = weigh_thinned(x, at.log_density + added, [(adapted.proposal, x.shape[0])], rng)
    drawn = replace(drawn, log_density=at.log_density)
    some = resampled(drawn, chains=1, draws=CHECKED, rng=rng)[0]
    if drawn.pareto_k > TRUSTED_K or points.error(x[some]) > MOST_ERROR:
        return None
    return _Explored(points, at, drawn)


def _explored(
    points: PointsOf, mode: Mode, rounds: Sequence[Round], *, n: int, rng: np.random.Generator
) -> _Explored:
    """Adapt a proposal around the mode, and draw from it for n draws of chains."""
    tails = points.target.tails
    if points.is_dear and not points.is_large:
        adapted = adapt(points.log_density, mode, tails=tails, rounds=rounds, rng=rng, thin=True)
        x = adapted.proposal.draw(int(THIN_THINNED * n), rng)
        at = points.with_draws(x, rng)
        drawn = weigh_thinned(x, at.log_density, [(adapted.proposal, x.shape[0])], rng)
        return _Explored(points, at, drawn)
    adapted = adapt(points.log_density, mode, tails=tails, rounds=rounds, rng=rng)
    if not points.is_large:
        n *= int(np.clip(np.ceil(THIN / max(adapted.efficiency, 0.01)), 2, MOST_THIN))
    x = adapted.proposal.draw(n, rng)
    return _weighed(points, x, adapted.proposal.log_density(x), rng)


def _weighed(
    points: PointsOf, x: FloatArray, log_proposal: FloatArray, rng: np.random.Generator
) -> _Explored:
    """Evaluate proposals x (N, d), given their log density under the proposal (N,)."""
    # where an evaluation is dear, beta and b are drawn at every proposal while it is at hand
    together = points.is_large and not points.are_later(x.shape[0])
    at = points.with_draws(x, rng) if together else points.at(x)
    return _Explored(points, at, weigh(x, at.log_density, log_proposal))


def start_phi(target: Target) -> FloatArray:
    """Variance parameters (d,) to climb to the mode from: moments of the data, kept off zero."""
    kernel, coordinates = target.kernel, target.coordinates
    if not coordinates.size:  # nothing but beta is unknown
        return np.empty(0)
    found = moments(kernel)
    bases = kernel.products.anchor.z_bases
    sds = [
        found.sigma * np.sqrt(((basis @ root) ** 2).sum(axis=1))
        for basis, root in zip(bases, found.roots, strict=True)
    ]
    roots = [np.eye(len(columns)) for _, columns in kernel.shape.terms]
    return coordinates.phi(sds, roots, found.sigma)


def weight_findings(drawn: ImportanceSample, family: Family = GAUSSIAN) -> tuple[Finding, ...]:
    """Say so where the weights of the proposals cannot be trusted."""
    if drawn.pareto_k <= TRUSTED_K:
        return ()
    return (
        Finding(
            "pareto_k",
            f"The weights of the collapsed sampler's proposals have a heavy tail (Pareto k "
            f"{drawn.pareto_k:.2f}, trusted up to {TRUSTED_K}): the proposals may miss part of the "
            "posterior.",
            _another_link(family)
            or 'Its draws may be too narrow; sampler="nuts" does not depend on a proposal.',
            {"pareto_k": drawn.pareto_k, "efficiency": drawn.efficiency},
        ),
    )
