"""The data as they are: one panel a group, points with the group's own line or means."""

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

from hierbayes.errors import OptionError
from hierbayes.options import check_flag
from hierbayes.plots.alt_text import describe
from hierbayes.plots.category_data import over_categories
from hierbayes.plots.labels import axis_label
from hierbayes.plots.level_panels import level_panels, panel_names
from hierbayes.plots.needed import data_of
from hierbayes.plots.palette import look
from hierbayes.plots.picture import picture
from hierbayes.plots.sheet import Options, sheet
from hierbayes.pooling.within_category import holds_categories
from hierbayes.pooling.within_group import group_points, within_group_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

AREA = 9.0
INTERVALS = 2  # between the ticks of a narrow panel
NARROW_MM = 30.0


@picture
def data(
    frame: Any,
    *,
    x: str | None = None,
    y: str | None = None,
    group: str | None = None,
    by: str | None = None,
    together: bool = False,
    columns: int | None = None,
    level: float = 0.95,
    **options: Unpack[Options],
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw the data, one panel a group, with each group's own least-squares line, or its means.

    Over a number each group has its least-squares line and band, over categories the mean of the
    rows of each.

    Parameters
    ----------
    frame : any data a model takes, never changed; or a model or fit, whose data are drawn
    x, y : names of columns, y numeric; of a model or fit, its first numeric predictor, else its
        first factor, and its response
    group : name of the grouping column, a single panel when not given; of a model or fit, its first
        grouping factor
    by : where x holds categories, a column whose categories are told apart by colour; of a model
        or fit without numeric predictors its second factor
    together : bool
        Where x holds categories: all groups in one panel, a thin line of means each, and the means
        over groups with their intervals.
    columns : panels in a row; as many as have room unless said
    level : level of the confidence band of each line (t, the group's own residual sd), and of the
        intervals of means

    Returns
    -------
    figure, axes
        An array of axes, one a group in the order of its levels; where there are more than a page
        holds, of levels at equal distances in that order, and their number is said. ``labels`` are
        those of columns and levels; a column's name has its unit where a bundled data set tells it.

    Examples
    --------
    >>> import hierbayes as hb
    >>> sleep = hb.load_dataset("sleepstudy")
    >>> figure, axes = hb.plot.data(sleep, x="Days", y="Reaction", group="Subject")
    >>> axes.size
    18
    """
    asked = data_of(frame, x, y, group, by)
    frame, x, y, group = asked.frame, asked.x, asked.y, asked.group
    check_flag("together", together, "True (all groups in one panel) or False")
    if holds_categories(frame, x):
        return over_categories(asked, options, together=together, columns=columns, level=level)
    if asked.by is not None or together:
        what = "by=" if asked.by is not None else "together="
        raise OptionError(f"{what} is for categories along x; x={x!r} is a number.")
    points = group_points(frame, x=x, y=y, group=group)
    lines = within_group_lines(frame, x=x, y=y, group=group, level=level)
    levels = [str(name) for name in points["group"].cat.categories]
    name = getattr(frame, "attrs", {}).get("name", "")
    with sheet(options, "data") as page:
        panels = level_panels(page, page.ordered(levels, usual="data"), columns)
        drawn = panels.places
        axes = page.grid(
            len(drawn), columns=panels.columns, panel_mm=panels.tall_mm, sharex=True, sharey=True
        )
        rows = {str(key): part for key, part in points.groupby("group", observed=True)}
        own = {str(key): part for key, part in lines.groupby("group", observed=True)}
        names = panel_names(page, [levels[place] for place in drawn], panels)
        for ax, place, title in zip(axes, drawn, names, strict=True):
            _panel(ax, rows[levels[place]], own.get(levels[place]))
            if group is not None:
                ax.set_title(title, pad=3)
        if panels.wide_mm < NARROW_MM:
            _few_ticks(axes)
        if len(drawn) < len(levels):
            page.note(f"{len(drawn)} of {len(levels)} levels of {group}.")
        page.figure.supxlabel(page.label(x, axis_label(x, points["x"], data_name=name)))
        ours = asked.y_words or axis_label(y, points["y"], data_name=name)
        page.figure.supylabel(page.label(y, ours))
        describe(page.figure, _words(lines, x=x, y=y, group=group))
    return page.figure, np.asarray(axes)


def _words(lines: pd.DataFrame, *, x: str, y: str, group: str | None) -> str:
    """Say in words what is drawn, and which lines are the steepest."""
    by_group = lines.groupby("group", observed=True)[["x", "estimate"]]
    rise = by_group.last() - by_group.first()
    slopes = rise["estimate"] / rise["x"]
    text = f"{y} over {x}, with least-squares lines and their confidence bands."
    if group is None or slopes.empty:
        return text
    return (
        f"{text} {len(slopes)} panels, one a level of {group}; slopes from {slopes.min():.3g} "
        f"({slopes.idxmin()}) to {slopes.max():.3g} ({slopes.idxmax()})."
    )


def _few_ticks(axes: "np.ndarray[Any, Any]") -> None:
    from matplotlib.ticker import MaxNLocator

    axes[0].xaxis.set_major_locator(MaxNLocator(INTERVALS, integer=True))
    axes[0].yaxis.set_major_locator(MaxNLocator(2 * INTERVALS))


def _panel(ax: "Axes", rows: pd.DataFrame, line: pd.DataFrame | None) -> None:
    style = look("data")
    if line is not None:
        ax.fill_between(line["x"], line["conf_low"], line["conf_high"], **style.filled())
        ax.plot(line["x"], line["estimate"], **style.line(linewidth=1.3))
    ax.scatter(rows["x"], rows["y"], **style.points(AREA))
