"""Contrasts between the groups of a table of effects, and adjustments for its several tests.

A contrast of results is another result: the rows of K of ``plan.py`` are combined with its weights,
so that its standard error, degrees of freedom or draws are its own. A difference of ratios is one
of their logs, a ratio of ratios.
"""

from dataclasses import replace

import numpy as np

from hierbayes.errors import OptionError
from hierbayes.marginal_effects.base_rows import BaseRows
from hierbayes.marginal_effects.estimates import Estimates
from hierbayes.marginal_effects.plan import Plan
from hierbayes.marginal_effects.request import By, EffectRequest
from hierbayes.marginal_means.adjustment import Tests, adjusted_p, adjusted_quantile
from hierbayes.marginal_means.contrast_families import Contrasts
from hierbayes.marginal_means.emmeans_contrasts import Asked, contrast_rows
from hierbayes.options import ComparisonKind
from hierbayes.wording import counted

MANY = 2  # tests that could be adjusted for


def contrasts_between(
    base: BaseRows, by: By, asked: EffectRequest, kind: ComparisonKind
) -> Contrasts | None:
    """Return the contrasts between groups that are asked for; None where there are none.

    Raises
    ------
    OptionError
        If there are no groups, or no such contrasts of them.
    """
    if asked.contrasts is None:
        return None
    if by is False or not base.names:
        raise OptionError(
            "contrasts= compares averages with each other: say which by by=, or give several "
            "values of a predictor by at=."
        )
    sign = "-" if kind == "difference" else "/"
    return contrast_rows(Asked(contrasts=asked.contrasts, sign=sign), base.labels)


def adjusted(found: Estimates, plan: Plan, asked: EffectRequest) -> Estimates:
    """Return tests and intervals adjusted for all tests of the table.

    Raises
    ------
    OptionError
        If nothing is tested.
    """
    n = int((~np.isnan(found.estimate)).sum())
    untested = found.p_value is None or bool(np.isnan(found.p_value).all())
    if found.statistic is None or found.df is None or found.p_value is None:
        if asked.adjust == "none":
            return found
        raise OptionError(
            f"adjust={asked.adjust!r} is for tests by the delta method; draws and replicates are "
            "not tested."
        )
    if asked.adjust == "none":
        words = "" if untested or n < MANY else f" Not adjusted for {counted(n, 'test')}."
        return replace(found, words=found.words + words)
    tests = Tests(
        statistic=found.statistic,
        df=found.df,
        side="two-sided",
        n_means=n,
        root=np.zeros((found.statistic.size, 0)),
    )
    value, error = found.estimate, found.std_error
    if plan.kind != "difference":
        value, error = np.log(value), error / value
    half = adjusted_quantile(tests, asked.adjust, asked.level) * error
    return replace(
        found,
        p_value=np.where(np.isnan(found.p_value), np.nan, adjusted_p(tests, asked.adjust)),
        conf_low=plan.shown(value - half),
        conf_high=plan.shown(value + half),
        words=f"{found.words} Adjusted for {counted(n, 'test')}: {METHODS[asked.adjust]}.",
    )


METHODS = {
    "bonferroni": "Bonferroni's method",
    "sidak": "Sidak's method",
    "holm": "p by Holm's method, intervals by Bonferroni's",
    "hochberg": "p by Hochberg's method, intervals by Bonferroni's",
    "hommel": "p by Hommel's method, intervals by Bonferroni's",
    "fdr": "p by Benjamini and Hochberg's false discovery rate, intervals by Bonferroni's method",
    "by": "p by Benjamini and Yekutieli's false discovery rate, intervals by Bonferroni's method",
}
