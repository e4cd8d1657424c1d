"""Deviance of a generalised model in the coordinates of held parameters.

A point of ``held_parameter.py`` is (entries of turned triangles, 0, further parameters, fixed
effects). The root turn'T of the covariance that it stands for is a triangle times an orthogonal
matrix, turn'T = Lambda Q', and at Lambda the likelihood of ``likelihood/laplace.py`` or
``quadrature.py`` has its exact gradient. Half its derivative in the root is D Q' with half that in
Lambda, D; so entry i has the slope 2 <D, S_i> with S_i = turn'T_i Q. The curvature is that of the
working linear model, to which a search adds what the exact Hessian at the optimum has besides.
"""

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.gaussian.marginal import squares_of
from hierbayes.generalised.pirls import Mode
from hierbayes.intervals.held_deviance import Local, joined
from hierbayes.intervals.held_parameter import Held
from hierbayes.intervals.held_places import Origin, hold_at
from hierbayes.likelihood.glmm import GlmmOptimum, curvature_correction
from hierbayes.likelihood.glmm_search import Search
from hierbayes.likelihood.laplace import Criterion
from hierbayes.results.interval_parameters import IntervalParameter

REMEMBERED = 40  # modes that one is looked for from: a side of a profile finds its own
STEP = 1e-6  # of coordinates, for the derivative of what they stand for


@record
class _Root:
    """What a point stands for: triangles and what leads from the coordinates to them.

    Attributes
    ----------
    x : array, shape (m,), the point in the coordinates of the search
    slopes : per factor, S of the module's header, array (k, q, q)
    turned : per factor, turn and Q', arrays (q, q)
    """

    x: FloatArray
    slopes: list[FloatArray]
    turned: list[tuple[FloatArray, FloatArray]]


class GeneralisedDeviance:
    """-2 log-likelihood with one parameter held, points one after the other.

    Parameters
    ----------
    found : GlmmOptimum
        By Laplace or quadrature.
    """

    def __init__(self, found: GlmmOptimum) -> None:
        self.found, self.model = found, found.model
        self.search = Search(found.model, found.n_quadrature, found.at.mode.beta)
        self._modes: list[Mode] = [found.at.mode]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.model.y.size

    def hold(self, parameters: list[IntervalParameter]) -> tuple[Held, FloatArray, FloatArray]:
        """Return coordinates for each parameter, the optimum in them, and what its curvature lacks.

        Parameters
        ----------
        parameters : the residual sd and further parameters with their positions among these as row
        """
        mode, model = self.found.at.mode, self.model
        origin = Origin(
            shape=model.basis_shape,
            z_bases=model.z_bases,
            x_basis=model.x_basis,
            beta0=np.zeros(mode.beta.size),
            theta=mode.theta,
            Lambdas=tuple(Lambda[0] for Lambda in mode.Lambdas),
            sigma=1.0,
            sigma_known=True,
            beta=mode.beta,
            further=mode.phi,
            cuts=model.on_user_scale(mode.phi, mode.beta).get("threshold", np.empty(0)),
            cut_places=self._cut_places,
        )
        held, z = hold_at(origin, parameters)
        lacking = curvature_correction(self.found)
        correction = np.zeros((*z.shape, z.shape[1]))
        for t in range(len(parameters) if lacking.any() else 0):
            J = self._jacobian(held.take(np.array([t])), z[t])
            correction[t] = J.T @ lacking @ J
        return held, z, correction

    def at(self, held: Held, z: FloatArray) -> Local:
        """Return the deviance at points z (T, n), one held parameter each."""
        every = range(z.shape[0])
        return joined([self._one(held.take(np.array([t])), z[t : t + 1]) for t in every])

    @property
    def _cut_places(self) -> IntArray:
        """Which coordinate of phi gives way to each threshold, (K,): the first where they rise."""
        coordinates = self.model.coordinates
        own = [i for i, coordinate in enumerate(coordinates) if coordinate.along is not None]
        rising = bool(own) and coordinates[own[0]].parameter.increasing
        return np.array([own[0] if rising else i for i in own], dtype=np.intp)

    def _steps(self, cut: int) -> IntArray:
        """Coordinates of phi whose steps lead from the first threshold to another."""
        if (self._cut_places == self._cut_places[cut]).sum() < 2:
            return np.empty(0, dtype=np.intp)
        return self._cut_places[0] + 1 + np.arange(cut)

    @property
    def _centre(self) -> FloatArray:
        """What a threshold moves by with the fixed effects of the search, (p,)."""
        return np.asarray(self.model.x_basis.T @ self.model.centre)

    def phi(self, held: Held, z: FloatArray) -> FloatArray:
        """Return the further parameters (d,) of the search at a point z (n,) of one entry."""
        _, k, d = self.model.sizes
        phi, cut = z[k + 1 : k + 1 + d].copy(), int(held.cut[0])
        if cut >= 0:
            at = self._cut_places[cut]
            phi[at] -= np.exp(phi[self._steps(cut)]).sum()
            phi[at] -= self._centre @ self.fixed_effects(held, z)
        return phi

    def fixed_effects(self, held: Held, z: FloatArray) -> FloatArray:
        """Return fixed effects (p,) in the basis of the search at a point z (n,) of one entry."""
        p = self.model.sizes[0]
        turned = z[z.size - p :].copy()
        if held.is_beta[0]:
            turned[-1] /= held.size[0]
        return np.asarray(held.rotation[0].T @ turned)

    def _root(self, held: Held, z: FloatArray) -> _Root:
        shape, k = self.model.basis_shape, self.model.sizes[1]
        entries = held.entries(z[None])
        roots = shape.unpack(entries)
        inner = shape.slopes(entries)
        triangles, slopes, turned = [], [], []
        for f, root in enumerate(roots):
            turn, Q = held.turns[f][0], np.eye(root.shape[1])
            both = turn.T @ root[0]
            for factor, at in shape.triangles:
                if factor == f:
                    Q[at], both[at] = _triangular(both[at])
            triangles.append(both[None])
            slopes.append(turn.T @ inner[f][0] @ Q)
            turned.append((turn, Q.T))
        theta = shape.packed_triangles(triangles)[0] if k else np.empty(0)
        for _, _, part in shape.structured:
            theta[part] = entries[0, part]
        beta = self.fixed_effects(held, z)
        x = self.search.joined(beta, theta, self.phi(held, z))
        return _Root(x=x, slopes=slopes, turned=turned)

    def _criterion(self, x: FloatArray) -> Criterion:
        """Evaluate at a point (m,), beginning at the nearest mode that was found."""
        away = [
            float(((x - self.search.joined(mode.beta, mode.theta, mode.phi)) ** 2).sum())
            for mode in self._modes
        ]
        self.search.last = self._modes[int(np.argmin(away))]
        found = self.search.criterion(x)
        self._modes = [*self._modes[-REMEMBERED:], found.mode]
        return found

    def _one(self, held: Held, z: FloatArray) -> Local:
        model, n = self.model, z.shape[1]
        p, k, d = model.sizes
        root = self._root(held, z[0])
        try:
            at = self._criterion(root.x)
            value = at.value
        except np.linalg.LinAlgError:
            value = np.inf
        if not np.isfinite(value):
            nothing = np.zeros((1, n))
            curvature = np.zeros((1, n, n))
            return Local(z, np.full(1, np.inf), nothing, curvature, root.x[None, :p])
        slope, bend = at.gradient, at.curvature_along(root.slopes)
        gradient, hessian = np.zeros((1, n)), np.zeros((1, n, n))
        D = at.covariance_slopes
        for own, S in zip(D, root.slopes, strict=True):
            gradient[0, :k] += 2 * np.einsum("ab,kab->k", own[0], S)
        if k:
            triangles = model.basis_shape.unpack(held.entries(z))
            in_root = [turn @ own @ Q for own, (turn, Q) in zip(D, root.turned, strict=True)]
            bend[p : p + k, p : p + k] += squares_of(
                model.basis_shape, held.entries(z), triangles, in_root
            )[0]
        columns = held.rotation[0].T.copy()  # of the fixed effects in their coordinates
        if held.is_beta[0]:
            columns[:, -1] /= held.size[0]
        order = np.concatenate([np.arange(p, p + k + d), np.arange(p)])
        places = np.concatenate([np.arange(k), np.arange(k + 1, n)])
        J = np.eye(p + k + d)
        J[k + d :, k + d :] = columns
        cut, bent = int(held.cut[0]), np.zeros(p + k + d)
        if cut >= 0:
            at_cut, steps = k + self._cut_places[cut], k + self._steps(cut)
            J[at_cut, k + d :] = -self._centre @ columns
            J[at_cut, steps] = -np.exp(self.phi(held, z[0])[steps - k])
            bent[steps] = slope[order][at_cut] * J[at_cut, steps]
        gradient[0, k + 1 :] = slope[order][k:]
        gradient[0, places] = gradient[0, places] @ J
        hessian[0][np.ix_(places, places)] = J.T @ bend[np.ix_(order, order)] @ J + np.diag(bent)
        gradient, hessian = held.chained(z, gradient, hessian)
        return Local(z, np.array([value]), gradient, hessian, root.x[None, :p])

    def _jacobian(self, held: Held, z: FloatArray) -> FloatArray:
        """Return the derivative of the coordinates of the search in those of z (n,), (m, n)."""
        steps = STEP * np.eye(z.size)
        both = [[self._root(held, z + sign * step).x for sign in (1.0, -1.0)] for step in steps]
        J = np.array([(up - down) / (2 * STEP) for up, down in both]).T
        J[:, held.n_theta] = 0.0  # log sigma is no coordinate here
        return J


def _triangular(root: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return an orthogonal Q and the lower triangle L = root Q, diagonal not negative."""
    Q, R = np.linalg.qr(root.T)
    signs = np.where(np.diag(R) < 0, -1.0, 1.0)
    return Q * signs, (R * signs[:, None]).T
