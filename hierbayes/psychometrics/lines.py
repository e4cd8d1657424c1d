"""The predictor of a psychometric function along its stimulus: a straight line for each condition.

    eta(t) = a + s (t - origin),   t = x, or log x where the formula is linear in that

The formula may hold any transformation of the stimulus x; that its columns are straight lines in x
or in log x is read off the columns themselves, laid out at some stimuli. Line i has

    a = start_i'beta + start_offset_i + z_start_i'b,   s = step_i'beta + step_offset_i + z_step_i'b

with b the effects of its level, zero for the population (the typical level). Conditions are the
combinations of categories, and of numbers with two values, that occur in the data (with that
level); other numbers stand at their mean.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.axis import Axis, axis_of
from hierbayes.design.design import Design, NewRows
from hierbayes.design.new_data import new_rows
from hierbayes.design.values import Factor, Logical, as_numbers
from hierbayes.errors import DataError, FormulaError
from hierbayes.specification.specification import Specification
from hierbayes.wording import did_you_mean, listed, shown

POPULATION = "population"
NO_CONDITION = "all"
POINTS = 5  # stimuli at which columns are laid out: the ends, and three between them
# Part of its size by which a column may leave the straight line between its ends: splines and
# orthogonal polynomials round by 1e-13, a bend that changes a threshold is beyond 1e-4.
STRAIGHT = 1e-8
TWO_VALUED = 2  # a number with so many values stands for two conditions


@record(kw_only=False)
class LineParts:
    """What a number of each of m lines is made of: fixed'beta + offset + random'b.

    Attributes
    ----------
    fixed : array, shape (m, p), of the kept columns
    offset : array, shape (m,)
    random : array, shape (m, q), of the only grouping factor; q = 0 for several or none
    """

    fixed: FloatArray
    offset: FloatArray
    random: FloatArray


@record
class Lines:
    """m lines, one a level and condition.

    Attributes
    ----------
    levels, conditions : of each line
    condition_names : columns of the data whose categories are the conditions
    condition_of_rows : the condition of each row that was fitted
    codes : array, shape (m,), level of the grouping factor, -1 for the population
    start, step : what the height a and the slope s of each are made of
    is_log : t is log x
    origin : of t
    ends : smallest and largest stimulus in the data
    held : where other numbers stand
    """

    levels: tuple[str, ...]
    conditions: tuple[str, ...]
    condition_names: tuple[str, ...]
    condition_of_rows: tuple[str, ...]
    codes: IntArray
    start: LineParts
    step: LineParts
    is_log: bool
    origin: float
    ends: tuple[float, float]
    held: Mapping[str, float]

    def places(self, x: FloatArray) -> FloatArray:
        """Return t - origin of stimuli."""
        return np.asarray((np.log(x) if self.is_log else x) - self.origin)


@record
class _Columns:
    """Columns of the data that the lines are laid out from."""

    stimulus: str
    categories: Mapping[str, Axis]
    numbers: Mapping[str, float]
    ends: tuple[float, float]


def lines(spec: Specification, *, with_levels: bool = True) -> Lines:
    """Lay out the lines of a psychometric model.

    Parameters
    ----------
    spec : Specification
        Of a family with a curve.
    with_levels : whether the levels of the grouping factor have lines, besides the population

    Raises
    ------
    DataError, FormulaError
        If the stimulus is no number of the fixed part, or eta bends along it.
    """
    assert spec.family.curve is not None
    columns = _columns(spec, spec.family.curve.stimulus)
    design = spec.design
    codes = _codes(columns, design.X.shape[0])
    frames, levels, places = [_conditions(columns, codes, slice(None))], [POPULATION], [-1]
    factors = design.factors if with_levels and len(design.factors) == 1 else ()
    for factor in factors:
        order = np.argsort(factor.codes, kind="stable")
        ends = np.searchsorted(factor.codes[order], np.arange(factor.levels.size + 1))
        for code, level in enumerate(factor.levels):
            rows = order[ends[code] : ends[code + 1]]
            frames.append(_conditions(columns, codes, rows))
            levels.append(str(level))
            places.append(code)
    repeats = [len(frame) for frame in frames]
    chosen = np.concatenate(frames)
    at = np.repeat(places, repeats)
    names = np.repeat(np.array(levels, dtype=object), repeats)
    return _laid_out(spec, columns, chosen, at, tuple(names.tolist()), codes)


def _columns(spec: Specification, stimulus: str) -> _Columns:
    mean = spec.design.mean
    fixed = mean.fixed_columns()
    if stimulus not in fixed:
        raise DataError(
            f"stimulus={shown(stimulus)} is no predictor of the fixed part of "
            f"{spec.formula_text}{did_you_mean(str(stimulus), fixed) if fixed else '.'}"
        )
    coded = mean.coded()
    values = {
        name: spec.design.rows.of(spec.table.column(name))
        for name in dict.fromkeys([*fixed, *mean.random_columns()])
    }
    along = values[stimulus]
    if stimulus in coded or isinstance(along, Factor | Logical):
        raise DataError(
            f"The stimulus {stimulus!r} is a category in {spec.formula_text}; a psychometric "
            "function runs along a number."
        )
    categories, numbers = {}, {}
    for name, value in values.items():
        if name == stimulus:
            continue
        if name in coded or isinstance(value, Factor | Logical):
            categories[name] = axis_of(value, coded=name in coded)
            continue
        number = as_numbers(value)
        if np.unique(number).size <= TWO_VALUED:
            categories[name] = axis_of(value, coded=True)
        else:
            numbers[name] = float(number.mean())
    x = as_numbers(along)
    ends = (float(x.min()), float(x.max()))
    if ends[0] == ends[1]:
        raise DataError(
            f"The stimulus {stimulus!r} is {ends[0]:g} in all rows; a psychometric function needs "
            "at least two stimuli."
        )
    return _Columns(stimulus=stimulus, categories=categories, numbers=numbers, ends=ends)


def _codes(columns: _Columns, n: int) -> IntArray:
    """Category of each row, a column each, (n, categories)."""
    at = [axis.at.astype(np.intp) for axis in columns.categories.values()]
    return np.column_stack(at) if at else np.zeros((n, 0), dtype=np.intp)


def _conditions(columns: _Columns, codes: IntArray, rows: Any) -> IntArray:
    """List the combinations of categories in some rows, the first category slowest."""
    if not columns.categories:
        return np.zeros((1, 0), dtype=np.intp)
    return np.unique(codes[rows], axis=0)


def _label(columns: _Columns, code: IntArray) -> str:
    """Name a condition by its levels, numbers with the name of their column."""
    parts = []
    for (name, axis), place in zip(columns.categories.items(), code, strict=True):
        assert axis.labels is not None
        label = axis.labels[place]
        is_word = axis.values is not None and axis.values.dtype.kind in "OUS"
        parts.append(label if is_word else f"{name} {label}")
    return ", ".join(parts) or NO_CONDITION


def _laid_out(
    spec: Specification,
    columns: _Columns,
    chosen: IntArray,
    codes: IntArray,
    levels: tuple[str, ...],
    of_rows: IntArray,
) -> Lines:
    grid = np.linspace(*columns.ends, POINTS)
    frame = _frame(columns, chosen, grid)
    rows = _rows(spec.design, frame, codes, grid.size)
    m, kept = chosen.shape[0], spec.kept_columns
    X = rows.X[:, kept].reshape(m, POINTS, -1)
    offset = np.zeros((m, POINTS, 1))
    if rows.offset is not None:
        offset = rows.offset.reshape(m, POINTS, 1)
    z = np.zeros((m, POINTS, 0))
    if len(spec.design.factors) == 1 and (codes >= 0).any():
        z = np.where((codes >= 0)[:, None, None], rows.factors[0].z.reshape(m, POINTS, -1), 0.0)
    every = np.concatenate([X, offset, z], axis=2)
    is_log = _is_log(spec, columns, every, grid)
    t = np.log(grid) if is_log else grid
    step = (every[:, -1] - every[:, 0]) / (t[-1] - t[0])
    start = (every[:, -1] + every[:, 0]) / 2
    p = kept.size
    _check_slope(spec, columns, step[:, :p], levels)
    return Lines(
        levels=levels,
        conditions=tuple(_label(columns, code) for code in chosen),
        codes=codes,
        start=LineParts(start[:, :p], start[:, p], start[:, p + 1 :]),
        step=LineParts(step[:, :p], step[:, p], step[:, p + 1 :]),
        is_log=is_log,
        origin=float(t[-1] + t[0]) / 2,
        ends=columns.ends,
        held=columns.numbers,
        condition_names=tuple(columns.categories),
        condition_of_rows=_labels(columns, of_rows),
    )


def _labels(columns: _Columns, codes: IntArray) -> tuple[str, ...]:
    """Name the condition of each row."""
    known, of = np.unique(codes, axis=0, return_inverse=True)
    names = [_label(columns, code) for code in known]
    return tuple(names[i] for i in of.ravel())


def _frame(columns: _Columns, chosen: IntArray, grid: FloatArray) -> pd.DataFrame:
    m = chosen.shape[0]
    data: dict[str, Any] = {columns.stimulus: np.tile(grid, m)}
    for k, (name, axis) in enumerate(columns.categories.items()):
        data[name] = np.repeat(axis.data(chosen[:, k].astype(np.float64)), grid.size)
    for name, value in columns.numbers.items():
        data[name] = np.full(m * grid.size, value)
    return pd.DataFrame(data)


def _rows(design: Design, frame: pd.DataFrame, codes: IntArray, repeats: int) -> NewRows:
    """Lay the frame out; rows of a level belong to it, others to none."""
    groups: Sequence[str] = ()
    if len(design.factors) == 1 and (codes >= 0).any():
        factor = design.factors[0]
        groups = (factor.name,)
        for name, values in _group_columns(design, frame).items():
            known = np.repeat(np.maximum(codes, 0), repeats)
            frame = frame.assign(**{name: values[known]})
    return new_rows(design, frame, need_groups=groups)


def _group_columns(design: Design, frame: pd.DataFrame) -> dict[str, Any]:
    """Values of the grouping columns in each level, but those that are conditions too."""
    factor = design.factors[0]
    names = factor.layout.grouping_columns()
    parts = np.array(factor.layout.keys, dtype=object).reshape(factor.levels.size, -1)
    if len(names) != parts.shape[1]:
        raise FormulaError(
            f"The levels of {factor.name} are computed from {listed(names)}; the levels of a "
            "psychometric model are those of columns as they are."
        )
    return {n: parts[:, i] for i, n in enumerate(names) if n not in frame}


def _is_log(spec: Specification, columns: _Columns, every: FloatArray, grid: FloatArray) -> bool:
    """Whether the columns are straight in log x; straight in neither is an error."""
    scales = [False, True] if grid[0] > 0 else [False]
    for is_log in scales:
        t = np.log(grid) if is_log else grid
        share = ((t - t[0]) / (t[-1] - t[0]))[:, None]
        straight = every[:, :1] * (1 - share) + every[:, -1:] * share
        with np.errstate(invalid="ignore"):
            size = np.abs(every).max(axis=1, keepdims=True)
            if (np.abs(every - straight) <= STRAIGHT * size).all():
                return is_log
    raise FormulaError(
        f"{spec.formula_text} bends along the stimulus {columns.stimulus!r}: a threshold is where "
        f"a straight line in {columns.stimulus} or in log({columns.stimulus}) reaches a height. "
        f"Write {columns.stimulus} or log({columns.stimulus}), in interactions too."
    )


def _check_slope(
    spec: Specification, columns: _Columns, step: FloatArray, levels: Sequence[str]
) -> None:
    flat = ~(step != 0).any(axis=1)
    if flat.any():
        raise DataError(
            f"{spec.formula_text} has no slope along the stimulus {columns.stimulus!r} in "
            f"{'every condition' if flat.all() else 'some conditions'}."
        )
