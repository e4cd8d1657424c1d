"""Where a search of a generalised model begins: estimates without random effects."""

from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.errors import DataError
from hierbayes.families.family import Family, Parameter
from hierbayes.generalised.conditional import FIRST, Conditional
from hierbayes.generalised.pirls import at_effects, find_mode, no_effects


def first_estimates(model: Conditional) -> tuple[FloatArray, FloatArray]:
    """Coefficients without random effects, and further parameters, to begin with."""
    family = model.family
    at = model.phi_of({parameter.name: _first(model, parameter) for parameter in model.further})
    none, still = no_effects(model), np.zeros(model.shape.n_theta)
    for beta in _first_betas(model, at):
        start = at_effects(model, still, beta, at, none, profiled=True)
        if np.isfinite(start.h):
            try:
                return find_mode(start).beta, at
            except np.linalg.LinAlgError:  # separated, perhaps: random effects will hold it
                return beta, at
    link = family.link.name
    raise DataError(
        f"With family={family.name!r} and link={link!r} no linear predictor near the response "
        "gives a possible mean in every row. Use a link whose mean is always possible, such as "
        "link='log'."
    )


def _first(model: Conditional, parameter: Parameter) -> Any:
    """Return a value of a further parameter."""
    if not isinstance(parameter.prior, str):
        return float(parameter.prior.quantile(0.5))
    if parameter.prior == "cuts":
        return first_thresholds(model.family, model.y)
    if parameter.prior == "units":
        is_log = model.family.is_log_response
        spread = np.log(model.y[model.y > 0]) if is_log else model.y
        return float(np.std(spread)) or 1.0
    if parameter.prior == "mean":
        return float(np.mean(model.y)) or 1.0
    return FIRST[parameter.prior]


def first_thresholds(family: Family, y: FloatArray) -> FloatArray:
    """Thresholds (K,) that give the categories 0 ... K their shares in y (n,), without effects."""
    counts = np.bincount(y.astype(np.intp))
    left = np.cumsum(counts[::-1])[::-1]  # rows of a category and those above
    (cuts,) = (p for p in family.parameters if p.prior == "cuts")
    shares = np.cumsum(counts)[:-1] / y.size if cuts.increasing else counts[:-1] / left[:-1]
    return np.asarray(family.link.forward(shares))


def _first_betas(model: Conditional, phi: FloatArray) -> list[FloatArray]:
    """Return starts of beta: a step of Fisher scoring from the response, and constant ones."""
    eta = model.eta_start
    found = model.densities(eta, phi)
    weight = np.where(found.weight > 0, found.weight, 0.0)
    step = np.divide(found.slope, weight, out=np.zeros_like(eta), where=weight > 0)
    working = eta - model.offset + np.where(np.isfinite(step), step, 0.0)
    root = np.sqrt(np.where(np.isfinite(weight), weight, 1.0))
    constant = np.full_like(eta, eta.mean()) - model.offset
    return [
        np.linalg.lstsq(model.X * root[:, None], working * root)[0],
        np.linalg.lstsq(model.X, eta - model.offset)[0],
        np.linalg.lstsq(model.X, constant)[0],
    ]
