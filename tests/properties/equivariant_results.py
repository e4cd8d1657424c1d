"""Every public result in one line: how it is read off a fit, and what its cells are.

A new result is covered by a line here. A numeric column whose meaning is said neither here nor in
``CELLS`` fails the suite by name.
"""

import numpy as np
import pandas as pd

import hierbayes as hb
from tests.properties.equivariance import Result

PLACES = dict.fromkeys(
    ("estimate", "conf_low", "conf_high", "prediction", "lower", "upper"), "place"
)
SPREADS = {"se": "y", "std_error": "y"}
DIFFERENCES = dict.fromkeys(("estimate", "std_error", "conf_low", "conf_high"), "y")
SLOPES = dict.fromkeys(("estimate", "std_error", "conf_low", "conf_high"), "slope")
TESTS = {"statistic": "1", "p_value": "1"}
EFFECTS = dict.fromkeys(("estimate", "conf_low", "conf_high"), "spread")
LOG_SD = "log sd: "  # begins what varcorr calls a number in the formula of sigma
BY_ML = dict.fromkeys(("loglik", "aic", "bic", "deviance"), "log by ml")
SHARES = {"estimate": "1", "lower": "1", "upper": "1"}


def by_level(tables):
    """One frame of the tables of all grouping factors, its index (factor, level)."""
    return pd.concat(dict(tables)) if tables else pd.DataFrame()


def covariances(fit):
    """Conditional covariances, one line a level."""
    frames = {}
    for group, found in fit.ranef_cov().items():
        table = fit.ranef()[group]
        names = [f"{one} & {two}" for one in table for two in table]
        frames[group] = pd.DataFrame(found.reshape(len(table), -1), table.index, names)
    return pd.concat(frames) if frames else pd.DataFrame()


def variances(fit):
    """The sds and correlations of ``varcorr()``, named as in ``confint``."""
    found = fit.varcorr().to_frame()
    lines = found[["group", "term1", "term2"]].itertuples(index=False)
    return found[["sdcor"]].set_axis([_variance_name(*line) for line in lines], axis=0)


def _variance_name(group, first, second):
    if group == "Residual" and pd.isna(first):
        return "sigma"
    if group == "Residual" and first.startswith(LOG_SD):
        return f"sigma_{first.removeprefix(LOG_SD)}"
    if first in ("rho", "ar1", "car1", "cs"):  # of a pattern
        return f"cor_{first}"
    return f"sd_{first}" if pd.isna(second) else f"cor_{first}.{second}"


def without(fit, name):
    """The fit without a fixed term."""
    quoted = name if name.isidentifier() else f"`{name}`"
    return fit.update(f". ~ . - {quoted}")


def designed(fit):
    """The same design with every combination once, studied by few data sets."""
    found = hb.design_study(fit, trials=1, nsim=5, random_seed=1)
    return found.table[["parameter", "power", "width", "type_m"]]


def slope_of_x(fit):
    """The contrast of the second coefficient, by position: its name may have two meanings."""
    return np.eye(len(fit.coef_names))[1:2]


def shrinkage(fit):
    return pd.DataFrame(hb.shrinkage(fit))


def surface(fit):
    """The heights of the likelihood surface over the first two parameters."""
    found = hb.likelihood_surface(fit, n=5)
    return pd.DataFrame({"ml": found.ml.ravel(), "reml": found.reml.ravel()})


def checks(fit):
    """Scaled residuals of the simulations, and which verdicts are not good."""
    found = hb.check(fit, nsim=20, random_seed=1)
    looks = (found.table["verdict"] != "good").to_numpy(float)
    return pd.DataFrame({"value": [*found.scaled, *looks]})


def simulated(fit):
    return fit.simulate(2, random_seed=1)


def probability(posterior):
    """That between-level variation is more than residual variation: a ratio has no unit."""
    statement = f"sd((Intercept)|{next(iter(posterior.n_groups))}) > sd(Residual)"
    return pd.DataFrame({"p": [posterior.hypothesis(statement).probability]})


def marginal_likelihood(posterior):
    return pd.DataFrame({"loglik": [posterior.log_marginal_likelihood]})


def wider_prior(posterior):
    """What is said of the residual sd under a prior twice as wide."""
    residual = next(p for p in posterior.priors.parameters if p.kind == "sigma")
    width = 2 * posterior.priors.of(residual).sigma
    found = hb.sensitivity(posterior, residual.name, widths=[width], refit=False).table
    return found[["estimate", "lower", "upper"]]


# cheap ones first: read off the fit, or of closed form
RESULTS = {
    "fixef": Result(lambda f, n: f.fixef().to_frame(), names="index"),
    "vcov": Result(lambda f, n: f.vcov(), names="both", cells="spread"),
    "ranef": Result(
        lambda f, n: by_level(f.ranef()), names="columns", cells="spread", order="levels"
    ),
    "ranef_sd": Result(
        lambda f, n: by_level(f.ranef_sd()), names="columns", cells="spread", order="levels"
    ),
    "ranef_cov": Result(
        lambda f, n: covariances(f), names="columns", cells="spread", order="levels"
    ),
    "coef": Result(lambda f, n: by_level(f.coef()), names="columns", cells="value", order="levels"),
    "varcorr": Result(lambda f, n: variances(f), names="index", cells="value"),
    "fitted": Result(lambda f, n: f.fitted().to_frame(), order="rows"),
    "residuals": Result(lambda f, n: f.residuals().to_frame(), order="rows"),
    "pearson": Result(
        lambda f, n: f.residuals("pearson").to_frame(), cells={"residual": "sigma"}, order="rows"
    ),
    "augment": Result(lambda f, n: f.augment()[["fitted", "fixed", "residual"]], order="rows"),
    "glance": Result(lambda f, n: f.glance()),
    "tidy": Result(lambda f, n: f.tidy(), names="term"),
    "tidy levels": Result(
        lambda f, n: f.tidy("ran_vals"), names="term", cells=EFFECTS, order="level"
    ),
    "tidy kenward-roger": Result(lambda f, n: f.tidy("fixed", ddf="kenward-roger"), names="term"),
    "tidy normal": Result(lambda f, n: f.tidy("fixed", ddf="normal", level=0.8), names="term"),
    "contrast": Result(lambda f, n: f.contrast(slope_of_x(f)), cells=SLOPES | TESTS),
    "predict": Result(
        lambda f, n: f.predict(interval="confidence"), cells=PLACES | SPREADS, order="rows"
    ),
    "predict a new response": Result(
        lambda f, n: f.predict(interval="prediction", groups="none"),
        cells=PLACES | SPREADS,
        order="rows",
    ),
    "wald": Result(lambda f, n: hb.confint(f, "wald"), names="index"),
    "anova 1": Result(lambda f, n: hb.anova(f, type=1).to_frame(), cells=TESTS),
    "anova 2": Result(lambda f, n: hb.anova(f, type=2).to_frame(), cells=TESTS),
    "anova 3": Result(lambda f, n: hb.anova(f, type=3).to_frame(), cells=TESTS),
    "anova kenward-roger": Result(
        lambda f, n: hb.anova(f, type=3, ddf="kenward-roger").to_frame(), cells=TESTS
    ),
    "drop1": Result(lambda f, n: hb.drop1(f).to_frame(), cells=TESTS),
    "emmeans": Result(
        lambda f, n: hb.emmeans(f, n.f).means, cells=PLACES | SPREADS, squares_origin=True
    ),
    "emmeans contrasts": Result(
        lambda f, n: hb.emmeans(f, n.f, contrasts="pairwise").contrasts, cells=DIFFERENCES | TESTS
    ),
    "r2": Result(lambda f, n: hb.r2(f).table, cells=SHARES, squares_origin=True),
    "icc": Result(lambda f, n: hb.icc(f).table, cells=SHARES, squares_origin=True),
    "shrinkage": Result(
        lambda f, n: shrinkage(f),
        names="term",
        order="level",
        cells={
            **dict.fromkeys(("within_group", "unpenalised", "population", "coefficient"), "value"),
            **dict.fromkeys(
                ("within_group_se", "unpenalised_se", "effect", "effect_sd", "coefficient_sd"),
                "spread",
            ),
            "reliability": "1",
        },
    ),
    "simulate": Result(lambda f, n: simulated(f), cells="place", order="rows", draws=True),
}
# those that search again, or draw
SEARCHES = {
    "profile": Result(lambda f, n: hb.confint(f, "profile"), names="index"),
    "bootstrap": Result(
        lambda f, n: hb.confint(f, "bootstrap", nsim=8, random_seed=1), names="index", draws=True
    ),
    "anova of two": Result(
        lambda f, n: hb.anova(f, without(f, n.f)).to_frame(), cells=TESTS | BY_ML
    ),
    "drop1 by likelihood": Result(
        lambda f, n: hb.drop1(f, "Chisq").to_frame(), cells=TESTS | BY_ML
    ),
    "ranova": Result(lambda f, n: hb.ranova(f, nsim=100, random_seed=1).to_frame(), cells=TESTS),
    "exact_rlrt": Result(
        lambda f, n: hb.exact_rlrt(f, nsim=100, random_seed=1).to_frame(),
        cells=TESTS | {"mcse": "1", "nsim": "1", "zero_share": "1"},
        draws=True,
    ),
    "pb_test": Result(
        lambda f, n: hb.pb_test(without(f, n.f), f, nsim=6, random_seed=1).to_frame(),
        cells=TESTS | {"ddf": "1"},
        draws=True,
    ),
    "design_study": Result(
        lambda f, n: designed(f),
        cells={"power": "1", "width": "spread", "type_m": "1"},
        names="parameter",
        draws=True,
    ),
    "influence": Result(
        lambda f, n: hb.influence(f, n.g), names="columns", cells="value", order="levels"
    ),
    "shrinkage_path": Result(
        lambda f, n: hb.shrinkage_path(f),
        names="term",
        order="level",
        cells={"sd": "spread", "coefficient": "value", "population": "value"},
    ),
    "likelihood_surface": Result(lambda f, n: surface(f), cells="1"),
    "check": Result(lambda f, n: checks(f), cells="1", draws=True),
}

# of a posterior with the default priors, which scale with the data
POSTERIOR = {
    "fixef": Result(lambda f, n: f.fixef().to_frame("estimate"), names="index"),
    "vcov": Result(lambda f, n: f.vcov(), names="both", cells="spread"),
    "ranef": Result(lambda f, n: by_level(f.ranef()), names="columns", cells="spread",
                    order="levels"),
    "coef": Result(lambda f, n: by_level(f.coef()), names="columns", cells="value", order="levels"),
    "varcorr": Result(lambda f, n: variances(f), names="index", cells="value"),
    "fitted": Result(lambda f, n: f.fitted().to_frame("fitted"), order="rows"),
    "predict": Result(lambda f, n: f.predict(interval="confidence"), cells=PLACES | SPREADS,
                      order="rows"),
    "tidy": Result(lambda f, n: f.tidy("fixed")[["term", "estimate", "std_error"]], names="term"),
    "loo": Result(lambda f, n: hb.loo(f).to_frame()[["elpd"]], cells={"elpd": "log of a row"},
                  order="rows"),
    "pareto_k": Result(lambda f, n: hb.loo(f).to_frame()[["pareto_k"]], cells="1", order="rows"),
    "hypothesis": Result(lambda f, n: probability(f), cells="1"),
    "sensitivity": Result(lambda f, n: wider_prior(f),
                          cells=dict.fromkeys(("estimate", "lower", "upper"), "y")),
    "marginal likelihood": Result(lambda f, n: marginal_likelihood(f), cells="log of all rows"),
}  # fmt: skip
