"""Pareto-smoothed importance weights, of many problems at once.

The largest of S weights are replaced by quantiles of a generalised Pareto distribution fitted to
them, which takes most of the noise out of a mean under these weights; the shape k of the tail says
whether the mean can be trusted.

Source: Vehtari, Simpson, Gelman, Yao & Gabry (2024), JMLR 25(72); Zhang & Stephens (2009),
Technometrics 51:316 (the fit).
"""

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.bayes.mixture import log_sum_exp

AT_ONCE = 2**21  # numbers of one array of the fits: 16 MB
ALIKE = 1.0  # logs between the smallest and largest weight of a tail that none could be called
PRIOR_COUNT, PRIOR_SHAPE = 10, 0.5  # the weak prior of the shape: so many weights of that shape


@record(kw_only=False)
class ParetoFit:
    """Shapes and scales, each (J,), of generalised Pareto distributions of excesses."""

    shape: FloatArray
    scale: FloatArray


@record(kw_only=False)
class SmoothedWeights:
    """Log weights (J, S) that sum to one, and the shape k (J,) of the tail of each row.

    k is minus infinity where the weights are alike, and infinity where one is beside all others.
    """

    log_weights: FloatArray
    pareto_k: FloatArray


def smoothed_weights(
    log_ratios: FloatArray, *, relative_efficiency: float = 1.0
) -> SmoothedWeights:
    """Smooth importance weights, given as logs up to a constant a row.

    Parameters
    ----------
    log_ratios : array, shape (J, S), S at least 30
    relative_efficiency : effective part of the draws; the fewer, the longer the fitted tail

    Returns
    -------
    SmoothedWeights
    """
    S = log_ratios.shape[1]
    tail = int(min(S / 5, 3 * np.sqrt(S / relative_efficiency)))
    log_weights = log_ratios - log_ratios.max(axis=1, keepdims=True)
    order = np.argpartition(log_weights, S - tail - 1, axis=1)[:, S - tail - 1 :]
    largest = np.take_along_axis(log_weights, order, axis=1)
    within = np.argsort(largest, axis=1)
    order = np.take_along_axis(order, within, axis=1)
    largest = np.take_along_axis(largest, within, axis=1)
    k = np.where(largest[:, 0] > -ALIKE, -np.inf, np.inf)
    edge, largest = np.exp(largest[:, :1]), largest[:, 1:]
    excess = np.exp(largest) - edge
    is_fitted = excess[:, quartile_of(tail)] > excess[:, 0]
    fit = fitted_pareto(excess[is_fitted])
    k[is_fitted] = fit.shape
    is_fitted[is_fitted] = np.isfinite(fit.shape)
    shape, scale = fit.shape[np.isfinite(fit.shape), None], fit.scale[np.isfinite(fit.shape), None]
    upper = -np.log1p(-(np.arange(tail) + 0.5) / tail)
    rise = np.where(shape == 0, upper, np.expm1(shape * upper) / np.where(shape == 0, 1, shape))
    largest[is_fitted] = np.minimum(np.log(edge[is_fitted] + scale * rise), 0.0)
    np.put_along_axis(log_weights, order[:, 1:], largest, axis=1)
    return SmoothedWeights(log_weights - log_sum_exp(log_weights, axis=1)[:, None], k)


def quartile_of(n: int) -> int:
    """Return the place of the first quartile among n ordered numbers."""
    return int(n / 4 + 0.5) - 1


def fitted_pareto(x: FloatArray) -> ParetoFit:
    """Fit rows of n ordered excesses (J, n), the first quartile of each above zero.

    Zhang & Stephens' posterior mean, the shape with the weak prior of Vehtari et al.
    """
    J, n = x.shape
    m = 30 + int(np.sqrt(n))
    steps = (1 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))) / 3
    shape, scale = np.empty(J), np.empty(J)
    batch = max(1, AT_ONCE // (m * n))
    for start in range(0, J, batch):
        own = x[start : start + batch]
        candidates = 1 / own[:, -1:] + steps / own[:, quartile_of(n), None]
        shapes = np.log1p(-candidates[:, :, None] * own[:, None, :]).mean(axis=2)
        profile = n * (np.log(-candidates / shapes) - shapes - 1)
        weights = np.exp(profile - log_sum_exp(profile, axis=1)[:, None])
        best = (candidates * weights).sum(axis=1)
        found = np.log1p(-best[:, None] * own).mean(axis=1)
        shape[start : start + batch], scale[start : start + batch] = found, -found / best
    return ParetoFit((n * shape + PRIOR_COUNT * PRIOR_SHAPE) / (n + PRIOR_COUNT), scale)


def pareto_k(log_weights: FloatArray) -> float:
    """Shape k of a generalised Pareto distribution fitted to the largest of weights (N,)."""
    n = log_weights.size
    tail = int(np.ceil(min(0.2 * n, 3 * np.sqrt(n))))
    ordered = np.sort(log_weights)
    excess = np.exp(ordered[-tail:] - ordered[-1]) - np.exp(ordered[-tail - 1] - ordered[-1])
    excess = excess[excess > 0]
    if excess.size < 5:  # all weights are alike, or one is beside all others
        return -np.inf if ordered[-1] - ordered[-tail - 1] < ALIKE else np.inf
    return float(fitted_pareto(excess[None]).shape[0])
