"""Joint covariance of fixed and random effects: the inverse of the mixed-model equations' matrix.

Of a REML or ML fit, at the estimates of theta, (beta-hat - beta, b-hat - b) has the covariance

    C_beta, beta = (X'V^-1X)^-1                     C_b, beta = -Lambda U_X C_beta, beta
    C_b, b       = sigma^2 Lambda (LL')^-1 Lambda' + Lambda U_X C_beta, beta U_X'Lambda'

with U_X = (LL')^-1 Lambda'Z'WX of ``gaussian/marginal.py``. Of a generalised fit W is the curvature
at the modes, and the block of beta that of ``vcov()``. Of a posterior it is the covariance of the
draws, in which the uncertainty of the variance parameters is as well.

Source: Henderson (1975), Biometrics 31:423.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.linalg import solve_triangular

from hierbayes.arrays import FloatArray
from hierbayes.capabilities import not_supported
from hierbayes.gaussian.marginal import modes, times
from hierbayes.prediction.generalised_predict import effects_root
from hierbayes.prediction.prediction_variance import inverse_columns
from hierbayes.results.fit import Fit
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.posterior_fit import PosteriorFit

MOST_EFFECTS = 3000  # fixed and random, of a dense matrix: 72 MB


def joint_covariance(fit: Fit) -> pd.DataFrame:
    """Return the covariance of the fixed effects and of the effects of every level.

    Raises
    ------
    NotSupportedError
        For too many effects, and for fits that the data do not determine.
    """
    names = [*fit.coef_names]
    for factor in fit.design.factors:
        labels = [str(level) for level in factor.levels]
        names += [f"{factor.name}[{level},{c}]" for level in labels for c in factor.columns]
    if len(names) > MOST_EFFECTS:
        raise not_supported("joint-covariance-size", effects=len(names), most=MOST_EFFECTS)
    if isinstance(fit, PosteriorFit):
        values = _of_draws(fit)
    elif isinstance(fit, LinearFit):
        values = _linear(fit)
    else:
        assert isinstance(fit, GeneralisedFit)
        values = _generalised(fit)
    return pd.DataFrame(values, index=names, columns=names)


def _of_draws(fit: PosteriorFit) -> FloatArray:
    S, draws = fit.n_draws, fit.draws
    parts = [draws.beta.reshape(S, -1)]
    parts += [draws.b[factor.name].reshape(S, -1) for factor in fit.design.factors]
    found = np.concatenate(parts, axis=1)
    centred = found - found.mean(axis=0)
    return np.asarray(centred.T @ centred / max(S - 1, 1))


def _linear(fit: LinearFit) -> FloatArray:
    if fit.kernel.undetermined is not None:
        raise not_supported("joint-covariance-undetermined", note=fit.undetermined_note)
    kernel, at = fit.kernel, fit.at
    p, anchor = fit.beta.size, kernel.products.anchor
    C = at.orthonormal[0, :p, :p]
    moved = [anchor.x_basis @ C]  # per effect a row: what its estimate moves with beta's
    own: FloatArray | float = 0.0
    if at.factor is not None:
        found = modes(kernel, at)
        for Lambda, u, basis in zip(at.Lambdas, found.u, anchor.z_bases, strict=True):
            shift = times(Lambda, u)[0, :, :, :p]
            moved.append(-(basis @ shift).reshape(-1, p))
        own = np.pad(_given_beta(fit), ((p, 0), (p, 0)))
    rows = np.concatenate(moved)
    return np.asarray(fit.sigma**2 * (rows @ rows.T + own))


def _given_beta(fit: LinearFit) -> FloatArray:
    """Lambda (LL')^-1 Lambda' on the scale of the effects, (Q, Q)."""
    kernel, at = fit.kernel, fit.at
    bases = kernel.products.anchor.z_bases
    roots = [basis @ Lambda[0] for basis, Lambda in zip(bases, at.Lambdas, strict=True)]
    parts = []
    for position, (factor, right) in enumerate(zip(fit.design.factors, roots, strict=True)):
        levels = np.arange(factor.levels.size)
        columns = inverse_columns(kernel, at, position=position, levels=levels)
        blocks = [
            left
            @ np.einsum("jalc,bc->jalb", block[0], right).reshape(
                block.shape[1], block.shape[2], -1
            )
            for left, block in zip(roots, columns, strict=True)
        ]
        parts.append(np.concatenate([b.reshape(-1, b.shape[2]) for b in blocks]))
    return np.concatenate(parts, axis=1)


def _generalised(fit: GeneralisedFit) -> FloatArray:
    p = fit.beta.size
    if not fit.design.factors:
        return fit.vcov_beta
    half, moved = effects_root(fit)  # of spherical effects
    root = _on_levels(fit.effect_roots, [factor.levels.size for factor in fit.design.factors])
    inner = root @ solve_triangular(half, np.eye(half.shape[0]), lower=True).T
    rows = np.concatenate([fit.fixed_root[:p], -(inner @ moved) @ fit.fixed_root])
    return np.asarray(rows @ rows.T + np.pad(inner @ inner.T, ((p, 0), (p, 0))))


def _on_levels(roots: Sequence[FloatArray], counts: Sequence[int]) -> FloatArray:
    """Lambda (Q, Q): each factor's root (q, q) once a level."""
    blocks = [np.kron(np.eye(J), root) for root, J in zip(roots, counts, strict=True)]
    size = sum(block.shape[0] for block in blocks)
    found, start = np.zeros((size, size)), 0
    for block in blocks:
        end = start + block.shape[0]
        found[start:end, start:end] = block
        start = end
    return found
