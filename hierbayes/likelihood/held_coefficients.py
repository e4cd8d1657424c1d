"""The highest likelihood with a linear combination of the coefficients held, many at once.

With Q orthogonal and its first column along r, beta = Q c has r'beta = k where c_1 = k / |r|: the
other coordinates of c follow, with theta and phi. Each search has its own r and k; they share what
is evaluated, begin with the curvature of the fit and may begin where one beside them ended. Models
of crossed factors, likelihoods by quadrature, and many rows that are counted together are evaluated
one point after the other.
"""

from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.gaussian.many_weights import ManyWeights
from hierbayes.generalised.many_modes import ManyResponses
from hierbayes.likelihood.boundary import TRY_ZERO
from hierbayes.likelihood.generalised_refits import ManyLikelihoods
from hierbayes.likelihood.glmm import GlmmOptimum
from hierbayes.likelihood.glmm_search import BATCH_NUMBERS, Search
from hierbayes.linalg.newton import GOAL_PER_ROW, Goal, Locals, Problem, minimise, spectrum

# Newton decrement at which a search ends: the root of a rise of 4 is known to 3e-9 then.
DECREMENT_GOAL = 1e-8
MAX_STEPS = 40  # a search that needs more is better done with more care
# Logarithms of further parameters that a search starts inside of: farther out the likelihood may be
# flat, and no step would lead back.
FARTHEST = 4.0


@record
class HeldMaxima:
    """Where T searches ended.

    Attributes
    ----------
    x : array, shape (T, m), (beta, theta, phi) in the basis of the search
    value : array, shape (T,), -2 log-likelihood, infinite where it cannot be computed
    slope : array, shape (T,), its derivative in k
    settled : array, shape (T,), whether there is nothing to be looked at with more care: a search
        that did not converge, or a variance of almost zero
    """

    x: FloatArray
    value: FloatArray
    slope: FloatArray
    settled: BoolArray


class HeldCoefficients:
    """Searches for T places, each of which remembers what it learnt of the curvature.

    Parameters
    ----------
    near : GlmmOptimum
        The maximum with nothing held, by Laplace or quadrature.
    lacking : array, shape (m, m), what its approximate curvature lacks
    size : T
    """

    def __init__(self, near: GlmmOptimum, lacking: FloatArray, size: int) -> None:
        self.near, self.model = near, near.model
        self.correction = np.repeat(lacking[None], size, axis=0)
        rows = self.model
        weights = ManyWeights(levels=rows.levels)
        self.problem: Problem[None]
        # rows counted together are fewer, but are not laid out for many points
        few = rows.y.size * size <= max(BATCH_NUMBERS, rows.cells.y.size * size)
        if few and near.n_quadrature == 1 and weights.is_nested:
            Y = np.broadcast_to(rows.y[:, None], (rows.y.size, size))
            many = ManyResponses(model=rows, weights=weights, Y=Y)
            effects = [np.repeat(u, size, axis=0) for u in near.at.mode.u]
            self.problem = ManyLikelihoods(many, effects, np.arange(size))
        else:
            self.problem = _OneByOne([_search(near) for _ in range(size)])

    def projected(self, r: FloatArray, k: FloatArray) -> FloatArray:
        """Points (T, m) on r'beta = k, r (T, p), nearest to the maximum."""
        p, x = r.shape[1], np.repeat(self.near.x[None], k.size, axis=0)
        x[:, :p] += r * ((k - r @ self.near.x[:p]) / (r**2).sum(axis=1))[:, None]
        return x

    def first(self, r: FloatArray, k: FloatArray) -> FloatArray:
        """Points (T, m) on r'beta = k, r (T, p), where the curvature of the fit has the maxima.

        Where a variance is zero the fit has none, and they are the nearest ones.
        """
        if self.near.is_singular:
            return self.projected(r, k)
        search = _search(self.near)
        curvature = search.curvature(self.near.at)[None] + self.correction[:1]
        size, axes = spectrum(curvature, None, None)
        a = np.zeros((k.size, self.near.x.size))
        a[:, : r.shape[1]] = r
        along = ((a @ axes[0]) / size[0]) @ axes[0].T
        missing = k - a @ self.near.x
        return self.near.x + along * (missing / (a * along).sum(axis=1))[:, None]

    def maxima(
        self,
        at: IntArray,
        r: FloatArray,
        k: FloatArray,
        start: FloatArray,
        *,
        decrement: float = DECREMENT_GOAL,
    ) -> HeldMaxima:
        """Search for some places from points ``start`` (T', m), r (T', p) and k (T',).

        ``decrement`` is the fall of -2 log-likelihood by one more step at which a search ends.
        """
        p, n_theta, _ = self.model.sizes
        length = np.linalg.norm(r, axis=1)
        Q = np.linalg.qr(r[:, :, None], mode="complete")[0]
        Q[:, :, 0] = r / length[:, None]
        x = start.copy()
        phi = np.clip(x[:, p + n_theta :], -FARTHEST, FARTHEST)
        x[:, p + n_theta :] = self.model.off_ends(phi)
        free = np.ones(x.shape, dtype=np.bool_)
        free[:, 0] = False
        held = _Held(self.problem.take(at), Q, free)
        turned = held.turned(x)
        turned[:, 0] = k / length
        decrement += GOAL_PER_ROW * self.near.model.y.size
        goal = Goal(decrement=decrement, max_steps=MAX_STEPS)
        correction = held.turned_curvature(self.correction[at])
        found = minimise(held, turned, goal=goal, correction=correction)
        assert found.correction is not None
        x = held.back(found.x)
        known = np.isfinite(found.value)
        self.correction[at[known]] = held.turned_back(found.correction)[known]
        theta = x[:, p : p + n_theta]
        inside = self.model.basis_shape.above_bound(theta) >= TRY_ZERO
        return HeldMaxima(
            x=x,
            value=found.value,
            slope=found.gradient[:, 0] / length,
            settled=found.converged & known & inside.all(axis=1),
        )


class _Held(Problem[None]):
    """A problem in turned coefficients Q'beta, Q (T, p, p); all but the first are ``free``."""

    def __init__(self, inner: Problem[None], Q: FloatArray, free: BoolArray) -> None:
        self.inner, self.Q, self._free = inner, Q, free

    def turned(self, x: FloatArray) -> FloatArray:
        """Points (T, m) with Q'beta in the place of beta; gradients go the same way."""
        p = self.Q.shape[1]
        return np.concatenate([(x[:, None, :p] @ self.Q)[:, 0], x[:, p:]], axis=1)

    def back(self, x: FloatArray) -> FloatArray:
        """Undo ``turned``."""
        p = self.Q.shape[1]
        return np.concatenate([(self.Q @ x[:, :p, None])[:, :, 0], x[:, p:]], axis=1)

    def turned_curvature(self, C: FloatArray) -> FloatArray:
        """Curvatures (T, m, m) in the turned coordinates."""
        p, out = self.Q.shape[1], C.copy()
        out[:, :, :p] = out[:, :, :p] @ self.Q
        out[:, :p] = np.swapaxes(self.Q, 1, 2) @ out[:, :p]
        return out

    def turned_back(self, C: FloatArray) -> FloatArray:
        """Undo ``turned_curvature``."""
        p, out = self.Q.shape[1], C.copy()
        out[:, :, :p] = out[:, :, :p] @ np.swapaxes(self.Q, 1, 2)
        out[:, :p] = self.Q @ out[:, :p]
        return out

    def take(self, rows: IntArray) -> "_Held":
        """Return some of the functions."""
        return _Held(self.inner.take(rows), self.Q[rows], self._free[rows])

    def at(self, x: FloatArray) -> Locals[None]:
        """Evaluate at points (T, m)."""
        found = self.inner.at(self.back(x))

        def derivatives() -> tuple[FloatArray, FloatArray]:
            gradient, curvature = found.derivatives()
            return self.turned(gradient), self.turned_curvature(curvature)

        return Locals(found.value, derivatives, found.states)

    def projected(self, x: FloatArray) -> FloatArray:
        """Points with scales kept off zero."""
        return self.turned(self.inner.projected(self.back(x)))

    def reach(self, x: FloatArray, sizes: FloatArray | None) -> FloatArray | float:
        """Longest steps."""
        return self.inner.reach(x, sizes)

    def free(self) -> BoolArray:
        """Return all but the one that is held."""
        return self._free


class _OneByOne(Problem[None]):
    """The likelihood at a point for each of T searches, one after the other."""

    def __init__(self, searches: Sequence[Search]) -> None:
        self.searches = searches

    def take(self, rows: IntArray) -> "_OneByOne":
        """Return some of the searches."""
        return _OneByOne([self.searches[t] for t in rows.tolist()])

    def at(self, x: FloatArray) -> Locals[None]:
        """Evaluate at points (T, m)."""
        found = [own.at(x[t : t + 1]) for t, own in enumerate(self.searches)]

        def derivatives() -> tuple[FloatArray, FloatArray]:
            gradients, curvatures = zip(*(one.derivatives() for one in found), strict=True)
            return np.concatenate(gradients), np.concatenate(curvatures)

        values = np.concatenate([one.value for one in found])
        return Locals(values, derivatives, [None] * values.size)

    def projected(self, x: FloatArray) -> FloatArray:
        """Points with scales kept off zero."""
        parts = [own.projected(x[t : t + 1]) for t, own in enumerate(self.searches)]
        return np.concatenate(parts)

    def reach(self, x: FloatArray, sizes: FloatArray | None) -> FloatArray | float:
        """Longest steps (T,)."""
        return self.searches[0].reach(x, sizes)


def _search(near: GlmmOptimum) -> Search:
    search = Search(near.model, near.n_quadrature, near.at.mode.beta)
    search.last = near.at.mode
    return search
