"""Every kind of unusable data or formula gets one sentence: what, where, and what to do."""

import numpy as np
import pandas as pd
import pytest

from hierbayes.design.build import build_design
from hierbayes.errors import DataError, FormulaError, NotSupportedError, OptionError
from hierbayes.formula.parser import parse_formula

N = 24


def small():
    """24 rows: 6 groups of 4, two factors, two numbers."""
    rng = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "y": rng.normal(size=N),
            "x": np.tile([0.0, 1.0, 2.5, 4.0], 6),
            "z": rng.normal(size=N),
            "g": np.repeat(list("abcdef"), 4),
            "f": np.tile(["p", "q", "r"], 8),
            "days": np.tile([0, 1, 2, 3], 6),
        }
    )


def build(text, data=None, **options):
    return build_design(parse_formula(text), small() if data is None else data, **options)


def with_column(**columns):
    return small().assign(**columns)


BAD_DATA = {
    "missing column": ("y ~ xx + (1 | g)", small(), "no column 'xx'"),
    "missing column, similar": ("y ~ Days + (1 | g)", small(), "did you mean 'days'?"),
    "missing grouping column": ("y ~ x + (1 | group)", small(), "no column 'group'"),
    "column in the index": ("y ~ x + (1 | g)", small().set_index("g"), "data.reset_index()"),
    "all missing": (
        "y ~ x + (1 | g)",
        with_column(x=np.nan),
        "Column 'x' has no values: it is missing in all 24 rows.",
    ),
    "all None": ("y ~ x + (1 | g)", with_column(x=None), "Column 'x' has no values"),
    "no complete row": (
        "y ~ x + z + (1 | g)",
        with_column(x=[np.nan, 1.0] * 12, z=[1.0, np.nan] * 12),
        "No row is complete: of 24 rows, 'x' in 12 and 'z' in 12 are missing.",
    ),
    "empty frame": ("y ~ x + (1 | g)", small().iloc[:0], "The data have no rows."),
    "text response": (
        "g ~ x + (1 | f)",
        small(),
        "The response 'g' holds categories ('a', 'b', 'c', ...), not numbers.",
    ),
    "text of numbers": (
        "t ~ x + (1 | g)",
        with_column(t=[str(i) for i in range(N)]),
        "convert the column with pandas.to_numeric",
    ),
    "yes/no response": (
        "t ~ x + (1 | g)",
        with_column(t=["no", "yes"] * 12),
        'write I(t == "yes") ~ ... with family="binomial"',
    ),
    "constant response": (
        "y ~ x + (1 | g)",
        with_column(y=7.5),
        "The response 'y' is 7.5 in all 24 rows used",
    ),
    "infinite response": (
        "y ~ x + (1 | g)",
        with_column(y=[np.inf, *range(N - 1)]),
        "Column 'y' has an infinite value in row 0",
    ),
    "infinite predictor": (
        "y ~ x + (1 | g)",
        with_column(x=[1.0, -np.inf, *range(N - 4), np.inf, 2.0]),
        "Column 'x' has an infinite value in rows 1 and 22",
    ),
    "log of zero": (
        "y ~ log(x) + (1 | g)",
        small(),
        "log(x) is not a finite number in rows 0, 4, 8 and 3 more",
    ),
    "log of negative response": ("log(y) ~ x + (1 | g)", small(), "log(y) is not a finite number"),
    "one level": (
        "y ~ x + (1 | g)",
        with_column(g="only"),
        "The grouping factor 'g' has one level, 'only'",
    ),
    "levels = rows": (
        "y ~ x + (1 | z)",
        small(),
        "The grouping factor 'z' has 24 levels in 24 rows",
    ),
    "effects = rows": (
        "y ~ x + (0 + x + z + days + I(x^2) | g)",
        small(),
        "has 24 random effects (4 columns for each of 6 levels of 'g') for 24 rows",
    ),
    "bars swapped": ("y ~ x + (g | days)", small(), "Did you mean (days | g)?"),
    "fixed factor of one level": (
        "y ~ f + (1 | g)",
        with_column(f="p"),
        "The factor 'f' has one level, 'p'",
    ),
    "dates": (
        "y ~ t + (1 | g)",
        with_column(t=pd.date_range("2024-01-01", periods=N)),
        "Column 't' holds dates or times",
    ),
    "complex": ("y ~ t + (1 | g)", with_column(t=np.ones(N) * 1j), "holds complex numbers"),
    "mixed": (
        "y ~ t + (1 | g)",
        with_column(t=pd.Series([1, "a"] * 12, dtype=object)),
        "Column 't' mixes kinds of values (int 1, str 'a')",
    ),
    "two columns of a name": (
        "y ~ x + (1 | g)",
        pd.concat([small(), small()[["x"]]], axis=1),
        "The data have 2 columns named 'x'",
    ),
    "cbind of three": ("cbind(x, z, y) ~ 1 + (1 | g)", small(), "has 3 columns"),
    "unequal dict": (
        "y ~ x + (1 | g)",
        {"y": [1, 2, 3], "x": [1, 2], "g": list("aab")},
        "'y' has 3 values, 'x' has 2",
    ),
    "not a frame": ("y ~ x + (1 | g)", 7, "The data are a int; give a pandas"),
    "no such file": ("y ~ x + (1 | g)", "nowhere.csv", "There is no file 'nowhere.csv'."),
    "wrong levels": (
        'y ~ factor(f, levels = c("P", "Q")) + (1 | g)',
        small(),
        "leaves no row: no value of the variable is one of these levels",
    ),
}


@pytest.mark.parametrize(("formula", "data", "sentence"), BAD_DATA.values(), ids=BAD_DATA)
def test_data_error_says_what_and_where(formula, data, sentence):
    with pytest.raises(DataError) as error:
        build(formula, data)
    assert sentence in " ".join(str(error.value).split())


BAD_FORMULAS = {
    "factor in arithmetic": ("y ~ I(g + 1) + (1 | f)", "'+' needs numbers, but 'g' holds categ"),
    "log of a factor": ("y ~ log(f) + (1 | g)", "log() needs numbers, but 'f' holds categories"),
    "unknown level": ('y ~ I(f == "s") + (1 | g)', "'s' is not a level; there are 'p', 'q', 'r'."),
    "order of unordered": ('y ~ I(f > "p") + (1 | g)', "these levels have no order"),
    "degree too high": (
        "y ~ poly(x, 4) + (1 | g)",
        "the degree must be less than the number of distinct values",
    ),
    "scale of a constant": ("y ~ scale(x - x) + (1 | g)", "the variable has one value"),
    "df too low": ("y ~ bs(x, df = 2) + (1 | g)", "df must be a whole number of at least 3"),
    "unknown coding": ("y ~ C(f, deviation) + (1 | g)", "C() takes a coding"),
    "base": ("y ~ C(f, treatment, base = 4) + (1 | g)", "the number of a level, 1 to 3"),
    "repeated column": ("y ~ x + (1 | g) + (1 + x | g)", "'(Intercept)' stands twice"),
    "no columns": ("y ~ x + (0 | g)", "Nothing is left to vary"),
    "matrix as group": ("y ~ x + (1 | poly(x, 2))", "several columns; levels need one"),
}


@pytest.mark.parametrize(("formula", "sentence"), BAD_FORMULAS.values(), ids=BAD_FORMULAS)
def test_formula_error_shows_the_place(formula, sentence):
    with pytest.raises(FormulaError) as error:
        build(formula)
    assert sentence in str(error.value)
    assert "^" in str(error.value)


def test_the_caret_stands_under_the_unknown_column():
    with pytest.raises(DataError) as error:
        build("y ~ x + Days + (1 | g)")
    first, formula, caret = str(error.value).splitlines()
    assert first == "The data have no column 'Days'; did you mean 'days'?"
    assert formula.index("Days") == caret.index("^")


BAD_ARGUMENTS = {
    "short weights": ({"weights": [1.0, 2.0]}, "weights has 2 values; the data have 24 rows"),
    "matrix": ({"offset": np.ones((N, 2))}, "offset has 24 x 2 values; the data have 24 rows"),
    "negative": (
        {"weights": np.r_[-1.0, -2.0, np.ones(N - 2)]},
        "weights: 2 of 24 are negative (rows 0 and 1).",
    ),
    "zero": (
        {"weights": np.r_[0.0, np.ones(N - 1)]},
        "weights: 1 of 24 are zero (row 0). A row of weight zero says nothing: leave these "
        "rows out of the data.",
    ),
    "zero by expression": ({"weights": "x"}, "weights: 6 of 24 are zero (rows 0, 4, 8 and 3 more)"),
    "text": ({"weights": ["a"] * N}, "weights must be numbers"),
    "categories": ({"weights": "g"}, "weights='g' holds categories"),
    "no column": ({"weights": "zz"}, "no column 'zz'"),
    "infinite": ({"offset": np.r_[np.inf, np.ones(N - 1)]}, "'offset' has an infinite value"),
    "known sd": ({"known_sd": np.zeros(N)}, "known_sd: 24 of 24 are not positive"),
}


@pytest.mark.parametrize(("options", "sentence"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_bad_argument_is_named(options, sentence):
    with pytest.raises(DataError) as error:
        build("y ~ x + (1 | g)", **options)
    assert sentence in str(error.value)


BAD_CONTRASTS = {
    "unknown coding": ({"f": "summ"}, "contrasts['f']='summ' is not one of"),
    "number": ({"x": "sum"}, "contrasts: 'x' is not a factor of the fixed part"),
    "misspelt": ({"F": "sum"}, "did you mean 'f'?"),
}


@pytest.mark.parametrize(("contrasts", "sentence"), BAD_CONTRASTS.values(), ids=BAD_CONTRASTS)
def test_bad_contrasts_are_named(contrasts, sentence):
    with pytest.raises(OptionError) as error:
        build("y ~ x + f + (1 | g)", contrasts=contrasts)
    assert sentence in str(error.value)


def test_how_many_contrasts_is_not_supported():
    with pytest.raises(NotSupportedError):
        build("y ~ C(f, sum, how.many = 1) + (1 | g)")


def test_row_names_of_the_users_frame_stand_in_messages():
    data = with_column(y=[np.inf, *range(N - 1)])
    data.index = [f"row-{i}" for i in range(N)]
    with pytest.raises(DataError, match="row row-0"):
        build("y ~ x + (1 | g)", data)


def test_infinite_values_of_dropped_rows_do_no_harm():
    data = with_column(y=[np.inf, *range(N - 1)])
    data.loc[0, "x"] = np.nan
    assert build("y ~ x + (1 | g)", data).rows.positions.tolist() == list(range(1, N))
    data.loc[5, "y"] = -np.inf
    with pytest.raises(DataError, match="Column 'y' has an infinite value in row 5;"):
        build("y ~ x + (1 | g)", data)


def test_as_many_levels_as_rows_are_fine_when_the_residual_sd_is_known():
    data = small().iloc[::4]
    design = build("y ~ 1 + (1 | g)", data, known_sd=np.ones(6))
    assert design.factors[0].levels.size == len(design.y) == 6


def test_a_duplicated_index_is_fine():
    data = small()
    data.index = [0] * N
    design = build("y ~ x + (1 | g)", data)
    assert design.row_labels.tolist() == [0] * N


def test_the_users_frame_is_not_changed():
    data = small()
    before = data.copy(deep=True)
    design = build("y ~ x * f + (x | g)", data, weights="z^2", offset="z")
    for array in (design.y, design.X, design.factors[0].z, design.weights, design.offset):
        array[:] = 0
    design.factors[0].codes[:] = 0
    pd.testing.assert_frame_equal(data, before)


def test_writing_into_the_frame_later_does_not_change_the_design():
    data = small()
    data["c"] = data["g"].astype("category")
    design = build("y ~ x + (1 | c)", data, weights="days + 1", offset="z")
    y, offset, codes = design.y.copy(), design.offset.copy(), design.factors[0].codes.copy()
    for column in ("y", "x", "z", "days"):
        data.loc[:, column] = 1
    data.loc[:, "c"] = "a"
    assert (design.y == y).all()
    assert (design.offset == offset).all()
    assert (design.factors[0].codes == codes).all()
    assert (design.model_frame["x"] == small()["x"]).all()
