"""Prior and posterior densities: each integrates to one and is that of the right distribution."""

from dataclasses import replace

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.comparison.parameter_densities import parameter_densities

MASS = 0.01  # of a density, that may lie outside of the grid or be lost in smoothing


@pytest.fixture(scope="module")
def model():
    return hb.Model("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def post(model):
    return model.sample(random_seed=1)


def test_names_are_those_of_the_comparison(model, post):
    table = hb.compare(model.fit(), post).to_frame()
    assert [d.name for d in parameter_densities(post)] == list(table.index)


def test_posterior_densities_integrate_to_one(post):
    for found in parameter_densities(post):
        assert np.trapezoid(found.posterior, found.x) == pytest.approx(1, abs=MASS)
        assert found.x[0] >= found.bounds[0] and found.x[-1] <= found.bounds[1]


def test_priors_integrate_to_one_where_their_range_is_shown(post):
    for found in parameter_densities(post, view="prior"):
        assert np.trapezoid(found.prior, found.x) == pytest.approx(1, abs=0.06)  # 95 % at least


def test_a_correlation_has_the_marginal_of_its_lkj_prior():
    sleep = hb.load_dataset("sleepstudy")
    model = hb.Model(
        "Reaction ~ 1 + (Days + I(Days^2) | Subject)", sleep, priors={"cor": hb.LKJ(3)}
    )
    found = parameter_densities(model.sample(random_seed=1))
    (one, *_) = [d for d in found if d.name.startswith("cor(")]
    a = 3 + 3 / 2 - 1
    inside = np.trapezoid(np.where(np.abs(one.x) <= 0.5, one.prior, 0), one.x)
    draws = 2 * np.random.default_rng(1).beta(a, a, 200_000) - 1
    assert inside == pytest.approx(np.mean(np.abs(draws) <= 0.5), abs=0.006)
    assert np.trapezoid(one.prior, one.x) == pytest.approx(1, abs=1e-3)
    assert one.prior_text == "LKJ(3)"


@pytest.mark.parametrize(
    "priors", [None, {"Days": hb.StudentT(4, 0, 20)}], ids=["normal", "student"]
)
def test_the_intercepts_prior_is_where_predictors_are_zero(priors):
    """Alpha = beta0 + mean(Days) beta1 has the prior stated; beta0 itself has a wider one."""
    sleep = hb.load_dataset("sleepstudy")
    model = hb.Model("Reaction ~ Days + (1 | Subject)", sleep, priors=priors)
    sampled = hb.Model("Reaction ~ Days + (1 | Subject)", sleep).sample(random_seed=1)
    post = replace(sampled, spec=model.spec)  # the draws do not matter here
    (one,) = parameter_densities(post, ["(Intercept)"], view="prior")
    rng = np.random.default_rng(2)
    p = rng.random((2, 200_000))
    law, slope = post.priors.beta
    drawn = law.quantile(p[0]) - sleep.Days.mean() * slope.quantile(p[1])
    low, high = np.quantile(drawn, [0.2, 0.8])
    inside = (one.x >= low) & (one.x <= high)
    assert np.trapezoid(one.prior[inside], one.x[inside]) == pytest.approx(0.6, abs=0.02)
    assert "at the mean of the predictors" in one.prior_text


def test_a_flat_prior_has_no_density(model):
    sleep = hb.load_dataset("sleepstudy")
    flat = hb.Model("Reaction ~ Days + (Days | Subject)", sleep, priors="flat")
    found = parameter_densities(flat.sample(random_seed=1), ["(Intercept)", "Days", "sigma"])
    assert [bool(np.isfinite(d.prior).all()) for d in found] == [False, False, True]


def test_wrong_names_and_fits_are_told(model, post):
    with pytest.raises(hb.OptionError, match="did you mean 'Days'"):
        parameter_densities(post, ["days"])
    with pytest.raises(hb.OptionError, match=r"model\.sample\(\)"):
        parameter_densities(model.fit())
    with pytest.raises(hb.OptionError, match="view='both'"):
        parameter_densities(post, view="both")
