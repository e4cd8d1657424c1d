"""Damped Newton search on an exact gradient and an approximate curvature.

Minimises f(x) without constraints. Each step solves (|C| + mu I) p = -g, where |C| is the
curvature with its eigenvalues made positive, and mu grows until the step lowers f as much as the
quadratic model promises (Levenberg-Marquardt). Knows no mixed models.

Source: Nocedal & Wright (2006), Numerical Optimization, chapters 3, 4 and 10.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

MAX_STEPS = 200
# Newton decrement (the fall of f that one more step promises) at which the search ends. f is a
# deviance: 1e-10 of it moves an estimate by 1e-5 standard errors.
DECREMENT_GOAL = 1e-10
RELATIVE_GOAL = 1e-13  # and this part of f, which is where rounding begins
# Below this decrement a step that does not lower f failed to rounding, not to curvature.
DECREMENT_ROUNDING = 1e-6
ACCEPT = 1e-4  # part of the promised fall that a step must deliver
MIN_CURVATURE = 1e-7  # eigenvalues of the curvature are kept above this part of the largest
LONGEST_STEP = 2.0  # in units of x, per step; x is scaled to be of order one


@dataclass(frozen=True, slots=True)
class Local[State]:
    """The function at a point: value, and a call that gives gradient (k,) and curvature (k, k)."""

    value: float
    derivatives: Callable[[], tuple[FloatArray, FloatArray]]
    state: State


@dataclass(frozen=True, slots=True)
class Optimum[State]:
    """Where a search ended.

    Attributes
    ----------
    x : array, shape (k,)
    value : float
    gradient : array, shape (k,)
    curvature : array, shape (k, k)
    decrement : fall of f that one more step promises
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

    Returns
    -------
    Optimum
    """
    x, here = start, there
    gradient, curvature = here.derivatives()
    damping = 0.0
    steps = 0
    while True:
        size, axes = np.linalg.eigh(curvature)
        size = np.maximum(np.abs(size), MIN_CURVATURE * max(np.abs(size).max(initial=0), 1e-8))
        along = axes.T @ gradient
        decrement = float(0.5 * (along**2 / size).sum())
        goal = DECREMENT_GOAL + RELATIVE_GOAL * abs(here.value)
        if decrement < goal or steps >= max_steps:
            break
        trial = None
        while damping < 1e12:
            step = -axes @ (along / (size + damping))
            step *= min(1.0, LONGEST_STEP / max(np.abs(step).max(), 1e-300))
            candidate = project(x + step)
            move = candidate - x
            promised = -(gradient @ move + 0.5 * move @ ((axes * size) @ (axes.T @ move)))
            trial = function(candidate)
            if trial is not None and here.value - trial.value >= ACCEPT * max(promised, 0.0):
                ratio = (here.value - trial.value) / max(promised, 1e-300)
                break
            trial = None
            if decrement < DECREMENT_ROUNDING:
                break
            damping = max(4 * damping, 0.1 * float(size.min()))
        if trial is None:
            break
        damping = 0.0 if ratio > 0.5 and damping < 1e-2 * size.min() else damping / 4
        x, here, steps = candidate, trial, steps + 1
        gradient, curvature = here.derivatives()
    return Optimum(
        x,
        here.value,
        gradient,
        curvature,
        decrement,
        steps,
        decrement < DECREMENT_ROUNDING,
        here.state,
    )
