"""Log p(y_j | y_-j, phi) of whole groups of rows of a Gaussian model, in closed form.

y_j are the rows of level j, y_-j all others, and phi the sds, correlations and sigma. beta and b
are integrated out, so with G = [X y]'V^-1[X y] and beta ~ N(m, Q^-1),

    -2 log p(y | phi) = n log(2 pi sigma^2) + log|V| + f(G) + terms of the prior,
    f(G) = log|P| + G_yy / sigma^2 - h'P^-1 h,  P = G_xx / sigma^2 + Q,  h = G_xy / sigma^2 + Q m,

and log p(y_j | y_-j, phi) is the difference of two of them, in which the terms of the prior cancel.

Where every other factor is nested in the one left out, V is block-diagonal over its levels:
log|V| and G are sums over levels, and leaving one out subtracts its part. In any other design the
cross-products of the other rows are formed for each level.

If the prior of beta is not Gaussian, beta is not integrated out but taken from the draws, those of
the posterior of the other rows too; then y_j is independent of y_-j given beta and phi.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.bayes.collapsed import sample_collapsed
from hierbayes.bayes.collapsed_density import Target, target_of
from hierbayes.bayes.predictive import FlatDraws, flat_draws
from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design
from hierbayes.errors import DataError
from hierbayes.gaussian.factor.nested import NestedFactor
from hierbayes.gaussian.kernel import of_other_levels
from hierbayes.gaussian.marginal import Kernel, Reduced, reduce
from hierbayes.gaussian.pattern.nested import NestedPattern
from hierbayes.gaussian.products import Products, products_of, residual_response
from hierbayes.priors.model_priors import ModelPriors
from hierbayes.results.chains import chain_statistics

AT_ONCE = 2_000_000  # numbers of one batch of draws: 16 MB an array
# Numbers all evaluations of a crossed design may hold together: some three minutes of work.
CROSSED_UP_TO = 1e9
# Smallest eigenvalue of X'X without a level, against its largest, at which the other rows still
# tell all coefficients; X is in an orthogonal basis, so only a missing direction comes near 0.
DETERMINED = 1e-9


@record
class GroupProblem:
    """A Gaussian model, draws of its parameters, and the levels to leave out.

    Attributes
    ----------
    kernel, priors, design, weights : the model
    flat : S draws
    codes : array of int, shape (n,), the level of each row
    levels : labels of the J levels
    factor : position of the grouping factor
    """

    kernel: Kernel
    priors: ModelPriors
    design: Design
    weights: FloatArray | None
    flat: FlatDraws
    codes: IntArray
    levels: npt.NDArray[np.str_]
    factor: int


def group_log_densities(problem: GroupProblem) -> FloatArray:
    """Log p(y_j | y_-j, phi) for every draw and level, shape (S, J).

    Raises
    ------
    DataError
        If with flat priors the other rows do not determine the coefficients.
    NotSupportedError
        If the prior of beta is not Gaussian in a crossed design, or the design is too large.
    """
    pattern = problem.kernel.pattern
    outermost = problem.factor == len(problem.design.factors) - 1
    # with a remainder a level's part is a small difference of large ones: each is left out anew
    by_parts = isinstance(pattern, NestedPattern) and outermost
    by_parts &= problem.kernel.remainder is None
    gaussian = problem.priors.gaussian_beta() is not None
    if not by_parts and not gaussian:
        name = problem.design.factors[problem.factor].name
        if problem.kernel.remainder is not None:
            raise not_supported("loo-groups-far-priors", factor=name)
        raise not_supported("loo-groups-crossed-priors", factor=name)
    if not gaussian:
        return _given_beta(problem)
    target = target_of(problem.kernel, problem.priors)
    return _by_parts(problem, target) if by_parts else _by_products(problem, target)


@record
class Refit:
    """Log predictive density of one level from the posterior of the others, with its MC error."""

    elpd: float
    mcse: float


def refit_without(problem: GroupProblem, j: int, *, random_seed: Any) -> Refit:
    """Sample the posterior of all rows but those of level j, and predict these."""
    rest = problem.codes != j
    kernel = _kernel_of_rows(problem, rest)
    if problem.priors.gaussian_beta() is None:
        _check_determined(kernel.products.xx[None], problem, first=j)
    drawn = sample_collapsed(
        kernel, problem.priors, problem.design.with_rows(rest), random_seed=random_seed
    )
    flat = flat_draws(drawn, problem.design)
    log_density = group_log_densities(replace(problem, flat=flat))[:, j]
    elpd = float(logsumexp(log_density) - np.log(log_density.size))
    relative = np.exp(log_density - elpd).reshape(*drawn.beta.shape[:2], 1)
    error = float(chain_statistics(relative).mcse_mean[0])
    return Refit(elpd=elpd, mcse=error)


def _given_beta(problem: GroupProblem) -> FloatArray:
    """Log p(y_j | beta, phi)."""
    anchor = problem.kernel.products.anchor
    own, n_rows, sum_log_w = _level_products(problem)
    out = np.empty((problem.flat.n_draws, own.shape[0]))
    for at, sigma, reduced in _reduced(problem, problem.kernel):
        log_det, G = _level_parts(problem, reduced, own)
        beta = np.linalg.solve(anchor.x_basis, (problem.flat.beta[at] - anchor.beta0).T).T
        w = np.concatenate([-beta, np.ones((beta.shape[0], 1))], axis=1)
        square = np.einsum("tc,tjcd,td->tj", w, G, w, optimize=True) / sigma[:, None] ** 2
        constant = n_rows * np.log(2 * np.pi * sigma[:, None] ** 2) - sum_log_w
        out[at] = -(constant + log_det + square) / 2
    return out


def _by_parts(problem: GroupProblem, target: Target) -> FloatArray:
    """Subtract the part of each level of the outermost factor."""
    own, n_rows, sum_log_w = _level_products(problem)
    if not target.is_proper:
        _check_determined(problem.kernel.products.xx - own[:, :-1, :-1], problem)
    out = np.empty((problem.flat.n_draws, own.shape[0]))
    for at, sigma, reduced in _reduced(problem, problem.kernel):
        log_det, G = _level_parts(problem, reduced, own)
        variance = (sigma**2)[:, None, None]
        every = reduced.gram_xy / variance
        change = _fit(every, target)[:, None] - _fit(every[:, None] - G / variance[:, None], target)
        constant = n_rows * np.log(2 * np.pi * sigma[:, None] ** 2) - sum_log_w
        out[at] = -(constant + log_det + change) / 2
    return out


def _by_products(problem: GroupProblem, target: Target) -> FloatArray:
    """Evaluate the density of the other rows of each level."""
    J, S = problem.levels.size, problem.flat.n_draws
    work = float(J) * S * _numbers(problem.kernel)
    if work > CROSSED_UP_TO:
        raise not_supported(
            "loo-groups-size", levels=J, factor=problem.design.factors[problem.factor].name, draws=S
        )
    out = np.zeros((S, J))
    for at, sigma, reduced in _reduced(problem, problem.kernel):
        fit = _fit(reduced.gram_xy / (sigma**2)[:, None, None], target)
        out[at] = (reduced.log_det + fit)[:, None]
    log_w = np.zeros(problem.codes.size) if problem.weights is None else np.log(problem.weights)
    for j in range(J):
        left = problem.codes != j
        kernel = _kernel_of_rows(problem, left)
        if not target.is_proper:
            _check_determined(kernel.products.xx[None], problem, first=j)
        n_rows, sum_log_w = int((~left).sum()), float(log_w[~left].sum())
        for at, sigma, reduced in _reduced(problem, kernel):
            fit = _fit(reduced.gram_xy / (sigma**2)[:, None, None], target)
            constant = n_rows * np.log(2 * np.pi * sigma**2) - sum_log_w
            out[at, j] = -(constant + out[at, j] - reduced.log_det - fit) / 2
    return out


def _fit(G: FloatArray, target: Target) -> FloatArray:
    """Evaluate f of the module's header at matrices G / sigma^2 (..., p + 1, p + 1)."""
    p = G.shape[-1] - 1
    root = np.linalg.cholesky(G[..., :p, :p] + target.precision)
    h = G[..., :p, p] + target.shift
    half = np.linalg.solve(root, h[..., None])[..., 0]
    log_det = 2 * np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
    return np.asarray(log_det + G[..., p, p] - (half**2).sum(axis=-1))


def _reduced(problem: GroupProblem, kernel: Kernel) -> Iterator[tuple[slice, FloatArray, Reduced]]:
    """Integrate the random effects out at batches of the draws."""
    flat, S = problem.flat, problem.flat.n_draws
    bases = [np.linalg.inv(basis) for basis in kernel.products.anchor.z_bases]
    step = max(1, AT_ONCE // _numbers(kernel))
    for start in range(0, S, step):
        at = slice(start, min(start + step, S))
        sigma = flat.sigma[at]
        Lambdas = [
            np.ascontiguousarray(basis @ root[at]) / sigma[:, None, None]
            for basis, root in zip(bases, flat.roots, strict=True)
        ]
        yield at, sigma, reduce(kernel, Lambdas, n_batch=sigma.size)


def _numbers(kernel: Kernel) -> int:
    """Numbers that an evaluation of one draw holds."""
    c = kernel.products.xy.size + 1
    return sum(A.shape[0] * (A.shape[1] * (A.shape[1] + c) + c**2) for A in kernel.products.zz)


def _level_products(problem: GroupProblem) -> tuple[FloatArray, FloatArray, FloatArray]:
    """[X y]'W[X y] (J, p + 1, p + 1), rows (J,) and summed log weights (J,) of each level."""
    anchor = problem.kernel.products.anchor
    X = problem.design.X[:, anchor.kept] @ anchor.x_basis
    columns = np.column_stack([X, residual_response(problem.design, anchor)])
    J = problem.levels.size
    weights = np.ones(columns.shape[0]) if problem.weights is None else problem.weights
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
    problem: GroupProblem, reduced: Reduced, own: FloatArray
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


def _kernel_of_rows(problem: GroupProblem, rows: BoolArray) -> Kernel:
    """Kernel of some of the rows, in the basis of all of them."""
    part = problem.design.with_rows(rows)
    weights = None if problem.weights is None else problem.weights[rows]
    anchor = problem.kernel.products.anchor
    products: Products = products_of(part, weights=weights, anchor=anchor)
    return of_other_levels(problem.kernel, products)


def _check_determined(xx: FloatArray, problem: GroupProblem, *, first: int = 0) -> None:
    """Raise DataError if X'X (J, p, p) of the other rows is singular for a level."""
    if not xx.shape[-1]:
        return
    sizes = np.linalg.eigvalsh(xx)
    alone = np.flatnonzero(sizes[:, 0] <= DETERMINED * sizes[:, -1])
    if alone.size:
        name = problem.design.factors[problem.factor].name
        level: Sequence[str] = problem.levels.tolist()
        raise DataError(
            f"Without {name} {level[first + alone[0]]} the other rows do not determine all "
            "coefficients. Give all coefficients Normal priors to leave out whole groups."
        )
