"""Convergence statistics are ArviZ's; intervals are quantiles, or the shortest of their level."""

import numpy as np
import pytest

from hierbayes.results.chains import chain_statistics, credible_interval, drawn_summary

RTOL = 1e-10  # same formulas, other order of operations


def chains(kind, draws=200):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((4, draws))
    if kind == "autocorrelated":
        for t in range(1, draws):
            x[:, t] += 0.9 * x[:, t - 1]
    elif kind == "alternating":
        for t in range(1, draws):
            x[:, t] -= 0.7 * x[:, t - 1]
    elif kind == "a chain elsewhere":
        x[0] += 1
    elif kind == "repeated draws":
        x = np.round(x, 1)
    return x


KINDS = ("independent", "autocorrelated", "alternating", "a chain elsewhere", "repeated draws")


@pytest.mark.parametrize("draws", [200, 199, 11])
@pytest.mark.parametrize("kind", KINDS)
def test_statistics_are_those_of_arviz(kind, draws):
    from arviz_stats.base import array_stats

    x = chains(kind, draws)
    axes = {"chain_axis": 0, "draw_axis": 1}
    expected = [
        array_stats.rhat(x, **axes),
        array_stats.ess(x, method="bulk", **axes),
        array_stats.ess(x, method="tail", prob=(0.05, 0.95), **axes),
        array_stats.mcse(x, method="mean", **axes),
    ]
    found = chain_statistics(x[:, :, None])
    got = [found.r_hat[0], found.ess_bulk[0], found.ess_tail[0], found.mcse_mean[0]]
    np.testing.assert_allclose(got, np.array(expected, dtype=float), rtol=RTOL)


def test_parameters_do_not_touch_each_other(monkeypatch):
    x = np.stack([chains(kind) for kind in KINDS], axis=2)
    together = chain_statistics(x)
    monkeypatch.setattr("hierbayes.results.chains.AT_ONCE", 4 * 200 * 2)  # two at once
    np.testing.assert_array_equal(chain_statistics(x).ess_bulk, together.ess_bulk)
    alone = [chain_statistics(x[:, :, [i]]).r_hat[0] for i in range(len(KINDS))]
    np.testing.assert_array_equal(alone, together.r_hat)


def test_a_constant_has_no_statistics():
    found = chain_statistics(np.ones((4, 100, 1)))
    assert np.isnan([found.r_hat[0], found.ess_bulk[0], found.ess_tail[0]]).all()


def test_one_chain_has_an_effective_size_but_no_r_hat():
    found = chain_statistics(np.random.default_rng(1).standard_normal((1, 500, 1)))
    assert np.isnan(found.r_hat[0]) and found.ess_bulk[0] > 300


def test_three_draws_say_nothing():
    assert np.isnan(chain_statistics(np.zeros((2, 3, 1)) + np.arange(3)[:, None]).r_hat[0])


def test_equal_tails_are_quantiles():
    found = credible_interval(np.arange(1001.0)[:, None], 0.9, "eti")
    assert (found.low[0], found.high[0]) == pytest.approx((50, 950))


def test_the_shortest_interval_of_a_skewed_sample_starts_at_its_mode():
    x = np.random.default_rng(1).exponential(size=(20_000, 2)) * [1, 100]
    hdi, eti = credible_interval(x, 0.9, "hdi"), credible_interval(x, 0.9, "eti")
    assert (hdi.low < 0.01 * x.std(axis=0)).all()
    np.testing.assert_allclose(hdi.high, -np.log(0.1) * np.array([1, 100]), rtol=0.05)
    assert (hdi.high - hdi.low < eti.high - eti.low).all()


@pytest.mark.parametrize("kind", KINDS)
def test_monte_carlo_errors_are_those_of_arviz(kind):
    from arviz_stats.base import array_stats

    x = chains(kind)
    found = drawn_summary(x[:, :, None], 0.9)
    axes = {"chain_axis": 0, "draw_axis": 1}
    mean, sd = (array_stats.mcse(x, method=own, **axes) for own in ("mean", "sd"))
    assert found.mean_mcse[0] == pytest.approx(mean, rel=RTOL)
    correction = np.sqrt(x.size / (x.size - 1))  # of the variance of the squares
    assert found.sd_mcse[0] == pytest.approx(sd * correction, rel=RTOL)
    for own, prob in ((found.low_mcse, 0.05), (found.high_mcse, 0.95)):
        expected = array_stats.mcse(x, method="quantile", prob=prob, **axes)
        assert own[0] == pytest.approx(expected, rel=RTOL)
    assert found.low[0] == pytest.approx(np.quantile(x, 0.05), rel=RTOL)


def test_a_constant_has_no_monte_carlo_error():
    found = drawn_summary(np.ones((2, 50, 1)), 0.95)
    assert found.mean[0] == found.high[0] == 1 and np.isnan(found.mean_mcse[0])
    assert np.isnan(found.low_mcse[0])
