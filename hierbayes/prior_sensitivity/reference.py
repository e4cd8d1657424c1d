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
    name = [name for part in fit.parameters() for name in part.names][of]
    if fit.residual_structure is not None and (known := _of_residuals(found, name)) is not None:
        return Reference(method=method.upper(), estimate=known, lower=math.nan, upper=math.nan)
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


def _of_residuals(fit: LikelihoodFit, name: str) -> float | None:
    """Return the estimate of a parameter of residuals by its name in draws; None of others."""
    if name == "sigma":
        return fit.sigma
    if name == "sigma_(Intercept)":
        return math.log(fit.sigma)
    return dict(zip(fit.residual_names, fit.residual_values.tolist(), strict=True)).get(name)
