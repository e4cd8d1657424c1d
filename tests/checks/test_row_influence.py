"""Leverage and deletion of single rows: dense algebra, fits without the row at the same theta."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from tests.model.fits import grouped, lmer

EXACT = 1e-8  # the same algebra by dense inverses
MODELS = {
    "correlated": ("y ~ x + (x | g)", {}),
    "crossed, weights": ("y ~ x + (x | g) + (1 | item)", {"weights": "w"}),
    "ml": ("y ~ f + (x || g)", {"reml": False}),
    "known sds": ("y ~ x + (1 | g)", {"known_sd": "w"}),
    "no bars": ("y ~ x", {"weights": "w"}),
}


def relative_covariance(fit):
    """V / sigma^2, (n, n)."""
    n = fit.nobs
    V = np.eye(n) if fit.weights is None else np.diag(1 / fit.weights)
    for factor, root in zip(fit.design.factors, fit.effect_roots, strict=True):
        same = factor.codes[:, None] == factor.codes
        V = V + same * (factor.z @ (root @ root.T / fit.sigma**2) @ factor.z.T)
    return V


def least_squares(X, y, V):
    """Beta, residual square and (X'V^-1X)^-1 of generalised least squares."""
    solved = np.linalg.solve(V, np.column_stack([X, y]))
    C = np.linalg.inv(X.T @ solved[:, :-1])
    beta = C @ (X.T @ solved[:, -1])
    return beta, (y - X @ beta) @ np.linalg.solve(V, y - X @ beta), C


@pytest.mark.parametrize(("formula", "options"), MODELS.values(), ids=MODELS)
def test_rows_left_out_at_the_same_theta_are_exact(formula, options):
    fit = lmer(formula, grouped(), **options)
    table = hb.influence(fit, rows=True)
    X, y, V = fit.design.X, fit.design.y, relative_covariance(fit)
    p, df = X.shape[1], fit.nobs - (X.shape[1] if fit.method == "reml" else 0)
    beta, _, C = least_squares(X, y, V)
    assert table.index.equals(fit.design.row_labels)
    for i in range(0, fit.nobs, 17):
        kept = np.arange(fit.nobs) != i
        without, square, own = least_squares(X[kept], y[kept], V[np.ix_(kept, kept)])
        sigma = np.sqrt(square / (df - 1)) if fit.has_residual_sd else 1.0
        row, step = table.iloc[i], beta - without
        cook = step @ np.linalg.solve(C, step) / (p * fit.sigma**2)
        assert row["cooks_distance"] == pytest.approx(cook, rel=1e-6)
        assert np.allclose(row.iloc[-p:], step / (sigma * np.sqrt(np.diag(C))), rtol=EXACT)
        ratio = np.linalg.det(sigma**2 * own) / np.linalg.det(fit.sigma**2 * C)
        assert row["covratio"] == pytest.approx(ratio, rel=EXACT)
        weight = 1.0 if fit.weights is None else fit.weights[i]
        scale = fit.sigma / sigma
        external = row["studentised_internal"] * scale
        assert row["studentised_external"] == pytest.approx(external, rel=EXACT)
        standard = row["residual"] * np.sqrt(weight / (1 - row["leverage"])) / fit.sigma
        assert row["studentised_internal"] == pytest.approx(standard, rel=EXACT)


@pytest.mark.parametrize(("formula", "options"), MODELS.values(), ids=MODELS)
def test_leverage_is_the_derivative_of_the_fitted_value_in_the_response(formula, options):
    fit = lmer(formula, grouped(), **options)
    X, V = fit.design.X, relative_covariance(fit)
    R = np.eye(fit.nobs) if fit.weights is None else np.diag(1 / fit.weights)
    inverse = np.linalg.inv(V)
    P = inverse - inverse @ X @ np.linalg.solve(X.T @ inverse @ X, X.T @ inverse)
    hat = np.diag(np.eye(fit.nobs) - R @ P)
    assert np.allclose(hb.influence(fit, rows=True)["leverage"], hat, rtol=EXACT)


def test_without_bars_they_are_those_of_least_squares():
    data = grouped()
    table = hb.influence(lmer("y ~ x", data), rows=True)
    X = np.column_stack([np.ones(len(data)), data["x"]])
    hat = np.diag(X @ np.linalg.solve(X.T @ X, X.T))
    e = data["y"] - X @ np.linalg.lstsq(X, data["y"], rcond=None)[0]
    s2 = (e @ e) / (len(data) - 2)
    assert np.allclose(table["cooks_distance"], e**2 * hat / (2 * s2 * (1 - hat) ** 2))
    assert np.allclose(table["cooks_distance"], table["cooks_distance_conditional"])


def test_a_row_that_determines_itself_has_no_deletion():
    data = grouped()
    data["only"] = np.arange(len(data)) == 3
    row = hb.influence(lmer("y ~ x + only + (1 | g)", data), rows=True).iloc[3]
    assert row["leverage"] == pytest.approx(1.0)
    assert np.isnan(row["cooks_distance"])
    assert np.isnan(row["studentised_external"])


def test_of_a_generalised_fit_the_leverage_is_that_of_dense_algebra():
    data = counts()
    fit = hb.glmer("y ~ x + (1 | g) + (1 | item)", data, "poisson")
    X, w = fit.design.X, fit.row_curvature
    parts = [np.eye(f.levels.size)[f.codes] @ (np.eye(f.levels.size) * root[0, 0])
             for f, root in zip(fit.design.factors, fit.effect_roots, strict=True)]  # fmt: skip
    Z = np.column_stack(parts)
    T = np.column_stack([X, Z])
    penalty = np.diag(np.r_[np.zeros(2), np.ones(Z.shape[1])])
    hat = w * np.einsum("ij,jk,ik->i", T, np.linalg.inv(T.T @ (w[:, None] * T) + penalty), T)
    table = hb.influence(fit, rows=True)
    assert np.allclose(table["leverage"], hat, rtol=1e-6)
    pearson = fit.residuals("pearson") / np.sqrt(1 - hat)
    assert np.allclose(table["studentised_internal"], pearson)


def test_one_step_comes_close_to_the_fit_without_the_row():
    data = counts()
    fit = hb.glmer("y ~ x + (1 | g)", data, "poisson")
    table = hb.influence(fit, rows=True)
    largest = table["dfbetas[x]"].abs().nlargest(5).index
    errors = np.sqrt(np.diag(fit.vcov()))
    for row in largest:
        refit = hb.glmer("y ~ x + (1 | g)", data.drop(index=row), "poisson")
        step = (fit.fixef() - refit.fixef()) / errors
        assert table.loc[row, "dfbetas[x]"] == pytest.approx(step["x"], rel=0.2)


def counts():
    rng = np.random.default_rng(4)
    n, g, item = 120, np.repeat(np.arange(12), 10), np.tile(np.arange(10), 12)
    x = rng.normal(size=n)
    eta = 0.5 + 0.4 * x + 0.4 * rng.normal(size=12)[g] + 0.3 * rng.normal(size=10)[item]
    return pd.DataFrame({"y": rng.poisson(np.exp(eta)), "x": x, "g": g, "item": item})


def test_what_has_no_influence_of_rows_is_said():
    fit = lmer("y ~ x + (1 | g)", grouped())
    with pytest.raises(hb.OptionError, match="rows=True looks at each row and group= at levels"):
        hb.influence(fit, "g", rows=True)
    with pytest.raises(hb.NotSupportedError, match="rows=True looks at each row"):
        hb.influence(lmer("y ~ x", grouped()))
