"""Kinds of values a formula works on: numbers, logicals, factors and several columns at once.

A vector of numbers is a plain NumPy array (integers stay integers, so that ids of any size keep
their identity); the other kinds are the records below. Missing is NaN for numbers and logicals and
code -1 for factors. Levels are labelled as R labels them: 3.0 is ``"3"``, 0.2 is ``"0.2"``.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.errors import DataError
from hierbayes.options import Coding

MISSING_CODE = -1
LARGEST_EXACT_INTEGER = 2**53  # above it a float no longer tells two integers apart


@record(kw_only=False)
class Factor:
    """Categories: ``levels[codes[i]]`` is the label of row i; code -1 is a missing value.

    ``coding`` is set by ``C(f, sum)``, ``base`` by ``C(f, treatment, base = 2)`` (counted from 0
    here); None leaves the choice to the model. ``numbered``: R names the columns of
    ``C(f, contr.treatment)`` by the numbers of the levels instead of their labels. ``caution``:
    why the column is no predictor as it stands (dates, whole numbers no float can hold); right of
    a bar and in ``factor()`` it is as good as any other. ``ranked``: the levels were declared in an
    order (Polars' Enum), which a response has; as a predictor it is coded as one without.
    """

    codes: IntArray
    levels: npt.NDArray[Any]
    ordered: bool = False
    coding: Coding | None = None
    base: int = 0
    numbered: bool = False
    caution: str = ""
    ranked: bool = False


@record(kw_only=False)
class Logical:
    """Truth values as 0.0 and 1.0, NaN where missing."""

    values: FloatArray


@record(kw_only=False)
class Matrix:
    """Several columns from one expression, such as ``poly(x, 2)``; suffixes end their names."""

    values: FloatArray
    suffixes: tuple[str, ...]


Vector = npt.NDArray[Any] | Factor | Logical  # one value a row
Column = Vector | Matrix  # one value or several a row
Scalar = float | str | bool | None
Value = Column | Scalar | tuple[Any, ...]


def refuse_caution(value: Any) -> None:
    """Raise DataError where categories are asked to be a predictor, and can't be one as such."""
    if isinstance(value, Factor) and value.caution:
        raise DataError(value.caution)


def label_array(labels: Sequence[str]) -> npt.NDArray[Any]:
    """Return the labels as an array of Python strings."""
    array = np.empty(len(labels), dtype=object)
    array[:] = labels
    return array


def number_label(number: float) -> str:
    """Return a number as R turns it into text, without a trailing ``.0``."""
    if number == np.floor(number) and abs(number) < LARGEST_EXACT_INTEGER:
        return str(int(number))
    return format(number, ".15g")


def reads_as_number(label: str) -> bool:
    """Whether a level's label is the text of a number."""
    try:
        float(label)
    except ValueError:
        return False
    return True


def as_numbers(value: npt.NDArray[Any] | Logical) -> FloatArray:
    """Return numbers or logicals as float64."""
    if isinstance(value, Logical):
        return value.values
    return value if value.dtype == np.float64 else value.astype(np.float64)


def as_factor(value: Vector) -> Factor:
    """Return any vector as categories: numbers in increasing order, labelled as text."""
    if isinstance(value, Factor):
        return value
    if isinstance(value, Logical):
        missing = np.isnan(value.values)
        codes = np.where(missing, MISSING_CODE, value.values).astype(np.intp)
        return drop_unused(Factor(codes, label_array(["FALSE", "TRUE"])))
    if value.dtype.kind in "iu":
        return _factor_of_integers(value)
    missing = np.isnan(value)
    if not missing.any():
        return _factor_of_complete_floats(value)
    codes = np.full(value.shape, MISSING_CODE, dtype=np.intp)
    present = _factor_of_complete_floats(value[~missing])
    codes[~missing] = present.codes
    return Factor(codes, present.levels)


def _factor_of_complete_floats(value: FloatArray) -> Factor:
    bounded = value.size > 0 and float(np.abs(value).max()) < LARGEST_EXACT_INTEGER
    if bounded and bool((value == np.floor(value)).all()):
        return _factor_of_integers(value.astype(np.int64))
    codes, distinct = pd.factorize(value)
    order = np.argsort(distinct)
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    labels = [number_label(number) for number in distinct[order].tolist()]
    # Numbers that differ after the 15th digit share a label and so a level, as in R.
    return merged_levels(rank[codes] if labels else codes, labels)


def _factor_of_integers(value: npt.NDArray[Any]) -> Factor:
    if value.size == 0:
        return Factor(np.empty(0, dtype=np.intp), label_array([]))
    low, high = int(value.min()), int(value.max())
    if high - low < 4 * value.size + 1000:  # a table over the range is faster than hashing
        unsigned = value.dtype.kind == "u"
        shifted = value - value.dtype.type(low) if unsigned else value.astype(np.intp) - low
        codes, used = compress(shifted.astype(np.intp, copy=False), high - low + 1)
        return Factor(codes, label_array([str(low + step) for step in used.tolist()]))
    codes, distinct = pd.factorize(value)
    order = np.argsort(distinct)
    rank = np.empty(order.size, dtype=np.intp)
    rank[order] = np.arange(order.size)
    return Factor(rank[codes], label_array([str(number) for number in distinct[order].tolist()]))


def compress(codes: IntArray, n_possible: int) -> tuple[IntArray, IntArray]:
    """Renumber the codes that occur, in increasing order; return them and the codes they were."""
    occurs = np.zeros(n_possible, dtype=bool)
    occurs[codes] = True
    if occurs.all():
        return codes, np.arange(n_possible)
    lookup = np.cumsum(occurs) - 1
    return lookup[codes], np.flatnonzero(occurs)


def merged_levels(codes: IntArray, labels: Sequence[str]) -> Factor:
    """Return a factor in which levels that share a label are one, at the first one's place.

    Parameters
    ----------
    codes : positions among ``labels``, -1 where missing
    labels : may repeat
    """
    merged = {label: place for place, label in enumerate(dict.fromkeys(labels))}
    if len(merged) == len(labels):
        return Factor(codes, label_array(labels))
    lookup = np.array([*(merged[label] for label in labels), MISSING_CODE], dtype=np.intp)
    return Factor(lookup[codes], label_array(list(merged)))


def drop_unused(factor: Factor) -> Factor:
    """Return the factor with the levels that occur, in their order."""
    n_levels = factor.levels.size
    # The last place collects the missing rows: index -1.
    occurs = np.zeros(n_levels + 1, dtype=bool)
    occurs[factor.codes] = True
    if occurs[:n_levels].all():
        return factor
    lookup = np.append(np.cumsum(occurs[:n_levels]) - 1, MISSING_CODE)
    levels = factor.levels[occurs[:n_levels]]
    return replace(factor, codes=lookup[factor.codes], levels=levels)


@record(kw_only=False)
class Combinations:
    """The combinations of several factors that occur, the first factor varying slowest.

    Attributes
    ----------
    codes : array of int, shape (n,), the combination of each row, -1 where a part is missing
    parts : per factor, array of str, shape (J,): its label in every combination
    """

    codes: IntArray
    parts: tuple[npt.NDArray[Any], ...]

    def labels(self) -> npt.NDArray[Any]:
        """Return R's ``a:b``; where two would read alike, parts with a colon are in back-ticks."""
        if len(self.parts) == 1:
            return self.parts[0]
        texts = [":".join(key) for key in self.pairs()]
        if len(set(texts)) < len(texts):
            texts = [":".join(map(_quoted, key)) for key in self.pairs()]
        return label_array(texts)

    def pairs(self) -> list[tuple[str, ...]]:
        """Return the labels of the parts of each combination: what tells any two apart."""
        return list(zip(*(part.tolist() for part in self.parts), strict=True))


def _quoted(label: str) -> str:
    """Return a label that can be told apart within ``a:b``; back-ticks inside are doubled."""
    return "`" + label.replace("`", "``") + "`" if ":" in label or "`" in label else label


def combinations(factors: Sequence[Factor]) -> Combinations:
    """Combine factors, as R's ``a:b`` does."""
    found = Combinations(factors[0].codes, (factors[0].levels,))
    for factor in factors[1:]:
        found = _crossed(found, factor)
    return found


def _crossed(first: Combinations, second: Factor) -> Combinations:
    n_second = second.levels.size
    n_possible = first.parts[0].size * n_second
    missing = (first.codes < 0) | (second.codes < 0)
    any_missing = bool(missing.any())
    combined = first.codes * n_second + second.codes
    if any_missing:
        combined = combined[~missing]
    if n_possible <= 4 * combined.size + 1000:
        codes, used = compress(combined, n_possible)
    else:
        used, codes = np.unique(combined, return_inverse=True)
    if any_missing:
        codes_all = np.full(missing.shape, MISSING_CODE, dtype=np.intp)
        codes_all[~missing] = codes
        codes = codes_all
    lefts = tuple(part[used // n_second] for part in first.parts)
    return Combinations(codes, (*lefts, second.levels[used % n_second]))


def take_rows[C: Column](value: C, rows: npt.NDArray[Any]) -> C:
    """Return the given rows of a vector of any kind."""
    if isinstance(value, Factor):
        return replace(value, codes=value.codes[rows])
    if isinstance(value, Logical):
        return replace(value, values=value.values[rows])
    if isinstance(value, Matrix):
        return replace(value, values=value.values[rows])
    return value[rows]


def is_missing(value: Column) -> BoolArray | None:
    """Return which rows are missing, or None when none is (the usual, and the fast, case)."""
    if isinstance(value, Factor):
        # One pass over small codes; min() avoids the temporary array.
        return value.codes < 0 if value.codes.size and value.codes.min() < 0 else None
    if isinstance(value, Matrix):
        missing = np.isnan(value.values).any(axis=1)
        return missing if missing.any() else None
    numbers = value.values if isinstance(value, Logical) else value
    if numbers.dtype.kind != "f":
        return None
    # NaN in any place makes the sum NaN; inf - inf also does, so look again before believing it.
    with np.errstate(all="ignore"):
        if not np.isnan(numbers.sum()):
            return None
    missing = np.isnan(numbers)
    return missing if missing.any() else None


def column_of(value: Any, n_rows: int) -> Any:
    """Return a value as one that has ``n_rows`` rows: a constant becomes a constant column."""
    if isinstance(value, bool):
        return Logical(np.full(n_rows, float(value)))
    if isinstance(value, int | float):
        return np.full(n_rows, float(value))
    return value
