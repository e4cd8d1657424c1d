"""The rows of a lazy frame: which can be used, and what is asked of them before the sums.

One query goes over all rows and counts what is missing or infinite. Others list the values of
columns that make levels, and ask for the moments of what ``scale`` and the like learn from.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import narwhals as nw
import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.design.table import Table
from hierbayes.streams.batch_values import table_of
from hierbayes.streams.source import Batch
from hierbayes.streams.table import Asked


@record
class Question:
    """One query: what it is for, and the frame that asks it.

    Attributes
    ----------
    purpose : in words, for the plan
    frame : lazy frame of narwhals
    """

    purpose: str
    frame: nw.LazyFrame[Any]

    def text(self) -> str:
        """Return the query as the engine's own text: SQL, or Polars' plan."""
        native = self.frame.to_native()
        if hasattr(native, "sql_query"):
            return str(native.sql_query())
        return str(native.explain())


class Plan:
    """Asks queries, and keeps them in their order."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def batch(self, question: Question) -> Batch:
        """Ask a query; what comes back is read like a part of a stream."""
        start = time.perf_counter()
        # Polars' other engine would hold all rows used at once
        is_polars = question.frame.implementation.is_polars()
        options: dict[str, Any] = {"engine": "streaming"} if is_polars else {}
        found = question.frame.collect(**options).to_native()
        taken = time.perf_counter() - start
        self.asked.append(Asked(question.purpose, question.text(), taken))
        return Batch(part="the answer to a query", first=0, read=lambda: found)

    def answer(self, question: Question) -> Table:
        """Ask a query and return what comes back as a table."""
        batch = self.batch(question)
        return table_of(batch.frame(), batch)


class Names:
    """Names of the columns of ours, none of which the data have in any spelling of case."""

    def __init__(self, taken: Iterable[str]) -> None:
        lower = {name.lower() for name in taken}
        self.stem = "_"
        while any(name.startswith(self.stem) for name in lower):
            self.stem += "_"

    def __call__(self, *parts: object) -> str:
        """Return the name of something of ours."""
        return self.stem + "_".join(map(str, parts))


class UsedRows:
    """The rows of a lazy frame that a model uses: those without a missing value.

    Parameters
    ----------
    frame : the data
    used : the columns of the data that the model uses
    """

    def __init__(self, frame: nw.LazyFrame[Any], used: Sequence[str]) -> None:
        self.frame = frame
        self.schema = dict(frame.collect_schema())
        self.used = tuple(used)
        self.name = Names(self.schema)

    def counts(self) -> Question:
        """Count rows, and per column used those in which it is missing or infinite."""
        asked = [nw.len().alias(self.name("n"))]
        complete = self.complete()
        for place, column in enumerate(self.used):
            missing = ~_is_there(column, self.schema[column])
            asked.append(_count(missing).alias(self.name("missing", place)))
            if self.schema[column].is_float():
                infinite = complete & ~nw.col(column).is_finite()
                asked.append(_count(infinite).alias(self.name("infinite", place)))
        asked.append(_count(complete).alias(self.name("complete")))
        return Question(
            purpose="counts of rows, and how many values of each column are missing or infinite",
            frame=self.frame.select(*asked),
        )

    def complete(self) -> nw.Expr:
        """Return the condition that no column used is missing."""
        there = [_is_there(column, self.schema[column]) for column in self.used]
        return nw.all_horizontal(*there, ignore_nulls=False)

    def kept(self) -> nw.LazyFrame[Any]:
        """Return the rows used."""
        return self.frame.filter(self.complete())

    def levels(self, columns: Sequence[str]) -> Question:
        """List the values, and combinations of values, of some columns in the rows used."""
        return Question(
            purpose=f"levels of {', '.join(columns)}",
            frame=self.kept().group_by(*columns).agg(nw.len().alias(self.name("n"))),
        )

    def spread(self, number: nw.Expr, what: str, shift: float = 0.0) -> Question:
        """Ask for the moments of a number less ``shift`` in all rows that have it."""
        own = self.name("x")
        usable = nw.when(nw.col(own).is_finite()).then(nw.col(own))
        return Question(
            purpose=f"mean and spread of {what}",
            frame=self.frame.select((number - shift).alias(own)).select(
                usable.count().alias(self.name("n")),
                usable.mean().alias(self.name("mean")),
                usable.var(ddof=0).alias(self.name("var")),
                usable.min().alias(self.name("low")),
                usable.max().alias(self.name("high")),
            ),
        )


def counted_rows(count: int) -> str:
    """Say how many rows, for messages that can't name them."""
    return f"{count:,} row{'s' * (count != 1)}"


def numbers_in(table: Table, column: str) -> FloatArray:
    """Return a column of an answer as numbers; whole ones may come as objects."""
    return np.asarray(table.column(column), dtype=np.float64)


def _is_there(column: str, kind: Any) -> nw.Expr:
    there = ~nw.col(column).is_null()
    return there & ~nw.col(column).is_nan() if kind.is_float() else there


def _count(condition: nw.Expr) -> nw.Expr:
    return condition.cast(nw.Int64).sum()
