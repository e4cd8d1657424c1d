"""Another response, another method, another formula: the same as fitting afresh."""

import warnings

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.gaussian.kernel import kernel_of
from hierbayes.likelihood.fitting import at_theta
from hierbayes.likelihood.lmm import fit_lmm
from tests.reference_fits import load_fit

FITS = (
    "ss_max_reml",
    "ss_max_ml",
    "ss_wt",
    "ss_off_arg",
    "ss_na",
    "ss_rankdef",
    "pas_reml",
    "pen_ml",
    "mac_fac_reml",
    "cake_slope",
    "dye2_reml",
)


@pytest.fixture(params=FITS)
def fit(request):
    reference = load_fit(request.param)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        return hb.lmer(reference.formula, reference.data, reml=reference.reml, **reference.options)


def refit(fit, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.BoundaryWarning)
        return fit.refit(y)


def new_response(fit, seed=8):
    rng = np.random.default_rng(seed)
    y = fit.design.y
    return 3 * y + y.std() * rng.normal(size=y.size) + 1000


def assert_same_fit(found, expected):
    assert found.criterion == pytest.approx(expected.criterion, abs=1e-7, rel=1e-10)
    np.testing.assert_allclose(found.beta, expected.beta, atol=1e-5 * min(expected.std_errors))
    np.testing.assert_allclose(found.theta, expected.theta, atol=1e-4)
    assert found.sigma == pytest.approx(expected.sigma, rel=1e-6)
    assert found.is_singular == expected.is_singular
    assert [f.code for f in found.findings] == [f.code for f in expected.findings]
    np.testing.assert_allclose(found.fitted(), expected.fitted(), atol=1e-4 * expected.sigma)


def test_a_refit_is_a_fresh_fit_of_the_new_response(fit):
    y = new_response(fit)
    design = fit.design.with_response(y)
    kernel = kernel_of(design, weights=fit.weights, method=fit.method)
    fresh = fit_lmm(design, kernel)
    found = refit(fit, y)
    assert found.criterion == pytest.approx(fresh.at.criterion[0], abs=1e-7, rel=1e-10)
    np.testing.assert_allclose(found.theta, fresh.theta, atol=1e-4)
    anchor = kernel.products.anchor
    beta = anchor.beta0 + anchor.x_basis @ fresh.at.beta[0]
    np.testing.assert_allclose(found.beta, beta, atol=1e-5 * min(found.std_errors))
    np.testing.assert_array_equal(found.design.y, y)


def test_a_refit_with_the_same_response_changes_nothing(fit):
    assert_same_fit(refit(fit, fit.design.y), fit)


def test_a_refit_leaves_the_first_fit_alone(fit):
    before = fit.criterion, fit.beta.copy(), fit.design.y.copy(), fit.fitted().to_numpy()
    refit(fit, new_response(fit))
    assert fit.criterion == before[0]
    np.testing.assert_array_equal(fit.beta, before[1])
    np.testing.assert_array_equal(fit.design.y, before[2])
    np.testing.assert_array_equal(fit.fitted(), before[3])


def test_a_refit_of_a_refit_goes_back(fit):
    assert_same_fit(refit(refit(fit, new_response(fit)), fit.design.y), fit)


def test_a_refit_on_the_boundary_warns_of_it(sleepstudy):
    fit = hb.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy)
    rng = np.random.default_rng(1)
    codes = fit.design.factors[0].codes
    noise = rng.normal(size=180)
    means = np.bincount(codes, noise) / 10
    with pytest.warns(hb.BoundaryWarning, match="between-Subject sd") as caught:
        found = fit.refit(noise - means[codes])
    assert [str(warning.message) for warning in caught] == [str(f) for f in found.findings]
    assert found.is_singular
    assert not fit.is_singular


def test_scaling_the_response_scales_the_estimates(fit):
    if fit.design.offset is not None:  # an offset is not scaled along
        return
    found = refit(fit, -1e4 * fit.design.y)
    np.testing.assert_allclose(found.theta, fit.theta, atol=1e-4)
    np.testing.assert_allclose(found.beta, -1e4 * fit.beta, rtol=1e-6)
    assert found.sigma == pytest.approx(1e4 * fit.sigma, rel=1e-6)
    n = fit.kernel.df
    assert found.criterion == pytest.approx(fit.criterion + 2 * n * np.log(1e4), rel=1e-9)


def test_ml_and_reml_of_one_model_share_its_products(sleepstudy):
    model = hb.Model("Reaction ~ Days + (Days | Subject)", sleepstudy)
    reml, ml = model.fit("reml"), model.fit("ml")
    assert reml.kernel.products is ml.kernel.products
    assert_same_fit(reml.with_method("ml"), ml)
    assert reml.with_method("reml") is reml
    assert ml.criterion == pytest.approx(
        load_fit("ss_max_ml").record["optimisation"]["objective"], abs=1e-6
    )


def test_deviance_of_a_reml_fit_is_the_ml_criterion_at_its_theta(sleepstudy):
    model = hb.Model("Reaction ~ Days + (Days | Subject)", sleepstudy)
    reml, ml = model.fit("reml"), model.fit("ml")
    assert ml.deviance == ml.criterion < reml.deviance < ml.criterion + 0.1
    at = at_theta(
        model.spec,
        "ml",
        reml.theta.copy(),
        response=model.design.y,
        converged=True,
        is_singular=False,
        findings=(),
    )
    assert reml.deviance == pytest.approx(at.criterion, rel=1e-12)


def test_update_keeps_method_and_options(sleepstudy):
    fit = hb.lmer(
        "Reaction ~ Days + (Days | Subject)", sleepstudy, reml=False, weights="1/(1 + Days)"
    )
    found = fit.update(". ~ . - Days")
    expected = hb.lmer(
        "Reaction ~ (Days | Subject)", sleepstudy, reml=False, weights="1/(1 + Days)"
    )
    assert found.method == "ml"
    assert_same_fit(found, expected)


def test_the_response_of_a_refit_is_checked(sleepstudy):
    fit = hb.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy)
    with pytest.raises(hb.DataError, match="180"):
        fit.refit(np.ones(3))
    with pytest.raises(hb.DataError, match="missing or infinite"):
        fit.refit(np.r_[np.nan, fit.design.y[1:]])


def test_the_table_of_a_refit_shows_the_response_it_was_given(fit):
    y = new_response(fit)
    table = refit(fit, y).augment()
    label = fit.design.formula.response_label
    np.testing.assert_array_equal(table[label], y)
    np.testing.assert_allclose(table["fitted"] + table["residual"], y)
