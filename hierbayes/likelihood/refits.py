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

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.design.design import Design
from hierbayes.errors import DataError
from hierbayes.gaussian.kernel import with_products
from hierbayes.gaussian.marginal import (
    Evaluation,
    Kernel,
    covariance_slope,
    derivatives,
    evaluate,
    with_responses,
)
from hierbayes.gaussian.responses import Responses
from hierbayes.likelihood.convergence import SINGULAR
from hierbayes.likelihood.lmm import (
    FLOOR,
    TRY_ZERO,
    WAY_DOWN,
    ZERO_COST,
    far_starts,
    fit_lmm,
    search_scale,
)
from hierbayes.likelihood.optimise_many import Locals, minimise_many

# A diagonal below this, in residual sds, before the last of its triangle: there is next to nothing
# left that keeps the entries below it from rotating.
VALLEY = 0.05
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
    first = np.repeat(start[None], T, axis=0)
    if shape.n_theta == 0:
        x, settled = first, np.ones(T, dtype=np.bool_)
    else:
        x, settled = _search(kernel, responses, first)
        x = shape.transformed_batch(x, [np.eye(q) for q in shape.sizes])
        settled &= ~_in_valley(kernel, x)
        x, settled = _with_zeros(kernel, responses, x, settled)
    at, settled = _evaluated(kernel, responses, x, settled)
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
        _refit_alone(kernel, responses, design, int(row), found)
    return Refits(**found)


def _rows(kernel: Kernel, responses: Responses, rows: IntArray) -> Kernel:
    """Return the kernel of some of the responses."""
    everyone = rows.size == responses.yy.size and (rows == np.arange(rows.size)).all()
    chosen = responses if everyone else responses.take(rows)
    return with_responses(kernel, chosen)


def _search(
    kernel: Kernel, responses: Responses, start: FloatArray
) -> tuple[FloatArray, BoolArray]:
    shape = kernel.basis_shape

    def off_zero(x: FloatArray) -> FloatArray:
        return shape.kept_off_bounds(x, FLOOR)

    def functions(rows: IntArray, x: FloatArray) -> Locals:
        chosen = _rows(kernel, responses, rows)
        at = evaluate(chosen, x)
        slopes = derivatives(chosen, at)
        return Locals(at.criterion, slopes.gradient, slopes.curvature)

    if responses.remainder is None:
        return minimise_many(functions, start, project=off_zero, n_rows=kernel.products.n_obs)
    scale = search_scale(shape, start[0])

    def scaled(rows: IntArray, z: FloatArray) -> Locals:
        at = functions(rows, z * scale)
        return Locals(at.value, at.gradient * scale, at.curvature * scale * scale[:, None])

    z, converged = minimise_many(
        scaled,
        start / scale,
        project=lambda z: off_zero(z * scale) / scale,
        n_rows=kernel.products.n_obs,
    )
    return z * scale, converged


def _in_valley(kernel: Kernel, x: FloatArray) -> BoolArray:
    """Whether a triangle has a small diagonal before its last, shape (T,).

    There the entries below it can be rotated into later columns (``gaussian/turned.py``).
    """
    found = np.zeros(x.shape[0], dtype=np.bool_)
    Lambdas = kernel.basis_shape.unpack(x)
    for factor, (_, columns) in kernel.basis_shape.triangles:
        diagonal = Lambdas[factor][:, columns[:-1], columns[:-1]]
        found |= (np.abs(diagonal) < VALLEY).any(axis=1)
    return found


def _with_zeros(
    kernel: Kernel, responses: Responses, x: FloatArray, settled: BoolArray
) -> tuple[FloatArray, BoolArray]:
    """Set small diagonals to exactly zero; not settled where that costs, or a way leads down."""
    x, settled = x.copy(), settled.copy()
    shape = kernel.basis_shape
    small = shape.above_bound(x) < TRY_ZERO
    rows = np.flatnonzero(settled & small.any(axis=1))
    if not rows.size:
        return x, settled
    chosen = _rows(kernel, responses, rows)
    floored = np.where(small[rows], shape.kept_off_bounds(x[rows], FLOOR), x[rows])
    trial = np.where(small[rows], shape.on_bound(x[rows]), x[rows])
    try:
        at = evaluate(chosen, floored)
        down = _way_down(kernel, at, derivatives(chosen, at).slopes)
        there = evaluate(chosen, trial)
    except np.linalg.LinAlgError:
        settled[rows] = False
        return x, settled
    down |= _far_down(kernel, responses.take(rows), trial, at.criterion)
    limit = at.criterion + ZERO_COST * np.maximum(1.0, np.abs(at.criterion) * 1e-3)
    x[rows] = trial
    settled[rows] = ~down & (there.criterion <= limit)
    return x, settled


def _far_down(
    kernel: Kernel, responses: Responses, x: FloatArray, criterion: FloatArray
) -> BoolArray:
    """Whether much variance in place of none lowers the criterion, shape (T,)."""
    starts = [far_starts(kernel.basis_shape, one) for one in x]
    rows = np.repeat(np.arange(x.shape[0]), [len(some) for some in starts])
    down = np.zeros(x.shape[0], dtype=np.bool_)
    if not rows.size:
        return down
    try:
        values = evaluate(_rows(kernel, responses, rows), np.concatenate(starts)).criterion
    except np.linalg.LinAlgError:
        return np.ones_like(down)
    down[rows[values < criterion[rows] - ZERO_COST]] = True
    return down


def _way_down(kernel: Kernel, at: Evaluation, slopes: list[FloatArray]) -> BoolArray:
    """Whether variance added where there is none lowers the criterion, shape (T,)."""
    down = np.zeros(at.theta.shape[0], dtype=np.bool_)
    for factor, (rows, columns) in kernel.basis_shape.triangles:
        block = (slice(None), rows, columns)
        root = at.Lambdas[factor][block]
        size, axes = np.linalg.eigh(covariance_slope(root, slopes[factor][block]))
        left = np.linalg.norm(axes[:, None, :, 0] @ root, axis=2)[:, 0]
        down |= (size[:, 0] < -WAY_DOWN) & (left < TRY_ZERO)
    return down


def _evaluated(
    kernel: Kernel, responses: Responses, x: FloatArray, settled: BoolArray
) -> tuple[Evaluation | None, BoolArray]:
    """Evaluate the settled fits; None, and nothing is settled, where that is impossible."""
    if not settled.any():
        return None, settled
    try:
        return evaluate(_rows(kernel, responses, np.flatnonzero(settled)), x[settled]), settled
    except np.linalg.LinAlgError:
        return None, np.zeros_like(settled)


def _refit_alone(
    kernel: Kernel,
    responses: Responses,
    design: Design,
    row: int,
    found: dict[str, npt.NDArray[np.generic]],
) -> None:
    """Fit one response by the search for a single fit and write it into ``found``."""
    one = replace(
        kernel.products,
        xy=responses.xy[row],
        yy=float(responses.yy[row]),
        zy=tuple(zy[row] for zy in responses.zy),
        remainder=None
        if responses.remainder is None
        else responses.remainder.take(slice(row, row + 1)),
    )
    try:
        fit = fit_lmm(design, with_products(kernel, one))
    except (DataError, np.linalg.LinAlgError):
        return  # nothing left to model: it stays missing
    anchor = kernel.products.anchor
    found["theta"][row] = fit.theta
    found["sigma"][row] = fit.at.sigma[0]
    found["beta"][row] = anchor.beta0 + anchor.x_basis @ fit.at.beta[0]
    found["criterion"][row] = fit.at.criterion[0]
    found["converged"][row] = fit.converged
    found["is_singular"][row] = fit.is_singular
