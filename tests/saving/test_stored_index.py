"""Row labels of any kind come back with a saved fit: panel data, dates, intervals, any objects."""

import datetime

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from tests.model.fits import assert_says_the_same, grouped, lmer

DATA = grouped(6)
N = len(DATA)
DAY = datetime.date(2024, 2, 29)
SOME = {
    "mixed": [1, "a", 2.5, True, 1.0, "1", None, float("nan")],
    "tuples": [(1, "a"), (1, DAY), ((2,), None)],
    "dates as objects": [DAY, datetime.datetime(2024, 1, 1, 12), pd.Timestamp("2020-01-01")],
    "huge whole numbers": [10**30, 1, -(10**25)],
    "text with gaps": ["a", None, ""],
    "strange text": ["größe", "a\n", "a" * 3000, "{}", "a\0b"],
}


def repeated(labels, **options):
    values = np.empty(N, dtype=object)
    for i in range(N):
        values[i] = labels[i % len(labels)]
    return pd.Index(values, tupleize_cols=False, **options)


INDICES = {
    "panel": pd.MultiIndex.from_arrays([DATA["g"], np.arange(N)], names=["g", "t"]),
    "unnamed levels": pd.MultiIndex.from_arrays([DATA["g"], DATA["days"]]),
    "levels of all kinds": pd.MultiIndex.from_arrays(
        [
            pd.date_range("2020", periods=N, tz="Europe/Berlin"),
            pd.CategoricalIndex(DATA["g"]),
            pd.interval_range(0, N),
            repeated(SOME["mixed"]),
            pd.RangeIndex(N),
        ],
        names=["when", None, 3, ("a", 1), "g"],
    ),
    "dates": pd.date_range("1800", periods=N, freq="D", name="day"),
    "nanoseconds": pd.DatetimeIndex(np.arange(N).astype("M8[ns]")),
    "dates missing": pd.DatetimeIndex([pd.NaT, *pd.date_range("2020", periods=N - 1)]),
    "zone": pd.date_range("2020-10-24", periods=N, freq="h", tz="America/New_York"),
    "offset": pd.date_range("2020", periods=N, tz="+02:30"),
    "periods": pd.period_range("2020-01", periods=N, freq="Q-MAR", name="quarter"),
    "spans": pd.timedelta_range("1D", periods=N, freq="90min"),
    "intervals": pd.interval_range(0.5, periods=N, closed="left", name="bin"),
    "intervals of dates": pd.interval_range(pd.Timestamp("2020"), periods=N),
    "categories": pd.CategoricalIndex(DATA["f"], ordered=True, name="f"),
    "categories of numbers": pd.CategoricalIndex(np.arange(N) % 4, categories=[3, 2, 1, 0, 9]),
    "duplicated": pd.Index(np.arange(N) % 3, name=5),
    "floats": pd.Index(np.where(np.arange(N) % 4, np.arange(N) / 7, np.nan)),
    "float32": pd.Index(np.arange(N, dtype="f4")),
    "flags": pd.Index(np.arange(N) % 2 == 0),
    "another count": pd.RangeIndex(5, 5 + 2 * N, 2, name="row"),
    "nullable": pd.Index(pd.array([1, None, 2**62] * N, dtype="Int64")[:N]),
    "nullable text": pd.Index(pd.array(["a", None, "b"] * N, dtype="string")[:N]),
    **{name: repeated(labels) for name, labels in SOME.items()},
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_row_labels_of_any_kind_come_back(tmp_path, index):
    fit = lmer("y ~ x + (1 | g)", DATA.set_axis(index))
    fit.save(tmp_path / "a.fit")
    found, expected = hb.load(tmp_path / "a.fit").fitted().index, fit.fitted().index
    assert type(found) is type(expected)
    assert list(found.names) == list(expected.names)
    assert found.dtype == expected.dtype
    for one, other in zip(found.tolist(), expected.tolist(), strict=True):
        assert repr(one) == repr(other)
        assert type(one) is type(other)


def test_a_fit_of_panel_data_is_saved(tmp_path):
    panel = DATA.assign(t=np.arange(N)).set_index(["g", "t"], drop=False)
    panel.iloc[[0, 9], panel.columns.get_loc("x")] = np.nan
    fit = lmer("y ~ x + (x | g)", panel)
    fit.save(tmp_path / "a.fit")
    loaded = hb.load(tmp_path / "a.fit")
    assert_says_the_same(fit, loaded)
    pd.testing.assert_index_equal(loaded.residuals().index, fit.residuals().index)


def test_a_posterior_of_panel_data_is_saved(tmp_path):
    panel = DATA.set_index(["g", "item"], drop=False)
    post = hb.Model("y ~ x + (1 | g)", panel).sample(draws=200, random_seed=1)
    post.save(tmp_path / "a.fit")
    loaded = hb.load(tmp_path / "a.fit")
    pd.testing.assert_series_equal(loaded.fitted(), post.fitted())


@pytest.mark.parametrize("second", ["", "m"])
def test_a_fit_of_two_level_column_names_is_saved(tmp_path, second):
    """As ``pivot`` and ``reset_index`` leave them; with an empty second level the first is one."""
    data = DATA.set_axis(pd.MultiIndex.from_product([DATA.columns, [second]]), axis=1)
    y, x, g = (name if not second else f"`('{name}', '{second}')`" for name in "yxg")
    fit = lmer(f"{y} ~ {x} + (1 | {g})", data, weights=None if second else "w")
    fit.save(tmp_path / "a.fit")
    assert_says_the_same(fit, hb.load(tmp_path / "a.fit"))


def test_labels_of_a_type_that_no_file_holds_become_text(tmp_path):
    fit = lmer("y ~ x + (1 | g)", DATA.set_axis(repeated([complex(1, 2), frozenset("a")])))
    fit.save(tmp_path / "a.fit")
    found = hb.load(tmp_path / "a.fit").fitted().index.tolist()
    assert found[:2] == ["(1+2j)", "frozenset({'a'})"]
