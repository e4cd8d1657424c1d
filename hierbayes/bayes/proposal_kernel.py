"""Densities of proposals, compiled: of mixtures of t distributions and of fitted polynomials.

Points are worked on some at a time (lanes), so that what is between them and a density stays in a
cache. Imports numba: only samplers import it.
"""

import numpy as np
from numba import njit
from scipy.special import gammaln

from hierbayes.arrays import FloatArray
from hierbayes.bayes.mixture import TMixture
from hierbayes.linalg.exponentials import exponentials, logarithms
from hierbayes.linalg.threads import in_threads

LANES = 64  # points worked on at once
PART = 2048  # points that are worth a thread


class CompiledMixture(TMixture):
    """A mixture whose densities are compiled, for many points."""

    def log_density(self, x: FloatArray) -> FloatArray:
        """Log density at points (N, d), shape (N,)."""
        inverse, at_mean, constant, nu = self._terms(np.log(self.weights))
        out, x = np.empty(x.shape[0]), np.ascontiguousarray(x)

        def work(part: slice) -> None:
            _log_densities(x[part], inverse, at_mean, constant, nu, out[part])

        in_threads(work, _parts_of(x))
        return out

    def _parts(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        K = self.weights.size
        (inverse, at_mean, constant, nu), shape = self._terms(np.zeros(K)), (x.shape[0], K)
        logs, distances, x = np.empty(shape), np.empty(shape), np.ascontiguousarray(x)

        def work(part: slice) -> None:
            _components(x[part], inverse, at_mean, constant, nu, logs[part], distances[part])

        in_threads(work, _parts_of(x))
        return logs, distances

    def _terms(
        self, log_weights: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Per component: inverse of the root, what it makes of the mean, constant, degrees."""
        nu, d = self.degrees, self.means.shape[1]
        constant = gammaln((nu + d) / 2) - gammaln(nu / 2) - d / 2 * np.log(nu * np.pi)
        log_det = np.log(np.diagonal(self.roots, axis1=1, axis2=2)).sum(axis=1)
        inverse = np.linalg.inv(self.roots)
        at_mean = (inverse @ self.means[:, :, None])[:, :, 0]
        return inverse, at_mean, log_weights + constant - log_det, nu


def compiled(mixture: TMixture) -> CompiledMixture:
    """Return the mixture with compiled densities."""
    return CompiledMixture(mixture.weights, mixture.means, mixture.roots, mixture.degrees)


def surrogate_values(
    x: FloatArray,
    floors: FloatArray,
    centre: FloatArray,
    whiten: FloatArray,
    radius: float,
    coefficients: FloatArray,
) -> FloatArray:
    """Log density of a ``Surrogate`` at points (N, d), (N,).

    Parameters
    ----------
    floors, centre, whiten, radius : arrays (d,), (d,) and (d, d), and a number
    coefficients : array, shape (m,), of ``surrogate.monomials`` up to a degree of 1, 2 or 3
    """
    d, out, x = x.shape[1], np.empty(x.shape[0]), np.ascontiguousarray(x)
    second, third = 1 + d, 1 + d + d * (d + 1) // 2
    parts = coefficients[1:second], coefficients[second:third], coefficients[third:]
    one, two, three = (np.ascontiguousarray(part) for part in parts)
    turned, at_centre = np.ascontiguousarray(whiten.T), np.ascontiguousarray(centre @ whiten)
    height, floors = float(coefficients[0]), np.ascontiguousarray(floors)

    def work(part: slice) -> None:
        _surrogate(
            x[part], floors, turned, at_centre, float(radius), height, one, two, three, out[part]
        )

    in_threads(work, _parts_of(x))
    return out


def _parts_of(x: FloatArray) -> list[slice]:
    return [slice(first, first + PART) for first in range(0, x.shape[0], PART)]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _of_components(  # type: ignore[no-untyped-def]
    x, first, L, inverse, at_mean, constant, degrees, own, z, distance, log, spare
):
    """Set logs and distances (K, LANES) of the components at L points from the first on."""
    K, d = at_mean.shape
    for a in range(d):
        for c in range(L):
            own[a, c] = x[first + c, a]
    for k in range(K):
        for c in range(L):
            distance[k, c] = 0.0
        for a in range(d):
            mean = at_mean[k, a]
            for c in range(L):
                z[c] = -mean
            for b in range(a + 1):
                entry = inverse[k, a, b]
                for c in range(L):
                    z[c] += entry * own[b, c]
            for c in range(L):
                distance[k, c] += z[c] * z[c]
        scale, half, height = 1.0 / degrees[k], 0.5 * (degrees[k] + d), constant[k]
        for c in range(L):
            z[c] = 1.0 + scale * distance[k, c]
        logarithms(z, log[k], spare, L)
        for c in range(L):
            log[k, c] = height - half * log[k, c]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _components(  # type: ignore[no-untyped-def]
    x, inverse, at_mean, constant, degrees, logs, distances
):
    """Write the logs and distances (N, K) of all components at points (N, d)."""
    K, d = at_mean.shape
    own, z, spare = np.empty((d, LANES)), np.empty(LANES), np.empty((2, LANES))
    distance, log = np.empty((K, LANES)), np.empty((K, LANES))
    for first in range(0, x.shape[0], LANES):
        L = min(LANES, x.shape[0] - first)
        _of_components(
            x, first, L, inverse, at_mean, constant, degrees, own, z, distance, log, spare
        )
        for c in range(L):
            for k in range(K):
                logs[first + c, k], distances[first + c, k] = log[k, c], distance[k, c]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _log_densities(  # type: ignore[no-untyped-def]
    x, inverse, at_mean, constant, degrees, out
):
    """Write the logs (N,) of the sum of all components at points (N, d)."""
    K, d = at_mean.shape
    own, z, spare = np.empty((d, LANES)), np.empty(LANES), np.empty((2, LANES))
    distance, log = np.empty((K, LANES)), np.empty((K, LANES))
    top, total = np.empty(LANES), np.empty(LANES)
    for first in range(0, x.shape[0], LANES):
        L = min(LANES, x.shape[0] - first)
        _of_components(
            x, first, L, inverse, at_mean, constant, degrees, own, z, distance, log, spare
        )
        for c in range(L):
            top[c], total[c] = log[0, c], 0.0
        for k in range(1, K):
            for c in range(L):
                top[c] = max(top[c], log[k, c])
        for k in range(K):
            for c in range(L):
                log[k, c] -= top[c]
            exponentials(log[k], z, spare, L)
            for c in range(L):
                total[c] += z[c]
        logarithms(total, z, spare, L)
        for c in range(L):
            out[first + c] = top[c] + z[c]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _surrogate(  # type: ignore[no-untyped-def]
    x, floors, whiten, at_centre, radius, constant, one, two, three, out
):
    """Write the log densities (N,) of a surrogate at points (N, d); ``whiten`` is transposed."""
    d = floors.size
    own, z, both = np.empty((d, LANES)), np.empty((d, LANES)), np.empty((two.size, LANES))
    more, e, spare = np.empty(LANES), np.empty(LANES), np.empty((2, LANES))
    squares, jacobian, total = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    for first in range(0, x.shape[0], LANES):
        L = min(LANES, x.shape[0] - first)
        for c in range(L):
            squares[c], jacobian[c], total[c] = 0.0, 0.0, constant
        for a in range(d):
            for c in range(L):
                own[a, c] = x[first + c, a]
            if floors[a] > -np.inf:  # log(e^x + e^f) - x
                for c in range(L):
                    more[c] = -abs(own[a, c] - floors[a])
                exponentials(more, e, spare, L)
                for c in range(L):
                    e[c] += 1.0
                logarithms(e, e, spare, L)
                for c in range(L):
                    rise = e[c] + max(floors[a] - own[a, c], 0.0)
                    own[a, c] += rise
                    jacobian[c] += rise
        for a in range(d):
            for c in range(L):
                z[a, c] = -at_centre[a]
            for b in range(d):
                entry = whiten[a, b]
                for c in range(L):
                    z[a, c] += entry * own[b, c]
            for c in range(L):
                squares[c] += z[a, c] * z[a, c]
        for c in range(L):
            away = np.sqrt(squares[c])
            squares[c] = min(1.0, radius / max(away, radius))
            jacobian[c] += radius * max(away - radius, 0.0)
        place = 0
        for a in range(d):
            for c in range(L):
                z[a, c] *= squares[c]
                more[c] = one[a]
            if two.size > 0:
                for b in range(a + 1):
                    for c in range(L):
                        more[c] += two[place] * z[b, c]
                        both[place, c] = z[a, c] * z[b, c]
                    place += 1
            for c in range(L):
                total[c] += more[c] * z[a, c]
        place = 0
        if three.size > 0:
            for a in range(d):
                for c in range(L):
                    more[c] = 0.0
                for k in range((a + 1) * (a + 2) // 2):
                    entry = three[place]
                    for c in range(L):
                        more[c] += entry * both[k, c]
                    place += 1
                for c in range(L):
                    total[c] += more[c] * z[a, c]
        for c in range(L):
            out[first + c] = total[c] - jacobian[c]
