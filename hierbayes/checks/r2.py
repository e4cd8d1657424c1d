"""How much of the variance a model explains: Nakagawa's R2 and intraclass correlations.

With the variances of ``variance_shares``

    marginal R2      fixed / (fixed + random + residual)
    conditional R2   (fixed + random) / (fixed + random + residual)
    adjusted ICC     random / (random + residual)
    unadjusted ICC   random / (fixed + random + residual)

Both estimators have one definition: a likelihood fit has it at its estimates (a variance estimated
as zero counts as zero), a posterior in every draw.

Source: Nakagawa & Schielzeth (2013), Methods Ecol. Evol. 4:133; Nakagawa, Johnson & Schielzeth
(2017), J. R. Soc. Interface 14:20170213.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.calls import checked_call
from hierbayes.checks.variance_shares import ShareEstimates, VarianceShares, share_estimates
from hierbayes.errors import DataError
from hierbayes.options import R2Interval
from hierbayes.results.chains import credible_interval
from hierbayes.results.fit import Fit
from hierbayes.results.linear_fit import UNCHANGED
from hierbayes.results.variance_explained import R2, Icc


@checked_call("hb.r2")
def r2(
    fit: Fit,
    interval: R2Interval | None = None,
    level: float = 0.95,
    *,
    nsim: int = 500,
    random_seed: Any = None,
) -> R2:
    """Return Nakagawa's marginal and conditional R2.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    interval : None or "bootstrap"
        Of a likelihood fit; a posterior has credible intervals anyway.
    level : float
    nsim : int
        Replicates of the bootstrap.
    random_seed : int, Generator or SeedSequence
        Of the bootstrap.

    Returns
    -------
    R2
        ``marginal``: what the fixed part explains; ``conditional``: with the random effects.
        For random slopes their variance is averaged over the rows (Johnson, 2014). Without
        random effects both are the same. Where residual sds differ (``sigma=``, visits of
        ``us``) the residual variance is its mean over the rows.

    Raises
    ------
    NotSupportedError
        For a posterior of a family whose residual variance has no standard definition.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> round(hb.r2(fit).marginal, 4), round(hb.r2(fit).conditional, 4)
    (0.2787, 0.7992)
    """
    found = share_estimates(
        fit, interval, level=level, nsim=nsim, random_seed=random_seed, purpose="r2"
    )
    return R2(**_fields(fit, found, _r2_of, level=level))


@checked_call("hb.icc")
def icc(
    fit: Fit,
    interval: R2Interval | None = None,
    level: float = 0.95,
    *,
    nsim: int = 500,
    random_seed: Any = None,
) -> Icc:
    """Return the intraclass correlation: how alike two rows of one group are.

    Parameters
    ----------
    fit, interval, level, nsim, random_seed
        As for ``hb.r2``.

    Returns
    -------
    Icc
        ``adjusted`` for the fixed part, ``unadjusted``, and ``by_group`` the part of each grouping
        factor in the adjusted one: of random effects alone. Beside them rows of a series may be
        alike by the correlation of their residuals, which ``fit.varcorr()`` has.

    Raises
    ------
    DataError
        If the model has no random effects: no rows belong together.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("strength ~ 1 + (1 | batch/cask)", hb.load_dataset("Pastes"))
    >>> found = hb.icc(fit)
    >>> round(found.adjusted, 3), {name: round(part, 3) for name, part in found.by_group.items()}
    (0.937, {'cask:batch': 0.783, 'batch': 0.154})
    """
    if isinstance(fit, Fit) and fit.is_linear_model:
        series = fit.design.residual
        said = "" if series is None else (
            f" How alike rows of {series.group} are is the correlation of residuals, which "
            "fit.varcorr() has."
        )  # fmt: skip
        raise DataError(
            f"{fit.formula_text} has no random effects, so rows have no groups to be alike in."
            f"{said}"
        )
    found = share_estimates(
        fit, interval, level=level, nsim=nsim, random_seed=random_seed, purpose="icc"
    )
    related = tuple(own.name for own in fit.design.factors if own.relation is not None)
    return Icc(**_fields(fit, found, _icc_of, level=level), related=related)


def _r2_of(shares: VarianceShares) -> dict[str, FloatArray]:
    random = shares.all_random
    total = shares.fixed + random + shares.residual
    return {"marginal": shares.fixed / total, "conditional": (shares.fixed + random) / total}


def _icc_of(shares: VarianceShares) -> dict[str, FloatArray]:
    random = shares.all_random
    within = random + shares.residual
    return {
        "adjusted": random / within,
        "unadjusted": random / (within + shares.fixed),
        **{name: part / within for name, part in shares.random.items()},
    }


def _variances(shares: VarianceShares) -> dict[str, FloatArray]:
    return {"fixed": shares.fixed, "random": shares.all_random, "residual": shares.residual}


def _undetermined(
    found: ShareEstimates, measure: Callable[[VarianceShares], dict[str, FloatArray]]
) -> set[str]:
    """Names of numbers that differ between covariances that fit equally well."""
    if found.point is None:
        return set()
    here = {name: float(values[0]) for name, values in measure(found.point).items()}
    lost = set(found.undetermined) & set(here)
    for other in found.others:
        there = measure(other)
        lost |= {
            name
            for name, value in here.items()
            if abs(float(there[name][0]) - value) > UNCHANGED * abs(value)
        }
    return lost


def _fields(
    fit: Fit,
    found: ShareEstimates,
    measure: Callable[[VarianceShares], dict[str, FloatArray]],
    *,
    level: float,
) -> dict[str, Any]:
    best = found.draws if found.point is None else found.point
    assert best is not None
    lost = _undetermined(found, measure)
    estimates = {name: float(values.mean()) for name, values in measure(best).items()}
    estimates = {name: np.nan if name in lost else value for name, value in estimates.items()}
    limits = np.full((2, len(estimates)), np.nan)
    if found.draws is not None:
        draws = np.column_stack(list(measure(found.draws).values()))
        ends = credible_interval(draws, level, "eti")
        limits = np.array([ends.low, ends.high])
        limits[:, [name in lost for name in estimates]] = np.nan
    table = pd.DataFrame(
        {"estimate": list(estimates.values()), "conf_low": limits[0], "conf_high": limits[1]},
        index=list(estimates),
    )
    lost = _undetermined(found, _variances)
    variances = {name: float(values.mean()) for name, values in _variances(best).items()}
    return {
        "table": table,
        "variances": {n: np.nan if n in lost else value for n, value in variances.items()},
        "level": level,
        "residual_words": found.residual_words,
        "interval_words": found.interval_words,
        "formula_text": fit.formula_text,
        "data_name": fit.data_name,
    }
