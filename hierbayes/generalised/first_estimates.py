"""Where a search of a generalised model begins: estimates without random effects."""

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.errors import DataError
from hierbayes.generalised.conditional import FIRST, Conditional
from hierbayes.generalised.pirls import at_effects, find_mode, no_effects


def first_estimates(model: Conditional) -> tuple[FloatArray, FloatArray]:
    """Coefficients without random effects, and further parameters, to begin with."""
    family, phi = model.family, []
    spread = np.log(model.y[model.y > 0]) if family.is_log_response else model.y
    for parameter, transform in zip(model.further, model.transforms, strict=True):
        if not isinstance(parameter.prior, str):
            first = float(parameter.prior.quantile(0.5))
        else:
            first = FIRST[parameter.prior]
            if parameter.prior == "units":
                first = float(np.std(spread)) or 1.0
            elif parameter.prior == "mean":
                first = float(np.mean(model.y)) or 1.0
        phi.append(transform.forward(first))
    at = np.array(phi)
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
