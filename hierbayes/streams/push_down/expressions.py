"""Expressions of a formula as expressions of an engine: DuckDB's, Polars', any narwhals can write.

The same closed list of functions as ``design/evaluate.py`` reads, with the same meaning, and no
row is looked at. Names and constants reach the engine as objects, never as text of ours, so none
of them can be read as a part of a query. What an engine has no function for raises ``NotPushed``
with the sentence that the plan prints.
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import narwhals as nw

from hierbayes.design.transforms import State
from hierbayes.formula import expressions as nodes
from hierbayes.formula.deparse import deparse

# A polynomial's recurrence doubles the text of a column about every degree.
HIGHEST_DEGREE = 6

ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
    "**": operator.pow,
}
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
LOGIC: dict[str, Callable[[Any, Any], Any]] = {
    "&": operator.and_,
    "&&": operator.and_,
    "|": operator.or_,
    "||": operator.or_,
}
ELEMENTWISE: dict[str, Callable[[nw.Expr], nw.Expr]] = {
    "exp": nw.Expr.exp,
    "sqrt": nw.Expr.sqrt,
    "abs": nw.Expr.abs,
    "sin": nw.Expr.sin,
    "cos": nw.Expr.cos,
    "tan": lambda x: x.sin() / x.cos(),
    "log2": lambda x: x.log(2),
    "log10": lambda x: x.log(10),
}
EXTREMES: dict[str, Callable[..., nw.Expr]] = {
    "pmax": nw.max_horizontal,
    "pmin": nw.min_horizontal,
}


class NotPushed(Exception):
    """Something an engine can't compute for us; the text says what, as a whole sentence."""


class Writer:
    """Writes expressions for one table.

    Parameters
    ----------
    schema : the type of each column
    states : what stateful functions learnt, by their expression
    """

    def __init__(self, schema: Mapping[str, Any], states: Mapping[nodes.Expression, State]) -> None:
        self.schema = schema
        self.states = states

    def number(self, expression: nodes.Expression) -> nw.Expr:
        """Return an expression that makes one number a row; truth values are 0 and 1."""
        columns = self.columns(expression)
        if len(columns) != 1:
            raise NotPushed(f"{deparse(expression)} makes several columns where one is needed.")
        return columns[0]

    def columns(self, expression: nodes.Expression) -> tuple[nw.Expr, ...]:
        """Return the columns an expression makes: several for ``poly`` and ``cbind``."""
        if isinstance(expression, nodes.Call):
            return self._call(expression)
        return (self._single(expression),)

    def _single(self, expression: nodes.Expression) -> nw.Expr:
        match expression:
            case nodes.Name(name=name):
                return self._column(name)
            case nodes.Number(value=value):
                return nw.lit(float(value))
            case nodes.Constant(value=bool() as value):
                return nw.lit(float(value))
            case nodes.Group(inner=inner):
                return self.number(inner)
            case nodes.Unary("-", inner):
                return -self.number(inner)
            case nodes.Unary("+", inner):
                return self.number(inner)
            case nodes.Unary("!", inner):
                return _truth(self.number(inner) == 0.0)
            case nodes.Binary(sign, left, right) if sign in ARITHMETIC:
                return ARITHMETIC[sign](self.number(left), self.number(right))
            case nodes.Binary(sign, left, right) if sign in COMPARISONS:
                return _truth(COMPARISONS[sign](self.number(left), self.number(right)))
            case nodes.Binary(sign, left, right) if sign in LOGIC:
                return _truth(LOGIC[sign](self.number(left) != 0.0, self.number(right) != 0.0))
        raise _unknown(expression)

    def _column(self, name: str) -> nw.Expr:
        kind = self.schema[name]
        if not (kind.is_numeric() or kind == nw.Boolean):
            raise NotPushed(f"Column {name!r} holds categories where a number is needed.")
        return nw.col(name).cast(nw.Float64)

    def _call(self, expression: nodes.Call) -> tuple[nw.Expr, ...]:
        function, arguments = expression.function, expression.arguments
        state = self.states.get(expression)
        if function == "I":
            return self.columns(arguments[0])
        if function == "cbind":
            return tuple(self.number(argument) for argument in arguments)
        if function in ELEMENTWISE:
            return (ELEMENTWISE[function](self.number(arguments[0])),)
        if function in EXTREMES:
            return (EXTREMES[function](*(self.number(argument) for argument in arguments)),)
        if function == "log":
            return (self.number(arguments[0]).log(_base(expression)),)
        if function in ("scale", "center") and state is not None:
            return ((self.number(arguments[0]) - state["center"]) / state["scale"],)
        if function == "poly" and state is not None:
            if "parts" in state:
                return self._products(arguments, state)
            return _polynomials(self.number(arguments[0]), state)
        raise _unknown(expression)

    def _products(
        self, arguments: tuple[nodes.Expression, ...], state: State
    ) -> tuple[nw.Expr, ...]:
        """``poly`` of several columns: the products of the columns' own polynomials."""
        powers: list[tuple[nw.Expr | None, ...]] = [
            (None, *_polynomials(self.number(argument), own))
            for argument, own in zip(arguments, state["parts"], strict=False)
        ]
        products = []
        for degrees in state["exponents"]:
            chosen = (own[d] for own, d in zip(powers, degrees, strict=True))
            products.append(reduce(operator.mul, (one for one in chosen if one is not None)))
        return tuple(products)


def _truth(condition: Any) -> nw.Expr:
    return condition.cast(nw.Float64)


def _base(expression: nodes.Call) -> float:
    given = [*expression.arguments[1:], *(v for n, v in expression.keywords if n == "base")]
    if not given:
        return math.e
    if not isinstance(given[0], nodes.Number):
        raise _unknown(expression)
    return given[0].value


def _polynomials(x: nw.Expr, state: State) -> tuple[nw.Expr, ...]:
    """Return the polynomials of degree one and more of x, as ``design/transforms.py`` does."""
    degree = state["degree"]
    if degree > HIGHEST_DEGREE:
        raise NotPushed(f"A polynomial of degree {degree} is a query of too many words.")
    if state["raw"]:
        return tuple(x**power for power in range(1, degree + 1))
    columns = polynomials(x / state["unit"], state["alpha"], state["norm2"])
    sizes = [math.sqrt(square) for square in state["norm2"][2:]]
    return tuple(column / size for column, size in zip(columns, sizes, strict=True))


def polynomials(x: nw.Expr, alpha: Sequence[float], norm2: Sequence[float]) -> list[nw.Expr]:
    """Return the monic orthogonal polynomials of degree one to ``len(alpha)``, by recurrence."""
    columns: list[nw.Expr] = [x - alpha[0]]
    for k in range(1, len(alpha)):
        before = columns[k - 2] if k > 1 else 1.0
        columns.append((x - alpha[k]) * columns[k - 1] - before * (norm2[k + 1] / norm2[k]))
    return columns


def _unknown(expression: nodes.Expression) -> NotPushed:
    return NotPushed(f"{deparse(expression)} is nothing the engine has an expression for.")
