"""Data of every level with three lines: no, complete and partial pooling."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hierbayes.errors import OptionError
from hierbayes.plots.alt_text import describe
from hierbayes.plots.labels import axis_label
from hierbayes.plots.level_names import LETTER
from hierbayes.plots.picture import picture
from hierbayes.plots.shrinkage_source import ESTIMATOR, rows_of, short_names, unit_of, whole_numbers
from hierbayes.plots.style import BAND, INK, MM_PER_INCH, WIDTH_MM, any_figure, drawing, is_narrow
from hierbayes.pooling.pooling_lines import ROW, PoolingLines, pooling_lines
from hierbayes.pooling.shrinkage import shrinkage
from hierbayes.results.fit import Fit
from hierbayes.results.shrinkage_table import ShrinkageTable
from hierbayes.wording import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

COLUMNS, NARROW_COLUMNS = 6, 4
PANEL_MM, FRAME_MM = 32.0, 30.0  # height of a row of panels, and of what is around them
MOST, SHOWN = 36, 18  # more levels than that are not all drawn unless they are named
POINT_SIZE = 8.0
LIGHT = "#8f8f8f"  # of the line that others are drawn over
TALL_MM = 20.0  # panels with room for more ticks
NARROW_FIGURE_MM = 115.0
ROOM, NOTE_ROOM = 0.08, 0.3  # above and below the data, parts of their range
INTERVALS = 2  # between the ticks of a panel
LARGE, SMALL = 11.0, 8.0  # letters of titles
TITLE_SHARE = 0.8  # of the width of a panel with its frame
LINES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("population", "complete pooling", {"color": INK, "linewidth": 0.9, "linestyle": "--"}),
    ("coefficient", "partial pooling", {"color": LIGHT, "linewidth": 2.6}),
    ("unpenalised", "no pooling", {"color": INK, "linewidth": 1.3, "linestyle": ":"}),
)


@picture
def shrinkage_lines(
    fit: Fit,
    *,
    x: str | None = None,
    group: str | None = None,
    levels: Sequence[Any] | None = None,
    standard_errors: bool = False,
    columns: int | None = None,
    labels: Mapping[str, str] | None = None,
    figure: "Figure | SubFigure | None" = None,
) -> "tuple[Figure | SubFigure, npt.NDArray[Any]]":
    """Draw each level's data in a panel of its own, with the three ways of pooling.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
        Of a posterior, partial pooling has its 95 % credible band.
    x : variable to draw over; the first with a random slope when not given
    group : grouping factor; the first when not given
    levels : the levels to draw, in their order; all of them by their slope (or intercept) when not
        given, or 18 of them, from the smallest to the largest, where there are more than 36
    standard_errors : write the standard errors of each level's own estimates, (SE_b0, SE_b1), from
        its own rows alone, as a regression of this level would print them
    columns : panels in a row; 6, or 4 in a narrow figure, unless said
    labels : axis labels by column, in place of ours
    figure : a matplotlib figure to draw into

    Returns
    -------
    figure, axes
        The axes as an array in the order of the panels.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> figure, axes = hb.plot.shrinkage_lines(fit, levels=["308", "309", "335"])
    >>> [ax.get_title() for ax in axes]
    ['308', '309', '335']
    """
    if columns is None:
        columns = NARROW_COLUMNS if is_narrow(figure) else COLUMNS
    if columns < 1:
        raise OptionError(f"columns={shown(columns)} must be at least 1.")
    table = shrinkage(fit)
    rows = rows_of(table, group, None)
    name = str(rows.attrs["group"])
    drawn_levels = _levels(table, name, x) if levels is None else [str(level) for level in levels]
    found = pooling_lines(fit, table, x=x, group=name, levels=drawn_levels)
    n_columns = min(columns, len(drawn_levels))
    n_rows = -(-len(drawn_levels) // n_columns)
    with drawing():
        height = FRAME_MM + PANEL_MM * n_rows
        drawn = any_figure(figure, width_mm=WIDTH_MM, height_mm=height)
        grid = drawn.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).ravel()
        notes = _standard_errors(table, name) if standard_errors else {}
        for ax, level in zip(grid, drawn_levels, strict=False):
            _panel(ax, found, level, note=notes.get(level, ""))
        _titles(drawn, grid, drawn_levels, n_columns=n_columns)
        n_levels = len(drawn_levels)
        _finish(grid, found, n_levels=n_levels, n_columns=n_columns, noted=standard_errors)
        drawn.supxlabel(_x_label(fit, found, labels))
        drawn.supylabel(_y_label(fit, labels))
        _legend(drawn, grid[0])
    axes = np.asarray(grid[: len(drawn_levels)])
    describe(drawn, _words(table, found, drawn_levels))
    return drawn, axes


def _levels(table: ShrinkageTable, group: str, x: str | None) -> list[str]:
    """Levels in the order of their slope, or of their intercept; some of them where many."""
    assert table.details is not None
    terms = table.details.factors[group].terms
    term = x if x in terms else terms[min(1, len(terms) - 1)]
    order = rows_of(table, group, term).sort_values("coefficient", kind="stable").index
    if len(order) > MOST:
        order = order[np.linspace(0, len(order) - 1, SHOWN).round().astype(int)]
    return [str(level) for level in order]


def _standard_errors(table: ShrinkageTable, group: str) -> dict[str, str]:
    """Write the standard errors of each level's own estimates, in the order of the terms."""
    rows = pd.DataFrame(table)
    rows = rows[rows["group"] == group]
    found = {}
    for level, errors in rows.groupby("level", sort=False)["within_group_se"]:
        words = ", ".join("\N{EN DASH}" if np.isnan(se) else f"{se:.3g}" for se in errors)
        found[str(level)] = f"({words})"
    return found


def _panel(ax: "Axes", found: PoolingLines, level: str, *, note: str) -> None:
    lines = found.lines[found.lines["level"] == level]
    points = found.points[found.points["level"] == level]
    if lines["lower"].notna().any():
        ends = (lines["lower"], lines["upper"])
        ax.fill_between(lines["x"], *ends, color=BAND, linewidth=0, zorder=0)
    for column, label, style in LINES:
        ax.plot(lines["x"], lines[column], label=label, zorder=3, **style)
    ax.scatter(points["x"], points["y"], s=POINT_SIZE, color=INK, linewidths=0, zorder=4)
    if note:
        place: dict[str, Any] = {"ha": "left", "va": "top", "fontsize": 7.5, "color": INK}
        ax.text(0.04, 0.98, note, transform=ax.transAxes, **place)


def _titles(
    figure: "Figure | SubFigure", grid: "npt.NDArray[Any]", levels: Sequence[str], *, n_columns: int
) -> None:
    """Name the levels above their panels, in the letters that fit."""
    room = TITLE_SHARE * figure.bbox.width / figure.dpi * 72 / n_columns  # points
    longest = max(map(len, levels))
    size = LARGE if longest * LETTER * LARGE <= room else SMALL
    names = short_names(levels, most=int(room / (LETTER * size)))
    for ax, name in zip(grid, names, strict=False):
        ax.set_title(name, pad=3, fontsize=size)


def _finish(
    grid: "npt.NDArray[Any]", found: PoolingLines, *, n_levels: int, n_columns: int, noted: bool
) -> None:
    """Limits of the data, few ticks, no empty panels."""
    from matplotlib.ticker import MaxNLocator

    y = found.points["y"]
    extent = float(y.max() - y.min()) or 1.0
    top = NOTE_ROOM if noted else ROOM
    grid[0].set_ylim(float(y.min()) - ROOM * extent, float(y.max()) + top * extent)
    n_rows = -(-n_levels // n_columns)
    figure = grid[0].figure
    tall = figure.bbox.height / figure.dpi * MM_PER_INCH / n_rows > TALL_MM + FRAME_MM / n_rows
    for position, ax in enumerate(grid):
        if position >= n_levels:
            ax.remove()
            continue
        if found.categories is not None:
            ax.set_xticks(range(len(found.categories)), found.categories)
        elif found.x == ROW:
            ax.xaxis.set_major_locator(whole_numbers())
        else:
            ax.xaxis.set_major_locator(MaxNLocator(INTERVALS))
        ax.yaxis.set_major_locator(MaxNLocator(2 * INTERVALS if tall else INTERVALS))
        if position + n_columns >= n_levels:  # nothing below it
            ax.xaxis.set_tick_params(labelbottom=True)


def _legend(figure: "Figure | SubFigure", ax: "Axes") -> None:
    handles, words = ax.get_legend_handles_labels()
    narrow = figure.bbox.width / figure.dpi * MM_PER_INCH < NARROW_FIGURE_MM
    figure.legend(
        handles,
        words,
        loc="outside upper center",
        ncols=1 if narrow else 3,
        frameon=False,
        fontsize=8.5 if narrow else 9.5,
        labelspacing=0.3,
    )


def _x_label(fit: Fit, found: PoolingLines, labels: Mapping[str, str] | None) -> str:
    if found.x == ROW:
        return (labels or {}).get(ROW, f"row of a level of {found.group}")
    if found.categories is not None:
        return (labels or {}).get(found.x, found.x)
    return axis_label(found.x, found.points["x"], data_name=fit.data_name, labels=labels)


def _y_label(fit: Fit, labels: Mapping[str, str] | None) -> str:
    name = fit.design.formula.response_label
    if fit.response_family.counts_trials:
        return (labels or {}).get(name, "share of successes")
    unit = unit_of(fit)
    return (labels or {}).get(name, f"{name} ({unit})" if unit else name)


def _words(table: ShrinkageTable, found: PoolingLines, levels: Sequence[str]) -> str:
    assert table.details is not None
    all_levels = len(table.details.factors[found.group].levels)
    of = "" if len(levels) == all_levels else f" of {all_levels}"
    over = "the rows" if found.x == ROW else found.x
    return (
        f"{len(levels)}{of} levels of {found.group}, a panel each, {table.details.response} over "
        f"{over}: the dashed line is the population's (complete pooling), the dotted one the "
        f"level's own (no pooling), the thick grey one the {ESTIMATOR[table.details.method]} "
        "estimate (partial pooling), which lies between them."
    )
