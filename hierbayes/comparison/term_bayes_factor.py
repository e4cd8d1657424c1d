"""The Bayes factor of a term: its model against the one without, under the same other priors.

Both marginal likelihoods come from the collapsed sampler. For coefficients there is a check that
does without the smaller model, Savage and Dickey's ratio: where the smaller model is the larger one
with the coefficients at zero, priors of all else unchanged,

    BF = p(c = 0) / p(c = 0 | y),

with the posterior density averaged over the draws of the variance parameters, given which it is
normal. How the factor hangs on the width of the priors of what is dropped is read off the weights
of the larger model's draws.

Source: Dickey (1971), Ann. Math. Statist. 42:204.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.bayes.posterior import sample
from hierbayes.bayes.predictive import flat_draws
from hierbayes.comparison.dropped_term import Dropped, without
from hierbayes.comparison.marginal_ratio import NOISY, check_marginal, ratio_of
from hierbayes.errors import OptionError
from hierbayes.linalg.stacked import cholesky_stack, solve_lower_stack
from hierbayes.options import EffectSide
from hierbayes.prior_sensitivity.conditional import conditional, is_conditional
from hierbayes.prior_sensitivity.explorer import Explorer, is_normal
from hierbayes.prior_sensitivity.weighted import answer
from hierbayes.priors.distributions import Normal
from hierbayes.priors.lkj import LKJ
from hierbayes.priors.parameter_names import Parameter
from hierbayes.priors.prior_widths import width_of, with_width
from hierbayes.results.chains import errors_of_means
from hierbayes.results.comparison import BayesFactor, SavageDickey
from hierbayes.results.finding import Finding
from hierbayes.results.posterior_fit import PosteriorFit

FACTORS = 2.0 ** np.arange(-4, 4.5, 0.5)
AGREE = 4.0  # Monte-Carlo errors that two ways to a Bayes factor may differ by
LEVEL = 0.95  # of intervals that weights are judged by


def of_term(
    large: PosteriorFit, drop: str, side: EffectSide | None, rng: np.random.Generator
) -> BayesFactor:
    """Compare a model with the one without a term."""
    dropped = without(large.spec, drop)
    check_marginal("the model", large)
    chains, draws = large.draws.beta.shape[:2]
    small = sample(dropped.spec, sampler="collapsed", draws=draws, chains=chains, random_seed=rng)
    labels = names_without(dropped)
    found = ratio_of(large, small, labels)
    found = replace(
        found,
        dropped=dropped.terms,
        savage_dickey=(check := savage_dickey(large, small, dropped)),
        by_width=by_width(large, dropped, found, rng),
    )
    if check is not None:
        gap = abs(check.log_bf - found.log_bf)
        if gap > AGREE * math.hypot(check.mcse, found.log_bf_mcse) and check.mcse < NOISY:
            found = replace(found, findings=(*found.findings, _disagree(gap)))
    return found if side is None else _on_one_side(large, dropped, found, side)


def names_without(dropped: Dropped) -> tuple[str, str]:
    """Names of the models with and without a term."""
    what = " and ".join(dropped.terms)
    return f"the model with {what}", f"the model without {what}"


def _disagree(gap: float) -> Finding:
    return Finding(
        "savage_dickey",
        f"The Bayes factor and Savage and Dickey's ratio differ by {gap:.2g} in the log, more than "
        "their Monte-Carlo errors explain.",
        "Sample more, for example sample(draws=10000), and give that posterior.",
        {"gap": gap},
    )


def _on_one_side(
    large: PosteriorFit, dropped: Dropped, found: BayesFactor, side: EffectSide
) -> BayesFactor:
    """Restrict the larger model to one side of zero: its odds after the data over those before."""
    if len(dropped.parameters) != 1 or dropped.parameters[0].kind != "beta":
        raise OptionError(
            f"side={side!r} is for a single coefficient; {' and '.join(dropped.terms)} has "
            f"{len(dropped.parameters)} parameters."
        )
    k, shape = dropped.parameters[0].place[0], large.draws.beta.shape[:2]
    law = large.priors.beta[k]
    if is_conditional(large.spec) and large.priors.gaussian_beta() is not None:
        row = np.eye(len(large.priors.beta))[[k]]
        given = conditional(large.spec, large.priors, flat_draws(large.draws, large.design), row)
        mean, variance = given.mean[:, 0], given.covariance[:, 0, 0]
        said = answer(given.log_weights, mean, variance, LEVEL)
    else:
        said = answer(np.zeros(large.n_draws), large.draws.beta[:, :, k].ravel(), None, LEVEL)
    error = float(errors_of_means(said.influences[:, [3]].reshape(*shape, 1))[0])
    probability = said.prob_positive if side == "greater" else 1 - said.prob_positive
    grid = np.asarray(law.quantile((np.arange(1000) + 0.5) / 1000))
    before = float(((grid > 0) if side == "greater" else (grid < 0)).mean())
    gained = math.log(probability / before) if probability > 0 and before > 0 else -math.inf
    log_ml = found.log_marginal_likelihoods
    mcse = error / probability if probability > 0 else math.nan
    sign = ">" if side == "greater" else "<"
    return replace(
        found,
        names=(f"the model with {dropped.terms[0]} {sign} 0", found.names[1]),
        log_marginal_likelihoods=(log_ml[0] + gained, log_ml[1]),
        mcses=(math.hypot(found.mcses[0], mcse), found.mcses[1]),
        log_bf=found.log_bf + gained,
        log_bf_mcse=math.hypot(found.log_bf_mcse, mcse),
        savage_dickey=None,
        by_width=None,
        side=side,
    )


def savage_dickey(
    large: PosteriorFit, small: PosteriorFit, dropped: Dropped
) -> SavageDickey | None:
    """Bayes factor of coefficients by densities at zero; None where it is another question."""
    priors = large.priors
    ks = [p.place[0] for p in dropped.parameters if p.kind == "beta"]
    laws = [priors.beta[k] for k in ks]
    if len(ks) < len(dropped.parameters) or not ks or not is_conditional(large.spec):
        return None
    if not all(isinstance(law, Normal) for law in laws) or priors.gaussian_beta() is None:
        return None
    left = [p for p in priors.all_parameters if p not in dropped.parameters]
    laws_left = {p.name: str(priors.of(p)) for p in left}
    if laws_left != {p.name: str(small.priors.of(p)) for p in small.priors.all_parameters}:
        return None
    rows = np.eye(len(priors.beta))[ks]
    given = conditional(large.spec, priors, flat_draws(large.draws, large.design), rows)
    root = cholesky_stack(given.covariance)
    half = solve_lower_stack(root, given.mean[..., None])[..., 0]
    log_det = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    logs = -(half**2).sum(axis=1) / 2 - log_det - len(ks) / 2 * math.log(2 * math.pi)
    top = float(logs.max())
    relative = np.exp(logs - top)
    posterior = math.log(relative.mean()) + top
    shares = (relative / relative.mean()).reshape(*large.draws.beta.shape[:2], 1)
    prior = sum(float(law.log_density(0.0)) for law in laws)
    return SavageDickey(log_bf=prior - posterior, mcse=float(errors_of_means(shares)[0]))


def by_width(
    large: PosteriorFit, dropped: Dropped, found: BayesFactor, rng: np.random.Generator
) -> pd.DataFrame | None:
    """Log Bayes factor as the priors of what is dropped narrow and widen together.

    Returns
    -------
    DataFrame, or None where no prior has a width
        ``factor`` of all widths, ``log_bf``, ``log_bf_mcse``, ``pareto_k``, ``refitted``.
    """
    table = evidence_by_width(large, dropped.parameters, FACTORS.tolist(), rng)
    if table is None:
        return None
    table["log_bf"] += found.log_bf
    table["log_bf_mcse"] = np.hypot(table["log_bf_mcse"], found.log_bf_mcse)
    return table


def evidence_by_width(
    fit: PosteriorFit,
    parameters: Iterable[Parameter],
    factors: Iterable[float],
    rng: np.random.Generator,
) -> pd.DataFrame | None:
    """Log Bayes factor of a model under wider or narrower priors against its own.

    By weights; where these fail a Gaussian model is sampled again, and nothing is said of others.

    Returns
    -------
    DataFrame as of ``by_width``, or None where no prior of the parameters has a width
    """
    laws = {p: fit.priors.of(p) for p in parameters if _has_width(fit, p)}
    if not laws:
        return None
    explorer = Explorer(
        fit,
        list(laws),
        0,
        level=LEVEL,
        is_normal=all(is_normal(law) for p, law in laws.items() if p.kind == "beta"),
        refit=fit.response_family.is_linear,
        rng=rng,
    )
    explorer.start(np.zeros(1))
    rows: dict[float, dict[str, Any]] = {}
    shape = fit.draws.beta.shape[:2]
    for factor in sorted(factors, key=lambda f: abs(math.log(f))):
        wider = {p: with_width(law, factor * (width_of(law) or 1.0)) for p, law in laws.items()}
        one = explorer.found(wider, np.array([math.log(factor)]))
        influences = one.answer.influences[:, [5]].reshape(*shape, 1)
        own = math.hypot(float(errors_of_means(influences)[0]), one.log_bf_prior_mcse)
        rows[factor] = {
            "factor": factor,
            "log_bf": one.log_bf_prior if one.is_trusted else math.nan,
            "log_bf_mcse": own if one.is_trusted else math.nan,
            "pareto_k": one.answer.pareto_k,
            "refitted": one.base.is_refit,
        }
    return pd.DataFrame([rows[factor] for factor in sorted(rows)])


def _has_width(fit: PosteriorFit, parameter: Parameter) -> bool:
    law = fit.priors.of(parameter)
    return not isinstance(law, LKJ) and width_of(law) is not None
