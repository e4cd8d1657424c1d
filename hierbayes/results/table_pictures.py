"""Which picture a table of results is drawn by: one registry, by the call that made the table.

``PICTURES`` names functions of ``plots`` that take the table first; ``INSTEAD`` says which picture
shows what is in a table, or in a result of another class, that has none of its own.
"""

from hierbayes.capabilities import not_supported
from hierbayes.errors import NotSupportedError
from hierbayes.results import verbs

# origin of the table -> "module:function" below hierbayes, called with the table and the options
PICTURES: dict[str, str] = {
    "autocorrelation": "plots.autocorrelation:autocorrelation",
    "comparisons": "plots.estimates:estimates",
    "confint": "plots.estimates:estimates",
    "contrast": "plots.estimates:estimates",
    "emmeans": "plots.estimates:estimates",
    "influence": "plots.influence:influence",
    "predict": "plots.estimates:estimates",
    "shrinkage": "plots.shrinkage_lines:shrinkage_lines",
    "shrinkage_path": "plots.tau_path:tau_path",
    "thresholds": "plots.estimates:estimates",
    "predictions": "plots.estimates:estimates",
    "slopes": "plots.estimates:estimates",
    "tidy": "plots.estimates:estimates",
}
VARIANCES = (
    'hb.plot.profile(hb.profile(fit, parameters="theta_")) draws sds and correlations of a REML or '
    "ML fit, hb.plot.prior_posterior(posterior) those of a posterior"
)
EFFECTS = "hb.plot.effects(fit) draws the effects of the predictors"
PRINTED = "hb.plot.intervals(published.model().fit()) draws the coefficients"
# origin of the table, or class of the result -> what draws what is in it
INSTEAD: dict[str, str] = {
    "augment": "hb.plot.residuals(fit) and hb.plot.qq(fit) draw the residuals",
    "coef": "hb.plot.caterpillar(fit) and hb.plot.shrinkage_lines(fit) draw the levels",
    "compare": "hb.compare(...).plot() draws the comparison",
    "design_study": "hb.design_study(...).plot() draws the designs",
    "design_study_smallest": "hb.design_study(...).plot() draws the designs",
    "diagnostics": "hb.plot.chains(posterior) draws the chains",
    "priors": "hb.plot.prior_posterior(posterior) draws the priors and what was learnt",
    "profile": "hb.plot.profile(hb.profile(fit)) draws the profile",
    "beside": "hb.plot.intervals(fit, published.model().fit()) draws the coefficients of both",
    "published": PRINTED,
    "read_cells": 'hb.plot.data(rows, x="...", y="...") draws them',
    "ranef": "hb.plot.caterpillar(fit) draws the effects of the levels",
    "ranef_sd": "hb.plot.caterpillar(fit) draws the effects of the levels",
    "varcorr": VARIANCES,
    "vcov": "hb.plot.intervals(fit) draws the estimates with their intervals",
    "AnovaTable": "hb.plot.null_distribution(hb.pb_test(small, large)) draws the statistic of two "
    "models among simulated ones",
    "DeletionTable": EFFECTS,
    "ElpdComparison": "hb.plot.loo(posterior) draws how well each row is predicted",
    "FTable": EFFECTS,
    "LaplaceError": "hb.plot.profile(hb.profile(fit)) draws how far the data determine the "
    "parameters",
    "PaperTable": "hb.plot.intervals(fit, other) draws the parameters of several fits",
    "PublishedModel": PRINTED,
    "RanovaTable": VARIANCES,
    "Reanalysis": "its .report() draws it",
    "RestrictedFactor": "hb.plot.prior_posterior(posterior) draws what is known before and after",
    "StructureTable": "hb.plot.null_distribution(hb.pb_test(small, large)) draws the statistic of "
    "two models among simulated ones, hb.plot.loo(posterior) how well each row is predicted",
    "VarCorr": VARIANCES,
}
ANY = "hb.plot.effects(fit), hb.plot.caterpillar(fit) and hb.check(fit).plot() draw a fit"


def no_picture(origin: str = "") -> NotSupportedError:
    """Return the error of a result that has no picture; it says what draws what is in it.

    Parameters
    ----------
    origin : of a table, or the name of the class of another result
    """
    return not_supported("table-picture", pictures=INSTEAD.get(origin, ANY))


def picture_of(origin: str) -> verbs.Function:
    """Return the picture of tables of an origin, a function of the table and of options.

    Raises
    ------
    NotSupportedError
        If it has none, or is changed so much that it is not known what it is.
    """
    place = PICTURES.get(origin)
    if place is None:
        raise no_picture(origin)
    return verbs.load(place)
