"""Cells: rows that are equal in everything, worked on once.

Rows of the same predictors, levels, offset, weights and response have the same density whatever
the parameters, so one of them with a count stands for all, exactly and for every family.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from hierbayes.arrays import FloatArray, IntArray

# More cells than this part of the rows save less than they cost.
MOST = 0.8


def equal_rows(columns: Iterable[npt.NDArray[Any]]) -> IntArray | None:
    """Give rows numbers by what they hold.

    Parameters
    ----------
    columns : arrays, shape (n,), those that differ most first

    Returns
    -------
    array, shape (n,), or None
        The same number for equal rows, counted from 0 in the order of the first column, then of
        the second ...; None where hardly any rows are equal.
    """
    found: IntArray | None = None
    for column in columns:
        values, own = np.unique(column, return_inverse=True)
        if found is None:
            found, size = own, values.size
        else:
            keys, found = np.unique(found.astype(np.int64) * values.size + own, return_inverse=True)
            size = keys.size
        if size > MOST * column.size:
            return None
    return found


def first_of_each(cell: IntArray) -> tuple[IntArray, FloatArray]:
    """Return one row of each cell, and how many rows it stands for, two arrays (cells,)."""
    _, first, counts = np.unique(cell, return_index=True, return_counts=True)
    return first, counts.astype(np.float64)
