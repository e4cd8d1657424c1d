"""One coefficient of every level: what its own data say at the left, what is estimated right."""

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

import hierbayes.plots.shrinkage_source as shared
from hierbayes.arrays import FloatArray
from hierbayes.options import ShrinkageType
from hierbayes.plots.alt_text import describe
from hierbayes.plots.level_names import spread_positions, width
from hierbayes.plots.palette import look, now, reference
from hierbayes.plots.picture import picture
from hierbayes.plots.sheet import Options, sheet
from hierbayes.plots.style import letter_size
from hierbayes.results.fit import Fit
from hierbayes.results.shrinkage_table import ShrinkageTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LEAST_MM, MOST_MM, NAME_MM = 62.0, 150.0, 2.9  # heights: of the panel, and of a name
MANY = 60  # levels from which none is named
SMALLEST = 0.5  # size of the letters of names, in those of the others
GAP = 0.035  # between a point and what stands beside it, part of the way from left to right
EMPTY, MOST_ROOM = 0.15, 1.2  # beside the two columns of points, without names and with long ones
BEYOND = 0.08  # of the range, to where infinite estimates stand
AREA = (12.0, 60.0)  # of the marks of the smallest and the largest level


@picture
def shrinkage_slopegraph(
    source: Fit | ShrinkageTable,
    *,
    group: str | None = None,
    term: str | None = None,
    type: ShrinkageType = "link",
    names: bool | None = None,
    **options: Unpack[Options],
) -> "tuple[Any, Axes]":
    """Draw a line for every level from its unpenalised estimate to its shrunken one.

    Parameters
    ----------
    source : LikelihoodFit, PosteriorFit, or what ``hb.shrinkage`` returned
    group, term : grouping factor and term; the first ones when not given
    type : {"link", "response"}
        Coefficients, or of a generalised fit the expected response of each level. A level whose
        own coefficient is infinite has an arrowhead at the end of the axis; its expected response
        is 0 or 1.
    names : whether levels are named; by default where there are at most 60

    Returns
    -------
    figure, axes
        Points are larger where a level has more rows. ``labels`` are those of terms and levels;
        of more than 60 levels it is said how many they are.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> figure, ax = hb.plot.shrinkage_slopegraph(fit)
    >>> [text.get_text() for text in ax.get_xticklabels()]
    ['no pooling', 'partial pooling']
    """
    table = shared.table_of(source, type)
    assert table.details is not None
    on_response = table.details.scale == "response"
    rows = _rows(table, group, term)
    rows = rows.sort_values("unpenalised", kind="stable")
    own, kept = rows["unpenalised"].to_numpy(), rows["coefficient"].to_numpy()
    population = float(rows["population"].mean())
    few = len(rows) <= MANY
    named = few if names is None else names
    with sheet(options, "shrinkage_slopegraph") as page:
        tall = NAME_MM * len(rows) if named else 0.0
        axes = page.axes(min(max(tall, LEAST_MM), MOST_MM))
        axes.plot([0.0, 1.0], [population] * 2, **reference(), label="population")
        _lines(axes, rows, few=few)
        _marks(axes, rows, table, narrow=page.is_narrow)
        axes.set_xticks([0.0, 1.0], ["no pooling", "partial pooling"])
        axes.tick_params(axis="x", length=0)
        own_label = shared.term_label(source, rows.attrs["term"], page)
        axes.set_ylabel(shared.expected_label(table, page) if on_response else own_label)
        page.legend()
        axes.set_xlim(-EMPTY, 1.0 + EMPTY)
        if named:
            shown = shared.names_beside(page, list(rows.index))
            page.settle()
            _names(axes, own, kept, names=shown)
        else:
            page.note(f"{len(rows)} levels of {rows.attrs['group']}.")
        describe(axes, _words(rows, table, population))
    return page.figure, axes


def _rows(table: ShrinkageTable, group: str | None, term: str | None) -> pd.DataFrame:
    """Rows of one term, own estimates that are infinite at the ends of the others' range.

    Of expected responses the only row of a level. ``end`` says which are there.
    """
    rows = shared.rows_of(table, group, term)
    own = rows["unpenalised"].to_numpy(dtype=np.float64)
    finite = rows[["coefficient", "population"]].to_numpy(dtype=np.float64)
    known = np.concatenate([finite.ravel(), own[np.isfinite(own)]])
    low, high = known.min(), known.max()
    room = BEYOND * ((high - low) or 1.0)
    drawn = rows.assign(
        unpenalised=np.clip(own, low - room, high + room),
        end=np.where(np.isinf(own), np.sign(own), 0.0),
    )
    drawn.attrs = rows.attrs
    return drawn


def _lines(ax: "Axes", rows: pd.DataFrame, *, few: bool) -> None:
    from matplotlib.collections import LineCollection

    ends = rows[["unpenalised", "coefficient"]].to_numpy()
    at = np.broadcast_to([0.0, 1.0], ends.shape)
    known = np.isfinite(ends).all(axis=1)
    lines = LineCollection(
        list(np.stack([at, ends], axis=2)[known]),
        colors=now().soft,
        linewidths=1.0 if few else 0.4,
        alpha=1.0 if few else 0.5,
        zorder=2,
    )
    ax.add_collection(lines)


def _marks(ax: "Axes", rows: pd.DataFrame, table: ShrinkageTable, *, narrow: bool) -> None:
    assert table.details is not None
    n = rows["n"].to_numpy(dtype=np.float64)
    share = np.full(n.size, 0.4) if n.min() == n.max() else n / n.max()
    area = (AREA[0] + (AREA[1] - AREA[0]) * share) * (0.5 if narrow else 1.0)
    area = area if n.size <= MANY else 0.2 * area
    left, right = np.zeros(n.size), np.ones(n.size)
    label = "without shrinkage"
    hollow: dict[str, Any] = {
        "facecolors": now().paper,
        "edgecolors": now().soft,
        "linewidths": 1.0 if n.size <= MANY else 0.4,
    }
    end = rows["end"].to_numpy()
    finite = (end == 0) & rows["unpenalised"].notna().to_numpy()
    ax.scatter(
        left[finite], rows["unpenalised"][finite], s=area[finite], zorder=3, label=label, **hollow
    )
    first = True
    for sign, marker in ((1.0, "^"), (-1.0, "v")):
        at = end == sign
        if at.any():
            told = "infinite (all of one kind)" if first else "_nolegend_"
            ax.scatter(
                left[at], rows["unpenalised"][at], s=area[at], marker=marker, zorder=3, label=told,
                **hollow,
            )  # fmt: skip
            first = False
    name = shared.ESTIMATOR[table.details.method]
    style = look(table.details.method).points() | {"s": area}
    ax.scatter(right, rows["coefficient"], label=name, **style)


def _names(ax: "Axes", own: FloatArray, kept: FloatArray, *, names: list[str]) -> None:
    """Name the levels at both sides, moved apart where they are close."""
    low, high = ax.get_ylim()
    dots = ax.figure.dpi / 72
    room = ax.get_window_extent().height / dots / len(names) / 1.05
    letter = min(shared.NAME * letter_size(), max(room, SMALLEST * letter_size()))
    share = width(names, letter) * dots / ax.get_window_extent().width
    beside = min((4.4 * GAP + share) / max(1.0 - 2.0 * share, 0.2), MOST_ROOM)
    ax.set_xlim(-beside, 1.0 + beside)
    height = ax.get_window_extent().height / ax.figure.dpi * 72
    distance = 1.05 * letter * (high - low) / height
    sides = ((own, 0.0, "right", -GAP), (kept, 1.0, "left", GAP))
    for values, x, side, gap in sides:
        order = np.argsort(values, kind="stable")[: np.isfinite(values).sum()]
        places = spread_positions(
            values[order], distance, low=low + distance / 2, high=high - distance / 2
        )
        for i, place in zip(order, places, strict=True):
            start = (x + gap, values[i])
            end = (x + 3 * gap, place)
            ax.plot(*zip(start, end, strict=True), color=now().soft, linewidth=0.4, zorder=1)
            ax.text(
                x + 3.4 * gap, place, names[i], ha=side, va="center", fontsize=letter
            ).set_in_layout(False)
    ax.set_ylim(low, high)


def _words(rows: pd.DataFrame, table: ShrinkageTable, population: float) -> str:
    assert table.details is not None
    finite = (rows["end"] == 0) & rows["unpenalised"].notna()
    own, kept, endless = rows["unpenalised"][finite], rows["coefficient"], int((~finite).sum())
    also = f" ({endless} more levels have no finite one)" if endless else ""
    return (
        f"{rows.attrs['term']} of {len(rows)} levels of {rows.attrs['group']}: at the left without "
        f"shrinkage, from {own.min():.4g} ({own.idxmin()}) to {own.max():.4g} "
        f"({own.idxmax()}){also}; at the right {shared.ESTIMATOR[table.details.method]} "
        f"estimates, from {kept.min():.4g} to "
        f"{kept.max():.4g}. The lines run towards the population value {population:.4g}."
    )
