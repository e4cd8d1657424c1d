"""Estimates below each other with their intervals."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.plots.letters import MM_PER_POINT, in_lines
from hierbayes.plots.palette import Look, now, reference
from hierbayes.plots.style import letter_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW_MM, NARROW_ROW_MM, FRAME_MM = 6.5, 5.0, 5.0
TIGHT_ROW_MM, FEW_ROWS = 3.4, 25  # of more rows than these few
NAME = 10 / 11  # size of the names of rows, in sizes of the other letters
MOST_LINES = 3  # of a name
AROUND_MM = 30.0  # of all rows


@record
class Rows:
    """Estimates with intervals, one row each.

    Attributes
    ----------
    names : of the rows
    estimate, low, high : arrays, shape (m,)
    reference : where nothing is: 0, of ratios 1; None where there is no such value
    is_ratio : whether the axis is logarithmic
    """

    names: tuple[str, ...]
    estimate: FloatArray
    low: FloatArray
    high: FloatArray
    reference: float | None = None
    is_ratio: bool = False


def broken_names(names: Sequence[str], *, room_mm: float) -> tuple[str, ...]:
    """Break names of rows into lines that fit into the room beside the panel."""
    points = NAME * letter_size()
    return tuple(in_lines(name, room_mm=room_mm, points=points, most=MOST_LINES) for name in names)


def row_mm(names: Sequence[str], *, narrow: bool) -> float:
    """Height of a row, with room for the lines of its name."""
    row = TIGHT_ROW_MM if len(names) > FEW_ROWS else NARROW_ROW_MM if narrow else ROW_MM
    lines = max((name.count("\n") + 1 for name in names), default=1)
    return (
        row if lines == 1 else max(row, (1.2 * lines + 0.6) * NAME * letter_size() * MM_PER_POINT)
    )


def forest_mm(names: Sequence[str], *, narrow: bool) -> float:
    """Height of a panel of rows."""
    return FRAME_MM + len(names) * row_mm(names, narrow=narrow)


def draw_forest(
    ax: "Axes", rows: Rows, look: Look, order: Sequence[int], names: Sequence[str]
) -> None:
    """Draw rows from above in an order.

    Parameters
    ----------
    ax : matplotlib axes
    rows : what to draw
    look : of marks and bars
    order : positions of the rows, from above
    names : of all rows, broken into lines
    """
    if rows.is_ratio:
        ax.set_xscale("log")
        _plain_numbers(ax)
    if rows.reference is not None:
        ax.axvline(rows.reference, **reference())
    order = list(order)
    y = np.arange(len(order))
    ax.hlines(
        y, rows.low[order], rows.high[order], color=look.colour, linewidth=1.5 * now().lines,
        zorder=4,
    )  # fmt: skip
    ax.plot(rows.estimate[order], y, **look.mark(5.5 if len(order) <= FEW_ROWS else 3.0))
    ax.set_yticks(y, [names[i] for i in order])
    ax.set_ylim(len(order) - 0.4, -0.6)


def _plain_numbers(ax: "Axes") -> None:
    """Write 0.5, 1, 2 at a logarithmic axis, not powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
