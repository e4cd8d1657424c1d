"""Sizes, greys and line styles of all pictures; nothing here changes matplotlib's settings.

Pictures are drawn 160 mm wide with letters that are still legible when they are shrunk to 80 mm,
and differ by lightness, shape and line style, never by hue alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

MM_PER_INCH = 25.4
WIDTH_MM = 160.0
PNG_DPI = 200
MARGIN = 0.06  # inches around the axes of a figure

INK = "#1a1a1a"
SOFT = "#6b6b6b"
BAND = "#cfcfcf"
REFERENCE: dict[str, Any] = {"color": SOFT, "linewidth": 1.3, "linestyle": (0, (5, 3)), "zorder": 1}
LINE: dict[str, Any] = {"color": INK, "linewidth": 1.4, "zorder": 3}
POINT: dict[str, Any] = {"color": INK, "linewidths": 0, "zorder": 2}

SETTINGS: Any = {  # matplotlib's names
    "font.size": 11.0,
    "axes.titlesize": 11.0,
    "axes.labelsize": 11.0,
    "figure.labelsize": 11.0,
    "xtick.labelsize": 10.0,
    "ytick.labelsize": 10.0,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "text.color": INK,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw with our settings; matplotlib's own are as before when it ends."""
    import matplotlib as mpl

    with mpl.rc_context(SETTINGS):
        yield


def inches(width_mm: float, height_mm: float) -> tuple[float, float]:
    """Size of a figure as matplotlib takes it."""
    return width_mm / MM_PER_INCH, height_mm / MM_PER_INCH


def figure_of(ax: "Axes | None", *, width_mm: float, height_mm: float) -> "tuple[Any, Axes]":
    """Return figure and axes to draw into: those given, or new ones."""
    if ax is not None:
        return ax.figure, ax
    figure = new_figure(width_mm=width_mm, height_mm=height_mm)
    return figure, figure.add_subplot()


def new_figure(*, width_mm: float, height_mm: float) -> "Figure":
    """Make a figure that ``matplotlib.pyplot.show()`` will show."""
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=inches(width_mm, height_mm), layout="constrained")
    return with_margins(figure)


def with_margins(figure: "Figure") -> "Figure":
    """Keep letters off the edges of the picture, and panels apart."""
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(w_pad=MARGIN, h_pad=MARGIN)  # type: ignore[call-arg]
    return figure


def any_figure(
    figure: "Figure | SubFigure | None", *, width_mm: float, height_mm: float
) -> "Figure | SubFigure":
    """Return the figure given, or a new one."""
    return figure or new_figure(width_mm=width_mm, height_mm=height_mm)
