"""Likelihood profiles of sds, correlations, sigma and fixed effects, on the scale lme4 reports.

Source: Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), section 5.1; Pawitan (2001),
In All Likelihood, sections 2.6 and 3.4 (profile intervals).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.calls import checked_call
from hierbayes.errors import OptionError
from hierbayes.intervals.determined_part import (
    UNDETERMINED,
    determined_fit,
    determined_places,
    without_interval,
)
from hierbayes.intervals.generalised_profile import (
    PROFILED_BY_LAPLACE,
    GeneralisedOptimum,
    generalised_optimum,
)
from hierbayes.intervals.held_parameter import Held
from hierbayes.intervals.linear_profile import LinearOptimum, linear_optimum
from hierbayes.intervals.profile_path import Side, trace, unbounded
from hierbayes.intervals.residual_profile import ResidualOptimum, residual_ends, residual_optimum
from hierbayes.options import check_flag
from hierbayes.progress import counted_progress
from hierbayes.results.finding import Finding
from hierbayes.results.fit_tables import FitTables
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.interval_parameters import (
    IntervalParameter,
    interval_addresses,
    interval_parameters,
    parameter_names,
)
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.profile_result import ProfileResult
from hierbayes.results.tidy import check_level

REFITTED = Finding(
    "profiled_by_ml",
    "The likelihood was profiled, not the REML criterion: the model was fitted again by ML first, "
    "as lme4 does.",
    "The limits belong to the ML estimates; sds are a little larger under REML.",
    {},
)
Optimum = LinearOptimum | ResidualOptimum | GeneralisedOptimum
# Points on each side of the estimate: enough for a picture, or as far apart as the path can be
# followed when only the limits are wanted.
GRID_STEPS = 6
LIMIT_STEPS = 3


@checked_call("hb.profile")
def profile(
    fit: LikelihoodFit,
    parameters: Any = None,
    *,
    level: float = 0.99,
    progress: bool | None = None,
) -> ProfileResult:
    """Profile the likelihood of a (generalised) mixed model over each of its parameters.

    Each parameter in turn is held at a grid of values while all others take their best values
    there. What the deviance rises by is the evidence against a value; its signed root, zeta, is
    compared with a standard normal distribution.

    Parameters
    ----------
    fit : LikelihoodFit
        Of a REML fit the likelihood is profiled all the same, as in lme4: a REML criterion cannot
        be compared between values of a fixed effect. Of a generalised fit it is the likelihood by
        Laplace or quadrature, as it was fitted.
    parameters : str or list of str, optional
        lme4's names, such as ``"sd_(Intercept)|Subject"``, ``"sigma"``, ``"Days"``; or lme4's
        ``"theta_"`` (sds, correlations and sigma) and ``"beta_"`` (fixed effects). All when not
        given.
    level : float
        The profiles reach to the limits of the confidence interval of this level.
    progress : bool, optional
        Show a bar when it takes over two seconds; unless said, where somebody watches.

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
    zeta is that of Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), section 5.1.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> hb.profile(fit, level=0.95).confint().round(1).loc["sigma"].tolist()
    [49.5, 38.2, 67.7]
    """
    own = checked_fit(fit, "profile")
    check_level(level)
    if progress is not None:
        check_flag("progress", progress, "True, False or None (where somebody watches)")
    chosen = chosen_parameters(fit, parameters)
    return profiled(own, chosen, level=level, steps=GRID_STEPS, progress=progress)


def profiled(
    fit: LinearFit | GeneralisedFit,
    chosen: Sequence[IntervalParameter],
    *,
    level: float,
    steps: int,
    progress: bool | None = None,
) -> ProfileResult:
    """Profile chosen parameters, with so many points a side; see ``profile``."""
    from scipy.special import ndtri

    if isinstance(fit, LinearFit) and fit.kernel.undetermined is not None:
        return _of_determined(fit, chosen, level=level, steps=steps, progress=progress)
    optimum = _optimum(fit)
    place = {name: i for i, name in enumerate(optimum.names)}
    places = [place[p.name] for p in chosen]
    estimates = optimum.values[places]
    reasons = {
        p.name: "one of its sds is estimated as zero, so there is no correlation to profile"
        for p, v in zip(chosen, estimates, strict=True)
        if np.isnan(v)
    }
    reasons |= {p.name: reason for p in chosen if (reason := optimum.not_profiled(p))}
    defined = [p for p in chosen if p.name not in reasons]
    cutoff = float(ndtri((1 + level) / 2))
    with counted_progress("Profile", 2 * len(defined), progress) as advance:
        lines = _lines(fit, optimum, defined, cutoff=cutoff, steps=steps, advance=advance)
    limits = np.full((len(chosen), 2), np.nan)
    owners = [chosen.index(p) for p in defined]
    for owner, line in zip(owners, lines, strict=True):
        limits[owner] = line.limits
        if line.reason:
            reasons[chosen[owner].name] = line.reason
    sizes = [line.zeta.size for line in lines]
    return ProfileResult(
        names=tuple(p.name for p in chosen),
        estimates=estimates,
        level=float(level),
        limits=limits,
        owner=np.repeat(np.array(owners, dtype=np.intp), sizes),
        zeta=np.concatenate([*(line.zeta for line in lines), np.empty(0)]),
        all_names=optimum.names,
        points=np.concatenate(
            [*(line.points for line in lines), np.empty((0, optimum.values.size))]
        ),
        deviance=optimum.lowest,
        reasons=reasons,
        findings=_findings(fit, chosen, limits, reasons),
        formula_text=fit.formula_text,
        data_name=fit.data_name,
    )


def _of_determined(
    fit: LinearFit,
    chosen: Sequence[IntervalParameter],
    *,
    level: float,
    steps: int,
    progress: bool | None,
) -> ProfileResult:
    """Profile what the data determine, in the model without the rest; a reason for the others."""
    part, places = determined_fit(fit), determined_places(fit)
    known, own = interval_parameters(fit), interval_parameters(part)
    lost, unknown = without_interval(fit), fit.undetermined_parameters
    at = np.array([known.index(p) for p in chosen], dtype=np.intp)
    used = np.flatnonzero(~lost[at])
    found = profiled(
        part, [own[places[i]] for i in at[used]], level=level, steps=steps, progress=progress
    )
    values = np.where(unknown, np.nan, linear_optimum(part).values[places])
    limits = np.full((at.size, 2), np.nan)
    limits[used] = found.limits
    reasons = {**found.reasons, **{known[i].name: UNDETERMINED for i in at[lost[at]]}}
    return replace(
        found,
        names=tuple(p.name for p in chosen),
        estimates=values[at],
        limits=limits,
        owner=used[found.owner],
        all_names=parameter_names(fit),
        points=np.where(unknown, np.nan, found.points[:, places]),
        reasons=reasons,
        findings=_findings(fit, chosen, limits, reasons),
    )


def _optimum(fit: LinearFit | GeneralisedFit) -> Optimum:
    if isinstance(fit, GeneralisedFit):
        return generalised_optimum(fit)
    return linear_optimum(fit) if fit.residual is None else residual_optimum(fit)


def checked_fit(given: object, function: str) -> LinearFit | GeneralisedFit:
    """Return a likelihood fit, whose likelihood can be profiled; else raise OptionError."""
    if isinstance(given, LinearFit | GeneralisedFit):
        return given
    raise OptionError(
        f"hb.{function} needs a REML or ML fit, as hb.lmer(...) gives it, not "
        f"{type(given).__name__}."
    )


def chosen_parameters(fit: FitTables, parameters: Any) -> list[IntervalParameter]:
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
    addresses = interval_addresses(known)
    groups = {
        "theta_": {i for i, p in enumerate(known) if p.kind != "fixed"},
        "beta_": {i for i, p in enumerate(known) if p.kind == "fixed"},
    }
    wanted: set[int] = set()
    for name in given:
        if isinstance(name, str) and name in groups and not addresses.find(name):
            wanted |= groups[name]
        else:
            wanted.add(addresses.place(name))
    if not wanted:
        raise OptionError("parameters names none; leave it out for all of them.")
    return [known[place] for place in sorted(wanted)]


@record(kw_only=False)
class _Line:
    """The profile of one parameter: zeta (N,) and all parameters (N, M) by its value; limits."""

    zeta: FloatArray
    points: FloatArray
    limits: tuple[float, float]
    reason: str


def _lines(
    fit: LinearFit | GeneralisedFit,
    optimum: Optimum,
    parameters: Sequence[IntervalParameter],
    *,
    cutoff: float,
    steps: int,
    advance: Callable[[int], None],
) -> list[_Line]:
    """Profile each of the parameters."""
    if not parameters:
        return []
    held, z, correction = optimum.hold(parameters)
    traced = trace(
        optimum.deviance,
        held,
        z,
        cutoff=cutoff,
        steps=steps,
        correction=correction,
        advance=advance,
    )
    known = interval_parameters(fit)
    lines = []
    for i, (parameter, sides) in enumerate(zip(parameters, traced, strict=True)):
        entry = held.take(np.array([i]))
        if optimum.never_ends(parameter):
            for side in sides:
                if side.limit in (entry.lower[0], entry.upper[0]):  # it may go on for ever
                    side.limit, side.reason = np.nan, unbounded(cutoff)
        coordinates = np.array([z[i, entry.own[0]], *sides[0].values, *sides[1].values])
        order = np.argsort(coordinates)
        zeta = np.array([0.0, *sides[0].zetas, *sides[1].zetas])
        place = known.index(parameter)
        followed = _points(optimum, known, place=place, entry=entry, sides=sides)
        points = np.concatenate([optimum.values[None], followed])
        failed = [
            f"no {end} limit: {side.reason}"
            for end, side in zip(("lower", "upper"), sides, strict=True)
            if side.reason
        ]
        ends = np.repeat(z[i : i + 1], 2, axis=0)
        ends[:, entry.own[0]] = [side.limit for side in sides]
        both = entry.take(np.zeros(2, dtype=np.intp))
        lower, upper = optimum.reported(parameter, both, ends).tolist()
        lines.append(_Line(zeta[order], points[order], (lower, upper), "; ".join(failed)))
    return lines


def _points(
    optimum: Optimum,
    known: Sequence[IntervalParameter],
    *,
    place: int,
    entry: Held,
    sides: tuple[Side, Side],
) -> FloatArray:
    """Values of all ``known`` parameters (N, M) at the points of both sides of the one at place."""
    both = [*sides[0].points, *sides[1].points]
    parameter = known[place]
    if not both:
        return np.empty((0, len(known)))
    at = np.array([point for point, _ in both])
    held = entry.take(np.zeros(len(both), dtype=np.intp))
    triangles = optimum.shape.unpack(held.entries(at))
    Lambdas = [
        np.swapaxes(turn, 1, 2) @ triangle
        for turn, triangle in zip(held.turns, triangles, strict=True)
    ]
    points = optimum.values_at(held, Lambdas, at, np.array([b for _, b in both]))
    own = optimum.reported(parameter, held, at)
    points[:, place] = own
    if parameter.kind == "sd":  # a correlation beside an sd of exactly zero does not exist
        same = [p for p in known if p.term == parameter.term]
        lone = sum(p.kind == "sd" for p in same) == 1  # the only scale of a structure
        for i, other in enumerate(known):
            beside = other.term == parameter.term and (
                parameter.row in (other.row, other.column) if parameter.place < 0 else lone
            )
            if beside and other.kind == "cor":
                points[own == 0, i] = np.nan
    return points


def _residual_ends(
    fit: LinearFit, parameter: IntervalParameter, limits: tuple[float, float]
) -> list[str]:
    """Return the ends of the range of a correlation of residuals that are its limits."""
    if parameter.row < fit.spec.residuals.structure.n_spreads:
        return []
    ends = zip(limits, residual_ends(fit), strict=True)
    return [f"{end:.4g}" for limit, end in ends if limit == end]


def _findings(
    fit: LinearFit | GeneralisedFit,
    chosen: Sequence[IntervalParameter],
    limits: FloatArray,
    reasons: dict[str, str],
) -> tuple[Finding, ...]:
    """Say that the likelihood was profiled, which intervals are one-sided, and what is missing."""
    found = [REFITTED] if fit.method == "reml" else []
    if isinstance(fit, GeneralisedFit) and not fit.n_quadrature:
        found.append(PROFILED_BY_LAPLACE)
    for parameter, (lower, upper) in zip(chosen, limits, strict=True):
        at_end = []
        if parameter.kind == "sd" and lower == 0:
            at_end = ["0"]
        elif parameter.kind == "cor":
            at_end = [text for text, v in (("-1", lower), ("1", upper)) if abs(v) == 1]
        elif parameter.kind == "residual" and isinstance(fit, LinearFit):
            at_end = _residual_ends(fit, parameter, (lower, upper))
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
