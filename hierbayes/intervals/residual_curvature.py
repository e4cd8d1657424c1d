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
from hierbayes.likelihood.fading import SD_AT_ZERO, held_sds
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
    is_free : array of bool, shape (d + 1,), which of phi, and sigma last, are held nowhere
    hessian : array, shape (m, m), of the deviance, log sigma last
    slopes : array, shape (m, p, p), R S R' are the derivatives of vcov(beta)
    """

    kernel: Kernel
    at: Evaluation
    moves: FloatArray
    is_free: BoolArray
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
    structure = own.products.structure
    G, at_zero = structure.n_spreads, [f for f in fit.findings if f.code == SD_AT_ZERO]
    held = held_sds(structure, phi) if at_zero else None
    is_free = np.ones(d + 1, dtype=np.bool_)
    is_free[G:d] = np.abs(phi[G:]) < AT_END
    moves = np.zeros((k + d, k + d))
    if k:
        own_moves = np.diag(sizes_of_coordinates(kernel, at))
        moves[:k, :k] = own_moves * free_coordinates(kernel, at)[:, None]
    moves[k:, k:] = np.diag(is_free[:d])
    if held is not None:
        moves[k : k + G] = 0.0
        moves[k : k + held.basis.shape[1], k : k + G] = held.basis.T
        own_sds = structure.spread.D[list(held.places)] != 0
        is_free[[d, *range(G)]] = own_sds.any(axis=1).all()  # others are parts of the reference
        is_free[:G] &= ~own_sds.any(axis=0)
    moves = moves[moves.any(axis=1)]
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
        kernel=kernel, at=at, moves=moves, is_free=is_free, hessian=hessian, slopes=slopes
    )
