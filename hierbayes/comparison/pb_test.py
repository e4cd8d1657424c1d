"""Parametric-bootstrap likelihood-ratio test.

The chi-squared distribution of the likelihood-ratio statistic T is an approximation for many
groups, and wrong where the smaller model has a variance of zero. So responses are drawn from the
smaller model, both models are fitted to each, and the observed T is held against the T* of these
samples: p = (1 + number of T* >= T) / (1 + number of samples). Fits are by ML.

From the mean E and variance V of the T* follow approximations that need fewer samples, with d the
difference in number of parameters:

    Gamma     T ~ Gamma with mean E and variance V
    Bartlett  d T / E ~ chi-squared with d df
    F         T / d ~ F with d and 2 E / (E - d) df, where E > d

Source: Davison & Hinkley (1997), Bootstrap Methods and their Application, section 4.2; Halekoh &
Hojsgaard (2014), J. Stat. Softw. 59(9), section 5.
"""

import time
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.calls import checked_call
from hierbayes.comparison.same_data import check_families, check_same_rows
from hierbayes.errors import DataError, OptionError
from hierbayes.intervals.linear_refitter import LinearRefitter
from hierbayes.intervals.replicates import checked_count, checked_jobs, run_parts
from hierbayes.intervals.resampling import ResponseDraws, drawn_responses
from hierbayes.likelihood.generalised import optimum_of
from hierbayes.likelihood.generalised_refits import GeneralisedRefits, Refitter
from hierbayes.likelihood.refits import Refits
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.pb_test import PB_COLUMNS, ROWS, PbTest

# A statistic below this is zero: the two searches end within about 1e-9 of their optima.
AT_ZERO = 1e-6
# One below minus this says that the large model was not at its optimum, or does not hold the
# small one.
NOT_NESTED = 1e-3
PURPOSE = "their likelihoods do not compare"
SPAN = 1e-7  # part of a column of X that may lie outside of the span of the other model's


@checked_call("hb.pb_test")
def pb_test(
    small: LikelihoodFit,
    large: LikelihoodFit,
    nsim: int = 1000,
    random_seed: Any = None,
    *,
    n_jobs: int = 1,
    progress: bool | None = None,
) -> PbTest:
    """Test whether a larger model fits better, by simulation from the smaller one.

    Parameters
    ----------
    small, large : LikelihoodFit
        Of the same rows, response and family; ``small`` is ``large`` without some fixed or random
        effects. REML fits are fitted again by ML.
    nsim : int
        Number of samples.
    random_seed : int, Generator or SeedSequence
        The same seed gives the same numbers, for any ``n_jobs``.
    n_jobs : int
        Processes (joblib's).
    progress : bool, optional
        Show a bar when it takes over two seconds; unless said, where somebody watches.

    Returns
    -------
    PbTest
        Prints as a table; ``p_value`` with its Monte-Carlo error ``p_mcse``.

    Raises
    ------
    DataError
        If the fits have other rows, responses or weights, or are not nested.

    Notes
    -----
    Source: Halekoh & Hojsgaard (2014), J. Stat. Softw. 59(9). Unlike there, samples in which the
    larger model fits no better count as they are: they are what a variance of zero makes of the
    distribution.

    Examples
    --------
    >>> import hierbayes as hb
    >>> sleep = hb.load_dataset("sleepstudy")
    >>> small = hb.lmer("Reaction ~ 1 + (Days | Subject)", sleep)
    >>> large = hb.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> hb.pb_test(small, large, nsim=200, random_seed=1).p_value < 0.01
    True
    """
    nsim, n_jobs = checked_count(nsim), checked_jobs(n_jobs)
    for name, fit in (("small", small), ("large", large)):
        _check_kind(name, fit)
    _check_fits(small, large)
    began = time.perf_counter()
    refitted = "reml" in (small.method, large.method)
    pair: _Pair | _GeneralisedPair
    if isinstance(small, GeneralisedFit) and isinstance(large, GeneralisedFit):
        pair = _GeneralisedPair(small, large)
    else:
        assert isinstance(small, LinearFit)
        assert isinstance(large, LinearFit)
        pair = _Pair(small.with_method("ml"), large.with_method("ml"))
    observed = 2 * (pair.large.loglik - pair.small.loglik)
    if observed < -NOT_NESTED:
        raise DataError(
            "The large model has a lower likelihood than the small one, so it does not hold it as "
            "a special case. Give models of which one is the other with some effects left out."
        )
    parts = run_parts(
        partial(_statistics, pair),
        nsim,
        random_seed=random_seed,
        n_rows=small.nobs,
        n_jobs=n_jobs,
        progress=progress,
        title="Bootstrap test",
    )
    reference = np.concatenate(parts)
    observed = 0.0 if observed < AT_ZERO else float(observed)
    df = large.n_params - small.n_params
    used = reference[~np.isnan(reference)]
    table = pb_table(observed, used, df)
    p_asymptotic, p_value = table["p_value"].to_numpy(dtype=np.float64)[:2].tolist()
    return PbTest(
        statistic=observed,
        df=df,
        p_value=p_value,
        p_mcse=float(np.sqrt(p_value * (1 - p_value) / max(used.size, 1))),
        p_asymptotic=p_asymptotic,
        reference=used,
        n_samples=nsim,
        table=table,
        small=small.formula_text,
        large=large.formula_text,
        data_name=large.data_name,
        refitted=refitted,
        seconds=time.perf_counter() - began,
    )


class _Pair:
    """The two fits by ML, and what draws and refits responses."""

    def __init__(self, small: LinearFit, large: LinearFit) -> None:
        self.small, self.large = small, large
        self.draws = ResponseDraws(small.representing, "parametric")
        self.parts = [LinearRefitter(fit) for fit in (small, large)]

    def refits(self, count: int, rng: np.random.Generator) -> list[Refits]:
        """Fit both models to as many samples of the small one."""
        Y = self.draws.draw(count, rng)
        return [part.refits(Y)[0] for part in self.parts]


class _GeneralisedPair:
    """The two generalised fits, and what refits them."""

    def __init__(self, small: GeneralisedFit, large: GeneralisedFit) -> None:
        self.small, self.large = small, large
        self.refitters = [Refitter(optimum_of(fit)) for fit in (small, large)]

    def refits(self, count: int, rng: np.random.Generator) -> list[GeneralisedRefits]:
        """Fit both models to as many samples of the small one."""
        Y = drawn_responses(self.small, count, rng)
        return [refitter.fit(Y) for refitter in self.refitters]


def _statistics(pair: _Pair | _GeneralisedPair, seed: int, count: int) -> FloatArray:
    """Statistics of ``count`` samples of the small model, NaN where one can't be fitted."""
    small, large = pair.refits(count, np.random.default_rng(seed))
    statistic = small.criterion - large.criterion
    usable = small.converged & large.converged & (statistic > -NOT_NESTED)
    statistic = np.where(statistic < AT_ZERO, 0.0, statistic)
    return np.where(usable, statistic, np.nan)


def pb_table(observed: float, reference: FloatArray, df: int) -> pd.DataFrame:
    """Table of the test and its approximations.

    Parameters
    ----------
    observed : float
        Likelihood-ratio statistic.
    reference : array, shape (m,)
        Statistics of samples of the small model.
    df : int
        Difference in number of parameters.
    """
    from scipy.special import chdtrc, fdtrc, gammaincc

    m = reference.size
    mean = float(reference.mean()) if m else np.nan
    variance = float(reference.var(ddof=1)) if m > 1 else np.nan
    bartlett = df * observed / mean if mean > 0 else np.nan
    ddf = 2 * mean / (mean - df) if mean > df else np.nan
    p_f = float(fdtrc(df, ddf, observed / df)) if mean > df else np.nan
    p_gamma = np.nan
    if variance > 0:
        p_gamma = float(gammaincc(mean**2 / variance, observed * mean / variance))
    rows = (
        (observed, df, np.nan, float(chdtrc(df, observed))),
        (observed, np.nan, np.nan, (1 + int((reference >= observed).sum())) / (1 + m)),
        (observed, np.nan, np.nan, p_gamma),
        (bartlett, df, np.nan, float(chdtrc(df, bartlett))),
        (observed, df, ddf, p_f),
    )
    return pd.DataFrame(rows, index=list(ROWS), columns=list(PB_COLUMNS), dtype=np.float64)


def _check_kind(name: str, fit: LikelihoodFit) -> None:
    if not isinstance(fit, LinearFit | GeneralisedFit):
        raise OptionError(
            f"{name} must be a REML or ML fit, not {type(fit).__name__}; posteriors are "
            "compared with bayes_factor or compare."
        )
    if isinstance(fit, GeneralisedFit) and not fit.n_quadrature:
        raise DataError(
            f"{name} was fitted with n_quadrature=0, which maximises no likelihood; fit both "
            "models with n_quadrature=1 or more."
        )


def _check_fits(small: LikelihoodFit, large: LikelihoodFit) -> None:
    check_same_rows((small, large), purpose=PURPOSE)
    check_families((small, large), purpose=PURPOSE)
    if not _same(small.weights, large.weights) or (
        (small.design.known_sd is None) != (large.design.known_sd is None)
    ):
        raise DataError(
            "The fits have different weights or known sds, so their likelihoods do not compare."
        )
    if small.n_params == large.n_params:
        raise DataError(
            f"Both models have {small.n_params} parameters ({small.formula_text} and "
            f"{large.formula_text}), so neither is a special case of the other."
        )
    if small.n_params > large.n_params:
        raise DataError(
            f"The small model ({small.formula_text}) has {small.n_params} parameters, the large "
            f"one ({large.formula_text}) has {large.n_params}. Give the smaller one first."
        )
    if not _same(small.design.offset, large.design.offset) or not _is_within(small, large):
        raise DataError(
            f"The fixed part of {small.formula_text} is not a part of that of "
            f"{large.formula_text}, so the models are not nested."
        )


def _same(a: FloatArray | None, b: FloatArray | None) -> bool:
    return a is b or (a is not None and b is not None and np.array_equal(a, b))


def _is_within(small: LikelihoodFit, large: LikelihoodFit) -> bool:
    """Whether the columns of the small model's X are combinations of the large one's."""
    inside, whole = small.design.X[:, small.kept], large.design.X[:, large.kept]
    if not inside.size:
        return True
    whole = whole / np.maximum(np.linalg.norm(whole, axis=0), np.finfo(float).tiny)
    left = inside - whole @ np.linalg.lstsq(whole, inside, rcond=None)[0]
    return bool((np.linalg.norm(left, axis=0) <= SPAN * np.linalg.norm(inside, axis=0)).all())
