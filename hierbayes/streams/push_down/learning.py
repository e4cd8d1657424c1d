"""What a first pass learns, by queries: which rows are used, levels, and states of transforms.

Levels come as the distinct values of the columns they are made of, and are read by the very code
that reads a part of a stream (``streams/first_pass.py``); so labels and their order are the same.
What ``scale`` and the like learn follows from moments: the mean once more about itself, so that it
has all digits.
"""

from dataclasses import replace
from typing import Any

import narwhals as nw
import numpy as np

from hierbayes.design.evaluate import Scope, evaluate
from hierbayes.design.table import ColumnsTable
from hierbayes.design.values import Factor, Logical, column_of, label_array
from hierbayes.errors import DataError
from hierbayes.formula.deparse import deparse
from hierbayes.formula.expressions import Call, Expression, names_in, nodes_in
from hierbayes.streams.batch_values import Question
from hierbayes.streams.first_pass import (
    Learnt,
    is_complete,
    learnt_from,
    nothing_learnt,
    numeric_variable,
    term_variables,
    with_states,
)
from hierbayes.streams.learnt_states import calls_to_learn, is_learnt
from hierbayes.streams.push_down.expressions import NotPushed, Writer
from hierbayes.streams.push_down.rows import Plan, UsedRows, counted_rows, numbers_in
from hierbayes.streams.push_down.states import learn_polynomial, polynomials_to_learn, spread_of

# Functions whose categories are no distinct values of a column.
MADE_OF_NUMBERS = frozenset(("cut", "ave"))


def learn_inside(question: Question, rows: UsedRows, plan: Plan) -> Learnt:
    """Learn by queries what a first pass over the rows would.

    Raises
    ------
    NotPushed
        With the sentence that says what the engine can't compute.
    DataError
        If the data can't carry the model, as for data in memory.
    """
    learnt = _counted(rows, plan)
    learnt = _with_levels(question, learnt, rows, plan)
    while not is_complete(question, learnt):
        learnt = _with_numbers(question, learnt, rows)
        writer = Writer(rows.schema, learnt.states)
        polynomials: dict[Expression, Any] = {
            call: learn_polynomial(call, writer, rows, plan=plan)
            for call in polynomials_to_learn(question.expressions, learnt.states)
        }
        learnt = replace(learnt, states={**learnt.states, **polynomials})
        calls = calls_to_learn(question.expressions, learnt.states)
        if not (calls or polynomials):
            break
        seen: dict[Expression, Any] = {c: spread_of(c, writer, rows, plan) for c in calls}
        learnt = with_states(question, replace(learnt, seen=seen))
    return _with_numbers(question, learnt, rows)


def _counted(rows: UsedRows, plan: Plan) -> Learnt:
    table = plan.answer(rows.counts())
    found = {column: numbers_in(table, column)[0] for column in table.names}
    n, n_used = int(found[rows.name("n")]), int(found[rows.name("complete")])
    if not n:
        raise DataError("The data have no rows.")
    dropped = {}
    for place, column in enumerate(rows.used):
        missing = int(found[rows.name("missing", place)])
        if missing == n:
            raise DataError(f"Column {column!r} has no values: it is missing in all {n} rows.")
        if missing:
            dropped[column] = missing
    if not n_used:
        counts = " and ".join(f"{column!r} in {count}" for column, count in dropped.items())
        raise DataError(
            f"No row is complete: of {n} rows, {counts} are missing. "
            "Leave a column out of the formula or fill it in."
        )
    for place, column in enumerate(rows.used):
        infinite = int(found.get(rows.name("infinite", place), 0))
        if infinite:
            raise DataError(
                f"Column {column!r} has an infinite value in {counted_rows(infinite)}; correct it, "
                "or make it missing to leave the row out."
            )
    return replace(nothing_learnt({}), n_given=n, n_used=n_used, dropped=dropped)


def _with_levels(question: Question, learnt: Learnt, rows: UsedRows, plan: Plan) -> Learnt:
    """Ask for the levels of all categories, once for each set of columns they are made of."""
    wanted: dict[tuple[str, ...], dict[Expression, None]] = {}
    for expression in term_variables(question):
        if _kind(expression, rows, learnt.states) is Factor:
            _refuse_made(expression)
            wanted.setdefault(names_in(expression), {})[expression] = None
    for bar in question.formula.bars:
        for expression in bar.grouping:
            _refuse_made(expression)
        columns = tuple(dict.fromkeys(n for own in bar.grouping for n in names_in(own)))
        wanted.setdefault(columns, {}).update(dict.fromkeys(bar.grouping))
    found = replace(nothing_learnt({}), sample=())
    for columns, expressions in wanted.items():
        own = Question(
            formula=question.formula,
            arguments={},
            expressions=tuple(expressions),
            columns=columns,
        )
        found = found + learnt_from(own, plan.batch(rows.levels(columns)), {})
    categories = {name: own for name, own in found.columns.items() if own.moments is None}
    return replace(
        learnt,
        variables=found.variables,
        groups=found.groups,
        kinds=found.kinds,
        columns=categories,
    )


def _refuse_made(expression: Expression) -> None:
    for node in nodes_in(expression):
        if isinstance(node, Call) and (node.function in MADE_OF_NUMBERS or _chooses_levels(node)):
            raise NotPushed(f"{deparse(expression)} is nothing the engine has an expression for.")


def _chooses_levels(call: Call) -> bool:
    """Whether it is a factor() that may leave out rows, or name levels anew."""
    options = {name for name, _ in call.keywords} - {"ordered"}
    return call.function == "factor" and (bool(options) or len(call.arguments) > 1)


def _with_numbers(question: Question, learnt: Learnt, rows: UsedRows) -> Learnt:
    """Say of the variables that are no categories what they are: their columns tell."""
    variables = dict(learnt.variables)
    for expression in term_variables(question):
        if expression not in variables and is_learnt(expression, learnt.states):
            variables[expression] = numeric_variable(_made_up(expression, rows, learnt.states))
    return replace(learnt, variables=variables)


def _kind(expression: Expression, rows: UsedRows, states: Any) -> type:
    if not is_learnt(expression, states):
        return np.ndarray
    return type(_made_up(expression, rows, states))


def _made_up(expression: Expression, rows: UsedRows, states: Any) -> Any:
    """Return the value of an expression on made-up rows of the same types."""
    columns = {name: _two_values(rows.schema[name]) for name in names_in(expression)}
    scope = Scope(
        ColumnsTable(columns, 2), deparse(expression), states=dict(states), learning=False
    )
    return column_of(evaluate(expression, scope), 2)


def _two_values(kind: Any) -> Any:
    if kind == nw.Boolean:
        return Logical(np.array([0.0, 1.0]))
    if kind.is_numeric():
        return np.array([1.0, 2.0])
    return Factor(np.arange(2), label_array(["a", "b"]))
