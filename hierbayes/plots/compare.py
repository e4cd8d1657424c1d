"""REML, ML and posterior of one model in one figure: parameters, effects of levels, and the plane.

A row a parameter, each with its own scale: the posterior's density over its median, 50 % and full
interval, the prior, and below them the estimates of REML, with its interval, and ML. At the right
margin stands the shift from REML to the posterior. Beside the rows, the effects of the levels by
both estimators against each other, and their coefficients in the plane of two terms.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hierbayes.comparison.compare import compare as compared
from hierbayes.comparison.comparison_table import row_addresses
from hierbayes.errors import OptionError
from hierbayes.plots.alt_text import describe
from hierbayes.plots.compare_levels import draw_effects, draw_plane, level_terms
from hierbayes.plots.compare_rows import Row, draw_row, rows_of
from hierbayes.plots.labels import MOST_PANELS, broken
from hierbayes.plots.picture import checked_fits, picture
from hierbayes.plots.style import WIDTH_MM, any_figure, drawing, is_narrow, letter_size, width_of
from hierbayes.results.comparison import Comparison
from hierbayes.results.fit import Fit
from hierbayes.wording import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

ROW_MM, PANEL_MM, FRAME_MM = 18.0, 52.0, 18.0
MOST_EFFECTS = 2  # panels of effects against each other
LETTERS_IN_A_ROW = 32  # of a legend
WIDE = (1.35, 1.0)  # of the rows and of the panels beside them


@picture
def compare(
    *fits: Fit | Comparison,
    parameters: Sequence[str] | None = None,
    group: str | None = None,
    confint: pd.DataFrame | None = None,
    level: float = 0.95,
    figure: "Figure | SubFigure | None" = None,
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
    figure : a matplotlib figure to draw into

    Returns
    -------
    figure, axes
        The rows' axes, then one or two of the effects of the levels of both estimators, then the
        plane of two terms where there are two.

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
    panels = min(len(terms), MOST_EFFECTS) + (len(terms) > 1 and terms[0].group == terms[1].group)
    narrow = is_narrow(figure)
    tall, beside = ROW_MM * len(rows), PANEL_MM * panels
    with drawing(figure):
        height = FRAME_MM + (tall + beside if narrow else max(tall, beside))
        drawn = any_figure(figure, width_mm=WIDTH_MM, height_mm=height)
        axes = _axes(drawn, len(rows), panels, narrow=narrow)
        _draw_rows(drawn, axes[: len(rows)], rows, narrow=narrow or not panels)
        for ax, term in zip(axes[len(rows) :], terms[:MOST_EFFECTS], strict=False):
            draw_effects(ax, term)
        if panels > min(len(terms), MOST_EFFECTS):
            draw_plane(axes[-1], terms[0], terms[1])
    describe(drawn, _words(found, rows))
    return drawn, axes


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
    if not 1 <= len(chosen) <= MOST_PANELS:
        raise OptionError(
            f"{len(chosen)} parameters are a row each; choose 1 to {MOST_PANELS} by parameters=."
        )
    return chosen


def _checked_group(found: Comparison, group: str | None) -> str | None:
    known = tuple(found.n_groups)
    if group is not None and group not in known:
        names = ", ".join(map(repr, known)) or "no grouping factors"
        raise OptionError(f"group={shown(group)}: this model has {names}.")
    return group


def _axes(
    figure: "Figure | SubFigure", n_rows: int, n_panels: int, *, narrow: bool
) -> "np.ndarray[Any, Any]":
    """Lay out axes: rows at the left and panels at the right, or all below each other."""
    if narrow or not n_panels:
        ratios = [ROW_MM] * n_rows + [PANEL_MM] * n_panels
        grid = figure.add_gridspec(len(ratios), 1, height_ratios=ratios)
        return np.array([figure.add_subplot(grid[i, 0]) for i in range(len(ratios))])
    sides = figure.add_gridspec(1, 2, width_ratios=WIDE)
    left, right = sides[0].subgridspec(n_rows, 1), sides[1].subgridspec(n_panels, 1)
    places = [left[i, 0] for i in range(n_rows)] + [right[i, 0] for i in range(n_panels)]
    return np.array([figure.add_subplot(place) for place in places])


def _draw_rows(
    figure: "Figure | SubFigure", axes: Any, rows: Sequence[Row], *, narrow: bool
) -> None:
    share = 1.0 if narrow else WIDE[0] / sum(WIDE)
    size = letter_size("small")
    for ax, row in zip(axes, rows, strict=True):
        draw_row(ax, row)
        name = broken(row.name, width_mm=0.75 * share * width_of(figure), points=size)
        ax.set_title(name, loc="left", pad=2, fontsize=size)
        if row.shift:
            ax.annotate(
                row.shift,
                (1.02, 0.4),
                xycoords="axes fraction",
                va="center",
                fontsize=size,
            )
    if rows[0].shift:
        axes[0].annotate("shift", (1.02, 1.0), xycoords="axes fraction", va="bottom", fontsize=size)
    known: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            known.setdefault(label, handle)
    figure.legend(
        list(known.values()),
        list(known),
        loc="outside upper center",
        ncols=len(known) if sum(map(len, known)) <= LETTERS_IN_A_ROW else 2,
        frameon=False,
        fontsize=size,
        columnspacing=1.2,
        handlelength=1.6,
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
