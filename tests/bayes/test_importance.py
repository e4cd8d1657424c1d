"""Adaptive importance sampling by itself: a density of normal coordinates, no model."""

from collections import Counter

import numpy as np
import pytest

from hierbayes.bayes.importance import Mode, Round, adapt
from hierbayes.bayes.mixture import TMixture, fitted_mixture


@pytest.mark.parametrize("rounds", [1, 4, 6])
def test_no_proposal_is_worked_out_twice_at_a_point_while_it_adapts(rounds, monkeypatch):
    """With forty variances it has as many components, and rounds worked all of it out anew."""
    n, asked = 40, Counter()
    of_mixture = TMixture.log_density

    def counted(mixture, x):
        asked["proposals at points"] += x.shape[0]
        return of_mixture(mixture, x)

    def log_density(x):
        asked["target at points"] += x.shape[0]
        return -0.5 * (x**2).sum(axis=1)

    monkeypatch.setattr(TMixture, "log_density", counted)
    found = adapt(
        log_density,
        Mode(np.zeros(3), np.eye(3)),
        tails={0: 0.0},
        rounds=[Round(n, 2, np.inf)] * rounds,
        rng=np.random.default_rng(1),
    )
    assert asked == {"target at points": rounds * n, "proposals at points": rounds**2 * n}
    assert found.efficiency > 0.5


def test_a_mixture_is_fitted_to_points_whose_log_densities_are_of_any_size():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 2))
    logs = -0.5 * (x**2).sum(axis=1)
    for size in (0.0, 3e10):
        found = fitted_mixture(x, logs - size, 2, around=np.eye(2), rng=np.random.default_rng(2))
        assert abs(found.weights.sum() - 1) < 1e-9 and np.isfinite(found.means).all()
