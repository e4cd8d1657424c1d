"""Residual sds that follow from the fitted values: ``fitted`` in the formula of sigma.

``sigma="~ log(fitted)"`` has sds sigma |f_i|^delta, where f = X beta + Z b are the fitted values,
and ``"~ fitted"`` sigma exp(delta f_i). As in nlme's varPower and varExp f is a covariate like any
other while a model is fitted, and the fit is repeated with the fitted values of the last one until
they stay (``likelihood/fitted_sds.py``). So f is a column of the table that the data do not have; a
column that they have under this name is what is meant instead.

Source: Pinheiro & Bates (2000), Mixed-Effects Models in S and S-PLUS, section 5.2; Davidian &
Giltinan (1995), Nonlinear Models for Repeated Measurement Data, section 2.3 (generalised least
squares with estimated variance functions).
"""

from collections.abc import Mapping

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design
from hierbayes.design.reading import formula_expressions, part_expressions
from hierbayes.design.table import Table
from hierbayes.errors import NotSupportedError
from hierbayes.families.family import Family
from hierbayes.formula.expressions import names_in
from hierbayes.formula.terms import Formula

FITTED = "fitted"
SIGMA = "sigma"


def unknown_fitted_sds(what: str) -> NotSupportedError:
    """Return the error of what takes residual sds for known functions of the data."""
    return not_supported("fitted-sds", what=what)


def means_fitted(formulas: Mapping[str, Formula], table: Table, family: Family) -> bool:
    """Whether the formula of sigma has the fitted values of the model in it.

    Raises
    ------
    NotSupportedError
        If they stand in a random-effects term of it, or beside formulas of other parameters.
    """
    own = formulas.get(SIGMA)
    if own is None or not family.is_linear or FITTED in table.names:
        return False
    everywhere = {name for one in list(formula_expressions(own))[1:] for name in names_in(one)}
    if FITTED not in everywhere:
        return False
    in_fixed = {name for one in part_expressions(own.fixed) for name in names_in(one)}
    if FITTED not in in_fixed or own.bars or set(formulas) != {SIGMA}:
        raise unknown_fitted_sds("A formula of sigma with random effects")
    return True


def first_fitted_values(design: Design) -> FloatArray:
    """Fitted values (n,) to begin with: weighted least squares, and means of levels, shrunk.

    A level's mean counts as if one row more had nothing left over.
    """
    root = np.ones(design.y.size) if design.weights is None else np.sqrt(design.weights)
    offset = 0.0 if design.offset is None else design.offset
    rest = design.y - offset
    beta = np.linalg.lstsq(design.X * root[:, None], rest * root, rcond=None)[0]
    fitted = np.asarray(design.X @ beta + offset)
    for factor in design.factors:
        counts = np.bincount(factor.codes, minlength=factor.levels.size)
        sums = np.bincount(factor.codes, design.y - fitted, minlength=factor.levels.size)
        fitted += (sums / (counts + 1.0))[factor.codes]
    return fitted


def with_fitted_column(table: Table, design: Design, fitted: FloatArray) -> Table:
    """Return the table with fitted values (n,) in the rows of a design, their mean in others."""
    column = np.full(table.n_rows, float(fitted.mean()))
    column[design.rows.positions] = fitted
    return table.with_made(FITTED, column)
