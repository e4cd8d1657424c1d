"""Uncertainty of variance parameters where residuals are correlated or of unequal variance.

As ``coordinate_curvature.py``, with the coordinates phi of the residuals beside those of the random
effects: second derivatives of the deviance before sigma is profiled out are central differences of
its exact gradient, and so are the derivatives of vcov(beta).
"""

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.gaussian.marginal import Evaluation, Kernel
from hierbayes.gaussian.residual.kernel import ResidualKernel
from hierbayes.intervals.coordinate_curvature import free_coordinates, sizes_of_coordinates
from hierbayes.likelihood.residual_search import AT_END
from hierbayes.results.linear_fit import LinearFit

STEP = 1e-4  # of coordinates in their sizes; differences are wrong by about the square of it


@record
class ResidualCurvature:
    """What the uncertainty of theta, phi and log sigma follows from.

    Attributes
    ----------
    kernel : the kernel at phi, in the basis of the products
    at : its evaluation
    moves : array, shape (m - 1, k + d), theta and phi along each coordinate but log sigma
    free : array of bool, shape (k + d,), which of theta and phi are off their bounds
    hessian : array, shape (m, m), of the deviance, log sigma last
    slopes : array, shape (m, p, p), R S R' are the derivatives of vcov(beta)
    """

    kernel: Kernel
    at: Evaluation
    moves: FloatArray
    free: BoolArray
    hessian: FloatArray
    slopes: FloatArray


def residual_curvature(fit: LinearFit) -> ResidualCurvature:
    """Differentiate at the estimates of a fit with a structure of residuals."""
    assert fit.residual is not None
    own, phi = fit.spec.residual_kernel(fit.method), fit.residual.phi
    kernel = own.at(phi)
    theta = kernel.in_basis(fit.representative) if fit.representative.size else np.empty(0)
    point = own.evaluated(theta[None], phi[None])
    at, k, d = point.at, theta.size, phi.size
    sizes, free = np.ones(k + d), np.ones(k + d, dtype=np.bool_)
    if k:
        sizes[:k] = sizes_of_coordinates(kernel, at)
        free[:k] = free_coordinates(kernel, at)
    G = own.products.structure.n_spreads
    free[k + G :] = np.abs(phi[G:]) < AT_END
    moves = np.diag(sizes)[free]
    x, sigma = np.concatenate([theta, phi]), fit.sigma
    r, p = moves.shape[0], at.beta.shape[1]
    hessian, slopes = np.zeros((r + 1, r + 1)), np.zeros((r + 1, p, p))
    ends = STEP * np.concatenate([moves, -moves]) + x
    gradients = own.gradients(ends[:, :k], ends[:, k:], sigma=sigma) @ moves.T
    block = (gradients[:r] - gradients[r:]) / (2 * STEP)
    hessian[:r, :r] = (block + block.T) / 2
    at_sigma = [point.gradient(sigma=sigma * np.exp(h))[0] @ moves.T for h in (STEP, -STEP)]
    hessian[:r, r] = hessian[r, :r] = (at_sigma[0] - at_sigma[1]) / (2 * STEP)
    hessian[r, r] = 4 * kernel.df
    C = at.orthonormal[0, :p, :p]
    covariances = _covariances(own, ends[:, :k], ends[:, k:])
    back = np.linalg.inv(C) if p else C
    slopes[:r] = back @ ((covariances[:r] - covariances[r:]) / (2 * STEP)) @ back.T
    slopes[r] = 2 * np.eye(p)
    return ResidualCurvature(
        kernel=kernel, at=at, moves=moves, free=free, hessian=hessian, slopes=slopes
    )


def _covariances(kernel: ResidualKernel, theta: FloatArray, phi: FloatArray) -> FloatArray:
    """(X'V^-1X)^-1 at points, (T, p, p)."""
    roots = np.concatenate([point.at.root_xvx for point in kernel.points(theta, phi)])
    half = np.linalg.inv(roots)
    return np.asarray(np.swapaxes(half, 1, 2) @ half)
