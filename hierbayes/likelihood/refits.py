"""The same model fitted to many responses in one batched search.

What differs between the fits is Z'Wy, X'Wy and y'Wy (``gaussian/responses.py``); the criterion, its
gradient and its curvature are computed for all of them in one call of the kernel, and a fit that
has converged leaves the batch. The rules are those of ``likelihood/lmm.py``: diagonals are kept off
zero during the search, small ones are set to exactly zero where that costs nothing, and a zero
counts only if adding variance does not lower the criterion.

A fit the batch cannot settle (a search that does not converge, a triangle with a zero before its
last diagonal, where a curved valley has to be left, or a matrix that cannot be factorised) is done
on its own by the search of ``likelihood/lmm.py``. So every fit is as good as one made alone.
"""

from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.design.design import Design
from hierbayes.errors import DataError
from hierbayes.gaussian.kernel import with_products
from hierbayes.gaussian.marginal import Evaluation, Kernel, evaluate, with_responses
from hierbayes.gaussian.responses import Responses
from hierbayes.gaussian.turned import turned
from hierbayes.likelihood.boundary import TRY_ZERO, far_down, near_bounds, way_down, with_zeros
from hierbayes.likelihood.convergence import SINGULAR
from hierbayes.likelihood.criterion import Criteria, goal_of, part_of, search_scale
from hierbayes.likelihood.lmm import fit_lmm
from hierbayes.linalg.newton import minimise

# A diagonal below this, in residual sds, before the last of its triangle: there is next to nothing
# left that keeps the entries below it from rotating.
VALLEY = 0.05
WORTHWHILE = 4  # fits in a valley that are searched together in another order
MAX_STEPS = 40  # a search that needs more is better done on its own, with more care
# Numbers the arrays of one batch may hold: few enough to stay in the processor's cache.
BATCH_NUMBERS = 100_000


@record
class Refits:
    """Estimates from T responses, on the user's scale.

    Attributes
    ----------
    theta : array, shape (T, k), lme4's theta
    sigma : array, shape (T,), residual sds
    beta : array, shape (T, p), of the columns of X that are kept
    criterion : array, shape (T,), REML criterion or minus twice the log-likelihood
    converged : array, shape (T,); where it is not, estimates may be missing (NaN)
    is_singular : array, shape (T,), whether a covariance is on the boundary
    """

    theta: FloatArray
    sigma: FloatArray
    beta: FloatArray
    criterion: FloatArray
    converged: BoolArray
    is_singular: BoolArray

    def __post_init__(self) -> None:
        """Make the arrays read-only: results are safe to share."""
        for name in NAMES:
            getattr(self, name).flags.writeable = False


NAMES = tuple(field.name for field in fields(Refits))


def refit_many(
    kernel: Kernel, responses: Responses, *, design: Design, start: FloatArray
) -> Refits:
    """Fit the model of a kernel to many responses.

    Parameters
    ----------
    kernel : Kernel
    responses : Responses
        T responses, in the basis of the kernel's products.
    design : Design
        Of the kernel's rows, for the words of findings only.
    start : array, shape (k,)
        A theta to start from, in the basis of the products.
    """
    T = responses.yy.size
    size = batch_size(kernel)
    parts = [
        _refit_batch(kernel, responses.take(slice(at, at + size)), design=design, start=start)
        for at in range(0, T, size)
    ]
    return joined(parts)


def batch_size(kernel: Kernel) -> int:
    """Return how many responses are fitted together."""
    p, k = kernel.products.xy.size, kernel.basis_shape.n_theta
    levels = sum(A.shape[0] * A.shape[1] for A in kernel.products.zz)
    return max(1, BATCH_NUMBERS // (kernel.pattern.n_numbers + levels * (p + 1 + k) + 1))


def joined(parts: list[Refits]) -> Refits:
    """Refits one after the other."""
    if len(parts) == 1:
        return parts[0]
    return Refits(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in NAMES})


def _refit_batch(
    kernel: Kernel, responses: Responses, *, design: Design, start: FloatArray
) -> Refits:
    shape, anchor = kernel.basis_shape, kernel.products.anchor
    T = responses.yy.size
    batch = with_responses(kernel, responses)
    first = np.repeat(start[None], T, axis=0)
    if shape.n_theta == 0:
        x, settled = first, np.ones(T, dtype=np.bool_)
    else:
        x, settled = _searched(batch, first)
        _search_reversed(kernel, responses, x, settled)
    at, settled = _evaluated(batch, x, settled)
    found = {
        "theta": np.full((T, shape.n_theta), np.nan),
        "sigma": np.full(T, np.nan),
        "beta": np.full((T, anchor.beta0.size), np.nan),
        "criterion": np.full(T, np.nan),
        "converged": settled.copy(),
        "is_singular": np.zeros(T, dtype=np.bool_),
    }
    if at is not None:
        found["theta"][settled] = kernel.from_basis_batch(x[settled])
        found["sigma"][settled] = at.sigma
        found["beta"][settled] = anchor.beta0 + at.beta @ anchor.x_basis.T
        found["criterion"][settled] = at.criterion
        found["is_singular"][settled] = (shape.above_bound(x[settled]) < SINGULAR).any(axis=1)
    for row in np.flatnonzero(~settled):
        _refit_alone(kernel, responses, design, int(row), x[row], found)
    return Refits(**found)


def _searched(kernel: Kernel, start: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Thetas (T, k), rectified, and which are settled: the others are better found one by one."""
    shape = kernel.basis_shape
    criteria = Criteria(kernel, search_scale(kernel, start[0]))
    found = minimise(criteria, start, goal=goal_of(kernel, max_steps=MAX_STEPS))
    x = shape.rectified_batch(found.x)
    settled = found.converged & ~_in_valley(kernel, x)
    rows = np.flatnonzero(settled & near_bounds(shape, x).any(axis=1))
    if not rows.size:
        return x, settled
    near, value = part_of(kernel, rows), found.value[rows]
    try:
        down = way_down(near, x[rows])[1] | far_down(near, x[rows], value)[1]
    except np.linalg.LinAlgError:
        settled[rows] = False
        return x, settled
    settled[rows] = ~down
    x[rows] = with_zeros(near, x[rows], value)[0]
    return x, settled


def _search_reversed(
    kernel: Kernel, responses: Responses, x: FloatArray, settled: BoolArray
) -> None:
    """Search those in a valley with the columns of each triangle in reverse; x is changed in place.

    Where the first column of a triangle has next to no variance and the last has some, there is no
    valley in this order.
    """
    shape, rows = kernel.basis_shape, np.flatnonzero(~settled)
    longest = max((at[1].size for _, at in shape.triangles), default=0)
    if rows.size < WORTHWHILE or longest < 2 or kernel.remainder is not None:
        return
    axes = [np.eye(q) for q in shape.sizes]
    for factor, (row, column) in shape.triangles:
        axes[factor][row, column] = np.eye(column.size)[::-1]
    zy = tuple(own @ turn for own, turn in zip(responses.zy, axes, strict=True))
    some = replace(responses, zy=zy).take(rows)
    other = with_responses(with_products(kernel, turned(kernel.products, axes)), some)
    start = shape.kept_off_bounds(shape.transformed_batch(x[rows], axes), VALLEY)
    there, found = _searched(other, start)
    x[rows[found]] = shape.transformed_batch(there[found], axes)
    settled[rows[found]] = True


def _in_valley(kernel: Kernel, x: FloatArray) -> BoolArray:
    """Whether a triangle has a small diagonal before its last, or a structure a bound, shape (T,).

    There the entries below it can be rotated into later columns (``gaussian/turned.py``), and a
    structure may have another optimum. Where all of a triangle is next to nothing, the derivative
    in the covariance says whether it is zero (``way_down``).
    """
    found = np.zeros(x.shape[0], dtype=np.bool_)
    for _, _, part in kernel.basis_shape.structured:
        found |= near_bounds(kernel.basis_shape, x)[:, part].any(axis=1)
    Lambdas = kernel.basis_shape.unpack(x)
    for factor, (rows, columns) in kernel.basis_shape.triangles:
        size = np.abs(Lambdas[factor][:, rows, columns])
        small = np.diagonal(size, axis1=1, axis2=2)[:, :-1] < VALLEY
        found |= small.any(axis=1) & (size.max(axis=(1, 2)) >= TRY_ZERO)
    return found


def _evaluated(
    kernel: Kernel, x: FloatArray, settled: BoolArray
) -> tuple[Evaluation | None, BoolArray]:
    """Evaluate the settled fits; None, and nothing is settled, where that is impossible."""
    if not settled.any():
        return None, settled
    try:
        return evaluate(part_of(kernel, np.flatnonzero(settled)), x[settled]), settled
    except np.linalg.LinAlgError:
        return None, np.zeros_like(settled)


def _refit_alone(
    kernel: Kernel,
    responses: Responses,
    design: Design,
    row: int,
    start: FloatArray,
    found: dict[str, npt.NDArray[np.generic]],
) -> None:
    """Fit one response by the search for a single fit and write it into ``found``.

    It goes on from where the batch has left off: in a valley there is next to nothing left to do.
    """
    try:
        one = with_products(kernel, responses.put_in(kernel.products, row))
        fit = fit_lmm(design, one, start=start if np.isfinite(start).all() else None)
    except (DataError, np.linalg.LinAlgError):
        return  # nothing left to model: it stays missing
    anchor = kernel.products.anchor
    found["theta"][row] = fit.theta
    found["sigma"][row] = fit.at.sigma[0]
    found["beta"][row] = anchor.beta0 + anchor.x_basis @ fit.at.beta[0]
    found["criterion"][row] = fit.at.criterion[0]
    found["converged"][row] = fit.converged
    found["is_singular"][row] = fit.is_singular
