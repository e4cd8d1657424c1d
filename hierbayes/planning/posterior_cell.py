"""A cell by its posteriors: credible intervals and Bayes factors of every data set.

The posteriors are those of ``bayes/many_posteriors.py``, under priors that are the same in every
cell and data set. The Bayes factor against a coefficient of zero is the ratio of its prior and its
posterior density there (Savage and Dickey).
"""

from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.bayes.many_posteriors import many_posteriors
from hierbayes.design.design import Design
from hierbayes.gaussian.kernel import one_thread_for
from hierbayes.gaussian.responses import ResponseProducts
from hierbayes.planning.reml_cell import cell_kernel
from hierbayes.planning.study import Outcome, Study, row_weights
from hierbayes.priors.distributions import Normal
from hierbayes.priors.model_priors import ModelPriors, model_priors


def posterior_outcome(
    study: Study, design: Design, Y: FloatArray, rng: np.random.Generator
) -> Outcome:
    """Return the posteriors of all responses Y (n, T) of a cell's design.

    Raises
    ------
    DataError
        If the design of the cell can't be analysed.
    """
    assert study.priors is not None
    at = study.places_in(design)
    priors = _in_order_of(study, design, at)
    L = np.eye(study.kept.size)[study.tested]
    with one_thread_for(design):
        kernel = cell_kernel(study, design)
        responses = ResponseProducts(kernel.products, design, row_weights(design)).of(Y)
        prior = log_prior_at_zero(priors)[study.tested]
        found = many_posteriors(
            kernel,
            priors,
            responses,
            L,
            level=study.level,
            log_density=prior - np.log(study.bf),
            rng=rng,
        )
    return Outcome(
        estimate=found.mean,
        low=found.low,
        high=found.high,
        failed=~np.isfinite(found.low + found.high).all(axis=1),
        log_bf=prior - found.log_density_at_zero,
        effective=found.effective,
        limit_error=found.limit_error * found.sd,
        bf_error=found.density_error,
    )


def _in_order_of(study: Study, design: Design, at: list[int]) -> ModelPriors:
    """Return the priors with their parts in the order of a cell's factors ``at`` and terms."""
    known = [term.name for term in study.spec.design.terms]
    terms = [known.index(term.name) for term in design.terms]
    assert study.priors is not None
    priors = study.priors
    return replace(
        priors,
        sd=tuple(priors.sd[f] for f in at),
        lkj=tuple(priors.lkj[t] for t in terms),
        patterns=tuple(priors.patterns[t] for t in terms),
        scales=tuple(tuple((at.index(f), column) for f, column in priors.scales[t]) for t in terms),
    )


def log_prior_at_zero(priors: ModelPriors) -> FloatArray:
    """Log prior density of each coefficient at zero, shape (p,); NaN where it is improper.

    The intercept's prior is of the linear predictor at centred predictors.
    """
    proper = np.array([isinstance(law, Normal) for law in priors.beta])
    mean = np.array([getattr(law, "mu", 0.0) for law in priors.beta])
    variance = np.array([getattr(law, "sigma", np.nan) for law in priors.beta]) ** 2
    if priors.intercept is not None:
        used = priors.centre != 0
        proper[priors.intercept] &= bool(proper[used].all())
        mean[priors.intercept] -= priors.centre @ mean
        variance[priors.intercept] += priors.centre[used] ** 2 @ variance[used]
    with np.errstate(invalid="ignore"):
        found = -(mean**2 / variance + np.log(2 * np.pi * variance)) / 2
    return np.where(proper, found, np.nan)


def priors_of_study(study: Study, design: Design) -> ModelPriors:
    """Return the default priors that the parameters imply, with the user's in their places.

    Default priors scale with the mean and the sd of a response; these are those that responses of
    the design have on average, so that all data sets have the same priors.
    """
    truth = study.in_order_of(design, study.truth)
    mu = truth.beta.mean(axis=0) @ design.X[:, study.kept].T
    if design.offset is not None:
        mu = mu + design.offset
    weights = row_weights(design)
    variance = (truth.sigma**2).mean() / (1.0 if weights is None else weights)
    for factor, root in zip(design.factors, truth.roots, strict=True):
        variance = variance + ((factor.z @ root) ** 2).sum(axis=2).mean(axis=0)
    spread = np.sqrt(mu.var() + np.mean(variance))
    scores = np.linspace(-1, 1, mu.size)
    typical = mu.mean() + spread * (scores / scores.std(ddof=1))
    found = model_priors(
        design.with_response(typical), study.kept, user=study.spec.arguments.priors
    )
    order = np.argsort(study.places_in(design))
    return replace(found, sd=tuple(found.sd[f] for f in order))
