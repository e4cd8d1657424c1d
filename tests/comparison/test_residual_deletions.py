"""Terms taken out, slopes and tables beside residual structures, against fits of their own."""

from functools import lru_cache

import numpy as np
import pytest

import hierbayes as hb


@lru_cache
def fitted():
    data = hb.load_dataset("Orthodont")
    options = {"residual": "car1(age | Subject)", "sigma": "~ Sex"}
    return hb.lmer("distance ~ age * Sex + (1 | Subject)", data, **options)


def test_ratios_of_deletions_are_those_of_the_smaller_fit() -> None:
    fit = fitted()
    row = hb.drop1(fit, "Chisq").to_frame().loc["age:Sex"]
    smaller = fit.update(". ~ . - age:Sex").with_method("ml")
    larger = fit.with_method("ml")
    assert row["lrt"] == pytest.approx(2 * (larger.loglik - smaller.loglik), abs=1e-5)
    assert row["aic"] == pytest.approx(smaller.aic, abs=1e-5)


def test_f_tests_are_squares_of_those_of_the_coefficient() -> None:
    fit = fitted()
    own = fit.tidy("fixed", ddf="kenward-roger").set_index("term").loc["age:SexFemale"]
    found = hb.drop1(fit, ddf="kenward-roger").to_frame().loc["age:Sex"]
    joint = hb.joint_tests(fit, ddf="kenward-roger").to_frame().loc["age:Sex"]
    for row in (found, joint):
        assert row["f_value"] == pytest.approx(own["statistic"] ** 2, rel=1e-6)
        assert row["den_df"] == pytest.approx(own["df"], rel=1e-6)


def test_slopes_are_sums_of_coefficients() -> None:
    fit = fitted()
    slopes = hb.emtrends(fit, "Sex", var="age").to_frame()
    L = np.array([[0, 1, 0, 0], [0, 1, 0, 1]])
    np.testing.assert_allclose(slopes.iloc[:, 1], L @ fit.beta)
    se = np.sqrt(np.diag(L @ fit.vcov_beta @ L.T))
    np.testing.assert_allclose(slopes.iloc[:, 2], se, rtol=1e-8)


def test_tables_of_papers_have_what_residuals_have_beside_sigma() -> None:
    fit = fitted()
    text = str(hb.table(fit))
    rows = fit.varcorr().to_frame().set_index("term1")["sdcor"]
    assert f"{rows['SexFemale']:.3f}" in text and f"{rows['car1']:.3f}" in text
