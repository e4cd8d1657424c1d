"""Means and spreads of columns, from their rows or added up over parts of them.

Sums of squares are about the mean of their own part, so that nothing cancels when parts are added
(Chan's rule). A design made from a stream has these in the place of its rows.

Source: Chan, Golub & LeVeque (1983), Am. Stat. 37(3):242.
"""

import numpy as np

from hierbayes.arrays import FloatArray, record


@record(kw_only=False)
class Moments:
    """Of m columns over n rows.

    Attributes
    ----------
    n : number of rows
    mean : array, shape (m,)
    squares : array, shape (m,), sum of squares about the mean
    low, high : arrays, shape (m,), the smallest and largest value
    """

    n: int
    mean: FloatArray
    squares: FloatArray
    low: FloatArray
    high: FloatArray

    def __add__(self, other: "Moments") -> "Moments":
        """Moments of the rows of both."""
        if not (self.n and other.n):
            return self if self.n else other
        n = self.n + other.n
        step = other.mean - self.mean
        return Moments(
            n,
            self.mean + step * (other.n / n),
            self.squares + other.squares + step**2 * (self.n * other.n / n),
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )

    @property
    def sd(self) -> FloatArray:
        """Sample sds, shape (m,), 0 of one row."""
        return np.sqrt(self.squares / max(self.n - 1, 1))

    @property
    def rms(self) -> FloatArray:
        """Root mean squares, shape (m,)."""
        return np.sqrt(self.squares / max(self.n, 1) + self.mean**2)

    def take(self, columns: slice) -> "Moments":
        """Return those of some columns."""
        of = (self.mean, self.squares, self.low, self.high)
        return Moments(self.n, *(own[columns] for own in of))


def moments_of(columns: FloatArray) -> Moments:
    """Moments of columns (n, m)."""
    n, m = columns.shape
    if not n:
        return Moments(0, np.zeros(m), np.zeros(m), np.full(m, np.inf), np.full(m, -np.inf))
    mean, squares = np.empty(m), np.empty(m)
    low, high = np.empty(m), np.empty(m)
    for k, column in enumerate(columns.T):
        mean[k] = column.mean()
        rest = column - mean[k]
        squares[k] = rest @ rest
        low[k], high[k] = column.min(), column.max()
    return Moments(n, mean, squares, low, high)


@record
class RowMoments:
    """Moments of all columns of a design over the rows used.

    Attributes
    ----------
    response : of y
    left : of y without its offset
    X : of the p columns of the fixed part
    z : per grouping factor, of its q columns
    offset : None when there is none
    """

    response: Moments
    left: Moments
    X: Moments
    z: tuple[Moments, ...]
    offset: Moments | None = None
