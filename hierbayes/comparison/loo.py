"""Leave-one-out predictive densities: of single rows, or of whole groups in closed form.

With draws phi_s of the posterior, the posterior without y_j is reached by importance weights
1 / p(y_j | y_-j, phi_s), smoothed at their tail, so that

    log p(y_j | y_-j) = log of the weighted mean of p(y_j | y_-j, phi_s).

For single rows phi holds all parameters and random effects and p(y_j | y_-j, phi) is the
likelihood of the row. For groups of a Gaussian model phi holds the sds, correlations and sigma
(``leave_group_out.py``), for those of a generalised one the coefficients too
(``leave_level_out.py``): no draw of the random effects of the group left out is needed, and the
weights have much shorter tails.

Source: Vehtari, Gelman & Gabry (2017), Statistics and Computing 27:1413; Vehtari, Simpson, Gelman,
Yao & Gabry (2024), JMLR 25(72); Merkle, Furr & Rabe-Hesketh (2019), Psychometrika 84:802.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.bayes.predictive import flat_draws
from hierbayes.calls import checked_call
from hierbayes.capabilities import not_supported
from hierbayes.comparison.leave_group_out import (
    GroupProblem,
    group_log_densities,
    refit_without,
)
from hierbayes.comparison.leave_level_out import level_log_densities
from hierbayes.errors import DataError, OptionError
from hierbayes.options import check_flag, random_generator
from hierbayes.results.comparison import Loo
from hierbayes.results.finding import Finding
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.wording import listed, meant, shown

TRUSTED_K = 0.7  # Vehtari et al. (2024): above it the error of the estimate is unknown
NAMED = 5  # so many labels are named in a finding
AT_ONCE = 2**22  # log densities smoothed at once: 32 MB a copy
ENOUGH_DRAWS = 100  # fewer have no tail a Pareto distribution could be fitted to


@checked_call("hb.loo")
def loo(
    fit: PosteriorFit, by: str | None = None, *, refit: bool = False, random_seed: Any = None
) -> Loo:
    """Leave-one-out expected log predictive density of a posterior.

    Parameters
    ----------
    fit : PosteriorFit
    by : str, optional
        A grouping factor: all rows of each of its levels are left out at once. In Gaussian models
        the fixed and random effects are integrated out in closed form, in generalised models of
        one grouping factor the random effects by quadrature. Single rows are left out when not
        given.
    refit : bool
        With ``by``: sample the model anew without each level whose Pareto k is above 0.7.
    random_seed : int, Generator or SeedSequence
        For ``refit``.

    Raises
    ------
    OptionError
        If ``by`` is no grouping factor of the model.
    NotSupportedError
        For whole groups of a generalised model with several grouping factors, more than two
        columns of random effects or no smooth density, and for ``refit`` of generalised models.

    Examples
    --------
    >>> import hierbayes as hb
    >>> sleep = hb.load_dataset("sleepstudy")
    >>> post = hb.Model("Reaction ~ Days + (Days | Subject)", sleep).sample(random_seed=1)
    >>> len(hb.loo(post, by="Subject").to_frame())
    18
    """
    if not isinstance(fit, PosteriorFit):
        raise OptionError(
            f"loo needs a posterior, model.sample(...); it got {fit.__class__.__name__}. REML and "
            "ML fits have no posterior draws to predict with."
        )
    if fit.n_draws < ENOUGH_DRAWS:
        raise DataError(
            f"loo reweighs the draws, and {fit.n_draws} are too few for that; sample at least "
            f"{ENOUGH_DRAWS}."
        )
    check_flag("refit", refit, "True (sample anew without levels of high Pareto k) or False")
    if by is not None:
        rng = random_generator(random_seed)
        return _groups(fit, _factor_position(fit, by), rng if refit else None)
    if refit:
        raise not_supported("loo-refit-rows")
    return _rows(fit)


def _factor_position(fit: PosteriorFit, by: Any) -> int:
    names = tuple(factor.name for factor in fit.design.factors)
    if isinstance(by, str) and by in names:
        return names.index(by)
    if not names:
        raise OptionError(f"by={shown(by)}, but the model has no grouping factors; leave by out.")
    hint = meant(by, names)
    listed = ", ".join(map(repr, names))
    raise OptionError(f"by={shown(by)} is not one of the grouping factors {listed}{hint}")


def _rows(fit: PosteriorFit) -> Loo:
    S = fit.n_draws
    log_density = fit.log_likelihood().reshape(S, -1)
    terms = psis(log_density, relative_efficiency=_relative_efficiency(fit))
    mean_density = logsumexp(log_density, axis=0) - np.log(S)
    what = "Each row is left out in turn."
    if fit.design.factors:
        names = listed([factor.name for factor in fit.design.factors])
        what = (
            "Each row is left out in turn, its groups keep their other rows (conditional on the "
            f"random effects of {names}): prediction of new rows of the same groups."
        )
    labels = pd.Index(fit.design.row_labels, name="row")
    return _record(
        fit,
        terms,
        by=None,
        labels=labels,
        n_rows=np.ones(len(labels), dtype=np.intp),
        p_loo=float((mean_density - terms.elpd).sum()),
        what=what,
    )


def _groups(fit: PosteriorFit, position: int, rng: np.random.Generator | None) -> Loo:
    factor = fit.design.factors[position]
    if factor.levels.size < 2:
        raise DataError(f"{factor.name} has one level; without its rows nothing is left to learn.")
    if not fit.response_family.is_linear:
        if rng is not None:
            raise not_supported("loo-refit-of-family", family=fit.family)
        terms = psis(level_log_densities(fit), relative_efficiency=_relative_efficiency(fit))
        return _group_record(fit, position, terms)
    problem = GroupProblem(
        kernel=fit.spec.kernel("reml"),
        priors=fit.priors,
        design=fit.design,
        weights=fit.weights,
        flat=flat_draws(fit.draws, fit.design),
        codes=factor.codes,
        levels=factor.levels,
        factor=position,
    )
    terms = psis(group_log_densities(problem), relative_efficiency=_relative_efficiency(fit))
    if rng is not None:
        terms = _with_refits(terms, problem, rng)
    return _group_record(fit, position, terms)


def _group_record(fit: PosteriorFit, position: int, terms: "PsisTerms") -> Loo:
    factor = fit.design.factors[position]
    return _record(
        fit,
        terms,
        by=factor.name,
        labels=pd.Index(factor.levels, name=factor.name),
        n_rows=np.bincount(factor.codes, minlength=factor.levels.size),
        p_loo=float("nan"),
        what=_what_is_left_out(fit, position),
    )


def _with_refits(
    terms: "PsisTerms", problem: GroupProblem, rng: np.random.Generator
) -> "PsisTerms":
    """Replace the terms of high Pareto k by those of posteriors without the level."""
    elpd, mcse = terms.elpd.copy(), terms.mcse.copy()
    refitted = terms.pareto_k > TRUSTED_K
    for j in np.flatnonzero(refitted):
        found = refit_without(problem, int(j), random_seed=rng)
        elpd[j], mcse[j] = found.elpd, found.mcse
    return PsisTerms(elpd=elpd, mcse=mcse, pareto_k=terms.pareto_k, refitted=refitted)


def _what_is_left_out(fit: PosteriorFit, position: int) -> str:
    factors = fit.design.factors
    factor = factors[position]
    counts = np.bincount(factor.codes, minlength=factor.levels.size)
    low, high = int(counts.min()), int(counts.max())
    rows = f"{low} rows" if low == high else f"{low} to {high} rows"
    if high == 1:
        rows = "1 row"
    gaussian = fit.response_family.is_linear and fit.priors.gaussian_beta() is not None
    integrated = "fixed and random effects" if gaussian else "random effects"
    text = (
        f"All rows of each {factor.name} ({rows}) are left out at once; {integrated} are "
        f"integrated out: prediction of a new {factor.name}"
    )
    codes = factor.codes
    shared = [
        other.name
        for other in factors
        if other is not factor
        and np.unique(other.codes * factor.levels.size + codes).size > other.levels.size
    ]
    if shared:
        text += f" whose rows share levels of {listed(shared)} with the others"
    return text + ". Priors stay as they are."


@record
class PsisTerms:
    """Leave-one-out terms, each of shape (J,).

    Attributes
    ----------
    elpd : log predictive density of what is left out
    mcse : its Monte-Carlo standard error
    pareto_k : shape of the tail of the importance weights
    refitted : whether the term is of a posterior sampled without it, so that k does not matter
    """

    elpd: FloatArray
    mcse: FloatArray
    pareto_k: FloatArray
    refitted: BoolArray


def psis(log_density: FloatArray, *, relative_efficiency: float = 1.0) -> PsisTerms:
    """Pareto-smoothed leave-one-out terms from log densities (S, J) of draws."""
    from arviz_stats.base import array_stats

    S, J = log_density.shape
    elpd, variance, pareto_k = np.empty(J), np.empty(J), np.empty(J)
    step = max(1, AT_ONCE // S)
    for start in range(0, J, step):
        at = slice(start, min(start + step, J))
        terms = np.ascontiguousarray(log_density[:, at].T)
        smoothed, pareto_k[at] = array_stats.psislw(terms, r_eff=relative_efficiency, axis=-1)
        smoothed = smoothed - logsumexp(smoothed, axis=1, keepdims=True)
        elpd[at] = logsumexp(smoothed + terms, axis=1)
        # Weights times (density / its weighted mean - 1): both parts are at most 1, the ratio
        # alone can be beyond a double.
        share = np.exp(smoothed + terms - elpd[at, None])
        variance[at] = np.square(share - np.exp(smoothed)).sum(axis=1)
    return PsisTerms(
        elpd=elpd,
        mcse=np.sqrt(variance / min(relative_efficiency, 1.0)),
        pareto_k=pareto_k,
        refitted=np.zeros(J, dtype=np.bool_),
    )


def _relative_efficiency(fit: PosteriorFit) -> float:
    """Effective part of the draws, for how far the tail of the weights reaches."""
    ess = fit.chain_statistics.ess_bulk
    known = ess[np.isfinite(ess)]
    if fit.n_chains == 1 or not known.size:
        return 1.0
    return float(np.clip(known.mean() / fit.n_draws, 0.05, 1.0))


def _record(
    fit: PosteriorFit,
    terms: PsisTerms,
    *,
    by: str | None,
    labels: pd.Index,
    n_rows: IntArray,
    p_loo: float,
    what: str,
) -> Loo:
    J = terms.elpd.size
    se = float(np.sqrt(J * terms.elpd.var(ddof=1))) if J > 1 else float("nan")
    table = pd.DataFrame(
        {
            "n_rows": n_rows,
            "elpd": terms.elpd,
            "mcse": terms.mcse,
            "pareto_k": terms.pareto_k,
            "refitted": terms.refitted,
        },
        index=labels,
    )
    return Loo(
        elpd=float(terms.elpd.sum()),
        se=se,
        mcse=float(np.sqrt((terms.mcse**2).sum())),
        p_loo=p_loo,
        by=by,
        pointwise=table,
        what=what,
        formula_text=fit.formula_text,
        data_name=fit.data_name,
        n_draws=fit.n_draws,
        findings=_findings(fit, table, by),
    )


def _findings(fit: PosteriorFit, table: pd.DataFrame, by: str | None) -> tuple[Finding, ...]:
    found = []
    if not fit.converged:
        found.append(
            Finding(
                "not_converged",
                "The draws are not (yet) those of the posterior.",
                "See the findings of the fit; elpd is as doubtful as they are.",
            )
        )
    bad = table[(table["pareto_k"] > TRUSTED_K) & ~table["refitted"]].sort_values(
        "pareto_k", ascending=False
    )
    if not len(bad):
        return tuple(found)
    named = ", ".join(str(label) for label in bad.index[:NAMED])
    rest = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    worst = float(bad["pareto_k"].iloc[0])
    unit = by or ("row" if len(bad) == 1 else "rows")
    are = "are" if len(bad) > 1 else "is"
    sentence = (
        f"{len(bad)} of {len(table)} terms {are} not to be trusted: leaving out {unit} "
        f"{named}{rest} changes the posterior more than reweighing can follow (Pareto k up to "
        f"{worst:.2f}, trusted up to {TRUSTED_K})."
    )
    found.append(Finding("pareto_k", sentence, _advice(fit, by), {"pareto_k": worst}))
    return tuple(found)


def _advice(fit: PosteriorFit, by: str | None) -> str:
    if by is not None and not fit.response_family.is_linear:
        return "Fit the model without each of them, and look at what changes."
    if by is not None:
        return f'hb.loo(fit, by="{by}", refit=True) samples the model without each of them.'
    factors = fit.design.factors
    if len(factors) == 1 or (factors and fit.response_family.is_linear):
        name = factors[-1].name
        return (
            "Such rows carry much of what is known about their group's effects; "
            f'hb.loo(fit, by="{name}") integrates these out.'
        )
    return "Look at these rows: they may be outliers, or the response may have longer tails."
