"""Posteriors of dear evaluations: polynomial and conjugate gradients beside the exact way."""

import numpy as np
import pytest
from scipy.linalg import block_diag

import hierbayes as hb
from hierbayes.bayes import collapsed, collapsed_points
from hierbayes.bayes.collapsed_density import collapsed as evaluated
from hierbayes.bayes.collapsed_polynomial import FINE, polynomial_points
from hierbayes.bayes.conjugate_effects import draw_conjugate
from hierbayes.gaussian.products import dense_levels

CROSSED = "diameter ~ 1 + (1 | plate) + (1 | sample)"
SLOPES = "y ~ x + (x | g) + (1 | h)"


def model_of(formula, rows=3000, n_g=250, n_h=50):
    if formula == CROSSED:
        return hb.Model(formula, hb.load_dataset("Penicillin"))
    rng = np.random.default_rng(5)
    data = {"x": rng.standard_normal(rows)}
    g, h = rng.integers(0, n_g, rows), rng.integers(0, n_h, rows)
    b = rng.standard_normal((n_g, 2)) @ [[0.8, 0.3], [0.0, 0.4]]
    eta = 1 + b[g, 0] + (0.5 + b[g, 1]) * data["x"] + 0.6 * rng.standard_normal(n_h)[h]
    data["y"] = eta + 0.5 * rng.standard_normal(rows)
    return hb.Model(formula, data | {"g": [f"g{i}" for i in g], "h": [f"h{i}" for i in h]})


def target_of(model):
    return collapsed.target_and_start(model.spec.kernel("reml"), model.spec.priors)


@pytest.mark.parametrize("formula", [CROSSED, SLOPES])
def test_the_polynomial_gives_the_density_and_the_coefficients(formula):
    target, start = target_of(model_of(formula))
    rng = np.random.default_rng(3)
    points, mode = polynomial_points(target, start, rng)
    root = np.linalg.cholesky(mode.covariance)
    phi = mode.x + 2 * rng.uniform(-1, 1, (40, mode.x.size)) @ root.T
    exact, found = evaluated(target, phi), points.at(phi)
    assert points.polynomial.inside(phi).all()
    np.testing.assert_allclose(found.log_density, exact.log_density, atol=5 * FINE)
    np.testing.assert_allclose(found.mean, exact.mean, atol=1e-4)
    np.testing.assert_allclose(found.root, exact.root, rtol=1e-4, atol=1e-4)


def test_beyond_its_box_the_density_is_evaluated_itself():
    target, start = target_of(model_of(CROSSED))
    points, mode = polynomial_points(target, start, np.random.default_rng(3))
    far = mode.x + np.array([[3.0, 0.0, 0.0], [0.0, -4.0, 0.0]])
    assert not points.polynomial.inside(far).any()
    exact = evaluated(target, far).log_density
    np.testing.assert_allclose(points.at(far).log_density, exact, rtol=1e-12)
    # some of many proposals there count for all: on the average weights are what they are
    many = np.repeat(far[:1], 2000, axis=0)
    found, added = points.at_some(many, np.random.default_rng(1))
    np.testing.assert_allclose(found.log_density[np.isfinite(added)], exact[0], rtol=1e-12)
    assert np.exp(added).mean() == pytest.approx(1, abs=4 * 3 / np.sqrt(2000))
    assert points.at_some(mode.x[None], np.random.default_rng(1))[1] == 0


def test_effects_drawn_on_one_factor_have_the_mean_and_covariance_of_each_draw():
    kernel = model_of(SLOPES, rows=120, n_g=12, n_h=5).spec.kernel("reml")
    # two sets of the other parameters, taken in turn: each must get its own distribution
    sets = [([[0.6, 0.0], [0.2, 0.3]], 0.4, 0.5, 0.2), ([[1.2, 0.0], [0.0, 0.9]], 1.1, 0.8, -0.4)]
    S = 6000
    turn = np.arange(S) % 2
    Lambdas = [np.array([s[0] for s in sets])[turn], np.array([[[s[1]]] for s in sets])[turn]]
    sigma = np.array([s[2] for s in sets])[turn]
    weights = np.array([[0.1, s[3], 1.0] for s in sets])[turn]
    rng = np.random.default_rng(4)
    b = draw_conjugate(kernel, weights=weights, sigma=sigma, Lambdas=Lambdas, rng=rng)
    b = np.concatenate([part.reshape(S, -1) for part in b], axis=1)
    A = dense_levels(kernel.products.zz, kernel.products.couplings)
    zxy = np.concatenate([z[0].reshape(-1, z.shape[-1]) for z in kernel.zxy])
    for own in (0, 1):
        root = block_diag(np.kron(np.eye(12), Lambdas[0][own]), Lambdas[1][own] * np.eye(5))
        covariance = np.linalg.inv(A + np.linalg.inv(root @ root.T))
        draws = b[turn == own]
        away = draws - covariance @ (zxy @ [0.1, sets[own][3], 1.0])
        # whitened, means and covariances have a known Monte-Carlo error
        white = away @ np.linalg.cholesky(np.linalg.inv(covariance)) / sets[own][2]
        n = len(draws)
        assert np.abs(white.mean(axis=0)).max() < 4.5 / np.sqrt(n)
        off = white.T @ white / n - np.eye(white.shape[1])
        assert np.abs(off).max() < 5.5 * np.sqrt(2 / n)
        d = white.shape[1]  # of squared errors as many as there should be: mean and sd are known
        assert abs(np.square(off).sum() * n / off.size - (1 + 1 / d)) < 4.5 * 2 / d


def test_the_posterior_by_polynomial_is_the_posterior(monkeypatch):
    model = model_of(CROSSED)
    small = model.sample(random_seed=1)
    monkeypatch.setattr(collapsed_points, "LARGE", 0)
    used = []
    of_points = collapsed.polynomial_points
    monkeypatch.setattr(
        collapsed, "polynomial_points", lambda *a: used.append(of_points(*a)) or used[-1]
    )
    large = model.sample(random_seed=2)
    assert used[0] is not None
    assert not large.findings
    one, other = small.draws, large.draws
    mcse = np.hypot(one.log_marginal_likelihood_mcse, other.log_marginal_likelihood_mcse)
    assert abs(one.log_marginal_likelihood - other.log_marginal_likelihood) < 4 * mcse
    pairs = [(one.beta, other.beta), (one.sigma[..., None], other.sigma[..., None])]
    pairs += [(one.sd[f], other.sd[f]) for f in ("plate", "sample")]
    pairs += [(one.b[f], other.b[f]) for f in ("plate", "sample")]
    for a, b in pairs:
        a, b = a.reshape(4000, -1), b.reshape(4000, -1)
        error = np.sqrt((a.var(axis=0) + b.var(axis=0)) / 2500)
        assert (np.abs(a.mean(axis=0) - b.mean(axis=0)) < 4.5 * error).all()
        np.testing.assert_allclose(a.std(axis=0), b.std(axis=0), rtol=0.12)


def test_where_no_polynomial_will_do_the_density_is_evaluated_at_every_draw(monkeypatch):
    monkeypatch.setattr(collapsed_points, "LARGE", 0)
    monkeypatch.setattr(collapsed, "polynomial_points", lambda *a: None)
    found = model_of(CROSSED).sample(draws=100, random_seed=1)
    assert found.draws.b["plate"].shape == (4, 100, 24, 1)
    assert found.draws.pareto_k < 0.7
