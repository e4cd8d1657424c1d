"""The same values give the same design from any kind of column and of frame."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from hierbayes.design.build import build_design, new_rows
from hierbayes.design.columns import arrow_dictionary
from hierbayes.design.design import MISSING_LEVEL, NEW_LEVEL
from hierbayes.errors import DataError
from hierbayes.formula.parser import parse_formula

N = 12
Y = np.array([3.1, 4.0, 2.2, 5.9, 4.1, 3.3, 2.8, 6.1, 5.0, 4.4, 3.9, 2.5])
X = np.array([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3])
GROUP = np.repeat(["b", "a", "c"], 4)
NUMBERS = np.repeat([20, 3, 100], 4)
FLAG = np.tile([True, False, False], 4)
ORDER = ["c", "a", "b", "unused"]
WORDS = GROUP.tolist()


def design_of(data, text="y ~ x + (1 | g)", **options):
    return build_design(parse_formula(text), data, **options)


def with_none(values, *rows):
    return [None if row in rows else value for row, value in enumerate(values.tolist())]


# One column in every type that holds whole numbers.
WHOLE_NUMBERS = {
    "int64": pd.Series(X),
    "int8": pd.Series(X, dtype="int8"),
    "uint16": pd.Series(X, dtype="uint16"),
    "float32": pd.Series(X, dtype="float32"),
    "Int64": pd.Series(X, dtype="Int64"),
    "Float64": pd.Series(X, dtype="Float64"),
    "int64[pyarrow]": pd.Series(X, dtype="int64[pyarrow]"),
    "double[pyarrow]": pd.Series(X, dtype="double[pyarrow]"),
    "decimal[pyarrow]": pd.Series(X, dtype="int64[pyarrow]").astype(
        pd.ArrowDtype(pa.decimal128(21, 2))
    ),
    "object of ints": pd.Series(X.tolist(), dtype=object),
    "object of both": pd.Series([float(x) if x else 0 for x in X], dtype=object),
    "sparse": pd.Series(pd.arrays.SparseArray(X)),
}


@pytest.mark.parametrize("column", WHOLE_NUMBERS.values(), ids=WHOLE_NUMBERS)
def test_numbers_are_numbers_left_of_a_bar_and_levels_right_of_it(column):
    design = design_of(pd.DataFrame({"y": Y, "x": column}), "y ~ x + (1 | x)")
    assert design.coef_names == ("(Intercept)", "x")
    assert design.X[:, 1].tolist() == X.tolist()
    assert design.factors[0].levels.tolist() == ["0", "1", "2", "3"]
    assert design.factors[0].codes.tolist() == X.tolist()


MISSING_NUMBERS = {
    "float64": pd.Series([np.nan if row == 2 else x for row, x in enumerate(X)]),
    "Int64": pd.Series(with_none(X, 2), dtype="Int64"),
    "int64[pyarrow]": pd.Series(with_none(X, 2), dtype="int64[pyarrow]"),
    "object": pd.Series(with_none(X, 2), dtype=object),
}


@pytest.mark.parametrize("column", MISSING_NUMBERS.values(), ids=MISSING_NUMBERS)
def test_missing_numbers_drop_their_rows(column):
    design = design_of(pd.DataFrame({"y": Y, "x": column, "g": GROUP}))
    assert design.dropped == {"x": 1}
    assert design.rows.positions.tolist() == [0, 1, *range(3, N)]
    assert design.n_rows_given == N
    assert design.X[:, 1].tolist() == np.delete(X, 2).tolist()
    again = design_of(pd.DataFrame({"y": Y, "x": column}), "y ~ 1 + (1 | x)")
    assert again.factors[0].levels.tolist() == ["0", "1", "2", "3"]


TEXT = {
    "str": pd.Series(WORDS),
    "object": pd.Series(WORDS, dtype=object),
    "string": pd.Series(WORDS, dtype="string"),
    "string[pyarrow]": pd.Series(WORDS, dtype=pd.ArrowDtype(pa.string())),
    "large_string[pyarrow]": pd.Series(WORDS, dtype=pd.ArrowDtype(pa.large_string())),
    "NumPy text": np.array(WORDS),
}


@pytest.mark.parametrize("column", TEXT.values(), ids=TEXT)
def test_text_has_sorted_levels(column):
    design = design_of({"y": Y, "x": X, "g": column}, "y ~ g + (1 | g)")
    assert design.coef_names == ("(Intercept)", "gb", "gc")
    assert design.factors[0].levels.tolist() == ["a", "b", "c"]
    assert design.factors[0].codes.tolist() == [1] * 4 + [0] * 4 + [2] * 4


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA], ids=str)
@pytest.mark.parametrize("dtype", ["str", "object", "string", "category"])
def test_missing_groups_drop_their_rows(missing, dtype):
    words = pd.Series(
        [missing if row == 5 else word for row, word in enumerate(WORDS)], dtype=dtype
    )
    design = design_of(pd.DataFrame({"y": Y, "x": X, "g": words}))
    assert design.dropped == {"g": 1}
    assert len(design.y) == N - 1


CATEGORIES = {
    "category": pd.Series(pd.Categorical(WORDS, ORDER)),
    "dictionary[pyarrow]": pd.Series(
        pd.arrays.ArrowExtensionArray(
            pa.chunked_array(
                [pa.DictionaryArray.from_arrays([ORDER.index(word) for word in WORDS], ORDER)]
            )
        )
    ),
    "pandas Categorical in a dict": pd.Categorical(WORDS, ORDER),
}


@pytest.mark.parametrize("column", CATEGORIES.values(), ids=CATEGORIES)
def test_categories_keep_their_order_and_unused_levels_go(column):
    design = design_of({"y": Y, "x": X, "g": column}, "y ~ g + (1 | g)")
    assert design.coef_names == ("(Intercept)", "ga", "gb")
    assert design.factors[0].levels.tolist() == ["c", "a", "b"]
    assert design.baselines == {"g": "c"}


def test_ordered_categories_have_polynomial_contrasts():
    ordered = pd.Categorical(WORDS, ORDER, ordered=True)
    design = design_of({"y": Y, "g": ordered, "h": FLAG}, "y ~ g + (1 | h)")
    assert design.coef_names == ("(Intercept)", "g.L", "g.Q")
    assert design.baselines == {"g": "poly contrasts"}


LEVELS_AS_TEXT = {
    "ints": (pd.Categorical(NUMBERS), ["3", "20", "100"]),
    "floats": (pd.Categorical([0.5, 2.0, 10.25] * 4), ["0.5", "2", "10.25"]),
    "bools": (pd.Categorical(FLAG), ["FALSE", "TRUE"]),
    "intervals": (pd.cut(X, [-1, 1, 3]), ["(-1, 1]", "(1, 3]"]),
    "negative ints": (np.tile([5, -7, 0], 4), ["-7", "0", "5"]),
    "float column": (np.tile([0.1, 0.30000000000000004, 7.0], 4), ["0.1", "0.3", "7"]),
    "huge ints": (
        np.tile([2**62, 2**62 + 1, 5], 4),
        ["5", "4611686018427387904", "4611686018427387905"],
    ),
    "huge nullable ints": (
        pd.array([2**62, 2**62 + 1, None] * 4, dtype="Int64"),
        ["4611686018427387904", "4611686018427387905"],
    ),
    "bool column": (FLAG, ["FALSE", "TRUE"]),
    "full int8": (np.tile(np.array([-128, 127, 0], dtype="int8"), 4), ["-128", "0", "127"]),
    "large uint64": (
        np.tile(np.array([2**64 - 1, 2**64 - 2, 2**64 - 3], dtype="uint64"), 4),
        [str(2**64 - 3), str(2**64 - 2), str(2**64 - 1)],
    ),
}


@pytest.mark.parametrize(("column", "levels"), LEVELS_AS_TEXT.values(), ids=LEVELS_AS_TEXT)
def test_level_labels(column, levels):
    design = design_of({"y": Y, "g": column}, "y ~ 1 + (1 | g)")
    factor = design.factors[0]
    assert factor.levels.tolist() == levels
    assert all(type(level) is str for level in factor.levels)
    numbers = pd.Series(column)[design.rows.positions]
    assert pd.Series(factor.codes).groupby(numbers.astype(str).tolist()).nunique().eq(1).all()


LOGICALS = {
    "bool": pd.Series(FLAG),
    "boolean": pd.Series(FLAG, dtype="boolean"),
    "bool[pyarrow]": pd.Series(FLAG, dtype="bool[pyarrow]"),
    "object": pd.Series(FLAG.tolist(), dtype=object),
}


@pytest.mark.parametrize("column", LOGICALS.values(), ids=LOGICALS)
def test_logicals_have_a_true_column(column):
    design = design_of(pd.DataFrame({"y": Y, "b": column, "g": GROUP}), "y ~ b + (1 | g)")
    assert design.coef_names == ("(Intercept)", "bTRUE")
    assert design.X[:, 1].tolist() == FLAG.tolist()
    response = design_of(pd.DataFrame({"b": column, "x": X, "g": GROUP}), "b ~ x + (1 | g)")
    assert response.y.tolist() == FLAG.tolist()


@pytest.mark.parametrize("dtype", ["boolean", "bool[pyarrow]", "object"])
def test_missing_logicals_drop_their_rows(dtype):
    column = pd.Series(with_none(FLAG, 1, 3), dtype=dtype)
    design = design_of(pd.DataFrame({"y": Y, "b": column, "g": GROUP}), "y ~ b + (1 | g)")
    assert design.dropped == {"b": 2}


def frame_columns():
    return {
        "y": [None, *Y[1:].tolist()],
        "x": with_none(X, 4),
        "g": with_none(GROUP, 7),
        "b": FLAG.tolist(),
    }


FRAMES = {
    "dict of lists": dict,
    "pandas": lambda columns: pd.DataFrame(columns),
    "pandas with Arrow": lambda columns: pa.table(columns).to_pandas(types_mapper=pd.ArrowDtype),
    "polars": pl.DataFrame,
    "polars lazy": pl.LazyFrame,
    "pyarrow": pa.table,
}


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_every_frame_gives_the_same_design(make):
    design = design_of(make(frame_columns()), "y ~ x * b + (x | g)")
    assert design.dropped == {"y": 1, "x": 1, "g": 1}
    assert design.coef_names == ("(Intercept)", "x", "bTRUE", "x:bTRUE")
    kept = [1, 2, 3, 5, 6, 8, 9, 10, 11]
    assert design.rows.positions.tolist() == kept
    assert list(design.row_labels) == kept
    assert design.y.tolist() == Y[kept].tolist()
    assert design.X[:, 3].tolist() == (X * FLAG)[kept].tolist()
    assert design.factors[0].levels.tolist() == ["a", "b", "c"]
    assert design.factors[0].z[:, 1].tolist() == X[kept].tolist()
    assert design.model_frame["g"].tolist() == GROUP[kept].tolist()


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_every_frame_serves_as_new_data(make):
    design = design_of(make(frame_columns()), "y ~ x * b + (x | g)")
    new = {"x": [1, None, 3], "b": [True, False, True], "g": ["z", None, "c"]}
    rows = new_rows(design, make(new))
    np.testing.assert_array_equal(rows.X, [[1, 1, 1, 1], [1, np.nan, 0, np.nan], [1, 3, 1, 3]])
    assert rows.factors[0].codes.tolist() == [NEW_LEVEL, MISSING_LEVEL, 2]
    assert rows.new_labels["g"].tolist() == ["z", None, "c"]


def test_polars_enum_keeps_its_order_and_categorical_is_sorted():
    frame = pl.DataFrame({"y": Y, "e": WORDS, "c": WORDS}).with_columns(
        pl.col("e").cast(pl.Enum(ORDER)), pl.col("c").cast(pl.Categorical)
    )
    assert design_of(frame, "y ~ 1 + (1 | e)").factors[0].levels.tolist() == ["c", "a", "b"]
    assert design_of(frame, "y ~ 1 + (1 | c)").factors[0].levels.tolist() == ["a", "b", "c"]


def test_a_dictionary_with_places_that_have_no_sign_may_have_missing_values():
    places = pa.array([1, None, 0, 1], type=pa.uint8())
    column = pa.DictionaryArray.from_arrays(places, ["low", "high"])
    factor = arrow_dictionary(column, "g")
    assert factor.codes.tolist() == [1, -1, 0, 1]
    assert factor.levels.tolist() == ["low", "high"]


def test_pyarrow_dictionary_keeps_its_order_over_chunks():
    first = pa.DictionaryArray.from_arrays([0, 1, None, 1, 0, 1], ["q", "p"])
    second = pa.DictionaryArray.from_arrays([1, 0, 1, 0, 1, 1], ["p", "r"])
    table = pa.table({"y": Y, "g": pa.chunked_array([first, second])})
    design = design_of(table, "y ~ 1 + (1 | g)")
    assert design.factors[0].levels.tolist() == ["q", "p", "r"]
    assert design.dropped == {"g": 1}
    assert design.factors[0].codes.tolist() == [0, 1, 1, 0, 1, 2, 1, 2, 1, 2, 2]


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".csv.gz", ".parquet"])
def test_files_are_read(tmp_path, ending):
    frame = pd.DataFrame(frame_columns())
    path = tmp_path / f"data{ending}"
    if ending == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if ending == ".tsv" else ",")
    for given in (path, str(path)):
        design = design_of(given, "y ~ x * b + (x | g)")
        assert design.dropped == {"y": 1, "x": 1, "g": 1}
        assert design.factors[0].levels.tolist() == ["a", "b", "c"]


def test_an_unknown_ending_is_refused(tmp_path):
    path = tmp_path / "data.docx"
    path.write_bytes(b"")
    with pytest.raises(DataError, match="neither a CSV nor a Parquet file"):
        design_of(path)


def test_single_values_in_a_dict_are_repeated():
    design = design_of({"y": Y, "x": X, "g": GROUP})
    rows = new_rows(design, {"x": 2, "g": ["a", "c"]})
    assert rows.X.tolist() == [[1, 2], [1, 2]]
    assert rows.factors[0].codes.tolist() == [0, 2]


def test_columns_named_by_numbers_or_by_any_text():
    frame = pd.DataFrame({"y": Y, 1: X, "my group": GROUP})
    design = design_of(frame, "y ~ `1` + (1 | `my group`)")
    assert design.coef_names == ("(Intercept)", "`1`")
    assert design.X[:, 1].tolist() == X.tolist()
    assert design.factors[0].levels.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT], ids=repr)
def test_numbers_with_any_mark_of_a_missing_one_are_numbers(missing):
    """A NaT among floats made a factor of all values."""
    values = pd.Series([*X[:-1].astype(float), missing], dtype=object)
    design = design_of({"y": Y, "x": values, "g": GROUP})
    assert design.coef_names == ("(Intercept)", "x")
    assert design.X.shape == (N - 1, 2)
