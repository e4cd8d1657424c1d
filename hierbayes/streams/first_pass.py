"""The first pass over a stream: what has to be known of all rows before any can be added up.

That is the levels of factors, what scale() and the like learn, which rows can be used, and a sample
spread over the stream, from which the basis of the sums is chosen. What parts have learnt adds up,
``Learnt + Learnt``, in the order of the parts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from typing import Any

import numpy as np

from hierbayes.arrays import record
from hierbayes.design.column_seen import ColumnSeen, column_seen
from hierbayes.design.evaluate import Scope, evaluate
from hierbayes.design.reading import part_expressions
from hierbayes.design.table import ColumnsTable
from hierbayes.design.transforms import State
from hierbayes.design.values import (
    Column,
    Factor,
    Logical,
    Matrix,
    column_of,
    drop_unused,
    label_array,
    take_rows,
)
from hierbayes.errors import DataError
from hierbayes.formula.expressions import Call, Expression, Group, Name, names_in
from hierbayes.streams.batch_values import (
    BatchValues,
    Question,
    kind_of,
    read_values,
)
from hierbayes.streams.learnt_states import Seen, calls_to_learn, is_learnt, seen_of, state_of
from hierbayes.streams.levels import (
    GroupLevels,
    LevelSet,
    Order,
    group_levels_of,
    levels_of,
    merged,
    order_of_value,
)
from hierbayes.streams.source import Batch

SAMPLE_ROWS = 2_000  # of a batch that are kept, at most
SAMPLE_PARTS = 256  # batches of which rows are kept; of twice as many every second one
MANY_LEVELS = 20_000_000  # of one factor: more labels than memory holds


@record
class VariableSeen:
    """What a variable of the formula was in the rows seen.

    Attributes
    ----------
    kind : "numbers", "matrix", "truth values" or "categories"
    suffixes : of a matrix
    levels : of categories
    like : of categories, a Factor without rows: its coding, order and caution
    """

    kind: str
    suffixes: tuple[str, ...] = ()
    levels: LevelSet | None = None
    like: Factor | None = None

    def __add__(self, other: "VariableSeen") -> "VariableSeen":
        """Return what it was in the rows of both."""
        if self.levels is None or other.levels is None:
            return self
        return replace(self, levels=merged(self.levels, other.levels).levels)

    def column(self, n: int) -> Column:
        """Make a column of n rows of this kind, which has every level where n allows."""
        if self.levels is not None and self.like is not None:
            own = self.levels.factor()
            codes = own.codes[np.arange(n) % max(own.codes.size, 1)]
            return replace(self.like, codes=codes, levels=own.levels)
        if self.kind == "truth values":
            return Logical(np.asarray(np.arange(n) % 2, dtype=np.float64))
        if self.kind == "matrix":
            return Matrix(np.zeros((n, len(self.suffixes))), self.suffixes)
        return np.arange(n, dtype=np.float64)

    def made(self, n: int, random: np.random.Generator) -> Column:
        """Make a column of n rows of this kind at random."""
        if self.kind == "numbers":
            return random.standard_normal(n)
        if self.kind == "matrix":
            return Matrix(random.standard_normal((n, len(self.suffixes))), self.suffixes)
        own = self.column(n)
        return take_rows(own, random.permutation(n))

    @property
    def n_levels(self) -> int:
        """Number of levels, unused ones too."""
        return 0 if self.levels is None else self.levels.values.size


@record
class Learnt:
    """What was learnt from rows; of parts it adds up.

    Attributes
    ----------
    n_given, n_used : rows seen, and those without a missing value
    dropped : per column the number of rows in which it is missing
    kinds : per column what it holds and in which part that was seen first
    variables : what the variables of the fixed part and left of the bars are
    groups : the levels of each grouping factor, by its name
    states : what scale() and the like learnt; the same in all parts
    seen : of the calls whose states this pass learns, what they learn from
    columns : of each column that is used, what predictions at its mean or levels need
    sample : rows used, spread over the stream, as typed columns
    """

    n_given: int = 0
    n_used: int = 0
    dropped: Mapping[str, int]
    kinds: Mapping[str, tuple[str, str]]
    variables: Mapping[Expression, VariableSeen]
    groups: Mapping[str, GroupLevels]
    states: Mapping[Expression, State]
    seen: Mapping[Expression, Seen]
    columns: Mapping[str, ColumnSeen] = field(default_factory=dict)
    sample: tuple[ColumnsTable, ...] = ()

    def __add__(self, other: "Learnt") -> "Learnt":
        """Add what was learnt from later rows, those of ``other`` coming later.

        Raises
        ------
        DataError
            If a column holds numbers in one and categories in the other.
        """
        check_same_kinds(self.kinds, other.kinds)
        sample = (*self.sample, *other.sample)
        while len(sample) > SAMPLE_PARTS:
            sample = sample[::2]
        dropped = dict(self.dropped)
        for name, count in other.dropped.items():
            dropped[name] = dropped.get(name, 0) + count
        return Learnt(
            n_given=self.n_given + other.n_given,
            n_used=self.n_used + other.n_used,
            dropped=dropped,
            kinds={**other.kinds, **self.kinds},
            variables=_added(self.variables, other.variables),
            groups=_added(self.groups, other.groups),
            states=self.states,
            seen={name: _seen_by_both(own, other.seen.get(name)) for name, own in self.seen.items()}
            or other.seen,
            columns=_added(self.columns, other.columns),
            sample=sample,
        )


def nothing_learnt(states: Mapping[Expression, State]) -> Learnt:
    """Return what is known before any row."""
    return Learnt(dropped={}, kinds={}, variables={}, groups={}, states=states, seen={})


def _added(first: Mapping[Any, Any], second: Mapping[Any, Any]) -> dict[Any, Any]:
    both = {name: first[name] + own if name in first else own for name, own in second.items()}
    return {**first, **both}


def _seen_by_both(first: Any, second: Any) -> Any:
    if second is None:
        return first
    return merged(first, second).levels if isinstance(first, LevelSet) else first + second


def check_same_kinds(
    first: Mapping[str, tuple[str, str]], second: Mapping[str, tuple[str, str]]
) -> None:
    """Raise DataError for a column that holds another kind of values in a later part."""
    for name, (kind, part) in second.items():
        before, where = first.get(name, (kind, part))
        if before != kind:
            raise DataError(
                f"Column {name!r} holds {before} in {where} of the stream and {kind} in {part}; "
                "make it the same in all parts."
            )


def learnt_from(question: Question, batch: Batch, states: Mapping[Expression, State]) -> Learnt:
    """Learn from one batch.

    Parameters
    ----------
    question : what is read
    batch : the rows
    states : what is known of scale() and the like

    Raises
    ------
    DataError
        If the batch can't be read or holds values no model can use; names the part.
    """
    found = read_values(question, batch, states)
    learnt = noted(question, batch, states, found)
    columns = ColumnsTable(found.every, found.n_given)
    scope = Scope(columns, question.formula.source, states=dict(states), learning=False)
    calls = calls_to_learn(question.expressions, states)
    learnt = replace(learnt, seen={call: seen_of(call, scope, found.declared) for call in calls})
    if not found.n_used:
        return learnt
    used = ColumnsTable({name: found.used(own) for name, own in found.every.items()}, found.n_used)
    groups = {
        bar.group: group_levels_of(
            [_base_value(base_of(expression), found, used) for expression in bar.grouping],
            [_order(expression, found, used) for expression in bar.grouping],
        )
        for bar in question.formula.bars
        if all(expression in found.values for expression in bar.grouping)
    }
    return replace(learnt, groups=groups, sample=(_sample(used),))


def noted(
    question: Question, batch: Batch, states: Mapping[Expression, State], found: BatchValues
) -> Learnt:
    """Return what is learnt of one batch but for groups, states and a sample."""
    kinds = {name: kind_of(column) for name, column in found.every.items()}
    learnt = Learnt(
        n_given=found.n_given,
        n_used=found.n_used,
        dropped=found.dropped,
        kinds={name: (kind, batch.part) for name, kind in kinds.items() if kind is not None},
        variables={},
        groups={},
        states=states,
        seen={},
    )
    if not found.n_used:
        return learnt
    used = ColumnsTable({name: found.used(own) for name, own in found.every.items()}, found.n_used)
    variables = {
        expression: _variable(expression, found.values[expression], found, used)
        for expression in term_variables(question)
        if expression in found.values
    }
    formula = question.formula
    parts = (formula.fixed, *(bar.linear for bar in formula.bars))
    named = {name for part in parts for e in part_expressions(part) for name in names_in(e)}
    seen = sorted(named & set(used.names))
    known = {name: column_seen(name, used.column(name)) for name in seen}
    return replace(learnt, variables=variables, columns=known)


def term_variables(question: Question) -> Iterator[Expression]:
    """List the response and every variable of a term, left of bars too."""
    formula = question.formula
    yield formula.response
    for part in (formula.fixed, *(bar.linear for bar in formula.bars)):
        for term in part.terms:
            yield from term.variables


def _variable(
    expression: Expression, value: Column, found: BatchValues, used: ColumnsTable
) -> VariableSeen:
    if not isinstance(value, Factor):
        return numeric_variable(value)
    like = replace(value, codes=value.codes[:0], levels=label_array([]))
    base = base_of(expression)
    if base is expression and not isinstance(base, Name):  # a call that knows its levels
        levels = levels_of(value, "declared")
    else:
        own = _base_value(base, found, used)
        levels = levels_of(own, _order(expression, found, used))
    return VariableSeen(kind="categories", levels=levels, like=like)


def numeric_variable(value: Column) -> VariableSeen:
    """Say what a variable is that is no category."""
    if isinstance(value, Matrix):
        return VariableSeen(kind="matrix", suffixes=value.suffixes)
    return VariableSeen(kind="truth values" if isinstance(value, Logical) else "numbers")


def base_of(expression: Expression) -> Expression:
    """Return what categories are made of that have the same levels, as x of ``factor(x)``."""
    while True:
        if isinstance(expression, Group):
            expression = expression.inner
        elif isinstance(expression, Call) and (
            expression.function == "C"
            or (
                expression.function == "factor"
                and len(expression.arguments) == 1
                and {name for name, _ in expression.keywords} <= {"ordered"}
            )
        ):
            expression = expression.arguments[0]
        else:
            return expression


def _base_value(base: Expression, found: BatchValues, used: ColumnsTable) -> Any:
    if base in found.values:
        return found.values[base]
    scope = Scope(used, "", learning=False)
    return column_of(evaluate(base, scope), used.n_rows)


def _order(expression: Expression, found: BatchValues, used: ColumnsTable) -> Order:
    base = base_of(expression)
    value = _base_value(base, found, used)
    if isinstance(value, Factor) and not isinstance(base, Name):
        return "declared"
    return order_of_value(value, isinstance(base, Name) and base.name in found.declared)


def _sample(used: ColumnsTable) -> ColumnsTable:
    """Return some rows, evenly spread, as copies."""
    step = max(used.n_rows // SAMPLE_ROWS, 1)
    rows = np.arange(0, used.n_rows, step)
    columns = {}
    for name in used.names:
        column = take_rows(used.column(name), rows)
        columns[name] = drop_unused(column) if isinstance(column, Factor) else column
    return ColumnsTable(columns, rows.size)


def with_states(question: Question, learnt: Learnt) -> Learnt:
    """Return what a pass has learnt with the states that follow from what it saw."""
    own = {
        call: state_of(call, seen, question.formula.source)  # type: ignore[arg-type]
        for call, seen in learnt.seen.items()
    }
    return replace(learnt, states={**learnt.states, **own}, seen={})


def looked_at(question: Question, learnt: Learnt) -> Learnt:
    """Say of variables that could not be evaluated before what they are, by the sample.

    Those that are categories are left out: their levels take another pass.
    """
    variables = dict(learnt.variables)
    for expression in term_variables(question):
        if expression in variables or not is_learnt(expression, learnt.states):
            continue
        table = learnt.sample[0]
        scope = Scope(table, question.formula.source, states=dict(learnt.states), learning=False)
        value = column_of(evaluate(expression, scope), table.n_rows)
        if not isinstance(value, Factor):
            variables[expression] = numeric_variable(value)
    return replace(learnt, variables=variables)


def is_complete(question: Question, learnt: Learnt) -> bool:
    """Whether all is known that the second pass needs."""
    groups = {bar.group for bar in question.formula.bars}
    known = all(expression in learnt.variables for expression in term_variables(question))
    states = all(is_learnt(expression, learnt.states) for expression in question.expressions)
    return known and states and groups <= set(learnt.groups)
