"""Random-effects terms: what ``(x | a/b)`` and ``(x || g)`` stand for.

Nesting is written out as lme4 does: ``a/b`` is ``b:a`` and ``a``; ``a/b/c`` is ``c:(b:a)``,
``b:a`` and ``a``.
"""

from hierbayes.errors import FormulaError
from hierbayes.formula.deparse import deparse
from hierbayes.formula.excerpt import formula_error
from hierbayes.formula.expansion import Expansion
from hierbayes.formula.expressions import Binary, Call, Expression, Group, Name
from hierbayes.formula.grammar import Tree
from hierbayes.formula.terms import Bar
from hierbayes.formula.values import check_value

# Combined factors in one grouping; the names of nested groups grow with the square of it.
MAX_FACTORS = 30

Factors = tuple[tuple[Expression, ...], str]  # the factors that are combined, and the group's name


def expand_bar(group: Group, tree: Tree) -> list[Bar]:
    """Write out what a parenthesised ``linear | grouping`` stands for, the finest first."""
    source, node = tree.source, group.inner
    assert isinstance(node, Binary)
    if isinstance(node.left, Binary) and node.left.operator in ("|", "||"):
        raise formula_error(
            "A random-effects term has one '|'; this one is too many.",
            source=source, at=node.at, advice="Write two terms: (1 | a) + (1 | b).",
        )  # fmt: skip
    _check_factors(node, source=source)
    expansion = Expansion(source, within_bar=True)
    expansion.expand(node.left)
    linear = expansion.linear_part()
    if not linear.intercept and not linear.terms:
        raise formula_error(
            f"Nothing is left to vary: '{deparse(node.left)[:40]}' has no column.",
            source=source, at=node.left.at, advice="Write (1 | g) for a varying intercept.",
        )  # fmt: skip
    text = source[group.at : tree.ends[group.at]]
    if tree.bare:
        text = f"({text})"
    return [
        Bar(
            linear,
            factors,
            name,
            node.operator == "|",
            text,
            node,
            group.at,
            structure=group.structure or "us",
        )
        for factors, name in _groupings(node.right, source=source)
    ]


def _check_factors(bar: Binary, *, source: str) -> None:
    """Refuse a right side of more factors than anybody could estimate."""
    count, node = 1, _without_parentheses(bar.right)
    while isinstance(node, Binary):
        count, node = count + 1, _without_parentheses(node.left)
    if count > MAX_FACTORS:
        raise formula_error(
            f"A random-effects term has at most {MAX_FACTORS} factors right of '|'.",
            source=source, at=bar.at, advice="Make the combined factor a column of the data.",
        )  # fmt: skip


def _groupings(node: Expression, *, source: str) -> list[Factors]:
    """Return the grouping factors of the right side of a bar, the finest first."""
    nested: list[Binary] = []
    node = _without_parentheses(node)
    while isinstance(node, Binary) and node.operator == "/":
        nested.append(node)
        node = _without_parentheses(node.left)
    found = [_combined(node, source=source)]
    for binary in reversed(nested):
        outer, outer_name = found[0]
        inner, inner_name = _combined(binary.right, source=source)
        if len(outer) > 1:
            outer_name = f"({outer_name})"
        if isinstance(binary.right, Group) and len(inner) > 1:
            inner_name = f"({inner_name})"
        found.insert(0, (inner + outer, f"{inner_name}:{outer_name}"))
    return found


def _combined(node: Expression, *, source: str) -> Factors:
    """Return the factors of ``a:b:c``, or of one name or call."""
    node = _without_parentheses(node)
    factors: list[Expression] = []
    while isinstance(node, Binary) and node.operator == ":":
        factors.append(_factor(node.right, source=source))
        node = _without_parentheses(node.left)
    factors.append(_factor(node, source=source))
    factors.reverse()
    if len(factors) == 1 and isinstance(factors[0], Name):
        return tuple(factors), factors[0].name  # as R deparses a bare name: without back-ticks
    return tuple(factors), ":".join(map(deparse, factors))


def _factor(node: Expression, *, source: str) -> Expression:
    node = _without_parentheses(node)
    is_name = isinstance(node, Name) and node.name != "."
    if is_name or (isinstance(node, Call) and node != Call("offset", ())):
        check_value(node, source=source)
        return node
    raise _no_grouping(node, source=source)


def _no_grouping(node: Expression, *, source: str) -> FormulaError:
    advice = "Write a factor's column name, a/b for nested or a:b for combined factors."
    if isinstance(node, Binary):
        left, right = deparse(node.left), deparse(node.right)
        if len(left) + len(right) <= 40 and node.operator in "+*":
            advice = f"Write (... | {left}) + (... | {right})"
            advice += f" + (... | {left}:{right})." if node.operator == "*" else "."
        elif node.operator not in "+*-/:^":
            advice = "Wrap it in factor(...), for example (1 | factor(x > 3))."
        return formula_error(
            f"'{node.operator}' makes no grouping factor.",
            source=source, at=node.at, advice=advice,
        )  # fmt: skip
    return formula_error(
        f"'{deparse(node)[:40]}' is no grouping factor.", source=source, at=node.at, advice=advice
    )


def _without_parentheses(node: Expression) -> Expression:
    while isinstance(node, Group):
        node = node.inner
    return node
