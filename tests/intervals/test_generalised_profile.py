"""Profiles of generalised fits: lme4's limits, exact derivatives, what zeta at a limit is."""

import numpy as np
import pytest
from scipy.stats import norm

import hierbayes as hb
from hierbayes.intervals.generalised_profile import generalised_optimum
from hierbayes.results.interval_parameters import interval_parameters
from tests.likelihood.glmm_cases import specification
from tests.reference_fits import load_fit, load_reference

pytestmark = pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
Q95 = norm.ppf(0.975)
MODELS = {
    "one factor": (("binomial", "logit", "one"), 1),
    "quadrature": (("binomial", "logit", "one"), 5),
    "slopes": (("negativebinomial", "log", "slope"), 1),
    "crossed": (("gamma", "log", "crossed slope"), 1),
    "residual sd": (("gaussian", "log", "nested"), 1),
}


def model(name):
    (family, link, structure), nodes = MODELS[name]
    spec = specification(family, link, structure, n_levels=10, each=6)
    return hb.Model(spec.formula_text, spec.table.frame, family=family, link=link).fit(
        n_quadrature=nodes
    )


@pytest.mark.parametrize("case", ["cbpp_logit", "gt_brood"])
def test_limits_are_those_of_lme4(case):
    reference = load_fit(case)
    expected = load_reference(f"ci/ci_{case}")["profile"]
    family = "binomial" if case == "cbpp_logit" else "poisson"
    fit = hb.glmer(reference.formula, reference.data, family)
    found = hb.confint(fit, method="profile")
    assert found.index.tolist() == expected["names"]
    limits = np.array(expected["values"])
    width = limits[:, 1] - limits[:, 0]
    error = np.abs(found[["lower", "upper"]].to_numpy() - limits) / width[:, None]
    assert error.max() < 1e-3  # lme4's own optimum is off by 6e-4 in the deviance of cbpp


@pytest.mark.parametrize("name", MODELS)
def test_derivatives_are_those_of_the_deviance(name):
    fit = model(name)
    optimum = generalised_optimum(fit)
    held, z, correction = optimum.hold(list(interval_parameters(fit)))
    at = optimum.deviance.at(held, z)
    np.testing.assert_allclose(at.value, fit.criterion, rtol=1e-9)
    others = np.arange(z.shape[1]) != held.n_theta
    hessian = at.hessian + correction
    rng = np.random.default_rng(1)
    off = held.projected(z + 0.03 * rng.normal(size=z.shape) * others, 0.02)
    beside = optimum.deviance.at(held, off)
    for i in np.flatnonzero(others):
        step = 1e-5 * np.eye(z.shape[1])[i]
        up, down = optimum.deviance.at(held, off + step), optimum.deviance.at(held, off - step)
        slope = (up.value - down.value) / 2e-5
        np.testing.assert_allclose(beside.gradient[:, i], slope, rtol=1e-5, atol=1e-4)
        if fit.is_singular:
            continue
        up, down = optimum.deviance.at(held, z + step), optimum.deviance.at(held, z - step)
        bend = ((up.gradient - down.gradient) / 2e-5)[:, others]
        scale = np.abs(hessian[:, others][:, :, others]).max(axis=(1, 2), keepdims=True)[:, 0]
        np.testing.assert_allclose(hessian[:, i][:, others] / scale, bend / scale, atol=2e-5)


def test_coordinates_give_the_estimates_back():
    for name in ("slopes", "residual sd"):
        fit = model(name)
        optimum = generalised_optimum(fit)
        parameters = list(interval_parameters(fit))
        held, z, _ = optimum.hold(parameters)
        for t, parameter in enumerate(parameters):
            one = held.take(np.array([t]))
            found = optimum.reported(parameter, one, z[t : t + 1])[0]
            if np.isnan(fit.interval_estimates[t]):
                continue  # a correlation beside an sd of zero
            assert found == pytest.approx(fit.interval_estimates[t], rel=1e-6, abs=1e-6)
        np.testing.assert_allclose(optimum.values, fit.interval_estimates, rtol=1e-6, atol=1e-8)


def test_at_a_limit_the_fit_with_the_coefficient_held_is_that_much_worse():
    data = hb.load_dataset("cbpp")
    data = data.assign(**{f"p{i}": (data["period"] == str(i)).astype(float) for i in (2, 3, 4)})
    others = CBPP.replace("period", "0 + p2 + p3 + p4")
    fit = hb.glmer(CBPP, data)
    for end in hb.confint(fit, method="profile", parameters="(Intercept)").iloc[0, 1:]:
        held = hb.glmer(others, data, offset=np.full(len(data), end))
        assert held.criterion - fit.criterion == pytest.approx(Q95**2, abs=1e-5)


def test_an_sd_of_zero_is_reached_where_the_model_without_it_is_not_ruled_out():
    ticks = hb.load_dataset("grouseticks")
    fit = hb.glmer("TICKS ~ YEAR + (1 | BROOD) + (1 | LOCATION)", ticks, "poisson")
    frame = hb.profile(fit, "sd_(Intercept)|LOCATION", level=0.999).to_frame()
    without = hb.glmer("TICKS ~ YEAR + (1 | BROOD)", ticks, "poisson")
    if frame["value"].iloc[0] == 0:
        assert frame["zeta"].iloc[0] ** 2 == pytest.approx(without.criterion - fit.criterion, 1e-4)
    else:
        assert without.criterion - fit.criterion > norm.ppf(0.9995) ** 2


def test_units_of_a_predictor_and_levels_order_do_not_matter():
    data = hb.load_dataset("grouseticks")
    other = data.assign(far=data["cHEIGHT"] / 100).iloc[::-1]
    one = hb.confint(hb.glmer("TICKS ~ cHEIGHT + (1 | BROOD)", data, "poisson"), method="profile")
    two = hb.confint(hb.glmer("TICKS ~ far + (1 | BROOD)", other, "poisson"), method="profile")
    rows = one.to_numpy(copy=True)
    rows[-1] *= 100
    np.testing.assert_allclose(two.to_numpy(), rows, rtol=1e-4)


def test_of_no_nodes_laplace_is_profiled_and_said():
    data = hb.load_dataset("cbpp")
    quick, laplace = (hb.glmer(CBPP, data, n_quadrature=n) for n in (0, 1))
    found, same = (hb.profile(fit, "period2", level=0.9) for fit in (quick, laplace))
    np.testing.assert_allclose(found.limits, same.limits, atol=1e-5)
    assert [f.code for f in found.findings] == ["profiled_by_laplace"]
    assert "The Laplace likelihood was profiled" in str(found)


def test_what_has_no_finite_estimate_has_no_profile_and_says_so():
    rng = np.random.default_rng(1)
    g, late = np.repeat(np.arange(12), 10), np.tile(np.arange(10), 12) > 4
    hit = np.where(late, 0, rng.random(120) < 0.5).astype(int)
    fit = hb.glmer("hit ~ late + (1 | g)", {"hit": hit, "late": late, "g": g})
    table = hb.confint(fit, method="profile")
    assert table.loc["lateTRUE", ["lower", "upper"]].isna().all()
    assert "no finite estimate" in table.attrs["reasons"]["lateTRUE"]
    assert table.loc["(Intercept)", "lower"] < 0 < table.loc["(Intercept)", "upper"]


def test_models_without_random_effects_are_profiled_too():
    data = hb.load_dataset("cbpp")
    fit = hb.glmer(CBPP.replace(" + (1 | herd)", ""), data)
    low, high = hb.confint(fit, method="profile").loc["period4", ["lower", "upper"]]
    # confint(glm(...)) of R 4.2.2, interpolated: -2.6806594 and -1.0375518
    assert low == pytest.approx(-2.6806594, abs=2e-4)
    assert high == pytest.approx(-1.0375518, abs=2e-4)


def test_a_dispersion_is_profiled_on_its_own_scale():
    ticks = hb.load_dataset("grouseticks")
    fit = hb.glmer("TICKS ~ YEAR + (1 | BROOD)", ticks, "negativebinomial")
    low, high = hb.confint(fit, method="profile", parameters="alpha").loc["alpha"].iloc[1:]
    error = fit.further_parameters["alpha"][1]
    assert low == pytest.approx(fit.dispersion["alpha"] - Q95 * error, abs=0.3)
    assert high == pytest.approx(fit.dispersion["alpha"] + Q95 * error, abs=0.5)


def test_a_dispersion_without_an_upper_end_says_so():
    table = hb.confint(model("slopes"), method="profile", parameters="alpha")
    assert np.isnan(table.loc["alpha", "upper"])  # as good as a Poisson model
    assert "do not bound the parameter" in table.attrs["reasons"]["alpha"]


def ordered(cuts):
    """Ordered answers of 15 people, whose predictor is far from zero."""
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(15), 10), rng.normal(size=150) + 5
    latent = 0.8 * (x - 5) + rng.normal(size=15)[g] + rng.logistic(size=150)
    return {"y": np.digitize(latent, cuts), "x": x, "g": g}


def test_the_threshold_of_two_categories_is_minus_the_intercept_of_a_binomial_model():
    data = ordered([0.2])
    two = hb.confint(hb.glmer("y ~ x + (1 | g)", data, "cumulative"), method="profile")
    one = hb.confint(hb.glmer("y ~ x + (1 | g)", data, "bernoulli"), method="profile")
    low, high = one.loc["(Intercept)", ["lower", "upper"]]
    np.testing.assert_allclose(two.loc["threshold[1]", ["lower", "upper"]], [-high, -low], 1e-5)
    np.testing.assert_allclose(two.loc["x"], one.loc["x"], rtol=1e-5)


@pytest.mark.parametrize("family", ["cumulative", "sratio"])
def test_thresholds_are_held_exactly(family):
    fit = hb.glmer("y ~ x + (1 | g)", ordered([-1, 0.5, 2]), family)
    optimum = generalised_optimum(fit)
    held, z, correction = optimum.hold(list(interval_parameters(fit)))
    at, others = optimum.deviance.at(held, z), np.arange(z.shape[1]) != held.n_theta
    np.testing.assert_allclose(at.value, fit.criterion, rtol=1e-9)
    hessian = at.hessian + correction
    for i in np.flatnonzero(others):
        step = 1e-5 * np.eye(z.shape[1])[i]
        up, down = optimum.deviance.at(held, z + step), optimum.deviance.at(held, z - step)
        bend = ((up.gradient - down.gradient) / 2e-5)[:, others]
        np.testing.assert_allclose(hessian[:, i][:, others], bend, atol=1e-3)
    profile = hb.profile(fit, "threshold[2]", level=0.9)
    value = profile.to_frame(others=True)
    np.testing.assert_allclose(value["value"], value["threshold[2]"])
    wald = hb.confint(fit).loc["threshold[2]"]
    np.testing.assert_allclose(
        hb.confint(fit, method="profile").loc["threshold[2]"], wald, atol=0.3
    )
