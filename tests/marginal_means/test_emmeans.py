"""Estimated marginal means: R's emmeans, closed forms, coding, both estimators, bad input."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import hierbayes as hb
from hierbayes.families.named import family_named
from tests.reference_fits import load_fit, load_reference

RTOL, DF_RTOL = 1e-4, 1e-3
DDF = {
    "satterthwaite": "satterthwaite",
    "kenward_roger": "kenward-roger",
    "asymptotic": "normal",
}
# The reference's name of a table -> specs and by; factor(nitro) is nitro for us as for emmeans.
SPECS = {
    "Machine": ("Machine", None),
    "recipe": ("recipe", None),
    "temperature": ("temperature", None),
    "cells": ("recipe", "temperature"),
    "Variety": ("Variety", None),
}


def quiet(formula, data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        return hb.lmer(formula, data, **options)


@pytest.fixture(scope="module")
def machines():
    return quiet("score ~ Machine + (1 | Worker/Machine)", hb.load_dataset("Machines"))


@pytest.fixture(scope="module")
def cake():
    return quiet("angle ~ recipe * temperature + (1 | recipe:replicate)", hb.load_dataset("cake"))


def references():
    found = []
    for name in ("emm_machines", "emm_cake", "emm_oats"):
        record = load_reference(f"emmeans/{name}")
        tables = [key for key, value in record.items() if isinstance(value, dict)]
        found += [(name, table, ddf) for table in tables for ddf in record[table]]
    return found


@pytest.mark.parametrize(("name", "table", "ddf"), references())
def test_means_and_pairs_of_emmeans(name, table, ddf):
    record = load_reference(f"emmeans/{name}")
    expected = record[table][ddf]
    reference = load_fit(record["fit"])
    fit = quiet(reference.formula, reference.data, **reference.options)
    specs, by = SPECS[table]
    for adjust, pairs in (("tukey", "pairs_tukey"), ("none", "pairs_noadjust")):
        found = hb.emmeans(fit, specs, by, contrasts="pairwise", ddf=DDF[ddf], adjust=adjust)
        means, columns = found.to_frame(), expected["emmeans"]["columns"]
        assert means[specs].astype(str).tolist() == [str(v) for v in columns[specs]]
        compare(means, columns, {"estimate": "emmean", "std_error": "SE"})
        compare_df(means, columns)
        compare_limits(means, columns)
        columns = expected[pairs]["columns"]
        assert found.contrasts["contrast"].tolist() == columns["contrast"]
        compare(found.contrasts, columns, {"estimate": "estimate", "std_error": "SE"})
        compare_df(found.contrasts, columns)
        np.testing.assert_allclose(
            found.contrasts["p_value"], columns["p.value"], rtol=1e-3, atol=1e-6
        )
        if adjust == "none":
            compare_limits(found.contrasts, columns)


def compare(frame, columns, names):
    for ours, theirs in names.items():
        np.testing.assert_allclose(frame[ours], columns[theirs], rtol=RTOL, atol=1e-6)


def compare_df(frame, columns):
    expected = [np.inf if v is None else v for v in columns["df"]]
    np.testing.assert_allclose(frame["df"], expected, rtol=DF_RTOL)


def compare_limits(frame, columns):
    for ours, kinds in (
        ("conf_low", "LCL lower.CL asymp.LCL"),
        ("conf_high", "upper.CL asymp.UCL"),
    ):
        theirs = next(kind for kind in kinds.split() if kind in columns)
        scale = frame["std_error"]
        assert (np.abs(frame[ours] - np.array(columns[theirs])) / scale).max() < 1e-3


def test_balanced_means_are_the_means_of_the_data(cake):
    data = hb.load_dataset("cake")
    found = hb.emmeans(cake, "recipe").to_frame()
    expected = data.groupby("recipe", observed=True)["angle"].mean()
    np.testing.assert_allclose(found["estimate"], expected, rtol=1e-10)


def test_unbalanced_means_are_of_a_balanced_population():
    data = hb.load_dataset("cake").drop(index=range(40)).reset_index(drop=True)
    fit = quiet("angle ~ recipe + temperature + (1 | recipe:replicate)", data)
    beta = fit.fixef()  # temperature is ordered: its polynomials are zero on average
    expected = beta["(Intercept)"] + beta["recipeB"]
    found = hb.emmeans(fit, "recipe").to_frame().set_index("recipe")
    assert found.loc["B", "estimate"] == pytest.approx(expected)
    observed = data.groupby("recipe", observed=True)["angle"].mean()
    assert abs(observed["A"] - found.loc["A", "estimate"]) > 0.1


@pytest.mark.parametrize("coding", ["sum", "helmert", "poly"])
def test_the_coding_of_factors_does_not_matter(coding):
    data = hb.load_dataset("cake").drop(index=range(25)).reset_index(drop=True)
    formula = "angle ~ recipe * temperature + (1 | replicate)"
    one = quiet(formula, data)
    other = quiet(formula, data, contrasts={"recipe": coding, "temperature": coding})
    for ddf in ("satterthwaite", "kenward-roger"):
        a, b = (
            hb.emmeans(fit, "temperature", contrasts="pairwise", ddf=ddf) for fit in (one, other)
        )
        np.testing.assert_allclose(a.means.iloc[:, 1:], b.means.iloc[:, 1:], rtol=1e-4)
        numbers = ["estimate", "std_error", "df", "conf_low"]
        np.testing.assert_allclose(a.contrasts[numbers], b.contrasts[numbers], rtol=1e-4, atol=1e-6)


def test_numbers_stand_at_their_mean_or_at_what_is_said(sleepstudy):
    fit = hb.lmer("Reaction ~ poly(Days, 2) + (Days | Subject)", sleepstudy)
    found = hb.emmeans(fit, "Days")
    assert found.means["Days"].tolist() == [4.5]
    expected = fit.predict({"Days": [4.5], "Subject": ["308"]}, groups="none").iloc[0]
    assert found.means["estimate"].iloc[0] == pytest.approx(expected)
    assert "Days at its mean, 4.5" in " ".join(str(found).split())
    found = hb.emmeans(fit, "Days", at={"Days": [0, 9]}, contrasts=[(9, 0)])
    ends = fit.predict({"Days": [0.0, 9.0], "Subject": ["308"] * 2}, groups="none")
    np.testing.assert_allclose(found.means["estimate"], ends)
    assert found.contrasts["contrast"].tolist() == ["Days9 - Days0"]
    assert found.contrasts["estimate"].iloc[0] == pytest.approx(ends.iloc[1] - ends.iloc[0])


def test_a_number_made_a_factor_has_levels_and_a_dummy_both_values():
    oats = (
        hb.load_dataset("Oats").assign(wet=lambda d: np.arange(len(d)) % 7 < 3).astype({"wet": int})
    )
    fit = quiet("yield ~ factor(nitro) + wet + (1 | Block)", oats)
    found = hb.emmeans(fit, "nitro")
    assert found.means["nitro"].tolist() == [0, 0.2, 0.4, 0.6]
    assert "Averaged over wet at 0, 1" in " ".join(str(found).split())
    beta = fit.fixef()
    expected = beta["(Intercept)"] + beta["wet"] / 2
    assert found.means["estimate"].iloc[0] == pytest.approx(expected)


def test_outside_the_data_is_said(sleepstudy):
    fit = hb.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)
    found = hb.emmeans(fit, "Days", at={"Days": [0, 20]})
    assert any("Days at 20 lies outside the data (0 to 9)" in note for note in found.notes)
    assert "extrapolation" not in str(hb.emmeans(fit, "Days", at={"Days": [0, 9]}))


def test_some_levels_of_a_factor(cake):
    found = hb.emmeans(cake, "recipe", at={"temperature": ["175", 225]})
    cells = hb.emmeans(cake, ["recipe", "temperature"]).means
    chosen = cells[cells.temperature.isin(["175", "225"])]
    expected = chosen.groupby("recipe")["estimate"].mean()
    np.testing.assert_allclose(found.means["estimate"], expected)


def test_the_first_of_several_specs_varies_fastest(cake):
    found = hb.emmeans(cake, ["temperature", "recipe"]).means
    assert found[["temperature", "recipe"]].iloc[:2].values.tolist() == [["175", "A"], ["185", "A"]]
    swapped = hb.emmeans(cake, ["recipe", "temperature"]).means
    both = found.merge(swapped, on=["recipe", "temperature"])
    np.testing.assert_allclose(both["estimate_x"], both["estimate_y"])


def test_an_interaction_with_what_is_averaged_over_is_said(cake):
    assert "interaction recipe:temperature" in " ".join(str(hb.emmeans(cake, "recipe")).split())
    assert "interaction" not in str(hb.emmeans(cake, "recipe", "temperature"))


def test_what_the_data_do_not_determine_is_missing():
    cake = hb.load_dataset("cake")
    data = cake[~((cake.recipe == "A") & (cake.temperature == "175"))].reset_index(drop=True)
    fit = quiet("angle ~ recipe * temperature + (1 | recipe:replicate)", data)
    found = hb.emmeans(fit, "recipe", contrasts="pairwise")
    assert found.means["estimate"].isna().tolist() == [True, False, False]
    assert found.contrasts["estimate"].isna().tolist() == [True, True, False]
    assert found.contrasts["p_value"].isna().tolist() == [True, True, False]
    assert "1 of 3 means is not determined by the data" in " ".join(str(found).split())
    cells = hb.emmeans(fit, "recipe", "temperature").means
    assert cells["estimate"].isna().sum() == 1


def test_a_column_that_depends_on_others_changes_nothing(sleepstudy):
    one = quiet("Reaction ~ Days + (1 | Subject)", sleepstudy)
    two = quiet("Reaction ~ Days + I(2 * Days) + (1 | Subject)", sleepstudy)
    a, b = (hb.emmeans(fit, "Days", at={"Days": [1, 2]}).means for fit in (one, two))
    np.testing.assert_allclose(a, b, rtol=1e-6)


def test_holms_adjustment_and_bonferronis_intervals(machines):
    plain = hb.emmeans(machines, "Machine", contrasts="pairwise", adjust="none").contrasts
    holm = hb.emmeans(machines, "Machine", contrasts="pairwise", adjust="holm").contrasts
    ordered = np.sort(plain["p_value"])
    expected = np.maximum.accumulate(ordered * [3, 2, 1])
    np.testing.assert_allclose(np.sort(holm["p_value"]), expected)
    half = stats.t.ppf(1 - 0.025 / 3, plain["df"]) * plain["std_error"]
    np.testing.assert_allclose(holm["conf_high"], plain["estimate"] + half)


def test_tukeys_intervals_hold_the_tests(machines):
    found = hb.emmeans(machines, "Machine", contrasts="pairwise", level=0.95).contrasts
    outside = (found["conf_low"] > 0) | (found["conf_high"] < 0)
    assert ((found["p_value"] < 0.05) == outside).all()
    p = found["p_value"].iloc[0]
    edge = hb.emmeans(machines, "Machine", contrasts="pairwise", level=1 - p).contrasts
    assert min(abs(edge["conf_low"].iloc[0]), abs(edge["conf_high"].iloc[0])) < 1e-6


def test_contrasts_of_ones_own(machines):
    means = hb.emmeans(machines, "Machine").means["estimate"].to_numpy()
    asked = {"C vs rest": [-0.5, -0.5, 1], "B - A": {"B": 1, "A": -1}}
    found = hb.emmeans(machines, "Machine", contrasts=asked).contrasts
    expected = [means[2] - means[:2].mean(), means[1] - means[0]]
    assert found["contrast"].tolist() == list(asked)
    np.testing.assert_allclose(found["estimate"], expected)
    pair = hb.emmeans(machines, "Machine", contrasts=[("B", "A")]).contrasts
    np.testing.assert_allclose(pair.iloc[:, 1:], found.iloc[[1], 1:])


def test_pairs_of_combinations(cake):
    found = hb.emmeans(
        cake,
        ["recipe", "temperature"],
        contrasts=[(("A", "175"), ("A", "225")), ("B 175", "A 175")],
    )
    assert found.contrasts["contrast"].tolist() == [
        "A temperature175 - A temperature225",
        "B temperature175 - A temperature175",
    ]


def test_an_offset_and_a_model_without_groups(sleepstudy):
    fit = quiet("Reaction ~ 1 + factor(Days > 4) + offset(10 * Days) + (1 | Subject)", sleepstudy)
    found = hb.emmeans(fit, "Days").means
    one = fit.predict({"Days": [3.0], "Subject": ["308"]}, groups="none").iloc[0]
    assert found.set_index("Days").loc[3, "estimate"] == pytest.approx(one)
    argument = quiet("Reaction ~ factor(Days) + (1 | Subject)", sleepstudy, offset="10 * Days")
    found = hb.emmeans(argument, "Days")
    assert found.means["estimate"].iloc[0] == pytest.approx(argument.beta[0] + 45)
    assert "The offset stands at its mean." in found.notes
    lm = hb.lmer("Reaction ~ Days", sleepstudy)
    found = hb.emmeans(lm, "Days")
    assert found.means["df"].tolist() == [178.0]
    assert "residual degrees of freedom" in str(found)


def test_a_posterior_has_the_means_in_every_draw():
    model = hb.Model("score ~ Machine + (1 | Worker)", hb.load_dataset("Machines"))
    post = model.sample(draws=600, chains=2, random_seed=1)
    found = hb.emmeans(post, "Machine", contrasts="pairwise", level=0.9)
    beta = post.draws.beta.reshape(-1, 3)
    draws = beta[:, [0]] + np.column_stack([np.zeros(len(beta)), beta[:, 1], beta[:, 2]])
    np.testing.assert_allclose(found.means["estimate"], draws.mean(axis=0))
    np.testing.assert_allclose(found.means["std_error"], draws.std(axis=0, ddof=1))
    np.testing.assert_allclose(found.means["conf_low"], np.quantile(draws, 0.05, axis=0))
    difference = draws[:, 0] - draws[:, 1]
    np.testing.assert_allclose(found.contrasts["conf_high"].iloc[0], np.quantile(difference, 0.95))
    assert found.contrasts["p_value"].isna().all()
    text = str(found)
    assert "credible" in text and "confidence" not in text and " df" not in text


def test_a_posterior_on_the_response_scale():
    from dataclasses import replace

    from scipy.special import expit

    model = hb.Model("score ~ Machine + (1 | Worker)", hb.load_dataset("Machines"))
    post = model.sample(random_seed=1)
    draws = replace(post.draws, beta=(post.draws.beta - [50, 0, 0]) / 10, sigma=None)
    post = replace(post, spec=replace(post.spec, family=family_named("bernoulli")), draws=draws)
    link = hb.emmeans(post, "Machine")
    response = hb.emmeans(post, "Machine", type="response", contrasts="pairwise")
    beta = draws.beta.reshape(-1, 3)
    expected = expit(beta[:, 0] + beta[:, 1])
    assert response.means["estimate"].iloc[1] == pytest.approx(expected.mean())
    first = (expit(beta[:, 0]) - expected).mean()
    assert response.contrasts["estimate"].iloc[0] == pytest.approx(first)
    assert "response scale" in str(response) and "scale of the logit link" in str(link)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"specs": "Machin"}, "specs: 'Machin' is no predictor.*did you mean 'Machine'"),
        ({"specs": "Worker"}, "'Worker' is a grouping factor.*fit.coef"),
        ({"by": []}, "names no predictor"),
        ({"specs": None}, "specs=None must be a predictor's name"),
        ({"specs": ["Machine", "Machine"]}, "twice"),
        ({"specs": [1]}, "not a predictor's name"),
        ({"by": "Machine"}, "stands in specs and in by"),
        ({"at": {"Machines": "A"}}, "at: 'Machines' is no predictor"),
        ({"at": ["A"]}, "must be a dict"),
        ({"at": {"Machine": []}}, "is empty"),
        ({"ddf": "kr"}, "ddf='kr'"),
        ({"adjust": "tukeys"}, "did you mean 'tukey'"),
        ({"level": 1.0}, "level=1.0"),
        ({"type": "respons"}, "did you mean 'response'"),
        ({"contrasts": "pairs"}, "'pairwise', a dict of weights or a list of pairs"),
        ({"contrasts": []}, "asks for no contrast"),
        ({"contrasts": 3}, "contrasts=3 must be"),
        ({"contrasts": {"x": [1, -1]}}, "has 2 weights for 3 means"),
        ({"contrasts": {"x": {"D": 1}}}, "there is no mean 'D'"),
        ({"contrasts": {"x": "AB"}}, "must be a list or a dict of weights"),
        ({"contrasts": {"x": ["a", 1, 1]}}, "the weight 'a' is not a number"),
        ({"contrasts": [("A", "A")]}, "one mean twice"),
        ({"contrasts": ["AB"]}, "is no pair"),
        ({"contrasts": [("A", "B")], "adjust": "tukey"}, "adjust='holm' for contrasts of your own"),
    ],
)
def test_bad_input(machines, arguments, words):
    with pytest.raises(hb.OptionError, match=words):
        hb.emmeans(machines, **({"specs": "Machine"} | arguments))


def test_levels_and_values_that_cannot_be(machines, sleepstudy):
    with pytest.raises(hb.DataError, match="'Machine' has no level 'D'"):
        hb.emmeans(machines, "Machine", at={"Machine": ["A", "D"]})
    fit = hb.lmer("Reaction ~ log(Days + 1) + (1 | Subject)", sleepstudy)
    with pytest.raises(hb.OptionError, match="it can't be 'x'"):
        hb.emmeans(fit, "Days", at={"Days": "x"})
    with pytest.raises(hb.DataError, match="not a number at a value of the grid"):
        hb.emmeans(fit, "Days", at={"Days": -2})
    with pytest.raises(hb.OptionError, match="needs two means"):
        hb.emmeans(fit, "Days", contrasts="pairwise")
    with pytest.raises(hb.OptionError, match="has none"):
        hb.emmeans(hb.lmer("Reaction ~ 1 + (1 | Subject)", sleepstudy), "Days")
    with pytest.raises(hb.OptionError, match="it got str"):
        hb.emmeans("fit", "Days")


def test_truth_values_odd_names_and_missing_rows():
    rng = np.random.default_rng(1)
    data = {
        "y": rng.normal(size=60),
        "is new": rng.random(60) < 0.5,
        "größe": rng.normal(size=60),
        "g": np.repeat(np.arange(6), 10),
    }
    data["y"][3] = np.nan
    fit = quiet("y ~ `is new` * größe + (1 | g)", data)
    found = hb.emmeans(fit, "is new", contrasts="pairwise")
    assert found.means["is new"].tolist() == [False, True]
    assert found.contrasts["contrast"].tolist() == ["False - True"]
    mean = np.delete(data["größe"], 3).mean()
    beta = fit.beta
    assert found.means["estimate"].iloc[1] == pytest.approx(
        beta[0] + beta[1] + mean * (beta[2] + beta[3])
    )
    one = hb.emmeans(fit, "is new", at={"is new": True, "größe": 0}).means
    assert one["estimate"].tolist() == pytest.approx([beta[0] + beta[1]])


def test_a_transformed_response_is_said(sleepstudy):
    fit = hb.lmer("log(Reaction) ~ Days + (1 | Subject)", sleepstudy)
    assert "Means are of log(Reaction)." in str(hb.emmeans(fit, "Days"))


def test_a_saved_fit_has_the_same_means(cake, tmp_path):
    cake.save(tmp_path / "fit.hb")
    again = hb.emmeans(hb.load(tmp_path / "fit.hb"), "recipe", contrasts="pairwise")
    found = hb.emmeans(cake, "recipe", contrasts="pairwise")
    np.testing.assert_allclose(again.means.iloc[:, 1:], found.means.iloc[:, 1:], rtol=1e-6)
    np.testing.assert_allclose(again.contrasts.iloc[:, 1:], found.contrasts.iloc[:, 1:], rtol=1e-5)


def test_a_grid_too_large_is_refused():
    rng = np.random.default_rng(2)
    names = [f"x{i}" for i in range(8)]
    data = {name: rng.integers(0, 8, 300).astype(str) for name in names}
    data |= {"y": rng.normal(size=300), "g": np.repeat(np.arange(10), 30)}
    fit = quiet(f"y ~ {' + '.join(names)} + (1 | g)", data)
    with pytest.raises(hb.NotSupportedError, match=r"16777216 rows.*x0 8"):
        hb.emmeans(fit, "x0")
    fixed = dict.fromkeys(names[1:], "0")
    assert len(hb.emmeans(fit, "x0", at=fixed).means) == 8


def test_html_has_the_same_words(machines):
    html = hb.emmeans(machines, "Machine", contrasts="pairwise")._repr_html_()
    for words in ("A - B", "0.0111", "52.36", "Tukey", "Satterthwaite", "typical group"):
        assert words in html


def test_a_minus_in_a_level_is_not_read_as_a_difference():
    data = hb.load_dataset("Machines")
    names = {"A": "old - new", "B": "old", "C": "new - old"}
    fit = hb.lmer("score ~ Machine + (1 | Worker)", data.assign(Machine=data["Machine"].map(names)))
    found = hb.emmeans(fit, "Machine", contrasts="pairwise").contrasts
    assert found["contrast"].tolist() == [
        "(old - new) - old",
        "(old - new) - (new - old)",
        "old - (new - old)",
    ]


@pytest.mark.parametrize(
    "contrasts", [np.array([1.0, 2.0]), pd.Series([1]), pd.DataFrame({"a": [1]})]
)
def test_arrays_and_frames_as_contrasts_are_told_what_contrasts_are(contrasts):
    fit = hb.lmer("score ~ Machine + (1 | Worker)", hb.load_dataset("Machines"))
    with pytest.raises(hb.OptionError, match="is no pair of means"):
        hb.emmeans(fit, "Machine", contrasts=contrasts)
