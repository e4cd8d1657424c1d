"""The numbers of a result as a frame of pandas or polars, without anything of ours."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    import polars

ROWS = "parameter"  # what the names of rows are called where the table doesn't say
PART = "table"


def plain_frame(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return a frame, or several below each other with a first column that names them."""
    plain = {name: _plain(frame) for name, frame in frames.items()}
    if len(plain) == 1:
        return next(iter(plain.values()))
    parts = []
    for name, frame in plain.items():
        part = with_names(frame)
        part.insert(0, PART if PART not in part else f"{PART}_", name)
        parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    plain = pd.DataFrame(frame)
    plain.attrs = dict(frame.attrs)
    return plain.copy()


def with_names(frame: pd.DataFrame, default: str = ROWS) -> pd.DataFrame:
    """Return the frame with the names of its rows, if they have any, as first columns."""
    if is_numbered(frame.index):
        return frame.reset_index(drop=True)
    names = [
        str(name) if name is not None else default if i == 0 else f"{default}_{i + 1}"
        for i, name in enumerate(frame.index.names)
    ]
    taken = {str(column) for column in frame.columns}
    names = [f"{name}_" if name in taken else name for name in names]
    named = frame.rename_axis(columns=None)
    return named.reset_index(names=names)


def is_numbered(index: "pd.Index[Any]") -> bool:
    """Whether the rows have numbers only, no names."""
    return isinstance(index, pd.RangeIndex) and index.name is None


def polars_frame(frame: pd.DataFrame) -> "polars.DataFrame":
    """Return a frame of pandas as one of polars; what is missing is null in columns of text."""
    import polars as pl

    columns = {}
    for name, values in with_names(frame).items():
        numeric = pd.api.types.is_numeric_dtype(values.dtype) and not hasattr(values, "cat")
        own: Any = values.to_numpy() if numeric else _objects(values)
        columns[str(name)] = pl.Series(str(name), own, strict=False)
    return pl.DataFrame(columns)


def _objects(values: "pd.Series[Any]") -> list[Any]:
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return [None if pd.isna(value) else value.to_pydatetime() for value in values]
    return [None if _is_missing(value) else value for value in values.astype(object)]


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or value != value
