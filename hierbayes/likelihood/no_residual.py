"""Fits whose residual sd runs to zero, where each row has an effect of its own.

A structure with sds of its own, ``toep(0 + day | subject)``, may explain rows one by one and still
be told from the residuals, by its correlations. Where the data want no residuals beside it the
criterion falls towards a finite limit as sigma goes to zero and all sds, in its units, grow. There
its squares lose their digits; but rows that the levels' own fits B reproduce exactly have nothing
left, R = 0, and ``gaussian/remainder.py`` gives the criterion from B alone.
"""

from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.gaussian.kernel import with_products
from hierbayes.gaussian.marginal import Kernel, evaluate
from hierbayes.gaussian.products import Products
from hierbayes.gaussian.remainder import Remainder

# Sds above this, in residual sds, lose four digits of the criterion to squares.
FAR_SDS = 50.0
STEP, MOST_STEPS = 10.0, 6
LEAST_FALL = 1e-9  # of a deviance, above its rounding
# Eigenvalues of Z_j'WZ_j, as parts of the largest, that are rounding.
NO_ROW = 1e-10


def beside_no_residual(kernel: Kernel, x: FloatArray) -> Kernel:
    """Return the kernel that keeps its digits where sds at x (k,) are far above sigma.

    The kernel itself where they are not, or where the levels of no factor reproduce every row.
    """
    shape = kernel.basis_shape
    if shape.is_plain or kernel.sigma_known or kernel.remainder is not None:
        return kernel
    far = any((x[part][own.is_scale] > FAR_SDS).any() for _, own, part in shape.structured)
    if not far or kernel.responses is not None or kernel.pattern.name == "related":
        return kernel
    remainder = _own_fits(kernel.products)
    if remainder is None:
        return kernel
    return with_products(kernel, replace(kernel.products, remainder=remainder))


def far_out(kernel: Kernel, x: FloatArray) -> FloatArray:
    """Return x (k,) with all sds further above sigma, while the criterion falls with it.

    What is left of its fall goes with the square of sigma, so few steps are enough.
    """
    shape = kernel.basis_shape
    value = float(evaluate(kernel, x[None]).criterion[0])
    for _ in range(MOST_STEPS):
        further = np.where(shape.is_angle, x, STEP * x)
        there = float(evaluate(kernel, further[None]).criterion[0])
        if not there < value - LEAST_FALL:
            break
        x, value = further, there
    return x


def _own_fits(products: Products) -> Remainder | None:
    """Return the fits of the levels of a factor that reproduce every row; None if there is none."""
    for f, (A, columns) in enumerate(zip(products.zz, products.zxy, strict=True)):
        sizes, axes = np.linalg.eigh(A)
        known = sizes > NO_ROW * sizes.max()
        if int(known.sum()) != products.n_obs:
            continue
        weights = np.where(known, 1 / np.where(known, sizes, 1.0), 0.0)
        own = axes @ (weights[:, :, None] * (np.swapaxes(axes, 1, 2) @ columns))
        nothing = [np.zeros((1, *other.shape)) for other in products.zxy]
        levels = [own[None] if g == f else zero for g, zero in enumerate(nothing)]
        c = columns.shape[2]
        return Remainder(levels=tuple(levels), zr=tuple(nothing), rr=np.zeros((1, c, c)))
    return None
