"""Predictions along one variable: the typical group, the groups, and what is uncertain about them.

Along x the typical group has all random effects at zero and a group its own. Other numbers stand
at their mean over the rows used, categories at the most frequent one, offsets at what these give.
A model without predictors has its groups along x. Everything is what ``predict`` answers, for a
REML or ML fit and for a posterior alike.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, record
from hierbayes.design.axis import Axis, axis_of
from hierbayes.design.design import GroupingFactor
from hierbayes.design.reading import argument_expression
from hierbayes.design.values import Factor, Logical, Vector, as_numbers
from hierbayes.errors import OptionError
from hierbayes.formula.expressions import names_in
from hierbayes.results.fit import Fit, used_column
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.prediction_table import PredictionTable, heading_lines
from hierbayes.results.tidy import check_level
from hierbayes.wording import did_you_mean, shown

POINTS = 41  # of a line
NEW_POINTS = 11  # of the limits of new responses: fewer, because a posterior's are simulated
SEED = 1  # of the new responses of a posterior


@record
class EffectLines:
    """Data, lines and bands along one variable.

    Attributes
    ----------
    points : the rows used: ``group x y``
    typical : along x: ``x prediction lower upper``, limits of the expected response
    new : along x: ``x lower upper``, limits of a new response of a new group; None if not asked
        for, or where the residual sds of new rows are not known
    groups : a line a group: ``group x prediction lower upper``; limits where x is the group
    categories : the labels at x = 0, 1, ...; None where x is a number
    x_name, response, group_name : of the variable, the response and the grouping factor ("")
    held : the other predictors and where they stand
    typical_words, new_words : what the bands are and what is in them
    """

    points: pd.DataFrame
    typical: pd.DataFrame
    new: pd.DataFrame | None
    groups: pd.DataFrame
    categories: tuple[str, ...] | None
    x_name: str
    response: str
    group_name: str
    held: Mapping[str, str]
    typical_words: str
    new_words: str


@record
class _Columns:
    """Columns of the data in the rows used, by what they are for."""

    fixed: tuple[str, ...]
    random: tuple[str, ...]
    grouping: tuple[str, ...]
    coded: frozenset[str]
    values: Mapping[str, Vector]

    @property
    def predictors(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.random, *self.fixed]))

    def is_category(self, name: str) -> bool:
        return name in self.coded or isinstance(self.values[name], Factor | Logical)


def effect_lines(
    fit: Fit,
    *,
    x: str | None = None,
    group: str | None = None,
    level: float = 0.95,
    new_responses: bool = True,
) -> EffectLines:
    """Return the lines, bands and data of one variable.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    x : a column of the data in the model, or its grouping factor; the first number with a random
        slope, else the first predictor, else the grouping factor unless said
    group : the grouping factor whose levels have lines; the first unless said
    level : level of the bands
    new_responses : whether to give limits of a new response of a new group

    Raises
    ------
    OptionError
        If ``x`` or ``group`` is not in the model.
    """
    check_level(level)
    columns = _columns(fit)
    position = _position(fit, group)
    factor = None if position is None else fit.design.factors[position]
    name = _variable(columns, x, None if factor is None else factor.name)
    own = "" if factor is None else factor.name
    codes = np.zeros(fit.nobs, dtype=np.intp) if factor is None else factor.codes
    levels = np.array([""], dtype=object) if factor is None else factor.levels
    if name == own and name not in columns.predictors:
        axis = Axis(at=codes.astype(np.float64), labels=tuple(map(str, levels)))
        grid = np.array([-0.5, levels.size - 0.5])
    else:
        axis = axis_of(columns.values[name], coded=name in columns.coded)
        grid = axis.grid(POINTS)
    held = {n: _typical(columns, n) for n in columns.predictors if n != name}
    frame = _frame(columns, name, grid, axis=axis, held=held)
    typical = fit.predict(frame, groups="none", interval="confidence", level=level)
    some = slice(None)
    if axis.labels is None:
        some = slice(None, None, (POINTS - 1) // (NEW_POINTS - 1))
    new = _new(fit, columns, frame[some], level) if new_responses else None
    y = np.asarray(fit.observed, dtype=np.float64)
    return EffectLines(
        points=pd.DataFrame({"group": levels[codes], "x": axis.at, "y": y}),
        typical=_along(grid, typical),
        new=None if new is None else _along(grid[some], new),
        groups=_group_lines(fit, columns, position, name=name, grid=grid, axis=axis, level=level),
        categories=axis.labels,
        x_name=name,
        response=fit.design.formula.response_label,
        group_name=own,
        held={n: _label(v) for n, v in held.items()},
        typical_words="; ".join(heading_lines(typical)),
        new_words="" if new is None else "; ".join(heading_lines(new)),
    )


def _columns(fit: Fit) -> _Columns:
    mean = fit.design.mean
    fixed = (*mean.fixed_columns(), *_offset_columns(fit))
    random, grouping = mean.random_columns(), mean.grouping_columns()
    every = dict.fromkeys([*fixed, *random, *grouping])
    return _Columns(
        fixed=fixed,
        random=random,
        grouping=grouping,
        coded=mean.coded(),
        values={n: used_column(fit, n) for n in every},
    )


def _offset_columns(fit: Fit) -> tuple[str, ...]:
    """Columns of the argument offset, where it is a column's name or an expression."""
    given = fit.design.mean.offset_layout.argument
    return () if given is None else names_in(argument_expression(given, fit.spec.table))


def _position(fit: Fit, group: str | None) -> int | None:
    names = [factor.name for factor in fit.design.factors]
    if group is None:
        return 0 if names else None
    if not isinstance(group, str) or group not in names:
        hint = did_you_mean(str(group), names) if names else "; it has no groups."
        raise OptionError(f"group={shown(group)} is not a grouping factor of the model{hint}")
    return names.index(group)


def _variable(columns: _Columns, x: str | None, group: str | None) -> str:
    known = columns.predictors
    if x is not None:
        if not isinstance(x, str) or (x not in known and x != group):
            hint = did_you_mean(str(x), [*known, *([group] if group else [])])
            raise OptionError(f"x={shown(x)} is not a predictor of the model{hint}")
        return x
    sloped = [n for n in columns.random if not columns.is_category(n)]
    found = next(iter([*sloped, *columns.fixed, *known]), group)
    if found is None:
        raise OptionError("The model has neither predictors nor groups: there is no x to draw.")
    return found


def _typical(columns: _Columns, name: str, rows: Any = slice(None)) -> Any:
    """Return the mean of a number over some rows, or the most frequent category."""
    value = columns.values[name]
    if isinstance(value, Factor):
        return value.levels[np.bincount(value.codes[rows]).argmax()]
    if isinstance(value, Logical):
        return bool(value.values[rows].mean() > 0.5)
    if columns.is_category(name):
        distinct, counts = np.unique(value[rows], return_counts=True)
        return distinct[counts.argmax()]
    return float(as_numbers(value)[rows].mean())


def _label(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _frame(
    columns: _Columns,
    name: str,
    grid: FloatArray,
    *,
    axis: Axis,
    held: Mapping[str, Any],
) -> pd.DataFrame:
    """Make new rows along x; grouping columns are left out unless they are predictors."""
    data: dict[str, Any] = {"(row)": np.arange(grid.size)}
    data |= {n: [value] * grid.size for n, value in held.items()}
    if name in columns.predictors:
        data[name] = axis.data(grid)
    return pd.DataFrame(data)


def _new(fit: Fit, columns: _Columns, frame: pd.DataFrame, level: float) -> PredictionTable | None:
    """Limits of a new response whose groups are not known; None where they can't be known."""
    design = fit.design
    if design.known_sd is not None or design.weights is not None:
        return None
    if isinstance(fit, GeneralisedFit):  # those of its new responses are drawn at random
        return None
    free = [n for n in columns.grouping if n not in columns.predictors]
    if not all(_has_free(factor, free) for factor in design.factors):
        return None
    unknown = frame.assign(**{n: np.full(len(frame), np.nan) for n in free})
    return fit.predict(
        unknown,
        groups="all",
        new_levels="population",
        interval="prediction",
        level=level,
        random_seed=SEED,
    )


def _has_free(factor: GroupingFactor, free: list[str]) -> bool:
    """Whether some column of a grouping factor is not a predictor, and so can be missing."""
    return any(n in free for n in factor.layout.grouping_columns())


def _group_lines(
    fit: Fit,
    columns: _Columns,
    position: int | None,
    *,
    name: str,
    grid: FloatArray,
    axis: Axis,
    level: float,
) -> pd.DataFrame:
    """Predictions of every level: along x, or one each with its limits where x is the group."""
    if position is None:
        return pd.DataFrame({"group": [], "x": [], "prediction": [], "lower": [], "upper": []})
    factor = fit.design.factors[position]
    J = factor.levels.size
    own = set(factor.layout.grouping_columns())
    is_group = name == factor.name and name not in columns.predictors
    one_each = is_group or name in own
    codes = np.repeat(np.arange(J), 1 if one_each else grid.size)
    order = np.argsort(factor.codes, kind="stable")
    ends = np.searchsorted(factor.codes[order], np.arange(J + 1))
    rows = [order[a:b] for a, b in pairwise(ends)]
    at = np.arange(J, dtype=np.float64) if is_group else np.tile(grid, 1 if one_each else J)
    if one_each and not is_group:  # x is the same in all rows of a level
        at = axis.at[[of[0] for of in rows]]
    data: dict[str, Any] = {}
    for column in dict.fromkeys([*columns.predictors, *own]):
        if column == name and not one_each:
            data[column] = axis.data(at)
        elif column in own:
            data[column] = _first_values(columns.values[column], rows)[codes]
        else:
            typical = [_typical(columns, column, of) for of in rows]
            data[column] = [typical[code] for code in codes]
    frame = pd.DataFrame(data)
    if one_each:
        found = fit.predict(frame, groups=[factor.name], interval="confidence", level=level)
        return _along(at, found).assign(group=factor.levels[codes])
    line = fit.predict(frame, groups=[factor.name]).to_numpy()
    return pd.DataFrame(
        {"group": factor.levels[codes], "x": at, "prediction": line, "lower": np.nan}
    ).assign(upper=np.nan)


def _first_values(value: Vector, rows: list[Any]) -> Any:
    """Value of a grouping column in each level: it is the same in all rows of a level."""
    first = np.array([of[0] for of in rows])
    if isinstance(value, Factor):
        return value.levels[value.codes[first]]
    if isinstance(value, Logical):
        return value.values[first].astype(bool)
    return np.asarray(value)[first]


def _along(grid: FloatArray, table: pd.DataFrame) -> pd.DataFrame:
    found = pd.DataFrame(table)[["prediction", "lower", "upper"]].reset_index(drop=True)
    found.insert(0, "x", grid)
    return found
