"""Estimates below each other with their intervals."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.plots.palette import Look, now, reference

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW_MM, NARROW_ROW_MM, FRAME_MM = 6.5, 5.0, 5.0
TIGHT_ROW_MM = 3.4  # of many rows
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


def forest_mm(n: int, *, narrow: bool) -> float:
    """Height of a panel of n rows."""
    row = NARROW_ROW_MM if narrow else ROW_MM
    return FRAME_MM + n * (row if n <= 25 else TIGHT_ROW_MM)


def draw_forest(ax: "Axes", rows: Rows, look: Look, order: Sequence[int]) -> None:
    """Draw rows from above in an order.

    Parameters
    ----------
    ax : matplotlib axes
    rows : what to draw
    look : of marks and bars
    order : positions of the rows, from above
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
    ax.plot(rows.estimate[order], y, **look.mark(5.5 if len(order) <= 25 else 3.0))
    ax.set_yticks(y, [rows.names[i] for i in order])
    ax.set_ylim(len(order) - 0.4, -0.6)


def _plain_numbers(ax: "Axes") -> None:
    """Write 0.5, 1, 2 at a logarithmic axis, not powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
