"""Thresholds, just noticeable differences, widths and slopes of fits, with their intervals.

Of a fit by maximum likelihood they are read off the estimates, and of the levels off the modes;
their limits come

- by the delta method: estimate -+ z standard errors (``uncertainty.py``)
- by Fieller's theorem, of ratios (``limits.py``)
- from the profile of the likelihood, in the population (``held_quantity.py``)
- by a parametric bootstrap (``refits.py``): quantiles in the population; of a level, whose effects
  are drawn anew with each response, the estimate less the quantiles of estimate minus truth

and of a posterior from its draws: median, sd and equal-tailed limits.
"""

from itertools import combinations
from typing import Any

import numpy as np
from scipy.special import ndtri

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.bayes.predictive import flat_draws
from hierbayes.capabilities import not_supported
from hierbayes.errors import OptionError
from hierbayes.families.psychometric import Curve
from hierbayes.options import (
    CurvePart,
    ThresholdLevels,
    ThresholdMethod,
    check_option,
    random_generator,
)
from hierbayes.prediction.reference_grid import is_estimable
from hierbayes.psychometrics.held_quantity import profile_limits
from hierbayes.psychometrics.limits import fieller
from hierbayes.psychometrics.lines import POPULATION, Lines, lines
from hierbayes.psychometrics.quantities import JND_ENDS, Quantity, Readings, read
from hierbayes.psychometrics.refits import simulated_refits
from hierbayes.psychometrics.uncertainty import Gradients, covariances, curve_of, gradients
from hierbayes.results.fit import Fit
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.psychometric_fits import PsychometricFit, PsychometricPosterior
from hierbayes.results.threshold_table import THRESHOLD_COLUMNS, ThresholdTable
from hierbayes.results.tidy import check_level
from hierbayes.wording import listed, shown

Psychometric = PsychometricFit | PsychometricPosterior
MOST_LOST = 0.05  # part of bootstrap samples without an estimate, from which limits are none


@record
class Request:
    """What is asked: a quantity, of whom, and how its limits are made."""

    quantity: Quantity
    method: str
    groups: str
    differences: bool
    level: float
    nsim: int
    random_seed: Any


@record
class _Limits:
    """Estimates with errors and limits, arrays (m,), on the scale of the user."""

    estimate: FloatArray
    std_error: FloatArray
    lower: FloatArray
    upper: FloatArray


def pse(fit: Psychometric, **options: Any) -> ThresholdTable:
    """Points of subjective equality; see ``Thresholds.pse``."""
    return _table(fit, _quantity("pse", options, (0.5,)), options)


def threshold(fit: Psychometric, p: Any, **options: Any) -> ThresholdTable:
    """Stimuli of a probability; see ``Thresholds.threshold``."""
    return _table(fit, _quantity("threshold", options, (_share("p", p),)), options)


def jnd(fit: Psychometric, **options: Any) -> ThresholdTable:
    """Just noticeable differences; see ``Thresholds.jnd``."""
    return _table(fit, _quantity("jnd", options, JND_ENDS, factor=0.5), options)


def width(fit: Psychometric, share: Any, **options: Any) -> ThresholdTable:
    """Widths; see ``Thresholds.width``."""
    tail = (1.0 - _share("share", share)) / 2
    return _table(fit, _quantity("width", options, (tail, 1.0 - tail)), options)


def slope(fit: Psychometric, **options: Any) -> ThresholdTable:
    """Slopes; see ``Thresholds.slope``."""
    return _table(fit, _quantity("slope", options), options)


def _share(name: str, given: Any) -> float:
    is_number = isinstance(given, int | float | np.number) and not isinstance(given, bool)
    if not is_number or not 0 < given < 1:
        raise OptionError(f"{name}={shown(given)} must be a number between 0 and 1.")
    return float(given)


def _quantity(
    name: Any, options: dict[str, Any], shares: tuple[float, ...] = (), factor: float = 1.0
) -> Quantity:
    of = options.pop("of")
    check_option("of", of, CurvePart)
    return Quantity(name=name, of=of, shares=shares, factor=factor)


def _table(fit: Psychometric, quantity: Quantity, options: dict[str, Any]) -> ThresholdTable:
    asked = _request(fit, quantity, options)
    laid = lines(fit.spec, with_levels=asked.groups == "all")
    estimable = _estimable(fit, laid)
    _check_reach(fit, quantity)
    pairs = _pairs(laid) if asked.differences else None
    if isinstance(fit, PosteriorFit):
        found = _of_draws(fit, laid, asked, pairs)
    else:
        found = METHODS[asked.method](fit, laid, asked, pairs)
    levels, conditions = laid.levels, laid.conditions
    if pairs is not None:
        second, first = pairs
        levels = tuple(levels[i] for i in second)
        conditions = tuple(
            f"{conditions[j]} - {conditions[i]}" for j, i in zip(*pairs, strict=True)
        )
        estimable = estimable[second] & estimable[first]
    parts = [found.estimate, found.std_error, found.lower, found.upper]
    parts = [np.where(estimable, part, np.nan) for part in parts]
    columns = [levels, conditions, *parts, [asked.method] * len(levels)]
    table = ThresholdTable(dict(zip(THRESHOLD_COLUMNS, columns, strict=True)))
    table.attrs.update(_words(fit, laid, asked))
    return table


def _estimable(fit: Fit, laid: Lines) -> Any:
    """Whether both ends of each line are determined, (m,)."""
    X, kept = fit.design.X, fit.kept
    if kept.size == X.shape[1]:
        return np.ones(len(laid.levels), dtype=np.bool_)
    whole = np.zeros((2, len(laid.levels), X.shape[1]))
    whole[0][:, kept], whole[1][:, kept] = laid.start.fixed, laid.step.fixed
    return is_estimable(whole[0], X, kept) & is_estimable(whole[1], X, kept)


def _request(fit: Fit, quantity: Quantity, options: dict[str, Any]) -> Request:
    method, groups = options["method"], options["groups"]
    default = "posterior" if isinstance(fit, PosteriorFit) else "delta"
    method = default if method is None else check_option("method", method, ThresholdMethod)
    if (method == "posterior") != isinstance(fit, PosteriorFit):
        what = (
            "a posterior has limits from its draws"
            if default == "posterior"
            else ("a fit by maximum likelihood has no draws; model.sample() has")
        )
        raise OptionError(f"method={shown(method)}: {what}. Leave method out.")
    check_level(options["level"])
    several = len(fit.design.factors) > 1
    if groups is None:
        groups = "none" if several or method == "profile" else "all"
    check_option("groups", groups, ThresholdLevels)
    if groups == "all" and several:
        raise not_supported("thresholds-of-several-factors", factors=len(fit.design.factors))
    if groups == "all" and method == "profile" and fit.design.factors:
        raise not_supported("profile-of-levels")
    differences = options["differences"]
    if not isinstance(differences, bool):
        raise OptionError(f"differences={shown(differences)} must be True or False.")
    if differences and method in ("fieller", "profile"):
        raise not_supported("limits-of-differences", method=method)
    if method == "fieller" and quantity.name == "slope":
        raise OptionError(
            "method='fieller' is for ratios: pse, jnd, width and threshold; a slope has "
            "method='delta' or 'profile'."
        )
    if method == "profile" and quantity.of == "curve" and _has_estimated_rates(fit):
        raise not_supported("profile-of-whole-curve", rates=listed(_curve(fit).estimated))
    nsim = options["nsim"]
    whole = isinstance(nsim, int | np.integer) and not isinstance(nsim, bool)
    if not whole or nsim < 1:
        raise OptionError(f"nsim={shown(nsim)} must be a whole number of at least 1.")
    return Request(
        quantity=quantity,
        method=str(method),
        groups=groups,
        differences=differences,
        level=float(options["level"]),
        nsim=int(nsim),
        random_seed=options["random_seed"],
    )


def _curve(fit: Fit) -> Curve:
    curve = fit.response_family.curve
    assert curve is not None
    return curve


def _has_estimated_rates(fit: Fit) -> bool:
    return not _curve(fit).rates_are_known


def _check_reach(fit: Fit, quantity: Quantity) -> None:
    """Refuse a probability that a whole curve between known asymptotes never has."""
    curve = _curve(fit)
    if quantity.of == "core" or not curve.rates_are_known:
        return
    guess, lapse = curve.rates({})
    for p in quantity.shares:
        if not guess < p < 1.0 - lapse:
            raise OptionError(
                f"{quantity.name} of the whole curve rests on the probability {p:g}, which a curve "
                f"between {guess:g} (guess) and {1 - lapse:g} (1 - lapse) never has. of='core' is "
                "of the core function, between 0 and 1."
            )


def _pairs(laid: Lines) -> tuple[IntArray, IntArray]:
    """Places of the second and first line of each pair of conditions of a level."""
    second, first = [], []
    for level in dict.fromkeys(laid.levels):
        own = [i for i, name in enumerate(laid.levels) if name == level]
        for i, j in combinations(own, 2):
            first.append(i)
            second.append(j)
    if not first:
        raise OptionError(
            "differences=True compares conditions, and there is only one: the formula has no "
            "category besides the stimulus."
        )
    return np.array(second, dtype=np.intp), np.array(first, dtype=np.intp)


# the lines of a fit at its estimates


@record
class LineEstimates:
    """What lines have at some estimates: arrays (..., m), and the two rates that fit them."""

    a: FloatArray
    s: FloatArray
    guess: FloatArray
    lapse: FloatArray


def _at(
    laid: Lines, curve: Curve, beta: FloatArray, modes: FloatArray | None, rates: dict[str, Any]
) -> LineEstimates:
    """Lines at coefficients (..., p), effects (..., J, q) and rates (...,) or (..., 1)."""
    a, s = (beta @ part.fixed.T + part.offset for part in (laid.start, laid.step))
    known = np.flatnonzero(laid.codes >= 0)
    if modes is not None and laid.start.random.shape[1] and known.size:
        b = modes[..., laid.codes[known], :]
        a, s = (np.broadcast_to(x, (*b.shape[:-2], x.shape[-1])).copy() for x in (a, s))
        a[..., known] += (laid.start.random[known] * b).sum(axis=-1)
        s[..., known] += (laid.step.random[known] * b).sum(axis=-1)
    guess, lapse = (np.asarray(rate, dtype=np.float64) for rate in curve.rates(rates))
    return LineEstimates(a=a, s=s, guess=guess, lapse=lapse)


def _read(fit: Fit, quantity: Quantity, at: LineEstimates) -> Readings:
    link = fit.response_family.link
    return read(quantity, link, a=at.a, s=at.s, guess=at.guess, lapse=at.lapse)


def _shown_scale(laid: Lines, quantity: Quantity, value: FloatArray) -> FloatArray:
    """Carry values from the scale of t - origin to the user's."""
    if quantity.is_location:
        t = value + laid.origin
        return np.exp(t) if laid.is_log else t
    return np.exp(value) if laid.is_log and quantity.is_distance else value


def _shown_slope(laid: Lines, quantity: Quantity, value: FloatArray) -> FloatArray:
    """Slope of that scale in t."""
    if laid.is_log and quantity.name != "slope":
        return _shown_scale(laid, quantity, value)
    return np.ones_like(value)


def line_estimates(fit: GeneralisedFit, laid: Lines) -> LineEstimates:
    """Lines at the estimates of a fit, levels at their modes."""
    modes = fit.modes[0] if len(fit.design.factors) == 1 else None
    return _at(laid, curve_of(fit), fit.beta, modes, dict(fit.dispersion))


def _z(asked: Request) -> float:
    return float(ndtri((1 + asked.level) / 2))


def _by_delta(
    fit: GeneralisedFit, laid: Lines, asked: Request, pairs: tuple[IntArray, IntArray] | None
) -> _Limits:
    found = _read(fit, asked.quantity, line_estimates(fit, laid))
    own = gradients(fit, laid, found)
    shown_value = _shown_scale(laid, asked.quantity, found.value)
    steep = _shown_slope(laid, asked.quantity, found.value)
    z = _z(asked)
    if pairs is None:
        se = _errors(fit, own)
        ends = [_shown_scale(laid, asked.quantity, found.value + side * z * se) for side in (-1, 1)]
        return _Limits(estimate=shown_value, std_error=steep * se, lower=ends[0], upper=ends[1])
    value = shown_value[pairs[0]] - shown_value[pairs[1]]
    se = _errors(fit, own.times(steep).differences(*pairs))
    return _Limits(estimate=value, std_error=se, lower=value - z * se, upper=value + z * se)


def _errors(fit: GeneralisedFit, of: Gradients) -> FloatArray:
    return np.sqrt(covariances(fit, of, of))


def _by_fieller(
    fit: GeneralisedFit, laid: Lines, asked: Request, pairs: tuple[IntArray, IntArray] | None
) -> _Limits:
    """Limits of top / s, where top = value s has the derivatives s dvalue + value ds."""
    del pairs
    by_delta = _by_delta(fit, laid, asked, None)
    at = line_estimates(fit, laid)
    found = _read(fit, asked.quantity, at)
    s = np.abs(at.s) if asked.quantity.is_distance else at.s
    sign = np.sign(at.s) if asked.quantity.is_distance else np.ones_like(at.s)
    none = np.zeros_like(s)
    top = Readings(
        value=found.value * s,
        in_a=found.in_a * s,
        in_s=found.in_s * s + found.value * sign,
        in_guess=found.in_guess * s,
        in_lapse=found.in_lapse * s,
    )
    bottom = Readings(value=s, in_a=none, in_s=sign, in_guess=none, in_lapse=none)
    of_top, of_bottom = gradients(fit, laid, top), gradients(fit, laid, bottom)
    ends = fieller(
        top.value,
        bottom.value,
        var_top=covariances(fit, of_top, of_top),
        var_bottom=covariances(fit, of_bottom, of_bottom),
        covariance=covariances(fit, of_top, of_bottom),
        z=_z(asked),
    )
    if asked.quantity.is_distance:  # a distance is positive, and its lower limit always is there
        ends = _distance_ends(fit, top, of_bottom, bottom.value, ends, _z(asked))
    lower, upper = (_shown_scale(laid, asked.quantity, end) for end in ends)
    return _Limits(
        estimate=by_delta.estimate, std_error=by_delta.std_error, lower=lower, upper=upper
    )


def _distance_ends(
    fit: GeneralisedFit,
    top: Readings,
    of_bottom: Gradients,
    bottom: FloatArray,
    ends: tuple[FloatArray, FloatArray],
    z: float,
) -> tuple[FloatArray, FloatArray]:
    """Where the slope may be zero: from the distance of its steepest value on, without end."""
    steepest = bottom + z * np.sqrt(covariances(fit, of_bottom, of_bottom))
    open_ended = np.isinf(ends[1])
    lower = np.where(open_ended, top.value / steepest, ends[0])
    return lower, ends[1]


def _by_profile(
    fit: GeneralisedFit, laid: Lines, asked: Request, pairs: tuple[IntArray, IntArray] | None
) -> _Limits:
    del pairs
    at = line_estimates(fit, laid)
    found = _read(fit, asked.quantity, at)
    se = _errors(fit, gradients(fit, laid, found))
    ends = profile_limits(
        fit,
        laid,
        asked.quantity,
        estimate=found.value,
        std_error=se,
        rates=(float(at.guess), float(at.lapse)),
        level=asked.level,
    )
    lower, upper = (_shown_scale(laid, asked.quantity, end) for end in ends)
    by_delta = _by_delta(fit, laid, asked, None)
    return _Limits(
        estimate=by_delta.estimate, std_error=by_delta.std_error, lower=lower, upper=upper
    )


def _by_bootstrap(
    fit: GeneralisedFit, laid: Lines, asked: Request, pairs: tuple[IntArray, IntArray] | None
) -> _Limits:
    values, errors = _replicates(fit, laid, asked)
    estimate = _shown_scale(
        laid, asked.quantity, _read(fit, asked.quantity, line_estimates(fit, laid)).value
    )
    codes = laid.codes
    if pairs is not None:
        second, first = pairs
        estimate, codes = estimate[second] - estimate[first], codes[second]
        values = values[:, second] - values[:, first]
        errors = errors[:, second] - errors[:, first]
    tails = [(1 - asked.level) / 2, (1 + asked.level) / 2]
    lost = ~np.isfinite(values)
    values, errors = np.where(lost, np.nan, values), np.where(lost, np.nan, errors)
    too_many = lost.mean(axis=0) > MOST_LOST
    keep = np.where(too_many, np.nan, 1.0)
    low, high = np.nanquantile(values, tails, axis=0)
    error_low, error_high = np.nanquantile(errors, tails, axis=0)
    in_population = codes < 0
    return _Limits(
        estimate=estimate,
        std_error=keep * np.nanstd(np.where(in_population, values, errors), axis=0, ddof=1),
        lower=keep * np.where(in_population, low, estimate - error_high),
        upper=keep * np.where(in_population, high, estimate - error_low),
    )


def _replicates(fit: GeneralisedFit, laid: Lines, asked: Request) -> tuple[FloatArray, FloatArray]:
    """Estimates of simulated responses, and these minus what was true, (nsim, m)."""
    rng = random_generator(asked.random_seed)
    curve, quantity = curve_of(fit), asked.quantity
    again = simulated_refits(fit, asked.nsim, rng)
    if again.size < (1 - MOST_LOST) * asked.nsim:
        raise OptionError(
            f"method='bootstrap': {asked.nsim - again.size} of {asked.nsim} simulated responses "
            "have no maximum of the likelihood that can be found; take method='delta'."
        )
    modes, effects = (
        part[0] if len(fit.design.factors) == 1 else None for part in (again.modes, again.effects)
    )
    columns = {name: value[:, None] for name, value in again.further.items()}
    estimates = _at(laid, curve, again.beta, modes, columns)
    truth = _at(laid, curve, fit.beta[None], effects, dict(fit.dispersion))
    values, true = (
        _shown_scale(laid, quantity, _read(fit, quantity, at).value) for at in (estimates, truth)
    )
    return values, values - true


METHODS = {
    "delta": _by_delta,
    "fieller": _by_fieller,
    "profile": _by_profile,
    "bootstrap": _by_bootstrap,
}


# of posteriors


def line_draws(fit: PosteriorFit, laid: Lines) -> LineEstimates:
    """Lines of every draw, arrays (S, m), and rates (S, 1)."""
    flat = flat_draws(fit.draws, fit.design)
    named = {name: value[:, None] for name, value in flat.family.items()}
    return _at(laid, _curve(fit), flat.beta, flat.b[0] if len(flat.b) == 1 else None, named)


def _of_draws(
    fit: PosteriorFit, laid: Lines, asked: Request, pairs: tuple[IntArray, IntArray] | None
) -> _Limits:
    at = line_draws(fit, laid)
    values = _shown_scale(laid, asked.quantity, _read(fit, asked.quantity, at).value)
    turns = (at.s > 0).any(axis=0) & (at.s < 0).any(axis=0)
    if pairs is not None:
        values = values[:, pairs[0]] - values[:, pairs[1]]
        turns = turns[pairs[0]] | turns[pairs[1]]
    tails = [(1 - asked.level) / 2, 0.5, (1 + asked.level) / 2]
    low, middle, high = np.quantile(values, tails, axis=0)
    sd = values.std(axis=0, ddof=1)
    # a ratio whose denominator may be zero has no sd
    sd = np.where(turns & (asked.quantity.name != "slope"), np.nan, sd)
    return _Limits(estimate=middle, std_error=sd, lower=low, upper=high)


# words

HOW = {
    "delta": "delta method",
    "fieller": "Fieller's theorem",
    "profile": "profile of the likelihood",
    "bootstrap": "parametric bootstrap",
    "posterior": "equal-tailed",
}


def _words(fit: Fit, laid: Lines, asked: Request) -> dict[str, Any]:
    """Say what was estimated, and what the limits are."""
    quantity, stimulus = asked.quantity, _curve(fit).stimulus
    part = "core function" if quantity.of == "core" else "whole curve"
    scale = f"log({stimulus})" if laid.is_log else stimulus
    what = {
        "pse": f"{stimulus} where the {part} is 0.5",
        "threshold": f"{stimulus} where the {part} is {quantity.shares[0]:g}"
        if quantity.shares
        else "",
        "jnd": f"half the distance in {scale} from 0.25 to 0.75 of the {part}",
        "width": f"distance in {scale} over the middle {1 - 2 * quantity.shares[0]:g} of the {part}"
        if quantity.shares
        else "",
        "slope": f"slope of the {fit.link} of the core function in {scale}"
        if quantity.of == "core"
        else f"slope of the whole curve in {scale} where the core function is 0.5",
    }[quantity.name]
    if laid.is_log and quantity.is_distance:
        what += ", as the ratio of stimuli it is"
    notes = [f"{name} at its mean, {value:.4g}" for name, value in laid.held.items()]
    if any(level == POPULATION for level in laid.levels) and fit.design.factors:
        notes.append(f"{POPULATION}: the typical level, random effects of zero")
    kind = "credible" if asked.method == "posterior" else "confidence"
    return {
        "quantity": quantity.name,
        "words": what + (", differences" if asked.differences else ""),
        "interval": f"{100 * asked.level:g} % {kind} interval ({HOW[asked.method]})",
        "confidence": asked.level,
        "notes": tuple(notes),
    }
