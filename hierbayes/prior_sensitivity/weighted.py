"""What weighted draws say of one parameter, and the Monte-Carlo error of each number.

A draw s stands for the normal distribution N(m_s, v_s) of a coefficient given the variance
parameters, or for its own value (v_s = 0). With weights w_s that sum to 1 the posterior is the
mixture of these: its mean, sd, quantiles and probabilities are sums over s, none of them of draws
of a coefficient. The error of a sum g = sum w_s g_s is that of the mean of S w_s (g_s - g), whose
correlation along the chains counts; that of a quantile q is the one of F(q), over the density.

Source: Gelfand & Smith (1990), JASA 85:398 (averages of conditional densities); Owen (2013), Monte
Carlo theory, methods and examples, section 9.2 (self-normalised weights).
"""

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from hierbayes.arrays import FloatArray, record
from hierbayes.bayes.pareto_smoothing import pareto_k

FAR = 9.0  # sds beyond which a normal distribution has nothing
NEAR = 0.02  # of the probability on either side of a quantile of values, for the density there


@record
class Answer:
    """What weighted draws say of a parameter.

    Attributes
    ----------
    estimate, std_error, lower, upper : mean, sd and ends of the equal-tailed interval
    prob_positive : probability that it is above zero
    log_density : log density at zero; NaN where draws are values
    log_evidence : log of the mean weight before it was normalised
    influences : array, shape (S, 6), whose means have the errors of the numbers above but for
        ``std_error``, in their order
    least_error : of ``prob_positive``: a draw more or less on the other side of zero
    ess : effective number of draws, as far as the weights matter
    tail_ess : of those beyond an end of the interval, the smaller number
    pareto_k : of the weights
    """

    estimate: float
    std_error: float
    lower: float
    upper: float
    prob_positive: float
    log_density: float
    log_evidence: float
    influences: FloatArray
    least_error: float
    ess: float
    tail_ess: float
    pareto_k: float


def answer(
    log_weights: FloatArray, mean: FloatArray, variance: FloatArray | None, level: float
) -> Answer:
    """Summarise S weighted draws.

    Parameters
    ----------
    log_weights : array, shape (S,), up to nothing: their mean is the evidence
    mean : array, shape (S,)
    variance : array, shape (S,); None where ``mean`` are the values of the draws themselves
    level : of the interval
    """
    S = log_weights.size
    top = float(log_weights.max())
    relative = np.exp(log_weights - top)
    w = relative / relative.sum()
    estimate = float(w @ mean)
    spread = (mean - estimate) ** 2 + (0.0 if variance is None else variance)
    sd = None if variance is None else np.sqrt(np.maximum(variance, 0.0))
    tails = ((1 - level) / 2, (1 + level) / 2)
    if sd is None:
        ends, rises = _of_values(w, mean, tails)
        positive = (mean > 0).astype(np.float64)
        below = [(mean <= end).astype(np.float64) for end in ends]
        density, at_zero = np.nan, np.full(S, np.nan)
    else:
        ends = [_quantile(w, mean, sd, tail) for tail in tails]
        positive = ndtr(mean / sd)
        below = [ndtr((end - mean) / sd) for end in ends]
        rises = [float(w @ _normal(end, mean, sd)) for end in ends]
        at_zero = _normal(0.0, mean, sd)
        density = float(w @ at_zero)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [
            mean - estimate,
            *((share - tail) / rise for share, tail, rise in zip(below, tails, rises, strict=True)),
            positive - w @ positive,
            at_zero / density - 1,
        ]
        influences = np.column_stack([*((S * w) * part for part in parts), S * w - 1])
        log_density = float(np.log(density))
    return Answer(
        estimate=estimate,
        std_error=float(np.sqrt(w @ spread)),
        lower=ends[0],
        upper=ends[1],
        prob_positive=float(w @ positive),
        log_density=log_density,
        log_evidence=float(np.log(relative.mean())) + top,
        influences=influences,
        least_error=float(w[np.argmin(np.abs(mean))]) if sd is None else 0.0,
        ess=float(1 / (w @ w)),
        tail_ess=min(_effective(w * below[0]), _effective(w * (1 - below[1]))),
        pareto_k=pareto_k(log_weights),
    )


def _effective(w: FloatArray) -> float:
    return float(w.sum() ** 2 / (w @ w)) if w.any() else 0.0


def _normal(x: float, mean: FloatArray, sd: FloatArray) -> FloatArray:
    z = (x - mean) / sd
    return np.asarray(np.exp(-(z**2) / 2) / (np.sqrt(2 * np.pi) * sd))


def _quantile(w: FloatArray, mean: FloatArray, sd: FloatArray, tail: float) -> float:
    """Quantile of a mixture of normal distributions."""
    used = w > 0
    w, mean, sd = w[used], mean[used], sd[used]
    low, high = float((mean - FAR * sd).min()), float((mean + FAR * sd).max())
    return float(brentq(lambda x: float(w @ ndtr((x - mean) / sd)) - tail, low, high))


def _of_values(
    w: FloatArray, values: FloatArray, tails: tuple[float, float]
) -> tuple[list[float], list[float]]:
    """Quantiles of weighted values, and their densities there by the slope of the quantiles."""
    order = np.argsort(values)
    ordered, reached = values[order], np.cumsum(w[order])
    middle = (reached - w[order] / 2) / reached[-1]
    ends, rises = [], []
    for tail in tails:
        step = min(NEAR, tail / 2, (1 - tail) / 2)
        low, end, high = np.interp([tail - step, tail, tail + step], middle, ordered).tolist()
        ends.append(end)
        rises.append(2 * step / (high - low) if high > low else np.nan)
    return ends, rises
