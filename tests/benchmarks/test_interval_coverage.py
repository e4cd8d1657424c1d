"""The coverage study on two data sets: its functions, not its results."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import interval_coverage as coverage

METHODS = ("wald", "satterthwaite", "kenward-roger", "profile", "percentile", "bca", "predict")


@pytest.fixture
def study():
    return coverage.Study(6)


def test_the_truth_is_the_fit_of_the_lecture(study):
    assert study.parameters["sd_Days|Subject"] == pytest.approx(5.92, abs=0.01)
    assert list(study.parameters)[-2:] == ["(Intercept)", "Days"]
    assert study.model.design.y.size == 60


def test_data_sets_have_their_own_seeds(study):
    first, again, second = (study.dataset(i).y for i in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, second)
    other = coverage.Study(6, seed=2).dataset(0).y
    assert not np.array_equal(first, other)


def test_an_interrupted_run_goes_on(study, tmp_path, monkeypatch):
    monkeypatch.setattr(coverage, "NSIM", 40)
    path = tmp_path / "coverage.csv"
    coverage.run(study, 1, METHODS[:4], path)
    coverage.run(study, 2, METHODS, path)
    size = path.stat().st_size
    coverage.run(study, 2, METHODS, path)
    assert path.stat().st_size == size
    intervals = pd.read_csv(path)
    assert not intervals.duplicated(["dataset", "method", "parameter"]).any()
    counts = intervals.groupby("method").size()
    assert counts.to_dict() == {
        "wald": 4, "satterthwaite": 4, "kenward-roger": 4,
        "profile": 12, "percentile": 12, "bca": 12, "predict": 6,
    }  # fmt: skip
    table = coverage.coverage_table(intervals)
    assert (table["datasets"] == 2).all()
    assert "sd_(Intercept)|Subject" in coverage.report(table)
    assert r"`sd_Days\|Subject`" in coverage.markdown(table)


@pytest.mark.mcmc
def test_the_posterior_is_one_of_the_methods(study, monkeypatch):
    monkeypatch.setattr(coverage, "DRAWS", 50)
    rows = coverage.intervals_of(study, 0, ["posterior"])
    assert [row[3] for row in rows] == list(study.parameters)


def test_misses_are_counted_on_their_side():
    rows = [(6, i, "wald", "Days", 0.0, low, low + 1.0, 2.0) for i, low in
            enumerate([0.5, 1.5, 1.7, 2.5, np.nan])]  # fmt: skip
    table = coverage.coverage_table(pd.DataFrame(rows, columns=list(coverage.COLUMNS)))
    found = table.loc[(6, "Days", "wald")]
    assert found[["coverage", "low", "high", "none"]].tolist() == [0.5, 0.25, 0.25, 0.2]
    assert found["error"] == pytest.approx(0.25)
