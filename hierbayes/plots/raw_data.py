"""The data as they are: one panel a group, points with the group's own least-squares line."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import hierbayes.plots.style as style
from hierbayes.errors import OptionError
from hierbayes.plots.alt_text import describe
from hierbayes.plots.labels import LETTER, MM_PER_POINT, axis_label
from hierbayes.plots.picture import picture
from hierbayes.plots.shrinkage_source import short_names
from hierbayes.pooling.within_group import group_points, within_group_lines
from hierbayes.wording import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

COLUMNS, NARROW_COLUMNS = 9, 5
PANEL_MM, FRAME_MM = 30.0, 22.0  # height of a row of panels, and of what is around them
BETWEEN_MM = 5.0  # panels, with the numbers of the first one
AROUND_MM = 12.0  # the label and the numbers left of all panels
ROOM_OF_NUMBER = 1.35  # between the ticks of numbers that stand apart, in widths of a number
MARGINS = 1.1  # width of a panel, in spans of the data
MOST_GROUPS = 200  # more panels than anyone can see; matplotlib would take minutes
POINT_SIZE = 9.0
INTERVALS = 2  # between the ticks of a narrow panel, so that their numbers don't touch
NARROW_FROM = 5  # panels in a row


@picture
def data(
    frame: Any,
    *,
    x: str,
    y: str,
    group: str | None = None,
    columns: int | None = None,
    level: float = 0.95,
    labels: Mapping[str, str] | None = None,
    figure: "Figure | SubFigure | None" = None,
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw the data, one panel a group, with each group's own least-squares line and band.

    Parameters
    ----------
    frame : any data a model takes; never changed
    x, y : names of numeric columns
    group : name of the grouping column; a single panel when not given
    columns : panels in a row; unless said, 9, or 5 in a narrow figure, or as many as leave room
        for the numbers below them
    level : level of the confidence band of each line (t, the group's own residual sd)
    labels : axis labels by column, for example ``{"Days": "days of sleep deprivation"}``; the
        column's name unless said, with its unit where a bundled data set tells it
    figure : a matplotlib figure to draw into

    Returns
    -------
    figure, axes
        An array of axes, one a group in the order of its levels.

    Examples
    --------
    >>> import hierbayes as hb
    >>> sleep = hb.load_dataset("sleepstudy")
    >>> figure, axes = hb.plot.data(sleep, x="Days", y="Reaction", group="Subject")
    >>> axes.size
    18
    """
    points = group_points(frame, x=x, y=y, group=group)
    lines = within_group_lines(frame, x=x, y=y, group=group, level=level)
    n_groups = len(points["group"].cat.categories)
    if n_groups > MOST_GROUPS:
        raise OptionError(
            f"group={group!r} has {n_groups} groups, a panel each; draw at most {MOST_GROUPS}, "
            "for example those of a sample of its levels."
        )
    if columns is None:
        most = NARROW_COLUMNS if style.is_narrow(figure) else COLUMNS
        columns = min(most, _columns_with_room(figure, points["x"]))
        columns = -(-n_groups // -(-n_groups // columns))  # rows of equal length
    if columns < 1:
        raise OptionError(f"columns={shown(columns)} must be at least 1.")
    n_columns = min(columns, n_groups)
    n_rows = -(-n_groups // n_columns)
    height = FRAME_MM + PANEL_MM * n_rows if n_groups > 1 else 0.6 * style.WIDTH_MM
    name = getattr(frame, "attrs", {}).get("name", "")
    with style.drawing(figure):
        drawn = style.any_figure(figure, width_mm=style.WIDTH_MM, height_mm=height)
        axes = _panels(drawn, points, lines, n_rows=n_rows, n_columns=n_columns)
        drawn.supxlabel(axis_label(x, points["x"], data_name=name, labels=labels))
        drawn.supylabel(axis_label(y, points["y"], data_name=name, labels=labels))
    describe(drawn, _words(lines, x=x, y=y, group=group))
    return drawn, axes


def _columns_with_room(figure: "Figure | SubFigure | None", x: "pd.Series[float]") -> int:
    """Panels in a row that have room for the numbers below each."""
    from matplotlib.ticker import MaxNLocator

    low, high = float(x.min()), float(x.max())
    ticks = MaxNLocator(INTERVALS, integer=True).tick_values(low, high)
    letters = max(len(f"{tick:g}") for tick in ticks)
    spans = MARGINS * max((high - low) / (ticks[1] - ticks[0]), 1.0)  # a panel, in gaps of ticks
    size = (style.NARROW_LETTERS if style.is_narrow(figure) else 1.0) * style.SETTINGS[
        "xtick.labelsize"
    ]
    number = ROOM_OF_NUMBER * letters * LETTER * size * MM_PER_POINT
    return max(1, int((style.width_of(figure) - AROUND_MM) / (number * spans + BETWEEN_MM)))


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


def _panels(
    figure: "Figure | SubFigure",
    points: pd.DataFrame,
    lines: pd.DataFrame,
    *,
    n_rows: int,
    n_columns: int,
) -> "np.ndarray[Any, Any]":
    grid = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).ravel()
    levels = points["group"].cat.categories
    point_rows = points.groupby("group", observed=True)
    line_rows = dict(list(lines.groupby("group", observed=True)))
    room = style.width_of(figure) / n_columns - BETWEEN_MM
    most = int(room / (LETTER * style.letter_size() * MM_PER_POINT))
    names = short_names(list(levels), most=most)
    for ax, (level, rows), name in zip(grid, point_rows, names, strict=False):
        _panel(
            ax,
            rows,
            line_rows.get(level),
            narrow=n_columns >= NARROW_FROM or style.is_narrow(figure),
        )
        ax.set_title(name, pad=3)
    for position, ax in enumerate(grid):
        if position >= len(levels):
            ax.remove()
        elif position + n_columns >= len(levels):  # nothing below it
            ax.xaxis.set_tick_params(labelbottom=True)
    return np.asarray(grid[: len(levels)])


def _panel(ax: "Axes", rows: pd.DataFrame, line: pd.DataFrame | None, *, narrow: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    if line is not None:
        ax.fill_between(
            line["x"], line["conf_low"], line["conf_high"], color=style.BAND, linewidth=0, zorder=1
        )
        ax.plot(line["x"], line["estimate"], **style.LINE)
    ax.scatter(rows["x"], rows["y"], s=POINT_SIZE, **style.POINT)
    if narrow:
        ax.xaxis.set_major_locator(MaxNLocator(INTERVALS, integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(2 * INTERVALS))
