"""What default priors say before data: responses that could be some."""

import warnings

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.families.builtin import FAMILIES
from tests.likelihood.glmm_cases import table

DRAWS = 400


def drawn_of(model: hb.Model) -> np.ndarray:
    """Prior predictive responses (draws, rows)."""
    tree = model.prior_predictive(DRAWS, random_seed=1)
    return tree["prior_predictive"].dataset.to_dataarray().to_numpy()[0, 0]


def test_ticks_are_counted_in_numbers_that_exist() -> None:
    data = hb.load_dataset("grouseticks")
    model = hb.Model(
        "TICKS ~ cHEIGHT + YEAR + (1 | BROOD) + (1 | LOCATION)", data, family="poisson"
    )
    y = drawn_of(model)  # with the former priors "lam value too large"
    assert not np.isnan(y).any()
    mean = data["TICKS"].mean()
    assert mean / 20 < np.median(y) < mean * 3
    assert (y > 1e6).mean() < 0.01
    assert np.median(y.max(axis=1)) < 1e5  # the largest of 403 counts, 85 in the data


LOGS = [
    family
    for family in FAMILIES.values()
    if "log" in family.link_names
    and family.is_smooth
    and not (family.is_log_response or family.reads_categories)
]


@pytest.mark.parametrize("family", LOGS, ids=str)
def test_a_log_link_keeps_the_size_of_the_response(family) -> None:
    data = table(family.name, "log")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.DesignWarning)
        y = drawn_of(hb.Model("y ~ x + (1 | g)", data, family=family.name, link="log"))
    assert np.isnan(y).mean() < 0.01
    size = np.abs(data["y"]).mean()
    middle = np.nanmedian(np.nanmean(np.abs(y), axis=1))
    assert size / 10 < middle < size * 10
    assert (np.abs(y) > 1e4 * size).mean() < 0.02


@pytest.mark.parametrize("family", ["lognormal", "hurdle_lognormal", "t", "exgaussian"])
def test_units_of_the_response_are_those_of_its_draws(family: str) -> None:
    data = table(family, "identity")
    y = drawn_of(hb.Model("y ~ x + (1 | g)", data, family=family))
    size = np.abs(data["y"]).mean()
    assert not np.isnan(y).any()
    assert size / 30 < np.median(np.mean(np.abs(y), axis=1)) < size * 30


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
@pytest.mark.parametrize("family", ["cumulative", "sratio"])
def test_no_category_is_left_out(family: str, link: str) -> None:
    data = table(family, link)
    y = drawn_of(hb.Model("I(y + 1) ~ x + (1 | g)", data, family=family, link=link))
    shares = np.array([(y == k).mean() for k in (1, 2, 3, 4)])
    assert shares.min() > 0.04 and shares.max() < 0.6


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_probabilities_are_spread_over_their_range(link: str) -> None:
    data = table("binomial", link)
    model = hb.Model("cbind(y, failures) ~ x + (1 | g)", data, family="binomial", link=link)
    trials = (data["y"] + data["failures"]).to_numpy()
    shares = drawn_of(model) / trials
    for low, high in ((-1, 0.2), (0.2, 0.8), (0.8, 2)):
        assert ((shares > low) & (shares <= high)).mean() > 0.15


def test_a_shape_that_leaves_no_response_is_named() -> None:
    data = table("weibull", "log")
    with pytest.warns(hb.DesignWarning, match="mostly by the prior of alpha: HalfCauchy"):
        drawn_of(hb.Model("y ~ x + (1 | g)", data, family="weibull"))


def test_responses_that_cannot_be_are_counted_and_the_prior_is_named() -> None:
    data = table("gamma", "log")
    with pytest.warns(hb.DesignWarning, match=r"% of the responses .*'gamma'.* by the prior of sd"):
        model = hb.Model("y ~ x + (1 | g)", data, family="gamma", link="inverse")
        y = drawn_of(model)
    assert 0 < np.isnan(y).mean() < 0.7
    assert (y[~np.isnan(y)] >= 0).all()  # what is below all numbers is zero


@pytest.mark.parametrize("family", ["poisson", "negativebinomial", "beta", "hurdle_poisson"])
def test_priors_beyond_all_numbers_stop_nothing(family: str) -> None:
    data = table(family, FAMILIES[family].link.name)
    wide = {"x": hb.Normal(0, 80)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.DesignWarning)
        y = drawn_of(hb.Model("y ~ x + (1 | g)", data, family=family, priors=wide))
    assert np.isfinite(y).mean() > 0.3


def test_draws_from_the_prior_beside_a_posterior_are_those_too() -> None:
    data = pd.DataFrame({"y": np.arange(24) % 5, "g": np.arange(24) % 4, "x": np.arange(24.0)})
    priors = {"x": hb.Normal(0, 20)}
    model = hb.Model("y ~ x + (1 | g)", data, family="poisson", priors=priors)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        post = model.sample(draws=120, chains=2, random_seed=1)
    with pytest.warns(hb.DesignWarning, match="mostly by the prior of x: Normal"):
        drawn = post.to_datatree("prior", random_seed=1)["prior_predictive"]["y"]
    assert np.isnan(drawn.to_numpy()).any()
