"""One column of a frame, of any type, as numbers, truth values or categories.

What has an order and no unit a model could use (dates, spans of time, whole numbers that no float
holds) becomes categories in that order with a caution: they can group, but are no predictor as they
stand. A label depends on the value alone, so that new data meet the levels of the fitted ones.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import IntArray
from hierbayes.design.values import (
    LARGEST_EXACT_INTEGER,
    MISSING_CODE,
    Factor,
    Logical,
    as_factor,
    label_array,
    merged_levels,
    number_label,
)
from hierbayes.errors import DataError

FINE_UNITS = ("ps", "fs", "as")
MIDNIGHT = " 00:00:00"
COARSE_UNITS = ("Y", "M", "W", "D", "h", "m")  # of NumPy's; pandas has none above the second
# What pandas calls columns of Python's or its own moments and spans of time.
MOMENTS = frozenset(
    ("datetime64", "datetime", "date", "timedelta64", "timedelta", "time", "period")
)
NUMBERS = frozenset(("integer", "floating", "mixed-integer-float", "decimal"))
COMPLEX = frozenset((complex, np.complex64, np.complex128))
INT64, UINT64 = (-(2**63), 2**63 - 1), (0, 2**64 - 1)
EXACT = (int, np.integer, Decimal, Fraction)  # numbers that may be longer than a float


def typed(raw: Any, name: str) -> Any:
    """Return an array of a frame as numbers, Logical or Factor.

    Parameters
    ----------
    raw : a NumPy array or a pandas array
    name : the column, for messages
    """
    if isinstance(raw, pd.arrays.NumpyExtensionArray):
        raw = raw.to_numpy()
    dtype = raw.dtype
    kind = getattr(dtype, "kind", "O")
    if kind in "mM" or isinstance(dtype, pd.PeriodDtype):
        return _moments(raw, name)
    if isinstance(dtype, np.dtype):
        return _typed_numpy(np.asarray(raw), name)
    if isinstance(dtype, pd.CategoricalDtype):
        return _categorical(raw, name)
    if isinstance(dtype, pd.StringDtype):
        return _sorted_labels(raw)
    if isinstance(dtype, pd.SparseDtype):
        return typed(np.asarray(raw), name)
    if kind == "b":
        return Logical(raw.to_numpy(dtype=np.float64, na_value=np.nan))
    if kind in "iu":
        return _masked_integers(raw)
    if kind == "f":
        return raw.to_numpy(dtype=np.float64, na_value=np.nan)
    if isinstance(dtype, pd.ArrowDtype):
        return _typed_arrow(raw, name)
    return _typed_objects(np.asarray(raw, dtype=object), name)


def _typed_numpy(array: Any, name: str) -> Any:
    kind = array.dtype.kind
    # Copies: a design must not change when the user later writes into the frame.
    if kind in "iu":
        return array.copy()
    if kind == "f":
        return array.astype(np.float64)
    if kind == "b":
        return Logical(array.astype(np.float64))
    if kind == "c":
        raise _complex_numbers(name)
    return _typed_objects(array.astype(object), name)


def _typed_objects(array: Any, name: str) -> Any:
    missing = pd.isna(array)
    if missing.all():
        return np.full(array.shape, np.nan)
    # What is there decides, not which of None, NaN, NA and NaT marks what isn't.
    held = pd.api.types.infer_dtype(array[~missing], skipna=False)
    if held == "string":
        return _sorted_labels(array)
    if held == "boolean":
        return Logical(np.where(missing, np.nan, np.where(missing, 0, array)).astype(np.float64))
    if held in MOMENTS:
        return _moments(array, name)
    present = array[~missing].tolist()
    kinds = {type(value) for value in present}
    if held == "complex" or (kinds & COMPLEX and kinds <= COMPLEX | {float, int}):
        raise _complex_numbers(name)
    if held in NUMBERS or all(issubclass(kind, EXACT) and kind is not bool for kind in kinds):
        if all(issubclass(kind, EXACT) for kind in kinds) and all(map(_is_whole, present)):
            return _whole_numbers([int(value) for value in present], missing, name)
        return _spread(np.array([float(value) for value in present]), missing)
    return _other_objects(array, present, name)


def _is_whole(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite() and value == value.to_integral_value()
    return not isinstance(value, Fraction) or value.denominator == 1


def _whole_numbers(present: list[int], missing: Any, name: str) -> Any:
    """Return whole numbers of any size: as integers or floats if these hold them exactly."""
    low, high = min(present), max(present)
    exact = max(-low, high) < LARGEST_EXACT_INTEGER
    if missing.any() and exact:
        return _spread(np.array(present, dtype=np.float64), missing)
    for (smallest, largest), dtype in ((INT64, np.int64), (UINT64, np.uint64)):
        if smallest <= low and high <= largest:
            values = np.array(present, dtype=dtype)
            return values if not missing.any() else _long_ids(values, missing)
    distinct = sorted(set(present))
    places = {value: place for place, value in enumerate(distinct)}
    codes = np.full(missing.shape, MISSING_CODE, dtype=np.intp)
    codes[~missing] = [places[value] for value in present]
    caution = (
        f"Column {name!r} holds whole numbers beyond 64 bits, which a model can't take as numbers; "
        "divide them in the data first. Right of a bar and in factor() they are categories."
    )
    return Factor(codes, label_array([str(value) for value in distinct]), caution=caution)


def _spread(values: Any, missing: Any) -> Any:
    """Return the values that are present in their rows, NaN in the others."""
    full = np.full(missing.shape, np.nan)
    full[~missing] = values
    return full


def _long_ids(present: Any, missing: Any) -> Factor:
    """Return ids too long for a float, some missing, as categories: floats would merge them."""
    own = as_factor(present)
    codes = np.full(missing.shape, MISSING_CODE, dtype=np.intp)
    codes[~missing] = own.codes
    return Factor(codes, own.levels)


def _masked_integers(raw: Any) -> Any:
    dtype = np.uint64 if raw.dtype.kind == "u" else np.int64
    if not raw.isna().any():
        return raw.to_numpy(dtype=dtype)
    missing = np.asarray(raw.isna())
    present = raw[~missing].to_numpy(dtype=dtype)
    if not present.size or max(-int(present.min()), int(present.max())) < LARGEST_EXACT_INTEGER:
        return _spread(present.astype(np.float64), missing)
    return _long_ids(present, missing)


def _other_objects(array: Any, present: list[Any], name: str) -> Factor:
    """Return objects of one kind (Enum members, intervals, UUIDs) as categories by their text."""
    if len({type(value) for value in present}) > 1:
        raise _mixed(present, name)
    try:
        codes, distinct = pd.factorize(array)
    except TypeError:
        raise DataError(
            f"Column {name!r} holds lists or other containers ({_examples(present)}); a column has "
            "one number or one category in each row."
        ) from None
    labels = [label_of(value) for value in distinct.tolist()]
    return _in_order(codes, labels, order=_order(distinct.tolist(), labels), name=name)


def _mixed(present: Sequence[Any], name: str) -> DataError:
    return DataError(
        f"Column {name!r} mixes kinds of values ({_examples(present)}); make it all numbers or all "
        "text."
    )


def _examples(present: Sequence[Any]) -> str:
    kinds: dict[type, Any] = {}
    for value in present[:100_000]:
        kinds.setdefault(type(value), value)
    return ", ".join(f"{kind.__name__} {value!r:.40}" for kind, value in list(kinds.items())[:3])


def _order(values: list[Any], labels: list[str]) -> list[int]:
    """Positions in increasing order of the values, or of their labels if they have no order."""
    try:
        return sorted(range(len(values)), key=values.__getitem__)
    except TypeError:
        return sorted(range(len(values)), key=labels.__getitem__)


def _in_order(codes: IntArray, labels: list[str], *, order: list[int], name: str) -> Factor:
    """Return categories in the given order; they must not print alike."""
    _check_distinct(labels, name)
    lookup = np.empty(len(labels) + 1, dtype=np.intp)
    lookup[order] = np.arange(len(labels))
    lookup[-1] = MISSING_CODE  # where code -1 points
    return Factor(lookup[codes], label_array([labels[place] for place in order]))


def _check_distinct(labels: list[str], name: str) -> None:
    """Raise DataError for labels that print alike."""
    if len(set(labels)) < len(labels):
        twice = next(label for place, label in enumerate(labels) if label in labels[:place])
        raise DataError(
            f"Column {name!r} has different values that both read {twice!r}; make them text that "
            "tells them apart."
        )


def label_of(value: Any) -> str:
    """Return the label of a value: numbers and truth values as R writes them, days without time."""
    if type(value) is str:
        return value
    if isinstance(value, bool | np.bool_):
        return str(value).upper()
    if isinstance(value, float):
        return number_label(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, datetime):
        value = pd.Timestamp(value)  # one way of writing fractions of a second
    return str(value).removesuffix(MIDNIGHT)


def _moments(raw: Any, name: str) -> Factor:
    """Return dates, times or spans of time as categories in their order."""
    if isinstance(raw, np.ndarray) and raw.dtype.kind in "mM":
        if np.datetime_data(raw.dtype)[0] in FINE_UNITS:
            raise DataError(
                f"Column {name!r} has moments finer than a nanosecond, which pandas would round; "
                "make it whole numbers."
            )
        if np.datetime_data(raw.dtype)[0] in COARSE_UNITS:
            raw = raw.astype(f"{raw.dtype.kind}8[s]")
        raw = pd.array(raw)
    codes, distinct = pd.factorize(raw)
    values = list(distinct)
    labels = [label_of(value) for value in values]
    try:
        order = sorted(range(len(values)), key=values.__getitem__)
    except TypeError:  # dates beside moments, with and without a zone
        raise _mixed(values, name) from None
    factor = _in_order(codes, labels, order=order, name=name)
    caution = (
        f"Column {name!r} holds dates or times; a model needs a number, for example days since "
        "the first one: (data[column] - data[column].min()).dt.days. Right of a bar and in "
        "factor() they are categories."
    )
    return replace(factor, caution=caution)


def _typed_arrow(raw: Any, name: str) -> Any:
    import pyarrow as pa

    kind = raw.dtype.pyarrow_dtype
    if pa.types.is_dictionary(kind):
        return arrow_dictionary(raw._pa_array.combine_chunks(), name)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _sorted_labels(raw)
    if pa.types.is_temporal(kind):
        return _moments(raw, name)
    return _typed_objects(raw.to_numpy(dtype=object, na_value=None), name)


def arrow_dictionary(array: Any, name: str) -> Factor:
    """Return a dictionary-encoded Arrow array as a factor with the dictionary's order."""
    import pyarrow as pa

    if isinstance(array, pa.ChunkedArray):
        array = array.unify_dictionaries().combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # no chunks at all
        return Factor(np.empty(0, dtype=np.intp), label_array([]))
    indices = array.indices.cast(pa.int64())  # DuckDB's have no sign
    codes = indices.fill_null(MISSING_CODE).to_numpy(zero_copy_only=False)
    labels = [label_of(label) for label in array.dictionary.to_pylist()]
    factor = _in_order(codes.astype(np.intp), labels, order=list(range(len(labels))), name=name)
    return replace(factor, ordered=bool(array.type.ordered))


def _categorical(raw: Any, name: str) -> Factor:
    """Return a pandas categorical as a factor with the order of its categories."""
    codes = np.array(raw.codes, dtype=np.intp)
    categories, ordered = raw.categories, bool(raw.ordered)
    if isinstance(categories.dtype, pd.StringDtype):  # distinct text already
        return Factor(codes, categories.array.to_numpy(dtype=object), ordered=ordered)
    labels = [label_of(value) for value in categories.tolist()]
    if categories.dtype.kind == "f":
        return replace(merged_levels(codes, labels), ordered=ordered)
    _check_distinct(labels, name)
    return Factor(codes, label_array(labels), ordered=ordered)


def _sorted_labels(raw: Any) -> Factor:
    """Return text as a factor with sorted levels."""
    codes, distinct = pd.factorize(raw)
    labels = [str(label) for label in distinct.tolist()]
    order = sorted(range(len(labels)), key=labels.__getitem__)
    lookup = np.empty(len(labels) + 1, dtype=np.intp)
    lookup[order] = np.arange(len(labels))
    lookup[-1] = MISSING_CODE  # where code -1 points
    return Factor(lookup[codes], label_array([labels[place] for place in order]))


def _complex_numbers(name: str) -> DataError:
    return DataError(f"Column {name!r} holds complex numbers; a model needs real ones.")
