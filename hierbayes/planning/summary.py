"""What the data sets of a cell say together: shares and means with their Monte-Carlo errors.

Of n data sets with an answer, S of them significant (the interval leaves zero out),

    power         S / n; with parameters drawn from a posterior the assurance
    type S error  share of the significant estimates with the wrong sign
    type M error  mean |estimate| of the significant ones over the mean |true value| of theirs
    width         mean width of the interval
    p_bf          share of Bayes factors against zero above the one in question

Limits of the power are Wilson's. Posteriors have an error of their own, from the points they are
averages over, which data sets share: it is added as if it went the same way in all of them, which
is the most that it can do. Data sets without an answer are counted and are in none of these.

Source: Gelman & Carlin (2014), Perspect. Psychol. Sci. 9:641 (type S and M); Spiegelhalter &
Freedman (1986), Stat. Med. 5:1 (assurance); Wilson (1927), J. Am. Stat. Assoc. 22:209.
"""

import numpy as np
from scipy.special import ndtri

from hierbayes.arrays import BoolArray, FloatArray
from hierbayes.planning.study import Outcome

LIMITS = 0.95  # of the limits of what simulation leaves open


def cell_numbers(found: Outcome, truth: FloatArray, *, bf: float) -> list[dict[str, float]]:
    """Return the numbers of each of the c coefficients.

    Parameters
    ----------
    found : Outcome
    truth : array, shape (T or 1, c), the coefficients that responses were drawn with
    bf : float, the Bayes factor in question
    """
    used = ~found.failed
    counts = {
        "failed": float(found.failed.sum()),
        "singular": np.nan if found.is_singular is None else float(found.is_singular.sum()),
        "nsim": float(used.size),
        "effective": np.nan if found.effective is None else float(np.median(found.effective)),
    }
    truth = np.broadcast_to(truth, found.estimate.shape)
    out = []
    for j in range(truth.shape[1]):
        own = used & np.isfinite(found.estimate[:, j])
        still = np.zeros_like(truth)
        error = still if found.limit_error is None else found.limit_error
        columns = (found.estimate, found.low, found.high, truth, error)
        numbers = _of_intervals(*(column[own, j] for column in columns))
        if found.log_bf is not None:
            away = found.log_bf[own, j] - np.log(bf)
            error = still if found.bf_error is None else found.bf_error
            numbers["p_bf"], numbers["p_bf_mcse"] = _share(away > 0, np.abs(away) < error[own, j])
            if np.isnan(away).any():
                numbers["p_bf"] = numbers["p_bf_mcse"] = np.nan
        out.append(numbers | counts)
    return out


def _of_intervals(
    estimate: FloatArray, low: FloatArray, high: FloatArray, truth: FloatArray, error: FloatArray
) -> dict[str, float]:
    significant = (low > 0) | (high < 0)
    doubtful = np.minimum(np.abs(low), np.abs(high)) < error
    power, power_mcse = _share(significant, doubtful)
    lower, upper = _wilson(int(significant.sum()), significant.size)
    if doubtful.any():
        lower = max(lower - float(doubtful.mean()) / 2, 0.0)
        upper = min(upper + float(doubtful.mean()) / 2, 1.0)
    width, width_mcse = _mean(high - low)
    width_mcse = float(np.hypot(width_mcse, error.mean() if error.size else 0.0))
    numbers = {
        "power": power, "power_mcse": power_mcse, "lower": lower, "upper": upper,
        "width": width, "width_mcse": width_mcse,
    }  # fmt: skip
    numbers |= dict.fromkeys(("type_s", "type_s_mcse", "type_m", "type_m_mcse"), np.nan)
    has_sign = significant & (truth != 0)
    if has_sign.any():
        wrong = np.sign(estimate[has_sign]) != np.sign(truth[has_sign])
        numbers["type_s"], numbers["type_s_mcse"] = _share(wrong)
        size, true_size = np.abs(estimate[has_sign]), np.abs(truth[has_sign])
        numbers["type_m"] = ratio = float(size.mean() / true_size.mean())
        numbers["type_m_mcse"] = _mean((size - ratio * true_size) / true_size.mean())[1]
    return numbers


def _share(yes: BoolArray, doubtful: BoolArray | None = None) -> tuple[float, float]:
    """Return a share and its Monte-Carlo standard error.

    Of those ``doubtful`` half would be another answer if all errors went the same way.
    """
    n = yes.size
    if not n:
        return np.nan, np.nan
    share = float(yes.mean())
    common = 0.0 if doubtful is None else float(doubtful.mean()) / 2
    return share, float(np.hypot(np.sqrt(share * (1 - share) / n), common))


def _mean(values: FloatArray) -> tuple[float, float]:
    """Return a mean and its Monte-Carlo standard error."""
    n = values.size
    error = float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan
    return float(values.mean()) if n else np.nan, error


def _wilson(yes: int, n: int) -> tuple[float, float]:
    """Wilson's limits of a share."""
    if not n:
        return np.nan, np.nan
    z, share = float(ndtri((1 + LIMITS) / 2)), yes / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * float(np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)))
    return max(middle - reach, 0.0), min(middle + reach, 1.0)
