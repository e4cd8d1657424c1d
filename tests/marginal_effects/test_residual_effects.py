"""Predictions, comparisons and slopes where residuals are correlated or of unequal variance."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.gaussian.residual.root import coloured
from hierbayes.marginal_means.effect_levels import new_response_limits
from hierbayes.marginal_means.effect_means import effect_means
from hierbayes.prediction.residual_variance import effects_variance

FOLDER = Path(__file__).parents[1] / "reference" / "residuals"
CASES = {
    "ar1": ("distance ~ age * Sex + (1 | Subject)", "ar1(occasion | Subject)", "~ Sex"),
    "strata": ("distance ~ age + (1 | Subject)", None, "~ Sex"),
    "us": ("distance ~ Sex", "us(age | Subject)", None),
}


@lru_cache
def rows() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "orthodont.csv")


@lru_cache
def fitted(case: str):
    formula, residual, sigma = CASES[case]
    return hb.lmer(formula, rows(), residual=residual, sigma=sigma)


def test_effects_of_the_typical_group_are_contrasts() -> None:
    fit, data = fitted("ar1"), rows()
    found = hb.comparisons(fit, "Sex").to_frame()
    own = fit.contrast({"x": {"SexMale": 1, "age:SexMale": data["age"].mean()}})
    slope = hb.slopes(fit, "age", by="Sex").to_frame().iloc[1]
    steep = fit.contrast({"x": {"age": 1, "age:SexMale": 1}})
    for name in ("estimate", "std_error", "df"):
        assert float(found[name].iloc[0]) == pytest.approx(float(own[name].iloc[0]), rel=1e-6)
        assert float(slope[name]) == pytest.approx(float(steep[name].iloc[0]), rel=1e-6)
    text = str(hb.comparisons(fitted("us"), "Sex"))
    assert "Satterthwaite" in text and "residual degrees" not in text


def test_of_observed_groups_what_is_not_known_of_their_effects_and_of_residuals_counts() -> None:
    fit, data = fitted("ar1"), rows()
    each = hb.predictions(fit, by=False, target="observed groups").to_frame()
    own = fit.predict(data, interval="confidence")
    np.testing.assert_allclose(each["std_error"], own["se"], rtol=1e-9)
    np.testing.assert_allclose(each["conf_low"], own["lower"], rtol=1e-9)
    # an average: the equations of the mixed model, in full
    codes = fit.design.factors[0].codes
    Z = np.eye(27)[codes]
    K = coloured(fit.spec.residuals, fit.residual.phi, np.eye(fit.nobs))
    P = np.linalg.inv(K @ K.T)
    A = np.hstack([fit.design.X, Z])
    equations = A.T @ P @ A
    equations[4:, 4:] += np.eye(27) / fit.representing.representative[0] ** 2
    mean = (data["Sex"] == "Male").to_numpy() / 64
    along = mean @ A
    found = effects_variance(fit, along[None, :4], [along[None, 4:, None]])
    expected = fit.sigma**2 * along @ np.linalg.solve(equations, along)
    assert found.given_theta[0] == pytest.approx(expected, rel=1e-9)
    table = hb.predictions(fit, by="Sex", target="observed groups").to_frame()
    assert table["std_error"].iloc[1] == pytest.approx(float(found.sd[0]), rel=1e-9)


def test_new_responses_vary_as_their_stratum_or_visit_does() -> None:
    fit = fitted("strata")
    found = hb.predictions(
        fit, over="mean", at={"Sex": ["Female", "Male"]}, interval="prediction"
    ).to_frame()
    ratio = np.exp(fit.residual_values[0])
    inside = hb.predictions(fit, over="mean", interval="confidence").to_frame()["std_error"]
    square = found["std_error"].to_numpy() ** 2
    assert square[1] - square[0] == pytest.approx(fit.sigma**2 * (ratio**2 - 1), rel=1e-6)
    assert square[0] > float(inside.iloc[0]) ** 2
    visits = fitted("us")
    asked = {"at": {"age": [8, 14], "Sex": "Male"}, "over": "mean", "interval": "prediction"}
    square = hb.predictions(visits, **asked).to_frame()["std_error"].to_numpy() ** 2
    ratio = np.exp(visits.residual_values[2])
    assert square[1] - square[0] == pytest.approx(visits.sigma**2 * (ratio**2 - 1), rel=1e-6)
    with pytest.raises(hb.OptionError, match="whose sd depends on 'Sex'"):
        hb.predictions(fit, by="age", interval="prediction")
    with pytest.raises(hb.OptionError, match="depends on 'Sex', which is no predictor"):
        new_response_limits(fit, effect_means(fit, x="age"))


def test_series_of_their_own_need_no_names_nor_times() -> None:
    fit = fitted("ar1")
    found = hb.predictions(fit, by=False, interval="prediction").to_frame()
    own = fit.predict(groups="none", interval="prediction")
    np.testing.assert_allclose(found["std_error"], own["se"], rtol=1e-9)


def test_sds_that_follow_from_fitted_values_are_known_for_the_typical_group() -> None:
    fit = hb.lmer("distance ~ age * Sex", rows(), sigma="~ log(fitted)")
    slope = hb.slopes(fit, "age").to_frame()["std_error"].iloc[0]
    share = (rows()["Sex"] == "Male").mean()
    own = fit.contrast({"x": {"age": 1, "age:SexMale": share}})
    assert slope == pytest.approx(float(own["std_error"].iloc[0]), rel=1e-6)
    with pytest.raises(hb.NotSupportedError, match="follow from fitted values"):
        hb.predictions(fit, interval="prediction")
