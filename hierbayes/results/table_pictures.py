"""Which picture a table of results is drawn by: one registry, by the call that made the table.

``PICTURES`` names functions of ``plots`` that take the table first; ``INSTEAD`` says which picture
shows the numbers of a table that has none of its own.
"""

from typing import Any

from hierbayes.capabilities import not_supported
from hierbayes.results import verbs

# origin of the table -> "module:function" below hierbayes, called with the table and the options
PICTURES: dict[str, str] = {
    "comparisons": "plots.estimates:estimates",
    "confint": "plots.estimates:estimates",
    "contrast": "plots.estimates:estimates",
    "emmeans": "plots.estimates:estimates",
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
    "predict": "hb.plot.effects(fit)",
    "priors": "hb.plot.prior_posterior(posterior)",
    "profile": "hb.plot.profile(hb.profile(fit))",
    "ranef": "hb.plot.caterpillar(fit)",
    "ranef_sd": "hb.plot.caterpillar(fit)",
    "shrinkage": "hb.plot.shrinkage_lines(table) or hb.plot.shrinkage_plane(table)",
    "shrinkage_path": "hb.plot.tau_path(table)",
    "thresholds": "hb.plot.psychometric(fit)",
    "varcorr": 'hb.plot.profile(hb.profile(fit, parameters="theta_"))',
}
ANY = "hb.plot.effects(fit), hb.plot.caterpillar(fit) or hb.check(fit).plot()"


def draw(table: Any, origin: str, *args: Any, **options: Any) -> Any:
    """Draw a table by the picture of its origin.

    Raises
    ------
    NotSupportedError
        If it has none, or is changed so much that it is not known what it is.
    """
    place = PICTURES.get(origin)
    if place is None:
        raise not_supported("table-picture", pictures=INSTEAD.get(origin, ANY))
    return verbs.load(place)(table, *args, **options)
