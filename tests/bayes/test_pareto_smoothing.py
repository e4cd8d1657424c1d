"""Pareto-smoothed weights of many problems at once: those of ArviZ, one by one."""

import numpy as np
from arviz_stats.base import array_stats

from hierbayes.bayes.pareto_smoothing import smoothed_weights


def test_weights_and_shapes_are_those_of_arviz():
    rng = np.random.default_rng(1)
    log_ratios = rng.standard_normal((6, 1000)) ** 2 * np.linspace(0.05, 1, 6)[:, None]
    for efficiency in (1.0, 0.6):
        found = smoothed_weights(log_ratios, relative_efficiency=efficiency)
        theirs, k = array_stats.psislw(-log_ratios, r_eff=efficiency, axis=-1)
        np.testing.assert_allclose(found.log_weights, theirs, rtol=0, atol=1e-10)
        np.testing.assert_allclose(found.pareto_k, k, rtol=0, atol=1e-10)


def test_weights_without_a_tail_stay_as_they_are():
    log_ratios = np.zeros((2, 500))
    log_ratios[1, 7] = 800.0
    found = smoothed_weights(log_ratios)
    assert found.pareto_k.tolist() == [-np.inf, np.inf]
    np.testing.assert_allclose(np.exp(found.log_weights[0]), 1 / 500)
    assert found.log_weights[1, 7] == 0.0
