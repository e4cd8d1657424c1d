"""REML beside a posterior where residuals are correlated or of unequal variance."""

from functools import lru_cache

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.comparison.parameter_densities import compared_densities


@lru_cache
def both():
    model = hb.Model(
        "distance ~ age + (1 | Subject)", hb.load_dataset("Orthodont"),
        residual="car1(age | Subject)", sigma="~ Sex",
    )  # fmt: skip
    return model.fit(), model.sample(draws=200, random_seed=1)


def test_strata_and_correlations_stand_side_by_side() -> None:
    fit, post = both()
    frame = hb.compare(fit, post).to_frame()
    names = ["sigma", "sd(SexFemale|Residual)", "cor_car1|Subject"]
    assert frame.index[-3:].tolist() == names
    ratio = np.exp(fit.residual_values[0])
    expected = [fit.sigma, fit.sigma * ratio, fit.residual_values[1]]
    np.testing.assert_allclose(frame["reml_estimate"].iloc[-3:].astype(float), expected)
    own = post.residual_draws
    sigma = np.exp(own["sigma_(Intercept)"])
    draws = [sigma, sigma * np.exp(own["sigma_SexFemale"]), own["cor_car1|Subject"]]
    np.testing.assert_allclose(
        frame["posterior_mean"].iloc[-3:].astype(float), [x.mean() for x in draws]
    )
    assert frame["effect"].iloc[-3:].tolist() == ["sigma", "sigma", "cor"]
    assert frame["posterior_prob_positive"].iloc[-1] == 1
    assert "groups say little" not in frame["why"].iloc[-1]


def test_the_prior_of_sigmas_formula_pulls_too() -> None:
    fit, post = both()
    frame = hb.compare(fit, post).to_frame()
    priors = post.priors.formulas["sigma"]
    own = post.draws.formulas["sigma"].beta.reshape(-1, 2)
    centred = own[:, 0] + own @ priors.centre
    of_sigma = priors.beta[0].log_density(centred) + priors.beta[1].log_density(own[:, 1])
    x = np.exp(own[:, 0])
    # what is left is the part of the other parameters
    without = post.draws.beta.reshape(-1, 2)
    mean = post.priors
    rest = mean.beta[0].log_density(without[:, 0] + without @ mean.centre)
    rest = rest + mean.beta[1].log_density(without[:, 1])
    rest = rest + mean.sd[0][0].log_density(post.draws.sd["Subject"].ravel())
    rest = rest + mean.family["cor_car1|Subject"].log_density(
        post.residual_draws["cor_car1|Subject"].ravel()
    )
    total = of_sigma + rest
    pull = np.log(2) * np.cov(x, total, bias=True)[0, 1] / x.std()
    assert frame["posterior_prior_pull"].loc["sigma"] == pytest.approx(pull, rel=1e-6)


def test_densities_of_strata_are_those_of_their_draws() -> None:
    _, post = both()
    names = ["age", "sd(SexFemale|Residual)", "cor_car1|Subject"]
    found = {one.name: one for one in compared_densities(post, names)}
    assert list(found) == names
    assert np.isnan(found[names[1]].prior).all() and np.isfinite(found[names[2]].prior).any()
    assert found[names[2]].bounds == (-1.0, 1.0)
