"""Damped Newton search on an exact gradient and an approximate curvature.

Minimises f(x) without constraints. Each step solves (|C| + mu I) p = -g, where |C| is the
curvature with its eigenvalues made positive, and mu grows until the step lowers f as much as the
quadratic model promises (Levenberg-Marquardt). Knows no mixed models.

Source: Nocedal & Wright (2006), Numerical Optimization, chapters 3, 4 and 10.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray, record

MAX_STEPS = 200
# Newton decrement (the fall of f that one more step promises) at which the search ends. f is a
# deviance: 1e-10 of it moves an estimate by 1e-5 standard errors.
DECREMENT_GOAL = 1e-10
# And this times the number of rows that f sums over, which is where its rounding begins. Not a part
# of f itself: the origin of a deviance hangs on the unit of the response, and where the search ends
# must not.
GOAL_PER_ROW = 3e-13
# Above this decrement a search that has ended takes one more step: the fall of f drowns in rounding
# there, while x is still 1e-6 standard errors from where it stands still, and p values and degrees
# of freedom would show in which units, or by which path, x was reached.
POLISHED = 1e-13
# Below this decrement a step that does not lower f failed to rounding, not to curvature.
DECREMENT_ROUNDING = 1e-6
ACCEPT = 1e-4  # part of the promised fall that a step must deliver
MIN_CURVATURE = 1e-7  # eigenvalues of the curvature are kept above this part of the largest
MOST_DAMPING = 1e8  # in units of the typical curvature; a step damped this much goes nowhere
LONGEST_STEP = 2.0  # per step where x is of order one, as it is scaled to be; else the size of x


@record(kw_only=False)
class Local[State]:
    """The function at a point: value, and a call that gives gradient (k,) and curvature (k, k)."""

    value: float
    derivatives: Callable[[], tuple[FloatArray, FloatArray]]
    state: State


@record(kw_only=False)
class Optimum[State]:
    """Where a search ended.

    Attributes
    ----------
    x : array, shape (k,)
    value : float
    gradient : array, shape (k,)
    curvature : array, shape (k, k)
    decrement : fall of f that one more step promised there; the last step has been taken since
    steps : number of accepted steps
    converged : whether the decrement came below its goal, or as far as rounding allows
    state : what the function returned at x
    """

    x: FloatArray
    value: float
    gradient: FloatArray
    curvature: FloatArray
    decrement: float
    steps: int
    converged: bool
    state: State


def minimise[State](
    function: Callable[[FloatArray], Local[State] | None],
    start: FloatArray,
    there: Local[State],
    *,
    project: Callable[[FloatArray], FloatArray],
    max_steps: int = MAX_STEPS,
    n_rows: int = 1,
) -> Optimum[State]:
    """Search a minimum from ``start``.

    Parameters
    ----------
    function : callable
        Maps x (k,) to its ``Local``, or to None where f cannot be computed.
    start : array, shape (k,)
    there : Local
        The function at ``start``.
    project : callable
        Applied to each trial point (keeps it off places where derivatives are undefined).
    max_steps : int
    n_rows : int
        Number of rows that f sums over.

    Returns
    -------
    Optimum
    """
    x, here = start, there
    damping, goal = 0.0, DECREMENT_GOAL + GOAL_PER_ROW * n_rows
    for steps in range(max_steps + 1):
        gradient, curvature = here.derivatives()
        bowl = _Bowl(gradient, curvature, reach=max(LONGEST_STEP, float(np.abs(x).max())))
        decrement = bowl.fall(project(x + bowl.step(0.0)) - x)
        converged = decrement < goal
        if converged or steps == max_steps:
            break
        moved = _damped_step(
            function, x, here, bowl, damping=damping, project=project, smallest=goal
        )
        if moved is None:
            converged = decrement < DECREMENT_ROUNDING
            break
        x, here, damping = moved
    found = Optimum(
        x=x,
        value=here.value,
        gradient=gradient,
        curvature=curvature,
        decrement=decrement,
        steps=steps,
        converged=converged,
        state=here.state,
    )
    return _polished(function, found, project) if converged else found


def _polished[State](
    function: Callable[[FloatArray], Local[State] | None],
    found: Optimum[State],
    project: Callable[[FloatArray], FloatArray],
) -> Optimum[State]:
    """Take one more step; it is so short that only its direction matters, not what it gains.

    Gradient, curvature and decrement stay those from which the step was worked out: at the end they
    would cost as much as all else of a step.
    """
    if found.decrement < POLISHED:
        return found
    bowl = _Bowl(found.gradient, found.curvature, reach=LONGEST_STEP)
    x = project(found.x + bowl.step(0.0))
    there = function(x)
    if there is None or there.value > found.value + DECREMENT_ROUNDING:
        return found
    return replace(found, x=x, value=there.value, state=there.state)


class _Bowl:
    """The quadratic model of f at a point, with the eigenvalues of the curvature made positive."""

    def __init__(self, gradient: FloatArray, curvature: FloatArray, *, reach: float) -> None:
        size, self.axes = np.linalg.eigh(curvature)
        size = np.abs(size)
        self.size = np.maximum(size, MIN_CURVATURE * max(float(size.max()), 1e-8))
        self.gradient = gradient
        self.reach = reach
        self.along = gradient @ self.axes

    def step(self, damping: float) -> FloatArray:
        """Step to the minimum of the damped model, shortened to ``reach``."""
        step = -self.axes @ (self.along / (self.size + damping))
        longest = float(np.abs(step).max())
        return step * (self.reach / longest) if longest > self.reach else step

    def fall(self, move: FloatArray) -> float:
        """Fall of f that the model promises for a move."""
        turned = move @ self.axes
        return -float(self.along @ turned + 0.5 * (turned**2 * self.size).sum())


def _damped_step[State](
    function: Callable[[FloatArray], Local[State] | None],
    x: FloatArray,
    here: Local[State],
    bowl: _Bowl,
    *,
    damping: float,
    project: Callable[[FloatArray], FloatArray],
    smallest: float,
) -> tuple[FloatArray, Local[State], float] | None:
    """Find a step that lowers f enough: the point, f there, and the damping for the next step.

    None when no step does, which at a small promised fall means that rounding hides it.
    """
    typical = float(np.exp(np.log(bowl.size).mean()))
    while damping < MOST_DAMPING * typical:
        candidate = project(x + bowl.step(damping))
        promised = max(bowl.fall(candidate - x), 0.0)
        trial = function(candidate)
        if trial is not None:
            fall = here.value - trial.value
            if fall >= ACCEPT * promised and fall > 0:
                good = fall > 0.5 * promised
                return candidate, trial, damping / 8 if good and damping > typical else 0.0
        if promised < smallest:
            return None
        damping = max(4 * damping, 0.25 * typical)
    return None
