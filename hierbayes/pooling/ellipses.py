"""Ellipses that hold a share of the levels in the plane of two terms.

On them (b - centre)' Sigma^-1 (b - centre) = -2 log(1 - share), the quantile of a chi-squared
distribution with two degrees of freedom.
"""

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.errors import OptionError

ANGLES = np.linspace(0.0, 2 * np.pi, 200)
CIRCLE = np.stack([np.cos(ANGLES), np.sin(ANGLES)])
NOTHING = 1e-12  # share of the variances added to a draw that lacks a direction


def ellipse(centre: FloatArray, Sigma: FloatArray, share: float) -> FloatArray:
    """Return points (2, m) of the ellipse that holds a share; a line where Sigma is singular."""
    sizes, axes = np.linalg.eigh(Sigma)
    root = axes * np.sqrt(np.maximum(sizes, 0.0))
    return np.asarray(centre[:, None] + _radius(share) * root @ CIRCLE)


def ellipse_band(
    centre: FloatArray, Sigmas: FloatArray, share: float, *, level: float
) -> tuple[FloatArray, FloatArray]:
    """Return the inner and outer rings (2, m) between which ellipses run in every direction.

    Parameters
    ----------
    centre : array, shape (2,)
    Sigmas : array, shape (D, 2, 2), drawn covariances
    share : of the levels in the ellipse
    level : of the equal-tailed credible interval of the radius in each direction
    """
    sds = np.sqrt(np.diagonal(Sigmas, axis1=1, axis2=2).mean(axis=0))
    directions = sds[:, None] * CIRCLE
    precisions = np.linalg.inv(Sigmas + NOTHING * np.diag(sds**2))
    size = np.einsum("am,dab,bm->dm", directions, precisions, directions, optimize=True)
    radius = _radius(share) / np.sqrt(size)
    ends = np.quantile(radius, [(1 - level) / 2, (1 + level) / 2], axis=0)
    inner, outer = (centre[:, None] + r * directions for r in ends)
    return inner, outer


def _radius(share: float) -> float:
    if not 0 < share < 1:
        raise OptionError(f"levels must lie between 0 and 1, for example 0.95; one is {share!r}.")
    return float(np.sqrt(-2 * np.log1p(-share)))
