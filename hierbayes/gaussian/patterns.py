"""The random effects of one factor integrated out over patterns of levels.

Levels with the same Z_j'WZ_j = A share a factor. With c_j = Z_j'W[X y] and
M = Lambda (Lambda'A Lambda + I)^-1 Lambda', what level j takes off the Gram matrix is c_j'M c_j,
which is linear in the outer product of c_j with itself; so the outer products of the levels of a
pattern can be summed once, and an evaluation costs as much as there are patterns, not levels. Where
each level has the same rows (a balanced experiment) there is one pattern; with a random intercept
alone there are as many as there are level sizes.
"""

from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.gaussian.marginal import Kernel
from hierbayes.linalg.stacked import (
    UNROLLED,
    cholesky_stack,
    gram_stack,
    sandwich,
    solve_lower_stack,
    solve_upper_stack,
)

SAME = 1e-12  # of the largest entry: blocks that differ by less differ by rounding alone


@record
class Patterns:
    """Levels of one factor grouped by their block of Z'WZ.

    Attributes
    ----------
    blocks : array, shape (G, q, q), A of each pattern
    index : array, shape (J,), the pattern of each level
    counts : array, shape (G,), how many levels have it
    sums : array, shape (G q q, c c) with c = p + 1, the summed outer products of Z_j'W[X y]
    """

    blocks: FloatArray
    index: IntArray
    counts: FloatArray
    sums: FloatArray


@record
class Integrated:
    """Log det of Lambda'Z'WZ Lambda + I, shape (T,), and [X y]'V^-1[X y], (T, p + 1, p + 1)."""

    log_det: FloatArray
    gram_xy: FloatArray


def patterns_of(kernel: Kernel) -> Patterns | None:
    """Group the levels; None without one factor, or where too few levels share a block."""
    if len(kernel.products.zz) != 1 or kernel.responses is not None:
        return None
    if kernel.pattern.name != "nested":
        return None
    if kernel.remainder is not None:  # sums of squares of levels have lost what is left of them
        return None
    A, zxy = kernel.products.zz[0], kernel.zxy[0][0]
    J, q = A.shape[:2]
    c = zxy.shape[2]
    whole = np.round(A.reshape(J, q * q) / (SAME * max(float(np.abs(A).max()), 1e-300)))
    _, first, pattern, counts = np.unique(
        whole, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    G = counts.size
    if G * q * c > J:  # the sums of a pattern are q c times what a level holds
        return None
    order = np.argsort(pattern, axis=None, kind="stable")
    members = np.split(zxy.reshape(J, q * c)[order], np.cumsum(counts)[:-1])
    sums = np.stack([rows.T @ rows for rows in members]).reshape(G, q, c, q, c)
    return Patterns(
        blocks=A[first],
        index=pattern.ravel(),
        counts=counts.astype(np.float64),
        sums=np.ascontiguousarray(sums.transpose(0, 1, 3, 2, 4)).reshape(G * q * q, c * c),
    )


def integrate(kernel: Kernel, patterns: Patterns, Lambda: FloatArray) -> Integrated:
    """Integrate the random effects out at a batch of Lambda (T, q, q), any square root."""
    T = Lambda.shape[0]
    L = factors(patterns, Lambda)
    log_det = 2.0 * np.log(np.diagonal(L, axis1=-2, axis2=-1)).sum(axis=-1) @ patterns.counts
    half = solve_lower_stack(L, np.swapaxes(Lambda, 1, 2)[:, None])
    gram_xy = kernel.gram_xy
    taken = (gram_stack(half).reshape(T, -1) @ patterns.sums).reshape(T, *gram_xy.shape[1:])
    return Integrated(log_det=log_det, gram_xy=gram_xy - taken)


def factors(patterns: Patterns, Lambda: FloatArray) -> FloatArray:
    """Cholesky factors of Lambda'A Lambda + I of each pattern, shape (T, G, q, q)."""
    T, q = Lambda.shape[:2]
    if q > UNROLLED:
        return cholesky_stack(sandwich(patterns.blocks, Lambda, Lambda) + np.eye(q))
    A = patterns.blocks
    S = np.empty((T, A.shape[0], q, q))
    for c in range(q):
        for d in range(c + 1):
            entry: FloatArray | float = 1.0 if c == d else 0.0
            for a in range(q):
                for b in range(q):
                    entry = entry + np.multiply.outer(Lambda[:, a, c] * Lambda[:, b, d], A[:, a, b])
            S[..., c, d] = S[..., d, c] = entry
    return cholesky_stack(S)


class PatternFactor:
    """L L' = Lambda'Z'WZ Lambda + I of one factor: ``half_solve`` and ``back_solve`` of it."""

    def __init__(self, patterns: Patterns, Lambda: FloatArray) -> None:
        L = factors(patterns, Lambda)
        self.L = L if L.shape[1] == 1 else L[:, patterns.index]

    def half_solve(self, right: Sequence[FloatArray]) -> list[FloatArray]:
        """L^-1 of one right side (T, J, q, c)."""
        return [solve_lower_stack(self.L, right[0])]

    def back_solve(self, half: Sequence[FloatArray]) -> list[FloatArray]:
        """L'^-1 of the result of ``half_solve``."""
        return [solve_upper_stack(self.L, half[0])]
