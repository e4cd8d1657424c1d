"""Columns of any type: dates and long ids group, numbers stay numbers, the rest gets a sentence."""

import datetime as dt
import enum
import uuid
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import hierbayes as hb
from hierbayes.design.build import build_design, new_rows
from hierbayes.design.design import NEW_LEVEL
from hierbayes.errors import DataError
from hierbayes.formula.parser import parse_formula

N = 24
Y = np.random.default_rng(2).normal(size=N)
X = np.random.default_rng(3).normal(size=N)
PLACE = np.repeat([2, 0, 3, 1], 6)  # of each row's group in the order of the groups
DAYS = pd.to_datetime(["2024-01-09", "2024-01-10", "2024-02-01", "2025-01-01"])
DAY_LABELS = ["2024-01-09", "2024-01-10", "2024-02-01", "2025-01-01"]
MOMENTS = pd.DatetimeIndex(
    ["2024-01-09T00:00:00", "2024-01-09T12:30:00", "2024-01-09T12:30:01.5", "2025-01-01T00:00:00"]
)
MOMENT_LABELS = ["2024-01-09", "2024-01-09 12:30:00", "2024-01-09 12:30:01.500000", "2025-01-01"]
BERLIN = MOMENTS.tz_localize("Europe/Berlin")


class Colour(enum.Enum):
    RED = 1
    BLUE = 2
    GREEN = 3
    GREY = 4


def rows_of(levels):
    return [levels[place] for place in PLACE]


def taken(index, **options):
    return pd.Series(index.take(PLACE), **options)


GROUPS = {
    "datetime64[ns]": (taken(DAYS.as_unit("ns")), DAY_LABELS),
    "datetime64[s]": (taken(DAYS.as_unit("s")), DAY_LABELS),
    "datetime64[D] of NumPy": (DAYS.to_numpy().astype("M8[D]")[PLACE], DAY_LABELS),
    "datetime64[M] of NumPy": (
        np.array(["2024-01", "2024-02", "2024-03", "2030-01"], dtype="M8[M]")[PLACE],
        ["2024-01-01", "2024-02-01", "2024-03-01", "2030-01-01"],
    ),
    "moments": (taken(MOMENTS), MOMENT_LABELS),
    "with a zone": (taken(BERLIN), [str(moment) for moment in BERLIN]),
    "periods": (taken(DAYS.to_period("D")), DAY_LABELS),
    "spans": (
        taken(pd.to_timedelta([1, 2, 10, 30], unit="D")),
        ["1 days", "2 days", "10 days", "30 days"],
    ),
    "dates of Python": (pd.Series(rows_of(DAYS.date), dtype=object), DAY_LABELS),
    "datetimes of Python": (
        pd.Series(rows_of(MOMENTS.to_pydatetime()), dtype=object),
        MOMENT_LABELS,
    ),
    "times of Python": (
        pd.Series(rows_of([dt.time(9), dt.time(10, 30), dt.time(11), dt.time(23)]), dtype=object),
        ["09:00:00", "10:30:00", "11:00:00", "23:00:00"],
    ),
    "dates of Arrow": (
        pd.Series(rows_of(DAYS.date), dtype=pd.ArrowDtype(pa.date32())),
        DAY_LABELS,
    ),
    "moments of Arrow": (taken(MOMENTS, dtype=pd.ArrowDtype(pa.timestamp("us"))), MOMENT_LABELS),
    "whole numbers beyond 64 bits": (
        pd.Series(rows_of([7, 2**70, 2**70 + 1, 10**400]), dtype=object),
        ["7", str(2**70), str(2**70 + 1), str(10**400)],
    ),
    "unsigned and negative": (
        pd.Series(rows_of([-5, 3, 2**63, 2**63 + 1]), dtype=object),
        ["-5", "3", str(2**63), str(2**63 + 1)],
    ),
    "a list NumPy would round": (
        rows_of([-5, 3, 2**63, 2**63 + 1]),
        ["-5", "3", str(2**63), str(2**63 + 1)],
    ),
    "long decimals": (
        pd.Series(rows_of([Decimal(1), Decimal(2), Decimal(10**19), Decimal(10**19 + 1)])),
        ["1", "2", str(10**19), str(10**19 + 1)],
    ),
    "members of an Enum": (
        pd.Series(rows_of([Colour.BLUE, Colour.GREEN, Colour.GREY, Colour.RED])),
        ["Colour.BLUE", "Colour.GREEN", "Colour.GREY", "Colour.RED"],
    ),
    "intervals": (
        pd.Series(pd.arrays.IntervalArray.from_breaks([0, 1, 2, 10, 20]).take(PLACE)),
        ["(0, 1]", "(1, 2]", "(2, 10]", "(10, 20]"],
    ),
    "UUIDs": (
        pd.Series(rows_of([uuid.UUID(int=i) for i in range(4)])),
        [str(uuid.UUID(int=i)) for i in range(4)],
    ),
    "bytes": (pd.Series(rows_of([b"a", b"b", b"c", b"\xff"])), ["a", "b", "c", "\\xff"]),
    "truth values in object": (
        pd.Series(rows_of([False, True, False, True]), dtype=object),
        ["FALSE", "TRUE"],
    ),
    "nullable floats": (
        taken(pd.Index([0.5, 1, 2, 2.5]), dtype="Float64"),
        ["0.5", "1", "2", "2.5"],
    ),
}


@pytest.mark.parametrize(("column", "labels"), GROUPS.values(), ids=GROUPS)
def test_any_type_groups_rows(column, labels):
    data = {"y": Y, "x": X, "g": column}
    formula = parse_formula("y ~ x + (1 | g)")
    design = build_design(formula, data)
    factor = design.factors[0]
    assert factor.levels.tolist() == labels
    assert factor.codes.tolist() == (PLACE % len(labels)).tolist()
    own = [0, 7, 13, 20]
    few = {"x": X[own], "g": pd.Series(column).iloc[own]}
    assert new_rows(design, few).factors[0].codes.tolist() == factor.codes[own].tolist()


@pytest.mark.parametrize(
    "kind", ["datetime64[ns]", "with a zone", "periods", "dates of Python", "moments of Arrow"]
)
def test_factor_of_dates_has_a_column_a_date(kind):
    column, labels = GROUPS[kind]
    design = build_design(parse_formula("y ~ factor(g)"), {"y": Y, "g": column})
    assert design.coef_names[1:] == tuple(f"factor(g){label}" for label in labels[1:])


POLARS = {
    "Date": (pl.Series(rows_of(DAYS.date)), DAY_LABELS),
    "Datetime": (pl.Series(rows_of(MOMENTS.to_pydatetime())), MOMENT_LABELS),
    "Datetime with a zone": (
        pl.Series(rows_of(MOMENTS.to_pydatetime())).dt.replace_time_zone("Europe/Berlin"),
        [str(moment) for moment in BERLIN],
    ),
    "Duration": (
        pl.Series(rows_of([dt.timedelta(days=d) for d in (1, 2, 10, 30)])),
        ["1 days", "2 days", "10 days", "30 days"],
    ),
    "Time": (
        pl.Series(rows_of([dt.time(9), dt.time(10, 30), dt.time(11), dt.time(23)])),
        ["09:00:00", "10:30:00", "11:00:00", "23:00:00"],
    ),
}


@pytest.mark.parametrize(("column", "labels"), POLARS.values(), ids=POLARS)
def test_dates_of_polars_group_rows(column, labels):
    data = pl.DataFrame({"y": Y, "x": X, "g": column})
    factor = build_design(parse_formula("y ~ x + (1 | g)"), data).factors[0]
    assert factor.levels.tolist() == labels
    assert factor.codes.tolist() == PLACE.tolist()


@pytest.mark.filterwarnings("ignore:The grouping factor day has only 4 levels")
def test_dates_that_group_predict_as_fitted_after_saving(tmp_path):
    data = pd.DataFrame({"y": Y + PLACE, "x": X, "day": GROUPS["moments"][0]})
    fit = hb.lmer("y ~ x + (1 | day)", data)
    fit.save(tmp_path / "fit.hb")
    loaded = hb.load(tmp_path / "fit.hb")
    new = data.iloc[[0, 7, 13]]
    assert loaded.predict(new).tolist() == pytest.approx(fit.fitted().iloc[[0, 7, 13]].tolist())
    later = new.assign(day=pd.Timestamp("2031-05-05"))
    codes = new_rows(fit.design, later).factors[0].codes
    assert (codes == NEW_LEVEL).all()


def test_missing_ids_of_many_digits_stay_apart():
    ids = [2**60, 2**60 + 1, 2**61, 2**61 + 1]
    column = pd.Series([None, *rows_of(ids)[1:]], dtype=object)
    design = build_design(parse_formula("y ~ x + (1 | g)"), {"y": Y, "x": X, "g": column})
    assert design.factors[0].levels.tolist() == [str(i) for i in ids]
    assert design.dropped == {"g": 1}


def test_fractions_and_decimals_are_numbers():
    halves = [Fraction(int(place), 2) for place in PLACE]
    decimals = [Decimal(int(place)) / 2 for place in PLACE]
    for column in (halves, decimals):
        design = build_design(
            parse_formula("y ~ x"), {"y": Y, "x": pd.Series(column, dtype=object)}
        )
        assert design.X[:, 1].tolist() == (PLACE / 2).tolist()


SENTENCES = {
    "dates as a predictor": ("y ~ g", GROUPS["moments"][0], "holds dates or times"),
    "dates in arithmetic": ("y ~ I(g + 1)", GROUPS["moments"][0], "holds dates or times"),
    "dates left of a bar": ("y ~ 1 + (g | k)", GROUPS["moments"][0], "holds dates or times"),
    "dates as the response": ("g ~ x", GROUPS["moments"][0], "holds dates or times"),
    "long numbers as a predictor": (
        "y ~ g",
        GROUPS["whole numbers beyond 64 bits"][0],
        "whole numbers beyond 64 bits",
    ),
    "numbers beyond floats": (
        "y ~ g",
        pd.Series([0.5, 10**400] * 12, dtype=object),
        "can't be read as numbers or categories",
    ),
    "dates beside moments": (
        "y ~ x + (1 | g)",
        pd.Series([dt.date(2024, 1, 1), dt.datetime(2024, 1, 2)] * 12, dtype=object),
        "mixes kinds of values",
    ),
    "picoseconds": (
        "y ~ x + (1 | g)",
        np.array([1, 2] * 12, dtype="M8[ps]"),
        "finer than a nanosecond",
    ),
    "a signalling decimal": (
        "y ~ x + (1 | g)",
        pd.Series([Decimal("sNaN"), Decimal(1)] * 12),
        "can't be read as numbers or categories",
    ),
    "too many digits": (
        "y ~ x + (1 | g)",
        pd.Series([1, 10**5000] * 12, dtype=object),
        "can't be read as numbers or categories",
    ),
    "complex": ("y ~ x + (1 | g)", pd.Series([1j, 2.0] * 12, dtype=object), "complex numbers"),
    "lists": ("y ~ x + (1 | g)", pd.Series([[1], [2, 3]] * 12), "lists or other containers"),
    "mixed": ("y ~ x + (1 | g)", pd.Series([1, "1"] * 12, dtype=object), "mixes kinds of values"),
    "true and one": ("y ~ x + (1 | g)", pd.Series([1, True] * 12, dtype=object), "mixes kinds"),
    "categories that print alike": (
        "y ~ x + (1 | g)",
        pd.Categorical.from_codes([0, 1] * 12, pd.Index([1, "1"], dtype=object)),
        "both read '1'",
    ),
}


@pytest.mark.parametrize(("formula", "column", "sentence"), SENTENCES.values(), ids=SENTENCES)
def test_what_is_no_column_gets_a_sentence(formula, column, sentence):
    data = {"y": Y, "x": X, "k": PLACE.astype(str), "g": column}
    with pytest.raises(DataError, match=sentence):
        build_design(parse_formula(formula), data)


def test_integer_ids_are_no_swapped_bar():
    data = {"y": np.tile(Y, 2)[:36], "ID": np.repeat(np.arange(12), 3), "cond": list("abc") * 12}
    formula = "y ~ cond + (cond || ID)"
    design = hb.Model(formula, data).design
    text = hb.Model(formula, data | {"ID": [f"{i:02}" for i in data["ID"]]}).design
    assert np.array_equal(design.factors[0].codes, text.factors[0].codes)
    assert np.array_equal(design.factors[0].z, text.factors[0].z)
