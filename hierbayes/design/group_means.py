"""Means of a number in groups of rows: ``ave(x, g)``, learnt with the fitted data.

Values that are missing take no part, as in ``scale``; R's ``ave`` makes the whole group missing.
"""

from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.design.values import Combinations


def learn_means(
    x: FloatArray, groups: Combinations, counts: IntArray | None = None
) -> dict[str, Any]:
    """Return the mean of every group by the labels of its parts, NaN without any value.

    Parameters
    ----------
    x : array, shape (n,), NaN where missing
    groups : the group of each row
    counts : array, shape (n,), how many rows of the data each is; None of one
    """
    known = np.isfinite(x) & (groups.codes >= 0)
    codes, values = groups.codes[known], x[known]
    size = groups.parts[0].size
    times = np.ones(values.size) if counts is None else counts[known].astype(np.float64)
    total = np.bincount(codes, weights=times, minlength=size)
    with np.errstate(invalid="ignore"):
        means = np.bincount(codes, weights=times * values, minlength=size) / total
        # Once more on what is left: the first sum rounds where the mean is large.
        left = times * (values - means[codes])
        means += np.bincount(codes, weights=left, minlength=size) / total
    return {"means": dict(zip(groups.pairs(), means.tolist(), strict=True))}
