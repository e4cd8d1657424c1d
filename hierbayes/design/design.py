"""The design of a model: the arrays with names that everything after works on.

y (n,), X (n, p), and per grouping factor a level index (n,) with a small dense row (n, q). There
is no Z matrix: row i of Z holds ``factor.z[i]`` in the columns of level ``factor.codes[i]``.
"""

from dataclasses import field
from typing import Any

import numpy.typing as npt
import pandas as pd

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.formula.terms import Formula

NEW_LEVEL = -1  # code of a level the model was not fitted to
MISSING_LEVEL = -2  # code of a missing value of the grouping factor


@record
class GroupingFactor:
    """One grouping factor and the columns of all its random-effects terms.

    Attributes
    ----------
    name : lme4's name, for example ``"Subject"`` or ``"cask:batch"``
    levels : array of str, shape (J,), the labels of the levels present, in lme4's order
    codes : array of int, shape (n,), the level of each row; in new data also NEW_LEVEL and
        MISSING_LEVEL
    z : array, shape (n, q), the columns of all terms of this factor, in units of those columns
    columns : the q column names, for example ``("(Intercept)", "Days")``
    """

    name: str
    levels: npt.NDArray[Any]
    codes: IntArray
    z: FloatArray
    columns: tuple[str, ...]


@record
class RandomTerm:
    """One term of the covariance: columns of one factor with a covariance among them.

    ``(x || g)`` gives one term a column.

    Attributes
    ----------
    factor : position of its factor in ``Design.factors``
    columns : positions of its columns in that factor's ``columns``
    name : lme4's name in VarCorr: ``"Subject"``, a second term of the factor ``"Subject.1"``
    label : the bar it comes from, for example ``"(Days | Subject)"``
    covariance : name of the structure of its covariance (``gaussian/structures.py``); "us", full
    """

    factor: int
    columns: tuple[int, ...]
    name: str
    label: str
    covariance: str = "us"


@record
class Design:
    """Arrays of a model with their names; rows with missing values are already dropped.

    Attributes
    ----------
    formula : the formula, with ``.`` expanded
    y : array, shape (n,), or (n, 2) for ``cbind(successes, failures)``, units of the response
    X : array, shape (n, p), all columns of the fixed part, dependent ones included
    coef_names : the p column names as R prints them
    assign : array of int, shape (p,): 0 for the intercept, k for a column of the k-th fixed term
    factors : the grouping factors by decreasing number of levels, in the order of ``terms``
    terms : the covariance terms in lme4's order: by decreasing number of levels; ties in formula
        order, reversed (as lme4 does) when the formula's order had to be changed at all
    weights : array, shape (n,), precision weights, all positive; None when not given
    offset : array, shape (n,), argument and ``offset()`` terms added up; None when there is none
    known_sd : array, shape (n,), known residual sds; None when not given
    row_labels : index of the rows used in the user's frame (a pandas Index)
    rows : array of int, shape (n,), positions of the rows used in the user's frame
    n_rows_given : rows of the user's frame
    dropped : per column the number of rows in which it was missing
    variables : the variables of the model as they were read, rows used only, by R's label
    baselines : per factor of the fixed part, its baseline level or the name of its coding
    recipe : what is needed to lay new data out in the same columns (``design.new_data``)
    """

    formula: Formula
    y: FloatArray
    X: FloatArray
    coef_names: tuple[str, ...]
    assign: IntArray
    factors: tuple[GroupingFactor, ...]
    terms: tuple[RandomTerm, ...]
    weights: FloatArray | None = None
    offset: FloatArray | None = None
    known_sd: FloatArray | None = None
    row_labels: Any = None
    rows: IntArray | None = None
    n_rows_given: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    baselines: dict[str, str] = field(default_factory=dict)
    recipe: Any = None

    @property
    def model_frame(self) -> pd.DataFrame:
        """The variables of the model as pandas columns, rows used only; built when asked for."""
        from hierbayes.design.model_frame import model_frame

        return model_frame(self.variables, self.row_labels)


@record
class NewRows:
    """New data in the columns of a fitted design; rows in = rows out.

    Attributes
    ----------
    X : array, shape (m, p), NaN in rows with a missing predictor
    factors : as in the design, with the fitted levels; codes may be NEW_LEVEL or MISSING_LEVEL
    offset : array, shape (m,), or None
    new_labels : per factor name, the label of each row (array of object, shape (m,)), so that
        rows with the same new level can share a draw
    row_labels : index of the rows
    """

    X: FloatArray
    factors: tuple[GroupingFactor, ...]
    offset: FloatArray | None
    new_labels: dict[str, npt.NDArray[Any]]
    row_labels: Any
