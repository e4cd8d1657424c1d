"""Streams of queries: a Polars LazyFrame, a DuckDB relation, or a table by its name."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

from hierbayes.errors import DataError, OptionError
from hierbayes.streams.source import BATCH_ROWS, Batch, constant, unreadable
from hierbayes.wording import shown


class LazyFrameSource:
    """A Polars LazyFrame; its batches come from the streaming engine, in order."""

    name = ""
    re_readable = True
    description = "a Polars LazyFrame"

    def __init__(self, frame: Any) -> None:
        self.frame = frame
        self.columns = list(frame.collect_schema().names())

    @cached_property
    def n_rows(self) -> int | None:
        """How many rows it has; the query is run for it."""
        import polars as pl

        return int(self.frame.select(pl.len()).collect().item())

    @cached_property
    def fingerprint(self) -> str:
        """Its columns and its plan."""
        return repr((self.columns, self.frame.explain(optimized=False)))

    def batches(self, columns: Sequence[str], start: int = 0) -> Iterator[Batch]:
        """Hand out the batches in order."""
        wanted = self.frame.select(list(columns)).slice(start * BATCH_ROWS)
        found = wanted.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True, lazy=True)
        return _of_one_part(_of_one_size(iter(found)), "the LazyFrame", start)


class RelationSource:
    """A DuckDB relation, read through Arrow.

    The order of its rows has to be the same each time: DuckDB keeps that of tables and files unless
    ``preserve_insertion_order`` is off.
    """

    name = ""
    re_readable = True
    description = "a DuckDB relation"

    def __init__(self, relation: Any) -> None:
        self.relation = relation
        self.columns = list(relation.columns)

    @cached_property
    def n_rows(self) -> int | None:
        """How many rows it has; the query is run for it."""
        return int(self.relation.aggregate("count(*)").fetchall()[0][0])

    @cached_property
    def fingerprint(self) -> str:
        """Its columns and its query."""
        return repr((self.columns, self.relation.sql_query()))

    def batches(self, columns: Sequence[str], start: int = 0) -> Iterator[Batch]:
        """Hand out the batches in order."""
        wanted = self.relation.project(", ".join(map(quoted, columns)))
        reader = _reader_of(wanted)
        return _of_one_part(islice(reader, start, None), "the relation", start)


def relation_of(name: str, connection: Any) -> RelationSource:
    """Return the source of a table, or of a query, of a DuckDB connection.

    Parameters
    ----------
    name : of the table or view, or a text of SQL that begins with SELECT, WITH or FROM
    connection : of ``duckdb.connect``

    Raises
    ------
    OptionError, DataError
        If the connection is none, or has no such table.
    """
    if not hasattr(connection, "sql") or not hasattr(connection, "table"):
        raise OptionError(
            f"connection={shown(connection)} must be a DuckDB connection, as duckdb.connect(path)."
        )
    first = name.split(maxsplit=1)[0].lower() if name.split() else ""
    try:
        is_query = first in ("select", "with", "from")
        return RelationSource(connection.sql(name) if is_query else connection.table(name))
    except Exception as error:  # duckdb's own, which need not be importable here
        reason = str(error).partition("\n")[0]
        raise DataError(f"The connection can't give {shown(name)}: {reason}") from error


def quoted(name: str) -> str:
    """Write the name of a column in SQL."""
    return '"' + name.replace('"', '""') + '"'


def _reader_of(relation: Any) -> Iterator[Any]:
    for method in ("to_arrow_reader", "fetch_record_batch"):  # its name since 1.4, and before
        if hasattr(relation, method):
            return iter(getattr(relation, method)(BATCH_ROWS))
    raise DataError("This version of DuckDB gives no batches of Arrow; version 1.0 or later does.")


def _of_one_size(frames: Iterator[Any]) -> Iterator[Any]:
    """Cut Polars frames so that each but the last has ``BATCH_ROWS`` rows."""
    import polars as pl

    held: list[Any] = []
    size = 0
    for frame in frames:
        held.append(frame)
        size += len(frame)
        while size >= BATCH_ROWS:
            whole = pl.concat(held, rechunk=False)
            yield whole[:BATCH_ROWS]
            held, size = [whole[BATCH_ROWS:]], size - BATCH_ROWS
    if size:
        yield pl.concat(held, rechunk=False)


def _of_one_part(frames: Iterator[Any], part: str, start: int) -> Iterator[Batch]:
    first = start * BATCH_ROWS
    while True:
        try:
            frame = next(frames)
        except StopIteration:
            return
        except Exception as error:  # whatever the engine raises
            raise unreadable(part, error) from error
        yield Batch(part=part, first=first, read=constant(frame))
        first += len(frame)
