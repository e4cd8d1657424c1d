"""Shrinkage of generalised fits: own estimates are separate fits, 0 and 100 % are said."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.pooling.pooling_lines import pooling_lines
from hierbayes.pooling.reliability_curve import reliability_curve

pytestmark = pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


@pytest.fixture(scope="module")
def cbpp():
    return hb.load_dataset("cbpp")


@pytest.fixture(scope="module")
def fit(cbpp):
    return hb.glmer(CBPP, cbpp)


@pytest.fixture(scope="module")
def yes_no():
    """Twelve subjects, eight trials each: subject 3 always succeeds, subject 5 at high x only."""
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(12), 8), np.tile(np.arange(8) - 3.5, 12)
    b = rng.normal(size=(12, 2)) * [1.5, 0.4]
    eta = 0.5 + b[g, 0] + (0.3 + b[g, 1]) * x
    y = (rng.random(96) < 1 / (1 + np.exp(-eta))).astype(int)
    y[g == 3] = 1
    y[g == 5] = x[g == 5] > 0
    return pd.DataFrame({"y": y, "x": x, "g": g})


def level(table, label):
    return table[table["level"] == label].iloc[0]


def test_the_own_estimate_is_that_of_a_separate_fit(fit, cbpp):
    table = hb.shrinkage(fit)
    fixed = fit.fixed_part - fit.fixef().iloc[0]
    for label in ("1", "7", "14"):
        rows = (cbpp["herd"] == label).to_numpy()
        formula = "cbind(incidence, size - incidence) ~ 1"
        alone = hb.glmer(formula, cbpp[rows], offset=fixed[rows])
        found = level(table, label)
        assert found["unpenalised"] == pytest.approx(alone.beta[0], abs=1e-6)
        assert found["unpenalised_se"] == pytest.approx(alone.std_errors[0], rel=1e-5)
        assert found["within_group"] == found["unpenalised"]


def test_coefficients_are_those_of_the_fit_with_their_standard_errors(fit, cbpp):
    table = hb.shrinkage(fit)
    coefficients = fit.coef()["herd"]["(Intercept)"]
    np.testing.assert_allclose(table["coefficient"], coefficients, rtol=1e-12)
    np.testing.assert_allclose(table["effect_sd"], fit.ranef_sd()["herd"]["(Intercept)"])
    new = {"period": ["1"] * 15, "herd": list(table["level"])}
    predicted = fit.predict(new, interval="confidence", type="link")
    np.testing.assert_allclose(table["coefficient_sd"], predicted["se"], rtol=1e-6)


def test_what_is_kept_lies_between_own_and_population(fit):
    table = hb.shrinkage(fit)
    kept = (table["coefficient"] - table["population"]) / (
        table["unpenalised"] - table["population"]
    )
    assert kept.between(0, 1).all()
    np.testing.assert_allclose(table["reliability"], table.matrices["herd"][:, 0, 0])
    far = (table["unpenalised"] - table["population"]).abs() > 0.3
    np.testing.assert_allclose(kept[far], table["reliability"][far], atol=0.12)


def test_on_the_scale_of_the_response_the_own_estimate_is_the_observed_share(fit, cbpp):
    table = hb.shrinkage(fit, type="response")
    sums = cbpp.groupby("herd", observed=True)[["incidence", "size"]].sum()
    np.testing.assert_allclose(table["unpenalised"], sums["incidence"] / sums["size"], atol=1e-7)
    mean = (fit.fitted() * cbpp["size"]).groupby(cbpp["herd"], observed=True).sum() / sums["size"]
    np.testing.assert_allclose(table["coefficient"], mean, rtol=1e-10)
    assert (table["term"] == "(response)").all() and len(table) == 15
    assert "expected cbind(incidence, size - incidence), the mean" in str(table)


def test_all_successes_are_an_infinite_coefficient_and_100_percent(yes_no):
    fit = hb.glmer("y ~ x + (1 | g)", yes_no)
    table, response = hb.shrinkage(fit), hb.shrinkage(fit, type="response")
    assert level(table, "3")["unpenalised"] == np.inf == level(table, "3")["unpenalised_se"]
    assert np.isfinite(level(table, "3")["coefficient"])
    assert np.isfinite(table["unpenalised"]).sum() == 11
    assert level(response, "3")["unpenalised"] == 1.0
    assert 0.6 < level(response, "3")["coefficient"] < 1.0
    assert "all responses of the level are of one kind" in str(table)
    few = hb.glmer("y ~ x + (1 | g)", yes_no.assign(y=1 - yes_no["y"]))
    assert level(hb.shrinkage(few), "3")["unpenalised"] == -np.inf
    assert level(hb.shrinkage(few, type="response"), "3")["unpenalised"] == pytest.approx(0, 1e-12)


def test_beside_a_slope_a_separated_level_has_no_own_coefficients(yes_no):
    fit = hb.glmer("y ~ x + (x | g)", yes_no)
    table = hb.shrinkage(fit)
    for label in ("3", "5"):
        rows = table[table["level"] == label]
        assert rows["unpenalised"].isna().all() and np.isinf(rows["unpenalised_se"]).all()
    response = hb.shrinkage(fit, type="response")
    assert level(response, "5")["unpenalised"] == pytest.approx(0.5, abs=1e-6)


def test_no_counts_at_all_are_an_own_expectation_of_zero():
    ticks = hb.load_dataset("grouseticks")
    fit = hb.glmer("TICKS ~ YEAR + (1 | BROOD) + (1 | LOCATION)", ticks, "poisson")
    table, response = hb.shrinkage(fit), hb.shrinkage(fit, type="response")
    totals = ticks.groupby("BROOD", observed=True)["TICKS"].sum()
    none = totals.index[totals == 0].astype(str)
    broods = table[table["group"] == "BROOD"].set_index("level")
    assert set(broods.index[np.isinf(broods["unpenalised"])]) == set(none)
    own = response[response["group"] == "BROOD"].set_index("level").loc[none, "unpenalised"]
    assert (own < 1e-12).all()


def test_names_of_levels_and_units_of_predictors_do_not_matter(yes_no):
    one = hb.shrinkage(hb.glmer("y ~ x + (x | g)", yes_no))
    other = yes_no.assign(far=yes_no["x"] / 100, g=[f"s{i:02d}" for i in yes_no["g"]])
    two = hb.shrinkage(hb.glmer("y ~ far + (far | g)", other.sample(frac=1.0, random_state=1)))
    slopes = one["term"] == "x"
    for name in ("unpenalised", "coefficient", "coefficient_sd", "population"):
        # a subject's name decides its place in one table and the other alike
        first = one[name].to_numpy() * np.where(slopes, 100.0, 1.0)
        order = np.argsort(
            [f"s{int(v):02d}{t == 'x'}" for v, t in zip(one.level, one.term, strict=True)]
        )
        second = two[name].to_numpy()
        np.testing.assert_allclose(first[order], second, rtol=2e-4, atol=1e-5)


def test_the_path_runs_from_the_population_to_the_own_estimates(fit, yes_no):
    path = hb.shrinkage_path(fit, sds=[0, fit.varcorr().terms[0].sd[0], np.inf])
    first = path[path["sd"] == 0]
    pooled = hb.glmer(CBPP.replace(" + (1 | herd)", ""), hb.load_dataset("cbpp"))
    np.testing.assert_allclose(first["coefficient"], pooled.beta[0], atol=1e-6)
    quick = hb.glmer(CBPP, hb.load_dataset("cbpp"), n_quadrature=0)
    middle = path[path["sd"].between(0.1, 10)]
    own = quick.coef()["herd"]["(Intercept)"].to_numpy()
    np.testing.assert_allclose(middle["coefficient"], own, atol=5e-3)
    endless = hb.shrinkage_path(hb.glmer("y ~ x + (1 | g)", yes_no), sds=[1, np.inf])
    assert endless[endless["level"] == "3"]["coefficient"].iloc[-1] == np.inf


def test_the_curve_of_reliability_is_that_of_average_rows(fit):
    curve = reliability_curve(fit, n=np.array([4.0]))
    tau2 = fit.varcorr().terms[0].sd[0] ** 2
    weight = fit.row_curvature.mean()
    assert curve["reliability"][0] == pytest.approx(4 * weight / (4 * weight + 1 / tau2))


def test_lines_are_expected_responses(fit):
    found = pooling_lines(fit, levels=["1", "14"])
    assert found.x == "period" and found.points["y"].between(0, 1).all()
    own = found.lines[found.lines["level"] == "1"]["unpenalised"].to_numpy()
    table = level(hb.shrinkage(fit), "1")
    first = 1 / (1 + np.exp(-table["unpenalised"]))
    assert own[0] == pytest.approx(first)


@pytest.mark.parametrize("picture", ["slopegraph", "plane", "lines", "reliability"])
def test_every_picture_is_drawn_with_separated_levels(picture, yes_no):
    fit = hb.glmer("y ~ x + (x | g)", yes_no)
    figure, _ = getattr(hb.plot, f"shrinkage_{picture}")(fit)
    figure.canvas.draw()
    plt.close("all")


def test_pictures_say_what_is_infinite(yes_no):
    fit = hb.glmer("y ~ x + (1 | g)", yes_no)
    figure, ax = hb.plot.shrinkage_slopegraph(fit)
    (legend,) = figure.legends
    assert "infinite (all of one kind)" in [t.get_text() for t in legend.get_texts()]
    assert ax.get_ylabel() == "(Intercept) (logit)"
    _, ax = hb.plot.shrinkage_slopegraph(fit, type="response")
    assert ax.get_ylabel() == "expected y" and ax.get_ylim()[1] < 1.2
    _, ax = hb.plot.tau_path(fit)
    assert np.isfinite(ax.get_ylim()).all()
    plt.close("all")


def test_the_scale_of_a_linear_model_is_that_of_the_response():
    fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    with pytest.raises(hb.OptionError, match="units of the response"):
        hb.shrinkage(fit, type="response")


def test_own_estimates_beyond_the_reach_of_a_link_are_missing():
    from hierbayes.likelihood.generalised import fit_generalised
    from tests.likelihood.glmm_cases import specification

    fit = fit_generalised(specification("zero_inflated_poisson", "identity", "crossed slope"))
    table = hb.shrinkage(fit)
    assert table["unpenalised"].isna().any() and np.isfinite(table["coefficient"]).all()
