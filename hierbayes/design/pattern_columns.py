"""Which columns a covariance with a pattern can have: several, and for ``ar1 toep`` in an order.

Neighbours in an ``ar1`` or ``toep`` are columns beside each other. That means something for the
indicators of one factor, ``0 + f``, whose levels stand in an order: numbers, labels that count
(``t1 t2 t10``), or categories whose order was declared. Words in alphabetical order are none.
"""

import re
from collections.abc import Mapping
from itertools import pairwise

from hierbayes.design import values as kinds
from hierbayes.design.layout import FACTOR, Layout
from hierbayes.formula.excerpt import formula_error
from hierbayes.formula.expressions import Expression
from hierbayes.formula.functions import PATTERNS
from hierbayes.formula.terms import Bar
from hierbayes.wording import listed

IN_ORDER = ("ar1", "toep")
LEVELS_SHOWN = 4
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def check_pattern(
    bar: Bar, layout: Layout, values: Mapping[Expression, kinds.Column], *, source: str
) -> None:
    """Raise FormulaError where a pattern means nothing for the columns of its term."""
    word, _ = PATTERNS[bar.structure]
    if word in IN_ORDER:
        _check_order(bar, layout, values, word=word, source=source)
    if len(layout.names) == 1:
        raise formula_error(
            f"{bar.source} has one column, {layout.names[0]}: there is nothing to correlate or to "
            "hold equal.",
            source=source,
            at=bar.at,
            advice=f"Write ({'1' if layout.intercept else '0 + x'} | {bar.group}).",
        )


def _check_order(
    bar: Bar,
    layout: Layout,
    values: Mapping[Expression, kinds.Column],
    *,
    word: str,
    source: str,
) -> None:
    variables = [v for term in layout.terms for v in term.variables]
    alone = len(layout.terms) == 1 and len(variables) == 1
    name = variables[0].label if alone else "f"
    if alone and variables[0].kind != FACTOR:
        raise formula_error(
            f"{word}() correlates effects by their order, and {name} is a number: it has one "
            "effect, not one for each of its values.",
            source=source,
            at=bar.at,
            advice=f"Write {word}(0 + factor({name}) | {bar.group}), whose values are equally "
            "spaced.",
        )
    if layout.intercept or not alone:
        raise formula_error(
            f"{word}() correlates effects by their order, and {listed(layout.names[:2])} stand in "
            "none.",
            source=source,
            at=bar.at,
            advice=f"Write {word}(0 + {name} | {bar.group}): an effect for each level of one "
            "factor.",
        )
    factor = values[bar.linear.terms[0].variables[0]]
    if isinstance(factor, kinds.Factor) and not _is_ordered(factor):
        shown = ", ".join(str(level) for level in factor.levels[:LEVELS_SHOWN])
        more = ", ..." if factor.levels.size > LEVELS_SHOWN else ""
        raise formula_error(
            f"The levels of {name} stand in alphabetical order ({shown}{more}), which may not be "
            f"the order that {word}() is to correlate them in.",
            source=source,
            at=bar.at,
            advice=f"Declare it: factor({name}, levels = c(...)) with the levels from first to "
            "last, and ordered = TRUE where that is the alphabetical one.",
        )


def _is_ordered(factor: kinds.Factor) -> bool:
    """Whether the order of the levels was declared, or is that of numbers in their labels."""
    labels = [str(level) for level in factor.levels]
    if len(labels) <= 2 or factor.ordered or factor.ranked or labels != sorted(labels):
        return True
    numbers = [tuple(float(n) for n in NUMBER.findall(label)) for label in labels]
    if not all(numbers) or len({len(n) for n in numbers}) > 1:
        return False
    return all(first < second for first, second in pairwise(numbers))
