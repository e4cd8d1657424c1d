"""The score of the three poolings: Stein's effect is seen, and guesses are measured."""

import numpy as np
import pytest

from hierbayes.lab.engine import view
from hierbayes.lab.presets import Simulation
from hierbayes.lab.score import POOLINGS, guess_table, guess_words, score
from hierbayes.lab.state import LabState

FAST = ("reml",)


def simulated_view(**truth):
    return view(LabState(data="simulated", show=FAST, simulation=Simulation(**truth)))


def test_partial_pooling_wins_where_the_truth_is_known():
    won = score(simulated_view(rows=4), samples=10)
    assert won.errors.shape == (10, 3)
    assert won.table()["mean error"].idxmin() == POOLINGS[1]
    assert "partial pooling (reml) has the smallest error" in won.sentence


def test_where_groups_do_not_differ_complete_pooling_wins():
    won = score(simulated_view(sd_intercept=0.0, sd_slope=0.0), samples=10)
    assert won.table()["mean error"].idxmin() == POOLINGS[2]


def test_where_groups_differ_wildly_pooling_hardly_matters():
    mean = score(simulated_view(sd_intercept=100.0, sd_slope=30.0, sigma=1.0), samples=4).errors
    assert mean[:, 0] == pytest.approx(mean[:, 1], rel=0.02)


def test_error_of_a_line_is_its_mean_distance():
    """Against the definition, on a grid."""
    from hierbayes.lab.presets import simulated, true_lines
    from hierbayes.model.model import lmer

    truth = Simulation(groups=8)
    fit = lmer("y ~ x + (x | group)", simulated(truth))
    lines = fit.coef()["group"][["(Intercept)", "x"]].to_numpy() - true_lines(truth)
    x = np.linspace(0, 9, 2001)
    expected = np.sqrt(((lines[:, :1] + lines[:, 1:] * x) ** 2).mean())
    errors = score(simulated_view(groups=8), samples=1).errors
    assert errors[0, 1] == pytest.approx(expected, rel=1e-3)


def test_held_out_halves_of_real_data():
    won = score(view(LabState(show=FAST)), samples=6)
    assert won.table()["mean error"].idxmin() == POOLINGS[1]
    assert won.errors[:, 2].mean() > 40  # the residual sd of a line for all is 48


def test_crossed_factors_are_scored():
    won = score(view(LabState(data="penicillin", show=FAST)), samples=2)
    assert won.errors.shape == (2, 3)
    assert (won.errors[:, 2] > 1.5).all()  # without plates and samples


def test_one_observation_a_level_cannot_be_scored():
    won = score(view(LabState(data="schools", show=FAST)))
    assert not won.errors.size
    assert "nothing can be held out" in won.sentence
    assert won.table()["mean error"].isna().all()


def test_a_guess_is_measured_in_standard_deviations():
    found = view(LabState(show=FAST, guessing=True, revealed=True, guess=(253.67, 19.67)))
    on_the_spot = view(LabState(show=FAST, level="308", guess=(253.67, 19.67)))
    assert "0.0 sds from the partially pooled estimate, closer to it" in guess_words(on_the_spot)
    assert "not closer" in guess_words(found)
    assert list(guess_table(found).index) == [
        "Your guess",
        "No pooling",
        "Partial pooling",
        "Complete pooling",
    ]


def test_the_truth_stands_beside_a_guess_of_simulated_data():
    state = LabState(data="simulated", show=FAST, guess=(250.0, 10.0), level="g03")
    assert "Truth" in guess_table(view(state)).index
