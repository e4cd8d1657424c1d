"""The claims of the slide on advantages: simulated truths, and the algebra behind the numbers."""

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.studies.advantages import (
    FORMULA,
    Estimates,
    Simulation,
    advantages,
    kept_rows,
    weights_of_drivers,
)


@pytest.fixture(scope="module")
def sleep():
    return hb.load_dataset("sleepstudy")


@pytest.fixture(scope="module")
def simulated(sleep):
    rng = np.random.default_rng(1)
    return Simulation(hb.lmer(FORMULA, sleep), sleep, kept_rows(18, rng), 4000, rng)


def test_kept_days_are_three_to_ten_and_every_driver_has_some(sleep):
    days = kept_rows(18, np.random.default_rng(3)).reshape(18, 10).sum(axis=1)
    assert sorted(days) == sorted([3, 4, 5, 6, 8, 10] * 3)


def test_own_lines_are_least_squares(simulated):
    own = simulated.own_lines
    at = simulated.driver == 4
    slope, intercept = np.polyfit(simulated.day[at], simulated.Y[7, at], 1)
    np.testing.assert_allclose(own[7, 4], [intercept, slope], rtol=1e-9)


def test_intervals_of_own_lines_hold_the_truth_and_those_of_averages_do_not(simulated):
    unused = Estimates(lines=np.empty((0, 18, 2)), slope=np.ones((2, 3)), sd=np.ones(2))
    table = simulated.slopes(unused, unused)
    own, averaged = table.loc["own lines, averaged"], table.loc["averages, no day left out"]
    assert abs(own["coverage"] - 0.95) < 4 * own["mcse"]
    assert averaged["coverage"] < 0.7


def test_the_weights_make_the_estimate(sleep):
    rows = sleep[kept_rows(18, np.random.default_rng(2))]
    fit = hb.lmer(FORMULA, rows)
    table = weights_of_drivers(fit, rows)
    assert table["share"].sum() == pytest.approx(1)
    assert table["std_error"].idxmin() == table["share"].idxmax()


def test_few_data_sets_of_everything(sleep):
    found = advantages(sleep, n_datasets=12, n_posteriors=3, random_seed=1)
    assert list(found.lines.columns) == ["no pooling", "complete pooling", "REML", "posterior"]
    assert found.lines.loc[3, "REML"] < found.lines.loc[3, "no pooling"]
    assert set(found.left_out["n"]) == {72, 108}
