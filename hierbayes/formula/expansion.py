"""From an expression tree to terms: what R's ``terms.formula`` does with ``+ - * : / ^ %in%``.

A term is a set of variables, kept as the bits of an integer, so that ``a:b`` and ``b:a`` are one
and products of terms are a bitwise or. Variables are numbered as they appear in the text; bars
and offsets are numbered with them, but may only be added or removed.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple

from hierbayes.errors import FormulaError
from hierbayes.formula import expressions as nodes
from hierbayes.formula.deparse import deparse, name_text
from hierbayes.formula.excerpt import formula_error
from hierbayes.formula.terms import LinearPart, Term
from hierbayes.formula.values import check_arguments, check_value

# Beyond these no model can be fitted, and the expansion itself would take long.
MAX_TERMS = 5_000
MAX_PRODUCTS = 200_000

TermSet = dict[int, None]  # an ordered set of terms
Dot = Callable[["Expansion", bool], TermSet]  # what "." stands for, and whether it is added

_BARS = ("|", "||")
_TERM_OPERATORS = frozenset(("+", "-", "*", ":", "/", "^", "%in%"))


class _BarColumns(NamedTuple):
    """What varies in a bar: labels of its terms, the deparsed grouping, and its covariance."""

    columns: frozenset[str]
    grouping: str
    correlated: bool
    structure: str


class Expansion:
    """The terms of one linear predictor.

    Parameters
    ----------
    source : the formula's text, for messages
    within_bar : True for the left side of a bar, where neither bars nor offsets can stand
    dot : what ``.`` stands for: encodes it into terms, or None where it stands for nothing
    """

    def __init__(
        self,
        source: str,
        *,
        within_bar: bool = False,
        dot: Dot | None = None,
    ) -> None:
        self.source = source
        self.within_bar = within_bar
        self.dot = dot
        self.intercept = True
        self.terms: TermSet = {}
        self.labels: list[str] = []
        self.nodes: list[nodes.Expression] = []
        self.groups: dict[int, nodes.Group] = {}  # bars by number, with their parentheses
        self.special = 0  # bits of bars and offsets
        self.products = 0
        self._numbers: dict[str, int] = {}

    def expand(self, node: nodes.Expression) -> None:
        """Read the right side of a formula, or the left side of a bar."""
        self.terms = self.encode(node, True)
        self._check_count(len(self.terms))

    def linear_part(self) -> LinearPart:
        """Return the terms in R's order: by degree, then as they appear."""
        ordered = [bits for bits in self.ordered() if not bits & self.special]
        offsets = [
            call.arguments[0]
            for bits in self.terms
            if bits & self.special
            and isinstance(call := self.nodes[bits.bit_length() - 1], nodes.Call)
        ]
        return LinearPart(self.intercept, tuple(map(self.term, ordered)), tuple(offsets))

    def bars(self) -> list[nodes.Group]:
        """Return the random-effects terms in the order of the formula."""
        return [
            self.groups[number]
            for bits in self.terms
            if bits & self.special and (number := bits.bit_length() - 1) in self.groups
        ]

    def ordered(self) -> list[int]:
        """All terms, bars and offsets included, by degree and then as they appear."""
        return sorted(self.terms, key=int.bit_count)

    def term(self, bits: int) -> Term:
        """Return the record of a term; its variables stand in the order of the formula."""
        if bits & (bits - 1) == 0:
            number = bits.bit_length() - 1
            label = self.labels[number]
            return Term((self.nodes[number],), label, (label,))
        numbers = []
        while bits:
            lowest = bits & -bits
            numbers.append(lowest.bit_length() - 1)
            bits ^= lowest
        labels = tuple(self.labels[number] for number in numbers)
        return Term(tuple(self.nodes[number] for number in numbers), ":".join(labels), labels)

    def find(self, label: str) -> nodes.Expression | None:
        """Return the variable with this label, if a term has it."""
        number = self._numbers.get(label)
        if number is None or not any(bits >> number & 1 for bits in self.terms):
            return None
        return self.nodes[number]

    # encoding

    def encode(self, node: nodes.Expression, adding: bool) -> TermSet:
        """Return the terms of a sub-tree; ``adding`` is False below a ``-``, where 1 means 0."""
        spine: list[nodes.Binary] = []  # chains lean left, as deep as they are long
        while isinstance(node, nodes.Binary) and node.operator in _TERM_OPERATORS:
            spine.append(node)
            node = node.left
        terms = self._operand(node, adding)
        for binary in reversed(spine):
            terms = self._apply(binary, terms, adding)
        return terms

    def _apply(self, node: nodes.Binary, left: TermSet, adding: bool) -> TermSet:
        operator = node.operator
        if operator == "+":
            left.update(self.encode(node.right, adding))
            return left
        if operator == "-":
            return self._remove(left, self.encode(node.right, not adding), at=node.at)
        if operator == "^":
            return self._power(left, node)
        right = self.encode(node.right, adding)
        self._check_factors(node, left, right)
        if operator == ":":
            return self._cross(left, right, at=node.at)
        if operator == "*":
            crossed = self._cross(left, right, at=node.at)
            return left | right | crossed
        if operator == "/":
            return left | self._cross(right, {_union(left): None}, at=node.at)
        return self._cross(left, {_union(right): None}, at=node.at)  # %in%

    def _operand(self, node: nodes.Expression, adding: bool) -> TermSet:
        match node:
            case nodes.Name(name):
                if name == ".":
                    return self._expand_dot(node, adding)
                return self.variable(node, name_text(name))
            case nodes.Number(value):
                if value not in (0, 1):
                    raise formula_error(
                        f"The number {node.text} is no term; only 1 and 0 (with or without "
                        "intercept) are.",
                        source=self.source, at=node.at, advice="Write I(...) for arithmetic.",
                    )  # fmt: skip
                self.intercept = (value == 1) == adding
                return {}
            case nodes.Group(inner):
                while isinstance(inner, nodes.Group):
                    node, inner = inner, inner.inner
                if isinstance(inner, nodes.Binary) and inner.operator in _BARS:
                    return self._bar(node, inner)
                return self.encode(inner, adding)
            case nodes.Call("offset"):
                return self._offset(node)
            case nodes.Call():
                check_value(node, source=self.source)
                return self.variable(node, deparse(node))
            case nodes.Unary("+", inner):
                return self.encode(inner, adding)
            case nodes.Unary("-", inner):
                self.encode(inner, not adding)
                return {}
            case _:
                raise self._no_term(node)

    def variable(self, node: nodes.Expression, key: str) -> TermSet:
        """Return the term of one variable; ``key`` tells variables apart.

        The key is the label, but of bars and offsets, whose keys begin with a blank: so no name
        in back-ticks is one of them.
        """
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.nodes)
            self.nodes.append(node)
            self.labels.append(key.removeprefix(" "))
        return {1 << number: None}

    def _bar(self, group: nodes.Group, node: nodes.Binary) -> TermSet:
        if self.within_bar:
            raise formula_error(
                "A random-effects term can't stand inside another one.",
                source=self.source, at=node.at, advice="Add each to the formula with '+'.",
            )  # fmt: skip
        terms = self.variable(group, " " + deparse(group))
        bits = next(iter(terms))
        self.groups[bits.bit_length() - 1] = group
        self.special |= bits
        return terms

    def _offset(self, node: nodes.Call) -> TermSet:
        if self.within_bar:
            raise formula_error(
                "An offset can't stand in a random-effects term.",
                source=self.source, at=node.at, advice="Add it to the formula with '+'.",
            )  # fmt: skip
        check_arguments(node, source=self.source)
        check_value(node.arguments[0], source=self.source)
        terms = self.variable(node, " " + deparse(node))
        self.special |= next(iter(terms))
        return terms

    def _expand_dot(self, node: nodes.Name, adding: bool) -> TermSet:
        if self.within_bar:
            raise formula_error(
                "'.' can't stand in a random-effects term.",
                source=self.source, at=node.at, advice="Write the columns' names.",
            )  # fmt: skip
        if self.dot is None:
            raise formula_error(
                "'.' stands for all other columns, and no data are given here.",
                source=self.source, at=node.at, advice="Write the columns' names.",
            )  # fmt: skip
        return self.dot(self, adding)

    # operations on sets of terms

    def _remove(self, left: TermSet, removed: TermSet, *, at: int) -> TermSet:
        for bits in removed:
            if bits & self.special and bits not in left:
                group = self.groups.get(bits.bit_length() - 1)
                if group is not None and (rest := self._without(left, group)) is not None:
                    left = rest
                    continue
                absent = deparse(self.nodes[bits.bit_length() - 1])
                present = [
                    deparse(self.nodes[have.bit_length() - 1])
                    for have in left
                    if have & self.special
                ]
                advice = f"It has {', '.join(present)}." if present else "It has no such term."
                raise formula_error(
                    f"There is no {absent} to remove.", source=self.source, at=at, advice=advice
                )
            left.pop(bits, None)
        return left

    def _without(self, terms: TermSet, removed: nodes.Group) -> TermSet | None:
        """Return terms without a bar that is written otherwise or is part of a ``||``; else None.

        ``(x || g)`` is ``(1 | g)`` and ``(0 + x | g)``, and either can be taken from it.
        """
        unwanted = self._read_bar(removed)
        for bits in terms:
            number = bits.bit_length() - 1
            if not bits & self.special or number not in self.groups:
                continue
            bar = self._read_bar(self.groups[number])
            left = bar.columns - unwanted.columns
            if bar.structure != unwanted.structure:
                continue
            same = bar.columns == unwanted.columns and bar.correlated == unwanted.correlated
            part = not bar.correlated and not unwanted.correlated
            if bar.grouping != unwanted.grouping or not unwanted.columns <= bar.columns:
                continue
            if same or part:
                rest = self._bar_of(left, self.groups[number]) if left else {}
                return {
                    new: None for old in terms for new in ((old,) if old != bits else tuple(rest))
                }
        return None

    def _read_bar(self, group: nodes.Group) -> "_BarColumns":
        """Return what varies in a bar, by the labels of its terms (``1`` is the intercept)."""
        node = group.inner
        assert isinstance(node, nodes.Binary)
        own = Expansion(self.source, within_bar=True)
        own.expand(node.left)
        part = own.linear_part()
        columns = frozenset([*(term.label for term in part.terms), *["1"] * part.intercept])
        grouping = node.right
        while isinstance(grouping, nodes.Group):
            grouping = grouping.inner
        correlated = node.operator == "|" and len(columns) > 1
        return _BarColumns(columns, deparse(grouping), correlated, group.structure)

    def _bar_of(self, columns: frozenset[str], group: nodes.Group) -> TermSet:
        """Return the bar of some of the terms of another ``||``."""
        node = group.inner
        assert isinstance(node, nodes.Binary)
        own = Expansion(self.source, within_bar=True)
        own.expand(node.left)
        left: nodes.Expression = nodes.Number(1, "1") if "1" in columns else nodes.Number(0, "0")
        for term in own.linear_part().terms:
            if term.label in columns:
                product = reduce(lambda a, b: nodes.Binary(":", a, b), term.variables)
                left = nodes.Binary("+", left, product)
        operator = "|" if columns == {"1"} else "||"
        bar = nodes.Binary(operator, left, node.right, at=node.at)
        return self._bar(nodes.Group(bar, at=group.at), bar)

    def _cross(self, left: TermSet, right: TermSet, *, at: int) -> TermSet:
        self.products += len(left) * len(right)
        if self.products > MAX_PRODUCTS:
            raise self._too_many(at)
        crossed = {one | other: None for one in left for other in right}
        self._check_count(len(crossed), at=at)
        return crossed

    def _power(self, left: TermSet, node: nodes.Binary) -> TermSet:
        exponent = node.right
        while isinstance(exponent, nodes.Group):
            exponent = exponent.inner
        if not (
            isinstance(exponent, nodes.Number) and exponent.value.is_integer() and exponent.value
        ):
            raise formula_error(
                "The power of terms must be a whole number from 1 on.",
                source=self.source, at=node.right.at,
                advice="Write (a + b)^2 for interactions, or I(x^2) for the square of a column.",
            )  # fmt: skip
        self._check_factors(node, left, left)
        raised = left
        for _ in range(int(min(exponent.value, MAX_TERMS)) - 1):
            known = len(raised)
            raised = self._cross(left, raised, at=node.at)
            if len(raised) == known:  # every power adds terms until none is left to add
                break
        return raised

    def _check_factors(self, node: nodes.Binary, left: TermSet, right: TermSet) -> None:
        """Refuse a product with a bar, an offset or nothing in it."""
        if (self.special and _union(left) | _union(right)) & self.special:
            bits = (_union(left) | _union(right)) & self.special
            special = self.nodes[(bits & -bits).bit_length() - 1]
            what = "An offset" if isinstance(special, nodes.Call) else "A random-effects term"
            raise formula_error(
                f"{what} can't be part of an interaction ('{node.operator}').",
                source=self.source, at=node.at, advice="Add it to the formula with '+'.",
            )  # fmt: skip
        if not left or not right:
            side = "right" if left else "left"
            raise formula_error(
                f"No term stands on the {side} of '{node.operator}'.",
                source=self.source, at=node.at, advice="Write a column's name there.",
            )  # fmt: skip

    def _check_count(self, count: int, *, at: int = 0) -> None:
        if count > MAX_TERMS:
            raise self._too_many(at)

    def _too_many(self, at: int) -> FormulaError:
        return formula_error(
            f"The formula stands for more than {MAX_TERMS:,} terms.",
            source=self.source, at=at, advice="Write out the interactions the model needs.",
        )  # fmt: skip

    def _no_term(self, node: nodes.Expression) -> FormulaError:
        """Return the error for what is a value or a condition, but no term."""
        at, source = node.at, self.source
        match node:
            case nodes.Binary("|" | "||" as operator):
                where = f"'{operator}' stands without parentheses of its own."
                advice = "Write a random-effects term as (1 | g)."
            case nodes.Binary(operator) | nodes.Unary(operator):
                where = f"'{operator}' makes no term."
                advice = "Wrap it in I(...), for example I(x > 3)."
            case nodes.Text() | nodes.Constant():
                where = f"{deparse(node)[:40]} is no column and no term."
                advice = "Write a column's name; one with special characters in back-ticks."
            case _:
                where, advice = "This is no term.", "Write a column's name."
        return formula_error(where, source=source, at=at, advice=advice)


def all_but_response(columns: Sequence[str] | None, response: nodes.Expression) -> Dot | None:
    """Return what ``.`` stands for: every column that isn't part of the response."""
    if columns is None:
        return None
    left_out = frozenset(nodes.names_in(response))
    names = [name for name in columns if name not in left_out]

    def encode(expansion: Expansion, _adding: bool) -> TermSet:
        terms: TermSet = {}
        for name in names:
            terms |= expansion.variable(nodes.Name(name), name_text(name))
        return terms

    return encode


def _union(terms: TermSet) -> int:
    union = 0
    for bits in terms:
        union |= bits
    return union
