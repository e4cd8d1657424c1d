"""The table of a stream: the names of its columns, where they are read, and no rows."""

from dataclasses import replace
from typing import Any

from hierbayes.arrays import record
from hierbayes.design.column_seen import ColumnSeen
from hierbayes.design.not_kept import not_kept
from hierbayes.design.table import Table
from hierbayes.formula.expressions import names_in
from hierbayes.streams.batch_values import Question
from hierbayes.streams.first_pass import Learnt
from hierbayes.streams.source import Source


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

    def __init__(self, source: Source, question: Question, learnt: Learnt, passes: Passes) -> None:
        n_rows = learnt.n_given
        super().__init__(n_rows, not_kept("the labels of the rows", n_rows, dtype=object))
        self.stream = source
        self.passes = passes
        self.question = question
        self.learnt = learnt
        self._names = list(source.columns)

    def seen(self, name: str) -> ColumnSeen:
        """Return what is known of a column of the fixed part in the rows used.

        Raises
        ------
        RowsNotKeptError
            If it is no column of the fixed part.
        """
        found = self.learnt.columns.get(name)
        if found is None:
            self.raw(name).sum()  # says that it was not kept
        assert found is not None
        if found.moments is not None or found.value is not None:
            return found
        for variable, own in self.learnt.variables.items():
            if own.levels is not None and name in names_in(variable):
                return replace(found, value=own.levels.factor())
        return found

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
