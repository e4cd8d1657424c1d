"""Nested factors of a reference grid: which of its combinations exist, and means over these.

A factor is nested in another if each of its levels occurs with one level of the other in the rows
used: clinics of one arm each. A clinic in the other arm is then no cell that the data failed to
fill but one that does not exist, and means are averages over those that do: over the clinics of
each arm first, then over the arms.

Source: Lenth (2016), J. Stat. Softw. 69(1); the rule is that of R's emmeans.
"""

from collections.abc import Mapping

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.design.values import Matrix, as_factor, drop_unused
from hierbayes.prediction.reference_grid import Predictor, ReferenceGrid, level_label
from hierbayes.results.fit import Fit, column_of_summands, is_streamed, used_column

HALF_A_ROW = 0.5  # counts of rows by sums are whole but for rounding


@record
class Nesting:
    """What is nested in what, and the combinations of a grid that exist.

    Attributes
    ----------
    nests : a nested factor, and the factors it is nested in
    exists : array of the grid's shape
    """

    nests: Mapping[str, tuple[str, ...]]
    exists: BoolArray

    def with_nests(self, names: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
        """Return predictors with those they are nested in, if not among them or ``other``."""
        needed = [outer for name in names for outer in self.nests.get(name, ())]
        added = [outer for outer in dict.fromkeys(needed) if outer not in (*names, *other)]
        return (*names, *added)

    def words(self) -> tuple[str, ...]:
        """Say what is nested in what."""
        parts = [f"{name} is nested in {' and '.join(outer)}" for name, outer in self.nests.items()]
        if not parts:
            return ()
        return (f"{'; '.join(parts)}: averages are over the combinations that exist.",)


def nesting(fit: Fit, grid: ReferenceGrid) -> Nesting:
    """Find the nested factors among the predictors of a grid, by the rows used."""
    exists = np.ones(grid.shape, dtype=bool)
    pairs = _pairs(fit, grid)
    nests: dict[str, tuple[str, ...]] = {}
    for name in grid.names():
        # Of two factors that say the same, the first is nested in the second, not both.
        outer = tuple(
            other
            for other in grid.names()
            if (name, other) in pairs
            and name not in nests.get(other, ())
            and (pairs[name, other].sum(axis=1) == 1).all()
        )
        if outer:
            nests[name] = outer
    place = {name: len(grid.shape) - 1 - i for i, name in enumerate(grid.names())}
    chosen = {p.name: p for p in grid.predictors}
    levels = _levels(fit, grid)
    for name, outers in nests.items():
        for other in outers:
            rows, columns = (_positions(chosen[n], levels[n][1]) for n in (name, other))
            cells = pairs[name, other][np.ix_(rows, columns)]
            axes = [1] * exists.ndim
            axes[place[name]], axes[place[other]] = cells.shape
            oriented = cells if place[name] < place[other] else cells.T
            exists &= oriented.reshape(axes)
    return Nesting(nests=nests, exists=exists)


def _levels(fit: Fit, grid: ReferenceGrid) -> dict[str, tuple[IntArray, list[str]]]:
    """Level of each row used, and the levels' labels, of the predictors that have levels."""
    found = {}
    for predictor in grid.predictors:
        if predictor.kind == "levels":
            read = used_column if is_streamed(fit) else column_of_summands  # its levels, once each
            factor = drop_unused(as_factor(read(fit, predictor.name)))
            if factor.levels.size > 1:
                found[predictor.name] = (factor.codes, factor.levels.tolist())
    return found


def _pairs(fit: Fit, grid: ReferenceGrid) -> dict[tuple[str, str], BoolArray]:
    """Which levels of two predictors occur together in the rows used, by their names."""
    if is_streamed(fit):
        return _pairs_of_sums(fit, grid)
    levels = _levels(fit, grid)
    found = {}
    for first, (a, labels_a) in levels.items():
        for second, (b, labels_b) in levels.items():
            if first != second:
                together = np.zeros((len(labels_a), len(labels_b)), dtype=bool)
                together[a, b] = True
                found[first, second] = together
    return found


def _pairs_of_sums(fit: Fit, grid: ReferenceGrid) -> dict[tuple[str, str], BoolArray]:
    """Which levels occur together in a stream, by how many rows have both.

    Columns of ones for the levels are combinations of the fixed-effects columns, so that sums over
    the rows count them; where they are none, rows would be needed.
    """
    design, found = fit.design, {}
    names = [p.name for p in grid.predictors if p.kind == "levels" and len(p.values) > 1]
    if len(names) < 2:
        return {}
    sums = design.rows.sums
    variables = {
        v.columns_used()[0]: v
        for v in design.mean.layout.variables()
        if len(v.columns_used()) == 1 and v.is_category
    }
    if sums is None or design.weights is not None or not set(names) <= set(variables):
        _ = design.X[:]  # says that rows were not kept
    assert sums is not None
    ones = {}
    for name in names:
        value = sums.made[variables[name].expression]
        assert not isinstance(value, Matrix)
        factor = drop_unused(as_factor(value))
        ones[name] = sums.surrogate(np.eye(factor.levels.size)[factor.codes])
    for first in names:
        for second in names:
            if first != second:
                found[first, second] = ones[first].T @ ones[second] > HALF_A_ROW
    return found


def _positions(predictor: Predictor, labels: list[str]) -> list[int]:
    """Positions of the values of a predictor in the grid among the levels in the data."""
    place = {label: i for i, label in enumerate(labels)}
    values = [str(v).upper() if isinstance(v, bool) else level_label(v) for v in predictor.values]
    return [place[value] for value in values]


def cell_counts(fit: Fit, grid: ReferenceGrid) -> FloatArray:
    """Rows used of each cell of a grid, or their weights where the model has some, of its shape.

    Values of a number that is none of two count alike: all rows are theirs.
    """
    if is_streamed(fit):
        _ = fit.design.X[:]  # says that rows were not kept
    levels, chosen = _levels(fit, grid), {p.name: p for p in grid.predictors}
    design = fit.design.summands
    weights = np.ones(design.y.shape[0]) if design.weights is None else design.weights
    weights = weights if design.counts is None else weights * design.counts
    sizes, codes, used = [], [], np.ones(weights.shape, dtype=bool)
    for name in reversed(grid.names()):
        if name not in levels:
            sizes.append(1)
            codes.append(np.zeros(weights.shape, dtype=np.intp))
            continue
        own, labels = levels[name]
        places = _positions(chosen[name], labels)
        back = np.full(len(labels), -1)
        back[places] = np.arange(len(places))
        sizes.append(len(places))
        codes.append(back[own])
        used &= back[own] >= 0
    at = np.ravel_multi_index([code[used] for code in codes], sizes) if sizes else 0
    counts = np.bincount(np.atleast_1d(at), weights[used], int(np.prod(sizes, dtype=int)))
    return np.broadcast_to(counts.reshape(sizes), grid.shape).astype(np.float64)


def grid_means(
    values: FloatArray, exists: BoolArray, *, axes: list[str], order: list[str]
) -> tuple[FloatArray, BoolArray]:
    """Average an array over the grid, one predictor after the other, over the cells that exist.

    Parameters
    ----------
    values : array, shape (*grid, k)
    exists : array, shape (*grid,)
    axes : the predictor of each axis
    order : the predictors to average over; nested ones stand before those they are nested in

    Returns
    -------
    means : array of the axes left, and k
    exists : which of them have any cell
    """
    left = list(axes)
    for name in order:
        axis = left.index(name)
        left.pop(axis)
        weights = exists / np.maximum(exists.sum(axis=axis, keepdims=True), 1)
        values = (values * weights[..., None]).sum(axis=axis)
        exists = exists.any(axis=axis)
    return values, exists
