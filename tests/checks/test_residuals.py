"""The tables behind the residual pictures, against what R computes."""

import numpy as np
import pytest

from hierbayes.checks.residuals import jittered, normal_quantiles, residual_table
from hierbayes.errors import DataError, OptionError
from hierbayes.model.model import lmer

VALUES = np.array([3.0, -1.0, 4.0, 1.5, -9.0, 2.6])


@pytest.fixture(scope="module")
def fit():
    from hierbayes.datasets import load_dataset

    return lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))


def test_quantiles_are_those_of_qqnorm():
    # R 4.2.2: qqnorm(c(3, -1, 4, 1.5, -9, 2.6))$x, sorted
    expected = [-1.2815516, -0.6433454, -0.2018935, 0.2018935, 0.6433454, 1.2815516]
    found = normal_quantiles(VALUES)
    np.testing.assert_allclose(found.theoretical, expected, atol=5e-7)
    assert found.sample.tolist() == sorted(VALUES)


def test_larger_samples_have_rs_other_plotting_positions():
    # R 4.2.2: qnorm(ppoints(12))[1:2]
    theoretical = normal_quantiles(np.arange(12.0)).theoretical
    np.testing.assert_allclose(theoretical[:2], [-1.7316644, -1.1503494], atol=5e-7)


def test_the_line_goes_through_the_quartiles():
    found = normal_quantiles(VALUES)
    z = 0.6744897501960817
    np.testing.assert_allclose(
        [found.intercept - found.slope * z, found.intercept + found.slope * z],
        np.quantile(VALUES, [0.25, 0.75]),
    )


def test_jitter_moves_by_at_most_a_fifth_of_the_smallest_distance():
    values = np.repeat([0.0, 0.5, 3.0], 200)
    moved = jittered(values, random_seed=1)
    assert np.abs(moved - values).max() <= 0.1
    assert np.abs(moved - values).max() > 0.09
    np.testing.assert_array_equal(moved, jittered(values, random_seed=1))


def test_jitter_of_a_single_value_stays_near_it():
    assert np.abs(jittered(np.full(50, 7.0), random_seed=1) - 7).max() < 0.2


def test_residuals_stand_beside_a_variable_of_the_model(fit):
    table = residual_table(fit, "Days")
    np.testing.assert_array_equal(table["x"], fit.design.model_frame["Days"])
    np.testing.assert_array_equal(table["residual"], fit.residuals())
    np.testing.assert_array_equal(residual_table(fit)["x"], fit.fitted())


def test_a_wrong_variable_is_named(fit):
    with pytest.raises(DataError, match="no variable 'days'; did you mean 'Days'"):
        residual_table(fit, "days")


def test_something_else_than_a_fit_is_refused():
    with pytest.raises(OptionError, match="this is int"):
        residual_table(3)
