"""The joint covariance of fixed and random effects is the inverse of the mixed-model equations."""

import numpy as np
import pytest

import hierbayes as hb
from tests.model.fits import grouped, lmer

EXACT = 1e-10  # relative to the sds; two ways of inverting one matrix
MODELS = {
    "correlated": ("y ~ x + (x | g)", {}),
    "crossed, weights": ("y ~ x + (x | g) + (1 | item)", {"weights": "w"}),
    "independent, ml": ("y ~ f + (x || g)", {"reml": False}),
    "known sds": ("y ~ x + (1 | g)", {"known_sd": "w"}),
    "no bars": ("y ~ x", {}),
}


def equations(fit, weights, scale=1.0):
    """Matrix of the mixed-model equations of (beta, b), level by level within each factor."""
    X, rows = fit.design.X, np.arange(fit.nobs)
    columns, penalty = [X], [np.zeros((X.shape[1],) * 2)]
    for factor, root in zip(fit.design.factors, fit.effect_roots, strict=True):
        J, q = factor.levels.size, factor.z.shape[1]
        Z = np.zeros((fit.nobs, J * q))
        for c in range(q):
            Z[rows, factor.codes * q + c] = factor.z[:, c]
        columns.append(Z)
        penalty.append(np.kron(np.eye(J), np.linalg.inv(root @ root.T)))
    T = np.column_stack(columns)
    M, start = T.T @ (weights[:, None] * T) / scale, 0
    for block in penalty:
        end = start + len(block)
        M[start:end, start:end] += block
        start = end
    return M


def assert_same(found, expected):
    sd = np.sqrt(np.diag(expected))
    assert np.abs((found.to_numpy() - expected) / np.outer(sd, sd)).max() < EXACT


@pytest.mark.parametrize(("formula", "options"), MODELS.values(), ids=MODELS)
def test_of_a_linear_fit(formula, options):
    fit = lmer(formula, grouped(), **options)
    weights = np.ones(fit.nobs) if fit.weights is None else fit.weights
    assert_same(fit.vcov(full=True), np.linalg.inv(equations(fit, weights, fit.sigma**2)))
    p = fit.beta.size
    assert np.allclose(fit.vcov(full=True).iloc[:p, :p], fit.vcov())


def test_of_a_generalised_fit_given_the_fixed_effects_it_is_that_of_the_modes():
    fit = hb.glmer(
        "cbind(incidence, size - incidence) ~ period + (1 | herd)", hb.load_dataset("cbpp")
    )
    full, p = fit.vcov(full=True), fit.beta.size
    assert np.allclose(full.iloc[:p, :p], fit.vcov())
    M = equations(fit, fit.row_curvature)
    given = full.iloc[p:, p:].to_numpy() - full.iloc[p:, :p].to_numpy() @ np.linalg.solve(
        fit.vcov_beta, full.iloc[:p, p:].to_numpy()
    )
    assert np.allclose(given, np.linalg.inv(M[p:, p:]), rtol=1e-6, atol=1e-9)


def test_of_a_posterior_it_is_that_of_the_draws():
    model = hb.Model("y ~ x + (x | g)", grouped())
    post = model.sample(draws=100, chains=2, random_seed=1)
    wide = post.tidy_draws(("fixed", "ran_vals")).pivot_table(
        index=["chain", "draw"], columns="parameter", values="value", observed=True
    )
    full = post.vcov(full=True)
    assert np.allclose(full, wide.cov().loc[full.index, full.columns])


def test_its_limits_are_said(monkeypatch):
    monkeypatch.setattr("hierbayes.prediction.joint_covariance.MOST_EFFECTS", 5)
    fit = lmer("y ~ x + (1 | g)", grouped())
    with pytest.raises(hb.NotSupportedError, match=r"14 fixed and random effects .* at most 5"):
        fit.vcov(full=True)
    with pytest.raises(hb.OptionError, match="full='yes' must be True"):
        fit.vcov(full="yes")
