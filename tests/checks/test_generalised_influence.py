"""Influence of levels of a generalised fit: each row is the fit of the other levels."""

import numpy as np
import pytest

import hierbayes as hb

pytestmark = pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


@pytest.fixture(scope="module")
def data():
    return hb.load_dataset("cbpp")


@pytest.fixture(scope="module")
def fit(data):
    return hb.glmer(CBPP, data)


def test_each_row_is_the_fit_without_the_level(fit, data):
    table = hb.influence(fit)
    assert table["n"].sum() == len(data) and table.index.name == "herd"
    for label in ("1", "8"):
        other = hb.glmer(CBPP, data[data["herd"] != label])
        np.testing.assert_allclose(table.loc[label].iloc[2:], other.interval_estimates, atol=2e-5)
        step = other.beta - fit.beta
        cook = step @ np.linalg.solve(fit.vcov_beta, step) / 4
        assert table.loc[label, "cooks_distance"] == pytest.approx(cook, rel=1e-3)
    assert list(table.attrs["estimates"].values()) == pytest.approx(list(fit.interval_estimates))


def test_levels_of_crossed_and_of_coarser_factors_are_left_out_too():
    ticks = hb.load_dataset("grouseticks")
    formula = "TICKS ~ YEAR + (1 | BROOD) + (1 | LOCATION)"
    fit = hb.glmer(formula, ticks, "poisson")
    table = hb.influence(fit, group="LOCATION")
    label = str(table["cooks_distance"].idxmax())
    other = hb.glmer(formula, ticks[ticks["LOCATION"].astype(str) != label], "poisson")
    np.testing.assert_allclose(table.loc[label].iloc[2:], other.interval_estimates, atol=2e-4)
    crossed = hb.load_dataset("cbpp").assign(farm=np.arange(56) % 5)
    own = CBPP.replace("period", "1") + " + (1 | farm)"
    found = hb.influence(hb.glmer(own, crossed), group="farm")
    other = hb.glmer(own, crossed[crossed["farm"] != 2])
    np.testing.assert_allclose(found.loc["2"].iloc[2:], other.interval_estimates, atol=2e-4)


def test_a_level_without_which_a_coefficient_is_not_determined_has_no_row(data):
    one = data.assign(first=(data["herd"] == "1").astype(float))
    fit = hb.glmer(CBPP.replace("period", "first"), one)
    table = hb.influence(fit)
    assert table.loc["1"].iloc[1:].isna().all()
    assert table.drop(index="1").notna().to_numpy().all()


def test_the_panel_of_checks_leaves_levels_out_too(fit):
    table = hb.check(fit, random_seed=1).table
    assert any("no level of herd decides" in str(name) for name in table["check"])
