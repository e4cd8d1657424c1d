"""Sizes of letters and figures of all pictures; nothing here changes matplotlib's settings.

Pictures are 160 mm wide unless another width is asked for. Letters are large enough for a lecture
hall, and smaller, 8 points, in a figure as narrow as the column of a journal.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hierbayes.plots.letters import sentence_in_lines, width_mm
from hierbayes.plots.palette import now

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

MM_PER_INCH = 25.4
MM_PER_POINT = MM_PER_INCH / 72
WIDTH_MM = 160.0
NARROW_MM = 110.0  # figures below this width have smaller letters
NARROW_LETTERS = 0.74  # of the size of the others: 8 points for 11
TITLE = 1.05  # size of a title, in sizes of the other letters
HINTED = 1.06  # width of letters on a grid of pixels, in widths of those measured, at most
PNG_DPI = 200
COVERED, LEAST_AREA = 0.3, 0.8  # share of a panel that points cover at most; of one, square points
MARGIN = 0.06  # inches around the axes of a figure
MARGIN_OF_NOTE = 0.012  # left of the words below a picture, of its width

SETTINGS: Any = {  # matplotlib's names
    "font.size": 11.0,
    "axes.titlesize": 11.0,
    "axes.labelsize": 11.0,
    "figure.labelsize": 11.0,
    "xtick.labelsize": 10.0,
    "ytick.labelsize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
}


def settings(share: float) -> Any:
    """Return matplotlib's settings in the theme that is drawn in, letters a share of full size."""
    theme = now()
    own = {
        "axes.edgecolor": theme.soft,
        "axes.labelcolor": theme.ink,
        "xtick.color": theme.soft,
        "ytick.color": theme.soft,
        "xtick.labelcolor": theme.ink,
        "ytick.labelcolor": theme.ink,
        "figure.facecolor": theme.paper,
        "axes.facecolor": theme.paper,
        "savefig.facecolor": "auto",
        "text.color": theme.ink,
        "text.parse_math": False,
        "axes.linewidth": 0.8 * theme.lines,
    }
    sizes = {
        name: share * theme.letters * value
        for name, value in SETTINGS.items()
        if name.endswith("size")
    }
    return SETTINGS | own | sizes


def share_of(width_mm: float) -> float:
    """Size of letters in a figure so wide, as a share of full size."""
    return NARROW_LETTERS if width_mm < NARROW_MM else 1.0


def width_of(into: "Figure | SubFigure | Axes | None") -> float:
    """Return the width in mm of a figure, of the figure of axes, or of a new figure."""
    if into is None:
        return WIDTH_MM
    figure: Any = into if hasattr(into, "add_subplot") else into.figure
    whole = figure.get_figure(root=True)
    return float(figure.bbox.width / whole.bbox.width * whole.get_size_inches()[0] * MM_PER_INCH)


def height_of(into: "Figure | SubFigure | Axes") -> float:
    """Return the height in mm of a figure, or of the place of axes."""
    given: Any = into
    box = given.bbox if hasattr(given, "add_subplot") else given.get_window_extent()
    whole = (given if hasattr(given, "add_subplot") else given.figure).get_figure(root=True)
    return float(box.height / whole.dpi * MM_PER_INCH)


def letter_size(of: str = "medium") -> float:
    """Size in points of "small" or "medium" letters, while drawing."""
    from matplotlib.font_manager import FontProperties

    return float(FontProperties(size=of).get_size_in_points())


def area_of_points(n: int, usual: float, *, wide_mm: float, tall_mm: float) -> float:
    """Area of each of n points in a panel, in square points: less than usual where they are many.

    Together they cover no more than a part of the panel, so that they are seen as points.
    """
    room = COVERED * wide_mm * tall_mm / MM_PER_POINT**2
    return min(usual, max(room / max(n, 1), LEAST_AREA))


def keep_letters(ax: "Axes", width_mm: float) -> None:
    """Let axes of a figure so wide remember the size of their numbers.

    matplotlib asks its settings how large they are whenever it chooses ticks; when a picture is
    saved those are no longer ours.
    """
    ours = settings(share_of(width_mm))
    for axis, name in ((ax.xaxis, "xtick.labelsize"), (ax.yaxis, "ytick.labelsize")):
        if "labelsize" not in axis.get_tick_params():
            axis.set_tick_params(labelsize=ours[name])


def inches(width_mm: float, height_mm: float) -> tuple[float, float]:
    """Size of a figure as matplotlib takes it."""
    return width_mm / MM_PER_INCH, height_mm / MM_PER_INCH


def new_figure(*, width_mm: float, height_mm: float) -> "Figure":
    """Make a figure that ``matplotlib.pyplot.show()`` will show."""
    from matplotlib import pyplot

    from hierbayes.plots.text_figure import TextFigure

    size = inches(width_mm, height_mm)
    figure = pyplot.figure(
        FigureClass=TextFigure, figsize=size, facecolor=now().paper, layout="constrained"
    )
    return with_margins(figure)


def fitted_legend(
    owner: "Axes | Figure | SubFigure",
    handles: Sequence[Any],
    words: Sequence[str],
    *,
    room_mm: float,
    title: str | None,
    size: str = "small",
    **place: Any,
) -> Any:
    """Write a legend in as many columns as fit, its words in lines where even one is too wide.

    Parameters
    ----------
    owner : the axes or figure it belongs to
    handles, words : what is explained
    room_mm : its width at most
    title : above it, or None
    size : of its letters, as matplotlib names it
    **place : ``loc`` and the like
    """
    points = letter_size(size)
    style: dict[str, Any] = {
        "frameon": False, "fontsize": points, "columnspacing": 1.2, "handlelength": 1.9,
        "handletextpad": 0.5, "labelspacing": 0.35, "borderpad": 0.2,
    }  # fmt: skip
    key_mm = (style["handlelength"] + style["handletextpad"] + 0.6) * points * MM_PER_INCH / 72
    lines = [sentence_in_lines(w, room_mm=room_mm - key_mm, points=points) for w in words]
    gap_mm = style["columnspacing"] * points * MM_PER_INCH / 72
    widths = [HINTED * width_mm(line, points) + key_mm for line in lines]
    n, order, columns = len(lines), list(range(len(lines))), 1
    for ncols in range(n, 1, -1):
        by_line = [i for first in range(ncols) for i in range(first, n, ncols)]
        for tried in (by_line, list(range(n))):  # read line by line where that has room
            parts = np.array_split(tried, ncols)  # matplotlib fills column after column
            wide = sum(max(widths[i] for i in part) for part in parts)
            if columns == 1 and wide + gap_mm * (ncols - 1) <= room_mm:
                order, columns = tried, ncols
    legend = owner.legend(
        [handles[i] for i in order], [lines[i] for i in order], ncols=columns, **style, **place
    )
    if title is not None:
        from matplotlib.font_manager import FontProperties

        points = TITLE * letter_size()
        lines_of_title = sentence_in_lines(title, room_mm=room_mm, points=points)
        legend.set_title(lines_of_title, FontProperties(size=points))
    return legend


def with_margins(figure: "Figure") -> "Figure":
    """Keep letters off the edges of the picture, and panels apart."""
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(w_pad=MARGIN, h_pad=MARGIN)  # type: ignore[call-arg]
    return figure


def with_layout[Given: "Figure | SubFigure"](figure: Given) -> Given:
    """Return a figure that was given; one without a layout gets ours.

    What stands around the panels then has its place.
    """
    whole: Any = figure.get_figure(root=True)
    if whole.get_layout_engine() is None:
        whole.set_layout_engine("constrained")
        with_margins(whole)
    return figure
