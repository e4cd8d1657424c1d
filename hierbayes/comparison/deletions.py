"""A model without one of its random effects: every single-term deletion, as lmerTest names them.

Of a bar with columns beyond the intercept each term is taken out in turn (terms contained in an
interaction stay while it is there); of the rest the whole bar. ``(0 + x | g)`` without x becomes
``(1 | g)``, unless g has an intercept already. Terms of ``(x || g)`` have variances of their own
and are taken out one by one.

Source: Kuznetsova, Brockhoff & Christensen (2017), J. Stat. Softw. 82(13), ``ranova``.
"""

from collections.abc import Iterator
from dataclasses import replace

from hierbayes.arrays import record
from hierbayes.design.design import Design, GroupingFactor, RandomTerm
from hierbayes.design.grouping import random_part
from hierbayes.formula.deparse import deparse
from hierbayes.formula.expressions import Binary, Expression, Group
from hierbayes.formula.terms import Bar, LinearPart, Term

INTERCEPT = LinearPart(intercept=True, terms=())


@record
class Deletion:
    """One deletion: what is taken out, as lmerTest writes it, and the design without it."""

    name: str
    design: Design


def deletions(design: Design) -> Iterator[Deletion]:
    """Every single-term deletion from the random part of a design, bars in formula order."""
    for place, bar in enumerate(design.formula.bars):
        yield from _of_bar(design, place) if bar.correlated else _of_independent(design, bar)


def _of_bar(design: Design, place: int) -> Iterator[Deletion]:
    bars = design.formula.bars
    bar = bars[place]
    label = f"({_left_text(bar)} | {_group_text(bar)})"
    free = _deletable(bar.linear.terms)
    if not free:
        yield Deletion(name=label, design=_with_bars(design, bars[:place] + bars[place + 1 :]))
    for term in free:
        linear = replace(bar.linear, terms=tuple(t for t in bar.linear.terms if t != term))
        if not linear.terms:
            linear = INTERCEPT
        others = bars[:place] + bars[place + 1 :]
        kept: tuple[Bar, ...] = (replace(bar, linear=linear),)
        if linear == INTERCEPT and any(b.group == bar.group and b.linear.intercept for b in others):
            kept = ()
        left = bars[:place] + kept + bars[place + 1 :]
        yield Deletion(name=f"{term.label} in {label}", design=_with_bars(design, left))


def _deletable(terms: tuple[Term, ...]) -> list[Term]:
    """Terms that no other term contains, R's ``drop.scope``."""
    return [
        term
        for term in terms
        if not any(set(term.variables) < set(other.variables) for other in terms)
    ]


def _with_bars(design: Design, bars: tuple[Bar, ...]) -> Design:
    """Lay other bars over the rows of a design; nothing is read again, no row changes."""
    parts = [bar.linear for bar in bars]
    wanted: list[Expression] = [v for part in parts for term in part.terms for v in term.variables]
    wanted += [expression for bar in bars for expression in bar.grouping]
    values = {expression: design.variables[deparse(expression)] for expression in wanted}
    formula = replace(design.formula, bars=bars)
    random = random_part(formula, values, design.X.shape[0])
    return replace(design, formula=formula, factors=random.factors, terms=random.terms)


def _of_independent(design: Design, bar: Bar) -> Iterator[Deletion]:
    """Delete the intercept of ``(x || g)`` and each of its terms, with all their columns."""
    f = next(i for i, factor in enumerate(design.factors) if factor.name == bar.group)
    recipe = design.recipe.factors[f]
    place = [b for b in design.formula.bars if b.group == bar.group].index(bar)
    layout = recipe.layouts[place]
    start = sum(len(x.names) for x in recipe.layouts[:place])
    term_of = {start + c: number for c, number in enumerate(layout.assign.tolist())}
    group = _group_text(bar)
    for number in sorted(set(term_of.values())):
        gone = {c for c, column in enumerate(recipe.order) if term_of.get(column, -1) == number}
        name = f"(1 | {group})"
        if number:
            term = bar.linear.terms[number - 1].label
            name = f"{term} in (0 + {term} {'|' if len(gone) == 1 else '||'} {group})"
        yield Deletion(name=name, design=_without_columns(design, f, gone))


def _without_columns(design: Design, f: int, gone: set[int]) -> Design:
    """Take columns with variances of their own out of factor f."""
    factor = design.factors[f]
    left = [c for c in range(len(factor.columns)) if c not in gone]
    terms = [t for t in design.terms if t.factor != f or not set(t.columns) <= gone]
    factors = list(design.factors)
    if left:
        columns = tuple(factor.columns[c] for c in left)
        factors[f] = replace(factor, z=factor.z[:, left], columns=columns)
        moved = {c: place for place, c in enumerate(left)}
        terms = [
            replace(t, columns=tuple(moved[c] for c in t.columns)) if t.factor == f else t
            for t in terms
        ]
        return replace(design, factors=tuple(factors), terms=tuple(terms))
    return _without_factor(design, factors, terms, f=f)


def _without_factor(
    design: Design, factors: list[GroupingFactor], terms: list[RandomTerm], *, f: int
) -> Design:
    left = factors[:f] + factors[f + 1 :]
    counted = tuple(replace(t, factor=t.factor - (t.factor > f)) for t in terms)
    return replace(design, factors=tuple(left), terms=counted)


def _left_text(bar: Bar) -> str:
    return deparse(bar.tree.left)


def _group_text(bar: Bar) -> str:
    """Write the grouping factor as in the formula; of nested factors, which one it is."""
    right = bar.tree.right
    while isinstance(right, Group):
        right = right.inner
    nested = isinstance(right, Binary) and right.operator == "/"
    return bar.group if nested else deparse(right)
