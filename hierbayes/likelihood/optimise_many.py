"""Damped Newton search for the minima of many functions at once.

The search of ``likelihood/optimise.py`` with the same rules and limits, on arrays with one row a
function: every round is one evaluation for all functions that are not done yet. Knows no mixed
models.

Source: Nocedal & Wright (2006), Numerical Optimization, chapters 3, 4 and 10.
"""

from collections.abc import Callable

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.likelihood.optimise import (
    ACCEPT,
    DECREMENT_GOAL,
    DECREMENT_ROUNDING,
    GOAL_PER_ROW,
    LONGEST_STEP,
    MIN_CURVATURE,
    MOST_DAMPING,
)

ROUNDS = 40  # evaluations; a search that needs more is better done on its own, with more care


@record(kw_only=False)
class Locals:
    """Functions at one point each: value (m,), gradient (m, k), curvature (m, k, k)."""

    value: FloatArray
    gradient: FloatArray
    curvature: FloatArray


Functions = Callable[[IntArray, FloatArray], Locals]


def minimise_many(
    functions: Functions,
    start: FloatArray,
    *,
    project: Callable[[FloatArray], FloatArray],
    n_rows: int = 1,
) -> tuple[FloatArray, BoolArray]:
    """Search the minima of T functions.

    Parameters
    ----------
    functions : callable
        Maps positions (m,) of functions and a point x (m, k) for each to their ``Locals``. Raises
        LinAlgError where one of them cannot be computed.
    start : array, shape (T, k)
    project : callable
        Applied to trial points (m, k).
    n_rows : int
        Number of rows that a function sums over.

    Returns
    -------
    x : array, shape (T, k)
    converged : array, shape (T,)
    """
    x = project(start)
    converged = np.zeros(x.shape[0], dtype=np.bool_)
    here = _safely(functions, np.arange(x.shape[0]), x)
    active = np.flatnonzero(np.isfinite(here.value))
    damping, goal = np.zeros(x.shape[0]), DECREMENT_GOAL + GOAL_PER_ROW * n_rows
    for _ in range(ROUNDS):
        bowls = _Bowls(here.gradient[active], here.curvature[active], x[active])
        decrement = bowls.fall(project(x[active] + bowls.step(0.0)) - x[active])
        done = decrement < goal
        converged[active[done]] = True
        active, bowls = active[~done], bowls.take(~done)
        if not active.size:
            break
        candidate = project(x[active] + bowls.step(damping[active, None]))
        promised = np.maximum(bowls.fall(candidate - x[active]), 0.0)
        there = _safely(functions, active, candidate)
        fall = here.value[active] - there.value
        accepted = (fall >= ACCEPT * promised) & (fall > 0)
        taken = active[accepted]
        x[taken] = candidate[accepted]
        here.value[taken] = there.value[accepted]
        here.gradient[taken] = there.gradient[accepted]
        here.curvature[taken] = there.curvature[accepted]
        typical = bowls.typical
        old = damping[active]
        eased = np.where((fall > 0.5 * promised) & (old > typical), old / 8, 0.0)
        raised = np.maximum(4 * old, 0.25 * typical)
        damping[active] = np.where(accepted, eased, raised)
        stuck = ~accepted & ((promised < goal) | (raised >= MOST_DAMPING * typical))
        converged[active[stuck]] = decrement[~done][stuck] < DECREMENT_ROUNDING
        active = active[~stuck]
    return x, converged


def _safely(functions: Functions, rows: IntArray, x: FloatArray) -> Locals:
    """Evaluate all functions; those that can't be computed are infinite."""
    try:
        return functions(rows, x)
    except np.linalg.LinAlgError:
        m, k = x.shape
    found = Locals(np.full(m, np.inf), np.zeros((m, k)), np.tile(np.eye(k), (m, 1, 1)))
    for half in np.array_split(np.arange(m), 2) if m > 1 else ():
        part = _safely(functions, rows[half], x[half])
        found.value[half] = part.value
        found.gradient[half] = part.gradient
        found.curvature[half] = part.curvature
    return found


class _Bowls:
    """The quadratic models at the points x (m, k), eigenvalues of the curvature made positive."""

    def __init__(self, gradient: FloatArray, curvature: FloatArray, x: FloatArray) -> None:
        size, self.axes = np.linalg.eigh(curvature)
        size = np.abs(size)
        largest = np.maximum(size.max(axis=1, keepdims=True), 1e-8)
        self.size = np.maximum(size, MIN_CURVATURE * largest)
        self.along = (gradient[:, None, :] @ self.axes)[:, 0]
        self.reach = np.maximum(LONGEST_STEP, np.abs(x).max(axis=1))

    def take(self, chosen: BoolArray) -> "_Bowls":
        if chosen.all():
            return self
        part = object.__new__(_Bowls)
        for name, values in vars(self).items():
            setattr(part, name, values[chosen])
        return part

    @property
    def typical(self) -> FloatArray:
        """Geometric mean of the curvatures, shape (m,)."""
        return np.asarray(np.exp(np.log(self.size).mean(axis=1)))

    def step(self, damping: FloatArray | float) -> FloatArray:
        """Return the steps (m, k) to the minima of the damped models, shortened to ``reach``."""
        step = -(self.axes @ (self.along / (self.size + damping))[:, :, None])[:, :, 0]
        longest = np.abs(step).max(axis=1)
        return np.asarray(step * (self.reach / np.maximum(longest, self.reach))[:, None])

    def fall(self, move: FloatArray) -> FloatArray:
        """Falls (m,) that the models promise for moves (m, k)."""
        turned = (move[:, None, :] @ self.axes)[:, 0]
        return -np.asarray((self.along * turned + 0.5 * turned**2 * self.size).sum(axis=1))
