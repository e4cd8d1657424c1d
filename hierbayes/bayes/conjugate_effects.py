"""Random effects drawn given everything else, for many draws on one factorisation.

Given beta, sigma and D = Lambda Lambda', b has the precision M / sigma^2 with M = Z'WZ + D^-1 and
the mean M^-1 Z'W(y - X beta). Where a factorisation is dear, draws share one, M_0 = Z'WZ + D_0^-1
with D_0 no smaller than any D: as M - M_0 = D^-1 - D_0^-1 is no less than zero, sigma M_0^1/2 e +
sigma (D^-1 - D_0^-1)^1/2 e' has the covariance sigma^2 M, and

    M b = Z'W(y - X beta) + that

has a draw of b as its solution (Papandreou & Yuille 2010, NIPS 23:1858). It is found by conjugate
gradients, with M_0^-1 from the factor: the eigenvalues of M_0^-1 M lie between one and the largest
ratio of D_0 to D, so a posterior's draws take about ten steps each, of products of many at once.

M_0^1/2 is not at hand, but with K_0 = L L' = Lambda_0'M_0 Lambda_0 from the factor it is
Lambda_0'^-1 L, and L = K_0 L'^-1. Arrays of effects are (1, J, q, S), a column for each of S draws.
"""

from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.gaussian.marginal import Factor, Kernel, times, transpose_times
from hierbayes.linalg.threads import in_threads, one_blas_thread

AT_ONCE = 128  # draws worked on together
# Left of a system, as a part of its right side and in the norm of M^-1: a draw is that near to the
# one of exact arithmetic, in units of the posterior's own spread times the size of the effects.
ACCURACY = 1e-7
MOST_STEPS = 500
ABOVE = 1e-6  # by which D_0 is above the largest D, so that the difference has a square root


def draw_conjugate(
    kernel: Kernel,
    *,
    weights: FloatArray,
    sigma: FloatArray,
    Lambdas: Sequence[FloatArray],
    rng: np.random.Generator,
) -> list[FloatArray]:
    """Draw b for each of S draws of the other parameters.

    Parameters
    ----------
    kernel : Kernel
    weights : array, shape (S, p + 1), -beta and one, with which [X y] gives what is left of y
    sigma : array, shape (S,)
    Lambdas : per factor, array (S, q, q), not singular; all in the basis of the products
    rng : Generator

    Returns
    -------
    list of arrays, per factor (S, J, q), in the basis of the products

    Raises
    ------
    numpy.linalg.LinAlgError
        If conjugate gradients do not end.
    """
    S = sigma.size
    reference = [_above(Lambda) for Lambda in Lambdas]
    factor = kernel.blocks.factorise(reference)
    b = [np.empty((S, *A.shape[:2])) for A in kernel.products.zz]
    starts = range(0, S, AT_ONCE)
    seeds = rng.integers(2**63, size=len(starts))

    def work(part: int) -> None:
        at = slice(starts[part], min(starts[part] + AT_ONCE, S))
        some = _Systems(kernel, factor, reference, [Lambda[at] for Lambda in Lambdas])
        right = some.right_sides(weights[at], sigma[at], np.random.default_rng(seeds[part]))
        for out, found in zip(b, some.solved(right), strict=True):
            out[at] = np.moveaxis(found[0], 2, 0)

    with one_blas_thread(len(starts) > 1):
        in_threads(work, range(len(starts)))
    return b


def _above(Lambda: FloatArray) -> FloatArray:
    """Lambda_0 (1, q, q) with Lambda_0 Lambda_0' no smaller than any Lambda Lambda' (S, q, q)."""
    mean = np.linalg.cholesky((Lambda @ np.swapaxes(Lambda, 1, 2)).mean(axis=0))
    relative = np.linalg.solve(mean, Lambda)
    largest = np.linalg.norm(relative, ord=2, axis=(1, 2)).max()
    return np.asarray(mean[None] * largest * (1 + ABOVE))


class _Systems:
    """M b = r for some draws at once, a column each."""

    def __init__(
        self,
        kernel: Kernel,
        factor: Factor,
        reference: Sequence[FloatArray],
        Lambdas: Sequence[FloatArray],
    ) -> None:
        self.kernel, self.factor, self.reference = kernel, factor, reference
        nothing = [np.zeros((1, *A.shape[:2], 1)) for A in kernel.products.zz]
        self.shapes = [half.shape[1:3] for half in factor.half_solve(nothing)]
        self.beyond = []  # D^-1 - D_0^-1, per factor (S, q, q)
        for Lambda, R in zip(Lambdas, reference, strict=True):
            inverse, back = np.linalg.inv(Lambda), np.linalg.inv(R)[0]
            self.beyond.append(np.swapaxes(inverse, 1, 2) @ inverse - back.T @ back)

    def right_sides(
        self, weights: FloatArray, sigma: FloatArray, rng: np.random.Generator
    ) -> list[FloatArray]:
        """Z'W(y - X beta) and noise of covariance sigma^2 M."""
        sizes = [A.shape[:2] for A in self.kernel.products.zz]
        S = sigma.size
        e = [rng.standard_normal((1, *size, S)) for size in sizes]
        v = self.factor.back_solve(self._as_half(e))
        lifted = [times(R, x) for R, x in zip(self.reference, v, strict=True)]
        spread = self.kernel.blocks.times(lifted)
        out = []
        parts = zip(self.kernel.zxy, spread, v, self.reference, self.beyond, strict=True)
        for zxy, s, x, R, beyond in parts:
            back = np.linalg.inv(R)[0]
            # Lambda_0'^-1 K_0 v = Z'WZ Lambda_0 v + Lambda_0'^-1 v
            noise = s + np.einsum("ba,ujbs->ujas", back, x)
            more = np.linalg.cholesky(beyond)
            own = rng.standard_normal(x.shape)
            noise = noise + np.einsum("sab,ujbs->ujas", more, own)
            mean = zxy[..., None, :] @ weights.T[None, None, None]
            out.append(mean[:, :, :, 0] + sigma * noise)
        return out

    def _as_half(self, e: list[FloatArray]) -> list[FloatArray]:
        """Independent numbers in the shape that the factor's ``back_solve`` takes."""
        flat = np.concatenate([x.reshape(-1, x.shape[3]) for x in e])
        ends = np.cumsum([J * q for J, q in self.shapes])[:-1]
        parts = np.split(flat, ends)
        return [
            part.reshape(1, *shape, part.shape[1])
            for part, shape in zip(parts, self.shapes, strict=True)
        ]

    def solved(self, right: list[FloatArray]) -> list[FloatArray]:
        """Solve the systems by conjugate gradients.

        M z = M_0 z + (D^-1 - D_0^-1) z, and M_0 z of z = M_0^-1 r is r: no product with Z'WZ.
        """
        z = self._rough(right)
        size = now = _products(right, z)
        b = [np.zeros_like(r) for r in right]
        left, step, moved = right, z, self._times(z, right)
        for _ in range(MOST_STEPS):
            alpha = now / np.maximum(_products(step, moved), np.finfo(float).tiny)
            b = [x + alpha * s for x, s in zip(b, step, strict=True)]
            left = [x - alpha * m for x, m in zip(left, moved, strict=True)]
            z = self._rough(left)
            before, now = now, _products(left, z)
            if (now <= ACCURACY**2 * size).all():
                return b
            beta = now / np.maximum(before, np.finfo(float).tiny)
            along = self._times(z, left)
            step = [x + beta * s for x, s in zip(z, step, strict=True)]
            moved = [x + beta * m for x, m in zip(along, moved, strict=True)]
        raise np.linalg.LinAlgError("conjugate gradients did not end")

    def _times(self, z: list[FloatArray], of_reference: list[FloatArray]) -> list[FloatArray]:
        """M z, given M_0 z."""
        parts = zip(z, of_reference, self.beyond, strict=True)
        return [known + np.einsum("sab,ujbs->ujas", Q, x) for x, known, Q in parts]

    def _rough(self, right: list[FloatArray]) -> list[FloatArray]:
        """M_0^-1 of right sides."""
        lifted = [transpose_times(R, r) for R, r in zip(self.reference, right, strict=True)]
        solved = self.factor.back_solve(self.factor.half_solve(lifted))
        return [times(R, u) for R, u in zip(self.reference, solved, strict=True)]


def _products(left: list[FloatArray], right: list[FloatArray]) -> FloatArray:
    """Inner products of the columns, (S,)."""
    return np.asarray(
        sum(np.einsum("ujqs,ujqs->s", a, b) for a, b in zip(left, right, strict=True))
    )
