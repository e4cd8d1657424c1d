"""Means with their intervals in a panel: along a number as lines and bands, else as marks and bars.

Knows nothing of fits: it draws places, values and limits in the looks it is given.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.plots.palette import Look, now

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BESIDE, MOST_BESIDE = 0.14, 0.56  # between curves at one category, and of all, in categories
BAND_ALPHA = 0.22  # what lies under a band is to be seen
FEW_PLACES = 6  # along a number, marked
MARK = 5.5  # size of marks, in points
MANY_MARKS = 40  # beyond which marks are small
MANY_POINTS = 600  # beyond which points are faint
LARGEST = 70.0  # area of the point of most rows, square points
LEAST_AREA = 6.0
SPREAD = 0.035  # of points of one category, to both sides, in categories
HALO = 1.6  # of the page around a bar, in points: points of the data lie behind it
GOLDEN = 0.6180339887498949  # its multiples fill an interval evenly


@record
class Curve:
    """One curve of a panel.

    Attributes
    ----------
    x, y, low, high : arrays, shape (m,); limits NaN where there are none
    look : colour, mark and line
    shift : beside its category
    """

    x: FloatArray
    y: FloatArray
    low: FloatArray
    high: FloatArray
    look: Look
    shift: float = 0.0


def shifts(n: int) -> FloatArray:
    """Places of n curves beside their category."""
    step = min(BESIDE, MOST_BESIDE / max(n, 1))
    return np.asarray(step * (np.arange(n) - (n - 1) / 2))


def draw_curve(
    ax: "Axes", curve: Curve, *, is_number: bool, joined: bool = True, size: float = MARK
) -> None:
    """Draw means and limits.

    Parameters
    ----------
    ax : matplotlib axes
    curve : what to draw
    is_number : along a number: a line in a band; else marks with bars
    joined : whether marks of categories are joined by a thin line
    size : of marks, in points
    """
    look = curve.look
    if is_number and curve.x.size > 1:
        ax.fill_between(
            curve.x, curve.low, curve.high, color=look.colour, alpha=BAND_ALPHA, linewidth=0,
            zorder=2,
        )  # fmt: skip
        ax.plot(curve.x, curve.y, **look.line(zorder=5))
        if curve.x.size <= FEW_PLACES:
            ax.plot(curve.x, curve.y, **look.mark(5.0, zorder=6))
        return
    x = curve.x + curve.shift
    many = curve.x.size > MANY_MARKS
    if joined and curve.x.size > 1:
        ax.plot(x, curve.y, **look.line(linewidth=0.9 * now().lines, zorder=4))
    width = (0.7 if many else 1.5) * now().lines
    ax.vlines(x, curve.low, curve.high, color=now().paper, linewidth=width + HALO, zorder=5)
    ax.vlines(x, curve.low, curve.high, color=look.colour, linewidth=width, zorder=5.5)
    ax.plot(x, curve.y, **look.mark(min(2.5, size) if many else size, zorder=6))


def draw_points(
    ax: "Axes",
    x: FloatArray,
    y: FloatArray,
    n: FloatArray,
    look: Look,
    *,
    is_number: bool,
    most: float,
    shift: float = 0.0,
) -> None:
    """Draw data behind the means: rows, or bins whose area is their number of rows.

    Parameters
    ----------
    ax : matplotlib axes
    x, y, n : arrays, shape (m,); n rows or trials of each
    look : its colour
    is_number : else points of a category lie beside each other
    most : largest n of the picture; 1 where all are rows
    shift : beside the category
    """
    few = x.size <= MANY_POINTS
    area = LEAST_AREA if most <= 1 else np.maximum(LARGEST * n / most, LEAST_AREA)
    if not is_number:
        x = x + shift
        if most <= 1:
            x = x + SPREAD * (2 * ((GOLDEN * np.arange(x.size)) % 1.0) - 1.0)
    binned = most > 1
    ax.scatter(
        x, y, s=area * now().lines ** 2, marker="o",
        facecolors="none" if binned else look.colour,
        edgecolors=look.colour if binned else "none",
        linewidths=0.9 * now().lines if binned else 0.0,
        alpha=0.9 if binned else 0.35 if few else 0.12,
        zorder=3,
    )  # fmt: skip


def draw_lines(ax: "Axes", lines: Sequence[tuple[FloatArray, FloatArray]], look: Look) -> None:
    """Draw the line of each group, thin and behind the means; a dot where it has one place."""
    from matplotlib.collections import LineCollection

    few = len(lines) <= MANY_MARKS
    width = (0.8 if few else 0.4) * now().lines
    alpha = 0.55 if few else 0.3
    long = [np.column_stack(line) for line in lines if line[0].size > 1]
    if long:
        ax.add_collection(
            LineCollection(long, colors=look.colour, linewidths=width, alpha=alpha, zorder=2.5)
        )
        ax.autoscale_view()
    dots = [line for line in lines if line[0].size == 1]
    if dots:
        x, y = (np.concatenate([line[i] for line in dots]) for i in (0, 1))
        ax.scatter(x, y, s=4.0, color=look.colour, alpha=alpha, linewidths=0, zorder=2.5)


def key(look: Look, *, is_number: bool) -> Any:
    """Return what stands for a curve in a legend."""
    from matplotlib.lines import Line2D

    if is_number:
        style = look.line()
        style.pop("zorder")
        return Line2D([], [], **style)
    style = look.mark(5.5) | {"linestyle": "-", "color": look.colour}
    style.pop("zorder")
    return Line2D([], [], linewidth=1.3 * now().lines, **style)
