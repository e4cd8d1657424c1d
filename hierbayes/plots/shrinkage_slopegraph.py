"""One coefficient of every level: what its own data say at the left, what is estimated right."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import hierbayes.plots.shrinkage_source as shared
from hierbayes.arrays import FloatArray
from hierbayes.plots.alt_text import describe
from hierbayes.plots.level_names import settle, spread_positions, width
from hierbayes.plots.picture import picture
from hierbayes.plots.style import INK, REFERENCE, SOFT, drawing, figure_of
from hierbayes.results.fit import Fit
from hierbayes.results.shrinkage_table import ShrinkageTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes


WIDTH_MM, HEIGHT_MM = 120.0, 110.0
MANY = 60  # levels from which none is named
NAME_SIZE, SMALL_NAME = 8.5, 7.0
GAP = 0.035  # between a point and what stands beside it, part of the way from left to right
EMPTY, MOST_ROOM = 0.15, 1.2  # beside the two columns of points, without names and with long ones
AREA = (12.0, 60.0)  # of the marks of the smallest and the largest level


@picture
def shrinkage_slopegraph(
    source: Fit | ShrinkageTable,
    *,
    group: str | None = None,
    term: str | None = None,
    names: bool | None = None,
    labels: Mapping[str, str] | None = None,
    ax: "Axes | None" = None,
) -> "tuple[Any, Axes]":
    """Draw a line for every level from its unpenalised estimate to its shrunken one.

    Parameters
    ----------
    source : LikelihoodFit, PosteriorFit, or what ``hb.shrinkage`` returned
    group, term : grouping factor and term; the first ones when not given
    names : whether levels are named; by default where there are at most 60
    labels : axis labels by term, in place of ours
    ax : matplotlib axes to draw into

    Returns
    -------
    figure, axes
        Points are larger where a level has more rows.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> figure, ax = hb.plot.shrinkage_slopegraph(fit)
    >>> [text.get_text() for text in ax.get_xticklabels()]
    ['no pooling', 'partial pooling']
    """
    table = shared.table_of(source)
    rows = shared.rows_of(table, group, term).sort_values("unpenalised", kind="stable")
    own, kept = rows["unpenalised"].to_numpy(), rows["coefficient"].to_numpy()
    population = float(rows["population"].iloc[0])
    few = len(rows) <= MANY
    with drawing():
        figure, axes = figure_of(ax, width_mm=WIDTH_MM, height_mm=HEIGHT_MM)
        axes.plot([0.0, 1.0], [population] * 2, **REFERENCE, label="population")
        _lines(axes, rows, few=few)
        _marks(axes, rows, table)
        axes.set_xticks([0.0, 1.0], ["no pooling", "partial pooling"])
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel(shared.term_label(source, rows.attrs["term"], labels))
        shared.legend_above(axes)
        axes.set_xlim(-EMPTY, 1.0 + EMPTY)
        if few if names is None else names:
            settle(axes)
            _names(axes, own, kept, names=shared.short_names(list(rows.index)))
    describe(axes, _words(rows, table, population))
    return figure, axes


def _lines(ax: "Axes", rows: pd.DataFrame, *, few: bool) -> None:
    from matplotlib.collections import LineCollection

    ends = rows[["unpenalised", "coefficient"]].to_numpy()
    at = np.broadcast_to([0.0, 1.0], ends.shape)
    lines = LineCollection(
        list(np.stack([at, ends], axis=2)),
        colors=SOFT,
        linewidths=1.0 if few else 0.4,
        alpha=1.0 if few else 0.5,
        zorder=2,
    )
    ax.add_collection(lines)


def _marks(ax: "Axes", rows: pd.DataFrame, table: ShrinkageTable) -> None:
    assert table.details is not None
    n = rows["n"].to_numpy(dtype=np.float64)
    share = np.full(n.size, 0.4) if n.min() == n.max() else n / n.max()
    area = (AREA[0] + (AREA[1] - AREA[0]) * share) * (0.5 if shared.is_narrow(ax) else 1.0)
    area = area if n.size <= MANY else 0.2 * area
    left, right = np.zeros(n.size), np.ones(n.size)
    label = "without shrinkage"
    hollow: dict[str, Any] = {
        "facecolors": "white",
        "edgecolors": SOFT,
        "linewidths": 1.0 if n.size <= MANY else 0.4,
    }
    ax.scatter(left, rows["unpenalised"], s=area, zorder=3, label=label, **hollow)
    name = shared.ESTIMATOR[table.details.method]
    ax.scatter(right, rows["coefficient"], s=area, color=INK, linewidths=0, zorder=4, label=name)


def _names(ax: "Axes", own: FloatArray, kept: FloatArray, *, names: list[str]) -> None:
    """Name the levels at both sides, moved apart where they are close."""
    letter = SMALL_NAME if shared.is_narrow(ax) else NAME_SIZE
    low, high = ax.get_ylim()
    dots = ax.figure.dpi / 72
    share = letter * width(names) * dots / ax.get_window_extent().width
    room = min((4.4 * GAP + share) / max(1.0 - 2.0 * share, 0.2), MOST_ROOM)
    ax.set_xlim(-room, 1.0 + room)
    height = ax.get_window_extent().height / ax.figure.dpi * 72
    distance = 1.05 * letter * (high - low) / height
    sides = ((own, 0.0, "right", -GAP), (kept, 1.0, "left", GAP))
    for values, x, side, gap in sides:
        order = np.argsort(values, kind="stable")
        places = spread_positions(
            values[order], distance, low=low + distance / 2, high=high - distance / 2
        )
        for i, place in zip(order, places, strict=True):
            start = (x + gap, values[i])
            end = (x + 3 * gap, place)
            ax.plot(*zip(start, end, strict=True), color=SOFT, linewidth=0.4, zorder=1)
            ax.text(
                x + 3.4 * gap, place, names[i], ha=side, va="center", fontsize=letter
            ).set_in_layout(False)
    ax.set_ylim(low, high)


def _words(rows: pd.DataFrame, table: ShrinkageTable, population: float) -> str:
    assert table.details is not None
    own, kept = rows["unpenalised"], rows["coefficient"]
    return (
        f"{rows.attrs['term']} of {len(rows)} levels of {rows.attrs['group']}: at the left without "
        f"shrinkage, from {own.min():.4g} ({own.idxmin()}) to {own.max():.4g} ({own.idxmax()}); at "
        f"the right {shared.ESTIMATOR[table.details.method]} estimates, from {kept.min():.4g} to "
        f"{kept.max():.4g}. The lines run towards the population value {population:.4g}."
    )
