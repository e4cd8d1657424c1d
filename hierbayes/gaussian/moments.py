"""Variances by moments: where searches for a likelihood's or a posterior's maximum start.

With c_j = z_j'y and A_j = z_j'z_j for level j, c_j c_j' has mean sigma^2 A_j + A_j Sigma A_j, and
sigma^2 is what a fit of every level on its own leaves over. Under REML the columns of X that lie
between levels take their part of the levels' degrees of freedom. For one balanced factor this is
the optimum itself.
"""

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.gaussian.covariance import lower_triangle
from hierbayes.gaussian.marginal import Kernel
from hierbayes.linalg.stacked import cholesky

START_RANGE = (0.01, 100.0)  # of the variances the search starts from, in residual variances
SMALLEST_START = 1e-4  # residual variance to start from, as part of the total


@record(kw_only=False)
class Moments:
    """Relative covariances by moments, as roots (q, q) per factor, and the residual sd.

    In the basis of the products; between terms the roots are zero.
    """

    roots: list[FloatArray]
    sigma: float


def moment_start(kernel: Kernel) -> FloatArray:
    """Theta (k,) to start from, in the basis of the products."""
    return np.asarray(kernel.basis_shape.pack([root[None] for root in moments(kernel).roots])[0])


def moments(kernel: Kernel) -> Moments:
    """Covariances by moments, each factor as if it were the only one."""
    products, shape = kernel.products, kernel.basis_shape
    total = products.yy / products.n_obs
    sigma2 = 1.0 if kernel.sigma_known else total
    far = products.remainder
    excess = []
    for A, c, explained in zip(products.zz, products.zy, products.explained_alone, strict=True):
        J, q = A.shape[:2]
        squares = explained.diagonal()
        between = float(squares[:-1].sum()) / products.n_obs  # columns of X between levels
        left = products.n_obs - J * q
        lost = 0.0
        if kernel.method == "reml":
            left -= products.xy.size - round(between)
            lost = between / q
        if left > 0 and not kernel.sigma_known:
            sigma2 = min(sigma2, (products.yy - float(squares[-1])) / left)
        diagonal = A.diagonal(axis1=1, axis2=2)
        scale = diagonal.T @ diagonal
        excess.append((c.T @ c * (J / max(J - lost, 1.0)), A.sum(axis=0), scale))
    sigma2 = max(sigma2, SMALLEST_START * total)
    least, most = START_RANGE
    if far is not None:
        most = np.inf
        if not kernel.sigma_known:
            sigma2 = float(far.rr[0, -1, -1]) / residual_df(kernel)
    roots = [np.zeros((q, q)) for q in shape.sizes]
    for factor, at in shape.blocks:
        is_whole = at[1].size == shape.sizes[factor]
        squares, sums, scale = excess[factor] if is_whole else (x[at] for x in excess[factor])
        met = scale > 0  # columns that never meet in a level say nothing of their covariance
        relative = np.divide(squares / sigma2 - sums, scale, where=met, out=np.zeros_like(scale))
        root = _root_between(relative, least, most)
        if is_whole:
            roots[factor] = root
        else:
            roots[factor][at] = root
    return Moments(roots, float(np.sqrt(sigma2)))


def _root_between(covariance: FloatArray, least: float, most: float) -> FloatArray:
    """Triangle (q, q) of a covariance with its eigenvalues moved between two bounds.

    The smallest is at least |det| over the largest, or the trace, to the q - 1: mostly none moves.
    """
    trace = float(covariance.trace())
    if 0 < trace <= most:
        try:
            root = cholesky(covariance)
        except np.linalg.LinAlgError:
            root = np.zeros_like(covariance)
        if float(root.diagonal().prod()) ** 2 >= least * trace ** (root.shape[0] - 1):
            return root
    size, axes = np.linalg.eigh(covariance)
    return lower_triangle(axes * np.sqrt(np.minimum(np.maximum(size, least), most)))


def residual_df(kernel: Kernel) -> int:
    """Rows beyond what X and all levels fit, one at least: the divisor of what these leave."""
    products = kernel.products
    n_effects = sum(A.shape[0] * A.shape[1] for A in products.zz)
    return max(products.n_obs - n_effects - products.xy.size, 1)
