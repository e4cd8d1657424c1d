"""Generalised models whose posterior long runs of NUTS give, and their summaries.

``python -m tests.bayes.reference_models NAME ...`` samples 40,000 draws of the PyMC model and
writes means, sds, 5 and 95 % quantiles of its parameters, each with its Monte-Carlo error, to
``nuts_references/NAME.json``. All priors are given, so that no default changes a reference.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import hierbayes as hb
from hierbayes.bayes.nuts import NutsSettings, sample_nuts
from hierbayes.bayes.pymc_model import build_model
from hierbayes.bayes.starting_points import free_values, start_from_priors
from tests.ordinal_data import wine

HERE = Path(__file__).parent / "nuts_references"
DATA = Path(__file__).parents[1] / "reference" / "documented"
STATISTICS = ("mean", "sd", "q05", "q95")
DRAWS, TUNE = 10_000, 2_000
PRIORS = {"(Intercept)": hb.Normal(0, 2.5), "sd": hb.HalfStudentT(4, 1)}


def grouseticks():
    priors = PRIORS | {name: hb.Normal(0, 3) for name in ("YEAR96", "YEAR97")}
    return hb.Model(
        "TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION)",
        hb.load_dataset("grouseticks"),
        family="poisson",
        priors=priors | {"cHEIGHT": hb.Normal(0, 0.1)},
    )


def verbagg():
    names = ("GenderM", "btypescold", "btypeshout", "situself")
    priors = PRIORS | {name: hb.Normal(0, 3) for name in names} | {"Anger": hb.Normal(0, 0.5)}
    return hb.Model(
        "r2 ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)",
        hb.load_dataset("VerbAgg"),
        family="bernoulli",
        priors=priors,
    )


def districts(formula="y ~ age + urban + (urban | district)"):
    """A survey of 1,934 women in 60 districts of very different sizes."""
    rng = np.random.default_rng(1988)
    size = rng.gamma(1.0, size=60) + 0.05
    district = np.sort(rng.choice(60, size=1934, p=size / size.sum()))
    urban = 1.0 * (rng.random(1934) < 0.3)
    age = np.round(rng.normal(0, 9, size=1934), 1)
    b = rng.standard_normal((60, 2)) @ np.array([[0.6, -0.55], [0.0, 0.6]])
    eta = -0.7 + 0.02 * age + 0.8 * urban + b[district, 0] + b[district, 1] * urban
    y = 1.0 * (rng.random(1934) < 1 / (1 + np.exp(-eta)))
    data = {"y": y, "age": age, "urban": urban, "district": district}
    priors = PRIORS | {"age": hb.Normal(0, 0.2), "urban": hb.Normal(0, 3), "cor": hb.LKJ(2)}
    return hb.Model(formula, data, family="bernoulli", priors=priors)


def visits():
    """Overdispersed counts of 59 patients at four visits, as in trials of drugs."""
    rng = np.random.default_rng(1990)
    patient = np.repeat(np.arange(59), 4)
    treated = 1.0 * (patient % 2)
    visit = np.tile(np.arange(4), 59) - 1.5
    eta = 1.6 - 0.3 * treated - 0.05 * visit + 0.5 * rng.standard_normal(59)[patient]
    y = rng.negative_binomial(5, 5 / (5 + np.exp(eta)))
    data = {"y": y, "treated": treated, "visit": visit, "patient": patient}
    priors = PRIORS | {"treated": hb.Normal(0, 2), "visit": hb.Normal(0, 1)}
    return hb.Model(
        "y ~ treated + visit + (1 | patient)",
        data,
        family="negativebinomial",
        priors=priors | {"alpha": hb.Gamma(2, 0.2)},
    )


def ratings():
    """Bitterness on a scale of five."""
    priors = {name: hb.Normal(0, 3) for name in ("tempwarm", "contactyes")}
    return hb.Model(
        "rating ~ temp + contact + (1 | judge)",
        wine(),
        family="cumulative",
        priors=priors | {"sd": PRIORS["sd"], "threshold": hb.Normal(0, 4)},
    )


def contraception(formula="use ~ age + age2 + urban + livch + (1 | district)"):
    """Women of Bangladesh in 60 districts: R's mlmRev, after Huq & Cleland (1990)."""
    data = pd.read_csv(DATA / "Contraception.csv", dtype={"livch": "category"})
    names = ("urban", "livch1", "livch2", "livch3+")
    priors = PRIORS | {name: hb.Normal(0, 3) for name in names}
    return hb.Model(
        formula,
        data.assign(age2=data["age"] ** 2 / 100),
        family="bernoulli",
        priors=priors | {"age": hb.Normal(0, 0.2), "age2": hb.Normal(0, 3)},
    )


def contraception_slopes():
    """The same with towns that differ between districts."""
    return contraception("use ~ age + age2 + urban + livch + (urban | district)")


MODELS = {
    "contraception": contraception,
    "contraception_slopes": contraception_slopes,
    "districts": districts,
    "grouseticks": grouseticks,
    "ratings": ratings,
    "visits": visits,
    "verbagg": verbagg,
}


def parameters_of(draws):
    """Draws of every parameter but the random effects, by name, each (chains, draws)."""
    found = {f"beta[{k}]": draws.beta[..., k] for k in range(draws.beta.shape[2])}
    for factor, sd in draws.sd.items():
        found |= {f"sd({factor})[{k}]": sd[..., k] for k in range(sd.shape[2])}
    found |= {f"cor({factor})": corr[..., 1, 0] for factor, corr in draws.corr.items()}
    found |= {f"b({factor})[{j}]": b[..., j, 0] for factor, b in draws.b.items() for j in (0, 1, 2)}
    for name, x in draws.family.items():
        several = {f"{name}[{k}]": x[..., k] for k in range(x.shape[2])} if x.ndim > 2 else {}
        found |= several or {name: x}
    return found


def summaries(draws):
    """Statistics and their Monte-Carlo errors by parameter."""
    import arviz_stats.base as stats

    out = {}
    for name, x in parameters_of(draws).items():
        values = [x.mean(), x.std(), *np.quantile(x, [0.05, 0.95])]
        ends = [stats.array_stats.mcse(x, method="quantile", prob=p) for p in (0.05, 0.95)]
        errors = [stats.array_stats.mcse(x, method=m) for m in ("mean", "sd")] + ends
        out[name] = {
            "values": [float(f"{v:.6g}") for v in values],
            "errors": [float(f"{float(e):.3g}") for e in errors],
        }
    return out


def reference(name):
    """Return the summaries that NUTS gave."""
    return json.loads((HERE / f"{name}.json").read_text())["parameters"]


def main(names):
    for name in names:
        spec = MODELS[name]().spec
        draws = sample_nuts(
            build_model(spec, priors_as_data=True),
            spec.design,
            NutsSettings(draws=DRAWS, tune=TUNE, random_seed=20, progress=False),
            start=free_values(spec.design, start_from_priors(spec.design, spec.priors)),
            family=tuple(spec.priors.family),
        )
        text = {
            "statistics": STATISTICS,
            "findings": [finding.code for finding in draws.findings],
            "parameters": summaries(draws),
        }
        (HERE / f"{name}.json").write_text(json.dumps(text, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:] or MODELS)
