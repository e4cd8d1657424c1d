"""Every kind of source gives the model of the same rows in memory."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.streams.source_kinds import source_of

FORMULA = "y ~ x + arm + (x | g)"


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    g, x = rng.integers(0, 10, 120), rng.normal(size=120)
    y = rng.normal(size=10)[g] + x * (1 + 0.5 * rng.normal(size=10)[g]) + rng.normal(size=120)
    return pd.DataFrame({"y": y, "x": x, "g": g, "arm": rng.choice(["u", "v"], 120)})


@pytest.fixture(scope="module")
def whole(frame):
    return hb.lmer(FORMULA, frame)


def csv(frame, folder):
    frame.to_csv(folder / "rows.csv", index=False)
    return folder / "rows.csv", "a CSV file (1 file)"


def parquet(frame, folder):
    frame.to_parquet(folder / "rows.parquet")
    return folder / "rows.parquet", "a Parquet file (1 file)"


def folder(frame, folder):
    for part, rows in frame.groupby(frame.g % 3):
        rows.to_parquet(folder / f"{part}.parquet")
    return folder, "a folder of Parquet files (3 files)"


def hive(frame, folder):
    for part, rows in frame.groupby(frame.arm):
        (folder / f"arm={part}").mkdir()
        rows.drop(columns="arm").to_parquet(folder / f"arm={part}" / "0.parquet")
    return folder, "a folder of Parquet files (2 files)"


def dataset(frame, folder):
    arrow = pytest.importorskip("pyarrow.dataset")
    import pyarrow

    return arrow.dataset(pyarrow.Table.from_pandas(frame)), "a pyarrow dataset (1 file)"


def lazy_frame(frame, folder):
    return pytest.importorskip("polars").from_pandas(frame).lazy(), "a Polars LazyFrame"


def relation(frame, folder):
    connection = pytest.importorskip("duckdb").connect()
    connection.register("rows", frame)
    connection.execute("create table held as select * from rows")
    return connection.table("held"), "a DuckDB relation"


@pytest.mark.parametrize("make", [csv, parquet, folder, hive, dataset, lazy_frame, relation])
def test_a_source_gives_the_model_of_its_rows(frame, whole, tmp_path, make):
    given, description = make(frame, tmp_path)
    source = source_of(given, stream=True)
    assert source is not None
    assert source.description == description
    # levels are given, so that rows of engines are read as those of files are
    fit = hb.lmer(FORMULA, hb.Stream(given, levels={"g": range(10)}))
    assert fit.criterion == pytest.approx(whole.criterion, rel=1e-10)
    pd.testing.assert_series_equal(fit.fixef(), whole.fixef(), rtol=1e-7)


def test_of_a_large_tree_little_is_looked_at(tmp_path, monkeypatch):
    from hierbayes.streams import source_kinds

    looked = []
    scandir = source_kinds.os.scandir
    monkeypatch.setattr(source_kinds.os, "scandir", lambda path: looked.append(1) or scandir(path))
    for name in ("a/b/c", "d", "year=2026"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a/b/c/0.parquet").touch()
    assert source_kinds._holds_parquet(tmp_path) is False
    assert len(looked) == 2  # the folder itself and year=2026
    (tmp_path / "year=2026/0.parquet").touch()
    assert source_kinds._holds_parquet(tmp_path) is True
