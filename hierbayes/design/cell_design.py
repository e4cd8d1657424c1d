"""The design of a model whose rows are cells: levels and columns as data in memory have them.

The likelihood sums over the cells, with their counts (``Design.summands``). Questions about rows
meet arrays that were never kept, as in the design of any stream: a cell is no row.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.design.counted import counted_moments
from hierbayes.design.design import MEAN, Design
from hierbayes.design.moments import RowMoments
from hierbayes.design.not_kept import not_kept
from hierbayes.design.values import Column, Factor, Logical
from hierbayes.formula.deparse import deparse
from hierbayes.formula.expressions import Expression


def design_of_cells(cells: Design) -> Design:
    """Return the design of the rows that cells stand for.

    Parameters
    ----------
    cells : of a table of cells, with ``counts``

    Returns
    -------
    Design
        Its numbers of rows are those of the data, and ``summands`` are the cells.
    """
    n, mean = cells.n_rows, cells.mean
    factors = tuple(
        replace(
            factor,
            codes=not_kept(f"the levels of {factor.name} of the rows", n, dtype=np.intp),
            z=not_kept(f"the columns of the effects of {factor.name}", n, len(factor.columns)),
        )
        for factor in mean.factors
    )
    own = replace(
        mean,
        X=not_kept("the fixed-effects columns of the rows", n, mean.X.shape[1]),
        factors=factors,
        offset=None if mean.offset is None else not_kept("the offset of the rows", n),
    )
    rows, given = cells.rows, cells.rows.values
    kept = replace(
        rows,
        response=not_kept("the response of the rows", n, *rows.response.shape[1:]),
        labels=not_kept("the labels of the rows", n, dtype=object),
        positions=not_kept("the places of the rows in the data", n, dtype=np.intp),
        values={name: without_rows(value, name, n) for name, value in given.items()},
        weights=None if rows.weights is None else not_kept("the weights of the rows", n),
        known_sd=None if rows.known_sd is None else not_kept("the known sds of the rows", n),
        counts=None,
        moments=_moments(cells),
    )
    return replace(cells, rows=kept, predictors={MEAN: own}, cells=cells)


def _moments(cells: Design) -> RowMoments:
    counts = cells.counts
    assert counts is not None
    y = cells.y
    if y.ndim == 2:
        y = y[:, 0] / np.maximum(y.sum(axis=1), 1)
    offset = np.zeros(y.size) if cells.offset is None else cells.offset
    return RowMoments(
        response=counted_moments(y[:, None], counts),
        left=counted_moments((y - offset)[:, None], counts),
        X=counted_moments(cells.X, counts),
        z=tuple(counted_moments(factor.z, counts) for factor in cells.factors),
        offset=None if cells.offset is None else counted_moments(offset[:, None], counts),
    )


def without_rows(value: Column, name: Expression, n: int) -> Any:
    """Return a variable of the formula with its levels, of n rows that are not kept."""
    what = f"the values of {deparse(name)}"
    if isinstance(value, Factor):
        return replace(value, codes=not_kept(what, n, dtype=np.intp))
    if isinstance(value, Logical):
        return Logical(not_kept(what, n))
    return not_kept(what, n)
