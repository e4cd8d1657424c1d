"""Many responses fitted in one search: each as good as when it is fitted alone."""

import warnings

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.gaussian.products import with_response
from hierbayes.gaussian.responses import ResponseProducts
from hierbayes.likelihood import refits
from hierbayes.likelihood.refits import refit_many

# The criterion of both searches ends within this of the optimum; where they differ by more, one
# of them is wrong.
CRITERION = 1e-8
MODELS = {
    "correlated": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", {}),
    "ml": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", {"reml": False}),
    "weights": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", {"weights": "1/(1 + Days)"}),
    "known sd": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", {"known_sd": "20 + Days"}),
    "independent": ("Reaction ~ Days + (Days || Subject)", "sleepstudy", {}),
    "three columns": ("Reaction ~ Days + (poly(Days, 2) | Subject)", "sleepstudy", {}),
    "offset": ("Reaction ~ 1 + offset(10 * Days) + (1 | Subject)", "sleepstudy", {}),
    "crossed": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin", {}),
    "nested": ("strength ~ 1 + (1 | batch/cask)", "Pastes", {}),
    "zero variance": ("Yield ~ 1 + (1 | Batch)", "Dyestuff2", {}),
    "dependent columns": ("Reaction ~ Days + I(2 * Days) + (1 | Subject)", "sleepstudy", {}),
    "no random effects": ("Reaction ~ Days", "sleepstudy", {}),
}


@pytest.fixture(autouse=True)
def _no_findings():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        yield


def fitted(name):
    formula, dataset, options = MODELS[name]
    return hb.lmer(formula, hb.load_dataset(dataset), **options)


def refitted(fit, Y):
    kernel = fit.model.kernel(fit.method)
    inverses = [np.linalg.inv(basis) for basis in kernel.products.anchor.z_bases]
    start = kernel.shape.transformed(fit.theta, inverses)
    responses = ResponseProducts(kernel.products, fit.design, fit.weights).of(Y)
    return refit_many(kernel, responses, design=fit.design, start=start)


@pytest.mark.parametrize("name", MODELS)
def test_a_hundred_refits_are_those_made_one_by_one(name):
    fit = fitted(name)
    Y = fit.simulate(100, random_seed=5).to_numpy()
    found = refitted(fit, Y)
    for row, y in enumerate(Y.T):
        alone = fit.refit(y)
        assert found.criterion[row] == pytest.approx(alone.criterion, abs=CRITERION)
        np.testing.assert_allclose(found.theta[row], alone.theta, atol=1e-4)
        np.testing.assert_allclose(found.beta[row], alone.beta, atol=1e-4 * min(alone.std_errors))
        assert found.sigma[row] == pytest.approx(alone.sigma, rel=1e-5)
        assert found.converged[row] == alone.converged
        assert found.is_singular[row] == alone.is_singular


def test_the_size_of_a_batch_changes_nothing(monkeypatch):
    fit = fitted("correlated")
    Y = fit.simulate(30, random_seed=2).to_numpy()
    whole = refitted(fit, Y)
    monkeypatch.setattr(refits, "BATCH_NUMBERS", 1)
    single = refitted(fit, Y)
    np.testing.assert_allclose(whole.criterion, single.criterion, rtol=1e-12)
    np.testing.assert_allclose(whole.theta, single.theta, atol=1e-6)


def test_most_refits_are_done_in_the_batch(monkeypatch):
    alone = []
    original = refits._refit_alone
    monkeypatch.setattr(refits, "_refit_alone", lambda *given: alone.append(original(*given)))
    fit = fitted("correlated")
    refitted(fit, fit.simulate(200, random_seed=2).to_numpy())
    assert 0 < len(alone) < 20


def test_a_response_that_cannot_be_fitted_is_missing_and_harms_no_other():
    fit = fitted("correlated")
    Y = fit.simulate(5, random_seed=2).to_numpy()
    expected = refitted(fit, Y)
    spoilt = np.insert(Y, 2, np.nan, axis=1)
    found = refitted(fit, spoilt)
    assert not found.converged[2]
    assert np.isnan(found.sigma[2])
    np.testing.assert_allclose(np.delete(found.criterion, 2), expected.criterion, rtol=1e-12)


@pytest.mark.parametrize("name", ["weights", "crossed", "three columns", "offset"])
def test_products_of_many_responses_are_those_of_each(name):
    fit = fitted(name)
    products = fit.model.kernel(fit.method).products
    Y = fit.simulate(3, random_seed=1).to_numpy()
    found = ResponseProducts(products, fit.design, fit.weights).of(Y)
    for row, y in enumerate(Y.T):
        one = with_response(products, fit.design, weights=fit.weights, y=y)
        np.testing.assert_allclose(found.xy[row], one.xy, rtol=1e-9, atol=1e-9 * one.yy**0.5)
        assert found.yy[row] == pytest.approx(one.yy)
        for many, single in zip(found.zy, one.zy, strict=True):
            np.testing.assert_allclose(many[row], single, rtol=1e-9, atol=1e-9 * one.yy**0.5)
