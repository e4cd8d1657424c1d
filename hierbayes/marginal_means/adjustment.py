"""p values and intervals of several tests, adjusted for there being several.

"tukey" for all pairwise differences of k means: the studentized range of k at |t| sqrt(2) (Kramer's
form for unequal standard errors). "holm": step-down Bonferroni for p values of any tests, plain
Bonferroni for intervals, which has no step-down form. Tests that cannot be done count for nothing.

Source: Kramer (1956), Biometrics 12:307; Holm (1979), Scand. J. Stat. 6:65.
"""

import numpy as np
from scipy.special import ndtri, stdtrit

from hierbayes.arrays import FloatArray
from hierbayes.marginal_means.studentized_range import range_quantile, range_sf
from hierbayes.options import Adjust

DF_DIGITS = 10  # degrees of freedom that agree to so many digits share one quantile


def adjusted_p(
    p_value: FloatArray, statistic: FloatArray, df: FloatArray, *, method: Adjust, n_means: int
) -> FloatArray:
    """Adjust the p values of one family of tests, shape (m,); NaN stays NaN.

    Parameters
    ----------
    p_value, statistic, df : arrays, shape (m,), of the single tests; df may be infinite
    method : {"tukey", "holm", "none"}
    n_means : number of means compared, for "tukey"
    """
    known = ~np.isnan(p_value)
    if method == "none" or not known.any():
        return p_value
    out = np.full(p_value.shape, np.nan)
    if method == "tukey":
        tail = range_sf(np.abs(statistic[known]) * np.sqrt(2), n_means, df[known])
        # where the tail is rounding only, these bounds are what is known of it
        most = p_value[known] * (n_means * (n_means - 1) / 2)
        out[known] = np.clip(tail, p_value[known], np.minimum(most, 1.0))
        return out
    order = np.argsort(p_value[known], kind="stable")
    m = order.size
    steps = np.maximum.accumulate(p_value[known][order] * (m - np.arange(m)))
    ranked = np.empty(m)
    ranked[order] = np.minimum(steps, 1.0)
    out[known] = ranked
    return out


def adjusted_quantile(
    df: FloatArray, *, level: float, method: Adjust, n_means: int, n_tests: int
) -> FloatArray:
    """Half width of simultaneous intervals in standard errors, shape (m,).

    Missing degrees of freedom, like infinite ones, give the normal quantile.
    """
    df = np.where(np.isnan(df), np.inf, df)
    if method == "tukey":
        rounded = np.array([float(f"{v:.{DF_DIGITS}g}") for v in df])
        distinct, back = np.unique(rounded, return_inverse=True)
        return np.asarray(range_quantile(level, n_means, distinct)[back] / np.sqrt(2))
    tail = (1 - level) / 2
    if method == "holm":
        tail /= max(n_tests, 1)
    finite = np.isfinite(df)
    quantile = np.full(df.shape, -ndtri(tail))
    quantile[finite] = -stdtrit(df[finite], tail)
    return quantile
