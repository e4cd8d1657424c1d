"""Which calls know residuals that are correlated or of unequal variance; all others refuse them.

So with residual sds that follow from fitted values, ``fitted`` in the formula of sigma.

A fit is asked before every public function and method it is given to (``calls.py``): what is not
on the list would take its rows for independent, or of one sd, and be silently wrong.
"""

from hierbayes.families.parameter_formulas import unknown_residuals
from hierbayes.specification.fitted_values import unknown_fitted_sds

KNOWN = frozenset(
    {
        "hb.autocorrelation", "plot.autocorrelation", "hb.drop1", "hb.joint_tests",
        "hb.emtrends", "hb.table", "plot.caterpillar", "plot.residuals",
        "hb.bootstrap", "hb.pb_test", "plot.bootstrap", "plot.null_distribution",
        "fit.summary", "fit.tidy", "fit.glance", "fit.fixef", "fit.vcov", "fit.varcorr",
        "fit.ranef", "fit.ranef_sd", "fit.ranef_cov", "fit.coef", "fit.fitted", "fit.residuals",
        "fit.refit", "fit.update", "fit.with_method", "fit.contrast", "fit.augment", "fit.shown",
        "fit.determined", "fit.predict", "hb.emmeans", "fit.simulate", "fit.save", "result.save",
        "hb.confint", "hb.anova", "model.fit", "model.with_response", "model.explain",
        "model.sample", "model.to_pymc", "hb.compare_structures", "hb.profile",
        "plot.profile", "hb.predictions", "hb.comparisons", "hb.slopes", "plot.effects",
        "hb.ranova", "hb.exact_rlrt", "hb.exact_lrt", "hb.r2", "hb.icc", "fit.sentence",
        "model.latex", "model.graph", "hb.influence", "plot.influence",
        "hb.compare", "plot.compare", "hb.check", "plot.check", "plot.qq", "plot.ranef_qq",
        "plot.ppc", "plot.simulations", "plot.data", "plot.intervals", "hb.shrinkage",
        "hb.shrinkage_path", "plot.tau_path", "plot.shrinkage_lines", "plot.shrinkage_plane",
        "plot.shrinkage_reliability", "plot.shrinkage_slopegraph", "result.report",
        "hb.likelihood_surface", "plot.likelihood_surface", "plot.boundary", "hb.archive",
        "hb.data_digest", "model.prior_predictive", "plot.prior_predictive",
        "hb.loo", "hb.kfold", "hb.eff_size", "plot.estimates", "hb.design_study", "plot.power",
        "model.to_bambi", "hb.bayes_factor",
    }
)  # fmt: skip


# Of posteriors.
OF_POSTERIORS = frozenset(
    {
        "fit.summary", "fit.tidy", "fit.fixef", "fit.vcov", "fit.varcorr", "fit.ranef",
        "fit.ranef_sd", "fit.ranef_cov", "fit.coef", "fit.coef_sd", "fit.fitted", "fit.parameters",
        "fit.to_datatree", "fit.tidy_draws", "fit.diagnostics", "hb.confint", "fit.hypothesis",
        "hb.bayes_factor", "fit.save", "result.save", "fit.log_likelihood", "fit.predict",
        "fit.simulate", "fit.residuals", "fit.augment", "fit.contrast", "fit.glance", "fit.refit",
        "fit.update", "hb.loo", "hb.kfold", "plot.loo", "hb.compare", "plot.compare",
        "hb.sensitivity", "plot.sensitivity", "hb.r2", "hb.icc", "plot.prior_predictive",
        "fit.sentence", "result.report", "hb.table", "hb.check", "plot.check", "plot.ppc",
        "plot.caterpillar", "plot.chains", "plot.data", "plot.effects", "plot.intervals",
        "plot.qq", "plot.ranef_qq", "plot.residuals", "plot.simulations", "plot.boundary",
        "hb.emmeans", "hb.emtrends", "hb.comparisons", "hb.predictions", "hb.slopes",
        "plot.prior_posterior", "hb.shrinkage", "hb.shrinkage_path", "plot.tau_path",
        "plot.shrinkage_lines", "plot.shrinkage_plane", "plot.shrinkage_slopegraph",
        "plot.shrinkage_reliability", "hb.archive", "hb.data_digest", "hb.eff_size",
        # which say themselves that they are not of posteriors
        "hb.influence", "plot.influence", "hb.autocorrelation", "plot.autocorrelation",
        "hb.ranova", "hb.drop1", "hb.anova", "hb.joint_tests", "hb.pb_test", "hb.exact_rlrt",
        "hb.exact_lrt", "hb.bootstrap", "hb.profile", "hb.likelihood_surface", "plot.alt_text",
        "plot.profile", "plot.bootstrap", "plot.estimates", "plot.null_distribution", "plot.power",
        "plot.psychometric", "plot.likelihood_surface",
    }
)  # fmt: skip


# Of fits, and of models, whose residual sds follow from their fitted values: what is right where
# these are a covariate like any other, and what fits again.
OF_FITTED_SDS = frozenset(
    {
        "fit.summary", "fit.tidy", "fit.glance", "fit.fixef", "fit.vcov", "fit.varcorr",
        "fit.ranef", "fit.ranef_sd", "fit.ranef_cov", "fit.coef", "fit.fitted", "fit.residuals",
        "fit.refit", "fit.update", "fit.with_method", "fit.contrast", "fit.augment", "fit.shown",
        "fit.determined", "fit.predict", "fit.sentence", "fit.save", "result.save", "model.fit",
        "model.with_response", "model.explain", "hb.emmeans", "hb.emtrends", "hb.joint_tests",
        "hb.confint", "hb.anova", "hb.drop1", "hb.predictions", "hb.comparisons", "hb.slopes",
        "hb.r2", "hb.icc", "hb.table", "hb.compare", "hb.autocorrelation", "hb.shrinkage",
        "hb.shrinkage_path", "hb.eff_size", "hb.loo", "hb.kfold", "plot.compare",
        "plot.autocorrelation", "plot.caterpillar", "plot.residuals", "plot.effects", "plot.qq",
        "plot.ranef_qq", "plot.intervals", "plot.estimates", "plot.tau_path",
        "plot.shrinkage_lines", "plot.shrinkage_plane", "plot.shrinkage_reliability",
        "plot.shrinkage_slopegraph",
    }
)  # fmt: skip


def check_knows_fitted_sds(called: str) -> None:
    """Raise NotSupportedError if a call does not know sds that follow from fitted values."""
    if called not in OF_FITTED_SDS:
        raise unknown_fitted_sds(called)


def check_knows_residuals(called: str, known: frozenset[str] = KNOWN) -> None:
    """Raise NotSupportedError if a call does not know such residuals."""
    if called not in known:
        raise unknown_residuals(called)
