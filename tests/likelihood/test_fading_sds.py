"""Where residuals' parameters have no optimum inside: sds that go to zero, correlations that do."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb


def reproduced(seed):
    """Rows of f = "a" without residuals, of which intercept and slope of a level say all."""
    rng = np.random.default_rng(seed)
    g, f, x = np.repeat(np.arange(10), 6), np.tile(list("abbccc"), 10), rng.normal(size=60)
    b = 2 * rng.normal(size=(10, 2))
    sd = pd.Series(f).map({"a": 0.0, "b": 1.0, "c": 2.0}).to_numpy()
    y = 1 + b[g, 0] + b[g, 1] * x + sd * rng.normal(size=60)
    return pd.DataFrame({"y": y, "x": x, "f": f, "g": g.astype(str)})


@pytest.mark.parametrize("base", ["a", "b"])
@pytest.mark.parametrize("seed", [1, 3])
def test_an_sd_that_goes_to_zero_is_held_and_said(seed, base):
    """Once the rounding of ever larger weights ended the search, or parameters were not told."""
    data = reproduced(seed)
    data["f"] = data["f"].map({base: "1", "a": "2", "b": "3", "c": "4"} | {base: "1"})
    with pytest.warns(hb.BoundaryWarning, match="goes to zero; it is held at 0.67%"):
        fit = hb.lmer("y ~ x + (x | g)", data, sigma="~ f")
    assert fit.converged
    assert [found.code for found in fit.findings] == ["residual_sd_at_zero"]
    sds = fit.varcorr().to_frame().query("group == 'Residual'").sdcor
    np.testing.assert_allclose(sds.min() / sds.max(), np.exp(-5), rtol=1e-8)
    wald = hb.confint(fit, "wald")
    is_known = wald.loc[["sigma", *(name for name in wald.index if name.startswith("sigma_"))]]
    unknown = {"a": ["sigma", "sigma_f3", "sigma_f4"], "b": ["sigma_f2"]}[base]
    assert is_known.index[is_known.lower.isna()].tolist() == unknown
    tests = hb.anova(fit)
    assert 1 < tests.to_frame().den_df.iloc[0] < 60
    assert "the residual sd of" in str(tests)


def test_which_sd_is_the_reference_changes_nothing_else():
    data = reproduced(3)
    with pytest.warns(hb.BoundaryWarning):
        one, other = (
            hb.lmer("y ~ x + (x | g)", data.assign(f=data.f.map(names)), sigma="~ f")
            for names in ({"a": "1", "b": "2", "c": "3"}, {"a": "3", "b": "1", "c": "2"})
        )
    np.testing.assert_allclose(one.criterion, other.criterion, rtol=1e-9)
    first, second = (fit.tidy("fixed")[["estimate", "std_error", "df"]] for fit in (one, other))
    np.testing.assert_allclose(first, second, rtol=1e-4)


def test_an_sd_may_be_a_thousandth_of_another():
    rng = np.random.default_rng(5)
    f = np.tile(["a", "b"], 40)
    data = pd.DataFrame({"f": f, "x": rng.normal(size=80)})
    data["y"] = data.x + np.where(f == "a", 1e-3, 1.0) * rng.normal(size=80)
    fit = hb.lmer("y ~ x + f", data, sigma="~ f")
    assert not fit.findings
    sds = fit.varcorr().to_frame().sdcor
    assert 6.3 < np.log(sds.iloc[1] / sds.iloc[0]) < 7.5


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_correlation_in_time_that_goes_to_zero_leaves_independent_rows(seed):
    """It fades slowly where some gaps are a twentieth of the median."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"g": np.repeat(np.arange(12), 5).astype(str)})
    data["t"] = rng.uniform(0.05, 3, (12, 5)).cumsum(axis=1).ravel()
    data["y"], data["x"] = rng.normal(size=60), rng.normal(size=60)
    with pytest.warns(hb.DesignWarning, match="the end of its range"):
        fit = hb.lmer("y ~ x", data, residual="car1(t | g)")
    assert fit.converged
    X = np.column_stack([np.ones(60), data.x])
    left = np.linalg.lstsq(X, data.y, rcond=None)[1][0]
    alone = 58 * (1 + np.log(2 * np.pi * left / 58)) + np.linalg.slogdet(X.T @ X)[1]
    np.testing.assert_allclose(fit.criterion, alone, rtol=0, atol=1e-8)


def test_too_few_series_for_all_correlations_are_said_to_be():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"g": np.repeat(list("ABCD"), 4), "t": np.tile([0, 2, 5, 9], 4)})
    data["y"] = rng.normal(size=16)
    words = r"4 series may be too few for the correlations of 4 visits: write cs\(1 \| g\)"
    with pytest.raises(hb.DataError, match=words):
        hb.lmer("y ~ t", data, residual="us(t | g)")
