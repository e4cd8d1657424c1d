"""The rows that predictions are made for, how much each counts, and what they are averaged by.

Every row is there once for each combination of the values that ``at`` sets. A group of rows is what
shares the values of ``by`` and of ``at``; without an average every row is a group of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.capabilities import not_supported
from hierbayes.design.alignment import aligned
from hierbayes.design.axis import axis_of
from hierbayes.design.checks import column_vector
from hierbayes.design.table import Table, read_table
from hierbayes.design.values import Factor, Logical, Vector, as_numbers, is_missing
from hierbayes.errors import DataError, OptionError
from hierbayes.marginal_effects.request import By, EffectRequest, names_given
from hierbayes.prediction.data_rows import (
    GIVEN_OFFSET,
    DataRows,
    columns_needed,
    constant,
    crossed,
    is_category,
    response_columns,
    rows_of,
    typical_value,
)
from hierbayes.prediction.reference_grid import MAX_ROWS, Predictor, grid_predictor
from hierbayes.results.fit import Fit, used_column
from hierbayes.wording import counted, did_you_mean, listed, shown

MOST_ROWS = 10_000_000
MOST_VALUES = 30  # of a number that ``by`` spreads over a grid
SHOWN = 6  # values listed in a sentence
WORDS = {
    "mean": lambda x: [x.mean()],
    "median": lambda x: [np.median(x)],
    "min": lambda x: [x.min()],
    "max": lambda x: [x.max()],
    "minmax": lambda x: [x.min(), x.max()],
    "quartiles": lambda x: np.quantile(x, [0.25, 0.5, 0.75]).tolist(),
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
    at = _values_at(fit, asked.values, needed)
    names = () if by is None or isinstance(by, bool) else names_given("by", by)
    if isinstance(asked.rows, str) and asked.rows != "rows":
        source = _grid(fit, asked, needed, by=[n for n in names if n not in at], groups=groups)
    else:
        source = _given(fit, asked, needed, at=at, by=names)
    rows, m = source.rows, source.rows.n_rows
    combinations = crossed({name: predictor.values for name, predictor in at.items()})
    count = combinations.n_rows
    _check_size(m * count, MOST_ROWS)
    each = np.repeat(np.arange(count), m)
    varied = {name: n for name, n in at.items() if len(n.values) > 1}
    rows = rows.repeated(count).with_columns(combinations.take(each).columns)
    if by is False:
        keys = {name: rows.columns[name] for name in _names_shown(fit, rows, varied)}
        columns = {name: labels_of(column) for name, column in keys.items()}
        if source.is_data:
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


@record
class _Source:
    """Rows before ``at`` sets anything in them, their weights and labels, and what they are."""

    rows: DataRows
    weights: FloatArray
    labels: pd.Index
    is_data: bool
    words: str
    notes: tuple[str, ...] = ()


def _given(
    fit: Fit,
    asked: EffectRequest,
    needed: tuple[str, ...],
    *,
    at: Mapping[str, Predictor],
    by: tuple[str, ...],
) -> _Source:
    """Rows used, or those of a frame; rows with a missing value are left out."""
    is_own = isinstance(asked.rows, str)
    table = fit.spec.table if is_own else read_table(asked.rows)
    for name in by:
        if name not in table.names:
            raise OptionError(
                f"by: the data have no column {name!r}{did_you_mean(name, table.names)}"
            )
    new = response_columns(fit) if asked.interval == "prediction" else ()
    own = (*(n for n in needed if is_own or n not in at), *(n for n in new if n in table.names))
    wanted = tuple(dict.fromkeys((*own, *by)))
    if is_own:
        rows, labels = rows_of(fit, wanted), fit.design.row_labels
    else:
        columns = {name: table.column(name) for name in wanted}
        rows, labels = DataRows(columns, table.n_rows), table.index
    weights = _weights(fit, asked.weights, table, is_own=is_own)
    complete = rows.complete() & ~np.isnan(weights)
    notes: tuple[str, ...] = ()
    lost = int((~complete).sum())
    if lost:
        if lost == rows.n_rows:
            raise DataError(
                "No row is complete: each has a missing value in a column that is needed."
            )
        notes = (f"{counted(lost, 'row')} with missing values left out.",)
        rows, weights, labels = rows.take(complete), weights[complete], labels[complete]
    if not is_own:  # what at sets need not be there
        rows = rows.with_columns(
            {name: constant(p.values[0], rows.n_rows) for name, p in at.items()}
        )
    what = f"the {rows.n_rows} rows used" if is_own else counted(rows.n_rows, "row")
    return _Source(
        rows=rows,
        weights=weights,
        labels=labels,
        is_data=True,
        words=what if is_own else f"{what} of the data given",
        notes=(*notes, *_weight_words(fit, asked.weights, is_own=is_own)),
    )


def _weights(fit: Fit, given: Any, table: Table, *, is_own: bool) -> FloatArray:
    """Return how much each row counts; NaN where that is missing."""
    n = fit.nobs if is_own else table.n_rows
    if given is None:
        return np.ones(n)
    if isinstance(given, str):
        if given not in table.names:
            raise OptionError(
                f"weights: the data have no column {given!r}{did_you_mean(given, table.names)}"
            )
        column = used_column(fit, given) if is_own else table.column(given)
        if isinstance(column, Factor | Logical):
            raise DataError(f"weights: column {given!r} holds no numbers.")
        values = as_numbers(column)
    else:
        values = column_vector("weights", aligned("weights", given, table.index), table.n_rows)
        values = values[fit.design.rows.positions] if is_own else values
    if (values < 0).any() or not np.nansum(values) > 0:
        raise DataError("weights must be zero or more, and not all zero.")
    return values


def _weight_words(fit: Fit, given: Any, *, is_own: bool) -> tuple[str, ...]:
    if given is not None:
        name = f" {given}" if isinstance(given, str) else ""
        return (f"Rows count by the weights{name} in averages.",)
    trials = fit.response_family.counts_trials and is_own and fit.design.y.ndim == 2
    if trials or (is_own and fit.weighted):
        what = "number of trials" if trials else "weight"
        return (f"Each row counts once in averages, whatever its {what}.",)
    return ()


def _grid(
    fit: Fit,
    asked: EffectRequest,
    needed: tuple[str, ...],
    *,
    by: Sequence[str],
    groups: bool,
) -> _Source:
    """One typical row, or all combinations of levels; crossed with the groups where they count."""
    if asked.weights is not None:
        raise OptionError(f"weights are for over='rows' or a frame; over={asked.rows!r} has none.")
    grouping = fit.design.mean.grouping_columns() if groups else ()
    names = [n for n in needed if n not in grouping]
    for name in by:
        if name not in needed:
            raise OptionError(
                f"by: {name!r} is no predictor, and so has no values in a grid"
                f"{did_you_mean(name, list(needed))}"
            )
    columns = {name: used_column(fit, name) for name in names}
    values: dict[str, Sequence[Any]] = {}
    means: list[str] = []
    most: list[str] = []
    for name, column in columns.items():
        coded = is_category(fit.design, name, column)
        found = grid_predictor(fit, name, is_factor=name in fit.design.mean.coded())
        if name in by and found.kind != "levels":
            own = np.unique(as_numbers(column)) if isinstance(column, np.ndarray) else np.empty(0)
            if own.size > MOST_VALUES:
                raise OptionError(
                    f"by: {name!r} has {own.size} values; say which by at={{{name!r}: [...]}}."
                )
            values[name] = tuple(own.tolist())
        elif name in by or (asked.rows == "balanced" and found.kind == "levels"):
            values[name] = found.values
        else:
            value = typical_value(column, coded=name in fit.design.mean.coded())
            values[name] = (value,)
            if name not in asked.values:
                (most if coded else means).append(f"{name} {value_words(value)}")
    _check_size(int(np.prod([len(own) for own in values.values()], dtype=float)), MAX_ROWS)
    rows = crossed(values)
    offset = fit.design.offset
    if fit.design.mean.offset_layout.is_array and offset is not None:
        rows = rows.with_value(GIVEN_OFFSET, float(offset.mean()))
    notes = [f"Numbers at their mean: {listed(means)}."] if means else []
    notes += [f"Factors at their most frequent level: {listed(most)}."] if most else []
    words = "one row" if asked.rows == "mean" else "all combinations of levels, with equal weights"
    if groups:
        rows, count = _with_groups(fit, rows, grouping)
        words += f", for each of {count}"
    return _Source(
        rows=rows,
        weights=np.ones(rows.n_rows),
        labels=pd.RangeIndex(rows.n_rows),
        is_data=False,
        words=words,
        notes=tuple(notes),
    )


def _check_size(n_rows: int, most: int) -> None:
    if n_rows > most:
        raise not_supported("effect-rows", rows=n_rows)


def _with_groups(fit: Fit, rows: DataRows, grouping: Sequence[str]) -> tuple[DataRows, str]:
    """Cross rows with the combinations of groups in the data; say how many there are."""
    codes = np.column_stack([factor.codes for factor in fit.design.factors])
    _, first = np.unique(codes, axis=0, return_index=True)
    own = rows_of(fit, grouping).take(np.sort(first))
    _check_size(rows.n_rows * own.n_rows, MAX_ROWS)
    both = rows.repeated(own.n_rows).with_columns(
        own.take(np.repeat(np.arange(own.n_rows), rows.n_rows)).columns
    )
    names = [factor.name for factor in fit.design.factors]
    if len(names) == 1:
        return both, f"the {own.n_rows} levels of {names[0]}"
    return both, f"the {own.n_rows} combinations of {listed(names)} in the data"


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
    column = used_column(fit, name)
    if not is_category(fit.design, name, column):
        if value not in WORDS:
            known = ", ".join(repr(word) for word in WORDS)
            raise OptionError(
                f"at: {name!r} is a number in the data; it can't be {value!r}. Give a number, a "
                f"list of numbers or one of {known}."
            )
        assert isinstance(column, np.ndarray)
        return [float(v) for v in WORDS[value](as_numbers(column))]
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


def value_words(value: Any) -> str:
    """Write a value in a sentence."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


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
