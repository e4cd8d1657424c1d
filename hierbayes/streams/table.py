"""The table of a stream: the names of its columns, where they are read, and no rows."""

from collections.abc import Sequence
from typing import Any

from hierbayes.arrays import record
from hierbayes.design.not_kept import not_kept
from hierbayes.design.table import Table


@record(kw_only=False)
class Asked:
    """A query that was asked: what for, its text, and how many seconds the answer took."""

    purpose: str
    text: str
    seconds: float


@record
class Passes:
    """How rows were gone through.

    Attributes
    ----------
    source : what they were read from
    queries : where an engine computed all there is to know, what it was asked
    not_pushed : where an engine held the rows and they were read all the same, the reason
    """

    source: str
    queries: tuple[Asked, ...] = ()
    not_pushed: str = ""


class StreamedTable(Table):
    """Columns of which nothing was kept but what the model learnt of them."""

    def __init__(self, names: Sequence[str], n_rows: int, passes: Passes) -> None:
        super().__init__(n_rows, not_kept("the labels of the rows", n_rows, dtype=object))
        self._names = list(names)
        self.passes = passes

    @property
    def names(self) -> list[str]:
        """Names of the columns, as text."""
        return list(self._names)

    def raw(self, name: str) -> Any:
        """Return what stands in the place of a column."""
        if name not in self._names:
            raise self.missing_column(name)
        return not_kept(f"the column {name!r}", self.n_rows)

    def _read(self, name: str) -> Any:
        return self.raw(name)
