"""Row labels of a data frame in terms of JSON and arrays, and back: any pandas index.

Numbers are an array; dates, periods and spans are their integers with unit, zone or frequency;
a MultiIndex, a categorical and intervals are made of simpler indices. Labels of any other kind are
codes into a list of the distinct ones, each written in JSON with its type; a label of a type that
is not among ``_written``'s becomes its text.
"""

import datetime
import math
from typing import Any

import numpy as np
import pandas as pd

Arrays = dict[str, Any]
# Types of labels that are written one by one and have a type of array of their own.
NAMED_TYPES = {
    "object", "str", "string", "boolean", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16",
    "UInt32", "UInt64", "Float32", "Float64",
}  # fmt: skip
PLAIN = (str, bool, int, float)
MISSING = {"NA": pd.NA, "NaT": pd.NaT, "NaN": math.nan}


def stored_index(index: pd.Index, arrays: Arrays, *, key: str = "row_labels") -> Any:
    """Return an index in terms of JSON; its numbers go to ``arrays`` under names from ``key`` on.

    A plain count without a name is None.
    """
    if isinstance(index, pd.RangeIndex):
        if (index.start, index.step, index.name) == (0, 1, None):
            return None
        found = {"kind": "range", "range": [index.start, index.stop, index.step]}
        return found | {"name": _written(index.name)}
    if isinstance(index, pd.MultiIndex):
        unnamed = index.set_names([None] * index.nlevels)  # a level may be named 1
        parts = [unnamed.get_level_values(i).rename(name) for i, name in enumerate(index.names)]
        levels = [_part(part, arrays, f"{key}_{i}") for i, part in enumerate(parts)]
        return {"kind": "levels", "levels": levels}
    return _flat(index, arrays, key) | {"name": _written(index.name)}


def _part(index: pd.Index, arrays: Arrays, key: str) -> Any:
    """Store an index that must not be None: one inside another."""
    found = stored_index(index, arrays, key=key)
    return {"kind": "range", "range": [0, len(index), 1], "name": None} if found is None else found


def _flat(index: pd.Index, arrays: Arrays, key: str) -> dict[str, Any]:
    if isinstance(index, pd.CategoricalIndex):
        arrays[key] = np.asarray(index.codes)
        categories = _part(index.categories, arrays, f"{key}_c")
        return {
            "kind": "categories",
            "array": key,
            "categories": categories,
            "ordered": bool(index.ordered),
        }
    if isinstance(index, pd.IntervalIndex):
        ends = [_part(index.left, arrays, f"{key}_l"), _part(index.right, arrays, f"{key}_r")]
        return {"kind": "intervals", "ends": ends, "closed": index.closed}
    if isinstance(index, pd.DatetimeIndex):
        arrays[key] = np.asarray(index.asi8)
        zone = None if index.tz is None else str(index.tz)
        return {"kind": "datetime", "array": key, "unit": index.unit, "zone": zone}
    if isinstance(index, pd.TimedeltaIndex):
        arrays[key] = np.asarray(index.asi8)
        return {"kind": "timedelta", "array": key, "unit": index.unit}
    if isinstance(index, pd.PeriodIndex):
        arrays[key] = np.asarray(index.asi8)
        return {"kind": "period", "array": key, "frequency": index.freqstr}
    if isinstance(index.dtype, np.dtype) and index.dtype.kind in "iufb":
        arrays[key] = index.to_numpy()
        return {"array": key}
    return _listed(index, arrays, key)


def _listed(index: pd.Index, arrays: Arrays, key: str) -> dict[str, Any]:
    """Codes into the distinct labels; labels that are equal but of two types stay apart."""
    if index.inferred_type == "string" and not index.hasnans:
        codes, labels = pd.factorize(index)
        distinct = labels.tolist()
    else:
        place: dict[tuple[str, str], int] = {}
        distinct, at = [], []
        for one in map(_written, index.tolist()):
            identity = (type(one).__name__, repr(one))
            if place.setdefault(identity, len(distinct)) == len(distinct):
                distinct.append(one)
            at.append(place[identity])
        codes = np.array(at, dtype=np.int64)
    arrays[key] = codes
    name = str(index.dtype)
    return {
        "kind": "labels",
        "array": key,
        "labels": distinct,
        "type": name if name in NAMED_TYPES else "object",
    }


def _written(label: Any) -> Any:
    """Return one label in terms of JSON: itself, or {its type: its value}."""
    if isinstance(label, np.generic):
        label = label.item()
    if label is None or type(label) in PLAIN:
        return {"missing": "NaN"} if label != label else label
    if label is pd.NA or label is pd.NaT:
        return {"missing": "NA" if label is pd.NA else "NaT"}
    if isinstance(label, tuple):
        return {"tuple": [_written(part) for part in label]}
    if isinstance(label, datetime.datetime) and label.tzinfo is None:
        kind = "Timestamp" if isinstance(label, pd.Timestamp) else "datetime"
        return {kind: label.isoformat()}
    if type(label) is datetime.date:
        return {"date": label.isoformat()}
    return str(label)


def _read(written: Any) -> Any:
    """Return the label that ``_written`` wrote."""
    if not isinstance(written, dict):
        if written is not None and type(written) not in PLAIN:
            raise ValueError("no label")
        return written
    ((kind, value),) = written.items()
    if kind == "missing":
        return MISSING[value]
    if kind == "tuple":
        return tuple(_read(part) for part in value)
    read = {
        "Timestamp": pd.Timestamp,
        "datetime": datetime.datetime.fromisoformat,
        "date": datetime.date.fromisoformat,
    }[kind]
    return read(value)


def read_index(stored: Any, array: Any) -> pd.Index:
    """Return the index that ``stored_index`` wrote, its array of hierbayes 0.1.0 included.

    Parameters
    ----------
    stored : in terms of JSON
    array : what returns an array by its name and the kinds of type it may have

    Raises
    ------
    KeyError, ValueError, TypeError
        If it isn't one.
    """
    if "kind" not in stored:  # numbers, or the text of 0.1.0
        return pd.Index(array(stored["array"], "biufU"), name=_read(stored["name"]))
    if stored["kind"] == "levels":
        levels = [read_index(level, array) for level in stored["levels"]]
        return pd.MultiIndex.from_arrays(levels, names=[level.name for level in levels])
    found = _KINDS[stored["kind"]](stored, array)
    return found.rename(_read(stored["name"]))


def _read_range(stored: Any, array: Any) -> pd.Index:
    del array
    return pd.RangeIndex(*stored["range"])


def _read_categories(stored: Any, array: Any) -> pd.Index:
    categories = read_index(stored["categories"], array)
    codes = array(stored["array"], "i")
    return pd.CategoricalIndex(
        pd.Categorical.from_codes(codes, categories=categories, ordered=stored["ordered"])
    )


def _read_intervals(stored: Any, array: Any) -> pd.Index:
    left, right = (read_index(end, array) for end in stored["ends"])
    return pd.IntervalIndex.from_arrays(left, right, closed=stored["closed"])


def _read_datetimes(stored: Any, array: Any) -> pd.Index:
    values = pd.DatetimeIndex(array(stored["array"], "i").view(f"M8[{stored['unit']}]"))
    return (
        values if stored["zone"] is None else values.tz_localize("UTC").tz_convert(stored["zone"])
    )


def _read_timedeltas(stored: Any, array: Any) -> pd.Index:
    return pd.TimedeltaIndex(array(stored["array"], "i").view(f"m8[{stored['unit']}]"))


def _read_periods(stored: Any, array: Any) -> pd.Index:
    frequency = pd.PeriodDtype(stored["frequency"])
    return pd.PeriodIndex(pd.arrays.PeriodArray(array(stored["array"], "i"), dtype=frequency))


def _read_labels(stored: Any, array: Any) -> pd.Index:
    codes = array(stored["array"], "i")
    labels = np.empty(len(stored["labels"]), dtype=object)
    for i, label in enumerate(stored["labels"]):  # one by one: a tuple is a label, not a row
        labels[i] = _read(label)
    if stored["type"] not in NAMED_TYPES or (codes < 0).any():
        raise ValueError("no labels")
    chosen = labels[codes]
    return pd.Index(chosen, dtype=stored["type"], tupleize_cols=False)


_KINDS = {
    "range": _read_range,
    "categories": _read_categories,
    "intervals": _read_intervals,
    "datetime": _read_datetimes,
    "timedelta": _read_timedeltas,
    "period": _read_periods,
    "labels": _read_labels,
}
