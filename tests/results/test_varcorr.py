"""Variance components as records and as lme4's data frame."""

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.results.varcorr import VarCorr, VarCorrTerm
from tests.reference_fits import load_fit

CORR = np.array([[1.0, 0.5, -0.25], [0.5, 1.0, 0.0], [-0.25, 0.0, 1.0]])
TERM = VarCorrTerm(name="g", columns=("a", "b", "c"), sd=np.array([2.0, 3.0, 4.0]), corr=CORR)


def test_the_covariance_of_a_term_is_that_of_its_sds_and_correlations():
    np.testing.assert_array_equal(
        TERM.covariance, [[4.0, 3.0, -2.0], [3.0, 9.0, 0.0], [-2.0, 0.0, 16.0]]
    )


def test_rows_are_variances_then_covariances_column_by_column_then_the_residual():
    frame = VarCorr(terms=(TERM,), sigma=5.0).to_frame()
    assert frame.columns.tolist() == ["group", "term1", "term2", "vcov", "sdcor"]
    rows = frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
    assert rows == [
        ["g", "a", None, 4.0, 2.0],
        ["g", "b", None, 9.0, 3.0],
        ["g", "c", None, 16.0, 4.0],
        ["g", "a", "b", 3.0, 0.5],
        ["g", "a", "c", -2.0, -0.25],
        ["g", "b", "c", 0.0, 0.0],
        ["Residual", None, None, 25.0, 5.0],
    ]


def test_beside_a_zero_sd_the_correlation_is_missing_and_the_covariance_zero():
    corr = np.array([[1.0, np.nan], [np.nan, np.nan]])
    term = VarCorrTerm(name="g", columns=("a", "b"), sd=np.array([2.0, 0.0]), corr=corr)
    frame = VarCorr(terms=(term,), sigma=1.0).to_frame()
    assert frame["vcov"].tolist() == [4.0, 0.0, 0.0, 1.0]
    assert np.isnan(frame["sdcor"][2])


def test_without_a_residual_sd_there_is_no_residual_row():
    frame = VarCorr(terms=(TERM,), sigma=1.0, has_residual=False).to_frame()
    assert "Residual" not in frame["group"].tolist()
    assert len(frame) == 6


@pytest.mark.parametrize(
    "fit_id", ["ss_max_reml", "ss_sep_reml", "mac_fac_ml", "cake_num", "pas_batchslope"]
)
def test_the_frame_is_lme4s(fit_id):
    reference = load_fit(fit_id)
    fit = hb.lmer(reference.formula, reference.data, reml=reference.reml)
    frame = fit.varcorr().to_frame()
    expected = reference.record["VarCorr"]["as_data_frame"]["columns"]
    for ours, theirs in (("group", "grp"), ("term1", "var1"), ("term2", "var2")):
        found = frame[ours].astype(object).where(frame[ours].notna(), None)
        assert found.tolist() == expected[theirs]
    np.testing.assert_allclose(frame["sdcor"], expected["sdcor"], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(frame["vcov"], expected["vcov"], rtol=2e-3, atol=1e-2)


def test_a_second_term_of_a_factor_has_its_own_name():
    data = hb.load_dataset("sleepstudy")
    fit = hb.lmer("Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)", data)
    assert [term.name for term in fit.varcorr().terms] == ["Subject", "Subject.1"]
    assert fit.varcorr().sigma == fit.sigma


def test_residuals_of_visits_stand_below_it_by_names_that_say_which():
    data = hb.load_dataset("Orthodont")
    shown = hb.lmer("distance ~ age", data, residual="us(age | Subject)").varcorr()
    lines = [line for line in str(shown).splitlines() if line]
    assert lines[:3] == [
        " Groups   Name Std.Dev.",
        f" Residual      {shown.sigma:.4f}  ",
        "Structure of the residuals:",
    ]
    below = [line.split() for line in lines[4:]]
    assert [row[:2] for row in below] == [
        *(["Residual", f"age{visit}"] for visit in (10, 12, 14)),
        *(
            ["Subject", f"age{later}.age{earlier}"]
            for later, earlier in [(10, 8), (12, 8), (12, 10), (14, 8), (14, 10), (14, 12)]
        ),
    ]
    values = [row.value for row in shown.residual]
    np.testing.assert_allclose([float(row[-1]) for row in below], values, atol=5.1e-4)
