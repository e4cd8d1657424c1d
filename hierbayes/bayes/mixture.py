"""Mixtures of multivariate t distributions: the proposals of importance sampling.

Arrays only: points x (N, d), log importance weights (N,). Knows no models.

Source: Peel & McLachlan (2000), Statistics and Computing 10:339 (EM for t mixtures).
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln

from hierbayes.arrays import FloatArray, record

DEGREES = 5.0  # of a component that is to cover whatever tails there are
FITTED_DEGREES = 7.0  # of one fitted to draws, which cover the bulk: lighter tails waste less
EM_STEPS = 6
SHRINK = 0.02  # part of the overall covariance mixed into each component, against collapse
# Part of the first proposal's covariance added to that of the points: where a few of them have
# nearly all the weight, the next round still looks around a tenth as far as the first one did.
FLOOR = 0.01


def log_sum_exp(values: FloatArray, axis: int | None = None) -> FloatArray:
    """Return log of the sum of exponentials; plain numpy, for speed on small arrays."""
    top = np.max(values, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):  # the sum of nothing but zeros is a fair zero
        total = np.log(np.exp(values - top).sum(axis=axis))
    return np.asarray(total + np.squeeze(top, axis=axis))


@record(kw_only=False)
class TMixture:
    """Mixture of multivariate t distributions.

    Attributes
    ----------
    weights : array, shape (K,)
    means : array, shape (K, d)
    roots : array, shape (K, d, d), lower Cholesky factors of the scale matrices
    degrees : array, shape (K,), degrees of freedom
    """

    weights: FloatArray
    means: FloatArray
    roots: FloatArray
    degrees: FloatArray

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw n independent points, shape (n, d)."""
        K = self.weights.size
        # not rng.multinomial: where weights are even, rounding would decide between its methods
        counts = np.bincount(rng.choice(K, size=n, p=self.weights), minlength=K)
        z = rng.standard_normal((n, self.means.shape[1]))
        stretch = np.repeat(self.degrees, counts)
        z *= np.sqrt(stretch / rng.chisquare(stretch))[:, None]
        ends = np.cumsum(counts)
        for mean, root, end, count in zip(self.means, self.roots, ends, counts, strict=True):
            z[end - count : end] = z[end - count : end] @ root.T + mean
        return np.asarray(z[rng.permutation(n)])

    def log_density(self, x: FloatArray) -> FloatArray:
        """Log density at points (N, d), shape (N,)."""
        return np.asarray(log_sum_exp(self._parts(x)[0] + np.log(self.weights), axis=1))

    def _parts(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log densities of the components and squared distances to them, both (N, K)."""
        N, d = x.shape
        K = self.weights.size
        distances = np.empty((N, K))
        nu = self.degrees
        constant = gammaln((nu + d) / 2) - gammaln(nu / 2) - d / 2 * np.log(nu * np.pi)
        inverse = np.linalg.inv(self.roots)
        for k in range(K):
            z = inverse[k] @ (x - self.means[k]).T
            distances[:, k] = np.einsum("dn,dn->n", z, z)
        log_det = np.log(np.diagonal(self.roots, axis1=1, axis2=2)).sum(axis=1)
        logs = constant - log_det - (nu + d) / 2 * np.log1p(distances / nu)
        return logs, distances


def single(mean: FloatArray, covariance: FloatArray) -> TMixture:
    """Return one component with scale matrix ``covariance``."""
    root = np.linalg.cholesky(covariance)
    return TMixture(np.ones(1), mean[None], root[None], np.array([DEGREES]))


def joined(parts: Sequence[TMixture], weights: Sequence[float]) -> TMixture:
    """Return the mixture of mixtures with these weights, which need not add up to one."""
    scaled = [w * part.weights for w, part in zip(weights, parts, strict=True)]
    total = np.concatenate(scaled)
    return TMixture(
        total / total.sum(),
        np.concatenate([part.means for part in parts]),
        np.concatenate([part.roots for part in parts]),
        np.concatenate([part.degrees for part in parts]),
    )


def fitted_mixture(
    x: FloatArray,
    log_weights: FloatArray,
    K: int,
    *,
    around: FloatArray,
    rng: np.random.Generator,
    kind: type[TMixture] = TMixture,
) -> TMixture:
    """Fit K components to weighted points (N, d) by EM; the weights may be uneven.

    ``around`` (d, d) is the positive definite covariance the points were first looked for with;
    ``kind`` is a class with densities of its own.
    """
    w = np.exp(log_weights - log_weights.max())
    w /= w.sum()  # logs of size 1e10 are rounded to 1e-6: their own sum is not the log of this one
    mean = w @ x
    d = x.shape[1]
    spread = (x - mean).T @ ((x - mean) * w[:, None]) + FLOOR * around
    means = mean[None]
    if K > 1:
        means = np.vstack([means, x[rng.choice(x.shape[0], size=K - 1, p=w)]])
    nu = FITTED_DEGREES
    roots = np.repeat(np.linalg.cholesky(spread)[None], K, axis=0)
    now = kind(np.full(K, 1 / K), means, roots, np.full(K, nu))
    for _ in range(EM_STEPS):
        logs, distances = now._parts(x)
        logs = logs + np.log(now.weights)
        share = np.exp(logs - log_sum_exp(logs, axis=1)[:, None]) * w[:, None]
        total = share.sum(axis=0)
        keep = total > 2.0 * d / x.shape[0]
        if not keep.all():
            share, total, distances = share[:, keep], total[keep], distances[:, keep]
        pull = share * (nu + d) / (nu + distances)
        means = (pull.T @ x) / pull.sum(axis=0)[:, None]
        fitted = []
        for k in range(total.size):
            away = x - means[k]
            scale = away.T @ (away * pull[:, k, None]) / total[k]
            fitted.append(np.linalg.cholesky((1 - SHRINK) * scale + SHRINK * spread))
        now = kind(total / total.sum(), means, np.stack(fitted), np.full(total.size, nu))
    return now
