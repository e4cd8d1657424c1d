"""The terms of a model as elements of a set, and the models without one of them.

Elements of the fixed part are terms, as sets of variables; of the random part, the effects of each
grouping factor, ``Days | Subject``, and whether effects of a factor are correlated,
``cor(Subject)``. A model without an effect has no correlation of it either.
"""

from collections.abc import Iterator
from itertools import combinations, islice

from hierbayes.arrays import record
from hierbayes.errors import OptionError
from hierbayes.formula.deparse import deparse
from hierbayes.formula.terms import Term
from hierbayes.specification.specification import Specification

MOST_MODELS = 200


@record(kw_only=False)
class Element:
    """A term: its label, the grouping factor of a random effect (or ""), its variables.

    ``is_correlation`` stands for the correlation of the effects of a factor.
    """

    label: str
    group: str
    variables: frozenset[str]
    is_correlation: bool = False

    @property
    def key(self) -> tuple[str, frozenset[str], bool]:
        """What makes it the same in two models, whatever order it is written in."""
        return self.group, self.variables, self.is_correlation

    def contains(self, other: "Element") -> bool:
        """Whether it is of higher order than another, which is left out after it."""
        alike = self.group == other.group and not self.is_correlation
        return alike and not other.is_correlation and self.variables > other.variables


Key = tuple[str, frozenset[str], bool]
Keys = frozenset[Key]


def elements_of(spec: Specification) -> dict[Key, Element]:
    """Return the elements of a model, without the fixed intercept."""
    found = [Element(t.label, "", frozenset(t.labels)) for t in spec.formula.fixed.terms]
    for bar in spec.formula.bars:
        own = [Element(f"1 | {bar.group}", bar.group, frozenset())] * bar.linear.intercept
        own += [
            Element(f"{t.label} | {bar.group}", bar.group, frozenset(t.labels))
            for t in bar.linear.terms
        ]
        if bar.correlated and len(own) > 1:
            own.append(Element(f"cor({bar.group})", bar.group, frozenset(), True))
        found += own
    return {element.key: element for element in found}


def keys_without(keys: Keys, gone: Key) -> Keys:
    """Elements of the model without one of them."""
    left = keys - {gone}
    effects = [key for key in left if key[0] == gone[0] and not key[2]]
    if gone[0] and len(effects) < 2:
        left -= {(gone[0], frozenset(), True)}
    return left


def submodels(spec: Specification, random: list[str] | None) -> list[str]:
    """Return changes of the formula to all models within it that respect marginality.

    Parameters
    ----------
    spec : the largest fixed part
    random : random parts, ``"(1 | g)"`` or "" for none; that of the model unless given

    Raises
    ------
    OptionError
        If there are more than ``MOST_MODELS``.
    """
    fixed = list(islice(_closed(spec.formula.fixed.terms), MOST_MODELS + 1))
    parts: list[str | None] = [None] if random is None else [*random]
    if len(fixed) * len(parts) > MOST_MODELS:
        raise OptionError(
            f"{spec.formula_text} has more than {MOST_MODELS} models within it; give a list of "
            "those to compare."
        )
    return [_change(spec, terms, part) for part in parts for terms in fixed]


def _closed(terms: tuple[Term, ...]) -> Iterator[tuple[Term, ...]]:
    """Subsets of terms that have with each term all that it contains."""
    for size in range(len(terms) + 1):
        for chosen in combinations(terms, size):
            inside = {frozenset(t.labels) for t in chosen}
            margins = (
                frozenset(other.labels)
                for t in chosen
                for other in terms
                if set(other.labels) < set(t.labels)
            )
            if inside.issuperset(margins):
                yield chosen


def _change(spec: Specification, terms: tuple[Term, ...], random: str | None) -> str:
    gone = [t.label for t in spec.formula.fixed.terms if t not in terms]
    text = ". ~ ." + "".join(f" - {label}" for label in gone)
    if random is None:
        return text
    for bar in dict.fromkeys(deparse(bar.tree) for bar in spec.formula.bars):
        text += f" - ({bar})"
    return f"{text} + {random}" if random else text
