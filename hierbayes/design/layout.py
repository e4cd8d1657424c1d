"""What the columns of a linear predictor are: terms, variables, and how each is coded.

A layout holds no rows: it is what was learnt from the data about the columns of X or of a grouping
factor, and lays the same columns out again for new data (``design/coding.py`` fills them). What is
asked about a model's terms, such as which columns of the data they use, is answered here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product

from hierbayes.arrays import IntArray, record
from hierbayes.design.contrasts import Contrasts, contrasts, indicators
from hierbayes.formula.expressions import Call, Expression, grouping_names, names_in
from hierbayes.options import Coding

INTERCEPT = "(Intercept)"
NUMERIC, MATRIX, LOGICAL, FACTOR = "numeric", "matrix", "logical", "factor"


@record
class Variable:
    """What a variable was when the model was fitted.

    Attributes
    ----------
    expression : how it is computed
    label : R's name of it
    kind : "numeric", "matrix", "logical" or "factor"
    suffixes : of a matrix, what follows the label in the names of its columns
    levels : of a factor or logical, its labels
    coding : of a factor or logical, its contrasts
    base : the baseline level of treatment contrasts, counted from 0
    numbered : treatment contrasts are named by the numbers of the levels
    """

    expression: Expression
    label: str
    kind: str
    suffixes: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    coding: Coding = "treatment"
    base: int = 0
    numbered: bool = False

    @property
    def is_category(self) -> bool:
        """Whether it has levels; otherwise it is numbers."""
        return self.kind in (FACTOR, LOGICAL)

    def columns_used(self) -> tuple[str, ...]:
        """Columns of the data it is computed from."""
        return names_in(self.expression)

    def coded(self) -> frozenset[str]:
        """Columns of the data that stand for categories: of ``factor(x)``, and g in ``ave(x, g)``.

        The number that ``cut`` makes categories of is none: between its values are others.
        """
        is_cut = isinstance(self.expression, Call) and self.expression.function == "cut"
        own = self.columns_used() if self.kind == FACTOR and not is_cut else ()
        return frozenset((*own, *grouping_names(self.expression)))

    def contrasts(self, *, full: bool) -> Contrasts:
        """Its contrasts, or where ``full`` an indicator of every level."""
        if full:
            return indicators(self.levels)
        levels: tuple[str, ...] = self.levels
        if self.numbered:
            levels = tuple(str(number) for number in range(1, len(levels) + 1))
        return contrasts(self.coding, levels, base=self.base)

    def recoded(self, codings: Mapping[str, Coding]) -> "Variable":
        """Return it with other contrasts, itself where they are the same."""
        coding = codings.get(self.label, self.coding)
        if coding == self.coding and not self.numbered:
            return self
        return replace(self, coding=coding, numbered=False)


@record
class TermLayout:
    """One term: its label, its variables, and which of them have an indicator for every level."""

    label: str
    variables: tuple[Variable, ...]
    full: tuple[bool, ...]

    @property
    def is_interaction(self) -> bool:
        """Whether it is a product of variables."""
        return len(self.variables) > 1

    def columns_used(self) -> tuple[str, ...]:
        """Columns of the data its variables are computed from, each once."""
        return _each_once(self.variables)

    def numbers(self) -> frozenset[str]:
        """Labels of its variables that are numbers, not categories."""
        return frozenset(v.label for v in self.variables if not v.is_category)

    def includes(self, other: "TermLayout") -> bool:
        """Whether it has all variables of another term, and more."""
        own, theirs = ({v.label for v in term.variables} for term in (self, other))
        return theirs < own

    def names(self, *, brackets: bool = False) -> list[str]:
        """Names of its columns as R prints them, or with levels in brackets."""
        parts = []
        for variable, full in zip(self.variables, self.full, strict=True):
            suffixes: tuple[str, ...] = ("",)
            if variable.kind == MATRIX:
                suffixes = variable.suffixes
            elif variable.is_category:
                suffixes = variable.contrasts(full=full).suffixes
                if brackets:
                    suffixes = tuple(f"[{suffix}]" for suffix in suffixes)
            parts.append([variable.label + suffix for suffix in suffixes])
        if len(parts) == 1:
            return parts[0]
        # The first variable varies fastest, so the product runs over the reversed parts.
        return [":".join(reversed(names)) for names in product(*reversed(parts))]


@record
class Layout:
    """The columns of a linear predictor.

    Attributes
    ----------
    intercept : whether the first column is ones
    terms : the terms in R's order
    names : the names of all columns as R prints them
    assign : array of int: 0 for the intercept, k for a column of the k-th term
    """

    intercept: bool
    terms: tuple[TermLayout, ...]
    names: tuple[str, ...]
    assign: IntArray

    @property
    def labels(self) -> tuple[str, ...]:
        """R's labels of the terms."""
        return tuple(term.label for term in self.terms)

    @property
    def details(self) -> tuple[str, ...]:
        """The names with levels in brackets: ``A[B1]`` and ``AB[1]``, where R has AB1 twice."""
        terms = [name for term in self.terms for name in term.names(brackets=True)]
        return tuple([INTERCEPT] * self.intercept + terms)

    def variables(self) -> tuple[Variable, ...]:
        """List the variables of all terms, each once, in order."""
        return tuple({v.label: v for term in self.terms for v in term.variables}.values())

    def columns_used(self) -> tuple[str, ...]:
        """Columns of the data its variables are computed from, in order, each once."""
        return _each_once(self.variables())

    def coded(self) -> frozenset[str]:
        """Columns of the data that stand for categories in some variable; ``Variable.coded``."""
        return frozenset().union(*(variable.coded() for variable in self.variables()))

    def baselines(self) -> dict[str, str]:
        """Per factor its baseline level, or how it is coded when it has none."""
        found: dict[str, str] = {}
        for term in self.terms:
            for variable, full in zip(term.variables, term.full, strict=True):
                if not variable.is_category or variable.label in found:
                    continue
                if full:
                    found[variable.label] = "every level has its own column"
                elif variable.coding == "treatment":
                    found[variable.label] = variable.levels[variable.base]
                else:
                    found[variable.label] = f"{variable.coding} contrasts"
        return found

    def recoded(self, codings: Mapping[str, Coding]) -> "Layout":
        """Return the same terms with other contrasts, given by the label of each factor.

        Returns itself where all contrasts are these already.
        """
        variables = {v.label: v.recoded(codings) for v in self.variables()}
        if all(variables[v.label] is v for v in self.variables()):
            return self
        terms = tuple(
            replace(term, variables=tuple(variables[v.label] for v in term.variables))
            for term in self.terms
        )
        names = [INTERCEPT] * self.intercept + [name for term in terms for name in term.names()]
        return replace(self, terms=terms, names=tuple(names))


@record
class FactorLayout:
    """How one grouping factor and its columns are computed.

    Attributes
    ----------
    grouping : the expressions whose combined values are the levels
    bars : the columns of each of its bars, in formula order
    order : where each of ``GroupingFactor.columns`` stands among the columns of the bars
    keys : of each level, the labels of its parts: ``a:b`` can be read in two ways, they can't
    """

    grouping: tuple[Expression, ...]
    bars: tuple[Layout, ...]
    order: tuple[int, ...]
    keys: tuple[tuple[str, ...], ...]

    @property
    def details(self) -> tuple[str, ...]:
        """Names of the factor's columns with levels in brackets."""
        every = [name for bar in self.bars for name in bar.details]
        return tuple(every[column] for column in self.order)

    def origins(self) -> tuple[tuple[int, int], ...]:
        """Of each column the position of its bar and the term in it, 0 for the intercept."""
        every = [(bar, term) for bar, own in enumerate(self.bars) for term in own.assign.tolist()]
        return tuple(every[column] for column in self.order)

    def columns_used(self) -> tuple[str, ...]:
        """Columns of the data that its bars use left of ``|``, each once."""
        return tuple(dict.fromkeys(name for bar in self.bars for name in bar.columns_used()))

    def grouping_columns(self) -> tuple[str, ...]:
        """Columns of the data that make the levels, each once."""
        return tuple(dict.fromkeys(n for own in self.grouping for n in names_in(own)))

    def coded(self) -> frozenset[str]:
        """Columns of the data that stand for categories left of ``|``; ``Variable.coded``."""
        return frozenset().union(*(bar.coded() for bar in self.bars))


@record
class OffsetLayout:
    """Where the offset of a row comes from.

    Attributes
    ----------
    terms : what stands in each ``offset()`` of the formula
    argument : the argument offset, where it was a column's name or an expression
    is_array : the argument was an array, which says nothing about new data
    """

    terms: tuple[Expression, ...] = ()
    argument: str | None = None
    is_array: bool = False

    @property
    def was_given(self) -> bool:
        """Whether there was an argument, beside the formula."""
        return self.is_array or self.argument is not None

    def columns_used(self) -> tuple[str, ...]:
        """Columns of the data in the formula's offsets; none where an array is added to them."""
        if self.is_array:
            return ()
        return tuple(dict.fromkeys(name for term in self.terms for name in names_in(term)))


def _each_once(variables: Iterable[Variable]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for own in variables for name in own.columns_used()))
