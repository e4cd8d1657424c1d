"""Random effects drawn from their Gaussian conditional, given draws of everything else.

With Lambda = C / sigma, L L' = Lambda'Z'WZ Lambda + I and r = y - X beta,

    u | y, beta, sigma, C ~ N((L L')^-1 Lambda'Z'W r, sigma^2 (L L')^-1),    b = Lambda u,

so L'u = L^-1 Lambda'Z'W r + sigma N(0, I). Works on cross-products; all draws of a batch at once.
"""

from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.gaussian.marginal import Kernel, times, transpose_times
from hierbayes.gaussian.patterns import PatternFactor, Patterns

AT_ONCE = 2**15  # random effects worked on together: what stays in a processor's cache


def draw_effects(
    kernel: Kernel,
    *,
    beta: FloatArray,
    sigma: FloatArray | None,
    roots: Sequence[FloatArray],
    rng: np.random.Generator,
    patterns: Patterns | None = None,
) -> list[FloatArray]:
    """Draw b for each of S draws of the other parameters.

    Parameters
    ----------
    kernel : Kernel
    beta : array, shape (S, p), user's scale
    sigma : array, shape (S,); None where the residual sds are known
    roots : per factor, array (S, q, q), square roots of its covariance
    rng : Generator
    patterns : those of the levels where they are known, for speed

    Returns
    -------
    list of arrays, per factor (S, J, q), on the user's scale
    """
    S = beta.shape[0]
    sigma = np.ones(S) if sigma is None else sigma
    n_effects = sum(A.shape[0] * A.shape[1] for A in kernel.products.zz)
    if kernel.pattern.name == "related":  # matrices between them stay there
        n_effects = kernel.pattern.n_numbers
    step = max(1, AT_ONCE // max(n_effects, 1))
    parts = [
        _draw(kernel, beta[at], sigma[at], [root[at] for root in roots], rng, patterns)
        for at in (slice(start, start + step) for start in range(0, S, step))
    ]
    return [b[0] if len(b) == 1 else np.concatenate(b) for b in zip(*parts, strict=True)]


def _draw(
    kernel: Kernel,
    beta: FloatArray,
    sigma: FloatArray,
    roots: Sequence[FloatArray],
    rng: np.random.Generator,
    patterns: Patterns | None,
) -> list[FloatArray]:
    anchor = kernel.products.anchor
    S = beta.shape[0]
    centred = (beta - anchor.beta0) @ np.linalg.inv(anchor.x_basis).T
    weights = np.concatenate([-centred, np.ones((S, 1))], axis=1)
    Lambdas = [
        np.linalg.inv(basis) @ root / sigma[:, None, None]
        for basis, root in zip(anchor.z_bases, roots, strict=True)
    ]
    factor = (
        kernel.blocks.factorise(Lambdas)
        if patterns is None
        else PatternFactor(patterns, Lambdas[0])
    )
    right = []
    for Lambda, zxy in zip(Lambdas, kernel.zxy, strict=True):
        _, J, q, c = zxy.shape
        residual = (weights @ zxy.reshape(J * q, c).T).reshape(S, J, q, 1)
        right.append(transpose_times(Lambda, residual))
    half = factor.half_solve(right)
    for part in half:
        part += sigma[:, None, None, None] * rng.standard_normal(part.shape)
    return [
        np.asarray(times(Lambda, u)[..., 0] @ basis.T)
        for Lambda, u, basis in zip(Lambdas, factor.back_solve(half), anchor.z_bases, strict=True)
    ]
