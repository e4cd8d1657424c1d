"""Which data are a stream, and which source reads them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.design.table import PARQUET_SUFFIXES, Table
from hierbayes.errors import DataError
from hierbayes.files import checked_path
from hierbayes.streams.arrow_dataset import dataset_of_path
from hierbayes.streams.frames import FrameSource
from hierbayes.streams.partitions import PartitionSource
from hierbayes.streams.source import Source

SUFFIXES = {"parquet": PARQUET_SUFFIXES, "csv": (".csv", ".csv.gz")}
# Files up to here are read at once, so that all that needs rows works.
READ_AT_ONCE = 256 * 2**20  # bytes of a file
ROWS_AT_ONCE = 2_000_000


def source_of(data: Any, stream: bool | None = None) -> Source | None:
    """Return the source that reads some data in parts; None where they are to be read at once.

    Parameters
    ----------
    data : whatever was given as data
    stream : True for a stream of anything, False for none, None to decide by kind and size
    """
    if isinstance(data, pd.DataFrame | Mapping):
        return FrameSource([data]) if stream else None
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
    return None


def _makes_frames(data: Any) -> bool:
    """Whether it is a function, and no frame that can be called."""
    return callable(data) and not isinstance(data, type) and not hasattr(data, "columns")


def _of_path(given: str | Path, stream: bool | None) -> Source | None:
    path = checked_path(given, error=DataError)
    if path.is_dir():
        return dataset_of_path(path, "parquet")
    form = next((f for f, ends in SUFFIXES.items() if path.name.lower().endswith(ends)), None)
    if form is None or not path.is_file():
        return None  # read_table says what is wrong
    if not stream and path.stat().st_size <= READ_AT_ONCE:
        return None
    return dataset_of_path(path, form)
