"""Means of the rows of each category within each group: factorial data before any model.

The interval of a mean of n rows is mean +- t(n - 1) s / sqrt(n); that of groups takes the means of
their rows as one value each, so that a group of many rows counts as one of few.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from hierbayes.arrays import record
from hierbayes.design.axis import axis_of
from hierbayes.design.table import Table, read_table
from hierbayes.design.values import Factor, Logical, as_factor
from hierbayes.errors import DataError


@record
class CategoryRows:
    """Complete rows by category, and their means.

    Attributes
    ----------
    points : ``group`` (categorical, in the order of levels) ``x by y``; x and by are positions
        among the labels
    means : of the rows of each group and category: ``group x by n mean conf_low conf_high``
    overall : the same over groups, of the groups' means: ``x by n mean conf_low conf_high``
    x_labels, by_labels : the categories; one of no name without ``by``
    """

    points: pd.DataFrame
    means: pd.DataFrame
    overall: pd.DataFrame
    x_labels: tuple[str, ...]
    by_labels: tuple[str, ...]


def holds_categories(frame: Any, name: str) -> bool:
    """Whether a column of the data holds categories or truth values; DataError if it is missing."""
    return isinstance(read_table(frame).column(name), Factor | Logical)


def category_rows(
    frame: Any,
    *,
    x: str,
    y: str,
    group: str | None = None,
    by: str | None = None,
    level: float = 0.95,
) -> CategoryRows:
    """Lay rows out by category, and average them within groups.

    Parameters
    ----------
    frame : any data a model takes
    x, by : names of columns whose values are categories
    y : name of a numeric column
    group : name of the grouping column; all rows are one group, named "", when not given
    level : level of the intervals

    Raises
    ------
    DataError
        If a column is missing, ``y`` holds categories, or no row is complete.
    """
    table = read_table(frame)
    values = table.column(y)
    if isinstance(values, Factor):
        raise DataError(f"Column {y!r} holds categories; their means need numbers.")
    response = np.asarray(
        values.values if isinstance(values, Logical) else values, dtype=np.float64
    )
    group_codes, groups = _coded(table, group)
    x_codes, x_labels = _coded(table, x)
    by_codes, by_labels = _coded(table, by)
    used = np.isfinite(response) & (np.minimum(group_codes, np.minimum(x_codes, by_codes)) >= 0)
    if not used.any():
        columns = ", ".join(name for name in (x, y, group, by) if name)
        raise DataError(f"No row is complete in {columns}; there is nothing to draw.")
    labels = pd.Categorical.from_codes(group_codes[used], pd.Index(groups, dtype=object))
    points = pd.DataFrame(
        {
            "group": labels.remove_unused_categories(),
            "x": x_codes[used],
            "by": by_codes[used],
            "y": response[used],
        }
    )
    means = _means(points, ["group", "x", "by"], "y", level)
    overall = _means(points if group is None else means.rename(columns={"mean": "y"}),
                     ["x", "by"], "y", level)  # fmt: skip
    return CategoryRows(
        points=points,
        means=means,
        overall=overall,
        x_labels=tuple(x_labels),
        by_labels=tuple(by_labels),
    )


def _coded(table: Table, name: str | None) -> tuple[Any, list[str]]:
    """Return the category of each row, -1 where it is missing, and what they are called."""
    if name is None:
        return np.zeros(table.n_rows, dtype=np.intp), [""]
    column = table.column(name)
    if isinstance(column, Factor | Logical):
        factor = as_factor(column)
        return factor.codes, [str(label) for label in factor.levels]
    numbers = np.asarray(column, dtype=np.float64)
    known = np.isfinite(numbers)
    codes = np.full(numbers.size, -1, dtype=np.intp)
    axis = axis_of(numbers[known], coded=True)
    codes[known] = axis.at.astype(np.intp)
    assert axis.labels is not None
    return codes, list(axis.labels)


def _means(rows: pd.DataFrame, keys: list[str], value: str, level: float) -> pd.DataFrame:
    """Average a column over rows of the same keys, with t intervals; NaN of a single row."""
    grouped = rows.groupby(keys, observed=True, sort=True)[value]
    found = grouped.agg(n="size", mean="mean", sd="std").reset_index()
    n = found["n"].to_numpy(dtype=np.float64)
    several = np.maximum(n - 1, 1)
    half = stdtrit(several, (1 + level) / 2) * found.pop("sd").to_numpy() / np.sqrt(n)
    half = np.where(n > 1, half, np.nan)
    return found.assign(conf_low=found["mean"] - half, conf_high=found["mean"] + half)
