"""Sums over pairs of columns that meet in a row: B'B of a sparse B, and what its gradient needs.

B has a row for each level of a factor and few columns in each; the r columns of other factors
number thousands, and nearly every two of them meet somewhere. So B'B is dense while B is not, and
is worked out row by row: what a row of B'B receives stays in the processor's cache. Its counterpart
reads a dense symmetric matrix row by row in the same order.

Entries of B come as ``values`` (m, q): those of q numbers a level that are summed over. Work is cut
into a fixed number of parts, so that no result depends on how many cores there are. Imports numba,
so import this module only where it is used.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
from numba import njit

from hierbayes.arrays import FloatArray, record
from hierbayes.linalg.threads import in_threads

Int32Array = npt.NDArray[np.int32]

PARTS = 4


@record
class Places:
    """Where a sparse matrix of m entries has them.

    Attributes
    ----------
    starts : array, shape (J + 1,), where each level's entries begin, sorted by level, then column
    columns : array, shape (m,), the column of each entry
    column_starts : array, shape (r + 1,), where each column's part of ``by_column`` begins
    by_column : array, shape (m,), the entries sorted by column, then level
    levels : array, shape (m,), the level of each entry
    """

    starts: Int32Array
    columns: Int32Array
    column_starts: Int32Array
    by_column: Int32Array
    levels: Int32Array

    @property
    def parts(self) -> list[tuple[int, int]]:
        """Columns from and to, for parts of about the same work: a row counts as it is long."""
        r = self.column_starts.size - 1
        edges = np.round(r * np.sqrt(np.arange(PARTS + 1) / PARTS)).astype(int)
        return [(int(a), int(b)) for a, b in pairwise(edges)]


def places_of(
    levels: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], J: int, r: int
) -> Places:
    """Places of entries sorted by level, then column."""
    by_column = np.argsort(columns, kind="stable")
    return Places(
        starts=np.searchsorted(levels, np.arange(J + 1)).astype(np.int32),
        columns=columns.astype(np.int32),
        column_starts=np.searchsorted(columns[by_column], np.arange(r + 1)).astype(np.int32),
        by_column=by_column.astype(np.int32),
        levels=levels.astype(np.int32),
    )


def take_off_squares(places: Places, values: FloatArray, out: FloatArray) -> None:
    """Take B'B off the lower triangle of ``out`` (r, r)."""

    def work(part: tuple[int, int]) -> None:
        _take_off(
            places.starts, places.columns, places.column_starts, places.by_column, places.levels,
            values, out, *part,
        )  # fmt: skip

    in_threads(work, places.parts)


def times_at_entries(
    places: Places, values: FloatArray, upper: FloatArray, diagonal: FloatArray
) -> FloatArray:
    """Entries of B G at the places of B, shape (m, q), for a symmetric G.

    Parameters
    ----------
    places : Places
    values : array, shape (m, q), B
    upper : array, shape (r, r), G above the diagonal; what else it holds is not read
    diagonal : array, shape (r,)
    """
    sums = [np.zeros_like(values) for _ in range(PARTS)]

    def work(part: tuple[tuple[int, int], FloatArray]) -> None:
        _times(
            places.starts, places.columns, places.column_starts, places.by_column, places.levels,
            values, upper, diagonal, part[1], *part[0],
        )  # fmt: skip

    r = diagonal.size
    mirrored = [(r - last, r - first) for first, last in places.parts]  # here first rows are long
    in_threads(work, list(zip(mirrored, sums, strict=True)))
    for other in sums[1:]:
        sums[0] += other
    return sums[0]


@njit(cache=True, nogil=True)
def _take_off(
    starts: Int32Array,
    columns: Int32Array,
    column_starts: Int32Array,
    by_column: Int32Array,
    levels: Int32Array,
    values: FloatArray,
    out: FloatArray,
    first: int,
    last: int,
) -> None:
    q = values.shape[1]
    for j in range(first, last):
        row = out[j]
        for p in range(column_starts[j], column_starts[j + 1]):
            e = by_column[p]
            for d in range(starts[levels[e]], e + 1):  # columns up to j
                total = 0.0
                for a in range(q):
                    total += values[e, a] * values[d, a]
                row[columns[d]] -= total


@njit(cache=True, nogil=True)
def _times(
    starts: Int32Array,
    columns: Int32Array,
    column_starts: Int32Array,
    by_column: Int32Array,
    levels: Int32Array,
    values: FloatArray,
    upper: FloatArray,
    diagonal: FloatArray,
    out: FloatArray,
    first: int,
    last: int,
) -> None:
    q = values.shape[1]
    for j in range(first, last):
        row = upper[j]
        for p in range(column_starts[j], column_starts[j + 1]):
            e = by_column[p]
            for d in range(e + 1, starts[levels[e] + 1]):
                g = row[columns[d]]
                for a in range(q):
                    out[d, a] += values[e, a] * g
                    out[e, a] += values[d, a] * g
            for a in range(q):
                out[e, a] += values[e, a] * diagonal[j]
