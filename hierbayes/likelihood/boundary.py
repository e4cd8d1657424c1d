"""The rules at the boundary, where a covariance lacks a direction: for many fits at once.

At a zero the derivative in Lambda vanishes whether or not the criterion still falls when variance
is added. So a zero counts only where the derivative in the covariance shows no way down and much
variance in place of none does not lower the criterion either; and what is small is set to exactly
zero where that costs nothing.
"""

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray
from hierbayes.gaussian.covariance import CovarianceShape, lower_triangles
from hierbayes.gaussian.marginal import (
    Evaluation,
    Kernel,
    covariance_slope,
    derivatives,
    evaluate,
)
from hierbayes.likelihood.convergence import is_term_singular
from hierbayes.likelihood.criterion import FLOOR, Criteria, part_of
from hierbayes.linalg.newton import safely

# Entries below this are tried as exact zeros; kept if the criterion does not rise by more than
# ZERO_COST, far below what a deviance means and far above its rounding.
TRY_ZERO = 3e-3
ZERO_COST = 1e-9
# A covariance slope below minus this (deviance per squared relative sd) is a way down.
WAY_DOWN = 1e-3
ADDED = 0.3  # sd, in residual sds, with which a search goes on there
FAR = (0.3, 1.0, 3.0, 10.0, 30.0)  # sds, in residual sds, looked at where one is estimated as zero
# Of a structure: sds looked at besides, parts of the scales that it has, and angles.
NEAR = (0.03, 0.1)
SIZES = (0.5, 1.0, 2.0)
ANGLES = (-np.pi / 2, -0.7, 0.0, 0.7, np.pi / 2)


def near_bounds(shape: CovarianceShape, x: FloatArray) -> BoolArray:
    """Which entries of thetas (T, k), rectified, are near their bound."""
    return np.asarray(shape.above_bound(x) < TRY_ZERO)


def on_bounds(shape: CovarianceShape, x: FloatArray) -> FloatArray:
    """Thetas (T, k) with what is near its bound on it."""
    near = near_bounds(shape, x)
    return np.where(near, shape.on_bound(x), x) if near.any() else x


def way_down(kernel: Kernel, x: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Thetas with variance added where that lowers the criterion, and where it does.

    Parameters
    ----------
    kernel : Kernel
    x : array, shape (T, k), rectified

    Returns
    -------
    array (T, k), array of bool (T,)
    """
    shape = kernel.basis_shape
    at = evaluate(kernel, shape.kept_off_bounds(x, FLOOR))
    slopes = derivatives(kernel, at).slopes
    Lambdas = [Lambda.copy() for Lambda in at.Lambdas]
    down = np.zeros(x.shape[0], dtype=np.bool_)
    for factor, (row, column) in shape.triangles:
        root, slope = at.Lambdas[factor][:, row, column], slopes[factor][:, row, column]
        size, axes = np.linalg.eigh(covariance_slope(root, slope))
        lowest = axes[:, :, :1]
        there = np.linalg.norm(np.swapaxes(lowest, 1, 2) @ root, axis=2)[:, 0]
        found = (size[:, 0] < -WAY_DOWN) & (there < TRY_ZERO)
        if found.any():
            wider = np.concatenate([root, ADDED * lowest], axis=2)[found]
            at_found = np.flatnonzero(found)[:, None, None]
            Lambdas[factor][at_found, row, column] = lower_triangles(wider)[:, :, :-1]
        down |= found
    return shape.pack(Lambdas), down


def _far_starts(
    shape: CovarianceShape, x: FloatArray, slopes: list[FloatArray] | None
) -> list[FloatArray]:
    """Thetas (k,) with much variance in place of the hardly any that terms of x (k,) have.

    ``slopes`` are the derivatives in the covariance of each factor, (q, q), where structures with
    several scales ask for them.
    """
    Lambdas = shape.unpack(x[None])
    found = []
    for i, (factor, at) in enumerate(shape.blocks):
        if not is_term_singular(shape.triangle_of_term(Lambdas, i)):
            continue
        found += far_starts_of_term(shape, x, i)
        if slopes is not None:
            found += _falling_scales(shape, x, i, slopes[factor][at])
    return found


def far_starts_of_term(shape: CovarianceShape, x: FloatArray, term: int) -> list[FloatArray]:
    """Thetas (k,) with much variance in place of the hardly any that a term of x (k,) has."""
    if shape.structures[term] is not None:
        return _starts_of_structure(shape, x, term)
    Lambdas, (factor, at) = shape.unpack(x[None]), shape.blocks[term]
    found = []
    for size in FAR:
        changed = [Lambda.copy() for Lambda in Lambdas]
        changed[factor][0][at] = size * np.eye(at[1].size)
        found.append(shape.pack(changed)[0])
    return found


def _starts_of_structure(shape: CovarianceShape, x: FloatArray, term: int) -> list[FloatArray]:
    """Thetas (k,) with other parameters of a structure that lacks a direction at x (k,).

    There is no derivative in the covariance that stays within a structure, so its own parameters
    are looked at: all scales, or one, from small to large, and those at x, at angles from bound to
    bound.
    """
    part = shape.slices[term]
    is_scale, is_angle = shape.is_diagonal[part], shape.is_angle[part]
    some = [is_scale, *np.eye(is_scale.size, dtype=np.bool_)[is_scale]]
    scales = [size * one for one in some[: None if len(some) > 2 else 1] for size in (*NEAR, *FAR)]
    scales += [size * x[part] for size in SIZES]
    found = []
    for scale in scales:
        for angle in ANGLES if is_angle.any() else (0.0,):
            other = x.copy()
            other[part] = np.where(is_scale, scale, np.where(is_angle, angle, x[part]))
            found.append(other)
    return found


def _falling_scales(
    shape: CovarianceShape, x: FloatArray, term: int, slope: FloatArray
) -> list[FloatArray]:
    """Thetas (k,) with the scales of a structure in whose direction the criterion falls from zero.

    Lambda is the sum of s_i Lambda_i over its scales, so near zero the criterion changes by s'M s
    with M_ij = <slope, Lambda_i Lambda_j'>, at each angle.
    """
    part = shape.slices[term]
    is_scale, is_angle = shape.is_diagonal[part], shape.is_angle[part]
    if not shape.is_positive[part].any():
        return []
    angles = np.array(ANGLES if is_angle.any() else (0.0,))
    own = shape.structures[term]
    assert own is not None
    par = np.where(is_scale, 1.0, np.where(is_angle, angles[:, None], x[part]))
    roots = own.slope(par)[:, is_scale]
    M = np.einsum("tiab,ac,tjcb->tij", roots, slope, roots)
    size, axes = np.linalg.eigh(M)
    found = []
    for t in np.flatnonzero(size[:, 0] < 0).tolist():
        lowest = axes[t, :, 0]
        for way in (np.abs(lowest), np.maximum(lowest, 0), np.maximum(-lowest, 0)):
            if way @ M[t] @ way < 0:
                for length in (*NEAR, *FAR):
                    other = x.copy()
                    other[part] = par[t]
                    other[part][is_scale] = length * way
                    found.append(other)
    return found


def far_down(kernel: Kernel, x: FloatArray, value: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Thetas far from zero variances where the criterion is lower, and where there are any.

    At zero the criterion may have a minimum of its own beside another one far away: where a term
    explains what the fixed part explains almost as well.

    Parameters
    ----------
    kernel : Kernel
    x : array, shape (T, k), rectified
    value : array, shape (T,), the criterion there

    Returns
    -------
    array (T, k), array of bool (T,)

    Raises
    ------
    numpy.linalg.LinAlgError
        If the criterion cannot be computed at one of those looked at.
    """
    shape = kernel.basis_shape
    slopes = _covariance_slopes(kernel, x) if shape.has_positive else [None] * x.shape[0]
    starts = [
        _far_starts(shape, one, own) for one, own in zip(on_bounds(shape, x), slopes, strict=True)
    ]
    found, down = x.copy(), np.zeros(x.shape[0], dtype=np.bool_)
    if not any(starts):
        return found, down
    rows = np.repeat(np.arange(x.shape[0]), [len(some) for some in starts])
    every = np.array([start for some in starts for start in some])
    values = evaluate(part_of(kernel, rows), every).criterion
    order = np.lexsort((values, rows))
    lowest = order[np.flatnonzero(np.diff(rows[order], prepend=-1))]  # the first of each row
    lower = lowest[values[lowest] < value[rows[lowest]] - ZERO_COST]
    found[rows[lower]], down[rows[lower]] = every[lower], True
    return found, down


def _covariance_slopes(kernel: Kernel, x: FloatArray) -> list[list[FloatArray]]:
    """Per theta of x (T, k) the derivative in the covariance of each factor, (q, q)."""
    shape = kernel.basis_shape
    at = evaluate(kernel, shape.kept_off_bounds(x, FLOOR))
    pairs = zip(at.Lambdas, derivatives(kernel, at).slopes, strict=True)
    found = [covariance_slope(Lambda, slope) for Lambda, slope in pairs]
    return [[of_factor[t] for of_factor in found] for t in range(x.shape[0])]


def with_zeros(
    kernel: Kernel, x: FloatArray, value: FloatArray
) -> tuple[FloatArray, list[Evaluation | None]]:
    """Set what is near its bound (small diagonals) on it, nearest first, where it costs nothing.

    Parameters
    ----------
    kernel, x, value : as of ``far_down``

    Returns
    -------
    array (m, k), and the states there of those that changed
    """
    shape, criteria = kernel.basis_shape, Criteria(kernel)
    x = x.copy()
    states: list[Evaluation | None] = [None] * x.shape[0]
    limit = value + ZERO_COST * np.maximum(1.0, np.abs(value) * 1e-3)
    if not shape.is_plain:  # scales of a structure may cost something one by one, and not together
        trial = shape.rectified_batch(on_bounds(shape, x))
        there = safely(criteria, trial)
        for i in np.flatnonzero(there.value <= limit).tolist():
            x[i], states[i] = trial[i], there.states[i]
    above = shape.above_bound(x)
    n_near, order = (above < TRY_ZERO).sum(axis=1), np.argsort(above, axis=1, kind="stable")
    for nth in range(int(n_near.max(initial=0))):
        some = np.flatnonzero(n_near > nth)
        trial, places = x[some], (np.arange(some.size), order[some, nth])
        trial[places] = shape.on_bound(trial)[places]
        trial = shape.rectified_batch(trial)
        # without this variance the response may be reproduced exactly, and there is no criterion
        there = safely(criteria.take(some), trial)
        good = np.flatnonzero(there.value <= limit[some])
        x[some[good]] = trial[good]
        for i in good.tolist():
            states[some[i]] = there.states[i]
    return x, states
