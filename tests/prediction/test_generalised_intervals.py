"""Intervals of new responses of generalised fits: closed forms, coverage, words."""

import numpy as np
import pytest
from scipy import stats

import hierbayes as hb

pytestmark = pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


@pytest.fixture(scope="module")
def cbpp():
    return hb.load_dataset("cbpp")


@pytest.fixture(scope="module")
def fit(cbpp):
    return hb.glmer(CBPP, cbpp)


def test_with_much_data_it_is_the_interval_of_the_family():
    rng = np.random.default_rng(1)
    data = {"y": rng.poisson(6.0, 20_000)}
    fit = hb.glmer("y ~ 1", data, "poisson")
    one = {"y": [6]}
    found = fit.predict(one, interval="prediction", random_seed=1).iloc[0]
    assert [found["lower"], found["upper"]] == stats.poisson(6.0).ppf([0.025, 0.975]).tolist()
    assert found["se"] == pytest.approx(np.sqrt(6.0), rel=0.05)


def test_of_a_normal_response_it_is_the_sum_of_both_variances():
    sleep = hb.load_dataset("sleepstudy")
    fit = hb.glmer("Reaction ~ Days", sleep, "gaussian", "log")
    both = [fit.predict(interval=kind, random_seed=1) for kind in ("prediction", "confidence")]
    sd = np.hypot(fit.sigma, both[1]["se"])
    np.testing.assert_allclose(both[0]["se"], sd, rtol=0.05)
    np.testing.assert_allclose(
        both[0]["upper"], both[1]["prediction"] + 1.96 * sd, atol=0.25 * fit.sigma
    )


def test_new_responses_of_the_same_groups_are_inside_as_often_as_said(fit):
    limits = fit.predict(interval="prediction", level=0.8, random_seed=1, type="count")
    eta, sd = fit.linear_predictor, fit.predict(interval="confidence", type="link")["se"]
    rng = np.random.default_rng(2)
    p = 1 / (1 + np.exp(-(eta + sd.to_numpy() * rng.standard_normal((2000, eta.size)))))
    y = rng.binomial(fit.row_parameters["trials"].astype(int), p)
    inside = (y >= limits["lower"].to_numpy()) & (y <= limits["upper"].to_numpy())
    below = (y < limits["lower"].to_numpy()).mean(axis=0)
    assert (below <= 0.1 + 0.03).all() and (inside.mean(axis=0) >= 0.8 - 0.04).all()


def test_counts_are_shares_times_trials_and_one_trial_is_said(fit, cbpp):
    shares = fit.predict(interval="prediction", random_seed=3)
    counts = fit.predict(interval="prediction", random_seed=3, type="count")
    np.testing.assert_allclose(counts["upper"], shares["upper"] * cbpp["size"].to_numpy())
    assert (counts["lower"] % 1 == 0).all()
    np.testing.assert_allclose(fit.predict(type="count"), fit.predict() * cbpp["size"])
    new = {"period": ["1"], "herd": ["1"]}
    assert "of one trial" in fit.predict(new, interval="prediction").attrs["includes"]
    many = new | {"incidence": [0], "size": [50]}
    table = fit.predict(many, interval="prediction", type="count", random_seed=1)
    assert 3 < table["lower"].iloc[0] < table["prediction"].iloc[0] < table["upper"].iloc[0] < 35


def test_a_level_that_was_not_fitted_has_the_spread_of_such_levels(fit):
    new = {"period": ["1", "1"], "herd": ["4", "another"], "incidence": [0, 0], "size": [500, 500]}
    options = {"new_levels": "population", "type": "count", "random_seed": 1}
    table = fit.predict(new, interval="prediction", **options)
    width = table["upper"] - table["lower"]
    assert width[1] > 1.3 * width[0]
    assert "the spread of new levels of herd" in table.attrs["includes"]
    assert fit.predict(new, interval="confidence", **options).attrs["kind"] == "normal"


def test_the_same_seed_gives_the_same_limits_and_the_text_says_what_they_are(fit):
    one, two = (fit.predict(interval="prediction", random_seed=5) for _ in range(2))
    assert one.equals(two) and one.attrs["kind"] == "simulated"
    assert "prediction interval of a new response (quantiles of responses drawn)" in str(one)


def test_there_is_no_new_response_on_the_scale_of_the_link(fit):
    with pytest.raises(hb.OptionError, match="no link scale"):
        fit.predict(interval="prediction", type="link")
