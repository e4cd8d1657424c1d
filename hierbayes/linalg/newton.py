"""Damped Newton search for the minima of many functions at once.

Minimises T functions f(x), each with its own point x (k,), on an exact gradient and an approximate
curvature. Each step solves (|C| + mu I) p = -g, where |C| is the curvature with its eigenvalues
made positive, and mu grows until the step lowers f as much as the quadratic model promises
(Levenberg-Marquardt). A round is one evaluation of all functions that are not done yet. Gradient
and curvature are asked for only where a step was taken: they may cost more than the value.

Coordinates may have sizes, in which curvatures compare, and lower ends. A coordinate at its end
that f draws beyond it, alone or through the others, is left out of the step (active set).

Where ``correction`` is given, symmetric rank-one updates learn what the curvature lacks from the
gradients met on the way.

Source: Nocedal & Wright (2006), Numerical Optimization, chapters 3, 4, 6.2 and 10.
"""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Self

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record

MAX_STEPS = 200
# The goal of a search is a Newton decrement: the fall of f that one more step promises. To it comes
# this times the number of rows that f sums over, which is where its rounding begins. Not a part of
# f itself: the origin of a deviance hangs on the unit of the response, and where the search ends
# must not.
GOAL_PER_ROW = 3e-13
# Above this decrement a search that has ended takes one more step, if asked to: the fall of f
# drowns in rounding there, while x is still 1e-6 standard errors from where it stands still, and
# p values and degrees of freedom would show in which units, or by which path, x was reached.
POLISHED = 1e-13
# Below this decrement a step that does not lower f failed to rounding, not to curvature.
DECREMENT_ROUNDING = 1e-6
ACCEPT = 1e-4  # part of the promised fall that a step must deliver
MIN_CURVATURE = 1e-7  # eigenvalues of the curvature are kept above this part of the largest
TINY = 1e-15  # least curvature of all: there may be none
MOST_DAMPING = 1e8  # in units of the typical curvature; a step damped this much goes nowhere
SECANT_MINIMUM = 1e-2  # cosine between move and surprise below which an update would be wild


@record(kw_only=False)
class Locals[State]:
    """Functions at one point each.

    Attributes
    ----------
    value : array, shape (m,), infinite where it cannot be computed
    derivatives : call that gives gradients (m, k) and curvatures (m, k, k)
    states : whatever else is to be kept of each point, m of them; None where there is nothing
    """

    value: FloatArray
    derivatives: Callable[[], tuple[FloatArray, FloatArray]]
    states: Sequence[State | None]


class Problem[State]:
    """T functions, and where they are searched: if not said, everywhere in coordinates of size one.

    Attributes
    ----------
    longest : longest step, in the sizes of the coordinates
    least_curvature : eigenvalues of the curvature, in these sizes, are kept above it
    """

    longest = 2.0
    least_curvature = 0.0

    def take(self, rows: IntArray) -> Self:
        """Return the problem of some of the functions; one function alone is all there is."""
        del rows
        return self

    def at(self, x: FloatArray) -> Locals[State]:
        """Return all functions at a point (m, k) for each.

        Raises
        ------
        numpy.linalg.LinAlgError
            Where one of them cannot be computed.
        """
        raise NotImplementedError

    def projected(self, x: FloatArray) -> FloatArray:
        """Points (m, k) kept off places where derivatives are undefined."""
        return x

    def sizes(self, x: FloatArray) -> FloatArray | None:
        """Sizes (m or 1, k) of the coordinates at points x (m, k); None where all are one."""
        del x
        return None

    def reach(self, x: FloatArray, sizes: FloatArray | None) -> FloatArray | float:
        """Longest steps (m,) from points x (m, k) in the sizes of the coordinates."""
        del x, sizes
        return self.longest

    def free(self) -> BoolArray | None:
        """Return which coordinates (m, k) are searched; None for all."""
        return None

    def room(self, x: FloatArray) -> tuple[FloatArray, BoolArray] | None:
        """How far (m, k) points are from the lower ends, and which are there; None without ends."""
        del x
        return None


@record
class Goal:
    """When a search ends: at this decrement, or after so many accepted steps.

    A ``polished`` one takes one more step, so short that only its direction matters, not what it
    gains.
    """

    decrement: float
    max_steps: int = MAX_STEPS
    polished: bool = False


@record
class Found[State]:
    """Where the searches ended.

    Attributes
    ----------
    x : array, shape (T, k)
    value : array, shape (T,)
    gradient : array, shape (T, k)
    curvature : array, shape (T, k, k), with ``correction`` added
    decrement : array, shape (T,), fall of f that one more step promised; that of a polished search
        has been taken since, and gradient and curvature are those before it: at the end they would
        cost as much as all else of a step
    steps : array of int, shape (T,), accepted steps
    converged : array, shape (T,), whether the decrement came below its goal, or as far as rounding
        allows
    states : what the functions returned at x, T of them
    correction : array, shape (T, k, k), what was learnt of the curvature, if asked for
    """

    x: FloatArray
    value: FloatArray
    gradient: FloatArray
    curvature: FloatArray
    decrement: FloatArray
    steps: IntArray
    converged: BoolArray
    states: list[State | None]
    correction: FloatArray | None

    def here(self) -> Locals[State]:
        """Return the functions where the searches ended, to go on from there; not if polished."""
        return Locals(self.value, lambda: (self.gradient, self.curvature), self.states)


def minimise[State](
    problem: Problem[State],
    start: FloatArray,
    *,
    goal: Goal,
    there: Locals[State] | None = None,
    correction: FloatArray | None = None,
) -> Found[State]:
    """Search the minima of T functions.

    Parameters
    ----------
    problem : Problem
    start : array, shape (T, k)
    goal : Goal
    there : Locals
        The functions at ``start``, where they are known.
    correction : array, shape (T, k, k)
        Added to the curvatures, and learnt; that of a search nearby, or zero. None learns nothing.
    """
    search = _Search(problem, start, there, correction)
    while search.active.size:
        search.round(goal)
    if goal.polished:
        search.polish()
    return Found(
        x=search.x,
        value=search.value,
        gradient=search.gradient,
        curvature=search.curvature,
        decrement=search.decrement,
        steps=search.steps,
        converged=search.converged,
        states=search.states,
        correction=search.correction,
    )


def safely[State](problem: Problem[State], x: FloatArray) -> Locals[State]:
    """Evaluate all functions; those that can't be computed are infinite, without a state."""
    try:
        return problem.at(x)
    except np.linalg.LinAlgError:
        m, k = x.shape
    if m == 1:
        nothing = np.zeros((1, k)), np.eye(k)[None]
        return Locals(np.full(1, np.inf), lambda: nothing, [None])
    halves = np.array_split(np.arange(m), 2)
    parts = [safely(problem.take(half), x[half]) for half in halves]

    def derivatives() -> tuple[FloatArray, FloatArray]:
        gradients, curvatures = zip(*(part.derivatives() for part in parts), strict=True)
        return np.concatenate(gradients), np.concatenate(curvatures)

    states = [state for part in parts for state in part.states]
    return Locals(np.concatenate([part.value for part in parts]), derivatives, states)


EVERYONE = slice(None)


class _Search[State]:
    """Where T searches are; ``at`` are the places of the active ones, a slice while that is all."""

    def __init__(
        self,
        problem: Problem[State],
        start: FloatArray,
        there: Locals[State] | None,
        correction: FloatArray | None,
    ) -> None:
        T = start.shape[0]
        self.whole = self.problem = problem
        self.x = np.array(problem.projected(start))
        self.active = np.arange(T)
        self.at: IntArray | slice = EVERYONE
        here = safely(problem, self.x) if there is None else there
        self.value, self.states = np.array(here.value), list(here.states)
        self.gradient, self.curvature = map(np.array, here.derivatives())
        self.correction = None if correction is None else correction.copy()
        if correction is not None:
            self.curvature += correction
        self.newton = self.x.copy()  # where the undamped step leads
        self.decrement, self.damping = np.full(T, np.inf), np.zeros(T)
        self.steps, self.converged = np.zeros(T, dtype=np.intp), np.zeros(T, dtype=np.bool_)
        self._keep(np.isfinite(self.value))

    def _keep(self, going: BoolArray) -> IntArray | None:
        """Go on with some of the active ones; return where among them they were, None for all."""
        if going.all():
            return None
        left = np.flatnonzero(going)
        self.active = self.at = self.active[left]
        if left.size:
            self.problem = self.problem.take(left)
        return left

    def round(self, goal: Goal) -> None:
        """Try one step of each active function."""
        at = self.at
        bowls = _Bowls(self.problem, self.x[at], self.gradient[at], self.curvature[at])
        step, ends = bowls.step(0.0), bowls.room is not None
        newton = self.problem.projected(bowls.x + bowls.inside(step))
        # a step that is cut short at an end promises little though much may be left to gain
        decrement = bowls.fall(step if ends else newton - bowls.x)
        self.newton[at], self.decrement[at] = newton, decrement
        done = decrement < goal.decrement
        self.converged[at] = done
        left = self._keep(~done & (self.steps[at] < goal.max_steps))
        if left is not None:
            if not left.size:
                return
            bowls = bowls.take(left, self.problem)
            newton, decrement = newton[left], decrement[left]
        damping = self.damping[self.at]
        candidate, promised, damped = newton, decrement, bool(damping.any())
        if damped:
            shorter = bowls.inside(bowls.step(damping[:, None]))
            candidate = self.problem.projected(bowls.x + shorter)
        if damped or ends:
            promised = bowls.fall(candidate - bowls.x)
        promised = np.maximum(promised, 0.0)
        trial = safely(self.problem, candidate)
        fall = self.value[self.at] - trial.value
        accepted = (fall >= ACCEPT * promised) & (fall > 0)
        all_accepted = bool(accepted.all())
        if all_accepted or self.correction is not None or accepted.any():
            good = EVERYONE if all_accepted else np.flatnonzero(accepted)
            self._go(candidate, trial, good, bowls)
        if all_accepted and not damped:
            return
        typical = bowls.typical
        eased = np.where((fall > 0.5 * promised) & (damping > typical), damping / 8, 0.0)
        raised = np.maximum(4 * damping, 0.25 * typical)
        self.damping[self.at] = np.where(accepted, eased, raised)
        stuck = ~accepted & ((promised < goal.decrement) | (raised >= MOST_DAMPING * typical))
        self.converged[self.at] = stuck & (decrement < DECREMENT_ROUNDING)
        self._keep(~stuck)

    def _go(
        self,
        candidate: FloatArray,
        trial: Locals[State],
        good: IntArray | slice,
        bowls: "_Bowls[State]",
    ) -> None:
        """Go to the accepted candidates, and learn from all."""
        gradient, curvature = trial.derivatives()
        if self.correction is not None:
            met = np.isfinite(trial.value)[:, None]
            move = np.where(met, candidate - bowls.x, 0.0)
            change = np.where(met, gradient - bowls.gradient, 0.0)
            learnt = _learnt(bowls, move, change, curvature, self.correction[self.at])
            self.correction[self.at] = learnt
            curvature = curvature + learnt
        to = self.at if good is EVERYONE else self.active[good]
        self.gradient[to], self.curvature[to] = gradient[good], curvature[good]
        self.steps[to] += 1
        self._put(self.active, candidate, trial, good)

    def _put(
        self, rows: IntArray, x: FloatArray, trial: Locals[State], good: IntArray | slice
    ) -> None:
        """Put the functions at the good ones of points x, of the functions at ``rows``."""
        to = rows[good]
        self.x[to], self.value[to] = x[good], trial.value[good]
        chosen = range(rows.size) if isinstance(good, slice) else good.tolist()
        for t, i in zip(to.tolist(), chosen, strict=True):
            self.states[t] = trial.states[i]

    def polish(self) -> None:
        """Take one more step where a search has ended above what rounding leaves."""
        rows = np.flatnonzero(self.converged & (self.decrement >= POLISHED))
        if rows.size:
            x = self.newton[rows]
            all_of_them = rows.size == self.x.shape[0]
            trial = safely(self.whole if all_of_them else self.whole.take(rows), x)
            good = np.flatnonzero(trial.value <= self.value[rows] + DECREMENT_ROUNDING)
            self._put(rows, x, trial, good)


class _Bowls[State]:
    """Quadratic models at points x (m, k) in the free coordinates, curvatures made positive."""

    def __init__(
        self, problem: Problem[State], x: FloatArray, gradient: FloatArray, curvature: FloatArray
    ) -> None:
        self.problem, self.x, self.gradient = problem, x, gradient
        self.sizes = problem.sizes(x)
        self.reach = problem.reach(x, self.sizes)
        self.free, self.room = problem.free(), None
        ends = problem.room(x)
        if ends is None:
            self._model(self.free, curvature)
            return
        self.room, at_end = ends
        free = ~(at_end & (gradient >= 0))
        if self.free is not None:
            free &= self.free
        self._model(free, curvature)
        # drawn beyond its end by the others, though it would rise alone: the others go first
        drawn = at_end & free
        if drawn.any():
            drawn &= self._whole(0.0) < 0
        if drawn.any():
            self._model(free & ~drawn, curvature)

    def _model(self, free: BoolArray | None, curvature: FloatArray) -> None:
        gradient = self.gradient if free is None else np.where(free, self.gradient, 0.0)
        self.searched = free
        self.size, self.axes = spectrum(curvature, self.sizes, free, self.problem.least_curvature)
        self.along = (gradient[:, None] @ self.axes)[:, 0]

    def take(self, rows: IntArray, problem: Problem[State]) -> Self:
        """Return the models of some of the functions, whose problem is given."""
        part, m = copy(self), self.x.shape[0]
        for name, values in vars(self).items():
            if isinstance(values, np.ndarray) and values.shape[0] == m:
                setattr(part, name, values[rows])
        part.problem = problem
        return part

    @property
    def typical(self) -> FloatArray:
        """Geometric mean of the curvatures, shape (m,)."""
        return np.asarray(np.exp(np.log(self.size).mean(axis=1)))

    def _whole(self, damping: FloatArray | float) -> FloatArray:
        step = -(self.axes @ (self.along / (self.size + damping))[:, :, None])[:, :, 0]
        return step if self.searched is None else np.where(self.searched, step, 0.0)

    def _in_sizes(self, move: FloatArray) -> FloatArray:
        return move if self.sizes is None else move / self.sizes

    def step(self, damping: FloatArray | float) -> FloatArray:
        """Return the steps (m, k) to the minima of the damped models, shortened to the reach."""
        step = self._whole(damping)
        longest = np.abs(self._in_sizes(step)).max(axis=1)
        far = longest > self.reach
        if far.any():
            step *= np.divide(self.reach, longest, out=np.ones_like(longest), where=far)[:, None]
        return step

    def inside(self, step: FloatArray) -> FloatArray:
        """Return steps (m, k) that end where the first coordinate meets its end."""
        if self.room is None or not (step < -self.room).any():
            return step
        part = np.divide(self.room, -step, out=np.full_like(step, np.inf), where=step < 0)
        return np.asarray(step * np.clip(part.min(axis=1), 0.0, 1.0)[:, None])

    def fall(self, move: FloatArray) -> FloatArray:
        """Falls (m,) that the models promise for moves (m, k)."""
        turned = (self._in_sizes(self._in_sizes(move))[:, None] @ self.axes)[:, 0]
        return -np.asarray((turned * (self.along + 0.5 * turned * self.size)).sum(axis=1))


def spectrum(
    curvature: FloatArray, sizes: FloatArray | None, free: BoolArray | None, least: float = 0.0
) -> tuple[FloatArray, FloatArray]:
    """Return eigenvalues (made positive) of curvatures in the free coordinates in their sizes.

    The axes are those of x again: the inverse of the curvature is axes (1 / eigenvalues) axes'.
    Beside the free coordinates the curvature is one.
    """
    scaled = curvature if sizes is None else curvature * sizes[:, :, None] * sizes[:, None]
    if free is not None:
        index = np.arange(free.shape[1])
        scaled = np.where(free[:, :, None] & free[:, None], scaled, 0.0)
        scaled[:, index, index] += ~free
    size, axes = np.linalg.eigh(scaled)
    size = np.abs(size)
    floor = np.maximum(MIN_CURVATURE * size.max(axis=1, keepdims=True), max(least, TINY))
    return np.maximum(size, floor), axes if sizes is None else sizes[:, :, None] * axes


def _learnt[State](
    bowls: _Bowls[State],
    move: FloatArray,
    change: FloatArray,
    curvature: FloatArray,
    correction: FloatArray,
) -> FloatArray:
    """Symmetric rank-one update: the corrected curvature explains the change of the gradient."""
    if bowls.free is not None:
        move, change = np.where(bowls.free, move, 0.0), np.where(bowls.free, change, 0.0)
    rest = change - ((curvature + correction) @ move[:, :, None])[:, :, 0]
    if bowls.free is not None:
        rest = np.where(bowls.free, rest, 0.0)
    product = (rest * move).sum(axis=1)
    sizes = 1.0 if bowls.sizes is None else bowls.sizes
    size = np.sqrt(((rest * sizes) ** 2).sum(axis=1) * ((move / sizes) ** 2).sum(axis=1))
    usable = np.abs(product) > SECANT_MINIMUM * size
    scale = np.divide(1.0, product, out=np.zeros_like(product), where=usable)
    return np.asarray(correction + scale[:, None, None] * rest[:, :, None] * rest[:, None, :])
