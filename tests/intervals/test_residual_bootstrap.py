"""Bootstraps of models of correlated residuals and of unequal variance."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.gaussian.residual.root import whitened
from hierbayes.intervals.level_samples import LevelSamples
from hierbayes.intervals.resampling import ResponseDraws
from hierbayes.likelihood.residual_refits import refit_residuals
from hierbayes.likelihood.residual_search import search_design

FOLDER = Path(__file__).parents[1] / "reference" / "residuals"
CORRELATION = "cor_ar1|Subject"


@lru_cache
def rows() -> pd.DataFrame:
    data = pd.read_csv(FOLDER / "orthodont.csv")
    return data[data["Subject"].isin(data["Subject"].unique()[::2])]


@lru_cache
def fitted():
    options = {"residual": "ar1(occasion | Subject)", "sigma": "~ Sex"}
    return hb.lmer("distance ~ age", rows(), **options)


def test_responses_that_are_drawn_have_the_covariance_of_the_residuals() -> None:
    fit = fitted()
    Y = ResponseDraws(fit, "parametric").draw(6_000, np.random.default_rng(1))
    first = np.flatnonzero(rows()["Subject"] == rows()["Subject"].iloc[0])
    age = rows()["age"].to_numpy()[first]
    values = dict(zip(fit.residual_names, fit.residual_values, strict=True))
    ratio = np.exp(values["sigma_SexMale"]) if rows()["Sex"].iloc[0] == "Male" else 1.0
    gap = np.abs(age[:, None] - age) / 2
    expected = (fit.sigma * ratio) ** 2 * values[CORRELATION] ** gap
    np.testing.assert_allclose(np.cov(Y[first]), expected, atol=0.1 * expected.max())


def test_replicates_are_fits_of_the_responses_drawn() -> None:
    fit = fitted()
    Y = ResponseDraws(fit, "parametric").draw(2, np.random.default_rng(1))
    found = refit_residuals(fit, Y)
    again = fit.refit(Y[:, 1])
    assert found.refits.criterion[1] == pytest.approx(again.criterion, abs=1e-8)
    np.testing.assert_allclose(found.phi[1], again.residual.phi, atol=1e-5)
    np.testing.assert_allclose(found.refits.beta[1], again.beta, rtol=1e-6)


def test_intervals_and_statistics_come_from_replicates() -> None:
    fit = fitted()
    found = hb.bootstrap(fit, nsim=12, random_seed=2)
    table = found.to_frame()
    assert (table[CORRELATION].abs() < 1).all() and table[CORRELATION].std() > 0.02
    limits = found.confint(0.5, "basic")
    assert (limits["lower"] <= limits["upper"]).all()
    own = hb.bootstrap(fit, lambda one: one.residual_values[1], nsim=3, random_seed=2)
    np.testing.assert_allclose(own.to_frame().iloc[:, 0], rerun(fit, 3), atol=1e-6)


def rerun(fit, count: int):
    """The same replicates as parameters."""
    return hb.bootstrap(fit, nsim=count, random_seed=2).to_frame()[CORRELATION]


def test_levels_drawn_again_are_series_of_their_own() -> None:
    fit = fitted()
    samples = LevelSamples(fit, purpose="cases")
    drawn = np.array([3, 0, 3, 5, 8, 8, 1])
    design = samples.design(drawn)
    again = search_design(design, fit.method)
    levels = fit.spec.residuals.series.labels
    parts = [
        rows()[rows()["Subject"] == levels[j]].assign(Subject=f"s{i}")
        for i, j in enumerate(drawn.tolist())
    ]
    given = {"residual": "ar1(occasion | Subject)", "sigma": "~ Sex"}
    own = hb.lmer(fit.formula_text, pd.concat(parts, ignore_index=True), **given)
    assert float(again.found.at.criterion[0]) == pytest.approx(own.criterion, abs=1e-7)
    np.testing.assert_allclose(again.phi, own.residual.phi, atol=1e-4)


def test_residuals_that_are_drawn_again_are_normalised_ones() -> None:
    fit = fitted()
    draws = ResponseDraws(fit, "residual")
    rest = draws.draw(1, np.random.default_rng(1)) - fit.fixed_part[:, None]
    u = whitened(fit.spec.residuals, fit.residual.phi, rest)[:, 0]
    own = fit.residuals("normalized").to_numpy()
    own = (own - own.mean()) / own.std() * fit.sigma
    assert np.abs(u[:, None] - own).min(axis=1).max() < 1e-9
    found = hb.bootstrap(fit, nsim=4, random_seed=1, kind="cases")
    assert found.n_failed == 0 and "with their rows" in found.drawn
    limits = hb.confint(fit, "bootstrap", nsim=4, random_seed=1, interval="bca")
    assert (limits["lower"] <= limits["upper"]).all()


def test_a_test_by_simulation_asks_whether_there_is_a_correlation() -> None:
    small = hb.lmer("distance ~ age", rows(), sigma="~ Sex")
    found = hb.pb_test(small, fitted(), nsim=4, random_seed=1)
    ml = [fit.with_method("ml").loglik for fit in (small, fitted())]
    assert found.statistic == pytest.approx(2 * (ml[1] - ml[0]), rel=1e-6)
    assert found.df == 1 and found.p_value == pytest.approx(1 / 5)
    plain = hb.pb_test(hb.lmer("distance ~ age", rows()), small, nsim=4, random_seed=1)
    assert plain.df == 1 and plain.reference.size == 4
