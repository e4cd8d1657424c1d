"""The queries that make moments and cross-products.

The first groups the rows used by the categories of the predictors and asks for moments of every
number: means for centring, spreads for priors. The others make the cross-products, one query for
each grouping factor and one for each pair of crossed factors: the rows are grouped by levels and
categories, and sums of products of centred columns come back, one row a group.
"""

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.design.table import Table
from hierbayes.streams.push_down.basis import Basis
from hierbayes.streams.push_down.columns import Ingredients, Key
from hierbayes.streams.push_down.rows import Names, Question, UsedRows, numbers_in

Pair = tuple[int, int]


class Queries:
    """Writes the queries of a model.

    Parameters
    ----------
    rows : the rows used
    ingredients : what is computed from each
    """

    def __init__(self, rows: UsedRows, ingredients: Ingredients) -> None:
        self.rows = rows
        self.own = ingredients
        self.name = rows.name

    def moments(self, keys: Sequence[Key], numbers: dict[str, nw.Expr]) -> Question:
        """Ask for count, mean, variance, smallest and largest value of numbers, by categories."""
        asked_keys, names = self._keys((), keys)
        own = {self.name(label): number for label, number in numbers.items()}
        rows = self.rows.kept().select(
            *asked_keys, *(number.alias(name) for name, number in own.items())
        )
        asked = [nw.len().alias(self.name("n"))]
        for label, name in zip(numbers, own, strict=True):
            column = nw.col(name)
            usable = nw.when(column.is_finite()).then(column)
            asked += [
                usable.mean().alias(self.name("mean", label)),
                usable.var(ddof=0).alias(self.name("var", label)),
                usable.min().alias(self.name("low", label)),
                usable.max().alias(self.name("high", label)),
                usable.count().alias(self.name("usable", label)),
            ]
        return Question(
            purpose="means and spreads of every number" + (f", by {_listed(keys)}" if keys else ""),
            frame=self._grouped(rows, names, asked),
        )

    def sums(
        self,
        groups: Sequence[str],
        keys: Sequence[Key],
        pairs: Sequence[Pair],
        *,
        basis: Basis,
        what: str,
    ) -> Question:
        """Ask for sums of products of the centred columns, by levels and categories.

        Parameters
        ----------
        groups : columns of the data that make the levels
        keys : categories
        pairs : which columns of E are multiplied
        basis : how E follows from the monomials and the response
        what : whose products these are, for the plan
        """
        asked_keys, names = self._keys(groups, keys)
        used = sorted({column for pair in pairs for column in pair} - {0})
        # what a column of E takes off first has to be there too
        every = sorted({0}.union(*(self._before(column, basis) for column in used)) - {0})
        rows = self._columns(asked_keys, names, every, basis=basis)
        weight = None if self.own.weights is None else nw.col(self.name("w"))
        asked = [nw.len().alias(self.name("n"))]
        for a, b in pairs:
            product = _times(weight, *(nw.col(self.name("e", e)) for e in (a, b) if e))
            if product is not None:
                asked.append(product.sum().alias(self.name("s", a, b)))
        return Question(
            purpose=f"cross-products of {what}", frame=self._grouped(rows, names, asked)
        )

    def _before(self, column: int, basis: Basis) -> set[int]:
        found, todo = set(), [column]
        while todo:
            one = todo.pop()
            if one not in found:
                found.add(one)
                todo += [e for e in basis.needed(one) if e != one]
        return found

    def _columns(
        self, keys: list[nw.Expr], names: list[str], every: list[int], *, basis: Basis
    ) -> nw.LazyFrame[Any]:
        """Rows of E in three steps: atoms and response, monomials, then what is taken off."""
        last = basis.size - 1
        monomials = {e: self.own.monomials[e] for e in every if e != last}
        atoms = sorted({atom for monomial in monomials.values() for atom in monomial})
        rows = self.rows.kept().select(
            *keys,
            *(self.own.atoms[atom].alias(self.name("a", atom)) for atom in atoms),
            *([self.own.left.alias(self.name("y"))] if last in every else []),
            *([] if self.own.weights is None else [self.own.weights.alias(self.name("w"))]),
        )
        plain: list[nw.Expr] = []
        apart: list[nw.Expr] = []
        for e in every:
            if e == last:
                column = nw.col(self.name("y"))
            else:
                factors = [nw.col(self.name("a", atom)) for atom in monomials[e]]
                column = factors[0]
                for factor in factors[1:]:
                    column = column * factor
            column = column - float(basis.U[0, e])
            others = sorted(basis.needed(e) - {0, e})
            for j in others:
                column = column - nw.col(self.name("e", j)) * float(basis.U[j, e])
            column = (column * float(1 / basis.U[e, e])).alias(self.name("e", e))
            (apart if others else plain).append(column)
        kept = names + ([] if self.own.weights is None else [self.name("w")])
        if not apart:
            return rows.select(*kept, *plain)
        rows = rows.with_columns(*plain)
        for column in apart:
            rows = rows.with_columns(column)
        return rows

    def _grouped(
        self, rows: nw.LazyFrame[Any], names: list[str], asked: list[nw.Expr]
    ) -> nw.LazyFrame[Any]:
        return rows.group_by(*names).agg(*asked) if names else rows.select(*asked)

    def truth(self, place: int) -> str:
        """Name of the column of a category that is a comparison."""
        return self.name("k", place)

    def _keys(self, groups: Sequence[str], keys: Sequence[Key]) -> tuple[list[nw.Expr], list[str]]:
        """Return what rows are grouped by, and what that is called."""
        plain = dict.fromkeys([*groups, *(name for key in keys for name in key.columns)])
        truths = {
            self.truth(place): key.truth for place, key in enumerate(keys) if key.truth is not None
        }
        asked = [nw.col(name) for name in plain]
        asked += [truth.alias(name) for name, truth in truths.items()]
        return asked, [*plain, *truths]


def sums_in(table: Table, name: Names, pairs: Sequence[Pair]) -> FloatArray:
    """Return the sums of a query, shape (pairs, groups); that of 1 times 1 is the count."""
    names = [name("s", a, b) for a, b in pairs]
    return np.array([numbers_in(table, n if n in table.names else name("n")) for n in names])


def _times(*factors: nw.Expr | None) -> nw.Expr | None:
    product: nw.Expr | None = None
    for factor in factors:
        if factor is not None:
            product = factor if product is None else product * factor
    return product


def _listed(keys: Sequence[Key]) -> str:
    return ", ".join(key.variable.label for key in keys)
