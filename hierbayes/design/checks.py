"""Checks of a design that lead to an error: response, weights, and grouping factors.

What only deserves a warning (few levels, rows dropped) is a finding of the fit, not made here.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.design import values as kinds
from hierbayes.design.predictor import GroupingFactor, RandomTerm
from hierbayes.errors import DataError
from hierbayes.formula.excerpt import point_at
from hierbayes.formula.expressions import Expression
from hierbayes.formula.terms import Bar, Formula
from hierbayes.wording import SHOWN_ROWS, counted_rows


def response_numbers(
    value: Any, formula: Formula, *, binary: bool, ordered: bool = False
) -> FloatArray:
    """Return y; raise DataError if the response isn't a number or has a single value.

    Parameters
    ----------
    value : the evaluated response in the rows used
    formula : for the words of the message
    binary : a factor with two levels is allowed and becomes 0 (first level) and 1
    ordered : ordered categories are allowed and become 1, 2, ... in their order
    """
    label = formula.response_label
    if isinstance(value, kinds.Factor) and ordered:
        return _ordered_response(value, label)
    if isinstance(value, kinds.Factor):
        return _binary_response(value, label, binary=binary)
    if isinstance(value, kinds.Matrix):
        if value.values.shape[1] != 2:
            raise DataError(
                f"The response {label} has {value.values.shape[1]} columns; write "
                "cbind(successes, failures)."
            )
        return value.values
    y = kinds.as_numbers(value)
    if y.size and float(y.min()) == float(y.max()):
        raise DataError(
            f"The response {label!r} is {y[0]:g} in all {y.size} rows used; "
            "there is nothing to model."
        )
    return y


def _binary_response(value: kinds.Factor, label: str, *, binary: bool) -> FloatArray:
    kinds.refuse_caution(value)
    used = kinds.drop_unused(value)
    levels = used.levels.tolist()
    if len(levels) == 1:
        raise DataError(
            f"The response {label!r} is {levels[0]!r} in every row used; there is nothing to model."
        )
    if binary and len(levels) == 2:
        return used.codes.astype(np.float64)
    shown = ", ".join(repr(level) for level in levels[:3]) + (", ..." if len(levels) > 3 else "")
    if all(kinds.reads_as_number(level) for level in levels):
        advice = "These look like numbers: convert the column with pandas.to_numeric."
    elif len(levels) == 2:
        advice = (
            f'For a yes/no response write I({label} == "{levels[1]}") ~ ... with family="binomial".'
        )
    elif value.ordered or value.ranked:
        advice = 'Ordered categories are the response of family="cumulative" or "sratio".'
    elif binary:
        advice = (
            "A binomial response has two of them: write for example "
            f'I({label} == "{levels[0]}") ~ ...'
        )
    else:
        advice = "Choose a column of numbers."
    raise DataError(f"The response {label!r} holds categories ({shown}), not numbers. {advice}")


def _ordered_response(value: kinds.Factor, label: str) -> FloatArray:
    kinds.refuse_caution(value)
    used = kinds.drop_unused(value).levels.tolist()
    if len(used) == 1:
        raise DataError(
            f"The response {label!r} is {used[0]!r} in every row used; there is nothing to model."
        )
    if not (value.ordered or value.ranked):
        shown = ", ".join(repr(level) for level in used[:3]) + (", ..." if len(used) > 3 else "")
        raise DataError(
            f"The response {label!r} holds categories without an order ({shown}). Say which is "
            "more: pandas.Categorical(column, categories=[...], ordered=True) with the lowest "
            "first, or numbers 1, 2, 3, ..."
        )
    return np.asarray(value.codes, dtype=np.float64) + 1.0


def check_weights(weights: FloatArray, row_labels: pd.Index) -> None:
    """Raise DataError for weights that aren't positive."""
    if weights.size and weights.min() > 0:
        return
    for bad, what, advice in (
        (weights < 0, "negative", "A precision weight is a positive number."),
        (
            weights == 0,
            "zero",
            "A row of weight zero says nothing: leave these rows out of the data.",
        ),
    ):
        count = int(np.count_nonzero(bad))
        if count:
            where = counted_rows(list(row_labels[np.flatnonzero(bad)[:SHOWN_ROWS]]), count)
            raise DataError(f"weights: {count} of {weights.size} are {what} ({where}). {advice}")


def check_known_sd(known_sd: FloatArray, row_labels: pd.Index) -> None:
    """Raise DataError for known residual sds that aren't positive."""
    bad = ~(known_sd > 0)
    count = int(np.count_nonzero(bad))
    if count:
        where = counted_rows(list(row_labels[np.flatnonzero(bad)[:SHOWN_ROWS]]), count)
        raise DataError(f"known_sd: {count} of {known_sd.size} are not positive ({where}).")


def check_not_swapped(formula: Formula, values: Mapping[Expression, kinds.Column]) -> None:
    """Raise DataError for ``(g | x)`` where ``(x | g)`` must be meant.

    Asked where a bar has a number on its right and one factor on its left, with as many random
    effects as rows or with more levels than the number has values. Numbers can be the ids of
    groups: the swapped reading makes sense only if the factor is no predictor of its own, as a
    varying slope usually is, and the number looks like a measurement: it is a predictor, has
    fractions, or has fewer values than the factor has levels.
    """
    predictors = {term.variables for term in formula.fixed.terms}
    for bar in formula.bars:
        number = bar.grouping[0]
        right = values[number]
        singles = [term.variables for term in bar.linear.terms if len(term.variables) == 1]
        if len(bar.grouping) > 1 or len(singles) != 1 or not isinstance(right, np.ndarray):
            continue
        left = values[singles[0][0]]
        if not isinstance(left, kinds.Factor) or singles[0] in predictors:
            continue
        n_columns = kinds.drop_unused(left).levels.size
        n_levels = kinds.as_factor(right).levels.size
        whole = right.dtype.kind in "iu" or bool((right == np.floor(right)).all())
        measured = (number,) in predictors or not whole
        if n_columns * n_levels >= right.size and (measured or n_columns > n_levels):
            raise DataError(_swapped(bar, formula, n_columns=n_columns, n_levels=n_levels))
        if n_columns > n_levels and measured:
            raise DataError(_swapped(bar, formula, n_columns=n_columns, n_levels=n_levels))


def _swapped(bar: Bar, formula: Formula, *, n_columns: int, n_levels: int) -> str:
    factor = bar.linear.terms[0].label
    return point_at(
        f"In {bar.source} the number {bar.group!r} ({n_levels} values) is the grouping factor and "
        f"the factor {factor!r} ({n_columns} levels) the slope.",
        source=formula.source,
        at=bar.at,
        advice=f"Did you mean ({bar.group} | {factor})?",
    )


def check_levels(
    factors: tuple[GroupingFactor, ...],
    terms: tuple[RandomTerm, ...],
    *,
    formula: Formula,
    n_rows: int,
    allow_saturated: bool,
) -> None:
    """Raise DataError if a grouping factor can't be told from the residuals.

    Parameters
    ----------
    factors, terms : of the design
    formula : its bars give the places for the messages
    n_rows : number of rows used
    allow_saturated : as many random effects as rows are allowed (but not more), as there is no
        residual variance to estimate or a prior tells it from that of the effects
    """
    places = {bar.group: bar.at for bar in reversed(formula.bars)}
    for factor in factors:
        n_levels = factor.levels.size
        at = places[factor.name]
        if n_levels == 1:
            raise DataError(
                point_at(
                    f"The grouping factor {factor.name!r} has one level, {factor.levels[0]!r}, "
                    "in the rows used; a variance between levels needs at least two.",
                    source=formula.source,
                    at=at,
                    advice="Take the term out of the formula.",
                )
            )
        if factor.relation is not None:
            continue  # the likelihood tells them apart, or says that it can't
        if n_levels == n_rows and not allow_saturated:
            raise DataError(
                point_at(
                    f"The grouping factor {factor.name!r} has {n_levels} levels in {n_rows} rows: "
                    "with one row a level its variance can't be told from the residual variance.",
                    source=formula.source,
                    at=at,
                    advice="Group by a column with repeated values, give known_sd if the residual "
                    "standard deviations are known, or let priors tell them apart: "
                    "Model(...).sample().",
                )
            )
    bars = {bar.source: bar for bar in formula.bars}
    for term in terms:
        if term.covariance != "us":  # few parameters, whatever the number of effects: asked later
            continue
        factor = factors[term.factor]
        if factor.relation is not None:
            continue
        n_effects = factor.levels.size * len(term.columns)
        if n_effects > n_rows or (n_effects == n_rows and not allow_saturated):
            raise DataError(
                point_at(
                    f"The term {term.label} has {n_effects} random effects ({len(term.columns)} "
                    f"columns for each of {factor.levels.size} levels of {factor.name!r}) for "
                    f"{n_rows} rows: its variances can't be told from the residual variance.",
                    source=formula.source,
                    at=bars[term.label].at,
                    advice="Use fewer columns left of the bar, or || for independent ones.",
                )
            )


def column_vector(argument: str, given: Any, n_rows: int) -> FloatArray:
    """Return an argument given as an array (or one number) as numbers, one per row of the data.

    Raises
    ------
    DataError
        If the length isn't the number of rows of the data, or the values aren't numbers.
    """
    values = given.array if hasattr(given, "array") and hasattr(given, "index") else given
    if np.iscomplexobj(values):
        raise DataError(f"{argument} holds complex numbers; a model needs real ones.")
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, ArithmeticError):
        raise DataError(
            f"{argument} must be numbers, a column's name or an expression; got "
            f"{type(given).__name__}."
        ) from None
    if array.ndim == 0:
        return np.full(n_rows, float(array))
    if array.shape != (n_rows,):
        size = " x ".join(str(length) for length in array.shape)
        raise DataError(
            f"{argument} has {size} values; the data have {n_rows} rows (counted "
            "before rows with missing values are dropped)."
        )
    return array


def numbers_of(argument: str, value: Any, text: str) -> FloatArray:
    """Return the value of an argument given as text as numbers; raise DataError for categories."""
    if isinstance(value, np.ndarray | kinds.Logical):
        return kinds.as_numbers(value)
    kinds.refuse_caution(value)
    raise DataError(f"{argument}={text!r} holds categories; it must be numbers.")
