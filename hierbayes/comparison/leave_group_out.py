"""Log p(y_j | y_-j, phi) of whole blocks of rows of a Gaussian model, in closed form.

y_j are the rows of block j, y_-j all others, and phi the sds, correlations and sigma. beta and b
are integrated out (``collapsed_draws.py``), so that up to terms of the prior

    -2 log p(y | phi) = n log(2 pi sigma^2) + log|V| + log|P| + G_yy / sigma^2 - h'P^-1 h,

and log p(y_j | y_-j, phi) is the difference of two of them, in which the terms of the prior cancel.

Where the blocks are levels of a factor and every other factor is nested in it, V is block-diagonal
over them: log|V| and G are sums over levels, and leaving one out subtracts its part. Of any other
blocks the cross-products of the other rows are formed.
"""

from typing import Any

import numpy as np
from scipy.special import logsumexp

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.bayes.collapsed import sample_collapsed
from hierbayes.bayes.collapsed_points import numbers_of
from hierbayes.capabilities import not_supported
from hierbayes.comparison.collapsed_draws import LeftOut
from hierbayes.gaussian.factor.nested import NestedFactor
from hierbayes.gaussian.levels_apart import independent
from hierbayes.gaussian.marginal import Reduced
from hierbayes.gaussian.pattern.nested import NestedPattern
from hierbayes.gaussian.products import residual_response
from hierbayes.results.chains import chain_statistics
from hierbayes.results.draws import PosteriorDraws

# Numbers all evaluations of blocks may hold together: some three minutes of work.
PRODUCTS_UP_TO = 1e9


def group_log_densities(problem: LeftOut) -> FloatArray:
    """Log p(y_j | y_-j, phi) for every draw and block, shape (S, J).

    Raises
    ------
    DataError
        If with flat priors the other rows do not determine the coefficients.
    NotSupportedError
        If the design is too large.
    """
    outermost = problem.factor == len(problem.design.factors) - 1
    # with a remainder a level's part is a small difference of large ones: each is left out anew
    nested = isinstance(problem.kernel.pattern, NestedPattern)
    by_parts = nested and outermost and problem.kernel.remainder is None
    return _by_parts(problem) if by_parts else _by_products(problem)


@record
class Refit:
    """Log predictive density of one block from the posterior of the others, with its MC error."""

    elpd: float
    mcse: float


def refit_without(problem: LeftOut, j: int, *, random_seed: Any) -> Refit:
    """Sample the posterior of all rows but those of block j, and predict these."""
    drawn = sample_without(problem, j, random_seed=random_seed)
    log_density = block_log_density(problem.with_draws(drawn), j)
    elpd = float(logsumexp(log_density) - np.log(log_density.size))
    relative = np.exp(log_density - elpd).reshape(*drawn.beta.shape[:2], 1)
    error = float(chain_statistics(relative).mcse_mean[0])
    return Refit(elpd=elpd, mcse=error)


def sample_without(problem: LeftOut, j: int, **options: Any) -> PosteriorDraws:
    """Sample the posterior of all rows but those of block j; options of ``sample_collapsed``."""
    kernel = problem.kernel_without(problem.codes == j)
    if problem.has_flat or problem.priors.gaussian_beta() is None:
        problem.check_determined(kernel.products.xx[None], first=j)
    return sample_collapsed(kernel, problem.priors, problem.design, **options)


def _by_parts(problem: LeftOut) -> FloatArray:
    """Subtract the part of each level of the outermost factor."""
    own, n_rows, sum_log_w = _level_products(problem)
    if problem.has_flat:
        problem.check_determined(problem.kernel.products.xx - own[:, :-1, :-1])
    out = np.empty((problem.flat.n_draws, own.shape[0]))
    for at, sigma, _, reduced in problem.batches(problem.kernel):
        log_det, G = _level_parts(problem, reduced, own)
        variance = (sigma**2)[:, None, None]
        every = reduced.gram_xy / variance
        rest = every[:, None] - G / variance[:, None]
        change = _fit(problem, every, at)[:, None] - _fit(problem, rest, at)
        constant = n_rows * np.log(2 * np.pi * sigma[:, None] ** 2) - sum_log_w
        out[at] = -(constant + log_det + change) / 2
    return out


def _by_products(problem: LeftOut) -> FloatArray:
    """Evaluate the density of the other rows of each block."""
    J, S = problem.levels.size, problem.flat.n_draws
    if float(J) * S * numbers_of(problem.kernel) > PRODUCTS_UP_TO:
        raise not_supported("loo-groups-size", levels=J, factor=problem.name, draws=S)
    every = _log_densities(problem, np.zeros(problem.codes.size, dtype=np.bool_))
    out = np.empty((S, J))
    for j in range(J):
        out[:, j] = every - _log_densities(problem, problem.codes == j)
    return out


def block_log_density(problem: LeftOut, j: int) -> FloatArray:
    """Log p(y_j | y_-j, phi) of one block for every draw, shape (S,)."""
    return joint_log_density(problem, j, problem.codes == j)


def joint_log_density(problem: LeftOut, j: int, rows: BoolArray) -> FloatArray:
    """Log p of some ``rows`` (n,) of block j given the other blocks and phi, shape (S,)."""
    out = problem.codes == j
    return _log_densities(problem, out & ~rows) - _log_densities(problem, out)


def _log_densities(problem: LeftOut, out: BoolArray) -> FloatArray:
    """Log p of the rows that are not left ``out`` (n,), given phi, up to terms of the prior: (S,).

    ``out`` are the rows of one block, or none.
    """
    kernel = problem.kernel_without(out) if out.any() else problem.kernel
    if out.any() and problem.has_flat:
        problem.check_determined(kernel.products.xx[None], first=int(problem.codes[out][0]))
    kernel = independent(kernel)
    found = np.empty(problem.flat.n_draws)
    n, sum_log_w = kernel.products.n_obs, kernel.products.sum_log_weights
    for at, sigma, _, reduced in problem.batches(kernel):
        fit = _fit(problem, reduced.gram_xy / (sigma**2)[:, None, None], at)
        found[at] = -(n * np.log(2 * np.pi * sigma**2) - sum_log_w + reduced.log_det + fit) / 2
    return found


def _fit(problem: LeftOut, G: FloatArray, at: slice) -> FloatArray:
    """Log|P| + G_yy - h'P^-1 h at matrices G / sigma^2 (T, ..., p + 1, p + 1)."""
    return np.asarray(problem.integrated(G, at).fit + G[..., -1, -1])


def _level_products(problem: LeftOut) -> tuple[FloatArray, FloatArray, FloatArray]:
    """[X y]'W[X y] (J, p + 1, p + 1), rows (J,) and summed log weights (J,) of each level."""
    anchor = problem.kernel.products.anchor
    X = problem.design.X[:, anchor.kept] @ anchor.x_basis
    columns = np.column_stack([X, residual_response(problem.design, anchor)])
    J, weights = problem.levels.size, problem.row_weights
    order = np.argsort(problem.codes, kind="stable")
    starts = np.searchsorted(problem.codes[order], np.arange(J))
    sorted_columns, sorted_weights = columns[order], weights[order]
    out = np.empty((J, columns.shape[1], columns.shape[1]))
    for i, column in enumerate(sorted_columns.T):
        scaled = sorted_columns * (column * sorted_weights)[:, None]
        out[:, i] = np.add.reduceat(scaled, starts, axis=0)
    n_rows = np.bincount(problem.codes, minlength=J).astype(np.float64)
    return out, n_rows, np.bincount(problem.codes, weights=np.log(weights), minlength=J)


def _level_parts(
    problem: LeftOut, reduced: Reduced, own: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Log|V_j| without weights (T, J) and G_j (T, J, c, c) of each level of the last factor."""
    pattern, factor = problem.kernel.pattern, reduced.factor
    assert isinstance(pattern, NestedPattern) and isinstance(factor, NestedFactor)
    last = len(factor.L) - 1
    log_det: FloatArray = np.zeros(())
    taken: FloatArray = np.zeros(())
    for f, (L, half) in enumerate(zip(factor.L, reduced.half, strict=True)):
        logs = 2 * np.log(np.diagonal(L, axis1=2, axis2=3)).sum(axis=2)
        squares = np.swapaxes(half, 2, 3) @ half
        if f < last:
            children = pattern.children[f, last]
            logs, squares = children.sums(logs), children.sums(squares)
        log_det, taken = log_det + logs, taken + squares
    return log_det, own - taken
