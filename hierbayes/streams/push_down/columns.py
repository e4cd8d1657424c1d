"""What the columns of a model are made of, for sums that an engine takes.

Every column of X or z is a product of numbers and contrasts,

    column = D_m c(k),

with D_m a product of numeric variables (a *monomial*: 1, x, x w, ...) and c(k) the contrasts of the
categories k of its row. Grouped by k, the sums over rows are sums of products of monomials alone;
the contrasts come in afterwards, by the very code that lays rows in memory out
(``design/coding.py``), so coding and levels are those of a fit in memory.
"""

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import product
from typing import Any

import narwhals as nw
import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.coding import fill_columns
from hierbayes.design.design import Design
from hierbayes.design.evaluate import Scope, evaluate
from hierbayes.design.layout import LOGICAL, MATRIX, Layout, TermLayout, Variable
from hierbayes.design.reading import argument_expression
from hierbayes.design.table import ColumnsTable, Table
from hierbayes.design.values import Column, Logical, Matrix, as_numbers, column_of
from hierbayes.formula.expressions import Expression, Name
from hierbayes.streams.push_down.expressions import NotPushed, Writer

Monomial = tuple[int, ...]
ONE: Monomial = ()


@record
class Key:
    """What rows are grouped by for a category: columns of the data, or a truth value.

    Attributes
    ----------
    variable : the category
    columns : names of the columns of the data that make it
    truth : where it is a comparison of numbers, its expression; then no column is named
    """

    variable: Variable
    columns: tuple[str, ...]
    truth: nw.Expr | None = None


@record
class Part:
    """The columns of X, or of one grouping factor.

    Attributes
    ----------
    layouts : the layouts they stand in, one after the other
    order : where each column stands among those of the layouts
    monomials : array of int, per column its monomial
    keys : the categories in them
    """

    layouts: tuple[Layout, ...]
    order: tuple[int, ...]
    monomials: IntArray
    keys: tuple[Key, ...]

    def contrasts(self, categories: Mapping[Expression, Column], n_cells: int) -> FloatArray:
        """Return c(k) of each column for rows of categories, shape (n_cells, columns)."""
        parts = []
        for layout in self.layouts:
            values = {
                variable.expression: categories[variable.expression]
                if variable.is_category
                else _ones(variable, n_cells)
                for variable in layout.variables()
            }
            parts.append(fill_columns(layout, values, n_cells))
        return np.hstack(parts)[:, list(self.order)]


@record
class Ingredients:
    """All an engine computes from a row.

    Attributes
    ----------
    atoms : expressions of the numeric variables' columns
    labels : what each atom is called
    monomials : per monomial the positions of its atoms; the first is 1
    x : the columns of X
    factors : per grouping factor its columns
    groups : per grouping factor the columns of the data that make its levels
    response : the response
    offset : None where there is none
    weights : precision weights, None where there are none
    """

    atoms: tuple[nw.Expr, ...]
    labels: tuple[str, ...]
    monomials: tuple[Monomial, ...]
    x: Part
    factors: tuple[Part, ...]
    groups: tuple[tuple[str, ...], ...]
    response: nw.Expr
    offset: nw.Expr | None
    weights: nw.Expr | None

    @property
    def left(self) -> nw.Expr:
        """The response less its offset."""
        return self.response if self.offset is None else self.response - self.offset

    def monomial(self, place: int) -> nw.Expr:
        """Return a product of numeric variables' columns; not that of none, which is 1."""
        return reduce(operator.mul, (self.atoms[atom] for atom in self.monomials[place]))

    def name(self, place: int) -> str:
        """Return what a monomial is called."""
        return ":".join(self.labels[atom] for atom in self.monomials[place])


class _Atoms:
    """Numeric variables' columns, each once, and their products."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.expressions: list[nw.Expr] = []
        self.labels: list[str] = []
        self.places: dict[Expression, tuple[int, ...]] = {}
        self.monomials: dict[Monomial, int] = {ONE: 0}

    def columns_of(self, variable: Variable) -> tuple[int, ...]:
        if variable.expression not in self.places:
            own = self.writer.columns(variable.expression)
            start = len(self.expressions)
            self.expressions += own
            suffixes = variable.suffixes if variable.kind == MATRIX else ("",)
            self.labels += [variable.label + suffix for suffix in suffixes]
            self.places[variable.expression] = tuple(range(start, start + len(own)))
        return self.places[variable.expression]

    def monomials_of(self, term: TermLayout) -> Iterator[Monomial]:
        """Per column of a term its monomial; the first variable runs fastest."""
        parts: list[Sequence[Monomial]] = []
        for variable, full in zip(term.variables, term.full, strict=True):
            if variable.is_category:
                parts.append([ONE] * len(variable.contrasts(full=full).suffixes))
            else:
                parts.append([(atom,) for atom in self.columns_of(variable)])
        for chosen in product(*reversed(parts)):
            yield tuple(sorted(atom for one in chosen for atom in one))

    def places_of(self, layout: Layout) -> list[int]:
        found = [ONE] * layout.intercept
        for term in layout.terms:
            found += self.monomials_of(term)
        return [self.monomials.setdefault(one, len(self.monomials)) for one in found]


def ingredients_of(
    design: Design, schema: Mapping[str, Any], arguments: Mapping[str, str]
) -> Ingredients:
    """Return what an engine has to compute for a model.

    Parameters
    ----------
    design : a design with the layout, levels and states of the model; its rows are not looked at
    schema : the type of each column of the data
    arguments : weights, offset and known_sd, those that were given: names or expressions

    Raises
    ------
    NotPushed
        With the sentence that says what the engine can't compute.
    """
    writer = Writer(schema, design.states)
    atoms = _Atoms(writer)
    names = ColumnsTable(dict.fromkeys(schema), 0)
    mean = design.mean
    x = _part(atoms, (mean.layout,), range(len(mean.layout.names)))
    factors = tuple(
        _part(atoms, factor.layout.bars, factor.layout.order) for factor in mean.factors
    )
    offsets = [*mean.offset_layout.terms]
    if "offset" in arguments:
        offsets.append(argument_expression(arguments["offset"], names))
    weights: nw.Expr | None = None
    for name in ("weights", "known_sd"):
        if name in arguments:
            own = writer.number(argument_expression(arguments[name], names))
            weights = own if name == "weights" else own**-2.0
    summands = [writer.number(expression) for expression in offsets]
    groups = tuple(factor.layout.grouping_columns() for factor in mean.factors)
    return Ingredients(
        atoms=tuple(atoms.expressions),
        labels=tuple(atoms.labels),
        monomials=tuple(atoms.monomials),
        x=x,
        factors=factors,
        groups=groups,
        response=writer.number(design.formula.response),
        offset=reduce(operator.add, summands) if summands else None,
        weights=weights,
    )


def _part(atoms: _Atoms, layouts: tuple[Layout, ...], order: Iterable[int]) -> Part:
    every = [place for layout in layouts for place in atoms.places_of(layout)]
    order = tuple(order)
    variables = {v.expression: v for layout in layouts for v in layout.variables()}
    return Part(
        layouts=layouts,
        order=order,
        monomials=np.array([every[column] for column in order], dtype=np.intp),
        keys=tuple(_key(v, atoms.writer) for v in variables.values() if v.is_category),
    )


def _key(variable: Variable, writer: Writer) -> Key:
    if variable.kind == LOGICAL and not isinstance(variable.expression, Name):
        try:
            truth = writer.number(variable.expression)
        except NotPushed:  # a comparison with a level: its column makes it
            pass
        else:
            return Key(variable=variable, columns=(), truth=truth)
    return Key(variable=variable, columns=variable.columns_used())


def category(key: Key, scope: Scope, truth: Any) -> Column:
    """Return the value of a category in the rows of a table of keys.

    Parameters
    ----------
    key : the category
    scope : over the table of keys
    truth : the column of ``key.truth`` where it has one
    """
    if key.truth is not None:
        return Logical(as_numbers(truth))
    value = column_of(evaluate(key.variable.expression, scope), scope.table.n_rows)
    if key.variable.kind == LOGICAL and isinstance(value, np.ndarray):
        value = Logical(as_numbers(value))
    return value


def key_scope(table: Table, design: Design) -> Scope:
    """Return the scope in which the categories of a table of keys are read."""
    return Scope(table, design.formula.source, states=dict(design.states), learning=False)


def _ones(variable: Variable, n_rows: int) -> Column:
    if variable.kind == MATRIX:
        return Matrix(np.ones((n_rows, len(variable.suffixes))), variable.suffixes)
    return np.ones(n_rows)
