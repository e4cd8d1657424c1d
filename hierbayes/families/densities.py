"""Log densities of the response families, on arrays and series alike.

Each takes y, the mean (families/family.py: mu, log mu, log(1 - mu) of eta) and the further
parameters by name, and returns log f(y). Parametrisations are bambi's and PyMC's:

    negativebinomial  variance mu + mu^2 / alpha          gamma     variance mu^2 / alpha
    beta              Beta(mu kappa, (1 - mu) kappa)      wald      variance mu^3 / lam
    weibull           shape alpha, expectation mu         exgaussian  nu of the exponential part
    zero-inflated     psi is the share of the counts, 1 - psi that of the extra zeros
    hurdle            psi is the probability of a response above zero
    cumulative        P(y <= k) = F(threshold_k - eta)
    sratio            P(y = k | y >= k) = F(threshold_k - eta)
"""

import math

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.families import series
from hierbayes.families.family import Mean, Parameters
from hierbayes.families.links import LINKS, Link
from hierbayes.families.recorded import Recorded
from hierbayes.families.series import Value, exp, lgamma, log, log1p, log_sum, square, times, where

LOG_2PI = math.log(2 * math.pi)
FROM_STIRLING = 50.0  # from where three terms of Stirling's series are exact


def gaussian(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """Normal(mu, sigma)."""
    return _normal(y - mean.mu, at["sigma"])


def _normal(residual: Value, sigma: Value) -> Value:
    if isinstance(residual, np.ndarray) and not isinstance(
        sigma, series.Series
    ):  # in its place: there is one for each draw and row
        residual /= sigma
        residual *= residual
        residual *= -0.5
        residual -= log(sigma) + 0.5 * LOG_2PI
        return residual
    return -0.5 * square(residual / sigma) - log(sigma) - 0.5 * LOG_2PI


def student_t(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """Mu + sigma times t with nu degrees of freedom."""
    nu, sigma = at["nu"], at["sigma"]
    half = (nu + 1) / 2
    constant = _rising(0.5, nu / 2, log(nu / 2)) - 0.5 * LOG_2PI - log(sigma)
    return constant - half * log1p(square((y - mean.mu) / sigma) / nu)


def laplace(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """Double exponential of scale b."""
    return -_absolute(y - mean.mu) / at["b"] - log(2 * at["b"])


def asymmetric_laplace(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """Laplace of scale b, falling off kappa times as fast above mu as 1 / kappa below."""
    b, kappa = at["b"], at["kappa"]
    scaled = (y - mean.mu) * b
    slope = where(series.value_of(scaled) >= 0, kappa, series.reciprocal(kappa))
    return log(b) - log(kappa + series.reciprocal(kappa)) - _absolute(scaled) * slope


def exgaussian(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """Sum of Normal(mu, sigma) and an exponential of mean nu."""
    sigma, nu = at["sigma"], at["nu"]
    residual = y - mean.mu
    ratio = sigma / nu
    return (
        -log(nu) + 0.5 * square(ratio) - residual / nu + series.log_ndtr(residual / sigma - ratio)
    )


def von_mises(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """Angles around mu with concentration kappa."""
    kappa = at["kappa"]
    return kappa * series.cos(y - mean.mu) - LOG_2PI - series.log_i0e(kappa) - kappa


def bernoulli(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """1 with probability mu."""
    if mean.link.is_symmetric and isinstance(mean.eta, np.ndarray | series.Series | Recorded):
        return mean.link.log_mu((2.0 * y - 1.0) * mean.eta)  # one logarithm in place of two
    return where(y == 1, mean.log, mean.log_complement)


def binomial(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """Successes of so many trials, each with probability mu."""
    if mean.link is LINKS["logit"] and isinstance(mean.eta, np.ndarray | series.Series):
        n = at["trials"]
        return series.log_expits(y, n - y, mean.eta) + _log_choose(n, y)
    return binomial_of_logs(y, mean.log, mean.log_complement, at)


def binomial_of_logs(y: FloatArray, success: Value, failure: Value, at: Parameters) -> Value:
    """Binomial, given the logarithms of the probabilities of a success and of a failure."""
    n = at["trials"]
    return _log_choose(n, y) + times(y, success) + times(n - y, failure)


def beta_binomial(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """Binomial whose probability is Beta(mu kappa, (1 - mu) kappa)."""
    return beta_binomial_of_logs(y, mean.log, mean.log_complement, at)


def beta_binomial_of_logs(y: FloatArray, success: Value, failure: Value, at: Parameters) -> Value:
    """Beta-binomial, given the logarithms of the mean and of its complement."""
    n, kappa = at["trials"], at["kappa"]
    a, b = exp(success) * kappa, exp(failure) * kappa
    binomial = _log_choose(n, y) + times(y, success) + times(n - y, failure)
    log_kappa = log(kappa)
    log_a, log_b = success + log_kappa, failure + log_kappa
    apart = _rising(y, a, log_a) + _rising(n - y, b, log_b) - _rising(n, kappa, log_kappa)
    return binomial + apart


def poisson(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """Poisson(mu)."""
    return times(y, mean.log) - mean.mu - series.lgamma(y + 1)


def negative_binomial(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """NegativeBinomial(mu, alpha)."""
    alpha = at["alpha"]
    log_alpha = log(alpha)
    ratio = mean.log - log_alpha
    total = log_sum(0.0 * ratio, ratio)  # log(1 + mu / alpha)
    constant = _rising(y, alpha, log_alpha) - series.lgamma(y + 1)
    return constant - alpha * total + times(y, mean.log - total)


def _rising(y: FloatArray | float, alpha: Value, log_alpha: Value) -> Value:
    """log(Gamma(alpha + y) / Gamma(alpha)) - y log alpha.

    Where alpha is large its terms are large and it is not: it is then Stirling's series, whose own
    terms are small, so that a family tends to the simpler one at its end in every digit.
    """
    stirling = (alpha + y - 0.5) * log1p(y * series.reciprocal(alpha)) - y
    stirling = stirling + _stirling(alpha + y) - _stirling(alpha)
    direct = lgamma(y + alpha) - lgamma(alpha) - y * log_alpha
    return where(series.value_of(alpha) > FROM_STIRLING, stirling, direct)


def _stirling(x: Value) -> Value:
    """Return what lgamma(x) is above (x - 1/2) log x - x + log(2 pi) / 2, for x not small."""
    r = series.reciprocal(x)
    squared = square(r)
    return r * (1 / 12 - squared * (1 / 360 - squared * (1 / 1260)))


def gamma(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """Positive, of mean mu and variance mu^2 / alpha."""
    alpha = at["alpha"]
    ratio = log(alpha) - mean.log
    return alpha * ratio - lgamma(alpha) + (alpha - 1) * np.log(y) - y * exp(ratio)


def wald(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """Inverse Gaussian of mean mu and variance mu^3 / lam."""
    lam = at["lam"]
    square_ = square(y * exp(-mean.log) - 1) / y
    return 0.5 * (log(lam) - LOG_2PI - 3 * np.log(y)) - 0.5 * lam * square_


def beta(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """Proportions, Beta(mu kappa, (1 - mu) kappa)."""
    kappa = at["kappa"]
    a, b = exp(mean.log) * kappa, exp(mean.log_complement) * kappa
    constant = lgamma(kappa) - lgamma(a) - lgamma(b)
    return constant + (a - 1) * np.log(y) + (b - 1) * np.log1p(-y)


def exponential(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """Positive, of mean mu."""
    return -mean.log - y * exp(-mean.log)


def weibull(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """Positive, shape alpha, of mean mu."""
    alpha = at["alpha"]
    log_ratio = np.log(y) - mean.log + lgamma(1 + series.reciprocal(alpha))
    return log(alpha) - np.log(y) + alpha * log_ratio - exp(alpha * log_ratio)


def lognormal(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """Positive; its logarithm is Normal(mu, sigma)."""
    return _normal(np.log(y) - mean.mu, at["sigma"]) - np.log(y)


def zero_inflated_poisson(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """0 with probability 1 - psi, else Poisson."""
    return _inflated(y, poisson(y, mean, at), at["psi"])


def zero_inflated_binomial(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """0 with probability 1 - psi, else binomial."""
    return _inflated(y, binomial(y, mean, at), at["psi"])


def zero_inflated_negative_binomial(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """0 with probability 1 - psi, else negative binomial."""
    return _inflated(y, negative_binomial(y, mean, at), at["psi"])


def _inflated(y: FloatArray, count: Value, psi: Value) -> Value:
    counted = log(psi) + count
    return where(y == 0, log_sum(counted, log1p(-psi)), counted)


def hurdle_poisson(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """0 with probability 1 - psi, else Poisson above 0."""
    return _hurdle(y, poisson(y, mean, at), poisson(0.0 * y, mean, at), at["psi"])


def hurdle_negative_binomial(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """0 with probability 1 - psi, else negative binomial above 0."""
    none = negative_binomial(0.0 * y, mean, at)
    return _hurdle(y, negative_binomial(y, mean, at), none, at["psi"])


def hurdle_gamma(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """0 with probability 1 - psi, else gamma."""
    return _hurdle(y, gamma(np.where(y > 0, y, 1.0), mean, at), None, at["psi"])


def hurdle_lognormal(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """0 with probability 1 - psi, else log-normal."""
    return _hurdle(y, lognormal(np.where(y > 0, y, 1.0), mean, at), None, at["psi"])


def _hurdle(y: FloatArray, above: Value, log_zero: Value | None, psi: Value) -> Value:
    """``log_zero`` is the log probability of 0 that is cut out of a discrete distribution."""
    if log_zero is not None:
        above = above - log(-series.expm1(log_zero))
    return where(y == 0, log1p(-psi), log(psi) + above)


def cumulative(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """Category y of 0 ... K, P(y <= k) = F(threshold_k - eta); thresholds (..., K)."""
    k, link = np.asarray(y, dtype=np.intp), mean.link
    last = _number_of(at["threshold"])
    cut = picked(at["threshold"], np.minimum(k, last - 1))
    cut_before = picked(at["threshold"], np.maximum(k - 1, 0))
    upper, lower = cut - mean.eta, cut_before - mean.eta
    below = link.log_mu(upper)  # log P(y <= k)
    above = link.log_complement(lower)  # log P(y > k - 1)
    is_first, is_last = k == 0, k == last
    # at the ends, where it is not used, any width will do
    width = where(is_first | is_last, 1.0 + 0.0 * cut, cut - cut_before)
    if link is LINKS["logit"]:
        inside = below + above + log(-series.expm1(-width))
    else:
        inside = _log_difference(link, upper, upper - width)
    return where(is_first, below, where(is_last, above, inside))


def stopping_ratio(y: FloatArray, mean: Mean, at: Parameters) -> Value:
    """Category y of 0 ... K, P(y = k | y >= k) = F(threshold_k - eta); thresholds (..., K)."""
    total: Value = 0.0
    for k in range(_number_of(at["threshold"])):
        shifted = picked(at["threshold"], np.full((1,) * np.ndim(y), k)) - mean.eta
        stops, goes_on = mean.link.log_mu(shifted), mean.link.log_complement(shifted)
        total = total + where(y == k, stops, where(y > k, goes_on, 0.0 * stops))
    return total


def _number_of(thresholds: Value) -> int:
    """Return the number K of thresholds (..., K)."""
    if isinstance(thresholds, tuple):
        return len(thresholds)
    array = thresholds.c if isinstance(thresholds, series.Series) else np.asarray(thresholds)
    return int(array.shape[-1])


def picked(thresholds: Value, k: IntArray) -> Value:
    """Return threshold k of thresholds (..., K), k broadcast with the other dimensions.

    Thresholds that are written down are a tuple of K numbers.
    """
    if isinstance(thresholds, tuple):
        found = thresholds[-1]
        for number in reversed(range(len(thresholds) - 1)):
            found = where(k == number, thresholds[number], found)
        return found
    if isinstance(thresholds, series.Series):
        c = thresholds.c
        inner = c.reshape(*c.shape[:2], *(1,) * (k.ndim + 3 - c.ndim), *c.shape[2:])
        return series.Series(picked(inner, k))
    array = np.asarray(thresholds)
    if array.ndim == 1:
        return array[k]
    shape = np.broadcast_shapes(array.shape[:-1], k.shape)
    wide = np.broadcast_to(array, (*shape, array.shape[-1]))
    return np.take_along_axis(wide, np.broadcast_to(k, shape)[..., None], axis=-1)[..., 0]


def _log_difference(link: Link, upper: Value, lower: Value) -> Value:
    """log(F(upper) - F(lower)) from the side where both are small."""
    swap = series.value_of(upper) + series.value_of(lower) > 0
    high = where(swap, link.log_complement(lower), link.log_mu(upper))
    low = where(swap, link.log_complement(upper), link.log_mu(lower))
    return high + log(-series.expm1(low - high))


def _log_choose(n: FloatArray, k: FloatArray) -> Value:
    return series.lgamma(n + 1) - series.lgamma(k + 1) - series.lgamma(n - k + 1)


def _absolute(x: Value) -> Value:
    return where(series.value_of(x) < 0, -x, x)
