"""What a Design holds besides columns: response, arguments, rows, model frame, codings."""

import numpy as np
import pandas as pd
import pytest

from hierbayes.datasets import load_dataset
from hierbayes.design.build import build_design
from hierbayes.errors import DataError
from hierbayes.formula.parser import parse_formula


def build(text, data, **options):
    return build_design(parse_formula(text), data, **options)


def small():
    return pd.DataFrame(
        {
            "y": [2.0, 3.0, 5.0, 8.0, 1.0, 4.0, 9.0, 7.0],
            "x": [1.0, 2, 3, 4, 5, 6, 7, 40],
            "n": [3, 4, 5, 9, 2, 6, 9, 8],
            "f": list("ppqqppqq"),
            "g": list("aabbccdd"),
            "r": list("NYNYNNYY"),
        }
    )


RESPONSES = {
    "y": [2, 3, 5, 8, 1, 4, 9, 7],
    "log(y)": np.log([2, 3, 5, 8, 1, 4, 9, 7]),
    "y/n": np.array([2, 3, 5, 8, 1, 4, 9, 7]) / [3, 4, 5, 9, 2, 6, 9, 8],
    "I(y > 4)": [0, 0, 1, 1, 0, 0, 1, 1],
    'I(f == "q")': [0, 0, 1, 1, 0, 0, 1, 1],
    "cbind(y, n - y)": np.column_stack([[2, 3, 5, 8, 1, 4, 9, 7], [1, 1, 0, 1, 1, 2, 0, 1]]),
}


@pytest.mark.parametrize(("response", "expected"), RESPONSES.items(), ids=RESPONSES)
def test_responses(response, expected):
    design = build(f"{response} ~ x + (1 | g)", small())
    assert design.y.dtype == np.float64
    np.testing.assert_allclose(design.y, expected)


def test_a_response_of_two_levels_is_zero_and_one_where_a_binary_response_is_expected():
    design = build("r ~ x + (1 | g)", small(), binary_response=True)
    assert design.y.tolist() == [0, 1, 0, 1, 0, 0, 1, 1]
    with pytest.raises(DataError, match="not numbers"):
        build("r ~ x + (1 | g)", small())


GIVEN = {
    "column": "n",
    "expression": "n * 1",
    "list": small()["n"].tolist(),
    "array": small()["n"].to_numpy(),
    "series": small()["n"].iloc[::-1],  # by label, not by position
}


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
@pytest.mark.parametrize("argument", ["weights", "offset", "known_sd"])
def test_arguments_are_columns_expressions_or_arrays(argument, given):
    data = small()
    data.loc[2, "x"] = np.nan
    design = build("y ~ x + (1 | g)", data, **{argument: given})
    assert getattr(design, argument).tolist() == [3, 4, 9, 2, 6, 9, 8]


def test_missing_arguments_drop_rows_and_are_counted():
    data = small()
    data["w"] = [1.0, np.nan, 2, 3, 4, 5, 6, 7]
    by_name = build("y ~ x + (1 | g)", data, weights="w")
    assert by_name.dropped == {"w": 1}
    by_array = build("y ~ x + (1 | g)", data, weights=data["w"])
    assert by_array.dropped == {"weights": 1}
    assert by_name.rows.positions.tolist() == [0, 2, 3, 4, 5, 6, 7]
    np.testing.assert_array_equal(by_array.rows.positions, by_name.rows.positions)


def test_missing_values_are_counted_per_column_in_order_of_use():
    data = load_dataset("sleepstudy_na")
    design = build("Reaction ~ Days + (Days | Subject)", data)
    assert sum(design.dropped.values()) == len(data) - len(design.y)
    assert design.n_rows_given == len(data)
    assert list(design.row_labels) == data.index[design.rows.positions].tolist()
    assert set(design.dropped) <= {"Reaction", "Days", "Subject"}


def test_transforms_learn_from_all_rows_as_in_r():
    # R 4.2.2: model.frame(y ~ scale(x) + f), x = c(1, 2, NA, 4, 7, 11), y missing in row 4:
    # scale's centre is 5, the mean of all x, those of dropped rows included.
    data = pd.DataFrame(
        {"x": [1, 2, np.nan, 4, 7, 11], "y": [1, 2, 3, np.nan, 5, 9.0], "g": list("abaabb")}
    )
    design = build("y ~ scale(x) + (1 | g)", data)
    expected = [-0.984731927834662, -0.738548945875996, 0.492365963917331, 1.47709789175199]
    np.testing.assert_allclose(design.X[:, 1], expected, rtol=1e-14)


def test_values_made_missing_by_factor_levels_drop_rows():
    design = build('y ~ factor(g, levels = c("d", "a", "c")) + (1 | f)', small())
    assert design.dropped == {'factor(g, levels = c("d", "a", "c"))': 2}
    assert [name[-1] for name in design.coef_names[1:]] == ["a", "c"]


def test_model_frame_holds_the_variables_by_rs_labels():
    data = small()
    data.loc[3, "f"] = None
    data["o"] = pd.Categorical(list("stuststu"), list("uts"), ordered=True)
    data.index = list("ABCDEFGH")
    design = build("log(y) ~ poly(x, 2) + f + I(x > 3) + o + (1 | g)", data)
    frame = design.model_frame
    assert frame.columns.tolist() == [
        "log(y)",
        "poly(x, 2)1",
        "poly(x, 2)2",
        "f",
        "I(x > 3)",
        "o",
        "g",
    ]
    assert frame.index.tolist() == list("ABCEFGH")
    assert frame["f"].tolist() == list("ppqppqq")
    assert frame["I(x > 3)"].dtype == bool
    assert frame["o"].cat.ordered
    assert frame["o"].cat.categories.tolist() == list("uts")


def test_a_model_without_bars_is_a_plain_linear_model():
    design = build("y ~ x * f", small())
    assert design.factors == ()
    assert design.terms == ()
    assert design.coef_names == ("(Intercept)", "x", "fq", "x:fq")


def test_codings_in_words():
    design = build("y ~ 0 + f + g + (1 | r)", small(), contrasts={"g": "helmert"})
    assert design.baselines == {"f": "every level has its own column", "g": "helmert contrasts"}


def test_contrasts_are_found_by_the_text_of_the_term():
    for key in ("factor(n > 4)", "factor(n>4)"):
        design = build("y ~ factor(n > 4) + (1 | g)", small(), contrasts={key: "sum"})
        assert design.coef_names == ("(Intercept)", "factor(n > 4)1")


def test_contrasts_may_carry_rs_names():
    design = build("y ~ g + (1 | f)", small(), contrasts={"g": "contr.sum"})
    assert design.coef_names == ("(Intercept)", "g1", "g2", "g3")


def test_dot_stands_for_the_other_columns():
    data = small()[["y", "x", "f", "g"]]
    formula = parse_formula("y ~ . - g + (1 | g)", columns=list(data.columns))
    assert build_design(formula, data).coef_names == ("(Intercept)", "x", "fq")
