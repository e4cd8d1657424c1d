"""Posteriors that no code of hierbayes takes part in: a PyMC model by hand, and quadrature.

    .venv/bin/python tests/reference/scripts/posteriors.py

Writes `pymc_sleepstudy.json` (8 chains of 5,000 draws, some minutes) and `quadrature_schools.json`
(exact to the digits given) into `tests/reference/bayes/`. Of each parameter there are mean and sd,
and their Monte-Carlo errors.
"""

import json
import platform
from pathlib import Path

import numpy as np
from scipy.integrate import quad
from scipy.stats import norm
from scipy.stats import t as student

from hierbayes.datasets import load_dataset

FOLDER = Path(__file__).parents[1] / "bayes"
CHAINS, DRAWS, SEED = 8, 5000, 20261129


def pymc_sleepstudy() -> dict:
    """Sample Reaction ~ Days + (Days | Subject) with an LKJ(2) correlation."""
    import arviz as az
    import pymc as pm
    import pytensor.tensor as pt

    sleep = load_dataset("sleepstudy")
    days, subject = sleep["Days"].to_numpy(), sleep["Subject"].cat.codes.to_numpy()
    with pm.Model():
        intercept = pm.Normal("intercept", 300, 100, initval=300)  # at the mean of Days
        slope = pm.Normal("Days", 0, 30)
        # floats: PyMC 6.4 multiplies small integers as such, and they overflow
        sigma = pm.HalfStudentT("sigma", nu=4.0, sigma=50.0, initval=30)
        scales = np.array([50.0, 20.0])
        sd = pm.HalfStudentT("sd", nu=4.0, sigma=scales, shape=2, initval=[25.0, 6.0])
        # of two columns LKJ(2) is a beta distribution of (1 + correlation) / 2
        cor = pm.Deterministic("cor((Intercept),Days|Subject)", 2 * pm.Beta("half", 2, 2) - 1)
        z = pm.Normal("z", 0, 1, shape=(2, 18))
        b = (sd[0] * z[0], sd[1] * (cor * z[0] + pt.sqrt(1 - cor**2) * z[1]))
        mean = intercept + slope * (days - days.mean()) + b[0][subject] + b[1][subject] * days
        pm.Normal("y", mean, sigma, observed=sleep["Reaction"].to_numpy())
        pm.Deterministic("(Intercept)", intercept - slope * days.mean())
        pm.Deterministic("sd((Intercept)|Subject)", sd[0])
        pm.Deterministic("sd(Days|Subject)", sd[1])
        found = pm.sample(
            DRAWS, tune=2000, chains=CHAINS, cores=1, random_seed=SEED, target_accept=0.95,
            nuts_sampler="nutpie", progressbar=False,
        )  # fmt: skip
    names = [
        "(Intercept)", "Days", "sd((Intercept)|Subject)", "sd(Days|Subject)",
        "cor((Intercept),Days|Subject)", "sigma",
    ]  # fmt: skip
    parameters = []
    for name in names:
        draws = found.posterior[name].to_numpy()
        size = float(np.asarray(az.ess(draws, method="bulk")))
        parameters.append(entry(name, draws.mean(), draws.std(), size))
    versions = {"PyMC": pm.__version__, "Python": platform.python_version()}
    return {
        "dataset": "sleepstudy",
        "formula": "Reaction ~ Days + (Days | Subject)",
        "program": f"PyMC {pm.__version__}, {CHAINS} x {DRAWS} draws",
        "priors": {
            "(Intercept)": ["Normal", 300, 100], "Days": ["Normal", 0, 30],
            "sigma": ["HalfStudentT", 4, 50], "sd((Intercept)|Subject)": ["HalfStudentT", 4, 50],
            "sd(Days|Subject)": ["HalfStudentT", 4, 20], "cor(Subject)": ["LKJ", 2],
        },
        "versions": versions,
        "parameters": parameters,
    }  # fmt: skip


def entry(name: str, mean: float, sd: float, size: float) -> dict:
    """Mean and sd of one parameter; errors of draws of which `size` are effective."""
    errors = {"mean_error": sd / np.sqrt(size), "sd_error": sd / np.sqrt(2 * size)}
    return {"name": name, "mean": float(mean), "sd": float(sd)} | errors


def quadrature_schools() -> dict:
    """Integrate over the sd between schools; given it all else is normal."""
    schools = load_dataset("eight_schools")
    y, se = schools["effect"].to_numpy(float), schools["se"].to_numpy(float)

    def given(tau: float) -> tuple[float, np.ndarray, np.ndarray]:
        """Log density of the data, and mean and variance of (mu, effect of each school)."""
        total = tau**2 + se**2
        precision = 1 / 20**2 + (1 / total).sum()
        mu = (5 / 20**2 + (y / total).sum()) / precision
        constant = norm.logpdf(y, 5, np.sqrt(total)).sum()
        away = y - 5
        gain = ((away / total).sum() ** 2) / precision
        logs = constant + 0.5 * gain - 0.5 * np.log(precision * 20**2)
        share = tau**2 / total
        means = np.concatenate([[mu], share * (y - mu)])
        variances = np.concatenate([[1 / precision], share * se**2 + share**2 / precision])
        return float(logs), means, variances

    def weight(tau: float) -> float:
        return float(np.exp(given(tau)[0] + 31.0 + np.log(2 * student.pdf(tau / 10, 4) / 10)))

    def expected(of: object) -> float:
        parts = [(0.0, 5.0), (5.0, 20.0), (20.0, 100.0), (100.0, np.inf)]
        return sum(quad(lambda t: weight(t) * of(t), *ends, epsabs=1e-13)[0] for ends in parts)

    total = expected(lambda tau: 1.0)
    moments = {}
    tau = [expected(lambda t, k=k: t**k) / total for k in (1, 2)]
    moments["sd((Intercept)|school)"] = (tau[0], np.sqrt(tau[1] - tau[0] ** 2))
    names = ["(Intercept)"] + [f"school[{level},(Intercept)]" for level in "ABCDEFGH"]
    for k, name in enumerate(names):
        first = expected(lambda t, k=k: given(t)[1][k]) / total
        second = expected(lambda t, k=k: given(t)[1][k] ** 2 + given(t)[2][k]) / total
        moments[name] = (first, np.sqrt(second - first**2))
    parameters = [
        {"name": name, "mean": float(mean), "sd": float(sd), "mean_error": 0.0, "sd_error": 0.0}
        for name, (mean, sd) in moments.items()
    ]
    return {
        "dataset": "eight_schools",
        "formula": "effect ~ 1 + (1 | school)",
        "known_sd": "se",
        "program": "adaptive quadrature over the sd (scipy)",
        "priors": {"(Intercept)": ["Normal", 5, 20], "sd": ["HalfStudentT", 4, 10]},
        "versions": {"Python": platform.python_version()},
        "parameters": parameters,
    }


def main() -> None:
    """Write both."""
    for make in (quadrature_schools, pymc_sleepstudy):
        text = json.dumps(make(), indent=1)
        (FOLDER / f"{make.__name__}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
