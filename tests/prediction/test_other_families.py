"""Predictions of posteriors of other families: trials of new rows, and every family's responses."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.bayes.posterior import posterior_fit
from hierbayes.families.builtin import FAMILIES
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.posterior_fit import PosteriorFit
from tests.likelihood.glmm_cases import FURTHER, table

SETTINGS = {"draws": 60, "chains": 2, "tune": 0, "sampler": "nuts"}
CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


def posterior_of(model: hb.Model, *, sd: float = 0.3, spread: float = 0.1) -> PosteriorFit:
    """A posterior with draws around zero, or around where the priors are."""
    rng, shape = np.random.default_rng(1), (2, 60)
    design, priors = model.design, model.spec.priors
    middle = np.array([float(law.quantile(0.5)) for law in priors.beta])
    family = {}
    for name in priors.family:
        value = np.asarray({**FURTHER, "b": 0.8}[name])
        family[name] = value * np.exp(0.05 * rng.standard_normal((*shape, *(1,) * value.ndim)))
    (factor,) = design.factors
    draws = PosteriorDraws(
        beta=middle + spread * rng.standard_normal((*shape, middle.size)),
        sigma=None if priors.sigma is None else 0.7 * np.ones(shape),
        sd={factor.name: np.full((*shape, 1), sd)},
        corr={},
        b={factor.name: sd * rng.standard_normal((*shape, factor.levels.size, 1))},
        family=family,
        sampler="nuts",
    )
    return posterior_fit(model.spec, draws, settings=SETTINGS, findings=())


@pytest.fixture(scope="module")
def cbpp() -> PosteriorFit:
    return posterior_of(hb.Model(CBPP, hb.load_dataset("cbpp"), family="binomial"))


@pytest.mark.parametrize("columns", [[], ["incidence"]], ids=["both", "size alone"])
def test_new_rows_have_the_trials_of_their_columns(cbpp, columns) -> None:
    new = hb.load_dataset("cbpp").drop(columns=columns)
    within = cbpp.predict(interval="prediction", random_seed=1)
    found = cbpp.predict(new, interval="prediction", random_seed=1)
    pd.testing.assert_frame_equal(found.reset_index(drop=True), within.reset_index(drop=True))
    assert "one trial" not in found.attrs["includes"]


def test_trials_are_given_or_one(cbpp) -> None:
    new = hb.load_dataset("cbpp").drop(columns=["incidence", "size"]).head(3)
    one = cbpp.predict(new, interval="prediction", random_seed=1)
    assert "one trial" in one.attrs["includes"] and set(one["upper"]) == {1.0}
    many = cbpp.predict(new, interval="prediction", trials=400, random_seed=1)
    assert (many["upper"] - many["lower"] < 0.6).all()
    counts = cbpp.predict(new, type="count", trials=[10, 20, np.nan])
    shares = cbpp.predict(new)
    np.testing.assert_allclose(counts.iloc[:2], shares.iloc[:2] * [10, 20])
    assert np.isnan(counts.iloc[2])
    with pytest.raises(hb.DataError, match="type='count' needs the number of trials"):
        cbpp.predict(new, type="count")
    with pytest.raises(hb.DataError, match=r"whole numbers; one of them is 2\.5"):
        cbpp.predict(new, interval="prediction", trials=2.5)


def test_trials_of_proportions_are_the_weights_of_new_rows() -> None:
    data = hb.load_dataset("cbpp")
    data["share"] = data["incidence"] / data["size"]
    model = hb.Model("share ~ period + (1 | herd)", data, family="binomial", weights="size")
    post = posterior_of(model)
    within = post.predict(interval="prediction", random_seed=1)
    found = post.predict(data, interval="prediction", random_seed=1)
    np.testing.assert_allclose(found["upper"], within["upper"])


def test_trials_are_of_binomial_models() -> None:
    data = table("poisson", "log")
    post = posterior_of(hb.Model("y ~ x + (1 | g)", data, family="poisson"))
    with pytest.raises(hb.OptionError, match="trials= is for binomial models"):
        post.predict(data, trials=3)
    with pytest.raises(hb.OptionError, match="type='count' is for numbers of successes"):
        post.predict(data, type="count")


SAMPLED = [f for f in FAMILIES.values() if f.name not in ("laplace", "asymmetriclaplace")]


@pytest.mark.parametrize("family", SAMPLED, ids=str)
def test_every_family_predicts_simulates_and_leaves_one_out(family) -> None:
    link = "log" if family.link.may_have_no_mean else family.link.name
    data = table(family.name, link)
    response = "cbind(y, failures)" if family.counts_trials else "y"
    data["y"] += float(family.is_ordinal)
    post = posterior_of(hb.Model(f"{response} ~ x + (1 | g)", data, family=family.name, link=link))
    mean = post.predict(data)
    np.testing.assert_allclose(mean, post.fitted())
    drawn = post.to_datatree("posterior_predictive", random_seed=1)["posterior_predictive"]
    y = drawn.dataset.to_dataarray().to_numpy()[0].reshape(120, -1)
    trials = (data["y"] + data["failures"]).to_numpy() if family.counts_trials else 1.0
    if family.name != "vonmises":  # whose mean is a direction
        error = y.std(axis=0) / np.sqrt(120) / trials
        assert (np.abs(y.mean(axis=0) / trials - mean) < 6 * error + 1e-6).mean() > 0.9
    limits = post.predict(data, interval="prediction", random_seed=1)
    assert (limits["lower"] <= limits["upper"]).all()
    assert post.simulate(2, random_seed=1).notna().all().all()
    assert np.isfinite(hb.loo(post).elpd)


def test_means_that_cannot_be_are_one_sentence() -> None:
    data = table("gamma", "inverse")
    model = hb.Model("y ~ x + (1 | g)", data, family="gamma", link="inverse")
    post = posterior_of(model, sd=2.0)
    new = data.head(2).assign(g="new")
    words = r"% of the draws of these rows have no response of family='gamma'.*link='log' has means"
    for interval in (None, "confidence", "prediction"):
        with pytest.raises(hb.DataError, match=words) as caught:
            post.predict(new, new_levels="sample", interval=interval, random_seed=1)
        assert len(str(caught.value).splitlines()) == 1
