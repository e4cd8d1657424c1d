"""Ordinary least-squares lines fitted within each group, the no-pooling view of grouped data.

For the rows of one group, with S_xx = sum (x - mean x)^2 and S_xy alike,

    slope = S_xy / S_xx,   intercept = mean y - slope mean x,
    sigma^2 = (S_yy - slope S_xy) / (n - 2),
    se(line at x0) = sigma sqrt(1 / n + (x0 - mean x)^2 / S_xx).

Works on the columns of a frame; knows no model.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from hierbayes.arrays import FloatArray
from hierbayes.design.table import Table, read_table
from hierbayes.design.values import Factor, Logical, as_factor
from hierbayes.errors import DataError, OptionError

# Residual variation below this share of the variation of y is rounding of a perfect line.
PERFECT = 1e-14


def group_points(frame: Any, *, x: str, y: str, group: str | None = None) -> pd.DataFrame:
    """Complete rows of two numeric columns with their group, in the groups' order.

    Parameters
    ----------
    frame : any data a model takes
    x, y : names of numeric columns
    group : name of the grouping column; all rows are one group, named "", when not given

    Returns
    -------
    pandas.DataFrame
        Columns ``group`` (categorical, levels in their own order), ``x``, ``y``.

    Raises
    ------
    DataError
        If a column is missing or is not numeric, or no row is complete.
    """
    table = read_table(frame)
    values = {name: _numbers(table, name) for name in (x, y)}
    if group is None:
        codes, levels = np.zeros(table.n_rows, dtype=np.intp), pd.Index([""])
    else:
        factor = as_factor(table.column(group))
        codes, levels = factor.codes, pd.Index(factor.levels)
    used = (codes >= 0) & np.isfinite(values[x]) & np.isfinite(values[y])
    if not used.any():
        columns = ", ".join(name for name in (x, y, group) if name)
        raise DataError(f"No row is complete in {columns}; there is nothing to draw.")
    labels = pd.Categorical.from_codes(codes[used], levels).remove_unused_categories()
    return pd.DataFrame({"group": labels, "x": values[x][used], "y": values[y][used]})


def _numbers(table: Table, name: str) -> FloatArray:
    value = table.column(name)
    if isinstance(value, Factor):
        raise DataError(f"Column {name!r} holds categories; a line needs numbers.")
    return np.asarray(value.values if isinstance(value, Logical) else value, dtype=np.float64)


def within_group(frame: Any, *, x: str, y: str, group: str | None = None) -> pd.DataFrame:
    """Least-squares intercept and slope of every group on its own.

    Parameters
    ----------
    frame, x, y, group
        As for ``group_points``.

    Returns
    -------
    pandas.DataFrame
        Indexed by group; columns ``n`` (rows), ``intercept``, ``slope``, ``sigma`` (residual sd),
        ``mean_x``, ``ss_x`` (S_xx), ``min_x``, ``max_x``. NaN where the rows don't determine it:
        a slope needs two values of x, a residual sd three rows.

    Examples
    --------
    >>> import hierbayes as hb
    >>> from hierbayes.pooling.within_group import within_group
    >>> lines = within_group(hb.load_dataset("sleepstudy"), x="Days", y="Reaction", group="Subject")
    >>> round(float(lines.loc["308", "slope"]), 2)
    21.76
    """
    return _lines(group_points(frame, x=x, y=y, group=group))


def _lines(points: pd.DataFrame) -> pd.DataFrame:
    codes = points["group"].cat.codes.to_numpy().astype(np.intp)
    levels = points["group"].cat.categories
    x, y = points["x"].to_numpy(), points["y"].to_numpy()
    J = len(levels)

    def total(values: FloatArray | None = None) -> FloatArray:
        return np.bincount(codes, weights=values, minlength=J).astype(np.float64)

    n = total()
    mean_x, mean_y = total(x) / n, total(y) / n
    dx, dy = x - mean_x[codes], y - mean_y[codes]
    ss_x, ss_y, s_xy = total(dx**2), total(dy**2), total(dx * dy)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(ss_x > 0, s_xy / ss_x, np.nan)
        residual_ss = total((dy - slope[codes] * dx) ** 2)
        residual_ss = np.where(residual_ss <= PERFECT * ss_y, 0.0, residual_ss)
        sigma = np.where(n > 2, np.sqrt(residual_ss / (n - 2)), np.nan)
    by_group = points.groupby("group", observed=False)["x"]
    return pd.DataFrame(
        {
            "n": n.astype(np.intp),
            "intercept": mean_y - slope * mean_x,
            "slope": slope,
            "sigma": np.where(np.isnan(slope), np.nan, sigma),
            "mean_x": mean_x,
            "ss_x": ss_x,
            "min_x": by_group.min().to_numpy(),
            "max_x": by_group.max().to_numpy(),
        },
        index=pd.Index(levels, name="group"),
    )


def within_group_lines(
    frame: Any,
    *,
    x: str,
    y: str,
    group: str | None = None,
    level: float = 0.95,
    n_points: int = 50,
) -> pd.DataFrame:
    """Points on every group's least-squares line, with the confidence band of the line.

    Parameters
    ----------
    frame, x, y, group
        As for ``group_points``.
    level : float
        Level of the pointwise confidence band, from the t distribution with n - 2 degrees of
        freedom of the group alone.
    n_points : int
        Points on each line, from the group's smallest to its largest x.

    Returns
    -------
    pandas.DataFrame
        Columns ``group x estimate conf_low conf_high``. Groups without a slope have no rows;
        the band is NaN where a group has only two rows.
    """
    if not 0 < level < 1:
        raise OptionError(f"level={level!r} must lie between 0 and 1, for example 0.95.")
    lines = within_group(frame, x=x, y=y, group=group)
    lines = lines[lines["slope"].notna()]
    at = np.linspace(lines["min_x"], lines["max_x"], n_points)  # (n_points, J)
    n, sigma = lines["n"].to_numpy(), lines["sigma"].to_numpy()
    se = sigma * np.sqrt(1 / n + (at - lines["mean_x"].to_numpy()) ** 2 / lines["ss_x"].to_numpy())
    quantile = stdtrit(np.where(n > 2, n - 2, np.nan), (1 + level) / 2)
    estimate = lines["intercept"].to_numpy() + lines["slope"].to_numpy() * at
    return pd.DataFrame(
        {
            "group": pd.Categorical(np.repeat(lines.index, n_points), categories=lines.index),
            "x": at.T.ravel(),
            "estimate": estimate.T.ravel(),
            "conf_low": (estimate - quantile * se).T.ravel(),
            "conf_high": (estimate + quantile * se).T.ravel(),
        }
    )
