"""Cross-products from queries are those of the rows, in all digits."""

from datetime import date, datetime
from decimal import Decimal
from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierbayes.design.build import build_design
from hierbayes.errors import DataError
from hierbayes.formula.parser import parse_formula
from hierbayes.gaussian.products import products_of
from hierbayes.linalg.rank import GRAM_SAFE
from hierbayes.streams.push_down import cross_products
from hierbayes.streams.push_down.expressions import NotPushed
from tests.streams.push_down.engines import ENGINES, exact_products, pushed

# Of sums over a few hundred rows with a mean of a million: rounding of each row is 1e-16 of the
# centred column, where rows in memory have 1e-10 of it.
ACCURATE = 1e-13
# Where columns are small numbers, rows in memory are as exact.
SAME = 1e-12
# A basis comes from a Cholesky factor of the columns' products with a least diagonal: how far it is
# from orthogonal depends on the order an engine adds in. The products in it have all digits.
ORTHOGONAL = 10 * np.finfo(float).eps / GRAM_SAFE**2
FORMULAS = (
    ("y ~ x + (x | g)", {}),
    ("y ~ x + (x | g)", {"weights": "w"}),
    ("y ~ x*f + t + (f | g) + (x | h)", {}),
    ("y ~ year + I(year^2) + (year | g)", {}),
    ("y ~ x + f", {}),
    ("y ~ x + offset(w) + (x || g)", {"offset": "2*w"}),
)
SMALL = (
    ("y ~ scale(x) + poly(year, 3) + (1 + t | g) + (1 | h)", {"known_sd": "1/sqrt(w)"}),
    ("y ~ 1 + (1 | big/g)", {}),
    ("y ~ 0 + f + (0 + t | g) + (1 | f)", {}),
    ("y ~ I(f == 'a') + I(w > 1):t + (1 | g:t)", {}),
    ("y ~ f + (1 | h)", {"contrasts": {"f": "helmert"}}),
    ("y ~ C(f, sum)*C(t, poly) + (1 | h)", {}),
    ("y ~ yes + factor(k) + (yes | g)", {}),
)


@cache
def rows() -> pl.DataFrame:
    rng = np.random.default_rng(3)
    n = 120
    g, h = rng.integers(0, 12, n), rng.integers(0, 7, n)
    x = 1e6 + rng.normal(size=n)
    slope = rng.normal(2, 0.5, 12)[g]
    y = 5 + slope * (x - 1e6) + rng.normal(0, 1, 7)[h] + rng.normal(size=n)
    return pl.DataFrame(
        {
            "y": y,
            "x": x,
            "year": rng.integers(1980, 2021, n),
            "k": rng.integers(1, 4, n),
            "f": rng.choice(["a", "b'c", 'd"; drop table rows; --'], n),
            "t": rng.choice(["u", "v"], n),
            "yes": rng.random(n) > 0.4,
            "w": rng.uniform(0.5, 2, n),
            "g": g,
            "big": g // 3,
            "h": [f"it'em {own}" for own in h],
        }
    )


def found_and_design(formula, arguments, engine, frame=None):
    frame = rows() if frame is None else frame
    design = build_design(parse_formula(formula), frame, **arguments)
    return pushed(formula, frame, engine, **arguments), design


def weights_of(design):
    return design.weights if design.known_sd is None else design.known_sd**-2.0


def furthest(found, expected, scale=None):
    size = np.abs(expected).max() if scale is None else scale
    return np.abs(np.asarray(found) - expected).max() / size


def assert_same(found, design, *, within):
    """Products against exact ones; those of y, which is small, on the scale of its length."""
    expected = exact_products(design, found.anchor, weights_of(design))
    n = found.n_obs
    size = np.sqrt(n * expected["fixed"][0][-1, -1])
    assert furthest(found.xx, expected["fixed"][0][:-1, :-1]) < within
    assert furthest(found.xy, expected["fixed"][0][:-1, -1], size) < within
    assert furthest(found.yy, expected["fixed"][0][-1, -1]) < within
    for f in range(len(design.factors)):
        zxy = expected["zxy"][f]
        assert furthest(found.zz[f], expected["zz"][f]) < within
        assert furthest(found.zx[f], zxy[:, :, :-1], n) < within
        assert furthest(found.zy[f], zxy[:, :, -1], size) < within


@pytest.mark.parametrize(
    ("formula", "arguments", "engine"),
    [(*case, ENGINES[place % 2]) for place, case in enumerate(FORMULAS)],
)
def test_products_hold_all_digits_of_a_mean_of_a_million(formula, arguments, engine):
    found, design = found_and_design(formula, arguments, engine)
    assert_same(found.products, design, within=ACCURATE)


@pytest.mark.parametrize(
    ("formula", "arguments", "engine"),
    [(*case, ENGINES[1 - place % 2]) for place, case in enumerate([*FORMULAS, *SMALL])],
)
def test_products_are_those_of_rows_in_memory(formula, arguments, engine):
    frame = rows().with_columns(pl.col("x") - 1e6)
    inside, design = found_and_design(formula, arguments, engine, frame)
    found, weights = inside.products, weights_of(design)
    expected = products_of(design, weights=weights, anchor=found.anchor)
    n = expected.n_obs
    size = np.sqrt(n * expected.yy)
    assert found.n_obs == n
    assert found.sum_log_weights == pytest.approx(expected.sum_log_weights, rel=SAME, abs=1e-11)
    assert furthest(found.xx, expected.xx) < SAME
    assert furthest(found.xy, expected.xy, size) < SAME
    assert found.yy == pytest.approx(expected.yy, rel=SAME)
    np.testing.assert_allclose(np.diag(found.xx), n, rtol=ORTHOGONAL)
    for f in range(len(design.factors)):
        assert furthest(found.zz[f], expected.zz[f]) < SAME
        assert furthest(found.zx[f], expected.zx[f], n) < SAME
        assert furthest(found.zy[f], expected.zy[f], size) < SAME
    assert found.couplings.keys() == expected.couplings.keys()
    for key, own in expected.couplings.items():
        np.testing.assert_array_equal(found.couplings[key].rows, own.rows)
        np.testing.assert_array_equal(found.couplings[key].columns, own.columns)
        assert furthest(found.couplings[key].blocks, own.blocks) < SAME


@pytest.mark.parametrize(
    ("formula", "queries"),
    [
        ("y ~ x + (x | g)", 4),  # counts, levels, means, one factor
        ("y ~ x + (x | g) + (1 | h)", 7),  # two factors and their pairs
        ("y ~ x + (1 | big/g)", 6),  # nested: the pairs are levels of the finer factor
        ("y ~ year + I(year^2) + (1 | g)", 5),  # asked again, told apart
        ("y ~ x + f", 4),
    ],
)
def test_there_is_one_query_a_block(formula, queries):
    inside, _ = found_and_design(formula, {}, "duckdb")
    assert len(inside.plan) == queries
    assert all(asked.text.count("SELECT") for asked in inside.plan)


def test_a_random_slope_that_is_a_fixed_one_adds_no_sums():
    inside, _ = found_and_design("y ~ x + (x | g)", {}, "duckdb")
    assert inside.plan[-1].text.count("sum(") == 5  # x, xx, y, xy, yy; rows are counted


def test_a_dependent_column_is_left_out():
    found, _ = found_and_design("y ~ x + I(2*x) + f + (1 | g)", {}, "polars")
    assert found.products.anchor.kept.tolist() == [0, 1, 3, 4]


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_with_a_missing_value_are_left_out_and_counted(engine):
    frame = rows().with_columns(
        x=pl.when(pl.col("k") == 1).then(None).when(pl.col("yes")).then(float("nan")).otherwise(
            pl.col("x") - 1e6
        ),
        h=pl.when(pl.col("w") > 1.8).then(None).otherwise(pl.col("h")),
    )  # fmt: skip
    inside, design = found_and_design("y ~ x + t + (1 | h)", {}, engine, frame)
    assert inside.learnt.dropped == design.dropped
    assert (inside.learnt.n_given, inside.learnt.n_used) == (120, design.y.size)
    assert_same(inside.products, design, within=ACCURATE)


KEYS = {
    "date": lambda g: [date(2020, 1, 1 + 2 * own) for own in g],
    "moment": lambda g: [datetime(2020, 1, 1, 23 - own) for own in g],
    "fraction": lambda g: [own / 10 for own in g],
    "long id": lambda g: [2**60 + own for own in g],
    "decimal": lambda g: [Decimal(f"{own}.50") for own in g],
    "some missing": lambda g: [None if own == 3 else own for own in g],
    "digits": lambda g: [str(own + 5) for own in g],
    "declared": lambda g: pl.Series(
        [f"L{11 - own}" for own in g], dtype=pl.Enum([f"L{k}" for k in range(12)])
    ),
}


@pytest.mark.parametrize(
    ("kind", "engine"), [(kind, ENGINES[place % 2]) for place, kind in enumerate(KEYS)]
)
def test_levels_of_any_kind_are_those_of_rows_in_memory(kind, engine):
    frame = rows().with_columns(pl.Series("key", KEYS[kind](rows()["g"].to_list())))
    inside, design = found_and_design("y ~ w + factor(key) + (w | t:key)", {}, engine, frame)
    found = inside.design
    assert found.coef_names == design.coef_names
    assert found.factors[0].levels.tolist() == design.factors[0].levels.tolist()
    expected = products_of(design, anchor=inside.products.anchor)
    np.testing.assert_allclose(inside.products.zx[0], expected.zx[0], atol=1e-11)


BAD = (
    ("y ~ x + (1 | g)", {"x": pl.lit(None, pl.Float64)}, "'x' has no values: it is missing in all"),
    ("y ~ x + (1 | g)", {"x": pl.when(pl.col("k") < 2).then(np.inf).otherwise(1.0)}, "'x' has an "
     "infinite value in "),
    ("y ~ log(w) + (1 | g)", {"w": pl.col("w") - 1}, r"log\(w\) is not a finite number in"),
    ("y ~ 1 + (1 | g)", {"y": pl.lit(2.0)}, "The response 'y' is 2 in all 120 rows used"),
)  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("formula", "columns", "sentence"), BAD)
def test_data_no_model_can_use_are_refused(formula, columns, sentence, engine):
    with pytest.raises(DataError, match=sentence):
        pushed(formula, rows().with_columns(**columns), engine)


def test_weights_that_are_not_positive_are_refused():
    frame = rows().with_columns(w=pl.col("w") - 1)
    with pytest.raises(DataError, match="weights: not all are positive; the smallest is -0"):
        pushed("y ~ 1 + (1 | g)", frame, "duckdb", weights="w")


def test_a_response_the_fixed_effects_explain_is_told_apart_in_the_rows():
    frame = rows().with_columns(y=(pl.col("x") - 1e6) * 1e5 + pl.col("w"))
    found, design = found_and_design("y ~ x + (1 | g)", {}, "duckdb", frame)
    assert len(found.plan) == 5
    assert found.products.yy < 1e-9 * np.sum(design.y**2)
    assert_same(found.products, design, within=1e-11)  # digits of the response: 1e5 of its rest


def test_a_response_that_categories_explain_is_not_pushed():
    frame = rows().with_columns(y=(pl.col("k") * 1e4 + pl.col("w")))
    with pytest.raises(NotPushed, match="next to nothing of the response"):
        found_and_design("y ~ factor(k) + (1 | g)", {}, "polars", frame)


def test_groups_that_are_no_summary_are_not_pushed(monkeypatch):
    monkeypatch.setattr(cross_products, "MOST_NUMBERS", 100)
    with pytest.raises(NotPushed, match="there may be 36 groups"):
        found_and_design("y ~ f + (1 | g)", {}, "polars")
    found_and_design("y ~ x + (1 | g)", {}, "polars")  # one group a level is always asked for


NAMES = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="`\\"),
    min_size=1,
    max_size=12,
)
HOSTILE = st.sampled_from(
    ["'; drop table rows; --", '"; drop table rows; --', "a\"b'c", "$1", "?", "%s", "_n", "_e_1",
     "_s_0_1", "select", "x' or '1'='1", "é\u2028", "rows"]
)  # fmt: skip


@settings(max_examples=8)
@given(
    names=st.lists(
        NAMES | HOSTILE, min_size=3, max_size=3, unique_by=lambda name: name.strip().casefold()
    ).filter(lambda names: all(name == name.strip() for name in names)),
    levels=st.lists(NAMES | HOSTILE, min_size=3, max_size=3, unique=True),
    engine=st.sampled_from(ENGINES),
)
def test_no_name_and_no_level_is_read_as_a_query(names, levels, engine):
    x, g, f = names
    kept = rows().head(60)
    frame = pl.DataFrame(
        {
            "the response": kept["y"],
            x: kept["w"],
            g: [levels[k - 1] for k in kept["k"]],
            f: [levels[k] for k in kept["g"] % 3],
        }
    )
    formula = f"`the response` ~ `{x}`*`{f}` + (`{x}` | `{g}`)"
    design = build_design(parse_formula(formula), frame)
    found = pushed(formula, frame, engine).products
    expected = products_of(design, anchor=found.anchor)
    for ours, own in zip(found.zz + found.zx, expected.zz + expected.zx, strict=True):
        np.testing.assert_allclose(ours, own, atol=1e-11)
