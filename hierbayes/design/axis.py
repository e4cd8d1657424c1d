"""A column of the data along an axis: numbers where they are, categories at 0, 1, ..."""

from typing import Any

import numpy as np
import numpy.typing as npt

from hierbayes.arrays import FloatArray, record
from hierbayes.design.values import Factor, Logical, Vector, as_factor, as_numbers


@record
class Axis:
    """Where rows stand along an axis, and what stands there in the data.

    Attributes
    ----------
    at : array, shape (n,), place of each row
    labels : of the places 0, 1, ...; None where the places are the numbers themselves
    values : array, what the data hold at these places; None with ``labels``
    """

    at: FloatArray
    labels: tuple[str, ...] | None = None
    values: npt.NDArray[Any] | None = None

    def grid(self, points: int) -> FloatArray:
        """Every category, or so many places from the smallest number to the largest."""
        if self.labels is not None:
            return np.arange(len(self.labels), dtype=np.float64)
        return np.linspace(self.at.min(), self.at.max(), points)

    def data(self, at: FloatArray) -> npt.NDArray[Any]:
        """Return what the data hold at places of the axis."""
        return at if self.values is None else self.values[at.astype(np.intp)]


def axis_of(value: Vector, *, coded: bool) -> Axis:
    """Return a column as an axis.

    Parameters
    ----------
    value : of the column, without missing ones
    coded : a number stands for categories, as in ``factor(x)``: nothing is between its values
    """
    if not isinstance(value, Factor | Logical) and not coded:
        return Axis(at=as_numbers(value))
    factor = as_factor(value)
    used, codes = np.unique(factor.codes, return_inverse=True)
    values = factor.levels[used]
    if isinstance(value, Logical):
        values = np.unique(value.values).astype(bool)
    elif not isinstance(value, Factor):
        values = value[np.unique(codes, return_index=True)[1]]
    labels = tuple(str(label) for label in factor.levels[used])
    return Axis(at=codes.astype(np.float64), labels=labels, values=values)
