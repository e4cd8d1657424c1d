"""Which random effects count in a prediction: whole grouping factors, or single terms of them.

``"all"``, ``"none"``, names of grouping factors, or bars as in R's ``re.form``: ``"(1 | Subject)"``
takes the intercepts of the subjects and leaves their slopes out, as if these were zero.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from hierbayes.arrays import BoolArray
from hierbayes.design.design import Design, GroupingFactor
from hierbayes.errors import OptionError
from hierbayes.formula.parser import parse_formula
from hierbayes.formula.terms import Bar
from hierbayes.wording import meant, shown

INTERCEPT = "1"


def chosen_effects(design: Design, groups: str | Iterable[str]) -> dict[str, BoolArray]:
    """Return per chosen grouping factor which of its columns (q,) count, in the design's order.

    Raises
    ------
    OptionError
        If a name is no grouping factor, or a bar none of the model's terms.
    """
    every = {f.name: np.ones(len(f.columns), dtype=np.bool_) for f in design.factors}
    if isinstance(groups, str):
        if groups == "all":
            return every
        if groups == "none":
            return {}
        groups = [groups]
    if not isinstance(groups, Iterable):
        raise OptionError(
            f"groups={shown(groups)} must be 'all', 'none' or a list of grouping factors; to leave "
            "the random effects out write groups='none'."
        )
    found: dict[str, BoolArray] = {}
    for name in groups:
        own = _columns_of_bars(design, name) if isinstance(name, str) and "|" in name else None
        if own is None:
            own = {_factor_name(design, name): every.get(name, np.ones(0, dtype=np.bool_))}
        for factor, columns in own.items():
            found[factor] = columns | found[factor] if factor in found else columns
    return {name: found[name] for name in every if name in found}


def with_columns(
    factors: Sequence[GroupingFactor], effects: Mapping[str, BoolArray]
) -> tuple[GroupingFactor, ...]:
    """Return grouping factors of rows without the columns that do not count."""
    return tuple(
        factor
        if factor.name not in effects or effects[factor.name].all()
        else replace(factor, z=np.where(effects[factor.name], factor.z, 0.0))
        for factor in factors
    )


def _factor_name(design: Design, name: object) -> str:
    names = tuple(factor.name for factor in design.factors)
    if name in names:
        return str(name)
    known = ", ".join(repr(known) for known in names) or "none, it has no groups"
    hint = meant(str(name), (*names, "all", "none"))
    raise OptionError(
        f"groups={shown(name)} is not a grouping factor of this model (it has {known}) nor "
        f"'all' or 'none'{hint}"
    )


def _columns_of_bars(design: Design, text: str) -> dict[str, BoolArray]:
    """Return the columns of the bars in a text, by grouping factor."""
    found: dict[str, BoolArray] = {}
    for bar in parse_formula(f"y ~ {text.lstrip('~ ')}").bars:
        factor = next(f for f in design.factors if f.name == _factor_name(design, bar.group))
        own = [b for b in design.formula.bars if b.group == factor.name]
        labels = [_terms(own[place])[term] for place, term in factor.layout.origins()]
        asked = set(_terms(bar).values())
        lacking = sorted(asked - set(labels))
        if lacking:
            has = ", ".join(repr(label) for label in dict.fromkeys(labels))
            raise OptionError(
                f"groups={text!r} asks for {lacking[0]!r} by {factor.name}, and the model's random "
                f"effects of {factor.name} are {has}."
            )
        columns = np.array([label in asked for label in labels])
        found[factor.name] = columns | found[factor.name] if factor.name in found else columns
    return found


def _terms(bar: Bar) -> dict[int, str]:
    """Labels of the terms of a bar by their number, 0 for its intercept."""
    labels = {number: term.label for number, term in enumerate(bar.linear.terms, start=1)}
    return ({0: INTERCEPT} if bar.linear.intercept else {}) | labels
