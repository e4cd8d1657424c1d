"""Priors of what residuals have, beside their posteriors."""

import numpy as np
import pytest
from scipy.stats import beta

import hierbayes as hb
from hierbayes.bayes.predictive import flat_draws
from hierbayes.comparison.parameter_densities import parameter_densities
from hierbayes.prior_sensitivity.conditional import conditional
from tests.residual_posteriors import NEW, covariance, drawn, rows


def test_priors_of_residuals_are_drawn_beside_their_posteriors() -> None:
    found = {own.name: own for own in parameter_densities(drawn("us", draws=50), view="prior")}
    own = found["cor_age10.age8|Subject"]  # LKJ(2) of four visits: (r + 1) / 2 ~ Beta(3, 3)
    np.testing.assert_allclose(own.prior, beta.pdf((own.x + 1) / 2, 3, 3) / 2, atol=1e-9)
    assert found["sigma_age10"].prior_text.startswith("Normal(0")
    further = {own.name: own for own in parameter_densities(drawn("ar1", draws=50))}
    assert further["cor_ar1|Subject"].prior_text == "Uniform(-1, 1)"
    assert "at the mean of the predictors" in further["sigma_(Intercept)"].prior_text


@pytest.mark.parametrize("case", ["ar1", "us"])
def test_coefficients_given_the_variances_are_those_of_dense_algebra(case: str) -> None:
    post = drawn(case)
    flat = flat_draws(post.draws, post.design)
    rows_of = np.array([[0.0, 1.0], [1.0, -post.priors.centre[1]]])  # slope, and intercept at zero
    found = conditional(post.spec, post.priors, flat, rows_of)
    old = np.setdiff1d(np.arange(len(rows())), NEW)
    mean, precision = post.priors.gaussian_beta()
    for s in (0, 19):
        V = covariance(case, post, s)[np.ix_(old, old)]
        for f, factor in enumerate(post.design.factors):
            V = V + flat.sd[f][s] ** 2 * (factor.codes[:, None] == factor.codes)
        X, K = post.design.X, np.linalg.inv(V)
        P = X.T @ K @ X + precision
        beta = np.linalg.solve(P, X.T @ K @ post.design.y + precision @ mean)[::-1]
        np.testing.assert_allclose(found.mean[s], beta, rtol=1e-9)
        np.testing.assert_allclose(found.covariance[s], np.linalg.inv(P)[::-1, ::-1], rtol=1e-8)


def test_a_term_is_weighed_beside_correlated_residuals() -> None:
    data = rows().assign(x=np.random.default_rng(5).normal(size=len(rows())))
    model = hb.Model("distance ~ age + x", data, residual="ar1(occasion | Subject)")
    post = model.sample(draws=400, random_seed=1)
    found = hb.bayes_factor(post, drop="x", random_seed=1)
    assert found.savage_dickey.log_bf == pytest.approx(found.log_bf, abs=0.1)
    table = found.by_width.set_index("factor")
    assert table.loc[1.0, "log_bf"] == pytest.approx(found.log_bf)
    assert table.loc[16.0, "log_bf"] < found.log_bf - 1  # a wider prior
    without = hb.Model("distance ~ age", data, sigma="~ 0 + Sex")  # a sd of reference it has not
    with pytest.raises(hb.NotSupportedError, match="formula of sigma"):
        hb.bayes_factor(without, drop="age")
    odds = hb.bayes_factor(post, hypothesis="age > 0.2", random_seed=1)
    assert odds.prior_probability == pytest.approx(0.47, abs=0.04)
