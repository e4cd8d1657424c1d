"""Polynomials like a log density, and proposals thinned by one: densities that are known."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from hierbayes.bayes.importance import (
    Mode,
    Round,
    adapt,
    resampled,
    weigh,
    weigh_thinned,
)
from hierbayes.bayes.mixture import single
from hierbayes.bayes.surrogate import fitted_surrogate, least_squares, monomials
from hierbayes.bayes.thinned import FLOOR, Thinned, thinned

D = 3
COVARIANCE = np.array([[1.0, 0.3, 0.0], [0.3, 0.5, 0.1], [0.0, 0.1, 2.0]])


def normal(x):
    return multivariate_normal(np.arange(D), COVARIANCE).logpdf(x)


def skewed(x):
    """Log density of an sd and two others: the log of the sd has a tail like e^x."""
    sd = np.exp(x[:, 0])
    return x[:, 0] - 0.5 * (sd - 1) ** 2 - 0.5 * (x[:, 1] - sd) ** 2 - 0.5 * x[:, 2] ** 2


def seen(log_density, n, rng):
    proposal = single(np.zeros(D), 4 * np.eye(D))
    x = proposal.draw(n, rng)
    return x, log_density(x), log_density(x) - proposal.log_density(x)


def test_monomials_are_all_products_once():
    z = np.random.default_rng(1).normal(size=(5, 4))
    i, j, k = (np.array(c) for c in zip(*_triples(4), strict=True))
    ones = np.ones((5, 1))
    wide = np.column_stack([ones, z])
    found = monomials(z, 3)
    expected = wide[:, i] * wide[:, j] * wide[:, k]
    assert found.shape == expected.shape
    np.testing.assert_allclose(np.sort(found, axis=1), np.sort(expected, axis=1))


def _triples(d):
    return [(i, j, k) for i in range(d + 1) for j in range(i, d + 1) for k in range(j, d + 1)]


def test_a_point_left_out_is_as_if_it_had_not_been_there():
    rng = np.random.default_rng(2)
    M = np.column_stack([np.ones(12), rng.normal(size=(12, 2))])
    y, roots = rng.normal(size=12), rng.uniform(0.5, 2, size=12)
    _, errors = least_squares(M, y, roots)
    for i in (0, 7):
        others = np.arange(12) != i
        coefficients, _ = least_squares(M[others], y[others], roots[others])
        assert errors[i] == pytest.approx(y[i] - M[i] @ coefficients, rel=1e-4)


def test_a_normal_density_is_found_and_goes_on_beyond_the_points():
    x, log_density, log_weights = seen(normal, 400, np.random.default_rng(3))
    found = fitted_surrogate(x, log_density, log_weights).surrogate
    inside = np.arange(D) + 0.5 * np.random.default_rng(4).normal(size=(50, D))
    np.testing.assert_allclose(found.log_density(inside), normal(inside), atol=0.02)
    far = np.arange(D) + np.array([[30.0, 0.0, 0.0]])
    assert -1e3 < found.log_density(far)[0] < found.log_density(inside).min() - 30


def test_the_tail_of_a_log_falls_as_its_density_does():
    x, log_density, log_weights = seen(skewed, 2000, np.random.default_rng(3))
    found = fitted_surrogate(x, log_density, log_weights, [0]).surrogate
    tail = np.column_stack([np.linspace(-9, -3, 7), np.zeros(7), np.zeros(7)])
    np.testing.assert_allclose(found.log_density(tail), skewed(tail), atol=0.5)
    without = fitted_surrogate(x, log_density, log_weights).surrogate
    assert without.log_density(tail)[0] < skewed(tail)[0] - 5


def test_few_points_have_no_polynomial():
    x, log_density, log_weights = seen(normal, 12, np.random.default_rng(3))
    assert fitted_surrogate(x, log_density, log_weights) is None
    nowhere = np.full(12, -np.inf)
    assert fitted_surrogate(x, nowhere, nowhere) is None
    rng = np.random.default_rng(5)
    assert thinned(single(np.zeros(D), np.eye(D)), x, nowhere, nowhere, (), rng).surrogate is None


@pytest.mark.parametrize("log_density", [normal, skewed])
def test_thinned_draws_have_the_density_that_is_told(log_density):
    rng = np.random.default_rng(6)
    mixture = single(np.arange(D), 3 * COVARIANCE)
    found = thinned(mixture, *seen(log_density, 1500, rng), [0], rng)
    assert found.surrogate is not None and found.log_part < np.log(0.6)
    # one over it integrates what is drawn to a volume: the density integrates to one
    x = mixture.draw(20_000, rng)
    log_ratio = found.log_density(x) - mixture.log_density(x)
    total = logsumexp(log_ratio) - np.log(x.shape[0])
    assert abs(total) < 4 * (np.exp(log_ratio).std() / np.sqrt(x.shape[0]) + found.log_part_mcse)
    # and draws have the moments that weights say
    drawn = found.draw(4000, rng)
    weights = np.exp(log_ratio - logsumexp(log_ratio))
    expected, sd = weights @ x, drawn.std(axis=0)
    assert (np.abs(drawn.mean(axis=0) - expected) < 5 * sd / np.sqrt(4000)).all()


def test_thinning_makes_weights_even_and_keeps_the_integral():
    rng = np.random.default_rng(7)
    mixture = single(np.arange(D), 3 * COVARIANCE)
    found = thinned(mixture, *seen(normal, 1500, rng), (), rng)
    x = found.draw(2000, rng)
    thin = weigh_thinned(x, normal(x), [(found, 2000)], rng)
    plain = mixture.draw(2000, rng)
    whole = weigh(plain, normal(plain), mixture.log_density(plain))
    assert thin.efficiency > 0.85 > whole.efficiency
    assert abs(thin.log_integral) < 4 * thin.log_integral_mcse
    assert thin.log_integral_mcse < whole.log_integral_mcse
    assert thin.pareto_k < 0.7


def test_a_wrong_polynomial_costs_weights_no_more_than_the_floor():
    rng = np.random.default_rng(8)
    mixture = single(np.arange(D), 3 * COVARIANCE)
    right = thinned(mixture, *seen(normal, 1500, rng), (), rng)
    wrong = Thinned(mixture, right.surrogate, right.threshold + 3.0, np.log(0.2), 0.0)
    x = mixture.draw(500, rng)
    assert (wrong.log_kept(x) >= np.log(FLOOR)).all() and (wrong.log_kept(x) <= 0).all()


def test_an_adapted_proposal_reaches_down_the_tail():
    rng = np.random.default_rng(9)
    mode = Mode(np.array([0.2, 1.2, 0.0]), 0.5 * np.eye(D))
    rounds = [Round(1000, components, 0.99) for components in (1, 2, 3)]
    found = adapt(skewed, mode, tails={0: 0.0}, rounds=rounds, rng=rng, thin=True)
    x = found.proposal.draw(4000, rng)
    drawn = weigh_thinned(x, skewed(x), [(found.proposal, 4000)], rng)
    assert drawn.efficiency > 0.85 and drawn.pareto_k < 0.5
    w = np.exp(drawn.log_weights - drawn.log_weights.max())
    assert w.max() / w.mean() < 10
    # an integral over the sd, which is from 0 to infinity
    sd = np.linspace(0, 12, 40_001)
    integral = np.trapezoid(np.exp(-0.5 * (sd - 1) ** 2), sd) * 2 * np.pi
    assert abs(drawn.log_integral - np.log(integral)) < 4 * drawn.log_integral_mcse


def test_draws_are_copies_by_weight_next_to_each_other():
    x = np.arange(8.0)[:, None]
    log_weights = np.log(np.array([1.0, 1.0, 1.0, 1.0, 4.0, 0.0, 2.0, 2.0]) + 1e-300)
    drawn = weigh(x, log_weights, np.zeros(8))
    for chains in (1, 2):
        path = resampled(drawn, chains=chains, draws=12, rng=np.random.default_rng(10))
        assert path.shape == (chains, 12)
        for i in np.unique(path):  # in one chain, and next to each other
            chain, at = np.nonzero(path == i)
            assert (chain == chain[0]).all() and (np.diff(at) == 1).all()
        if chains == 1:
            counts = np.bincount(path[0], minlength=8)
            np.testing.assert_array_equal(counts, [1, 1, 1, 1, 4, 0, 2, 2])
