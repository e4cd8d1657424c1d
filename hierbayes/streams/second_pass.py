"""The second pass over a stream: cross-products added up batch by batch, in place.

All batches are summed in one provisional basis, chosen from a sample of the rows: no level's block
is made for a batch, only added to. When the last batch is in, the sums themselves say what the
basis of all rows is, which columns of X depend on earlier ones, and what the first fit is, and are
carried over to it (``kept_sums.py``). That costs digits only where the sample is no picture of the
whole: the first fit's squares then hide what is left of y. How many is known afterwards.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, Int64Array, record
from hierbayes.design.design import Design
from hierbayes.design.moments import Moments, RowMoments
from hierbayes.gaussian.products import Anchor, Coupling, Products
from hierbayes.linalg.rank import RANK_TOLERANCE
from hierbayes.streams.row_sums import (
    EMPTY,
    FULL,
    add_pairs,
    add_rows,
    column_sums,
    in_basis,
    move_pairs,
)
from hierbayes.streams.template import BatchRows

FEWEST_PLACES = 2**12  # of a table of pairs of levels
NO_WEIGHTS = np.empty(0)
CACHE = 2**17  # bytes of sums that stay near a core
SMALL_GRAM = 28  # numbers a level, of [X y], that are kept for what is asked of levels alone


@record
class Provisional:
    """The basis in which batches are summed.

    Attributes
    ----------
    basis : array, shape (p, p), upper triangular; the columns are X @ basis
    beta0 : array, shape (p,), taken off y
    z_bases : per factor, array (q, q)
    dependent : array of bool, shape (p,), columns that depend on earlier ones in the sample; they
        take part in no other column of the basis
    """

    basis: FloatArray
    beta0: FloatArray
    z_bases: tuple[FloatArray, ...]
    dependent: BoolArray


def provisional_basis(sample: Sequence[BatchRows], design: Design) -> Provisional:
    """Choose the basis from rows spread over the stream.

    Parameters
    ----------
    sample : rows in the columns of the design
    design : its terms
    """
    X = np.concatenate([rows.X for rows in sample])
    y = np.concatenate([rows.left for rows in sample])
    if sample[0].weights is not None:
        root = np.sqrt(np.concatenate([r.weights for r in sample if r.weights is not None]))
        X, y = X * root[:, None], y * root
    basis, dependent = _orthogonal(X)
    first = X @ basis
    size = np.where(dependent, 0.0, 1.0)
    beta0 = basis @ (size * (first.T @ y)) / X.shape[0]
    z_bases = []
    for f, factor in enumerate(design.factors):
        z = np.concatenate([rows.z[f] for rows in sample])
        own = np.zeros((len(factor.columns), len(factor.columns)))
        for term in design.terms:
            if term.factor == f:
                at = np.asarray(term.columns)
                own[at[:, None], at] = _orthogonal(z[:, at])[0]
        z_bases.append(own)
    return Provisional(basis=basis, beta0=beta0, z_bases=tuple(z_bases), dependent=dependent)


def _orthogonal(X: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Upper triangle T (p, p) with orthogonal X T of length sqrt(n), and dependent columns (p,).

    A dependent column is kept as what earlier columns leave of it, and joins no other.
    """
    n, p = X.shape
    T = np.zeros((p, p))
    dependent = np.zeros(p, dtype=np.bool_)
    done = np.empty((n, 0))
    for j in range(p):
        length = float(np.sqrt(X[:, j] @ X[:, j])) or 1.0
        left = X[:, j] / length
        own = np.zeros(p)
        own[j] = 1.0 / length
        for _ in range(2):  # one projection leaves its own rounding
            along = done.T @ left
            left = left - done @ along
            own -= T[:, :j][:, ~dependent[:j]] @ along
        size = float(np.sqrt(left @ left))
        if size > RANK_TOLERANCE:
            T[:, j] = own / size
            done = np.column_stack([done, left / size])
        else:
            dependent[j] = True
            T[:, j] = own
    return T * np.sqrt(n), dependent


class Pairs:
    """Z_f'WZ_g between two factors, for the pairs of levels that meet: a table that grows."""

    def __init__(self, q_f: int, q_g: int) -> None:
        self.keys: Int64Array = np.full(FEWEST_PLACES, EMPTY, dtype=np.int64)
        self.blocks: FloatArray = np.zeros((FEWEST_PLACES, q_f, q_g))
        self.taken: Int64Array = np.zeros(1, dtype=np.int64)

    def add(
        self,
        codes: tuple[Int64Array, Int64Array],
        z: tuple[FloatArray, FloatArray],
        weights: FloatArray,
        *,
        n_second: int,
    ) -> None:
        """Add rows: levels (n,) and columns (q, n) of both factors."""
        n, done = codes[0].size, 0
        while True:
            done = add_pairs(
                *codes, *z, weights, n_second, self.keys, self.blocks, self.taken, done
            )
            if done == n:
                return
            self._grow()

    def _grow(self) -> None:
        keys: Int64Array = np.full(2 * self.keys.size, EMPTY, dtype=np.int64)
        blocks = np.zeros((2 * self.keys.size, *self.blocks.shape[1:]))
        move_pairs(self.keys, self.blocks, keys, blocks)
        self.keys, self.blocks = keys, blocks

    def plus(self, other: "Pairs") -> None:
        """Add the pairs of another table."""
        keys = np.concatenate([self.keys, other.keys])
        distinct, index = np.unique(keys, return_inverse=True)
        blocks = np.zeros((distinct.size, *self.blocks.shape[1:]))
        np.add.at(blocks, index, np.concatenate([self.blocks, other.blocks]))
        held = distinct != EMPTY
        self.taken[0] = int(held.sum())
        size = FEWEST_PLACES
        while size * FULL <= self.taken[0]:
            size *= 2
        self.keys = np.full(size, EMPTY, dtype=np.int64)
        self.blocks = np.zeros((size, *blocks.shape[1:]))
        move_pairs(distinct[held], blocks[held], self.keys, self.blocks)

    def coupling(self, n_second: int) -> Coupling:
        """Return the blocks sorted by pair."""
        places = np.flatnonzero(self.keys != EMPTY)
        places = places[np.argsort(self.keys[places])]
        keys = self.keys[places]
        return Coupling(rows=keys // n_second, columns=keys % n_second, blocks=self.blocks[places])


class Sums:
    """Sums over the rows of batches, in a provisional basis.

    Parameters
    ----------
    design : of the stream; knows the sizes
    at : the basis
    shift : means of the columns in the sample, ``moment_columns`` in order, about which they are
        squared
    """

    def __init__(self, design: Design, at: Provisional, shift: FloatArray) -> None:
        self.at = at
        p = at.basis.shape[0]
        self.n_levels = [factor.levels.size for factor in design.factors]
        self.widths = [len(factor.columns) for factor in design.factors]
        places = [q * (q + 1) // 2 + q * (p + 1) for q in self.widths]
        sizes = [J * own for J, own in zip(self.n_levels, places, strict=True)]
        self._starts = np.cumsum([0, *sizes]).astype(np.int64)
        self._ends = np.cumsum(self.widths).astype(np.int64)
        self._z_basis = _block_diagonal(at.z_bases)
        every = sum(self.n_levels)
        self.counts: Int64Array = np.zeros(every, dtype=np.int64)
        small = (p + 1) * (p + 2) // 2
        self.grams = np.zeros((every, small if small <= SMALL_GRAM else 0))
        self._shift = self._neighbours(places)
        self.n_obs = 0
        self.n_batches = 0
        self.sum_log_weights = 0.0
        self.total = np.zeros((p + 1, p + 1))
        self.levels = np.zeros(int(self._starts[-1]))
        self.pairs = {
            (f, g): Pairs(self.widths[f], self.widths[g])
            for f in range(len(self.widths))
            for g in range(f + 1, len(self.widths))
        }
        self.shift = shift
        self.moments = _no_moments(shift.size)

    def _neighbours(self, places: Sequence[int]) -> int:
        """Bits of a level that its neighbours do not share; -1 where all sums fit the cache."""
        if not places:
            return -1
        width = 8 * (places[0] + 1 + self.grams.shape[1])
        if self.n_levels[0] * width <= CACHE:
            return -1
        return max(int(np.log2(CACHE / width)), 0)

    def add(self, rows: BatchRows) -> None:
        """Add the rows of a batch."""
        self.n_batches += 1
        n = rows.y.size
        if not n:
            return
        weights = NO_WEIGHTS if rows.weights is None else np.ascontiguousarray(rows.weights)
        X = np.ascontiguousarray(rows.X.T)
        zs = [np.ascontiguousarray(z.T) for z in rows.z]
        Z = np.concatenate(zs) if len(zs) > 1 else zs[0] if zs else np.empty((0, n))
        codes = np.empty((len(zs), n), dtype=np.int64)
        for f, own in enumerate(rows.codes):
            codes[f] = own
        total = np.zeros_like(self.total)  # of each batch by itself: long sums round more
        add_rows(
            X, np.ascontiguousarray(rows.left), Z, codes, weights, self.at.basis, self.at.beta0,
            self._z_basis, self._ends, total, self.levels, self._starts,
            np.array(self.n_levels, dtype=np.int64), self.counts, self.grams,
            self._shift,
        )  # fmt: skip
        self.total += total
        in_bases = [in_basis(z, U) for z, U in zip(zs, self.at.z_bases, strict=True)]
        for (f, g), pairs in self.pairs.items():
            pairs.add(
                (codes[f], codes[g]),
                (in_bases[f], in_bases[g]),
                weights,
                n_second=self.n_levels[g],
            )
        self.n_obs += n
        if rows.weights is not None:
            self.sum_log_weights += float(np.log(rows.weights).sum())
        self.moments = self.moments + _moments_about(moment_columns(rows), self.shift)

    def plus(self, other: "Sums") -> None:
        """Add the sums of other batches, in the same basis."""
        self.n_obs += other.n_obs
        self.n_batches += other.n_batches
        self.sum_log_weights += other.sum_log_weights
        self.total += other.total
        self.levels += other.levels
        self.counts += other.counts
        self.grams += other.grams
        self.moments = self.moments + other.moments
        for key, pairs in self.pairs.items():
            pairs.plus(other.pairs[key])

    def arrays(self) -> dict[str, Any]:
        """Return all that was summed, by name."""
        own = self.moments
        found: dict[str, Any] = {
            "total": self.total,
            "levels": self.levels,
            "rows_per_level": self.counts,
            "grams": self.grams,
            "counts": np.array([self.n_obs, self.n_batches, own.n]),
            "log_weights": np.array(self.sum_log_weights),
            "moments": np.stack([own.mean, own.squares, own.low, own.high]),
        }
        for (f, g), pairs in self.pairs.items():
            found[f"keys_{f}_{g}"], found[f"blocks_{f}_{g}"] = pairs.keys, pairs.blocks
        return found

    def take(self, arrays: Mapping[str, Any]) -> None:
        """Take what ``arrays`` returned in the place of what was summed.

        Raises
        ------
        ValueError
            If it is of another design.
        """
        if arrays["total"].shape != self.total.shape or arrays["levels"].shape != self.levels.shape:
            raise ValueError("sums of another design")
        self.total[:], self.levels[:] = arrays["total"], arrays["levels"]
        self.counts[:], self.grams[:] = arrays["rows_per_level"], arrays["grams"]
        self.n_obs, self.n_batches, n = (int(own) for own in arrays["counts"])
        self.sum_log_weights = float(arrays["log_weights"])
        self.moments = Moments(n, *arrays["moments"].copy())
        for (f, g), pairs in self.pairs.items():
            pairs.keys = arrays[f"keys_{f}_{g}"].copy()
            pairs.blocks = arrays[f"blocks_{f}_{g}"].copy()
            pairs.taken[0] = int(np.count_nonzero(pairs.keys != EMPTY))

    def row_moments(self, design: Design) -> RowMoments:
        """Return the moments of the columns of the design."""
        return _row_moments(self.moments, design)

    def products(self) -> Products:
        """Return the sums as products in the provisional basis, all columns of X kept."""
        p = self.total.shape[0] - 1
        total = self.total + np.tril(self.total, -1).T
        zz, zx, zy = [], [], []
        for f, (J, q) in enumerate(zip(self.n_levels, self.widths, strict=True)):
            flat = self.levels[self._starts[f] : self._starts[f + 1]].reshape(J, -1)
            A, C = np.empty((J, q, q)), np.empty((J, q, p + 1))
            at = 0
            for a in range(q):
                for b in range(a + 1):
                    A[:, a, b] = A[:, b, a] = flat[:, at + b]
                C[:, a] = flat[:, at + a + 1 : at + a + p + 2]
                at += a + p + 2
            zz.append(A)
            zx.append(np.ascontiguousarray(C[:, :, :p]))
            zy.append(np.ascontiguousarray(C[:, :, p]))
        return Products(
            anchor=Anchor(
                kept=np.arange(p),
                x_basis=self.at.basis,
                beta0=self.at.beta0,
                z_bases=self.at.z_bases,
            ),
            n_obs=self.n_obs,
            sum_log_weights=self.sum_log_weights,
            xx=total[:p, :p].copy(),
            xy=total[:p, p].copy(),
            yy=float(total[p, p]),
            zz=tuple(zz),
            zx=tuple(zx),
            zy=tuple(zy),
            couplings={
                key: pairs.coupling(self.n_levels[key[1]]) for key, pairs in self.pairs.items()
            },
        )


def _block_diagonal(bases: Sequence[FloatArray]) -> FloatArray:
    size = sum(U.shape[0] for U in bases)
    found, at = np.zeros((size, size)), 0
    for U in bases:
        found[at : at + U.shape[0], at : at + U.shape[0]] = U
        at += U.shape[0]
    return found


def moment_columns(rows: BatchRows) -> list[FloatArray]:
    """List the columns whose moments are kept: y, without offset, offset, X and all of z."""
    beside = [] if rows.offset is None else [rows.left, rows.offset]
    return [rows.y, *beside, *rows.X.T, *(column for z in rows.z for column in z.T)]


def shifts(sample: Sequence[BatchRows]) -> FloatArray:
    """Means of these columns in the sample, shape (m,)."""
    parts = [moment_columns(rows) for rows in sample if rows.y.size]
    n = sum(own[0].size for own in parts)
    return np.array(
        [sum(float(c.sum()) for c in column) / n for column in zip(*parts, strict=True)]
    )


def _moments_about(columns: Sequence[FloatArray], shift: FloatArray) -> Moments:
    """Moments of columns, squared about means that are nearly theirs."""
    n = columns[0].size
    found = [column_sums(np.ascontiguousarray(c), s) for c, s in zip(columns, shift, strict=True)]
    first, second, low, high = np.array(found).T
    squares = np.maximum(second - first**2 / n, 0.0)
    return Moments(n, shift + first / n, squares, low, high)


def _no_moments(m: int) -> Moments:
    return Moments(0, np.zeros(m), np.zeros(m), np.full(m, np.inf), np.full(m, -np.inf))


def _row_moments(moments: Moments, design: Design) -> RowMoments:
    beside = 0 if design.offset is None else 2
    p = design.X.shape[1]
    at = 1 + beside
    z, start = [], at + p
    for factor in design.factors:
        z.append(moments.take(slice(start, start + len(factor.columns))))
        start += len(factor.columns)
    return RowMoments(
        response=moments.take(slice(0, 1)),
        left=moments.take(slice(1, 2) if beside else slice(0, 1)),
        X=moments.take(slice(at, at + p)),
        z=tuple(z),
        offset=moments.take(slice(2, 3)) if beside else None,
    )
