"""Satterthwaite's degrees of freedom beside lmerTest's, whose derivatives are numerical."""

import warnings

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.intervals.satterthwaite import satterthwaite_df
from tests.reference_fits import linear_fits, load_fit

LMERTEST = 1e-3  # relative: lmerTest's derivatives are good to about 1e-5, p values to far less
# lmerTest's numerical derivatives lose digits on cubic slopes in raw days: the design is balanced,
# so 17 (REML) and 18 (ML) are exact, and ours
COARSE = {"ss_over_reml": 2e-3, "ss_over_ml": 2e-3}
WITHOUT = {
    "mac_dbar": "lme4 1.1 keeps the columns of a factor correlated under ||",
    "ss_poly_dbar": "lme4 1.1 keeps poly(x, 2) as one block under ||",
}


def cases():
    for case in linear_fits(without=tuple(WITHOUT)):
        name = str(getattr(case, "values", (case,))[0])
        record = load_fit(name).record
        table = record.get("inference", {}).get("satterthwaite", {})
        if "columns" in table and not record["singular"]:
            yield name


@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
@pytest.mark.parametrize("name", list(cases()))
def test_degrees_of_freedom_and_p_values_are_lmertests(name):
    case = load_fit(name)
    fit = hb.lmer(case.formula, case.data, reml=case.reml, **case.options)
    table = fit.tidy(effects="fixed")
    columns = case.record["inference"]["satterthwaite"]["columns"]
    np.testing.assert_allclose(table["df"], columns["df"], rtol=COARSE.get(name, LMERTEST))
    np.testing.assert_allclose(table["p_value"], columns["Pr(>|t|)"], rtol=2e-2, atol=1e-12)
    np.testing.assert_allclose(table["statistic"], columns["t value"], rtol=1e-4)


def test_a_combination_has_the_degrees_of_freedom_of_the_same_test_coded_otherwise():
    machines = hb.load_dataset("Machines")
    treatment = hb.lmer("score ~ Machine + (1 | Worker)", machines)
    sums = hb.lmer("score ~ Machine + (1 | Worker)", machines, contrasts={"Machine": "sum"})
    b_minus_c = np.array([[0.0, 1.0, -1.0]])  # B - C in treatment coding
    coded = np.array([[0.0, 1.0, 2.0]])  # B - C = s2 - (-s1 - s2) in sum coding
    assert satterthwaite_df(treatment, b_minus_c) == pytest.approx(
        satterthwaite_df(sums, coded), rel=1e-6
    )


def test_without_random_effects_they_are_the_residual_degrees_of_freedom():
    fit = hb.lmer("Reaction ~ Days", hb.load_dataset("sleepstudy"))
    assert fit.tidy(effects="fixed")["df"].tolist() == [178, 178]


def test_intervals_use_the_t_quantile():
    fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    row = fit.tidy(effects="fixed").iloc[1]
    half = (row["conf_high"] - row["conf_low"]) / 2
    assert half == pytest.approx(2.109816 * row["std_error"], rel=1e-5)  # qt(0.975, 17)


def test_a_covariance_on_the_boundary_has_degrees_of_freedom_too():
    """Once a singular covariance of several columns ended in numpy's "Singular matrix"."""
    data = hb.load_dataset("sleepstudy")
    flat = np.random.default_rng(0).normal(250, 25, size=len(data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        fit = hb.lmer("flat ~ Days + (Days | Subject)", data.assign(flat=flat))
    assert fit.is_singular
    assert np.isfinite(fit.tidy("fixed")[["df", "p_value", "conf_low"]].to_numpy()).all()
