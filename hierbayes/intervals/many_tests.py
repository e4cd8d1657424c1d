"""Wald t tests of the same coefficients in fits of one model to many responses.

Standard errors and Satterthwaite's degrees of freedom are those of ``satterthwaite.py``, with the
fits next to each other in one call of the kernel. Square roots of the covariances need not be
triangular there: of a singular one the columns are its own axes, and those without variance are
zero, so no products are turned. The derivatives of the gradient are forward differences.

Fits with covariance structures of their own are tested one by one.
"""

from dataclasses import replace

import numpy as np
from scipy.special import ndtri, stdtrit

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.gaussian.kernel import with_products
from hierbayes.gaussian.marginal import (
    Evaluation,
    Kernel,
    Modes,
    counted,
    evaluate,
    modes,
    with_responses,
)
from hierbayes.gaussian.responses import Responses
from hierbayes.intervals.satterthwaite import CERTAIN, DEPENDS, FLAT, df_of, uncertainty_at
from hierbayes.likelihood.convergence import SINGULAR
from hierbayes.likelihood.refits import BATCH_NUMBERS

STEP = 1e-5  # of entries without a unit; a forward difference is wrong by about as much
# Numbers that the factors of the fits tested together may hold: four times those of fits searched
# together, as there are few other arrays.
AT_ONCE = 4 * BATCH_NUMBERS


@record(kw_only=False)
class ManyTests:
    """Estimates, standard errors and degrees of freedom of c combinations in T fits, (T, c)."""

    estimate: FloatArray
    std_error: FloatArray
    df: FloatArray


def t_quantile(df: FloatArray, p: float) -> FloatArray:
    """Quantile of t with these degrees of freedom, infinite ones included; NaN where they are."""
    finite = np.isfinite(df)
    found = stdtrit(np.where(finite, df, 1.0), p)
    return np.where(finite, found, np.where(np.isnan(df), np.nan, ndtri(p)))


def wald_estimates(kernel: Kernel, responses: Responses, x: FloatArray, L: FloatArray) -> ManyTests:
    """Return estimates and standard errors of L beta, with no degrees of freedom (NaN).

    Parameters
    ----------
    kernel : Kernel
    responses : Responses
        T responses.
    x : array, shape (T, k)
        Their estimates of theta, in the basis of the products.
    L : array, shape (c, p)
        Combinations of the coefficients of the kept columns.
    """
    at = evaluate(with_responses(kernel, responses), x)
    estimate, error = _estimates(kernel, at, L)
    return ManyTests(estimate, error, np.full_like(error, np.nan))


def satterthwaite_tests(
    kernel: Kernel, responses: Responses, x: FloatArray, L: FloatArray
) -> ManyTests:
    """Return ``wald_estimates`` with Satterthwaite's degrees of freedom.

    They are infinite where nothing about the variance had to be estimated, and NaN where it hangs
    on parameters of which the data say nothing.
    """
    if not kernel.shape.sizes:
        found = wald_estimates(kernel, responses, x, L)
        df = np.inf if kernel.sigma_known else float(kernel.df)
        return replace(found, df=np.full_like(found.df, df))
    at_once = _tested_together if kernel.shape.is_plain else _tested_alone
    size = max(1, AT_ONCE // (kernel.pattern.n_numbers + 1) // (kernel.shape.n_theta + 1))
    parts = [
        at_once(kernel, responses.take(slice(i, i + size)), x[i : i + size], L)
        for i in range(0, x.shape[0], size)
    ]
    return ManyTests(
        np.concatenate([part.estimate for part in parts]),
        np.concatenate([part.std_error for part in parts]),
        np.concatenate([part.df for part in parts]),
    )


def _estimates(kernel: Kernel, at: Evaluation, L: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return L beta and its standard errors, (T, c) each."""
    anchor, p = kernel.products.anchor, kernel.products.xy.size
    rows = L @ anchor.x_basis
    estimate = L @ anchor.beta0 + at.beta @ rows.T
    turned = rows @ at.orthonormal[:, :p, :p]
    return estimate, at.sigma[:, None] * np.sqrt((turned**2).sum(axis=2))


def _tested_alone(kernel: Kernel, responses: Responses, x: FloatArray, L: FloatArray) -> ManyTests:
    found = wald_estimates(kernel, responses, x, L)
    df = np.empty_like(found.df)
    for t in range(x.shape[0]):
        one = with_products(kernel, responses.put_in(kernel.products, t))
        known = uncertainty_at(one, evaluate(one, x[t : t + 1]))
        df[t] = df_of(known, L, found.std_error[t] ** 2)
    return replace(found, df=df)


def _tested_together(
    kernel: Kernel, responses: Responses, x: FloatArray, L: FloatArray
) -> ManyTests:
    """Test fits whose covariances have full triangles."""
    roots, varies = _own_axes(kernel, x)
    Lambdas = [np.where(v[:, None], root, 0.0) for root, v in zip(roots, varies, strict=True)]
    batch = with_responses(kernel, responses)
    at = evaluate(batch, x, Lambdas)
    estimate, error = _estimates(kernel, at, L)
    T, p = x.shape[0], kernel.products.xy.size
    entries = [
        (f, i, j)
        for f, columns in kernel.shape.terms
        for b, j in enumerate(columns)
        for i in columns[b:]
    ]
    k, free = len(entries), np.stack([varies[f][:, j] for f, _, j in entries], axis=1)
    m = k + (0 if kernel.sigma_known else 1)
    hessian, alone = np.zeros((T, m, m)), np.ones((T, m))
    assert at.factor is not None
    found, traces = modes(batch, at), at.factor.trace_blocks()
    left = [np.swapaxes(root, 1, 2)[:, None] @ h for root, h in zip(roots, found.h, strict=True)]
    crossed = np.stack(
        [np.swapaxes(left[f][:, :, i], 1, 2) @ left[f][:, :, j] for f, i, j in entries], axis=1
    )
    slopes = np.zeros((T, m, p, p))
    slopes[:, :k] = crossed[..., :p, :p] + np.swapaxes(crossed[..., :p, :p], 2, 3)
    there = _stepped(batch, x, at.Lambdas, roots, varies, entries)
    before = _slopes(kernel, at, found, traces, at.sigma, roots)
    hessian[:, :k, :k] = _curvature(before, there, at.sigma, roots, entries)
    alone[:, :k] = _alone(kernel, at, traces, varies, entries)
    if m > k:
        slopes[:, k] = 2 * np.eye(p)
        alone[:, k] = hessian[:, k, k] = 4 * kernel.df
        weight = (at.pwrss / at.sigma**2)[:, None]
        hessian[:, :k, k] = hessian[:, k, :k] = 4 * weight * crossed[:, :, p, p]
    free = np.column_stack([free, np.ones((T, m - k), dtype=np.bool_)])
    inner = (
        at.sigma[:, None, None] * (L @ kernel.products.anchor.x_basis) @ at.orthonormal[:, :p, :p]
    )
    g = np.einsum("tci,tmij,tcj->tcm", inner, slopes, inner) / (error**2)[:, :, None]
    return ManyTests(estimate, error, _df(hessian, alone, np.where(free[:, None], g, 0.0), free))


def _own_axes(kernel: Kernel, x: FloatArray) -> tuple[list[FloatArray], list[BoolArray]]:
    """Return square roots (T, q, q) a factor whose columns span all, and which hold variance.

    Columns without variance have the size with which a mean level's share equals its residuals'.
    """
    shape = kernel.basis_shape
    roots = shape.unpack(x)
    varies = [np.ones(root.shape[:2], dtype=np.bool_) for root in roots]
    for (f, columns), (_, at) in zip(shape.terms, shape.blocks, strict=True):
        own = roots[f][:, at[0], at[1]]
        axes, sizes, _ = np.linalg.svd(own)
        singular = sizes[:, -1] < SINGULAR
        if not singular.any():
            continue
        some = sizes >= SINGULAR
        diagonal = np.diagonal(kernel.products.zz[f], axis1=1, axis2=2).mean(axis=0)[list(columns)]
        shown = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0).mean())
        turned = axes * np.where(some, sizes, shown)[:, None]
        roots[f][:, at[0], at[1]] = np.where(singular[:, None, None], turned, own)
        varies[f][:, list(columns)] = np.where(singular[:, None], some, True)
    return roots, varies


def _slopes(
    kernel: Kernel,
    at: Evaluation,
    found: Modes,
    traces: list[FloatArray],
    sigma: FloatArray,
    roots: list[FloatArray],
) -> list[FloatArray]:
    """Return Lambda_0'D a factor: half the derivatives of the deviance at sigma in E, (T, q, q)."""
    weight = at.pwrss / sigma**2
    return [
        np.swapaxes(root, 1, 2) @ (trace - counted(kernel, h, u, weight))
        for trace, u, h, root in zip(traces, found.u, found.h, roots, strict=True)
    ]


@record(kw_only=False)
class _Stepped:
    """The fits one step in each entry of E away, those of a fit one after the other."""

    kernel: Kernel
    at: Evaluation


def _stepped(
    kernel: Kernel,
    x: FloatArray,
    Lambdas: list[FloatArray],
    roots: list[FloatArray],
    varies: list[BoolArray],
    entries: list[tuple[int, int, int]],
) -> _Stepped:
    assert kernel.responses is not None
    many = np.repeat(np.arange(x.shape[0]), len(entries))
    moved = [Lambda[many] for Lambda in Lambdas]
    for e, (f, i, j) in enumerate(entries):
        own = moved[f][e :: len(entries)]
        own[:, :, j] += STEP * np.where(varies[f][:, j, None], roots[f][:, :, i], 0.0)
    batch = with_responses(kernel, kernel.responses.take(many))
    return _Stepped(batch, evaluate(batch, x[many], moved))


def _curvature(
    before: list[FloatArray],
    there: _Stepped,
    sigma: FloatArray,
    roots: list[FloatArray],
    entries: list[tuple[int, int, int]],
) -> FloatArray:
    """Second derivatives (T, k, k) of the deviance at a fixed sigma in the entries of E."""
    T, k, at = sigma.size, len(entries), there.at
    assert at.factor is not None
    many = np.repeat(np.arange(T), k)
    found, traces = modes(there.kernel, at), at.factor.trace_blocks()
    moved = [root[many] for root in roots]
    after = _slopes(there.kernel, at, found, traces, sigma[many], moved)
    block = np.stack(
        [
            (after[f][:, i, j].reshape(T, k) - before[f][:, i, j, None]) / STEP
            for f, i, j in entries
        ],
        axis=2,
    )
    return np.asarray(block + np.swapaxes(block, 1, 2))


def _alone(
    kernel: Kernel,
    at: Evaluation,
    traces: list[FloatArray],
    varies: list[BoolArray],
    entries: list[tuple[int, int, int]],
) -> FloatArray:
    """Curvature (T, k) in each entry of E if the levels' effects were orthogonal, about."""
    shares = []
    for f, (trace, Lambda) in enumerate(zip(traces, at.Lambdas, strict=True)):
        shown = np.einsum("tab,tab->tb", Lambda, trace) / kernel.products.zz[f].shape[0]
        shares.append(np.where(varies[f], shown, 1.0))
    return np.stack(
        [
            4 * kernel.products.zz[f].shape[0] * shares[f][:, i] * shares[f][:, j]
            for f, i, j in entries
        ],
        axis=1,
    )


def _df(hessian: FloatArray, alone: FloatArray, g: FloatArray, free: BoolArray) -> FloatArray:
    """Degrees of freedom (T, c) from relative slopes g (T, c, m); see ``curved_inverse``."""
    diagonal = np.diagonal(hessian, axis1=1, axis2=2)
    curved = free & (diagonal > FLAT * alone)
    root = np.sqrt(np.where(curved, diagonal, 1.0))
    both = curved[:, :, None] & curved[:, None]
    size, axes = np.linalg.eigh(np.where(both, hessian / root[:, :, None] / root[:, None], 0.0))
    along = g @ (axes / root[:, :, None])
    kept = size[:, None] > FLAT
    relative = np.where(kept, 2 * along**2 / np.where(kept, size[:, None], 1.0), 0.0).sum(axis=2)
    hangs = (np.where(kept, 0.0, np.abs(along)) > DEPENDS).any(axis=2)
    with np.errstate(divide="ignore"):
        df = np.where(relative <= CERTAIN, np.inf, 2 / relative)
    return np.where(hangs, np.nan, df)
