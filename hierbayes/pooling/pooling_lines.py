"""The three lines of every level: no, complete and partial pooling over a variable.

Along x a level has the fixed part plus its effects; the three lines differ in the effects alone:
the unpenalised ones, none, and the conditional modes or posterior means. Of a generalised fit they
are expected responses. Other covariates of a
level stand at their mean over its rows, categories at the most frequent one. The rows of the grid
go through the formula like new data, so that interactions, polynomials and splines are curves.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.axis import Axis, axis_of
from hierbayes.design.design import Design, GroupingFactor
from hierbayes.design.new_data import new_rows
from hierbayes.design.values import Factor, Logical, Vector, as_numbers
from hierbayes.errors import OptionError
from hierbayes.pooling.level_covariances import check_shrinks, position_of_group
from hierbayes.pooling.shrinkage import shrinkage
from hierbayes.results.fit import Fit, used_column
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.shrinkage_table import ShrinkageTable
from hierbayes.results.tidy import check_level
from hierbayes.wording import did_you_mean

POINTS = 21  # on a curve
ROW = "row"  # what x is called where a model has no variable to draw over
DRAWS = 1000  # of a posterior, for the band


@record
class PoolingLines:
    """Lines and data of some levels of one grouping factor.

    Attributes
    ----------
    lines : one row a level and point: ``level x unpenalised population coefficient lower upper``,
        expected responses; the limits are the credible band of a posterior's partial pooling
    points : the rows of the levels: ``level x y``
    x, group : the variable and the factor; x is "row" where the rows of a level are numbered
    categories : the labels at x = 0, 1, ...; None where x is a number
    """

    lines: pd.DataFrame
    points: pd.DataFrame
    x: str
    group: str
    categories: tuple[str, ...] | None


def pooling_lines(
    fit: Fit,
    table: ShrinkageTable | None = None,
    *,
    x: str | None = None,
    group: str | None = None,
    levels: Sequence[Any] | None = None,
    level: float = 0.95,
) -> PoolingLines:
    """Return the three lines of levels, and their data.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    table : ShrinkageTable, optional
        ``hb.shrinkage(fit)``; computed when not given.
    x : str, optional
        A column of the data in the model; the first one with a random slope, else the first of
        the fixed part. Without any, the rows of a level are numbered.
    group : str, optional
        Grouping factor; the first when not given.
    levels : sequence, optional
        Labels of levels, in the order wanted; all when not given.
    level : float
        Level of the credible band of a posterior.

    Raises
    ------
    OptionError
        For a group, variable or level that the model does not have.
    """
    check_shrinks(fit, "pooling_lines")
    check_level(level)
    position = position_of_group(fit, group)
    factor = fit.design.factors[position]
    name = _variable(fit, position, x)
    chosen = _positions(factor, levels)
    axis = _axis(fit, name, factor)
    grid = axis.grid(POINTS)
    codes = np.repeat(chosen, grid.size)
    at = np.tile(grid, chosen.size)
    X, Z = _columns(fit, position, codes, name=name, at=axis.data(at))
    table = shrinkage(fit) if table is None else table
    lines = pd.DataFrame({"level": factor.levels[codes], "x": at})
    base = _base(fit, X) + _offsets(fit.design, factor)[codes]
    assert table.details is not None
    free = table.details.factors[factor.name].own_effect
    effects = (
        ("unpenalised", free),
        ("population", 0 * free),
        ("coefficient", fit.modes[position]),
    )
    for kind, b in effects:
        lines[kind] = _expected(fit, base + (Z * b[codes]).sum(axis=1))
    if isinstance(fit, LinearFit) and fit.kernel.undetermined is not None:
        lines["coefficient"] = fit.shown(partial(_line, X, Z, codes, position), fit.row_scale)
        lines["coefficient"] += _offsets(fit.design, factor)[codes]
    lines["lower"] = lines["upper"] = np.nan
    if isinstance(fit, PosteriorFit):
        shift = base - X @ fit.beta
        lines["lower"], lines["upper"] = _band(fit, position, codes, X=X, Z=Z, level=level) + shift
    used = np.isin(factor.codes, chosen)
    points = pd.DataFrame(
        {"level": factor.levels[factor.codes], "x": axis.at, "y": fit.observed}
    ).loc[used]
    return PoolingLines(
        lines=lines, points=points, x=name, group=factor.name, categories=axis.labels
    )


def _expected(fit: Fit, eta: FloatArray) -> FloatArray:
    """Return expected responses, which of a generalised fit are not eta."""
    return fit.expected_at(eta) if isinstance(fit, GeneralisedFit) else eta


def _base(fit: Fit, X: FloatArray) -> FloatArray:
    """X beta, NaN where the data do not determine it."""
    if isinstance(fit, LinearFit):
        return fit.shown(lambda one: X @ one.beta, fit.row_scale)
    return np.asarray(X @ fit.beta)


def _line(
    X: FloatArray, Z: FloatArray, codes: IntArray, position: int, fit: LinearFit
) -> FloatArray:
    return np.asarray(X @ fit.beta + (Z * fit.modes[position][codes]).sum(axis=1))


def _variable(fit: Fit, position: int, x: str | None) -> str:
    """Return the column of the data to draw over."""
    random = fit.design.factors[position].layout.columns_used()
    fixed = fit.design.mean.layout.columns_used()
    known = list(dict.fromkeys([*random, *fixed]))
    if x is None:
        numeric = [n for n in known if not _is_category(fit, n)]
        first = [n for n in numeric if n in random] or [n for n in known if n in random]
        return next(iter([*first, *numeric, *known]), ROW)
    if x not in known:
        raise OptionError(f"x={x!r} is not a predictor of the model{did_you_mean(str(x), known)}")
    return x


def _is_category(fit: Fit, name: str) -> bool:
    value = used_column(fit, name)
    return isinstance(value, Factor | Logical) or name in fit.design.mean.coded()


def _positions(factor: GroupingFactor, levels: Sequence[Any] | None) -> IntArray:
    if levels is None:
        return np.arange(factor.levels.size)
    places = {label: i for i, label in enumerate(factor.levels.tolist())}
    for label in levels:
        if str(label) not in places:
            hint = did_you_mean(str(label), list(places))
            raise OptionError(f"levels: {factor.name!r} has no level {str(label)!r}{hint}")
    return np.array([places[str(label)] for label in levels], dtype=np.intp)


def _axis(fit: Fit, name: str, factor: GroupingFactor) -> Axis:
    """Where every row used stands along x."""
    if name != ROW:
        return axis_of(used_column(fit, name), coded=name in fit.design.mean.coded())
    order = np.argsort(factor.codes, kind="stable")
    starts = np.searchsorted(factor.codes[order], np.arange(factor.levels.size))
    numbers = np.empty(order.size)
    numbers[order] = np.arange(order.size) - starts[factor.codes[order]] + 1
    return Axis(at=numbers)


def _columns(
    fit: Fit,
    position: int,
    codes: IntArray,
    *,
    name: str,
    at: npt.NDArray[Any],
) -> tuple[FloatArray, FloatArray]:
    """X (m, p) and Z (m, q) of levels (m,) at values of x (m,)."""
    design, factor = fit.design, fit.design.factors[position]
    mean, grouped = design.mean, set(factor.layout.grouping_columns())
    coded = mean.coded()
    needed = {*mean.layout.columns_used(), *mean.random_columns()} | grouped
    data: dict[str, Any] = {}
    for column in needed:
        if column == name:
            data[column] = at
            continue
        value = used_column(fit, column)
        typical = _most_frequent if column in coded | grouped else _typical
        data[column] = typical(value, factor)[codes]
    own = design.with_mean(mean.without_offset())
    rows = new_rows(own, data, need_groups=(factor.name,))
    return rows.X[:, fit.kept], rows.factors[position].z


def _typical(value: Vector, factor: GroupingFactor) -> npt.NDArray[Any]:
    """Return the mean of a column in each level, (J,); of categories the most frequent."""
    if isinstance(value, Factor | Logical):
        return _most_frequent(value, factor)
    return _level_means(as_numbers(value), factor)


def _level_means(values: FloatArray, factor: GroupingFactor) -> FloatArray:
    J = factor.levels.size
    sums = np.bincount(factor.codes, weights=values, minlength=J)
    return np.asarray(sums / np.bincount(factor.codes, minlength=J))


def _most_frequent(value: Vector, factor: GroupingFactor) -> npt.NDArray[Any]:
    """Return the most frequent value of a column in each level, (J,)."""
    if isinstance(value, Logical):
        distinct: Any = np.array([False, True])
        codes = as_numbers(value).astype(np.intp)
    elif isinstance(value, Factor):
        distinct, codes = np.asarray(value.levels, dtype=object), value.codes
    else:
        distinct, codes = np.unique(value, return_inverse=True)
    counts = np.zeros((factor.levels.size, len(distinct)), dtype=np.intp)
    np.add.at(counts, (factor.codes, codes), 1)
    return np.asarray(distinct[counts.argmax(axis=1)])


def _offsets(design: Design, factor: GroupingFactor) -> FloatArray:
    """Mean offset of each level, (J,)."""
    if design.offset is None:
        return np.zeros(factor.levels.size)
    return _level_means(design.offset, factor)


def _band(
    fit: PosteriorFit, position: int, codes: IntArray, *, X: FloatArray, Z: FloatArray, level: float
) -> FloatArray:
    """Credible band (2, m) of the fixed part plus the effects of this factor."""
    name = fit.design.factors[position].name
    some = np.unique(np.linspace(0, fit.n_draws - 1, min(DRAWS, fit.n_draws)).astype(np.intp))
    beta = fit.draws.beta.reshape(fit.n_draws, -1)[some]
    b = fit.draws.b[name].reshape(fit.n_draws, *fit.modes[position].shape)[some]
    found = np.empty((2, codes.size))
    for rows in np.array_split(np.arange(codes.size), -(-codes.size // 1000)):
        drawn = beta @ X[rows].T + (Z[rows] * b[:, codes[rows]]).sum(axis=2)
        found[:, rows] = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return found
