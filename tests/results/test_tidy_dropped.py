"""Columns of X that others determine keep their row in tidy tables, without numbers."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb

pytestmark = pytest.mark.filterwarnings("ignore::hierbayes.errors.HierBayesWarning")


@pytest.fixture(scope="module")
def model():
    data = hb.load_dataset("sleepstudy")
    data["Weeks"] = data["Days"] / 7
    data["late"] = (data["Days"] > 4) * 1.0
    return hb.Model("Reaction ~ Days + Weeks + late + (1 | Subject)", data)


def test_a_dropped_column_keeps_its_row(model):
    fit = model.fit()
    table = fit.tidy("fixed")
    assert table["term"].tolist() == list(fit.fixef().index)
    assert table["estimate"].isna().tolist() == [False, False, True, False]
    estimates = table["estimate"].to_numpy()
    np.testing.assert_array_equal(estimates, fit.fixef().to_numpy())
    assert table.loc[2].drop(["effect", "term", "method", "group", "level"]).isna().all()
    assert fit.tidy()["term"].iloc[4] == "sd__(Intercept)"
    plain = fit.update(". ~ . - Weeks").tidy("fixed")
    pd.testing.assert_frame_equal(
        table.drop(index=2).reset_index(drop=True), plain, check_exact=False, rtol=1e-6
    )


def test_of_a_posterior_too_and_comparisons_stay_in_step(model):
    post = model.sample(draws=100, chains=2, random_seed=1)
    table = post.tidy("fixed")
    assert table["estimate"].isna().tolist() == [False, False, True, False]
    fit = model.fit()
    compared = hb.compare(fit, post).to_frame()
    assert compared.loc["late", "reml_estimate"] == pytest.approx(fit.fixef()["late"])
    assert "Weeks" not in compared.index
