"""Predictions where residuals are correlated or of unequal variance, against dense Gaussians."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.design.new_data import new_rows
from hierbayes.intervals.satterthwaite import variance_uncertainty
from hierbayes.prediction.residual_rows import residual_rows_of

FOLDER = Path(__file__).parents[1] / "reference" / "residuals"
CASES = {
    "ar1": ("distance ~ age + (1 | Subject)", "ar1(occasion | Subject)", "~ Sex"),
    "car1": ("distance ~ age", "car1(age | Subject)", "~ age"),
    "cs": ("distance ~ age + (1 | Half)", "cs(1 | Subject)", "~ Sex"),
    "us": ("distance ~ age + Sex", "us(age | Subject)", None),
    "strata": ("distance ~ age + (1 | Subject)", None, "~ Sex"),
}
NEW = [2, 5, 6, 7, 12, 16, 17, 18, 19, 33]  # the first, inner and last rows of series, or all


@lru_cache
def rows() -> pd.DataFrame:
    data = pd.read_csv(FOLDER / "orthodont.csv")
    data = data[data["Subject"].isin(data["Subject"].unique()[::2])].reset_index(drop=True)
    number = pd.factorize(data["Subject"])[0]
    rng = np.random.default_rng(1)
    return data.assign(Half=[f"h{j}" for j in number % 7], w=rng.uniform(0.5, 2, len(data)))


@lru_cache
def fitted(case: str):
    formula, residual, sigma = CASES[case]
    given = {"residual": residual, "sigma": sigma, "weights": "w"}
    return hb.lmer(formula, rows().drop(NEW), **given)


def covariance(case: str, fit, values, sd_of_effects) -> np.ndarray:
    """V over sigma^2 of all rows, in full."""
    data = rows()
    subject, age = pd.factorize(data["Subject"])[0], data["age"].to_numpy(float)
    values = dict(zip(fit.residual_names, values, strict=True))
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
        elif case == "cs":
            C = np.where(same, value + (1 - value) * np.eye(age.size), 0.0)
        else:
            a, b = map(
                float,
                name.removeprefix("cor_").removesuffix("|Subject").replace("age", "").split("."),
            )
            there = (age[:, None] == a) & (age == b)
            C = np.where(same & (there | there.T), value, C)
    V = C * sd[:, None] * sd
    for factor in fit.design.factors:
        codes = pd.factorize(data[factor.name])[0]
        V = V + sd_of_effects**2 * (codes[:, None] == codes)
    return V


def dense(case: str, fit, V) -> tuple[np.ndarray, np.ndarray]:
    """Best linear unbiased predictions of the new rows, and the variance of their errors."""
    data = rows()
    X = np.column_stack([np.ones(len(data)), data["age"]])
    if case == "us":
        X = np.column_stack([X, data["Sex"] == "Male"])
    new = np.isin(np.arange(len(data)), NEW)
    y = data["distance"].to_numpy(float)[~new]
    K, c = np.linalg.inv(V[np.ix_(~new, ~new)]), V[np.ix_(~new, new)]
    Phi = np.linalg.inv(X[~new].T @ K @ X[~new])
    beta = Phi @ X[~new].T @ K @ y
    d = X[new].T - X[~new].T @ K @ c
    predicted = X[new] @ beta + c.T @ K @ (y - X[~new] @ beta)
    variance = np.diag(V[np.ix_(new, new)] - c.T @ K @ c + d.T @ Phi @ d)
    return predicted, variance


@pytest.mark.parametrize("case", [case for case in CASES if case != "strata"])
def test_rows_of_observed_series_are_conditional_gaussians(case: str) -> None:
    fit = fitted(case)
    effect = fit.representing.representative
    effect = float(effect[0]) if effect.size else 0.0
    V = covariance(case, fit, fit.residual_values, effect)
    predicted, variance = dense(case, fit, V)
    new = rows().iloc[NEW]
    options = {"series": "observed", "new_levels": "population"}
    found = fit.predict(new, interval="prediction", **options)
    np.testing.assert_allclose(found["prediction"], predicted, rtol=1e-8)
    np.testing.assert_allclose(fit.predict(new, **options), predicted, rtol=1e-8)
    # what the spread of the estimates adds is that of the predictions along them
    known = variance_uncertainty(fit)
    moves = []
    for move in np.eye(known.covariance.shape[0])[:-1]:
        ends = [dense(case, fit, moved(case, fit, way * 1e-4 * move))[0] for way in (1, -1)]
        moves.append((ends[0] - ends[1]) / 2e-4)
    moves = np.array([*moves, np.zeros(len(NEW))])
    delta = np.einsum("im,ij,jm->m", moves, known.covariance, moves)
    np.testing.assert_allclose(found["se"] ** 2, fit.sigma**2 * variance + 2 * delta, rtol=2e-5)
    assert "observed rows" in found.attrs["includes"]


def moved(case: str, fit, psi) -> np.ndarray:
    """V away from the estimates."""
    from hierbayes.intervals.residual_curvature import residual_curvature

    k = fit.representative.size
    step = psi[:-1] @ residual_curvature(fit).moves
    phi = fit.residual.phi + step[k:]
    kernel = fit.spec.residual_kernel(fit.method).at(phi)
    effect = 0.0
    if k:
        effect = float(kernel.from_basis(kernel.in_basis(fit.representative) + step[:k])[0])
    return covariance(case, fit, fit.spec.residuals.values(phi[None])[0], effect)


@pytest.mark.parametrize("case", CASES)
def test_rows_of_new_series_have_the_sd_of_their_stratum(case: str) -> None:
    fit, new = fitted(case), rows().iloc[NEW]
    options = {"groups": "none"}
    inside = fit.predict(new, interval="confidence", **options)
    found = fit.predict(new, interval="prediction", **options)
    np.testing.assert_allclose(found["prediction"], fit.predict(new, **options))
    V = covariance(case, fit, fit.residual_values, 0.0)[NEW, NEW] * fit.sigma**2
    X = np.column_stack([np.ones(len(NEW)), new["age"]])
    X = np.column_stack([X, new["Sex"] == "Male"]) if case == "us" else X
    mean = np.einsum("mi,ij,mj->m", X, fit.vcov_beta, X)
    assert (inside["se"] ** 2 > mean * (1 - 1e-9)).all()  # the spread of psi comes on top
    np.testing.assert_allclose(found["se"] ** 2 - inside["se"] ** 2, V, rtol=1e-6)


def test_one_correlation_of_residuals_predicts_as_a_random_intercept() -> None:
    data = rows()
    formula = "distance ~ age * Sex"
    bars = hb.lmer(f"{formula} + (1 | Subject)", data)
    fit = hb.lmer(formula, data, residual="cs(1 | Subject)")
    new = pd.DataFrame({"age": [9.0, 15.0], "Sex": data["Sex"].iloc[0], "Subject": "M01"})
    expected = bars.predict(new, interval="prediction")
    found = fit.predict(new, interval="prediction", series="observed")
    np.testing.assert_allclose(found.to_numpy(), expected.to_numpy(), rtol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_new_rows_are_drawn_with_the_correlation_of_their_series(case: str) -> None:
    fit, new = fitted(case), rows().sample(frac=1, random_state=3)
    laid = new_rows(fit.design, new)
    found = residual_rows_of(fit, laid, new, new["w"].to_numpy(), observed=False, together=True)
    root = found.drawn(fit.residual.phi, np.eye(len(new)))
    expected = covariance(case, fit, fit.residual_values, 0.0)
    at = new.index.to_numpy()
    np.testing.assert_allclose(root @ root.T, expected[np.ix_(at, at)], atol=1e-12)
    drawn = fit.simulate(2, newdata=new, random_seed=1)
    assert drawn.index.equals(new.index) and np.isfinite(drawn.to_numpy()).all()


def test_two_new_rows_of_a_series_are_at_two_times() -> None:
    new = rows().iloc[[0, 0]]
    with pytest.raises(hb.DataError, match="at the same 'occasion'"):
        fitted("ar1").simulate(newdata=new)
    alone = fitted("ar1").simulate(3, newdata=new.assign(Subject=["new", None]), random_seed=1)
    assert np.isfinite(alone.iloc[0]).all()


def test_what_can_not_be_said_of_new_rows() -> None:
    fit, new = fitted("ar1"), rows().iloc[NEW]
    with pytest.raises(hb.OptionError, match="newdata"):
        fit.predict(series="observed")
    with pytest.raises(hb.OptionError, match="groups='all'"):
        fit.predict(new, groups="none", series="observed")
    with pytest.raises(hb.OptionError, match="residual="):
        fitted("strata").predict(new, series="observed", new_levels="population")
    with pytest.raises(hb.DataError, match="Half"):
        fitted("cs").predict(new.assign(Half="h0"), series="observed")
    with pytest.raises(hb.DataError, match="'9' in new rows"):
        fitted("us").predict(new.assign(age=9), series="observed")
    with pytest.raises(hb.DataError, match="whole times"):
        fit.predict(new.assign(occasion=1.5), series="observed", new_levels="population")
    none = fit.predict(new.assign(occasion=np.nan), series="observed", new_levels="population")
    assert none.isna().all()
