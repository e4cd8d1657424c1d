"""p values and intervals of several tests, adjusted for there being several.

"tukey" for all pairwise differences of k means: the studentized range of k at |t| sqrt(2) (Kramer's
form for unequal standard errors). "mvt": the largest of the family's statistics with the
correlations they have; "dunnettx": emmeans' mixture of Tukey's and Sidak's methods for differences
from one control. "scheffe": all combinations of the family's rows. "sidak", "bonferroni", "holm",
"hochberg", "hommel" (family-wise error), "fdr" (Benjamini & Hochberg), "by" (Benjamini & Yekutieli)
need p values only; step-wise ones have no intervals of their own and give Bonferroni's. Tests that
cannot be done count for nothing.

Source: Kramer (1956), Biometrics 12:307; Scheffe (1953), Biometrika 40:87; Holm (1979), Scand. J.
Stat. 6:65; Hochberg (1988), Biometrika 75:800; Hommel (1988), Biometrika 75:383; Benjamini &
Hochberg (1995), JRSS B 57:289; Benjamini & Yekutieli (2001), Ann. Stat. 29:1165; Lenth (2016), J.
Stat. Softw. 69(1).
"""

from functools import cached_property

import numpy as np
from scipy.special import fdtrc, fdtri, ndtr, ndtri, stdtr, stdtrit

from hierbayes.arrays import FloatArray, record
from hierbayes.marginal_means.simultaneous import LargestStatistic
from hierbayes.marginal_means.studentized_range import range_quantile, range_sf
from hierbayes.options import Adjust, Side

DF_DIGITS = 10  # degrees of freedom that agree to so many digits share one quantile
DEPENDENT = 1e-7  # singular values below this part of the largest are dependent rows
KNOWN = 1e8  # degrees of freedom from which scipy's F distribution is the chi-squared one


@record
class Tests:
    """One family of m tests.

    Attributes
    ----------
    statistic, df : arrays, shape (m,); NaN for a test that cannot be done, df may be infinite
    side : of the alternative
    n_means : number of means compared, for "tukey"
    root : array, shape (m, k), ``root root'`` the covariance of the estimates, for "mvt" and
        "scheffe"
    towards : -1 where small statistics speak against the null whatever the side (equivalence)
    """

    statistic: FloatArray
    df: FloatArray
    side: Side
    n_means: int
    root: FloatArray
    towards: int = 0

    @property
    def tail(self) -> int:
        """-1 or 1 for the tail that counts, 0 for both."""
        return self.towards or {"two-sided": 0, "<": -1, ">": 1}[self.side]

    @cached_property
    def largest(self) -> LargestStatistic:
        """The largest of the statistics, or of their negatives."""
        known = ~np.isnan(self.statistic)
        return LargestStatistic.of(self.root[known], two_sided=self.tail == 0)

    @cached_property
    def rank(self) -> int:
        """Number of independent tests."""
        rows = self.root[~np.isnan(self.statistic)]
        size = np.sqrt((rows**2).sum(axis=1))
        unit = rows[size > 0] / size[size > 0, None]
        if not unit.size:
            return 1
        singular = np.linalg.svd(unit, compute_uv=False)
        return int((singular > DEPENDENT * singular[0]).sum())


def single_p(statistic: FloatArray, df: FloatArray, tail: int) -> FloatArray:
    """P values of single tests, shape (m,), from the tail that counts or from both (0)."""
    finite = np.isfinite(df)
    at = -np.abs(statistic) if tail == 0 else -tail * statistic
    p = np.where(finite, stdtr(np.where(finite, df, 1.0), at), ndtr(at))
    return np.asarray(2 * p if tail == 0 else p)


def adjusted_p(tests: Tests, method: Adjust) -> FloatArray:
    """Adjust the p values of one family of tests, shape (m,); NaN stays NaN."""
    p_value = single_p(tests.statistic, tests.df, tests.tail)
    known = ~np.isnan(p_value)
    count = int(known.sum())
    if method == "none" or not count or (count == 1 and method not in ("scheffe", "tukey")):
        return p_value
    out = np.full(p_value.shape, np.nan)
    own, df, statistic = p_value[known], tests.df[known], tests.statistic[known]
    if method in STEPS:
        out[known] = STEPS[method](own)
    elif method == "tukey":
        tail = range_sf(np.abs(statistic) * np.sqrt(2), tests.n_means, df)
        # where the tail is rounding only, these bounds are what is known of it
        most = own * (tests.n_means * (tests.n_means - 1) / 2)
        out[known] = np.clip(tail, own, np.minimum(most, 1.0))
    elif method == "scheffe":
        out[known] = _f_tail(statistic**2 / tests.rank, tests.rank, df)
    elif method == "dunnettx":
        out[known] = _dunnett_tail(np.abs(statistic), count, df)
    else:
        at = np.abs(statistic) if tests.tail == 0 else tests.tail * statistic
        tail = np.array([tests.largest.tail(t, nu) for t, nu in zip(at, df, strict=True)])
        out[known] = np.clip(tail, own, np.minimum(own * count, 1.0))
    return out


def adjusted_quantile(tests: Tests, method: Adjust, level: float) -> FloatArray:
    """Half width of simultaneous intervals in standard errors, shape (m,), for the side of tests.

    Missing degrees of freedom, like infinite ones, give the normal quantile.
    """
    sides = 2 if tests.side == "two-sided" else 1
    count = max(int((~np.isnan(tests.statistic)).sum()), 1)
    df = np.where(np.isnan(tests.df), np.inf, tests.df)
    if method == "tukey" or (count > 1 and method in ("mvt", "dunnettx")):
        rounded = np.array([float(f"{v:.{DF_DIGITS}g}") for v in df])
        distinct, back = np.unique(rounded, return_inverse=True)
        if method == "tukey":
            return np.asarray(range_quantile(level, tests.n_means, distinct)[back] / np.sqrt(2))
        if method == "dunnettx":
            return np.array([_dunnett_quantile(level, count, nu) for nu in distinct])[back]
        largest = LargestStatistic.of(tests.root[~np.isnan(tests.statistic)], two_sided=sides == 2)
        return np.array([largest.quantile(level, nu) for nu in distinct])[back]
    if method == "scheffe":
        return np.array([_scheffe_quantile(level, tests.rank, nu) for nu in df])
    tail = (1 - level) / sides
    if method == "sidak":
        tail = -np.expm1(np.log(level) / count) / sides
    elif method not in ("none", "mvt", "dunnettx"):
        tail /= count
    finite = np.isfinite(df)
    quantile = np.full(df.shape, -ndtri(tail))
    quantile[finite] = -stdtrit(df[finite], tail)
    return quantile


def _sidak(p: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):  # p = 1
        return np.asarray(-np.expm1(p.size * np.log1p(-p)))


def _bonferroni(p: FloatArray) -> FloatArray:
    return np.minimum(p * p.size, 1.0)


def _holm(p: FloatArray) -> FloatArray:
    return _stepped(p, p.size - np.arange(p.size, dtype=float), up=True)


def _hochberg(p: FloatArray) -> FloatArray:
    return _stepped(p, p.size - np.arange(p.size, dtype=float), up=False)


def _fdr(p: FloatArray) -> FloatArray:
    return _stepped(p, p.size / np.arange(1.0, p.size + 1), up=False)


def _by(p: FloatArray) -> FloatArray:
    ranks = np.arange(1.0, p.size + 1)
    return _stepped(p, p.size * (1 / ranks).sum() / ranks, up=False)


def _stepped(p: FloatArray, factors: FloatArray, *, up: bool) -> FloatArray:
    """Multiply ordered p values by ``factors``, kept monotone from the smallest up or back."""
    order = np.argsort(p, kind="stable")
    steps = p[order] * factors
    kept = np.maximum.accumulate(steps) if up else np.minimum.accumulate(steps[::-1])[::-1]
    out = np.empty(p.size)
    out[order] = np.minimum(kept, 1.0)
    return out


def _hommel(p: FloatArray) -> FloatArray:
    """Close the tests by Simes' inequality: the largest p of all sizes m of intersections."""
    n, order = p.size, np.argsort(p, kind="stable")
    own = p[order]
    rank = np.arange(1, n + 1)
    best = np.full(n, (n * own / rank).min())
    for m in range(n - 1, 1, -1):
        low, high = np.arange(n - m + 1), np.arange(n - m + 1, n)
        least = (m * own[high] / np.arange(2, m + 1)).min()
        step = np.empty(n)
        step[low] = np.minimum(m * own[low], least)
        step[high] = step[n - m]
        best = np.maximum(best, step)
    out = np.empty(n)
    out[order] = np.minimum(np.maximum(best, own), 1.0)
    return out


STEPS = {
    "sidak": _sidak, "bonferroni": _bonferroni, "holm": _holm, "hochberg": _hochberg,
    "hommel": _hommel, "fdr": _fdr, "by": _by,
}  # fmt: skip


def _f_tail(f: FloatArray, rank: int, df: FloatArray) -> FloatArray:
    return np.asarray(fdtrc(rank, np.minimum(df, KNOWN), f))


def _scheffe_quantile(level: float, rank: int, df: float) -> float:
    return float(np.sqrt(rank * fdtri(rank, min(df, KNOWN), level)))


def _dunnett_tail(c: FloatArray, count: int, df: FloatArray) -> FloatArray:
    """Tail of emmeans' mixture: (k - 1) / k of Tukey's method, 1 / k of Sidak's."""
    weight = (count - 1) / count
    tukey = range_sf(c * np.sqrt(2), _as_many_means(count), df)
    return np.asarray(weight * tukey + (1 - weight) * _sidak_of(single_p(c, df, 0), count))


def _sidak_of(p: FloatArray, count: int) -> FloatArray:
    return np.asarray(-np.expm1(count * np.log1p(-np.minimum(p, 1 - 1e-16))))


def _as_many_means(count: int) -> float:
    """How many means have so many pairs; any number, not only a whole one."""
    return float((1 + np.sqrt(1 + 8 * count)) / 2)


def _dunnett_quantile(level: float, count: int, df: float) -> float:
    from scipy.optimize import brentq

    def excess(c: float) -> float:
        return float(_dunnett_tail(np.array([c]), count, np.array([df]))[0] - (1 - level))

    high = 4.0
    while excess(high) > 0:
        high *= 2
    return float(brentq(excess, 0.0, high, rtol=1e-10))
