"""The path of a likelihood profile: from the estimate outwards, both ways, all parameters at once.

With d(v) the lowest deviance with a parameter held at v and d0 the lowest of all, the signed root
is zeta(v) = sign(v - estimate) sqrt(d(v) - d0). Its slope d'(v) / (2 zeta) is exact, because the
other parameters are at their best. Each step aims at a fixed change of zeta; where zeta passes the
cutoff the limit is found between the last two points by root finding on zeta itself.

Source: Bates & Watts (1988), Nonlinear Regression Analysis, section 6.1; Bates, Maechler, Bolker &
Walker (2015), J. Stat. Softw. 67(1), section 5.1.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray
from hierbayes.intervals.held_deviance import HeldDeviance, Local
from hierbayes.intervals.held_parameter import Held
from hierbayes.intervals.held_search import (
    DECREMENT_GOAL,
    Settled,
    coordinate_sizes,
    following,
    lifted,
    settle,
)

MAX_POINTS = 60  # a side that has not passed the cutoff by then does not pass it
MAX_ROOTS = 40  # evaluations of one root finding
ZETA_GOAL = 1e-6  # zeta at a limit is the cutoff to this
# The same optimum found again; a deviance lower by more says the fit is not the optimum.
SAME_DEVIANCE = 1e-4
ROUGH_GOAL = 1e-4  # decrement at which a search knows whether it finds a lower deviance
LONGEST_MOVE = 0.5  # of a free coordinate, by prediction, in its size
FLAT_RATE = 0.2  # a rate is not taken below this part of the last: the path speeds up smoothly
SOME_VARIANCE = 0.3  # a relative sd to search from
LEANING = 1.2  # an angle to search from, towards a bound
WIDE = (-0.5, 0.5, 1.5)  # coordinates of correlations of residuals to search from: -0.5 to 0.9
MAX_DETOURS = 6  # a limit that falls so often to a lower deviance elsewhere is not one
# Roots, and rates per natural unit of the parameter (one residual sd for an sd or a fixed effect),
# are kept above it where they divide.
SLOWEST = 1e-12

LOST = "the search for the best values of the other parameters did not settle on the way"
BETTER = "a better optimum than the fit's was met on the way"
JUMP = (
    "the deviance jumps where the limit should be: the best values of the other parameters change "
    "abruptly there"
)


def unbounded(cutoff: float) -> str:
    """Say why there is no limit where the deviance does not rise enough."""
    return (
        f"the signed root of the deviance change stays below {cutoff:.3g} in size: the data do not "
        "bound the parameter on this side"
    )


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

    def keep_below(self, zeta: float) -> None:
        """Forget the points with a larger root: a better path leads beyond them."""
        kept = [i for i, z in enumerate(self.zetas) if abs(z) < zeta]
        self.values = [self.values[i] for i in kept]
        self.zetas = [self.zetas[i] for i in kept]
        self.points = [self.points[i] for i in kept]


@dataclass(slots=True)
class _Front:
    """The last point of each of B sides, and where they started."""

    held: Held
    sign: FloatArray
    at: Local
    value: FloatArray
    zeta: FloatArray
    rate: FloatArray
    correction: FloatArray
    home: FloatArray

    def take(self, index: IntArray) -> "_Front":
        return _Front(
            self.held.take(index),
            self.sign[index],
            self.at.take(index),
            self.value[index],
            self.zeta[index],
            self.rate[index],
            self.correction[index],
            self.home[index],
        )

    def put(self, index: IntArray, other: "_Front") -> None:
        self.at.put(index, other.at)
        self.value[index], self.zeta[index] = other.value, other.zeta
        self.rate[index], self.correction[index] = other.rate, other.correction


def trace(
    deviance: HeldDeviance,
    held: Held,
    z: FloatArray,
    *,
    cutoff: float,
    steps: int,
    correction: FloatArray | None = None,
    advance: Callable[[int], None] = lambda sides: None,
) -> list[tuple[Side, Side]]:
    """Profile every parameter of a batch both ways until zeta passes the cutoff.

    Parameters
    ----------
    deviance : HeldDeviance
    held : Held
    z : array, shape (m, k + 2)
        The estimate in the coordinates of each parameter.
    correction : array, shape (m, k + 2, k + 2)
        What the curvature lacks there, where it is known.
    cutoff : float
        Largest size of zeta wanted.
    steps : int
        Points from the estimate to the cutoff, per side, where zeta is nearly straight.
    advance : callable
        Told how many of the 2m sides are done.

    Returns
    -------
    list of pairs of Side, lower and upper, one a parameter
    """
    if correction is None:
        correction = np.zeros((*z.shape, z.shape[1]))
    path = _Path(deviance, held, z, cutoff=cutoff, step=cutoff / steps, correction=correction)
    path.advance = advance
    lower = np.arange(2 * z.shape[0])
    for _ in range(MAX_DETOURS):
        path.go_out(lower)
        path.find_limits()
        lower = path.lower_from_afar()
        if not lower.size:
            break
        advance(-lower.size)
    path.give_up(lower)
    return list(zip(path.sides[::2], path.sides[1::2], strict=True))


class _Path:
    """The 2m sides on their way; ``inner`` and ``front`` are the last two points of each."""

    def __init__(
        self,
        deviance: HeldDeviance,
        held: Held,
        z: FloatArray,
        *,
        cutoff: float,
        step: float,
        correction: FloatArray,
    ) -> None:
        m = z.shape[0]
        self.deviance, self.cutoff, self.step = deviance, cutoff, step
        self.sides = [Side() for _ in range(2 * m)]
        there = deviance.at(held, z)
        there = replace(there, hessian=there.hessian + correction)
        self.best = float(there.value.min(initial=np.inf))
        both = np.repeat(np.arange(m), 2)
        self.front = front = _Front(
            held=held.take(both),
            sign=np.tile([-1.0, 1.0], m),
            at=there.take(both),
            value=z[both, held.own[both]],
            zeta=np.zeros(2 * m),
            rate=np.sqrt(np.maximum(following(held, there)[1], 0.0) / 2)[both],
            correction=correction[both],
            home=there.z[both],
        )
        self.inner = front.take(np.arange(2 * m))
        self.bound = np.where(front.sign < 0, front.held.lower, front.held.upper)
        usual = step / np.where(front.rate > 0, front.rate, np.inf)
        unit = front.held.size * np.exp(front.at.z[:, held.n_theta])  # of an sd: one residual sd
        self.slowest = SLOWEST / np.where(front.held.is_sd | front.held.is_beta, unit, 1.0)
        self.longest = np.where(
            front.held.is_sd,
            np.maximum(0.5 * unit, 0.3 * front.value),
            np.where(front.held.is_beta, 4 * usual, 0.5),
        )
        self.advance: Callable[[int], None] = lambda sides: None
        self.crossed: list[int] = []
        self.found: list[int] = []

    def go_out(self, active: IntArray) -> None:
        """Step outwards until zeta passes the cutoff or the parameter ends."""
        at_end = self.front.value[active] == self.bound[active]
        for b in active[at_end]:
            self.sides[b].limit = float(self.bound[b])
        active = active[~at_end]
        for _ in range(MAX_POINTS):
            if not active.size:
                return
            last = self.front.take(active)
            new = self._solved(last, self._further(last, active))
            self._record(active, new)
            self.inner.put(active, last)
            self.front.put(active, new)
            goes_on = self._goes_on(active, new)
            self.advance(int((~goes_on).sum()))
            active = active[goes_on]
        for b in active:
            self.sides[b].reason = unbounded(self.cutoff)

    def _further(self, last: _Front, active: IntArray) -> FloatArray:
        """Values one step of zeta further out."""
        longest = self.longest[active]
        gone = self.step / np.maximum(last.rate, self.slowest[active])
        far = np.where(last.held.is_sd, np.maximum(longest, last.value), longest)
        value = last.value + last.sign * np.minimum(gone, far)
        return np.clip(value, last.held.lower, last.held.upper)

    def _goes_on(self, active: IntArray, new: _Front) -> BoolArray:
        """Which sides go on; the others have a limit, a reason, or have crossed the cutoff."""
        ends = np.zeros(active.size, dtype=bool)
        for i, b in enumerate(active):
            side = self.sides[b]
            if not np.isfinite(new.zeta[i]):
                side.reason = LOST
            elif new.at.value[i] < self.best - SAME_DEVIANCE:
                side.reason = BETTER
            elif abs(new.zeta[i]) >= self.cutoff:
                self.crossed.append(int(b))
            elif new.value[i] == self.bound[b]:
                side.limit = float(self.bound[b])
            else:
                continue
            ends[i] = True
        return ~ends

    def _solved(self, near: _Front, value: FloatArray) -> _Front:
        """Find the best of the other parameters at new held values, from points nearby."""
        held, index = near.held, np.arange(value.size)
        slope, _ = following(held, near.at)
        shift = np.where(held.free, slope * (value - near.value)[:, None], 0.0)
        sizes = coordinate_sizes(held, near.at.z)
        longest = (np.abs(shift) / sizes).max(axis=1, initial=LONGEST_MOVE)
        start = near.at.z + shift * (LONGEST_MOVE / longest)[:, None]
        start[index, held.own] = value
        settled = settle(self.deviance, held, lifted(held, start), correction=near.correction)
        for elsewhere in (near.at.z, near.home, _uncorrelated(near)):
            again = np.flatnonzero(~settled.converged)
            if not again.size:
                break
            retried = self._search(near.take(again), value[again], elsewhere[again])
            better = np.flatnonzero(retried.converged)
            settled.put(again[better], retried.take(better))
        return self._seen(near, value, settled)

    def _search(
        self,
        near: _Front,
        value: FloatArray,
        start: FloatArray,
        *,
        goal: float = DECREMENT_GOAL,
    ) -> Settled:
        """Search from other points, without what says nothing at an end."""
        start = start.copy()
        start[np.arange(value.size), near.held.own] = value
        start[near.held.below & near.held.at_bound(value)[:, None]] = 0.0
        without = near.held.without_redundant(value)
        none = np.zeros_like(near.correction)
        return settle(self.deviance, without, lifted(without, start), correction=none, goal=goal)

    def _seen(self, near: _Front, value: FloatArray, settled: Settled) -> _Front:
        """Zeta and its rate where searches ended; NaN where one did not."""
        at = settled.at
        zeta = near.sign * np.sqrt(np.maximum(at.value - self.best, 0.0))
        zeta = np.where(settled.converged, zeta, np.nan)
        slope = near.sign * at.gradient[np.arange(value.size), near.held.own]
        rate = slope / (2 * np.maximum(np.abs(zeta), SLOWEST))
        rate = np.maximum(rate, FLAT_RATE * near.rate)
        return replace(
            near, at=at, value=value, zeta=zeta, rate=rate, correction=settled.correction
        )

    def _record(self, index: IntArray, front: _Front) -> None:
        for i, b in enumerate(index):
            if np.isfinite(front.zeta[i]):
                self.sides[b].values.append(float(front.value[i]))
                self.sides[b].zetas.append(float(front.zeta[i]))
                self.sides[b].points.append((front.at.z[i], front.at.beta[i]))

    def find_limits(self) -> None:
        """Root finding of |zeta| = cutoff between the last two points of the sides that crossed."""
        active = np.array(self.crossed, dtype=np.intp)
        self.found, self.crossed = self.crossed, []
        for b in active:
            self.sides[b].limit = float(self.front.value[b])
        active = active[np.abs(np.abs(self.front.zeta[active]) - self.cutoff) > ZETA_GOAL]
        for attempt in range(MAX_ROOTS):
            if not active.size:
                return
            low, near = self.inner.take(active), self.front.take(active)
            value = _between(low, near, self.cutoff, halve=attempt % 4 == 3)
            closer = np.flatnonzero(np.abs(value - low.value) < np.abs(value - near.value))
            near.put(closer, low.take(closer))
            new = self._solved(near, value)
            inside = np.abs(new.zeta) < self.cutoff
            self.inner.put(active[inside], new.take(np.flatnonzero(inside)))
            self.front.put(active[~inside], new.take(np.flatnonzero(~inside)))
            lost = ~np.isfinite(new.zeta)
            for i, b in enumerate(active):
                self.sides[b].limit = np.nan if lost[i] else float(new.value[i])
                self.sides[b].reason = LOST if lost[i] else ""
            missed = np.abs(np.abs(new.zeta) - self.cutoff) > ZETA_GOAL
            found = np.flatnonzero(~missed & ~lost)
            self._record(active[found], new.take(found))
            active = active[missed & ~lost]
        self.give_up(active)

    def give_up(self, index: IntArray) -> None:
        """Say that these sides have no limit where one should be."""
        for b in index:
            self.sides[b].limit, self.sides[b].reason = np.nan, JUMP

    def lower_from_afar(self) -> IntArray:
        """Sides whose limits do not stand, because another search finds a lower deviance there.

        The path followed one valley of the other parameters; another may be lower. Such a side is
        put there, to go on.
        """
        index = np.array([b for b in self.found if np.isfinite(self.sides[b].limit)], dtype=np.intp)
        held = self.front.held
        if not (held.diagonal.any() or held.wide.any()) or not index.size:
            return np.empty(0, dtype=np.intp)
        near = self.front.take(index)
        value = np.array([self.sides[b].limit for b in index])
        starts, among = _afar(near)
        there = self._search(near.take(among), value[among], starts, goal=ROUGH_GOAL).at
        lower = there.value < self.best + self.cutoff**2 - SAME_DEVIANCE
        by_side = np.lexsort((there.value, among))
        first = by_side[np.flatnonzero(np.diff(among[by_side], prepend=-1))]
        first = first[lower[first]]
        moved = among[first]
        if not moved.size:
            return moved
        some = near.take(moved)
        new = self._seen(some, value[moved], self._search(some, value[moved], there.z[first]))
        settled = np.flatnonzero(np.isfinite(new.zeta))
        moved, new = moved[settled], new.take(settled)
        for i, b in enumerate(index[moved]):
            self.sides[b].keep_below(abs(float(new.zeta[i])))
        self.front.put(index[moved], new)
        self._record(index[moved], new)
        return np.asarray(index[moved])


def _afar(front: _Front) -> tuple[FloatArray, IntArray]:
    """Points to search from, and which side each is for.

    The estimate, effects without correlations, where a correlation is held one of its sds at zero,
    which makes every correlation possible, and bounded parameters of structures near either bound;
    correlations of residuals at a few values.
    """
    everywhere = np.arange(front.sign.size)
    starts, among = [front.home, _uncorrelated(front)], [everywhere, everywhere]
    correlated = np.flatnonzero(front.held.is_cor & front.held.is_polar)
    for place in (0, 2) if correlated.size else ():
        start = front.home[correlated]
        start[np.arange(correlated.size), front.held.corner[correlated, place]] = 0.0
        starts.append(start)
        among.append(correlated)
    scales = front.held.positive & ~front.held.is_polar[:, None]  # beside a structure's correlation
    for place in np.flatnonzero(scales.any(axis=0)).tolist():
        rows = np.flatnonzero(scales[:, place])
        start = front.home[rows]
        start[:, place] = 0.0
        starts.append(start)
        among.append(rows)
    angle = front.held.angle & front.held.free
    for lean in (-LEANING, LEANING) if angle.any() else ():
        starts.append(np.where(angle, lean, _uncorrelated(front)))
        among.append(everywhere)
    wide = front.held.wide & front.held.free
    for coordinate in WIDE if wide.any() else ():
        starts.append(np.where(wide, coordinate, _uncorrelated(front)))
        among.append(everywhere)
    return np.concatenate(starts), np.concatenate(among)


def _uncorrelated(front: _Front) -> FloatArray:
    """Points with some variance everywhere and no correlations, but what is held."""
    held, home = front.held, front.home
    covariances = np.arange(home.shape[1]) < held.n_theta
    some = np.where(held.diagonal, np.maximum(np.abs(home), SOME_VARIANCE), 0.0)
    return np.where(covariances & held.free, some, home)


def _between(low: _Front, high: _Front, cutoff: float, *, halve: bool) -> FloatArray:
    """Values where |zeta| should be the cutoff: inverse cubic interpolation, inside the bracket."""
    width = high.value - low.value
    rise = np.abs(high.zeta) - np.abs(low.zeta)
    middle = low.value + width / 2
    if halve:
        return np.asarray(middle)
    s = np.divide(cutoff - np.abs(low.zeta), rise, out=np.full_like(rise, 0.5), where=rise > 0)
    tangents = [
        np.clip(rise / np.maximum(end.rate * np.abs(width), SLOWEST), 0.0, 3.0)
        for end in (low, high)
    ]
    bend = s * (1 - s) * (tangents[0] * (1 - s) - tangents[1] * s)
    part = s**2 * (3 - 2 * s) + bend
    value = low.value + width * part
    return np.asarray(np.where((part > 0) & (part < 1), value, middle))
