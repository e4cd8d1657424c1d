"""What scale, center, cut and the like learn from a stream: from sums and ranges over its parts.

The state of a call is learnt when those of the calls inside of it are known, so that
``scale(log(x))`` needs one pass and ``scale(center(x))`` two.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.capabilities import not_supported
from hierbayes.design.evaluate import Scope, evaluate
from hierbayes.design.moments import Moments, moments_of
from hierbayes.design.table import DictTable, Table
from hierbayes.design.transforms import STATEFUL, State
from hierbayes.design.values import as_numbers, column_of
from hierbayes.errors import HierBayesError
from hierbayes.formula.deparse import deparse
from hierbayes.formula.expressions import Call, Constant, Expression, Name, nodes_in
from hierbayes.formula.functions import POSITIONS
from hierbayes.streams.levels import LevelSet, levels_of, order_of_value

Seen = Moments | LevelSet  # what a pass saw of the values that a state is learnt from
VALUES = "values"


def stateful_calls(expression: Expression) -> Iterator[Call]:
    """List the calls in an expression that learn something from the data."""
    for node in nodes_in(expression):
        if isinstance(node, Call) and (
            node.function in STATEFUL
            or node.function in ("cut", "ave")
            or (node.function == "factor" and _learns_levels(node))
        ):
            yield node


def is_learnt(expression: Expression, states: Mapping[Expression, State]) -> bool:
    """Whether the states of all calls in an expression are known."""
    return all(call in states for call in stateful_calls(expression))


def calls_to_learn(
    expressions: tuple[Expression, ...], states: Mapping[Expression, State]
) -> tuple[Call, ...]:
    """List calls whose states the next pass can learn, each once.

    Raises
    ------
    NotSupportedError
        For a call that would need all values at once.
    """
    found: dict[Call, None] = {}
    for expression in expressions:
        for call in stateful_calls(expression):
            inside = [own for own in stateful_calls(call) if own != call]
            if call not in states and all(own in states for own in inside):
                if not _by_sums(call):
                    raise not_supported("stream-transform", call=deparse(call))
                found[call] = None
    return tuple(found)


def _options_of(call: Call) -> dict[str, Expression]:
    names = POSITIONS[call.function][1:]
    return {**dict(zip(names, call.arguments[1:], strict=False)), **dict(call.keywords)}


def _learns_levels(call: Call) -> bool:
    options = _options_of(call)
    return "levels" not in options and ("labels" in options or "exclude" in options)


def _by_sums(call: Call) -> bool:
    """Whether moments, ranges or levels say all that a call learns."""
    if call.function in ("scale", "center", "cut", "factor"):
        return True
    if call.function == "ave" or call.function not in POSITIONS:
        return False
    options = _options_of(call)
    if call.function == "poly":
        raw = options.get("raw")
        return isinstance(raw, Constant) and raw.value is True and len(call.arguments) <= 2
    return call.function in ("bs", "ns") and "df" not in options


def seen_of(call: Call, scope: Scope, declared: frozenset[str]) -> Seen:
    """Return what a batch holds of the values that a call learns from, all rows."""
    argument = call.arguments[0]
    value = column_of(evaluate(argument, scope), scope.table.n_rows)
    if call.function == "factor":
        name = argument.name if isinstance(argument, Name) else ""
        return levels_of(value, order_of_value(value, name in declared))
    numbers = as_numbers(value)
    return moments_of(numbers[np.isfinite(numbers)][:, None])


def state_of(call: Call, seen: Seen, source: str) -> State:
    """Return the state that a call learns from all values, of which this was seen.

    The call is evaluated on a few values that have the same levels, range, or mean and sd.
    """
    if isinstance(seen, LevelSet):
        own = seen.factor()
        values: Any = (
            seen.values if seen.order == "numbers"
            else pd.Categorical.from_codes(own.codes, own.levels.tolist())
        )  # fmt: skip
        return _learnt_on(call, DictTable({VALUES: values}), source)
    if not seen.n:
        return _learnt_on(call, DictTable({VALUES: np.array([np.nan])}), source)
    low, high = float(seen.low[0]), float(seen.high[0])
    if call.function not in ("scale", "center"):
        return _learnt_on(call, DictTable({VALUES: np.array([low, high])}), source)
    mean, sd = float(seen.mean[0]), float(seen.sd[0])
    half = sd / np.sqrt(2.0) if low < high else 0.0
    state = _learnt_on(call, DictTable({VALUES: np.array([mean - half, mean + half])}), source)
    options = _options_of(call)
    if call.function == "center" or _is_true(options.get("center")):
        state["center"] = mean
    if call.function == "scale" and _is_true(options.get("scale")):
        about = float(seen.squares[0]) + seen.n * (mean - state["center"]) ** 2
        state["scale"] = float(np.sqrt(about / max(seen.n - 1, 1)))
    return state


def states_without_data(
    expressions: tuple[Expression, ...], source: str
) -> dict[Expression, State] | None:
    """Return the states of all calls, where the formula says all of them: ``scale(x, 3, 2)``.

    None where one is learnt from data: then it differs between two vectors.
    """
    states: dict[Expression, State] = {}
    while calls := calls_to_learn(expressions, states):
        for call in calls:
            if call.function == "factor":
                return None
            try:
                first, second = (
                    _learnt_on(call, DictTable({VALUES: np.array(values)}), source)
                    for values in ([0.25, 1.5, 3.0], [-7.0, 2.0, 50.0])
                )
            except HierBayesError:
                return None
            if repr(first) != repr(second):
                return None
            states[call] = first
    return states


def _is_true(option: Expression | None) -> bool:
    """Whether an option that is true unless said is true, and no number."""
    return option is None or (isinstance(option, Constant) and option.value is True)


def _learnt_on(call: Call, table: Table, source: str) -> State:
    own = replace(call, arguments=(Name(VALUES, at=call.at), *call.arguments[1:]))
    scope = Scope(table, source)
    evaluate(own, scope)
    return scope.states[own]
