"""F tables of types I to III and single-term deletions: lmerTest's numbers, and what they mean."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hierbayes as hb
from tests.model.fits import grouped, lmer, quietly
from tests.reference_fits import linear_fits, load_fit
from tests.results.posteriors import known_posterior

F_RTOL, DF_RTOL = 1e-4, 1e-3
COLUMNS = {
    "sum_sq": "Sum Sq", "mean_sq": "Mean Sq", "num_df": "NumDF", "den_df": "DenDF",
    "f_value": "F value", "p_value": "Pr(>F)",
}  # fmt: skip
TYPES = {1: "I", 2: "II", 3: "III"}
METHODS = {"satterthwaite": "", "kenward-roger": "_KR"}
WITHOUT = {
    "mac_dbar": "lme4 1.1 keeps the columns of a factor correlated under ||",
    "ss_poly_dbar": "lme4 1.1 keeps poly(x, 2) as one block under ||",
}
# lmerTest's numerical derivatives lose digits on cubic slopes in raw days: the design is balanced,
# so 17 (REML) and 18 (ML) are exact, and ours
COARSE = {"ss_over_reml": 2e-3, "ss_over_ml": 2e-3}
NO_WEIGHTS = {("ss_wt", "kenward-roger")}  # pbkrtest leaves out the weights of the residuals
# the last digits printed are of estimates on the boundary, of a tie in rounding, or of COARSE
UNLIKE_PRINT = {"cake_over", "oat_helm", "oat_split_ml", "oat_split_reml", *COARSE}
SLOW = ("ie_full", "ie_service")
CAKE = "angle ~ recipe * temperature + (1 | recipe:replicate)"


def reference_fit(name):
    case = load_fit(name)
    return quietly(hb.lmer, case.formula, case.data, reml=case.reml, **case.options)


def cases():
    for name in linear_fits(without=tuple(WITHOUT)):
        if "anova_I" in load_fit(name).record.get("inference", {}):
            yield name


@pytest.mark.parametrize("name", list(cases()))
def test_types_one_to_three_are_lmertests(name):
    fit, inference = reference_fit(name), load_fit(name).record["inference"]
    for type, roman in TYPES.items():
        for ddf, ending in METHODS.items():
            expected = inference.get(f"anova_{roman}{ending}")
            if expected is None or (name, ddf) in NO_WEIGHTS:
                continue
            frame = hb.anova(fit, type=type, ddf=ddf).to_frame()
            assert frame.index.tolist() == expected["rows"]
            for column, theirs in COLUMNS.items():
                values = np.array(expected["columns"][theirs], dtype=float)
                rtol = DF_RTOL if column == "den_df" else F_RTOL
                rtol = 2e-2 if column == "p_value" else COARSE.get(name, rtol)
                np.testing.assert_allclose(frame[column], values, rtol=rtol, atol=1e-15)


@pytest.mark.parametrize("name", [n for n in cases() if n not in UNLIKE_PRINT and n not in SLOW])
def test_tables_print_as_lmertest_prints_them(name):
    fit, inference = reference_fit(name), load_fit(name).record["inference"]
    for type, roman in TYPES.items():
        printed = str(hb.anova(fit, type=type)).split("\n\n")[0].splitlines()
        expected = inference[f"anova_{roman}"]["printed"]
        if not inference[f"anova_{roman}"]["rows"]:
            expected = [expected[0], "No terms to test."]
        assert [line.rstrip() for line in printed] == [line.rstrip() for line in expected]


@pytest.mark.parametrize("name", [name for name in cases() if name not in SLOW])
def test_deletions_have_lmertests_f_tests(name):
    expected = load_fit(name).record["inference"]["drop1_lmerTest"]
    frame = hb.drop1(reference_fit(name)).to_frame()
    assert frame.index.tolist() == expected["rows"]
    for column in ("f_value", "den_df", "num_df", "mean_sq"):
        values = np.array(expected["columns"].get(COLUMNS[column], []), dtype=float)
        rtol = DF_RTOL if column == "den_df" else F_RTOL
        np.testing.assert_allclose(frame[column], values, rtol=COARSE.get(name, rtol))


def deletion_cases():
    for name in cases():
        found = load_fit(name).record["inference"].get("drop1_Chisq_ML", {})
        # of `0 + Days` lme4 fits an intercept in place of Days, and calls that 0 parameters less
        if "rows" in found and name != "ss_noint":
            yield name


@pytest.mark.parametrize("name", list(deletion_cases()))
def test_deletions_have_lme4s_likelihood_ratios(name):
    expected = load_fit(name).record["inference"]["drop1_Chisq_ML"]
    fit = reference_fit(name)
    table = quietly(hb.drop1, fit, test="Chisq")
    assert table.refitted == (fit.method == "reml")
    frame, columns = table.to_frame(), expected["columns"]
    assert frame.index.tolist() == expected["rows"]
    np.testing.assert_allclose(frame["npar"], np.array(columns["npar"], dtype=float))
    np.testing.assert_allclose(frame["aic"], columns["AIC"], atol=1e-4)
    np.testing.assert_allclose(frame["lrt"], np.array(columns["LRT"], dtype=float), atol=1e-4)
    p_values = np.array(columns["Pr(Chi)"], dtype=float)
    np.testing.assert_allclose(frame["p_value"], p_values, rtol=1e-3)


def test_missing_values_elsewhere_do_not_stop_a_deletion():
    """Where lme4 stops: the smaller model would use more rows."""
    data = grouped()
    data.loc[::7, "z"] = np.nan
    fit = lmer("y ~ x + z + (1 | g)", data)
    frame = quietly(hb.drop1, fit, test="Chisq").to_frame()
    smaller = lmer("y ~ x + (1 | g)", data.dropna(), reml=False)
    larger = lmer("y ~ x + z + (1 | g)", data.dropna(), reml=False)
    expected = quietly(hb.anova, smaller, larger).to_frame()["chisq"].iloc[1]
    assert frame.loc["z", "lrt"] == pytest.approx(expected, abs=1e-6)
    assert frame.loc["z", "aic"] == pytest.approx(smaller.aic, abs=1e-6)


def test_the_last_column_of_a_model_without_intercept_can_be_deleted():
    sleep = hb.load_dataset("sleepstudy")
    fit = lmer("Reaction ~ 0 + Days + (1 | Subject)", sleep, reml=False)
    frame = hb.drop1(fit, "Chisq").to_frame()
    empty = lmer("Reaction ~ 0 + (1 | Subject)", sleep, reml=False)
    assert frame.loc["Days", "npar"] == 1
    assert frame.loc["Days", "aic"] == pytest.approx(empty.aic, abs=1e-6)


# what does not depend on how a model is written


CODINGS = ("treatment", "sum", "helmert", "poly")


def two_factors(seed=5, *, empty_cell=False):
    rng = np.random.default_rng(seed)
    n = 150
    a, b = rng.integers(0, 3, n), rng.integers(0, 4, n)
    if empty_cell:
        inside = ~((a == 1) & (b == 2))
        a, b, n = a[inside], b[inside], int(inside.sum())
    g = rng.integers(0, 14, n)
    x = rng.normal(size=n)
    y = a + 0.5 * b + 0.3 * a * b + x + rng.normal(size=14)[g] + rng.normal(size=n)
    factors = {"a": np.array(list("pqr"))[a], "b": np.array(list("stuv"))[b]}
    return pd.DataFrame({**factors, "x": x, "g": np.array([f"g{i:02d}" for i in g]), "y": y})


@settings(max_examples=6, deadline=None)
@given(a=st.sampled_from(CODINGS), b=st.sampled_from(CODINGS), empty_cell=st.booleans())
def test_tables_do_not_depend_on_the_contrasts(a, b, empty_cell):
    data = two_factors(empty_cell=empty_cell)
    fits = [
        lmer("y ~ a * b + x:a + (1 | g)", data, contrasts=contrasts)
        for contrasts in (None, {"a": a, "b": b})
    ]
    for type in TYPES:
        for ddf in METHODS:
            one, other = (hb.anova(fit, type=type, ddf=ddf).to_frame() for fit in fits)
            np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-12)
    one, other = (hb.drop1(fit).to_frame() for fit in fits)
    np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize("terms", ["a * b", "x + x:a", "a + a:b", "0 + a * x", "poly(x, 2) * a"])
def test_f_does_not_depend_on_the_order_of_levels(terms):
    """Of lmerTest it does for x in x + x:a, which it doesn't see contained in x:a."""
    data = two_factors()
    turned = data.assign(a=pd.Categorical(data["a"], ["r", "p", "q"], ordered=False))
    one, other = (lmer(f"y ~ {terms} + (1 | g)", frame) for frame in (data, turned))
    for type in (2, 3):
        values = [hb.anova(fit, type=type).to_frame()["f_value"] for fit in (one, other)]
        np.testing.assert_allclose(values[1], values[0], rtol=1e-5)


def test_types_two_and_three_do_not_depend_on_the_order_of_terms():
    data = two_factors()
    one, other = (lmer(f"y ~ {terms} + (1 | g)", data) for terms in ("x + a * b", "b * a + x"))
    for type in (2, 3):
        tables = [hb.anova(fit, type=type).to_frame() for fit in (one, other)]
        tables[1] = tables[1].rename({"b:a": "a:b"}).loc[tables[0].index]
        np.testing.assert_allclose(tables[1], tables[0], rtol=1e-4)
    first = hb.anova(one, type=1).to_frame()["f_value"]
    assert first["a"] != pytest.approx(hb.anova(other, type=1).to_frame()["f_value"]["a"], rel=1e-3)


def test_type_three_tests_equal_means_averaged_with_equal_weights():
    fit = lmer("y ~ a * b + (1 | g)", two_factors(), contrasts={"a": "sum", "b": "sum"})
    # with sum contrasts these are the coefficients of a
    joint = fit.contrast(["a1", "a2"], joint=True).to_frame().iloc[0]
    row = hb.anova(fit, type=3).to_frame().loc["a"]
    same = ["sum_sq", "mean_sq", "num_df", "f_value"]
    np.testing.assert_allclose(row[same], joint[same], rtol=1e-8)
    assert row["den_df"] == pytest.approx(joint["den_df"], rel=1e-2)


def test_type_two_is_type_one_with_the_term_last_among_those_that_do_not_contain_it():
    data = two_factors()
    two = hb.anova(lmer("y ~ a * b + (1 | g)", data), type=2).to_frame()
    one = hb.anova(lmer("y ~ b + a + a:b + (1 | g)", data), type=1).to_frame()
    np.testing.assert_allclose(two.loc["a"], one.loc["a"], rtol=1e-4)


def test_a_covariate_is_not_contained_in_its_interaction_for_the_other_factor():
    """At x = 0, not averaged over x: a factor and its slope have other continuous variables."""
    fit = lmer("y ~ a * x + (1 | g)", two_factors())
    names = ["aq", "ar"]
    row = hb.anova(fit).to_frame().loc["a", "f_value"]
    assert row == pytest.approx(fit.contrast(names, joint=True).to_frame()["f_value"].iloc[0])


@pytest.mark.parametrize("ddf", METHODS)
@pytest.mark.parametrize("type", TYPES)
def test_one_degree_of_freedom_is_the_square_of_t(type, ddf):
    fit = lmer("y ~ z + x + (x | g)", grouped())
    row = hb.anova(fit, type=type, ddf=ddf).to_frame().loc["x"]
    tested = fit.tidy("fixed", ddf=ddf).set_index("term").loc["x"]
    assert row["f_value"] == pytest.approx(tested["statistic"] ** 2)
    assert row["den_df"] == pytest.approx(tested["df"])
    assert row["p_value"] == pytest.approx(tested["p_value"])


def test_a_linear_model_has_the_tables_of_anova_and_car():
    data = two_factors()
    fit = hb.lmer("y ~ a * b", data)
    table = hb.anova(fit, type=1)
    frame = table.to_frame()
    explained = ((fit.fitted() - data["y"].mean()) ** 2).sum()
    assert frame["sum_sq"].sum() == pytest.approx(explained)  # sequential sums add up
    assert frame["den_df"].tolist() == [len(data) - 12] * 3
    assert "no random effects: exact F tests" in str(table)
    equal = hb.anova(fit, type=1, ddf="kenward-roger").to_frame()
    np.testing.assert_allclose(equal, frame, rtol=1e-6)


def test_sequential_sums_of_a_weighted_linear_model_add_up():
    fit = hb.lmer("y ~ f * x", grouped(), weights="w")
    frame = hb.anova(fit, type=1).to_frame()
    w, y = fit.weights, fit.design.y
    mean = np.average(y, weights=w)
    assert frame["sum_sq"].sum() == pytest.approx((w * (fit.fitted() - mean) ** 2).sum())


def test_an_empty_cell_keeps_the_degrees_of_freedom_that_can_be_estimated():
    fit = lmer("y ~ a * b + (1 | g)", two_factors(empty_cell=True))
    for type in TYPES:
        assert hb.anova(fit, type=type).to_frame()["num_df"].tolist() == [2, 3, 5]


def test_a_term_that_was_dropped_has_an_empty_row():
    fit = lmer("Reaction ~ Days + I(2 * Days) + (1 | Subject)", hb.load_dataset("sleepstudy"))
    for type in TYPES:
        frame = hb.anova(fit, type=type).to_frame()
        assert frame.loc["I(2 * Days)"].isna().all()
        assert frame.loc["Days", "num_df"] == 1
        assert "No test of I(2 * Days): all columns depend" in str(hb.anova(fit, type=type))
    assert "No test of Days, I(2 * Days)" in str(hb.drop1(fit))


@pytest.mark.parametrize("formula", ["y ~ 1 + (1 | g)", "y ~ 0 + (1 | g)", "y ~ 1"])
def test_a_model_without_terms_says_so(formula):
    fit = lmer(formula, grouped())
    for table in (hb.anova(fit), hb.anova(fit, type=1), hb.drop1(fit)):
        assert table.to_frame().empty
        assert "No terms to test." in str(table)
        assert "No terms to test." in table._repr_html_()
    assert quietly(hb.drop1, fit, "Chisq").to_frame().index.tolist() == ["<none>"]


def test_a_singular_fit_and_known_residual_sds_have_tables():
    singular = lmer("Yield ~ days + (1 | Batch)",
                    hb.load_dataset("Dyestuff2").assign(days=np.arange(30) % 5))  # fmt: skip
    assert singular.is_singular
    for ddf in METHODS:
        frame = hb.anova(singular, ddf=ddf).to_frame()
        assert frame["den_df"].iloc[0] == pytest.approx(28 if ddf == "satterthwaite" else 23)
    known = lmer("y ~ f + x + (1 | g)", grouped(), known_sd="w")
    for ddf in METHODS:
        assert np.isfinite(hb.anova(known, ddf=ddf).to_frame()).all(axis=None)


def test_infinite_degrees_of_freedom_are_a_chi_squared_test():
    fit = lmer("y ~ f + x + (1 | g)", grouped())
    row = hb.anova(fit, ddf="normal").to_frame().loc["f"]
    L, V = np.eye(4)[1:3], fit.vcov_beta
    wald = (L @ fit.beta) @ np.linalg.solve(L @ V @ L.T, L @ fit.beta)
    assert row["f_value"] == pytest.approx(wald / 2)
    assert row["p_value"] == pytest.approx(np.exp(-wald / 2))  # chi-squared with 2 df
    none = hb.anova(fit, ddf="none").to_frame().loc["f"]
    assert none[["den_df", "p_value"]].isna().all()
    assert none["f_value"] == row["f_value"]


REFUSED = {
    "test": (lambda fit: hb.drop1(fit, test="LRT"), hb.OptionError, "test='LRT' is not one of"),
    "ddf": (lambda fit: hb.drop1(fit, ddf="kr"), hb.OptionError, "ddf='kr' is not one of"),
    "ddf of a likelihood ratio": (
        lambda fit: hb.drop1(fit, "Chisq", ddf="normal"),
        hb.OptionError,
        "ddf= is for F tests; test='Chisq' has no denominator.",
    ),
    "no fit": (lambda fit: hb.drop1(fit.model), hb.OptionError, "by REML or ML; it got Model."),
    "type": (lambda fit: hb.anova(fit, type=4), hb.OptionError, "type=4 is not one of 1, 2, 3."),
    "a truth": (lambda fit: hb.anova(fit, type=True), hb.OptionError, "type=True is not one of"),
}  # fmt: skip


@pytest.mark.parametrize(("ask", "error", "words"), REFUSED.values(), ids=REFUSED)
def test_bad_input_gets_one_sentence(ask, error, words):
    with pytest.raises(error) as caught:
        ask(lmer("y ~ x + (1 | g)", grouped()))
    assert words in str(caught.value)


def test_a_posterior_is_told_what_answers_instead():
    posterior = known_posterior(hb.Model("y ~ x + (1 | g)", grouped()))
    with pytest.raises(hb.OptionError, match="it got a posterior"):
        hb.anova(posterior)
    with pytest.raises(hb.OptionError, match="by REML or ML; it got PosteriorFit"):
        hb.drop1(posterior)


def test_deletions_print_the_model_and_their_method():
    fit = lmer(CAKE, hb.load_dataset("cake"))
    lines = str(hb.drop1(fit)).splitlines()
    assert lines[:4] == ["Single term deletions with Satterthwaite's method:", "", "Model:", CAKE]
    assert lines[5].split() == ["recipe:temperature", "205.98", "20.598", "10", "210", "1.0062",
                                "0.4393"]  # fmt: skip
    table = quietly(hb.drop1, fit, "Chisq")
    lines = str(table).splitlines()
    assert lines[0] == "Single term deletions, fitted again with ML (instead of REML)"
    assert lines[4].split() == ["npar", "AIC", "LRT", "Pr(Chi)"]
    assert lines[5].split() == ["<none>", "1719.0"]
    html = table._repr_html_()
    for text in ("&lt;none&gt;", "1709.6", "10.53", "0.3953"):
        assert text in html
    assert "0.4393" in hb.drop1(fit)._repr_html_()


def test_type_three_with_an_empty_cell_says_so():
    machines = hb.load_dataset("Machines")
    data = machines.assign(half=[str(i % 2) for i in range(len(machines))])
    full = hb.lmer("score ~ Machine * half + (1 | Worker)", data)
    holed = data[~((data.Machine == "A") & (data.half == "1"))]
    fit = quietly(hb.lmer, "score ~ Machine * half + (1 | Worker)", holed)
    assert "combinations of levels in Machine:half have no rows" in str(hb.anova(fit))
    assert not hb.anova(fit, type=2).notes and not hb.anova(full).notes
