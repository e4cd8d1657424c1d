"""Posteriors with known draws: Gaussian draws around a REML fit, or all draws at one point."""

from typing import Any

import numpy as np
import numpy.typing as npt

import hierbayes as hb
from hierbayes.bayes.posterior import posterior_fit
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.posterior_fit import PosteriorFit

SETTINGS = {"draws": 50, "chains": 2, "tune": 0, "sampler": "auto"}


def known_draws(
    fit: hb.LikelihoodFit, *, spread: float = 1.0, chains: int = 2, draws: int = 50, seed: int = 1
) -> PosteriorDraws:
    """Draws with the estimates of a fit in their centre; ``spread=0`` puts all of them there."""
    rng = np.random.default_rng(seed)
    shape = (chains, draws)

    def around(value: Any, sd: Any) -> npt.NDArray[np.float64]:
        value = np.asarray(value, dtype=float)
        return value + spread * np.asarray(sd) * rng.standard_normal((*shape, *value.shape))

    design = fit.design
    sd = {f.name: np.empty((*shape, len(f.columns))) for f in design.factors}
    corr: dict[str, Any] = {}
    for term, found in zip(design.terms, fit.varcorr().terms, strict=True):
        name, at = design.factors[term.factor].name, np.array(term.columns)
        sd[name][..., at] = found.sd * np.exp(around(np.zeros(at.size), 0.1))
        if at.size > 1:
            full = np.tile(np.eye(sd[name].shape[-1]), (*shape, 1, 1))
            one = corr.setdefault(name, full)
            scaled = np.where(np.eye(at.size, dtype=bool), 1.0, found.corr * (1 - 0.2 * spread))
            one[..., at[:, None], at[None, :]] = scaled
    return PosteriorDraws(
        beta=around(fit.beta, fit.std_errors),
        sigma=fit.sigma * np.exp(around(0.0, 0.05)) if fit.has_residual_sd else None,
        sd=sd,
        corr=corr,
        b={
            f.name: around(mode, np.sqrt(np.diagonal(cov, axis1=1, axis2=2)))
            for f, mode, cov in zip(design.factors, fit.modes, fit.mode_covariances, strict=True)
        },
        sample_stats={"lp": rng.standard_normal(shape)},
        sampler="collapsed",
        pareto_k=0.1,
        log_marginal_likelihood=-100.0,
        log_marginal_likelihood_mcse=0.01,
    )


def known_posterior(model: hb.Model, **options: Any) -> PosteriorFit:
    """The posterior whose draws are ``known_draws`` of the model's REML or ML fit."""
    draws = known_draws(model.fit(), **options)
    return posterior_fit(model.spec, draws, settings=SETTINGS, findings=())


def posterior_at(fit: GeneralisedFit, n: int = 3) -> PosteriorFit:
    """A posterior of another family whose draws all stand where a fit ended."""

    def all_at(value: Any) -> npt.NDArray[np.float64]:
        return np.broadcast_to(np.asarray(value, dtype=float), (1, n, *np.shape(value)))

    names = [factor.name for factor in fit.design.factors]
    covariances = dict(zip(names, (root @ root.T for root in fit.effect_roots), strict=True))
    sds = {name: np.sqrt(np.diagonal(found)) for name, found in covariances.items()}
    family = dict(fit.optimum.family_parameters)
    sigma = family.pop("sigma", None) if fit.response_family.weighs_sigma else None
    draws = PosteriorDraws(
        beta=all_at(fit.beta),
        sigma=None if sigma is None else all_at(sigma),
        sd={name: all_at(sd) for name, sd in sds.items()},
        corr={
            name: all_at(found / np.outer(sds[name], sds[name]))
            for name, found in covariances.items()
            if found.shape[0] > 1
        },
        b={name: all_at(b) for name, b in zip(names, fit.modes, strict=True)},
        family={name: all_at(value) for name, value in family.items()},
        sampler="nuts",
    )
    return posterior_fit(fit.spec, draws, settings=SETTINGS, findings=())
