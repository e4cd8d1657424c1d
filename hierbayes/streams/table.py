"""The table of a stream: the names of its columns, and no rows."""

from collections.abc import Sequence
from typing import Any

from hierbayes.design.not_kept import not_kept
from hierbayes.design.table import Table


class StreamedTable(Table):
    """Columns of which nothing was kept but what the model learnt of them."""

    def __init__(self, names: Sequence[str], n_rows: int) -> None:
        super().__init__(n_rows, not_kept("the labels of the rows", n_rows, dtype=object))
        self._names = list(names)

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
