"""New data are laid out by what the fitted data taught; rows in = rows out."""

import numpy as np
import pandas as pd
import pytest

from hierbayes.design.build import build_design, new_rows
from hierbayes.design.design import MISSING_LEVEL, NEW_LEVEL
from hierbayes.errors import DataError
from hierbayes.formula.parser import parse_formula

N = 24


def fitted_data():
    rng = np.random.default_rng(8)
    return pd.DataFrame(
        {
            "y": rng.normal(size=N),
            "x": rng.uniform(1, 9, N),
            "e": rng.uniform(1, 2, N),
            "f": np.tile(["p", "q", "r"], 8),
            "k": np.tile([1, 2, 3], 8),
            "l": np.tile([True, False], 12),
            "g": np.repeat(list("abcdef"), 4),
            "h": np.tile(["u", "v", "w", "w"], 6),
        }
    )


def design_of(text, **options):
    return build_design(parse_formula(text), fitted_data(), **options)


def test_missing_values_and_new_levels_keep_their_rows():
    design = design_of("y ~ x + f + (x | g)")
    new = pd.DataFrame(
        {"x": [2.0, np.nan, 4.0, 5.0], "f": ["q", "p", None, "r"], "g": ["b", "zz", None, "zz"]},
        index=list("ABCD"),
    )
    rows = new_rows(design, new)
    nan = np.nan
    np.testing.assert_array_equal(
        rows.X, [[1, 2, 1, 0], [1, nan, 0, 0], [1, 4, nan, nan], [1, 5, 0, 1]]
    )
    factor = rows.factors[0]
    assert factor.codes.tolist() == [1, NEW_LEVEL, MISSING_LEVEL, NEW_LEVEL]
    np.testing.assert_array_equal(factor.z, [[1, 2], [1, nan], [1, 4], [1, 5]])
    assert factor.levels is design.factors[0].levels
    assert rows.new_labels["g"].tolist() == ["b", "zz", None, "zz"]
    assert list(rows.row_labels) == list("ABCD")


@pytest.mark.parametrize(
    ("term", "column", "value"),
    [
        ("f", "f", "s"),
        ("factor(k)", "k", 7),
        ("f:x", "f", "s"),
    ],
)
def test_an_unseen_level_of_a_fixed_factor_is_never_the_baseline(term, column, value):
    design = design_of(f"y ~ x + {term} + (1 | g)")
    new = fitted_data().iloc[:3].copy()
    new[column] = value
    with pytest.raises(DataError) as error:
        new_rows(design, new)
    label = "factor(k)" if term == "factor(k)" else "f"
    assert f"{label!r} has the level {str(value)!r}, which was not in the data" in str(error.value)


def test_an_unseen_level_of_a_factor_in_a_bar_is_an_error_too():
    design = design_of("y ~ x + (f | g)")
    new = fitted_data().iloc[:3].assign(f="s")
    with pytest.raises(DataError, match="'f' has the level 's'"):
        new_rows(design, new)


def test_columns_of_groups_that_are_not_needed_may_be_absent():
    design = design_of("y ~ x + (f | g) + (1 | h) + (1 | g:h)")
    new = fitted_data()[["x", "h"]].iloc[:3].assign(f="unseen")
    rows = new_rows(design, new, need_groups=["h"])
    by_name = {factor.name: factor for factor in rows.factors}
    assert by_name["h"].codes.tolist() == [0, 1, 2]
    assert by_name["g"].codes.tolist() == [MISSING_LEVEL] * 3
    assert by_name["g:h"].codes.tolist() == [MISSING_LEVEL] * 3
    assert [factor.name for factor in rows.factors] == [f.name for f in design.factors]
    for need in (None, ["g"]):
        with pytest.raises(DataError, match="no column 'g'"):
            new_rows(design, new, need_groups=need)


def test_the_response_is_not_needed():
    design = design_of("log(y^2) ~ x + (1 | g)")
    assert new_rows(design, fitted_data()[["x", "g"]]).X.shape == (N, 2)


def test_interaction_groups_match_by_label():
    design = design_of("y ~ x + (1 | g:h)")
    new = pd.DataFrame({"x": [1.0, 2.0, 3.0], "g": ["f", "f", None], "h": ["w", "x", "u"]})
    rows = new_rows(design, new)
    place = design.factors[0].levels.tolist().index("f:w")
    assert rows.factors[0].codes.tolist() == [place, NEW_LEVEL, MISSING_LEVEL]
    assert rows.new_labels["g:h"].tolist() == ["f:w", "f:x", None]


OFFSETS = {
    "term": ("y ~ x + offset(log(e)) + (1 | g)", {}, lambda d: np.log(d.e)),
    "column": ("y ~ x + (1 | g)", {"offset": "e"}, lambda d: d.e),
    "expression": ("y ~ x + (1 | g)", {"offset": "2 * log(e)"}, lambda d: 2 * np.log(d.e)),
    "both": ("y ~ x + offset(x) + (1 | g)", {"offset": "e"}, lambda d: d.x + d.e),
    "two terms": ("y ~ offset(x) + offset(e) + (1 | g)", {}, lambda d: d.x + d.e),
    "learnt": (
        "y ~ offset(scale(x)) + (1 | g)",
        {},
        lambda d: (d.x - fitted_data().x.mean()) / fitted_data().x.std(),
    ),
    "factorless": ("y ~ x + (1 | g)", {}, None),
}


@pytest.mark.parametrize(("formula", "options", "expected"), OFFSETS.values(), ids=OFFSETS)
def test_offsets_are_computed_from_the_new_data(formula, options, expected):
    design = design_of(formula, **options)
    new = fitted_data().iloc[[3, 5, 5]] * 1
    rows = new_rows(design, new)
    if expected is None:
        assert design.offset is None
        assert rows.offset is None
    else:
        np.testing.assert_allclose(design.offset, expected(fitted_data()))
        np.testing.assert_allclose(rows.offset, expected(new))


def test_an_offset_given_as_an_array_has_no_values_for_new_rows():
    design = design_of("y ~ x + (1 | g)", offset=np.arange(N))
    with pytest.raises(DataError, match="offset given as an array of 24 values"):
        new_rows(design, fitted_data())


def test_an_offset_column_that_is_absent_is_named():
    design = design_of("y ~ x + (1 | g)", offset="e")
    with pytest.raises(DataError, match="no column 'e'"):
        new_rows(design, fitted_data()[["x", "g"]])


LEARNT = (
    "scale(x)",
    "center(x)",
    "poly(x, 3)",
    "bs(x, df = 5)",
    "ns(x, df = 3)",
    "cr(x, df = 4)",
    'cr(x, df = 4, constraints = "center")',
    "I(scale(x)^2)",
    "scale(log(x))",
    "I(x > 4)",
    'factor(k, labels = c("one", "two", "three"))',
    "f",
    "l",
    "factor(k > 1)",
    "C(f, sum)",
    "poly(x, 2):f",
)


@pytest.mark.parametrize("term", LEARNT)
def test_one_row_alone_has_the_columns_it_had_among_all(term):
    design = design_of(f"y ~ {term} + (1 + {term} || g)")
    for row in (0, 7, 23):
        alone = new_rows(design, fitted_data().iloc[[row]])
        np.testing.assert_allclose(alone.X[0], design.X[row], rtol=1e-12, atol=1e-13)
        z = alone.factors[0].z[0]
        np.testing.assert_allclose(z, design.factors[0].z[row], rtol=1e-12, atol=1e-13)


def test_a_missing_value_gives_a_missing_row_through_every_transform():
    for term in LEARNT[:10]:
        design = design_of(f"y ~ {term} + (1 | g)")
        new = fitted_data().iloc[:3].copy()
        new.loc[1, "x"] = np.nan
        X = new_rows(design, new).X
        assert np.isnan(X[1, 1:]).all(), term
        np.testing.assert_allclose(X[[0, 2]], design.X[[0, 2]], rtol=1e-12, atol=1e-13)


def test_a_number_that_became_text_is_named():
    design = design_of("y ~ x + (1 | g)")
    with pytest.raises(DataError, match="'x' was a number in the data"):
        new_rows(design, fitted_data().assign(x="much"))


@pytest.mark.parametrize(
    ("column", "given"),
    [
        ("k", [1.0, 2.0, 3.0]),
        ("k", ["1", "2", "3"]),
        ("k", np.array([1, 2, 3], dtype="int8")),
    ],
)
def test_levels_match_by_label_whatever_their_type(column, given):
    design = design_of("y ~ factor(k) + (1 | k)")
    rows = new_rows(design, {column: given})
    assert rows.X.tolist() == [[1, 0, 0], [1, 1, 0], [1, 0, 1]]
    assert rows.factors[0].codes.tolist() == [0, 1, 2]


def test_a_logical_may_be_given_as_numbers():
    design = design_of("y ~ l + (1 | g)")
    rows = new_rows(design, {"l": [0, 1, 1], "g": list("abc")})
    assert rows.X[:, 1].tolist() == [0, 1, 1]


def test_infinite_new_values_are_named():
    design = design_of("y ~ x + (1 | g)")
    with pytest.raises(DataError, match="Column 'x' has an infinite value in row 0"):
        new_rows(design, {"x": [np.inf, 1], "g": ["a", "b"]})


@pytest.mark.parametrize("fixed", ["x", "l * x", "factor(k):x + l:factor(k)", "poly(x, 2) * l"])
def test_no_rows_give_a_matrix_without_rows(fixed):
    """Interactions could not be shaped: numpy's "cannot reshape array of size 0"."""
    design = design_of(f"y ~ {fixed} + (1 | g)")
    rows = new_rows(design, fitted_data().head(0))
    assert rows.X.shape == (0, design.X.shape[1])
