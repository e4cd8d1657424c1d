"""Profile likelihood: lme4's limits, closed forms, what zeta at a limit is, ends of ranges."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize
from scipy.stats import norm

import hierbayes as hb
from hierbayes.gaussian.marginal import evaluate
from hierbayes.intervals.held_deviance import LinearDeviance, held_deviance
from hierbayes.intervals.held_places import hold
from hierbayes.results.interval_parameters import interval_parameters, parameter_values
from tests.intervals.quiet import quiet_lmer
from tests.reference_fits import load_fit, load_reference

REFERENCES = (
    "dye2_ml",
    "dye_ml",
    "dye_reml",
    "mac_nest_reml",
    "pas_ml",
    "pas_reml",
    "pen_ml",
    "pen_reml",
    "rail_reml",
    "ss_int_reml",
    "ss_max_ml",
    "ss_max_reml",
    "ss_sep_ml",
    "ss_sep_reml",
)
Q95 = norm.ppf(0.975)
SLEEP = "Reaction ~ Days + (Days | Subject)"
# zeta at a limit is the quantile to 1e-6, and lme4 stops short of its own optima by some 1e-6
LIMIT_TOLERANCE = 1e-3  # of the interval's width
ZETA_TOLERANCE = 2e-6


# against lme4


@pytest.mark.parametrize("case", REFERENCES)
def test_limits_are_those_of_lme4(case):
    reference = load_fit(case)
    expected = load_reference(f"ci/ci_{case}")["profile"]
    fit = quiet_lmer(reference.formula, reference.data, reml=reference.reml, **reference.options)
    found = hb.profile(fit, level=0.95).confint()
    assert found.index.tolist() == expected["names"]
    limits = np.array(expected["values"])
    width = limits[:, 1] - limits[:, 0]
    error = np.abs(found[["lower", "upper"]].to_numpy() - limits) / width[:, None]
    assert error.max() < LIMIT_TOLERANCE


# lme4 1.1.31: confint(profile(lmer(..., REML = FALSE), which = "theta_")); hard ones for a search
HARD = {
    ("distance ~ age * Sex + (age | Subject)", "Orthodont"): {
        "sd_(Intercept)|Subject": (0.001266771, 4.1481758),
        "sd_age|Subject": (0.0, 0.3385631),
    },
}


@pytest.mark.parametrize(("formula", "data"), HARD)
def test_an_sd_beside_a_correlation_of_one_is_as_in_lme4(formula, data):
    expected = HARD[formula, data]
    fit = quiet_lmer(formula, hb.load_dataset(data), reml=False)
    found = hb.profile(fit, list(expected), level=0.95).confint()
    for name, (lower, upper) in expected.items():
        row = found.loc[name]
        assert [row["lower"], row["upper"]] == pytest.approx(
            [lower, upper], abs=LIMIT_TOLERANCE * (upper - lower)
        )


# closed forms


def test_linear_model_in_closed_form():
    sleep = hb.load_dataset("sleepstudy")
    fit = quiet_lmer("Reaction ~ Days", sleep, reml=False)
    frame = hb.profile(fit).to_frame()
    n = fit.nobs
    ratio = frame.loc[frame["parameter"] == "sigma", "value"].to_numpy() / fit.sigma
    zeta = np.sign(ratio - 1) * np.sqrt(n * (2 * np.log(ratio) - 1 + 1 / ratio**2))
    np.testing.assert_allclose(
        frame.loc[frame["parameter"] == "sigma", "zeta"], zeta, atol=ZETA_TOLERANCE
    )
    days = frame[frame["parameter"] == "Days"]
    z = (days["value"] - fit.fixef()["Days"]) / fit.std_errors[1]  # ML: variance over n
    np.testing.assert_allclose(
        days["zeta"], np.sign(z) * np.sqrt(n * np.log1p(z**2 / n)), atol=ZETA_TOLERANCE
    )


def test_known_sds_in_closed_form():
    schools = hb.load_dataset("eight_schools")
    fit = quiet_lmer("effect ~ 1 + (1 | school)", schools, reml=False, known_sd="se")
    found = hb.profile(fit, level=0.95)
    y, se = schools["effect"].to_numpy(float), schools["se"].to_numpy(float)

    def rise(mu, tau, best):
        v = tau**2 + se**2
        mu = (y / v).sum() / (1 / v).sum() if mu is None else mu
        return (np.log(2 * np.pi * v) + (y - mu) ** 2 / v).sum() - best - Q95**2

    best = rise(None, 0.0, 0.0) + Q95**2  # the estimate of tau is zero
    assert found.confint().loc["sd_(Intercept)|school"].tolist() == pytest.approx(
        [0.0, 0.0, brentq(lambda tau: rise(None, tau, best), 1, 100)], abs=1e-5
    )
    assert "sigma" not in found.names


def test_weights_are_rows_counted_so_often():
    # weights w and w + rows of a balanced factor: limits of beta follow from the same deviance
    sleep = hb.load_dataset("sleepstudy")
    heavy = quiet_lmer(SLEEP, sleep.assign(w=4.0), reml=False, weights="w")
    plain = quiet_lmer(SLEEP, sleep, reml=False)
    a, b = (hb.profile(fit, level=0.9).confint() for fit in (heavy, plain))
    pd.testing.assert_frame_equal(a.drop("sigma"), b.drop("sigma"), rtol=1e-5)
    np.testing.assert_allclose(a.loc["sigma"], 2 * b.loc["sigma"], rtol=1e-5)


# by other means


@pytest.mark.parametrize("weights", [None, "1/(1 + Days)"])
def test_a_model_with_the_effect_taken_off_has_the_deviance_of_the_limit(sleepstudy, weights):
    # lme4 1.1.31 gets these limits wrong under weights ("non-monotonic profile")
    fit = quiet_lmer(SLEEP, sleepstudy, reml=False, weights=weights)
    for limit in hb.profile(fit, "Days", level=0.95).limits[0]:
        held = sleepstudy.assign(y=sleepstudy["Reaction"] - limit * sleepstudy["Days"])
        without = quiet_lmer("y ~ 1 + (Days | Subject)", held, reml=False, weights=weights)
        assert without.criterion - fit.criterion == pytest.approx(Q95**2, abs=1e-5)


@pytest.mark.parametrize(
    "name", ["cor_MachineC.(Intercept)|Worker", "cor_MachineC.MachineB|Worker"]
)
def test_a_constrained_search_over_theta_finds_the_deviance_of_the_limit(name):
    # lme4 1.1.31 lets a correlation of three leave the range the other two allow
    fit = quiet_lmer(
        "score ~ Machine + (Machine | Worker)", hb.load_dataset("Machines"), reml=False
    )
    place = [p.name for p in interval_parameters(fit)].index(name)
    bases = fit.kernel.products.anchor.z_bases

    def excess(theta, limit):
        at = evaluate(fit.kernel, theta[None])
        values = parameter_values(fit, theta[None], at.sigma, beta=at.beta, bases=bases)
        return (values[0, place] - limit) / (1 + abs(limit))

    for limit in hb.profile(fit, name, level=0.95).limits[0]:
        found = minimize(
            lambda theta: evaluate(fit.kernel, theta[None]).criterion[0] - fit.criterion,
            fit.at.theta[0],
            method="SLSQP",
            constraints={"type": "eq", "fun": excess, "args": (limit,)},
            options={"maxiter": 500, "ftol": 1e-12},
        )
        assert found.fun == pytest.approx(Q95**2, abs=1e-3)


# what a profile is

MODELS = {
    "max": (SLEEP, "sleepstudy"),
    "three": ("score ~ Machine + (Machine | Worker)", "Machines"),
    "crossed": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin"),
    "nested": ("strength ~ 1 + (1 | batch/cask)", "Pastes"),
    "independent": ("Reaction ~ Days + (Days || Subject)", "sleepstudy"),
    "singular": ("yield ~ nitro * Variety + (nitro | Block/Variety)", "Oats"),
}


@pytest.fixture(scope="module", params=MODELS)
def profiled(request):
    formula, data = MODELS[request.param]
    fit = quiet_lmer(formula, hb.load_dataset(data), reml=False)
    return fit, hb.profile(fit, level=0.95)


def test_zeta_at_a_limit_is_the_normal_quantile(profiled):
    _, found = profiled
    frame = found.to_frame()
    for name, limits in zip(found.names, found.limits, strict=True):
        own = frame[frame["parameter"] == name]
        for limit, quantile in zip(limits, (-Q95, Q95), strict=True):
            at = own.loc[np.isclose(own["value"], limit, rtol=1e-12, atol=1e-12), "zeta"]
            is_end = limit == 0 or abs(limit) == 1
            assert len(at) > 0
            if is_end:
                assert (np.abs(at) <= Q95 + ZETA_TOLERANCE).all()
            else:
                assert at.iloc[0] == pytest.approx(quantile, abs=ZETA_TOLERANCE)


def test_profiles_rise_and_contain_the_estimate(profiled):
    fit, found = profiled
    frame = found.to_frame(others=True)
    for name, estimate in zip(found.names, found.estimates, strict=True):
        own = frame[frame["parameter"] == name]
        np.testing.assert_allclose(own["value"], own[name], atol=1e-6 * (1 + abs(estimate)))
        assert own["value"].is_monotonic_increasing
        assert (np.diff(own["zeta"]) > -1e-4).all()
        at = own.loc[own["zeta"] == 0, "value"]
        assert at.tolist() == pytest.approx([estimate])
    assert not found.reasons
    assert found.all_names == found.names
    assert found.deviance == pytest.approx(fit.criterion)


def test_no_start_finds_a_lower_deviance_at_a_limit(profiled):
    """The path is followed from the estimate; a search from afar must not do better."""
    from hierbayes.intervals.held_search import settle

    fit, found = profiled
    parameters = interval_parameters(fit)
    held, z = hold(fit.kernel, fit.at, parameters)
    rng = np.random.default_rng(5)
    for side in (0, 1):
        start = z + 0.4 * rng.normal(size=z.shape) * held.free
        limits = found.limits[:, side]
        own = np.where(held.is_cor, np.arcsin(limits * held.is_cor), limits - held.shift)
        is_sigma = np.array([parameter.kind == "sigma" for parameter in parameters])
        own = np.where(is_sigma, np.log(np.where(is_sigma, limits, 1.0)), own)
        start[np.arange(len(own)), held.own] = np.clip(own, held.lower, held.upper)
        none = np.zeros((*z.shape, z.shape[1]))
        there = settle(LinearDeviance(fit.kernel), held, start, correction=none).at.value
        assert (there > fit.criterion - 1e-6).all()
        frame = found.to_frame()
        for i, name in enumerate(found.names):
            mine = frame[frame["parameter"] == name]
            at = np.abs(mine["value"] - found.limits[i, side]).argmin()
            assert there[i] - fit.criterion > mine["zeta"].iloc[at] ** 2 - 1e-3


@cache
def sleep_limits():
    return hb.profile(quiet_lmer(SLEEP, hb.load_dataset("sleepstudy")), level=0.95).limits


@given(factor=st.floats(1e-3, 1e3), shift=st.floats(-1e3, 1e3))
def test_limits_follow_a_change_of_units(factor, shift):
    sleep = hb.load_dataset("sleepstudy")
    y = shift + factor * sleep["Reaction"]
    limits = hb.profile(quiet_lmer(SLEEP, sleep.assign(Reaction=y)), level=0.95).limits
    expected = sleep_limits() * factor
    expected[1] = sleep_limits()[1]  # the correlation
    expected[4] += shift  # the intercept
    width = np.ptp(expected, axis=1)[:, None]  # some 4 in zeta, known to 1e-6
    assert (np.abs(limits - expected) < 2e-6 * width).all()


def test_a_large_mean_keeps_the_digits_of_the_limits(sleepstudy):
    far = sleepstudy.assign(Reaction=1e6 + 1e-6 * sleepstudy["Reaction"])
    limits = hb.profile(quiet_lmer(SLEEP, far), level=0.95).limits
    assert np.isfinite(limits).all()
    np.testing.assert_allclose(1e6 * limits[5], sleep_limits()[5], rtol=1e-4)
    np.testing.assert_allclose(1e6 * (limits[4] - 1e6), sleep_limits()[4], rtol=1e-4)


def test_units_of_a_slope_do_not_matter():
    sleep = hb.load_dataset("sleepstudy")
    hours = sleep.assign(Hours=24 * sleep["Days"] + 1000)
    days = hb.profile(quiet_lmer(SLEEP, sleep), "sd_Days|Subject").limits
    found = hb.profile(
        quiet_lmer("Reaction ~ Hours + (Hours | Subject)", hours), "sd_Hours|Subject"
    ).limits
    np.testing.assert_allclose(24 * found, days, rtol=1e-5)


# the deviance with a parameter held


@pytest.mark.parametrize("name", MODELS)
def test_derivatives_are_those_of_the_deviance(name):
    formula, data = MODELS[name]
    fit = quiet_lmer(formula, hb.load_dataset(data), reml=False)
    held, z = hold(fit.kernel, fit.at, interval_parameters(fit))
    rng = np.random.default_rng(1)
    z = held.projected(z + 0.2 * rng.normal(size=z.shape) * held.free, 0.02)
    angles = np.flatnonzero(held.is_cor)  # of a singular fit they are at the end
    z[angles, held.own[angles]] = np.clip(z[angles, held.own[angles]], -1.3, 1.3)
    at = held_deviance(fit.kernel, held, z)
    index = np.arange(z.shape[1])
    for i in index:
        h = 1e-6 * np.maximum(1, np.abs(z[:, i]))
        up, down = z.copy(), z.copy()
        up[:, i] += h
        down[:, i] -= h
        above, below = (held_deviance(fit.kernel, held, point) for point in (up, down))
        slope = (above.value - below.value) / (2 * h)
        moves = held.free[:, i] | (held.own == i)
        np.testing.assert_allclose(at.gradient[moves, i], slope[moves], rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", MODELS)
def test_coordinates_give_the_estimates_back(name):
    formula, data = MODELS[name]
    fit = quiet_lmer(formula, hb.load_dataset(data), reml=False)
    held, z = hold(fit.kernel, fit.at, interval_parameters(fit))
    sigma = np.array([fit.sigma])
    expected = parameter_values(fit, fit.theta[None], sigma, beta=fit.beta[None])[0]
    np.testing.assert_allclose(held.values(z), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(held_deviance(fit.kernel, held, z).value, fit.criterion, rtol=1e-10)


# ends of ranges, and what is said of them


def test_an_sd_of_zero_has_an_upper_limit_only():
    fit = quiet_lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff2"))
    found = hb.profile(fit, level=0.95)
    assert found.confint().loc["sd_(Intercept)|Batch", ["estimate", "lower"]].tolist() == [0, 0]
    codes = [finding.code for finding in found.findings]
    assert codes == ["profiled_by_ml", "one_sided"]
    assert "ends at 0" in str(found.findings[1])


def test_a_correlation_beside_an_sd_of_zero_has_no_limits_but_a_reason():
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(8), 6)
    x = np.tile(np.arange(6.0), 8)
    y = rng.normal(size=48)
    y -= pd.Series(y).groupby(g).transform("mean").to_numpy()  # nothing left between levels
    slopes = rng.normal(size=8)[g] * (x - x.mean())
    data = pd.DataFrame({"y": y + slopes, "x": x - x.mean(), "g": g.astype(str)})
    fit = quiet_lmer("y ~ x + (x | g)", data, reml=False)
    found = hb.profile(fit, level=0.95)
    name = "cor_x.(Intercept)|g"
    if np.isnan(fit.varcorr().terms[0].corr[1, 0]):
        assert np.isnan(found.confint().loc[name]).all()
        assert hb.profile(fit, name).to_frame().empty
        assert "estimated as zero" in found.reasons[name]
        assert "no correlation to profile" in str(found.findings[-1])
    table = found.confint().drop(name)
    assert np.isfinite(table.to_numpy()).all()


def test_a_reml_fit_says_that_the_likelihood_was_profiled(sleepstudy):
    reml, ml = (quiet_lmer(SLEEP, sleepstudy, reml=reml) for reml in (True, False))
    found = hb.profile(reml, "sigma")
    assert found.findings[0].code == "profiled_by_ml"
    assert hb.profile(ml, "sigma").findings == ()
    np.testing.assert_allclose(found.limits, hb.profile(ml, "sigma").limits, rtol=1e-5)


@pytest.mark.filterwarnings("ignore::hierbayes.RankDeficientWarning")
def test_dropped_columns_are_left_out(sleepstudy):
    data = sleepstudy.assign(Twice=2 * sleepstudy["Days"])
    fit = hb.lmer("Reaction ~ Days + Twice + (1 | Subject)", data, reml=False)
    found = hb.profile(fit)
    assert "Twice" not in found.names
    assert np.isfinite(found.limits).all()


def test_no_fixed_effects(sleepstudy):
    data = sleepstudy.assign(y=sleepstudy["Reaction"] - sleepstudy["Reaction"].mean())
    fit = quiet_lmer("y ~ 0 + (1 | Subject)", data, reml=False)
    found = hb.profile(fit)
    assert found.names == ("sd_(Intercept)|Subject", "sigma")
    assert np.isfinite(found.limits).all()


# what is asked for


def test_chosen_parameters_are_profiled_alone(sleepstudy):
    fit = quiet_lmer(SLEEP, sleepstudy)
    everything = hb.profile(fit)
    for chosen, names in {
        "Days": ["Days"],
        "beta_": ["(Intercept)", "Days"],
        "theta_": list(everything.names[:4]),
    }.items():
        found = hb.profile(fit, chosen)
        assert list(found.names) == names
        place = [everything.names.index(name) for name in names]
        np.testing.assert_allclose(found.limits, everything.limits[place], rtol=1e-5)
        assert set(found.to_frame()["parameter"]) == set(names)


@pytest.mark.parametrize("level", [0, 1, -0.1, 95, "0.95", True, None, float("nan")])
def test_a_level_outside_0_and_1_is_refused(sleepstudy, level):
    with pytest.raises(hb.OptionError, match=r"level=.* must be a number between 0 and 1"):
        hb.profile(quiet_lmer(SLEEP, sleepstudy), level=level)


def test_an_unknown_name_names_the_nearest(sleepstudy):
    fit = quiet_lmer(SLEEP, sleepstudy)
    with pytest.raises(hb.OptionError, match=r"did you mean 'sd_Days\|Subject'"):
        hb.profile(fit, ["sigma", "sd_days|Subject"])
    with pytest.raises(hb.OptionError, match="3 is not one of 'sd_"):
        hb.profile(fit, 3)
    with pytest.raises(hb.OptionError, match="parameters names none"):
        hb.profile(fit, [])


def test_only_a_fit_is_profiled(sleepstudy):
    with pytest.raises(hb.OptionError, match=r"needs a REML or ML fit, .* not DataFrame"):
        hb.profile(sleepstudy)
    with pytest.raises(hb.OptionError, match="not Model"):
        hb.profile(hb.Model(SLEEP, sleepstudy))


# printed


def test_printed(sleepstudy):
    text = str(hb.profile(quiet_lmer(SLEEP, sleepstudy), level=0.95))
    lines = text.splitlines()
    assert lines[0] == "Likelihood profile of 6 parameters, with 95 % confidence limits"
    assert lines[3].startswith("Deviance at the ML estimates: 1751.939")
    row = next(line for line in lines if line.startswith("sd_Days|Subject"))
    assert row.split()[1:4] == ["5.7", "3.8", "8.8"]
    assert "fitted again by ML" in text.replace("\n", " ")
    assert max(map(len, lines)) <= 80


def test_html_has_the_same_numbers(sleepstudy):
    found = hb.profile(quiet_lmer(SLEEP, sleepstudy), level=0.95)
    html = found._repr_html_()
    for line in str(found).splitlines():
        if line.startswith(("sd_", "cor_", "sigma")):
            for cell in line.split()[1:]:
                assert f"<td>{cell}</td>" in html


def test_progress_is_shown_on_request_and_gone_afterwards(sleepstudy, capsys):
    fit = quiet_lmer(SLEEP, sleepstudy)
    hb.profile(fit, "sigma", progress=True)  # too quick for a bar
    assert capsys.readouterr() == ("", "")
    with pytest.raises(hb.OptionError, match="progress='yes'"):
        hb.profile(fit, progress="yes")


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_limits_do_not_depend_on_the_unit_of_the_response(unit):
    """Once a response times 1e12 had no limits of its fixed effects and no upper one of its sd."""
    data = hb.load_dataset("sleepstudy")
    fits = [
        hb.lmer("Reaction ~ Days + (1 | Subject)", data.assign(Reaction=data.Reaction * scale))
        for scale in (1.0, unit)
    ]
    expected, found = (
        hb.confint(fit, method="profile")[["lower", "upper"]].to_numpy() for fit in fits
    )
    np.testing.assert_allclose(found / unit, expected, rtol=1e-6)


def test_limits_are_found_where_sds_of_groups_are_far_above_the_residual_one():
    """Once "did not settle on the way" for all parameters from a ratio of 10,000."""
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(20), 6)
    w = np.tile(np.arange(6) - 2.5, 20)
    u, v, e = rng.normal(size=20), rng.normal(size=20), rng.normal(size=120)
    limits = []
    for ratio in (1e3, 1e5):
        y = ratio * (u[g] + v[g] * w) + e
        fit = hb.lmer("y ~ w + (w | g)", {"y": y, "w": w, "g": [f"g{i}" for i in g]})
        table = hb.confint(fit, method="profile")
        table.loc[["sd_(Intercept)|g", "sd_w|g", "(Intercept)", "w"]] /= ratio
        limits.append(table[["lower", "upper"]].to_numpy())
    np.testing.assert_allclose(limits[1], limits[0], atol=2e-3)  # they differ by 1 / ratio
