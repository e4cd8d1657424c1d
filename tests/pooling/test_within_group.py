"""Least-squares lines of every group on its own, against numpy's polynomial fit."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import t

from hierbayes.errors import DataError, OptionError
from hierbayes.pooling.within_group import group_points, within_group, within_group_lines

RTOL = 1e-9  # numpy solves by SVD, we by centred sums: only rounding differs


@pytest.fixture
def uneven():
    """Groups of 12, 5 and 3 rows, x far from zero, two rows incomplete."""
    rng = np.random.default_rng(3)
    n = (12, 5, 3)
    frame = pd.DataFrame(
        {
            "g": np.repeat(["b", "a", "c"], n),
            "x": 50 + rng.normal(size=20),
            "y": rng.normal(size=20),
        }
    )
    return pd.concat([frame, pd.DataFrame({"g": ["a", None], "x": [1.0, 2.0], "y": [np.nan, 1.0]})])


@pytest.mark.parametrize("level", ["a", "b", "c"])
def test_lines_and_bands_are_those_of_polyfit(uneven, level):
    rows = uneven[(uneven.g == level) & uneven.y.notna()]
    coef, cov = np.polyfit(rows.x - 50, rows.y, 1, cov=True)  # centred: polyfit loses digits else
    lines = within_group_lines(uneven, x="x", y="y", group="g", level=0.9, n_points=7)
    ours = lines[lines.group == level]
    np.testing.assert_allclose(ours.x, np.linspace(rows.x.min(), rows.x.max(), 7))
    at = np.stack([ours.x - 50, np.ones(7)])
    np.testing.assert_allclose(ours.estimate, coef @ at, rtol=RTOL)
    half = t.ppf(0.95, len(rows) - 2) * np.sqrt(np.einsum("ik,ij,jk->k", at, cov, at))
    np.testing.assert_allclose(ours.conf_high - ours.estimate, half, rtol=1e-7)
    np.testing.assert_allclose(ours.estimate - ours.conf_low, half, rtol=1e-7)
    table = within_group(uneven, x="x", y="y", group="g")
    assert table.loc[level, "slope"] == pytest.approx(coef[0], rel=RTOL)
    assert table.loc[level, "n"] == len(rows)


def test_groups_keep_the_order_of_their_categories():
    frame = pd.DataFrame(
        {"g": pd.Categorical(["low", "high"] * 3, ["low", "high", "never"]), "x": range(6)}
    ).assign(y=lambda d: d.x**2)
    assert within_group(frame, x="x", y="y", group="g").index.tolist() == ["low", "high"]


def test_what_the_rows_do_not_determine_is_missing():
    frame = pd.DataFrame(
        {
            "g": ["one"] + ["two"] * 2 + ["same x"] * 3,
            "x": [1.0, 1.0, 2.0, 5.0, 5.0, 5.0],
            "y": [1.0, 2.0, 4.0, 1.0, 2.0, 3.0],
        }
    )
    table = within_group(frame, x="x", y="y", group="g")
    assert np.isnan(table.loc[["one", "same x"], "slope"]).all()
    assert table.loc["two", "slope"] == pytest.approx(2.0)
    assert np.isnan(table["sigma"]).all()
    lines = within_group_lines(frame, x="x", y="y", group="g")
    assert set(lines["group"]) == {"two"}
    assert lines["conf_low"].isna().all()


def test_a_perfect_line_has_no_residual_variation():
    frame = pd.DataFrame({"x": np.arange(5.0), "y": 0.1 + 0.3 * np.arange(5.0)})
    assert within_group(frame, x="x", y="y").loc["", "sigma"] == 0


def test_any_frame_is_read(sleepstudy):
    ours = within_group(pl.from_pandas(sleepstudy), x="Days", y="Reaction", group="Subject")
    pd.testing.assert_frame_equal(
        ours, within_group(sleepstudy, x="Days", y="Reaction", group="Subject")
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": "Dayz", "y": "Reaction"}, "no column 'Dayz'; did you mean 'Days'"),
        ({"x": "Subject", "y": "Reaction"}, "'Subject' holds categories; a line needs numbers"),
        ({"x": "Days", "y": "Reaction", "group": "Subjects"}, "did you mean 'Subject'"),
    ],
)
def test_wrong_columns_are_named(sleepstudy, arguments, message):
    with pytest.raises(DataError, match=message):
        group_points(sleepstudy, **arguments)


def test_no_complete_row_is_said(sleepstudy):
    frame = sleepstudy.assign(Reaction=np.nan)
    with pytest.raises(DataError, match="No row is complete in Days, Reaction, Subject"):
        group_points(frame, x="Days", y="Reaction", group="Subject")


def test_level_is_a_probability(sleepstudy):
    with pytest.raises(OptionError, match="level=95 must lie between 0 and 1"):
        within_group_lines(sleepstudy, x="Days", y="Reaction", level=95)
