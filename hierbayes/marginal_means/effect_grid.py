"""The variables of a picture of an effect: what runs along x, what is kept apart, at which values.

A number along x takes equal steps through its range; one that is kept apart stands at its mean and
one sd below and above, or at both its values if it has two. Categories have all their levels, and
``at`` says otherwise of any of them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.values import Factor, Logical, as_numbers
from hierbayes.errors import OptionError
from hierbayes.prediction.reference_grid import (
    Predictor,
    level_label,
    no_predictor,
    reference_grid,
)
from hierbayes.results.fit import Fit, used_column
from hierbayes.wording import shown

POINTS = 41  # along a number
MOST_APART = 2  # variables kept apart
DIGITS = (3, 4, 6, 9, 17)  # of numbers in a legend, until they differ


@record
class EffectVariable:
    """A predictor and its values in a picture.

    Attributes
    ----------
    name : of the column
    values : as in a table of means
    labels : of the values
    is_number : whether the values lie along an axis, or are categories beside each other
    words : where the values of a number come from; empty where they are all there are
    """

    name: str
    values: tuple[Any, ...]
    labels: tuple[str, ...]
    is_number: bool
    words: str = ""

    def places(self, values: Any) -> FloatArray:
        """Return where values of a table stand along x: numbers, or the places of categories."""
        if self.is_number:
            return np.asarray(values, dtype=np.float64)
        return self.codes(values).astype(np.float64)

    def codes(self, values: Any) -> IntArray:
        """Return positions of values of a table among those of the picture; -1 for others."""
        place = {value: i for i, value in enumerate(self.values)}
        return np.array([place.get(value, -1) for value in values], dtype=np.intp)


@record
class EffectGrid:
    """What a picture of an effect shows.

    Attributes
    ----------
    x : along x
    by : kept apart
    at : values of predictors, for a table of means
    held : words for the other predictors, that stand at one value
    averaged : other predictors that are averaged over
    interacting : those of them that interact with what is shown
    """

    x: EffectVariable
    by: tuple[EffectVariable, ...]
    at: Mapping[str, Any]
    held: tuple[str, ...]
    averaged: tuple[str, ...]
    interacting: tuple[str, ...]


def effect_grid(
    fit: Fit,
    *,
    x: str | None = None,
    by: tuple[str, ...] | None = None,
    at: Mapping[str, Any] | None = None,
) -> EffectGrid:
    """Choose the variables of a picture and their values.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    x : a predictor of the fixed part; unless said the number with a random slope, else a number
        that interacts with the first predictor, else the first predictor
    by : up to two further predictors; unless ``x`` or they are said, those that ``x`` interacts
        with
    at : values of predictors

    Raises
    ------
    OptionError
        If a name is no predictor of the fixed part, or stands twice.
    """
    base = reference_grid(fit, at)
    known = {predictor.name: predictor for predictor in base.predictors}
    if not known:
        raise OptionError(
            f"The fixed part of {fit.formula_text} has no predictor, so there is no effect to draw;"
            " plot.caterpillar draws the levels of its groups."
        )
    named = [*([] if x is None else [x]), *(by or ())]
    for name in named:
        if name not in known:
            argument = "x" if name == x else "by"
            raise OptionError(f"{argument}: {no_predictor(fit, name, tuple(known))}")
    if len(set(named)) < len(named):
        raise OptionError(f"{named[0]!r} stands twice among x and by; name each predictor once.")
    if by is not None and len(by) > MOST_APART:
        raise OptionError(
            f"by={shown(list(by))} keeps {len(by)} predictors apart; a picture shows at most "
            f"{MOST_APART}. Hold others with at=, for example at={{{by[-1]!r}: ...}}."
        )
    if x is None:
        left = [name for name in known if name not in (by or ())]
        if not left:
            raise OptionError("by= names every predictor: leave one for x.")
        x = _first(fit, known, left)
        by = _partners(fit, x, known) if by is None else by
    along = _along(fit, known[x], given=x in (at or {}))
    apart = tuple(_apart(fit, known[name], given=name in (at or {})) for name in by or ())
    full = {**(at or {}), along.name: list(along.values)}
    full |= {one.name: list(one.values) for one in apart}
    wanted = {along.name, *(one.name for one in apart)}
    others = [p for p in base.predictors if p.name not in wanted]
    averaged = tuple(p.name for p in others if len(p.values) > 1)
    return EffectGrid(
        x=along,
        by=apart,
        at=full,
        held=tuple(held_words(p) for p in others if len(p.values) == 1),
        averaged=averaged,
        interacting=tuple(n for n in averaged if wanted & set(_partners(fit, n, known))),
    )


def row_values(fit: Fit, name: str) -> Any:
    """Return a predictor in the rows used as a table of means has its values, (n,)."""
    value = used_column(fit, name)
    if isinstance(value, Factor):
        return value.levels[value.codes]
    if isinstance(value, Logical):
        return value.values.astype(bool)
    return as_numbers(value)


def _first(fit: Fit, known: Mapping[str, Predictor], left: list[str]) -> str:
    numbers = [name for name in left if known[name].kind in ("mean", "at")]
    sloped = [name for name in numbers if name in fit.design.mean.random_columns()]
    partners = [name for name in _partners(fit, left[0], known) if name in numbers]
    return next(iter([*sloped, *partners, left[0]]))


def _partners(fit: Fit, x: str, known: Mapping[str, Predictor]) -> tuple[str, ...]:
    """Return predictors that a predictor interacts with, at most two, of the first term first."""
    found = dict.fromkeys(
        name
        for term in fit.design.mean.layout.terms
        if term.is_interaction and x in term.columns_used()
        for name in term.columns_used()
        if name != x and name in known
    )
    return tuple(found)[:MOST_APART]


def _along(fit: Fit, predictor: Predictor, *, given: bool) -> EffectVariable:
    is_number = predictor.kind in ("mean", "at")
    values = predictor.values
    if is_number and given:
        values = tuple(sorted(values))
    elif is_number:
        assert predictor.range is not None
        values = tuple(np.linspace(*predictor.range, POINTS).tolist())
    return EffectVariable(
        name=predictor.name,
        values=values,
        labels=_numbers(values) if is_number else tuple(map(level_label, values)),
        is_number=is_number,
    )


def _apart(fit: Fit, predictor: Predictor, *, given: bool) -> EffectVariable:
    values, words = predictor.values, ""
    if predictor.kind == "mean" and not given:
        own = np.asarray(row_values(fit, predictor.name), dtype=np.float64)
        mean, sd = float(own.mean()), float(own.std(ddof=1))
        values, words = (mean - sd, mean, mean + sd), "its mean and one sd below and above"
    is_number = predictor.kind in ("mean", "at")
    return EffectVariable(
        name=predictor.name,
        values=values,
        labels=_numbers(values) if is_number else tuple(map(level_label, values)),
        is_number=is_number,
        words=words,
    )


def _numbers(values: tuple[float, ...]) -> tuple[str, ...]:
    """Write numbers with so many digits that they differ."""
    labels: tuple[str, ...] = ()
    for digits in DIGITS:
        labels = tuple(f"{value:.{digits}g}" for value in values)
        if len(set(labels)) == len(values):
            break
    return labels


def held_words(predictor: Predictor) -> str:
    """Say where a predictor stands that has one value."""
    value = predictor.values[0]
    text = f"{value:.4g}" if isinstance(value, float) else level_label(value)
    own = predictor.name
    return f"{own} at its mean, {text}" if predictor.kind == "mean" else f"{own} = {text}"
