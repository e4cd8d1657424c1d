"""New data in the columns of a fitted design, for predictions.

Rows in = rows out. A missing predictor gives a row of NaN, a missing group value and a new group
level have their own codes; only a new level of a *fixed* factor is an error, because no coefficient
belongs to it.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.checks import check_known_sd, check_weights, column_vector, numbers_of
from hierbayes.design.coding import (
    FACTOR,
    LOGICAL,
    MATRIX,
    NUMERIC,
    Layout,
    Variable,
    codes_of,
    fill_columns,
)
from hierbayes.design.design import MISSING_LEVEL, NEW_LEVEL, Design, GroupingFactor, NewRows
from hierbayes.design.evaluate import Scope, evaluate
from hierbayes.design.grouping import FactorRecipe, factor_columns, group_levels
from hierbayes.design.reading import argument_expression
from hierbayes.design.rows import check_columns
from hierbayes.design.table import read_table
from hierbayes.design.transforms import State
from hierbayes.design.values import Combinations, Factor, Logical, Matrix, column_of
from hierbayes.errors import DataError, FormulaSyntaxError
from hierbayes.formula.expressions import Expression, names_in


@record
class Recipe:
    """Everything learnt from the fitted data, besides the levels of the grouping factors.

    Attributes
    ----------
    fixed : the columns of X
    factors : in the order of ``Design.factors``
    states : what scale, poly, splines ... learnt, by their expression
    offset_source : the offset argument, when it was a column's name or an expression
    offset_is_array : the offset argument was an array, which says nothing about new data
    precision_source : the argument weights or known_sd, when it was a column or an expression
    """

    fixed: Layout
    factors: tuple[FactorRecipe, ...]
    states: Mapping[Expression, State]
    offset_source: str | None = None
    offset_is_array: bool = False
    precision_source: str | None = None


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
    recipe: Recipe = design.recipe
    table = read_table(newdata)
    scope = Scope(table, design.formula.source, states=dict(recipe.states), learning=False)
    values = _layout_values(recipe.fixed, scope)
    X = fill_columns(recipe.fixed, values, table.n_rows)
    factors, labels = [], {}
    for fitted, own in zip(design.factors, recipe.factors, strict=True):
        if need_groups is None or own.name in need_groups:
            factor, labels[own.name] = _new_factor(fitted, own, scope)
        else:
            factor, labels[own.name] = _absent_factor(fitted, table.n_rows)
        factors.append(factor)
    offset = _new_offset(design, scope)
    check_columns(scope.used, table.index)
    return NewRows(
        X=X, factors=tuple(factors), offset=offset, new_labels=labels, row_labels=table.index
    )


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
    source = design.recipe.precision_source
    if source is None:
        return None
    table = read_table(newdata)
    try:
        expression = argument_expression(source, table)
    except FormulaSyntaxError:  # the name of a column that is not here
        return None
    if not set(names_in(expression)) <= set(table.names):
        return None
    states = dict(design.recipe.states)
    scope = Scope(table, source, states=states, learning=False)
    values = numbers_of("weights", column_of(evaluate(expression, scope), table.n_rows), source)
    known = np.flatnonzero(~np.isnan(values))
    if design.known_sd is None:
        check_weights(values[known], table.index[known])
        return values
    check_known_sd(values[known], table.index[known])
    return np.asarray(values**-2.0)


def _layout_values(layout: Layout, scope: Scope) -> dict[Expression, Any]:
    """Return the value of every variable of a layout, of the kind it had when fitted."""
    values: dict[Expression, Any] = {}
    for term in layout.terms:
        for variable in term.variables:
            if variable.expression not in values:
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
    if variable.kind in (FACTOR, LOGICAL):
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


def _new_factor(
    fitted: GroupingFactor, own: FactorRecipe, scope: Scope
) -> tuple[GroupingFactor, npt.NDArray[Any]]:
    """Return a grouping factor for new rows, and the label of each row."""
    n_rows = scope.table.n_rows
    groups = {
        expression: column_of(evaluate(expression, scope), n_rows) for expression in own.grouping
    }
    codes, labels = _match_levels(group_levels(own.grouping, groups), own.keys)
    values: dict[Expression, Any] = {}
    for layout in own.layouts:
        values.update(_layout_values(layout, scope))
    return replace(fitted, codes=codes, z=factor_columns(own, values, n_rows)), labels


def _absent_factor(fitted: GroupingFactor, n_rows: int) -> tuple[GroupingFactor, npt.NDArray[Any]]:
    """Return a grouping factor nobody asked for: no row has a level."""
    codes = np.full(n_rows, MISSING_LEVEL, dtype=np.intp)
    z = np.full((n_rows, len(fitted.columns)), np.nan)
    return replace(fitted, codes=codes, z=z), np.full(n_rows, None, dtype=object)


def _match_levels(
    given: Combinations, fitted: tuple[tuple[str, ...], ...]
) -> tuple[IntArray, npt.NDArray[Any]]:
    """Return the fitted code and the label of each row; labels are None where missing."""
    places = {key: place for place, key in enumerate(fitted)}
    lookup = np.array(
        [*(places.get(key, NEW_LEVEL) for key in given.pairs()), MISSING_LEVEL],
        dtype=np.intp,
    )
    names = np.empty(lookup.size, dtype=object)
    names[:-1] = given.labels()
    return lookup[given.codes], names[given.codes]


def _new_offset(design: Design, scope: Scope) -> FloatArray | None:
    recipe: Recipe = design.recipe
    if recipe.offset_is_array:
        raise DataError(
            f"The model was fitted with an offset given as an array of {design.n_rows_given} "
            "values, which has no values for new data. Put the offset in a column of the data and "
            "fit with offset='column', or write offset(column) in the formula."
        )
    n_rows = scope.table.n_rows
    parts = [
        column_vector("offset", column_of(evaluate(expression, scope), n_rows), n_rows)
        for expression in design.formula.fixed.offsets
    ]
    if recipe.offset_source is not None:
        own = Scope(scope.table, recipe.offset_source, states=scope.states, learning=False)
        expression = argument_expression(recipe.offset_source, scope.table)
        value = column_of(evaluate(expression, own), n_rows)
        parts.append(numbers_of("offset", value, recipe.offset_source))
    return np.sum(parts, axis=0) if parts else None
