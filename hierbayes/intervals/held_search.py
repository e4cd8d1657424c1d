"""Best deviance with one parameter held, for a batch of held values at once.

A damped Newton search on the free coordinates of each batch entry (``held_parameter``), with the
gradient and curvature of ``held_deviance``. Entries that are done leave the batch.

Source: Nocedal & Wright (2006), Numerical Optimization, chapters 3 and 4.
"""

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.gaussian.marginal import Kernel
from hierbayes.intervals.held_deviance import Local, held_deviance
from hierbayes.intervals.held_parameter import FLOOR, Held

MAX_STEPS = 60
# Newton decrement (the fall of the deviance that one more step promises) at which a search ends:
# 1e-7 moves a signed root of 1 by 5e-8, which limits ask to 1e-6; and this times the rows, where
# rounding begins.
DECREMENT_GOAL = 1e-7
GOAL_PER_ROW = 3e-13
DECREMENT_ROUNDING = 1e-6  # below it a step that does not lower the deviance failed to rounding
ACCEPT = 1e-4  # part of the promised fall that a step must deliver
MIN_CURVATURE = 1e-7  # eigenvalues of the curvature are kept above this part of the largest
MOST_DAMPING = 1e8
LONGEST_STEP = 1.0  # in the sizes of the coordinates
SECANT_MINIMUM = 1e-2  # cosine between move and surprise below which an update would be wild
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
    kernel: Kernel,
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
    here = held_deviance(kernel, held, held.projected(start))
    here.hessian[...] += correction
    correction = correction.copy()
    T = here.value.size
    converged = np.zeros(T, dtype=bool)
    damping = np.zeros(T)
    active = np.flatnonzero(np.isfinite(here.value))
    enough = goal + GOAL_PER_ROW * kernel.products.n_obs
    holds = held.take(active)
    for _ in range(MAX_STEPS):
        if not active.size:
            break
        at = here.take(active)
        bowl = _Bowl(holds, at)
        done = bowl.decrement < enough
        if done.any():
            converged[active[done]] = True
            left = np.flatnonzero(~done)
            if not left.size:
                break
            active, holds = active[left], holds.take(left)
            at, bowl = at.take(left), bowl.take(holds, left)
        candidate = holds.projected(at.z + bowl.step(damping[active]))
        promised = np.maximum(bowl.fall(candidate - at.z), 0.0)
        trial = held_deviance(kernel, holds, candidate)
        learnt = _learnt(holds, at, trial, correction[active])
        trial.hessian[...] += learnt
        fall = at.value - trial.value
        good = (fall >= ACCEPT * promised) & (fall > 0)
        correction[active] = learnt
        here.put(active[good], trial.take(np.flatnonzero(good)))
        eased = (fall > 0.5 * promised) & (damping[active] > bowl.typical)
        more = np.maximum(4 * damping[active], 0.25 * bowl.typical)
        stuck = ~good & ((promised < enough) | (damping[active] > MOST_DAMPING * bowl.typical))
        damping[active] = np.where(good, np.where(eased, damping[active] / 8, 0.0), more)
        converged[active[stuck & (bowl.decrement < DECREMENT_ROUNDING)]] = True
        if stuck.any():
            left = np.flatnonzero(~stuck)
            active, holds = active[left], holds.take(left)
    return Settled(here, correction, converged)


def _learnt(held: Held, at: Local, there: Local, correction: FloatArray) -> FloatArray:
    """Symmetric rank-one update: the corrected curvature explains the change of the gradient."""
    move = np.where(held.free, there.z - at.z, 0.0)
    change = np.where(held.free, there.gradient - at.gradient, 0.0)
    told = ((there.hessian + correction) @ move[:, :, None])[:, :, 0]
    rest = np.where(held.free, change - told, 0.0)
    product = (rest * move).sum(axis=1)
    sizes = coordinate_sizes(held, at.z)
    size = np.sqrt(((rest * sizes) ** 2).sum(axis=1) * ((move / sizes) ** 2).sum(axis=1))
    usable = (np.abs(product) > SECANT_MINIMUM * size) & np.isfinite(there.value)
    scale = np.divide(1.0, product, out=np.zeros_like(product), where=usable)
    return np.asarray(correction + scale[:, None, None] * rest[:, :, None] * rest[:, None, :])


class _Bowl:
    """Quadratic models of the deviance in the free coordinates, eigenvalues made positive."""

    def __init__(self, held: Held, at: Local) -> None:
        self.held = held
        self.room = np.where(held.positive, np.maximum(at.z - FLOOR, 0.0), np.inf)
        at_end = self.room <= FLOOR
        self._set(held.free & ~(at_end & (at.gradient >= 0)), at)
        # drawn beyond its end by the others, though it would rise alone: the others go first
        drawn = at_end & self.free
        if drawn.any():
            drawn &= self.step(np.zeros(at.value.size), whole=True) < 0
        if drawn.any():
            self._set(self.free & ~drawn, at)

    def take(self, held: Held, index: IntArray) -> "_Bowl":
        """Return the models of the entries at ``index``, whose coordinates are ``held``."""
        part = object.__new__(_Bowl)
        part.held = held
        for name in ("room", "free", "sizes", "size", "axes", "along", "decrement", "typical"):
            setattr(part, name, getattr(self, name)[index])
        return part

    def _set(self, free: BoolArray, at: Local) -> None:
        self.free = free
        self.sizes = coordinate_sizes(self.held, at.z)
        self.size, self.axes = _spectrum(free, at.hessian, self.sizes)
        self.along = (np.where(free, at.gradient, 0.0)[:, None] @ self.axes)[:, 0]
        self.decrement = 0.5 * (self.along**2 / self.size).sum(axis=1)
        self.typical = np.exp(np.log(self.size).mean(axis=1))

    def step(self, damping: FloatArray, *, whole: bool = False) -> FloatArray:
        """Return steps to the minimum of the damped models, as far as there is room or whole."""
        turned = self.along / (self.size + damping[:, None])
        step = np.where(self.free, -(self.axes @ turned[:, :, None])[:, :, 0], 0.0)
        if whole:
            return np.asarray(step)
        longest = (np.abs(step) / self.sizes).max(axis=1, initial=LONGEST_STEP)
        step *= (LONGEST_STEP / longest)[:, None]
        part = np.divide(self.room, -step, out=np.full_like(step, np.inf), where=step < 0)
        return np.asarray(step * np.clip(part.min(axis=1), 0.0, 1.0)[:, None])

    def fall(self, move: FloatArray) -> FloatArray:
        """Falls of the deviance that the models promise for moves (T, k + 2)."""
        turned = ((move / self.sizes**2)[:, None] @ self.axes)[:, 0]
        return -np.asarray((self.along * turned + 0.5 * turned**2 * self.size).sum(axis=1))


def following(held: Held, at: Local) -> tuple[FloatArray, FloatArray]:
    """How the free coordinates follow the held one, and the curvature that is left.

    Returns
    -------
    array (T, k + 2), derivative of the best free coordinates in the held one (1 at its own place);
    array (T,), second derivative of the best deviance in it
    """
    index, free = np.arange(held.own.size), held.free
    size, axes = _spectrum(free, at.hessian, coordinate_sizes(held, at.z))
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
    sizes[:, -2:] = 1.0
    at = held.polar
    sizes[at, held.corner[at, 1]] = 1.0  # an angle
    return np.asarray(sizes)


def _spectrum(
    free: BoolArray, hessian: FloatArray, sizes: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return eigenvalues (made positive) of the curvature in the free coordinates in their sizes.

    The axes are those of z again: the inverse of the curvature is axes (1 / eigenvalues) axes'.
    Beside the free coordinates the curvature is one.
    """
    scaled = hessian * sizes[:, :, None] * sizes[:, None]
    masked = np.where(free[:, :, None] & free[:, None], scaled, 0.0)
    index = np.arange(free.shape[1])
    masked[:, index, index] += ~free
    size, axes = np.linalg.eigh(masked)
    size = np.abs(size)
    least = MIN_CURVATURE * size.max(axis=1, keepdims=True)
    return np.maximum(size, least), sizes[:, :, None] * axes
