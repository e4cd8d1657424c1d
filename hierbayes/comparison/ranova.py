"""Tests of random effects: each one is taken out in turn.

The likelihood ratio of the model against the one without the term, by the method of the fit: the
fixed part is the same in both, so restricted likelihoods compare too. Three p values stand side
by side because a variance cannot be negative: the plain chi-squared (lmerTest's, too large), the
chi-bar-squared mixture (``boundary_mixture``), and for a single variance component the exact null
distribution (``exact_rlrt``).

Source: Kuznetsova, Brockhoff & Christensen (2017), J. Stat. Softw. 82(13).
"""

import math
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from hierbayes.arrays import record
from hierbayes.calls import checked_call
from hierbayes.comparison.boundary_mixture import ZERO_RATIO, Mixture, Reduced, mixture_p
from hierbayes.comparison.deletions import Deletion, deletions, whole_terms
from hierbayes.comparison.exact_rlrt import exact_test, why_not_exact
from hierbayes.design.design import Design
from hierbayes.errors import DataError, OptionError
from hierbayes.gaussian.kernel import kernel_of
from hierbayes.gaussian.patterned import check_patterned
from hierbayes.intervals.replicates import checked_count
from hierbayes.likelihood.lmm import fit_lmm
from hierbayes.likelihood.residual_search import search_design
from hierbayes.options import check_flag, random_generator
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.ranova_table import RANOVA_COLUMNS, RanovaTable

NONE = "<none>"
EXACT_UP_TO = 1000  # levels: with more the mixture is as good, and the exact p takes seconds


@record
class _Row:
    name: str
    n_params: int
    loglik: float
    chisq: float
    df: int
    mixture: Mixture
    leaves_nothing: bool
    n_undetermined: int

    @property
    def p_value(self) -> float:
        return float(chdtrc(self.df, max(self.chisq, 0.0))) if self.df > 0 else math.nan


@checked_call("hb.ranova")
def ranova(
    fit: LikelihoodFit,
    *,
    reduce_terms: bool = True,
    nsim: int = 10_000,
    random_seed: Any = None,
) -> RanovaTable:
    """Test each random effect of a model by taking it out.

    Parameters
    ----------
    fit : LinearFit
        A mixed model. Its own method is used for both likelihoods, REML or ML, and its rows.
    reduce_terms : bool
        Take the columns of ``(Days | Subject)`` out one by one, or, with False, each bar as a
        whole, as lmerTest's ``reduce.terms``.
    nsim : int
        Draws of the exact null distribution, for a model with one variance component of at most
        1000 levels.
    random_seed : int, Generator or SeedSequence
        For ``p_exact`` alone.

    Returns
    -------
    RanovaTable
        Rows as lmerTest names them: ``Days in (Days | Subject)`` leaves ``(1 | Subject)``. The
        mixture holds as the number of levels grows; with a handful it is still a little too large.

    Raises
    ------
    DataError
        If the model has no random effects.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> hb.ranova(fit).to_frame().loc["Days in (Days | Subject)", "chisq"].round(3)
    np.float64(42.837)
    """
    if not isinstance(fit, LikelihoodFit):
        hint = " The posterior says how large a variance is: tidy(), hb.bayes_factor."
        raise OptionError(
            f"ranova tests the random effects of a REML or ML fit; it got "
            f"{fit.__class__.__name__}.{hint if isinstance(fit, PosteriorFit) else ''}"
        )
    count = checked_count(nsim)
    rng = random_generator(random_seed)
    if fit.is_linear_model:
        raise DataError(f"{fit.formula_text} has no random effects, so there is none to take out.")
    check_patterned(fit.design, "ranova")
    check_flag("reduce_terms", reduce_terms, "True (columns one by one) or False (whole bars)")
    found = deletions(fit.design) if reduce_terms else whole_terms(fit.design)
    rows = [_row(fit, deletion) for deletion in found]
    exact = [_exact_p(fit, row, nsim=count, rng=rng) for row in rows]
    return RanovaTable(
        table=_table(fit, rows, exact),
        mixtures={row.name: row.mixture.words for row in rows if row.mixture.df is not None},
        reasons={row.name: row.mixture.reason for row in rows if row.mixture.reason},
        undetermined={row.name: row.n_undetermined for row in rows if row.n_undetermined > 0},
        method=fit.method,
        formula_text=fit.formula_text,
        data_name=fit.data_name,
        nsim=0 if all(map(math.isnan, exact)) else count,
    )


def _row(fit: LikelihoodFit, deletion: Deletion) -> _Row:
    reduced = _fitted(fit, deletion.design)
    # of what is taken out what the data determine: the ratio has no other degrees of freedom
    n_undetermined = fit.n_undetermined - reduced.n_undetermined
    df = fit.n_params - reduced.n_params - n_undetermined
    chisq = 2 * (fit.loglik - reduced.loglik)
    if df > 0 and chisq < ZERO_RATIO:
        chisq = 0.0  # two searches for one optimum
    return _Row(
        name=deletion.name,
        n_params=reduced.n_params,
        loglik=reduced.loglik,
        chisq=chisq,
        df=df,
        mixture=mixture_p(reduced, fit, chisq),
        n_undetermined=n_undetermined,
        leaves_nothing=not deletion.design.terms,
    )


def _fitted(fit: LikelihoodFit, design: Design) -> Reduced:
    """Fit the model of another random part to the rows of a fit, by its method."""
    if isinstance(fit, GeneralisedFit):
        return _generalised(fit, design)
    if isinstance(fit, LinearFit) and fit.residual is not None:
        return _beside_residuals(fit, design)
    kernel = kernel_of(design, weights=fit.weights, method=fit.method)
    found = fit_lmm(design, kernel)
    kept = found.kernel.products.anchor.kept
    return Reduced(
        design=design,
        kept=kept,
        is_singular=found.is_singular,
        n_params=kept.size + found.theta.size + (0 if kernel.sigma_known else 1),
        loglik=-float(found.at.criterion[0]) / 2,
        n_undetermined=kernel.n_undetermined,
    )


def _beside_residuals(fit: LinearFit, design: Design) -> Reduced:
    """Fit a smaller random part beside residuals of the same structure."""
    assert fit.residual is not None
    best = search_design(design, fit.method)
    kept = best.found.kernel.products.anchor.kept
    return Reduced(
        design=design,
        kept=kept,
        is_singular=best.found.is_singular or bool(best.findings),  # a correlation at its bound
        n_params=kept.size + best.found.theta.size + 1 + fit.residual.phi.size,
        loglik=-float(best.found.at.criterion[0]) / 2,
        n_undetermined=0,
    )


def _generalised(fit: GeneralisedFit, design: Design) -> Reduced:
    from hierbayes.likelihood.glmm import fit_glmm

    found = fit_glmm(fit.spec.with_other_design(design), fit.n_quadrature)
    return Reduced(
        design=design,
        kept=fit.kept,
        is_singular=found.is_singular,
        n_params=found.beta.size + found.theta.size + len(found.dispersion),
        loglik=found.loglik,
        n_undetermined=0,
    )


def _exact_p(fit: LikelihoodFit, row: _Row, *, nsim: int, rng: np.random.Generator) -> float:
    """Exact p of the deletion of the only variance component; NaN for any other."""
    if not isinstance(fit, LinearFit):
        return math.nan
    small = max(factor.levels.size for factor in fit.design.factors) <= EXACT_UP_TO
    if row.df > 0 and row.leaves_nothing and small and why_not_exact(fit) is None:
        with suppress(DataError):  # the data do not tell the variance from the residual one
            return exact_test(fit, fit.method, nsim=nsim, random_seed=rng).p_value
    return math.nan


def _table(fit: LikelihoodFit, rows: list[_Row], exact: list[float]) -> pd.DataFrame:
    n_params = np.array([fit.n_params, *(row.n_params for row in rows)])
    loglik = np.array([fit.loglik, *(row.loglik for row in rows)])
    columns = (
        n_params,
        loglik,
        2 * n_params - 2 * loglik,
        [math.nan, *(row.chisq for row in rows)],
        [math.nan, *(float(row.df) for row in rows)],
        [math.nan, *(row.p_value for row in rows)],
        [math.nan, *(row.mixture.p_value for row in rows)],
        [math.nan, *exact],
    )
    index = [NONE, *(row.name for row in rows)]
    return pd.DataFrame(dict(zip(RANOVA_COLUMNS, columns, strict=True)), index=index)
