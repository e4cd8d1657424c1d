"""A model without one of its random effects: every single-term deletion, as lmerTest names them.

Of a bar with columns beyond the intercept each term is taken out in turn (terms contained in an
interaction stay while it is there); of the rest the whole bar. ``(0 + x | g)`` without x becomes
``(1 | g)``, unless g has an intercept already. Terms of ``(x || g)`` have variances of their own
and are taken out one by one. Of a covariance with a pattern, ``cs(x | g)``, the whole bar is taken
out: without a column the pattern means something else.

Source: Kuznetsova, Brockhoff & Christensen (2017), J. Stat. Softw. 82(13), ``ranova``.
"""

from collections.abc import Iterator
from dataclasses import replace

from hierbayes.arrays import record
from hierbayes.design.design import Design
from hierbayes.design.smaller import with_bars, without_effects
from hierbayes.formula.deparse import deparse
from hierbayes.formula.expressions import Binary, Group
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


def whole_terms(design: Design) -> Iterator[Deletion]:
    """Every deletion of a whole bar from the random part of a design, in formula order."""
    bars = design.formula.bars
    for place, bar in enumerate(bars):
        name = bar.written(_left_text(bar), _group_text(bar))
        yield Deletion(name=name, design=with_bars(design, bars[:place] + bars[place + 1 :]))


def _of_bar(design: Design, place: int) -> Iterator[Deletion]:
    bars = design.formula.bars
    bar = bars[place]
    label = bar.written(_left_text(bar), _group_text(bar))
    free = _deletable(bar.linear.terms) if bar.structure == "us" else []
    if not free:
        yield Deletion(name=label, design=with_bars(design, bars[:place] + bars[place + 1 :]))
    for term in free:
        linear = replace(bar.linear, terms=tuple(t for t in bar.linear.terms if t != term))
        if not linear.terms:
            linear = INTERCEPT
        others = bars[:place] + bars[place + 1 :]
        kept: tuple[Bar, ...] = (replace(bar, linear=linear),)
        if linear == INTERCEPT and any(b.group == bar.group and b.linear.intercept for b in others):
            kept = ()
        left = bars[:place] + kept + bars[place + 1 :]
        yield Deletion(name=f"{term.label} in {label}", design=with_bars(design, left))


def _deletable(terms: tuple[Term, ...]) -> list[Term]:
    """Terms that no other term contains, R's ``drop.scope``."""
    return [
        term
        for term in terms
        if not any(set(term.variables) < set(other.variables) for other in terms)
    ]


def _of_independent(design: Design, bar: Bar) -> Iterator[Deletion]:
    """Delete the intercept of ``(x || g)`` and each of its terms, with all their columns."""
    f = next(i for i, factor in enumerate(design.factors) if factor.name == bar.group)
    place = [b for b in design.formula.bars if b.group == bar.group].index(bar)
    origins = design.factors[f].layout.origins()
    group = _group_text(bar)
    for number in sorted({term for own, term in origins if own == place}):
        gone = {c for c, origin in enumerate(origins) if origin == (place, number)}
        name = f"(1 | {group})"
        if number:
            term = bar.linear.terms[number - 1].label
            name = f"{term} in (0 + {term} {'|' if len(gone) == 1 else '||'} {group})"
        yield Deletion(name=name, design=without_effects(design, f, gone))


def _left_text(bar: Bar) -> str:
    return deparse(bar.tree.left)


def _group_text(bar: Bar) -> str:
    """Write the grouping factor as in the formula; of nested factors, which one it is."""
    right = bar.tree.right
    while isinstance(right, Group):
        right = right.inner
    nested = isinstance(right, Binary) and right.operator == "/"
    return bar.group if nested else deparse(right)
