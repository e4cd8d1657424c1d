"""Data of every level with three lines: no, complete and partial pooling."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd

from hierbayes.plots.alt_text import describe
from hierbayes.plots.labels import axis_label
from hierbayes.plots.letters import MM_PER_POINT, in_lines, width_mm
from hierbayes.plots.level_panels import LevelPanels, level_panels, panel_names
from hierbayes.plots.palette import look, now
from hierbayes.plots.picture import picture
from hierbayes.plots.response_names import observed_words
from hierbayes.plots.sheet import Options, Sheet, sheet
from hierbayes.plots.shrinkage_source import ESTIMATOR, rows_of, whole_numbers
from hierbayes.plots.style import HINTED, letter_size
from hierbayes.pooling.pooling_lines import ROW, PoolingLines, pooling_lines
from hierbayes.pooling.shrinkage import shrinkage
from hierbayes.results.fit import Fit
from hierbayes.results.shrinkage_table import ShrinkageTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

MOST, SHOWN = 36, 18  # more levels than that are not all drawn unless they are named
AROUND_MM = 34.0  # height of what stands around all panels
AREA = 8.0
NARROW_MM = 30.0  # width of a panel with few ticks
ROOM = 0.08  # above and below the data, part of their range
LINE = 1.5  # height of a line of a note, in sizes of its letters
NOTE = 0.7  # size of the letters of a note, in those of the others
MARGINS_MM = 2.0  # beside a note, and of what panels may be narrower than was thought
INTERVALS = 2  # between the ticks of a panel
BESIDE = 0.4  # free beside the first and the last category


@picture
def shrinkage_lines(
    fit: Fit,
    *,
    x: str | None = None,
    group: str | None = None,
    levels: Sequence[Any] | None = None,
    standard_errors: bool = False,
    columns: int | None = None,
    **options: Unpack[Options],
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
    columns : panels in a row; as many as have room unless said

    Returns
    -------
    figure, axes
        The axes as an array in the order of the panels; where a page has no room for all, their
        number is said. ``labels`` are those of variables and levels.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> figure, axes = hb.plot.shrinkage_lines(fit, levels=["308", "309", "335"])
    >>> [ax.get_title() for ax in axes]
    ['308', '309', '335']
    """
    table = shrinkage(fit)
    name = str(rows_of(table, group, None).attrs["group"])
    notes = _standard_errors(table, name) if standard_errors else {}
    with sheet(options, "shrinkage_lines") as page:
        wanted = _levels(page, table, name, x=x, levels=levels)
        first = pooling_lines(fit, table, x=x, group=name, levels=wanted[:1])
        below = max(
            (width_mm(page.label(one), letter_size()) for one in first.categories or ()),
            default=0.0,
        )  # names of categories stand upright
        panels = level_panels(page, range(len(wanted)), columns, around_mm=AROUND_MM + below)
        drawn = [wanted[i] for i in panels.places]
        found = pooling_lines(fit, table, x=x, group=name, levels=drawn)
        axes = page.grid(
            len(drawn), columns=panels.columns, panel_mm=panels.tall_mm, sharex=True, sharey=True
        )
        names = panel_names(page, drawn, panels)
        for ax, level, title in zip(axes, drawn, names, strict=True):
            _panel(ax, found, level, fit.method)
            ax.set_title(title, pad=3)
        _scale(axes, found, page, wide_mm=panels.wide_mm)
        if notes:
            _write_notes(axes, [notes[level] for level in drawn], panels)
        assert table.details is not None
        n_levels = len(table.details.factors[name].levels)
        if levels is None and len(drawn) < n_levels:
            page.note(f"{len(drawn)} of {n_levels} levels of {name}, from low to high.")
        page.figure.supxlabel(_x_label(fit, found, page))
        page.figure.supylabel(_y_label(fit, page))
        page.legend()
        describe(page.figure, _words(table, found, drawn))
    return page.figure, axes


def _levels(
    page: Sheet, table: ShrinkageTable, group: str, *, x: str | None, levels: Sequence[Any] | None
) -> list[str]:
    """Levels named, or in the order of slope or intercept; some of them where many."""
    if levels is not None:
        named = [str(level) for level in levels]
        return [named[i] for i in page.ordered(named, usual="data")]
    assert table.details is not None
    terms = table.details.factors[group].terms
    term = x if x in terms else terms[min(1, len(terms) - 1)]
    rows = rows_of(table, group, term)
    order = page.ordered(list(rows.index), rows["coefficient"], usual="size")
    if len(order) > MOST:
        order = [order[i] for i in np.linspace(0, len(order) - 1, SHOWN).round().astype(int)]
    return [str(rows.index[i]) for i in order]


def _standard_errors(table: ShrinkageTable, group: str) -> dict[str, str]:
    """Write the standard errors of each level's own estimates, in the order of the terms."""
    rows = pd.DataFrame(table)
    rows = rows[rows["group"] == group]
    found = {}
    for level, errors in rows.groupby("level", sort=False)["within_group_se"]:
        words = ", ".join("\N{EN DASH}" if np.isnan(se) else f"{se:.3g}" for se in errors)
        found[str(level)] = f"({words})"
    return found


def _panel(ax: "Axes", found: PoolingLines, level: str, method: str) -> None:
    lines = found.lines[found.lines["level"] == level]
    points = found.points[found.points["level"] == level]
    style, theme = look(method), now()
    if lines["lower"].notna().any():
        ax.fill_between(lines["x"], lines["lower"], lines["upper"], **style.filled(zorder=0))
    own: dict[str, Any] = {"color": theme.ink, "linewidth": 1.4 * theme.lines, "zorder": 4}
    all_: dict[str, Any] = {"color": theme.soft, "linewidth": 1.1 * theme.lines, "zorder": 2}
    ax.plot(
        lines["x"], lines["population"], linestyle=(0, (5, 2)), label="complete pooling", **all_
    )
    thick = style.line(linestyle="-", linewidth=2.4 * theme.lines)
    ax.plot(lines["x"], lines["coefficient"], label="partial pooling", **thick)
    ax.plot(lines["x"], lines["unpenalised"], linestyle=":", label="no pooling", **own)
    ax.scatter(points["x"], points["y"], **look("data").points(AREA, zorder=3))


def _scale(axes: "npt.NDArray[Any]", found: PoolingLines, page: Sheet, *, wide_mm: float) -> None:
    """Limits of the data and few ticks."""
    from matplotlib.ticker import MaxNLocator

    y = found.points["y"]
    extent = float(y.max() - y.min()) or 1.0
    axes[0].set_ylim(float(y.min()) - ROOM * extent, float(y.max()) + ROOM * extent)
    axes[0].yaxis.set_major_locator(MaxNLocator(2 * INTERVALS))
    if found.categories is not None:
        names = [page.label(name) for name in found.categories]
        axes[0].set_xlim(-BESIDE, len(names) - 1 + BESIDE)
        for ax in axes:
            ax.set_xticks(range(len(names)), names)
    elif found.x == ROW:
        axes[0].xaxis.set_major_locator(whole_numbers())
    elif wide_mm < NARROW_MM:
        axes[0].xaxis.set_major_locator(MaxNLocator(INTERVALS))


def _write_notes(axes: "npt.NDArray[Any]", notes: Sequence[str], panels: LevelPanels) -> None:
    """Write a note at the top of each panel, and make room for it above the data."""
    points = NOTE * letter_size()
    room = (panels.wide_mm - MARGINS_MM) / HINTED
    broken = [in_lines(note, room_mm=room, points=points) for note in notes]
    lines = max(note.count("\n") + 1 for note in broken)
    share = min(LINE * lines * points * MM_PER_POINT / panels.tall_mm, 0.6)
    low, high = axes[0].get_ylim()
    axes[0].set_ylim(low, low + (high - low) / (1 - share))
    for ax, note in zip(axes, broken, strict=True):
        ax.text(
            0.04, 0.98, note, transform=ax.transAxes, ha="left", va="top", fontsize=points, zorder=6
        ).set_in_layout(False)


def _x_label(fit: Fit, found: PoolingLines, page: Sheet) -> str:
    if found.x == ROW:
        return page.label(ROW, f"row of a level of {found.group}")
    if found.categories is not None:
        return page.label(found.x)
    return page.label(found.x, axis_label(found.x, found.points["x"], data_name=fit.data_name))


def _y_label(fit: Fit, page: Sheet) -> str:
    return page.label(fit.design.formula.response_label, observed_words(fit))


def _words(table: ShrinkageTable, found: PoolingLines, levels: Sequence[str]) -> str:
    assert table.details is not None
    all_levels = len(table.details.factors[found.group].levels)
    of = "" if len(levels) == all_levels else f" of {all_levels}"
    over = "the rows" if found.x == ROW else found.x
    return (
        f"{len(levels)}{of} levels of {found.group}, a panel each, {table.details.response} over "
        f"{over}: the dashed line is the population's (complete pooling), the dotted one the "
        f"level's own (no pooling), the thick one the {ESTIMATOR[table.details.method]} "
        "estimate (partial pooling), which lies between them."
    )
