"""The path of a likelihood profile: from the estimate outwards, both ways, all parameters at once.

With d(v) the lowest deviance with a parameter held at v and d0 the lowest of all, the signed root
is zeta(v) = sign(v - estimate) sqrt(d(v) - d0). Its slope d'(v) / (2 zeta) is exact, because the
other parameters are at their best. Each step aims at a fixed change of zeta; where zeta passes the
cutoff the limit is found between the last two points by root finding on zeta itself.

Source: Bates & Watts (1988), Nonlinear Regression Analysis, section 6.1; Bates, Maechler, Bolker &
Walker (2015), J. Stat. Softw. 67(1), section 5.1.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hierbayes.gaussian.marginal import Kernel
from hierbayes.intervals.held_deviance import Local, held_deviance
from hierbayes.intervals.held_parameter import Held
from hierbayes.intervals.held_search import following, lifted, settle

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

STEPS = 6  # points from the estimate to the cutoff, per side, where zeta is nearly straight
MAX_POINTS = 60  # a side that has not passed the cutoff by then does not pass it
MAX_ROOTS = 40  # evaluations of one root finding
ZETA_GOAL = 1e-6  # zeta at a limit is the cutoff to this
# The same optimum found again; a deviance lower by more says the fit is not the optimum.
SAME_DEVIANCE = 1e-3
LONGEST_MOVE = 0.5  # of a free coordinate, by prediction; they are of order one
LOST = "the search for the best values of the other parameters did not settle on the way"
FLAT_RATE = 0.2  # a rate is not taken below this part of the last: the path speeds up smoothly


@dataclass(slots=True)
class Side:
    """What was found on one side of one parameter.

    Attributes
    ----------
    values, zetas : coordinates held and their signed roots, in order of computing
    points : the points z and fixed effects beta there
    limit : coordinate of the limit; NaN when there is none
    reason : why there is no limit
    """

    values: list[float] = field(default_factory=list)
    zetas: list[float] = field(default_factory=list)
    points: list[tuple[FloatArray, FloatArray]] = field(default_factory=list)
    limit: float = np.nan
    reason: str = ""


@dataclass(slots=True)
class _Front:
    """The last point of each of B sides; ``ends`` are the two points around a limit."""

    held: Held
    sign: FloatArray
    at: Local
    value: FloatArray
    zeta: FloatArray
    rate: FloatArray
    correction: FloatArray

    def take(self, index: IntArray) -> "_Front":
        return _Front(
            self.held.take(index),
            self.sign[index],
            self.at.take(index),
            self.value[index],
            self.zeta[index],
            self.rate[index],
            self.correction[index],
        )

    def put(self, index: IntArray, other: "_Front") -> None:
        self.at.put(index, other.at)
        self.value[index], self.zeta[index] = other.value, other.zeta
        self.rate[index], self.correction[index] = other.rate, other.correction


def trace(kernel: Kernel, held: Held, z: FloatArray, *, cutoff: float) -> list[tuple[Side, Side]]:
    """Profile every parameter of a batch both ways until zeta passes the cutoff.

    Parameters
    ----------
    kernel : Kernel
        By maximum likelihood.
    held : Held
    z : array, shape (m, k + 2)
        The estimate in the coordinates of each parameter.
    cutoff : float
        Largest size of zeta wanted.

    Returns
    -------
    list of pairs of Side, lower and upper, one a parameter
    """
    m = z.shape[0]
    sides = [Side() for _ in range(2 * m)]
    there = held_deviance(kernel, held, z)
    best = float(there.value.min(initial=np.inf))
    both = np.repeat(np.arange(m), 2)
    front = _Front(
        held=held.take(both),
        sign=np.tile([-1.0, 1.0], m),
        at=there.take(both),
        value=z[both, held.own[both]],
        zeta=np.zeros(2 * m),
        rate=np.sqrt(np.maximum(following(held, there)[1], 0.0) / 2)[both],
        correction=np.zeros((2 * m, z.shape[1], z.shape[1])),
    )
    inner = front.take(np.arange(2 * m))
    bound = np.where(front.sign < 0, front.held.lower, front.held.upper)
    active = np.flatnonzero(front.value != bound)
    for b in np.flatnonzero(front.value == bound):
        sides[b].limit = float(bound[b])
    crossed = []
    longest = _longest(front, cutoff)
    for _ in range(MAX_POINTS):
        if not active.size:
            break
        last = front.take(active)
        new = _step(kernel, last, best, cutoff=cutoff, longest=longest[active])
        _record(sides, active, new)
        inner.put(active, last)
        front.put(active, new)
        passed = np.abs(new.zeta) >= cutoff
        at_bound = new.value == bound[active]
        lower = new.at.value < best - SAME_DEVIANCE
        stuck = ~np.isfinite(new.zeta)
        crossed.append(active[passed & ~lower & ~stuck])
        for b in active[at_bound & ~passed & ~lower & ~stuck]:
            sides[b].limit = float(bound[b])
        for b in active[lower]:
            sides[b].reason = "a better optimum than the fit's was met on the way"
        for b in active[stuck]:
            sides[b].reason = LOST
        active = active[~(passed | at_bound | lower | stuck)]
    for b in active:
        sides[b].reason = (
            f"the signed root of the deviance change stays below {cutoff:.3g} in size: the data "
            "do not bound the parameter on this side"
        )
    found = np.concatenate([*crossed, np.empty(0, dtype=np.intp)]).astype(np.intp)
    _find_limits(kernel, sides, found, inner.take(found), front.take(found), best, cutoff)
    return [(sides[2 * i], sides[2 * i + 1]) for i in range(m)]


def _longest(front: _Front, cutoff: float) -> FloatArray:
    """Longest step of each held coordinate at the start of its side."""
    held = front.held
    usual = cutoff / STEPS / np.where(front.rate > 0, front.rate, np.inf)
    unit = held.size * np.exp(front.at.z[:, -2])  # of an sd: one residual sd
    return np.where(
        held.is_sd,
        np.maximum(0.5 * unit, 0.3 * front.value),
        np.where(held.is_beta, 4 * usual, 0.5),
    )


def _step(
    kernel: Kernel, last: _Front, best: float, *, cutoff: float, longest: FloatArray
) -> _Front:
    """Go on by one step of zeta."""
    gone = cutoff / STEPS / np.maximum(last.rate, 1e-300)
    far = np.where(last.held.is_sd, np.maximum(longest, last.value), longest)
    value = last.value + last.sign * np.minimum(gone, far)
    value = np.clip(value, last.held.lower, last.held.upper)
    return _solved(kernel, last, value, best)


def _solved(kernel: Kernel, near: _Front, value: FloatArray, best: float) -> _Front:
    """Find the best of the other parameters at new held values, from points nearby."""
    held = near.held
    moved = value - near.value
    slope, _ = following(held, near.at)
    shift = np.where(held.free, slope * moved[:, None], 0.0)
    longest = np.abs(shift).max(axis=1, initial=LONGEST_MOVE)
    start = near.at.z + shift * (LONGEST_MOVE / longest)[:, None]
    index = np.arange(value.size)
    start[index, held.own] = value
    settled = settle(kernel, held, lifted(held, start), correction=near.correction)
    again = np.flatnonzero(~settled.converged)
    if again.size:
        start = near.at.z[again]
        start[np.arange(again.size), held.own[again]] = value[again]
        start[(held.below & held.at_bound(value)[:, None])[again]] = 0.0
        none = np.zeros_like(near.correction[again])
        without = held.without_redundant(value).take(again)
        retried = settle(kernel, without, lifted(without, start), correction=none)
        better = np.flatnonzero(retried.converged)
        settled.put(again[better], retried.take(better))
    at = settled.at
    zeta = near.sign * np.sqrt(np.maximum(at.value - best, 0.0))
    zeta = np.where(settled.converged, zeta, np.nan)
    slope = near.sign * at.gradient[index, held.own]
    size = np.maximum(np.abs(zeta), 1e-12)
    rate = np.maximum(slope / (2 * size), FLAT_RATE * near.rate)
    return _Front(near.held, near.sign, at, value, zeta, rate, settled.correction)


def _record(sides: list[Side], index: IntArray, front: _Front) -> None:
    for i, b in enumerate(index):
        if np.isfinite(front.zeta[i]):
            sides[b].values.append(float(front.value[i]))
            sides[b].zetas.append(float(front.zeta[i]))
            sides[b].points.append((front.at.z[i], front.at.beta[i]))


def _find_limits(
    kernel: Kernel,
    sides: list[Side],
    index: IntArray,
    inner: _Front,
    outer: _Front,
    best: float,
    cutoff: float,
) -> None:
    """Root finding of |zeta| = cutoff between an inner and an outer point of each side."""
    active = np.arange(index.size)
    for i in active:
        sides[index[i]].limit = float(outer.value[i])  # where it hit the cutoff by itself
    active = active[np.abs(np.abs(outer.zeta) - cutoff) > ZETA_GOAL]
    for attempt in range(MAX_ROOTS):
        if not active.size:
            return
        low, high = inner.take(active), outer.take(active)
        value = _between(low, high, cutoff, halve=attempt % 4 == 3)
        nearer = np.abs(value - low.value) < np.abs(value - high.value)
        near = high
        near.put(np.flatnonzero(nearer), low.take(np.flatnonzero(nearer)))
        new = _solved(kernel, near, value, best)
        is_inner = np.abs(new.zeta) < cutoff
        inner.put(active[is_inner], new.take(np.flatnonzero(is_inner)))
        outer.put(active[~is_inner], new.take(np.flatnonzero(~is_inner)))
        for i, v in zip(active, new.value, strict=True):
            sides[index[i]].limit = float(v)
        lost = ~np.isfinite(new.zeta)
        for b in index[active[lost]]:
            sides[b].limit, sides[b].reason = np.nan, LOST
        missed = np.abs(np.abs(new.zeta) - cutoff) > ZETA_GOAL
        missed |= lost
        found = np.flatnonzero(~missed)
        _record(sides, index[active[found]], new.take(found))
        active = active[missed & ~lost]
    for i in active:
        sides[index[i]].limit = np.nan
        sides[index[i]].reason = (
            "the deviance jumps where the limit should be; the other parameters change abruptly "
            "there"
        )


def _between(low: _Front, high: _Front, cutoff: float, *, halve: bool) -> FloatArray:
    """Values where |zeta| should be the cutoff: inverse cubic interpolation, inside the bracket."""
    width = high.value - low.value
    rise = np.abs(high.zeta) - np.abs(low.zeta)
    middle = low.value + width / 2
    if halve:
        return np.asarray(middle)
    s = np.divide(cutoff - np.abs(low.zeta), rise, out=np.full_like(rise, 0.5), where=rise > 0)
    tangents = [
        np.clip(low.sign * rise / np.maximum(end.rate, 1e-300) / width, 0.0, 3.0)
        for end in (low, high)
    ]
    bend = s * (1 - s) * (tangents[0] * (1 - s) - tangents[1] * s)
    part = s**2 * (3 - 2 * s) + bend
    value = low.value + width * part
    return np.asarray(np.where((part > 0) & (part < 1), value, middle))
