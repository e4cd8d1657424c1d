"""The rows that predictions are made for, how much each counts, and what they are averaged by.

Every row is there once for each combination of the values that ``at`` sets. A group of rows is what
shares the values of ``by`` and of ``at``; without an average every row is a group of its own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.axis import axis_of
from hierbayes.design.values import Factor, Logical, Vector, is_missing
from hierbayes.errors import DataError, OptionError
from hierbayes.marginal_effects.request import By, EffectRequest
from hierbayes.marginal_effects.row_sources import check_size, given_rows, grid_rows, value_words
from hierbayes.marginal_means.spellings import names_given
from hierbayes.prediction.data_rows import (
    DataRows,
    columns_needed,
    crossed,
    is_category,
    spread_columns,
)
from hierbayes.prediction.reference_grid import Predictor, grid_predictor
from hierbayes.prediction.typical_values import Numbers, known_column, numbers_of_column
from hierbayes.results.fit import Fit
from hierbayes.specification.fitted_values import unknown_fitted_sds
from hierbayes.wording import did_you_mean, listed, shown

MOST_ROWS = 10_000_000
SHOWN = 6  # values listed in a sentence
WORDS: dict[str, Callable[[Numbers], list[float]]] = {
    "mean": lambda x: [x.mean],
    "median": lambda x: x.quantiles([0.5]),
    "min": lambda x: [x.low],
    "max": lambda x: [x.high],
    "minmax": lambda x: [x.low, x.high],
    "quartiles": lambda x: x.quantiles([0.25, 0.5, 0.75]),
}


@record
class BaseRows:
    """Rows with the groups they are averaged in.

    Attributes
    ----------
    rows : the rows, those of the first combination of ``at`` first
    weights : array, shape (n_rows,), how much each counts in its group
    group : array of int, shape (n_rows,), the group of each row
    labels : of the groups, one row each
    names : of the columns whose values the groups differ by
    words : what the rows are, in a sentence without its end
    notes : what else is to be said of them
    """

    rows: DataRows
    weights: FloatArray
    group: IntArray
    labels: pd.DataFrame
    names: tuple[str, ...]
    words: str
    notes: tuple[str, ...]


def base_rows(fit: Fit, by: By, asked: EffectRequest) -> BaseRows:
    """Lay out the rows that are asked for.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    by : as of ``predictions``
    asked : EffectRequest

    Raises
    ------
    OptionError
        If a name is no column, or no predictor.
    DataError
        If values are missing or are none of the column's.
    """
    groups = asked.target == "observed groups" and bool(fit.design.factors)
    needed = columns_needed(fit, effects=asked.target != "typical group", groups=groups)
    if asked.interval == "prediction":
        if fit.spec.has_fitted_sds:
            raise unknown_fitted_sds("interval='prediction'")
        needed = tuple(dict.fromkeys((*needed, *spread_columns(fit.design))))
    at = _values_at(fit, asked.values, needed)
    names = () if by is None or isinstance(by, bool) else names_given("by", by, "column")
    if isinstance(asked.rows, str) and asked.rows != "rows":
        source = grid_rows(fit, asked, needed, by=[n for n in names if n not in at], groups=groups)
    else:
        source = given_rows(fit, asked, needed, at=at, by=names)
    rows, m = source.rows, source.rows.n_rows
    combinations = crossed({name: predictor.values for name, predictor in at.items()})
    count = combinations.n_rows
    check_size(m * count, MOST_ROWS)
    each = np.repeat(np.arange(count), m)
    varied = {name: n for name, n in at.items() if len(n.values) > 1}
    rows = rows.repeated(count).with_columns(combinations.take(each).columns)
    if by is False:
        keys = {name: rows.columns[name] for name in _names_shown(fit, rows, varied)}
        columns = {name: labels_of(column) for name, column in keys.items()}
        if source.is_data:
            if isinstance(asked.rows, str):
                fit.design.need_rows("the rows one by one")
            columns = {free_name("row", keys): np.tile(source.labels, count), **columns}
        group, labels = np.arange(rows.n_rows), pd.DataFrame(columns, index=range(rows.n_rows))
    else:
        keys = {name: rows.columns[name] for name in dict.fromkeys((*names, *varied))}
        group, labels = grouped(keys, rows.n_rows)
    return BaseRows(
        rows=rows,
        weights=np.ones(rows.n_rows) if by is False else np.tile(source.weights, count),
        group=group,
        labels=labels,
        names=tuple(labels.columns),
        words=source.words,
        notes=(*source.notes, *_at_words(at)),
    )


def _values_at(fit: Fit, given: Mapping[str, Any], needed: Sequence[str]) -> dict[str, Predictor]:
    """Check the values that ``at`` sets."""
    found = {}
    for name, value in given.items():
        if name not in needed:
            hint = did_you_mean(str(name), list(needed))
            raise OptionError(f"at: {shown(name)} is no predictor that these predictions use{hint}")
        coded = name in fit.design.mean.coded()
        found[name] = grid_predictor(fit, name, is_factor=coded, at=_words_read(fit, name, value))
    return found


def _words_read(fit: Fit, name: str, value: Any) -> Any:
    """Turn a word for some values of a column into them."""
    if not isinstance(value, str):
        return value
    column = known_column(fit, name)
    if not is_category(fit.design, name, column):
        if value not in WORDS:
            known = ", ".join(repr(word) for word in WORDS)
            raise OptionError(
                f"at: {name!r} is a number in the data; it can't be {value!r}. Give a number, a "
                f"list of numbers or one of {known}."
            )
        return WORDS[value](numbers_of_column(fit, name))
    levels = level_values(column)
    return list(levels) if value == "levels" and "levels" not in levels else value


def level_values(column: Vector) -> tuple[Any, ...]:
    """Return what categories the rows used have, as the data hold them, in order."""
    axis = axis_of(column, coded=True)
    assert axis.values is not None
    if isinstance(column, Factor):
        return tuple(str(value) for value in axis.values.tolist())
    return tuple(axis.values.tolist())


def labels_of(column: Vector) -> Any:
    """Return a column as a frame shows it."""
    if isinstance(column, Factor):
        return column.levels[column.codes]
    return column.values.astype(bool) if isinstance(column, Logical) else column


def _names_shown(fit: Fit, rows: DataRows, varied: Iterable[str]) -> tuple[str, ...]:
    """Columns that a row of its own is shown with: what is varied, predictors and groups."""
    mean = fit.design.mean
    names = dict.fromkeys((*varied, *mean.fixed_columns(), *mean.grouping_columns()))
    return tuple(name for name in names if name in rows.columns)


def grouped(keys: Mapping[str, Vector], n_rows: int) -> tuple[IntArray, pd.DataFrame]:
    """Give rows numbers by the values of columns, in their order; return these and the values.

    The values of the first column vary slowest.

    Raises
    ------
    DataError
        If one is missing.
    """
    if not keys:
        return np.zeros(n_rows, dtype=np.intp), pd.DataFrame(index=[0])
    codes, values = [], []
    for name, column in keys.items():
        if is_missing(column) is not None:
            raise DataError(f"by: column {name!r} is missing in some of the rows.")
        if isinstance(column, Factor):
            codes.append(column.codes)
            values.append(column.levels)
        else:
            own = column.values.astype(bool) if isinstance(column, Logical) else column
            found, code = np.unique(own, return_inverse=True)
            codes.append(code)
            values.append(found)
    distinct, group = np.unique(np.column_stack(codes), axis=0, return_inverse=True)
    frame = {
        name: own[distinct[:, place]]
        for place, (name, own) in enumerate(zip(keys, values, strict=True))
    }
    return group.ravel(), pd.DataFrame(frame)


def free_name(name: str, taken: Iterable[str]) -> str:
    """Return a name for a column that no other has."""
    while name in taken:
        name += "_"
    return name


def _at_words(at: Mapping[str, Predictor]) -> tuple[str, ...]:
    parts, outside = [], []
    for name, found in at.items():
        texts = [value_words(value) for value in found.values]
        more = f", ... ({len(texts)} values)" if len(texts) > SHOWN else ""
        parts.append(f"{name} set to {', '.join(texts[:SHOWN])}{more}")
        if found.range is not None and found.kind != "levels":
            low, high = found.range
            far = [value_words(v) for v in found.values if v < low or v > high]
            if far:
                outside.append(
                    f"{name} at {listed(far)} lies outside the data ({value_words(low)} to "
                    f"{value_words(high)}): an extrapolation."
                )
    return (*([f"In every row {listed(parts)}."] if parts else ()), *outside)
