"""The same generalised model fitted to many responses, in one batched search where possible.

The Laplace likelihoods of all responses, their exact gradients and approximate curvatures come from
one call (``many_laplace.py``), a fit that has converged leaves the batch, and what the exact
Hessian at the fit's own optimum has besides the approximate curvature begins the correction that
each search goes on to learn. The rules are those of ``glmm.py``: scales of random effects are kept
off zero during the search, and a zero counts only if neither a little nor much variance in its
place lowers the criterion.

A fit that the batch cannot settle (a search that does not converge, a response that is separated, a
term of several columns that lacks a direction) is made alone by the search of ``glmm.py``, and so
is every fit of crossed factors and by quadrature. So every fit is as good as one made alone.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.errors import DataError
from hierbayes.gaussian.many_weights import ManyWeights
from hierbayes.generalised.many_modes import (
    ManyResponses,
    at_effects,
    find_modes,
    no_effects,
)
from hierbayes.likelihood.boundary import FAR, TRY_ZERO, WAY_DOWN, ZERO_COST
from hierbayes.likelihood.criterion import FLOOR
from hierbayes.likelihood.glmm import (
    FAR_ETA,
    RAN_AWAY,
    VANISHED,
    GlmmOptimum,
    curvature_correction,
    fit_near,
    goal_of,
)
from hierbayes.likelihood.glmm_search import BATCH_NUMBERS, Search
from hierbayes.likelihood.many_laplace import ManyCriteria
from hierbayes.linalg.newton import Goal, Locals, Problem, minimise, safely, spectrum

MAX_STEPS = 40  # a search that needs more is better done on its own, with more care
# A scale of random effects that the fit has as zero begins a refit from here: at zero the slope of
# the criterion vanishes whether or not variance would lower it.
FIRST_SCALE = 0.2
CAREFUL = 10.0  # times what makes a verdict of flatness or separation: it is passed alone
SEPARATED = "a response is separated, so that a coefficient or an sd has no finite estimate"
UNSETTLED = "a search did not settle"
HOPE = 2.0  # times the fall that one step promises, which may be reached
SURFACE = Goal(decrement=1e-5)  # of a deviance that is drawn
# Steps and goal with which the coefficients follow where much variance is tried.
FOLLOWED = Goal(decrement=1e-3, max_steps=3)


@record
class GeneralisedRefits:
    """Estimates from T responses, on the user's scale; NaN where a fit could not be made.

    Attributes
    ----------
    theta : array, shape (T, k)
    beta : array, shape (T, p), of the columns of X that are kept
    further : array, shape (T, d), further parameters of the family
    criterion : array, shape (T,), -2 log-likelihood
    converged, is_singular : arrays of bool, shape (T,)
    failures : why fits did not converge, each once
    """

    theta: FloatArray
    beta: FloatArray
    further: FloatArray
    criterion: FloatArray
    converged: BoolArray
    is_singular: BoolArray
    failures: tuple[str, ...] = ()


class ManyLikelihoods(Problem[None]):
    """-2 log-likelihoods of a batch; each mode is looked for from the last one found."""

    def __init__(
        self,
        rows: ManyResponses,
        effects: Sequence[FloatArray],
        entries: IntArray,
        free: BoolArray | None = None,
    ) -> None:
        self.rows, self.entries = rows, entries
        self.effects = effects  # of the whole batch, written to
        self._free = free

    def take(self, rows: IntArray) -> "ManyLikelihoods":
        """Return the likelihoods of some responses."""
        free = None if self._free is None else self._free[rows]
        return ManyLikelihoods(self.rows.take(rows), self.effects, self.entries[rows], free)

    def criteria(self, x: FloatArray) -> ManyCriteria:
        """Evaluate at points (T, m)."""
        p, k, _ = self.rows.model.sizes
        parts = x[:, :p], x[:, p : p + k], x[:, p + k :]
        try:
            start = [u[self.entries] for u in self.effects]
            found = find_modes(at_effects(self.rows, *parts, start))
        except np.linalg.LinAlgError:
            found = find_modes(at_effects(self.rows, *parts, no_effects(self.rows)))
        for u, new in zip(self.effects, found.u, strict=True):
            u[self.entries] = new
        return ManyCriteria(modes=found)

    def at(self, x: FloatArray) -> Locals[None]:
        """Evaluate at points (T, m)."""
        found = self.criteria(x)
        if not np.isfinite(found.value).all():
            raise np.linalg.LinAlgError("a likelihood cannot be computed")
        slopes = lambda: (found.gradient, found.curvature)  # noqa: E731
        return Locals(found.value, slopes, [None] * x.shape[0])

    def projected(self, x: FloatArray) -> FloatArray:
        """Points (T, m) with scales kept off zero."""
        p, k, _ = self.rows.model.sizes
        out = x.copy()
        shape = self.rows.model.basis_shape
        out[:, p : p + k] = shape.kept_off_bounds(x[:, p : p + k], FLOOR)
        return out

    def room(self, x: FloatArray) -> tuple[FloatArray, BoolArray] | None:
        """How far points (T, m) are from the least of scales that must be positive."""
        p, k, _ = self.rows.model.sizes
        ends = self.rows.model.basis_shape.room(x[:, p : p + k], FLOOR)
        if ends is None:
            return None
        room, at_end = np.full(x.shape, np.inf), np.zeros(x.shape, dtype=np.bool_)
        room[:, p : p + k], at_end[:, p : p + k] = ends
        return room, at_end

    def reach(self, x: FloatArray, sizes: FloatArray | None) -> FloatArray:
        """Longest steps (T,): two, or the size of the point."""
        del sizes
        return np.maximum(self.longest, np.abs(x).max(axis=1, initial=0.0))

    def free(self) -> BoolArray | None:
        """Return which coordinates are searched."""
        return self._free


class Refitter:
    """Fits a model to responses like its own, beginning at the optimum of a fit.

    Parameters
    ----------
    near : GlmmOptimum
    """

    def __init__(self, near: GlmmOptimum) -> None:
        self.near, self.model = near, near.model
        self.weights = ManyWeights(levels=near.model.levels)
        self.is_batched = near.n_quadrature == 1 and self.weights.is_nested
        p, k, _ = self.model.sizes
        self.start = near.x.copy()
        if near.n_quadrature:
            self.start[p + k :] = self.model.off_ends(self.start[p + k :])
        if self.is_batched and near.x.size:
            theta = self.model.basis_shape.kept_off_bounds(near.x[p : p + k], FIRST_SCALE)
            self.start[p : p + k] = theta
            self.correction = curvature_correction(near)

    def fit(self, Y: FloatArray, kept: BoolArray | None = None) -> GeneralisedRefits:
        """Fit the model to responses Y (n, T), of rows that are ``kept`` (n, T)."""
        T = Y.shape[1]
        p, k, d = self.model.sizes
        found = GeneralisedRefits(
            theta=np.full((T, k), np.nan),
            beta=np.full((T, p), np.nan),
            further=np.full((T, d), np.nan),
            criterion=np.full(T, np.nan),
            converged=np.zeros(T, dtype=np.bool_),
            is_singular=np.zeros(T, dtype=np.bool_),
        )
        alone = np.ones(T, dtype=np.bool_)
        if self.is_batched:
            size = max(1, BATCH_NUMBERS // max(Y.shape[0], 1))
            for first in range(0, T, size):
                part = np.arange(first, min(first + size, T))
                alone[part] = ~self._batch(Y, kept, part, found)
        failures: dict[str, None] = {}
        for t in np.flatnonzero(alone).tolist():
            failure = self._alone(Y[:, t], None if kept is None else kept[:, t], t, found)
            failures |= {failure: None} if failure else {}
        return replace(found, failures=tuple(failures))

    def _batch(
        self, Y: FloatArray, kept: BoolArray | None, part: IntArray, found: GeneralisedRefits
    ) -> BoolArray:
        """Fit some responses together, write what is settled, and return which are."""
        rows = ManyResponses(
            model=self.model,
            weights=self.weights,
            Y=Y[:, part],
            kept=None if kept is None else kept[:, part],
        )
        T = part.size
        effects = [
            np.repeat(u, T, axis=0)
            for u in (self.near.at.mode.u if self.near.x.size else no_effects(rows))
        ]
        problem = ManyLikelihoods(rows, effects, np.arange(T))
        x = np.repeat(self.start[None], T, axis=0)
        settled = np.ones(T, dtype=np.bool_)
        if x.shape[1]:
            goal = replace(goal_of(self.model), max_steps=MAX_STEPS)
            correction = np.repeat(self.correction[None], T, axis=0)
            search = minimise(problem, x, goal=goal, correction=correction)
            x, settled = search.x, search.converged & np.isfinite(search.value)
        x, settled = _with_zeros(problem, x, settled)
        went = np.flatnonzero(settled)
        if went.size:
            at = safely_evaluated(problem.take(went), x[went])
            if at is None:
                return np.zeros(T, dtype=np.bool_)
            clear = _is_clear(at)
            settled[went[~clear]] = False
            self._write(found, part[went[clear]], at, clear)
        return settled

    def _write(
        self, found: GeneralisedRefits, to: IntArray, at: ManyCriteria, chosen: BoolArray
    ) -> None:
        model, modes = self.model, at.modes
        shape = model.basis_shape
        theta = shape.parameters(modes.theta[chosen])
        found.theta[to] = model.shape.transformed_batch(theta, model.z_bases)
        found.beta[to] = modes.beta[chosen] @ model.x_basis.T
        found.further[to] = model.further_values(modes.phi[chosen], modes.beta[chosen])
        found.criterion[to] = at.value[chosen]
        found.converged[to] = True
        found.is_singular[to] = (shape.above_bound(modes.theta[chosen]) < TRY_ZERO).any(axis=1)

    def _alone(
        self, y: FloatArray, kept: BoolArray | None, t: int, found: GeneralisedRefits
    ) -> str:
        """Fit one response, write it, and return why it has no fit; empty where it has one."""
        model = replace(self.model, y=y)
        if kept is not None:
            model = model.of_rows(kept)
        try:
            one = fit_near(model, self.near.n_quadrature, self.near)
        except (DataError, np.linalg.LinAlgError) as error:
            return str(error)  # it stays missing
        found.theta[t], found.beta[t] = one.theta, one.beta
        found.further[t] = list(one.dispersion.values())
        found.criterion[t] = -2 * one.loglik
        found.converged[t], found.is_singular[t] = one.converged, one.is_singular
        if one.converged:
            return ""
        return SEPARATED if one.runaway_columns or one.runaway_terms else UNSETTLED


def safely_evaluated(problem: ManyLikelihoods, x: FloatArray) -> ManyCriteria | None:
    """Evaluate at points (T, m); None where one of them cannot be."""
    try:
        return problem.criteria(x)
    except np.linalg.LinAlgError:
        return None


def _is_clear(at: ManyCriteria) -> BoolArray:
    """Which fits ran away nowhere: into separation, a huge sd, or a flat parameter; (T,)."""
    modes, model = at.modes, at.modes.rows.model
    clear = np.ones(modes.h.size, dtype=np.bool_)
    if modes.theta.size:
        clear &= np.abs(modes.theta).max(axis=1) < RAN_AWAY / CAREFUL
    if model.family.is_discrete and modes.beta.size:
        known = np.linalg.eigvalsh(at.information)[:, 0] > CAREFUL * VANISHED**-2
        clear &= known | (np.abs(modes.eta).max(axis=0) < FAR_ETA / 2)
    if model.has_end.any():  # shares of zero are settled alone
        clear &= (np.abs(np.sin(modes.phi[:, model.has_end])) > TRY_ZERO).all(axis=1)
    for which in range(modes.phi.shape[1]):
        bend = modes.rows.in_parameter(modes.eta, modes.phi, which).bend
        clear &= 2 * np.abs(bend.sum(axis=0)) > 2 * CAREFUL * VANISHED**-2
    return clear


def _with_zeros(
    problem: ManyLikelihoods, x: FloatArray, settled: BoolArray
) -> tuple[FloatArray, BoolArray]:
    """Points (T, m) with scales near zero on it, and which of them are settled.

    Of terms with one column. A zero counts where the criterion is no higher there, rises with a
    little variance, and is no lower with much; another fit is made alone.
    """
    model = problem.rows.model
    shape, (p, k, _) = model.basis_shape, model.sizes
    x, settled = x.copy(), settled.copy()
    x[:, p : p + k] = shape.rectified_batch(x[:, p : p + k])
    near = shape.above_bound(x[:, p : p + k]) < TRY_ZERO
    single = np.zeros(k, dtype=np.bool_)
    for own, part in zip(shape.structures, shape.slices, strict=True):
        single[part] = own is None and part.stop - part.start == 1
    settled &= ~(near & ~single).any(axis=1)
    some = np.flatnonzero(settled & near.any(axis=1))
    if not some.size:
        return x, settled
    those, near = problem.take(some), near[some]
    value, down = _slopes_down(those, x[some], near)
    zero = x[some].copy()
    zero[:, p : p + k][near] = 0.0
    there = safely(those, zero).value
    limit = value + ZERO_COST * np.maximum(1.0, np.abs(value) * 1e-3)
    good = ~down & (there <= limit) & ~_lower_far(those, zero, near, there)
    x[some[good]], settled[some] = zero[good], good
    return x, settled


def _slopes_down(
    problem: ManyLikelihoods, x: FloatArray, near: BoolArray
) -> tuple[FloatArray, BoolArray]:
    """Values (T,), and whether a little variance lowers one in a place of ``near`` (T, k)."""
    at = safely_evaluated(problem, problem.projected(x))
    if at is None:
        return np.full(x.shape[0], np.inf), np.ones(x.shape[0], dtype=np.bool_)
    p, k, _ = problem.rows.model.sizes
    theta, slope = at.modes.theta, at.gradient[:, p : p + k]
    in_variance = slope / (2 * np.where(near, theta, 1.0))
    return at.value, (near & (in_variance < -WAY_DOWN)).any(axis=1)


def _lower_far(
    problem: ManyLikelihoods, x: FloatArray, near: BoolArray, value: FloatArray
) -> BoolArray:
    """Whether much variance in place of none lowers a criterion, coefficients following; (T,)."""
    p, k, _ = problem.rows.model.sizes
    held = np.ones(x.shape, dtype=np.bool_)
    held[:, p : p + k] = False
    lower = np.zeros(x.shape[0], dtype=np.bool_)
    for i in np.flatnonzero(near.any(axis=0)).tolist():
        for size in FAR:
            some = np.flatnonzero(near[:, i] & ~lower)
            if not some.size:
                break
            start = x[some].copy()
            start[:, p + i] = size
            hopeful = some[_may_fall(problem.take(some), start, held[some], value[some])]
            if not hopeful.size:
                continue
            taken = problem.take(hopeful)
            taken._free = held[hopeful]
            found = minimise(taken, start[np.isin(some, hopeful)], goal=FOLLOWED)
            lower[hopeful] = found.value < value[hopeful] - ZERO_COST
    return lower


def _may_fall(
    problem: ManyLikelihoods, x: FloatArray, free: BoolArray, value: FloatArray
) -> BoolArray:
    """Whether a criterion at x (T, m) may fall below a value (T,) along the free coordinates.

    It may where twice what one Newton step promises would do, or nothing is known.
    """
    there = safely(problem, problem.projected(x))
    gradient, curvature = there.derivatives()
    size, axes = spectrum(curvature, None, free)
    along = (np.where(free, gradient, 0.0)[:, None] @ axes)[:, 0]
    fall = (along**2 / size).sum(axis=1) / 2
    return ~(there.value - HOPE * fall > value)


def at_variances(near: GlmmOptimum, theta: FloatArray, phi: FloatArray) -> FloatArray:
    """Return -2 log-likelihood with the coefficients at their best, (T,), infinite without one.

    Parameters
    ----------
    near : GlmmOptimum
        Of the model, by Laplace or quadrature.
    theta, phi : arrays, shapes (T, k) and (T, d), in the basis of the search
    """
    model, T = near.model, theta.shape[0]
    p = model.sizes[0]
    weights = ManyWeights(levels=model.levels)
    points = np.concatenate([np.tile(near.at.mode.beta, (T, 1)), theta, phi], axis=1)
    if not (near.n_quadrature == 1 and weights.is_nested):
        search = _Coefficients(model, near.n_quadrature, near.at.mode.beta)
        return np.array([_lowest(search, point) for point in points])
    found = np.empty(T)
    size = max(1, BATCH_NUMBERS // max(model.y.size, 1))
    for first in range(0, T, size):
        part = np.arange(first, min(first + size, T))
        rows = ManyResponses(
            model=model, weights=weights, Y=np.repeat(model.y[:, None], part.size, axis=1)
        )
        effects = [np.repeat(u, part.size, axis=0) for u in near.at.mode.u]
        free = np.arange(points.shape[1]) < np.full((part.size, 1), p)
        problem = ManyLikelihoods(rows, effects, np.arange(part.size), free)
        found[part] = minimise(problem, points[part], goal=SURFACE).value
    return found


class _Coefficients(Search):
    """A search of the coefficients alone."""

    def free(self) -> BoolArray:
        """Return which coordinates are searched."""
        p, k, d = self.model.sizes
        return np.arange(p + k + d)[None] < p


def _lowest(search: _Coefficients, point: FloatArray) -> float:
    return float(minimise(search, point[None], goal=SURFACE).value[0])
