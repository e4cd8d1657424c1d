"""Rows and series left out where residuals are correlated or of unequal variance."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.gaussian.residual.precision import Precision
from hierbayes.gaussian.residual.root import coloured

FOLDER = Path(__file__).parents[1] / "reference" / "residuals"
CASES = {
    "car1": ("distance ~ age + (1 | Subject)", "car1(age | Subject)", "~ Sex"),
    "cs": ("distance ~ age + (age | Half)", "cs(1 | Subject)", "~ age"),
    "us": ("distance ~ age * Sex", "us(age | Subject)", None),
    "strata": ("distance ~ age + (age | Subject)", None, "~ Sex"),
}


@lru_cache
def rows() -> pd.DataFrame:
    data = pd.read_csv(FOLDER / "orthodont.csv").drop([2, 5, 17, 40]).reset_index(drop=True)
    number = pd.factorize(data["Subject"])[0]
    rng = np.random.default_rng(1)
    return data.assign(Half=[f"h{j}" for j in number % 7], w=rng.uniform(0.5, 2, len(data)))


@lru_cache
def fitted(case: str):
    formula, residual, sigma = CASES[case]
    return hb.lmer(formula, rows(), residual=residual, sigma=sigma, weights="w")


def whole(fit) -> tuple[np.ndarray, np.ndarray]:
    """R and V over sigma^2, in full."""
    n = fit.nobs
    root = coloured(fit.spec.residuals, fit.residual.phi, np.eye(n))
    R = (
        root
        @ root.T
        * np.outer(fit.relative_sds, fit.relative_sds)
        / np.outer(*2 * [np.sqrt(np.diag(root @ root.T))])
    )
    V = R
    for factor, own in zip(fit.design.factors, fit.effect_roots, strict=True):
        same = factor.codes[:, None] == factor.codes
        V = V + same * (factor.z @ (own @ own.T / fit.sigma**2) @ factor.z.T)
    return R, V


def least_squares(X, y, V):
    solved = np.linalg.solve(V, np.column_stack([X, y]))
    C = np.linalg.inv(X.T @ solved[:, :-1])
    beta = C @ (X.T @ solved[:, -1])
    return beta, (y - X @ beta) @ np.linalg.solve(V, y - X @ beta), C


@pytest.mark.parametrize("case", CASES)
def test_rows_left_out_leave_gaps_in_their_series(case: str) -> None:
    fit = fitted(case)
    R, V = whole(fit)
    X, y, p = fit.design.X, fit.design.y, fit.beta.size
    df = fit.nobs - p
    table = hb.influence(fit, rows=True)
    own = Precision(found=fit.spec.residuals, phi=fit.residual.phi)
    np.testing.assert_allclose(own.times(R), np.eye(fit.nobs), atol=1e-9)
    np.testing.assert_allclose(own.diagonal(), np.diag(np.linalg.inv(R)), rtol=1e-9)
    beta, _, C = least_squares(X, y, V)
    K = np.linalg.inv(V)
    Q = K - K @ X @ C @ X.T @ K
    np.testing.assert_allclose(table["leverage"], 1 - np.diag(R @ Q), rtol=1e-7)
    for i in range(0, fit.nobs, 17):
        kept = np.arange(fit.nobs) != i
        without, square, left = least_squares(X[kept], y[kept], V[np.ix_(kept, kept)])
        sigma, row, step = np.sqrt(square / (df - 1)), table.iloc[i], beta - without
        cook = step @ np.linalg.solve(C, step) / (p * fit.sigma**2)
        assert row["cooks_distance"] == pytest.approx(cook, rel=1e-6)
        moved = step / (sigma * np.sqrt(np.diag(C)))
        np.testing.assert_allclose(row.iloc[-p:], moved, rtol=1e-6, atol=1e-10)
        ratio = np.linalg.det(sigma**2 * left) / np.linalg.det(fit.sigma**2 * C)
        assert row["covratio"] == pytest.approx(ratio, rel=1e-7)
        # what the others predict of the row, with its error
        k = np.linalg.solve(V[np.ix_(kept, kept)], V[kept, i])
        d = X[i] - X[kept].T @ k
        off = y[i] - X[i] @ without - k @ (y[kept] - X[kept] @ without)
        error = sigma * np.sqrt(V[i, i] - k @ V[kept, i] + d @ left @ d)
        assert row["studentised_external"] == pytest.approx(off / error, rel=1e-7)
    assert table["cooks_distance_conditional"].isna().all() == (case != "strata")


@lru_cache
def few(residual: str, formula: str, without: str = ""):
    data = rows()
    data = data[
        data["Subject"].isin(data["Subject"].unique()[13:19]) & (data["Subject"] != without)
    ]
    return hb.lmer(formula, data, residual=residual, sigma="~ Sex", weights="w")


@pytest.mark.parametrize("bars", ["", " + (1 | Subject)"])
def test_series_left_out_are_refits_of_the_other_rows(bars: str) -> None:
    given = ("car1(age | Subject)", f"distance ~ age{bars}")
    fit = few(*given)
    found = hb.influence(fit)
    assert found.index.name == "Subject" and len(found) == 6
    name = str(found.index[2])
    again = few(*given, without=name)
    np.testing.assert_allclose(
        found.loc[name].iloc[2:].astype(float), again.interval_estimates, rtol=2e-4, atol=1e-5
    )
    step = again.beta - fit.beta
    cook = step @ np.linalg.solve(fit.vcov_beta, step) / 2
    assert found.loc[name, "cooks_distance"] == pytest.approx(cook, rel=1e-4)
    with pytest.raises(hb.OptionError, match="'Subject'"):
        hb.influence(fit, "Sex")
