"""Mixtures of multivariate t distributions: the proposals of importance sampling.

Arrays only: points x (N, d), log importance weights (N,). Knows no models.

Source: Peel & McLachlan (2000), Statistics and Computing 10:339 (EM for t mixtures).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

FloatArray = npt.NDArray[np.float64]

DEGREES = 5.0  # tails light enough to be efficient, heavy enough to cover a skewed log sd
EM_STEPS = 8
SHRINK = 0.02  # part of the overall covariance mixed into each component, against collapse


def log_sum_exp(values: FloatArray, axis: int | None = None) -> FloatArray:
    """Return log of the sum of exponentials; plain numpy, for speed on small arrays."""
    top = np.max(values, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):  # the sum of nothing but zeros is a fair zero
        total = np.log(np.exp(values - top).sum(axis=axis))
    return np.asarray(total + np.squeeze(top, axis=axis))


@dataclass(frozen=True, slots=True)
class TMixture:
    """Mixture of multivariate t distributions with ``DEGREES`` degrees of freedom.

    Attributes
    ----------
    weights : array, shape (K,)
    means : array, shape (K, d)
    roots : array, shape (K, d, d), lower Cholesky factors of the scale matrices
    """

    weights: FloatArray
    means: FloatArray
    roots: FloatArray

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw n independent points, shape (n, d)."""
        which = rng.choice(self.weights.size, size=n, p=self.weights)
        z = rng.standard_normal((n, self.means.shape[1]))
        stretch = np.sqrt(DEGREES / rng.chisquare(DEGREES, size=n))
        return np.asarray(
            self.means[which] + stretch[:, None] * np.einsum("nij,nj->ni", self.roots[which], z)
        )

    def log_density(self, x: FloatArray) -> FloatArray:
        """Log density at points (N, d), shape (N,)."""
        return np.asarray(log_sum_exp(self._parts(x)[0] + np.log(self.weights), axis=1))

    def _parts(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log densities of the components and squared distances to them, both (N, K)."""
        N, d = x.shape
        K = self.weights.size
        logs, distances = np.empty((N, K)), np.empty((N, K))
        constant = (
            gammaln((DEGREES + d) / 2) - gammaln(DEGREES / 2) - d / 2 * np.log(DEGREES * np.pi)
        )
        for k in range(K):
            z = np.linalg.solve(self.roots[k], (x - self.means[k]).T)
            distances[:, k] = (z**2).sum(axis=0)
            log_det = np.log(np.diag(self.roots[k])).sum()
            tail = (DEGREES + d) / 2 * np.log1p(distances[:, k] / DEGREES)
            logs[:, k] = constant - log_det - tail
        return logs, distances


def single(mean: FloatArray, covariance: FloatArray) -> TMixture:
    """Return one component with scale matrix ``covariance``."""
    return TMixture(np.ones(1), mean[None], np.linalg.cholesky(covariance)[None])


def fitted_mixture(
    x: FloatArray, log_weights: FloatArray, K: int, rng: np.random.Generator
) -> TMixture:
    """Fit K components to weighted points (N, d) by EM; the weights may be uneven."""
    w = np.exp(log_weights - log_sum_exp(log_weights))
    mean = w @ x
    spread = (x - mean).T @ ((x - mean) * w[:, None])
    d = x.shape[1]
    spread = spread + 1e-8 * np.trace(spread) / d * np.eye(d)
    means = mean[None]
    if K > 1:
        means = np.vstack([means, x[rng.choice(x.shape[0], size=K - 1, p=w)]])
    now = TMixture(np.full(K, 1 / K), means, np.repeat(np.linalg.cholesky(spread)[None], K, axis=0))
    for _ in range(EM_STEPS):
        logs, distances = now._parts(x)
        logs = logs + np.log(now.weights)
        share = np.exp(logs - log_sum_exp(logs, axis=1)[:, None]) * w[:, None]
        total = share.sum(axis=0)
        keep = total > 2.0 * d / x.shape[0]
        if not keep.all():
            share, total, distances = share[:, keep], total[keep], distances[:, keep]
        pull = share * (DEGREES + d) / (DEGREES + distances)
        means = (pull.T @ x) / pull.sum(axis=0)[:, None]
        roots = []
        for k in range(total.size):
            away = x - means[k]
            scale = away.T @ (away * pull[:, k, None]) / total[k]
            roots.append(np.linalg.cholesky((1 - SHRINK) * scale + SHRINK * spread))
        now = TMixture(total / total.sum(), means, np.stack(roots))
    return now
