"""Fits of streams, of rows in a database and of cells are saved without their rows."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.bayes import collapsed_points
from hierbayes.errors import DataError, RowsNotKeptError

FORMULA = "y ~ scale(x) * f + (x | g) + (1 | h:f)"


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    g, h = rng.integers(0, 30, 600), rng.integers(0, 8, 600)
    x, f = rng.normal(5, 1, 600), rng.choice(list("cab"), 600)
    b, u = rng.normal(size=(30, 2)) @ np.array([[2, 0.3], [0, 0.5]]), rng.normal(size=8)
    y = 10 + 0.5 * x + 2 * (f == "b") + b[g, 0] + b[g, 1] * (x - 5) + u[h]
    y = y + rng.normal(0, 1, 600)
    h = np.char.add("h", h.astype(str))
    return pd.DataFrame({"y": y, "x": x, "g": g, "h": h, "f": f, "k": (y > 13).astype(int)})


@pytest.fixture(scope="module")
def fit(data):
    return hb.lmer(FORMULA, [data.iloc[start : start + 200] for start in range(0, 600, 200)])


def loaded(fit, folder):
    fit.save(folder / "a.fit")
    return hb.load(folder / "a.fit")


def check_same(again, fit):
    assert again.criterion == pytest.approx(fit.criterion, rel=1e-12)
    pd.testing.assert_frame_equal(again.tidy(), fit.tidy(), rtol=1e-9)
    for name, table in fit.ranef().items():
        pd.testing.assert_frame_equal(again.ranef()[name], table, rtol=1e-7)
    assert again.n_groups == fit.n_groups
    assert again.nobs == fit.nobs


def test_a_streamed_fit_answers_as_before(fit, data, tmp_path):
    again = loaded(fit, tmp_path)
    check_same(again, fit)
    for ask in (
        lambda fit: hb.anova(fit).to_frame(),
        lambda fit: hb.emmeans(fit, "f").to_frame(),
        lambda fit: hb.shrinkage(fit),
        lambda fit: fit.update(". ~ . - scale(x):f").fixef().to_frame(),
        lambda fit: pd.DataFrame(fit.predict(data.head(3))),
    ):
        a, b = (ask(one).select_dtypes("number").to_numpy() for one in (again, fit))
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)
    with pytest.raises(RowsNotKeptError):
        again.residuals()
    with pytest.raises(DataError, match="its file holds their sums alone"):
        again.update(". ~ k + (1 | g)")


def test_a_smaller_model_of_the_sums_is_saved_too(fit, tmp_path):
    smaller = fit.update(". ~ f + (1 | g)")
    check_same(loaded(smaller, tmp_path), smaller)


@pytest.mark.filterwarnings("ignore::hierbayes.errors.RankDeficientWarning")
@pytest.mark.parametrize("formula", ["y ~ x + (x | g)", "y ~ x + I(2 * x) + (1 | g)"])
def test_a_fit_in_a_database_is_saved(data, tmp_path, formula):
    connection = pytest.importorskip("duckdb").connect()
    connection.register("rows", data)
    connection.execute("create table held as select * from rows")
    fit = hb.lmer(formula, hb.Stream("held", connection=connection))
    check_same(loaded(fit, tmp_path), fit)


def test_cells_are_saved(data, tmp_path):
    parts = [data.iloc[:300], data.iloc[300:]]
    fit = hb.Model("k ~ f + (1 | g)", parts, "binomial").fit()
    again = loaded(fit, tmp_path)
    check_same(again, fit)
    assert again.design.n_rows == 600


def test_a_posterior_is_saved_without_effects_that_are_made_later(fit, tmp_path, monkeypatch):
    model = fit.update(". ~ f + (x | g)").model
    post = model.sample(draws=250, random_seed=1)
    again = loaded(post, tmp_path)
    np.testing.assert_array_equal(again.draws.b["g"], post.draws.b["g"])
    monkeypatch.setattr(collapsed_points, "LATER", 10)
    later = model.sample(draws=250, random_seed=1)
    again = loaded(later, tmp_path)
    np.testing.assert_allclose(again.draws.b["g"], later.draws.b["g"], rtol=1e-9, atol=1e-12)
    assert replace(again.draws, b={}).beta.shape == (4, 250, 3)
    pd.testing.assert_frame_equal(again.tidy(), post.tidy())
