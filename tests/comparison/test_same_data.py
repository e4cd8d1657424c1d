"""Fits of the same rows in another order are fits of the same data."""

import numpy as np
import pytest

import hierbayes as hb

SMALL, LARGE = "Reaction ~ Days + (1 | Subject)", "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module", params=["labels kept", "labels new"])
def shuffled(request):
    data = hb.load_dataset("sleepstudy").sample(frac=1, random_state=1)
    return data if request.param == "labels kept" else data.reset_index(drop=True)


@pytest.mark.parametrize("refit", [True, False])
def test_fits_of_shuffled_rows_are_tested_against_each_other(shuffled, refit):
    data = hb.load_dataset("sleepstudy")
    large = hb.lmer(LARGE, data)
    expected = hb.anova(large, hb.lmer(SMALL, data), refit=refit).to_frame()
    found = hb.anova(large, hb.lmer(SMALL, shuffled), refit=refit).to_frame()
    assert found.to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-6, nan_ok=True)
    assert np.isfinite(found["p_value"].iloc[1])


def test_fits_of_shuffled_rows_are_compared(shuffled):
    data = hb.load_dataset("sleepstudy")
    table = hb.compare(hb.lmer(LARGE, data), hb.lmer(LARGE, shuffled, reml=False)).to_frame()
    assert table.loc["Days", "ml_estimate"] == pytest.approx(10.4673, abs=1e-4)


def test_pointwise_differences_of_shuffled_rows_are_of_the_same_rows(shuffled):
    data = hb.load_dataset("sleepstudy")
    large = hb.Model(LARGE, data).sample(random_seed=1, draws=250)
    small = hb.Model(SMALL, data).sample(random_seed=1, draws=250)
    moved = hb.Model(SMALL, shuffled).sample(random_seed=1, draws=250)
    expected = hb.compare(large, small).to_frame()["se_diff"].iloc[1]
    found = hb.compare(large, moved).to_frame()["se_diff"].iloc[1]
    assert found == pytest.approx(expected, rel=0.05)


def test_a_bootstrap_test_of_shuffled_rows_says_that_they_are_in_another_order(shuffled):
    fits = hb.lmer(SMALL, shuffled), hb.lmer(LARGE, hb.load_dataset("sleepstudy"))
    with pytest.raises(hb.DataError, match="the same rows in another order"):
        hb.pb_test(*fits, nsim=2)


def test_a_response_in_another_order_is_not_the_same_data():
    data = hb.load_dataset("sleepstudy")
    other = data.assign(Reaction=data["Reaction"].to_numpy()[::-1])
    fits = hb.lmer(LARGE, data), hb.lmer("Reaction ~ Days", other)
    with pytest.raises(hb.DataError, match="the same values of Reaction in another order"):
        hb.anova(*fits)
