"""The marginal likelihood over two variance parameters: the function that ML and REML maximise.

The random effects are integrated out; the fixed effects are at their best for ML and integrated
out for REML. At sds s and residual sd sigma the deviance is

    log|V| - sum log w (+ log|X'V^-1X| for REML) + df log(2 pi sigma^2) + r^2 / sigma^2,

with r^2 and df of ``gaussian/marginal.py``. Correlations and further variance parameters are held
at the estimates of the same method. All grid points are evaluated in one call of the kernel.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.calls import checked_call
from hierbayes.capabilities import not_supported
from hierbayes.errors import OptionError
from hierbayes.gaussian.covariance import term_covariances
from hierbayes.gaussian.marginal import evaluate
from hierbayes.gaussian.patterned import check_patterned
from hierbayes.intervals.generalised_surface import generalised_surface
from hierbayes.intervals.surface_points import theta_at
from hierbayes.options import is_whole
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.interval_parameters import (
    IntervalParameter,
    interval_addresses,
    interval_parameters,
)
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.likelihood_surface import LikelihoodSurface
from hierbayes.results.linear_fit import LinearFit
from hierbayes.wording import shown

SD_RANGE = (0.02, 2.8)  # of the grid of an sd, in REML estimates
SIGMA_RANGE = (0.7, 1.45)
# In residual sds over the sd of the column: the grid of an sd estimated below this ends where this
# would, in whatever units response and column are.
SMALL = 0.35
MOST_POINTS = 300  # along one side


@checked_call("hb.likelihood_surface")
def likelihood_surface(
    fit: LikelihoodFit, parameters: Sequence[str] | None = None, *, n: int = 61
) -> LikelihoodSurface:
    """Evaluate deviance and REML criterion over a grid of two variance parameters.

    Parameters
    ----------
    fit : LikelihoodFit
        Of either method; the other is fitted as well. A generalised fit has no REML criterion.
    parameters : two of lme4's names of sds, or ``"sigma"``, or a positive parameter of the family;
        the first two sds of one term, or the first sd and sigma (or that parameter), unless said
    n : grid points along each side

    Returns
    -------
    LikelihoodSurface

    Raises
    ------
    OptionError, NotSupportedError
        If these are not two different sds of the model, or the surface is beyond rounding.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> surface = hb.likelihood_surface(fit)
    >>> surface.x_name, surface.y_name
    ('sd_(Intercept)|Batch', 'sigma')
    """
    if not isinstance(fit, LinearFit | GeneralisedFit):
        raise OptionError(
            f"likelihood_surface takes a REML or ML fit; it got {type(fit).__name__}."
        )
    if not is_whole(n) or not 2 <= n <= MOST_POINTS:
        raise OptionError(f"n={shown(n)} must be a whole number from 2 to {MOST_POINTS}.")
    check_patterned(fit.design, "likelihood_surface")
    first, second = _chosen(fit, parameters)
    if isinstance(fit, GeneralisedFit):
        return generalised_surface(fit, first, second, int(n))
    reml, ml = fit.with_method("reml"), fit.with_method("ml")
    x, y = (_grid(reml, parameter, n) for parameter in (first, second))
    X, Y = (values.ravel() for values in np.meshgrid(x, y))
    return LikelihoodSurface(
        x_name=first.name,
        y_name=second.name,
        x=x,
        y=y,
        ml=_rise(ml, first, second, X, Y).reshape(n, n),
        reml=_rise(reml, first, second, X, Y).reshape(n, n),
        ml_estimate=(_shown(ml, first), _shown(ml, second)),
        reml_estimate=(_shown(reml, first), _shown(reml, second)),
    )


def _chosen(
    fit: LinearFit | GeneralisedFit, names: Any
) -> tuple[IntervalParameter, IntervalParameter]:
    positive = {p.name for p in fit.response_family.further_parameters if p.bounds[1] == np.inf}
    known = {
        p.name: p
        for p in interval_parameters(fit)
        if p.kind in ("sd", "sigma") or (p.kind == "further" and p.name in positive)
    }
    sds = [p for p in known.values() if p.kind == "sd"]
    if names is None:
        if len(sds) > 1 and sds[0].term == sds[1].term:
            return sds[0], sds[1]
        residual = [p for p in known.values() if p.kind != "sd"]
        if sds and residual:
            return sds[0], residual[0]
        if len(sds) > 1:
            return sds[0], sds[1]
        raise not_supported("surface-parameters")
    given = [names] if isinstance(names, str) or not isinstance(names, Iterable) else list(names)
    listed = interval_parameters(fit)
    addresses = interval_addresses(listed)
    chosen = [listed[addresses.place(name)] for name in given]
    for parameter in chosen:
        if parameter.name not in known:
            raise OptionError(
                f"parameters: {parameter.name!r} is not one of {', '.join(map(repr, known))}; a "
                "surface is over sds and positive parameters of a family."
            )
    if len(chosen) != 2 or chosen[0] == chosen[1]:
        raise OptionError(f"parameters={shown(names)} must be two different names.")
    return chosen[0], chosen[1]


def _shown(fit: LinearFit, parameter: IntervalParameter) -> float:
    """Estimate of a parameter, NaN where the data do not determine it."""
    place = interval_parameters(fit).index(parameter)
    return float("nan") if fit.undetermined_parameters[place] else _value(fit, parameter)


def _value(fit: LinearFit, parameter: IntervalParameter) -> float:
    if parameter.kind == "sigma":
        return fit.sigma
    found = term_covariances(fit.kernel.shape, fit.representative, fit.sigma)
    if parameter.place >= 0:
        return found[parameter.term].own[parameter.place]
    return float(found[parameter.term].sd[parameter.row])


def _grid(fit: LinearFit, parameter: IntervalParameter, n: int) -> FloatArray:
    value = _value(fit, parameter)
    if parameter.kind == "sigma":
        return np.linspace(SIGMA_RANGE[0] * value, SIGMA_RANGE[1] * value, n)
    factor, columns = fit.kernel.shape.terms[parameter.term]
    basis = fit.kernel.products.anchor.z_bases[factor][columns[parameter.row]]
    value = max(value, SMALL * fit.sigma * float(np.linalg.norm(basis)))
    return np.linspace(SD_RANGE[0] * value, SD_RANGE[1] * value, n)


def _rise(
    fit: LinearFit,
    first: IntervalParameter,
    second: IntervalParameter,
    X: FloatArray,
    Y: FloatArray,
) -> FloatArray:
    """Rise of the criterion of a fit's method above its minimum at N points, shape (N,)."""
    kernel, shape = fit.kernel, fit.kernel.shape
    sigma = np.full(X.size, fit.sigma)
    for parameter, values in ((first, X), (second, Y)):
        if parameter.kind == "sigma":
            sigma = values
    theta = theta_at(
        shape, fit.representative, (first, second), (X, Y), sigma=fit.sigma, relative_to=sigma
    )
    try:
        at_points = evaluate(kernel, kernel.in_basis_batch(theta))
    except np.linalg.LinAlgError as error:
        raise not_supported(
            "surface-rounding", sigma=fit.sigma, first=first.name, second=second.name
        ) from error
    df, r2 = kernel.df, at_points.pwrss
    if kernel.sigma_known:
        return np.asarray(at_points.criterion - fit.criterion)
    without = at_points.criterion - df * (1 + np.log(2 * np.pi * r2 / df))
    return np.asarray(without + df * np.log(2 * np.pi * sigma**2) + r2 / sigma**2 - fit.criterion)
