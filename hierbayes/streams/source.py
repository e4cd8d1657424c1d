"""What a stream of rows is read from: parts with names, in batches that can be read again.

A source knows its columns and hands out batches. A batch is read by whoever sums it, so that two
threads read and sum two batches at a time. Each kind of source is a class in a file of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from hierbayes.arrays import record
from hierbayes.errors import DataError, HierBayesError

# Rows of a batch: so many that what a batch costs beside its rows is nothing, and that two of
# them with their columns take tens of megabytes.
BATCH_ROWS = 1_000_000


def constant[Held](held: Held) -> Callable[[], Held]:
    """Return a function that returns what is there already."""
    return lambda: held


@record
class Batch:
    """Some rows of one part.

    Attributes
    ----------
    part : its name in messages ("part 7", or a file and which of its row groups)
    first : position of its first row in the part
    read : returns the rows as a frame that ``design/table.py`` reads
    """

    part: str
    first: int
    read: Callable[[], Any]

    def frame(self) -> Any:
        """Read the rows.

        Raises
        ------
        DataError
            If they can't be read; the message names the part.
        """
        try:
            return self.read()
        except (HierBayesError, MemoryError):
            raise
        except Exception as error:  # whatever readers of files and databases raise
            raise unreadable(self.part, error) from error

    def row(self, position: int) -> str:
        """Name a row by its position in the batch."""
        return f"{self.first + position + 1:,} of {self.part}"


def unreadable(part: str, error: Exception) -> DataError:
    """Return the error of a part that can't be read."""
    reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip()
    return DataError(
        f"{part[:1].upper()}{part[1:]} of the stream can't be read: "
        f"{reason.partition(chr(10))[0].rstrip('.')}."
    )


@runtime_checkable
class Source(Protocol):
    """Rows in parts.

    Attributes
    ----------
    name : how printed results call the data
    description : what it is, for explanations ("a Parquet file of 3 row groups")
    re_readable : whether ``batches`` can be asked more than once
    columns : names of its columns
    n_rows : how many rows it has, where that is known without reading them
    fingerprint : what tells it from other data, for checkpoints
    """

    @property
    def name(self) -> str:
        """How printed results call the data."""

    @property
    def description(self) -> str:
        """What it is."""

    @property
    def re_readable(self) -> bool:
        """Whether it can be read more than once."""

    @property
    def columns(self) -> list[str]:
        """Names of its columns."""

    @property
    def n_rows(self) -> int | None:
        """Number of rows, where known."""

    @property
    def fingerprint(self) -> str:
        """What tells it from other data."""

    def batches(self, columns: Sequence[str], start: int = 0) -> Iterator[Batch]:
        """Hand out the batches in order.

        Parameters
        ----------
        columns : the columns that will be used; others may be left out
        start : how many batches to leave out at the beginning
        """
