"""The mode of draws: where their smoothed density is highest.

A Gaussian kernel density on a grid, reflected at the ends of the parameter's range, so that the
mode of an sd that may be zero can be zero.

Source: Silverman (1986), Density Estimation, sections 2.10 (reflection) and 3.4 (bandwidth).
"""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

GRID = 1024  # points between the smallest and the largest draw
NEAR = 10.0  # interquartile ranges from the middle within which the mode is looked for
REACH = 4.0  # bandwidths after which the kernel is taken as zero


def density_mode(x: FloatArray, *, lower: float = -np.inf, upper: float = np.inf) -> float:
    """Mode of draws x (S,) of a parameter that lies between ``lower`` and ``upper``."""
    low, high = float(x.min()), float(x.max())
    if low == high:
        return low
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
    density = padded + _mirrored(padded, centres, lower) + _mirrored(padded, centres, upper)
    density[(centres < lower) | (centres > upper)] = 0.0
    best = float(centres[np.argmax(density)])
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
