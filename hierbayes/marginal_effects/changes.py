"""What a predictor is changed from and to: the sides of a comparison, or of a slope.

A slope is made of predictions small steps away on both sides (``finite_steps.py``).
"""

from collections.abc import Callable, Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.design.values import as_numbers
from hierbayes.errors import DataError, OptionError
from hierbayes.marginal_effects.base_rows import level_values
from hierbayes.marginal_effects.finite_steps import STENCIL
from hierbayes.marginal_effects.row_sources import value_words
from hierbayes.options import ComparisonKind
from hierbayes.prediction.data_rows import DataRows, is_category
from hierbayes.prediction.reference_grid import grid_predictor
from hierbayes.prediction.typical_values import Numbers, known_column, numbers_of_column
from hierbayes.results.fit import Fit
from hierbayes.wording import did_you_mean, meant, shown

# Steps are this part of the number, whose logarithm may be taken, of the sd at most and at zero.
STEP = 1e-3
# A number counts as this part of the sd at least: with smaller steps rounding would count.
LEAST = 1e-2
FACTOR_CHANGES = ("reference", "pairwise", "sequential")
NUMBER_CHANGES = ("sd", "iqr", "minmax")
TWO_VALUES = 2

Setter = Callable[[DataRows], DataRows]


@record(kw_only=False)
class Side:
    """Rows with a predictor changed.

    Attributes
    ----------
    rows : gives them, from rows as they are
    sign : of their average in the result
    weight : of each row in it, (n,), from rows as they are; None for 1
    """

    rows: Setter
    sign: float
    weight: Callable[[DataRows], FloatArray] | None = None


@record(kw_only=False)
class Change:
    """One comparison of a predictor, or its slope: the first side is what is compared."""

    variable: str
    label: str
    sides: tuple[Side, ...]


def checked_variables(fit: Fit, given: Any, names: Sequence[str]) -> tuple[str, ...]:
    """Return the predictors to be varied: all there are where None.

    Raises
    ------
    OptionError
        If one is no predictor that the predictions use.
    """
    if given is None:
        if not names:
            raise OptionError(f"The fixed part of {fit.formula_text} has no predictors to vary.")
        return tuple(names)
    wanted = (given,) if isinstance(given, str) else tuple(given)
    for name in wanted:
        if name not in names:
            own = (
                f"{name!r} is a grouping factor, not"
                if name in fit.n_groups
                else f"{shown(name)} is"
            )
            rest = " a predictor" if name in fit.n_groups else " no predictor that is used"
            raise OptionError(f"{own}{rest}{did_you_mean(str(name), list(names))}")
    return wanted


def slope_of(fit: Fit, name: str) -> Change:
    """Return the derivative in a number.

    Raises
    ------
    OptionError
        If it stands for categories.
    """
    column = known_column(fit, name)
    if is_category(fit.design, name, column):
        raise OptionError(
            f"{name!r} has levels, between which there is no slope; hb.comparisons(fit, {name!r}) "
            "compares them."
        )
    sd = numbers_of_column(fit, name).sd() or 1.0

    def step(rows: DataRows) -> FloatArray:
        x = rows.columns[name]
        assert isinstance(x, np.ndarray)
        size = np.abs(as_numbers(x))
        return STEP * np.where(size == 0, sd, np.clip(size, LEAST * sd, sd))

    def side(k: int, weight: float) -> Side:
        return Side(
            lambda rows: rows.moved(name, k * step(rows)), 1.0, lambda rows: weight / step(rows)
        )

    return Change(name, "slope", tuple(side(k, weight) for k, weight in STENCIL))


def changes_of(fit: Fit, name: str, change: Any, *, kind: ComparisonKind) -> tuple[Change, ...]:
    """Return the comparisons of a predictor that are asked for.

    Parameters
    ----------
    change : as of ``comparisons``; None for one unit more, the two values of a number that has
        two, and each level with the first

    Raises
    ------
    OptionError
        If it does not fit the predictor.
    """
    column = known_column(fit, name)
    sign = "-" if kind == "difference" else "/"
    if is_category(fit.design, name, column):
        pairs = _level_pairs(fit, name, level_values(column), change)
    else:
        numbers = numbers_of_column(fit, name)
        if change is None and numbers.few.size == TWO_VALUES:
            change = tuple(numbers.few.tolist())
        found = _number_change(name, numbers, 1.0 if change is None else change)
        if isinstance(found, float):
            return (_moved(name, found),)
        label, low, high = found
        return (_set(name, label or _pair_words(high, sign, low), low, high),)
    return tuple(_set(name, _pair_words(high, sign, low), low, high) for low, high in pairs)


def _pair_words(high: Any, sign: str, low: Any) -> str:
    text = value_words(low)
    return f"{value_words(high)} {sign} {f'({text})' if text.startswith('-') else text}"


def _set(name: str, label: str, low: Any, high: Any) -> Change:
    return Change(
        name,
        label,
        (
            Side(lambda rows: rows.with_value(name, high), 1.0),
            Side(lambda rows: rows.with_value(name, low), -1.0),
        ),
    )


def _moved(name: str, by: float) -> Change:
    return Change(
        name,
        f"{by:+g}",
        (
            Side(lambda rows: rows.moved(name, by), 1.0),
            Side(lambda rows: rows, -1.0),
        ),
    )


def _number_change(name: str, numbers: Numbers, change: Any) -> float | tuple[str, float, float]:
    """Return by how much a number is moved, or from where to where, with the label of that."""
    if isinstance(change, bool) or change is None:
        raise _no_number_change(name, change)
    if isinstance(change, int | float | np.number):
        if not np.isfinite(change) or change == 0:
            raise OptionError(f"change={shown(change)} must be a number other than zero.")
        return float(change)
    if isinstance(change, str):
        if change == "sd":
            half = numbers.sd(ddof=1) / 2
            mean = numbers.mean
            return "1 sd about the mean", mean - half, mean + half
        if change == "iqr":
            low, high = numbers.quantiles([0.25, 0.75])
            return "", low, high
        if change == "minmax":
            return "", numbers.low, numbers.high
        raise _no_number_change(name, change)
    ends = list(change) if np.ndim(change) == 1 and len(change) == TWO_VALUES else []
    if len(ends) != TWO_VALUES or not all(
        isinstance(end, int | float | np.number) and np.isfinite(end) for end in ends
    ):
        raise _no_number_change(name, change)
    return "", float(ends[0]), float(ends[1])


def _no_number_change(name: str, change: Any) -> OptionError:
    return OptionError(
        f"change={shown(change)}: {name!r} is a number; give by how much it grows (change=1), from "
        f"where to where (change=(0, 5)), 'sd', 'iqr' or 'minmax'{meant(change, NUMBER_CHANGES)}"
    )


def _level_pairs(
    fit: Fit, name: str, levels: tuple[Any, ...], change: Any
) -> list[tuple[Any, Any]]:
    """Pairs of levels, the one that is compared with second in each."""
    if change is None or (isinstance(change, str) and change == "reference"):
        base = fit.design.baselines.get(name)
        first = next((level for level in levels if value_words(level) == base), levels[0])
        return [(first, level) for level in levels if level != first]
    if isinstance(change, str) and change == "pairwise":
        return [(low, high) for low, high in combinations(levels, 2)]
    if isinstance(change, str) and change == "sequential":
        return list(pairwise(levels))
    pairs = [change] if _is_pair(change) else list(change) if isinstance(change, list) else []
    if not pairs or not all(_is_pair(pair) for pair in pairs):
        raise OptionError(
            f"change={shown(change)}: {name!r} has levels; give 'reference', 'pairwise', "
            "'sequential', a pair of levels (from, to) or a list of pairs"
            f"{meant(change, FACTOR_CHANGES)}"
        )
    coded = name in fit.design.mean.coded()
    try:
        found = [grid_predictor(fit, name, is_factor=coded, at=list(pair)).values for pair in pairs]
    except DataError as error:
        raise DataError(f"change: {str(error).removeprefix('at: ')}") from error
    return [(low, high) for low, high in found]


def _is_pair(change: Any) -> bool:
    return (
        isinstance(change, tuple)
        and len(change) == TWO_VALUES
        and all(not isinstance(end, tuple | list) for end in change)
    )
