"""Rows to predict for, column by column, as the formula reads them: taken, crossed, set, stacked.

The columns hold values as ``design/values.py`` has them, so a level is a level and a number a
number whatever frame they came from, and the rows go through the formula without being text again.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.design.design import MEAN, Design
from hierbayes.design.reading import argument_expression
from hierbayes.design.table import ColumnsTable, Table
from hierbayes.design.values import (
    Factor,
    Logical,
    Vector,
    as_numbers,
    is_missing,
    label_array,
    take_rows,
)
from hierbayes.formula.expressions import names_in
from hierbayes.results.fit import Fit, used_column

GIVEN_OFFSET = "(offset)"  # the column of an offset that was given as an array


@record(kw_only=False)
class DataRows:
    """Rows of data.

    Attributes
    ----------
    columns : values by name, each of ``n_rows``
    n_rows : number of rows; a model may have no columns
    """

    columns: Mapping[str, Vector]
    n_rows: int

    def table(self) -> Table:
        """Return the rows as new data of a design."""
        return ColumnsTable(self.columns, self.n_rows)

    def take(self, rows: npt.NDArray[Any]) -> "DataRows":
        """Return some rows, by positions or truth values, in any order."""
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        taken = {name: take_rows(column, rows) for name, column in self.columns.items()}
        return DataRows(taken, rows.size)

    def repeated(self, times: int) -> "DataRows":
        """Return all rows, then all again, so many times."""
        return self.take(np.tile(np.arange(self.n_rows), times))

    def with_columns(self, columns: Mapping[str, Vector]) -> "DataRows":
        """Return the rows with columns set or added."""
        return DataRows({**self.columns, **columns}, self.n_rows)

    def with_value(self, name: str, value: Any) -> "DataRows":
        """Return the rows with one value in a column."""
        return self.with_columns({name: constant(value, self.n_rows)})

    def moved(self, name: str, by: FloatArray | float) -> "DataRows":
        """Return the rows with a number moved."""
        numbers = self.columns[name]
        assert isinstance(numbers, np.ndarray)
        return self.with_columns({name: as_numbers(numbers) + by})

    def complete(self) -> BoolArray:
        """Whether no column of a row is missing, shape (n_rows,)."""
        found = np.ones(self.n_rows, dtype=np.bool_)
        for column in self.columns.values():
            missing = is_missing(column)
            if missing is not None:
                found &= ~missing
        return found


def constant(value: Any, n_rows: int) -> Vector:
    """Return a column of one value: a level, a truth value or a number."""
    if isinstance(value, str):
        return Factor(np.zeros(n_rows, dtype=np.intp), label_array([value]))
    if isinstance(value, bool | np.bool_):
        return Logical(np.full(n_rows, float(value)))
    return np.full(n_rows, float(value))


def column_of_values(values: Sequence[Any]) -> Vector:
    """Return a column of values that are all levels, all truth values or all numbers."""
    if isinstance(values[0], str):
        levels = list(dict.fromkeys(values))
        place = {level: code for code, level in enumerate(levels)}
        codes = np.array([place[value] for value in values], dtype=np.intp)
        return Factor(codes, label_array(levels))
    numbers = np.array([float(value) for value in values])
    return Logical(numbers) if isinstance(values[0], bool | np.bool_) else numbers


def stacked(parts: Sequence[DataRows]) -> DataRows:
    """Return rows below each other; all have the same columns, each of one kind."""
    names = parts[0].columns
    columns = {name: _below([part.columns[name] for part in parts]) for name in names}
    return DataRows(columns, sum(part.n_rows for part in parts))


def _below(columns: Sequence[Vector]) -> Vector:
    if all(isinstance(column, Factor) for column in columns):
        levels = list(dict.fromkeys(label for c in columns for label in c.levels.tolist()))  # type: ignore[union-attr]
        place = {label: code for code, label in enumerate(levels)}
        codes: list[IntArray] = []
        for column in columns:
            assert isinstance(column, Factor)
            own = np.array([*(place[label] for label in column.levels.tolist()), -1], dtype=np.intp)
            codes.append(own[column.codes])
        return Factor(np.concatenate(codes), label_array(levels))
    if all(isinstance(column, Logical) for column in columns):
        return Logical(np.concatenate([column.values for column in columns]))  # type: ignore[union-attr]
    return np.concatenate([np.asarray(column) for column in columns])


def crossed(values: Mapping[str, Sequence[Any]]) -> DataRows:
    """Return every combination of the values, those of the first column varying slowest."""
    combinations = list(product(*values.values()))
    columns = {
        name: column_of_values([own[place] for own in combinations])
        for place, name in enumerate(values)
    }
    return DataRows(columns, len(combinations))


def rows_of(fit: Fit, names: Sequence[str]) -> DataRows:
    """Return columns of the rows a model was fitted to; an offset given as an array is one."""
    rows = DataRows({name: used_column(fit, name) for name in names}, fit.nobs)
    offset = fit.design.offset
    if not fit.design.mean.offset_layout.is_array or offset is None:
        return rows
    return rows.with_columns({GIVEN_OFFSET: offset})


def offset_columns(fit: Fit) -> tuple[str, ...]:
    """Columns of the argument offset, where it is a column's name or an expression."""
    given = fit.design.mean.offset_layout.argument
    return () if given is None else names_in(argument_expression(given, fit.spec.table))


def columns_needed(fit: Fit, *, effects: bool, groups: bool) -> tuple[str, ...]:
    """Columns of the data that a prediction needs, each once.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    effects : whether the columns left of the bars are needed
    groups : whether those of the grouping factors are
    """
    mean = fit.design.mean
    names = (*mean.fixed_columns(), *offset_columns(fit))
    names = (*names, *mean.random_columns()) if effects else names
    return tuple(dict.fromkeys((*names, *mean.grouping_columns()) if groups else names))


def response_columns(fit: Fit) -> tuple[str, ...]:
    """Columns of the rows used that say how a response varies: its weights, known sds or trials."""
    source = fit.design.rows.precision_source
    names = () if source is None else names_in(argument_expression(source, fit.spec.table))
    trials = fit.response_family.counts_trials and fit.design.y.ndim > 1
    return (*names, *names_in(fit.design.formula.response)) if trials else names


def spread_columns(design: Design) -> tuple[str, ...]:
    """Columns that say how a new response varies: of formulas of further parameters, and visits.

    That of a series of its own varies by its visit, but not by its time.
    """
    further = [own for name, own in design.predictors.items() if name != MEAN]
    names = [n for own in further for n in (*own.fixed_columns(), *own.random_columns())]
    term = design.residual
    if term is not None and term.word == "us" and term.inner is not None:
        names += names_in(term.inner)
    return tuple(dict.fromkeys(names))


def is_category(design: Design, name: str, column: Vector) -> bool:
    """Whether a column of the data stands for categories in a model."""
    return name in design.mean.coded() or isinstance(column, Factor | Logical)
