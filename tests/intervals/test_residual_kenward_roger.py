"""Kenward and Roger's method where residuals have a structure: dense formulas, exact cases."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.intervals.kenward_roger import kenward_roger, kenward_roger_df

FOLDER = Path(__file__).parents[1] / "reference" / "residuals"
CASES = {
    "ar1": ("distance ~ age + (1 | Subject)", "ar1(occasion | Subject)", "~ Sex"),
    "car1": ("distance ~ age", "car1(age | Subject)", "~ age"),
    "slopes": ("distance ~ age + (age | Half)", "cs(1 | Subject)", None),
    "us": ("distance ~ age + Sex", "us(age | Subject)", None),
    "strata": ("distance ~ age + ar1(0 + factor(age) | Half)", None, "~ Sex"),
}
STEP = 1e-6


@lru_cache
def whole() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "orthodont.csv")


@lru_cache
def rows() -> pd.DataFrame:
    """Every third subject, some rows missing, with weights, and groups of subjects."""
    data = whole()
    data = data[data["Subject"].isin(data["Subject"].unique()[::3])].drop([1, 26])
    number = pd.factorize(data["Subject"])[0]
    rng = np.random.default_rng(1)
    return data.assign(Half=[f"h{j}" for j in number % 6], w=rng.uniform(0.5, 2, len(data)))


def covariance(case: str, fit, phi, covariances):
    """V over sigma^2, in full, from coordinates and the covariance of each factor's effects."""
    data = rows()
    subject, age = pd.factorize(data["Subject"])[0], data["age"].to_numpy(float)
    values = dict(zip(fit.residual_names, fit.spec.residuals.values(phi[None])[0], strict=True))
    same = subject[:, None] == subject
    gap = np.abs(age[:, None] - age)
    sd, C = 1 / np.sqrt(data["w"].to_numpy()), np.eye(age.size)
    for name, value in values.items():
        if name == "sigma_SexMale":
            sd = sd * np.exp(value * (data["Sex"] == "Male").to_numpy())
        elif name == "sigma_age":
            sd = sd * np.exp(value * age)
        elif name.startswith("sigma_age"):
            sd = sd * np.exp(value * (age == float(name.removeprefix("sigma_age"))))
        elif case in ("ar1", "car1"):
            C = np.where(same, value ** (gap / (2 if case == "ar1" else 1)), 0.0)
        elif case == "slopes":
            C = np.where(same, value + (1 - value) * np.eye(age.size), 0.0)
        else:
            a, b = map(
                float,
                name.removeprefix("cor_").removesuffix("|Subject").replace("age", "").split("."),
            )
            there = (age[:, None] == a) & (age == b)
            C = np.where(same & (there | there.T), value, C)
    V = C * sd[:, None] * sd
    for factor, S in zip(fit.design.factors, covariances, strict=True):
        V = V + (factor.codes[:, None] == factor.codes) * (factor.z @ S @ factor.z.T)
    return V


@lru_cache
def fitted(case: str):
    formula, residual, sigma = CASES[case]
    return hb.lmer(formula, rows(), residual=residual, sigma=sigma, weights="w")


def derivatives(case: str, fit):
    """V over sigma^2 and its derivatives, by differences of the covariance in full."""
    phi, theta, shape = fit.residual.phi, fit.representative, fit.kernel.shape
    roots = [L[0] for L in shape.unpack(theta[None])] if theta.size else []
    S = [L @ L.T for L in roots]

    def along(at_phi, at_S):
        return covariance(case, fit, at_phi, at_S)

    parts = [along(phi, S)]
    if shape.is_plain:
        for f, own in enumerate(S):
            for a, b in zip(*np.tril_indices(own.shape[0]), strict=True):
                E = np.zeros_like(own)
                E[a, b] = E[b, a] = 1.0
                there = [s + (E if g == f else 0) for g, s in enumerate(S)]
                parts.append(along(phi, there) - parts[0])
    else:
        for move in STEP * np.eye(theta.size):
            ends = []
            for way in (1, -1):
                moved = [L[0] for L in shape.unpack((theta + way * move)[None])]
                ends.append(along(phi, [L @ L.T for L in moved]))
            parts.append((ends[0] - ends[1]) / (2 * STEP))
    for move in STEP * np.eye(phi.size):
        parts.append((along(phi + move, S) - along(phi - move, S)) / (2 * STEP))
    return parts


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
def test_they_are_the_papers_formulas_on_dense_matrices(case: str) -> None:
    fit = fitted(case)
    X = fit.design.X
    V, *G = derivatives(case, fit)
    V, G = fit.sigma**2 * V, [V, *G]
    K = np.linalg.inv(V)
    Phi = np.linalg.inv(X.T @ K @ X)
    np.testing.assert_allclose(Phi, fit.vcov_beta, rtol=1e-8)
    P = [-X.T @ K @ g @ K @ X for g in G]
    Q = [[X.T @ K @ g @ K @ h @ K @ X for h in G] for g in G]
    every = range(len(G))
    information = np.array([
        [np.trace(K @ G[i] @ K @ G[j]) - 2 * np.trace(Phi @ Q[i][j])
         + np.trace(Phi @ P[i] @ Phi @ P[j]) for j in every] for i in every
    ])  # fmt: skip
    W = 2 * np.linalg.inv(information)
    U = sum(W[i, j] * (Q[i][j] - P[i] @ Phi @ P[j]) for i in every for j in every)
    D = np.array([np.diag(Phi @ p @ Phi) for p in P]) / np.diag(Phi)
    found = kenward_roger(fit)
    np.testing.assert_allclose(found.vcov, Phi + 2 * Phi @ U @ Phi, rtol=2e-5)
    df = 2 / np.einsum("ia,ij,ja->a", D, W, D)
    np.testing.assert_allclose(kenward_roger_df(fit), df, rtol=2e-5)


def test_one_correlation_of_residuals_is_a_random_intercept() -> None:
    data = whole().drop([3, 40, 41])
    bars = hb.lmer("distance ~ age * Sex + (1 | Subject)", data)
    residuals = hb.lmer("distance ~ age * Sex", data, residual="cs(1 | Subject)")
    expected = bars.tidy("fixed", ddf="kenward-roger")
    found = residuals.tidy("fixed", ddf="kenward-roger")
    for column in ("std_error", "df", "p_value"):
        np.testing.assert_allclose(found[column], expected[column], rtol=2e-5)
    tests = [hb.anova(fit, type=3, ddf="kenward-roger").table for fit in (residuals, bars)]
    np.testing.assert_allclose(tests[0].iloc[:, 2:], tests[1].iloc[:, 2:], rtol=2e-5)


def test_visits_of_balanced_data_have_the_exact_tests_of_many_means() -> None:
    fit = hb.lmer("distance ~ factor(age) * Sex", whole(), residual="us(age | Subject)")
    # 27 subjects in two groups: of means of visits 25, and Hotelling's for all three at once
    assert fit.tidy("fixed", ddf="kenward-roger")["df"].to_numpy() == pytest.approx(25)
    means = hb.emmeans(fit, "age", ddf="kenward-roger").to_frame()
    assert means["df"].to_numpy() == pytest.approx(25)
    table = hb.anova(fit, type=3, ddf="kenward-roger").table
    assert table.loc["factor(age):Sex", "den_df"] == pytest.approx(25 - 3 + 1)
    wide = whole().pivot_table(index=["Sex", "Subject"], columns="age", values="distance")
    steps = wide.diff(axis=1).iloc[:, 1:]
    groups = [steps.xs(sex).to_numpy() for sex in ("Female", "Male")]
    difference = groups[1].mean(axis=0) - groups[0].mean(axis=0)
    pooled = sum((len(g) - 1) * np.cov(g.T) for g in groups) / 25
    size = 1 / sum(1 / len(g) for g in groups)
    T2 = size * difference @ np.linalg.solve(pooled, difference)
    assert table.loc["factor(age):Sex", "f_value"] == pytest.approx(T2 * 23 / (25 * 3), rel=1e-5)
