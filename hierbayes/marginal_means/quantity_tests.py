"""Estimates, intervals and tests of marginal quantities, from a likelihood fit or from draws.

A two-sided test of q = null has the statistic (q - null) / se. With a margin delta, "<" tests
q < null + delta (nonsuperiority), ">" tests q > null - delta (noninferiority), and two-sided tests
|q - null| < delta (equivalence, two one-sided tests) by the smaller of the two statistics. Draws
give the probabilities of the same statements.

Source: Schuirmann (1987), J. Pharmacokinet. Biopharm. 15:657 (equivalence); Lenth (2016), J. Stat.
Softw. 69(1).
"""

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.errors import OptionError
from hierbayes.intervals.kenward_roger import kenward_roger
from hierbayes.intervals.linear_tests import row_tests
from hierbayes.marginal_means.adjustment import Tests, adjusted_p, adjusted_quantile
from hierbayes.options import Adjust
from hierbayes.results.chains import credible_interval
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.marginal_quantities import (
    Carried,
    DrawQuantities,
    Family,
    FitQuantities,
    Marginals,
    Question,
)

Columns = dict[str, FloatArray]
ONE_SIDED: Adjust = "sidak"  # of one-sided tests, in the place of methods for two sides
SUPPORTED_WORDS = "'sidak', 'bonferroni' or 'holm'"


def columns(marginals: Marginals, question: Question) -> Columns:
    """Columns ``estimate std_error df statistic p_value conf_low conf_high`` of all quantities.

    Of draws ``df``, ``statistic`` and ``p_value`` are NaN and ``p_direction`` is added, or
    ``probability`` where a statement was asked for.
    """
    if isinstance(marginals.tested, DrawQuantities):
        return _draw_columns(marginals, marginals.tested, question)
    return _fit_columns(marginals, marginals.tested, question)


def adjustment(family: Family, question: Question) -> Adjust:
    """Return the adjustment of a family: what was asked for, else its own.

    Raises
    ------
    OptionError
        For a method that these tests do not have.
    """
    asked = question.adjust
    margin = question.side == "two-sided" and question.delta > 0
    one_sided = question.side != "two-sided" or margin
    if asked is None:
        own = family.adjust
        if one_sided and (own in ("tukey", "scheffe", "dunnettx") or (own == "mvt" and margin)):
            return ONE_SIDED
        return own
    if asked == "tukey" and not family.all_pairs:
        raise OptionError(
            "adjust='tukey' is for contrasts='pairwise', all differences of the means; use "
            "adjust='holm' for contrasts of your own, or adjust='mvt'."
        )
    if one_sided and (asked in ("tukey", "scheffe", "dunnettx") or (asked == "mvt" and margin)):
        raise OptionError(
            f"adjust={asked!r} is for two-sided tests of no difference; one-sided tests and tests "
            f"with a margin have {SUPPORTED_WORDS}."
        )
    return asked


def _fit_columns(marginals: Marginals, tested: FitQuantities, question: Question) -> Columns:
    found = estimates(tested)
    estimate, se = found["estimate"], found["std_error"]
    margin, side = question.delta, {"two-sided": 0, "<": -1, ">": 1}[question.side]
    with np.errstate(divide="ignore", invalid="ignore"):
        if side:
            statistic = (estimate - question.null + side * margin) / se
        elif margin:
            statistic = (np.abs(estimate - question.null) - margin) / se
        else:
            statistic = (estimate - question.null) / se
    method = adjustment(marginals.family, question)
    root = _root(tested)
    p_value, half = np.full(estimate.shape, np.nan), np.full(estimate.shape, np.nan)
    for group, n_means in zip(marginals.groups, marginals.family.n_means, strict=True):
        one = Tests(
            statistic=statistic[group],
            df=found["df"][group],
            side=question.side,
            n_means=n_means,
            root=root[group],
            towards=-1 if margin and not side else 0,
        )
        half[group] = adjusted_quantile(one, method, question.level) * se[group]
        if tested.ddf != "none":
            p_value[group] = adjusted_p(one, method)
    low = np.full(estimate.shape, -np.inf) if side < 0 else estimate - half
    high = np.full(estimate.shape, np.inf) if side > 0 else estimate + half
    undone = np.isnan(half)
    low, high = np.where(undone, np.nan, low), np.where(undone, np.nan, high)
    columns = {
        "estimate": estimate,
        "std_error": se,
        "df": found["df"],
        "statistic": statistic,
        "p_value": p_value,
        "conf_low": low,
        "conf_high": high,
    }
    return columns if marginals.carried is None else _carried(columns, marginals.carried)


def _carried(found: Columns, carried: Carried) -> Columns:
    """Show an estimate and its limits on another scale, with the error of the delta method."""
    with np.errstate(over="ignore", invalid="ignore"):
        ends = np.sort([carried.to(found["conf_low"]), carried.to(found["conf_high"])], axis=0)
        shown = {
            "estimate": carried.to(found["estimate"]),
            "std_error": np.abs(carried.slope(found["estimate"])) * found["std_error"],
            "conf_low": ends[0],
            "conf_high": ends[1],
        }
    return found | shown


def estimates(tested: FitQuantities) -> Columns:
    """Columns ``estimate std_error df`` of quantities of a fit, NaN where one is not determined."""
    fit, known = tested.fit, tested.known
    out = {name: np.full(tested.size, np.nan) for name in ("estimate", "std_error", "df")}
    G, values = tested.gradient[known], tested.values[known]
    if isinstance(fit, GeneralisedFit) and G.shape[1] > fit.beta.size:
        se = np.sqrt(((G @ fit.fixed_root) ** 2).sum(axis=1))
        df = np.full(values.shape, np.nan if tested.ddf == "none" else np.inf)
    else:
        tests = row_tests(fit, G, ddf=tested.ddf)
        se, df = tests.std_error, tests.df
        values = np.where(np.isnan(tests.estimate), np.nan, values)
    extra = (tested.further[known] ** 2).sum(axis=1)
    out["estimate"][known], out["df"][known] = values, df
    out["std_error"][known] = np.sqrt(se**2 + extra) if extra.any() else se
    return out


def _root(tested: FitQuantities) -> FloatArray:
    """R (m, k) with R R' the covariance of the quantities."""
    fit, G = tested.fit, np.nan_to_num(tested.gradient)
    if isinstance(fit, GeneralisedFit) and G.shape[1] > fit.beta.size:
        root = fit.fixed_root
    elif isinstance(fit, LinearFit) and tested.ddf == "kenward-roger":
        root = np.linalg.cholesky(kenward_roger(fit).vcov)
    else:
        root = fit.representing.vcov_root
    return np.column_stack([G @ root, tested.further])


def _draw_columns(marginals: Marginals, tested: DrawQuantities, question: Question) -> Columns:
    draws, carried = tested.draws, marginals.carried
    values = draws if carried is None else carried.to(draws)
    interval = credible_interval(values, question.level, tested.interval)
    none = np.full(tested.size, np.nan)
    found = {
        "estimate": values.mean(axis=0),
        "std_error": values.std(axis=0, ddof=1),
        "df": none,
        "statistic": none,
        "p_value": none,
        "conf_low": interval.low,
        "conf_high": interval.high,
    }
    away = draws - question.null
    if question.side == "two-sided" and not question.delta:
        up = (away > 0).mean(axis=0)
        share, name = np.maximum(up, (away < 0).mean(axis=0)), "p_direction"
    elif question.side == "two-sided":
        share, name = (np.abs(away) < question.delta).mean(axis=0), "probability"
    else:
        holds = away > -question.delta if question.side == ">" else away < question.delta
        share, name = holds.mean(axis=0), "probability"
    return found | {name: np.where(np.isnan(draws[0]), np.nan, share)}
