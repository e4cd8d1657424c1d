"""A design is its rows and a predictor a parameter: what changes when either does."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hierbayes.design.build import build_design, new_rows
from hierbayes.design.design import MEAN
from hierbayes.formula.parser import parse_formula

N = 12


def data():
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "y": rng.normal(size=N),
            "x": [np.nan, *rng.normal(size=N - 1)],
            "w": rng.uniform(1, 2, N),
            "g": np.tile(["a", "b", "c"], N // 3),
        },
        index=[f"row {i}" for i in range(N)],
    )


@pytest.fixture
def design():
    formula = parse_formula("y ~ scale(x) + offset(w) + (x | g)")
    return build_design(formula, data(), weights="w", known_sd=np.arange(1.0, N + 1))


def test_rows_are_taken_from_every_part_of_a_design(design):
    order = np.array([7, 0, 3])
    part = design.with_rows(order)
    for name in ("y", "X", "weights", "known_sd", "offset", "row_labels"):
        np.testing.assert_array_equal(getattr(part, name), getattr(design, name)[order])
    np.testing.assert_array_equal(part.rows.positions, [8, 1, 4])
    np.testing.assert_array_equal(part.factors[0].codes, design.factors[0].codes[order])
    np.testing.assert_array_equal(part.factors[0].z, design.factors[0].z[order])
    pd.testing.assert_frame_equal(part.model_frame, design.model_frame.iloc[order])
    assert part.factors[0].levels is design.factors[0].levels
    assert part.n_rows_given == N and part.dropped == {"x": 1}


def test_truth_values_choose_rows_as_positions_do(design):
    chosen = design.y > 0
    found, expected = design.with_rows(chosen), design.with_rows(np.flatnonzero(chosen))
    pd.testing.assert_frame_equal(found.model_frame, expected.model_frame)
    np.testing.assert_array_equal(found.X, expected.X)


def test_a_design_without_its_rows_lays_new_data_out(design):
    learnt = design.with_rows(np.arange(0))
    assert learnt.y.size == learnt.X.shape[0] == learnt.rows.positions.size == 0
    new = pd.DataFrame({"x": [0.5, 2.0], "w": [1.0, 3.0], "g": ["c", "new"]})
    found, expected = new_rows(learnt, new), new_rows(design, new)
    np.testing.assert_array_equal(found.X, expected.X)
    np.testing.assert_array_equal(found.offset, expected.offset)
    np.testing.assert_array_equal(found.factors[0].codes, expected.factors[0].codes)
    np.testing.assert_array_equal(found.factors[0].z, expected.factors[0].z)


def test_another_response_stands_in_the_model_frame_too(design):
    y = np.arange(float(N - 1))
    other = design.with_response(y)
    assert other.y is y
    np.testing.assert_array_equal(other.model_frame["y"], y)
    np.testing.assert_array_equal(other.model_frame["scale(x)"], design.model_frame["scale(x)"])
    assert other.mean is design.mean


def test_counts_given_anew_keep_the_names_of_their_columns():
    frame = data().assign(s=3, f=np.arange(N))
    design = build_design(parse_formula("cbind(s, f) ~ 1 + (1 | g)"), frame)
    y = np.column_stack([np.arange(N), np.ones(N)]).astype(float)
    other = design.with_response(y)
    assert list(other.model_frame) == list(design.model_frame)
    np.testing.assert_array_equal(other.model_frame.to_numpy()[:, :2], y)


def test_a_parameter_beside_the_mean_has_a_predictor_of_its_own(design):
    sigma = build_design(parse_formula("y ~ x + (1 | g)"), data()).mean
    both = replace(design, predictors={**design.predictors, "sigma": sigma})
    assert both.X is design.X and both.mean is design.predictors[MEAN]
    part = both.with_rows(np.array([2, 1]))
    np.testing.assert_array_equal(part.predictors["sigma"].X, sigma.X[[2, 1]])
    assert part.predictors["sigma"].coef_names == ("(Intercept)", "x")
    assert both.with_mean(sigma).predictors["sigma"] is sigma


def test_new_data_are_laid_out_without_an_offset_that_was_taken_away(design):
    own = design.with_mean(design.mean.without_offset())
    assert own.offset is None and design.offset is not None
    assert new_rows(own, {"x": [1.0], "g": ["a"]}).offset is None
