"""Expressions of the formula language: what stands between the operators of a model formula.

An expression is a tree of these frozen nodes. It is only ever *interpreted* against a table of
known functions (``design/evaluate.py``); no text is handed to Python. ``at`` is the offset of the
node in the source text, for carets in messages; it takes no part in equality.
"""

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
    """A parenthesised expression; kept because R keeps the parentheses in names."""

    inner: "Expression"


@dataclass(frozen=True, slots=True)
class Call(_Node):
    """A function of the closed list; ``keywords`` are ``(name, value)`` pairs in order."""

    function: str
    arguments: tuple["Expression", ...]
    keywords: tuple[tuple[str, "Expression"], ...] = ()


Expression = Name | Number | Text | Constant | Unary | Binary | Group | Call


def numbers_in(expression: Expression) -> list[Number]:
    """List the numbers that stand in an expression, those of options left out."""
    found: list[Number] = []
    stack: list[Expression] = [expression]
    while stack:
        match stack.pop():
            case Number() as number:
                found.append(number)
            case Unary(_, inner) | Group(inner):
                stack.append(inner)
            case Binary(_, left, right):
                stack += (right, left)
            case Call(_, arguments):
                stack += reversed(arguments)
            case _:
                pass
    return found


def names_in(expression: Expression) -> tuple[str, ...]:
    """List the columns an expression uses, in order, each once.

    The name of a contrast in ``C(f, contr.sum)`` is no column.
    """
    if isinstance(expression, Name):
        return (expression.name,)
    found: dict[str, None] = {}
    stack: list[Expression] = [expression]
    while stack:
        node = stack.pop()
        match node:
            case Name(name):
                found[name] = None
            case Unary(_, operand):
                stack.append(operand)
            case Group(inner):
                stack.append(inner)
            case Binary(_, left, right):
                stack += (right, left)
            case Call(function, arguments, keywords):
                columns = arguments[:1] if function == "C" else arguments
                options = () if function == "C" else tuple(value for _, value in keywords)
                stack += reversed(columns + options)
            case _:
                pass
    return tuple(found)


def grouping_names(expression: Expression) -> tuple[str, ...]:
    """List the columns by which ``ave(x, g)`` groups rows anywhere in an expression."""
    found: dict[str, None] = {}
    stack: list[Expression] = [expression]
    while stack:
        match stack.pop():
            case Unary(_, inner) | Group(inner):
                stack.append(inner)
            case Binary(_, left, right):
                stack += (right, left)
            case Call(function, arguments):
                stack += reversed(arguments)
                groups = arguments[1:] if function == "ave" else ()
                found |= dict.fromkeys(name for group in groups for name in names_in(group))
            case _:
                pass
    return tuple(found)
