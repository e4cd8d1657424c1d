"""Limits of a ratio of two estimates, by Fieller's theorem.

With an estimated numerator N and denominator D the ratio N / D = v is not rejected where

    (N - v D)^2 <= z^2 Var(N - v D),

a quadratic inequality in v. Where D differs from zero its solutions lie between two roots; where it
does not, they reach without end to one side at least, and all values are given.

Source: Fieller (1954), J. R. Stat. Soc. B 16:175.
"""

import numpy as np

from hierbayes.arrays import FloatArray


def fieller(
    top: FloatArray,
    bottom: FloatArray,
    *,
    var_top: FloatArray,
    var_bottom: FloatArray,
    covariance: FloatArray,
    z: float,
) -> tuple[FloatArray, FloatArray]:
    """Lower and upper limits of top / bottom, arrays (m,); infinite where there are none."""
    a = bottom**2 - z**2 * var_bottom
    b = top * bottom - z**2 * covariance
    c = top**2 - z**2 * var_top
    with np.errstate(invalid="ignore", divide="ignore"):
        half = np.sqrt(np.maximum(b**2 - a * c, 0.0))
        low, high = (b - half) / a, (b + half) / a
    bounded = a > 0
    unknown = np.isnan(a + b + c)
    lower = np.where(unknown, np.nan, np.where(bounded, low, -np.inf))
    upper = np.where(unknown, np.nan, np.where(bounded, high, np.inf))
    return lower, upper
