"""Uncertainty of variance parameters where residuals are correlated or of unequal variance.

As ``coordinate_curvature.py``, with the coordinates phi of the residuals beside those of the random
effects: second derivatives of the deviance before sigma is profiled out are central differences of
its exact gradient, and so are the derivatives of vcov(beta).
"""

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.gaussian.marginal import Evaluation, Kernel
from hierbayes.intervals.coordinate_curvature import (
    both_sigmas,
    both_ways,
    differences,
    free_coordinates,
    second_derivatives,
    sizes_of_coordinates,
)
from hierbayes.likelihood.residual_search import AT_END
from hierbayes.results.linear_fit import LinearFit


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
    ends = x + both_ways(moves)
    points = own.points(ends[:, :k], ends[:, k:])
    gradients = np.concatenate([end.gradient(sigma=sigma) for end in points])
    hessian[:r, :r] = second_derivatives(gradients, moves)
    ways = [point.gradient(sigma=one)[0] for one in both_sigmas(sigma)]
    hessian[:r, r] = hessian[r, :r] = differences(np.array(ways))[0] @ moves.T
    hessian[r, r] = 4 * kernel.df
    C = at.orthonormal[0, :p, :p]
    half = np.linalg.inv(np.concatenate([end.at.root_xvx for end in points]))
    back = np.linalg.inv(C) if p else C
    slopes[:r] = back @ differences(np.swapaxes(half, 1, 2) @ half) @ back.T
    slopes[r] = 2 * np.eye(p)
    return ResidualCurvature(
        kernel=kernel, at=at, moves=moves, free=free, hessian=hessian, slopes=slopes
    )
