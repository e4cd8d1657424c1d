"""What R's and other Python packages call things, and what they are called here: one table.

Errors of calls that don't fit and of names that aren't there look here for the call that is meant,
and ``docs/spellings.md`` is made from the same rows. Nothing is looked at before a call has failed.
"""

from collections.abc import Callable
from typing import Any

from hierbayes.arrays import record

INTRODUCTION = """\
# What it is called here

Arguments and names of lme4, lmerTest, brms, broom.mixed, statsmodels and others, and ours. A call
with one of theirs is an error that names ours; so this page is for reading, not for learning by
heart. It is made from `hierbayes/spellings.py` by `make docs-tables`.

## Parameters

A parameter may be written in any of these ways wherever one is asked for (`hb.confint`,
`hb.profile`, `hb.likelihood_surface`, `fit.hypothesis`, priors, pictures), with or without blanks.

- coefficients: `Days`, `b(Days)`, `beta[Days]`; of brms `b_Days`, `b_Intercept`
- sds: of lme4 `sd_Days|Subject`; of priors `sd(Days|Subject)`; of broom.mixed `sd__Days`; of brms
  `sd_Subject__Days`; of draws `sd_Subject[Days]`
- correlations: `cor_Days.(Intercept)|Subject`, `cor((Intercept),Days|Subject)`,
  `cor__(Intercept).Days`, `cor_Subject__Intercept__Days`, `corr_Subject[(Intercept),Days]`
- the residual sd: `sigma`, `sd(Residual)`, `sd__Observation`

Each kind of table prints one of them. `hb.confint`, `hb.profile` and `hb.bootstrap` print lme4's,
because their numbers are laid beside those of `confint()`; `fit.tidy()` prints broom.mixed's, whose
column `group` holds the factor; posteriors, priors and `hb.compare` print `sd(Days|Subject)`,
because there the factor has no column of its own and a prior is written like a formula. A spelling
without the factor, such as `sd__Days`, is refused where several factors have such an effect.

## Arguments

| there | of | here |
|---|---|---|
"""

NAMES_HEADING = """
## Names of fits and functions

| there | of | here |
|---|---|---|
"""


@record(kw_only=False)
class Argument:
    """An argument of another package.

    Attributes
    ----------
    theirs : its name; dots of R as underscores
    packages : whose it is
    ours : what it may be here, the first that the function has
    written : from the value given, how ours is written, ``reml=False``; None where it can't be said
    otherwise : a sentence for functions that have none of ours
    """

    theirs: str
    packages: str
    ours: tuple[str, ...] = ()
    written: Callable[[str, Any], str | None] | None = None
    otherwise: str = ""

    def hint(self, names: tuple[str, ...], value: Any) -> str:
        """Return the sentence for a function with arguments ``names``; empty if there is none."""
        ours = next((name for name in self.ours if name in names), None)
        if ours is None:
            return f" {self.otherwise}" if self.otherwise else ""
        whole = self.written(ours, value) if self.written else None
        return f" Did you mean {whole or f'{ours}='}?"


def _as_it_is(ours: str, value: Any) -> str | None:
    plain = isinstance(value, int | float | str) and not isinstance(value, bool)
    return f"{ours}={value!r}" if plain else None


def _reml(ours: str, value: Any) -> str | None:
    is_reml = {"reml": True, "ml": False}.get(str(value).lower(), value)
    if not isinstance(is_reml, bool):
        return None
    return f"{ours}={is_reml}" if ours == "reml" else f"{ours}={'reml' if is_reml else 'ml'!r}"


def _groups(ours: str, value: Any) -> str | None:
    """R's re.form: NULL for all effects, NA or ~0 for none."""
    if ours != "groups":
        return None
    if isinstance(value, str) and "|" in value:
        return f"groups={value.lstrip('~ ')!r}"
    nothing = value in (0, "NA", "~0", "~ 0") or (isinstance(value, float) and value != value)
    return "groups='all'" if value is None else "groups='none'" if nothing else None


def _new_levels(ours: str, value: Any) -> str | None:
    if not isinstance(value, bool):
        return None
    return f"{ours}={'population' if value else 'error'!r}"


def _level_of_alpha(ours: str, value: Any) -> str | None:
    if not isinstance(value, float) or not 0 < value < 1:
        return None
    return f"{ours}={1 - value:g}"


def _half(ours: str, value: Any) -> str | None:
    """Brms counts what is warmed up with."""
    is_even = isinstance(value, int) and not isinstance(value, bool) and value % 2 == 0
    return f"{ours}={value // 2}, tune={value // 2}" if is_even else None


def _links(ours: str, value: Any) -> str | None:
    return f"{ours}='confidence'" if value else None


def _fitted_effects(ours: str, value: Any) -> str | None:
    return f"{ours}={'fitted' if value else 'new'!r}" if isinstance(value, bool) else None


_NOTHING_RANDOM = "Nothing is drawn at random here."
_SEARCH = "The search has nothing to set: it ends at an optimum that is proven, or says so."

_ARGUMENTS = (
    Argument("REML", "lme4, statsmodels", ("reml", "method"), _reml),
    Argument("method", "nlme, glmmTMB, emmeans", ("reml", "contrasts"), _reml),
    Argument("nAGQ", "lme4", ("n_quadrature",), _as_it_is),
    Argument("control", "lme4, brms", (), None, _SEARCH),
    Argument("start", "lme4", (), None, _SEARCH),
    Argument("optimizer", "lme4", (), None, _SEARCH),
    Argument("maxiter", "statsmodels", (), None, _SEARCH),
    Argument("verbose", "lme4", ("progress",), None, "Nothing is printed on the way."),
    Argument("silent", "brms", ("progress",)),
    Argument("refresh", "brms", ("progress",)),
    Argument("progressbar", "PyMC", ("progress",)),
    Argument(
        "subset", "lme4", (), None, "Leave the rows out of the data: data[data.x > 2] for pandas."
    ),
    Argument(
        "na_action",
        "lme4",
        ("rows",),
        None,
        "Rows with a missing value are left out, and counted in the summary; fitted(), "
        "residuals() and augment() have a row for each with rows='all'.",
    ),
    Argument("missing", "statsmodels", (), None, "Rows with a missing value are left out."),
    Argument("weight", "glmmTMB", ("weights",)),
    Argument("dispformula", "glmmTMB", ("sigma",), _as_it_is),
    Argument("ziformula", "glmmTMB", ("zi",), _as_it_is),
    Argument("prior", "brms, rstanarm", ("priors",)),
    Argument("prior_intercept", "rstanarm", ("priors",)),
    Argument(
        "groups",
        "statsmodels",
        (),
        None,
        "Grouping factors stand in the formula: 'y ~ x + (1 | group)'.",
    ),
    Argument(
        "re_formula", "brms", ("groups",), _groups, "Random effects stand in the formula: (x | g)."
    ),
    Argument(
        "vc_formula", "statsmodels", (), None, "Random effects stand in the formula: (1 | g)."
    ),
    Argument("re_form", "lme4", ("groups",), _groups),
    Argument("allow_new_levels", "lme4, brms", ("new_levels",), _new_levels),
    Argument("sample_new_levels", "brms", ("new_levels",)),
    Argument("incl_autocor", "brms", ("series",)),
    Argument("new_data", "tidymodels", ("newdata",)),
    Argument("data", "bambi, statsmodels", ("newdata",)),
    Argument("exog", "statsmodels", ("newdata",)),
    Argument("se_fit", "R's predict", ("interval",), _links),
    Argument("use_u", "lme4", ("groups",), _fitted_effects),
    Argument("newparams", "lme4", ("parameters",)),
    Argument("seed", "lme4, brms", ("random_seed",), _as_it_is, _NOTHING_RANDOM),
    Argument("random_state", "scikit-learn", ("random_seed",), _as_it_is, _NOTHING_RANDOM),
    Argument("rng", "NumPy", ("random_seed",), None, _NOTHING_RANDOM),
    Argument("iter", "brms", ("draws",), _half),
    Argument("ndraws", "brms", ("draws", "nsim"), _as_it_is),
    Argument("nsamples", "brms", ("draws", "nsim"), _as_it_is),
    Argument("warmup", "brms", ("tune",), _as_it_is),
    Argument("adapt_delta", "brms", ("target_accept",), _as_it_is),
    Argument(
        "cores",
        "brms, PyMC",
        ("n_jobs",),
        _as_it_is,
        "Chains run side by side on the processors there are.",
    ),
    Argument("thin", "brms", (), None, "Draws are not thinned; draws= says how many there are."),
    Argument("init", "brms", (), None, "Chains begin at the mode; there is nothing to set."),
    Argument("backend", "brms", ("sampler",)),
    Argument("nuts_sampler", "PyMC", ("sampler",)),
    Argument("inference_method", "bambi", ("sampler",)),
    Argument("parallel", "lme4", ("n_jobs",)),
    Argument("ncpus", "lme4", ("n_jobs",), _as_it_is),
    Argument("B", "boot", ("nsim",), _as_it_is),
    Argument("n_sim", "", ("nsim",), _as_it_is),
    Argument("n_boot", "seaborn", ("nsim",), _as_it_is),
    Argument("n", "R's simulate", ("nsim",), _as_it_is),
    Argument("parm", "lme4", ("parameters",), _as_it_is),
    Argument("which", "lme4", ("parameters",)),
    Argument("var_names", "ArviZ", ("parameters",)),
    Argument("pars", "brms", ("parameters",)),
    Argument("variable", "brms", ("parameters",)),
    Argument("conf_level", "broom.mixed", ("level",), _as_it_is),
    Argument("conf", "boot", ("level",), _as_it_is),
    Argument("prob", "brms", ("level",), _as_it_is),
    Argument("hdi_prob", "ArviZ", ("level",), _as_it_is),
    Argument("ci_prob", "ArviZ", ("level",), _as_it_is),
    Argument("alpha", "statsmodels", ("level",), _level_of_alpha),
    Argument(
        "conf_int", "broom.mixed", (), None, "Intervals are in the table; level= sets their level."
    ),
    Argument("ci_kind", "ArviZ", ("kind",), _as_it_is),
    Argument("boot_type", "lme4", ("interval",)),
    Argument("oldNames", "lme4", (), None, "Names are those of lme4's oldNames = FALSE."),
    Argument("condVar", "lme4", (), None, "Conditional sds are fit.ranef_sd()."),
    Argument("postVar", "lme4", (), None, "Conditional covariances are fit.ranef_cov()."),
    Argument("type", "R's residuals", ("kind",), _as_it_is),
    Argument("type_", "", ("type",), _as_it_is),
    Argument(
        "random_only",
        "lme4",
        (),
        None,
        "What random effects add is the difference from groups='none'.",
    ),
    Argument("mean", "R", ("mu",), _as_it_is),
    Argument("loc", "SciPy", ("mu",), _as_it_is),
    Argument("sd", "R", ("sigma",), _as_it_is),
    Argument("scale", "SciPy", ("sigma",), _as_it_is),
    Argument("ci", "performance", ("level", "interval")),
    Argument("transform", "brms", ("type",)),
    Argument("dpar", "brms", ("type",)),
    Argument("regrid", "emmeans", ("type",)),
    Argument("df", "lmerTest, R", ("ddf", "nu"), _as_it_is),
    Argument("lmer_df", "emmeans", ("ddf",), _as_it_is),
    Argument("test", "R's drop1", ("ddf",)),
    Argument("condition", "marginaleffects", ("by",)),
    Argument("group", "", ("by",)),
    Argument("variables", "marginaleffects", ("x", "at", "specs", "by")),
    Argument("newdata", "marginaleffects", ("over",)),
    Argument("comparison", "marginaleffects", ("kind",), _as_it_is),
    Argument("wts", "marginaleffects", ("weights",), _as_it_is),
    Argument("vcov", "marginaleffects", ("ddf",), _as_it_is),
    Argument("pairwise", "emmeans", ("contrasts",)),
    Argument("contr", "emmeans", ("contrasts",), _as_it_is),
    Argument("trend", "emmeans", ("var",), _as_it_is),
    Argument("p_adjust", "R", ("adjust",), _as_it_is),
    Argument("padjust", "statsmodels", ("adjust",), _as_it_is),
    Argument(
        "infer",
        "emmeans",
        (),
        None,
        "Tables have tests and intervals; .test() and .confint() have one of them.",
    ),
    Argument(
        "cross_adjust", "emmeans", (), None, "Each group is a family; by=[] makes one of them all."
    ),
    Argument(
        "max_degree", "emmeans", (), None, "Slopes at several values of var (at=) show its curve."
    ),
    Argument("se", "metafor", ("known_sd",)),
    Argument("vi", "metafor", ("known_sd",), None, "known_sd= takes the root of the variances."),
)
ARGUMENTS = {argument.theirs: argument for argument in _ARGUMENTS}


@record(kw_only=False)
class Name:
    """An attribute, method or function of another package.

    Attributes
    ----------
    theirs : its names
    packages : whose they are
    ours : how it is asked for here, with ``fit`` for the fit; a sentence where there is none
    posterior : the same of a posterior, where that is another call
    """

    theirs: tuple[str, ...]
    packages: str
    ours: str
    posterior: str = ""

    def of(self, is_posterior: bool) -> str:
        """Return the call, or the sentence where there is none."""
        return self.posterior if is_posterior and self.posterior else self.ours


_NO_P = "A posterior has no p values; fit.hypothesis('x > 0') is the probability of a statement."
_TESTS = "fit.tidy('fixed')[{!r}]".format

_NAMES = (
    Name(("params", "fe_params", "coefficients", "coef_"), "statsmodels", "fit.fixef()"),
    Name(("bse", "bse_fe", "se"), "statsmodels", _TESTS("std_error")),
    Name(("tvalues", "zvalues"), "statsmodels", _TESTS("statistic"), _NO_P),
    Name(("pvalues", "p_values"), "statsmodels", _TESTS("p_value"), _NO_P),
    Name(("conf_int", "confint", "intervals"), "statsmodels, lme4", "hb.confint(fit)"),
    Name(("cov_params", "normalized_cov_params"), "statsmodels", "fit.vcov()"),
    Name(("cov_re", "vcomp", "VarCorr", "VarCov"), "statsmodels, lme4", "fit.varcorr()"),
    Name(("random_effects", "re_params"), "statsmodels", "fit.ranef()"),
    Name(("random_effects_cov",), "statsmodels", "fit.ranef_cov()"),
    Name(("resid", "residual", "resid_response"), "statsmodels", "fit.residuals()"),
    Name(("resid_pearson",), "statsmodels", "fit.residuals('pearson')"),
    Name(("resid_deviance",), "statsmodels", "fit.residuals('deviance')"),
    Name(("fittedvalues",), "statsmodels", "fit.fitted()"),
    Name(
        ("llf", "logLik", "log_likelihood"), "statsmodels, lme4", "fit.loglik", "hb.loo(fit)"
    ),
    Name(("AIC",), "lme4", "fit.aic", "hb.loo(fit)"),
    Name(("BIC",), "lme4", "fit.bic", "fit.log_marginal_likelihood"),
    Name(("REMLcrit",), "lme4", "fit.criterion", "hb.loo(fit)"),
    Name(("waic", "WAIC", "psis"), "brms, ArviZ", "fit.aic", "hb.loo(fit)"),
    Name(("psense", "powerscale_sensitivity"), "ArviZ, priorsense", "hb.sensitivity(fit)"),
    Name(("scale",), "statsmodels", "fit.sigma ** 2"),
    Name(("rsquared", "bayes_R2", "r_squared", "R2"), "statsmodels, brms", "hb.r2(fit)"),
    Name(("t_test",), "statsmodels", "fit.contrast(...)"),
    Name(("f_test", "wald_test", "contest"), "statsmodels, lmerTest",
         "fit.contrast(..., joint=True)"),
    Name(("get_prediction", "predictInterval"), "statsmodels, merTools",
         "fit.predict(interval='confidence')"),
    Name(("profile_re",), "statsmodels", "hb.profile(fit)"),
    Name(("ngrps", "n_group"), "lme4", "fit.n_groups"),
    Name(("getME",), "lme4", "fit.theta, fit.beta"),
    Name(("isSingular",), "lme4", "fit.is_singular"),
    Name(("formula", "call"), "lme4", "fit.formula_text"),
    Name(("df_resid", "df_residuals"), "statsmodels, lme4", "fit.glance()['df_residual']"),
    Name(("model_frame",), "lme4", "fit.augment()"),
    Name(("bootMer",), "lme4", "hb.bootstrap(fit)"),
    Name(("lsmeans", "ls_means", "difflsmeans"), "lmerTest", "hb.emmeans(fit, 'f')"),
    Name(("avg_predictions",), "marginaleffects", "hb.predictions(fit)"),
    Name(("avg_comparisons",), "marginaleffects", "hb.comparisons(fit, 'x')"),
    Name(("avg_slopes",), "marginaleffects", "hb.slopes(fit, 'x')"),
    Name(("datagrid",), "marginaleffects", "hb.predictions(fit, at={'x': [0, 1]}, over='mean')"),
    Name(("dotplot",), "lattice", "hb.plot.caterpillar(fit)"),
    Name(("qqmath",), "lattice", "hb.plot.ranef_qq(fit)"),
    Name(("xyplot",), "lattice", "hb.plot.data(fit)"),
    Name(("conditional_effects", "marginal_effects", "plot_predictions", "ggpredict", "emmip"),
         "brms, marginaleffects, ggeffects, emmeans", "hb.plot.effects(fit)"),
    Name(("pp_check", "ppc_dens_overlay", "ppc_stat"), "brms, bayesplot", "hb.plot.ppc(fit)"),
    Name(("plot", "plot_model"), "R, brms",
         "one of the pictures in hb.plot, such as hb.plot.effects(fit), or hb.check(fit).plot()"),
    Name(("check_model", "simulateResiduals"), "performance, DHARMa", "hb.check(fit)"),
    Name(("cooks_distance", "hatvalues", "rstudent", "rstandard", "dfbetas", "get_influence"),
         "lme4, statsmodels", "hb.influence(fit, rows=True)"),
    Name(("posterior_summary", "fixed_effects_summary"), "brms", "fit.tidy()"),
    Name(("posterior_epred",), "brms", "fit.predict()"),
    Name(("posterior_linpred",), "brms", "fit.predict(type='link')"),
    Name(("posterior_predict",), "brms", "fit.simulate()"),
    Name(("posterior_samples", "as_draws_df", "gather_draws", "spread_draws", "to_dataframe"),
         "brms, tidybayes", "fit.model.sample().tidy_draws()", "fit.tidy_draws()"),
    Name(("posterior", "as_draws", "trace", "get_draws"),
         "brms, ArviZ, PyMC", "fit.model.sample().idata", "fit.idata"),
    Name(("prior_summary", "get_prior"), "brms", "fit.model.priors"),
    Name(("rhat", "neff_ratio", "r_hat"), "brms", "fit.model.sample().diagnostics()",
         "fit.diagnostics()"),
    Name(("stancode", "make_stancode"), "brms", "fit.model.to_pymc()"),
    Name(("simulate_formula", "makeLmer", "makeGlmer", "simLMM"), "lme4, simr",
         "hb.simulate(formula, data, parameters)"),
    Name(("brm", "stan_lmer", "stan_glmer"), "brms, rstanarm",
         "hb.Model(formula, data).sample()"),
    Name(("lme", "mixedlm", "MixedLM", "lm", "ols", "glmmTMB_gaussian"), "nlme, statsmodels, R",
         "hb.lmer(formula, data)"),
    Name(("glm", "glmmTMB", "clmm", "clm", "logit", "glmer_nb"), "R, statsmodels, ordinal",
         "hb.glmer(formula, data, family)"),
    Name(("read_csv", "get_dataset", "data"), "pandas, R", "hb.load_dataset(name)"),
    Name(("set_prior", "prior", "Prior"), "brms, bambi", "priors={'x': hb.Normal(0, 1)}"),
)  # fmt: skip
NAMES = {theirs: name for name in _NAMES for theirs in name.theirs}


def markdown() -> str:
    """Return the tables as a page of Markdown."""
    arguments = "".join(
        f"| `{a.theirs}` | {a.packages or 'several'} | {_cell(a)} |\n" for a in _ARGUMENTS
    )
    names = "".join(
        f"| {', '.join(f'`{theirs}`' for theirs in name.theirs)} | {name.packages} | "
        f"{_both(name)} |\n"
        for name in _NAMES
    )
    return INTRODUCTION + arguments + NAMES_HEADING + names


def _cell(argument: Argument) -> str:
    ours = " or ".join(f"`{name}=`" for name in argument.ours)
    return "; ".join(part for part in (ours, argument.otherwise) if part).replace("|", r"\|")


def _both(name: Name) -> str:
    posterior = f"; of a posterior: {_call(name.posterior)}" if name.posterior else ""
    return f"{_call(name.ours)}{posterior}"


def _call(text: str) -> str:
    is_call = text.startswith(("fit.", "hb.", "priors="))
    return (f"`{text}`" if is_call else text).replace("|", r"\|")
