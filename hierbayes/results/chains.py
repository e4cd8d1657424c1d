"""Summaries of posterior draws: convergence, effective sample sizes, credible intervals.

Everything takes draws (C, D, P), C chains of D draws, and works on all P parameters at once. The
results are those of ArviZ, whose import takes longer than a whole fit.

Source: Vehtari, Gelman, Simpson, Carpenter & Buerkner (2021), Bayesian Analysis 16(2):667
(rank-normalised split R-hat, bulk and tail effective sample sizes); Geyer (1992), Stat. Sci.
7:473 (initial monotone sequence).
"""

import numpy as np
from scipy.special import betaincinv, ndtr, ndtri

from hierbayes.arrays import FloatArray, record
from hierbayes.options import IntervalKind, check_option

MIN_DRAWS = 4  # fewer draws a chain say nothing about convergence
TAIL = (0.05, 0.95)  # quantiles whose smaller effective sample size is that of the tails
AT_ONCE = 2**22  # draws worked on together: 32 MB a copy


@record
class ChainStatistics:
    """Per parameter, shape (P,): NaN for a constant parameter or too few draws.

    Attributes
    ----------
    r_hat : rank-normalised split R-hat; NaN with one chain
    ess_bulk, ess_tail : effective sample sizes of the centre and of the 5 % and 95 % quantiles
    mcse_mean : Monte-Carlo standard error of the posterior mean, units of the parameter
    """

    r_hat: FloatArray
    ess_bulk: FloatArray
    ess_tail: FloatArray
    mcse_mean: FloatArray


def chain_statistics(draws: FloatArray) -> ChainStatistics:
    """Convergence statistics of draws (C, D, P)."""
    C, D, P = draws.shape
    found = np.full((4, P), np.nan)
    if D >= MIN_DRAWS:
        step = max(1, AT_ONCE // (C * D))
        for start in range(0, P, step):
            part = np.ascontiguousarray(np.moveaxis(draws[:, :, start : start + step], 2, 0))
            found[:, start : start + step] = _statistics(part)
    return ChainStatistics(r_hat=found[0], ess_bulk=found[1], ess_tail=found[2], mcse_mean=found[3])


def errors_of_means(draws: FloatArray) -> FloatArray:
    """Monte-Carlo standard errors of the means of draws (C, D, P) alone, shape (P,).

    A constant has none: 0.
    """
    return np.where(np.ptp(draws, axis=(0, 1)) == 0, 0.0, mean_errors(draws))


def _statistics(draws: FloatArray) -> FloatArray:
    """R-hat, bulk and tail effective sizes, error of the mean of draws (P, C, D); (4, P)."""
    P, C, D = draws.shape
    flat = draws.reshape(P, C * D)
    halves = _split(draws)
    bulk = _normal_scores(halves)
    ordered = np.sort(flat, axis=1)
    low, high = (_at(ordered, (C * D - 1) * p) for p in TAIL)
    middle = np.median(halves.reshape(P, -1), axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        r_hat = np.full(P, np.nan)
        if C > 1:
            r_hat = np.maximum(
                _r_hat(bulk), _r_hat(_normal_scores(np.abs(halves - middle[:, None, None])))
            )
        tails = [
            _effective_size(_split((draws <= at[:, None, None]).astype(np.float64)))
            for at in (low, high)
        ]
        mcse = flat.std(axis=1, ddof=1) / np.sqrt(_effective_size(halves))
        out = np.array([r_hat, _effective_size(bulk), np.fmin(*tails), mcse])
    out[:, ordered[:, 0] == ordered[:, -1]] = np.nan
    return out


def _split(draws: FloatArray) -> FloatArray:
    """Halves of the chains as chains of their own, (P, 2 C, D // 2)."""
    half = draws.shape[2] // 2
    return np.concatenate([draws[:, :, :half], draws[:, :, -half:]], axis=1)


def _normal_scores(draws: FloatArray) -> FloatArray:
    """Return normal scores of the ranks over all chains; ties share their mean rank."""
    P, S = draws.shape[0], draws.shape[1] * draws.shape[2]
    flat = draws.reshape(P, S)
    order = np.argsort(flat, axis=1)
    ordered = np.take_along_axis(flat, order, axis=1)
    # Blom's (rank - 3/8) / (S + 1/4)
    values = np.broadcast_to(ndtri((np.arange(S) + 1 - 3 / 8) / (S + 1 / 4)), (P, S))
    if (ordered[:, 1:] == ordered[:, :-1]).any():
        place = np.broadcast_to(np.arange(S), (P, S))
        new = np.ones((P, S + 1), dtype=bool)
        new[:, 1:-1] = ordered[:, 1:] != ordered[:, :-1]
        first = np.maximum.accumulate(np.where(new[:, :-1], place, 0), axis=1)
        last = np.minimum.accumulate(np.where(new[:, 1:], place, S)[:, ::-1], axis=1)[:, ::-1]
        values = ndtri(((first + last) / 2 + 1 - 3 / 8) / (S + 1 / 4))
    scores = np.empty((P, S))
    np.put_along_axis(scores, order, values, axis=1)
    return scores.reshape(draws.shape)


def _r_hat(draws: FloatArray) -> FloatArray:
    n = draws.shape[2]
    between = n * draws.mean(axis=2).var(axis=1, ddof=1)
    within = draws.var(axis=2, ddof=1).mean(axis=1)
    return np.asarray(np.sqrt((between / within + n - 1) / n))


def _effective_size(draws: FloatArray) -> FloatArray:
    """Effective sample size of the mean of draws (P, C, D), shape (P,)."""
    _, C, D = draws.shape
    means = draws.mean(axis=2)
    padded = 2 ** int(np.ceil(np.log2(2 * D)))
    spectrum = np.fft.rfft(draws - means[:, :, None], n=padded, axis=2)
    power = (spectrum.real**2 + spectrum.imag**2).mean(axis=1)
    covariance = np.fft.irfft(power, n=padded, axis=1)[:, :D] / D
    mean_var = covariance[:, 0] * D / (D - 1)
    total = covariance[:, 0] + (means.var(axis=1, ddof=1) if C > 1 else 0.0)
    rho = 1 - (mean_var[:, None] - covariance) / total[:, None]
    rho[:, 0] = 1
    n_pairs = max(1, (D - 1) // 2)
    pairs = rho[:, 0 : 2 * n_pairs : 2] + rho[:, 1 : 2 * n_pairs : 2]
    ends = ~(pairs > 0)
    ends[:, -1] = True
    end = np.argmax(ends, axis=1)
    used = np.arange(n_pairs) < end[:, None]
    monotone = np.minimum.accumulate(pairs, axis=1)
    last = np.maximum(rho[np.arange(len(rho)), 2 * end], 0)
    tau = -1 + 2 * np.where(used, monotone, 0).sum(axis=1) + last
    S = C * D
    return np.asarray(S / np.maximum(tau, 1 / np.log10(S)))


@record
class DrawnSummary:
    """Summaries of P quantities with their Monte-Carlo standard errors, each of shape (P,).

    Attributes
    ----------
    mean, sd : over the draws
    low, high : ends of the equal-tailed interval
    mean_mcse, sd_mcse, low_mcse, high_mcse : their errors; NaN of a constant or too few draws
    """

    mean: FloatArray
    sd: FloatArray
    low: FloatArray
    high: FloatArray
    mean_mcse: FloatArray
    sd_mcse: FloatArray
    low_mcse: FloatArray
    high_mcse: FloatArray


def drawn_summary(draws: FloatArray, level: float) -> DrawnSummary:
    """Mean, sd and equal-tailed interval of draws (C, D, P), and the errors of these four."""
    C, D, P = draws.shape
    flat = draws.reshape(C * D, P)
    ends = credible_interval(flat, level, "eti")
    mean, sd = flat.mean(axis=0), flat.std(axis=0, ddof=1)
    tail = (1 - level) / 2
    squares = (draws - mean) ** 2
    spread = squares.reshape(C * D, P)
    with np.errstate(divide="ignore", invalid="ignore"):
        sd_mcse = mean_errors(squares) / (2 * np.sqrt(spread.mean(axis=0)))
    return DrawnSummary(
        mean=mean,
        sd=sd,
        low=ends.low,
        high=ends.high,
        mean_mcse=mean_errors(draws),
        sd_mcse=sd_mcse,
        low_mcse=quantile_errors(draws, tail),
        high_mcse=quantile_errors(draws, 1 - tail),
    )


def mean_errors(draws: FloatArray) -> FloatArray:
    """Monte-Carlo standard errors of the means of draws (C, D, P), shape (P,).

    Of truth values these are the errors of probabilities.
    """
    C, D, P = draws.shape
    sd = draws.reshape(C * D, P).std(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(sd / np.sqrt(_effective_sizes(draws)))


def quantile_errors(draws: FloatArray, probability: float) -> FloatArray:
    """Monte-Carlo standard errors of a quantile of draws (C, D, P), shape (P,).

    Half the distance between the draws that bound the quantile with the probability of one
    standard error either side, by the effective size of the indicators of lying below it.
    """
    C, D, P = draws.shape
    ordered = np.sort(draws.reshape(C * D, P).T, axis=1)
    at = _at(ordered, (C * D - 1) * probability)
    n = _effective_sizes((draws <= at).astype(np.float64))
    found = np.full(P, np.nan)
    known = np.isfinite(n)
    a, b = n[known] * probability + 1, n[known] * (1 - probability) + 1
    places = [
        np.clip(rounded(C * D * betaincinv(a, b, ndtr(side)) - 1), 0, C * D - 1).astype(np.intp)
        for side, rounded in ((-1.0, np.floor), (1.0, np.ceil))
    ]
    rows = np.flatnonzero(known)
    found[rows] = (ordered[rows, places[1]] - ordered[rows, places[0]]) / 2
    return found


def _effective_sizes(draws: FloatArray) -> FloatArray:
    """Effective sizes of the means of draws (C, D, P), (P,); NaN of constants and few draws."""
    _, D, P = draws.shape
    found = np.full(P, np.nan)
    moving = np.ptp(draws, axis=(0, 1)) > 0
    if D >= MIN_DRAWS and moving.any():
        found[moving] = _effective_size(_split(np.moveaxis(draws[:, :, moving], 2, 0)))
    return found


@record(kw_only=False)
class CredibleInterval:
    """Ends of credible intervals, one a parameter."""

    low: FloatArray
    high: FloatArray


def credible_interval(draws: FloatArray, level: float, kind: IntervalKind) -> CredibleInterval:
    """Credible intervals of draws (S, ...): over the first axis, one for each of the others.

    Parameters
    ----------
    draws : array, shape (S, ...)
    level : probability of the interval
    kind : {"eti", "hdi"}
        "eti" cuts (1 - level) / 2 off either tail; "hdi" is the shortest interval that holds
        ``level`` of the draws.
    """
    check_option("kind", kind, IntervalKind)
    S, shape = draws.shape[0], draws.shape[1:]
    ordered = np.sort(np.ascontiguousarray(draws.reshape(S, -1).T), axis=1)
    if kind == "eti":
        low = _at(ordered, (S - 1) * (1 - level) / 2)
        high = _at(ordered, (S - 1) * (1 + level) / 2)
    else:
        inside = min(int(np.floor(level * S)), S - 1)
        first = np.argmin(ordered[:, inside:] - ordered[:, : S - inside], axis=1)[:, None]
        low = np.take_along_axis(ordered, first, axis=1)[:, 0]
        high = np.take_along_axis(ordered, first + inside, axis=1)[:, 0]
    unknown = np.isnan(ordered[:, -1])  # missing values sort last
    low, high = np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)
    return CredibleInterval(low.reshape(shape), high.reshape(shape))


def _at(ordered: FloatArray, place: float) -> FloatArray:
    """Interpolate linearly between the order statistics around a place, R's type 7."""
    below = int(np.floor(place))
    above = min(below + 1, ordered.shape[1] - 1)
    step = ordered[:, above] - ordered[:, below]
    return np.asarray(ordered[:, below] + (place - below) * step)
