"""Posteriors of models with correlated residuals: density by dense algebra, and draws."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import hierbayes as hb
from hierbayes.bayes.collapsed import target_and_start
from hierbayes.bayes.collapsed_density import CorrelatedResiduals, collapsed, slope
from hierbayes.bayes.variance_priors import variance_log_prior
from hierbayes.gaussian.residual.root import coloured

FOLDER = Path(__file__).parents[1] / "reference" / "residuals"
MODELS = {
    "ar1": ("distance ~ age * Sex", "ar1(occasion | Subject)"),
    "ar1 beside effects": ("distance ~ age * Sex + (age | Subject)", "ar1(occasion | Subject)"),
    "cs": ("distance ~ age + (1 | Sex)", "cs(1 | Subject)"),
}


@lru_cache
def model(name: str) -> hb.Model:
    formula, residual = MODELS[name]
    data = pd.read_csv(FOLDER / "orthodont.csv").iloc[:60]
    data["Sex"] = np.where(data["Subject"].str[-1].astype(int) % 2, "a", "b")
    return hb.Model(formula, data, residual=residual)


@lru_cache
def target(name: str):
    spec = model(name).spec
    kernel, start = spec.residual_kernel("reml"), np.array([0.3])
    law = spec.priors.family[spec.residuals.names[-1]]
    residual = CorrelatedResiduals(kernel=kernel, law=law, start=start)
    return target_and_start(kernel.at(start), spec.priors, residual)


@pytest.mark.parametrize("name", MODELS)
def test_the_density_is_that_of_dense_algebra(name: str) -> None:
    spec, (own, start) = model(name).spec, target(name)
    points = start + 0.3 * np.random.default_rng(1).normal(size=(3, start.size))
    found = collapsed(own, points)
    mean, precision = spec.priors.gaussian_beta()
    X, y, n = spec.design.X, spec.design.y, spec.design.y.size
    for point, value in zip(points, found.log_density, strict=True):
        phi, variances = point[-1:], point[None, : own.coordinates.size]
        sigma = float(own.coordinates.sigma(variances)[0])
        root = sigma * coloured(spec.residuals, phi, np.eye(n))
        V = root @ root.T + X @ np.linalg.inv(precision) @ X.T
        for factor, R in zip(spec.design.factors, own.coordinates.roots(variances), strict=True):
            Z = np.zeros((n, factor.levels.size, factor.z.shape[1]))
            Z[np.arange(n), factor.codes] = factor.z @ R[0]
            V += Z.reshape(n, -1) @ Z.reshape(n, -1).T
        expected = multivariate_normal.logpdf(y, X @ mean, V)
        expected += own.residual.log_prior(phi[None])[0]
        without = own.coordinates, spec.priors, variances
        expected += variance_log_prior(*without)[0]
        assert value == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("name", MODELS)
def test_the_gradient_is_exact(name: str) -> None:
    own, start = target(name)
    x = start[None] + 0.2
    found = slope(own, x, collapsed(own, x))[0]
    step = 1e-5 * np.eye(start.size)
    ends = [collapsed(own, x + way * step).log_density for way in (1, -1)]
    np.testing.assert_allclose(found, (ends[0] - ends[1]) / 2e-5, rtol=1e-6, atol=1e-6)


def test_the_prior_of_a_correlation_integrates_to_one() -> None:
    own, _ = target("cs")
    phi = np.linspace(-12, 12, 4001)[:, None]
    density = np.exp(own.residual.log_prior(phi))
    assert np.trapezoid(density, phi[:, 0]) == pytest.approx(1, abs=1e-6)
    step = (own.residual.log_prior(phi + 1e-6) - own.residual.log_prior(phi - 1e-6)) / 2e-6
    np.testing.assert_allclose(own.residual.log_prior_slope(phi)[:, 0], step, atol=1e-7)


def test_draws_are_those_of_the_density() -> None:
    name = "ar1"
    own, start = target(name)
    post = model(name).sample(draws=1000, random_seed=1)
    grid = np.stack(
        np.meshgrid(start[0] + np.linspace(-1, 1, 60), np.linspace(-0.5, 2.0, 60)), axis=-1
    ).reshape(-1, 2)
    log_density = collapsed(own, grid).log_density
    weight = np.exp(log_density - log_density.max())
    r = np.tanh(grid[:, 1])
    mean = float(weight @ r / weight.sum())
    sd = float(np.sqrt(weight @ (r - mean) ** 2 / weight.sum()))
    row = post.tidy().set_index("term").loc["cor_ar1|Subject"]
    assert row["estimate"] == pytest.approx(mean, abs=4 * sd / np.sqrt(1500))
    assert row["std_error"] == pytest.approx(sd, rel=0.1)
    assert "cor_ar1|Subject" in post.idata["posterior"]
    assert "Uniform(-1, 1)" in str(model(name).priors)


def test_the_evidence_for_a_correlation_is_that_of_the_densities() -> None:
    with_it = model("ar1").sample(draws=300, random_seed=1)
    data = with_it.spec.table
    without = hb.Model("distance ~ age * Sex", data).sample(draws=300, random_seed=1)
    found = hb.bayes_factor(with_it, without)
    expected = with_it.log_marginal_likelihood - without.log_marginal_likelihood
    assert found.log_bf == pytest.approx(expected, abs=1e-9)


def test_what_takes_rows_to_be_independent_refuses_posteriors() -> None:
    post = model("ar1").sample(draws=50, random_seed=1)
    for call in (hb.loo, lambda fit: fit.predict(), lambda fit: fit.simulate()):
        with pytest.raises(hb.NotSupportedError, match="does not know correlated residuals"):
            call(post)
    with pytest.raises(hb.NotSupportedError, match="to_pymc does not know"):
        model("ar1").to_pymc()
    with pytest.raises(hb.NotSupportedError, match="nuts"):
        model("ar1").sample(sampler="nuts")
    data = pd.read_csv(FOLDER / "orthodont.csv")
    visits = hb.Model("distance ~ age", data, residual="us(age | Subject)")
    with pytest.raises(hb.NotSupportedError, match=r"us\(age \| Subject\)"):
        visits.sample()
