"""Panels of means: what is told apart by colour, what by panels, and what stands at the axes.

Draws tables of means, of one fit or of several over each other; knows nothing of fits.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.errors import OptionError
from hierbayes.marginal_means.effect_grid import EffectVariable
from hierbayes.marginal_means.effect_means import EffectMeans
from hierbayes.marginal_means.effect_rows import EffectPoints
from hierbayes.plots.curves import MARK, Curve, draw_curve, draw_lines, draw_points, key, shifts
from hierbayes.plots.letters import MM_PER_POINT
from hierbayes.plots.palette import Look, look, now, reference
from hierbayes.plots.series import MOST, in_colour, series
from hierbayes.plots.sheet import Sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ONE_MM, ONE_NARROW_MM = 82.0, 56.0  # height of a single panel
PANEL_MM, PANEL_NARROW_MM = 52.0, 38.0
COLUMNS, NARROW_COLUMNS = 3, 2
AROUND_MM = 45.0  # of panels, with legend and notes
ROOM_OF_MARKS, LEAST_MARK = 0.75, 2.0  # share of a panel's place in the width; size in points
ASIDE = 0.12  # of the points of a category, beside its only mean


@record
class Shown:
    """What one fit has in the picture.

    Attributes
    ----------
    means : its curves
    look : of the estimator
    points, lines, new : rows, lines of groups and limits of new responses behind them, or None
    """

    means: EffectMeans
    look: Look
    points: EffectPoints | None = None
    lines: pd.DataFrame | None = None
    new: pd.DataFrame | None = None


@record
class Named:
    """What is written at the axes: along x, along y, and where a line is drawn for reference."""

    x: str
    y: str
    reference: float | None = None


@record
class PanelPlan:
    """What is told apart by colour (or None), and the values of the others, panel by panel."""

    coloured: EffectVariable | None
    faceted: tuple[EffectVariable, ...]
    panels: tuple[tuple[int, ...], ...]


def panel_plan(apart: tuple[EffectVariable, ...]) -> PanelPlan:
    """Plan the panels of what is kept apart: colours where they are few, else panels."""
    coloured = apart[0] if apart and len(apart[0].values) <= MOST else None
    faceted = apart if coloured is None else apart[1:]
    ranges = [range(len(one.values)) for one in reversed(faceted)]
    panels = tuple(tuple(reversed(codes)) for codes in product(*ranges))
    return PanelPlan(coloured=coloured, faceted=faceted, panels=panels)


def mean_axes(page: Sheet, n: int) -> Any:
    """Return the axes of n panels that share both scales."""
    if n == 1:
        return np.array([page.axes(ONE_NARROW_MM if page.is_narrow else ONE_MM)])
    panel, columns = panel_size(page, n)
    return page.grid(n, columns=columns, panel_mm=panel, sharex=True, sharey=True)


def panel_size(page: Sheet, n: int) -> tuple[float, int]:
    """Return the height in mm of n panels and how many stand in a row.

    Raises
    ------
    OptionError
        If they have no room on a page.
    """
    panel = PANEL_NARROW_MM if page.is_narrow else PANEL_MM
    columns = NARROW_COLUMNS if page.is_narrow else COLUMNS
    columns = 2 if n in (2, 4) else columns
    if n > page.rows_that_fit(panel, AROUND_MM) * columns:
        raise OptionError(
            f"{n} panels have no room in a picture; hold some of the values with at=."
        )
    return panel, columns


def draw_means(
    page: Sheet, everything: Sequence[Shown], named: Named, axes: Any, plan: PanelPlan
) -> None:
    """Draw means into panels, with their legend and the words at the axes.

    Parameters
    ----------
    page : Sheet
    everything : what each fit has; the same curves
    named : what stands at the axes
    axes : one for each panel
    plan : of the panels
    """
    first = everything[0].means
    names = [] if plan.coloured is None else [page.label(name) for name in plan.coloured.labels]
    order, places = _orders(page, first, plan.coloured)
    looks = series(names)
    beside = shifts(max(len(names), 1) * len(everything))
    size = MARK
    if places is not None:  # marks of categories do not cover each other
        columns = axes[0].get_subplotspec().get_gridspec().ncols if len(axes) > 1 else 1
        room = ROOM_OF_MARKS * page.width_mm / columns / MM_PER_POINT
        size = min(MARK, max(room / places.size / len(beside) / now().lines, LEAST_MARK))
    most = max((s.points.table["n"].max() for s in everything if s.points is not None), default=1)
    for ax, codes in zip(axes, plan.panels, strict=True):
        if named.reference is not None:
            ax.axhline(named.reference, **reference())
        for place, k in enumerate(order or [None]):
            for f, one in enumerate(everything):
                rows = one if f == 0 else replace(one, points=None)  # the data are the same
                curve = first.curves.index(codes if k is None else (k, *codes))
                own = one.look
                if k is not None:
                    own = looks[k] if len(everything) == 1 else in_colour(own, looks[k].colour)
                shift = beside[place * len(everything) + f]
                _draw_one(
                    ax, rows, curve, own, places=places, shift=shift, most=float(most), size=size
                )
        if codes:
            ax.set_title(_title(page, plan.faceted, codes))
    _name_axes(page, axes, first, named, places)
    _legend(page, everything, looks, order, plan.coloured, is_number=places is None)


def _orders(
    page: Sheet, first: EffectMeans, coloured: EffectVariable | None
) -> tuple[list[int], IntArray | None]:
    """Return the order of what colours tell apart, and the places of categories along x."""
    names = () if coloured is None else coloured.labels
    if first.shown.x.is_number:
        means = first.means.groupby("curve")["estimate"].mean()
        by_curve = means.reindex(range(len(names))).to_numpy()
        return (page.ordered(names, by_curve, usual="data") if names else []), None
    sizes = first.means.groupby("x")["estimate"].mean().reindex(range(len(first.shown.x.labels)))
    order = page.ordered(first.shown.x.labels, sizes.to_numpy(), usual="data")
    return list(range(len(names))), np.argsort(order)


def _draw_one(
    ax: "Axes",
    one: Shown,
    curve: int,
    own: Look,
    *,
    places: IntArray | None,
    shift: float,
    most: float,
    size: float,
) -> None:
    """Draw one curve of one fit, behind it its rows and groups; places of categories along x."""
    is_number = places is None
    beside = 0.0 if is_number else shift

    def at(rows: pd.DataFrame) -> FloatArray:
        x = rows["x"].to_numpy(dtype=np.float64)
        return x if places is None else places[x.astype(np.intp)].astype(np.float64)

    def some(table: pd.DataFrame) -> pd.DataFrame:
        rows = table[table["curve"] == curve]
        return rows if is_number else rows.iloc[np.argsort(at(rows), kind="stable")]

    if one.lines is not None:
        lines = [
            (at(part) + beside, part["estimate"].to_numpy())
            for _, part in some(one.lines).groupby("group", sort=False)
        ]
        draw_lines(ax, lines, own)
    if one.points is not None:
        rows = some(one.points.table)
        data = look("data") if len(one.means.curves) == 1 else own
        cloud = shift if len(one.means.curves) > 1 else shift - ASIDE
        y, n = (rows[name].to_numpy(dtype=np.float64) for name in ("y", "n"))
        draw_points(ax, at(rows), y, n, data, is_number=is_number, most=most, shift=cloud)
    if one.new is not None:
        rows = some(one.new)
        for limit in ("lower", "upper"):
            style = own.line(linestyle=(0, (1, 2)), linewidth=1.1 * now().lines)
            ax.plot(at(rows) + beside, rows[limit], **style)
    rows = some(one.means.means)
    y, low, high = (rows[name].to_numpy() for name in ("estimate", "conf_low", "conf_high"))
    curve_of = Curve(x=at(rows), y=y, low=low, high=high, look=own, shift=shift)
    joined = not one.means.of_levels and len(one.means.curves) > 1
    draw_curve(ax, curve_of, is_number=is_number, joined=joined, size=size)


def _title(page: Sheet, variables: Sequence[EffectVariable], codes: tuple[int, ...]) -> str:
    return ", ".join(
        f"{page.label(one.name)}: {page.label(one.labels[code])}"
        for one, code in zip(variables, codes, strict=True)
    )


def _name_axes(
    page: Sheet, axes: Any, first: EffectMeans, named: Named, places: IntArray | None
) -> None:
    if places is not None:
        names = [page.label(first.shown.x.labels[i]) for i in np.argsort(places)]
        for ax in axes:
            ax.set_xticks(range(len(names)), names)
            ax.set_xlim(-0.5, len(names) - 0.5)
    label = page.label(first.shown.x.name, named.x)
    up = page.label(first.response, named.y)
    for ax in axes:
        place = ax.get_subplotspec()
        if place is None or place.is_first_col():
            ax.set_ylabel(up)
        if place is None or ax.xaxis.get_tick_params()["labelbottom"]:
            ax.set_xlabel(label)


def _legend(
    page: Sheet,
    everything: Sequence[Shown],
    looks: list[Look],
    order: list[int],
    coloured: EffectVariable | None,
    *,
    is_number: bool,
) -> None:
    handles, words = [], []
    several = len(everything) > 1
    if coloured is not None:
        name = page.label(coloured.name)
        for k in order:
            own = looks[k]
            if several:
                own = in_colour(look("reml"), own.colour)
            handles.append(key(own, is_number=is_number))
            words.append(f"{name}: {looks[k].name}")
    if several:
        for one in everything:
            own = one.look if coloured is None else in_colour(one.look, now().soft)
            handles.append(key(own, is_number=is_number))
            words.append(own.name)
    if handles:
        page.legend(handles, words)


def words_of(everything: Sequence[Shown]) -> str:
    """Say in words where each curve begins and ends."""
    first = everything[0].means
    along = first.shown.x
    parts = [f"{first.response} over {along.name}: means with intervals."]
    for one in everything:
        for k, codes in enumerate(first.curves):
            rows = one.means.means[one.means.means["curve"] == k]
            if rows.empty:
                continue
            left, right = rows.iloc[0], rows.iloc[-1]
            name = [f"{v.name} {v.labels[c]}" for v, c in zip(first.apart, codes, strict=True)]
            who = ", ".join([one.look.name, *name])
            parts.append(f"{who}: {_value(left)} on the left, {_value(right)} on the right.")
    return " ".join(parts)


def _value(row: Any) -> str:
    return f"{row['estimate']:.4g} ({row['conf_low']:.4g} to {row['conf_high']:.4g})"
