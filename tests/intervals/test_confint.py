"""Intervals under lme4's names: Wald limits of lme4, what a table says of itself, bad input."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from tests.intervals.quiet import quiet_lmer
from tests.intervals.test_profile import REFERENCES, SLEEP
from tests.reference_fits import load_fit, load_reference

# the profile's limits as lme4 prints them with two decimals, with our estimates beside
PRINTED = """\
REML estimates, ML limits     estimate   lower   upper
sd_(Intercept)|Subject           24.74   14.38   37.72
cor_Days.(Intercept)|Subject      0.07   -0.48    0.69
sd_Days|Subject                   5.92    3.80    8.75
sigma                            25.59   22.90   28.86
(Intercept)                     251.41  237.68  265.13
Days                             10.47    7.36   13.58"""


@pytest.fixture(scope="module")
def sleep():
    return quiet_lmer(SLEEP, hb.load_dataset("sleepstudy"))


@pytest.mark.parametrize("case", REFERENCES)
def test_wald_limits_are_those_of_lme4(case):
    reference = load_fit(case)
    expected = load_reference(f"ci/ci_{case}")["Wald"]
    fit = quiet_lmer(reference.formula, reference.data, reml=reference.reml, **reference.options)
    found = hb.confint(fit, method="wald")
    assert found.index.tolist() == expected["names"]
    limits = np.array(expected["values"], dtype=float)
    width = limits[:, 1] - limits[:, 0]
    error = np.abs(found[["lower", "upper"]].to_numpy() - limits) / width[:, None]
    assert np.isnan(limits).any()
    np.testing.assert_array_equal(np.isnan(found["lower"]), np.isnan(limits[:, 0]))
    assert np.nanmax(error) < 1e-4  # of standard errors, the tolerance of the fits themselves


def test_wald_is_the_default_and_says_why_sds_have_none(sleep):
    found = hb.confint(sleep)
    pd.testing.assert_frame_equal(found, hb.confint(sleep, "wald"))
    assert found.attrs["method"] == "wald"
    missing = found.index[found["lower"].isna()].tolist()
    assert missing == list(found.attrs["reasons"])
    assert 'method="profile"' in found.attrs["reasons"]["sigma"]


def test_the_table_prints_as_on_a_slide(sleep):
    assert str(hb.confint(sleep, method="profile").round(2)) == PRINTED


def test_ml_limits_beside_reml_estimates_say_so_where_they_are_printed():
    """Six batches: REML's sd of the batches is outside of the middle of the ML limits."""
    data = hb.load_dataset("Dyestuff")
    reml, ml = (quiet_lmer("Yield ~ 1 + (1 | Batch)", data, reml=reml) for reml in (True, False))
    table = hb.confint(reml, method="profile")
    for printed in (table, table.round(1), table.loc[["sigma"]], table.to_html()):
        assert "REML estimates, ML limits" in str(printed)
    assert table.columns.tolist() == ["estimate", "lower", "upper"]
    np.testing.assert_allclose(
        table[["lower", "upper"]], hb.confint(ml, method="profile")[["lower", "upper"]], rtol=1e-5
    )
    for other in (hb.confint(ml, method="profile"), hb.confint(reml)):
        assert "REML" not in str(other)


def test_a_profile_has_the_estimates_of_the_fit_and_the_limits_of_the_likelihood(sleep):
    found = hb.confint(sleep, "profile", 0.9)
    profile = hb.profile(sleep, level=0.9)
    np.testing.assert_allclose(found[["lower", "upper"]], profile.limits, rtol=1e-6)
    assert found.loc["sigma", "estimate"] == sleep.sigma
    assert found.loc["sd_Days|Subject", "estimate"] == sleep.varcorr().terms[0].sd[1]
    assert found.attrs["level"] == 0.9
    assert "fitted again by ML" in found.attrs["details"]


def test_the_bootstrap_is_that_of_hb_bootstrap(sleep):
    found = hb.confint(sleep, method="bootstrap", nsim=200, random_seed=3, interval="basic")
    expected = hb.bootstrap(sleep, nsim=200, random_seed=3).confint(0.95, "basic")
    np.testing.assert_array_equal(found, expected)
    assert found.index.tolist() == expected.index.tolist()
    assert "basic limits of 200 parametric replicates" in found.attrs["details"]


@pytest.mark.parametrize("method", ["wald", "profile", "bootstrap"])
def test_chosen_parameters_are_rows_of_the_whole(sleep, method):
    options = {"nsim": 50, "random_seed": 1} if method == "bootstrap" else {}
    whole = hb.confint(sleep, method, **options)
    chosen = hb.confint(sleep, method, parameters=["Days", "sigma"], **options)
    assert chosen.index.tolist() == ["sigma", "Days"]  # lme4's order
    pd.testing.assert_frame_equal(chosen, whole.loc[["sigma", "Days"]], rtol=1e-5)


@pytest.mark.parametrize("method", ["wald", "profile", "bootstrap"])
def test_higher_levels_contain_lower_ones(sleep, method):
    options = {"nsim": 100, "random_seed": 1} if method == "bootstrap" else {}
    narrow, wide = (hb.confint(sleep, method, level, **options) for level in (0.5, 0.99))
    known = narrow["lower"].notna()
    assert (wide["lower"] < narrow["lower"])[known].all()
    assert (wide["upper"] > narrow["upper"])[known].all()


@pytest.mark.parametrize("method", ["wald", "profile", "bootstrap"])
def test_a_singular_fit_has_intervals(method):
    fit = quiet_lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff2"))
    options = {"nsim": 100, "random_seed": 1} if method == "bootstrap" else {}
    found = hb.confint(fit, method, **options)
    sd = found.loc["sd_(Intercept)|Batch"]
    assert sd["estimate"] == 0
    if method != "wald":
        assert sd["lower"] == 0
        assert sd["upper"] > 0
    assert np.isfinite(found.loc["(Intercept)"]).all()


def test_a_corrected_bootstrap_that_does_not_exist_says_so():
    fit = quiet_lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff2"))
    found = hb.confint(fit, "bootstrap", nsim=100, random_seed=1, interval="bca")
    assert np.isnan(found.loc["sd_(Intercept)|Batch", "lower"])
    assert "end of its range" in found.attrs["reasons"]["sd_(Intercept)|Batch"]


def test_a_posterior_gives_credible_intervals_under_the_same_names():
    model = hb.Model(SLEEP, hb.load_dataset("sleepstudy"))
    posterior = model.sample(draws=200, random_seed=1)
    found = hb.confint(posterior, level=0.9)
    assert found.index.tolist() == hb.confint(model.fit("reml")).index.tolist()
    draws = posterior.draws
    expected = np.quantile(draws.corr["Subject"][:, :, 1, 0], [0.05, 0.95])
    assert found.loc["cor_Days.(Intercept)|Subject", ["lower", "upper"]].tolist() == pytest.approx(
        expected.tolist()
    )
    days = posterior.tidy("fixed", level=0.9).set_index("term")
    np.testing.assert_allclose(
        found.loc[["(Intercept)", "Days"]], days[["estimate", "conf_low", "conf_high"]]
    )
    assert "credible" in found.attrs["details"]
    assert hb.confint(posterior, parameters="beta_").index.tolist() == ["(Intercept)", "Days"]
    with pytest.raises(hb.OptionError, match="come from its draws; leave method out"):
        hb.confint(posterior, "profile")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "boot"}, r"method='boot' is not one of 'wald', 'profile', 'bootstrap'"),
        ({"method": "Profile"}, "did you mean 'profile'"),
        ({"level": 95}, "level=95 must be a number between 0 and 1"),
        ({"level": 1.0}, "between 0 and 1"),
        ({"kind": "wild"}, "kind='wild' is not one of 'parametric', 'residual', 'cases'"),
        ({"interval": "normal"}, "interval='normal' is not one of"),
        ({"parameters": "Dayz"}, "'Dayz' is not one of .*; did you mean 'Days'"),
        ({"method": "bootstrap", "nsim": 0}, "nsim=0"),
    ],
)
def test_wrong_options_are_named(sleep, options, message):
    with pytest.raises(hb.OptionError, match=message):
        hb.confint(sleep, **options)


def test_only_a_fit_has_intervals():
    with pytest.raises(hb.OptionError, match=r"needs a REML or ML fit, .*, not float"):
        hb.confint(3.5)
