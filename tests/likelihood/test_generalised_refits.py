"""Refits in one batch are the fits made alone: values, gradients, zeros, left-out rows."""

from dataclasses import replace

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.gaussian.many_weights import ManyWeights
from hierbayes.generalised.conditional import conditional
from hierbayes.generalised.many_modes import ManyResponses, at_effects, find_modes, no_effects
from hierbayes.intervals.resampling import drawn_responses
from hierbayes.likelihood.generalised_refits import Refitter
from hierbayes.likelihood.glmm import fit_near
from hierbayes.likelihood.glmm_search import Search
from hierbayes.likelihood.many_laplace import ManyCriteria
from tests.likelihood.glmm_cases import specification

pytestmark = [
    pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning"),
]
CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
CASES = [
    ("binomial", "logit", "one"),
    ("bernoulli", "probit", "nested"),
    ("poisson", "log", "slope"),
    ("negativebinomial", "log", "independent"),
    ("gamma", "log", "nested"),
    ("beta", "logit", "slope"),
    ("t", "identity", "one"),
]


@pytest.mark.parametrize(("family", "link", "structure"), CASES)
def test_batched_likelihoods_and_their_derivatives_are_those_of_one(family, link, structure):
    spec = specification(family, link, structure)
    model = conditional(spec.design, spec.family)
    rng, T = np.random.default_rng(1), 3
    p, k, d = model.sizes
    beta, phi = 0.2 * rng.normal(size=(T, p)), 0.3 + 0.1 * rng.normal(size=(T, d))
    beta += np.linalg.lstsq(model.X, np.full(model.y.size, np.median(model.eta_start)))[0]
    theta = np.abs(0.3 + 0.1 * rng.normal(size=(T, k)))
    Y = np.column_stack([np.roll(model.y, 6 * t) for t in range(T)])
    if model.trials is not None:
        Y = np.minimum(Y, model.trials[:, None])
    rows = ManyResponses(model=model, weights=ManyWeights(levels=model.levels), Y=Y)
    at = ManyCriteria(modes=find_modes(at_effects(rows, beta, theta, phi, no_effects(rows))))
    for t in range(T):
        search = Search(replace(model, y=Y[:, t]), 1, beta[t])
        one = search.criterion(search.joined(beta[t], theta[t], phi[t]))
        assert at.value[t] == pytest.approx(one.value, rel=1e-10)
        np.testing.assert_allclose(at.gradient[t], one.gradient, rtol=1e-7, atol=1e-7)
        scale = np.abs(one.curvature).max()
        np.testing.assert_allclose(at.curvature[t], one.curvature, atol=1e-8 * scale)


def _alike(found, fit, Y, entries, kept=None):
    own = fit.optimum
    for t in entries:
        model = replace(own.model, y=Y[:, t])
        if kept is not None:
            model = model.of_rows(kept[:, t])
        one = fit_near(model, fit.n_quadrature, own)
        assert found.converged[t] and one.converged
        assert found.criterion[t] == pytest.approx(-2 * one.loglik, abs=1e-8)
        np.testing.assert_allclose(found.theta[t], one.theta, atol=1e-4)
        np.testing.assert_allclose(found.beta[t], one.beta, atol=1e-4)


@pytest.fixture(scope="module")
def cbpp():
    return hb.glmer(CBPP, hb.load_dataset("cbpp"))


def test_refits_are_those_made_alone(cbpp):
    Y = drawn_responses(cbpp, 60, np.random.default_rng(2))
    found = Refitter(cbpp.optimum).fit(Y)
    zeros = np.flatnonzero(found.is_singular)
    assert 0 < zeros.size < 10 and (found.theta[zeros] == 0).all()
    _alike(found, cbpp, Y, [*range(8), *zeros[:3]])


def test_refits_without_rows_are_fits_of_the_others(cbpp):
    herds = cbpp.design.factors[0].codes
    kept = np.column_stack([herds != j for j in range(3)])
    Y = np.repeat(cbpp.optimum.model.y[:, None], 3, axis=1)
    found = Refitter(cbpp.optimum).fit(Y, kept)
    _alike(found, cbpp, Y, range(3), kept)
    data = hb.load_dataset("cbpp")
    fresh = hb.glmer(CBPP, data[data["herd"] != data["herd"].cat.categories[0]])
    np.testing.assert_allclose(found.beta[0], fresh.beta, atol=1e-5)


def test_a_variance_that_the_fit_lacks_is_found_in_refits():
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(30), 6)
    fit = hb.glmer("y ~ 1 + (1 | g)", {"y": rng.poisson(3, 180), "g": g}, "poisson")
    assert fit.theta[0] == 0
    b = rng.normal(0, [[0.0], [0.4]], size=(2, 30))
    Y = rng.poisson(3 * np.exp(b[:, g])).T.astype(float)
    found = Refitter(fit.optimum).fit(Y)
    assert found.theta[1, 0] == pytest.approx(0.4, abs=0.15)
    _alike(found, fit, Y, range(2))


def test_a_separated_response_is_no_fit_and_says_so(cbpp):
    Y = np.repeat(cbpp.optimum.model.y[:, None], 2, axis=1)
    Y[(cbpp.design.X[:, 3] == 1), 1] = 0
    found = Refitter(cbpp.optimum).fit(Y)
    assert found.converged.tolist() == [True, False]
    assert "separated" in found.failures[0]


def test_crossed_factors_and_quadrature_are_refitted_one_by_one():
    spec = specification("poisson", "log", "crossed", n_levels=5)
    for fit in (spec_fit(spec), hb.glmer(CBPP, hb.load_dataset("cbpp"), n_quadrature=5)):
        Y = drawn_responses(fit, 2, np.random.default_rng(1))
        refitter = Refitter(fit.optimum)
        assert not refitter.is_batched
        _alike(refitter.fit(Y), fit, Y, range(2))


def spec_fit(spec):
    from hierbayes.likelihood.generalised import fit_generalised

    return fit_generalised(spec)
