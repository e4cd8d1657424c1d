"""Responses drawn from a fit follow its estimates; a saved fit answers as before."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from tests.results.test_likelihood_fit import MODELS, fitted


def test_simulated_responses_have_the_fits_mean_and_covariance():
    fit = fitted("weights")
    n = 20_000
    draws = fit.simulate(n, random_seed=1).to_numpy()
    (term,) = fit.varcorr().terms
    factor = fit.design.factors[0]
    V = factor.z @ term.covariance @ factor.z.T * (factor.codes[:, None] == factor.codes)
    V += np.diag(fit.sigma**2 / fit.weights)
    mean_error = np.sqrt(np.diag(V) / n)
    assert np.abs((draws.mean(axis=1) - fit.fixed_part) / mean_error).max() < 4.5
    # variances, and covariances within the first level
    ratio = draws.var(axis=1) / np.diag(V)
    assert np.abs(ratio - 1).max() < 5 * np.sqrt(2 / n)
    found, expected = np.cov(draws[:10]), V[:10, :10]
    size = np.sqrt((np.outer(np.diag(expected), np.diag(expected)) + expected**2) / n)
    assert np.abs((found - expected) / size).max() < 4.5


def test_simulation_is_labelled_and_repeatable(name="slope"):
    fit = fitted(name)
    draws = fit.simulate(3, random_seed=7)
    assert draws.columns.tolist() == ["sim_1", "sim_2", "sim_3"]
    assert draws.index.equals(fit.fitted().index)
    pd.testing.assert_frame_equal(draws, fit.simulate(3, random_seed=7))
    pd.testing.assert_frame_equal(draws, fit.simulate(3, random_seed=np.random.default_rng(7)))
    assert (fit.simulate(3, random_seed=8) != draws).all(axis=None)


@pytest.mark.parametrize("nsim", [0, -1, 2.5, True, "3"])
def test_the_number_of_simulations_is_checked(nsim):
    with pytest.raises(hb.OptionError, match="nsim"):
        fitted("slope").simulate(nsim)


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_fit_answers_as_before(name, tmp_path):
    fit = fitted(name)
    fit.save(tmp_path / "it.fit")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what was found is stored, not found again
        back = hb.load(tmp_path / "it.fit")
    assert back.criterion == pytest.approx(fit.criterion, rel=1e-12)
    np.testing.assert_array_equal(back.theta, fit.theta)
    np.testing.assert_allclose(back.beta, fit.beta, rtol=1e-10)
    assert back.summary() == fit.summary()
    assert [str(f) for f in back.findings] == [str(f) for f in fit.findings]
    data = MODELS[name][0]()
    pd.testing.assert_series_equal(back.predict(data), fit.predict(data), rtol=1e-9)
    for group, table in fit.ranef().items():
        pd.testing.assert_frame_equal(back.ranef()[group], table, rtol=1e-8)
    refitted = [one.refit(fit.design.y * 2) if not fit.is_singular else one for one in (back, fit)]
    assert refitted[0].criterion == pytest.approx(refitted[1].criterion, rel=1e-9)


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_models_and_fits_go_to_other_processes(family):
    data = hb.load_dataset("grouseticks")
    model = hb.Model("TICKS ~ 1 + (1 | LOCATION)", data, family=family)
    again = pickle.loads(pickle.dumps(model))
    assert again.family == family and again.formula_text == model.formula_text
    if family == "gaussian":
        fit = model.fit()
        assert pickle.loads(pickle.dumps(fit)).predict().equals(fit.predict())
        post = model.sample(draws=50, chains=2, random_seed=1)
        assert str(pickle.loads(pickle.dumps(post))) == str(post)
