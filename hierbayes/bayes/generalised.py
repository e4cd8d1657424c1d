"""The collapsed sampler for generalised models.

The effects of the finest factor, and of those that nest it, are integrated out by adaptive
quadrature or unbiased importance draws (``generalised_density.py``), so that beta, the variance
parameters and further parameters of the family are sampled, by the adaptive importance sampling of
``importance.py`` with thinned proposals; effects of other factors are proposed given these. As the
estimated densities are unbiased the draws are from the posterior all the same, and the mean weight
is the marginal likelihood p(y).

Rules of few nodes are corrected by a polynomial of what they lack; the error that is left is
measured at draws of the posterior and no more than ``MOST_ERROR``.

Source: Tran, Scharth, Pitt & Kohn (2013), arXiv:1309.3339; Andrieu & Roberts (2009), Ann. Statist.
37:697 (why estimates are enough).
"""

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.bayes.collapsed import nowhere, weight_findings
from hierbayes.bayes.generalised_density import (
    AT_MODE,
    MOST_ERROR,
    Estimates,
    GeneralisedTarget,
    first_sizes,
    generalised_target,
    nearby,
    points_of_correction,
    rough_points,
    start_of,
)
from hierbayes.bayes.importance import (
    Adapted,
    ImportanceSample,
    Mode,
    Round,
    adapt,
    copies_of,
    find_mode_by_values,
    refitted,
    resampled,
    weigh_thinned,
)
from hierbayes.bayes.mixture import log_sum_exp
from hierbayes.bayes.thinned import Thinned
from hierbayes.bayes.variance_draws import correlation_draws, sd_draws
from hierbayes.errors import DataError
from hierbayes.generalised.conditional import conditional
from hierbayes.linalg.threads import one_blas_thread
from hierbayes.results.draws import TRUSTED_K, PosteriorDraws
from hierbayes.results.finding import Finding
from hierbayes.specification.specification import Specification

# Rounds of adapting to the density by few nodes, and where weights can't be trusted then.
ADAPT = (Round(1000, 2, 0.9),)
ADAPT_HARDER = tuple(Round(3000, components, 0.9) for components in (3, 4, 6, 8))
# Proposals are weighed exactly from then on, so many at first, and each time a proposal is fitted
# to all before. The first times they are as many again, unless this part of them is effective.
BATCH, FIRST_BATCHES, SETTLED = 1000, 3, 0.7
ENOUGH = 0.9  # part that is effective from which no other proposal is fitted
COMPONENTS = 4  # of a proposal that is fitted to them
MOST_PROPOSALS = 8  # proposals a draw of the chains
# There are more while copies would leave less than this part of the draws effective, or less than
# that for the mean of a coordinate; how many more is guessed in these steps, for a part that needs
# no third guess, or is so many a draw.
EFFECTIVE, LEAST, AIM, STEP, MORE = 0.87, 0.8, 0.9, 1.05, 0.2
CHECKED = 64  # points at which the error of quadrature is measured


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
    rng = np.random.default_rng(random_seed)
    with one_blas_thread():  # matrices are small, and parts of the draws have a thread each
        return _sampled(spec, draws, chains, rng)


def _sampled(
    spec: Specification, draws: int, chains: int, rng: np.random.Generator
) -> PosteriorDraws:
    started = time.perf_counter()
    target = generalised_target(conditional(spec.design, spec.family), spec.priors)
    try:
        start = start_of(target)
    except DataError as error:  # as a link leaves no possible mean near the response
        raise nowhere(spec.family) from error
    rough = replace(target, n_points=rough_points(target), near=AT_MODE)
    mode = find_mode_by_values(nearby(rough), start, first_sizes(target))
    target = replace(target, guide=target.guided(mode, rng))
    found = _explored(target, mode, n=draws * chains, rng=rng)
    if not np.isfinite(found.drawn.log_weights).any():
        raise nowhere(spec.family)
    index = resampled(found.drawn, chains=chains, draws=draws, rng=rng).ravel()
    return _draws(spec, found, index, (chains, draws), rng, started)


@record(kw_only=False)
class _Explored:
    """The target at the accuracy it needs, weighted draws of proposals, and the error left."""

    target: GeneralisedTarget
    drawn: ImportanceSample
    estimates: Estimates
    proposals: tuple[tuple[Thinned, int], ...]
    error: float | None


def _explored(
    target: GeneralisedTarget, mode: Mode, *, n: int, rng: np.random.Generator
) -> _Explored:
    """Adapt a proposal and weigh its draws; again with more care where they can't be trusted."""
    rough = replace(target, n_points=rough_points(target))
    for rounds in (ADAPT, ADAPT_HARDER):
        adapted = adapt(
            rough.log_density, mode, tails=target.tails, rounds=rounds, rng=rng, thin=True
        )
        exact = target.refined(_typical(adapted, points_of_correction(target), rng), rng)
        found = _weighed(exact, adapted.proposal, BATCH, rng)
        while missing := _missing(found, n):
            proposal = found.proposals[-1][0]
            if found.drawn.efficiency < ENOUGH:
                proposal = _refitted(adapted, found.drawn, mode, target.tails, rng)
            found = _weighed(exact, proposal, missing, rng, before=found)
        if found.drawn.pareto_k <= TRUSTED_K:
            break
    return _checked(found, rng)


def _refitted(
    adapted: Adapted,
    drawn: ImportanceSample,
    mode: Mode,
    tails: Mapping[int, float],
    rng: np.random.Generator,
) -> Thinned:
    """Fit a proposal to all points, rough densities moved to the integral of the others."""
    rough = adapted.log_weights
    lack = drawn.log_integral - float(log_sum_exp(rough)) + np.log(rough.size)
    return refitted(
        np.concatenate([adapted.x, drawn.x]),
        np.append(adapted.log_density + lack, drawn.log_density),
        np.append(rough + lack, drawn.log_weights),
        mode,
        tails,
        COMPONENTS,
        rng,
    )


def _missing(found: _Explored, n: int) -> int:
    """How many more proposals carry n draws without many copies; 0 where that is in vain."""
    drawn, batches = found.drawn, len(found.proposals)
    if not np.isfinite(drawn.log_integral):
        return 0
    if batches < FIRST_BATCHES and drawn.efficiency < SETTLED:
        return BATCH
    if batches > FIRST_BATCHES and drawn.pareto_k > TRUSTED_K:
        return 0
    so_far = drawn.x.shape[0]
    total, most = so_far, max(so_far, MOST_PROPOSALS * n)
    part, least = copies_of(drawn, n, total)
    if part >= EFFECTIVE and least < LEAST:
        total = min(int(np.ceil(so_far + MORE * n)), most)
    elif part < EFFECTIVE:
        while part < AIM and total < most:
            total = min(int(np.ceil(STEP * total)), most)
            part, _ = copies_of(drawn, n, total)
    return total - so_far


def _typical(seen: Adapted | ImportanceSample, n: int, rng: np.random.Generator) -> FloatArray:
    """Pick n points of the posterior, or as many as there are, from weighted ones."""
    w = np.exp(seen.log_weights - seen.log_weights.max(initial=-np.inf))
    w = np.where(np.isfinite(w), w, 0.0)
    n = min(n, int((w > 0).sum()))
    if not n:
        return seen.x[:1]
    return seen.x[rng.choice(w.size, size=n, p=w / w.sum(), replace=False)]


def _weighed(
    target: GeneralisedTarget,
    proposal: Thinned,
    n: int,
    rng: np.random.Generator,
    *,
    before: _Explored | None = None,
) -> _Explored:
    """Evaluate n draws of a proposal, and weigh them along with those from before."""
    x = proposal.draw(n, rng)
    found = target.estimates(x, rng)
    proposals: tuple[tuple[Thinned, int], ...] = ((proposal, n),)
    if before is not None:
        x = np.concatenate([before.drawn.x, x])
        found = before.estimates.and_then(found)
        *others, (last, before_n) = before.proposals
        proposals = (*before.proposals, *proposals)
        if proposal is last:
            proposals = (*others, (last, before_n + n))
    drawn = weigh_thinned(x, found.log_density, proposals, rng)
    return _Explored(target, drawn, found, proposals, None)


def _checked(found: _Explored, rng: np.random.Generator, *, may_refine: bool = True) -> _Explored:
    """Measure the error of quadrature at draws of the posterior; more nodes where it is large."""
    target, drawn = found.target, found.drawn
    if target.n_draws:
        return found
    error = target.quadrature_error(_typical(drawn, CHECKED, rng), rng)
    if error > MOST_ERROR and may_refine:
        finer = target.refined(_typical(drawn, CHECKED, rng), rng, again=True)
        again = finer.estimates(drawn.x, rng)
        drawn = weigh_thinned(drawn.x, again.log_density, found.proposals, rng)
        found = replace(found, target=finer, drawn=drawn, estimates=again)
        return _checked(found, rng, may_refine=False)
    return replace(found, error=error)


def _draws(
    spec: Specification,
    found: _Explored,
    index: IntArray,
    shape: tuple[int, int],
    rng: np.random.Generator,
    started: float,
) -> PosteriorDraws:
    target, drawn, design = found.target, found.drawn, spec.design
    x = drawn.x[index]
    variances = target.variances(x)
    further = {
        name: values.reshape(*shape, *values.shape[1:])
        for name, values in target.further(x).items()
    }
    has_sigma = spec.priors.sigma is not None
    sigma = further.pop("sigma") if has_sigma else None
    is_proper = spec.priors.is_proper
    b = target.effects(x, found.estimates.some(index), rng)
    return PosteriorDraws(
        beta=target.beta(x).reshape(*shape, -1),
        sigma=sigma,
        sd=sd_draws(target.coordinates, variances, design, shape),
        corr=correlation_draws(target.coordinates, variances, design, shape),
        b={
            factor.name: part.reshape(*shape, *part.shape[1:])
            for factor, part in zip(design.factors, b, strict=True)
        },
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
        findings=(*weight_findings(drawn, spec.family), *_error_findings(found)),
        seconds=time.perf_counter() - started,
    )


def _error_findings(found: _Explored) -> tuple[Finding, ...]:
    if found.error is None or found.error <= MOST_ERROR:
        return ()
    n = found.target.n_exact
    return (
        Finding(
            "quadrature_error",
            f"The integrals over the effects of each level, by {n} nodes a column, change the log "
            f"density by {found.error:.2g} (root mean square) where more are taken (allowed up to "
            f"{MOST_ERROR:g}).",
            'sampler="nuts" does not depend on integrals.',
            {"error": found.error, "nodes": n},
        ),
    )
