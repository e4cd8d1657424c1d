"""How much of a level's own deviation is kept: shrinkage matrices and reliabilities.

Given beta and the variances, b_j has the conditional covariance C_j = sigma^2 Lambda V_j Lambda'
with V_j the level's block of (Lambda'Z'WZ Lambda + I)^-1. The shrinkage matrix is

    S_j = I - C_j Sigma^-1,     Sigma = sigma^2 Lambda Lambda',

so that Var(b-hat_j) = S_j Sigma. With one factor it is Sigma (Sigma + sigma^2 (Z_j'WZ_j)^-1)^-1 =
Lambda V_j Lambda' Z_j'WZ_j, which needs no inverse, and b_j = S_j (A_j^-1 c_j). The reliability of
a term is the share of its variance that is revealed, 1 - C_j / Sigma on the diagonal: for a random
intercept tau^2 / (tau^2 + sigma^2 / n_j).

Of related levels (covariance A between them) C_j is the block of K of ``factor/related.py``, what
relatives tell of a level included, and Sigma of level j is A_jj times that of the others.

Everything here is batched over covariances and in the basis of the products.
"""

from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.gaussian.marginal import Kernel

# Smallest relative sd of a direction where S_j comes from differences: 1 - V_j is of the order of
# its square, so this keeps eight digits of it and moves S_j by 1e-8 at a covariance of lower rank.
SMALLEST = 1e-4


def matrices_at(
    kernel: Kernel, Lambdas: Sequence[FloatArray]
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return S_j and C_j / (sigma^2 A_jj) of every level, per factor (T, J, q, q).

    Parameters
    ----------
    kernel : Kernel
    Lambdas : per factor, array (T, q, q), any square roots of Var(b) / sigma^2
    """
    products, own = kernel.products, level_variances(kernel)
    if len(products.zz) == 1 and own[0] is None:
        Lambda, A = Lambdas[0][:, None], products.zz[0]
        V = kernel.blocks.factorise(Lambdas).covariances()[0]
        C = Lambda @ V @ np.swapaxes(Lambda, 2, 3)
        return [C @ A], [C]
    axes, sizes = [], []
    for Lambda in Lambdas:
        left, size, _ = np.linalg.svd(Lambda)
        axes.append(left)
        sizes.append(np.maximum(size, SMALLEST))
    roots = [left * size[:, None, :] for left, size in zip(axes, sizes, strict=True)]
    kept, left_over = [], []
    blocks = kernel.blocks.factorise(roots).covariances()
    for left, size, root, covariance, variances in zip(
        axes, sizes, roots, blocks, own, strict=True
    ):
        V = covariance if variances is None else covariance / variances[:, None, None]
        revealed = (np.eye(V.shape[-1]) - V) / size[:, None, None, :]
        kept.append(root[:, None] @ revealed @ np.swapaxes(left, 1, 2)[:, None])
        left_over.append(root[:, None] @ V @ np.swapaxes(root, 1, 2)[:, None])
    return kept, left_over


def level_variances(kernel: Kernel) -> list[FloatArray | None]:
    """A_jj of the levels of each factor, (J,); None where levels are independent."""
    relations = getattr(kernel.pattern, "relations", (None,) * len(kernel.products.zz))
    return [None if own is None else np.diagonal(own.matrix) for own in relations]


def reliabilities(C: FloatArray, Sigma: FloatArray) -> FloatArray:
    """Share of each term's variance that is revealed, (T, J, q); 0 where there is no variance.

    Parameters
    ----------
    C : array, shape (T, J, q, q), conditional covariances of the levels
    Sigma : array, shape (T, q, q), covariance of the population, in the same units
    """
    left = np.diagonal(C, axis1=2, axis2=3)
    total = np.diagonal(Sigma, axis1=1, axis2=2)[:, None]
    share = np.divide(left, total, out=np.ones_like(left), where=total > 0)
    return np.asarray(np.clip(1.0 - share, 0.0, 1.0))
