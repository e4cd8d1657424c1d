"""The LKJ density, normalised with respect to the correlations."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

import hierbayes as hb
from hierbayes.priors.lkj import lkj_log_constant, lkj_log_density


def correlation(*below: float) -> np.ndarray:
    q = round((1 + math.sqrt(1 + 8 * len(below))) / 2)
    R = np.eye(q)
    R[np.tril_indices(q, -1)] = below
    return R + np.tril(R, -1).T


@pytest.mark.parametrize("eta", [0.7, 1.0, 2.0, 5.5])
def test_density_of_one_correlation_integrates_to_one(eta):
    total, _ = quad(lambda r: np.exp(lkj_log_density(correlation(r), eta)), -1, 1)
    assert total == pytest.approx(1, abs=1e-6)


def test_uniform_volume_of_three_dimensional_correlations():
    # the correlation matrices of size 3 fill pi^2 / 2 of the cube [-1, 1]^3 (known constant)
    assert math.exp(-lkj_log_constant(3, 1)) == pytest.approx(math.pi**2 / 2, rel=1e-12)


@pytest.mark.parametrize(("q", "eta"), [(3, 1.0), (3, 2.0), (3, 4.0), (4, 2.0)])
def test_density_integrates_to_one_by_monte_carlo(q, eta):
    rng = np.random.default_rng(2)
    k, n = q * (q - 1) // 2, 200_000
    R = np.tile(np.eye(q), (n, 1, 1))
    rows, columns = np.tril_indices(q, -1)
    values = rng.uniform(-1, 1, (n, k))
    R[:, rows, columns] = R[:, columns, rows] = values
    density = np.exp(lkj_log_density(R, eta)) * 2**k
    error = density.std() / math.sqrt(n)
    assert abs(density.mean() - 1) < 4 * error


def test_marginal_of_one_of_three_correlations_is_the_beta_of_the_quantiles():
    eta, cut = 2.0, 0.3
    rng = np.random.default_rng(3)
    n = 200_000
    below = rng.uniform(-1, 1, (n, 3))
    R = np.tile(np.eye(3), (n, 1, 1))
    rows, columns = np.tril_indices(3, -1)
    R[:, rows, columns] = R[:, columns, rows] = below
    weight = np.exp(lkj_log_density(R, eta))
    share = weight[below[:, 1] < cut].sum() / weight.sum()
    levels = np.linspace(0.01, 0.99, 981)
    probability = np.interp(cut, hb.LKJ(eta).quantile(levels, size=3), levels)
    assert share == pytest.approx(probability, abs=0.006)  # four Monte-Carlo errors


def test_quantiles_of_the_default_are_symmetric():
    low, middle, high = hb.LKJ(2).quantile([0.05, 0.5, 0.95])
    assert middle == pytest.approx(0, abs=1e-12)
    assert high == pytest.approx(-low)
    # P(r < x) = (2 + 3 x - x^3) / 4 for density 3/4 (1 - x^2)
    assert (2 + 3 * high - high**3) / 4 == pytest.approx(0.95, rel=1e-12)


def test_density_is_pymcs():
    pm = pytest.importorskip("pymc")
    R = correlation(0.5, -0.3, 0.4)
    L = np.linalg.cholesky(R)
    # PyMC 6 takes L and has the Jacobian of R -> L in it: prod L[k, k]^(q - k) for k = 1..q
    log_jacobian = (np.array([2, 1, 0]) * np.log(np.diag(L))).sum()
    for eta in (1.0, 2.0, 3.5):
        reference = float(pm.logp(pm.LKJCorr.dist(n=3, eta=eta), L).eval())
        assert lkj_log_density(R, eta) + log_jacobian == pytest.approx(reference, rel=1e-10)


def test_impossible_matrices_have_density_zero():
    assert lkj_log_density(correlation(0.9, 0.9, -0.9), 2) == -np.inf
    assert lkj_log_density(correlation(1.0), 2) == -np.inf
    assert lkj_log_density(correlation(1.1), 1) == -np.inf
