"""Levels that are given: their order, one pass where nothing is to be learnt, and other levels."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.errors import DataError, OptionError

# one row is left out, and factors have few levels
pytestmark = pytest.mark.filterwarnings("ignore::hierbayes.errors.DesignWarning")

FORMULA = "y ~ scale(x, 3, 2) + f + (1 + x | g) + (1 | h:f)"
LEVELS = {"f": ["b", "c", "a"], "g": [*range(12), 77], "h": ["v", "u"]}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    g, x = rng.integers(0, 12, 400), rng.normal(3, 2, 400)
    f, h = rng.choice(list("abc"), 400), rng.choice(list("uv"), 400)
    y = rng.normal(size=12)[g] + x * (1 + 0.3 * rng.normal(size=12)[g]) + (f == "b")
    y = y + (h == "u") + rng.normal(size=400)
    y[7] = np.nan
    return pd.DataFrame({"y": y, "x": x, "g": g, "f": f, "h": h})


def parts_of(frame: pd.DataFrame) -> list[pd.DataFrame]:
    return [frame.iloc[start : start + 100] for start in range(0, 400, 100)]


@pytest.fixture(scope="module")
def whole(frame):
    f = pd.Categorical(frame.f, LEVELS["f"])
    h = pd.Categorical(frame.h, LEVELS["h"])
    return hb.lmer(FORMULA, frame.assign(f=f, h=h))


def check_same(fit, whole):
    assert fit.criterion == pytest.approx(whole.criterion, rel=1e-10)
    pd.testing.assert_series_equal(fit.fixef(), whole.fixef(), rtol=1e-6)
    for name, table in whole.ranef().items():
        own = fit.ranef()[name]
        assert sorted(own.index) == sorted(table.index)
        np.testing.assert_allclose(own.loc[table.index], table, rtol=1e-5, atol=1e-7)
    assert fit.n_groups == whole.n_groups


def test_one_pass_is_enough_where_nothing_is_learnt(frame, whole):
    source = hb.Stream(iter(parts_of(frame)), levels=LEVELS)  # can be read once
    fit = hb.lmer(FORMULA, source)
    check_same(fit, whole)
    new = frame.head(3)
    np.testing.assert_allclose(fit.predict(new), whole.predict(new), rtol=1e-6)
    np.testing.assert_allclose(
        hb.emmeans(fit, "f").to_frame()["estimate"],
        hb.emmeans(whole, "f").to_frame()["estimate"],
        rtol=1e-6,
    )


def test_levels_order_a_factor_where_two_passes_are_made(frame, whole):
    levels = {"f": LEVELS["f"], "h": ["v", "u"]}
    check_same(hb.lmer(FORMULA, hb.Stream(parts_of(frame), levels=levels)), whole)


def test_what_is_learnt_takes_two_passes(frame):
    with pytest.raises(DataError, match="can be read once"):
        hb.Model("y ~ scale(x) + (1 | g)", hb.Stream(iter(parts_of(frame)), levels=LEVELS))
    with pytest.raises(DataError, match="can be read once"):
        hb.Model("y ~ f + (1 | g)", hb.Stream(iter(parts_of(frame)), levels={"g": range(12)}))


def test_a_level_of_a_factor_that_no_row_has_is_left_out(frame):
    levels = LEVELS | {"f": ["a", "b", "none", "c"]}
    fit = hb.lmer("y ~ f + (1 | g)", hb.Stream(parts_of(frame), levels=levels))
    assert list(fit.fixef().index) == ["(Intercept)", "fb", "fc"]
    with pytest.raises(DataError, match="some that no row has"):
        hb.lmer("y ~ f + (1 | g)", hb.Stream(iter(parts_of(frame)), levels=levels))


@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ scale(x) + (1 | g)"])
def test_another_level_is_named_with_its_row(frame, formula):
    parts = parts_of(frame)
    parts[2] = parts[2].assign(g=np.where(np.arange(100) == 41, 99, parts[2].g))
    with pytest.raises(DataError, match="g has the level '99' in row 42 of part 3, which"):
        hb.Model(formula, hb.Stream(parts, levels={"g": range(12)}))


def test_levels_order_cells(frame):
    data = frame.assign(k=(frame.x > 3).astype(int))
    model = hb.Model("k ~ f + (1 | h)", hb.Stream(parts_of(data), levels=LEVELS), "binomial")
    assert list(model.spec.design.coef_names) == ["(Intercept)", "fc", "fa"]
    with pytest.raises(DataError, match="f has the level 'c', which the levels given lack"):
        hb.Model("k ~ f + (1 | h)", hb.Stream(parts_of(data), levels={"f": ["a", "b"]}), "binomial")


@pytest.mark.parametrize("levels", [{"g": []}, {"g": [1, 1]}, {"g": [1, None]}, {"f": ["a", "a"]}])
def test_levels_are_there_once_each(frame, levels):
    with pytest.raises(OptionError, match="give each level once"):
        hb.Model("y ~ f + (1 | g)", hb.Stream(parts_of(frame), levels=levels))
