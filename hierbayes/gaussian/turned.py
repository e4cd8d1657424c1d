"""The same products in turned columns of the random-effects terms.

A covariance on the boundary has a triangle with a zero on its diagonal, and where that zero comes
before the last column, the entries below it can be rotated into later columns without any change:
a curved valley along which a search creeps. In the axes of the covariance itself the zeros come
last and no valley is left.
"""

from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.gaussian.covariance import CovarianceShape
from hierbayes.gaussian.marginal import gram
from hierbayes.gaussian.products import Products, multiply
from hierbayes.gaussian.remainder import Remainder


def principal_axes(
    shape: CovarianceShape, theta: FloatArray
) -> tuple[list[FloatArray], FloatArray]:
    """Axes of the covariance of each term, per factor (q, q), and theta (k,) in those axes.

    Terms with a structure keep their columns.
    """
    roots = shape.unpack(theta[None])
    axes = [np.eye(q) for q in shape.sizes]
    for factor, at in shape.triangles:
        found, size, _ = np.linalg.svd(roots[factor][0][at])
        axes[factor][at] = found
        roots[factor][0][at] = np.diag(size)
    turned_theta = shape.packed_triangles(roots)[0]
    for _, _, part in shape.structured:
        turned_theta[part] = theta[part]
    return axes, turned_theta


def turned(products: Products, axes: list[FloatArray]) -> Products:
    """Products with the columns z of each factor replaced by z @ axes, with orthonormal axes."""
    anchor = replace(
        products.anchor,
        z_bases=tuple(b @ a for b, a in zip(products.anchor.z_bases, axes, strict=True)),
    )
    return replace(
        products,
        anchor=anchor,
        zz=tuple(a.T @ A @ a for A, a in zip(products.zz, axes, strict=True)),
        zx=tuple(a.T @ A for A, a in zip(products.zx, axes, strict=True)),
        zy=tuple(A @ a for A, a in zip(products.zy, axes, strict=True)),
        couplings={
            (f, g): replace(c, blocks=axes[f].T @ c.blocks @ axes[g])
            for (f, g), c in products.couplings.items()
        },
        remainder=_turned_remainder(products, axes),
    )


def _turned_remainder(products: Products, axes: list[FloatArray]) -> Remainder | None:
    """Return the remainder in turned columns; what left-out columns took off is put back."""
    old = products.remainder
    if old is None:
        return None
    outside = [B - a @ (a.T @ B) for B, a in zip(old.levels, axes, strict=True)]
    rr, zr = old.rr, list(old.zr)
    if any(a.shape[0] > a.shape[1] for a in axes):
        spread = multiply(products, outside)
        cross = gram(outside, zr)
        rr = rr + cross + np.swapaxes(cross, 1, 2) + gram(outside, spread)
        zr = [z + s for z, s in zip(zr, spread, strict=True)]
    return Remainder(
        levels=tuple(a.T @ B for B, a in zip(old.levels, axes, strict=True)),
        zr=tuple(a.T @ z for z, a in zip(zr, axes, strict=True)),
        rr=rr,
    )
