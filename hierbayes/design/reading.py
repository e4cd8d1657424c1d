"""The variables of a formula, computed from a data frame, in the rows that can be used.

All expressions are evaluated on all rows of the frame, as R does (so ``scale(x)`` uses every value
of x); then the rows with a missing value in a used column are left out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.alignment import aligned
from hierbayes.design.checks import column_vector, numbers_of
from hierbayes.design.evaluate import Scope, evaluate
from hierbayes.design.rows import check_columns, check_values, complete_rows
from hierbayes.design.table import Table, read_table
from hierbayes.design.transforms import State
from hierbayes.design.values import Column, Factor, column_of, take_rows
from hierbayes.errors import DataError
from hierbayes.formula.deparse import PI
from hierbayes.formula.excerpt import formula_error
from hierbayes.formula.expressions import Expression, Name, numbers_in
from hierbayes.formula.parser import parse_expression
from hierbayes.formula.terms import Formula, LinearPart


@record
class Reading:
    """Variables in the rows used.

    Attributes
    ----------
    values : the value of every expression of the formula
    arguments : weights, offset and known_sd, those that were given, as numbers
    states : what stateful functions learnt
    rows : array of int, positions of the rows used in the frame
    row_labels : index of the rows used
    n_rows_given : rows of the data
    dropped : per column the number of rows in which it is missing
    counts : how many rows of the data each row used is, in a table of cells; else None
    """

    values: dict[Expression, Column]
    arguments: dict[str, FloatArray]
    states: dict[Expression, State]
    rows: IntArray
    row_labels: pd.Index
    n_rows_given: int
    dropped: dict[str, int]
    counts: IntArray | None = None


def read_variables(
    formula: Formula, data: Any, given: Mapping[str, Any], further: Sequence[Formula] = ()
) -> Reading:
    """Evaluate a formula and its arguments on data and leave incomplete rows out.

    Parameters
    ----------
    formula : which expressions to evaluate
    data : any supported kind of data
    given : the arguments weights, offset and known_sd as the user gave them, None when not
    further : formulas of further parameters, whose variables a row needs too

    Raises
    ------
    DataError
        If a column is missing, can't be read, or holds nothing usable.
    """
    table = read_table(data)
    if not table.n_rows:
        raise DataError("The data have no rows.")
    scope = Scope(table, formula.source)
    values: dict[Expression, Column] = {}
    for one in (formula, *further):
        expressions = tuple(formula_expressions(one))
        check_pi(expressions, table, source=one.source)
        own = Scope(table, one.source, states=scope.states, used=scope.used)
        for expression in expressions:
            if expression not in values:
                values[expression] = column_of(evaluate(expression, own), table.n_rows)
    arguments = {
        name: _argument(name, asked, scope) for name, asked in given.items() if asked is not None
    }
    arrays = {name: array for name, array in arguments.items() if not isinstance(given[name], str)}
    made: dict[Expression, Column] = {
        expression: value
        for expression, value in values.items()
        if isinstance(value, Factor) and not isinstance(expression, Name)
    }
    counts = table.counts
    n_given = table.n_rows if counts is None else int(counts.sum())
    complete = complete_rows({**scope.used, **arrays}, made, n_given, counts)
    columns, labels, rows = scope.used, table.index, complete.rows
    if rows is None:
        rows = np.arange(table.n_rows)
    else:
        labels = labels[rows]
        columns = {name: take_rows(value, rows) for name, value in columns.items()}
        values = {expression: take_rows(value, rows) for expression, value in values.items()}
        arguments = {name: array[rows] for name, array in arguments.items()}
        counts = None if counts is None else counts[rows]
    check_columns({name: columns[name] for name in complete.doubtful if name in columns}, labels)
    check_values(values, labels)
    check_columns(arguments, labels)
    return Reading(
        values=values,
        arguments=arguments,
        states=scope.states,
        rows=rows,
        row_labels=labels,
        n_rows_given=n_given,
        dropped=complete.dropped,
        counts=counts,
    )


def check_pi(expressions: Iterable[Expression], table: Table, *, source: str) -> None:
    """Refuse the constant pi beside a column of that name: the text could mean both."""
    for expression in expressions:
        for number in () if isinstance(expression, Name) else numbers_in(expression):
            if number.text == PI and PI in table.names:
                raise formula_error(
                    "'pi' is the number 3.14159... here, and the data have a column 'pi'.",
                    source=source, at=number.at,
                    advice="Write `pi` in back-ticks for the column; rename it to use the number.",
                )  # fmt: skip


def formula_expressions(formula: Formula) -> Iterator[Expression]:
    """Every variable of a formula: response, fixed part, then bars and their grouping."""
    yield formula.response
    yield from part_expressions(formula.fixed)
    for bar in formula.bars:
        yield from part_expressions(bar.linear)
        yield from bar.grouping


def part_expressions(part: LinearPart) -> Iterator[Expression]:
    """Every variable of a linear predictor, its offsets included."""
    for term in part.terms:
        yield from term.variables
    yield from part.offsets


def argument_expression(text: str, table: Table) -> Expression:
    """Read an argument given as text: a column's name, whatever it looks like, or an expression."""
    return Name(text) if text in table.names else parse_expression(text)


def _argument(name: str, given: Any, scope: Scope) -> FloatArray:
    if not isinstance(given, str):
        own = aligned(name, given, scope.table.index)
        return column_vector(name, own, scope.table.n_rows)
    expression = argument_expression(given, scope.table)
    own = Scope(scope.table, given, states=scope.states, used=scope.used)
    value = column_of(evaluate(expression, own), scope.table.n_rows)
    return numbers_of(name, value, given)
