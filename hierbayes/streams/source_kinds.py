"""Which data are a stream, and which source reads them."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.design.table import PARQUET_SUFFIXES, Table
from hierbayes.errors import DataError
from hierbayes.files import checked_path
from hierbayes.streams.arrow_dataset import DatasetSource, dataset_of_path
from hierbayes.streams.frames import FrameSource
from hierbayes.streams.partitions import PartitionSource
from hierbayes.streams.queries import LazyFrameSource, RelationSource, relation_of
from hierbayes.streams.source import Source
from hierbayes.streams.stream import Stream
from hierbayes.streams.table import StreamedTable

SUFFIXES = {"parquet": PARQUET_SUFFIXES, "csv": (".csv", ".csv.gz")}
# Files up to here are read at once, so that all that needs rows works.
READ_AT_ONCE = 256 * 2**20  # bytes of a file
ROWS_AT_ONCE = 2_000_000


def read_at_once(data: Any) -> Any:
    """Return small data that only a source reads as a table; all other as they are."""
    if isinstance(data, str | Path) and _holds_parquet(Path(data)):
        return dataset_of_path(Path(data), "parquet").table()
    if _is_dataset(data):
        return DatasetSource(data).table()
    return data


def source_of(data: Any, stream: bool | None = None) -> Source | None:
    """Return the source that reads some data in parts; None where they are to be read at once.

    Parameters
    ----------
    data : whatever was given as data
    stream : True for a stream of anything, False for none, None to decide by kind and size
    """
    if isinstance(data, pd.DataFrame | Mapping):
        return FrameSource([data]) if stream else None
    if isinstance(data, Stream):
        if data.connection is not None:
            return relation_of(data.data, data.connection)
        return source_of(data.data, stream=True)
    if isinstance(data, StreamedTable):
        return data.stream
    if isinstance(data, Source):
        return data
    if stream is False or data is None or isinstance(data, Table | np.ndarray):
        return None
    if isinstance(data, str | Path):
        return _of_path(data, stream)
    if type(data).__module__.startswith("dask"):
        return PartitionSource(data)
    if isinstance(data, Iterator | list | tuple) or _makes_frames(data):
        return FrameSource(data)
    return _query(data, stream)


def _query(data: Any, stream: bool | None) -> Source | None:
    """Return the source of a lazy frame, relation, dataset or partitions, unless it is small."""
    package = type(data).__module__.partition(".")[0].lstrip("_")
    kind = type(data).__name__
    found: Source | None = None
    if package == "polars" and kind == "LazyFrame":
        found = LazyFrameSource(data)
    elif package == "duckdb" and hasattr(data, "sql_query"):
        found = RelationSource(data)
    elif _is_dataset(data):
        found = DatasetSource(data)
    elif stream and not isinstance(data, str):
        found = FrameSource([data])
    if found is None or stream:
        return found
    n = found.n_rows
    return found if n is None or n > ROWS_AT_ONCE else None


def _is_dataset(data: Any) -> bool:
    return type(data).__module__.startswith("pyarrow") and hasattr(data, "get_fragments")


def _makes_frames(data: Any) -> bool:
    """Whether it is a function, and no frame that can be called."""
    return callable(data) and not isinstance(data, type) and not hasattr(data, "columns")


def _holds_parquet(path: Path) -> bool:
    """Whether it is a folder with a Parquet file in it; what is no path is none.

    The file lies in the folder itself, or in one that is called by a value, ``year=2026``: of a
    large tree nothing else is looked at.
    """
    inside = []
    try:
        if not path.is_dir():
            return False
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.lower().endswith(PARQUET_SUFFIXES):
                    return True
                if "=" in entry.name:
                    inside.append(Path(entry.path))
    except (OSError, ValueError):
        return False
    return any(_holds_parquet(folder) for folder in inside)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _of_path(given: str | Path, stream: bool | None) -> Source | None:
    path = checked_path(given, error=DataError)
    if _holds_parquet(path):
        folder = dataset_of_path(path, "parquet")
        small = folder.n_rows is not None and folder.n_rows <= ROWS_AT_ONCE
        return None if small and not stream else folder
    form = next((f for f, ends in SUFFIXES.items() if path.name.lower().endswith(ends)), None)
    if form is None or not _is_file(path):
        return None  # read_table says what is wrong
    if not stream and path.stat().st_size <= READ_AT_ONCE:
        return None
    return dataset_of_path(path, form)
