"""Expressions of the formula language: what stands between the operators of a model formula.

An expression is a tree of these frozen nodes. It is only ever *interpreted* against a table of
known functions (``design/evaluate.py``); no text is handed to Python. ``at`` is the offset of the
node in the source text, for carets in messages; it takes no part in equality.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class _Node:
    at: int = field(default=0, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Name(_Node):
    """A column of the data."""

    name: str


@dataclass(frozen=True, slots=True)
class Number(_Node):
    """A numeric constant; ``text`` is how R would deparse it."""

    value: float
    text: str


@dataclass(frozen=True, slots=True)
class Text(_Node):
    """A quoted string: an option of a function, or a level compared with."""

    value: str


@dataclass(frozen=True, slots=True)
class Constant(_Node):
    """TRUE, FALSE or NULL (``value`` is True, False or None); ``text`` is T or F if so written."""

    value: bool | None
    text: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Unary(_Node):
    """``-x``, ``+x`` or ``!x``."""

    operator: str
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Binary(_Node):
    """Arithmetic ``+ - * / ^ %% %/%``, comparison ``== != < <= > >=``, logic ``& |``, ``:``."""

    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Group(_Node):
    """A parenthesised expression; kept because R keeps the parentheses in names.

    ``structure`` is that of the covariance of a bar that is written as a call, ``cs(x | g)``.
    """

    inner: "Expression"
    structure: str = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True)
class Call(_Node):
    """A function of the closed list; ``keywords`` are ``(name, value)`` pairs in order."""

    function: str
    arguments: tuple["Expression", ...]
    keywords: tuple[tuple[str, "Expression"], ...] = ()


Expression = Name | Number | Text | Constant | Unary | Binary | Group | Call


def parts(node: Expression) -> tuple[Expression, ...]:
    """Return what an operator or a function is applied to, options left out."""
    match node:
        case Unary(_, inner) | Group(inner):
            return (inner,)
        case Binary(_, left, right):
            return (left, right)
        case Call(_, arguments):
            return arguments
        case _:
            return ()


def nodes_in(
    expression: Expression, parts: Callable[[Expression], tuple[Expression, ...]] = parts
) -> Iterator[Expression]:
    """Go through an expression and all below it, from left to right."""
    stack: list[Expression] = [expression]
    while stack:
        node = stack.pop()
        yield node
        stack += reversed(parts(node))


def numbers_in(expression: Expression) -> list[Number]:
    """List the numbers that stand in an expression, those of options left out."""
    return [node for node in nodes_in(expression) if isinstance(node, Number)]


def names_in(expression: Expression) -> tuple[str, ...]:
    """List the columns an expression uses, in order, each once.

    The name of a contrast in ``C(f, contr.sum)`` is no column.
    """
    used = (node.name for node in nodes_in(expression, _columns) if isinstance(node, Name))
    return tuple(dict.fromkeys(used))


def _columns(node: Expression) -> tuple[Expression, ...]:
    """Return the parts that hold columns, those of options among them."""
    match node:
        case Call("C", arguments):
            return arguments[:1]
        case Call(_, arguments, keywords):
            return arguments + tuple(value for _, value in keywords)
        case _:
            return parts(node)


def grouping_names(expression: Expression) -> tuple[str, ...]:
    """List the columns by which ``ave(x, g)`` groups rows anywhere in an expression."""
    groups = (
        group
        for node in nodes_in(expression)
        if isinstance(node, Call) and node.function == "ave"
        for group in node.arguments[1:]
    )
    return tuple(dict.fromkeys(name for group in groups for name in names_in(group)))
