"""Leaving levels of generalised models out: against adaptive quadrature and posteriors without."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit, logsumexp
from scipy.stats import binom, nbinom, norm

import hierbayes as hb
from hierbayes.comparison import loo
from hierbayes.comparison.leave_level_out import level_log_densities

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
PRIORS = dict.fromkeys(["(Intercept)", "period2", "period3", "period4"], hb.Normal(0, 3))
PRIORS |= {"sd((Intercept)|herd)": hb.HalfNormal(1)}


@pytest.fixture(scope="module")
def cbpp():
    return hb.Model(CBPP, hb.load_dataset("cbpp"), "binomial", priors=PRIORS).sample(random_seed=1)


def integral(density, sd):
    """Mean of a density over a normal effect."""
    found = quad(lambda u: density(sd * u) * norm.pdf(u), -9, 9, epsabs=0, epsrel=1e-11, limit=300)
    return np.log(found[0])


def test_terms_of_a_binomial_model_are_integrals_over_the_effect(cbpp):
    found = level_log_densities(cbpp)
    data, X = hb.load_dataset("cbpp"), cbpp.design.X
    beta, sd = cbpp.draws.beta.reshape(-1, 4), cbpp.draws.sd["herd"].ravel()
    codes = cbpp.design.factors[0].codes
    for draw in (0, 1500, 3999):
        for level in (0, 7, 14):
            own = codes == level
            s, n = data["incidence"][own].to_numpy(), data["size"][own].to_numpy()
            eta = X[own] @ beta[draw]
            exact = integral(
                lambda b, s=s, n=n, eta=eta: np.prod(binom.pmf(s, n, expit(eta + b))), sd[draw]
            )
            assert found[draw, level] == pytest.approx(exact, abs=1e-4)


def test_terms_know_the_further_parameters_of_a_family():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(8), 6)
    mu = np.exp(1 + 0.5 * rng.normal(size=8)[g])
    data = {"y": rng.negative_binomial(2, 2 / (2 + mu)), "g": g}
    post = hb.Model("y ~ 1 + (1 | g)", data, "negativebinomial").sample(
        draws=100, random_seed=1, sampler="collapsed"
    )
    found = level_log_densities(post)
    beta, sd = post.draws.beta.ravel(), post.draws.sd["g"].ravel()
    alpha = post.draws.family["alpha"].ravel()
    for draw, level in ((0, 0), (399, 5)):
        y, a, at = data["y"][g == level], alpha[draw], beta[draw]
        exact = integral(
            lambda b, y=y, a=a, at=at: np.prod(nbinom.pmf(y, a, a / (a + np.exp(at + b)))),
            sd[draw],
        )
        assert found[draw, level] == pytest.approx(exact, abs=1e-4)


def test_a_term_is_what_a_posterior_without_the_level_predicts(cbpp):
    found = hb.loo(cbpp, by="herd").to_frame()
    data = hb.load_dataset("cbpp")
    others = hb.Model(CBPP, data[data["herd"] != "8"], "binomial", priors=PRIORS)
    without = others.sample(random_seed=2)
    X = cbpp.design.X[(data["herd"] == "8").to_numpy()]
    rows = data[data["herd"] == "8"]
    eta = without.draws.beta.reshape(-1, 4) @ X.T
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    b = without.draws.sd["herd"].reshape(-1, 1) * nodes
    p = expit(eta[:, :, None] + b[:, None, :])
    s, n = rows["incidence"].to_numpy()[:, None], rows["size"].to_numpy()[:, None]
    log_p = np.log(np.exp(binom.logpmf(s, n, p).sum(axis=1)) @ (weights / weights.sum()))
    exact = logsumexp(log_p) - np.log(log_p.size)
    error = np.exp(log_p - exact).std() / np.sqrt(log_p.size / 2)
    term = found.loc["8"]
    assert abs(term["elpd"] - exact) < 4 * np.hypot(error, term["mcse"])


def test_a_level_that_weights_cannot_follow_is_sampled_without(cbpp, monkeypatch):
    """As if no k but the largest could be trusted."""
    reweighed = hb.loo(cbpp, by="herd").pointwise
    monkeypatch.setattr(loo, "TRUSTED_K", reweighed["pareto_k"].nlargest(2).iloc[1])
    found = hb.loo(cbpp, by="herd", refit=True, random_seed=1)
    table = found.pointwise
    worst = reweighed["pareto_k"].idxmax()
    assert table.index[table["refitted"]].tolist() == [worst]
    error = np.hypot(table["mcse"], reweighed["mcse"])[worst]
    assert abs(table["elpd"] - reweighed["elpd"])[worst] < 4 * error
    assert found.findings == ()
