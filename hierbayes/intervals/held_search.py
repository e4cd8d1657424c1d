"""Best deviance with one parameter held, for a batch of held values at once.

A damped Newton search (``linalg/newton.py``) on the free coordinates of each batch entry
(``held_parameter``), with the gradient and curvature of ``held_deviance``.
"""

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.intervals.held_deviance import HeldDeviance, Local
from hierbayes.intervals.held_parameter import FLOOR, Held
from hierbayes.linalg.newton import GOAL_PER_ROW, Goal, Locals, Problem, minimise, spectrum

MAX_STEPS = 60
# Newton decrement (the fall of the deviance that one more step promises) at which a search ends:
# 1e-7 moves a signed root of 1 by 5e-8, which limits ask to 1e-6.
DECREMENT_GOAL = 1e-7
LONGEST_STEP = 1.0  # in the sizes of the coordinates
# A diagonal entry below this starts its search from here: at zero the gradient vanishes whether or
# not variance would lower the deviance, and from here the way back to zero is one step.
LIFT = 0.03


@record(kw_only=False)
class Settled:
    """Where the searches of a batch ended.

    Attributes
    ----------
    at : the deviance there, its curvature with ``correction`` added
    correction : array, shape (T, k + 2, k + 2), what exact gradients showed the average information
        to lack in the free coordinates; a search nearby may start with it
    converged : array, shape (T,)
    """

    at: Local
    correction: FloatArray
    converged: BoolArray

    def put(self, index: IntArray, other: "Settled") -> None:
        """Replace the entries at ``index``."""
        self.at.put(index, other.at)
        self.correction[index], self.converged[index] = other.correction, other.converged

    def take(self, index: IntArray) -> "Settled":
        """Return a copy of the entries at ``index``."""
        return Settled(self.at.take(index), self.correction[index], self.converged[index])


def lifted(held: Held, z: FloatArray) -> FloatArray:
    """Points with diagonal entries off zero, where a search would not leave it."""
    return np.where(held.free, held.projected(z, LIFT), z)


def settle(
    deviance: HeldDeviance,
    held: Held,
    start: FloatArray,
    *,
    correction: FloatArray,
    goal: float = DECREMENT_GOAL,
) -> Settled:
    """Search the lowest deviance over the free coordinates from points ``start`` (T, k + 2).

    ``correction`` (T, k + 2, k + 2) is that of a search nearby, or zero; ``goal`` is the Newton
    decrement at which a search ends.
    """
    enough = Goal(decrement=goal + GOAL_PER_ROW * deviance.n_rows, max_steps=MAX_STEPS)
    found = minimise(_Deviances(deviance, held), start, goal=enough, correction=correction)
    assert found.correction is not None
    beta = np.reshape(np.array(found.states), (found.value.size, -1))
    at = Local(found.x, found.value, found.gradient, found.curvature, beta)
    return Settled(at, found.correction, found.converged)


class _Deviances(Problem[FloatArray]):
    """The deviances of a batch in its free coordinates; the fixed effects are kept."""

    longest = LONGEST_STEP

    def __init__(self, deviance: HeldDeviance, held: Held) -> None:
        self.deviance, self.held = deviance, held

    def take(self, rows: IntArray) -> "_Deviances":
        """Return the deviances of some entries of the batch."""
        return _Deviances(self.deviance, self.held.take(rows))

    def at(self, x: FloatArray) -> Locals[FloatArray]:
        """Return the deviances at points (m, k + 2); their derivatives come along."""
        found = self.deviance.at(self.held, x)
        return Locals(found.value, lambda: (found.gradient, found.hessian), list(found.beta))

    def projected(self, x: FloatArray) -> FloatArray:
        """Points kept off the places where an entry on the diagonal of Lambda is zero."""
        return self.held.projected(x)

    def sizes(self, x: FloatArray) -> FloatArray:
        """Sizes (m, k + 2) of the coordinates."""
        return coordinate_sizes(self.held, x)

    def free(self) -> BoolArray:
        """Return which coordinates follow."""
        return self.held.free

    def room(self, x: FloatArray) -> tuple[FloatArray, BoolArray]:
        """How far entries that must not be negative are from zero, and which are there."""
        room = np.where(self.held.positive, np.maximum(x - FLOOR, 0.0), np.inf)
        return room, room <= FLOOR


def following(held: Held, at: Local) -> tuple[FloatArray, FloatArray]:
    """How the free coordinates follow the held one, and the curvature that is left.

    Returns
    -------
    array (T, k + 2), derivative of the best free coordinates in the held one (1 at its own place);
    array (T,), second derivative of the best deviance in it
    """
    index, free = np.arange(held.own.size), held.free
    size, axes = spectrum(at.hessian, coordinate_sizes(held, at.z), free)
    across = np.where(free, at.hessian[index, held.own], 0.0)
    turned = (across[:, None] @ axes)[:, 0]
    slope = np.where(free, -(axes @ (turned / size)[:, :, None])[:, :, 0], 0.0)
    slope[index, held.own] = 1.0
    left = at.hessian[index, held.own, held.own] - (turned**2 / size).sum(axis=1)
    return slope, left


def coordinate_sizes(held: Held, z: FloatArray) -> FloatArray:
    """Sizes (T, k + 2) of the coordinates of points z: one, or that of a larger entry of Lambda.

    In them curvatures compare and a step is long or short, however small the residual sd is beside
    the others.
    """
    sizes = np.maximum(np.abs(z), 1.0)
    sizes[:, held.n_theta :] = 1.0
    at = held.polar
    sizes[at, held.corner[at, 1]] = 1.0  # an angle
    return np.asarray(sizes)
