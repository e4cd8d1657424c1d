"""Factorial data as they are: rows of each category, their means, one panel a group or together."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hierbayes.plots.curves import Curve, draw_curve, draw_lines, draw_points, key, shifts
from hierbayes.plots.palette import Look, look
from hierbayes.plots.series import series
from hierbayes.plots.sheet import Sheet
from hierbayes.pooling.within_category import CategoryRows

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def looks_of(page: Sheet, found: CategoryRows) -> list[Look]:
    """Return the looks of the categories told apart by colour; that of data where there is one."""
    if len(found.by_labels) == 1:
        return [look("data")]
    return series([page.label(name) for name in found.by_labels])


def draw_group(
    ax: "Axes", found: CategoryRows, level: Any, looks: Sequence[Look], *, bars: bool
) -> None:
    """Draw the rows of one group and their means.

    Parameters
    ----------
    ax : matplotlib axes
    found : CategoryRows
    level : of the group
    looks : of the categories told apart
    bars : whether to draw the intervals of the means
    """
    points = found.points[found.points["group"] == level]
    means = found.means[found.means["group"] == level]
    _draw(ax, points, means, looks, bars=bars)


def draw_together(ax: "Axes", found: CategoryRows, looks: Sequence[Look]) -> None:
    """Draw the means of all groups as thin lines, and the means over groups with intervals."""
    for k, (own, shift) in enumerate(zip(looks, shifts(len(looks)), strict=True)):
        rows = found.means[found.means["by"] == k]
        lines = [
            (part["x"].to_numpy() + shift, part["mean"].to_numpy())
            for _, part in rows.groupby("group", observed=True)
        ]
        draw_lines(ax, lines, own)
    _draw(ax, found.points.iloc[:0], found.overall, looks, bars=True)


def _draw(
    ax: "Axes", points: pd.DataFrame, means: pd.DataFrame, looks: Sequence[Look], *, bars: bool
) -> None:
    for k, (own, shift) in enumerate(zip(looks, shifts(len(looks)), strict=True)):
        rows = points[points["by"] == k]
        if len(rows):
            x, y = (rows[name].to_numpy(dtype=np.float64) for name in ("x", "y"))
            draw_points(ax, x, y, np.ones(x.size), own, is_number=False, most=1, shift=shift)
        own_means = means[means["by"] == k].sort_values("x")
        x, y, low, high = (
            own_means[name].to_numpy(dtype=np.float64)
            for name in ("x", "mean", "conf_low", "conf_high")
        )
        if not bars:
            low = high = y
        draw_curve(ax, Curve(x=x, y=y, low=low, high=high, look=own, shift=shift), is_number=False)


def name_categories(page: Sheet, axes: Any, found: CategoryRows) -> None:
    """Write the categories below the panels."""
    names = [page.label(name) for name in found.x_labels]
    for ax in axes:
        ax.set_xticks(range(len(names)), names)
        ax.set_xlim(-0.5, len(names) - 0.5)


def legend_of(page: Sheet, by: str | None, looks: Sequence[Look]) -> None:
    """Say which colour is which category."""
    if by is not None:
        name = page.label(by)
        handles = [key(own, is_number=False) for own in looks]
        page.legend(handles, [f"{name}: {own.name}" for own in looks])
