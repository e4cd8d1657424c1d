"""A linear predictor: eta = X beta + the sum over factors of Z b + offset, one number a row.

A model has one for the mean, and may have one for each further parameter of its family. There is
no Z matrix: row i of Z holds ``factor.z[i]`` in the columns of level ``factor.codes[i]``.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.layout import FactorLayout, Layout, OffsetLayout
from hierbayes.design.level_covariance import LevelCovariance
from hierbayes.design.not_kept import NotKept, not_kept

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
    layout : how levels and columns are computed
    relation : the known covariance between the levels; None where they are independent
    """

    name: str
    levels: npt.NDArray[Any]
    codes: IntArray
    z: FloatArray
    columns: tuple[str, ...]
    layout: FactorLayout
    relation: LevelCovariance | None = None

    def with_rows(self, rows: npt.NDArray[Any]) -> "GroupingFactor":
        """Return the factor over some of its rows, in any order; all levels stay."""
        return replace(self, codes=self.codes[rows], z=self.z[rows])

    def spread(self, v: FloatArray) -> FloatArray:
        """Return effects (..., J, c) of independent levels as those of the levels as related."""
        return v if self.relation is None else np.asarray(self.relation.root @ v)

    def sums_with(self, values: FloatArray) -> FloatArray:
        """Return the sum over each level's rows of z times values (n, c), shape (J, q, c)."""
        sums = np.empty((self.levels.size, self.z.shape[1], values.shape[1]))
        for k, z in enumerate(self.z.T):
            for c, own in enumerate(values.T):
                sums[:, k, c] = np.bincount(self.codes, z * own, minlength=self.levels.size)
        return sums

    def _some_columns(self, columns: Sequence[int]) -> FloatArray:
        if isinstance(self.z, NotKept):
            return not_kept(self.z.what, len(self.z), len(columns))
        return self.z[:, list(columns)]

    def with_columns(self, columns: Sequence[int]) -> "GroupingFactor":
        """Return the factor with some of its columns."""
        return replace(
            self,
            z=self._some_columns(columns),
            columns=tuple(self.columns[c] for c in columns),
            layout=replace(self.layout, order=tuple(self.layout.order[c] for c in columns)),
        )


@record
class RandomTerm:
    """One term of the covariance: columns of one factor with a covariance among them.

    ``(x || g)`` gives one term a column.

    Attributes
    ----------
    factor : position of its factor in ``Predictor.factors``
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
class Predictor:
    """The columns of one linear predictor over the rows used.

    Attributes
    ----------
    X : array, shape (n, p), all columns of the fixed part, dependent ones included
    layout : what these columns are
    factors : the grouping factors by decreasing number of levels, in the order of ``terms``
    terms : the covariance terms in lme4's order: by decreasing number of levels; ties in formula
        order, reversed (as lme4 does) when the formula's order had to be changed at all
    offset : array, shape (n,), argument and ``offset()`` terms added up; None when there is none
    offset_layout : where it comes from
    """

    X: FloatArray
    layout: Layout
    factors: tuple[GroupingFactor, ...]
    terms: tuple[RandomTerm, ...]
    offset: FloatArray | None = None
    offset_layout: OffsetLayout = OffsetLayout()

    @property
    def coef_names(self) -> tuple[str, ...]:
        """The p column names of X as R prints them."""
        return self.layout.names

    @property
    def assign(self) -> IntArray:
        """Of each column of X its term, shape (p,): 0 for the intercept, k for the k-th term."""
        return self.layout.assign

    def fixed_columns(self) -> tuple[str, ...]:
        """Columns of the data that the fixed part and its offsets use, each once."""
        used = (*self.layout.columns_used(), *self.offset_layout.columns_used())
        return tuple(dict.fromkeys(used))

    def random_columns(self) -> tuple[str, ...]:
        """Columns of the data left of the bars, each once."""
        used = [name for factor in self.factors for name in factor.layout.columns_used()]
        return tuple(dict.fromkeys(used))

    def grouping_columns(self) -> tuple[str, ...]:
        """Columns of the data that make the levels of the factors, each once."""
        used = [name for factor in self.factors for name in factor.layout.grouping_columns()]
        return tuple(dict.fromkeys(used))

    def coded(self) -> frozenset[str]:
        """Columns of the data that stand for categories in a term; ``Variable.coded``."""
        return self.layout.coded().union(*(own.layout.coded() for own in self.factors))

    def with_rows(self, rows: npt.NDArray[Any]) -> "Predictor":
        """Return the predictor over some of its rows, in any order."""
        return replace(
            self,
            X=self.X[rows],
            factors=tuple(factor.with_rows(rows) for factor in self.factors),
            offset=None if self.offset is None else self.offset[rows],
        )

    def without_offset(self) -> "Predictor":
        """Return the predictor without any offset, in new data too."""
        return replace(self, offset=None, offset_layout=OffsetLayout())
