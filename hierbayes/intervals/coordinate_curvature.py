"""Curvature of the deviance and slopes of vcov(beta) in any parameters of the covariances.

Where a term has a structure of its own (``gaussian/structures.py``) its parameters are no entries
of Lambda (I + E), the tangents of ``satterthwaite.py``. In the coordinates x of a search, each in
its own size, and with log sigma,

    dV(beta)_i = sigma^2 R (sum over levels of (H C)_x'Lambda_i (U C)_x, plus its transpose) R',

and second derivatives are central differences of the exact gradient. What stands at its bound is
held there: scales of zero, angles at a right one, and, in the axes of its covariance, the columns
of a triangle that have no variance.
"""

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.gaussian.kernel import with_products
from hierbayes.gaussian.marginal import Evaluation, Kernel, evaluate, gradient, modes
from hierbayes.gaussian.turned import principal_axes, turned
from hierbayes.likelihood.convergence import SINGULAR
from hierbayes.likelihood.lmm import singular_terms

STEP = 1e-4  # of coordinates in their sizes; differences are wrong by about the square of it


@record
class Curved:
    """What the uncertainty of the variance parameters follows from.

    Attributes
    ----------
    kernel, at : the kernel, turned where a triangle is singular, and its evaluation
    moves : array, shape (k, k of theta), derivative of theta in each coordinate but log sigma
    hessian : array, shape (m, m), of the deviance before sigma is profiled out, log sigma last
    slopes : array, shape (m, p, p), R S R' are the derivatives of vcov(beta)
    alone : array, shape (m,), size of the diagonal of the Hessian if nothing else were estimated
    """

    kernel: Kernel
    at: Evaluation
    moves: FloatArray
    hessian: FloatArray
    slopes: FloatArray
    alone: FloatArray


def coordinate_curvature(kernel: Kernel, at: Evaluation) -> Curved:
    """Differentiate at the estimate of a kernel with structures."""
    shape, x = kernel.basis_shape, at.theta[0]
    singular = singular_terms(shape, at.Lambdas)
    if any(shape.structures[i] is None and len(shape.terms[i][1]) > 1 for i in singular):
        axes, x = principal_axes(shape, x)
        kernel = with_products(kernel, turned(kernel.products, axes))
        shape, at = kernel.basis_shape, evaluate(kernel, x[None])
    sizes = sizes_of_coordinates(kernel, at)
    free = free_coordinates(kernel, at)
    moves = np.diag(sizes)[free]
    k, p = moves.shape[0], kernel.products.xy.size
    m = k + (0 if kernel.sigma_known else 1)
    hessian, slopes, alone = np.zeros((m, m)), np.zeros((m, p, p)), np.zeros(m)
    sigma = float(at.sigma[0])
    if k:
        ends = evaluate(kernel, x + both_ways(moves))
        hessian[:k, :k] = second_derivatives(gradient(kernel, ends, sigma=sigma), moves)
        slopes[:k] = _slopes(kernel, at, moves)
        alone[:k] = _alone(kernel, at)[free]
    if m > k:
        slopes[k] = 2 * np.eye(p)
        alone[k] = hessian[k, k] = 4 * kernel.df
        ways = [gradient(kernel, at, sigma=own)[0] for own in both_sigmas(sigma)]
        hessian[:k, k] = hessian[k, :k] = differences(np.array(ways))[0] @ moves.T
    return Curved(kernel=kernel, at=at, moves=moves, hessian=hessian, slopes=slopes, alone=alone)


def both_ways(moves: FloatArray) -> FloatArray:
    """Return small steps (2 r, k) along r moves (r, k), and back."""
    return STEP * np.concatenate([moves, -moves])


def both_sigmas(sigma: float) -> tuple[float, float]:
    """Return a sigma a little larger, and a little smaller, on the log scale."""
    return sigma * float(np.exp(STEP)), sigma * float(np.exp(-STEP))


def differences(values: FloatArray) -> FloatArray:
    """Return the derivatives (r, ...) of what has these values (2 r, ...) after ``both_ways``."""
    r = values.shape[0] // 2
    return np.asarray((values[:r] - values[r:]) / (2 * STEP))


def second_derivatives(gradients: FloatArray, moves: FloatArray) -> FloatArray:
    """Return second derivatives (r, r) along moves from the gradients (2 r, k) at both ends."""
    block = differences(gradients @ moves.T)
    return np.asarray((block + block.T) / 2)


def free_coordinates(kernel: Kernel, at: Evaluation) -> BoolArray:
    """Which coordinates (k,) are off their bounds, entries of a triangle by their column."""
    shape = kernel.basis_shape
    found = shape.above_bound(at.theta[0]) >= SINGULAR
    for Lambda, (index, _, column) in zip(at.Lambdas, shape.factor_entries, strict=True):
        found[index] = np.abs(np.diagonal(Lambda[0]))[column] >= SINGULAR
    for _, own, part in shape.structured:
        if own.is_scale.any() and not found[part][own.is_scale].any():
            found[part] = False  # without any scale nothing of a structure counts
    return found


def sizes_of_coordinates(kernel: Kernel, at: Evaluation) -> FloatArray:
    """Sizes (k,) of the coordinates: of a scale and of a triangle's column their own, else one."""
    shape = kernel.basis_shape
    found = np.where(shape.is_diagonal, np.abs(at.theta[0]), 1.0)
    for Lambda, (index, _, column) in zip(at.Lambdas, shape.factor_entries, strict=True):
        found[index] = np.abs(np.diagonal(Lambda[0]))[column]
    return np.where(found > SINGULAR, found, 1.0)


def _slopes(kernel: Kernel, at: Evaluation, moves: FloatArray) -> FloatArray:
    """Return sums over levels of (H C)_x'Lambda_i (U C)_x and their transposes, (k, p, p)."""
    found = modes(kernel, at)
    total = np.zeros(())
    for u, h, dL in zip(found.u, found.h, kernel.basis_shape.slopes(at.theta), strict=True):
        along = np.einsum("ik,kab->iab", moves, dL[0])
        total = total + np.einsum("jac,iab,jbd->icd", h[0, ..., :-1], along, u[0, ..., :-1])
    return np.asarray(total + np.swapaxes(total, 1, 2))


def _alone(kernel: Kernel, at: Evaluation) -> FloatArray:
    """Twice the expected information (k,) if the levels' effects were orthogonal, about."""
    shape = kernel.basis_shape
    assert at.factor is not None
    found = np.empty(shape.n_theta)
    shown = [
        np.diagonal(np.swapaxes(L, 1, 2)[0] @ trace[0])
        for L, trace in zip(at.Lambdas, at.factor.trace_blocks(), strict=True)
    ]
    for (factor, columns), part in zip(shape.terms, shape.slices, strict=True):
        levels = kernel.products.zz[factor].shape[0]
        share = float(shown[factor][list(columns)].mean()) / levels
        found[part] = 4 * levels * share**2
    return found
