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
    kernel = fit.spec.kernel(fit.method)
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


@pytest.mark.parametrize(
    ("small", "large", "dataset"),
    [
        ("Reaction ~ Days + (1 | Subject)", "Reaction ~ Days + (Days | Subject)", "sleepstudy"),
        (
            "Reaction ~ Days + (0 + Days | Subject)",
            "Reaction ~ Days + (Days | Subject)",
            "sleepstudy",
        ),
        ("score ~ Machine + (1 | Worker)", "score ~ Machine + (1 | Worker/Machine)", "Machines"),
        (
            "Reaction ~ Days + (Days | Subject)",
            "Reaction ~ Days + (Days + I(Days^2) + I(Days^3) | Subject)",
            "sleepstudy",
        ),
    ],
)
def test_fits_on_the_boundary_are_those_made_one_by_one(small, large, dataset):
    data = hb.load_dataset(dataset)
    Y = hb.lmer(small, data).simulate(40, random_seed=3).to_numpy()
    fit = hb.lmer(large, data, reml=False)
    found = refitted(fit, Y)
    alone = [fit.refit(y) for y in Y.T]
    assert sum(one.is_singular for one in alone) > 10
    np.testing.assert_allclose(found.criterion, [a.criterion for a in alone], atol=CRITERION)
    assert found.is_singular.tolist() == [one.is_singular for one in alone]
    np.testing.assert_allclose(found.theta, [one.theta for one in alone], atol=1e-4)


def test_fits_on_the_boundary_need_no_search_of_their_own(monkeypatch):
    alone = []
    monkeypatch.setattr(refits, "_refit_alone", lambda *given: alone.append(given))
    data = hb.load_dataset("sleepstudy")
    Y = hb.lmer("Reaction ~ Days + (1 | Subject)", data).simulate(200, random_seed=2).to_numpy()
    found = refitted(fitted("correlated"), Y)
    assert found.is_singular.mean() > 0.5
    assert not alone


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
    products = fit.spec.kernel(fit.method).products
    Y = fit.simulate(3, random_seed=1).to_numpy()
    found = ResponseProducts(products, fit.design, fit.weights).of(Y)
    for row, y in enumerate(Y.T):
        one = with_response(products, fit.design, weights=fit.weights, y=y)
        np.testing.assert_allclose(found.xy[row], one.xy, rtol=1e-9, atol=1e-9 * one.yy**0.5)
        assert found.yy[row] == pytest.approx(one.yy)
        for many, single in zip(found.zy, one.zy, strict=True):
            np.testing.assert_allclose(many[row], single, rtol=1e-9, atol=1e-9 * one.yy**0.5)


@pytest.mark.parametrize("term", ["(Days | Subject)", "(I(Days - 9) | Subject)"])
def test_fits_without_variance_in_a_first_column_need_no_search_of_their_own(monkeypatch, term):
    fit = hb.lmer(f"Reaction ~ Days + {term}", hb.load_dataset("sleepstudy"))
    small = {"sd((Intercept)|Subject)": 1, f"sd({term[1:-11]}|Subject)": 8}
    none = dict.fromkeys(small, 0.2)
    Y = np.column_stack([fit.simulate(30, parameters=p, random_seed=3) for p in (small, none)])
    alone = [fit.refit(y).criterion for y in Y.T]
    searched = []
    single = refits.fit_lmm
    monkeypatch.setattr(refits, "fit_lmm", lambda *a, **k: searched.append(1) or single(*a, **k))
    np.testing.assert_allclose(refitted(fit, Y).criterion, alone, rtol=0, atol=CRITERION)
    assert len(searched) < 10
