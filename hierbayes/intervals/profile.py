"""Likelihood profiles of sds, correlations, sigma and fixed effects, on the scale lme4 reports.

Source: Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), section 5.1; Pawitan (2001),
In All Likelihood, sections 2.6 and 3.4 (profile intervals).
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hierbayes.errors import OptionError
from hierbayes.gaussian.marginal import Evaluation, Kernel
from hierbayes.intervals.held_parameter import Held, hold
from hierbayes.intervals.profile_path import Side, trace
from hierbayes.likelihood.lmm import fit_lmm, method_kernel
from hierbayes.options import nearest
from hierbayes.results.finding import Finding
from hierbayes.results.interval_parameters import (
    IntervalParameter,
    interval_parameters,
    parameter_names,
    parameter_values,
    values_of_roots,
)
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.profile_result import ProfileResult
from hierbayes.results.tidy import check_level

FloatArray = npt.NDArray[np.float64]

REFITTED = Finding(
    "profiled_by_ml",
    "The likelihood was profiled, not the REML criterion: the model was fitted again by ML first, "
    "as lme4 does.",
    "The limits belong to the ML estimates; sds are a little larger under REML.",
    {},
)
# Points on each side of the estimate: enough for a picture, or as far apart as the path can be
# followed when only the limits are wanted.
GRID_STEPS = 6
LIMIT_STEPS = 3


def profile(fit: LikelihoodFit, parameters: Any = None, *, level: float = 0.99) -> ProfileResult:
    """Profile the likelihood of a linear mixed model over each of its parameters.

    Each parameter in turn is held at a grid of values while all others take their best values
    there. What the deviance rises by is the evidence against a value; its signed root, zeta, is
    compared with a standard normal distribution.

    Parameters
    ----------
    fit : LikelihoodFit
        Of a REML fit the likelihood is profiled all the same, as in lme4: a REML criterion cannot
        be compared between values of a fixed effect.
    parameters : str or list of str, optional
        lme4's names, such as ``"sd_(Intercept)|Subject"``, ``"sigma"``, ``"Days"``; or lme4's
        ``"theta_"`` (sds, correlations and sigma) and ``"beta_"`` (fixed effects). All when not
        given.
    level : float
        The profiles reach to the limits of the confidence interval of this level.

    Returns
    -------
    ProfileResult
        Prints as a table; ``.to_frame()`` has the columns ``parameter value zeta``, ``.confint()``
        the limits, in units of the response per unit of each column. An sd whose deviance does not
        rise enough towards zero has the lower limit 0, a correlation -1 or 1; a limit that does
        not exist is NaN and ``reasons`` says why.

    Raises
    ------
    OptionError
        If ``level`` is not between 0 and 1, a name is not a parameter, or ``fit`` is not a fit by
        REML or ML.

    Notes
    -----
    Source: Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), section 5.1.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> hb.profile(fit, level=0.95).confint().round(1).loc["sigma"].tolist()
    [49.5, 38.2, 67.7]
    """
    checked_fit(fit, "profile")
    check_level(level)
    return profiled(fit, chosen_parameters(fit, parameters), level=level, steps=GRID_STEPS)


def profiled(
    fit: LikelihoodFit, chosen: Sequence[IntervalParameter], *, level: float, steps: int
) -> ProfileResult:
    """Profile chosen parameters, with so many points a side; see ``profile``."""
    from scipy.special import ndtri

    kernel, at, theta = _ml_optimum(fit)
    beta = kernel.products.anchor.beta0 + kernel.products.anchor.x_basis @ at.beta[0]
    values = parameter_values(fit, theta[None], at.sigma, beta=beta[None])[0]
    defined = [p for p in chosen if not np.isnan(values[_place(fit, p)])]
    reasons = {
        p.name: "one of its sds is estimated as zero, so there is no correlation to profile"
        for p in chosen
        if p not in defined
    }
    held, z = hold(kernel, at, defined)
    traced = trace(kernel, held, z, cutoff=float(ndtri((1 + level) / 2)), steps=steps)
    limits = np.full((len(chosen), 2), np.nan)
    owner, zetas, points = [], [], []
    for i, (parameter, sides) in enumerate(zip(defined, traced, strict=True)):
        place = chosen.index(parameter)
        entry = held.take(np.array([i]))
        limits[place] = [_reported(entry, z[i], side.limit) for side in sides]
        failed = [
            f"no {end} limit: {side.reason}"
            for end, side in zip(("lower", "upper"), sides, strict=True)
            if side.reason
        ]
        if failed:
            reasons[parameter.name] = "; ".join(failed)
        zeta, grid = _grid(fit, kernel, parameter, entry=entry, z=z[i], sides=sides, values=values)
        owner.append(np.full(zeta.size, place))
        zetas.append(zeta)
        points.append(grid)
    estimates = np.array([values[_place(fit, p)] for p in chosen])
    return ProfileResult(
        names=tuple(p.name for p in chosen),
        estimates=estimates,
        level=float(level),
        limits=limits,
        owner=np.concatenate([*owner, np.empty(0, dtype=np.intp)]).astype(np.intp),
        zeta=np.concatenate([*zetas, np.empty(0)]),
        all_names=parameter_names(fit),
        points=np.concatenate([*points, np.empty((0, values.size))]),
        deviance=float(at.criterion[0]),
        reasons=reasons,
        findings=_findings(fit, chosen, limits, reasons),
        formula_text=fit.formula_text,
        data_name=fit.data_name,
    )


def checked_fit(fit: Any, function: str) -> LikelihoodFit:
    """Return a REML or ML fit; else OptionError."""
    if isinstance(fit, LikelihoodFit):
        return fit
    raise OptionError(
        f"hb.{function} needs a REML or ML fit, as hb.lmer(...) gives it, not {type(fit).__name__}."
    )


def chosen_parameters(fit: Any, parameters: Any) -> list[IntervalParameter]:
    """Parameters asked for by name, in lme4's order.

    Raises
    ------
    OptionError
        Naming the nearest parameter, if a name is none.
    """
    known = interval_parameters(fit)
    if parameters is None:
        return list(known)
    is_one = isinstance(parameters, str) or not isinstance(parameters, Iterable)
    given = [parameters] if is_one else list(parameters)
    names = [p.name for p in known]
    groups = {
        "theta_": {p.name for p in known if p.kind != "fixed"},
        "beta_": {p.name for p in known if p.kind == "fixed"},
    }
    wanted: set[str] = set()
    for name in given:
        if not isinstance(name, str) or (name not in names and name not in groups):
            guess = nearest(name, tuple(names)) if isinstance(name, str) else None
            hint = f"; did you mean {guess!r}?" if guess else "."
            listed = ", ".join(repr(n) for n in names)
            raise OptionError(f"parameters: {name!r} is not one of {listed}{hint}")
        wanted |= {name} if name in names else groups[name]
    if not wanted:
        raise OptionError("parameters names none; leave it out for all of them.")
    return [p for p in known if p.name in wanted]


def _ml_optimum(fit: LikelihoodFit) -> tuple[Kernel, Evaluation, FloatArray]:
    """Kernel, its evaluation at the optimum by ML, and theta (k,) on the user's scale."""
    if fit.method == "ml":
        return fit.kernel, fit.at, fit.theta
    kernel = method_kernel(fit.kernel, "ml")
    found = fit_lmm(fit.design, kernel, start=fit.at.theta[0])
    return found.kernel, found.at, found.theta


def _place(fit: LikelihoodFit, parameter: IntervalParameter) -> int:
    return parameter_names(fit).index(parameter.name)


def _values(
    fit: LikelihoodFit,
    kernel: Kernel,
    Lambdas: Sequence[FloatArray],
    sigma: FloatArray,
    beta: FloatArray,
) -> FloatArray:
    """Values of all parameters (T, M) from roots, sigma and beta in the basis of the products."""
    anchor = kernel.products.anchor
    return values_of_roots(
        fit,
        Lambdas,
        sigma,
        beta=anchor.beta0 + beta @ anchor.x_basis.T,
        bases=anchor.z_bases,
    )


def _reported(entry: Held, z: FloatArray, coordinate: float) -> float:
    """Value on the reported scale of the held coordinate."""
    point = z[None].copy()
    point[0, entry.own[0]] = coordinate
    return float(entry.values(point)[0])


def _grid(
    fit: LikelihoodFit,
    kernel: Kernel,
    parameter: IntervalParameter,
    *,
    entry: Held,
    z: FloatArray,
    sides: tuple[Side, Side],
    values: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Zeta (N,) and the values of all parameters (N, M) at the points of both sides, by value."""
    both = [*sides[0].points, *sides[1].points]
    zeta = np.array([0.0, *sides[0].zetas, *sides[1].zetas])
    if not both:
        return zeta, values[None]
    at = np.array([point for point, _ in both])
    held = entry.take(np.zeros(len(both), dtype=np.intp))
    triangles = kernel.shape.unpack(held.entries(at))
    Lambdas = [
        np.swapaxes(turn, 1, 2) @ triangle
        for turn, triangle in zip(held.turns, triangles, strict=True)
    ]
    beta = np.array([b for _, b in both])
    points = _values(fit, kernel, Lambdas, np.exp(at[:, -2]), beta)
    points[:, _place(fit, parameter)] = held.values(at)
    if parameter.kind == "sd":
        none = np.flatnonzero(points[:, _place(fit, parameter)] == 0)
        for i, other in enumerate(interval_parameters(fit)):
            beside = other.term == parameter.term and parameter.row in (other.row, other.column)
            if beside and other.kind == "cor":
                points[none, i] = np.nan
    coordinates = np.array([z[entry.own[0]], *sides[0].values, *sides[1].values])
    order = np.argsort(coordinates)
    return zeta[order], np.concatenate([values[None], points])[order]


def _findings(
    fit: LikelihoodFit,
    chosen: Sequence[IntervalParameter],
    limits: FloatArray,
    reasons: dict[str, str],
) -> tuple[Finding, ...]:
    """Say that the likelihood was profiled, which intervals are one-sided, and what is missing."""
    found = [REFITTED] if fit.method == "reml" else []
    for parameter, (lower, upper) in zip(chosen, limits, strict=True):
        at_end = []
        if parameter.kind == "sd" and lower == 0:
            at_end = ["0"]
        elif parameter.kind == "cor":
            at_end = [text for text, v in (("-1", lower), ("1", upper)) if abs(v) == 1]
        if at_end:
            ends = " and ".join(at_end)
            found.append(
                Finding(
                    "one_sided",
                    f"The interval of {parameter.name} ends at {ends}, the end of its range.",
                    f"The data do not rule {ends} out at this level.",
                    {"parameter": parameter.name},
                )
            )
    found += [
        Finding("no_limit", f"{name}: {reason}.", "", {"parameter": name})
        for name, reason in reasons.items()
    ]
    return tuple(found)
