"""REML, ML and posterior of one model in one figure: parameters, effects of levels, and the plane.

A row a parameter, each with its own scale: the posterior's density over its median, 50 % and full
interval, the prior, and below them the estimates of REML, with its interval, and ML. At the right
margin stands the shift from REML to the posterior. Beside the rows, the effects of the levels by
both estimators against each other, and their coefficients in the plane of two terms.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

from hierbayes.arrays import record
from hierbayes.comparison.compare import compare as compared
from hierbayes.comparison.comparison_table import row_addresses
from hierbayes.errors import OptionError
from hierbayes.plots.alt_text import describe
from hierbayes.plots.compare_levels import LevelTerm, draw_effects, draw_plane, level_terms
from hierbayes.plots.compare_rows import Row, draw_row, rows_of
from hierbayes.plots.picture import checked_fits, picture
from hierbayes.plots.sheet import Options, Sheet, sheet
from hierbayes.results.comparison import Comparison
from hierbayes.results.fit import Fit
from hierbayes.wording import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

ROW_MM, PANEL_MM = 9.0, 38.0  # heights of a row and of a panel
TITLE_MM, NARROW_TITLE_MM = 9.5, 8.5  # what stands around a row
AROUND_MM = 16.0
MOST_EFFECTS = 2  # panels of effects against each other
LEAST_PANEL_MM = 34.0  # width of a panel
WIDE = (1.35, 1.0)  # of the rows and of the panels beside them


@picture
def compare(
    *fits: Fit | Comparison,
    parameters: Sequence[str] | None = None,
    group: str | None = None,
    confint: pd.DataFrame | None = None,
    level: float = 0.95,
    **options: Unpack[Options],
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw REML, ML and posterior fits of one model beside each other.

    Parameters
    ----------
    *fits : fits of one model, LikelihoodFit or PosteriorFit, or one ``hb.compare(...)``
    parameters : names of rows of the comparison; all but the ICC unless said
    group : the grouping factor whose levels are drawn; the first unless said
    confint : table of ``hb.confint(reml, method="profile")``: intervals in place of Wald's, which
        sds and correlations do not have
    level : level of the intervals; that of the comparison where one is given

    Returns
    -------
    figure, axes
        The rows' axes, then one or two of the effects of the levels of both estimators, then the
        plane of two terms where there are two. In a narrow picture the panels stand below the rows;
        rows that a page has no room for are left out, and their number is said.

    Raises
    ------
    OptionError
        If a name is not one of the comparison.
    DataError
        If the fits are not of one model.

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> figure, axes = hb.plot.compare(model.fit("reml"), model.sample(random_seed=1))
    >>> [ax.get_title(loc="left") for ax in axes[:3]]
    ['(Intercept)', 'sd((Intercept)|Batch)', 'sigma']
    """
    found = _comparison(fits, level)
    rows = rows_of(found, _chosen(found, parameters), confint)
    terms = level_terms(found, _checked_group(found, group))
    with sheet(options, "compare") as page:
        panels = _panels(terms)
        order = page.ordered([row.name for row in rows], usual="data")
        layout = _layout(page, len(rows), len(panels))
        axes = _axes(page, layout)
        drawn = [rows[i] for i in order[: layout.n_rows]]
        _draw_rows(page, axes[: layout.n_rows], drawn)
        for ax, panel in zip(axes[layout.n_rows :], panels, strict=False):
            _draw_panel(ax, panel, page)
        if layout.n_rows < len(rows):
            page.note(f"{layout.n_rows} of {len(rows)} parameters; parameters= names others.")
        page.legend()
        describe(page.figure, _words(found, rows))
    return page.figure, axes


def _comparison(given: tuple[Fit | Comparison, ...], level: float) -> Comparison:
    found = given[0] if len(given) == 1 else compared(*checked_fits(given, "compare"), level=level)
    if not isinstance(found, Comparison):
        raise OptionError(
            "plot.compare draws two or more fits of one model, or one hb.compare(...) of such; it "
            f"got {type(found).__name__}."
        )
    return found


def _chosen(found: Comparison, parameters: Sequence[str] | None) -> list[str]:
    known = [str(name) for name in found.table.index]
    if parameters is None:
        chosen = [name for name in known if found.table.loc[name, "effect"] != "icc"]
    else:
        is_one = isinstance(parameters, str) or not isinstance(parameters, Iterable)
        given: list[Any] = [parameters] if is_one else list(parameters)
        addresses = row_addresses(found.fits[0].fit)
        chosen = [known[addresses.place(name)] for name in given]
    if not chosen:
        raise OptionError("parameters= names no parameter.")
    return chosen


def _checked_group(found: Comparison, group: str | None) -> str | None:
    known = tuple(found.n_groups)
    if group is not None and group not in known:
        names = ", ".join(map(repr, known)) or "no grouping factors"
        raise OptionError(f"group={shown(group)}: this model has {names}.")
    return group


@record
class Layout:
    """Rows and panels that have room: below each other, or panels beside the rows.

    Attributes
    ----------
    n_rows, n_panels : drawn
    is_beside : whether the panels stand beside the rows
    panel_columns : panels in a row, where they stand below
    """

    n_rows: int
    n_panels: int
    is_beside: bool
    panel_columns: int


def _layout(page: Sheet, n_rows: int, n_panels: int) -> Layout:
    """Return what has room on the page."""
    around = NARROW_TITLE_MM if page.is_narrow else TITLE_MM
    if not page.is_narrow:
        most = page.rows_that_fit(ROW_MM + around, AROUND_MM)
        return Layout(
            n_rows=min(n_rows, most), n_panels=n_panels, is_beside=n_panels > 0, panel_columns=1
        )
    columns = page.columns(LEAST_PANEL_MM, max(n_panels, 1))
    lines = min(-(-n_panels // columns), 1)
    below = lines * (PANEL_MM + 2 * around)
    most = page.rows_that_fit(ROW_MM + around, AROUND_MM + below)
    return Layout(
        n_rows=min(n_rows, most),
        n_panels=min(n_panels, columns),
        is_beside=False,
        panel_columns=columns,
    )


def _axes(page: Sheet, layout: Layout) -> "np.ndarray[Any, Any]":
    """Lay out axes: rows at the left and panels at the right, or all below each other."""
    n_rows, n_panels = layout.n_rows, layout.n_panels
    tall = n_rows * (ROW_MM + TITLE_MM)
    figure = page.canvas(tall)
    if layout.is_beside:
        sides = figure.add_gridspec(1, 2, width_ratios=WIDE)
        left, right = sides[0].subgridspec(n_rows, 1), sides[1].subgridspec(n_panels, 1)
        rows = [figure.add_subplot(left[i, 0]) for i in range(n_rows)]
        panels = [figure.add_subplot(right[i, 0]) for i in range(n_panels)]
        page.stack([(ax, PANEL_MM) for ax in panels])
    else:
        parts = figure.add_gridspec(
            1 + bool(n_panels),
            1,
            height_ratios=[tall, PANEL_MM + 2 * TITLE_MM][: 1 + bool(n_panels)],
        )
        above = parts[0].subgridspec(n_rows, 1)
        rows = [figure.add_subplot(above[i, 0]) for i in range(n_rows)]
        below = parts[1].subgridspec(1, n_panels) if n_panels else None
        panels = [figure.add_subplot(below[0, i]) for i in range(n_panels)] if below else []
    page.stack([(ax, ROW_MM) for ax in rows])
    return np.array([*rows, *panels])


def _panels(terms: Sequence[LevelTerm]) -> list[tuple[LevelTerm, ...]]:
    """Return what panels show: effects of a term, or the plane of two."""
    panels: list[tuple[LevelTerm, ...]] = [(term,) for term in terms[:MOST_EFFECTS]]
    if len(terms) > 1 and terms[0].group == terms[1].group:
        panels.append((terms[0], terms[1]))
    return panels


def _draw_panel(ax: "Axes", panel: tuple[LevelTerm, ...], page: Sheet) -> None:
    if len(panel) == 1:
        draw_effects(ax, panel[0], page)
    else:
        draw_plane(ax, panel[0], panel[1], page)


def _draw_rows(page: Sheet, axes: Any, rows: Sequence[Row]) -> None:
    for ax, row in zip(axes, rows, strict=True):
        draw_row(ax, row)
        ax.set_title(page.label(row.name), loc="left", pad=2, fontsize="small")
        if row.shift:
            place: dict[str, Any] = {"xycoords": "axes fraction", "fontsize": "small"}
            ax.annotate(row.shift, (1.02, 0.4), va="center", **place)
    if rows and rows[0].shift:
        axes[0].annotate(
            "shift", (1.02, 1.0), xycoords="axes fraction", va="bottom", fontsize="small"
        )


def _words(found: Comparison, rows: Sequence[Row]) -> str:
    """Say in words which parameters differ most."""
    names = ", ".join(fit.name for fit in found.fits)
    text = f"{names} of {found.formula_text}, {len(rows)} parameters a row each."
    shifts = [(abs(row.shift_size), row) for row in rows if np.isfinite(row.shift_size)]
    if not shifts:
        return text
    most = max(shifts, key=lambda pair: pair[0])[1]
    return f"{text} The largest shift from {found.shift_of} is that of {most.name}: {most.shift}."
