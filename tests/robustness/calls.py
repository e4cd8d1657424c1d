"""The public calls of the robustness suite: options of a model, and what is asked of its fits.

A line each: what is called, and what must come back. Options are drawn with the call, most of them
allowed ones, some not.
"""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

import hierbayes as hb
from tests.robustness.frames import as_kind, new_rows

METHODS = ("wald", "profile", "bootstrap")
DDF = ("satterthwaite", "satterthwaite", "kenward-roger", "normal", "none")
LEVELS = (*(0.95,) * 12, 0.5, 0.999, 0.0, 1.0, 95, -1, "0.95", None, np.nan)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a call may use: the fit, its data and the names of their columns, and chance."""

    fit: Any
    frame: pd.DataFrame
    names: dict[str, str]
    rng: np.random.Generator

    def one(self, *choices):
        return choices[int(self.rng.integers(len(choices)))]

    @property
    def level(self):
        return self.one(*LEVELS)

    @property
    def coefficient(self):
        return self.one(*self.fit.coef_names, self.names["x"], 0, "no such name")

    @property
    def rows(self):
        return new_rows(self.rng, self.frame, self.names)


def model_options(rng, frame, names):
    """Options of ``hb.Model``, by kind and then by whether they make sense."""
    n = len(frame)
    columns = frame.loc[:, ~frame.columns.duplicated()]
    weights = (
        names["w"],
        rng.uniform(0.5, 2, n),
        pd.Series(rng.uniform(0.5, 2, n), index=frame.index),
        pd.Series(rng.uniform(0.5, 2, n), index=rng.permutation(n)),
        "1/(1 + z)",
        np.zeros(n),
        np.full(n, 1e-12),
        -np.ones(n),
        np.full(n, np.nan),
        np.ones(n + 1),
        names["f"],
        "no such column",
        3.0,
        "x +",
        np.where(rng.random(n) < 0.2, 0.0, 1.0),
    )
    codings = ("sum", "helmert", "poly", "treatment", "nonsense")
    options = {}
    if rng.random() < 0.2:
        options["weights"] = weights[int(rng.integers(len(weights)))]
    if rng.random() < 0.1:
        options["offset"] = weights[int(rng.integers(len(weights)))]
    if rng.random() < 0.1:
        options["known_sd"] = weights[int(rng.integers(len(weights)))]
    if rng.random() < 0.1:
        role = str(rng.choice(["f", "h", "x", "g"]))
        options["contrasts"] = {names[role]: str(rng.choice(codings))}
    if rng.random() < 0.15:
        options["priors"] = _priors(rng, names)
    if rng.random() < 0.05:
        families = ("poisson", "bernoulli", "binomial", "gaussian", "nonsense")
        options["family"] = str(rng.choice(families))
    return as_kind(rng, columns if rng.random() < 0.9 else frame), options


def _priors(rng, names):
    x, g = names["x"], names["g"]
    choices = (
        "flat",
        {x: hb.Normal(0, 10)},
        {f"sd({x}|{g})": hb.HalfNormal(10)},
        {f"cor({g})": hb.LKJ(4)},
        {"sigma": hb.HalfCauchy(1)},
        {"sigma": hb.Normal(0, 1)},
        {"no such name": hb.Normal(0, 1)},
        {x: 3},
        {"(Intercept)": hb.StudentT(3, 0, 10), "sigma": hb.Exponential(1)},
        "nonsense",
    )
    return choices[int(rng.integers(len(choices)))]


TABLE, SERIES, ARRAY = pd.DataFrame, pd.Series, np.ndarray

# What both kinds of fit answer to.
SHARED = {
    "fixef": (lambda a: a.fit.fixef(), SERIES),
    "vcov": (lambda a: a.fit.vcov(), TABLE),
    "ranef": (lambda a: a.fit.ranef(), dict),
    "ranef_sd": (lambda a: a.fit.ranef_sd(), dict),
    "ranef_cov": (lambda a: a.fit.ranef_cov(), dict),
    "coef": (lambda a: a.fit.coef(), dict),
    "varcorr": (lambda a: a.fit.varcorr().to_frame(), TABLE),
    "fitted": (lambda a: a.fit.fitted(), SERIES),
    "glance": (lambda a: a.fit.glance(), TABLE),
    "augment": (lambda a: a.fit.augment(), TABLE),
    "print": (lambda a: str(a.fit), str),
    "html": (lambda a: a.fit._repr_html_(), str),
    "summary": (lambda a: a.fit.summary(), str),
    "residuals": (lambda a: a.fit.residuals(a.one("response", "pearson", "deviance", "x")), SERIES),
    "predict": (
        lambda a: a.fit.predict(
            a.one(None, a.rows),
            groups=a.one("all", "all", "none", [a.names["g"]], ["none such"]),
            new_levels=a.one("error", "population", "sample", "missing", "x"),
            interval=a.one(None, "confidence", "prediction", "x"),
            level=a.level,
            type=a.one("response", "response", "link"),
            random_seed=1,
        ),
        (SERIES, TABLE),
    ),
    "simulate": (lambda a: a.fit.simulate(a.one(1, 3, 0, -1), random_seed=1), TABLE),
    "tidy": (lambda a: a.fit.tidy(effects=a.one("fixed", "ran_pars", "ran_vals")), TABLE),
    "confint": (lambda a: hb.confint(a.fit, level=a.level), TABLE),
    "contrast": (lambda a: a.fit.contrast(a.one(a.coefficient, {a.coefficient: 1.0})), TABLE),
    "emmeans": (
        lambda a: hb.emmeans(
            a.fit,
            a.one(a.names["f"], a.names["h"], [a.names["f"], a.names["h"]], a.names["x"], []),
            contrasts=a.one(None, "pairwise"),
        ).to_frame(),
        TABLE,
    ),
    "shrinkage": (lambda a: str(hb.shrinkage(a.fit)), str),
    "shrinkage_path": (lambda a: hb.shrinkage_path(a.fit), TABLE),
    "r2": (lambda a: str(hb.r2(a.fit)), str),
    "icc": (lambda a: str(hb.icc(a.fit)), str),
    "check": (lambda a: str(hb.check(a.fit, nsim=20, random_seed=1)), str),
    "compare": (lambda a: str(hb.compare(a.fit)), str),
    "caterpillar": (lambda a: hb.plot.caterpillar(a.fit), tuple),
    "effects": (lambda a: hb.plot.effects(a.fit, x=a.one(None, a.names["x"], a.names["f"])), tuple),
    "shrinkage_lines": (lambda a: hb.plot.shrinkage_lines(a.fit), tuple),
    "shrinkage_plane": (lambda a: hb.plot.shrinkage_plane(a.fit), tuple),
    "ranef_qq": (lambda a: hb.plot.ranef_qq(a.fit), tuple),
    "plot.compare": (lambda a: hb.plot.compare(a.fit), tuple),
    "save": (lambda a: a.fit.save(io.BytesIO()), type(None)),
    "explain": (lambda a: a.fit.model.explain(), str),
    "latex": (lambda a: a.fit.model.latex(), str),
    "priors": (lambda a: a.fit.model.priors, TABLE),
}
LIKELIHOOD = {
    "tidy ddf": (lambda a: a.fit.tidy(ddf=a.one(*DDF), level=a.level), TABLE),
    "summary ddf": (lambda a: a.fit.summary(ddf=a.one(*DDF)), str),
    "confint method": (
        lambda a: hb.confint(a.fit, a.one(*METHODS), nsim=8, random_seed=1, level=a.level),
        TABLE,
    ),
    "profile": (lambda a: str(hb.profile(a.fit)), str),
    "bootstrap": (
        lambda a: str(
            hb.bootstrap(
                a.fit, nsim=5, random_seed=1, kind=a.one("parametric", "residual", "cases", "x")
            )
        ),
        str,
    ),
    "anova": (
        lambda a: hb.anova(a.fit, type=a.one(1, 2, 3, 4), ddf=a.one(*DDF)).to_frame(),
        TABLE,
    ),
    "anova two": (
        lambda a: hb.anova(
            a.fit, a.fit.update(a.one(". ~ . - x", ". ~ . + z", ". ~ 1 + (1|g)", "~ ("))
        ).to_frame(),
        TABLE,
    ),
    "drop1": (
        lambda a: hb.drop1(a.fit, a.one("F", "Chisq"), ddf=a.one(None, *DDF)).to_frame(),
        TABLE,
    ),
    "compare_structures": (
        lambda a: hb.compare_structures(
            a.fit, [a.one("none", "us", "cs", "homdiag")], posterior=False
        ).to_frame(),
        TABLE,
    ),
    "ranova": (lambda a: hb.ranova(a.fit, nsim=50).to_frame(), TABLE),
    "exact_rlrt": (lambda a: str(hb.exact_rlrt(a.fit, nsim=50, random_seed=1)), str),
    "pb_test": (
        lambda a: str(hb.pb_test(a.fit.update(". ~ . - x"), a.fit, nsim=4, random_seed=1)),
        str,
    ),
    "design_study": (
        lambda a: hb.design_study(
            a.fit, subjects=a.one(1, 2, 5), trials=a.one(None, 1, 2), nsim=3, random_seed=1
        ).to_frame(),
        TABLE,
    ),
    "influence": (lambda a: hb.influence(a.fit, a.one(None, a.names["g"])), TABLE),
    "likelihood_surface": (lambda a: str(hb.likelihood_surface(a.fit, n=5)), str),
    "r2 interval": (lambda a: str(hb.r2(a.fit, "bootstrap", nsim=5, random_seed=1)), str),
    "refit": (
        lambda a: a.fit.refit(
            a.one(a.fit.observed[::-1], np.zeros(a.fit.nobs), a.frame.iloc[:, 0], "text", None)
        ),
        hb.LikelihoodFit,
    ),
    "plot.residuals": (lambda a: hb.plot.residuals(a.fit), tuple),
    "plot.qq": (lambda a: hb.plot.qq(a.fit), tuple),
}
POSTERIOR = {
    "diagnostics": (lambda a: a.fit.diagnostics(), TABLE),
    "hypothesis": (
        lambda a: str(
            a.fit.hypothesis(
                a.one(f"{a.coefficient} > 0", f"`{a.coefficient}` > 0", "sigma > 1", ">")
            )
        ),
        str,
    ),
    "loo": (lambda a: str(hb.loo(a.fit, by=a.one(None, a.names["g"]))), str),
    "bayes_factor": (lambda a: str(hb.bayes_factor(a.fit, a.fit)), str),
    "sensitivity": (lambda a: str(hb.sensitivity(a.fit, "sigma", widths=[9.0])), str),
    "chains": (lambda a: hb.plot.chains(a.fit), tuple),
    "prior_posterior": (lambda a: hb.plot.prior_posterior(a.fit), tuple),
    "posterior predict": (lambda a: a.fit.predict(a.rows, interval="prediction"), (SERIES, TABLE)),
}
