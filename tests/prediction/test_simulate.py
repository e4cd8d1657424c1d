"""Simulated responses have the moments of the model they come from."""

import numpy as np
import pytest

from tests.model.fits import grouped, lmer

NSIM = 4_000
ERRORS = 4.5  # Monte-Carlo standard errors; the largest of some thousand entries is about 4

MODELS = {
    "correlated": ("y ~ x + (x | g)", {}),
    "crossed, weights": ("y ~ x + (x | g) + (1 | item)", {"weights": "w"}),
    "independent": ("y ~ f + (x || g)", {"reml": False}),
    "known sds": ("y ~ x + (1 | g)", {"known_sd": "w"}),
    "offset": ("y ~ x + (1 | g)", {"offset": "o"}),
    "no bars": ("y ~ x", {"weights": "w"}),
}


def covariance_by_hand(fit):
    """Z Sigma Z' + sigma^2 / w, (n, n), from the tables a user sees."""
    table = fit.varcorr().to_frame()
    n = fit.nobs
    V = np.zeros((n, n))
    for factor in fit.design.factors:
        q = len(factor.columns)
        Sigma = np.zeros((q, q))
        names = list(factor.columns)
        for row in table.itertuples():
            if str(row.group).split(".")[0] == factor.name:
                i = names.index(row.term1)
                j = names.index(row.term2) if isinstance(row.term2, str) else i
                Sigma[i, j] = Sigma[j, i] = row.vcov
        same = factor.codes[:, None] == factor.codes
        V += np.where(same, factor.z @ Sigma @ factor.z.T, 0.0)
    weights = np.ones(n) if fit.weights is None else fit.weights
    return V + np.diag(fit.sigma**2 / weights)


@pytest.mark.parametrize(("formula", "options"), MODELS.values(), ids=MODELS)
def test_draws_have_the_mean_and_covariance_of_the_model(formula, options):
    fit = lmer(formula, grouped(), **options)
    draws = fit.simulate(NSIM, random_seed=1).to_numpy()
    V = covariance_by_hand(fit)
    sd = np.sqrt(np.diag(V))
    mean = fit.predict(groups="none").to_numpy()
    assert np.abs((draws.mean(axis=1) - mean) / sd).max() < ERRORS / np.sqrt(NSIM)
    error = np.sqrt((np.outer(sd**2, sd**2) + V**2) / NSIM)
    assert np.abs((np.cov(draws) - V) / error).max() < ERRORS


def test_the_columns_are_draws_of_their_own():
    fit = lmer("y ~ x + (x | g)", grouped())
    draws = fit.simulate(500, random_seed=2).to_numpy() - fit.fixed_part[:, None]
    between = np.corrcoef(draws.T)[np.triu_indices(500, 1)]
    assert abs(between.mean()) < 0.01


def test_shape_names_and_index():
    data = grouped().set_index(grouped()["z"])
    data.iloc[[2, 8], 1] = np.nan
    draws = lmer("y ~ x + (1 | g)", data).simulate(3, random_seed=0)
    assert list(draws.columns) == ["sim_1", "sim_2", "sim_3"]
    assert draws.index.equals(data.index.delete([2, 8]))
    assert np.isfinite(draws).all(axis=None)


def test_the_same_seed_gives_the_same_numbers():
    fit = lmer("y ~ x + (x | g)", grouped())
    first = fit.simulate(2, random_seed=7)
    for seed in (7, np.int64(7), np.random.default_rng(7), np.random.SeedSequence(7)):
        assert fit.simulate(2, random_seed=seed).equals(first)
    assert not fit.simulate(2, random_seed=8).equals(first)
    assert not fit.simulate(2).equals(fit.simulate(2))


def test_a_generator_moves_on():
    fit = lmer("y ~ x + (x | g)", grouped())
    rng = np.random.default_rng(7)
    assert not fit.simulate(1, random_seed=rng).equals(fit.simulate(1, random_seed=rng))


def test_simulated_responses_give_the_estimates_back():
    """The mean of many refits is near the truth they were drawn from."""
    fit = lmer("y ~ x + (1 | g)", grouped(30))
    draws = fit.simulate(200, random_seed=4)
    refits = [fit.refit(draws[name]) for name in draws]
    beta = np.array([refit.beta for refit in refits])
    error = beta.std(axis=0) / np.sqrt(200)
    assert np.abs((beta.mean(axis=0) - fit.beta) / error).max() < 4
    assert beta.std(axis=0) == pytest.approx(fit.std_errors, rel=0.2)
    sigmas = np.array([refit.sigma for refit in refits])
    assert abs(np.mean(sigmas**2) - fit.sigma**2) < 4 * np.std(sigmas**2) / np.sqrt(200)
