"""The series of residuals: which rows belong together, and where in their series they are."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.grouping import group_levels
from hierbayes.design.predictor import GroupingFactor
from hierbayes.design.values import (
    Column,
    Factor,
    Logical,
    Matrix,
    as_factor,
    as_numbers,
    drop_unused,
)
from hierbayes.errors import DataError
from hierbayes.formula.expressions import Expression
from hierbayes.formula.residual_term import ResidualTerm

# Times are whole where they differ from whole numbers by less than this.
WHOLE = 1e-8


@record
class Series:
    """Rows by series.

    Attributes
    ----------
    term : what was given
    codes : array, shape (n,), the series of each row
    labels : names of the series
    time : array, shape (n,), of ar1 and car1; None of others
    visit : array, shape (n,), the visit of each row, of us; None of others
    visits : labels of the visits, in their order
    """

    term: ResidualTerm
    codes: IntArray
    labels: npt.NDArray[Any]
    time: FloatArray | None = None
    visit: IntArray | None = None
    visits: tuple[str, ...] = ()


def series_of(
    term: ResidualTerm,
    values: Mapping[Expression, Column],
    row_labels: pd.Index,
    *,
    by_order: bool = False,
) -> Series:
    """Read the series of a residual term off the rows used.

    ``by_order``: categories and dates are as good as times, as only the order of rows counts.

    Raises
    ------
    DataError
        If two rows of a series are at one time, times of ar1 are not whole, or every series has
        one row.
    """
    groups = group_levels(term.formula.bars[0].grouping, values)
    codes, labels = groups.codes, groups.labels()
    if labels.size == codes.size:
        raise DataError(
            f"residual={term.call!r}: every {term.group!r} has one row, so nothing is correlated. "
            "Group by what several rows share."
        )
    if term.inner is None:
        return Series(term=term, codes=codes, labels=labels)
    value = values[term.inner]
    if isinstance(value, Matrix):
        raise DataError(f"residual={term.call!r}: {term.inner_label!r} has several columns.")
    if term.word == "us":
        visit = drop_unused(as_factor(value))
        _check_once(term, codes, visit.codes, labels, row_labels)
        names = tuple(str(level) for level in visit.levels)
        return Series(term=term, codes=codes, labels=labels, visit=visit.codes, visits=names)
    time = times_of(term, value, by_order=by_order)
    _check_once(term, codes, time, labels, row_labels)
    return Series(term=term, codes=codes, labels=labels, time=time)


def times_of(term: ResidualTerm, value: Any, *, by_order: bool = False) -> FloatArray:
    """Return times as numbers; of ar1 categories that are none are occasions, counted from 1.

    Dates are neither: their gaps have no unit, and in their order alone they are all alike.
    """
    if isinstance(value, Factor):
        if value.caution and not by_order:
            raise DataError(f"residual={term.call!r}: {value.caution}")
        try:
            numbers = np.array([float(level) for level in value.levels])
        except ValueError:
            if term.word == "car1" and not by_order:
                raise DataError(
                    f"residual={term.call!r}: car1 needs times as numbers, and "
                    f"{term.inner_label!r} has categories such as {str(value.levels[0])!r}. As "
                    f"occasions in their order they are ar1({term.inner_label} | {term.group})."
                ) from None
            numbers = np.arange(1.0, len(value.levels) + 1)
        found = numbers[value.codes]
    elif isinstance(value, Logical):
        raise DataError(f"residual={term.call!r}: {term.inner_label!r} must hold times.")
    else:
        found = as_numbers(value)
    if term.word == "ar1":
        away = np.abs(found - np.round(found)) > WHOLE
        if away.any():
            first = float(found[np.argmax(away)])
            raise DataError(
                f"residual={term.call!r}: ar1 counts steps between whole times, and "
                f"{term.inner_label!r} has {first:g}. Number the occasions 1, 2, 3 ..., or write "
                f"car1({term.inner_label} | {term.group}) for times as they are."
            )
        found = np.round(found)
    return np.asarray(found, dtype=np.float64)


def _check_once(
    term: ResidualTerm,
    codes: IntArray,
    place: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    row_labels: pd.Index,
) -> None:
    order = np.lexsort((place, codes))
    same = (np.diff(codes[order]) == 0) & (np.diff(place[order]) == 0)
    if same.any():
        at = int(np.argmax(same))
        rows = [row_labels[order[at]], row_labels[order[at + 1]]]
        raise DataError(
            f"residual={term.call!r}: {term.group} {str(labels[codes[order[at]]])!r} has two rows "
            f"at the same {term.inner_label!r} (rows {rows[0]} and {rows[1]}). One row each, or "
            "another grouping."
        )


def check_constant(series: Series, factors: Sequence[GroupingFactor]) -> None:
    """Raise DataError if a grouping factor of the random effects changes within a series."""
    first = np.zeros(series.labels.size, dtype=np.intp)
    first[series.codes[::-1]] = np.arange(series.codes.size)[::-1]
    for factor in factors:
        changed = factor.codes != factor.codes[first[series.codes]]
        if changed.any():
            which = str(series.labels[series.codes[int(np.argmax(changed))]])
            raise DataError(
                f"residual={series.term.call!r}: rows of {series.term.group} {which!r} belong to "
                f"several levels of {factor.name!r}. Random effects beside correlated residuals "
                "are of whole series: each series within one level."
            )
        same = factor.levels.size == series.labels.size
        if same and series.time is None and "(Intercept)" in factor.columns:
            raise DataError(
                f"residual={series.term.call!r} and (1 | {factor.name}) say the same of the rows: "
                "that those of one level are alike. Leave one of them out."
            )
