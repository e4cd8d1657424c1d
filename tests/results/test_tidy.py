"""The tidy table: broom.mixed's meanings under our column names, levels obeyed."""

import warnings

import numpy as np
import pytest
from scipy import stats

import hierbayes as hb

COLUMNS = [
    "effect",
    "group",
    "level",
    "term",
    "estimate",
    "std_error",
    "statistic",
    "df",
    "p_value",
    "conf_low",
    "conf_high",
    "method",
]
NORMAL = {"ddf": "normal"}


@pytest.fixture(scope="module")
def fit():
    return hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))


def test_columns_in_the_order_of_the_contract(fit):
    for effects in ("fixed", "ran_pars", "ran_vals", ("fixed", "ran_pars", "ran_vals")):
        assert fit.tidy(effects, **NORMAL).columns.tolist() == COLUMNS


def test_fixed_effects_are_those_of_the_summary(fit):
    table = fit.tidy("fixed", **NORMAL)
    assert table["term"].tolist() == ["(Intercept)", "Days"]
    assert set(table["effect"]) == {"fixed"}
    assert table[["group", "level"]].isna().all(axis=None)
    np.testing.assert_array_equal(table["estimate"], fit.beta)
    np.testing.assert_array_equal(table["std_error"], fit.std_errors)
    np.testing.assert_allclose(table["statistic"], fit.beta / fit.std_errors)
    np.testing.assert_allclose(table["statistic"], [36.8383, 6.7715], atol=1e-4)
    assert np.isposinf(table["df"]).all()
    expected = 2 * stats.norm.sf(np.abs(table["statistic"]))
    np.testing.assert_allclose(table["p_value"], expected, rtol=1e-8)
    assert set(table["method"]) == {"reml"}
    # the same numbers are printed, in the block under this heading
    block = fit.summary().split("Fixed effects:\n")[1].splitlines()[1:3]
    for line, row in zip(block, table.itertuples(), strict=True):
        assert line.startswith(row.term)
        printed = [float(word) for word in line.split()[1:]]
        np.testing.assert_allclose(printed, [row.estimate, row.std_error, row.statistic], atol=1e-3)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_intervals_are_wald_at_the_level_asked_for(fit, level):
    z = stats.norm.ppf((1 + level) / 2)
    for effects in ("fixed", "ran_vals"):
        table = fit.tidy(effects, level=level, **NORMAL)
        np.testing.assert_allclose(table["conf_low"], table["estimate"] - z * table["std_error"])
        np.testing.assert_allclose(table["conf_high"], table["estimate"] + z * table["std_error"])


@pytest.mark.parametrize("level", [0, 1, 95, -0.5, "0.95", True, float("nan")])
def test_a_level_outside_zero_and_one_is_refused(fit, level):
    with pytest.raises(hb.OptionError, match=r"level=.* must be a number between 0 and 1"):
        fit.tidy(level=level, **NORMAL)


def test_no_tests_are_made_when_none_are_asked_for(fit):
    table = fit.tidy("fixed", ddf="none")
    assert table[["df", "p_value"]].isna().all(axis=None)
    np.testing.assert_allclose(table["statistic"], fit.beta / fit.std_errors)


def test_random_parameters_have_broom_mixeds_terms(fit):
    table = fit.tidy("ran_pars", **NORMAL)
    assert table["group"].tolist() == ["Subject"] * 3 + ["Residual"]
    assert table["term"].tolist() == [
        "sd__(Intercept)",
        "sd__Days",
        "cor__(Intercept).Days",
        "sd__Observation",
    ]
    np.testing.assert_array_equal(table["estimate"], fit.varcorr().to_frame()["sdcor"])
    assert table[["std_error", "statistic", "p_value", "conf_low"]].isna().all(axis=None)


def test_random_values_are_ranef_column_by_column(fit):
    table = fit.tidy("ran_vals", **NORMAL)
    modes, sds = fit.ranef()["Subject"], fit.ranef_sd()["Subject"]
    assert len(table) == 36
    for row in table.itertuples():
        assert row.effect == "ran_vals"
        assert row.group == "Subject"
        assert row.estimate == modes.loc[row.level, row.term]
        assert row.std_error == sds.loc[row.level, row.term]


def test_effects_come_in_one_order_whatever_the_order_asked(fit):
    both = fit.tidy(("ran_pars", "fixed"), **NORMAL)
    assert both["effect"].tolist() == ["fixed"] * 2 + ["ran_pars"] * 4
    assert fit.tidy(**NORMAL).equals(both)  # these two are the default
    assert fit.tidy(["fixed"], **NORMAL).equals(fit.tidy("fixed", **NORMAL))


def test_several_factors_and_terms():
    cake = hb.load_dataset("cake")
    fit = hb.lmer("angle ~ temp + (1 | replicate) + (1 | recipe:replicate)", cake, reml=False)
    table = fit.tidy(("ran_pars", "ran_vals"), **NORMAL)
    assert table["group"].drop_duplicates().tolist() == [
        "recipe:replicate",
        "replicate",
        "Residual",
    ]
    assert (table["effect"] == "ran_vals").sum() == 45 + 15
    assert set(table["method"]) == {"ml"}


def test_without_random_effects_only_the_residual_is_a_random_parameter():
    fit = hb.lmer("Reaction ~ Days", hb.load_dataset("sleepstudy"))
    assert fit.tidy("ran_pars", **NORMAL)["term"].tolist() == ["sd__Observation"]
    empty = fit.tidy("ran_vals", **NORMAL)
    assert empty.shape == (0, len(COLUMNS))


def test_a_known_residual_sd_is_not_a_parameter():
    data = {"y": [28.0, 8, -3, 7, -1, 1, 18, 12], "g": list("ABCDEFGH")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.BoundaryWarning)
        fit = hb.lmer("y ~ 1 + (1 | g)", data, known_sd=np.full(8, 12.0))
    assert fit.tidy("ran_pars", **NORMAL)["term"].tolist() == ["sd__(Intercept)"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"effects": "fix"}, "effects='fix'.*did you mean 'fixed'"),
        ({"effects": ()}, r"effects=\(\)"),
        ({"ddf": "satterthwait"}, "ddf='satterthwait'.*did you mean 'satterthwaite'"),
    ],
)
def test_wrong_options_are_named(fit, options, message):
    with pytest.raises(hb.OptionError, match=message):
        fit.tidy(**(NORMAL | options))
