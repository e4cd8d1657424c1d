"""Psychometric functions along the stimulus, their bands, and the responses they were fitted to.

The band of the population is that of psi at each stimulus: of a fit by maximum likelihood by the
delta method on the scale of logit psi, with the rates' uncertainty in it and covariance parameters
taken as known; of a posterior the quantiles of its draws.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtri

from hierbayes.arrays import FloatArray, record
from hierbayes.families.observations import checked_observations
from hierbayes.families.series import variable
from hierbayes.psychometrics.lines import POPULATION, Lines, lines
from hierbayes.psychometrics.quantities import Readings
from hierbayes.psychometrics.thresholds import line_draws, line_estimates, pse
from hierbayes.psychometrics.uncertainty import covariances, gradients
from hierbayes.results.fit import used_column
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.psychometric_fits import PsychometricFit, PsychometricPosterior
from hierbayes.results.tidy import check_level

POINTS = 81  # of a curve


@record
class PsychometricCurves:
    """What a picture of psychometric functions shows.

    Attributes
    ----------
    points : responses: ``level condition x share trials``, summed over equal rows; those of the
        population over all levels
    curves : ``level condition x estimate lower upper``; limits of the population's only
    thresholds : the table of ``pse()``
    levels, conditions : in their order; ``levels`` begins with the population
    stimulus, response, group : names of the stimulus, the response and the grouping factor ("")
    condition_names : columns of the data that conditions are made of
    is_log : whether the functions are straight in the logarithm of the stimulus
    held : other numbers and where they stand
    words : what the band is
    """

    points: pd.DataFrame
    curves: pd.DataFrame
    thresholds: pd.DataFrame
    levels: tuple[str, ...]
    conditions: tuple[str, ...]
    stimulus: str
    response: str
    group: str
    condition_names: tuple[str, ...]
    is_log: bool
    held: Mapping[str, float]
    words: str


def psychometric_curves(
    fit: PsychometricFit | PsychometricPosterior, *, groups: str = "all", level: float = 0.95
) -> PsychometricCurves:
    """Return curves, bands and responses.

    Parameters
    ----------
    fit : of ``hb.psychometric``, by either estimator
    groups : "all" for the levels of the only grouping factor too, "none" for the population
    level : level of the bands
    """
    check_level(level)
    curve = fit.response_family.curve
    assert curve is not None
    laid = lines(fit.spec, with_levels=groups == "all")
    low, high = laid.ends
    x = np.geomspace(low, high, POINTS) if laid.is_log else np.linspace(low, high, POINTS)
    if isinstance(fit, PosteriorFit):
        middle, ends = _of_draws(fit, laid, x, level)
    else:
        middle, ends = _of_fit(fit, laid, x, level)
    m = len(laid.levels)
    is_population = np.repeat(np.array(laid.levels, dtype=object) == POPULATION, x.size)
    limits = [np.where(is_population, end.ravel(), np.nan) for end in ends]
    kind = "credible" if isinstance(fit, PosteriorFit) else "confidence"
    return PsychometricCurves(
        points=_points(fit, laid),
        curves=pd.DataFrame(
            {
                "level": np.repeat(np.array(laid.levels, dtype=object), x.size),
                "condition": np.repeat(np.array(laid.conditions, dtype=object), x.size),
                "x": np.tile(x, m),
                "estimate": middle.ravel(),
                "lower": limits[0],
                "upper": limits[1],
            }
        ),
        thresholds=pd.DataFrame(pse(fit, **_plainly(groups, level))),
        levels=tuple(dict.fromkeys(laid.levels)),
        conditions=tuple(dict.fromkeys(laid.conditions)),
        condition_names=laid.condition_names,
        stimulus=curve.stimulus,
        response=fit.design.formula.response_label,
        group=fit.design.factors[0].name if m > len(set(laid.conditions)) else "",
        is_log=laid.is_log,
        held=laid.held,
        words=f"{100 * level:g} % {kind} band of the typical level",
    )


def _plainly(groups: str, level: float) -> dict[str, object]:
    return {
        "groups": groups,
        "method": None,
        "level": level,
        "of": "core",
        "differences": False,
        "nsim": 1,
        "random_seed": None,
    }


def _of_fit(
    fit: PsychometricFit, laid: Lines, x: FloatArray, level: float
) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
    """Psi of every line at x, and limits, (m, x)."""
    at, link = line_estimates(fit, laid), fit.response_family.link
    z = float(ndtri((1 + level) / 2))
    span = 1.0 - at.guess - at.lapse
    psi, errors = [], []
    for t in laid.places(x):
        eta = variable(at.a + at.s * t, order=1)
        core = link.inverse(eta)
        share, steep = np.asarray(core.value), span * core.derivative(1)
        found = Readings(
            value=at.guess + span * share,
            in_a=steep,
            in_s=steep * t,
            in_guess=1.0 - share,
            in_lapse=-share,
        )
        own = gradients(fit, laid, found)
        psi.append(found.value)
        errors.append(np.sqrt(covariances(fit, own, own)))
    p, se = np.array(psi).T, np.array(errors).T
    with np.errstate(divide="ignore", invalid="ignore"):  # at rates of zero, far out
        half = z * se / (p * (1 - p))
        ends = [np.where(se > 0, expit(logit(p) + side * half), p) for side in (-1, 1)]
    return p, (ends[0], ends[1])


def _of_draws(
    fit: PsychometricPosterior, laid: Lines, x: FloatArray, level: float
) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
    """Medians of psi of every line at x, and quantiles, (m, x)."""
    at, family = line_draws(fit, laid), fit.response_family
    tails = [(1 - level) / 2, 0.5, (1 + level) / 2]
    found = []
    for t in laid.places(x):
        psi = at.guess + (1.0 - at.guess - at.lapse) * family.mean(at.a + at.s * t)
        found.append(np.quantile(psi, tails, axis=0))
    low, middle, high = np.transpose(np.array(found), (1, 2, 0))
    return middle, (low, high)


def _points(fit: PsychometricFit | PsychometricPosterior, laid: Lines) -> pd.DataFrame:
    """Responses by level, condition and stimulus, and those of all levels together."""
    curve = fit.response_family.curve
    assert curve is not None
    y, trials = checked_observations(fit.design, fit.response_family).T
    rows = pd.DataFrame({
        "condition": np.array(laid.condition_of_rows, dtype=object),
        "x": np.asarray(used_column(fit, curve.stimulus), dtype=np.float64),
        "successes": y,
        "trials": trials,
    })  # fmt: skip
    parts = [rows.assign(level=POPULATION)]
    if (laid.codes >= 0).any():
        (factor,) = fit.design.factors
        parts.append(rows.assign(level=factor.levels.astype(str).astype(object)[factor.codes]))
    every = pd.concat(parts, ignore_index=True)
    by = ["level", "condition", "x"]
    found = every.groupby(by, sort=False)[["successes", "trials"]].sum().reset_index()
    found["share"] = found["successes"] / found["trials"]
    return found[[*by, "share", "trials"]]
