"""Models of relations and lazy frames: fits and priors are those of rows in memory."""

import re

import duckdb
import numpy as np
import polars as pl
import pytest

import hierbayes as hb
from hierbayes.design.moments import moments_of
from hierbayes.errors import DataError
from hierbayes.streams.queries import RelationSource, relation_of
from tests.streams.push_down.engines import ENGINES, lazy, source_of

SAME = 1e-8
FORMULA = "y ~ x*f + offset(w) + (x | g) + (1 | h)"


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    rng = np.random.default_rng(8)
    n = 300
    g, h = rng.integers(0, 20, n), rng.integers(0, 12, n)
    x = rng.normal(5, 2, n)
    y = (
        rng.normal(3, 4, 20)[g]
        + rng.normal(1, 1, 20)[g] * x
        + rng.normal(0, 2, 12)[h]
        + rng.normal(size=n)
    )
    return pl.DataFrame(
        {
            "y": y,
            "x": x,
            "f": rng.choice(["low", "mid", "high"], n),
            "w": rng.uniform(0.5, 2, n),
            "g": g,
            "h": [f"item {own}" for own in h],
        }
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_is_the_one_of_rows_in_memory(frame, engine):
    ours = hb.Model(FORMULA, source_of(frame, engine), weights="w", contrasts={"f": "sum"})
    memory = hb.Model(FORMULA, frame, weights="w", contrasts={"f": "sum"})
    assert ours.spec.table.passes.queries
    for method in ("reml", "ml"):
        fit, other = ours.fit(method), memory.fit(method)
        assert fit.criterion == pytest.approx(other.criterion, rel=SAME)
        np.testing.assert_allclose(fit.theta, other.theta, rtol=SAME, atol=SAME)
        np.testing.assert_allclose(fit.vcov(), other.vcov(), rtol=SAME, atol=SAME)
        assert fit.fixef().to_dict() == pytest.approx(other.fixef().to_dict(), rel=SAME)
        for name, own in other.ranef().items():
            assert fit.ranef()[name].index.equals(own.index)
            np.testing.assert_allclose(fit.ranef()[name], own, atol=1e-7)
    ends = ["q05", "q50", "q95"]
    assert list(ours.priors.parameter) == list(memory.priors.parameter)
    np.testing.assert_allclose(ours.priors[ends], memory.priors[ends], rtol=SAME)


@pytest.mark.parametrize("engine", ENGINES)
def test_moments_of_columns_are_those_of_the_rows(frame, engine):
    found = hb.Model(FORMULA, source_of(frame, engine), weights="w").design.rows.moments
    design = hb.Model(FORMULA, frame, weights="w").design
    columns = {
        "response": (found.response, design.y[:, None]),
        "left": (found.left, (design.y - design.offset)[:, None]),
        "offset": (found.offset, design.offset[:, None]),
        "X": (found.X, design.X),
        **{f.name: (own, f.z) for f, own in zip(design.factors, found.z, strict=True)},
    }
    for ours, values in columns.values():
        other = moments_of(values)
        assert ours.n == other.n
        for kind in ("mean", "squares", "low", "high"):
            np.testing.assert_allclose(
                getattr(ours, kind), getattr(other, kind), rtol=1e-11, atol=1e-11
            )


def test_the_plan_is_explained(frame):
    said = str(hb.Model("y ~ x + (x | g)", source_of(frame, "duckdb")).explain())
    assert "Inside of a DuckDB relation, by 4 queries in" in said
    assert "cross-products of g, and of the fixed part" in said
    assert 'sum(("_e_1" * "_e_2"))' in said
    said = str(hb.Model("y ~ x + (x | g)", source_of(frame, "polars"), weights="w").explain())
    assert "Weights are w: a row of weight 4" in said
    assert "AGGREGATE" in said


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_that_an_engine_cannot_sum_are_read_and_the_reason_is_explained(frame, engine):
    formula = "y ~ log1p(x) + (1 | g)"
    rows = frame.with_columns(x=pl.col("x").abs())
    model = hb.Model(formula, source_of(rows, engine))
    said = " ".join(str(model.explain()).split())
    assert re.search("The rows were read from a (Polars Lazy|DuckDB rel).*; none was kept.", said)
    assert "log1p(x) is nothing the engine has an expression for." in said
    expected = hb.lmer(formula, rows)
    assert model.fit("reml").criterion == pytest.approx(expected.criterion, rel=SAME)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_small_query_is_read_at_once_unless_it_is_to_be_a_stream(frame, engine):
    formula = "y ~ x + (1 | g)"
    assert hb.Model(formula, lazy(frame, engine)).design.keeps_rows
    streamed = hb.Model(formula, lazy(frame, engine), stream=True)
    assert streamed.spec.table.passes.queries
    fit = hb.lmer(formula, lazy(frame, engine), stream=True)
    assert fit.criterion == pytest.approx(streamed.fit().criterion, rel=SAME)


def test_a_table_has_a_name_and_a_connection(frame):
    connection = duckdb.connect()
    connection.register("many rows", frame.to_arrow())
    stream = hb.Stream("many rows", connection=connection)
    assert hb.Model("y ~ x + (1 | g)", stream).spec.table.passes.queries
    model = hb.Model("y ~ x + (1 | g)", relation_of("many rows", connection))
    expected = hb.lmer("y ~ x + (1 | g)", frame)
    assert model.fit().criterion == pytest.approx(expected.criterion, rel=SAME)
    with pytest.raises(DataError, match="The connection can't give 'few rows': "):
        relation_of("few rows", connection)


def test_data_an_engine_cannot_read_are_refused_in_a_sentence(frame, tmp_path):
    path = tmp_path / "rows.parquet"
    frame.write_parquet(path)
    relation = RelationSource(duckdb.read_parquet(str(path)))
    path.unlink()
    with pytest.raises(DataError, match="of the stream can't be read: "):
        hb.Model("y ~ x + (1 | g)", relation)
