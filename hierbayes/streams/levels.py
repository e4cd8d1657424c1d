"""Levels of a factor that are learnt part by part, in the order they have when all rows are seen.

Numbers are levels in increasing order, text in the order of the alphabet, and categories in the
order in which they were declared; where parts declare different ones, in order of appearance.
Nothing here depends on which part comes first but the last.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hierbayes.arrays import BoolArray, IntArray, record
from hierbayes.design.values import (
    MISSING_CODE,
    Combinations,
    Factor,
    Logical,
    as_factor,
    label_array,
)
from hierbayes.errors import OptionError

Order = Literal["numbers", "text", "declared"]
UNKNOWN = -2  # code of a value that is none of the levels
TABLE = 2**27  # whole numbers within such a range are looked up in a table


@record(kw_only=False)
class LevelSet:
    """The levels of one factor.

    Attributes
    ----------
    order : what decides their order
    values : array, shape (J,): sorted numbers, or labels (of object) in their order
    present : array of bool, shape (J,): which occur; declared categories need not
    """

    order: Order
    values: npt.NDArray[Any]
    present: BoolArray

    def labels(self) -> npt.NDArray[Any]:
        """Labels of the levels, shape (J,)."""
        return as_factor(self.values).levels if self.order == "numbers" else self.values

    def factor(self) -> Factor:
        """Return a factor whose rows are the levels that occur, in their order."""
        if self.order == "numbers":
            return as_factor(self.values)
        return Factor(np.flatnonzero(self.present), self.values)


@record(kw_only=False)
class MergedLevels:
    """The levels of two sets, and where those of each stand among them."""

    levels: LevelSet
    first: IntArray
    second: IntArray


def levels_of(value: Any, order: Order) -> LevelSet:
    """Return the levels that a vector of a part holds.

    Parameters
    ----------
    value : numbers, Logical or Factor, missing values allowed
    order : what decides the order of levels of this variable
    """
    if order == "numbers" and isinstance(value, np.ndarray):
        distinct = _distinct_numbers(value)
        return LevelSet("numbers", distinct, np.ones(distinct.size, dtype=np.bool_))
    factor = as_factor(value) if not isinstance(value, Factor) else value
    present = np.zeros(factor.levels.size + 1, dtype=np.bool_)  # the last place is for missing
    present[factor.codes] = True
    if order == "declared":
        return LevelSet("declared", factor.levels, present[:-1])
    labels = factor.levels[present[:-1]]
    return LevelSet(order, labels, np.ones(labels.size, dtype=np.bool_))


def _distinct_numbers(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Sorted distinct numbers without NaN; whole ones as integers."""
    if values.dtype.kind == "f":
        values = values[~np.isnan(values)]
    if not values.size:
        return values[:0]
    low, high = values.min(), values.max()
    if values.dtype.kind in "iu" and int(high) - int(low) < 4 * values.size + 1000:
        seen = np.zeros(int(high) - int(low) + 1, dtype=np.bool_)
        seen[values - low] = True
        return np.flatnonzero(seen).astype(np.int64) + np.int64(low)
    return np.unique(values)


def merged(first: LevelSet, second: LevelSet) -> MergedLevels:
    """Return the levels of two parts of the same rows."""
    if first.values.size == second.values.size and np.array_equal(first.values, second.values):
        same = np.arange(first.values.size)
        levels = replace(first, present=first.present | second.present)
        return MergedLevels(levels, same, same)
    if first.order == "declared":
        values = list(dict.fromkeys([*first.values.tolist(), *second.values.tolist()]))
        return _placed(first, second, label_array(values))
    if first.order == "numbers":
        both = np.union1d(first.values, second.values)
        return MergedLevels(
            LevelSet("numbers", both, np.ones(both.size, dtype=np.bool_)),
            np.searchsorted(both, first.values),
            np.searchsorted(both, second.values),
        )
    values = sorted({*first.values.tolist(), *second.values.tolist()})
    return _placed(first, second, label_array(values))


def _placed(first: LevelSet, second: LevelSet, values: npt.NDArray[Any]) -> MergedLevels:
    places = {label: place for place, label in enumerate(values.tolist())}
    a = np.array([places[label] for label in first.values.tolist()], dtype=np.intp)
    b = np.array([places[label] for label in second.values.tolist()], dtype=np.intp)
    present = np.zeros(values.size, dtype=np.bool_)
    present[a] |= first.present
    present[b] |= second.present
    return MergedLevels(LevelSet(first.order, values, present), a, b)


class Coder:
    """Codes of vectors of any part among known levels; made once, used for every part."""

    def __init__(self, levels: LevelSet) -> None:
        kept = levels.values[levels.present]
        self.n_levels = kept.size
        self._numbers = kept if levels.order == "numbers" else None
        self._table: IntArray | None = None
        self._low = 0
        whole = self._numbers is not None and kept.size and (kept == np.floor(kept)).all()
        if self._numbers is None:
            self._labels = {label: code for code, label in enumerate(kept.tolist())}
        else:
            # numbers that print alike are one level
            own = as_factor(kept)
            self.n_levels = own.levels.size
            self._codes = own.codes
            self._labels = {label: code for code, label in enumerate(own.levels.tolist())}
        if whole and int(kept[-1]) - int(kept[0]) < TABLE:
            self._low, high = int(kept[0]), int(kept[-1])
            # places 0 and -1 are for numbers outside of the range
            self._table = np.full(high - self._low + 3, UNKNOWN, dtype=np.intp)
            self._table[kept.astype(np.int64) - self._low + 1] = self._codes

    def codes(self, value: Any) -> IntArray:
        """Return the level of each row: MISSING_CODE where missing, UNKNOWN where it is new."""
        if isinstance(value, np.ndarray) and self._numbers is not None:
            return self._of_numbers(value)
        factor = as_factor(value)
        get = self._labels.get
        lookup = np.array(
            [*(get(label, UNKNOWN) for label in factor.levels.tolist()), MISSING_CODE],
            dtype=np.intp,
        )
        return np.asarray(lookup[factor.codes])

    def _of_numbers(self, value: npt.NDArray[Any]) -> IntArray:
        assert self._numbers is not None
        if self._table is not None and value.dtype.kind in "iu":
            if value.dtype.kind == "u" or value.dtype.itemsize == 8:
                value = np.clip(
                    value,
                    max(self._low - 1, 0) if value.dtype.kind == "u" else self._low - 1,
                    self._low + self._table.size - 2,
                )
            places = value.astype(np.int64) - (self._low - 1)
            np.clip(places, 0, self._table.size - 1, out=places)
            return np.asarray(self._table[places])
        missing = np.isnan(value) if value.dtype.kind == "f" else np.zeros(value.size, dtype=bool)
        places = np.minimum(np.searchsorted(self._numbers, value), self._numbers.size - 1)
        known = self._numbers[places] == value
        codes = np.where(known, self._codes[places], UNKNOWN)
        codes[missing] = MISSING_CODE
        return codes


@record(kw_only=False)
class GroupLevels:
    """The levels of a grouping factor: those of its parts, and which combinations occur.

    Attributes
    ----------
    parts : the levels of each part, one for ``g``, two for ``a:b``
    met : array of int, shape (m, parts), positions among the parts' levels, sorted by row; None of
        one part
    """

    parts: tuple[LevelSet, ...]
    met: IntArray | None = None

    def combinations(self) -> Combinations:
        """Return the levels as ``design/grouping.py`` has them; one row a level."""
        if self.met is None:
            own = self.parts[0].factor()
            used = own.levels[np.unique(own.codes)]
            return Combinations(np.arange(used.size), (used,))
        labels = [
            part.labels()[column] for part, column in zip(self.parts, self.met.T, strict=True)
        ]
        return Combinations(np.arange(self.met.shape[0]), tuple(labels))

    def __add__(self, other: "GroupLevels") -> "GroupLevels":
        """Levels of the rows of both."""
        both = [merged(a, b) for a, b in zip(self.parts, other.parts, strict=True)]
        parts = tuple(one.levels for one in both)
        if self.met is None or other.met is None:
            return GroupLevels(parts)
        first = np.column_stack([m.first[c] for m, c in zip(both, self.met.T, strict=True)])
        second = np.column_stack([m.second[c] for m, c in zip(both, other.met.T, strict=True)])
        return GroupLevels(parts, _sorted_rows(np.concatenate([first, second])))


def group_levels_of(values: Sequence[Any], orders: Sequence[Order]) -> GroupLevels:
    """Return the levels that a part's rows have, by the values of each grouping expression."""
    parts = tuple(levels_of(value, order) for value, order in zip(values, orders, strict=True))
    if len(parts) == 1:
        return GroupLevels(parts)
    codes = np.column_stack(
        [
            Coder(replace(p, present=np.ones_like(p.present))).codes(v)
            for p, v in zip(parts, values, strict=True)
        ]
    )
    return GroupLevels(parts, _sorted_rows(codes[(codes >= 0).all(axis=1)]))


def _sorted_rows(rows: IntArray) -> IntArray:
    """Distinct rows (m, parts) in increasing order, the first column first."""
    sizes = [int(column.max(initial=0)) + 1 for column in rows.T]
    keys = np.zeros(rows.shape[0], dtype=np.int64)
    for column, size in zip(rows.T, sizes, strict=True):
        keys = keys * size + column
    return rows[np.unique(keys, return_index=True)[1]]


class GroupCoder:
    """Levels of the rows of any part in a grouping factor whose levels are known."""

    def __init__(self, levels: GroupLevels) -> None:
        self._keys: IntArray | None = None
        if levels.met is None:
            self._coders = [Coder(levels.parts[0])]
            return
        self._coders = [Coder(replace(p, present=np.ones_like(p.present))) for p in levels.parts]
        self._keys = self._keys_of(list(levels.met.T))

    def _keys_of(self, codes: Sequence[IntArray]) -> IntArray:
        keys = np.zeros(codes[0].size, dtype=np.int64)
        for own, coder in zip(codes, self._coders, strict=True):
            keys = keys * coder.n_levels + own
        return keys

    def codes(self, values: Sequence[Any]) -> IntArray:
        """Return the level of each row: MISSING_CODE where missing, UNKNOWN where it is new."""
        codes = [coder.codes(value) for coder, value in zip(self._coders, values, strict=True)]
        if self._keys is None:
            return codes[0]
        keys = self._keys_of(codes)
        places = np.minimum(np.searchsorted(self._keys, keys), self._keys.size - 1)
        found = np.where(self._keys[places] == keys, places, UNKNOWN)
        lowest = np.minimum.reduce(codes)
        return np.where(lowest < 0, lowest, found)


@record(kw_only=False)
class GivenLevels:
    """The levels of a column that were given, in their order.

    Attributes
    ----------
    labels : array, shape (J,)
    coder : of values among them, sorted where they are numbers
    places : array of int, shape (J,), of each code of the coder its place among the labels
    """

    labels: npt.NDArray[Any]
    coder: Coder
    places: IntArray

    def factor(self, value: Any) -> Factor:
        """Return a vector as categories of these levels; codes are UNKNOWN for others."""
        codes = self.coder.codes(value)
        return Factor(np.where(codes >= 0, self.places[codes], codes), self.labels)

    def all_of_them(self) -> LevelSet:
        """Return the levels, as if each occurred."""
        return LevelSet("declared", self.labels, np.ones(self.labels.size, dtype=np.bool_))


def given_levels(name: str, values: Sequence[Any]) -> GivenLevels:
    """Read the levels given for a column.

    Raises
    ------
    OptionError
        If there are none, one is missing or comes twice.
    """
    are_numbers = all(
        isinstance(own, int | float | np.number) and not isinstance(own, bool) for own in values
    )
    if are_numbers and values:
        numbers = np.asarray(values)
        sorted_numbers, order = np.unique(numbers, return_inverse=True)
        known = LevelSet("numbers", sorted_numbers, np.ones(sorted_numbers.size, dtype=np.bool_))
        labels = known.labels()[order] if sorted_numbers.size == numbers.size else numbers
        places = np.argsort(order)
        bad = bool(np.isnan(sorted_numbers.astype(np.float64)).any())
    else:
        texts = [{True: "TRUE", False: "FALSE"}.get(own, own) for own in values]
        labels = label_array([str(own) for own in texts])
        known = LevelSet("declared", labels, np.ones(labels.size, dtype=np.bool_))
        places = np.arange(labels.size)
        bad = any(own is None or own != own for own in values)
    if not len(values) or bad or len({str(own) for own in labels.tolist()}) < len(values):
        raise OptionError(
            f"levels={{{name!r}: ...}}: give each level once, and none that is missing; there "
            f"are {len(values)}."
        )
    return GivenLevels(labels, Coder(known), places)


def order_of_value(value: Any, is_declared: bool) -> Order:
    """Say what decides the order of levels of a variable with such values."""
    if isinstance(value, np.ndarray):
        return "numbers"
    if isinstance(value, Logical):
        return "text"  # FALSE before TRUE
    return "declared" if is_declared else "text"
