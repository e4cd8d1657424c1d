"""From the rows of a lazy frame and the design of a model to its cross-products, by queries.

First the means of all numbers are asked for, then come one query for each grouping factor and one
for each pair of crossed ones (``queries.py``). The cross-products of [X y]
follow from one of them. Where columns turn out to be close to each other, they are told apart in
the rows and the last queries are asked once more (``basis.py``). Everything else is NumPy on one
row a group (``blocks.py``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import narwhals as nw
import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.coding import codes_of
from hierbayes.design.column_seen import ColumnSeen, number_seen
from hierbayes.design.design import Design
from hierbayes.design.evaluate import evaluate
from hierbayes.design.grouping import group_levels
from hierbayes.design.moments import RowMoments
from hierbayes.design.new_data import match_levels
from hierbayes.design.table import Table
from hierbayes.design.values import Column, column_of, take_rows
from hierbayes.errors import DataError
from hierbayes.formula.expressions import Expression, Name
from hierbayes.gaussian.products import Products
from hierbayes.streams.push_down.assembly import Answer, Answers, products_from
from hierbayes.streams.push_down.basis import Basis, centred, told_apart
from hierbayes.streams.push_down.blocks import Cells, distinct_rows
from hierbayes.streams.push_down.columns import Key, Part, category, ingredients_of, key_scope
from hierbayes.streams.push_down.expressions import NotPushed
from hierbayes.streams.push_down.number_moments import NumberMoments, row_moments
from hierbayes.streams.push_down.queries import Pair, Queries, sums_in
from hierbayes.streams.push_down.rows import Plan, UsedRows, counted_rows, numbers_in

# Numbers that may come back from one query where categories of predictors multiply the levels:
# half a gigabyte. Beyond, rows are streamed, which needs no more than the products themselves.
MOST_NUMBERS = 2**26


@record
class Summed:
    """What queries found.

    Attributes
    ----------
    products : cross-products of all rows
    moments : of all columns of the model
    counts : per grouping factor by name, rows of each level (J,); None of weighted rows
    numbers : of columns of the data that are numbers of the model, what they are over the rows
    """

    products: Products
    moments: RowMoments
    counts: Mapping[str, IntArray] | None
    numbers: Mapping[str, ColumnSeen]


def products_inside(
    rows: UsedRows,
    design: Design,
    *,
    arguments: Mapping[str, str],
    n_used: int,
    plan: Plan,
) -> Summed:
    """Compute the cross-products of a Gaussian model, and moments of its columns, by queries.

    Parameters
    ----------
    rows : the rows used
    design : layout, levels and states of the model; its rows are not looked at
    arguments : weights, offset and known_sd, those that were given: names or expressions
    n_used : how many rows are used
    plan : where the queries are written down

    Raises
    ------
    NotPushed
        With the sentence that says why the rows have to be streamed instead.
    DataError
        If the data can't carry the model, as for data in memory.
    """
    return _Inside(rows, design, arguments=arguments, plan=plan).found(n_used)


@record
class _Target:
    """What one query is for: a grouping factor or two, or the fixed part alone.

    Attributes
    ----------
    factors : whose levels rows are grouped by, those nested in the first included
    keys : categories rows are grouped by
    pairs : columns of E whose products are summed
    what : in words
    """

    factors: tuple[int, ...]
    keys: tuple[Key, ...]
    pairs: tuple[Pair, ...]
    what: str


class _Inside:
    def __init__(
        self, rows: UsedRows, design: Design, *, arguments: Mapping[str, str], plan: Plan
    ) -> None:
        self.design = design
        self.precision = "known_sd" if "known_sd" in arguments else "weights"
        self.own = ingredients_of(design, rows.schema, arguments)
        self.queries = Queries(rows, self.own)
        self.plan = plan

    def found(self, n_used: int) -> Summed:
        moments = self.moments()
        basis = self.first_basis(moments)
        answers = self.sums(basis, moments)
        apart = told_apart(basis, _all_sums(answers, basis.size))
        if apart is not None:
            basis = apart
            answers = self.sums(basis, moments)
        products = products_from(answers, self.design, self.own, basis=basis, n_used=n_used)
        if self.own.weights is not None:
            products = replace(products, sum_log_weights=moments.total("logweights"))
        return Summed(
            products=products,
            moments=row_moments(moments, self.own),
            counts=self.rows_per_level(answers) if self.own.weights is None else None,
            numbers=self.numbers_seen(moments),
        )

    def rows_per_level(self, answers: Answers) -> dict[str, IntArray]:
        """Count the rows of each level of each factor."""
        found = {}
        for f, factor in enumerate(self.design.factors):
            own = answers[f,]
            each = own.cells.values[own.cells.pairs.index((0, 0))]
            counts = np.bincount(own.levels[f], each, factor.levels.size)
            found[factor.name] = np.rint(counts).astype(np.intp)
        return found

    def numbers_seen(self, moments: NumberMoments) -> dict[str, ColumnSeen]:
        """Say what columns of the data are that are numbers of the model as they are."""
        mean, found = self.design.mean, {}
        bars = (layout for factor in mean.factors for layout in factor.layout.bars)
        for variable in (v for layout in (mean.layout, *bars) for v in layout.variables()):
            if isinstance(variable.expression, Name) and variable.label in self.own.labels:
                monomial = (self.own.labels.index(variable.label),)
                if monomial in self.own.monomials:
                    name = variable.expression.name
                    place = self.own.monomials.index(monomial)
                    found[name] = number_seen(name, moments.of(str(place)))
        return found

    # the first query

    def moments(self) -> NumberMoments:
        numbers = {str(m): self.own.monomial(m) for m in range(1, len(self.own.monomials))}
        numbers["response"] = self.own.response
        if self.own.offset is not None:
            numbers |= {"left": self.own.left, "offset": self.own.offset}
        if self.own.weights is not None:
            numbers["weights"] = self.own.weights
            numbers["logweights"] = self.own.weights.log()
        keys = self.keys_of(self.own.x, *self.own.factors)
        table = self.plan.answer(self.queries.moments(keys, numbers))
        name = self.queries.name
        counts = numbers_in(table, name("n"))

        def of(kind: str) -> dict[str, FloatArray]:
            return {label: numbers_in(table, name(kind, label)) for label in numbers}

        self.check(numbers, of("usable"), of("low"), of("high"), counts=counts)
        return NumberMoments(
            counts=counts,
            mean=of("mean"),
            squares={label: own * counts for label, own in of("var").items()},
            low=of("low"),
            high=of("high"),
            categories=self.categories(table, keys),
        )

    def check(
        self,
        numbers: Mapping[str, nw.Expr],
        usable: dict[str, FloatArray],
        low: dict[str, FloatArray],
        high: dict[str, FloatArray],
        *,
        counts: FloatArray,
    ) -> None:
        """Raise DataError for numbers that no model can use."""
        n = counts.sum()
        if self.own.weights is not None and not np.nanmin(low["weights"]) > 0:
            raise DataError(
                f"{self.precision}: not all are positive; the smallest is "
                f"{np.nanmin(low['weights']):g}. Leave out of the data what says nothing."
            )
        for label in numbers:
            bad = int(n - usable[label].sum())
            if bad:
                what = self.own.name(int(label)) if label.isdigit() else f"The {label}"
                raise DataError(
                    f"{what} is not a finite number in {counted_rows(bad)}: the function isn't "
                    "defined for the values there. Transform the column in another way or make "
                    "these values missing."
                )
        if low["response"].min() == high["response"].max():
            raise DataError(
                f"The response {self.design.formula.response_label!r} is {low['response'].min():g} "
                f"in all {int(n)} rows used; there is nothing to model."
            )

    def first_basis(self, moments: NumberMoments) -> Basis:
        labels = [str(m) for m in range(1, len(self.own.monomials))]
        labels.append("response" if self.own.offset is None else "left")
        found = [moments.of(label) for label in labels]
        return centred(
            np.array([1.0, *(own.mean[0] for own in found)]),
            np.array([0.0, *(own.squares[0] / own.n for own in found)]),
        )

    # categories and levels in what comes back

    def keys_of(self, *parts: Part) -> tuple[Key, ...]:
        return tuple({k.variable.expression: k for part in parts for k in part.keys}.values())

    def categories(self, table: Table, keys: Sequence[Key]) -> dict[Expression, Column]:
        scope = key_scope(table, self.design)
        found = {}
        for place, key in enumerate(keys):
            truth = None if key.truth is None else table.column(self.queries.truth(place))
            found[key.variable.expression] = category(key, scope, truth)
        return found

    def levels(self, table: Table, f: int) -> IntArray:
        factor = self.design.factors[f]
        scope = key_scope(table, self.design)
        grouping = factor.layout.grouping
        values = {own: column_of(evaluate(own, scope), table.n_rows) for own in grouping}
        codes, labels = match_levels(group_levels(grouping, values), factor.layout.keys)
        if codes.min(initial=0) < 0:
            raise DataError(
                f"{factor.name} has the level {labels[codes.argmin()]!r}, which was not there when "
                "the levels were learnt."
            )
        return codes

    # sums

    def targets(self, basis: Basis) -> list[_Target]:
        """List the queries: per factor, per pair of crossed factors, or X alone."""
        own, y = self.own, frozenset((basis.size - 1,))
        x = _needed(own.x, basis) | basis.needed(basis.size - 1) | y
        zs = [_needed(part, basis) for part in own.factors]
        names = [factor.name for factor in self.design.factors]
        inside = [set(columns) for columns in own.groups]
        wanted: dict[tuple[int, ...], set[Pair]] = {}
        parts: dict[tuple[int, ...], list[Part]] = {}
        for f, z in enumerate(zs):
            wanted[f,] = _pairs(z, z) | _pairs(z, x) | {(0, 0)}
            parts[f,] = [own.x, own.factors[f]]
        host = min(wanted, key=lambda one: len(_pairs(x, x) - wanted[one]), default=())
        wanted.setdefault(host, set()).update(_pairs(x, x) | {(0, 0)})
        parts.setdefault(host, [own.x])
        for f in range(len(zs)):
            for g in range(f + 1, len(zs)):
                at = (f,) if inside[g] <= inside[f] else (f, g)
                wanted.setdefault(at, set()).update(_pairs(zs[f], zs[g]))
                parts.setdefault(at, [own.factors[f]]).append(own.factors[g])
        found = []
        for factors, pairs in wanted.items():
            called = " and ".join(names[f] for f in factors)
            here = f"{called}, and of the fixed part" if factors == host and called else called
            found.append(
                _Target(
                    factors=factors,
                    keys=self.keys_of(*parts[factors]),
                    pairs=tuple(sorted(pairs)),
                    what=here or "the fixed part",
                )
            )
        return found

    def sums(self, basis: Basis, moments: NumberMoments) -> dict[tuple[int, ...], Answer]:
        found = {}
        for target in self.targets(basis):
            self.check_size(target, moments)
            groups = tuple(dict.fromkeys(n for f in target.factors for n in self.own.groups[f]))
            question = self.queries.sums(
                groups, target.keys, target.pairs, basis=basis, what=target.what
            )
            table = self.plan.answer(question)
            categories = self.categories(table, target.keys)
            codes = [
                codes_of(categories[key.variable.expression], key.variable) for key in target.keys
            ]
            if any(own.min(initial=0) < 0 for own in codes):
                raise NotPushed("A factor leaves out rows by the levels it is given.")
            first, combination = distinct_rows(codes, table.n_rows)
            # a factor nested in the one asked for has its levels in the same columns
            inside = {n for f in target.factors for n in self.own.groups[f]}
            levels = {
                f: self.levels(table, f)
                for f, own in enumerate(self.own.groups)
                if target.factors and set(own) <= inside
            }
            found[target.factors] = Answer(
                cells=Cells(
                    combination=combination,
                    pairs=target.pairs,
                    values=sums_in(table, self.queries.name, target.pairs),
                    size=basis.size,
                ),
                levels=levels,
                categories={name: take_rows(own, first) for name, own in categories.items()},
                n_combinations=first.size,
            )
        return found

    def check_size(self, target: _Target, moments: NumberMoments) -> None:
        """Raise NotPushed where so many groups would come back that rows are better streamed."""
        if not target.keys or not target.factors:
            return
        codes = [
            codes_of(moments.categories[key.variable.expression], key.variable)
            for key in target.keys
        ]
        n_combinations = distinct_rows(codes, moments.counts.size)[0].size
        n_levels = np.prod([float(self.design.factors[f].levels.size) for f in target.factors])
        groups = min(n_levels * n_combinations, moments.counts.sum())
        if groups * len(target.pairs) > MOST_NUMBERS:
            raise NotPushed(
                f"Grouped by {target.what} and the categories of the predictors there may be "
                f"{groups:,.0f} groups, which is no summary of the rows."
            )


def _needed(part: Part, basis: Basis) -> frozenset[int]:
    return frozenset().union(*(basis.needed(m) for m in part.monomials.tolist()))


def _pairs(left: frozenset[int], right: frozenset[int]) -> set[Pair]:
    return {(min(a, b), max(a, b)) for a in left for b in right}


def _all_sums(answers: Answers, size: int) -> FloatArray:
    """Return sums over all rows (m, m), 0 for pairs that no query had."""
    found = np.zeros((size, size))
    for answer in answers.values():
        for (a, b), own in zip(answer.cells.pairs, answer.cells.values, strict=True):
            found[a, b] = found[b, a] = own.sum()
    return found
