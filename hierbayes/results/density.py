"""The smoothed density of draws, and its mode.

A Gaussian kernel density on a grid, reflected at the ends of the parameter's range, so that the
mode of an sd that may be zero can be zero.

Source: Silverman (1986), Density Estimation, sections 2.10 (reflection) and 3.4 (bandwidth).
"""

import numpy as np

from hierbayes.arrays import FloatArray, record

GRID = 1024  # points between the smallest and the largest draw
NEAR = 10.0  # interquartile ranges from the middle within which the mode is looked for
REACH = 4.0  # bandwidths after which the kernel is taken as zero


@record(kw_only=False)
class Density:
    """A density on a regular grid: both arrays (G,), ``height`` per unit of ``x``."""

    x: FloatArray
    height: FloatArray


def density(x: FloatArray, *, lower: float = -np.inf, upper: float = np.inf) -> Density:
    """Density of draws x (S,) of a parameter that lies between ``lower`` and ``upper``.

    Far tails are cut off, so that they do not coarsen the grid. Draws that are all equal have no
    density: then the grid has that one point.
    """
    low, high = float(x.min()), float(x.max())
    if low == high:
        return Density(np.array([low]), np.array([np.inf]))
    quartiles = np.quantile(x, [0.25, 0.75])
    middle = float(quartiles[1] - quartiles[0])
    if middle > 0:  # a far tail must not coarsen the grid
        x = x[np.abs(x - quartiles.mean()) <= NEAR * middle]
        low = float(x.min())
    spread = min(float(x.std()), middle / 1.34) or float(x.std())
    width = 0.9 * spread * x.size**-0.2
    counts, edges = np.histogram(x, bins=GRID)
    step = float(edges[1] - edges[0])
    reach = max(1, int(np.ceil(REACH * width / step)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / width) ** 2)
    # density on cells from `reach` below the first one
    padded = np.asarray(np.convolve(counts, kernel), dtype=np.float64)
    centres = np.asarray(low + (np.arange(-reach, GRID + reach) + 0.5) * step, dtype=np.float64)
    height = padded + _mirrored(padded, centres, lower) + _mirrored(padded, centres, upper)
    inside = (centres >= lower) & (centres <= upper)
    centres, height = centres[inside], height[inside]
    return Density(centres, height / (height.sum() * step))


def density_mode(x: FloatArray, *, lower: float = -np.inf, upper: float = np.inf) -> float:
    """Mode of draws x (S,) of a parameter that lies between ``lower`` and ``upper``."""
    found = density(x, lower=lower, upper=upper)
    best = float(found.x[np.argmax(found.height)])
    if found.x.size == 1:
        return best
    step = float(found.x[1] - found.x[0])
    # the first cell at a bound is the bound: nothing lies between them
    for bound in (lower, upper):
        if abs(best - bound) <= step:
            return bound
    return best


def _mirrored(density: FloatArray, centres: FloatArray, bound: float) -> FloatArray:
    """Return the density mirrored at a bound, zero where there is none."""
    if not np.isfinite(bound):
        return np.zeros_like(density)
    return np.asarray(np.interp(2 * bound - centres, centres, density, left=0.0, right=0.0))
