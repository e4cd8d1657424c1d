"""Interpret the expressions of a formula over the columns of a table; nothing is ever executed.

R's meanings: ``^`` is a power, comparisons give logicals, a missing value makes the result missing.
Functions that learn something from the data (``scale``, ``poly``, splines) keep it as a state under
their expression, so that new data are transformed by the numbers of the fitted data.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, get_args

import numpy as np

from hierbayes.capabilities import not_supported
from hierbayes.design.group_means import learn_means
from hierbayes.design.intervals import in_intervals, learn_intervals
from hierbayes.design.option_values import KINDS
from hierbayes.design.table import MissingColumnError, Table
from hierbayes.design.transforms import (
    STATEFUL,
    State,
    learn_polynomials,
    polynomial_products,
)
from hierbayes.design.values import (
    Combinations,
    Factor,
    Logical,
    Matrix,
    as_factor,
    as_numbers,
    column_of,
    combinations,
    drop_unused,
    label_array,
    number_label,
    refuse_caution,
)
from hierbayes.errors import FormulaError
from hierbayes.formula import expressions as nodes
from hierbayes.formula.excerpt import formula_error, point_at
from hierbayes.formula.functions import POSITIONS
from hierbayes.formula.values import has_degree
from hierbayes.options import Coding
from hierbayes.wording import did_you_mean

ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.true_divide,
    "^": np.power,
    "**": np.power,
    "%%": np.mod,
    "%/%": np.floor_divide,
}
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
ELEMENTWISE: dict[str, Callable[[Any], Any]] = {
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "exp": np.exp,
    "expm1": np.expm1,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
}
EXTREMES: dict[str, Callable[[Any, Any], Any]] = {"pmax": np.maximum, "pmin": np.minimum}
# Options whose default in R is NULL; elsewhere NULL is no value an option can have.
NULL_OPTIONS = frozenset(("df", "knots", "labels", "lower_bound", "upper_bound", "constraints"))
CODINGS = get_args(Coding)


@dataclass(slots=True)
class Scope:
    """What expressions are read against: columns, the source text, and learnt states.

    Attributes
    ----------
    table : the data
    source : the text the expressions come from, for carets in messages
    states : what stateful functions learnt, by their expression
    learning : True while fitting; False for new data, where states must exist
    used : the columns read, by name, in order of first use
    """

    table: Table
    source: str
    states: dict[nodes.Expression, State] = field(default_factory=dict)
    learning: bool = True
    used: dict[str, Any] = field(default_factory=dict)

    def error(self, sentence: str, node: nodes.Expression, advice: str = "") -> FormulaError:
        """Return the error that shows where in the text the node stands."""
        return formula_error(sentence, source=self.source, at=node.at, advice=advice)


def evaluate(expression: nodes.Expression, scope: Scope) -> Any:
    """Return the value of an expression: numbers, Logical, Factor, Matrix or a single constant.

    Raises
    ------
    FormulaError
        For an operation that has no meaning on these columns; shows the place.
    DataError
        For a column that is missing or can't be read.
    """
    match expression:
        case nodes.Name(name=name):
            return _column(name, expression, scope)
        case nodes.Number(value=value) | nodes.Text(value=value) | nodes.Constant(value=value):
            return value
        case nodes.Group(inner=inner):
            return evaluate(inner, scope)
        case nodes.Unary():
            return _unary(expression, scope)
        case nodes.Binary():
            return _binary(expression, scope)
        case nodes.Call():
            return _call(expression, scope)
    raise AssertionError(f"unknown node {expression!r}")


def _column(name: str, expression: nodes.Name, scope: Scope) -> Any:
    value = scope.used.get(name)
    if value is None:
        try:
            value = scope.table.column(name)
        except MissingColumnError as error:
            message = point_at(str(error), source=scope.source, at=expression.at)
            raise MissingColumnError(name, error.advice, message) from None
        scope.used[name] = value
    return value


def _numeric(value: Any, expression: nodes.Expression, scope: Scope, *, doing: str) -> Any:
    """Return a value as numbers, or say that it holds categories."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int | float):
        return value
    if isinstance(value, np.ndarray | Logical):
        return as_numbers(value)
    refuse_caution(value)
    kinds = {Factor: "categories", Matrix: "several columns", str: "text"}
    what = kinds.get(type(value), "no numbers")
    named = repr(expression.name) if isinstance(expression, nodes.Name) else "this expression"
    raise scope.error(f"{doing} needs numbers, but {named} holds {what}.", expression)


def _categories(expression: nodes.Expression, scope: Scope, doing: str) -> Factor:
    """Return the value of an expression as categories."""
    value = column_of(evaluate(expression, scope), scope.table.n_rows)
    if isinstance(value, np.ndarray | Logical | Factor):
        return as_factor(value)
    raise scope.error(f"{doing} needs a column of categories here.", expression)


def _logical(condition: Any, *operands: Any) -> Any:
    """Return a comparison's result as Logical, missing where an operand is."""
    if np.ndim(condition) == 0:
        return bool(condition)
    values = condition.astype(np.float64)
    for operand in operands:
        if isinstance(operand, np.ndarray) and operand.dtype.kind == "f":
            values[np.isnan(operand)] = np.nan
    return Logical(values)


def _unary(expression: nodes.Unary, scope: Scope) -> Any:
    operand = evaluate(expression.operand, scope)
    numbers = _numeric(operand, expression.operand, scope, doing=f"'{expression.operator}'")
    if expression.operator == "!":
        return _logical(np.equal(numbers, 0), numbers)
    return numbers if expression.operator == "+" else -numbers


def _binary(expression: nodes.Binary, scope: Scope) -> Any:
    operator = expression.operator
    left, right = evaluate(expression.left, scope), evaluate(expression.right, scope)
    if operator in COMPARISONS and isinstance(left, Factor | str) | isinstance(right, Factor | str):
        return _compare_levels(expression, left, right, scope=scope)
    doing = f"'{operator}'"
    a = _numeric(left, expression.left, scope, doing=doing)
    b = _numeric(right, expression.right, scope, doing=doing)
    if operator in COMPARISONS:
        return _logical(COMPARISONS[operator](a, b), a, b)
    if operator in ("&", "&&"):
        return _logical(np.not_equal(a, 0) & np.not_equal(b, 0), a, b)
    if operator in ("|", "||"):
        return _logical(np.not_equal(a, 0) | np.not_equal(b, 0), a, b)
    if operator not in ARITHMETIC:
        raise scope.error(f"{operator!r} has no meaning between columns here.", expression)
    with np.errstate(all="ignore"):  # what isn't finite is reported with its rows, later
        result = ARITHMETIC[operator](a, b)
    return float(result) if np.ndim(result) == 0 else result


def _compare_levels(expression: nodes.Binary, left: Any, right: Any, *, scope: Scope) -> Any:
    """Compare a factor with a level: ``recipe == "A"``, ``dose >= "medium"`` if ordered."""
    compare = COMPARISONS[expression.operator]
    flipped = not isinstance(left, Factor)
    factor, level = (right, left) if flipped else (left, right)
    if not isinstance(factor, Factor) or not isinstance(level, str | float | int):
        raise scope.error(
            "A comparison with categories needs a factor on one side and a level on the other.",
            expression,
            'For example: recipe == "A".',
        )
    label = level if isinstance(level, str) else number_label(float(level))
    levels = factor.levels.tolist()
    if label not in levels and scope.learning:
        raise scope.error(
            f"{label!r} is not a level{did_you_mean(label, levels)}",
            expression.left if flipped else expression.right,
        )
    if expression.operator not in ("==", "!=") and not factor.ordered:
        raise scope.error(
            f"{expression.operator!r} compares positions, but these levels have no order.",
            expression,
            "Make the column an ordered categorical.",
        )
    position = levels.index(label) if label in levels else len(levels)
    codes = factor.codes.astype(np.float64)
    codes[factor.codes < 0] = np.nan
    return _logical(compare(position, codes) if flipped else compare(codes, position), codes)


def _call(expression: nodes.Call, scope: Scope) -> Any:
    function = expression.function
    if function == "I":
        value = evaluate(expression.arguments[0], scope)
        if isinstance(value, str):
            raise scope.error("I() needs a column or a number, not a text.", expression)
        return value
    if function == "cbind":
        return _bind(expression, scope)
    if function == "c":
        return tuple(evaluate(argument, scope) for argument in expression.arguments)
    if function in ELEMENTWISE:
        value = evaluate(expression.arguments[0], scope)
        numbers = _numeric(value, expression.arguments[0], scope, doing=f"{function}()")
        with np.errstate(all="ignore"):
            return ELEMENTWISE[function](numbers)
    if function in EXTREMES:
        return _extreme(expression, scope)
    if function == "ave":
        return _group_means(expression, scope)
    if function not in POSITIONS:
        raise scope.error(f"{function!r} is not a function that makes a column.", expression)
    if function == "poly" and len(expression.arguments) > 1 and not has_degree(expression):
        return _polynomials(expression, scope)
    variable, options = _bound(expression, scope)
    if function == "C":
        return _coded(_categories(variable, scope, "C()"), options, expression, scope=scope)
    if function == "factor":
        return _factor(_categories(variable, scope, "factor()"), options, expression, scope=scope)
    numbers = _numeric(evaluate(variable, scope), variable, scope, doing=f"{function}()")
    if function == "log":
        base = options.get("base", math.e)
        if not (isinstance(base, int | float) and base > 0 and base != 1):
            raise scope.error(
                "The base of log() must be a positive number other than 1.", expression
            )
        with np.errstate(all="ignore"):
            return np.log(numbers) / np.log(base) if "base" in options else np.log(numbers)
    if function == "cut":
        return _cut(expression, numbers, options, scope=scope)
    return _stateful(expression, numbers, options, scope=scope)


def _cut(expression: nodes.Call, numbers: Any, options: dict[str, Any], *, scope: Scope) -> Any:
    numbers = np.broadcast_to(numbers, (scope.table.n_rows,)).astype(np.float64)
    options = {name.replace(".", "_"): option for name, option in options.items()}
    try:
        state = scope.states.get(expression)
        if state is None:
            known = numbers[np.isfinite(numbers)]
            state = scope.states[expression] = learn_intervals(known, **options)
        return in_intervals(numbers, state)
    except (ValueError, TypeError) as error:
        raise scope.error(f"cut(): {error}.", expression) from error


def _bound(expression: nodes.Call, scope: Scope) -> tuple[nodes.Expression, dict[str, Any]]:
    """Return the first argument, unevaluated, and the values of the options by name."""
    names = POSITIONS[expression.function]
    given = [*zip(names[1:], expression.arguments[1:], strict=False), *expression.keywords]
    return expression.arguments[0], _options(given, expression, scope)


def _options(
    given: Sequence[tuple[str, nodes.Expression]], expression: nodes.Call, scope: Scope
) -> dict[str, Any]:
    """Return the values of options by name, without those that are NULL, R's default."""
    options = {}
    for name, value in given:
        # In C(f, sum) the word is a coding, not a column.
        option = _word(value) if name == "contr" else evaluate(value, scope)
        if option is not None:
            kind = KINDS.get(name)
            if kind is not None and not kind.takes(option):
                raise scope.error(
                    f"{name!r} of {expression.function}() must be {kind.words}.", value
                )
            options[name] = option
        elif name not in NULL_OPTIONS and name != "Boundary.knots":
            raise scope.error(f"{name!r} of {expression.function}() can't be NULL.", value)
    return options


def _several(expression: nodes.Call, scope: Scope) -> list[Any]:
    """Return the arguments of a call as numbers."""
    doing = f"{expression.function}()"
    return [
        _numeric(evaluate(argument, scope), argument, scope, doing=doing)
        for argument in expression.arguments
    ]


def _extreme(expression: nodes.Call, scope: Scope) -> Any:
    result = reduce(EXTREMES[expression.function], _several(expression, scope))
    return float(result) if np.ndim(result) == 0 else result


def _polynomials(expression: nodes.Call, scope: Scope) -> Matrix:
    """``poly(x, w, degree = 2)``: the products of the columns' own polynomials."""
    options = _options(expression.keywords, expression, scope)
    columns = [np.broadcast_to(x, (scope.table.n_rows,)) for x in _several(expression, scope)]
    try:
        state = scope.states.get(expression)
        if state is None:
            if scope.table.counts is not None:
                options["counts"] = scope.table.counts
            state = scope.states[expression] = learn_polynomials(columns, **options)
        return polynomial_products(columns, state)
    except (ValueError, TypeError) as error:
        raise scope.error(f"poly(): {error}.", expression) from error


def _group_means(expression: nodes.Call, scope: Scope) -> Any:
    """``ave(x, g)``: the mean in each row's group of the fitted data, NaN where g is missing."""
    variable, *grouping = expression.arguments
    numbers = _numeric(evaluate(variable, scope), variable, scope, doing="ave()")
    numbers = np.broadcast_to(numbers, (scope.table.n_rows,)).astype(np.float64)
    if not grouping:
        groups = Combinations(np.zeros(numbers.size, dtype=np.intp), (label_array(["all"]),))
    else:
        factors = [drop_unused(_categories(group, scope, "ave()")) for group in grouping]
        groups = combinations(factors)
    state = scope.states.get(expression)
    if state is None:
        state = scope.states[expression] = learn_means(numbers, groups, scope.table.counts)
    new = [pair for pair in groups.pairs() if pair not in state["means"]]
    if new:
        raise scope.error(
            f"ave() has no mean for {':'.join(new[0])!r}, which was not in the data the model was "
            "fitted to.",
            expression,
            "Its coefficient is about the mean of a group; make that mean a column of the data.",
        )
    means = np.array([*(state["means"][pair] for pair in groups.pairs()), np.nan])
    return means[groups.codes]


def _word(expression: nodes.Expression) -> str:
    match expression:
        case nodes.Name(name=word) | nodes.Text(value=word) | nodes.Call(function=word):
            return word.removeprefix("contr.")
    return ""


def _coded(
    factor: Factor, options: dict[str, Any], expression: nodes.Call, *, scope: Scope
) -> Factor:
    coding = options.get("contr")
    if coding is not None and coding not in CODINGS:
        raise scope.error(
            "C() takes a coding: treatment, sum, helmert or poly.",
            expression,
            "For example: C(recipe, sum).",
        )
    if "how.many" in options:
        raise not_supported("contrast-count")
    place = options.get("base", 1)
    if "base" in options and not (place == int(place) and 1 <= place <= factor.levels.size):
        raise scope.error(f"base is the number of a level, 1 to {factor.levels.size}.", expression)
    base = int(place) - 1
    given = expression.arguments[1] if len(expression.arguments) > 1 else None
    if "base" in options and coding not in (None, "treatment"):
        raise scope.error("base is for treatment contrasts alone.", expression)
    by_function = isinstance(given, nodes.Name) and given.name.startswith("contr.")
    return replace(
        factor, coding=coding, base=base, numbered=by_function or "base" in options, caution=""
    )


def _factor(
    factor: Factor, options: dict[str, Any], expression: nodes.Call, *, scope: Scope
) -> Factor:
    levels, labels = _texts(options.get("levels")), _texts(options.get("labels"))
    if levels is not None and len(set(levels)) < len(levels):
        raise scope.error("factor() got a level twice.", expression)
    ordered = bool(options.get("ordered", factor.ordered))
    if levels is None and labels is None and "exclude" not in options:
        return replace(factor, ordered=ordered, caution="")
    if levels is None:
        state = scope.states.get(expression)
        if state is None:
            present = drop_unused(factor).levels.tolist()
            state = scope.states[expression] = {"levels": present}
        levels = list(state["levels"])
    excluded = _texts(options.get("exclude")) or []
    levels = [level for level in levels if level not in excluded]
    labels = levels if labels is None else labels
    if len(labels) != len(levels):
        raise scope.error(
            f"factor() got {len(labels)} labels for {len(levels)} levels.", expression
        )
    merged = {label: place for place, label in enumerate(dict.fromkeys(labels))}
    places = {level: merged[label] for level, label in zip(levels, labels, strict=True)}
    lookup = np.array([places.get(level, -1) for level in factor.levels.tolist()] + [-1])
    return Factor(lookup[factor.codes], label_array(list(merged)), ordered)


def _texts(option: Any) -> list[str] | None:
    if option is None:
        return None
    items = option if isinstance(option, tuple) else (option,)
    return [
        item if isinstance(item, str) else number_label(float(item))
        for item in (str(item).upper() if isinstance(item, bool) else item for item in items)
    ]


def _stateful(
    expression: nodes.Call, numbers: Any, options: dict[str, Any], *, scope: Scope
) -> Any:
    transform = STATEFUL[expression.function]
    if np.ndim(numbers) == 0:
        numbers = np.full(scope.table.n_rows, float(numbers))
    options = {name.replace(".", "_").lower(): option for name, option in options.items()}
    try:
        state = scope.states.get(expression)
        if state is None:
            assert scope.learning, "a state is learnt with the fitted data"
            known = np.isfinite(numbers)
            if scope.table.counts is not None:
                options["counts"] = scope.table.counts[known]
            state = scope.states[expression] = transform.learn(numbers[known], **options)
        return transform.apply(numbers, state)
    except (ValueError, TypeError) as error:
        raise scope.error(
            f"{expression.function}(): {str(error).rstrip('.')}.", expression
        ) from error


def _bind(expression: nodes.Call, scope: Scope) -> Matrix:
    columns, suffixes = [], []
    for argument in expression.arguments:
        numbers = _numeric(evaluate(argument, scope), argument, scope, doing="cbind()")
        columns.append(np.broadcast_to(numbers, (scope.table.n_rows,)))
        suffixes.append(argument.name if isinstance(argument, nodes.Name) else "")
    return Matrix(np.column_stack(columns).astype(np.float64), tuple(suffixes))
