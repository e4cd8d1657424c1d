"""Random effects drawn from their Gaussian conditional, given draws of everything else.

With Lambda = C / sigma, L L' = Lambda'Z'WZ Lambda + I and r = y - X beta,

    u | y, beta, sigma, C ~ N((L L')^-1 Lambda'Z'W r, sigma^2 (L L')^-1),    b = Lambda u,

so L'u = L^-1 Lambda'Z'W r + sigma N(0, I). Works on cross-products; all draws of a batch at once.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hierbayes.gaussian.marginal import Kernel, times, transpose_times

FloatArray = npt.NDArray[np.float64]

AT_ONCE = 2**22  # random effects worked on together: 32 MB a copy


def draw_effects(
    kernel: Kernel,
    *,
    beta: FloatArray,
    sigma: FloatArray | None,
    roots: Sequence[FloatArray],
    rng: np.random.Generator,
) -> list[FloatArray]:
    """Draw b for each of S draws of the other parameters.

    Parameters
    ----------
    kernel : Kernel
    beta : array, shape (S, p), user's scale
    sigma : array, shape (S,); None where the residual sds are known
    roots : per factor, array (S, q, q), square roots of its covariance
    rng : Generator

    Returns
    -------
    list of arrays, per factor (S, J, q), on the user's scale
    """
    S = beta.shape[0]
    sigma = np.ones(S) if sigma is None else sigma
    n_effects = sum(A.shape[0] * A.shape[1] for A in kernel.products.zz)
    step = max(1, AT_ONCE // max(n_effects, 1))
    parts = [
        _draw(kernel, beta[at], sigma[at], [root[at] for root in roots], rng)
        for at in (slice(start, start + step) for start in range(0, S, step))
    ]
    return [np.concatenate(blocks) for blocks in zip(*parts, strict=True)]


def _draw(
    kernel: Kernel,
    beta: FloatArray,
    sigma: FloatArray,
    roots: Sequence[FloatArray],
    rng: np.random.Generator,
) -> list[FloatArray]:
    anchor = kernel.products.anchor
    centred = np.linalg.solve(anchor.x_basis, (beta - anchor.beta0).T).T
    Lambdas = [
        np.linalg.solve(basis, root) / sigma[:, None, None]
        for basis, root in zip(anchor.z_bases, roots, strict=True)
    ]
    factor = kernel.structure.factorise(Lambdas)
    right = []
    for Lambda, zxy in zip(Lambdas, kernel.zxy, strict=True):
        residual = zxy[..., -1] - np.einsum("tjap,sp->sja", zxy[..., :-1], centred)
        right.append(transpose_times(Lambda, residual[..., None]))
    noise = sigma[:, None, None, None]
    u = factor.back_solve(
        [half + noise * rng.standard_normal(half.shape) for half in factor.half_solve(right)]
    )
    return [
        np.asarray(times(Lambda, effects)[..., 0] @ basis.T)
        for Lambda, effects, basis in zip(Lambdas, u, anchor.z_bases, strict=True)
    ]
