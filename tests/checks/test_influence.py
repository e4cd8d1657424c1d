"""Leaving out a level is the fit of the other rows."""

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.results.interval_parameters import parameter_values

SAME_OPTIMUM = 1e-4  # relative: two searches of one flat surface


@pytest.mark.parametrize(
    ("formula", "data", "group", "level"),
    [
        ("Reaction ~ Days + (Days | Subject)", "sleepstudy", "Subject", "337"),
        ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin", "sample", "F"),
        ("strength ~ 1 + (1 | batch/cask)", "Pastes", "batch", "A"),
    ],
)
def test_it_is_the_fit_of_the_other_rows(formula, data, group, level):
    frame = hb.load_dataset(data)
    fit = hb.lmer(formula, frame)
    found = hb.influence(fit, group)
    other = hb.lmer(formula, frame[frame[group].astype(str) != level])
    expected = parameter_values(
        other, other.theta[None], np.array([other.sigma]), beta=other.beta[None]
    )[0]
    row = found.loc[level]
    np.testing.assert_allclose(row.iloc[2:].to_numpy(float), expected, rtol=SAME_OPTIMUM, atol=1e-5)
    step = other.beta - fit.beta
    cook = step @ np.linalg.solve(fit.vcov_beta, step) / step.size
    assert row["cooks_distance"] == pytest.approx(cook, rel=1e-3)
    assert row["n"] == (frame[group].astype(str) == level).sum()


def test_estimates_of_all_rows_come_along():
    fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    found = hb.influence(fit)
    assert found.attrs["estimates"]["sigma"] == fit.sigma
    assert list(found.columns[2:]) == list(found.attrs["estimates"])


def test_bad_input_is_named():
    sleep = hb.load_dataset("sleepstudy")
    fit = hb.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    with pytest.raises(hb.OptionError, match="did you mean 'Subject'"):
        hb.influence(fit, "Subjects")
    with pytest.raises(hb.NotSupportedError, match="no grouping factor"):
        hb.influence(hb.lmer("Reaction ~ Days", sleep))
    with pytest.raises(hb.NotSupportedError, match="refits by REML or ML"):
        hb.influence("fit")


def test_levels_that_hold_a_column_of_their_own_have_no_estimates_without_it():
    """Once numpy's error, for a fixed effect of one level without an intercept."""
    data = hb.load_dataset("sleepstudy")
    data["who"] = np.where(data["Subject"].astype(str) == "308", "one", "others")
    found = hb.influence(hb.lmer("Reaction ~ 0 + who + (1 | Subject)", data))
    assert np.isnan(found.loc["308", "cooks_distance"])
    assert np.isfinite(found["cooks_distance"].drop("308")).all()
