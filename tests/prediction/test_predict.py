"""Predictions by hand: which effects count, what a missing level is, what a new one is."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

import hierbayes as hb
from tests.model.fits import grouped, lmer

FORMULA = "y ~ x + f + (x | g) + (1 | item)"
RTOL = 1e-12  # the same sums in another order


@pytest.fixture(scope="module")
def fit():
    return lmer(FORMULA, grouped())


def fixed_by_hand(fit, rows):
    beta = fit.fixef()
    mid, high = (rows["f"] == "mid").to_numpy(), (rows["f"] == "high").to_numpy()
    return (beta["(Intercept)"] + beta["x"] * rows["x"].to_numpy()
            + beta["fmid"] * mid + beta["fhigh"] * high)  # fmt: skip


def effects_by_hand(fit, rows, group):
    table = fit.ranef()[group].loc[rows[group]]
    part = table["(Intercept)"].to_numpy().copy()
    if "x" in table:
        part += table["x"].to_numpy() * rows["x"].to_numpy()
    return part


def rows_of(count=5):
    return grouped().head(count).drop(columns=["y", "w", "o"])


PARTS = {
    "all": ("g", "item"),
    "none": (),
    "g": ("g",),
    ("g",): ("g",),
    ("item",): ("item",),
    ("item", "g"): ("g", "item"),
    (): (),
}


@pytest.mark.parametrize(("groups", "parts"), PARTS.items())
@pytest.mark.parametrize("new", [True, False])
def test_a_prediction_is_the_sum_of_the_chosen_parts(fit, groups, parts, new):
    rows = rows_of(20) if new else grouped()
    expected = fixed_by_hand(fit, rows)
    for part in parts:
        expected = expected + effects_by_hand(fit, rows, part)
    chosen = list(groups) if isinstance(groups, tuple) else groups
    found = fit.predict(rows if new else None, groups=chosen)
    assert found.to_numpy() == pytest.approx(expected, rel=RTOL)
    assert found.name == "prediction"


TRAINED = {
    "crossed": (FORMULA, {}),
    "nested": ("y ~ x + (1 | g/item)", {}),
    "offset column": ("y ~ x + (x || g)", {"offset": "o"}),
    "offset expression": ("y ~ x + (1 | g)", {"offset": "2 * o + 1"}),
    "offset in the formula": ("y ~ x + offset(log(days + 1)) + (1 | g)", {"offset": "o"}),
    "weights": ("y ~ x + (1 | g)", {"weights": "w"}),
    "learnt": ("y ~ scale(x) + poly(z, 3) + ns(x, 4) + (center(x) | g)", {}),
    "contrasts": ("y ~ f * x + (f | g)", {"contrasts": {"f": "helmert"}}),
    "dropped column": ("y ~ x + I(2 * x) + (1 | g)", {}),
    "no intercept": ("y ~ 0 + f + (0 + x | g)", {}),
    "no bars": ("y ~ x * f", {}),
}


@pytest.mark.parametrize(("formula", "options"), TRAINED.values(), ids=TRAINED)
def test_predictions_of_the_training_rows_are_the_fitted_values(formula, options):
    data = grouped(20)
    fit = lmer(formula, data, **options)
    pd.testing.assert_series_equal(fit.predict(), fit.fitted(), check_names=False, rtol=RTOL)
    pd.testing.assert_series_equal(fit.predict(data), fit.fitted(), check_names=False, rtol=1e-10)
    some = data.iloc[[7, 3, 40, 3]]  # in any order, more than once, whatever the learnt state
    expected = fit.fitted().iloc[[7, 3, 40, 3]]
    pd.testing.assert_series_equal(fit.predict(some), expected, check_names=False, rtol=1e-10)


def test_a_grouped_row_has_a_place_even_when_it_was_not_fitted():
    data = grouped()
    data.loc[4, "y"] = np.nan
    data.loc[9, "x"] = np.nan
    fit = lmer("y ~ x + (1 | g)", data)
    found = fit.predict(data)
    assert found.index.equals(data.index)
    assert found.isna().to_numpy().nonzero()[0].tolist() == [9]  # the response is not needed
    assert found.drop(index=[4, 9]).to_numpy() == pytest.approx(fit.fitted().to_numpy(), rel=1e-10)


# Rows in = rows out, whatever is missing: the table of hierbayes.prediction.predict.

CASES = pd.DataFrame(
    {
        "row": ["fitted level", "new level", "no level", "missing x"],
        "g": ["g00", "new", None, "g00"],
        "x": [3.0, 3.0, 3.0, np.nan],
        "f": "mid",
        "item": "a",
    }
).set_index("row")
ANSWERS = {  # which rows have a number, and of which parts of g
    "population": {"fitted level": "modes", "new level": "zero", "no level": "zero"},
    "sample": {"fitted level": "modes", "new level": "draw"},
    "missing": {"fitted level": "modes"},
}


@pytest.mark.parametrize(("new_levels", "answers"), ANSWERS.items())
def test_a_missing_level_is_not_a_new_level(fit, new_levels, answers):
    found = fit.predict(CASES, new_levels=new_levels, random_seed=1)
    assert found.index.tolist() == CASES.index.tolist()
    assert found.dropna().index.tolist() == list(answers)
    typical = fit.predict(CASES, groups=["item"])
    for row, answer in answers.items():
        effect = found[row] - typical[row]
        if answer == "modes":
            modes = fit.ranef()["g"].loc["g00"]
            assert effect == pytest.approx(modes["(Intercept)"] + 3 * modes["x"], rel=1e-9)
        elif answer == "zero":
            assert effect == pytest.approx(0, abs=1e-9)
        else:
            assert abs(effect) > 1e-6


def test_a_missing_level_is_no_error_and_a_new_one_is(fit):
    known = CASES.drop(index="new level")
    assert fit.predict(known).isna().tolist() == [False, True, True]
    with pytest.raises(hb.NewLevelError, match="'new'"):
        fit.predict(CASES)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_every_missing_value_is_a_missing_level(fit, missing):
    rows = CASES.assign(g=["g00", missing, missing, "g01"])
    assert fit.predict(rows, new_levels="sample").isna().tolist() == [False, True, True, True]


def test_a_level_called_nan_is_a_level():
    data = grouped()
    data["g"] = data["g"].replace("g00", "nan")
    fit = lmer("y ~ x + (1 | g)", data)
    rows = pd.DataFrame({"x": 1.0, "g": pd.Series(["nan", None], dtype=object)})
    assert fit.predict(rows).isna().tolist() == [False, True]


def test_what_was_not_chosen_is_not_looked_at(fit):
    typical = fit.predict(CASES.drop(columns=["g", "item"]), groups="none")
    assert typical.isna().tolist() == [False, False, False, True]
    with_item = fit.predict(CASES.drop(columns="g"), groups=["item"])
    assert with_item.notna().sum() == 3


def test_under_population_a_covariate_of_the_zero_effects_alone_may_be_missing():
    fit = lmer("y ~ 1 + (0 + x | g)", grouped())
    rows = pd.DataFrame({"x": [np.nan, np.nan, 2.0], "g": ["new", "g01", "g01"]})
    found = fit.predict(rows, new_levels="population")
    assert found[0] == pytest.approx(fit.beta[0])
    assert found.isna().tolist() == [False, True, False]


def test_a_missing_predictor_is_missing_though_its_effect_is_zero():
    """A random slope estimated as zero once gave a number where its covariate was missing."""
    data = grouped()
    y = np.random.default_rng(2).normal(size=len(data))
    for rows in data.groupby("g").indices.values():
        z = data["z"].to_numpy()[rows]
        y[rows] -= z * (z @ y[rows]) / (z @ z)
    fit = lmer("y ~ 1 + (0 + z | g)", data.assign(y=y))
    assert fit.varcorr().to_frame()["vcov"].iloc[0] == 0
    assert np.isnan(fit.predict(pd.DataFrame({"z": [np.nan], "g": ["g01"]}))[0])


# New levels, drawn.


def new_rows(labels, x=1.0):
    return pd.DataFrame({"g": labels, "x": x, "f": "low", "item": "a"})


def test_rows_of_one_new_level_share_a_draw_and_two_levels_differ(fit):
    rows = new_rows(["u", "v", "u", "g01", "u"], x=[0.0, 0.0, 0.0, 0.0, 2.0])
    found = fit.predict(rows, new_levels="sample", random_seed=3)
    assert found[0] == found[2]
    assert abs(found[0] - found[1]) > 1e-6
    at_two = fit.predict(rows, new_levels="sample", random_seed=3)[4]
    assert at_two == found[4]


def test_the_draws_have_a_seed_and_do_not_depend_on_the_order_of_rows(fit):
    rows = new_rows(["u", "v", "w", "u", "g02"])
    first = fit.predict(rows, new_levels="sample", random_seed=11)
    again = fit.predict(rows, new_levels="sample", random_seed=np.random.default_rng(11))
    backwards = fit.predict(rows.iloc[::-1], new_levels="sample", random_seed=11)
    other = fit.predict(rows, new_levels="sample", random_seed=12)
    assert first.tolist() == again.tolist() == backwards.iloc[::-1].tolist()
    assert (first != other).tolist() == [True, True, True, True, False]


def test_new_levels_vary_as_the_model_says(fit):
    """Intercept and slope of 4,000 new levels: their covariance is the estimated one."""
    labels = np.repeat([f"n{i}" for i in range(4_000)], 2)
    rows = new_rows(labels, x=np.tile([0.0, 1.0], 4_000))
    found = fit.predict(rows, groups=["g"], new_levels="sample", random_seed=5).to_numpy()
    b = found.reshape(-1, 2) - fit.predict(rows.iloc[:2], groups="none").to_numpy()
    drawn = np.cov(np.column_stack([b[:, 0], b[:, 1] - b[:, 0]]).T)
    term = fit.varcorr().to_frame().query("group == 'g'")
    expected = term["vcov"].to_numpy()  # intercept, slope, covariance
    # a variance of 4,000 normal draws has a standard error of 2.2 %
    assert [drawn[0, 0], drawn[1, 1]] == pytest.approx(expected[:2], rel=4 * 0.0224)
    error = np.sqrt((expected[0] * expected[1] + expected[2] ** 2) / 4_000)
    assert drawn[0, 1] == pytest.approx(expected[2], abs=4 * error)


def test_a_new_combination_of_known_levels_is_a_new_level():
    data = grouped().query("not (g == 'g01' and item == 'a')")
    fit = lmer("y ~ x + (1 | g/item)", data)
    rows = pd.DataFrame({"x": [1.0], "g": ["g01"], "item": ["a"]})
    with pytest.raises(hb.NewLevelError, match="level of item:g"):
        fit.predict(rows)
    of_group = fit.predict(rows, groups=["g"])
    assert fit.predict(rows, new_levels="population").tolist() == of_group.tolist()


# Kinds of new data.


def test_kinds_of_new_data_give_the_same_numbers(fit, tmp_path):
    rows = rows_of(8)
    expected = fit.predict(rows).to_numpy()
    rows.to_csv(tmp_path / "rows.csv", index=False, float_format="%.17g")
    others = (
        pl.from_pandas(rows),
        {name: rows[name].to_numpy() for name in rows},
        {name: list(rows[name]) for name in rows},
        rows.astype({"g": "category", "item": "string", "f": "object", "x": "Float64"}),
        tmp_path / "rows.csv",
    )
    for other in others:
        assert fit.predict(other).to_numpy() == pytest.approx(expected, rel=RTOL)


@pytest.mark.parametrize("index", [[5, 5, 5], ["a", "b", "c"], pd.date_range("2024", periods=3)])
def test_the_index_of_the_new_data_is_kept(fit, index):
    rows = rows_of(3).set_axis(index)
    assert fit.predict(rows).index.equals(rows.index)


def test_no_rows_in_no_rows_out(fit):
    assert fit.predict(rows_of(5).iloc[:0]).shape == (0,)


def test_levels_of_numbers_are_found_however_they_are_written():
    fit = lmer("y ~ x + (1 | days)", grouped())
    for days in ([2], [2.0], ["2"], pd.Categorical(["2"])):
        found = fit.predict(pd.DataFrame({"x": [1.0], "days": days}))
        assert found[0] == fit.predict(pd.DataFrame({"x": [1.0], "days": [2]}))[0]


def test_new_data_are_never_changed(fit):
    rows = rows_of(6)
    before = rows.copy(deep=True)
    fit.predict(rows)
    pd.testing.assert_frame_equal(rows, before)


def test_an_offset_given_as_an_array_has_no_value_for_new_rows():
    fit = lmer("y ~ x + (1 | g)", grouped(), offset=grouped()["o"].to_numpy())
    with pytest.raises(hb.DataError, match="write offset"):
        fit.predict(rows_of(3))


def test_predicting_warns_of_nothing(fit):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit.predict(CASES, new_levels="sample")


def test_predictions_that_hinge_on_the_dropped_column_are_warned_of():
    data = grouped().assign(twice=2 * grouped()["x"])
    fit = lmer("y ~ x + twice + (1 | g)", data)
    new = data.head(3).copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit.predict(new)
        fit.predict()
    new.loc[new.index[0], "twice"] += 1
    with pytest.warns(hb.RankDeficientWarning, match="1 of 3 predictions is .*twice dropped"):
        fit.predict(new)


def test_a_fit_in_the_place_of_groups_is_named_not_printed():
    fit = hb.lmer("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
    with pytest.raises(hb.OptionError, match="groups=a LinearFit must be 'all'"):
        fit.predict(groups=fit)


def test_single_terms_of_a_factor_are_chosen_by_bars():
    data = hb.load_dataset("sleepstudy")
    fit, rows = hb.lmer("Reaction ~ Days + (Days | Subject)", data), data.head(4)
    none, b = fit.predict(rows, groups="none"), fit.ranef()["Subject"].loc["308"]
    intercepts = fit.predict(rows, groups="(1 | Subject)") - none
    assert np.allclose(intercepts, b["(Intercept)"])
    slopes = fit.predict(rows, groups=["(0 + Days | Subject)"]) - none
    assert np.allclose(slopes, b["Days"] * rows["Days"])
    whole = fit.predict(rows, groups="~ (Days | Subject)")
    assert np.allclose(whole, fit.predict(rows))
    both = fit.predict(rows, groups=["(1 | Subject)", "(0 + Days | Subject)"])
    assert np.allclose(both, whole)
    narrow = fit.predict(rows, groups="(1 | Subject)", interval="confidence")
    assert np.allclose(narrow["prediction"], none + intercepts)
    with pytest.raises(hb.OptionError, match=r"asks for 'x' by Subject.* are '1', 'Days'"):
        fit.predict(rows, groups="(x | Subject)")
    with pytest.raises(hb.OptionError, match="did you mean 'Subject'"):
        fit.predict(rows, groups="(1 | Subjct)")
