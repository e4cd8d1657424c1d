"""Leave-one-out predictive densities: of single rows, of whole groups, or of any blocks of rows.

With draws phi_s of the posterior, the posterior without y_j is reached by importance weights
1 / p(y_j | y_-j, phi_s), smoothed at their tail, so that

    log p(y_j | y_-j) = log of the weighted mean of p(y_j | y_-j, phi_s).

The fewer parameters phi holds the shorter is the tail of the weights. In Gaussian models phi are
the sds, correlations and sigma, and p(y_j | y_-j, phi) has a closed form for rows
(``leave_row_out.py``) and blocks (``leave_group_out.py``): "exact". In generalised models the
coefficients are in phi as well, and the effects of one grouping factor are integrated out by
quadrature (``leave_level_out.py``): "integrated". Elsewhere phi are all parameters and random
effects, and p(y_j | phi) is the likelihood of the row, as in ``az.loo``: "draws". Where residuals
are correlated what is left out is predicted from all other rows, those of its series among them
(``structured_rows.py``).

Source: Vehtari, Gelman & Gabry (2017), Statistics and Computing 27:1413; Vehtari, Simpson, Gelman,
Yao & Gabry (2024), JMLR 25(72); Merkle, Furr & Rabe-Hesketh (2019), Psychometrika 84:802; Vehtari,
Mononen, Tolvanen, Sivula & Winther (2016), JMLR 17(103) (integrated importance weights).
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.bayes.mixture import log_sum_exp
from hierbayes.bayes.pareto_smoothing import smoothed_weights
from hierbayes.calls import checked_call
from hierbayes.capabilities import not_supported
from hierbayes.comparison.collapsed_draws import LeftOut
from hierbayes.comparison.drawn_anew import can_draw_anew, draw_anew
from hierbayes.comparison.fold_refits import predict_fold
from hierbayes.comparison.leave_group_out import group_log_densities, refit_without
from hierbayes.comparison.leave_level_out import (
    is_within,
    level_log_densities,
    levels_apply,
)
from hierbayes.comparison.leave_row_of_level_out import level_row_log_densities
from hierbayes.comparison.leave_row_out import row_log_densities, rows_apply
from hierbayes.comparison.left_out_blocks import Blocks, blocks_of, left_out
from hierbayes.comparison.structured_rows import (
    block_densities,
    check_few,
    has_structured_rows,
    row_densities,
    rows_are_few,
    structured_rows,
)
from hierbayes.errors import DataError
from hierbayes.families.parameter_formulas import check_no_formulas
from hierbayes.options import check_flag, random_generator
from hierbayes.results.comparison import Loo, LooByDraws, LooMethod
from hierbayes.results.draws import TRUSTED_K
from hierbayes.results.finding import Finding
from hierbayes.results.posterior_fit import PosteriorFit, needs_posterior
from hierbayes.results.unconverged import unconverged
from hierbayes.wording import listed

NAMED = 5  # so many labels are named in a finding
AT_ONCE = 2**22  # log densities smoothed at once: 32 MB a copy
MOST_ANEW = 50  # terms for which parameters are drawn anew: a few seconds
ENOUGH_DRAWS = 100  # fewer have no tail a Pareto distribution could be fitted to


@checked_call("hb.loo")
def loo(fit: PosteriorFit, by: Any = None, *, refit: bool = False, random_seed: Any = None) -> Loo:
    """Leave-one-out expected log predictive density of a posterior.

    Parameters
    ----------
    fit : PosteriorFit
    by : str or array, optional
        What is left out at once: all rows of each level of a grouping factor, of each value of a
        column of the data, or with the same label, one for each row. Single rows are left out when
        not given.
    refit : bool
        Sample anew without each row or block whose Pareto k is above 0.7.
    random_seed : int, Generator or SeedSequence
        For ``refit``, and for terms for which variance parameters are drawn anew: in Gaussian
        models those with a Pareto k above 0.7. Always the same when not given.

    Returns
    -------
    Loo
        Its ``method`` says what the draws were reweighed over. "exact": the sds, correlations and
        sigma alone, all else in closed form (Gaussian models). "integrated": the random effects of
        one grouping factor by quadrature (generalised models). "draws": nothing is integrated out,
        as in ``az.loo``, whose answer stands beside the others as ``by_draws``.

    Raises
    ------
    OptionError
        If ``by`` is no grouping factor, no column and no label for each row.
    DataError
        If the rows that are left do not determine coefficients with flat priors.
    NotSupportedError
        For blocks of rows of a generalised model other than levels of a grouping factor with up to
        two columns of random effects and none nested in it, or of a family without a smooth
        density.

    Examples
    --------
    >>> import hierbayes as hb
    >>> sleep = hb.load_dataset("sleepstudy")
    >>> post = hb.Model("Reaction ~ Days + (Days | Subject)", sleep).sample(random_seed=1)
    >>> rows = hb.loo(post)
    >>> rows.method, int((rows.to_frame()["pareto_k"] > 0.7).sum())
    ('exact', 0)
    >>> len(hb.loo(post, by="Subject").to_frame())
    18
    """
    check_posterior(fit, "loo")
    check_flag("refit", refit, "True (sample anew without what has a high Pareto k) or False")
    if not has_structured_rows(fit):
        if by is not None:
            check_no_formulas(fit.design, "hb.loo(by=)")
        if refit:
            check_no_formulas(fit.design, "hb.loo(refit=True)")
    blocks = blocks_of(fit, by)
    rng = random_generator(0 if random_seed is None else random_seed)
    found = _reweighed(fit, blocks, rng)
    terms = found.terms
    if refit:
        terms = _with_refits(terms, fit, blocks, rng)
    return _record(fit, replace(found, terms=terms), blocks)


def check_posterior(fit: PosteriorFit, verb: str) -> None:
    """Raise an error if a fit has no draws, or too few to reweigh."""
    if not isinstance(fit, PosteriorFit):
        why = "REML and ML fits have no posterior draws to predict with."
        raise needs_posterior(verb, fit, why)
    if fit.n_draws < ENOUGH_DRAWS:
        raise DataError(
            f"{verb} needs more draws than the {fit.n_draws} there are; sample at least "
            f"{ENOUGH_DRAWS}."
        )


@record
class PsisTerms:
    """Leave-one-out terms, each of shape (J,).

    Attributes
    ----------
    elpd : log predictive density of what is left out
    mcse : its Monte-Carlo standard error
    pareto_k : shape of the tail of the importance weights
    anew : whether the variance parameters were drawn anew for the term
    refitted : whether the term is of a posterior sampled without it, so that k does not matter
    """

    elpd: FloatArray
    mcse: FloatArray
    pareto_k: FloatArray
    anew: BoolArray
    refitted: BoolArray


@record
class _Reweighed:
    """Terms with the method they are of, and those of rows by the draws of all parameters."""

    terms: PsisTerms
    method: LooMethod
    by_draws: PsisTerms | None = None
    mean_density: float = float("nan")


def _reweighed(fit: PosteriorFit, blocks: Blocks, rng: np.random.Generator) -> _Reweighed:
    efficiency = relative_efficiency(fit)
    if has_structured_rows(fit):
        return _structured(fit, blocks, efficiency)
    if fit.design.residual is not None:
        return _by_draws(fit, efficiency)
    is_linear = fit.response_family.is_linear and not fit.design.formulas
    problem = left_out(fit, blocks) if is_linear else None
    if blocks.name is not None and problem is not None:
        terms = _anew(problem, group_log_densities(problem).T, efficiency, rng)
        return _Reweighed(terms=terms, method="exact")
    if blocks.name is not None:
        log_density = _of_levels(fit, blocks)
        terms = psis(log_density, relative_efficiency=efficiency)
        return _Reweighed(terms=terms, method="integrated")
    found = _by_draws(fit, efficiency)
    if problem is None:
        of_rows = level_row_log_densities(fit)
        if of_rows is None:
            return found
        return replace(
            found, terms=psis(of_rows, relative_efficiency=efficiency), method="integrated"
        )
    if not rows_apply(problem.kernel, fit.n_draws):
        return found
    terms = _anew(problem, row_log_densities(problem), efficiency, rng)
    return replace(found, terms=terms, method="exact")


def _structured(fit: PosteriorFit, blocks: Blocks, efficiency: float) -> _Reweighed:
    """Reweigh the draws of a model whose residuals have a structure."""
    problem = structured_rows(fit)
    if blocks.name is not None:
        check_few(problem, blocks)
        terms = psis(block_densities(problem, blocks), relative_efficiency=efficiency)
        return _Reweighed(terms=terms, method="exact")
    found = _by_draws(fit, efficiency)
    if not rows_are_few(problem):
        return found
    terms = psis(row_densities(problem), relative_efficiency=efficiency)
    return replace(found, terms=terms, method="exact")


def _by_draws(fit: PosteriorFit, efficiency: float) -> _Reweighed:
    """Reweigh the draws of all parameters and random effects for single rows."""
    given_all = fit.log_likelihood().reshape(fit.n_draws, -1)
    mean_density = float((log_sum_exp(given_all, axis=0) - np.log(fit.n_draws)).sum())
    terms = psis(given_all.T, relative_efficiency=efficiency)
    return _Reweighed(terms=terms, method="draws", by_draws=terms, mean_density=mean_density)


def _anew(
    problem: LeftOut, log_density: FloatArray, efficiency: float, rng: np.random.Generator
) -> PsisTerms:
    """Reweigh the draws (J, S), and draw anew for the terms for which that can't be trusted."""
    terms = psis(log_density, relative_efficiency=efficiency)
    anew = terms.pareto_k > TRUSTED_K
    if not anew.any() or anew.sum() > MOST_ANEW or not can_draw_anew(problem):
        return terms
    elpd, mcse, k = (part.copy() for part in (terms.elpd, terms.mcse, terms.pareto_k))
    for j in np.flatnonzero(anew):
        found = draw_anew(problem, int(j), log_density[j], rng)
        elpd[j], mcse[j], k[j] = found.elpd, found.mcse, found.pareto_k
    return replace(terms, elpd=elpd, mcse=mcse, pareto_k=k, anew=anew)


def _of_levels(fit: PosteriorFit, blocks: Blocks) -> FloatArray:
    """Log p(y_j | phi) of blocks of levels of a generalised model, shape (J, S)."""
    f = _integrated_factor(fit, blocks)
    levels = level_log_densities(fit, f).T
    first = np.unique(fit.design.factors[f].codes, return_index=True)[1]
    is_own = blocks.codes[first] == np.arange(blocks.labels.size)[:, None]
    return is_own.astype(np.float64) @ levels


def _integrated_factor(fit: PosteriorFit, blocks: Blocks) -> int:
    """Return the factor of whose levels the blocks are made; the finest where they are rows."""
    if blocks.name is None or blocks.factor is not None:
        return blocks.factor or 0
    for f, factor in enumerate(fit.design.factors):
        if is_within(factor, blocks.codes) and levels_apply(fit, f):
            return f
    raise not_supported("loo-blocks-of-family", by=blocks.name, family=fit.family)


def _with_refits(
    terms: PsisTerms, fit: PosteriorFit, blocks: Blocks, rng: np.random.Generator
) -> PsisTerms:
    """Replace the terms of high Pareto k by those of posteriors without the row or block."""
    elpd, mcse = terms.elpd.copy(), terms.mcse.copy()
    refitted = terms.pareto_k > TRUSTED_K
    for j in np.flatnonzero(refitted):
        if fit.response_family.is_linear and not has_structured_rows(fit):
            found = refit_without(left_out(fit, blocks), int(j), random_seed=rng)
            elpd[j], mcse[j] = found.elpd, found.mcse
            continue
        own = (np.arange(elpd.size) == j).astype(np.intp)
        called = f"{blocks.name or 'row'} {blocks.labels[j]}"
        other = predict_fold(fit, blocks, own, 1, rng, called=called)
        elpd[own == 1], mcse[own == 1] = other.terms()
    return replace(terms, elpd=elpd, mcse=mcse, refitted=refitted)


def psis(log_density: FloatArray, *, relative_efficiency: float = 1.0) -> PsisTerms:
    """Pareto-smoothed leave-one-out terms from log densities (J, S) of draws."""
    J, S = log_density.shape
    elpd, variance, pareto_k = np.empty(J), np.empty(J), np.empty(J)
    step = max(1, AT_ONCE // S)
    for start in range(0, J, step):
        at = slice(start, min(start + step, J))
        terms = np.ascontiguousarray(log_density[at])
        found = smoothed_weights(-terms, relative_efficiency=relative_efficiency)
        pareto_k[at] = found.pareto_k
        elpd[at] = log_sum_exp(found.log_weights + terms, axis=1)
        # Weights times (density / its weighted mean - 1): both parts are at most 1, the ratio
        # alone can be beyond a double.
        share = np.exp(found.log_weights + terms - elpd[at, None])
        variance[at] = np.square(share - np.exp(found.log_weights)).sum(axis=1)
    return PsisTerms(
        elpd=elpd,
        mcse=np.sqrt(variance / min(relative_efficiency, 1.0)),
        pareto_k=pareto_k,
        anew=np.zeros(J, dtype=np.bool_),
        refitted=np.zeros(J, dtype=np.bool_),
    )


def relative_efficiency(fit: PosteriorFit) -> float:
    """Effective part of the draws, for how far the tail of the weights reaches."""
    ess = fit.chain_statistics.ess_bulk
    known = ess[np.isfinite(ess)]
    if fit.n_chains == 1 or not known.size:
        return 1.0
    return float(np.clip(known.mean() / fit.n_draws, 0.05, 1.0))


def _record(fit: PosteriorFit, found: _Reweighed, blocks: Blocks) -> Loo:
    terms = found.terms
    table = pd.DataFrame(
        {
            "n_rows": blocks.n_rows,
            "elpd": terms.elpd,
            "mcse": terms.mcse,
            "pareto_k": terms.pareto_k,
            "anew": terms.anew,
            "refitted": terms.refitted,
        },
        index=blocks.index,
    )
    elpd = float(terms.elpd.sum())
    beside = found.by_draws
    return Loo(
        elpd=elpd,
        se=standard_error(terms.elpd),
        mcse=float(np.sqrt((terms.mcse**2).sum())),
        p_loo=found.mean_density - elpd,
        by=blocks.name,
        pointwise=table,
        what=what_is_left_out(fit, blocks),
        how=_how(fit, found.method, blocks),
        method=found.method,
        by_draws=None if beside is None else _of_draws(beside, found.mean_density),
        formula_text=fit.spec.model_text,
        data_name=fit.data_name,
        n_draws=fit.n_draws,
        findings=_findings(fit, table, blocks),
    )


def _of_draws(terms: PsisTerms, mean_density: float) -> LooByDraws:
    elpd = float(terms.elpd.sum())
    return LooByDraws(
        elpd=elpd,
        se=standard_error(terms.elpd),
        mcse=float(np.sqrt((terms.mcse**2).sum())),
        p_loo=mean_density - elpd,
        n_untrusted=int((terms.pareto_k > TRUSTED_K).sum()),
        pareto_k=float(terms.pareto_k.max()),
        pareto_k_of_rows=terms.pareto_k,
    )


def standard_error(terms: FloatArray) -> float:
    """Return the standard error of the sum of terms (J,), from their spread; NaN of one."""
    J = terms.size
    return float(np.sqrt(J * terms.var(ddof=1))) if J > 1 else float("nan")


def what_is_left_out(fit: PosteriorFit, blocks: Blocks, *, in_folds: bool = False) -> str:
    """Say what is left out and what that predicts; ``in_folds`` along with others."""
    factors = fit.design.factors
    if blocks.name is None:
        text = "Each row is " + ("predicted from the other folds" if in_folds else "left out")
        if (term := fit.design.residual) is not None:
            text += f" given all {'their' if in_folds else 'other'} rows of its {term.group}"
        if not factors:
            return f"{text}."
        names = listed([factor.name for factor in factors])
        keep = "with other rows of the same levels of"
        return f"{text}, {keep} {names} there: prediction of new rows of the same groups."
    J, counts = blocks.labels.size, blocks.n_rows
    low, high = int(counts.min()), int(counts.max())
    rows = f"{low} rows" if low == high else f"{low} to {high} rows"
    if high == 1:
        rows = "1 row"
    how = "predicted jointly from the other folds" if in_folds else "left out at once"
    text = f"All rows of each {blocks.name} ({rows}) are {how}"
    own = None if blocks.factor is None else factors[blocks.factor]
    text += f": prediction of a new {blocks.name}"
    if any(factor.relation is not None and factor.name == blocks.name for factor in factors):
        text += " from its relatives"
    shared = [
        other.name
        for other in factors
        if other is not own and np.unique(other.codes * J + blocks.codes).size > other.levels.size
    ]
    if shared:
        text += f" whose rows share levels of {listed(shared)} with the others"
    return text + ". Priors stay as they are."


def _how(fit: PosteriorFit, method: LooMethod, blocks: Blocks) -> str:
    names = listed([factor.name for factor in fit.design.factors])
    if method == "draws":
        given = f" and random effects of {names}" if names else ""
        return f"The draws of all parameters{given} are reweighed, as az.loo does."
    if method == "integrated":
        own = fit.design.factors[_integrated_factor(fit, blocks)].name
        others = " and random effects" if len(fit.design.factors) > 1 else ""
        return (
            f"The random effects of {own} are integrated out by quadrature; the draws of the other "
            f"parameters{others} are reweighed."
        )
    fixed = fit.priors.gaussian_beta() is not None
    effects = "fixed and random effects" if names and fixed else "fixed effects"
    if not fixed:
        effects = "random effects, and fixed effects with Normal and flat priors,"
    left = "sds, correlations and sigma" if names else "sigma"
    if fit.residual_names:
        left = "sds and correlations"
    return (
        f"Exact given the {left}, with {effects} integrated out; the draws of "
        f"{'the others' if not fixed else 'these'} are reweighed."
    )


def _findings(fit: PosteriorFit, table: pd.DataFrame, blocks: Blocks) -> tuple[Finding, ...]:
    found = [*unconverged(fit, "elpd")]
    bad = table[(table["pareto_k"] > TRUSTED_K) & ~table["refitted"]].sort_values(
        "pareto_k", ascending=False
    )
    if not len(bad):
        return tuple(found)
    named = ", ".join(str(label) for label in bad.index[:NAMED])
    rest = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    worst = float(bad["pareto_k"].iloc[0])
    unit = blocks.name or ("row" if len(bad) == 1 else "rows")
    are = "are" if len(bad) > 1 else "is"
    sentence = (
        f"{len(bad)} of {len(table)} terms {are} not to be trusted: leaving out {unit} "
        f"{named}{rest} changes the posterior more than reweighing can follow (Pareto k up to "
        f"{worst:.2f}, trusted up to {TRUSTED_K})."
    )
    found.append(Finding("pareto_k", sentence, _advice(blocks), {"pareto_k": worst}))
    return tuple(found)


def _advice(blocks: Blocks) -> str:
    by = "" if blocks.name is None else f'by="{blocks.name}", '
    return f"hb.loo(fit, {by}refit=True) samples the model without each of them."
