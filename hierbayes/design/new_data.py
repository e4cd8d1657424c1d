"""New data in the columns of a fitted design, for predictions.

Rows in = rows out. A missing predictor gives a row of NaN, a missing group value and a new group
level have their own codes; only a new level of a *fixed* factor is an error, because no coefficient
belongs to it.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.design.alignment import aligned
from hierbayes.design.checks import check_known_sd, check_weights, column_vector, numbers_of
from hierbayes.design.coding import codes_of, fill_columns
from hierbayes.design.design import MISSING_LEVEL, NEW_LEVEL, Design, GroupingFactor, NewRows
from hierbayes.design.evaluate import Scope, evaluate
from hierbayes.design.grouping import factor_columns, group_levels
from hierbayes.design.layout import LOGICAL, MATRIX, NUMERIC, Layout, Variable
from hierbayes.design.reading import argument_expression
from hierbayes.design.rows import check_columns
from hierbayes.design.table import Table, read_table
from hierbayes.design.values import Column, Combinations, Factor, Logical, Matrix, column_of
from hierbayes.errors import DataError, FormulaSyntaxError
from hierbayes.formula.expressions import Expression, names_in


def new_rows(
    design: Design, newdata: Any, *, need_groups: Collection[str] | None = None
) -> NewRows:
    """Lay new data out in the columns of a design.

    Parameters
    ----------
    design : of the fitted model
    newdata : any kind of data ``build_design`` takes; the response isn't needed
    need_groups : names of the grouping factors whose effects will be used; None for all. Others
        are not looked at, so that their columns may be absent: all codes are MISSING_LEVEL.

    Returns
    -------
    NewRows
        The offset is the ``offset()`` terms plus the offset argument, evaluated on the new data.

    Raises
    ------
    DataError
        If a needed column is absent, a fixed factor has a level that wasn't fitted, a column has
        become text, or the model's offset was an array (which has no value for new rows).
    """
    table = read_table(newdata)
    scope = Scope(table, design.formula.source, states=dict(design.states), learning=False)
    layout = design.mean.layout
    X = fill_columns(layout, _layout_values(layout, scope), table.n_rows)
    factors, labels = [], {}
    for fitted in design.factors:
        if need_groups is None or fitted.name in need_groups:
            factor, labels[fitted.name] = _new_factor(fitted, scope)
        else:
            factor, labels[fitted.name] = _absent_factor(fitted, table.n_rows)
        factors.append(factor)
    offset = _new_offset(design, scope)
    check_columns(scope.used, table.index)
    return NewRows(
        X=X, factors=tuple(factors), offset=offset, new_labels=labels, row_labels=table.index
    )


def effect_columns(design: Design, newdata: Any) -> tuple[FloatArray, ...]:
    """Per grouping factor the columns z (m, q) of its effects in new rows, whatever their groups.

    Raises
    ------
    DataError
        As ``new_rows``; the columns of the groups may be absent.
    """
    scope = Scope(
        read_table(newdata), design.formula.source, states=dict(design.states), learning=False
    )
    return tuple(_columns_of_effects(factor, scope) for factor in design.factors)


def new_precisions(design: Design, newdata: Any) -> FloatArray | None:
    """Precision weights of new rows, or one over their squared known residual sds; shape (m,).

    Returns
    -------
    array or None
        None where the model has neither, or was given them as an array, or where the new data
        lack the columns. NaN in rows with a missing one.

    Raises
    ------
    DataError
        If they are not positive.
    """
    source = design.rows.precision_source
    if source is None:
        return None
    table = read_table(newdata)
    try:
        expression = argument_expression(source, table)
    except FormulaSyntaxError:  # the name of a column that is not here
        return None
    if not set(names_in(expression)) <= set(table.names):
        return None
    states = dict(design.states)
    scope = Scope(table, source, states=states, learning=False)
    values = numbers_of("weights", column_of(evaluate(expression, scope), table.n_rows), source)
    known = np.flatnonzero(~np.isnan(values))
    if design.known_sd is None:
        check_weights(values[known], table.index[known])
        return values
    check_known_sd(values[known], table.index[known])
    return np.asarray(values**-2.0)


def new_trials(design: Design, newdata: Any, given: Any = None) -> FloatArray | None:
    """Numbers of trials of new rows of a binomial model, shape (m,).

    Parameters
    ----------
    design : of the fitted model
    newdata : the new rows
    given : the argument ``trials``: a number, an array, a column's name or an expression; where
        None the trials are read as the model read them: the sum of ``cbind(successes, failures)``,
        which may follow from a column of trials alone, or the weights of proportions

    Returns
    -------
    array or None
        None where the new data lack the columns. NaN in rows with a missing one.

    Raises
    ------
    DataError
        If they are no whole numbers of trials.
    """
    table = read_table(newdata)
    found: FloatArray | None
    if given is not None:
        found = _given_trials(design, table, given)
    elif design.y.ndim == 2:
        found = _summed_trials(design, table)
    else:
        found = new_precisions(design, newdata)
    if found is None:
        return None
    known = found[~np.isnan(found)]
    if (known < 0).any() or (known != np.floor(known)).any():
        bad = known[(known < 0) | (known != np.floor(known))][0]
        raise DataError(f"trials of new rows need whole numbers; one of them is {bad:g}.")
    return found


def _given_trials(design: Design, table: Table, given: Any) -> FloatArray:
    if isinstance(given, str):
        scope = Scope(table, given, states=dict(design.states), learning=False)
        value = column_of(evaluate(argument_expression(given, table), scope), table.n_rows)
        return numbers_of("trials", value, given)
    if np.ndim(given) == 0:
        given = np.full(table.n_rows, given)
    return column_vector("trials", aligned("trials", given, table.index), table.n_rows)


def _summed_trials(design: Design, table: Table) -> FloatArray | None:
    """Sum successes and failures, where they are there or their sum does not depend on them."""
    expression = design.formula.response
    missing = set(names_in(expression)) - set(table.names)
    columns = {name: table.column(name) for name in names_in(expression) if name not in missing}
    found = []
    for successes in (0.0, 1.0):
        filled = {name: np.full(table.n_rows, successes) for name in missing}
        whole = read_table(columns | filled)
        scope = Scope(whole, design.formula.source, states=dict(design.states), learning=False)
        value = evaluate(expression, scope)
        assert isinstance(value, Matrix)
        found.append(value.values.sum(axis=1))
    return found[0] if np.array_equal(found[0], found[1], equal_nan=True) else None


def _layout_values(layout: Layout, scope: Scope) -> dict[Expression, Column]:
    """Return the value of every variable of a layout, of the kind it had when fitted."""
    values: dict[Expression, Column] = {}
    for variable in layout.variables():
        value = column_of(evaluate(variable.expression, scope), scope.table.n_rows)
        values[variable.expression] = _as_fitted(value, variable)
    return values


def _as_fitted(value: Any, variable: Variable) -> Any:
    if variable.kind == NUMERIC and isinstance(value, Factor):
        if (value.codes < 0).all():
            return np.full(value.codes.size, np.nan)
        raise DataError(
            f"{variable.label!r} was a number in the data the model was fitted to and "
            f"holds categories here, such as {value.levels[0]!r}."
        )
    if variable.is_category:
        if variable.kind == LOGICAL and isinstance(value, np.ndarray):
            value = (
                Logical(np.where(np.isnan(value), np.nan, value != 0))
                if value.dtype.kind == "f"
                else Logical((value != 0).astype(np.float64))
            )
        codes_of(value, variable)
    if (variable.kind == MATRIX) != isinstance(value, Matrix):
        raise DataError(f"{variable.label!r} has another number of columns than when fitted.")
    return value


def _new_factor(fitted: GroupingFactor, scope: Scope) -> tuple[GroupingFactor, npt.NDArray[Any]]:
    """Return a grouping factor for new rows, and the label of each row."""
    n_rows, own = scope.table.n_rows, fitted.layout
    groups = {
        expression: column_of(evaluate(expression, scope), n_rows) for expression in own.grouping
    }
    codes, labels = match_levels(group_levels(own.grouping, groups), own.keys)
    return replace(fitted, codes=codes, z=_columns_of_effects(fitted, scope)), labels


def _columns_of_effects(fitted: GroupingFactor, scope: Scope) -> FloatArray:
    values: dict[Expression, Column] = {}
    for bar in fitted.layout.bars:
        values.update(_layout_values(bar, scope))
    return factor_columns(fitted.layout, values, scope.table.n_rows)


def _absent_factor(fitted: GroupingFactor, n_rows: int) -> tuple[GroupingFactor, npt.NDArray[Any]]:
    """Return a grouping factor nobody asked for: no row has a level."""
    codes = np.full(n_rows, MISSING_LEVEL, dtype=np.intp)
    z = np.full((n_rows, len(fitted.columns)), np.nan)
    return replace(fitted, codes=codes, z=z), np.full(n_rows, None, dtype=object)


def match_levels(
    given: Combinations, fitted: tuple[tuple[str, ...], ...]
) -> tuple[IntArray, npt.NDArray[Any]]:
    """Return the fitted code and the label of each row; labels are None where missing.

    Parameters
    ----------
    given : the levels of the rows
    fitted : ``FactorLayout.keys``
    """
    places = {key: place for place, key in enumerate(fitted)}
    lookup = np.array(
        [*(places.get(key, NEW_LEVEL) for key in given.pairs()), MISSING_LEVEL],
        dtype=np.intp,
    )
    names = np.empty(lookup.size, dtype=object)
    names[:-1] = given.labels()
    return lookup[given.codes], names[given.codes]


def _new_offset(design: Design, scope: Scope) -> FloatArray | None:
    layout = design.mean.offset_layout
    if layout.is_array:
        raise DataError(
            f"The model was fitted with an offset given as an array of {design.n_rows_given} "
            "values, which has no values for new data. Put the offset in a column of the data and "
            "fit with offset='column', or write offset(column) in the formula."
        )
    n_rows = scope.table.n_rows
    parts = [
        column_vector("offset", column_of(evaluate(expression, scope), n_rows), n_rows)
        for expression in layout.terms
    ]
    if layout.argument is not None:
        own = Scope(scope.table, layout.argument, states=scope.states, learning=False)
        expression = argument_expression(layout.argument, scope.table)
        value = column_of(evaluate(expression, own), n_rows)
        parts.append(numbers_of("offset", value, layout.argument))
    return np.sum(parts, axis=0) if parts else None
