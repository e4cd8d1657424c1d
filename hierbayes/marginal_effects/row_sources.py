"""Where the rows of a prediction come from: the rows used, a frame, or a grid of values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, record
from hierbayes.capabilities import not_supported
from hierbayes.design.alignment import aligned
from hierbayes.design.checks import column_vector
from hierbayes.design.table import Table, read_table
from hierbayes.design.values import Factor, Logical, as_numbers
from hierbayes.errors import DataError, OptionError
from hierbayes.marginal_effects.request import EffectRequest
from hierbayes.prediction.data_rows import (
    GIVEN_OFFSET,
    DataRows,
    constant,
    crossed,
    is_category,
    response_columns,
    rows_of,
)
from hierbayes.prediction.reference_grid import MAX_ROWS, Predictor, grid_predictor
from hierbayes.prediction.typical_values import known_column, typical_value
from hierbayes.results.fit import Fit, column_of_summands, is_streamed
from hierbayes.wording import counted, did_you_mean, listed

MOST_VALUES = 30  # of a number that ``by`` spreads over a grid


@record
class Source:
    """Rows before ``at`` sets anything in them, their weights and labels, and what they are."""

    rows: DataRows
    weights: FloatArray
    labels: pd.Index
    is_data: bool
    words: str
    notes: tuple[str, ...] = ()


def given_rows(
    fit: Fit,
    asked: EffectRequest,
    needed: tuple[str, ...],
    *,
    at: Mapping[str, Predictor],
    by: tuple[str, ...],
) -> Source:
    """Rows used, or those of a frame; rows with a missing value are left out.

    Of cells each counts as often as it has rows.

    Raises
    ------
    NotSupportedError
        For the rows used of a stream that kept none.
    """
    is_own = isinstance(asked.rows, str)
    if is_own and is_streamed(fit):
        raise not_supported("effects-of-stream")
    table = fit.spec.table if is_own else read_table(asked.rows)
    for name in by:
        if name not in table.names:
            raise OptionError(
                f"by: the data have no column {name!r}{did_you_mean(name, table.names)}"
            )
    new = response_columns(fit) if asked.interval == "prediction" else ()
    own = (*(n for n in needed if is_own or n not in at), *(n for n in new if n in table.names))
    wanted = tuple(dict.fromkeys((*own, *by)))
    counts = fit.design.summands.counts if is_own else None
    labels: pd.Index
    if counts is not None:
        cells = {name: column_of_summands(fit, name) for name in wanted}
        rows, labels = DataRows(cells, counts.size), pd.RangeIndex(counts.size)
    elif is_own:
        rows, labels = rows_of(fit, wanted), fit.design.row_labels
    else:
        columns = {name: table.column(name) for name in wanted}
        rows, labels = DataRows(columns, table.n_rows), table.index
    weights = _weights(fit, asked.weights, table, is_own=is_own)
    if counts is not None:
        weights = weights * counts
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
    n_used = rows.n_rows if counts is None else fit.nobs
    what = f"the {n_used} rows used" if is_own else counted(rows.n_rows, "row")
    return Source(
        rows=rows,
        weights=weights,
        labels=labels,
        is_data=True,
        words=what if is_own else f"{what} of the data given",
        notes=(*notes, *_weight_words(fit, asked.weights, is_own=is_own)),
    )


def _weights(fit: Fit, given: Any, table: Table, *, is_own: bool) -> FloatArray:
    """Return how much each row counts; NaN where that is missing."""
    counts = fit.design.summands.counts if is_own else None
    n = table.n_rows if not is_own else fit.nobs if counts is None else counts.size
    if given is None:
        return np.ones(n)
    if isinstance(given, str):
        if given not in table.names:
            raise OptionError(
                f"weights: the data have no column {given!r}{did_you_mean(given, table.names)}"
            )
        column = column_of_summands(fit, given) if is_own else table.column(given)
        if isinstance(column, Factor | Logical):
            raise DataError(f"weights: column {given!r} holds no numbers.")
        values = as_numbers(column)
    else:
        if counts is not None:
            fit.design.need_rows("rows that weights in an array would be of")
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


def grid_rows(
    fit: Fit,
    asked: EffectRequest,
    needed: tuple[str, ...],
    *,
    by: Sequence[str],
    groups: bool,
) -> Source:
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
    columns = {name: known_column(fit, name) for name in names}
    values: dict[str, Sequence[Any]] = {}
    means: list[str] = []
    most: list[str] = []
    for name, column in columns.items():
        coded = is_category(fit.design, name, column)
        found = grid_predictor(fit, name, is_factor=name in fit.design.mean.coded())
        if name in by and found.kind != "levels":
            own = np.unique(as_numbers(column))  # type: ignore[arg-type]
            if own.size > MOST_VALUES:
                raise OptionError(
                    f"by: {name!r} has {own.size} values; say which by at={{{name!r}: [...]}}."
                )
            values[name] = tuple(own.tolist())
        elif name in by or (asked.rows == "balanced" and found.kind == "levels"):
            values[name] = found.values
        else:
            value = typical_value(fit, name)
            values[name] = (value,)
            if name not in asked.values:
                (most if coded else means).append(f"{name} {value_words(value)}")
    check_size(int(np.prod([len(own) for own in values.values()], dtype=float)), MAX_ROWS)
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
    return Source(
        rows=rows,
        weights=np.ones(rows.n_rows),
        labels=pd.RangeIndex(rows.n_rows),
        is_data=False,
        words=words,
        notes=tuple(notes),
    )


def check_size(n_rows: int, most: int) -> None:
    """Raise NotSupportedError for more rows than ``most``."""
    if n_rows > most:
        raise not_supported("effect-rows", rows=n_rows)


def _with_groups(fit: Fit, rows: DataRows, grouping: Sequence[str]) -> tuple[DataRows, str]:
    """Cross rows with the combinations of groups in the data; say how many there are."""
    codes = np.column_stack([factor.codes for factor in fit.design.factors])
    _, first = np.unique(codes, axis=0, return_index=True)
    own = rows_of(fit, grouping).take(np.sort(first))
    check_size(rows.n_rows * own.n_rows, MAX_ROWS)
    both = rows.repeated(own.n_rows).with_columns(
        own.take(np.repeat(np.arange(own.n_rows), rows.n_rows)).columns
    )
    names = [factor.name for factor in fit.design.factors]
    if len(names) == 1:
        return both, f"the {own.n_rows} levels of {names[0]}"
    return both, f"the {own.n_rows} combinations of {listed(names)} in the data"


def value_words(value: Any) -> str:
    """Write a value in a sentence."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
