"""Goodness of fit: deviances by hand, and what is found where the model is wrong."""

import warnings

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.errors import OptionError
from tests.psychometrics.observers import observers


def fitted(formula="k ~ x + (1 | subject)", **options):
    given = {"data": observers(levels=5, trials=8), "guess": 0.0, "n": "n"} | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        return hb.psychometric(formula, given.pop("data"), stimulus="x", **given).fit()


def test_deviance_and_dispersion_are_those_of_the_cells():
    fit = fitted("k ~ x")
    rows = fit.design.y
    cells = rows.reshape(5, 7, 2).sum(axis=0)  # five observers share the seven stimuli
    k, n = cells[:, 0], cells.sum(axis=1)
    p = fit.fitted().to_numpy()[:7]
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(k > 0, k * np.log(k / n / p), 0)
        parts += np.where(k < n, (n - k) * np.log((n - k) / n / (1 - p)), 0)
    found = fit.goodness_of_fit(5, random_seed=1)
    assert (found.cells, found.df, found.nsim) == (7, 5, 5)
    assert np.isclose(found.deviance, 2 * parts.sum(), rtol=1e-10)
    pearson = ((k - n * p) ** 2 / (n * p * (1 - p))).sum() / 5
    assert np.isclose(found.dispersion, pearson, rtol=1e-10)
    assert found.p_deviance in {i / 6 for i in range(1, 7)}


def test_responses_of_the_model_fit_and_more_variable_ones_do_not():
    good = fitted().goodness_of_fit(24, random_seed=1)
    assert good.p_dispersion > 1 / 25
    assert "as close to the curves" in str(good)
    wild = observers(levels=5, trials=40, kappa=6.0)
    bad = fitted(data=wild).goodness_of_fit(24, random_seed=1)
    assert bad.p_dispersion == bad.p_deviance == 1 / 25
    assert "overdispersed=True" in str(bad)
    own = fitted(data=wild, overdispersed=True)
    assert 2 < own.dispersion["kappa"] < 20
    assert own.goodness_of_fit(5, random_seed=1).p_dispersion > 1 / 6


def test_the_same_seed_gives_the_same_numbers():
    one, two = (fitted().goodness_of_fit(4, random_seed=7) for _ in range(2))
    assert np.array_equal(one.simulated_deviance, two.simulated_deviance)


def test_without_degrees_of_freedom_there_is_no_goodness():
    data = observers(levels=1).query("abs(x) < 1")
    fit = fitted("k ~ x", data=data[data["x"].abs() > 0.1])
    with pytest.raises(OptionError, match="no degree of freedom"):
        fit.goodness_of_fit(5)
    with pytest.raises(OptionError, match="nsim"):
        fit.goodness_of_fit(0)
