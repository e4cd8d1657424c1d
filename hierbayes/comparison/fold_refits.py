"""Posteriors without the rows of a fold, and what they predict of these.

A Gaussian posterior is sampled on the kernel of the other rows, and with beta and b integrated out
each of its draws phi predicts rows in closed form (``leave_row_out.py``) and blocks of rows
(``leave_group_out.py``). Other posteriors are sampled anew as they were. Given their parameters
and random effects rows are independent; levels without a row left have effects of new ones, and
where the blocks are such levels, of the model's one factor, these are integrated out
(``leave_level_out.py``).
"""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.bayes.posterior import sample
from hierbayes.bayes.predictive import flat_draws, new_effects
from hierbayes.comparison.leave_group_out import joint_log_density, sample_without
from hierbayes.comparison.leave_level_out import level_log_densities, levels_apply
from hierbayes.comparison.leave_row_out import predicted_log_densities
from hierbayes.comparison.left_out_blocks import Blocks
from hierbayes.comparison.loo import left_out, unconverged
from hierbayes.design.design import Design, GroupingFactor
from hierbayes.errors import DataError, HierBayesWarning
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.posterior_fit import PosteriorFit


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


def predict_fold(
    fit: PosteriorFit, blocks: Blocks, folds: IntArray, fold: int, rng: np.random.Generator
) -> Predicted:
    """Sample the posterior without a fold, and predict each of its blocks.

    Parameters
    ----------
    blocks : of all rows
    folds : array of int, shape (J,), the fold of each block

    Raises
    ------
    DataError
        If the other rows do not determine the coefficients, or lack a category of the response.
    """
    if fit.response_family.is_linear:
        return _on_kernel(fit, blocks, folds, fold, rng)
    out = folds[blocks.codes] == fold
    refit, held = _sampled_without(fit, out, fold, rng)
    own = np.flatnonzero(folds == fold)
    if blocks.factor is not None and levels_apply(fit):
        found = level_log_densities(replace(fit, draws=refit.draws))[:, own]
    else:
        of_rows = held.log_likelihood().reshape(held.n_draws, -1)
        found = of_rows @ (blocks.codes[out][:, None] == own).astype(np.float64)
    shape = (refit.n_chains, -1, own.size)
    return Predicted(log_density=found.reshape(shape), converged=not unconverged(refit))


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
    fit: PosteriorFit, out: BoolArray, fold: int, rng: np.random.Generator
) -> tuple[PosteriorFit, PosteriorFit]:
    """Return the posterior of the other rows, and the rows ``out`` (n,) with its draws."""
    design, spec = fit.design, fit.spec
    part = _of_levels_present(design.with_rows(~out))
    rest = replace(spec, design=part, response_given=True, priors_given=fit.priors)
    if not np.array_equal(rest.kept_columns, spec.kept_columns):
        raise DataError(
            f"Without fold {fold + 1} the other rows do not determine all coefficients; take "
            "fewer rows a fold (a larger k), or stratify."
        )
    if fit.response_family.is_ordinal and np.unique(part.y).size < np.unique(design.y).size:
        raise DataError(
            f"Without fold {fold + 1} a category of the response has no rows; take fewer rows a "
            "fold (a larger k), or stratify by the response."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HierBayesWarning)  # said once, by the result
        refit = sample(rest, random_seed=rng, progress=False, **_settings(fit))
    held = replace(spec, design=_of_levels_present(design.with_rows(out)), response_given=True)
    draws = _of_rows(refit, held.design, rng)
    return refit, PosteriorFit(spec=held, draws=draws, findings=(), settings=fit.settings)


def _settings(fit: PosteriorFit) -> dict[str, Any]:
    names = ("sampler", "draws", "chains", "tune", "target_accept")
    return {name: fit.settings[name] for name in names if name in fit.settings}


def _of_levels_present(design: Design) -> Design:
    return design.with_mean(replace(design.mean, factors=tuple(map(_present, design.factors))))


def _present(factor: GroupingFactor) -> GroupingFactor:
    used, codes = np.unique(factor.codes, return_inverse=True)
    return replace(factor, levels=factor.levels[used], codes=codes.astype(np.intp))


def _of_rows(refit: PosteriorFit, held: Design, rng: np.random.Generator) -> PosteriorDraws:
    """Return draws for the levels of other rows, effects of new levels drawn."""
    flat, b = flat_draws(refit.draws, refit.design), {}
    pairs = zip(refit.design.factors, held.factors, flat.b, flat.roots, strict=True)
    for known, own, drawn, root in pairs:
        place = {level: j for j, level in enumerate(known.levels.tolist())}
        at = np.array([place.get(level, -1) for level in own.levels.tolist()])
        effects = drawn[:, at]
        effects[:, at < 0] = new_effects(root, int((at < 0).sum()), rng)
        b[own.name] = effects.reshape(refit.n_chains, -1, *effects.shape[1:])
    return replace(refit.draws, b=b)
