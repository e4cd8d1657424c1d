"""Posteriors without the rows of a fold, and what they predict of these.

A Gaussian posterior is sampled on the kernel of the other rows, and with beta and b integrated out
each of its draws phi predicts rows in closed form (``leave_row_out.py``) and blocks of rows
(``leave_group_out.py``), where residuals have a structure too (``structured_rows.py``, sampled as
the fit was). Other posteriors are sampled anew as they were. Given their parameters
and random effects rows are independent; levels without a row left have effects of new ones, and
where the blocks are such levels, of the model's one factor, these are integrated out
(``leave_level_out.py``).
"""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.bayes.mixture import log_sum_exp
from hierbayes.bayes.posterior import sample
from hierbayes.bayes.predictive import (
    FlatDraws,
    fitted_predictor,
    flat_draws,
    new_effects,
    row_blocks,
)
from hierbayes.bayes.response import observed_response
from hierbayes.comparison.leave_group_out import joint_log_density, sample_without
from hierbayes.comparison.leave_level_out import level_log_densities, levels_apply
from hierbayes.comparison.leave_row_out import predicted_log_densities
from hierbayes.comparison.left_out_blocks import Blocks, left_out
from hierbayes.comparison.structured_rows import (
    check_few,
    fold_densities,
    has_structured_rows,
    structured_rows,
)
from hierbayes.design.design import Design, GroupingFactor
from hierbayes.errors import DataError, HierBayesWarning
from hierbayes.results.chains import chain_statistics
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.specification.specification import Specification


@record
class Predicted:
    """What the posterior without a fold says of it.

    Attributes
    ----------
    log_density : array, shape (C, D, J), of each block of the fold, for every draw
    converged : whether the draws are those of the posterior
    """

    log_density: FloatArray
    converged: bool

    def terms(self) -> tuple[FloatArray, FloatArray]:
        """Log of the mean density over draws, (J,), and its Monte-Carlo error."""
        C, D, J = self.log_density.shape
        elpd = log_sum_exp(self.log_density.reshape(C * D, J), axis=0) - np.log(C * D)
        return elpd, chain_statistics(np.exp(self.log_density - elpd)).mcse_mean


def predict_fold(
    fit: PosteriorFit,
    blocks: Blocks,
    folds: IntArray,
    fold: int,
    rng: np.random.Generator,
    *,
    called: str | None = None,
) -> Predicted:
    """Sample the posterior without a fold, and predict each of its blocks.

    Parameters
    ----------
    blocks : of all rows
    folds : array of int, shape (J,), the fold of each block
    called : what the fold is called in a sentence, unless by its number

    Raises
    ------
    DataError
        If the other rows do not determine the coefficients, or lack a category of the response.
    """
    is_structured = has_structured_rows(fit)
    if fit.response_family.is_linear and not is_structured:
        return _on_kernel(fit, blocks, folds, fold, rng)
    out = folds[blocks.codes] == fold
    refit = _sampled_without(fit, out, called or f"fold {fold + 1}", rng)
    own = np.flatnonzero(folds == fold)
    if is_structured:  # effects are integrated out
        problem = structured_rows(fit, flat_draws(refit.draws, refit.design))
        check_few(problem, blocks)
        found = fold_densities(problem, blocks, own).T
        shape = (refit.n_chains, -1, own.size)
        return Predicted(log_density=found.reshape(shape), converged=refit.converged)
    flat = _with_all_levels(flat_draws(refit.draws, refit.design), refit.design, fit.design, rng)
    if blocks.factor is not None and levels_apply(fit, blocks.factor):
        found = level_log_densities(fit, blocks.factor, flat)[:, own]
    else:
        of_rows = _row_log_densities(fit, flat, out)
        found = of_rows @ (blocks.codes[out][:, None] == own).astype(np.float64)
    shape = (refit.n_chains, -1, own.size)
    return Predicted(log_density=found.reshape(shape), converged=refit.converged)


def _on_kernel(
    fit: PosteriorFit, blocks: Blocks, folds: IntArray, fold: int, rng: np.random.Generator
) -> Predicted:
    k = int(folds.max()) + 1
    whole = Blocks(
        codes=folds[blocks.codes], labels=np.array([str(i + 1) for i in range(k)]), name="fold"
    )
    problem = left_out(fit, whole)
    draws = fit.n_draws // fit.n_chains
    drawn = sample_without(problem, fold, draws=draws, chains=fit.n_chains, random_seed=rng)
    problem = problem.with_draws(drawn)
    if blocks.name is None:
        found = predicted_log_densities(problem, fold)
    else:
        own = np.flatnonzero(folds == fold)
        found = np.stack([joint_log_density(problem, fold, blocks.codes == j) for j in own])
    shape = (fit.n_chains, draws, found.shape[0])
    return Predicted(log_density=found.T.reshape(shape), converged=not drawn.findings)


def _sampled_without(
    fit: PosteriorFit, out: BoolArray, called: str, rng: np.random.Generator
) -> PosteriorFit:
    """Sample the posterior of the rows that are not ``out`` (n,)."""
    design, spec = fit.design, fit.spec
    part = _of_levels_present(design.with_rows(~out))
    rest = replace(spec, design=part, response_given=True, priors_given=fit.priors)
    lost = [name for name, kept in spec.kept_of.items() if kept.size > rest.kept_of[name].size]
    if lost or not np.array_equal(rest.kept_columns, spec.kept_columns):
        raise DataError(
            f"Without {called} the other rows do not determine all coefficients. "
            "Leave fewer rows out at a time, or stratify."
        )
    _check_residuals(rest, spec, called)
    if fit.response_family.is_ordinal and np.unique(part.y).size < np.unique(design.y).size:
        raise DataError(
            f"Without {called} a category of the response has no rows. Leave fewer "
            "rows out at a time, or stratify by the response."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HierBayesWarning)  # said once, by the result
        return sample(rest, random_seed=rng, progress=False, **_settings(fit))


def _check_residuals(rest: Specification, spec: Specification, called: str) -> None:
    """Raise DataError if the rows of a part do not carry the correlations of the residuals."""
    term = spec.design.residual
    if term is None:
        return
    try:
        names = rest.residuals.names
    except DataError as error:
        raise DataError(f"Without {called} too few rows are left. {error}") from error
    if names != spec.residuals.names:
        raise DataError(
            f"Without {called} a visit of residual={term.call!r} has no rows. Leave fewer rows out "
            "at a time, or stratify by it."
        )


def _settings(fit: PosteriorFit) -> dict[str, Any]:
    names = ("sampler", "draws", "chains", "tune", "target_accept")
    return {name: fit.settings[name] for name in names if name in fit.settings}


def _of_levels_present(design: Design) -> Design:
    return design.with_mean(replace(design.mean, factors=tuple(map(_present, design.factors))))


def _present(factor: GroupingFactor) -> GroupingFactor:
    used, codes = np.unique(factor.codes, return_inverse=True)
    return replace(factor, levels=factor.levels[used], codes=codes.astype(np.intp))


def _row_log_densities(fit: PosteriorFit, flat: FlatDraws, out: BoolArray) -> FloatArray:
    """Log density of the rows ``out`` (n,) for every draw of a posterior of others, (S, rows)."""
    m = int(out.sum())
    first = fit.design.with_rows(np.argsort(~out, kind="stable"))  # all rows, for the columns of X
    response = observed_response(replace(fit.spec, design=first, response_given=True))
    X = first.X[:, fit.kept]
    found = np.empty((flat.n_draws, m))
    for rows in row_blocks(flat.n_draws, m):
        eta = fitted_predictor(flat, first, X, rows)
        found[:, rows] = response.log_density(eta, flat, rows)
    return found


def _with_all_levels(
    flat: FlatDraws, known: Design, every: Design, rng: np.random.Generator
) -> FlatDraws:
    """Return draws with effects of all levels, drawn as of new ones where they are not known."""
    b = []
    pairs = zip(known.factors, every.factors, flat.b, flat.roots, strict=True)
    for own, whole, drawn, root in pairs:
        is_known = np.isin(whole.levels, own.levels)
        effects = new_effects(root, whole.levels.size, rng)
        effects[:, is_known] = drawn
        b.append(effects)
    return replace(flat, b=tuple(b))
