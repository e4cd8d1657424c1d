"""Compiled densities of proposals against those of numpy."""

import numpy as np
import pytest
from scipy.stats import multivariate_t

from hierbayes.bayes.mixture import TMixture
from hierbayes.bayes.proposal_kernel import compiled
from hierbayes.bayes.surrogate import Polynomial, Surrogate, monomials


@pytest.mark.parametrize(("d", "K", "N"), [(1, 1, 3), (5, 4, 2200)])
def test_a_compiled_mixture_is_that_of_numpy_and_of_scipy(d, K, N):
    rng = np.random.default_rng(1)
    square = rng.standard_normal((K, d, d))
    scales = square @ np.swapaxes(square, 1, 2) + np.eye(d)
    weights = rng.dirichlet(np.ones(K))
    means = rng.standard_normal((K, d))
    degrees = np.where(np.arange(K) % 2, 7.0, 5.0)
    mixture = TMixture(weights, means, np.linalg.cholesky(scales), degrees)
    far = 1e4 * rng.standard_normal((2, d))
    x = np.concatenate([mixture.draw(N, rng), far])
    found = compiled(mixture)
    assert np.allclose(found.log_density(x), mixture.log_density(x), rtol=1e-13, atol=1e-12)
    for own, other in zip(found._parts(x), mixture._parts(x), strict=True):
        assert np.allclose(own, other, rtol=1e-12, atol=1e-12)
    one = multivariate_t(means[0], scales[0], df=degrees[0]).logpdf(x[:2])
    assert np.allclose(found._parts(x[:2])[0][:, 0], one, rtol=1e-10)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_compiled_polynomials_are_sums_of_monomials_and_go_on_beyond_their_radius(degree):
    rng = np.random.default_rng(degree)
    d, radius = 4, 2.5
    coefficients = rng.standard_normal(monomials(np.zeros((1, d)), degree).shape[1])
    polynomial = Polynomial(rng.standard_normal(d), np.tri(d), coefficients)
    x = polynomial.centre + rng.standard_normal((2100, d))
    z = (x - polynomial.centre) @ polynomial.whiten
    assert np.allclose(polynomial.at(x), monomials(z, degree) @ coefficients, rtol=1e-9, atol=1e-9)

    floors = np.array([-np.inf, 0.3, -np.inf, -0.5])
    t = np.logaddexp(x, floors)
    z = (t - polynomial.centre) @ polynomial.whiten
    away = np.sqrt((z**2).sum(axis=1))
    inside = z * np.minimum(1.0, radius / away)[:, None]
    wanted = monomials(inside, degree) @ coefficients
    wanted -= radius * np.maximum(away - radius, 0.0) + (t - x).sum(axis=1)
    found = Surrogate(polynomial, radius, floors).log_density(x)
    assert (away > radius).any()
    assert (away < radius).any()
    assert np.allclose(found, wanted, rtol=1e-9, atol=1e-9)
