"""How many rows each level of a grouping factor has."""

import numpy as np

from hierbayes.arrays import IntArray
from hierbayes.design.design import Design


def rows_per_level(design: Design, position: int) -> IntArray:
    """Count the rows of each level of a grouping factor, shape (J,)."""
    factor = design.factors[position]
    if design.rows.sums is not None:
        return design.rows.sums.rows_per_level(factor.name)
    return np.bincount(factor.codes[factor.codes >= 0], minlength=factor.levels.size)
