"""Which picture a table of results is drawn by: one registry, by the call that made the table.

``PICTURES`` names functions of ``plots`` that take the table first; ``INSTEAD`` says which picture
shows the numbers of a table that has none of its own.
"""

from hierbayes.capabilities import not_supported
from hierbayes.errors import NotSupportedError
from hierbayes.results import verbs

# origin of the table -> "module:function" below hierbayes, called with the table and the options
PICTURES: dict[str, str] = {
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
# origin of the table -> the call that draws what is in it
INSTEAD: dict[str, str] = {
    "augment": "hb.plot.residuals(fit) or hb.plot.qq(fit)",
    "coef": "hb.plot.caterpillar(fit) or hb.plot.shrinkage_lines(fit)",
    "compare": "hb.compare(...).plot()",
    "diagnostics": "hb.check(fit).plot()",
    "priors": "hb.plot.prior_posterior(posterior)",
    "profile": "hb.plot.profile(hb.profile(fit))",
    "ranef": "hb.plot.caterpillar(fit)",
    "ranef_sd": "hb.plot.caterpillar(fit)",
    "varcorr": 'hb.plot.profile(hb.profile(fit, parameters="theta_"))',
}
ANY = "hb.plot.effects(fit), hb.plot.caterpillar(fit) or hb.check(fit).plot()"


def no_picture(origin: str = "") -> NotSupportedError:
    """Return the error of a result that has no picture; it says which ones show what is in it."""
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
