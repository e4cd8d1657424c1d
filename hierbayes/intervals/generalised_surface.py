"""The likelihood of a generalised fit over two of its sds, or an sd and a parameter of the family.

Fixed effects are at their best at every point, correlations and what else there is at the
estimates. All points of one or nested factors by Laplace are one batched search.
"""

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.intervals.generalised_profile import generalised_optimum
from hierbayes.intervals.surface_points import theta_at
from hierbayes.likelihood.generalised_refits import at_variances
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.interval_parameters import IntervalParameter
from hierbayes.results.likelihood_surface import LikelihoodSurface

SD_RANGE = (0.02, 2.8)  # of the grid of an sd, in estimates
REACH = 3.0  # standard errors of the logarithm, or factor e^REACH at most, for a positive parameter


def generalised_surface(
    fit: GeneralisedFit, first: IntervalParameter, second: IntervalParameter, n: int
) -> LikelihoodSurface:
    """Evaluate the rise of the deviance over a grid; see ``likelihood_surface``."""
    optimum = generalised_optimum(fit)
    names = list(optimum.names)
    estimates = [float(optimum.values[names.index(p.name)]) for p in (first, second)]
    x, y = (
        _grid(fit, parameter, value, n)
        for parameter, value in zip((first, second), estimates, strict=True)
    )
    X, Y = (values.ravel() for values in np.meshgrid(x, y))
    found, model = optimum.found, optimum.found.model
    theta = theta_at(
        model.shape, found.theta, (first, second), (X, Y), sigma=1.0, relative_to=np.ones(X.size)
    )
    inverses = [np.linalg.inv(basis) for basis in model.z_bases]
    phi = np.tile(found.at.mode.phi, (X.size, 1))
    labels = [coordinate.label for coordinate in model.coordinates]
    for parameter, values in ((first, X), (second, Y)):
        if parameter.kind in ("sigma", "further"):
            at = labels.index("sigma" if parameter.kind == "sigma" else parameter.name)
            phi[:, at] = model.coordinates[at].transform.forward(values)
    x_theta = model.basis_shape.coordinates(model.shape.transformed_batch(theta, inverses))
    lowest = at_variances(found, x_theta, phi)
    nothing = np.full((n, n), np.nan)
    return LikelihoodSurface(
        x_name=first.name,
        y_name=second.name,
        x=x,
        y=y,
        ml=(lowest - optimum.lowest).reshape(n, n),
        reml=nothing,
        ml_estimate=(estimates[0], estimates[1]),
        reml_estimate=(np.nan, np.nan),
    )


def _grid(fit: GeneralisedFit, parameter: IntervalParameter, value: float, n: int) -> FloatArray:
    """Values (n,) around an estimate; of an sd below the error of a typical level around that."""
    if parameter.kind == "sd":
        term = fit.design.terms[parameter.term]
        factor = fit.design.factors[term.factor]
        A = factor.z.T @ (fit.row_curvature[:, None] * factor.z) / factor.levels.size
        t = term.columns[max(parameter.row, parameter.place)]  # sds come first in a pattern
        spread = float(np.linalg.pinv(A, hermitian=True)[t, t])
        end = max(value, np.sqrt(spread)) if spread > 0 else value or 1.0
        return np.linspace(SD_RANGE[0] * end, SD_RANGE[1] * end, n)
    error = fit.further_parameters[parameter.name][1] if parameter.kind == "further" else np.nan
    reach = min(REACH * error / value, REACH) if error > 0 else REACH / 4
    return np.exp(np.linspace(np.log(value) - reach, np.log(value) + reach, n))
