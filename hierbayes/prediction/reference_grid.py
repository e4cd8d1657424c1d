"""The reference grid: every combination of the predictors' levels, covariates at one value.

A predictor here is a column of the data that the fixed part uses. Its values in the grid are

- its levels, if it holds categories or truth values, or is made a factor in the formula
- both its values, if it is a number with two of them (a dummy variable)
- its mean over the rows used, if it is any other number, or what it is to be reduced to
- what ``at`` says

The rows of the grid go through the formula like new data, so transformations, splines and contrasts
are those of the fit. Rank deficiency: a row l of the grid is estimable if l'beta is the same for
all beta that fit equally well, that is if l is orthogonal to the null space of X.

Source: Searle, Speed & Milliken (1980), Am. Stat. 34:216 (population marginal means); Lenth (2016),
J. Stat. Softw. 69(1).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.capabilities import not_supported
from hierbayes.design import values as kinds
from hierbayes.design.columns import label_of
from hierbayes.design.counted import mean_of, quantiles_of
from hierbayes.design.design import Design
from hierbayes.design.new_data import effect_columns, new_rows
from hierbayes.design.table import MissingColumnError
from hierbayes.errors import DataError, OptionError
from hierbayes.results.fit import Fit, column_of_summands, is_streamed, seen_column
from hierbayes.wording import did_you_mean, shown

MAX_ROWS = 1_000_000
TWO_VALUED = 2  # a number with so many values stands for two groups
# A row of the grid is estimable if its part in the null space is below this part of its length.
IN_NULL_SPACE = 1e-8


REDUCERS: dict[str, Callable[[FloatArray], np.floating[Any]]] = {
    "mean": np.mean, "median": np.median, "min": np.min, "max": np.max,
}  # fmt: skip


@record
class Predictor:
    """One column of the data and its values in the grid.

    Attributes
    ----------
    name : of the column
    values : its values in the grid: labels, truth values or numbers
    kind : "levels" (all of them, or those of ``at``), "at", or what a number was reduced by:
        "mean", "median", "min", "max"
    range : smallest and largest value in the rows used; None for categories
    """

    name: str
    values: tuple[Any, ...]
    kind: str
    range: tuple[float, float] | None


@record
class ReferenceGrid:
    """The rows of a reference grid in the columns of X.

    Attributes
    ----------
    predictors : in the order of the formula; the first varies fastest over the rows
    X : array, shape (m, p), all columns of X, dropped ones included
    offset : array, shape (m,)
    z : per grouping factor the columns (m, q) of its effects, where they were asked for
    """

    predictors: tuple[Predictor, ...]
    X: FloatArray
    offset: FloatArray
    z: tuple[FloatArray, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values of each predictor, the last one first: rows of X in C order."""
        return tuple(len(predictor.values) for predictor in reversed(self.predictors))

    def names(self) -> tuple[str, ...]:
        """Names of the predictors."""
        return tuple(predictor.name for predictor in self.predictors)


def reference_grid(
    fit: Fit,
    at: Mapping[str, Any] | None = None,
    *,
    effects: bool = False,
    reduce: Any = "mean",
    shift: tuple[str, float] | None = None,
) -> ReferenceGrid:
    """Make the reference grid of a fit.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    at : values of some predictors, a number or level or a list of them
    effects : whether the columns of the random effects are wanted too
    reduce : what numbers stand at: "mean", "median", "min", "max", "range" (the smallest and the
        largest value), False (all values), a function of the values, or a dict of these
    shift : a number's name and what is added to its values before rows go through the formula

    Raises
    ------
    OptionError
        If ``at`` or ``reduce`` names no predictor, or ``reduce`` is none of these.
    DataError
        If ``at`` has a level that is not in the data, or a column of the random effects is no
        predictor of the fixed part.
    NotSupportedError
        If the grid would have more than a million rows.
    """
    design = fit.design
    given = _checked_at(at)
    columns = _columns(design)
    for given_reduce in reduce.values() if isinstance(reduce, Mapping) else [reduce]:
        _check_reduce(given_reduce)
    reducers = dict(reduce) if isinstance(reduce, Mapping) else dict.fromkeys(columns, reduce)
    for argument, names in (("at", given), ("cov_reduce", reducers)):
        for name in names:
            if name not in columns:
                raise OptionError(f"{argument}: {no_predictor(fit, name, tuple(columns))}")
    predictors = tuple(
        grid_predictor(
            fit,
            name,
            is_factor=is_factor,
            at=given.get(name),
            reduce=reducers.get(name, "mean"),
        )
        for name, is_factor in columns.items()
    )
    n_rows = int(np.prod([len(p.values) for p in predictors], dtype=float))
    if n_rows > MAX_ROWS:
        sizes = ", ".join(f"{p.name} {len(p.values)}" for p in predictors if len(p.values) > 1)
        raise not_supported("reference-grid-size", rows=n_rows, sizes=sizes)
    codes = np.indices(tuple(len(p.values) for p in reversed(predictors))).reshape(
        len(predictors), n_rows
    )
    data = {
        p.name: np.array(p.values, dtype=object if isinstance(p.values[0], str) else None)[code]
        for p, code in zip(predictors, codes[::-1], strict=True)
    }
    if shift is not None:
        name, step = shift
        data[name] = data[name].astype(np.float64) + step
    grid = _laid_out(design, predictors, data, n_rows=n_rows)
    return replace(grid, z=_effect_columns(design, data, n_rows=n_rows)) if effects else grid


def no_predictor(fit: Fit, name: Any, predictors: tuple[str, ...]) -> str:
    """Say that a name is no predictor of the fixed part, and what it may have meant."""
    if name in fit.n_groups:
        return (
            f"{name!r} is a grouping factor, not a predictor of the fixed part; the coefficients "
            "of its levels are in fit.coef()."
        )
    if not predictors:
        return f"{shown(name)} is no predictor: the fixed part of {fit.formula_text} has none."
    return f"{shown(name)} is no predictor of the fixed part{did_you_mean(str(name), predictors)}"


def null_space(X: FloatArray, kept: IntArray) -> FloatArray:
    """Directions of beta that do not change X beta, shape (p, dropped columns)."""
    dropped = np.setdiff1d(np.arange(X.shape[1]), kept)
    found = np.zeros((X.shape[1], dropped.size))
    if dropped.size:
        found[dropped, np.arange(dropped.size)] = 1.0
        found[kept] = -np.linalg.lstsq(X[:, kept], X[:, dropped], rcond=None)[0]
    return found


def is_estimable(L: FloatArray, X: FloatArray, kept: IntArray) -> BoolArray:
    """Whether L beta (rows of L, all p columns) is the same for all beta that fit as well."""
    null = null_space(X, kept)
    if not null.size:
        return np.ones(L.shape[0], dtype=bool)
    null = null / np.sqrt((null**2).sum(axis=0))
    size = np.sqrt((L**2).sum(axis=1))[:, None]
    return np.asarray((np.abs(L @ null) <= IN_NULL_SPACE * np.maximum(size, 1.0)).all(axis=1))


def _checked_at(at: Any) -> dict[str, Any]:
    if at is None:
        return {}
    if isinstance(at, Mapping):
        return dict(at)
    raise OptionError(
        f"at={shown(at)} must be a dict from a predictor to its values, for example "
        "at={'Days': [0, 5]}."
    )


def _columns(design: Design) -> dict[str, bool]:
    """Columns of the fixed part in order, each with whether a factor is made of it."""
    coded = design.mean.layout.coded()
    return {name: name in coded for name in design.mean.fixed_columns()}


def grid_predictor(
    fit: Fit, name: str, *, is_factor: bool, at: Any = None, reduce: Any = "mean"
) -> Predictor:
    """Return the values of one column of the data in a grid: those of ``at`` where it is given."""
    if is_streamed(fit):
        return _seen_predictor(fit, name, is_factor=is_factor, at=at, reduce=reduce)
    value, counts = column_of_summands(fit, name), fit.design.summands.counts
    if isinstance(value, kinds.Factor | kinds.Logical):
        levels = (False, True)
        if isinstance(value, kinds.Factor):
            levels = tuple(kinds.drop_unused(value).levels.tolist())
        chosen = levels if at is None else _chosen_levels(name, at, levels)
        return Predictor(name=name, values=chosen, kind="levels", range=None)
    numbers = kinds.as_numbers(value)
    extent = (float(numbers.min()), float(numbers.max()))
    distinct = np.unique(numbers)
    if at is not None:
        chosen = _chosen_numbers(name, at)
        if is_factor:
            chosen = _chosen_levels(name, at, tuple(distinct.tolist()))
        kind = "levels" if is_factor else "at"
        return Predictor(name=name, values=chosen, kind=kind, range=extent)
    if is_factor or distinct.size <= TWO_VALUED:
        values = tuple(int(v) if v == int(v) else v for v in distinct.tolist())
        return Predictor(name=name, values=values, kind="levels", range=extent)
    if counts is not None and not (reduce is False or isinstance(reduce, str)):
        fit.design.need_rows(f"the values of {name}")
    values, kind = _reduced(name, numbers, reduce, counts)
    return Predictor(name=name, values=values, kind=kind, range=extent)


def _seen_predictor(fit: Fit, name: str, *, is_factor: bool, at: Any, reduce: Any) -> Predictor:
    """Return the values of a column of a stream: its levels, or the mean of a number."""
    seen = seen_column(fit, name)
    if seen.moments is None:
        value = seen.vector()
        levels = (False, True)
        if isinstance(value, kinds.Factor):
            levels = tuple(kinds.drop_unused(value).levels.tolist())
        chosen = levels if at is None else _chosen_levels(name, at, levels)
        return Predictor(name=name, values=chosen, kind="levels", range=None)
    extent = (float(seen.moments.low[0]), float(seen.moments.high[0]))
    distinct = _numbers_coded(fit, name) if is_factor else seen.few
    if at is not None:
        chosen = _chosen_numbers(name, at)
        if is_factor:
            chosen = _chosen_levels(name, at, tuple(distinct.tolist()))
        return Predictor(
            name=name, values=chosen, kind="levels" if is_factor else "at", range=extent
        )
    if is_factor or distinct.size <= TWO_VALUED:
        values = tuple(int(v) if v == int(v) else v for v in distinct.tolist())
        return Predictor(name=name, values=values, kind="levels", range=extent)
    if reduce in ("min", "max", "range"):
        ends = {"min": extent[:1], "max": extent[1:], "range": extent}[reduce]
        kind = "at" if reduce == "range" else reduce
        return Predictor(name=name, values=ends, kind=kind, range=extent)
    if reduce != "mean":
        _ = fit.spec.table.raw(name)[:]  # says that it was not kept
    return Predictor(name=name, values=(float(seen.moments.mean[0]),), kind="mean", range=extent)


def _numbers_coded(fit: Fit, name: str) -> FloatArray:
    """Distinct values of a number that the formula makes a factor of."""
    labels = {v.levels for v in fit.design.mean.layout.variables() if name in v.columns_used()}
    return np.array(sorted(float(label) for own in labels for label in own))


def _check_reduce(reduce: Any) -> None:
    if reduce is False or callable(reduce):
        return
    if not isinstance(reduce, str) or reduce not in (*REDUCERS, "range"):
        raise OptionError(
            f"cov_reduce={shown(reduce)} must be 'mean', 'median', 'min', 'max', 'range', False "
            "(all values), a function of the values or a dict of these."
        )


def _reduced(
    name: str, numbers: FloatArray, reduce: Any, counts: IntArray | None
) -> tuple[tuple[float, ...], str]:
    """Values that stand for a number, and the kind of them."""
    if counts is not None and reduce == "mean":
        return (mean_of(numbers, counts),), reduce
    if counts is not None and reduce == "median":
        return (float(quantiles_of(numbers, counts, (0.5,))[0]),), reduce
    if isinstance(reduce, str) and reduce in REDUCERS:
        return (float(REDUCERS[reduce](numbers)),), reduce
    if reduce is False:
        return tuple(np.unique(numbers).tolist()), "at"
    if reduce == "range":
        return (float(numbers.min()), float(numbers.max())), "at"
    found = np.unique(np.atleast_1d(np.asarray(reduce(numbers.copy()), dtype=np.float64)))
    if not found.size or not np.isfinite(found).all():
        raise OptionError(f"cov_reduce: the function gives no number of {name!r}.")
    return tuple(found.tolist()), "at"


def _as_list(name: str, at: Any) -> list[Any]:
    values = [at] if isinstance(at, str) or np.ndim(at) == 0 else list(at)
    if not values:
        raise OptionError(f"at[{name!r}] is empty; give at least one value.")
    return values


def _chosen_levels(name: str, at: Any, levels: tuple[Any, ...]) -> tuple[Any, ...]:
    by_label = {level_label(level): level for level in levels}
    chosen = []
    for value in _as_list(name, at):
        if level_label(value) not in by_label:
            hint = did_you_mean(level_label(value), list(by_label))
            raise DataError(f"at: {name!r} has no level {level_label(value)!r}{hint}")
        chosen.append(by_label[level_label(value)])
    return _all_different(name, chosen)


def level_label(value: Any) -> str:
    """Return the label of a level as tables and data have it."""
    if isinstance(value, bool | np.bool_):
        return str(value)
    is_number = isinstance(value, int | float | np.number)
    return kinds.number_label(float(value)) if is_number else label_of(value)


def _chosen_numbers(name: str, at: Any) -> tuple[float, ...]:
    chosen = []
    for value in _as_list(name, at):
        is_number = isinstance(value, int | float | np.integer | np.floating)
        if not is_number or not np.isfinite(value):
            raise OptionError(f"at: {name!r} is a number in the data; it can't be {value!r}.")
        chosen.append(float(value))
    return _all_different(name, chosen)


def _all_different(name: str, chosen: list[Any]) -> tuple[Any, ...]:
    if len(set(chosen)) < len(chosen):
        raise OptionError(f"at[{name!r}] has a value twice.")
    return tuple(chosen)


def _effect_columns(design: Design, data: dict[str, Any], *, n_rows: int) -> tuple[FloatArray, ...]:
    try:
        return effect_columns(design, data or {"(no predictor)": np.zeros(n_rows)})
    except MissingColumnError as error:
        raise DataError(
            f"The random effects vary with {error.column!r}, which is no predictor of the fixed "
            "part and so has no value in the grid. Add it to the fixed part, or leave bias_adjust "
            "out."
        ) from error


def _laid_out(
    design: Design, predictors: tuple[Predictor, ...], data: dict[str, Any], *, n_rows: int
) -> ReferenceGrid:
    if not data:
        data = {"(no predictor)": np.zeros(n_rows)}
    at_mean = design.mean.offset_layout.was_given  # an argument has no values in the grid
    design = design.summands
    own = design.with_mean(design.mean.without_offset()) if at_mean else design
    rows = new_rows(own, data, need_groups=())
    offset = np.zeros(n_rows) if rows.offset is None else rows.offset
    if at_mean and design.offset is not None:
        offset = np.full(n_rows, mean_of(design.offset, design.counts))
    if np.isnan(rows.X).any() or np.isnan(offset).any():
        raise DataError(
            "A predictor is not a number at a value of the grid: give at= values that the "
            "formula's functions are defined for."
        )
    return ReferenceGrid(predictors=predictors, X=rows.X, offset=offset)
