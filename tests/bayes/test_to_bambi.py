"""bambi's model of the same priors has our log density; what bambi lacks is said."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb

pytest.importorskip("pymc")

N_POINTS = 10
# Both add up the same terms; bambi keeps some constants in float32 (relative 1e-8).
RTOL = 1e-7


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n = 90
    data = pd.DataFrame(
        {
            "x": rng.normal(2, 1, n),
            "t": rng.uniform(0, 3, n),
            "g": np.arange(n) % 9,
            "h": rng.integers(0, 5, n),
            "c": rng.choice(["a", "b", "d"], n),
        }
    )
    data["y"] = data.x + rng.normal(size=n)
    data["k"] = rng.poisson(3, n)
    data["z"] = (rng.random(n) < 0.4).astype(int)
    data["s"] = rng.binomial(7, 0.3, n)
    data["f"] = 7 - data.s
    data["p"] = rng.uniform(0.1, 0.9, n)
    data["w"] = rng.uniform(0.5, 2, n)
    data["r"] = rng.integers(1, 5, n)
    data["far"] = data.x + 3
    return data


MODELS = {
    "gaussian, independent": ("y ~ x + c + (x || g)", {}),
    "gaussian, crossed, offset": ("y ~ x + offset(t) + (1 | g) + (1 | h)", {}),
    "gaussian without intercept": ("y ~ 0 + x + (0 + x | g)", {}),
    "bernoulli": ("z ~ x + (1 | g)", {"family": "bernoulli"}),
    "bernoulli, probit": ("z ~ x + (1 | g)", {"family": "bernoulli", "link": "probit"}),
    "binomial": ("cbind(s, f) ~ x + (1 | g)", {"family": "binomial"}),
    "poisson, nested": ("k ~ x + (1 | h/g)", {"family": "poisson"}),
    "negative binomial": ("k ~ x + (1 | g)", {"family": "negativebinomial"}),
    "beta": ("p ~ x + (1 | g)", {"family": "beta"}),
    "gamma, log": ("I(p + 1) ~ x + (1 | g)", {"family": "gamma", "link": "log"}),
    "wald, log": ("I(p + 1) ~ x + (1 | g)", {"family": "wald", "link": "log"}),
    "t": ("y ~ x + (x || g)", {"family": "t"}),
    "own priors": (
        "y ~ x + (1 | g)",
        {"priors": {"x": hb.StudentT(3, 1.0, 2.5), "sd": hb.Exponential(0.3)}},
    ),
    "ordinal": ("r ~ far + (1 | g)", {"family": "cumulative"}),
}


def quiet(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


def log_density(model):
    from pymc.model.transform.conditioning import remove_value_transforms
    from pytensor.compile.mode import Mode

    mode = Mode(linker="py", optimizer="fast_compile")
    for rv in model.free_RVs:
        model.rvs_to_initial_values[rv] = None  # of no matter here; thresholds have one
    return quiet(lambda: remove_value_transforms(model).compile_logp(mode=mode))


@pytest.mark.parametrize(("formula", "options"), MODELS.values(), ids=MODELS)
def test_log_density_is_bambis(formula, options):
    model = hb.Model(formula, frame(), **options)
    ours, theirs = model.to_pymc(), model.to_bambi()
    quiet(theirs.build)
    other = theirs.backend.model
    densities = log_density(ours), log_density(other)
    shapes = {rv.name: tuple(rv.shape.eval()) for rv in ours.free_RVs}
    rng = np.random.default_rng(11)
    for _ in range(N_POINTS):
        point = {}
        for name, shape in shapes.items():
            positive = name.startswith("sd_") or name in ("sigma", "alpha", "kappa", "lam", "nu")
            value = rng.uniform(0.5, 2, shape) if positive else rng.normal(0, 0.5, shape)
            point[name] = np.sort(value) if name == "threshold" else value
        # bambi's effects are in units of their sd, ours in those of the response
        found = float(densities[0](point)) + sum(
            np.log(point[f"sd_{f.name.replace(':', '_')}"]).sum() * f.levels.size
            for f in model.design.factors
        )
        if model.family == "cumulative":  # of K thresholds in their order
            found -= math.lgamma(point["threshold"].size + 1)
        values = translated(point, model, other)
        assert set(values) == {rv.name for rv in other.free_RVs}
        assert found == pytest.approx(float(densities[1](values)), rel=RTOL)


def translated(point: dict, model: hb.Model, other) -> dict:
    """Our point in bambi's variables."""
    found = {}
    names = [model.design.coef_names[k] for k in model.spec.kept_columns]
    for name, value in point.items():
        if name == "beta":
            found |= {slope: v for slope, v in zip(names, value, strict=True)}
            if "(Intercept)" in found:  # bambi's is at centred predictors
                priors = model.spec.priors
                found["Intercept"] = found.pop("(Intercept)") + priors.centre @ value
        elif name == "threshold":  # of centred columns
            found[name] = value - model.spec.priors.centre @ point["beta"]
        elif not name.startswith(("sd_", "b_")):
            found[name] = value
    for factor in model.design.factors:
        plain = factor.name.replace(":", "_")
        for c, column in enumerate(factor.columns):
            term = f"{'1' if column == '(Intercept)' else column}|{plain}"
            found[f"{term}_sigma"] = point[f"sd_{plain}"][c]
            found[f"{term}_offset"] = point[f"b_{plain}"][:, c] / found[f"{term}_sigma"]
    return {name: np.asarray(value) for name, value in found.items()}


LACKING = {
    "correlations": ("y ~ x + (x | g)", {}, "no correlated random effects"),
    "precision weights": ("y ~ x + (1 | g)", {"weights": "w"}, "weighted"),
    "known sds": ("y ~ x + (1 | g)", {"known_sd": "w"}, "known residual sds"),
}


@pytest.mark.parametrize(("formula", "options", "words"), LACKING.values(), ids=LACKING)
def test_what_bambi_lacks_is_said(formula, options, words):
    with pytest.raises(hb.NotSupportedError, match=words):
        hb.Model(formula, frame(), **options).to_bambi()


def test_text_of_the_formula_never_reaches_bambis_parser():
    data = frame().rename(columns={"x": "__import__('os')"})
    model = hb.Model("y ~ `__import__('os')` + (1 | g)", data)
    assert "(" not in model.to_bambi().formula.main.split("~")[1].replace("(1|g)", "")
