"""The panel of model checks: each picture says under its title what a good one looks like."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from hierbayes.checks.residuals import normal_quantiles
from hierbayes.plots.alt_text import describe
from hierbayes.plots.letters import cut
from hierbayes.plots.needed import check_for
from hierbayes.plots.palette import look, now, reference
from hierbayes.plots.picture import picture
from hierbayes.plots.series import series
from hierbayes.plots.sheet import Options, Sheet, sheet
from hierbayes.plots.shrinkage_source import short_names
from hierbayes.plots.style import area_of_points, letter_size
from hierbayes.results.density import density
from hierbayes.results.fit import Fit
from hierbayes.results.model_check import ModelCheck

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

WIDE_MM, TALL_MM = 38.0, 36.0  # of a panel
COLUMNS = 4
AREA = 8.0
SLICES = 10  # of the expected value, for the quartiles of the scaled residuals
SIDES = 0.14  # free beside the levels, for the names of the first and the last one
NAME_MM = 12.0  # of a level that is named
MOST_TERMS = 4  # drawn together


@picture
def check(
    found: ModelCheck | Fit, **options: Unpack[Options]
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw the panel of ``hb.check``.

    Parameters
    ----------
    found : ModelCheck of ``hb.check``, or a fit, which is then checked

    Returns
    -------
    figure, axes
        The pictures that there are for this fit, one an axes, in reading order.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> figure, axes = hb.plot.check(hb.check(fit, random_seed=1))
    >>> axes[0].get_title().splitlines()[0]
    'Data and simulations'
    """
    checked = check_for(found)
    panels: list[Callable[[Axes, ModelCheck, Sheet], None]] = [_overlay, _uniform, _quartiles]
    if checked.residuals.size:
        panels.append(_residuals)
    if not checked.effects.empty:
        panels.append(_effects)
    if not checked.influence.empty:
        panels.append(_influence)
    with sheet(options, "check") as page:
        room = page.room_for(
            len(panels), wide_mm=WIDE_MM, tall_mm=TALL_MM, most_columns=COLUMNS, words_mm=16.0
        )
        axes = page.grid(len(panels), columns=room.columns, panel_mm=room.tall_mm)
        for ax, panel in zip(axes, panels, strict=True):
            panel(ax, checked, page)
        describe(page.figure, _words(checked))
    return page.figure, np.asarray(axes)


def _words(found: ModelCheck) -> str:
    """Say in words what the panels show."""
    text = (
        f"Checks of the model against its simulations: scaled residuals of {found.scaled.size} "
        f"rows have mean {found.scaled.mean():.2f} (0.5 is expected) and sd "
        f"{found.scaled.std():.2f} (0.29)."
    )
    if found.influence.empty:
        return text
    cook = found.influence["cooks_distance"]
    return (
        f"{text} The largest Cook's distance of a level of {found.influence.index.name} is "
        f"{cook.max():.2f} ({cook.idxmax()})."
    )


def _titled(ax: "Axes", title: str, good: str) -> None:
    """Title with what a good picture looks like under it."""
    size = letter_size("small")
    ax.set_title(f"{title}\n({good})", fontsize=size)
    ax.tick_params(labelsize=0.93 * size)
    ax.xaxis.label.set_fontsize(size)
    ax.yaxis.label.set_fontsize(size)


def _area(found: ModelCheck) -> float:
    """Area of the points of rows."""
    return area_of_points(found.scaled.size, AREA, wide_mm=WIDE_MM, tall_mm=TALL_MM)


def _overlay(ax: "Axes", found: ModelCheck, page: Sheet) -> None:
    faint, data = look("ml"), look("data")
    for values in found.simulated.T:
        curve = density(values[np.isfinite(values)])
        ax.plot(curve.x, curve.height, color=faint.band, linewidth=0.7, zorder=1)
    own = density(found.observed)
    ax.plot(own.x, own.height, **data.line(linewidth=1.8))
    ax.set_yticks([])
    ax.set_xlabel(page.label("response"))
    _titled(ax, "Data and simulations", "the thick line among the thin")


def _uniform(ax: "Axes", found: ModelCheck, page: Sheet) -> None:
    n = found.scaled.size
    ax.axline((0.0, 0.0), slope=1.0, **reference())
    at = (np.arange(n) + 0.5) / n
    ax.scatter(at, np.sort(found.scaled), alpha=0.6, **look("data").points(_area(found)))
    ax.set_xlabel("uniform quantile")
    ax.set_ylabel("scaled residual")
    _titled(ax, "Simulated residuals", "points on the line")


def _quartiles(ax: "Axes", found: ModelCheck, page: Sheet) -> None:
    varies = np.ptp(found.fixed_part) > 0
    by = found.fixed_part if varies else np.arange(found.scaled.size)
    place = np.argsort(np.argsort(by, kind="stable")) / max(by.size - 1, 1)
    for quartile in (0.25, 0.5, 0.75):
        ax.axhline(quartile, **reference())
    ax.scatter(place, found.scaled, alpha=0.35, **look("data").points(_area(found)))
    slices = min(SLICES, max(1, found.scaled.size // 8))
    which = np.minimum((place * slices).astype(int), slices - 1)
    middle = (np.arange(slices) + 0.5) / slices
    for quartile in (0.25, 0.5, 0.75):
        curve = [np.quantile(found.scaled[which == i], quartile) for i in range(slices)]
        ax.plot(middle, curve, **look("ml").line(linestyle="-", zorder=6))
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel("rank of the fixed part" if varies else "place of the row")
    ax.set_ylabel("scaled residual")
    _titled(ax, "Even everywhere?", "solid near dashed")


def _residuals(ax: "Axes", found: ModelCheck, page: Sheet) -> None:
    ax.axhline(0.0, **reference())
    ax.scatter(found.fitted, found.residuals, alpha=0.6, **look("data").points(_area(found)))
    ax.set_xlabel(page.label("fitted", "fitted value"))
    ax.set_ylabel(page.label("residual", found.residual_word))
    _titled(ax, "Residuals", "a level cloud")


def _effects(ax: "Axes", found: ModelCheck, page: Sheet) -> None:
    """Random effects of all terms, each in units of its own spread."""
    ax.axline((0.0, 0.0), slope=1.0, **reference())
    terms = list(found.effects.groupby(["group", "term"], sort=False))
    lines = [page.label(f"{term} | {group}") for (group, term), _ in terms[:MOST_TERMS]]
    for style, (_, rows) in zip(series(lines), terms, strict=False):
        values = np.sort(rows["estimate"].to_numpy(dtype=np.float64))
        spread = values.std() or 1.0
        place = np.sort(normal_quantiles(values).theoretical)
        ax.plot(place, values / spread, **style.mark(3.5))
    if len(terms) > MOST_TERMS:
        page.note(f"Random effects of {MOST_TERMS} of {len(terms)} terms; ranef_qq draws all.")
    handles = [ax.lines[1 + i] for i in range(len(lines))]
    ax.set_xlabel("normal quantile")
    ax.set_ylabel("random effect / sd")
    _titled(ax, "Random effects", "points on the line")
    page.legend(handles, lines)


def _influence(ax: "Axes", found: ModelCheck, page: Sheet) -> None:
    cook = found.influence["cooks_distance"].to_numpy(dtype=np.float64)
    place = np.arange(cook.size)
    ax.vlines(place, 0.0, cook, color=now().soft, linewidth=1.2 if cook.size < 60 else 0.6)
    ax.plot(place, cook, **look("data").mark(3))
    largest = int(np.argmax(np.nan_to_num(cook)))
    size = letter_size("x-small")
    names = short_names([page.label(str(level)) for level in found.influence.index], most=8)
    (name,) = cut([names[largest]], room_mm=NAME_MM, points=size)
    side = "left" if largest < cook.size / 2 else "right"
    ax.annotate(
        name,
        (largest, cook[largest]),
        xytext=(0, 3),
        textcoords="offset points",
        ha=side,
        fontsize=size,
    )
    ax.set_xticks([])
    ax.margins(x=SIDES)
    ax.set_ylim(0.0, 1.25 * max(float(np.nanmax(cook)), 0.05))
    ax.set_xlabel(f"levels of {page.label(str(found.influence.index.name))}")
    ax.set_ylabel("Cook's distance")
    _titled(ax, "Influence", "all well below 1")
