"""A stream as a table of cells: the distinct rows of the columns a model uses, with their counts.

One pass. Two threads count batches each for itself, and what they counted is merged.
"""

import queue
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import numpy as np
import pandas as pd

from hierbayes.arrays import IntArray
from hierbayes.design.table import MissingColumnError, PandasTable, Table
from hierbayes.errors import DataError
from hierbayes.formula.terms import Formula
from hierbayes.streams.batch_values import Question, question_of, table_of
from hierbayes.streams.cells import Cells
from hierbayes.streams.levels import UNKNOWN
from hierbayes.streams.partitions import PartitionSource
from hierbayes.streams.reading import THREADS, in_order
from hierbayes.streams.source import Batch, Source
from hierbayes.wording import did_you_mean


class CellNames:
    """What messages call cells, made for those that a message names: what they hold."""

    def __init__(self, frame: pd.DataFrame, counts: IntArray, places: IntArray) -> None:
        self._frame, self._counts, self._places = frame, counts, places

    def __len__(self) -> int:
        return self._places.size

    def __getitem__(self, at: Any) -> Any:
        places = self._places[at]
        if np.ndim(places):
            return CellNames(self._frame, self._counts, places)
        held = ", ".join(f"{name}={self._frame[name].iloc[places]}" for name in self._frame)
        count = int(self._counts[places])
        return f"({held}), {count:,} row{'' if count == 1 else 's'} of the stream"


class CellTable(PandasTable):
    """Distinct rows of a stream and how many rows each is."""

    def __init__(self, frame: pd.DataFrame, counts: IntArray) -> None:
        super().__init__(frame)
        self.counts = counts
        self.index = cast(Any, CellNames(frame, counts, np.arange(len(frame))))

    def missing_column(self, name: str) -> MissingColumnError:
        """Return the error for a column that was not counted."""
        return MissingColumnError(
            name,
            "",
            f"The cells of a stream keep the columns that its model used, and {name!r} is none of "
            "them; make a new model of the stream.",
        )


def cell_table(
    formula: Formula,
    source: Source,
    *,
    arguments: Mapping[str, Any],
    levels: Mapping[str, Any] | None = None,
) -> CellTable:
    """Read a stream and return its cells, in the order of their values.

    Parameters
    ----------
    formula : the formula, with ``.`` expanded
    source : the rows
    arguments : weights, offset and known_sd: column names, expressions or None
    levels : of categories, by column, those that were given

    Raises
    ------
    DataError
        If a part can't be read, lacks a column, or holds another kind of values than others, or a
        level that those given lack.
    NotSupportedError
        If there are more cells than a model of them could hold.
    """
    question = question_of(formula, arguments, source, levels)
    if isinstance(source, PartitionSource):
        whole = source.reduced(question.columns, partial(_counted, question), _merged)
        return _table_of(whole, question)
    idle: queue.SimpleQueue[Cells] = queue.SimpleQueue()
    every = [Cells(question.columns) for _ in range(THREADS)]
    for own in every:
        idle.put(own)

    def count(batch: Batch) -> None:
        own = idle.get()
        try:
            add_batch(own, batch)
        finally:
            idle.put(own)

    for _ in in_order(source.batches(question.columns), count):
        pass
    cells, *others = every
    for own in others:
        cells.merge(own)
    return _table_of(cells, question)


def _table_of(cells: Cells, question: Question) -> CellTable:
    if not cells.n_rows:
        raise DataError("The stream has no rows.")
    found = cells.frame()
    table = CellTable(found.frame, found.counts)
    if not question.levels:
        return table
    frame = found.frame.copy(deep=False)
    for name, given in question.levels.items():
        own = given.factor(table.column(name))
        if own.codes.min() == UNKNOWN:
            other = found.frame[name].iloc[int(own.codes.argmin())]
            raise DataError(f"{name} has the level {str(other)!r}, which the levels given lack.")
        frame[name] = pd.Categorical.from_codes(own.codes, categories=own.levels.tolist())
    return CellTable(frame, found.counts)


def _counted(question: Question, batch: Batch) -> Cells:
    cells = Cells(question.columns)
    add_batch(cells, batch)
    return cells


def _merged(first: Cells, second: Cells) -> Cells:
    """Return the cells of both; these stay as they are."""
    found = Cells(first.names, most=first.most)
    found.merge(first)
    found.merge(second)
    return found


def add_batch(cells: Cells, batch: Batch) -> None:
    """Read a batch and count its rows."""
    table = table_of(batch.frame(), batch)
    present = set(table.names)
    for name in cells.names:
        if name not in present:
            hint = did_you_mean(name, table.names)
            part = batch.part[:1].upper() + batch.part[1:]
            raise DataError(f"{part} of the stream has no column {name!r}{hint}")
    cells.add([_array(table, name) for name in cells.names], batch.part)


def _array(table: Table, name: str) -> object:
    raw = table.raw(name)
    raw = getattr(raw, "array", raw)  # of a Series
    return raw.to_numpy() if isinstance(raw, pd.arrays.NumpyExtensionArray) else raw
