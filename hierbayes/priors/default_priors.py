"""Default priors: weakly informative, scaled by the data (Gelman et al. 2008; rstanarm's idea).

With the scale s and the centre m of the response on the link scale, and w = 2.5:

- intercept, at centred predictors: Normal(m, w s)
- coefficient of a column x: Normal(0, w s / sd(x))
- sd of the random effects of a column z: HalfStudentT(4, w s / sd(z))
- correlations of a term: LKJ(2)
- one sd of all columns z of a term, ``cs(0 + f | g, hom = TRUE)``: HalfStudentT(4, w s / r) with r
  the root mean square of the length of z over rows, 1 for the indicators of a factor
- correlation of a pattern: uniform between its bounds, (-1, 1) of ar1, (-1 / (q - 1), 1) of cs with
  q columns; of toep each partial autocorrelation on (-1, 1)
- thresholds of ordered categories, at centred predictors: Normal(0, 2.5), in their order
- residual sd: HalfStudentT(4, sd(y))

- a further parameter that has a formula: its intercept, on the scale of its link (log, of shares
  logit) at centred predictors, Normal with the median and the 5 to 95 % range of the prior that the
  parameter would have without a formula, carried over to that scale (of a residual sd: log sd(y)
  less 0.30, and 1.13); slopes Normal(0, w / sd(x)) and sds of effects HalfStudentT(4, w / sd(z))
  with w = 1, of logits 2.5

All scale with the data: y -> c y or x -> c x changes the unit of the prior and nothing else.

``m`` and ``s`` are the mean and sd of y (offset taken off) for an identity link. With a link that
takes the units off (logit, probit, cloglog, softmax) they are 0 and 1; with an inverse link they
are carried over by its slope at the mean of y.

With log, m is the log of the mean of y and s = sqrt(log(1 + var(y) / mean(y)^2)), the sd of the
logarithm of a log-normal variable of that mean and variance, at least 1/2; and w is 1: a predictor
that explains all of the spread has a coefficient of s / sd(x). What is wide on the scale of a
response is beyond all numbers as an exponent: with w s = 2.5, 4 % of the prior predictive means of
counts of 6 on average (of ticks, two grouping factors) are above a million, and 0.3 % so.

A constant column has no sd: its root mean square takes the place, 1 for an intercept. Without an
intercept in the fixed part nothing holds the mean of y, so the coefficients' s is the root mean
square of y instead of its sd.
"""

import numpy as np
from scipy.special import ndtri

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.counted import counted_moments, mean_of
from hierbayes.design.design import Design
from hierbayes.design.moments import Moments
from hierbayes.families.family import Family
from hierbayes.families.parameter_formulas import ParameterLink
from hierbayes.gaussian.covariance import Structure
from hierbayes.gaussian.structures import Searched
from hierbayes.priors.distributions import (
    Beta,
    Flat,
    Gamma,
    HalfCauchy,
    HalfStudentT,
    LogNormal,
    Normal,
    Prior,
    Uniform,
)
from hierbayes.priors.lkj import LKJ

WIDE = 2.5  # prior sds in units of the response's scale, as in rstanarm
WIDE_LOG = 1.0  # in units of the spread of logarithms
LEAST_LOG_SPREAD = 0.5  # responses that hardly vary do not say that their levels can't
DF = 4.0  # of the half-t priors: finite variance, tails that let the data win
CORRELATIONS = LKJ(2)
# An sd this small against the root mean square is rounding: the column is constant.
CONSTANT = 1e-9


@record(kw_only=False)
class ResponseScale:
    """Where the response lies and how far it spreads.

    Attributes
    ----------
    centre, spread : on the link scale
    size : root mean square on the link scale where the link keeps units, else ``spread``
    mean, sd : of the response itself (of its logarithm for a lognormal), offset not taken off
    wide : prior sds of coefficients, in units of ``spread``
    """

    centre: float
    spread: float
    size: float
    mean: float
    sd: float
    wide: float = WIDE


def response_scale(design: Design, family: Family) -> ResponseScale:
    """Centre and spread of the response on the link scale; see the module's header."""
    known = design.rows.moments
    if known is not None and family.is_linear:
        own, rest = known.response, known.left
        return ResponseScale(
            float(rest.mean[0]),
            float(spreads_of(rest)[0]),
            float(rest.rms[0]) or 1.0,
            float(own.mean[0]),
            float(spreads_of(own)[0]),
        )
    design = design.summands
    y = design.y if design.y.ndim == 1 else design.y[:, 0] / design.y.sum(axis=1).clip(min=1)
    counts = of_y = design.counts
    if family.is_log_response:
        positive = y > 0
        y = np.log(y[positive]) if positive.any() else np.zeros(1)
        of_y = None if counts is None or not positive.any() else counts[positive]
    link = family.link
    mean = mean_of(y, of_y) if y.size else 0.0
    sd = spread_of(y, of_y)
    offset = np.zeros(design.y.shape[0]) if design.offset is None else design.offset
    if link.keeps_units:
        left = y - offset if y.size == offset.size else y - mean_of(offset, counts)
        size = float(np.sqrt(mean_of(left**2, of_y))) or 1.0
        return ResponseScale(mean_of(left, of_y), spread_of(left, of_y), size, mean, sd)
    if link.power == 0 and mean > 0:
        with np.errstate(over="ignore"):
            centre = float(np.log(mean) - np.log(mean_of(np.exp(offset), counts)))
        centre = centre if np.isfinite(centre) else 0.0
        spread = _log_spread(y, offset, counts)
        size = float(np.hypot(centre, spread))
        return ResponseScale(centre, spread, size, mean, sd, WIDE_LOG)
    if link.may_have_no_mean and mean > 0:
        power = -link.power
        centre, spread = mean**-power, power * sd * mean ** -(power + 1)
        centre -= mean_of(offset, counts)
        return ResponseScale(centre, spread, float(np.hypot(centre, spread)), mean, sd)
    return ResponseScale(0.0, 1.0, 1.0, mean, sd)


def _log_spread(y: FloatArray, offset: FloatArray, counts: IntArray | None) -> float:
    """Sd of the logarithm of a log-normal variable of the mean and variance of y / exp(offset)."""
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        rates = y / np.exp(offset - mean_of(offset, counts))
        mean = mean_of(rates, counts)
        found = float(np.sqrt(np.log1p(mean_of((rates - mean) ** 2, counts) / mean**2)))
    return max(found, LEAST_LOG_SPREAD) if np.isfinite(found) else 1.0


def spread_of(column: FloatArray, counts: IntArray | None = None) -> float:
    """Sample sd of values (n,), each of so many rows; of a constant one the root mean square.

    1 where that is 0.
    """
    if counts is not None:
        return float(spreads_of(counted_moments(column[:, None], counts))[0])
    size = float(np.sqrt(np.mean(column**2))) if column.size else 0.0
    sd = float(np.std(column, ddof=1)) if column.size > 1 else 0.0
    return sd if sd > CONSTANT * size else size or 1.0


def spreads_of(known: Moments) -> FloatArray:
    """Return what ``spread_of`` says of columns of which moments are known, shape (m,)."""
    size, sd = known.rms, known.sd
    return np.where(sd > CONSTANT * size, sd, np.where(size > 0, size, 1.0))


def column_spreads(columns: FloatArray) -> FloatArray:
    """``spread_of`` each column (n, m), shape (m,)."""
    return np.array([spread_of(column) for column in columns.T])


def coefficient_priors(
    spreads: FloatArray, *, intercept: int | None, scale: ResponseScale, is_centred: bool = True
) -> tuple[Prior, ...]:
    """Priors of the coefficients of columns of X that spread by ``spreads`` (p,).

    ``is_centred``: whether an intercept or thresholds hold the mean of the response.
    """
    spread = scale.spread if is_centred else scale.size
    return tuple(
        Normal(scale.centre, scale.wide * scale.spread)
        if position == intercept
        else Normal(0, scale.wide * spread / own)
        for position, own in enumerate(spreads.tolist())
    )


def sd_priors(spreads: FloatArray, *, scale: ResponseScale) -> tuple[Prior, ...]:
    """Priors of the sds of columns of a grouping factor that spread by ``spreads`` (q,).

    Columns that have one sd move a row by that sd times the length of the row in them, which is
    then the spread of each: 1 for the indicators of a factor, as of an intercept.
    """
    wide = scale.wide * scale.spread
    return tuple(HalfStudentT(DF, wide / own) for own in spreads.tolist())


def pattern_priors(own: Structure | None) -> tuple[Prior | None, ...]:
    """Priors of the parameters of a structure that are no scales: uniform between their bounds.

    None of one without bounds, which has to have its own.
    """
    if own is None:
        return ()
    assert not isinstance(own, Searched)
    ends = own.bounds[~own.is_scale].tolist()
    return tuple(Uniform(*end) if np.isfinite(end).all() else None for end in ends)


def sigma_prior(design: Design, *, family: Family, scale: ResponseScale) -> Prior | None:
    """Prior of the residual sd; None where it is known or the family has none."""
    if not family.weighs_sigma or design.known_sd is not None:
        return None
    given = next(p.prior for p in family.parameters if p.name == "sigma")
    unit = scale.spread if family.link.keeps_units else scale.sd
    return given if isinstance(given, Prior) else HalfStudentT(DF, unit)


@record(kw_only=False)
class LinkScale:
    """What a prior of a parameter says on the scale of a link: centre and spread, and ``wide``.

    NaN of an improper prior.
    """

    centre: float
    spread: float
    wide: float


def link_scale(law: Prior, link: ParameterLink) -> LinkScale:
    """Return the median and the spread of a prior of a parameter on the scale of its predictor.

    The spread is that of a normal distribution of the same 5 to 95 % range.
    """
    low, middle, high = link.predictor(law.quantile((0.05, 0.5, 0.95)))
    spread = float(abs(high - low) / (2 * ndtri(0.95)))
    return LinkScale(float(middle), spread, WIDE if link.is_share else WIDE_LOG)


def formula_coefficient_priors(
    X: FloatArray, *, intercept: int | None, scale: LinkScale
) -> tuple[Prior, ...]:
    """Priors of the coefficients of a further parameter's formula, of columns X (n, p).

    Without an intercept the columns that add up to a constant, as the indicators of a factor do,
    have the centre that it would have.
    """
    spreads, n = column_spreads(X).tolist(), X.shape[0]
    if not np.isfinite([scale.centre, scale.spread]).all():
        return tuple(
            Flat() if k == intercept or intercept is None else Normal(0, scale.wide / own)
            for k, own in enumerate(spreads)
        )
    if intercept is not None:
        return tuple(
            Normal(scale.centre, scale.spread) if k == intercept else Normal(0, scale.wide / own)
            for k, own in enumerate(spreads)
        )
    if not spreads:
        return ()
    shares = np.linalg.lstsq(X, np.ones(n), rcond=None)[0]
    if np.abs(X @ shares - 1.0).max() < CONSTANT * n:
        return tuple(
            Normal(scale.centre * share, float(np.hypot(scale.spread * share, scale.wide / own)))
            for share, own in zip(shares.tolist(), spreads, strict=True)
        )
    size = float(np.hypot(np.hypot(scale.centre, scale.spread), scale.wide))
    return tuple(Normal(0, size / own) for own in spreads)


def family_priors(family: Family, *, scale: ResponseScale) -> dict[str, Prior]:
    """Priors of the further parameters of a response family, by name.

    The one that a family of one's own gives, or: in units of y where the parameter has units, else
    as wide as its usual range.
    """
    laws: dict[str, Prior] = {
        "units": HalfStudentT(DF, scale.sd),
        "mean": HalfCauchy(abs(scale.mean) or 1.0),
        "shape": HalfCauchy(1),
        "share": Beta(2, 2),
        "rare": Beta(1, 10),
        "df": Gamma(2, 0.1),
        "skew": LogNormal(0, 0.5),  # 1 is symmetric, kappa and 1 / kappa mirror each other
        "cuts": Normal(0, WIDE),
    }
    return {
        p.name: p.prior if isinstance(p.prior, Prior) else laws[str(p.prior)]
        for p in family.further_parameters
    }
