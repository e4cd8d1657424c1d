"""Checks of expressions that compute a value: the response, a variable, weights, an offset.

Here ``+ - * / ^`` are arithmetic. What belongs to the level of terms (bars, ``:``, ``.``) or to
no level (options that aren't literals) is refused, with the place.
"""

from hierbayes.formula import expressions as nodes
from hierbayes.formula.deparse import deparse
from hierbayes.formula.excerpt import formula_error
from hierbayes.formula.functions import FUNCTIONS, POSITIONS, VECTOR

# Left-leaning chains such as I(q1 + q2 + ...) are as deep as long; evaluating them recurses.
MAX_HEIGHT = 200

_LOGICAL = frozenset(("==", "!=", "<", "<=", ">", ">=", "&", "!"))


def check_value(expression: nodes.Expression, *, source: str) -> None:
    """Refuse an expression that computes no value row by row.

    Raises
    ------
    FormulaError
        Names what is wrong and shows the place.
    """
    if isinstance(expression, nodes.Name) and expression.name != ".":
        return
    stack: list[tuple[nodes.Expression, int]] = [(expression, 1)]
    while stack:
        node, height = stack.pop()
        if height > MAX_HEIGHT:
            raise formula_error(
                f"More than {MAX_HEIGHT} operations stand in one expression.",
                source=source, at=node.at, advice="Make it a column of the data first.",
            )  # fmt: skip
        match node:
            case nodes.Name("."):
                raise formula_error(
                    "'.' stands for all columns and can't be part of an expression.",
                    source=source, at=node.at, advice="Write the columns' names.",
                )  # fmt: skip
            case nodes.Unary(_, operand):
                stack.append((operand, height + 1))
            case nodes.Group(inner):
                _check_no_bar(node, source=source)
                stack.append((inner, height + 1))
            case nodes.Binary(_, left, right):
                _check_operator(node, source=source)
                stack += ((right, height + 1), (left, height + 1))
            case nodes.Call():
                _check_call(node, source=source)
                columns = node.arguments[: FUNCTIONS[node.function].columns]
                stack += ((argument, height + 1) for argument in reversed(columns))
            case _:
                pass


def _check_operator(node: nodes.Binary, *, source: str) -> None:
    operator = node.operator
    if operator == ":":
        raise formula_error(
            "':' makes interactions of terms and can't stand inside an expression.",
            source=source, at=node.at, advice="Write '*' to multiply two columns.",
        )  # fmt: skip
    if operator == "%in%":
        raise formula_error(
            "'%in%' nests terms and can't stand inside an expression.",
            source=source, at=node.at, advice="Write comparisons, as in I(x == 1 | x == 2).",
        )  # fmt: skip
    if operator in ("&&", "||"):
        raise formula_error(
            f"'{operator}' compares single values.",
            source=source, at=node.at, advice=f"Write '{operator[0]}' to compare row by row.",
        )  # fmt: skip
    if operator == "|" and isinstance(node.left, nodes.Number):
        raise _bar_inside(node, source=source)


def _check_no_bar(group: nodes.Group, *, source: str) -> None:
    """Tell ``(x | g)``, a random-effects term in a wrong place, from a logical or."""
    inner = group.inner
    if isinstance(inner, nodes.Binary) and inner.operator in ("|", "||"):
        sides = (inner.left, inner.right)
        if not any(_is_logical(side) for side in sides):
            raise _bar_inside(inner, source=source)


def _is_logical(node: nodes.Expression) -> bool:
    while isinstance(node, nodes.Group):
        node = node.inner
    return isinstance(node, nodes.Binary | nodes.Unary) and node.operator in _LOGICAL


def _bar_inside(node: nodes.Binary, *, source: str) -> Exception:
    return formula_error(
        "A random-effects term can't stand inside an expression.",
        source=source, at=node.at,
        advice="Add it to the formula with '+'; for a logical or, write I(a | b).",
    )  # fmt: skip


def _check_call(node: nodes.Call, *, source: str) -> None:
    if node.function == VECTOR:
        raise formula_error(
            "c(...) can only give an option of a function, such as ns(x, knots = c(2, 5)).",
            source=source, at=node.at, advice="Write '+' between columns.",
        )  # fmt: skip
    if node.function == "offset":
        raise formula_error(
            "offset(...) is a term of its own and can't be part of an expression.",
            source=source, at=node.at, advice="Add it to the formula with '+'.",
        )  # fmt: skip
    check_arguments(node, source=source)


def _check_given_once(node: nodes.Call, *, source: str) -> None:
    """Refuse an option that stands both at its place and by its name."""
    names = POSITIONS.get(node.function, ())
    if node.function == "poly":
        names = ("x", "degree") if len(node.arguments) == 2 and has_degree(node) else ()
    given = names[: len(node.arguments)]
    for name, value in node.keywords:
        if name in given:
            raise formula_error(
                f"The option '{name}' is given twice, by its place and by its name.",
                source=source, at=value.at, advice="Leave one of them out.",
            )  # fmt: skip


def has_degree(node: nodes.Call) -> bool:
    """Whether the second argument of ``poly`` is its degree, not a column."""
    return len(node.arguments) == 2 and _is_literal(node.arguments[1])


def _check_poly(node: nodes.Call, *, source: str) -> None:
    for value in node.arguments[1:] if len(node.arguments) > 2 else ():
        if _is_literal(value):
            raise formula_error(
                "poly() of several columns takes its degree by name.",
                source=source, at=value.at, advice="Write, for example, poly(x, w, degree = 2).",
            )  # fmt: skip


def check_arguments(node: nodes.Call, *, source: str) -> None:
    """Refuse a call with too few or too many arguments, or options that aren't literals."""
    signature = FUNCTIONS[node.function]
    if not node.arguments:
        raise formula_error(
            f"{node.function}() needs a column to work on.",
            source=source, at=node.at, advice=f"Write, for example, {node.function}(x).",
        )  # fmt: skip
    if len(node.arguments) > signature.positional:
        count = "one argument" if signature.positional == 1 else f"{signature.positional} arguments"
        raise formula_error(
            f"{node.function}() takes at most {count} without a name.",
            source=source, at=node.arguments[signature.positional].at,
            advice="Take it away, or name the option as in 'df = 4'.",
        )  # fmt: skip
    _check_given_once(node, source=source)
    if node.function == "poly":
        _check_poly(node, source=source)
    options = [*node.arguments[signature.columns :], *(value for _, value in node.keywords)]
    for value in options:
        # C takes a contrast by name, as in C(f, contr.sum).
        if not _is_literal(value) and not (node.function == "C" and isinstance(value, nodes.Name)):
            shown = deparse(value)
            raise formula_error(
                f"An option of {node.function}() can't be "
                + (f"'{shown}'." if len(shown) <= 40 else "an expression."),
                source=source, at=value.at,
                advice="Write a number, a string, TRUE, FALSE or a vector such as c(2, 5).",
            )  # fmt: skip


def _is_literal(node: nodes.Expression) -> bool:
    match node:
        case nodes.Number() | nodes.Text() | nodes.Constant():
            return True
        case nodes.Unary("-" | "+", nodes.Number()):
            return True
        case nodes.Call(function, arguments, keywords):
            return (
                function == VECTOR
                and not keywords
                and all(
                    _is_literal(item) and not isinstance(item, nodes.Call) for item in arguments
                )
            )
        case _:
            return False
