"""From a formula and a data frame to a Design: the one entry of this package while fitting."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.design.checks import (
    check_known_sd,
    check_levels,
    check_not_swapped,
    check_weights,
    response_numbers,
)
from hierbayes.design.coding import check_codings, fill_columns, plan_layout
from hierbayes.design.design import MEAN, Design
from hierbayes.design.grouping import Laid, random_part
from hierbayes.design.layout import OffsetLayout
from hierbayes.design.level_covariance import LevelCovariance
from hierbayes.design.new_data import new_rows
from hierbayes.design.predictor import Predictor
from hierbayes.design.reading import Reading, read_variables
from hierbayes.design.rows import Rows
from hierbayes.design.values import as_numbers, refuse_caution
from hierbayes.errors import FormulaError
from hierbayes.formula.deparse import deparse
from hierbayes.formula.residual_term import ResidualTerm
from hierbayes.formula.terms import Formula
from hierbayes.options import Coding

__all__ = ["build_design", "new_rows"]


def build_design(
    formula: Formula,
    data: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    known_sd: Any = None,
    allow_saturated: bool = False,
    binary_response: bool = False,
    ordered_response: bool = False,
    cov: Mapping[str, LevelCovariance] | None = None,
    formulas: Mapping[str, Formula] | None = None,
    residual: ResidualTerm | None = None,
) -> Design:
    """Lay a formula over data.

    Parameters
    ----------
    formula : from ``parse_formula``, with ``.`` expanded
    data : pandas, polars or pyarrow frame or any other narwhals reads, a dict of arrays, or the
        path of a CSV or Parquet file; never changed
    weights : precision weights: a column's name, an expression, or an array with one positive
        number per row of the data; a pandas Series is matched by its labels
    offset : known part of the linear predictor, given in the same ways
    contrasts : coding of factors in X by their name (``"recipe"``, ``"factor(nitro)"``):
        "treatment", "sum", "helmert" or "poly"; as in lme4, bars keep the default coding
    known_sd : known residual sds, given like weights
    allow_saturated : as many levels as rows are allowed, for families without a residual
        variance; true by itself when known_sd is given
    binary_response : a response with two levels is allowed and coded 0 (first level) and 1
    ordered_response : a response of ordered categories is allowed and coded 1, 2, ...
    cov : known covariances between the levels of the mean's grouping factors, by their names
    formulas : of further parameters, by their names, from ``parse_one_sided``
    residual : the correlation of residuals, from ``parse_residual``

    Raises
    ------
    DataError
        If the data can't carry the model; the message names column, rows and remedy.
    FormulaError
        If the formula asks for something these columns can't do; the message shows the place.
    OptionError
        For contrasts of something that isn't a factor of X, or an unknown coding.
    """
    given = {"weights": weights, "offset": offset, "known_sd": known_sd}
    formulas = dict(formulas or {})
    further = (*formulas.values(), *(() if residual is None else (residual.formula,)))
    reading = read_variables(formula, data, given, further)
    values, arguments = reading.values, reading.arguments
    if "weights" in arguments:
        check_weights(arguments["weights"], reading.row_labels)
    if "known_sd" in arguments:
        check_known_sd(arguments["known_sd"], reading.row_labels)
    y = response_numbers(
        values[formula.response], formula, binary=binary_response, ordered=ordered_response
    )
    every = (formula, *formulas.values())
    codings = check_codings(contrasts, [one.fixed for one in every], values)
    saturated = allow_saturated or known_sd is not None
    mean = _predictor(
        formula, reading, codings, relations=cov, allow_saturated=saturated, offset=offset
    )
    others = {
        name: _predictor(own, reading, codings, relations=None, allow_saturated=True)
        for name, own in formulas.items()
    }
    rows = Rows(
        response=y,
        labels=reading.row_labels,
        positions=reading.rows,
        n_given=reading.n_rows_given,
        dropped=reading.dropped,
        values=values,
        weights=arguments.get("weights"),
        known_sd=arguments.get("known_sd"),
        precision_source=next((a for a in (weights, known_sd) if isinstance(a, str)), None),
        counts=reading.counts,
    )
    return Design(
        formula=formula,
        rows=rows,
        predictors={MEAN: mean, **others},
        states=reading.states,
        formulas=formulas,
        residual=residual,
    )


def _predictor(
    formula: Formula,
    reading: Reading,
    codings: Mapping[str, Coding],
    *,
    relations: Mapping[str, LevelCovariance] | None,
    allow_saturated: bool,
    offset: Any = None,
) -> Predictor:
    """Return the linear predictor of a formula, with its offsets and the one that was given."""
    values, n_rows = reading.values, reading.rows.size
    check_not_swapped(formula, values)
    fixed = plan_layout(formula.fixed, values, codings)
    X = fill_columns(fixed, values, n_rows)
    laid = None if codings else Laid(part=formula.fixed, layout=fixed, columns=X)
    random = random_part(formula, values, n_rows, relations=relations, fixed=laid)
    check_levels(
        random.factors,
        random.terms,
        formula=formula,
        n_rows=n_rows if reading.counts is None else int(reading.counts.sum()),
        allow_saturated=allow_saturated,
    )
    return Predictor(
        X=X,
        layout=fixed,
        factors=random.factors,
        terms=random.terms,
        offset=_total_offset(formula, reading, with_argument=offset is not None),
        offset_layout=OffsetLayout(
            terms=formula.fixed.offsets,
            argument=offset if isinstance(offset, str) else None,
            is_array=offset is not None and not isinstance(offset, str),
        ),
    )


def _total_offset(formula: Formula, reading: Reading, *, with_argument: bool) -> FloatArray | None:
    """Return offset terms, and the offset argument, added up; None when there is neither."""
    parts = [reading.values[expression] for expression in formula.fixed.offsets]
    for part in parts:
        refuse_caution(part)
    numbers = [part for part in parts if isinstance(part, np.ndarray)]
    if len(numbers) < len(parts):
        raise FormulaError(
            "offset() needs numbers: "
            + ", ".join(deparse(expression) for expression in formula.fixed.offsets)
            + " holds categories."
        )
    total = [as_numbers(part) for part in numbers]
    if with_argument and "offset" in reading.arguments:
        total.append(reading.arguments["offset"])
    return np.sum(total, axis=0) if total else None
