"""Means, spreads and quantiles of values that each stand for so many rows of the data."""

from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.design.moments import Moments


def mean_of(values: FloatArray, counts: IntArray | None) -> float:
    """Mean of values (n,), each of so many rows (n,), or of one."""
    return float(values.mean() if counts is None else np.average(values, weights=counts))


def quantiles_of(
    values: FloatArray, counts: IntArray | None, shares: Sequence[float] | FloatArray
) -> FloatArray:
    """``np.quantile`` of values (n,), each of so many rows (n,), or of one."""
    shares = np.asarray(shares, dtype=np.float64)
    if counts is None:
        return np.asarray(np.quantile(values, shares))
    order = np.argsort(values)
    values, after = values[order], np.cumsum(counts[order])  # rows up to and with each value
    place = shares * (after[-1] - 1)
    below = np.floor(place)
    low, high = (values[np.searchsorted(after, at, side="right")] for at in (below, np.ceil(place)))
    return np.asarray(low + (place - below) * (high - low))


def counted_moments(columns: FloatArray, counts: IntArray) -> Moments:
    """Moments of columns (n, m), over the rows of the data that each of n rows stands for."""
    n, m = int(counts.sum()), columns.shape[1]
    if not n:
        return Moments(0, np.zeros(m), np.zeros(m), np.full(m, np.inf), np.full(m, -np.inf))
    mean = counts @ columns / n
    squares = counts @ (columns - mean) ** 2
    return Moments(n, mean, squares, columns.min(axis=0), columns.max(axis=0))
