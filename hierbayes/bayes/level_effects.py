"""Random effects of one factor, a block of levels at a time, given draws of everything else.

Given beta, sigma and the covariance of the effects, levels of a single grouping factor are
independent of each other. So the draws of a block of levels follow from its own cross-products and
from a seed of its own, as in ``effect_draws.py``: with Lambda = U^-1 R / sigma,
L L' = Lambda'A_j Lambda + I and c_j = Z_j'W[X y],

    L'u = L^-1 Lambda'c_j w + sigma N(0, I),    b = U Lambda u,    w = (-beta, 1).

Compiled; imports numba.
"""

from dataclasses import replace

import numpy as np
from numba import njit

from hierbayes.arrays import FloatArray, record
from hierbayes.bayes.predictive import correlation_root
from hierbayes.gaussian.marginal import Kernel
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.effects_on_demand import BLOCK, EffectsOnDemand


@record
class LevelEffects:
    """Makes the draws of a block of levels.

    Attributes
    ----------
    blocks : array, shape (J, q, q), Z_j'W Z_j of each level, in the basis of the products
    right : array, shape (J, q, p + 1), its Z_j'W[X y]
    weights : array, shape (S, p + 1), (-beta, 1) in the basis
    sigma : array, shape (S,)
    Lambdas : array, shape (S, q, q)
    basis : array, shape (q, q), U: b = U Lambda u
    seed : of all blocks
    """

    blocks: FloatArray
    right: FloatArray
    weights: FloatArray
    sigma: FloatArray
    Lambdas: FloatArray
    basis: FloatArray
    seed: int

    def __call__(self, number: int) -> FloatArray:
        """Return the draws of the levels of a block, (S, levels, q)."""
        at = slice(number * BLOCK, (number + 1) * BLOCK)
        A, c = self.blocks[at], self.right[at]
        rng = np.random.default_rng([self.seed, number])
        out = rng.standard_normal((self.sigma.size, *A.shape[:2]))
        draw_levels(A, c, self.weights, self.sigma, self.Lambdas, self.basis, out)
        return out


def with_effects_later(draws: PosteriorDraws, kernel: Kernel, *, seed: int) -> PosteriorDraws:
    """Return draws with effects of their one grouping factor that are made when looked at.

    Parameters
    ----------
    draws : of everything else
    kernel : of the model
    seed : of the effects
    """
    ((name, sd),) = draws.sd.items()
    C, D, q = sd.shape
    roots = sd.reshape(C * D, q, 1) * np.eye(q)
    if name in draws.corr:
        corr = draws.corr[name].reshape(C * D, q, q)
        roots = sd.reshape(C * D, q, 1) * correlation_root(corr)
    anchor = kernel.products.anchor
    centred = (draws.beta.reshape(C * D, -1) - anchor.beta0) @ np.linalg.inv(anchor.x_basis).T
    flat = np.ones(C * D)
    if draws.sigma is not None:
        flat = np.ascontiguousarray(draws.sigma.reshape(-1))
    basis = anchor.z_bases[0]
    A = kernel.products.zz[0]
    make = LevelEffects(
        blocks=np.ascontiguousarray(A),
        right=np.ascontiguousarray(kernel.zxy[0][0]),
        weights=np.concatenate([-centred, np.ones((C * D, 1))], axis=1),
        sigma=flat,
        Lambdas=np.linalg.inv(basis) @ roots / flat[:, None, None],
        basis=np.ascontiguousarray(basis),
        seed=seed,
    )
    return replace(draws, b={name: EffectsOnDemand(make, (C, D, *A.shape[:2]))})


@njit(cache=True, nogil=True)
def draw_levels(A, c, weights, sigma, Lambdas, basis, out):  # type: ignore[no-untyped-def]
    """Turn standard normal numbers in out (S, m, q) into draws of b."""
    S, m, q = out.shape
    p1 = weights.shape[1]
    L = np.empty((q, q))
    AL = np.empty((q, q))
    u, turn = np.empty(q), np.empty((q, q))
    for s in range(S):
        Lam, sd = Lambdas[s], sigma[s]
        for a in range(q):
            for b in range(q):
                total = 0.0
                for k in range(q):
                    total += basis[a, k] * Lam[k, b]
                turn[a, b] = total
        for j in range(m):
            for a in range(q):
                for b in range(q):
                    total = 0.0
                    for k in range(q):
                        total += A[j, a, k] * Lam[k, b]
                    AL[a, b] = total
            for a in range(q):
                for b in range(a + 1):
                    total = 1.0 if a == b else 0.0
                    for k in range(q):
                        total += Lam[k, a] * AL[k, b]
                    for k in range(b):
                        total -= L[a, k] * L[b, k]
                    L[a, b] = np.sqrt(total) if a == b else total / L[b, b]
            for a in range(q):  # AL is free again: its first row holds c_j w
                total = 0.0
                for k in range(p1):
                    total += c[j, a, k] * weights[s, k]
                AL[0, a] = total
            for a in range(q):
                total = 0.0
                for k in range(q):
                    total += Lam[k, a] * AL[0, k]
                for k in range(a):
                    total -= L[a, k] * u[k]
                u[a] = total / L[a, a]
            for a in range(q):
                u[a] += sd * out[s, j, a]
            for a in range(q - 1, -1, -1):
                total = u[a]
                for k in range(a + 1, q):
                    total -= L[k, a] * u[k]
                u[a] = total / L[a, a]
            for a in range(q):
                total = 0.0
                for k in range(q):
                    total += turn[a, k] * u[k]
                out[s, j, a] = total
