"""Linear combinations of fixed effects: the ways to write them, their tests, and the joint test."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import hierbayes as hb
from hierbayes.intervals.linear_tests import f_test, joint_df
from tests.model.fits import grouped, lmer
from tests.results.posteriors import known_posterior

COLUMNS = ["estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high"]
MACHINES = "score ~ Machine + (Machine | Worker)"
DDF = ("satterthwaite", "kenward-roger", "normal", "none")


@pytest.fixture(scope="module")
def machines():
    return lmer(MACHINES, hb.load_dataset("Machines"))


@pytest.fixture(scope="module")
def posterior():
    return known_posterior(hb.Model(MACHINES, hb.load_dataset("Machines")))


C_MINUS_B = np.array([[0.0, -1.0, 1.0]])
WAYS = {
    "dict": {"MachineC": 1, "MachineB": -1},
    "list of dicts": [{"MachineC": 1.0, "MachineB": -1.0}],
    "dict of dicts": {"C - B": {"MachineC": 1, "MachineB": -1}},
    "frame": pd.DataFrame({"MachineB": [-1], "MachineC": [1]}, index=["C - B"]),
    "series": pd.Series({"MachineB": -1, "MachineC": 1}),
    "row": [0, -1, 1],
    "array": C_MINUS_B,
    "list of lists": [[0, -1, 1]],
}


@pytest.mark.parametrize("L", WAYS.values(), ids=WAYS)
def test_a_combination_may_be_written_in_many_ways(machines, posterior, L):
    table = machines.contrast(L)
    assert table.columns.tolist() == COLUMNS
    expected = machines.contrast(C_MINUS_B)
    np.testing.assert_array_equal(table, expected)
    assert table.index.tolist() in (["C - B"], ["MachineC - MachineB"])
    assert posterior.contrast(L).index.tolist() == table.index.tolist()


def test_names_are_the_coefficients_themselves(machines):
    for ddf in DDF:
        table = machines.contrast(["MachineB", "(Intercept)"], ddf=ddf, level=0.8)
        tidy = machines.tidy("fixed", ddf=ddf, level=0.8).set_index("term")
        expected = tidy.loc[["MachineB", "(Intercept)"], COLUMNS]
        np.testing.assert_allclose(table.astype(float), expected.astype(float))
    assert machines.contrast("MachineB").index.tolist() == ["MachineB"]


def test_labels_write_the_combination_as_a_sum(machines):
    rows = [[0, -1, 0.5], [1, 1 / 3, 0], [0, 0, -1]]
    labels = machines.contrast(rows).index.tolist()
    assert labels == ["0.5 MachineC - MachineB", "(Intercept) + 0.3333 MachineB", "-MachineC"]


@pytest.mark.parametrize("ddf", DDF[:3])
def test_a_combination_is_the_coefficient_of_a_model_coded_so(ddf):
    data = hb.load_dataset("Machines").drop(index=[0, 5, 17, 30])  # unbalanced
    fit = lmer("score ~ Machine + (1 | Worker)", data)
    turned = data.assign(Machine=pd.Categorical(data["Machine"], ["B", "A", "C"]))
    coded = lmer("score ~ Machine + (1 | Worker)", turned)
    row = fit.contrast({"MachineC": 1, "MachineB": -1}, ddf=ddf)
    np.testing.assert_allclose(row, coded.contrast("MachineC", ddf=ddf), rtol=1e-5)


def test_rhs_moves_the_test_and_not_the_interval(machines):
    plain = machines.contrast(["MachineB", "MachineC"])
    moved = machines.contrast(["MachineB", "MachineC"], rhs=[8, 10])
    for column in ("estimate", "std_error", "df", "conf_low", "conf_high"):
        np.testing.assert_array_equal(moved[column], plain[column])
    t = (plain["estimate"] - [8, 10]) / plain["std_error"]
    np.testing.assert_allclose(moved["statistic"], t)
    np.testing.assert_allclose(moved["p_value"], 2 * stats.t.sf(np.abs(t), plain["df"]))
    assert moved.attrs["rhs"] == [8, 10]


def test_limits_are_where_the_test_just_rejects(machines):
    for ddf in ("satterthwaite", "kenward-roger", "normal"):
        row = machines.contrast("MachineB", ddf=ddf, level=0.9).iloc[0]
        for limit in ("conf_low", "conf_high"):
            tested = machines.contrast("MachineB", ddf=ddf, rhs=row[limit])
            assert tested["p_value"].iloc[0] == pytest.approx(0.1)


@pytest.mark.parametrize("ddf", DDF[:3])
def test_the_joint_test_of_one_row_is_its_t_squared(machines, ddf):
    row = machines.contrast(C_MINUS_B, ddf=ddf, rhs=2).iloc[0]
    joint = machines.contrast(C_MINUS_B, ddf=ddf, rhs=2, joint=True).to_frame().iloc[0]
    assert joint["f_value"] == pytest.approx(row["statistic"] ** 2)
    assert joint["den_df"] == pytest.approx(row["df"])
    assert joint["p_value"] == pytest.approx(row["p_value"])


def test_the_joint_test_of_all_contrasts_is_the_row_of_the_anova_table(machines):
    for ddf in ("satterthwaite", "kenward-roger"):
        joint = machines.contrast(["MachineB", "MachineC"], joint=True, ddf=ddf).to_frame()
        table = hb.anova(machines, ddf=ddf).to_frame()
        np.testing.assert_allclose(joint, table, rtol=1e-8)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), ddf=st.sampled_from(["satterthwaite", "kenward-roger"]))
def test_f_depends_on_the_space_of_the_rows_only(seed, ddf):
    fit = _unbalanced()
    rng = np.random.default_rng(seed)
    L, beta = rng.normal(size=(2, 4)), rng.normal(size=4)
    turn = rng.normal(size=(2, 2)) + 2 * np.eye(2)
    one = f_test(fit, L, ddf=ddf, rhs=L @ beta)
    other = f_test(fit, turn @ L, ddf=ddf, rhs=turn @ L @ beta)
    assert other.f_value == pytest.approx(one.f_value, rel=1e-6)
    more = np.vstack([L, L.sum(axis=0)])  # a row that follows from the others
    third = f_test(fit, more, ddf=ddf, rhs=more @ beta)
    assert third.num_df == 2
    assert third.f_value == pytest.approx(one.f_value, rel=1e-6)
    if ddf == "kenward-roger":
        assert other.den_df == pytest.approx(one.den_df, rel=1e-6)


_FITS = {}


def _unbalanced():
    if not _FITS:
        _FITS["fit"] = lmer("y ~ f + x + (x | g)", grouped())
    return _FITS["fit"]


def test_the_joint_degrees_of_freedom_match_the_mean_of_squared_ts():
    assert joint_df(np.array([7.0])) == 7
    assert joint_df(np.array([9.0, 9.0, 9.0])) == 9
    assert joint_df(np.array([np.inf, np.inf])) == np.inf
    assert joint_df(np.array([2.0, 50.0])) == 2
    nu = np.array([5.0, 20.0])
    E = (nu / (nu - 2)).sum()
    assert joint_df(nu) == pytest.approx(2 * E / (E - 2))
    assert 5 < joint_df(np.array([5.0, np.inf])) < np.inf


def test_the_table_of_a_joint_test_says_what_was_tested(machines):
    table = machines.contrast(["MachineB", "MachineC"], rhs=[8, 12], joint=True)
    lines = str(table).splitlines()
    assert lines[0] == "F test with Satterthwaite's method:"
    assert lines[3] == MACHINES
    assert lines[5].startswith("MachineB = 8, MachineC = 12 ")
    many = machines.contrast([[1, i, i**2] for i in range(3)], joint=True)
    assert many.to_frame().index.tolist() == ["all 3 rows"]
    assert "MachineB = 8" in table._repr_html_()


def test_draws_give_the_twin(posterior):
    draws = posterior.draws.beta.reshape(-1, 3)
    difference = draws[:, 2] - draws[:, 1]
    row = posterior.contrast({"MachineC": 1, "MachineB": -1}, level=0.8).iloc[0]
    assert list(row.index) == ["estimate", "std_error", "prob_positive", "conf_low", "conf_high"]
    assert row["estimate"] == pytest.approx(difference.mean())
    assert row["std_error"] == pytest.approx(difference.std(ddof=1))
    assert row["prob_positive"] == (difference > 0).mean()
    low, high = np.quantile(difference, [0.1, 0.9])
    assert (row["conf_low"], row["conf_high"]) == pytest.approx((low, high))
    above = posterior.contrast("MachineB", rhs=8).iloc[0]
    assert above["prob_positive"] == (draws[:, 1] > 8).mean()
    shortest = posterior.contrast("MachineB", kind="hdi").iloc[0]
    expected = posterior.tidy("fixed", kind="hdi").set_index("term").loc["MachineB"]
    assert shortest["conf_low"] == expected["conf_low"]
    assert shortest["conf_high"] == expected["conf_high"]


BAD = {
    "an unknown name": (
        {"L": "MachineD"},
        "L names 'MachineD'; the coefficients are '(Intercept)'",
    ),
    "a near name": ({"L": {"machineB": 1}}, "did you mean 'MachineB'?"),
    "a name in a frame": ({"L": pd.DataFrame({"x": [1]})}, "L names 'x'; the coefficients"),
    "too few columns": ({"L": [[0, 1]]}, "L has the shape (1, 2), but there are 3 coefficients"),
    "a cube": ({"L": np.zeros((1, 1, 3))}, "L has the shape (1, 1, 3)"),
    "zeros": ({"L": [[0, 1, 0], [0, 0, 0]]}, "Row 2 of L (0) is all zeros"),
    "nothing": ({"L": []}, "L has the shape (0,), but there are 3 coefficients"),
    "an empty dict": ({"L": {}}, "Row 1 of L (0) is all zeros"),
    "missing": ({"L": [0, 1, np.nan]}, "Row 1 of L holds nan."),
    "words as weights": ({"L": {"MachineB": "1"}}, "gives 'MachineB' the weight '1', which is not"),
    "a truth as weight": ({"L": {"MachineB": True}}, "the weight True, which is not a number."),
    "None": ({"L": None}, "L has the shape (), but"),
    "an object": ({"L": object()}, "L must be a coefficient's name or several"),
    "a mixed list": ({"L": ["MachineB", 3]}, "the list holds 3."),
    "a ragged list": ({"L": [[1, 2], [1]]}, "L must be a coefficient's name or several"),
    "two rhs": ({"L": "MachineB", "rhs": [1, 2]}, "rhs=[1, 2] must be one number, or one a row"),
    "rhs of text": ({"L": "MachineB", "rhs": "a"}, "rhs='a' must be one number"),
    "rhs missing": ({"L": "MachineB", "rhs": np.nan}, "rhs=nan must be one number"),
    "level": ({"L": "MachineB", "level": 95}, "level=95 must be a number between 0 and 1"),
}


@pytest.mark.parametrize(("arguments", "words"), BAD.values(), ids=BAD)
def test_bad_input_gets_one_sentence(machines, posterior, arguments, words):
    for fit in (machines, posterior):
        with pytest.raises(hb.OptionError) as caught:
            fit.contrast(**arguments)
        assert words in str(caught.value)


def test_options_of_each_estimator_are_checked(machines, posterior):
    with pytest.raises(hb.OptionError, match="ddf='kr' is not one of"):
        machines.contrast("MachineB", ddf="kr")
    with pytest.raises(hb.OptionError, match="joint='yes' must be True"):
        machines.contrast("MachineB", joint="yes")
    with pytest.raises(hb.OptionError, match="kind='ci' is not one of"):
        posterior.contrast("MachineB", kind="ci")


def test_a_dropped_coefficient_has_no_contrast():
    fit = lmer("Reaction ~ Days + I(2 * Days) + (1 | Subject)", hb.load_dataset("sleepstudy"))
    with pytest.raises(hb.OptionError, match="which was dropped: earlier columns determine it"):
        fit.contrast("I(2 * Days)")
    assert fit.contrast([0, 1]).index.tolist() == ["Days"]


def test_rows_whose_right_sides_contradict_each_other_are_refused(machines):
    L = [[0, 1, 0], [0, 2, 0]]
    assert machines.contrast(L, rhs=[1, 2], joint=True).to_frame()["num_df"].iloc[0] == 1
    with pytest.raises(hb.OptionError, match="no beta fulfils them all"):
        machines.contrast(L, rhs=[1, 3], joint=True)


def test_a_model_without_coefficients_has_none_to_combine():
    fit = lmer("y ~ 0 + (1 | g)", grouped())
    with pytest.raises(hb.OptionError, match="L names 'x', but this model has no fixed effects"):
        fit.contrast("x")
    assert fit.tidy("fixed").empty
