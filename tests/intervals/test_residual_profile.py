"""Profiles where residuals are correlated or of unequal variance, against dense likelihoods."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import hierbayes as hb
from hierbayes.arrays import FloatArray
from hierbayes.intervals.residual_profile import residual_optimum
from hierbayes.results.interval_parameters import interval_parameters

FOLDER = Path(__file__).parents[1] / "reference" / "residuals"
CASES = {
    "car1": ("distance ~ age + (1 | Subject)", "car1(age | Subject)", "~ Sex"),
    "cs": ("distance ~ age", "cs(1 | Subject)", None),
    "us": ("distance ~ age", "us(age | Subject)", None),
}
PROFILED = {
    "car1": ["sd_(Intercept)|Subject", "sigma_SexMale", "cor_car1|Subject"],
    "cs": None,
    "us": ["sigma_age12", "cor_age12.age10|Subject", "age"],
}


@lru_cache
def rows() -> pd.DataFrame:
    """Every other subject without the last row, so that not all are alike; groups of subjects."""
    data = pd.read_csv(FOLDER / "orthodont.csv")
    data = data[data["Subject"].isin(data["Subject"].unique()[::2])].iloc[:-1]
    number = pd.factorize(data["Subject"])[0]
    return data.assign(A=[f"a{j}" for j in number // 2], B=[f"b{j}" for j in number % 7])


def deviance(case: str, point: FloatArray) -> float:
    """Minus twice the log-likelihood at all parameters, with the covariance of the rows in full."""
    values, data = dict(zip(profiled(case)[1].all_names, point, strict=True)), rows()
    subject, age = pd.factorize(data["Subject"])[0], data["age"].to_numpy(float)
    same = subject[:, None] == subject
    gap = np.abs(age[:, None] - age)
    ratio = np.ones(len(data))
    C = np.eye(len(data))
    for name, value in values.items():
        if name == "sigma_SexMale":
            ratio *= np.exp(value * (data["Sex"] == "Male").to_numpy())
        elif name.startswith("sigma_age"):
            ratio *= np.exp(value * (age == float(name.removeprefix("sigma_age"))))
        elif name == "cor_car1|Subject":
            C = np.where(same, value**gap, 0.0)
        elif name == "cor_cs|Subject":
            C = np.where(same, value, 0.0)
            np.fill_diagonal(C, 1.0)
        elif name.startswith("cor_") and name.endswith("|Subject") and case == "us":
            a, b = map(
                float,
                name.removeprefix("cor_").removesuffix("|Subject").replace("age", "").split("."),
            )
            there = (age[:, None] == a) & (age == b)
            C = np.where(same & (there | there.T), value, C)
    V = values["sigma"] ** 2 * C * ratio[:, None] * ratio
    V = V + values.get("sd_(Intercept)|Subject", 0.0) ** 2 * same
    e = data["distance"].to_numpy(float) - values["(Intercept)"] - values["age"] * age
    root = np.linalg.cholesky(V)
    size = np.linalg.solve(root, e)
    return float(2 * np.log(np.diag(root)).sum() + e.size * np.log(2 * np.pi) + size @ size)


@lru_cache
def profiled(case: str):
    formula, residual, sigma = CASES[case]
    fit = hb.lmer(formula, rows(), reml=False, residual=residual, sigma=sigma)
    return fit, hb.profile(fit, PROFILED[case], level=0.95)


@pytest.mark.parametrize("case", CASES)
def test_points_of_a_profile_are_the_best_with_one_parameter_held(case: str) -> None:
    fit, found = profiled(case)
    names, checked = found.all_names, 0
    scales = [i for i, name in enumerate(names) if name.startswith("sd_")]
    for place, name in enumerate(found.names):
        mine = np.flatnonzero((found.owner == place) & (np.abs(found.zeta) > 0.5))
        for row in mine[-1:].tolist():
            point = found.points[row]
            if np.isnan(point).any() or (np.abs(point[scales]) < 0.1).any():
                continue  # at an end of a range
            value = deviance(case, point)
            assert value - fit.criterion == pytest.approx(found.zeta[row] ** 2, abs=2e-6), name
            others = [i for i in range(len(names)) if i != names.index(name)]
            assert max(fall(case, point, i) for i in others) < 1e-6, name
            checked += 1
    assert checked >= len(found.names) - 1


def fall(case: str, point: FloatArray, i: int) -> float:
    """By how much a Newton step in one parameter lowers the deviance."""
    step = 1e-3 * max(abs(point[i]), 0.1)
    ends = [point + way * step * np.eye(point.size)[i] for way in (-1, 0, 1)]
    low, here, high = (deviance(case, end) for end in ends)
    slope, bend = (high - low) / 2, high - 2 * here + low
    return float(slope**2 / (2 * bend))


def test_limits_are_where_the_root_is_the_quantile() -> None:
    fit, found = profiled("us")
    limits = hb.confint(
        fit, method="profile", parameters=["cor_age12.age10|Subject", "sigma_age12"]
    )
    pd.testing.assert_frame_equal(
        limits[["lower", "upper"]],
        found.confint().loc[limits.index, ["lower", "upper"]],
        check_names=False,
        atol=1e-5,
    )
    assert (limits["lower"] < limits["estimate"]).all()
    assert np.abs(found.zeta).max() >= norm.ppf(0.975) - 1e-6


def test_a_correlation_that_may_be_nothing_has_the_end_of_its_range_as_limit() -> None:
    _, found = profiled("car1")
    assert found.confint().loc["cor_car1|Subject", "lower"] == 0.0
    assert any("cor_car1|Subject ends at 0" in str(finding) for finding in found.findings)


def test_limits_of_a_reml_fit_say_so() -> None:
    formula, residual, sigma = CASES["cs"]
    fit = hb.lmer(formula, rows(), residual=residual, sigma=sigma)
    limits = hb.confint(fit, method="profile", parameters="cor_cs|Subject")
    own = profiled("cs")[1].confint().loc["cor_cs|Subject"]
    np.testing.assert_allclose(limits[["lower", "upper"]].iloc[0], own[["lower", "upper"]], 1e-5)
    assert limits.columns.name == "REML estimates, ML limits"


def test_the_gradient_beside_crossed_factors_is_that_of_differences() -> None:
    formula = "distance ~ age + (1 | A) + (1 | B)"
    fit = hb.lmer(formula, rows(), reml=False, residual="ar1(occasion | Subject)")
    optimum = residual_optimum(fit)
    some = [p for p in interval_parameters(fit) if p.name in ("cor_ar1|Subject", "age")]
    held, z, _ = optimum.hold(some)
    assert not optimum.deviance.kernel.are_many
    z = z + 0.1 * np.where(held.free, np.linspace(-1, 1, z.shape[1]), 0.0)
    own, moves = optimum.deviance, 1e-5 * np.eye(z.shape[1])
    rises = [own.at(held, z + move).value - own.at(held, z - move).value for move in moves]
    expected = np.array(rises).T / 2e-5
    moved = held.free | (np.arange(z.shape[1]) == held.own[:, None])
    np.testing.assert_allclose(own.at(held, z).gradient[moved], expected[moved], atol=1e-6)
