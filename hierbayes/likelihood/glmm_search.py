"""The likelihood of a generalised model as a function to be searched.

Coordinates are (beta, theta, phi), or (theta, phi) where beta is profiled in the mode of the
effects (``n_quadrature=0``). Each mode is looked for from the last one found.
"""

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray
from hierbayes.gaussian.many_weights import ManyWeights
from hierbayes.generalised.conditional import Conditional
from hierbayes.generalised.many_modes import ManyResponses, find_modes
from hierbayes.generalised.many_modes import at_effects as at_many
from hierbayes.generalised.pirls import Mode, at_effects, find_mode, followed, no_effects
from hierbayes.likelihood.criterion import FLOOR
from hierbayes.likelihood.laplace import Criterion
from hierbayes.likelihood.many_laplace import ManyCriteria
from hierbayes.likelihood.quadrature import Quadrature
from hierbayes.linalg.newton import Locals, Problem

# Rows times points, or responses, worked on together: what stays in a cache.
BATCH_NUMBERS = 2**14


class Search(Problem[Criterion]):
    """-2 log-likelihood of one model, in cells; ``evaluations`` counts the points looked at."""

    def __init__(self, model: Conditional, n_quadrature: int, beta: FloatArray) -> None:
        self.rows, self.model, self.n_quadrature = model, model.cells, n_quadrature
        self.beta = beta  # where a profiled one is looked for first
        self.last: Mode | None = None
        self.beside: FloatArray | None = None  # where quadrature found the coarser effects last
        self.evaluations = self.steps = 0

    @property
    def is_profiled(self) -> bool:
        """Whether beta is no coordinate."""
        return self.n_quadrature == 0

    def parts(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Beta, theta and phi of a point (m,)."""
        p, k, _ = self.model.sizes
        if self.is_profiled:
            return self.beta, x[:k], x[k:]
        return x[:p], x[p : p + k], x[p + k :]

    def joined(self, beta: FloatArray, theta: FloatArray, phi: FloatArray) -> FloatArray:
        """Undo ``parts``."""
        return np.concatenate([theta, phi] if self.is_profiled else [beta, theta, phi])

    def with_theta(self, x: FloatArray, theta: FloatArray) -> FloatArray:
        """Return a point (m,) with another theta."""
        beta, _, phi = self.parts(x)
        return self.joined(beta, theta, phi)

    def gradient(self, at: Criterion) -> FloatArray:
        """Return derivatives in the coordinates."""
        return at.gradient[at.mode.beta.size :] if self.is_profiled else at.gradient

    def curvature(self, at: Criterion) -> FloatArray:
        """Approximate second derivatives in the coordinates."""
        p = at.mode.beta.size if self.is_profiled else 0
        return at.curvature[p:, p:]

    def mode(self, x: FloatArray) -> Mode:
        """Return the mode of the effects at a point (m,)."""
        beta, theta, phi = self.parts(x)
        starts = [no_effects(self.model)]
        if self.last is not None:
            starts.insert(0, followed(self.last, beta, theta, phi))
        for i, u in enumerate(starts):
            start = at_effects(self.model, theta, beta, phi, u, profiled=self.is_profiled)
            try:
                found = find_mode(start)
                break
            except np.linalg.LinAlgError:
                if i + 1 == len(starts):
                    raise
        self.last = found
        self.steps += found.steps
        if self.is_profiled:
            self.beta = found.beta
        return found

    def criterion(self, x: FloatArray) -> Criterion:
        """Evaluate at a point (m,)."""
        self.evaluations += 1
        mode = self.mode(x)
        if self.n_quadrature > 1 and mode.u:
            found = Quadrature(mode, self.n_quadrature, self.beside)
            self.beside = found.away
            return found
        return Criterion(mode)

    def criterion_within(self, x: FloatArray, limit: float) -> Criterion | None:
        """Return the criterion at x unless it is above a limit or can't be computed."""
        try:
            there = self.criterion(x)
        except np.linalg.LinAlgError:
            return None
        return there if there.value <= limit else None

    def at(self, x: FloatArray) -> Locals[Criterion]:
        """Evaluate at a point (1, m)."""
        found = self.criterion(x[0])
        value = found.value
        if not np.isfinite(value):
            raise np.linalg.LinAlgError("the likelihood cannot be computed")

        def slopes() -> tuple[FloatArray, FloatArray]:
            return self.gradient(found)[None], self.curvature(found)[None]

        return Locals(np.array([value]), slopes, [found])

    def projected(self, x: FloatArray) -> FloatArray:
        """Points (1, m) with scales kept off zero."""
        theta = self.model.basis_shape.kept_off_bounds(self.parts(x[0])[1], FLOOR)
        return self.with_theta(x[0], theta)[None]

    def room(self, x: FloatArray) -> tuple[FloatArray, BoolArray] | None:
        """How far a point (1, m) is from the least of scales that must be positive."""
        beta, theta, phi = self.parts(x[0])
        ends = self.model.basis_shape.room(theta, FLOOR)
        if ends is None:
            return None
        room = self.joined(np.full(beta.size, np.inf), ends[0], np.full(phi.size, np.inf))
        return room[None], (room == 0)[None]

    def reach(self, x: FloatArray, sizes: FloatArray | None) -> FloatArray:
        """Longest steps (1,): two, or the size of the point."""
        del sizes
        return np.maximum(self.longest, np.abs(x).max(axis=1, initial=0.0))


# Half width of the central differences of the exact gradient, in standard errors of the
# coordinate: their error is 4e-8 of the fourth derivative in these units, the rounding of the
# gradient, 1e-11, is divided by it, and a mode followed so far is one step from the new one.
WIDTH = 5e-4
WIDEST = 1e-2  # in the units of eta, where hardly anything is known of a coordinate


def hessian(search: Search, x: FloatArray, at: Criterion, free: BoolArray) -> FloatArray:
    """Second derivatives (m, m) at a point, as central differences of the exact gradient.

    Only of the ``free`` coordinates; the rows and columns of others are zero.
    """
    beside = at if free.all() else search.criterion(search.projected(x[None])[0])
    own = np.abs(np.diag(search.curvature(beside)))
    step = np.minimum(WIDTH * np.sqrt(2 / np.maximum(own, 1e-300)), WIDEST)
    found, where = np.zeros((x.size, x.size)), np.flatnonzero(free)
    moves = (step * np.eye(x.size))[where]
    slopes = _gradients(search, np.concatenate([x + moves, x - moves]), at)
    up, down = slopes[: where.size], slopes[where.size :]
    found[where] = np.where(free, up - down, 0.0) / (2 * step[where, None])
    return (found + found.T) / 2


def _gradients(search: Search, points: FloatArray, at: Criterion) -> FloatArray:
    """Gradients at points (T, m) beside ``at``; those of a small model in one batch."""
    rows, T = search.rows, points.shape[0]
    if T and search.n_quadrature == 1 and rows.y.size * T <= BATCH_NUMBERS:
        weights = ManyWeights(levels=rows.levels)
        if weights.is_nested:
            p, k, _ = rows.sizes
            parts = points[:, :p], points[:, p : p + k], points[:, p + k :]
            many = ManyResponses(
                model=rows,
                weights=weights,
                Y=np.broadcast_to(rows.y[:, None], (rows.y.size, T)),
            )
            effects = [np.repeat(u, T, axis=0) for u in at.mode.u]
            return ManyCriteria(modes=find_modes(at_many(many, *parts, effects))).gradient
    return np.array([search.gradient(search.criterion(x)) for x in points]).reshape(T, -1)
