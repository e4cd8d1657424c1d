"""Averages over a reference grid: which cells make a marginal mean, and with which weights.

"equal": every value of a predictor that is averaged over counts alike, within the levels of what
it is nested in first. "cells": by the rows used in each cell. "flat": alike, over cells that have
rows. "proportional": by the rows used with each combination of what is averaged over, the same for
all means. "outer": by the product of the shares of single values.

Source: Searle, Speed & Milliken (1980), Am. Stat. 34:216; Lenth (2016), J. Stat. Softw. 69(1).
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise, product
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.errors import OptionError
from hierbayes.marginal_means.nesting import Nesting, cell_counts, grid_means
from hierbayes.options import MeanWeights, check_option
from hierbayes.prediction.reference_grid import ReferenceGrid
from hierbayes.results.fit import Fit
from hierbayes.wording import shown

OVERALL = "1"  # the column of a mean that is over everything, as R calls it
WORDS: dict[MeanWeights, str] = {
    "equal": "with equal weights",
    "proportional": "in proportion to their rows",
    "outer": "in proportion to the rows of each value alone",
    "cells": "weighed by the rows of each cell",
    "flat": "with equal weights of the cells that have rows",
}


@record
class Averaging:
    """What is averaged over what.

    Attributes
    ----------
    grid, nested : the reference grid, and which of its cells exist
    specs, by : predictors whose values are told apart
    weights : array of the grid's shape; None for equal weights, from the inside of nested factors
    words : how it is weighed
    """

    grid: ReferenceGrid
    nested: Nesting
    specs: tuple[str, ...]
    by: tuple[str, ...]
    weights: FloatArray | None
    words: str

    @classmethod
    def of(
        cls,
        fit: Fit,
        grid: ReferenceGrid,
        nested: Nesting,
        *,
        specs: tuple[str, ...],
        by: tuple[str, ...],
        weights: Any,
    ) -> "Averaging":
        """Read the argument ``weights``.

        Raises
        ------
        OptionError
            If it is none of the words, nor numbers for the combinations averaged over, or what is
            nested has no such weights.
        """
        if weights == "show.levels":
            raise OptionError(
                "weights='show.levels': print the table instead; it says what is averaged over."
            )
        is_word = isinstance(weights, str) or not isinstance(weights, Sequence | np.ndarray)
        if is_word:
            check_option("weights", weights, MeanWeights)
        words = WORDS[weights] if is_word else "with the weights given"
        found = None
        if not (is_word and weights == "equal"):
            if nested.nests and not (is_word and weights in ("cells", "flat")):
                raise OptionError(
                    f"weights={shown(weights)} is for factors that are crossed; with nested ones "
                    "take 'equal', 'cells' or 'flat'."
                )
            found = _weights(fit, grid, weights, wanted=(*specs, *by))
        return cls(grid=grid, nested=nested, specs=specs, by=by, weights=found, words=words)

    @property
    def wanted(self) -> tuple[str, ...]:
        """Predictors that are told apart, the fastest first."""
        return self.specs + self.by

    @property
    def _axes(self) -> list[str]:
        return list(self.grid.names()[::-1])

    @cached_property
    def exists(self) -> BoolArray:
        """Which combinations of the wanted predictors have cells."""
        return self._averaged(np.ones((*self.grid.shape, 1)))[1]

    def average(self, columns: FloatArray) -> FloatArray:
        """Average (N, k) columns of the grid's rows: (r, k), one row a mean."""
        values = columns.reshape(*self.grid.shape, columns.shape[1])
        return self._averaged(values)[0].reshape(-1, columns.shape[1])[self.exists]

    @cached_property
    def has_weight(self) -> BoolArray:
        """Which means (r,) have cells with weight."""
        if self.weights is None:
            return np.ones(int(self.exists.sum()), dtype=bool)
        total = self._total(self.weights * self.nested.exists)
        return np.asarray(total.ravel()[self.exists] > 0)

    def _averaged(self, values: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Means of values (*grid, k), the wanted predictors as axes, and which exist, flat."""
        over = [name for name in self._axes if name not in self.wanted]
        if self.weights is None:
            over.sort(key=lambda name: -len(self.nested.nests.get(name, ())))
            means, exists = grid_means(values, self.nested.exists, axes=self._axes, order=over)
        else:
            exists = self.nested.exists
            weights = self.weights * exists
            axes = tuple(self._axes.index(name) for name in over)
            total = weights.sum(axis=axes, keepdims=True)
            share = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
            means, exists = (values * share[..., None]).sum(axis=axes), exists.any(axis=axes)
        order = self._order
        return means.transpose(*order, len(order)), exists.transpose(order).ravel()

    def _total(self, weights: FloatArray) -> FloatArray:
        axes = tuple(i for i, name in enumerate(self._axes) if name not in self.wanted)
        return np.asarray(weights.sum(axis=axes).transpose(self._order))

    @property
    def _order(self) -> list[int]:
        left = [name for name in self._axes if name in self.wanted]
        return [left.index(name) for name in reversed(self.wanted)]

    @cached_property
    def labels(self) -> pd.DataFrame:
        """Values of the wanted predictors, one row a mean."""
        values = {p.name: p.values for p in self.grid.predictors}
        combinations = product(*(values[name] for name in reversed(self.wanted)))
        rows = [row[::-1] for row, own in zip(combinations, self.exists, strict=True) if own]
        labels = pd.DataFrame(rows, columns=list(self.wanted))
        if not self.specs:
            return pd.DataFrame({OVERALL: ["overall"] * len(rows), **labels})
        return labels

    @cached_property
    def groups(self) -> tuple[slice, ...]:
        """Rows of the means that share the values of ``by``; they stand together."""
        labels, by = self.labels, list(self.by)
        keys = list(labels[by].itertuples(index=False, name=None)) if by else [()] * len(labels)
        starts = [i for i, key in enumerate(keys) if i == 0 or key != keys[i - 1]]
        return tuple(slice(a, b) for a, b in pairwise([*starts, len(keys)]))


def _weights(fit: Fit, grid: ReferenceGrid, given: Any, *, wanted: tuple[str, ...]) -> FloatArray:
    """Weights of the cells of a grid, of its shape."""
    axes = list(grid.names()[::-1])
    over = tuple(i for i, name in enumerate(axes) if name not in wanted)
    if not isinstance(given, str):
        return _given_weights(grid, given, over)
    counts = cell_counts(fit, grid)
    if given == "cells":
        return counts
    if given == "flat":
        return (counts > 0).astype(np.float64)
    kept = tuple(i for i in range(len(axes)) if i not in over)
    margin = counts.sum(axis=kept, keepdims=True)
    if given == "outer":
        total, product_ = margin.sum(), np.ones(margin.shape)
        for axis in over:
            others = tuple(i for i in range(len(axes)) if i != axis)
            product_ = product_ * (margin.sum(axis=others, keepdims=True) / total)
        margin = product_
    return np.broadcast_to(margin, grid.shape).astype(np.float64)


def _given_weights(grid: ReferenceGrid, given: Any, over: tuple[int, ...]) -> FloatArray:
    """Numbers for the combinations averaged over, the first predictor of the grid fastest."""
    sizes = [grid.shape[i] if i in over else 1 for i in range(len(grid.shape))]
    count = int(np.prod(sizes, dtype=int))
    numbers = np.asarray(given, dtype=np.float64) if np.ndim(given) == 1 else np.empty(0)
    if numbers.size != count or not (numbers >= 0).all() or not numbers.sum() > 0:
        names = [name for i, name in enumerate(grid.names()[::-1]) if i in over and sizes[i] > 1]
        what = " x ".join(reversed(names)) or "nothing"
        raise OptionError(
            f"weights={shown(given)} must be {count} numbers, none below zero: one for each "
            f"combination averaged over ({what}, the first fastest)."
        )
    return np.broadcast_to(numbers.reshape(sizes), grid.shape).astype(np.float64)
