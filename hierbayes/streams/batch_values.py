"""The variables of a model in one batch of a stream, in the rows that can be used.

What ``design/reading.py`` does for data in memory: rows with a missing value are left out and
counted, infinite values are errors, which here name the part and the row in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.design.checks import check_known_sd, check_weights, numbers_of
from hierbayes.design.evaluate import Scope, evaluate
from hierbayes.design.reading import argument_expression, formula_expressions
from hierbayes.design.rows import check_columns, check_values
from hierbayes.design.table import ColumnsTable, NarwhalsTable, PandasTable, Table, read_table
from hierbayes.design.transforms import State
from hierbayes.design.values import (
    Column,
    Factor,
    Logical,
    as_factor,
    column_of,
    is_missing,
    take_rows,
)
from hierbayes.errors import DataError, MissingPackageError
from hierbayes.formula.expressions import Expression, Name, names_in
from hierbayes.formula.parser import columns_in
from hierbayes.formula.terms import Formula
from hierbayes.streams.learnt_states import is_learnt
from hierbayes.streams.levels import UNKNOWN, GivenLevels, given_levels
from hierbayes.streams.source import Batch, Source
from hierbayes.wording import did_you_mean

ARGUMENTS = ("weights", "offset", "known_sd")


@record
class Question:
    """What is read off every batch.

    Attributes
    ----------
    formula : the formula
    arguments : weights, offset and known_sd as text, those that were given
    expressions : every variable of the formula, each once
    columns : the columns of the data that are used
    levels : of columns that are categories with levels that were given
    """

    formula: Formula
    arguments: Mapping[str, str]
    expressions: tuple[Expression, ...]
    columns: tuple[str, ...]
    levels: Mapping[str, GivenLevels] = field(default_factory=dict)

    def arguments_columns(self) -> tuple[str, ...]:
        """Columns that arguments use, that the formula need not have."""
        formula = set(columns_in(self.formula))
        return tuple(name for name in self.columns if name not in formula)


def question_of(
    formula: Formula,
    given: Mapping[str, Any],
    source: Source,
    levels: Mapping[str, Sequence[Any]] | None = None,
) -> Question:
    """Return what a model reads of a source.

    Parameters
    ----------
    formula : with ``.`` expanded
    given : weights, offset and known_sd as the user gave them, None when not
    levels : those that were given, by column; of columns that are not used they don't matter

    Raises
    ------
    DataError
        If one of them is an array, which no stream can be matched with, or a column isn't there.
    OptionError
        If levels can't be levels.
    """
    arguments: dict[str, str] = {}
    names = dict.fromkeys(columns_in(formula))
    table = ColumnsTable(dict.fromkeys(source.columns), 0)
    for name, asked in given.items():
        if asked is None:
            continue
        if not isinstance(asked, str):
            raise DataError(
                f"{name} was given as {type(asked).__name__}, and a stream has no rows to match it "
                f"with; put it in a column and give its name, {name}='column'."
            )
        arguments[name] = asked
        names.update(dict.fromkeys(names_in(argument_expression(asked, table))))
    for name in names:
        if name not in source.columns:
            raise table.missing_column(name)
    return Question(
        formula=formula,
        arguments=arguments,
        expressions=tuple(dict.fromkeys(formula_expressions(formula))),
        columns=tuple(names),
        levels=_levels_of(levels or {}, names, table),
    )


def _levels_of(
    given: Mapping[str, Sequence[Any]], names: Mapping[str, None], table: Table
) -> dict[str, GivenLevels]:
    for name in given:
        if name not in table.names:
            raise table.missing_column(name)
    return {name: given_levels(name, own) for name, own in given.items() if name in names}


@record
class BatchValues:
    """What a batch holds.

    Attributes
    ----------
    values : the value of every expression whose states are known, in the rows used
    arguments : weights, offset and known_sd, in the rows used
    every : the columns used, in all rows
    rows : array of int, positions of the rows used; None when all are
    n_given, n_used : number of rows
    dropped : per column the number of rows in which it is missing
    declared : columns whose categories were declared in their order
    """

    values: dict[Expression, Column]
    arguments: dict[str, FloatArray]
    every: dict[str, Any]
    rows: IntArray | None
    n_given: int
    n_used: int
    dropped: dict[str, int]
    declared: frozenset[str]

    def used(self, column: Any) -> Any:
        """Return a column of all rows in the rows used."""
        return column if self.rows is None else take_rows(column, self.rows)


class _RowNames:
    """Labels of rows, made for those that a message names."""

    def __init__(self, batch: Batch, rows: IntArray | None) -> None:
        self._batch, self._rows = batch, rows

    def __getitem__(self, positions: Any) -> list[str]:
        known = np.atleast_1d(positions)
        places = known if self._rows is None else self._rows[known]
        return [self._batch.row(int(place)) for place in places]


def read_values(
    question: Question, batch: Batch, states: Mapping[Expression, State]
) -> BatchValues:
    """Read a batch and evaluate the formula on it.

    Raises
    ------
    DataError
        If the batch can't be read, lacks a column, or holds values no model can use.
    """
    table = table_of(batch.frame(), batch)
    present = set(table.names)
    for name in question.columns:
        if name not in present:
            hint = did_you_mean(name, table.names)
            raise DataError(f"{_capital(batch.part)} of the stream has no column {name!r}{hint}")
    return values_of(question, table, states, batch=batch)


def values_of(
    question: Question, table: Table, states: Mapping[Expression, State], *, batch: Batch
) -> BatchValues:
    """Evaluate the formula on a table; ``batch`` gives its rows their names."""
    n = table.n_rows
    source = question.formula.source
    scope = Scope(table, source, states=dict(states), learning=False)
    for name in question.columns:
        given = question.levels.get(name)
        column = table.column(name)
        scope.used[name] = column if given is None else _in_levels(given, column, name, batch)
    values = {
        expression: column_of(evaluate(expression, scope), n)
        for expression in question.expressions
        if is_learnt(expression, states)
    }
    arguments = {}
    for name, text in question.arguments.items():
        own = Scope(table, text, states=scope.states, learning=False, used=scope.used)
        value = column_of(evaluate(argument_expression(text, table), own), n)
        arguments[name] = numbers_of(name, value, text)
    rows, dropped = _complete(scope.used, values, n)
    columns = scope.used
    if rows is not None:
        columns = {name: take_rows(value, rows) for name, value in columns.items()}
        values = {expression: take_rows(value, rows) for expression, value in values.items()}
        arguments = {name: array[rows] for name, array in arguments.items()}
    labels: Any = _RowNames(batch, rows)
    check_columns(columns, labels)
    check_values(values, labels)
    check_columns(arguments, labels)
    if "weights" in arguments:
        check_weights_of(arguments["weights"], labels, check_weights)
    if "known_sd" in arguments:
        check_weights_of(arguments["known_sd"], labels, check_known_sd)
    return BatchValues(
        values=values,
        arguments=arguments,
        every=scope.used,
        rows=rows,
        n_given=n,
        n_used=n if rows is None else rows.size,
        dropped=dropped,
        declared=frozenset(
            name
            for name in question.columns
            if name in question.levels or _is_declared(table, name)
        ),
    )


def _in_levels(own: GivenLevels, column: Any, name: str, batch: Batch) -> Factor:
    """Return a column as categories of the levels given.

    Raises
    ------
    DataError
        If it has another one.
    """
    factor = own.factor(column)
    bad = np.flatnonzero(factor.codes == UNKNOWN)
    if bad.size:
        value = as_factor(column)
        label = value.levels[value.codes[bad[0]]]
        raise DataError(
            f"{name} has the level {str(label)!r} in row {batch.row(int(bad[0]))}, which the "
            "levels given lack."
        )
    return factor


def check_weights_of(given: FloatArray, labels: Any, check: Any) -> None:
    """Check weights, unless there are none in this batch."""
    if given.size:
        check(given, labels)


def _complete(
    columns: Mapping[str, Any], values: Mapping[Expression, Column], n: int
) -> tuple[IntArray | None, dict[str, int]]:
    anywhere: BoolArray | None = None
    dropped: dict[str, int] = {}
    for name, column in columns.items():
        missing = is_missing(column)
        if missing is not None:
            dropped[name] = int(np.count_nonzero(missing))
            anywhere = missing if anywhere is None else anywhere | missing
    for expression, value in values.items():
        if isinstance(expression, Name) or not isinstance(value, Factor):
            continue
        missing = is_missing(value)
        if missing is None:
            continue
        own = missing if anywhere is None else missing & ~anywhere
        if own.any():
            from hierbayes.formula.deparse import deparse

            dropped[deparse(expression)] = int(np.count_nonzero(own))
            anywhere = missing if anywhere is None else anywhere | missing
    return (None if anywhere is None else np.flatnonzero(~anywhere)), dropped


def table_of(frame: Any, batch: Batch) -> Table:
    """Return a frame as a table; Arrow's go through pandas, as files do in memory."""
    if type(frame).__module__.partition(".")[0] == "pyarrow" and hasattr(frame, "to_pandas"):
        return PandasTable(frame.to_pandas(split_blocks=True))
    try:
        return read_table(frame)
    except MissingPackageError:
        raise
    except DataError as error:
        raise DataError(f"{_capital(batch.part)} of the stream is no frame: {error}") from None


def _is_declared(table: Table, name: str) -> bool:
    if isinstance(table, PandasTable):
        dtype = table.raw(name).dtype
        if isinstance(dtype, pd.CategoricalDtype):
            return True
        return isinstance(dtype, pd.ArrowDtype) and "dictionary" in str(dtype)
    if isinstance(table, NarwhalsTable):
        import narwhals as nw

        kind = table.frame[name].dtype
        native = table.frame[name].to_native()
        return kind == nw.Enum or (kind == nw.Categorical and hasattr(native, "combine_chunks"))
    value = getattr(table, "arrays", {}).get(name)
    return isinstance(getattr(value, "dtype", None), pd.CategoricalDtype)


def kind_of(column: Any) -> str | None:
    """Say what a column holds, in a word; None where every value is missing."""
    if isinstance(column, Factor):
        return "categories" if (column.codes >= 0).any() else None
    numbers = column.values if isinstance(column, Logical) else column
    if numbers.dtype.kind == "f" and np.isnan(numbers).all():
        return None
    return "truth values" if isinstance(column, Logical) else "numbers"


def _capital(part: str) -> str:
    return part[:1].upper() + part[1:]
