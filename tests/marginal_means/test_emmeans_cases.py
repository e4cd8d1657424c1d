"""Contrast families, adjustments, slopes, weights, margins and joint tests of R's emmeans.

``reference/emmeans/cases.csv`` has emmeans' numbers, made by ``reference/scripts/emmeans_cases.R``.
Ours differ by where the optimisers stopped, and on purpose in two things: joint tests have Fai and
Cornelius' degrees of freedom, so those of several rows are compared with normal quantiles, and
multivariate t probabilities are exact where emmeans mixes two bounds.
"""

import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb

FOLDER = Path(__file__).parents[1] / "reference" / "emmeans"
RTOL = 1e-4  # of estimates and errors, in standard errors; lme4's Hessian is a finite difference
DF_RTOL = 1e-3
P_RTOL, P_ATOL = 2e-3, 1e-6
SWT, KR, NORMAL = "satterthwaite", "kenward-roger", "normal"


@cache
def cases():
    table = pd.read_csv(FOLDER / "cases.csv", dtype=str, keep_default_na=False)
    return {name: part.pivot(index="row", columns="column", values="value").pipe(in_order)
            for name, part in table.groupby("case", sort=False)}  # fmt: skip


def in_order(table):
    return table.set_index(table.index.astype(int)).sort_index().reset_index(drop=True)


def thinned(data, codes):
    return data[np.asarray(codes) % 5 != 0].reset_index(drop=True)


def few():
    cake = hb.load_dataset("cake")
    replicate = cake["replicate"].astype(str).astype(int)
    degrees = cake["temperature"].astype(str).astype(float)
    recipe = cake["recipe"].map({"A": 1, "B": 2, "C": 3}).astype(int)
    codes = recipe * 7 + replicate * 3 + (degrees - 175) / 10 * 2 + replicate // 4
    return thinned(cake.assign(degrees=degrees), codes.round())


def oats():
    data = hb.load_dataset("Oats")
    block = data["Block"].astype(str).map({b: i for i, b in enumerate(BLOCKS, start=1)})
    variety = data["Variety"].astype(str).map({v: i for i, v in enumerate(VARIETIES, start=1)})
    codes = block.astype(int) * 3 + variety.astype(int) * 2 + (data["nitro"] * 5).round()
    return thinned(data.assign(Variety=data["Variety"].astype(str)), codes)


BLOCKS = ("I", "II", "III", "IV", "V", "VI")
VARIETIES = ("Golden Rain", "Marvellous", "Victory")
LINEAR = {
    "machines": ("score ~ Machine + (1 | Worker/Machine)", lambda: hb.load_dataset("Machines")),
    "cells": ("angle ~ recipe * temperature + (1 | recipe:replicate)", few),
    "additive": ("angle ~ recipe + degrees + (1 | recipe:replicate)", few),
    "slopes": ("yield ~ nitro * Variety + (1 | Block/Variety)", oats),
    "curved": ("yield ~ nitro * Variety + I(nitro^2) + (1 | Block)", oats),
    "levels": ("yield ~ factor(nitro) * Variety + (1 | Block/Variety)", oats),
    "nested": (
        "y ~ arm + clinic + sex + age + (1 | patient)",
        lambda: pd.read_csv(FOLDER / "clinics.csv"),
    ),
}


@cache
def fit(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        if name == "herds":
            formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
            return hb.glmer(formula, hb.load_dataset("cbpp"), "binomial")
        if name == "ticks":
            data = hb.load_dataset("grouseticks")
            data = data.assign(height=data["HEIGHT"] / 10 - 45)
            return hb.glmer("TICKS ~ YEAR * height + (1 | BROOD)", data, "poisson")
        formula, data = LINEAR[name]
        return hb.lmer(formula, data())


def means(name, specs, **options):
    return hb.emmeans(fit(name), specs, **options)


def machines(**options):
    return means("machines", "Machine", ddf=SWT, **options)


def temperature():
    return means("cells", "temperature", ddf=KR)


def recipe(ddf=KR):
    return means("cells", "recipe", ddf=ddf)


def trends(name, specs, var, **options):
    return hb.emtrends(fit(name), specs, var, **options)


def herds(**options):
    return means("herds", "period", **options)


CUSTOM = {"high": [0, 0, 0, -1, 0, 1], "ends": [1, 0, 0, 0, 0, -1]}
HEIGHTS = {"at": {"height": [-3, 0, 3]}}
CASES = {
    **{
        f"family {name}": lambda name=name: machines().contrast(name, adjust="none")
        for name in (
            "pairwise", "revpairwise", "trt.vs.ctrl", "trt.vs.ctrlk", "eff", "del.eff", "consec",
            "mean_chg", "poly", "identity",
        )
    },
    "family dunnettx": lambda: machines().contrast("trt.vs.ctrl", ref="B", adjust="dunnettx"),
    **{
        f"adjust {name}": lambda name=name: temperature().pairs(adjust=name)
        for name in ("tukey", "sidak", "bonferroni", "scheffe")
    },
    **{
        f"adjust {name}": lambda name=name: temperature().contrast("eff").test(adjust=name)
        for name in ("holm", "hochberg", "hommel", "BH", "BY")
    },
    "custom": lambda: temperature().contrast(CUSTOM, adjust="sidak"),
    **{
        f"weights {name}": lambda name=name: means("cells", "recipe", ddf=SWT, weights=name)
        for name in ("equal", "proportional", "outer", "cells", "flat")
    },
    "by": lambda: means("cells", "recipe | temperature", ddf=SWT).pairs(),
    "interaction": lambda: means("levels", "Variety * nitro", ddf=KR).contrast(
        interaction=["pairwise", "poly"]
    ),
    "simple": lambda: means("levels", "Variety * nitro", ddf=SWT).contrast(
        "consec", simple="nitro", adjust="none"
    ),
    "covariate mean": lambda: means("additive", "recipe", ddf=KR),
    "covariate range": lambda: means(
        "additive", ["recipe", "degrees"], cov_reduce="range", ddf=KR
    ),
    "covariate at": lambda: means(
        "slopes", "~ Variety | nitro", at={"nitro": [0.1, 0.5]}, ddf=SWT
    ),
    "emtrends": lambda: trends("slopes", "Variety", "nitro", ddf=SWT),
    "emtrends pairs": lambda: trends("slopes", "Variety", "nitro", ddf=KR).pairs(),
    "emtrends curve": lambda: trends(
        "curved", "nitro", "nitro", by="Variety", at={"nitro": [0, 0.3, 0.6]}, ddf=NORMAL
    ),
    "emtrends poisson": lambda: trends("ticks", "YEAR", "height"),
    "emtrends response": lambda: trends("ticks", "YEAR", "height", type="response"),
    "binomial link": lambda: herds().contrast("trt.vs.ctrl", adjust="none"),
    "binomial response": lambda: herds(type="response"),
    "binomial odds": lambda: herds().pairs(type="response"),
    "binomial regrid": lambda: herds().regrid().pairs(),
    "binomial risk": lambda: herds().regrid("log").contrast(
        "consec", type="response", adjust="none"
    ),
    "poisson response": lambda: means("ticks", "YEAR", type="response"),
    "poisson averaged": lambda: means("ticks", "YEAR", regrid="response", **HEIGHTS),
    "poisson ratio": lambda: means("ticks", "YEAR").pairs(type="response", adjust="bonferroni"),
    "nested arm": lambda: means("nested", "arm", ddf=SWT),
    "nested clinic": lambda: means("nested", "clinic | arm", ddf=SWT).pairs(),
    "nested cells": lambda: means("nested", "arm", ddf=SWT, weights="cells"),
    "equivalence": lambda: recipe().pairs().test(delta=3, adjust="none"),
    "noninferiority": lambda: recipe().pairs().test(
        delta=2, side="noninferiority", adjust="none"
    ),
    "nonsuperiority": lambda: recipe().pairs().test(
        delta=2, side="nonsuperiority", adjust="holm"
    ),
    "greater": lambda: recipe().pairs().test(side=">", adjust="sidak"),
    "null": lambda: recipe().test(30, side="left"),
    "binomial null": lambda: herds().contrast("consec").test(
        np.log(0.8), side="<", adjust="none"
    ),
    "eff_size": lambda: hb.eff_size(means("machines", "Machine", ddf=NORMAL), 3.2, edf=40),
    "eff_size control": lambda: recipe(NORMAL).eff_size(
        fit("cells").sigma, edf=100, contrasts="trt.vs.ctrl"
    ),
    "joint machines": lambda: hb.joint_tests(fit("machines")),
    "joint cells": lambda: hb.joint_tests(fit("cells"), ddf=NORMAL),
    "joint by": lambda: hb.joint_tests(fit("cells"), by="temperature", ddf=NORMAL),
    "joint covariate": lambda: hb.joint_tests(fit("slopes"), ddf=NORMAL),
    "joint nested": lambda: hb.joint_tests(fit("nested"), ddf=NORMAL),
    "joint binomial": lambda: hb.joint_tests(fit("herds")),
    "joint poisson": lambda: hb.joint_tests(fit("ticks")),
    "joint contrasts": lambda: means("cells", "recipe", by="temperature", ddf=NORMAL)
    .contrast("eff")
    .test(joint=True),
}  # fmt: skip
ESTIMATES = (
    "emmean", "estimate", "prob", "rate", "odds.ratio", "ratio", "effect.size", "nitro.trend",
    "height.trend", "response",
)  # fmt: skip
LIMITS = {
    "conf_low": ("lower.CL", "asymp.LCL"),
    "conf_high": ("upper.CL", "asymp.UCL"),
}


def test_every_case_of_the_reference_is_compared():
    assert set(CASES) == set(cases())


@pytest.mark.parametrize("name", CASES)
def test_emmeans_has_the_same_numbers(name):
    expected, found = cases()[name], CASES[name]().to_frame()
    if "F.ratio" in expected:
        compare_joint(found.reset_index(names="term"), expected)
        return
    assert len(found) == len(expected)
    theirs = number(expected, next(c for c in ESTIMATES if c in expected))
    se = number(expected, "SE")
    assert np.abs((found["estimate"] - theirs) / se).max() < RTOL
    np.testing.assert_allclose(found["std_error"], se, rtol=2 * RTOL)
    np.testing.assert_allclose(found["df"], number(expected, "df"), rtol=DF_RTOL)
    for ours, names in LIMITS.items():
        theirs = [c for c in names if c in expected]
        if theirs and ours in found:
            limits = number(expected, theirs[0])
            values, finite = found[ours].to_numpy(), np.isfinite(limits)
            np.testing.assert_array_equal(np.isfinite(values), finite)
            assert (np.abs(values - limits) / se)[finite].max(initial=0.0) < 1e-3
    if "p.value" in expected and "p_value" in found:
        p = number(expected, "p.value")
        np.testing.assert_allclose(found["p_value"], p, rtol=P_RTOL, atol=P_ATOL)
    if "contrast" in expected:
        assert found["contrast"].tolist() == expected["contrast"].tolist()


def number(table, column):
    return table[column].replace("Inf", "inf").astype(float).to_numpy()


def compare_joint(found, expected):
    """Emmeans rounds F to three decimals; p and the numbers of rows are compared in full."""
    np.testing.assert_array_equal(found["num_df"], number(expected, "df1"))
    assert np.abs(found["f_value"] - number(expected, "F.ratio")).max() < 6e-4 + 1e-4 * (
        number(expected, "F.ratio").max()
    )
    np.testing.assert_allclose(
        found["p_value"], number(expected, "p.value"), rtol=5e-3, atol=P_ATOL
    )
    if "model term" in expected and "temperature" not in expected:
        assert found["term"].tolist() == expected["model term"].tolist()
