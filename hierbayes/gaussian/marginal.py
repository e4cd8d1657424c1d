"""REML and ML criterion of a linear mixed model with gradient and curvature, on cross-products.

The model is y = X beta + Z b + e, b = Lambda u, u ~ N(0, sigma^2 I), e ~ N(0, sigma^2 W^-1), so
Var(y) = sigma^2 V with V = W^-1 + Z Lambda Lambda' Z'. Given theta everything has a closed form
in the Cholesky factor L of Lambda'Z'WZ Lambda + I:

    Gram matrix       [X y]'V^-1[X y]   = [X y]'W[X y] - (L^-1 Lambda'Z'W[X y])'(same)
    criterion         log|L L'| + log|X'V^-1X| (REML) + df (1 + log(2 pi r^2 / df)) - sum log w
    with r^2 = y'V^-1 y - beta'X'V^-1 y and df = n - p (REML) or n (ML).

With U = (L L')^-1 Lambda'Z'W[X, y - X beta] and H = Z'V^-1[X, y - X beta] (so U = Lambda'H), the
derivative of the criterion in Lambda is 2 D with, summed over the levels of a factor,

    D = (Z'WZ Lambda (L L')^-1) - H_x (X'V^-1X)^-1 U_x' (REML) - (df / r^2) h_e u_e'.

D = G Lambda where G is the derivative in the covariance Lambda Lambda'. The curvature used by the
search is the average information a_ij - c_i c_j / r^2 (scaled by df / r^2), with
a_ij = y'P V_i P V_j P y and c_i = y'P V_i P y, plus the exact term 2 G that Lambda enters squared.

With a known sigma (``sigma_known``) the weights carry the residual variances and
df (1 + log(2 pi r^2 / df)) becomes df log(2 pi) + r^2.

Everything is batched: theta (T, k), and optionally one response a theta. Knows no formulas, data
frames or optimisers.

Source: Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), sections 3.4 and 3.6;
Gilmour, Thompson & Cullis (1995), Biometrics 51:1440 (average information).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hierbayes.gaussian.covariance import CovarianceShape
from hierbayes.gaussian.products import Products, multiply
from hierbayes.options import Method

FloatArray = npt.NDArray[np.float64]


class Factor(Protocol):
    """L L' = Lambda'Z'WZ Lambda + I at a batch of thetas."""

    @property
    def log_det(self) -> FloatArray:
        """Log det(L L'), shape (T,)."""

    def half_solve(self, right: Sequence[FloatArray]) -> list[FloatArray]:
        """L^-1 of right sides given per factor as (T, J, q, c)."""

    def back_solve(self, half: Sequence[FloatArray]) -> list[FloatArray]:
        """L'^-1 of the result of ``half_solve``."""

    def covariances(self) -> list[FloatArray]:
        """Diagonal blocks of (L L')^-1 per factor, (T, J, q, q)."""

    def trace_blocks(self) -> list[FloatArray]:
        """Per factor the summed diagonal blocks of Z'WZ Lambda (L L')^-1, (T, q, q)."""


class Structure(Protocol):
    """The block structure of Z'WZ: what of the factorisation does not depend on theta."""

    name: str

    def factorise(self, Lambdas: Sequence[FloatArray]) -> Factor:
        """Factorise at one Lambda (T, q, q) a grouping factor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """The marginal likelihood of one model: products, covariance shape and block structure.

    ``responses`` replaces the response by one a batch entry: xy (T, p), yy (T,) and per factor
    zy (T, J, q).
    """

    products: Products
    shape: CovarianceShape
    structure: Structure
    method: Method
    sigma_known: bool = False
    responses: tuple[FloatArray, FloatArray, tuple[FloatArray, ...]] | None = None

    @property
    def df(self) -> int:
        """Divisor of the residual variance: n - p (REML) or n (ML)."""
        p = self.products.xx.shape[0] if self.method == "reml" else 0
        return self.products.n_obs - p


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The kernel at a batch of thetas, in the basis of the products.

    Attributes
    ----------
    theta : array, shape (T, k)
    criterion : array, shape (T,), minus twice the profiled (restricted) log-likelihood
    beta : array, shape (T, p)
    pwrss : array, shape (T,), r^2 above
    sigma : array, shape (T,), residual sd; 1 where it is known
    root_xvx : array, shape (T, p, p), lower Cholesky factor of X'V^-1X
    factor : the Cholesky factor, None for a model without random effects
    half : L^-1 Lambda'Z'W[X y] per factor, for what follows
    """

    theta: FloatArray
    criterion: FloatArray
    beta: FloatArray
    pwrss: FloatArray
    sigma: FloatArray
    root_xvx: FloatArray
    Lambdas: list[FloatArray]
    factor: Factor | None
    half: list[FloatArray]


def gram(left: Sequence[FloatArray], right: Sequence[FloatArray]) -> FloatArray:
    """Sum over factors and levels of left' right, shape (T, c, d)."""
    total: FloatArray | float = 0.0
    for a, b in zip(left, right, strict=True):
        T, J, q, c = a.shape
        flat = a.reshape(T, J * q, c)
        total = total + np.swapaxes(flat, 1, 2) @ b.reshape(b.shape[0], J * q, b.shape[3])
    return np.asarray(total)


def evaluate(kernel: Kernel, theta: FloatArray) -> Evaluation:
    """Criterion and estimates at a batch of thetas (T, k).

    Raises
    ------
    numpy.linalg.LinAlgError
        If X'V^-1X is not positive definite or r^2 is not positive to machine precision.
    """
    products = kernel.products
    Lambdas = kernel.shape.unpack(theta)
    xx, xy, yy = _fixed_products(kernel, theta.shape[0])
    factor: Factor | None = None
    half: list[FloatArray] = []
    log_det = np.zeros(theta.shape[0])
    if Lambdas:
        factor = kernel.structure.factorise(Lambdas)
        half = factor.half_solve(_right_sides(kernel, Lambdas))
        log_det = factor.log_det
        reduced = gram(half, half)
        p = xx.shape[-1]
        xx = xx - reduced[:, :p, :p]
        xy = xy - reduced[:, :p, p]
        yy = yy - reduced[:, p, p]
    root = np.linalg.cholesky(xx)
    z = np.linalg.solve(root, xy[..., None])
    beta = np.linalg.solve(np.swapaxes(root, 1, 2), z)[..., 0]
    pwrss = yy - (z[..., 0] ** 2).sum(axis=1)
    if not (pwrss > 0).all():
        raise np.linalg.LinAlgError("the residual sum of squares is not positive")
    if kernel.method == "reml":
        log_det = log_det + 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        log_det = log_det - 2 * np.log(np.abs(np.diag(products.anchor.x_basis))).sum()
    df = kernel.df
    if kernel.sigma_known:
        fit = df * np.log(2 * np.pi) + pwrss
        sigma = np.ones_like(pwrss)
    else:
        fit = df * (1 + np.log(2 * np.pi * pwrss / df))
        sigma = np.sqrt(pwrss / df)
    return Evaluation(
        theta=theta,
        criterion=log_det + fit - products.sum_log_weights,
        beta=beta,
        pwrss=pwrss,
        sigma=sigma,
        root_xvx=root,
        Lambdas=Lambdas,
        factor=factor,
        half=half,
    )


def _fixed_products(kernel: Kernel, T: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    products = kernel.products
    xy, yy = products.xy[None], np.array([products.yy])
    if kernel.responses is not None:
        xy, yy = kernel.responses[0], kernel.responses[1]
    p = products.xy.size
    return (
        np.broadcast_to(products.xx, (T, p, p)),
        np.broadcast_to(xy, (T, p)),
        np.broadcast_to(yy, (T,)),
    )


def _zxy(kernel: Kernel, T: int) -> list[FloatArray]:
    """Z'W[X y] per factor, shape (T or 1, J, q, p + 1)."""
    zys = kernel.products.zy if kernel.responses is None else kernel.responses[2]
    joined = []
    for zx, zy in zip(kernel.products.zx, zys, strict=True):
        zy4 = zy[..., None] if zy.ndim == 3 else zy[None, ..., None]
        zx4 = np.broadcast_to(zx, (zy4.shape[0], *zx.shape))
        joined.append(np.concatenate([zx4, zy4], axis=3))
    return joined


def _right_sides(kernel: Kernel, Lambdas: Sequence[FloatArray]) -> list[FloatArray]:
    """Lambda'Z'W[X y] per factor, shape (T, J, q, p + 1)."""
    sides = _zxy(kernel, Lambdas[0].shape[0])
    return [transpose_times(Lam, side) for Lam, side in zip(Lambdas, sides, strict=True)]


def transpose_times(Lambda: FloatArray, stack: FloatArray) -> FloatArray:
    """Lambda' times each (q, c) matrix of a stack (T or 1, J, q, c)."""
    if Lambda.shape[1] == 1:
        return Lambda[:, :, :, None] * stack
    return np.einsum("tba,tjbc->tjac", Lambda, stack)


def times(Lambda: FloatArray, stack: FloatArray) -> FloatArray:
    """Lambda times each (q, c) matrix of a stack (T, J, q, c)."""
    if Lambda.shape[1] == 1:
        return Lambda[:, :, :, None] * stack
    return np.einsum("tab,tjbc->tjac", Lambda, stack)


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivatives:
    """Derivatives of the criterion at a batch of thetas.

    Attributes
    ----------
    gradient : array, shape (T, k), exact
    curvature : array, shape (T, k, k), average information plus the exact term of the squares;
        close to the Hessian at an optimum
    slopes : per factor D (T, q, q), half the derivative in Lambda
    """

    gradient: FloatArray
    curvature: FloatArray
    slopes: list[FloatArray]


@dataclass(frozen=True, slots=True)
class Modes:
    """Conditional modes of the spherical effects and the residual cross-products.

    Attributes
    ----------
    u : per factor, array (T, J, q, p + 1): U of the module's header, columns [X, y - X beta]
    h : per factor, array (T, J, q, p + 1): H of the module's header
    """

    u: list[FloatArray]
    h: list[FloatArray]


def modes(kernel: Kernel, at: Evaluation) -> Modes:
    """U and H of the module's header; the last column of u holds the conditional modes."""
    assert at.factor is not None
    u = at.factor.back_solve(at.half)
    spread = multiply(kernel.products, [times(L, x) for L, x in zip(at.Lambdas, u, strict=True)])
    h = [z - s for z, s in zip(_zxy(kernel, at.theta.shape[0]), spread, strict=True)]
    for part in (*u, *h):
        part[..., -1] -= (part[..., :-1] @ at.beta[:, None, :, None])[..., 0]
    return Modes(u, h)


def derivatives(kernel: Kernel, at: Evaluation) -> Derivatives:
    """Exact gradient and approximate curvature of the criterion in theta."""
    assert at.factor is not None
    found = modes(kernel, at)
    scale = np.ones_like(at.pwrss) if kernel.sigma_known else kernel.df / at.pwrss
    slopes = []
    for trace, u, h in zip(at.factor.trace_blocks(), found.u, found.h, strict=True):
        slope = trace - scale[:, None, None] * np.einsum("tja,tjb->tab", h[..., -1], u[..., -1])
        if kernel.method == "reml":
            slope = slope - _fixed_part(at.root_xvx, h[..., :-1], u[..., :-1])
        slopes.append(slope)
    gradient = np.empty((at.theta.shape[0], kernel.shape.n_theta))
    for f, (index, r, c) in enumerate(kernel.shape.factor_entries):
        gradient[:, index] = 2 * slopes[f][:, r, c]
    curvature = _average_information(kernel, at, found, scale)
    curvature += _square_term(kernel.shape, at.Lambdas, slopes)
    return Derivatives(gradient=gradient, curvature=curvature, slopes=slopes)


def _fixed_part(root: FloatArray, h: FloatArray, u: FloatArray) -> FloatArray:
    """Sum over levels of H_x (X'V^-1X)^-1 U_x', shape (T, q, q)."""
    T, J, q, p = h.shape
    by_x = np.moveaxis(u, 3, 1).reshape(T, p, J * q)
    solved = np.linalg.solve(root @ np.swapaxes(root, 1, 2), by_x).reshape(T, p, J, q)
    return np.asarray(
        h.transpose(0, 2, 1, 3).reshape(T, q, J * p)
        @ solved.transpose(0, 2, 1, 3).reshape(T, J * p, q)
    )


def _average_information(
    kernel: Kernel, at: Evaluation, found: Modes, scale: FloatArray
) -> FloatArray:
    """(a_ij - c_i c_j / r^2) df / r^2 of the module's header, shape (T, k, k).

    V_i P y = Z s_i with s_i = E_i u + Lambda E_i' h, where E_i has a one at the place of theta_i.
    """
    assert at.factor is not None
    T, k = at.theta.shape
    directions = []
    for f, (index, r, c) in enumerate(kernel.shape.factor_entries):
        u, h, Lambda = found.u[f][..., -1], found.h[f][..., -1], at.Lambdas[f]
        s = np.zeros((*u.shape, k))
        for i, row, column in zip(index, r, c, strict=True):
            s[:, :, row, i] += u[:, :, column]
            s[..., i] += Lambda[:, None, :, column] * h[:, :, row, None]
        directions.append(s)
    spread = multiply(kernel.products, directions)
    half = at.factor.half_solve(
        [transpose_times(L, s) for L, s in zip(at.Lambdas, spread, strict=True)]
    )
    p = at.beta.shape[1]
    a = gram(directions, spread) - gram(half, half)
    x = gram([side[..., :p] for side in _zxy(kernel, T)], directions) - gram(
        [part[..., :p] for part in at.half], half
    )
    solved = np.linalg.solve(at.root_xvx, x)
    a = a - np.swapaxes(solved, 1, 2) @ solved
    if not kernel.sigma_known:
        c_ = sum(
            np.einsum("tja,tjak->tk", h[..., -1], s)
            for h, s in zip(found.h, directions, strict=True)
        )
        a = a - c_[:, :, None] * c_[:, None, :] / at.pwrss[:, None, None]
    return np.asarray(scale[:, None, None] * a)


def _square_term(
    shape: CovarianceShape, Lambdas: Sequence[FloatArray], slopes: Sequence[FloatArray]
) -> FloatArray:
    """2 G for entries of the same column of Lambda, from D = G Lambda; shape (T, k, k)."""
    T = Lambdas[0].shape[0]
    out = np.zeros((T, shape.n_theta, shape.n_theta))
    for f, (index, r, c) in enumerate(shape.factor_entries):
        G = covariance_slope(Lambdas[f], slopes[f])
        same = c[:, None] == c[None, :]
        out[:, index[:, None], index[None, :]] = np.where(
            same, 2 * G[:, r[:, None], r[None, :]], 0.0
        )
    return out


def covariance_slope(Lambda: FloatArray, slope: FloatArray) -> FloatArray:
    """G with D = G Lambda, symmetric, shape (T, q, q); Lambda must not be singular."""
    G = np.swapaxes(np.linalg.solve(np.swapaxes(Lambda, 1, 2), np.swapaxes(slope, 1, 2)), 1, 2)
    return np.asarray(G + np.swapaxes(G, 1, 2)) / 2


def with_responses(
    kernel: Kernel, responses: tuple[FloatArray, FloatArray, tuple[FloatArray, ...]]
) -> Kernel:
    """Return the same kernel with one response a batch entry: xy (T, p), yy (T,), zy (T, J, q)."""
    return replace(kernel, responses=responses)
