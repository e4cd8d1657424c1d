"""The design of a model: its rows, and a linear predictor for each parameter that has one.

The mean's predictor is always there (``MEAN``); what is asked of a design without a parameter's
name, as ``design.X``, is said of it. That of a further parameter (``sigma="~ x"``) is
``design.predictors["sigma"]``, and ``design.of("sigma")`` is the design as that parameter has it:
the same rows, with its formula and predictor in the place of the mean's. A design is laid over
other rows by its methods, and new data in its columns by ``design/new_data.py``, for which it needs
no rows of its own.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

import numpy.typing as npt
import pandas as pd

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.model_frame import model_frame
from hierbayes.design.not_kept import rows_not_kept
from hierbayes.design.predictor import (
    MISSING_LEVEL,
    NEW_LEVEL,
    GroupingFactor,
    Predictor,
    RandomTerm,
)
from hierbayes.design.rows import Rows
from hierbayes.design.transforms import State
from hierbayes.design.values import Column
from hierbayes.formula.deparse import deparse
from hierbayes.formula.expressions import Expression
from hierbayes.formula.residual_term import ResidualTerm
from hierbayes.formula.terms import Formula

__all__ = (
    "MEAN",
    "MISSING_LEVEL",
    "NEW_LEVEL",
    "Design",
    "GroupingFactor",
    "NewRows",
    "Predictor",
    "RandomTerm",
    "Rows",
)

MEAN = "mu"  # the parameter whose predictor every model has


@record
class Design:
    """Arrays of a model with their names; rows with missing values are already dropped.

    Attributes
    ----------
    formula : the formula, with ``.`` expanded
    rows : the rows used: their response, weights and place in the user's frame
    predictors : a linear predictor by parameter; that of ``MEAN`` at least
    states : what scale, poly, splines ... learnt, by their expression
    cells : the distinct rows with their counts, where rows were a stream and these stand for them
    formulas : of the further parameters that have one, by their names
    residual : the correlation of residuals, None where they are independent
    """

    formula: Formula
    rows: Rows
    predictors: Mapping[str, Predictor]
    states: Mapping[Expression, State]
    cells: "Design | None" = None
    formulas: Mapping[str, Formula] = field(default_factory=dict)
    residual: ResidualTerm | None = None

    def of(self, parameter: str) -> "Design":
        """Return the design as a further parameter with a formula has it, in the mean's place."""
        return replace(
            self,
            formula=self.formulas[parameter],
            predictors={MEAN: self.predictors[parameter]},
            formulas={},
            residual=None,
        )

    @property
    def summands(self) -> "Design":
        """The design whose rows the likelihood sums over: the cells where there are such."""
        return self if self.cells is None else self.cells

    # the mean's predictor

    @property
    def mean(self) -> Predictor:
        """The linear predictor of the mean."""
        return self.predictors[MEAN]

    @property
    def X(self) -> FloatArray:
        """Columns of the mean's fixed part, shape (n, p), dependent ones included."""
        return self.mean.X

    @property
    def assign(self) -> IntArray:
        """Of each column of X its term, shape (p,): 0 for the intercept, k for the k-th term."""
        return self.mean.assign

    @property
    def coef_names(self) -> tuple[str, ...]:
        """The names of the columns of X as R prints them."""
        return self.mean.coef_names

    @property
    def factors(self) -> tuple[GroupingFactor, ...]:
        """The mean's grouping factors by decreasing number of levels."""
        return self.mean.factors

    @property
    def terms(self) -> tuple[RandomTerm, ...]:
        """The mean's covariance terms in lme4's order."""
        return self.mean.terms

    @property
    def offset(self) -> FloatArray | None:
        """Offset of the mean, shape (n,); None when there is none."""
        return self.mean.offset

    @property
    def baselines(self) -> dict[str, str]:
        """Per factor of the mean's fixed part its baseline level or the name of its coding."""
        return self.mean.layout.baselines()

    # the rows

    @property
    def y(self) -> FloatArray:
        """Response, shape (n,), or (n, 2) for ``cbind(successes, failures)``, in its units."""
        return self.rows.response

    @property
    def weights(self) -> FloatArray | None:
        """Precision weights, shape (n,), all positive; None when not given."""
        return self.rows.weights

    @property
    def known_sd(self) -> FloatArray | None:
        """Known residual sds, shape (n,); None when not given."""
        return self.rows.known_sd

    @property
    def keeps_rows(self) -> bool:
        """Whether it holds rows; those of a stream are not kept."""
        return self.rows.moments is None

    @property
    def counts(self) -> IntArray | None:
        """How many equal rows of the data each row is, shape (n,), in a design of cells."""
        return self.rows.counts

    @property
    def n_rows(self) -> int:
        """Number of rows of the data that are used."""
        return self.y.shape[0] if self.counts is None else int(self.counts.sum())

    @property
    def row_labels(self) -> pd.Index:
        """Labels of the rows used in the user's frame."""
        return self.rows.labels

    @property
    def n_rows_given(self) -> int:
        """Rows of the user's frame."""
        return self.rows.n_given

    @property
    def dropped(self) -> dict[str, int]:
        """Per column the number of rows in which it was missing."""
        return self.rows.dropped

    @property
    def variables(self) -> dict[str, Column]:
        """The variables of the model as they were read, rows used only, by R's label."""
        return {deparse(expression): value for expression, value in self.rows.values.items()}

    @property
    def model_frame(self) -> pd.DataFrame:
        """The variables of the model as pandas columns, rows used only; built when asked for."""
        return model_frame(self.variables, self.row_labels)

    # other designs

    def with_mean(self, mean: Predictor) -> "Design":
        """Return the design with another predictor of the mean, over the same rows."""
        self.need_rows("the rows one by one")
        return replace(self, predictors={**self.predictors, MEAN: mean})

    def with_response(self, y: FloatArray) -> "Design":
        """Return the design of another response, shape (n,) or (n, 2)."""
        self.need_rows("the rows one by one")
        return replace(self, rows=self.rows.with_response(y, self.formula.response))

    def need_rows(self, what: str) -> None:
        """Refuse what needs ``what`` of the rows, where these are known by their cells alone."""
        if self.cells is not None:
            raise rows_not_kept(what)

    def with_rows(self, rows: npt.NDArray[Any]) -> "Design":
        """Return the design over some of its rows, in any order.

        Parameters
        ----------
        rows : positions (in any order, also repeated) or an array of truth values
        """
        self.need_rows("the rows one by one")
        predictors = {name: own.with_rows(rows) for name, own in self.predictors.items()}
        return replace(self, rows=self.rows.some(rows), predictors=predictors)


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
    row_labels: pd.Index
