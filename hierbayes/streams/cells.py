"""Cells of a stream: the distinct rows of a few columns, with how many rows each stands for.

A likelihood is a sum over rows, and rows that are equal in every column a model uses have the same
part of it. So a hundred million rows of factors, or of numbers that take few values, are exactly a
table of their distinct rows with counts. Batches are added one after the other, and what was
counted of some batches merges with what was counted of others; memory is that of the cells and of
one batch.

Each column is coded by a dictionary of the values seen so far, missing ones by a code of their own.
The codes of a row are the digits of one whole number, its key, and keys are counted: in an array
over all keys where these are few, else by sorting.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hierbayes.arrays import IntArray, record
from hierbayes.capabilities import not_supported
from hierbayes.errors import DataError

MOST_CELLS = 10_000_000  # more are no compression that would fit in memory as a design
MOST_KEYS = 2**62  # of whole numbers of 64 bits
DENSE_KEYS = 2**24  # keys counted in an array over all of them: 128 MB
DIRECT_RANGE = 2**20  # whole numbers up to this far apart are coded by a table over their range
MISSING = -1
BLOCK = 2**16  # rows counted at once: their codes stay in the processor's cache


@record(kw_only=False)
class CellFrame:
    """Distinct rows.

    Attributes
    ----------
    frame : one row a cell
    counts : array of int, shape (cells,), how many rows each is
    """

    frame: pd.DataFrame
    counts: IntArray


class Coded:
    """One column: the values seen, in the order in which they came, and the code of each.

    Attributes
    ----------
    name : of the column
    values : the distinct values that are not missing
    categories : whether they are those of a categorical column, in its order
    ordered : whether these are ordered
    has_missing : whether a value was missing, which has the code after the last value's
    kind : what the values are, in words, and the part in which the first one was
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.values: pd.Index | None = None
        self.categories = False
        self.ordered = False
        self.has_missing = False
        self.kind: tuple[str, str] | None = None
        self._low = 0
        self._table: IntArray | None = None  # code of low, low + 1, ...; MISSING where not seen

    @property
    def n_codes(self) -> int:
        """Number of codes, that of missing values included."""
        return (0 if self.values is None else len(self.values)) + self.has_missing

    def encode(self, raw: Any, part: str) -> IntArray:
        """Return the code of each value, MISSING where it is missing, and keep new values."""
        if isinstance(raw, pd.Categorical):
            self.categories, self.ordered = True, bool(raw.ordered)
            self._note_kind(raw.categories, part)
            own = np.asarray(raw.codes)
            codes = self._codes_of(raw.categories)[own] if len(raw.categories) else own
            return np.where(own < 0, MISSING, codes) if self._note_missing(own) else codes
        if isinstance(raw, np.ndarray) and raw.dtype.kind in "iub" and raw.size:
            self._note_kind(raw, part)
            direct = self._encode_whole(raw)
            if direct is not None:
                return direct
        own, distinct = pd.factorize(raw, use_na_sentinel=True)
        self._note_kind(distinct, part)
        codes = self._codes_of(pd.Index(distinct))
        if self._note_missing(own):
            return np.where(own < 0, MISSING, np.append(codes, MISSING)[own])
        return codes[own]

    def _encode_whole(self, raw: npt.NDArray[Any]) -> IntArray | None:
        """Code whole numbers through a table over their range; None where that is wide."""
        if raw.dtype.kind == "b":
            raw = raw.view(np.int8)
        low, high = int(raw.min()), int(raw.max())
        if self._table is not None:
            low, high = min(low, self._low), max(high, self._low + self._table.size - 1)
        if high - low >= DIRECT_RANGE:
            return None
        if self._table is None or high - low + 1 > self._table.size:
            table = np.full(high - low + 1, MISSING)
            if self._table is not None:
                table[self._low - low : self._low - low + self._table.size] = self._table
            self._table, self._low = table, low
        places = raw.astype(np.intp) - self._low
        codes = self._table[places]
        if codes.min() == MISSING:
            new = np.unique(raw[codes == MISSING])
            self._table[new.astype(np.intp) - self._low] = self._codes_of(pd.Index(new))
            codes = self._table[places]
        return codes

    def _note_kind(self, values: Any, part: str) -> None:
        """Keep what the values are; raise DataError where they were something else before."""
        if not len(values):
            return
        letter = getattr(values.dtype, "kind", "O")
        kind = {"b": "truth values", "m": "times", "M": "dates"}.get(letter, "text")
        self._agree(("numbers" if letter in "iuf" else kind, part))

    def _agree(self, kind: tuple[str, str] | None) -> None:
        if self.kind is None or kind is None:
            self.kind = self.kind or kind
        elif self.kind[0] != kind[0]:
            raise DataError(
                f"Column {self.name!r} holds {kind[0]} in {kind[1]} of the stream, and "
                f"{self.kind[0]} in {self.kind[1]}; make it one kind in all parts."
            )

    def _note_missing(self, own: npt.NDArray[Any]) -> bool:
        found = bool(own.size) and int(own.min()) < 0
        self.has_missing |= found
        return found

    def _codes_of(self, distinct: pd.Index) -> IntArray:
        """Return the codes of distinct values; those not seen before get the next ones."""
        if self.values is None:
            self.values = distinct
            return np.arange(len(distinct))
        codes = self.values.get_indexer(distinct)
        new = codes < 0
        if new.any():
            codes[new] = len(self.values) + np.arange(int(new.sum()))
            self.values = self.values.append(distinct[new])
        return np.asarray(codes, dtype=np.intp)

    def merge(self, other: "Coded") -> IntArray:
        """Take in the values of another part; return what its codes are here, (other's codes,)."""
        self._agree(other.kind)
        self.has_missing |= other.has_missing
        self.categories |= other.categories
        self.ordered |= other.ordered
        codes = np.empty(0, dtype=np.intp)
        if other.values is not None:
            self._table = None  # knows nothing of the values that come now
            codes = self._codes_of(other.values)
        return np.append(codes, MISSING)

    def ranks(self) -> IntArray:
        """Return the place of each code among the sorted values, last that of missing ones.

        Categories are in their order already.
        """
        n = 0 if self.values is None else len(self.values)
        if self.values is None or self.categories:
            return np.arange(n + 1)
        try:
            order = np.asarray(self.values.argsort())
        except TypeError:  # values that have no order
            order = np.argsort([repr(value) for value in self.values.tolist()], kind="stable")
        ranks = np.empty(n + 1, dtype=np.intp)
        ranks[order], ranks[n] = np.arange(n), n
        return ranks

    def decode(self, codes: IntArray) -> Any:
        """Return the values of codes, MISSING where missing, as the frame had them."""
        values = pd.Index([np.nan]) if self.values is None else self.values
        if self.kind is not None and self.kind[0] == "truth values":
            values = values.astype(bool)
        if self.categories:
            return pd.Categorical.from_codes(codes, categories=values, ordered=self.ordered)
        if not self.has_missing:
            return values.take(codes).array
        return pd.api.extensions.take(values.array, codes, allow_fill=True)


class Cells:
    """Distinct rows of some columns and their counts, of the batches added so far.

    Parameters
    ----------
    names : the columns
    most : number of cells beyond which there are too many
    """

    def __init__(self, names: Sequence[str], *, most: int = MOST_CELLS) -> None:
        self.names = tuple(names)
        self.most = most
        self.n_rows = 0
        self._columns = [Coded(name) for name in self.names]
        self._sizes = (1,) * len(self.names)  # the digits' numbers of values the keys are made for
        self._dense: IntArray | None = np.zeros(1, dtype=np.intp)
        # Sorted distinct keys with counts, then those of later batches not yet merged with them.
        self._parts: list[tuple[IntArray, IntArray]] = []

    def add(self, columns: Sequence[Any], part: str = "a part") -> None:
        """Count the rows of a batch.

        Parameters
        ----------
        columns : in the order of the names, NumPy or pandas arrays of one length
        part : what messages call the batch

        Raises
        ------
        DataError
            If a column holds another kind of values than before.
        NotSupportedError
            If there are more cells than a model of them could hold.
        """
        for start in range(0, len(columns[0]) if columns else 0, BLOCK):
            self._add([raw[start : start + BLOCK] for raw in columns], part)

    def _add(self, columns: Sequence[Any], part: str) -> None:
        pairs = zip(self._columns, columns, strict=True)
        coded = [column.encode(raw, part) for column, raw in pairs]
        self._make_room()
        key = self._key(coded)
        self.n_rows += key.size
        if self._dense is None:
            self._append(*_counted(key, None))
        elif key.size < self._dense.size:
            np.add.at(self._dense, key, 1)
        else:
            self._dense += np.bincount(key, minlength=self._dense.size)

    def merge(self, other: "Cells") -> None:
        """Take in what another part counted of the same columns."""
        maps = [a.merge(b) for a, b in zip(self._columns, other._columns, strict=True)]
        self._make_room()
        digits, counts = other._digits()
        key = self._key([lookup[digit] for lookup, digit in zip(maps, digits, strict=True)])
        self.n_rows += other.n_rows
        keys, counts = _counted(key, counts)
        if self._dense is not None:
            self._dense[keys] += counts
            return
        self._append(keys, counts)

    def frame(self) -> CellFrame:
        """Return the cells, sorted by the first column, then the second ...

        The order is that of the values, so it does not depend on how rows came in batches, or on
        which batches were counted first.
        """
        digits, counts = self._digits()
        ranks = [c.ranks()[d] for c, d in zip(self._columns, digits, strict=True)]
        order = np.lexsort(ranks[::-1]) if ranks else np.empty(0, dtype=np.intp)
        columns = zip(self.names, self._columns, digits, strict=True)
        frame = pd.DataFrame({name: own.decode(digit[order]) for name, own, digit in columns})
        return CellFrame(frame, counts[order])

    @property
    def n_cells(self) -> int:
        """Number of distinct rows so far."""
        return self._settled()[0].size

    # keys

    def _key(self, coded: Sequence[IntArray]) -> IntArray:
        """Return the key of each row: its codes as digits, the first column's most significant."""
        key: IntArray | None = None
        for size, column, codes in zip(self._sizes, self._columns, coded, strict=True):
            if column.has_missing and codes.min(initial=0) < 0:
                codes = np.where(codes < 0, size - 1, codes)
            key = codes.astype(np.intp) if key is None else key * size + codes
        assert key is not None
        return key

    def _make_room(self) -> None:
        """Make keys anew where columns have more values than the keys were made for.

        The last digit is that of a missing value, so it has a place from the start.
        """
        needed = [column.n_codes + (not column.has_missing) for column in self._columns]
        if all(new <= old for new, old in zip(needed, self._sizes, strict=True)):
            return
        # Some more than are needed: later batches bring more levels.
        roomy = tuple(
            old if new <= old else new + new // 2 if self.n_rows else new
            for new, old in zip(needed, self._sizes, strict=True)
        )
        if math.prod(roomy) > MOST_KEYS:
            roomy = tuple(max(pair) for pair in zip(needed, self._sizes, strict=True))
        if math.prod(roomy) > MOST_KEYS:
            raise self._too_many(f"{math.prod(needed):.2g} possible")
        digits, counts = self._digits()
        self._sizes = roomy
        keys = self._key(digits)
        n_keys = math.prod(roomy)
        self._dense, self._parts = None, []
        if n_keys <= DENSE_KEYS:
            self._dense = np.zeros(n_keys, dtype=np.intp)
            self._dense[keys] = counts
        elif keys.size:
            order = np.argsort(keys)  # wider digits keep the order, that of a missing value moves
            self._parts = [(keys[order], counts[order])]

    def _digits(self) -> tuple[list[IntArray], IntArray]:
        """Return the codes of every cell by column, MISSING where missing, and the counts."""
        keys, counts = self._settled()
        if not self.n_rows:
            return [np.empty(0, dtype=np.intp) for _ in self.names], counts
        digits = []
        for size, column in zip(reversed(self._sizes), reversed(self._columns), strict=True):
            keys, digit = np.divmod(keys, size)
            if column.has_missing:
                digit[digit == size - 1] = MISSING
            digits.append(digit)
        return digits[::-1], counts

    # counts

    def _append(self, keys: IntArray, counts: IntArray) -> None:
        self._parts.append((keys, counts))
        pending = sum(part[0].size for part in self._parts[1:])
        if len(self._parts) > 1 and pending > self._parts[0][0].size:
            self._settled()
        if self._parts[0][0].size > self.most:
            raise self._too_many(f"more than {self.most:,}")

    def _settled(self) -> tuple[IntArray, IntArray]:
        """Return the sorted distinct keys and their counts, all parts merged."""
        if self._dense is not None:
            keys = np.flatnonzero(self._dense)
            return keys, self._dense[keys]
        if len(self._parts) > 1:
            keys = np.concatenate([part[0] for part in self._parts])
            counts = np.concatenate([part[1] for part in self._parts])
            self._parts = [_counted(keys, counts)]
        if not self._parts:
            return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
        return self._parts[0]

    def _too_many(self, found: str) -> Exception:
        values = zip(self.names, self._columns, strict=True)
        widest = sorted(values, key=lambda pair: -pair[1].n_codes)[:3]
        return not_supported(
            "too-many-cells",
            found=found,
            rows=f"{self.n_rows:,}",
            widest=", ".join(f"{name} ({column.n_codes:,})" for name, column in widest),
        )


def _counted(keys: IntArray, counts: IntArray | None) -> tuple[IntArray, IntArray]:
    """Return sorted distinct keys with the sums of their counts, 1 a key unless given."""
    if counts is None:
        keys = np.sort(keys)
    else:
        order = np.argsort(keys, kind="stable")  # runs of sorted keys are merged
        keys, counts = keys[order], counts[order]
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: keys.size])
    sums = (
        np.diff(np.append(first, keys.size)) if counts is None else np.add.reduceat(counts, first)
    )
    return keys[first], np.asarray(sums, dtype=np.intp)
