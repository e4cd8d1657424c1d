"""Thresholds against lme4, an independent maximum, and what holds by definition."""

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import ndtr, ndtri

import hierbayes as hb
from hierbayes.errors import NotSupportedError, OptionError
from hierbayes.likelihood.generalised import optimum_of
from hierbayes.psychometrics import held_quantity
from hierbayes.psychometrics.lines import lines
from tests.psychometrics.observers import SPEED, observers

# glmer(cbind(faster, trials - faster) ~ x * vibration + (x | subject), binomial("logit")) with
# x = (speed - 8) / 5, lme4 1.1-31, R 4.2.2, bobyqa with rhoend = 1e-12 and tolPwrss = 1e-13; PSE,
# JND and their errors by the delta method from fixef and vcov.
LME4 = {
    "pse": ([7.571065, 9.151012], [0.293599, 0.442135]),
    "jnd": ([1.772193, 2.670114], [0.096935, 0.202482]),
}
LME4_LOGLIK = -416.6139015
ZERO_SEED = 2  # of responses whose lapse rate is estimated as zero
QUANTITIES = ["pse", "jnd", "width", "slope"]


def speed(**options):
    given = {"guess": 0.0, "n": "trials"} | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        data = hb.load_dataset("touch_speed")
        formula = given.pop("formula", SPEED)
        return hb.psychometric(formula, data, stimulus="speed", **given).fit()


@cache
def lapsing():
    return speed(guess="lapse", lapse="estimate")


@cache
def small(**options):
    data = observers(lapse=0.02)
    given = {"guess": 0.0, "lapse": 0.02, "n": "n"} | options
    return hb.psychometric("k ~ x + (x | subject)", data, stimulus="x", **given).fit()


@pytest.mark.parametrize("name", ["pse", "jnd"])
def test_without_lapses_estimates_and_errors_are_those_of_lme4(name):
    fit = speed(link="logit")
    assert abs(fit.loglik - LME4_LOGLIK) < 1e-5
    table = getattr(fit, name)(groups="none")
    estimates, errors = LME4[name]
    assert np.allclose(table["estimate"], estimates, rtol=2e-6)
    assert np.allclose(table["std_error"], errors, rtol=2e-5)
    half = 1.959964 * table["std_error"]
    assert np.allclose(table["upper"] - table["estimate"], half, rtol=1e-6)


@pytest.mark.parametrize(("guess", "lapse"), [(0.0, 0.03), (0.5, 0.02)])
def test_single_observers_have_the_maximum_found_independently(guess, lapse):
    data = observers(guess=guess, lapse=lapse, levels=3, trials=60)
    model = hb.psychometric("k ~ subject * x", data, stimulus="x", guess=guess, lapse=lapse, n="n")
    fit = model.fit()
    pse, jnd = fit.pse().set_index("condition"), fit.jnd().set_index("condition")
    for name, own in data.groupby("subject"):
        x, k, n = (own[c].to_numpy(float) for c in ("x", "k", "n"))

        def cost(at, x=x, k=k, n=n):
            psi = guess + (1 - guess - lapse) * ndtr((x - at[0]) / at[1])
            return -(k * np.log(psi) + (n - k) * np.log1p(-psi)).sum()

        tight = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 9999}
        found = minimize(cost, [0.0, 1.0], method="Nelder-Mead", options=tight).x
        assert np.isclose(pse.loc[name, "estimate"], found[0], rtol=0, atol=1e-6)
        assert np.isclose(jnd.loc[name, "estimate"], ndtri(0.75) * found[1], rtol=1e-5)


def test_profile_limits_are_those_of_a_search_over_the_other_parameter():
    data = observers(levels=1, lapse=0.0)
    fit = hb.psychometric("k ~ x", data, stimulus="x", guess=0.0, n="n").fit()
    x, k, n = (data[c].to_numpy(float) for c in ("x", "k", "n"))

    def deviance(pse, slope):
        p = ndtr(slope * (x - pse))
        return -2 * (k * np.log(p) + (n - k) * np.log1p(-p)).sum()

    table = fit.pse(method="profile").iloc[0]
    best = deviance(table["estimate"], fit.fixef()["x"])

    def rise(pse):
        found = minimize(lambda s: deviance(pse, s[0]), [1.0], method="Nelder-Mead")
        return np.sqrt(max(found.fun - best, 0)) - ndtri(0.975)

    for name, far in (("lower", -1.0), ("upper", 1.0)):
        limit = brentq(rise, table["estimate"] + 0.01 * far, table["estimate"] + far, xtol=1e-6)
        assert np.isclose(table[name], limit, atol=1e-4)
    slopes = fit.slope(method="profile").iloc[0]
    jnds = fit.jnd(method="profile").iloc[0]
    assert np.allclose(ndtri(0.75) / slopes[["upper", "lower"]].to_numpy(float),
                       jnds[["lower", "upper"]].to_numpy(float), rtol=1e-4)  # fmt: skip


def test_profile_limits_of_rows_that_are_alike_are_where_their_deviance_rises_by_the_quantile():
    data = observers(levels=2, slope=0.0, trials=4)  # all other rows are the same for both levels
    fit = hb.psychometric("k ~ x", data, stimulus="x", guess=0.0, n="n").fit()
    x, k, n = (data[c].to_numpy(float) for c in ("x", "k", "n"))

    def deviance(a, b):
        p = ndtr(a + b * x)
        return -2 * (k * np.log(p) + (n - k) * np.log1p(-p)).sum()

    best = deviance(*fit.fixef())
    table = fit.slope(method="profile").iloc[0]
    for limit in table[["lower", "upper"]]:
        held = minimize_scalar(lambda a, b=limit: deviance(a, b), (0.0, 1.0), tol=1e-10)
        assert np.isclose(np.sqrt(held.fun - best), ndtri(0.975), rtol=0, atol=1e-6)
    assert np.isclose(fit.jnd(method="profile").iloc[0]["lower"],
                      -ndtri(0.75) / table["lower"], rtol=1e-6)  # fmt: skip


@cache
def alike():
    """A fit of observers who do not differ."""
    data = observers(levels=4)
    rng = np.random.default_rng(1)
    data = data.assign(k=rng.binomial(data["n"], ndtr(data["x"])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        return hb.psychometric("k ~ x + (x | subject)", data, stimulus="x", guess=0.0, n="n").fit()


@pytest.mark.parametrize(("name", "is_singular"), [("pse", False), ("jnd", False), ("jnd", True)])
def test_at_profile_limits_a_careful_search_has_risen_by_the_quantile(name, is_singular):
    fit = alike() if is_singular else small(lapse="estimate")
    assert fit.is_singular == is_singular
    limits = getattr(fit, name)(method="profile").iloc[0][["lower", "upper"]].to_numpy(float)
    for v in limits:
        # a location has a + v s = 0, a distance s = u / v
        r, eta = (np.array([1.0, v]), 0.0) if name == "pse" else (np.eye(2)[1], ndtri(0.75) / v)
        value = held_quantity._careful(fit, r, eta, [optimum_of(fit).x])
        assert np.isclose(np.sqrt(value - fit.criterion), ndtri(0.975), rtol=0, atol=1e-5)


def test_fieller_limits_are_where_the_ratio_is_just_not_rejected():
    fit = lapsing()
    table = fit.pse(groups="none", method="fieller")
    V, beta = fit.vcov().to_numpy(), fit.fixef().to_numpy()
    for row, extra in zip(table.itertuples(), (0.0, 1.0), strict=True):
        for v in (row.lower, row.upper):
            line = np.array([1.0, v, extra, extra * v])
            assert np.isclose(abs(line @ beta), 1.959964 * np.sqrt(line @ V @ line), rtol=1e-6)


def test_limits_are_infinite_where_the_slope_may_be_zero():
    data = observers(levels=2, slope=0.0, trials=4)
    model = hb.psychometric("k ~ x", data, stimulus="x", guess=0.0, n="n")
    fit = model.fit()
    for method in ("fieller", "profile"):
        table = fit.pse(method=method)
        assert np.isneginf(table["lower"]).all()
        assert np.isposinf(table["upper"]).all()
        distance = fit.jnd(method=method)
        assert np.isposinf(distance["upper"]).all()
        assert (distance["lower"] > 0).all()
        assert (distance["lower"] < distance["estimate"]).all()


@pytest.mark.parametrize("name", QUANTITIES)
@pytest.mark.parametrize("of", ["core", "curve"])
@pytest.mark.parametrize("level", ["population", "s2"])
def test_errors_are_those_of_gradients_by_differences(name, of, level):
    """With the modes found anew at each shifted parameter."""
    from hierbayes.likelihood.generalised import generalised_fit
    from hierbayes.likelihood.glmm import glmm_at

    fit = small(lapse="estimate")
    p, d = fit.beta.size, 1
    at = np.concatenate([fit.beta, [fit.dispersion["lapse"]]])

    def value(parameters, b=None):
        found = glmm_at(
            fit.spec, 1, beta=parameters[:p], theta=fit.theta, dispersion={"lapse": parameters[p]}
        )
        other = generalised_fit(fit.spec, found, n_quadrature=1)
        if b is not None:
            vars(other)["modes"] = (b,)
        table = getattr(other, name)(of=of).set_index("level")
        return table.loc[level, "estimate"]

    def slopes(f, x, h):
        moves = h * np.eye(x.size)
        return np.array([(f(x + m) - f(x - m)) / (2 * h) for m in moves])

    whole = slopes(value, at, 1e-4)
    keep = np.r_[0:p, fit.optimum.vcov.shape[0] - d : fit.optimum.vcov.shape[0]]
    variance = whole @ fit.optimum.vcov[np.ix_(keep, keep)] @ whole
    if level != "population":
        j = list(fit.ranef()["subject"].index).index(level)

        def of_effects(effects):
            b = fit.modes[0].copy()
            b[j] = effects
            return value(at, b)

        own = slopes(of_effects, fit.modes[0][j].copy(), 1e-5)
        variance += own @ fit.mode_covariances[0][j] @ own
    table = getattr(fit, name)(of=of).set_index("level")
    assert np.isclose(table.loc[level, "std_error"], np.sqrt(variance), rtol=1e-4)


@pytest.mark.parametrize("method", ["delta", "fieller", "profile"])
@pytest.mark.parametrize("name", QUANTITIES)
def test_another_unit_of_the_stimulus_changes_nothing_else(method, name):
    if (method, name) == ("fieller", "slope"):
        return
    scale, origin = -7.0, 40.0  # the function falls in the new unit
    data = observers(lapse=0.02).assign(t=lambda d: origin + scale * d["x"])
    options = {"guess": 0.0, "lapse": 0.02, "n": "n"}
    fit = small()
    other = hb.psychometric("k ~ t + (t | subject)", data, stimulus="t", **options).fit()
    asked = {"method": method, "groups": "none"}
    one, two = (getattr(f, name)(**asked).iloc[0] for f in (fit, other))
    columns = ["estimate", "lower", "upper"]
    flipped = ["estimate", "upper", "lower"]
    if name == "pse":
        expected = origin + scale * one[flipped].to_numpy(float)
    elif name == "slope":
        expected = one[flipped].to_numpy(float) / scale
    else:
        expected = abs(scale) * one[columns].to_numpy(float)
    assert np.allclose(two[columns].to_numpy(float), expected, rtol=3e-4)


def test_on_a_logarithmic_scale_distances_are_ratios():
    data = observers(lapse=0.02).assign(t=lambda d: np.exp(d["x"]))
    options = {"guess": 0.0, "lapse": 0.02, "n": "n"}
    fit = small()
    other = hb.psychometric("k ~ log(t) + (log(t) | subject)", data, stimulus="t", **options).fit()
    tens = hb.psychometric(
        "k ~ log10(t) + (log10(t) | subject)", data, stimulus="t", **options
    ).fit()
    for name in ("pse", "jnd", "width"):
        one = getattr(fit, name)()
        for two in (getattr(other, name)(), getattr(tens, name)()):
            for column in ("estimate", "lower", "upper"):
                assert np.allclose(two[column], np.exp(one[column]), rtol=1e-5)
            assert np.allclose(two["std_error"], two["estimate"] * one["std_error"], rtol=1e-4)
    assert np.allclose(fit.slope()["estimate"], other.slope()["estimate"], rtol=1e-5)


def test_definitions_under_guess_and_lapse():
    guess, lapse = 0.5, 0.04
    data = observers(guess=guess, lapse=lapse, levels=12, trials=80)
    given = {"guess": guess, "lapse": lapse, "n": "n"}
    fit = hb.psychometric("k ~ x + (x | subject)", data, stimulus="x", **given).fit()
    a, s = fit.fixef()
    one = {"groups": "none"}

    def psi(x):
        return guess + (1 - guess - lapse) * ndtr(a + s * x)

    assert np.isclose(psi(fit.pse(**one)["estimate"][0]), guess + (1 - guess - lapse) / 2)
    assert np.isclose(psi(fit.threshold(0.75, **one)["estimate"][0]), 0.75)
    core = fit.threshold(0.75, of="core", **one)["estimate"][0]
    assert np.isclose(ndtr(a + s * core), 0.75)
    assert np.isclose(fit.jnd(**one)["estimate"][0], ndtri(0.75) / s)
    assert np.isclose(fit.width(0.9, **one)["estimate"][0], 2 * ndtri(0.95) / s)
    assert np.isclose(fit.slope(**one)["estimate"][0], s)
    at = fit.pse(**one)["estimate"][0]
    steep = (psi(at + 1e-5) - psi(at - 1e-5)) / 2e-5
    assert np.isclose(fit.slope(of="curve", **one)["estimate"][0], steep, rtol=1e-6)
    with pytest.raises(OptionError, match=r"a curve between 0\.5 \(guess\) and 0\.96"):
        fit.pse(of="curve")


def test_levels_have_their_own_lines_and_conditions_their_differences():
    fit = lapsing()
    table = fit.pse().set_index(["level", "condition"])["estimate"]
    coef = fit.coef()["subject"].loc["S03"]
    a = coef["(Intercept)"] + coef["vibration32 Hz"]
    s = coef["speed"] + coef["speed:vibration32 Hz"]
    assert np.isclose(table["S03", "32 Hz"], -a / s)
    differences = fit.pse(differences=True).set_index("level")
    assert (differences["condition"] == "32 Hz - none").all()
    assert np.isclose(
        differences.loc["S03", "estimate"], table["S03", "32 Hz"] - table["S03", "none"]
    )
    assert list(dict.fromkeys(table.index.get_level_values(0)))[:2] == ["population", "S01"]


def test_levels_have_the_conditions_they_were_seen_in():
    data = observers(levels=12, trials=60)
    model = hb.psychometric("k ~ x * half + (x | subject)", data, stimulus="x", guess=0.0, n="n")
    table = model.fit().pse().set_index("level")
    assert table.loc["population", "condition"].tolist() == ["even", "odd"]
    assert table.loc["s2", "condition"] == "odd"


def test_other_numbers_stand_at_their_mean():
    data = observers(levels=9, trials=60).assign(
        age=lambda d: d["subject"].str[1:].astype(float) ** 2
    )
    formula = "k ~ x + age + (x | subject)"
    fit = hb.psychometric(formula, data, stimulus="x", guess=0.0, n="n").fit()
    a, s, by_age = fit.fixef()
    table = fit.pse(groups="none")
    assert np.isclose(table["estimate"][0], -(a + by_age * data["age"].mean()) / s)
    assert "age at its mean" in str(table)


def test_numbered_subjects_and_plain_binary_responses_are_read():
    rows = observers(levels=5, trials=12)
    each = rows.loc[rows.index.repeat(12)].reset_index(drop=True)
    each["yes"] = (each.groupby(["subject", "x"]).cumcount() < each["k"]).astype(int)
    each["subject"] = each["subject"].str[1:].astype(int)
    one = hb.psychometric("yes ~ x + (x | subject)", each, stimulus="x", guess=0.0).fit().pse()
    two = hb.psychometric("k ~ x + (x | subject)", rows, stimulus="x", guess=0.0, n=12).fit().pse()
    assert one["level"].tolist() == ["population", "1", "2", "3", "4", "5"]
    for column in ("estimate", "std_error"):
        assert np.allclose(one[column], two[column], rtol=1e-4)


def test_the_bootstrap_finds_about_what_the_delta_method_does_and_repeats_itself():
    options = {"stimulus": "x", "guess": 0.0, "n": "n"}
    with warnings.catch_warnings():  # slopes vary too, which costs a bootstrap more
        warnings.simplefilter("ignore", hb.DesignWarning)
        fit, twin = (
            hb.psychometric("k ~ x + (1 | subject)", observers(trials=8), **options).fit()
            for _ in range(2)
        )
    own, other = (np.random.default_rng(1) for _ in range(2))
    for seeds in ((1, 1), (own, other), (own, other)):  # anew, as kept, and from elsewhere
        table, again = (
            f.pse(method="bootstrap", nsim=20, random_seed=seed)
            for f, seed in zip((fit, twin), seeds, strict=True)
        )
        pd.testing.assert_frame_equal(pd.DataFrame(table), pd.DataFrame(again))
        twin.pse(method="bootstrap", nsim=2, random_seed=3)  # no longer the ones that are kept
    table = fit.pse(method="bootstrap", nsim=20, random_seed=1)
    delta = fit.pse()
    ratio = table["std_error"] / delta["std_error"]
    assert ratio.between(0.5, 1.8).all()
    assert (table["lower"] < table["upper"]).all()
    assert np.allclose(table["estimate"], delta["estimate"])


def test_with_a_rate_at_zero_the_errors_are_those_with_the_rate_given():
    data = observers(seed=ZERO_SEED, lapse=0.0)
    options = {"stimulus": "x", "guess": 0.0, "n": "n"}
    known = hb.psychometric("k ~ x + (x | subject)", data, **options).fit()
    with pytest.warns(hb.DesignWarning, match="lapse rate is estimated as zero"):
        fit = hb.psychometric("k ~ x + (x | subject)", data, lapse="estimate", **options).fit()
    for name in ("pse", "jnd"):
        one, two = (getattr(f, name)() for f in (known, fit))
        assert np.allclose(one["estimate"], two["estimate"], atol=1e-4)
        assert np.allclose(one["std_error"], two["std_error"], rtol=1e-3)


@pytest.mark.parametrize(
    ("ask", "error", "said"),
    [
        (lambda f: f.pse(method="wald"), OptionError, "'delta', 'fieller'"),
        (lambda f: f.pse(method="posterior"), OptionError, r"model\.sample\(\) has"),
        (lambda f: f.pse(groups="subject"), OptionError, "'all', 'none'"),
        (lambda f: f.pse(groups="all", method="profile"), NotSupportedError, "groups='none'"),
        (lambda f: f.pse(differences=1), OptionError, "True or False"),
        (lambda f: f.pse(differences=True, method="fieller"), NotSupportedError, "'bootstrap'"),
        (lambda f: f.slope(method="fieller"), OptionError, "is for ratios"),
        (lambda f: f.pse(method="profile", of="curve"), NotSupportedError, "of='core'"),
        (lambda f: f.pse(of="whole"), OptionError, "'core', 'curve'"),
        (lambda f: f.threshold(75), OptionError, "between 0 and 1"),
        (lambda f: f.width(0), OptionError, "between 0 and 1"),
        (lambda f: f.pse(level=95), OptionError, "level"),
        (lambda f: f.pse(method="bootstrap", nsim=0), OptionError, "nsim"),
        (lambda f: f.threshold(), OptionError, r"fit\.threshold"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(ask, error, said):
    with pytest.raises(error, match=said):
        ask(lapsing())


def test_differences_need_conditions():
    with pytest.raises(OptionError, match="compares conditions"):
        small().pse(differences=True)


def test_levels_of_several_factors_are_refused_and_the_population_given():
    data = observers(levels=8)
    data["day"] = np.tile(["mon", "tue", "wed", "thu"], data.shape[0])[: data.shape[0]]
    formula = "k ~ x + (x | subject) + (1 | day)"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        fit = hb.psychometric(formula, data, stimulus="x", guess=0.0, n="n").fit()
    assert fit.pse()["level"].tolist() == ["population"]
    with pytest.raises(NotSupportedError, match="one grouping factor"):
        fit.pse(groups="all")


def test_lines_are_read_off_any_straight_spelling_of_the_stimulus():
    data = observers().assign(pos=lambda d: np.exp(d["x"]))
    for text, is_log in [
        ("x", False), ("I(x / 10)", False), ("scale(x)", False), ("log(pos)", True),
        ("log2(pos)", True), ("pos", False),
    ]:  # fmt: skip
        column = "pos" if "pos" in text else "x"
        model = hb.psychometric(f"k ~ {text}", data, stimulus=column, guess=0.0, n="n")
        laid = lines(model.spec)
        assert laid.is_log is is_log
        at = laid.places(data[column].to_numpy(float))
        X = model.design.X
        assert np.allclose(laid.start.fixed + at[:, None] * laid.step.fixed, X, atol=1e-9)


def test_tables_made_of_thresholds_keep_their_row_names_in_print():
    keys = ["level", "condition"]
    found = {name: speed().pse(groups="none").set_index(keys)[["estimate"]] for name in ("a", "b")}
    printed = str(pd.concat(found, axis=1)).splitlines()
    assert printed[2].split() == keys
    assert printed[3].startswith("population none")
