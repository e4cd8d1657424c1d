"""Which calls know residual sds that follow from fitted values; all others refuse them.

As ``residual_calls.py``, for ``fitted`` in the formula of sigma.
"""

from hierbayes.specification.fitted_values import unknown_fitted_sds

# Of fits, and of models, whose residual sds follow from their fitted values: what is right where
# these are a covariate like any other, and what fits again.
OF_FITTED_SDS = frozenset(
    {
        "fit.summary", "fit.tidy", "fit.glance", "fit.fixef", "fit.vcov", "fit.varcorr",
        "fit.ranef", "fit.ranef_sd", "fit.ranef_cov", "fit.coef", "fit.fitted", "fit.residuals",
        "fit.refit", "fit.update", "fit.with_method", "fit.contrast", "fit.augment", "fit.shown",
        "fit.determined", "fit.predict", "hb.emmeans", "hb.confint", "model.fit",
        "model.with_response", "model.explain", "fit.save", "result.save",
        "hb.predictions", "hb.comparisons", "hb.slopes", "hb.r2", "hb.icc", "fit.sentence",
    }
)  # fmt: skip


def check_knows_fitted_sds(called: str) -> None:
    """Raise NotSupportedError if a call does not know sds that follow from fitted values."""
    if called not in OF_FITTED_SDS:
        raise unknown_fitted_sds(called)
