"""Factorial data as they are: rows of each category, their means, one panel a group or together."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hierbayes.errors import OptionError
from hierbayes.plots.alt_text import describe
from hierbayes.plots.curves import MARK, Curve, draw_curve, draw_lines, draw_points, key, shifts
from hierbayes.plots.labels import axis_label
from hierbayes.plots.letters import width_mm
from hierbayes.plots.level_panels import ALONE_MM, AROUND_MM, level_panels, panel_names
from hierbayes.plots.needed import DataDrawn
from hierbayes.plots.palette import Look, look
from hierbayes.plots.series import MOST, series
from hierbayes.plots.sheet import Options, Sheet, sheet
from hierbayes.plots.style import letter_size
from hierbayes.pooling.within_category import CategoryRows, category_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure


SMALL_MARK, NARROW_MM = 3.2, 30.0  # size of means in panels narrower than this, in points


def over_categories(
    asked: DataDrawn, options: Options, *, together: bool, columns: int | None, level: float
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw rows and means over categories: one panel a group, or all groups together.

    Parameters
    ----------
    asked : data, and the names of their columns
    options : of the picture
    together : all groups in one panel
    columns : panels in a row; as many as have room if None
    level : of the intervals of means
    """
    x, y, group, by = asked.x, asked.y, asked.group, asked.by
    found = category_rows(asked.frame, x=x, y=y, group=group, by=by, level=level)
    levels = [str(name) for name in found.points["group"].cat.categories]
    if len(found.by_labels) > MOST:
        raise OptionError(f"by={by!r} has {len(found.by_labels)} values; draw at most {MOST}.")
    name = getattr(asked.frame, "attrs", {}).get("name", "")
    with sheet(options, "data") as page:
        looks, order = _looks(page, found), page.ordered(levels, usual="data")
        if together:
            axes: Any = np.array([page.axes(ALONE_MM)])
            _draw_together(axes[0], found, looks)
        else:
            names = [width_mm(page.label(name), letter_size()) for name in found.x_labels]
            upright = AROUND_MM + max(names)  # names of categories
            panels = level_panels(page, order, columns, around_mm=upright)
            n, n_columns = len(panels.places), panels.columns
            tall = panels.tall_mm
            axes = page.grid(n, columns=n_columns, panel_mm=tall, sharex=True, sharey=True)
            size = SMALL_MARK if panels.wide_mm < NARROW_MM else MARK
            titles = panel_names(page, [levels[place] for place in panels.places], panels)
            for ax, place, title in zip(axes, panels.places, titles, strict=True):
                _draw_group(ax, found, levels[place], looks, bars=group is None, size=size)
                if group is not None:
                    ax.set_title(title, pad=3)
            if n < len(levels):
                page.note(f"{n} of {len(levels)} levels of {group}.")
        _name_categories(page, axes, found)
        _legend(page, by, looks)
        ours = asked.y_words or axis_label(y, found.points["y"], data_name=name)
        up = page.label(y, ours)
        if len(axes) == 1:
            axes[0].set_xlabel(page.label(x))
            axes[0].set_ylabel(up)
        else:
            page.figure.supxlabel(page.label(x))
            page.figure.supylabel(up)
        page.note(_of_means(group, together=together, level=level))
        describe(page.figure, _words(found, asked))
    return page.figure, np.asarray(axes)


def _of_means(group: str | None, *, together: bool, level: float) -> str:
    """Say what marks and bars are."""
    limits = f"{100 * level:g} % confidence intervals"
    if together:
        return f"Thin lines: means of each {group}; marks: their means, with {limits}."
    return "Marks: means." if group is not None else f"Marks: means with {limits}."


def _words(found: CategoryRows, asked: DataDrawn) -> str:
    """Say in words what the means of the categories are."""
    parts = []
    for x, by, mean in found.overall[["x", "by", "mean"]].to_numpy(dtype=np.float64):
        names = [found.x_labels[int(x)], *([found.by_labels[int(by)]] if asked.by else [])]
        parts.append(f"{', '.join(names)} {mean:.4g}")
    n = found.points["group"].cat.categories.size
    groups = f", of {n} levels of {asked.group}" if asked.group is not None else ""
    return f"{asked.y} over {asked.x}{groups}; means: {'; '.join(parts)}."


def _looks(page: Sheet, found: CategoryRows) -> list[Look]:
    """Return the looks of the categories told apart by colour; that of data where there is one."""
    if len(found.by_labels) == 1:
        return [look("data")]
    return series([page.label(name) for name in found.by_labels])


def _draw_group(
    ax: "Axes",
    found: CategoryRows,
    level: Any,
    looks: Sequence[Look],
    *,
    bars: bool,
    size: float = MARK,
) -> None:
    """Draw the rows of one group and their means.

    Parameters
    ----------
    ax : matplotlib axes
    found : CategoryRows
    level : of the group
    looks : of the categories told apart
    bars : whether to draw the intervals of the means
    size : of their marks, in points
    """
    points = found.points[found.points["group"] == level]
    means = found.means[found.means["group"] == level]
    _draw(ax, points, means, looks, bars=bars, size=size)


def _draw_together(ax: "Axes", found: CategoryRows, looks: Sequence[Look]) -> None:
    """Draw the means of all groups as thin lines, and the means over groups with intervals."""
    for k, (own, shift) in enumerate(zip(looks, shifts(len(looks)), strict=True)):
        rows = found.means[found.means["by"] == k]
        lines = [
            (part["x"].to_numpy() + shift, part["mean"].to_numpy())
            for _, part in rows.groupby("group", observed=True)
        ]
        draw_lines(ax, lines, own)
    _draw(ax, found.points.iloc[:0], found.overall, looks, bars=True, size=MARK)


def _draw(
    ax: "Axes",
    points: pd.DataFrame,
    means: pd.DataFrame,
    looks: Sequence[Look],
    *,
    bars: bool,
    size: float,
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
        curve = Curve(x=x, y=y, low=low, high=high, look=own, shift=shift)
        draw_curve(ax, curve, is_number=False, size=size)


def _name_categories(page: Sheet, axes: Any, found: CategoryRows) -> None:
    """Write the categories below the panels."""
    names = [page.label(name) for name in found.x_labels]
    for ax in axes:
        ax.set_xticks(range(len(names)), names)
        ax.set_xlim(-0.5, len(names) - 0.5)


def _legend(page: Sheet, by: str | None, looks: Sequence[Look]) -> None:
    """Say which colour is which category."""
    if by is not None:
        name = page.label(by)
        handles = [key(own, is_number=False) for own in looks]
        page.legend(handles, [f"{name}: {own.name}" for own in looks])
