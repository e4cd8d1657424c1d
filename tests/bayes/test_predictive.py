"""Densities and draws of responses and priors, against scipy and against their definitions."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

import hierbayes as hb
from hierbayes.bayes.predictive import FlatDraws, flat_draws, log_prior_variables
from hierbayes.bayes.prior_draws import prior_draws
from hierbayes.bayes.response import Response
from hierbayes.families import builtin
from hierbayes.families.named import family_named
from tests.results.posteriors import known_posterior

RTOL = 1e-10  # same formula, other order of operations

# response and scipy's distribution at expectation m and the parameters of the draws
FAMILIES = {
    "gaussian": lambda m, p: stats.norm(m, p["sigma"]),
    "t": lambda m, p: stats.t(p["nu"], m, p["sigma"]),
    "bernoulli": lambda m, p: stats.bernoulli(m),
    "binomial": lambda m, p: stats.binom(7, m),
    "poisson": lambda m, p: stats.poisson(m),
    "negativebinomial": lambda m, p: stats.nbinom(p["alpha"], p["alpha"] / (p["alpha"] + m)),
    "gamma": lambda m, p: stats.gamma(p["alpha"], scale=m / p["alpha"]),
    "beta": lambda m, p: stats.beta(m * p["kappa"], (1 - m) * p["kappa"]),
    "exponential": lambda m, p: stats.expon(scale=m),
}
PARAMETERS = {"nu": 5.0, "alpha": 2.5, "kappa": 6.0}


def flat(n_draws, sigma=1.3):
    return FlatDraws(
        beta=np.zeros((n_draws, 1)),
        sigma=np.full(n_draws, sigma),
        sd=(),
        corr=(),
        b=(),
        family={name: np.full(n_draws, value) for name, value in PARAMETERS.items()},
        relations=(),
    )


def test_every_family_has_a_density_and_draws():
    for known in builtin.FAMILIES.values():
        assert known.log_density and known.knows_expectation and (known.draw or known.is_ordinal)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_densities_and_draws_are_those_of_scipy(family):
    link = "log" if family in ("poisson", "negativebinomial", "gamma", "exponential") else "logit"
    link = "identity" if family in ("gaussian", "t") else link
    eta = np.full((4000, 1), 0.4)
    response = Response(family=family_named(family, link), y=None, trials=np.array([7.0]))
    law = FAMILIES[family](response.family.mean(eta[0, 0]), {"sigma": 1.3, **PARAMETERS})
    y = np.atleast_1d(law.rvs(20, random_state=1)).astype(float)
    observed = dataclasses.replace(response, y=y, trials=np.full(20, 7.0))
    found = observed.log_density(np.full((1, 20), 0.4), flat(1), slice(None))[0]
    expected = law.logpmf(y) if hasattr(law, "pmf") and law.dist.name in DISCRETE else law.logpdf(y)
    np.testing.assert_allclose(found, expected, rtol=RTOL)
    drawn = response.draw(eta, flat(4000), slice(None), np.random.default_rng(1))[:, 0]
    assert abs(drawn.mean() - law.mean()) < 4.5 * law.std() / np.sqrt(4000)
    assert drawn.std() == pytest.approx(law.std(), rel=0.1)


DISCRETE = ("bernoulli", "binom", "poisson", "nbinom")


@pytest.mark.parametrize(
    ("formula", "data", "options"),
    [
        ("Reaction ~ Days + (Days | Subject)", "sleepstudy", {}),
        ("Reaction ~ Days + (Days | Subject)", "sleepstudy", {"weights": "1 / (1 + Days)"}),
        ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin", {}),
        ("score ~ Machine + (Machine | Worker)", "Machines", {}),
    ],
)
def test_the_log_likelihood_is_that_of_each_row_given_all_parameters(formula, data, options):
    model = hb.Model(formula, hb.load_dataset(data), **options)
    post = known_posterior(model, draws=7)
    found = post.log_likelihood()
    assert found.shape == (2, 7, post.nobs)
    design, draws, at = model.design, post.draws, (1, 3)
    eta = design.X @ draws.beta[at]
    for factor in design.factors:
        eta = eta + (factor.z * draws.b[factor.name][at][factor.codes]).sum(axis=1)
    weights = 1.0 if model.spec.weights is None else model.spec.weights
    expected = stats.norm(eta, draws.sigma[at] / np.sqrt(weights)).logpdf(design.y)
    np.testing.assert_allclose(found[at], expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("formula", "data", "priors"),
    [
        ("Reaction ~ Days + (Days | Subject)", "sleepstudy", None),
        ("Reaction ~ 0 + Days + (Days || Subject)", "sleepstudy", {"Days": hb.Normal(3, 2)}),
        ("score ~ Machine + (Machine | Worker)", "Machines", {"cor": hb.LKJ(1)}),
        ("strength ~ 1 + (1 | batch/cask)", "Pastes", "flat"),
    ],
)
def test_log_priors_add_up_to_the_prior_density(formula, data, priors):
    model = hb.Model(formula, hb.load_dataset(data), priors=priors)
    post = known_posterior(model)
    parts = log_prior_variables(post.draws, model.design, model.spec.priors)
    total = sum(values.reshape(*values.shape[:2], -1).sum(axis=2) for values in parts.values())
    draws, design = post.draws, model.design
    corrs = [
        draws.corr[design.factors[t.factor].name][:, :, list(t.columns)][..., list(t.columns)]
        if len(t.columns) > 1
        else None
        for t in design.terms
    ]
    expected = model.spec.priors.log_density(
        beta=draws.beta,
        sds=[draws.sd[f.name] for f in design.factors],
        corrs=corrs,
        sigma=draws.sigma,
    )
    np.testing.assert_allclose(total, expected, rtol=1e-9)


def test_draws_of_the_prior_have_its_quantiles():
    model = hb.Model("score ~ Machine + (Machine | Worker)", hb.load_dataset("Machines"))
    post = known_posterior(model, draws=4000)
    priors, rng = model.spec.priors, np.random.default_rng(1)
    draws = prior_draws(model.design, priors, like=post.draws, rng=rng)
    centred = draws.beta.copy()
    centred[..., 0] += draws.beta @ priors.centre
    values = [(priors.beta[k], centred[..., k]) for k in range(3)]
    values += [(priors.sd[0][k], draws.sd["Worker"][..., k]) for k in range(3)]
    values += [(priors.sigma, draws.sigma)]
    at = np.array([0.1, 0.5, 0.9])
    for law, drawn in values:
        below = [(drawn < q).mean() for q in law.quantile(at)]
        np.testing.assert_allclose(below, at, atol=0.02)
    # LKJ(2) of three columns: each correlation is 2 Beta(2.5, 2.5) - 1
    for i, j in ((1, 0), (2, 0), (2, 1)):
        corr = draws.corr["Worker"][..., i, j]
        quantiles = 2 * stats.beta(2.5, 2.5).ppf(at) - 1
        np.testing.assert_allclose(np.quantile(corr, at), quantiles, atol=0.03)
    scaled = draws.b["Worker"] / draws.sd["Worker"][:, :, None]
    np.testing.assert_allclose(scaled.std(axis=(0, 1, 2)), 1, atol=0.02)


def test_nothing_is_drawn_from_flat_priors():
    post = known_posterior(
        hb.Model("Yield ~ 1 + (1|Batch)", hb.load_dataset("Dyestuff"), priors="flat")
    )
    with pytest.raises(hb.NotSupportedError, match="Nothing can be drawn from flat priors"):
        post.to_datatree("prior")


def test_singular_correlations_have_a_root():
    draws = flat_draws(
        known_posterior(
            hb.Model("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
        ).draws,
        hb.Model("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy")).design,
    )
    perfect = dataclasses.replace(draws, corr=(np.ones_like(draws.corr[0]),))
    root = perfect.roots[0]
    sd = draws.sd[0]
    np.testing.assert_allclose(
        root @ np.swapaxes(root, 1, 2), sd[:, :, None] * sd[:, None], rtol=1e-12
    )


@pytest.mark.parametrize(
    ("link", "eta", "expected"),  # log(1 - p) by hand: -eta; log Phi(-eta) by mpmath; -exp(eta)
    [("logit", 40.0, -40.0), ("probit", 10.0, -53.23128515051247), ("cloglog", 5.0, -np.exp(5.0))],
)
def test_a_failure_that_is_nearly_impossible_has_a_finite_log_density(link, eta, expected):
    for family in ("bernoulli", "binomial"):
        response = Response(family=family_named(family, link), y=np.zeros(1))
        found = response.log_density(np.array([[eta]]), flat(1), slice(None))
        assert found.item() == pytest.approx(expected, rel=1e-12)
