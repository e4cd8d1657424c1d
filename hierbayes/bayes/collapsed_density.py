"""The posterior density of the variance parameters with beta and b integrated out.

For y ~ N(X beta + Z b, sigma^2 W^-1), b ~ N(0, sigma^2 Lambda Lambda') and beta ~ N(m, Q^-1) (Q may
be zero in some directions: a flat prior), with V = W^-1 + Z Lambda Lambda'Z' and
G = [X y]'V^-1[X y] from the kernel,

    P = G_xx / sigma^2 + Q,    h = G_xy / sigma^2 + Q m,    mu = P^-1 h,
    -2 log p(y | phi) = n log(2 pi sigma^2) + log|V| + log|P| - log|Q|
                        + G_yy / sigma^2 + m'Q m - h'mu.

With a flat prior this is the REML criterion before sigma is profiled out (up to log 2 pi): REML is
the mode of this very function. Its derivative in Lambda is -D with
D = (Z'WZ Lambda (L L')^-1) - sum over levels of H K U' / sigma^2,
K = [P^-1 0; 0 0] + [-mu; 1][-mu; 1]', in the notation of ``gaussian/marginal.py``.

The density is in the coordinates of ``coordinates.py``, Jacobians included. Works in the basis of
the products; beta comes out on the user's scale.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hierbayes.bayes.coordinates import Coordinates
from hierbayes.bayes.priors import ModelPriors
from hierbayes.gaussian.marginal import Kernel, Reduced, reduce, responses_of, traces_of
from hierbayes.gaussian.patterns import Integrated, Patterns, integrate
from hierbayes.linalg.stacked import cholesky_stack, solve_lower_stack, solve_upper_stack

FloatArray = npt.NDArray[np.float64]

COMPLEX_STEP = 1e-30  # derivatives by a complex step have no cancellation, so the step can be tiny
# G_yy / sigma^2 is what is left of yy / sigma^2 after subtractions. Where their rounding may add
# more than this to the log density, sigma is below 1e-6 of the response: taken as impossible.
ROUNDING = 0.1
# Part of the identity in Lambda'Z'WZ Lambda + I that rounding may take, where columns or factors
# share rows: effects up to 1e7 times the residual sd. Beyond, nearly collinear effects have a
# density of nothing but rounding.
LOST = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the collapsed density needs: kernel, coordinates, priors in the basis of the products.

    Attributes
    ----------
    precision : array, shape (p, p), Q in the basis
    shift : array, shape (p,), Q m in the basis
    constant : m'Q m - log|Q| + (p - rank Q) log(1 / 2 pi) and the Jacobian of the basis
    to_basis : per factor, array (q, q), takes a root on the user's scale to the basis
    largest : per factor, the largest trace of a level's Z'WZ in the basis
    is_proper : whether beta has a proper prior, so that p(y) is defined
    """

    kernel: Kernel
    coordinates: Coordinates
    priors: ModelPriors
    precision: FloatArray
    shift: FloatArray
    constant: float
    to_basis: tuple[FloatArray, ...]
    largest: tuple[float, ...]
    is_proper: bool


def target_of(kernel: Kernel, priors: ModelPriors) -> Target:
    """Put kernel and priors together; the prior of beta must be Gaussian or flat."""
    anchor = kernel.products.anchor
    joint = priors.gaussian_beta()
    assert joint is not None
    mean, Q = joint
    T = anchor.x_basis
    precision = T.T @ Q @ T
    shift = T.T @ (Q @ (mean - anchor.beta0))
    size, axes = np.linalg.eigh(precision)
    flat = size <= 1e-12 * max(float(size.max(initial=0.0)), 1e-300)
    centre = mean - anchor.beta0
    constant = float(centre @ Q @ centre) - float(np.log(size[~flat]).sum())
    constant -= int(flat.sum()) * np.log(2 * np.pi)
    if flat.any():  # the flat directions are flat on the user's scale
        constant -= 2 * float(np.log(np.abs(np.linalg.det(axes[:, flat].T @ T @ axes[:, flat]))))
    return Target(
        kernel=kernel,
        coordinates=Coordinates(kernel.shape, kernel.sigma_known),
        priors=priors,
        precision=precision,
        shift=shift,
        constant=constant,
        to_basis=tuple(np.linalg.inv(basis) for basis in anchor.z_bases),
        largest=tuple(float(np.einsum("jaa->j", A).max()) for A in kernel.products.zz),
        is_proper=not flat.any(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Collapsed:
    """The collapsed density at a batch of phi (T, d), and p(beta | phi, y) in the basis.

    Attributes
    ----------
    log_density : array, shape (T,)
    sigma : array, shape (T,)
    mean : array, shape (T, p)
    root : array, shape (T, p, p), lower Cholesky factor of the precision P
    Lambdas : per factor, arrays (T, q, q), in the basis
    reduced : the random effects integrated out
    """

    log_density: FloatArray
    sigma: FloatArray
    mean: FloatArray
    root: FloatArray
    Lambdas: list[FloatArray]
    reduced: Reduced | Integrated


def collapsed(target: Target, phi: FloatArray, *, patterns: Patterns | None = None) -> Collapsed:
    """Evaluate the density at phi, shape (T, d).

    Given the ``patterns`` of the levels this takes a fraction of the time, and leaves out the
    factor that ``slope`` needs.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the covariance of the data is not positive definite at one of them.
    """
    kernel, coordinates = target.kernel, target.coordinates
    n = kernel.products.n_obs
    p = kernel.products.xy.size
    sigma = coordinates.sigma(phi)
    Lambdas = _lambdas(target, phi, sigma)
    reduced: Reduced | Integrated
    if patterns is None:
        reduced = reduce(kernel, Lambdas, n_batch=phi.shape[0])
    else:
        reduced = integrate(kernel, patterns, Lambdas[0])
    G = reduced.gram_xy / (sigma**2)[:, None, None]
    root = cholesky_stack(G[:, :p, :p] + target.precision)
    half = solve_lower_stack(root, (G[:, :p, p] + target.shift)[..., None])
    log_det_p = 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    minus_twice = (
        n * np.log(2 * np.pi * sigma**2)
        + reduced.log_det
        - kernel.products.sum_log_weights
        + log_det_p
        + G[:, p, p]
        - (half[..., 0] ** 2).sum(axis=1)
        + target.constant
    )
    log_density = -minus_twice / 2 + log_prior(target, phi)
    if not kernel.sigma_known:
        blurred = np.finfo(float).eps * _subtracted(kernel) > ROUNDING * sigma**2
        log_density = np.where(blurred, -np.inf, log_density)
    log_density = np.where(_loses_identity(target, Lambdas), -np.inf, log_density)
    return Collapsed(
        log_density=log_density,
        sigma=sigma,
        mean=solve_upper_stack(root, half)[..., 0],
        root=root,
        Lambdas=Lambdas,
        reduced=reduced,
    )


def _subtracted(kernel: Kernel) -> float:
    """Size of the numbers whose difference G_yy is, in squared units of the response.

    With a remainder only the response itself is rounded: a product of it with what is left.
    """
    total = kernel.products.yy
    if kernel.remainder is None:
        return total
    return float(np.sqrt(total * kernel.remainder.rr[0, -1, -1]))


def _loses_identity(target: Target, Lambdas: list[FloatArray]) -> npt.NDArray[np.bool_]:
    """Whether rounding takes the identity in Lambda'Z'WZ Lambda + I, shape (T,) or ()."""
    if sum(target.kernel.shape.sizes) == 1:  # one number a level: nothing is subtracted
        return np.zeros((), dtype=bool)
    sizes = [
        largest * np.einsum("tab,tab->t", Lambda, Lambda)
        for largest, Lambda in zip(target.largest, Lambdas, strict=True)
    ]
    found = np.finfo(float).eps * np.max(sizes, axis=0, initial=0.0) > LOST
    return np.asarray(found, dtype=bool)


def log_prior(target: Target, phi: FloatArray) -> FloatArray:
    """Log prior density of phi (T, d), Jacobian included, shape (T,)."""
    coordinates, priors = target.coordinates, target.priors
    total = coordinates.log_lkj(phi, priors.lkj)
    for sds, laws in zip(coordinates.sds(phi), priors.sd, strict=True):
        for sd, law in zip(sds.T, laws, strict=True):
            total = total + law.log_density(sd) + np.log(sd)
    if not coordinates.sigma_known:
        assert priors.sigma is not None
        total = total + priors.sigma.log_density(coordinates.sigma(phi)) + phi[:, -1]
    return total


def _log_prior_slope(target: Target, phi: FloatArray) -> FloatArray:
    coordinates, priors = target.coordinates, target.priors
    out = coordinates.log_lkj_slope(phi, priors.lkj)
    starts = coordinates.sd_starts
    for f, (sds, laws) in enumerate(zip(coordinates.sds(phi), priors.sd, strict=True)):
        for i, law in enumerate(laws):
            out[:, starts[f] + i] += law.derivative(sds[:, i]) * sds[:, i] + 1.0
    if not coordinates.sigma_known:
        assert priors.sigma is not None
        sigma = coordinates.sigma(phi)
        out[:, -1] += priors.sigma.derivative(sigma) * sigma + 1.0
    return out


def slope(target: Target, phi: FloatArray, at: Collapsed) -> FloatArray:
    """Gradient of the log density in phi, shape (T, d)."""
    kernel = target.kernel
    out = _log_prior_slope(target, phi)
    inverse = np.linalg.inv(at.root @ np.swapaxes(at.root, 1, 2))
    w = np.concatenate([-at.mean, np.ones((phi.shape[0], 1))], axis=1)
    K = w[:, :, None] * w[:, None, :]
    K[:, :-1, :-1] += inverse
    K /= (at.sigma**2)[:, None, None]
    if not kernel.sigma_known:
        fit = np.einsum("tab,tab->t", K, at.reduced.gram_xy)
        out[:, -1] += fit - kernel.products.n_obs
    assert isinstance(at.reduced, Reduced)
    factor = at.reduced.factor
    if factor is None:
        return out
    u, h = responses_of(kernel, at.Lambdas, at.reduced)
    maps = _lambda_slopes(target, phi)
    for trace, x, y, dLambda in zip(traces_of(kernel, at.Lambdas, factor), u, h, maps, strict=True):
        T, J, q, c = y.shape
        right = (x.reshape(T, J * q, c) @ K).reshape(T, J, q, c)
        D = trace - np.einsum("tjac,tjbc->tab", y, right)
        out -= np.einsum("tab,tdab->td", D, dLambda)
    return out


def _lambdas(target: Target, phi: FloatArray, sigma: FloatArray) -> list[FloatArray]:
    """Lambda of each factor in the basis, a square root that need not be triangular."""
    return [
        np.ascontiguousarray(basis @ root) / sigma[:, None, None]
        for basis, root in zip(target.to_basis, target.coordinates.roots(phi), strict=True)
    ]


def _lambda_slopes(target: Target, phi: FloatArray) -> list[FloatArray]:
    """Return the derivative of each Lambda in phi, arrays (T, d, q, q), by complex steps."""
    T, d = phi.shape
    stepped = phi[:, None, :] + 1j * COMPLEX_STEP * np.eye(d)
    flat = stepped.reshape(T * d, d)
    sigma = np.ones(T * d) if target.coordinates.sigma_known else np.exp(flat[:, -1])
    return [
        np.asarray(Lam.imag / COMPLEX_STEP).reshape(T, d, *Lam.shape[1:])
        for Lam in _lambdas(target, flat, sigma)
    ]
