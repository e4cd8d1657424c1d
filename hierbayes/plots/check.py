"""The panel of model checks: each picture says under its title what a good one looks like."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

import hierbayes.plots.style as style
from hierbayes.checks.residuals import normal_quantiles
from hierbayes.errors import OptionError
from hierbayes.plots.alt_text import describe
from hierbayes.plots.labels import broken
from hierbayes.plots.picture import picture
from hierbayes.plots.shrinkage_source import short_names
from hierbayes.results.density import density
from hierbayes.results.model_check import ModelCheck

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

ROW_MM = 58.0
COLUMNS, NARROW_COLUMNS = 3, 2
POINT: dict[str, Any] = {"color": style.INK, "s": 8.0, "alpha": 0.6, "linewidths": 0}
SLICES = 10  # of the expected value, for the quartiles of the scaled residuals
SIDES = 0.14  # free beside the levels, for the names of the first and the last one
LEGEND_LINE = 0.15  # of the height of a panel
ROOM_MM, NARROW_ROOM_MM = 32.0, 24.0  # of words in or below a panel
LINES = 2.0  # between a title and its panel, in sizes of small letters


@picture
def check(
    found: ModelCheck, *, figure: "Figure | SubFigure | None" = None
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw the panel of ``hb.check``.

    Parameters
    ----------
    found : ModelCheck
    figure : a matplotlib figure to draw into

    Returns
    -------
    figure, axes
        The pictures that there are for this fit, one an axes, in reading order.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> figure, axes = hb.plot.check(hb.check(fit, random_seed=1))
    >>> axes[0].get_title()
    'Data and simulations'
    """
    if not isinstance(found, ModelCheck):
        raise OptionError(
            f"plot.check draws what hb.check(fit) returns; it got {type(found).__name__}."
        )
    panels: list[Callable[[Axes, ModelCheck], None]] = [_overlay, _uniform, _quartiles]
    if found.residuals.size:
        panels.append(_residuals)
    if not found.effects.empty:
        panels.append(_effects)
    if not found.influence.empty:
        panels.append(_influence)
    n_columns = NARROW_COLUMNS if style.is_narrow(figure) else COLUMNS
    n_rows = -(-len(panels) // n_columns)
    with style.drawing(figure):
        drawn = style.any_figure(figure, width_mm=style.WIDTH_MM, height_mm=ROW_MM * n_rows)
        axes = drawn.subplots(n_rows, n_columns, squeeze=False).ravel()
        for ax, panel in zip(axes, panels, strict=False):
            panel(ax, found)
        for ax in axes[len(panels) :]:
            ax.remove()
    describe(drawn, _words(found))
    return drawn, np.asarray(axes[: len(panels)])


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
    size = style.letter_size("small")
    ax.set_title(title, fontsize=1.1 * size, pad=LINES * size)
    ax.annotate(
        good,
        (0.5, 1.0),
        xytext=(0, 4),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=0.93 * size,
        color=style.SOFT,
    )
    ax.tick_params(labelsize=0.93 * size)
    ax.xaxis.label.set_fontsize(size)
    ax.yaxis.label.set_fontsize(size)


def _room(ax: "Axes") -> float:
    return NARROW_ROOM_MM if style.is_narrow(ax) else ROOM_MM


def _overlay(ax: "Axes", found: ModelCheck) -> None:
    for values in found.simulated.T:
        curve = density(values[np.isfinite(values)])
        ax.plot(curve.x, curve.height, color=style.BAND, linewidth=0.7)
    own = density(found.observed)
    ax.plot(own.x, own.height, color=style.INK, linewidth=1.6)
    ax.set_yticks([])
    ax.set_xlabel("response")
    _titled(ax, "Data and simulations", "black among the grey")


def _uniform(ax: "Axes", found: ModelCheck) -> None:
    n = found.scaled.size
    ax.axline((0.0, 0.0), slope=1.0, **style.REFERENCE)
    ax.scatter((np.arange(n) + 0.5) / n, np.sort(found.scaled), **POINT)
    ax.set_xlabel("uniform quantile")
    ax.set_ylabel("scaled residual")
    _titled(ax, "Simulated residuals", "points on the line")


def _quartiles(ax: "Axes", found: ModelCheck) -> None:
    varies = np.ptp(found.fixed_part) > 0
    by = found.fixed_part if varies else np.arange(found.scaled.size)
    place = np.argsort(np.argsort(by, kind="stable")) / max(by.size - 1, 1)
    for quartile in (0.25, 0.5, 0.75):
        ax.axhline(quartile, **style.REFERENCE)
    ax.scatter(place, found.scaled, **POINT)
    slices = min(SLICES, max(1, found.scaled.size // 8))
    which = np.minimum((place * slices).astype(int), slices - 1)
    middle = (np.arange(slices) + 0.5) / slices
    for quartile in (0.25, 0.5, 0.75):
        curve = [np.quantile(found.scaled[which == i], quartile) for i in range(slices)]
        ax.plot(middle, curve, color=style.SOFT, linewidth=1.5)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel("rank of the fixed part" if varies else "place of the row")
    ax.set_ylabel("scaled residual")
    _titled(ax, "Even everywhere?", "solid near dashed")


def _residuals(ax: "Axes", found: ModelCheck) -> None:
    ax.axhline(0.0, **style.REFERENCE)
    ax.scatter(found.fitted, found.residuals, **POINT)
    ax.set_xlabel("fitted value")
    ax.set_ylabel("residual")
    _titled(ax, "Residuals", "a level cloud")


def _effects(ax: "Axes", found: ModelCheck) -> None:
    """Random effects of all terms, each in units of its own spread."""
    marks = (("o", style.INK), ("s", "white"), ("D", style.SOFT), ("^", "white"))
    ax.axline((0.0, 0.0), slope=1.0, **style.REFERENCE)
    for (marker, face), ((group, term), rows) in zip(
        marks, found.effects.groupby(["group", "term"], sort=False), strict=False
    ):
        values = np.sort(rows["estimate"].to_numpy(dtype=np.float64))
        spread = values.std() or 1.0
        ax.plot(
            np.sort(normal_quantiles(values).theoretical),
            values / spread,
            marker,
            markersize=3.5,
            markerfacecolor=face,
            markeredgecolor=style.INK,
            markeredgewidth=0.7,
            label=broken(
                f"{term} | {group}", width_mm=_room(ax), points=style.letter_size("x-small")
            ),
        )
    low, high = ax.get_ylim()  # room for the legend above the points
    n_lines = sum(label.count("\n") + 1 for label in ax.get_legend_handles_labels()[1])
    ax.set_ylim(low, high + LEGEND_LINE * n_lines * (high - low))
    ax.legend(frameon=False, fontsize="x-small", loc="upper left", handletextpad=0.2, borderpad=0.1)
    ax.set_xlabel("normal quantile")
    ax.set_ylabel("random effect / sd")
    _titled(ax, "Random effects", "points on the line")


def _influence(ax: "Axes", found: ModelCheck) -> None:
    cook = found.influence["cooks_distance"].to_numpy(dtype=np.float64)
    place = np.arange(cook.size)
    ax.vlines(place, 0.0, cook, color=style.SOFT, linewidth=1.2)
    ax.plot(place, cook, "o", color=style.INK, markersize=3.0)
    largest = np.argsort(-np.nan_to_num(cook), kind="stable")[:2]
    names = short_names(list(found.influence.index), most=8)
    for i in largest:
        ax.annotate(
            names[i],
            (i, cook[i]),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize="x-small",
        )
    ax.set_xticks([])
    ax.margins(x=SIDES)
    ax.set_ylim(0.0, 1.2 * max(float(np.nanmax(cook)), 0.05))
    name = f"levels of {found.influence.index.name}"
    ax.set_xlabel(broken(name, width_mm=_room(ax), points=style.letter_size("small")))
    ax.set_ylabel("Cook's distance")
    _titled(ax, "Influence", "all well below 1")
