"""Estimates of levels without shrinkage, from cross-products.

With beta at its estimate the rows of level j give c_j = Z_j'W(y_j - X_j beta), A_j = Z_j'WZ_j.

- Within group, A_j^-1 c_j: least squares on the rows of the level alone. It exists where A_j has
  full rank, and when X and Z hold the same columns it is what a separate regression gives.
- Unpenalised: the conditional mode when the variance of this factor grows without bound while
  other factors keep theirs. With one factor it is A_j^+ c_j, the same as within group where that
  exists; with more it has the other factors' effects taken out. In a direction that a level's rows
  say nothing of it stays at the population value; the metric is that of columns orthogonal over
  all rows, so units and origin of a column do not matter. Of related levels it is that of
  independent ones: what a level's own rows say, not its relatives'.

Everything here is in the basis of the products. Knows no formulas or data frames.

Source: Bates (2010), lme4: Mixed-effects modeling with R, section 3.2; the device of a large theta
is that of the shrinkage plots of MixedModelsMakie.
"""

from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.gaussian.levels_apart import without_relation
from hierbayes.gaussian.marginal import Kernel, reduce, responses_of

# Smallest eigenvalue of Z_j'WZ_j, its diagonal scaled to one, from which a level determines all its
# coefficients: products have squared condition numbers, so this is 1e-5 in the columns.
FULL_RANK = 1e-10
# Relative sd that stands for infinity. Its square is the share by which an estimate is still
# shrunk and, times the machine epsilon, the error in a direction nothing is known of: both 1e-8.
LARGE = 1e4
UNKNOWN = 0.5  # share of the variance left above which a direction is not determined by the data


@record
class LevelEstimates:
    """Estimates of the levels of one factor in the basis of the products.

    Attributes
    ----------
    effect : array, shape (J, q), deviations from the population
    covariance : array, shape (J, q, q), relative to sigma^2; of unknown directions zero
    unknown : array, shape (J, q, q), projector on the directions that are not determined
    """

    effect: FloatArray
    covariance: FloatArray
    unknown: FloatArray


def level_scores(kernel: Kernel, gamma: FloatArray) -> list[FloatArray]:
    """Z'W(y - X beta) per factor, arrays (J, q); gamma (p,) is beta in the basis of X."""
    pairs = zip(kernel.products.zx, kernel.products.zy, strict=True)
    return [zy - zx @ gamma for zx, zy in pairs]


def own_rows(A: FloatArray, score: FloatArray) -> LevelEstimates:
    """Least squares on the rows of each level alone, from A (J, q, q) and scores (J, q)."""
    scale = np.sqrt(np.diagonal(A, axis1=1, axis2=2))
    scale = np.where(scale > 0, scale, 1.0)
    sizes, axes = np.linalg.eigh(A / scale[:, :, None] / scale[:, None, :])
    if (sizes[:, 0] > FULL_RANK).all():
        inverse = _symmetric(axes / sizes[:, None, :], axes) / scale[:, :, None] / scale[:, None, :]
        unknown = np.zeros_like(A)
    else:  # the metric of the basis itself, where some direction has to be left alone
        sizes, axes = np.linalg.eigh(A)
        known = sizes > FULL_RANK * np.maximum(sizes[:, -1:], np.finfo(float).tiny)
        inverse = _symmetric(
            axes * np.where(known, 1 / np.where(known, sizes, 1), 0)[:, None], axes
        )
        unknown = _symmetric(axes * ~known[:, None], axes)
    effect = np.einsum("jab,jb->ja", inverse, score)
    return LevelEstimates(effect=effect, covariance=inverse, unknown=unknown)


def unpenalised(
    kernel: Kernel, Lambdas: Sequence[FloatArray], gamma: FloatArray, *, position: int
) -> LevelEstimates:
    """Estimates of the levels of one factor as its variance grows without bound.

    Parameters
    ----------
    kernel : Kernel
    Lambdas : per factor, array (1, q, q); those of the other factors are kept
    gamma : array, shape (p,), beta in the basis of X
    position : the factor
    """
    kernel = without_relation(kernel, position)
    products = kernel.products
    if len(products.zz) == 1:
        return own_rows(products.zz[0], level_scores(kernel, gamma)[0])
    q = products.zz[position].shape[1]
    wide = [*Lambdas]
    wide[position] = LARGE * np.eye(q)[None]
    reduced = reduce(kernel, wide, n_batch=1)
    assert reduced.factor is not None
    solved, _ = responses_of(kernel, wide, reduced)
    u = solved[position][0]
    effect = LARGE * (u[..., -1] - u[..., :-1] @ gamma)
    sizes, axes = np.linalg.eigh(reduced.factor.covariances()[position][0])
    left = sizes > UNKNOWN
    known = np.where(left, 0.0, sizes)
    return LevelEstimates(
        effect=effect,
        covariance=LARGE**2 * _symmetric(axes * known[:, None], axes),
        unknown=_symmetric(axes * left[:, None], axes),
    )


def _symmetric(left: FloatArray, axes: FloatArray) -> FloatArray:
    """Left times the transpose of the axes, stacks (J, q, q)."""
    return np.asarray(left @ np.swapaxes(axes, 1, 2))
