"""What the likelihood alone says of a parameter: the answer at the flat end of its prior."""

import math

from hierbayes.errors import HierBayesError
from hierbayes.results import verbs
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.sensitivity import Reference
from hierbayes.results.tidy import estimated_rows


def reference_of(fit: PosteriorFit, of: int, level: float) -> Reference | None:
    """REML's estimate and interval of a parameter, ML's in other families; None without a fit.

    Intervals are those of ``tidy()``, which variance parameters have none of.
    """
    method = "reml" if fit.response_family.is_linear else "ml"
    try:
        found: LikelihoodFit = verbs.ask(fit.spec, "fit", method, quietly=True)
        table = estimated_rows(found, found.tidy(level=level))
    except HierBayesError:
        return None  # the data determine no such estimate: there is nothing to compare with
    if of >= len(table):
        return None
    row = table.iloc[of]
    limits = [float(row[name]) for name in ("conf_low", "conf_high")]
    estimate = float(row["estimate"])
    return Reference(
        method=method.upper(),
        estimate=estimate if math.isfinite(estimate) else math.nan,
        lower=limits[0],
        upper=limits[1],
    )
