"""Checks of models whose residuals are correlated or of unequal variance."""

from functools import lru_cache

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.checks.residuals import standard_residuals
from hierbayes.checks.whiteness import whiteness
from hierbayes.gaussian.residual.root import coloured


@lru_cache
def fitted():
    return hb.lmer(
        "distance ~ age + (1 | Subject)", hb.load_dataset("Orthodont").drop([2, 9, 40]),
        residual="ar1(age | Subject)", sigma="~ Sex",
    )  # fmt: skip


def test_what_estimates_leave_of_an_autocorrelation_is_that_of_dense_algebra() -> None:
    fit = fitted()
    found = whiteness(fit)
    assert found is not None
    n, codes = fit.nobs, fit.design.factors[0].codes
    K = coloured(fit.spec.residuals, fit.residual.phi, np.eye(n))
    R = K @ K.T
    V = R + fit.representing.representative[0] ** 2 * (codes[:, None] == codes)
    W, X = np.linalg.inv(V), fit.design.X
    Q = W - W @ X @ np.linalg.solve(X.T @ W @ X, X.T @ W)
    own = np.linalg.inv(K)
    S = own @ R @ Q @ R @ own.T
    age = fit.design.model_frame["age"].to_numpy()
    at = (codes[:, None] == codes) & (age[:, None] - age == 2 * found.lag)
    assert at.sum() == found.n_pairs
    assert found.expected == pytest.approx(S[at].mean() / np.diag(S).mean(), rel=1e-8)
    u = fit.residuals("normalized").to_numpy()
    assert found.found == pytest.approx((u[:, None] * u)[at].mean() / (u @ u / n), rel=1e-8)


def test_checks_are_of_normalised_residuals() -> None:
    fit = fitted()
    found = hb.check(fit, nsim=20, random_seed=1, leave_out=False)
    np.testing.assert_allclose(found.residuals, fit.residuals("normalized"))
    assert found.residual_word == "normalised residual"
    names = found.to_frame()["check"].tolist()
    assert "normalised residuals look normal" in names
    assert "nothing is left of the correlation in series of Subject" in names
    np.testing.assert_allclose(standard_residuals(fit), fit.residuals("normalized"))


def test_a_correlation_of_another_kind_is_seen() -> None:
    rng = np.random.default_rng(1)
    e = rng.normal(size=(10, 16))
    for t in range(2, 16):
        e[:, t] += 0.8 * e[:, t - 2]
    data = {"y": e.ravel(), "t": np.tile(np.arange(16), 10), "g": np.repeat(np.arange(10), 16)}
    fit = hb.lmer("y ~ 1", data, residual="ar1(t | g)")
    table = hb.check(fit, nsim=20, random_seed=1).to_frame().set_index("check")
    row = table.loc["nothing is left of the correlation in series of g"]
    assert row["verdict"] == "look" and "at lag 2" in row["value"]
