"""What is known of a column of the data whose rows were not kept: its levels, or mean and range."""

from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.design.moments import Moments, moments_of
from hierbayes.design.not_kept import not_kept
from hierbayes.design.values import Factor, Logical, Vector, as_numbers

AT_ENDS = 1e-9  # of a variance: rounding of one whose values are all at the ends is less
MORE_THAN_TWO = 3  # distinct values that are kept: one more than make a number two groups


@record
class ColumnSeen:
    """A column in the rows used.

    Attributes
    ----------
    name : of the column
    moments : of numbers; None of categories
    few : its first distinct values, sorted, at most three
    value : of categories, a Factor or Logical with one row a level
    """

    name: str
    moments: Moments | None = None
    few: FloatArray
    value: Vector | None = None

    def __add__(self, other: "ColumnSeen") -> "ColumnSeen":
        """Return what is known of the rows of both."""
        if self.moments is None or other.moments is None:
            return self
        few = np.unique(np.concatenate([self.few, other.few]))[:MORE_THAN_TWO]
        return replace(self, moments=self.moments + other.moments, few=few)

    def vector(self) -> Vector:
        """Return a column that has these levels, or says that its numbers are not kept."""
        if self.value is not None:
            return self.value
        assert self.moments is not None
        column: Vector = not_kept(f"the column {self.name!r}", self.moments.n)
        return column


def number_seen(name: str, moments: Moments) -> ColumnSeen:
    """Return what moments say of a number: where all values are at its ends, these are all.

    That is so where its variance is the largest that its mean and ends allow (Bhatia & Davis, 2000,
    Am. Math. Monthly 107:353); where it isn't, the mean stands for values between.
    """
    mean, low, high = (float(own[0]) for own in (moments.mean, moments.low, moments.high))
    most = (mean - low) * (high - mean) * moments.n
    between = moments.squares[0] < most * (1 - AT_ENDS)
    few = np.unique([low, mean, high] if between else [low, high])
    return ColumnSeen(name=name, moments=moments, few=few)


def column_seen(name: str, column: Vector) -> ColumnSeen:
    """Return what is known of a column of some rows."""
    if isinstance(column, Factor | Logical):
        value = Logical(np.array([0.0, 1.0])) if isinstance(column, Logical) else None
        return ColumnSeen(name=name, few=np.empty(0), value=value)
    numbers = as_numbers(column)
    moments = moments_of(numbers[:, None])
    low, high = float(moments.low[0]), float(moments.high[0])
    between = numbers[(numbers > low) & (numbers < high)][:1]
    few = np.unique(np.concatenate([[low, high], between]))
    return ColumnSeen(name=name, moments=moments, few=few)
