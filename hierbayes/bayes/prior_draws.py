"""Draws from the prior, in the shape of posterior draws.

Each parameter is drawn by its quantile function, correlation matrices through their canonical
partial correlations, random effects from their covariance.
"""

from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.bayes.coordinates import beta_shapes
from hierbayes.bayes.predictive import flat_draws, new_effects
from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design
from hierbayes.gaussian.patterned import Patterned, check_patterned
from hierbayes.gaussian.residual.correlation import correlation_root
from hierbayes.gaussian.structures import structure
from hierbayes.priors.model_priors import ModelPriors
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.visit_correlations import visits_of_correlations


def prior_draws(
    design: Design, priors: ModelPriors, *, like: PosteriorDraws, rng: np.random.Generator
) -> PosteriorDraws:
    """Draw all parameters from their priors, as many times as ``like`` holds draws.

    Raises
    ------
    NotSupportedError
        If a prior is flat: nothing can be drawn from it.
    """
    check_patterned(design, "Draws from the prior")
    if not priors.is_proper:
        raise not_supported("draws-from-flat-priors")
    shape = like.beta.shape[:2]

    def drawn(law: Any, shape: tuple[int, ...] = like.beta.shape[:2]) -> FloatArray:
        return np.asarray(law.quantile(rng.random(shape)))

    beta = np.stack([drawn(law) for law in priors.beta], axis=-1) if priors.beta else like.beta
    if priors.intercept is not None:
        beta[..., priors.intercept] -= beta @ priors.centre
    sd = {
        factor.name: np.stack([drawn(law) for law in laws], axis=-1)
        for factor, laws in zip(design.factors, priors.sd, strict=True)
    }
    for parameter in priors.parameters:
        if parameter.kind == "sd":  # columns that share one
            f, first, *rest = parameter.place
            own = sd[design.factors[f].name]
            own[..., rest] = own[..., first, None]
    draws = PosteriorDraws(
        beta=beta,
        sigma=None if priors.sigma is None else drawn(priors.sigma),
        sd=sd,
        corr=_correlations(design, priors, like=like, rng=rng),
        b={name: np.empty(b.shape) for name, b in like.b.items()},
        family={
            name: drawn(priors.family[name], value.shape)
            for name, value in like.family.items()
            if name in priors.family
        }
        | _visit_correlations(priors, like=like, rng=rng),
        formulas={
            name: prior_draws(
                design.of(name), priors.formulas[name], like=like.formulas[name], rng=rng
            )
            for name in design.formulas
        },
        sampler="prior",
    )
    _place_thresholds(draws, priors)
    for factor, root in zip(design.factors, flat_draws(draws, design).roots, strict=True):
        b = new_effects(root, factor.levels.size, rng, factor.relation)
        effects = draws.b[factor.name]
        assert isinstance(effects, np.ndarray)
        effects[...] = b.reshape(*shape, *b.shape[1:])
    return draws


def _visit_correlations(
    priors: ModelPriors, *, like: PosteriorDraws, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Draw correlations of the residuals of visits, which have one prior together."""
    names = [name for name in like.family if name not in priors.family]
    if priors.visits is None:
        return {}
    n_visits = visits_of_correlations(len(names))
    rows, columns = np.tril_indices(n_visits, -1)
    shape = like.beta.shape[:2]
    R = _lkj_draws(n_visits, priors.visits, shape[0] * shape[1], rng)
    values = R[:, rows, columns].T.reshape(-1, *shape)
    return dict(zip(names, values, strict=True))


def _lkj_draws(q: int, eta: float, count: int, rng: np.random.Generator) -> FloatArray:
    """Correlation matrices (count, q, q) of LKJ(eta)."""
    a = beta_shapes(q, eta)
    root = correlation_root(2 * rng.beta(a, a, size=(count, a.size)) - 1, q)
    return np.asarray(root @ np.swapaxes(root, 1, 2))


def _place_thresholds(draws: PosteriorDraws, priors: ModelPriors) -> None:
    """Put thresholds in order where they have one, and from centred predictors to zero."""
    for parameter in priors.parameters:
        if parameter.kind == "family" and parameter.is_thresholds:
            cuts = draws.family[parameter.name]
            if parameter.increasing:
                cuts.sort(axis=-1)
            cuts += (draws.beta @ priors.centre)[..., None]


def _correlations(
    design: Design, priors: ModelPriors, *, like: PosteriorDraws, rng: np.random.Generator
) -> dict[str, FloatArray]:
    shape = like.beta.shape[:2]
    found = {
        name: np.array(np.broadcast_to(np.eye(c.shape[-1]), c.shape))
        for name, c in like.corr.items()
    }
    for t, (term, eta) in enumerate(zip(design.terms, priors.lkj, strict=True)):
        own = structure(term.covariance, len(term.columns))
        if eta is None and not (isinstance(own, Patterned) and own.correlation_names):
            continue
        q = len(term.columns)
        if isinstance(own, Patterned):
            laws = [law for law in priors.patterns[t] if law is not None]
            uniform = rng.random((len(laws), shape[0] * shape[1]))
            root = own.unit_root(
                np.stack([law.quantile(u) for law, u in zip(laws, uniform, strict=True)], axis=1)
            )
            R = root @ np.swapaxes(root, 1, 2)
        else:
            assert eta is not None
            R = _lkj_draws(q, eta, shape[0] * shape[1], rng)
        at = np.array(term.columns)
        block = R.reshape(*shape, q, q)
        found[design.factors[term.factor].name][..., at[:, None], at[None, :]] = block
    return found
