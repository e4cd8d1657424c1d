"""From sums of products of centred columns, by levels and categories, to ``Products``.

In a cell (a level, or a pair of levels, and the categories k) the columns of the model in the
anchor's basis are Q(k)'E, with Q(k) the numbers that put back what was centred, times contrasts,
times the basis. So a block of cross-products is the sum over cells of Q(k)' S Q(k). The entries
of Q are of order one however large the means are, because the large ones cancel in it, and they
cancel in twice the working precision (``linalg/exact_products.py``).

Cells of categories alone also stand for their rows where a basis is chosen: the rows of a root R
of S have the cross-products of the rows themselves, so ``linalg/rank.py`` finds from R U c(k) what
it would find from X.
"""

from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.gaussian.products import Coupling
from hierbayes.linalg.exact_products import accurate_matmul, exact_product
from hierbayes.streams.push_down.basis import Basis
from hierbayes.streams.push_down.queries import Pair

CHUNK = 2**15  # cells mapped at a time: a few megabytes


@record
class Cells:
    """Sums of products by levels and categories.

    Attributes
    ----------
    combination : array of int, shape (cells,), which combination of categories
    pairs : the pairs of columns of E that were summed
    values : array, shape (pairs, cells), their sums
    size : number of columns of E
    """

    combination: IntArray
    pairs: tuple[Pair, ...]
    values: FloatArray
    size: int

    def over_levels(self, n_combinations: int) -> FloatArray:
        """Return the sums by categories alone, (combinations, m, m); 0 where none was asked."""
        sums = [np.bincount(self.combination, own, n_combinations) for own in self.values]
        return self._symmetric(np.array(sums))

    def matrices(self, own: slice) -> FloatArray:
        """Return the sums of some cells as matrices (cells, m, m)."""
        return self._symmetric(self.values[:, own])

    def _symmetric(self, values: FloatArray) -> FloatArray:
        found = np.zeros((values.shape[1], self.size, self.size))
        for (a, b), own in zip(self.pairs, values, strict=True):
            found[:, a, b] = found[:, b, a] = own
        return found


@record(kw_only=False)
class Mixed:
    """Columns of the model as mixtures of the summed columns E, by categories.

    Attributes
    ----------
    high, low : arrays, shape (combinations, m, columns): their sum is U times contrasts, exactly
    """

    high: FloatArray
    low: FloatArray

    def times(self, matrix: FloatArray) -> FloatArray:
        """Return the mixtures of other columns, these times ``matrix`` (columns, k)."""
        both = np.concatenate([self.high, self.low], axis=2)
        return accurate_matmul(both, np.concatenate([matrix, matrix]))

    def beside(self, other: "Mixed") -> "Mixed":
        """Return these columns and those of the other."""
        return Mixed(
            np.concatenate([self.high, other.high], axis=2),
            np.concatenate([self.low, other.low], axis=2),
        )


def mixed(basis: Basis, monomials: IntArray, contrasts: FloatArray) -> Mixed:
    """Return columns with these monomials and contrasts (combinations, columns)."""
    high, low = exact_product(basis.U[:, monomials][None], contrasts[:, None, :])
    return Mixed(high, low)


def response_in(basis: Basis, n_combinations: int) -> Mixed:
    """Return the response as a column, the same whatever the categories."""
    column = np.broadcast_to(basis.U[:, -1:], (n_combinations, basis.size, 1))
    return Mixed(column, np.zeros_like(column))


def stand_ins(sums: FloatArray, columns: FloatArray) -> FloatArray:
    """Return rows (r, c) whose cross-products are those of all rows.

    Parameters
    ----------
    sums : array, shape (combinations, m, m)
    columns : array, shape (combinations, m, c), mixtures of E
    """
    used = np.flatnonzero((columns != 0.0).any(axis=(0, 2)))  # other pairs need not be summed
    sums, columns = sums[:, used[:, None], used], columns[:, used]
    size = np.sqrt(np.maximum(np.diagonal(sums, axis1=1, axis2=2), 0.0))
    size = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(sums / size[:, :, None] / size[:, None, :])
    roots = np.sqrt(np.maximum(values, 0.0))[:, :, None] * np.swapaxes(vectors, 1, 2)
    rows = (roots * size[:, None, :]) @ columns
    return np.asarray(rows.reshape(-1, columns.shape[2]))


def block(
    cells: Cells, left: FloatArray, right: FloatArray, *, index: IntArray, n_places: int
) -> FloatArray:
    """Return the sum over the cells of each place of left' S right, shape (places, a, b).

    Parameters
    ----------
    cells : sums of products
    left, right : arrays, shape (combinations, m, a) and (combinations, m, b), mixtures of E
    index : array of int, shape (cells,), the place of each cell
    n_places : how many there are
    """
    out = np.zeros((n_places, left.shape[2], right.shape[2]))
    one_each = np.bincount(index, minlength=n_places).max(initial=0) <= 1
    for start in range(0, index.size, CHUNK):
        own = slice(start, start + CHUNK)
        at = cells.combination[own]
        found = np.swapaxes(left[at], 1, 2) @ cells.matrices(own) @ right[at]
        if one_each:
            out[index[own]] = found
        else:
            np.add.at(out, index[own], found)
    return out


def coupling_of(
    cells: Cells,
    left: FloatArray,
    right: FloatArray,
    *,
    levels: tuple[IntArray, IntArray],
    n_second: int,
) -> Coupling:
    """Return Z_f'W Z_g from cells whose levels of f and g these are; g has ``n_second``."""
    first, second = levels
    pairs, index = np.unique(first.astype(np.int64) * n_second + second, return_inverse=True)
    blocks = block(cells, left, right, index=index, n_places=pairs.size)
    return Coupling(rows=pairs // n_second, columns=pairs % n_second, blocks=blocks)


def distinct_rows(codes: Sequence[IntArray], n_rows: int) -> tuple[IntArray, IntArray]:
    """Return the first row of each combination of codes, and the combination of each row."""
    if not codes:
        return np.zeros(1, dtype=np.intp), np.zeros(n_rows, dtype=np.intp)
    keys = np.zeros(n_rows, dtype=np.int64)
    for own in codes:
        keys = keys * (int(own.max(initial=0)) + 1) + own
    _, first, index = np.unique(keys, return_index=True, return_inverse=True)
    return first.astype(np.intp), index.astype(np.intp)
