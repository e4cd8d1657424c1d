"""Posteriors whose residuals are correlated, of numbers made up, and their covariances in full."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

import hierbayes as hb
from hierbayes.bayes.posterior import posterior_fit
from hierbayes.results.draws import PosteriorDraws

FOLDER = Path(__file__).parent / "reference" / "residuals"
CASES = {
    "ar1": ("distance ~ age + (1 | Subject)", "ar1(occasion | Subject)", "~ Sex"),
    "car1": ("distance ~ age", "car1(age | Subject)", None),
    "cs": ("distance ~ age + (1 | Half)", "cs(1 | Subject)", "~ Sex"),
    "bars": ("distance ~ age + (1 | Subject)", "ar1(occasion | Subject)", "~ Sex + (1 | Half)"),
    "us": ("distance ~ age", "us(age | Subject)", None),
}
NEW = [2, 5, 6, 7, 12, 16, 17, 18, 19, 33]  # the first, inner and last rows of series, or all


@lru_cache
def rows() -> pd.DataFrame:
    data = pd.read_csv(FOLDER / "orthodont.csv").iloc[:48]
    number = pd.factorize(data["Subject"])[0]
    rng = np.random.default_rng(1)
    sex = np.where(number % 2, "a", "b")
    return data.assign(
        Half=[f"h{j}" for j in number % 5], Sex=sex, w=rng.uniform(0.5, 2, len(data))
    )


@lru_cache
def drawn(case: str, draws: int = 10, priors: tuple = ()):
    """A posterior of numbers made up: nothing here depends on how they were sampled."""
    formula, residual, sigma = CASES[case]
    given = {"residual": residual, "sigma": sigma, "weights": "w", "priors": dict(priors)}
    spec = hb.Model(formula, rows().drop(NEW), **given).spec
    rng, found, size = np.random.default_rng(2), spec.residuals, (2, draws)
    phi = 0.4 + 0.3 * rng.normal(size=(2 * draws, found.structure.size))
    values = dict(zip(found.names, found.values(phi).T.reshape(-1, *size), strict=True))
    log_sigma, formulas = 0.5 + 0.1 * rng.normal(size=size), {}
    if sigma is not None:
        beta = np.stack([log_sigma, values.pop("sigma_Sexb")], axis=-1)
        bars = spec.design.of("sigma").factors
        formulas["sigma"] = PosteriorDraws(
            beta=beta,
            sigma=None,
            sd={f.name: np.exp(0.1 * rng.normal(size=(*size, 1))) for f in bars},
            corr={},
            b={f.name: 0.4 * rng.normal(size=(*size, f.levels.size, 1)) for f in bars},
            sampler="nuts",
        )
    factors = spec.design.factors
    made = PosteriorDraws(
        beta=np.array([17, 0.7]) + rng.normal(size=(*size, 2)) * [1, 0.05],
        sigma=None if formulas else np.exp(log_sigma),
        sd={f.name: np.exp(0.1 * rng.normal(size=(*size, 1))) for f in factors},
        corr={},
        b={f.name: rng.normal(size=(*size, f.levels.size, 1)) for f in factors},
        family=values,
        formulas=formulas,
        sampler="nuts",
    )
    settings = {"draws": draws, "chains": 2, "tune": 0, "sampler": "nuts"}
    return posterior_fit(spec, made, settings=settings, findings=())


def covariance(case: str, post, draw: int) -> np.ndarray:
    """Residual covariance of all rows in a draw, in full."""
    data, named = rows(), {k: v.ravel()[draw] for k, v in post.residual_draws.items()}
    subject, age = pd.factorize(data["Subject"])[0], data["age"].to_numpy(float)
    same, gap = subject[:, None] == subject, np.abs(age[:, None] - age)
    sd, C = 1 / np.sqrt(data["w"].to_numpy()), np.eye(age.size)
    sd = sd * (1.0 if post.draws.sigma is None else post.draws.sigma.ravel()[draw])
    for name, value in named.items():
        if name == "sigma_(Intercept)":
            sd = sd * np.exp(value)
        elif name == "sigma_Sexb":
            sd = sd * np.exp(value * (data["Sex"] == "b").to_numpy())
        elif name.startswith("sigma_age"):
            sd = sd * np.exp(value * (age == float(name.removeprefix("sigma_age"))))
        elif case in ("ar1", "car1", "bars"):
            C = np.where(same, value ** (gap / (1 if case == "car1" else 2)), 0.0)
        elif case == "cs":
            C = np.where(same, value + (1 - value) * np.eye(age.size), 0.0)
        else:
            pair = name.removeprefix("cor_").removesuffix("|Subject").replace("age", "")
            a, b = map(float, pair.split("."))
            there = (age[:, None] == a) & (age == b)
            C = np.where(same & (there | there.T), value, C)
    if case == "bars":
        (factor,), own = post.design.of("sigma").factors, post.draws.formulas["sigma"]
        c = own.b["Half"].reshape(-1, factor.levels.size)[draw]
        sd = sd * np.exp(data["Half"].map(dict(zip(factor.levels, c, strict=True))))
        sd = np.asarray(sd)
    return C * sd[:, None] * sd
