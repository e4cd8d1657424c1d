"""From the terms of a linear predictor to columns, by R's rules and with R's names.

A factor in a term is coded by contrasts if the term without it is (part of) an earlier term, the
empty term being the intercept; otherwise by an indicator per level. Without an intercept the first
factor met has an indicator per level.

Source: Chambers & Hastie (1992), Statistical Models in S, section 2.4.1, and R's ``model.matrix``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.design import values as kinds
from hierbayes.design.layout import (
    FACTOR,
    INTERCEPT,
    LOGICAL,
    MATRIX,
    NUMERIC,
    Layout,
    TermLayout,
    Variable,
)
from hierbayes.errors import DataError, OptionError
from hierbayes.formula.expressions import Expression
from hierbayes.formula.terms import LinearPart, Term
from hierbayes.options import Coding, check_option
from hierbayes.wording import did_you_mean

LOGICAL_LEVELS = ("FALSE", "TRUE")


def plan_layout(
    part: LinearPart, values: Mapping[Expression, kinds.Column], codings: Mapping[str, Coding]
) -> Layout:
    """Decide the columns of a linear predictor from the fitted data.

    Parameters
    ----------
    part : intercept and terms
    values : every variable's value in the rows used
    codings : contrasts by the label of a factor; others have R's defaults

    Raises
    ------
    DataError
        If a factor has a single level in the rows used.
    """
    variables: dict[Expression, Variable] = {}
    for term in part.terms:
        for expression, label in zip(term.variables, term.labels, strict=True):
            if expression not in variables:
                variables[expression] = _describe(expression, label, values[expression], codings)
    terms = [
        TermLayout(
            label=term.label,
            variables=tuple(variables[expression] for expression in term.variables),
            full=_full_indicators(part.terms, place),
        )
        for place, term in enumerate(part.terms)
    ]
    if not part.intercept:
        _open_first_factor(terms)
    names, assign = [INTERCEPT] * part.intercept, [0] * part.intercept
    for place, layout in enumerate(terms, start=1):
        new = layout.names()
        names += new
        assign += [place] * len(new)
    return Layout(
        intercept=part.intercept,
        terms=tuple(terms),
        names=tuple(names),
        assign=np.array(assign, dtype=np.intp),
    )


def _describe(
    expression: Expression, label: str, value: kinds.Column, codings: Mapping[str, Coding]
) -> Variable:
    if isinstance(value, np.ndarray):
        return Variable(expression=expression, label=label, kind=NUMERIC)
    if isinstance(value, kinds.Matrix):
        suffixes = value.suffixes if len(value.suffixes) > 1 else ("",)
        return Variable(expression=expression, label=label, kind=MATRIX, suffixes=suffixes)
    if isinstance(value, kinds.Logical):
        return Variable(
            expression=expression,
            label=label,
            kind=LOGICAL,
            levels=LOGICAL_LEVELS,
            coding=codings.get(label, "treatment"),
        )
    kinds.refuse_caution(value)
    levels = tuple(kinds.drop_unused(value).levels.tolist())
    if len(levels) < 2:
        raise DataError(
            f"The factor {label!r} has one level, {levels[0]!r}, in the rows used; a predictor "
            "needs at least two. Take it out of the formula."
        )
    default: Coding = "poly" if value.ordered else "treatment"
    baseline = value.levels[value.base]
    base = levels.index(baseline) if baseline in levels else 0
    return Variable(
        expression=expression,
        label=label,
        kind=FACTOR,
        levels=levels,
        base=base,
        coding=codings.get(label) or value.coding or default,
        numbered=value.numbered and label not in codings,
    )


def _full_indicators(terms: tuple[Term, ...], place: int) -> tuple[bool, ...]:
    """Return for each variable of a term whether, if a factor, every level has a column."""
    own = terms[place].variables
    if len(own) == 1:
        return (False,)
    earlier = [set(term.variables) for term in terms[:place]]
    return tuple(not any(set(own) - {variable} <= others for others in earlier) for variable in own)


def _open_first_factor(terms: list[TermLayout]) -> None:
    """Give the first factor of a predictor without intercept a column per level."""
    for place, layout in enumerate(terms):
        for position, variable in enumerate(layout.variables):
            if variable.is_category:
                full = list(layout.full)
                full[position] = True
                terms[place] = replace(layout, full=tuple(full))
                return


def fill_columns(
    layout: Layout, values: Mapping[Expression, kinds.Column], n_rows: int
) -> FloatArray:
    """Return the columns of a layout, shape (n_rows, columns), NaN where a value is missing.

    Parameters
    ----------
    layout : from ``plan_layout``
    values : every variable's value; factors must have no level that the layout doesn't know
    n_rows : number of rows
    """
    columns = np.empty((n_rows, len(layout.names)), order="F")
    if layout.intercept:
        columns[:, 0] = 1.0
    start = int(layout.intercept)
    for term in layout.terms:
        block = _term_columns(term, values, n_rows)
        columns[:, start : start + block.shape[1]] = block
        start += block.shape[1]
    return columns


def indicator_columns(
    layout: Layout, values: Mapping[Expression, kinds.Column], n_rows: int
) -> list[FloatArray]:
    """Columns of each term with an indicator for every level of its factors, (n_rows, columns).

    More columns than the layout has: the parameters of which contrasts are taken.
    """
    return [
        _term_columns(replace(term, full=(True,) * len(term.full)), values, n_rows)
        for term in layout.terms
    ]


def _term_columns(
    term: TermLayout, values: Mapping[Expression, kinds.Column], n_rows: int
) -> FloatArray:
    parts = [
        _variable_columns(variable, full, values[variable.expression])
        for variable, full in zip(term.variables, term.full, strict=True)
    ]
    block = parts[0]
    for own in parts[1:]:
        width = own.shape[1] * block.shape[1]  # said in full, for no rows can't say it
        block = (own[:, :, None] * block[:, None, :]).reshape(n_rows, width)
    return block


def _variable_columns(variable: Variable, full: bool, value: Any) -> FloatArray:
    if variable.kind == NUMERIC:
        return kinds.as_numbers(value)[:, None]
    if isinstance(value, kinds.Matrix):
        return value.values
    matrix = variable.contrasts(full=full).matrix
    codes = codes_of(value, variable)
    if codes.size and codes.min() < 0:  # code -1 picks the last row: missing
        matrix = np.vstack([matrix, np.full((1, matrix.shape[1]), np.nan)])
    return matrix[codes]


def codes_of(value: Any, variable: Variable) -> IntArray:
    """Return the positions of a vector's values among the fitted levels, -1 where missing.

    Raises
    ------
    DataError
        For a value that isn't one of the fitted levels; names it and the variable.
    """
    factor = kinds.as_factor(value)
    if factor.levels.size == len(variable.levels) and tuple(factor.levels) == variable.levels:
        return factor.codes
    factor = kinds.drop_unused(factor)
    places = {level: place for place, level in enumerate(variable.levels)}
    lookup = np.empty(factor.levels.size + 1, dtype=np.intp)
    lookup[-1] = -1
    for place, level in enumerate(factor.levels.tolist()):
        if level not in places:
            raise DataError(
                f"{variable.label!r} has the level {level!r}, which was not in the data the model "
                f"was fitted to{did_you_mean(level, variable.levels)}"
            )
        lookup[place] = places[level]
    return lookup[factor.codes]


def check_codings(
    codings: Mapping[str, Any] | None,
    parts: Sequence[LinearPart],
    values: Mapping[Expression, kinds.Column],
) -> dict[str, Coding]:
    """Return the contrasts asked for by the label of their factor; raise OptionError if unknown.

    The factors are those of fixed parts: of the mean's, and of those of further parameters.
    """
    if not codings:
        return {}
    factors: dict[str, None] = {}
    for term in (term for part in parts for term in part.terms):
        for expression, label in zip(term.variables, term.labels, strict=True):
            if isinstance(values[expression], kinds.Factor | kinds.Logical):
                factors[label] = None
    squeezed = {_squeezed(label): label for label in factors}
    checked: dict[str, Coding] = {}
    for name, coding in codings.items():
        known = squeezed.get(_squeezed(str(name)))
        if known is None:
            hint = did_you_mean(str(name), list(factors))
            raise OptionError(f"contrasts: {name!r} is not a factor of the fixed part{hint}")
        word = coding.removeprefix("contr.") if isinstance(coding, str) else coding
        checked[known] = check_option(f"contrasts[{name!r}]", word, Coding)
    return checked


def _squeezed(label: str) -> str:
    return label.replace(" ", "").replace("`", "")
