"""New rows in the series of correlated residuals, and the columns of their log sds."""

from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.design import Design
from hierbayes.design.evaluate import Scope, evaluate
from hierbayes.design.grouping import group_levels
from hierbayes.design.new_data import match_levels
from hierbayes.design.series import Series, times_of
from hierbayes.design.table import read_table
from hierbayes.design.values import Factor, as_factor, column_of
from hierbayes.errors import DataError


@record
class NewSeries:
    """Where new rows are.

    Attributes
    ----------
    codes : array, shape (m,), series of the design; negative of others, or where it is missing
    own : array, shape (m,), series among the new rows themselves; negative where it is missing
    place : array, shape (m,), time, or number of the visit; NaN where it is missing, zero of cs
    """

    codes: IntArray
    own: IntArray
    place: FloatArray


def new_series(design: Design, series: Series, newdata: Any, *, observed: bool) -> NewSeries:
    """Find the series of new rows, and their places in it.

    Parameters
    ----------
    design : with a residual term
    series : of its rows
    newdata : any kind of data ``new_rows`` takes
    observed : whether rows may be of series of the design; else each is of one of its own, the
        columns of series are not looked at, and those of times neither

    Raises
    ------
    DataError
        If the columns of the term are not there, a visit was not fitted, or a time of ar1 is not
        whole.
    """
    table, term = read_table(newdata), series.term
    scope = Scope(table, design.formula.source, states=dict(design.states), learning=False)
    if not observed:
        place = np.zeros(table.n_rows)
        if series.visit is not None and term.inner is not None:
            place = _visits(series, column_of(evaluate(term.inner, scope), table.n_rows))
        nowhere = np.full(table.n_rows, -1)
        return NewSeries(codes=nowhere, own=nowhere, place=place)
    grouping = term.formula.bars[0].grouping
    fitted = {name: design.rows.values[name] for name in grouping}
    given = {name: column_of(evaluate(name, scope), table.n_rows) for name in grouping}
    keys = tuple(group_levels(grouping, fitted).pairs())
    among = group_levels(grouping, given)
    codes, _ = match_levels(among, keys)
    if term.inner is None:
        return NewSeries(codes=codes, own=among.codes, place=np.zeros(table.n_rows))
    value = column_of(evaluate(term.inner, scope), table.n_rows)
    if series.visit is not None:
        return NewSeries(codes=codes, own=among.codes, place=_visits(series, value))
    own = design.rows.values[term.inner]
    place = _steps(series, own, value) if isinstance(own, Factor) else times_of(term, value)
    return NewSeries(codes=codes, own=among.codes, place=place)


def _visits(series: Series, value: Any) -> FloatArray:
    """Numbers of visits that were fitted; NaN where one is missing."""
    return _numbers(series, as_factor(value), {v: float(i) for i, v in enumerate(series.visits)})


def _steps(series: Series, own: Factor, value: Any) -> FloatArray:
    """Return times of categories: numbers as they are, words as in the rows fitted."""
    try:
        _ = [float(level) for level in own.levels]
    except ValueError:
        times = times_of(series.term, own)
    else:
        return times_of(series.term, _as_numbers(series, value))
    known = {str(own.levels[c]): t for c, t in zip(own.codes.tolist(), times.tolist(), strict=True)}
    return _numbers(series, as_factor(value), known)


def _as_numbers(series: Series, value: Any) -> FloatArray:
    """Return categories that are numbers as these; NaN where one is missing."""
    found = as_factor(value)
    try:
        numbers = [float(level) for level in found.levels]
    except ValueError:
        raise DataError(
            f"residual={series.term.call!r}: {series.term.inner_label!r} holds numbers in the rows "
            "fitted and words in new ones."
        ) from None
    return np.asarray(np.array([*numbers, np.nan])[found.codes])


def _numbers(series: Series, value: Factor, known: dict[str, float]) -> FloatArray:
    labels = [str(level) for level in value.levels]
    used = np.unique(value.codes[value.codes >= 0]).tolist()
    unknown = [labels[code] for code in used if labels[code] not in known]
    if unknown:
        raise DataError(
            f"residual={series.term.call!r}: {series.term.inner_label!r} is {unknown[0]!r} in new "
            f"rows, and the model was fitted to {', '.join(map(repr, known))}. Nothing is known of "
            "another one."
        )
    places = np.array([*(known.get(label, np.nan) for label in labels), np.nan])
    return np.asarray(places[value.codes])
