"""A model without one of its terms: of the fixed part with all that contain it, or a random effect.

Marginality is respected: a factor goes with its interactions. Random effects are named as
``hb.ranova`` does, ``"Days in (Days | Subject)"``, or by their bar, ``"(1 | plate)"``.
"""

from hierbayes.arrays import record
from hierbayes.errors import OptionError
from hierbayes.formula.deparse import deparse
from hierbayes.formula.terms import Bar, Term
from hierbayes.naming.addresses import squeezed
from hierbayes.priors.parameter_names import INTERCEPT, Parameter
from hierbayes.specification.build import with_formula
from hierbayes.specification.specification import Specification
from hierbayes.wording import listed, meant, shown

Changes = dict[str, tuple[tuple[str, ...], str]]


@record
class Dropped:
    """A model without a term.

    Attributes
    ----------
    spec : the smaller model
    terms : what is left out, as in the formula
    parameters : those of the larger model that the smaller one does not have
    """

    spec: Specification
    terms: tuple[str, ...]
    parameters: tuple[Parameter, ...]


def without(spec: Specification, drop: str) -> Dropped:
    """Return the model without a term.

    Raises
    ------
    OptionError
        If there is no such term; it names those there are.
    """
    changes = {squeezed(name): change for name, change in _changes(spec).items()}
    wanted = squeezed(drop) if isinstance(drop, str) else ""
    aliases = {"1": squeezed(INTERCEPT)} | {
        squeezed(":".join(reversed(term.labels))): squeezed(term.label)
        for term in spec.formula.fixed.terms
    }
    wanted = wanted if wanted in changes else aliases.get(wanted, wanted)
    if wanted not in changes:
        names = tuple(_changes(spec))
        hint = meant(str(drop), names)
        raise OptionError(
            f"drop={shown(drop)} is no term of {spec.formula_text}: {listed(names)}{hint}"
        )
    terms, change = changes[wanted]
    smaller = with_formula(spec, change)
    left = {parameter.name for parameter in smaller.priors.parameters}
    gone = tuple(p for p in spec.priors.parameters if p.name not in left)
    return Dropped(spec=smaller, terms=terms, parameters=gone)


def _changes(spec: Specification) -> Changes:
    """Terms that can be left out: what goes with each, and the change of the formula."""
    fixed = spec.formula.fixed
    found: Changes = {}
    if fixed.intercept:
        found[INTERCEPT] = ((INTERCEPT,), ". ~ . - 1")
    for term in fixed.terms:
        gone = tuple(other.label for other in fixed.terms if _contains(other, term))
        found[term.label] = (gone, f". ~ . - {' - '.join(gone)}")
    for bar in spec.formula.bars:
        found |= _of_bar(bar)
        siblings = [b for b in spec.formula.bars if b.tree == bar.tree and b.group != bar.group]
        if siblings:  # of (1 | a/b)
            found[_by_group(bar)] = ((_by_group(bar),), _without_one(bar, siblings))
    return found


def _by_group(bar: Bar) -> str:
    return bar.written(deparse(bar.tree.left), bar.group)


def _without_one(bar: Bar, siblings: list[Bar]) -> str:
    kept = " + ".join(map(_by_group, siblings))
    return f". ~ . - {_as_written(bar)} + {kept}"


def _as_written(bar: Bar) -> str:
    return bar.written(deparse(bar.tree.left), deparse(bar.tree.right))


def _contains(other: Term, term: Term) -> bool:
    return set(term.labels) <= set(other.labels)


def _of_bar(bar: Bar) -> Changes:
    right = deparse(bar.tree.right)
    label = _as_written(bar)
    found: Changes = {label: ((label,), f". ~ . - {label}")}
    terms = bar.linear.terms if bar.structure == "us" else ()
    for term in terms:
        gone = [other.label for other in terms if _contains(other, term)]
        rest = [other.label for other in terms if other.label not in gone]
        kept = " + ".join([("1" if bar.linear.intercept else "0"), *rest])
        if kept == "0":
            continue
        name = f"{term.label} in {label}"
        found[name] = ((name,), f". ~ . - {label} + {bar.written(kept, right)}")
    return found
