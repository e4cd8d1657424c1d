"""Psychometric functions with their responses: the population with its band, and each observer."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hierbayes.errors import OptionError
from hierbayes.options import ThresholdLevels, check_option
from hierbayes.plots.alt_text import describe
from hierbayes.plots.labels import MOST_PANELS, axis_label, wrapped
from hierbayes.plots.picture import picture
from hierbayes.plots.style import (
    BAND,
    INK,
    LIGHT,
    NARROW_LETTERS,
    SOFT,
    WIDTH_MM,
    any_figure,
    drawing,
    is_narrow,
    letter_size,
    width_of,
)
from hierbayes.psychometrics.curves import PsychometricCurves, psychometric_curves
from hierbayes.psychometrics.lines import POPULATION
from hierbayes.results.psychometric_fits import PsychometricFit, PsychometricPosterior
from hierbayes.wording import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

POPULATION_MM, PANEL_MM, FRAME_MM = 78.0, 27.0, 22.0  # heights: population, a row, around them
TICKS = 4  # of the stimulus, where panels are small
LARGEST, LARGEST_OF_LEVEL = 60.0, 16.0  # areas of points of the most trials, points squared
SMALLEST = 0.12  # of these, for hardly any trials
TALL = 2.4  # height of the population's panel in rows of the others
KEY_MM = 18.0  # of a legend, besides its words
# Conditions differ by line, by lightness and by open or filled points.
LOOKS: tuple[dict[str, Any], ...] = (
    {"linestyle": "-", "color": INK, "marker": "o", "face": INK, "band": BAND},
    {"linestyle": (0, (5, 2)), "color": SOFT, "marker": "o", "face": "white", "band": LIGHT},
    {"linestyle": (0, (1.2, 1.2)), "color": INK, "marker": "s", "face": INK, "band": BAND},
    {"linestyle": (0, (6, 2, 1, 2)), "color": SOFT, "marker": "D", "face": "white", "band": LIGHT},
)


@picture
def psychometric(
    fit: PsychometricFit | PsychometricPosterior,
    *,
    groups: ThresholdLevels | None = None,
    level: float = 0.95,
    labels: Mapping[str, str] | None = None,
    figure: "Figure | SubFigure | None" = None,
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw psychometric functions and the responses they were fitted to.

    The first panel shows the population (the typical level) with its band, its PSE with the
    interval at the height of the core function's middle, and the shares of successes of all levels
    together; below is a panel for each level of the grouping factor. Points are as large as they
    have trials, and conditions differ by line and point.

    Parameters
    ----------
    fit : of ``hb.psychometric``, by either estimator
    groups : {"all", "none"}
        "all": a panel for each level, up to 24; "none": the population alone. "all" where it can
        be, unless said.
    level : level of the band and of the PSE's interval
    labels : axis labels by column, in place of ours
    figure : a matplotlib figure to draw into

    Returns
    -------
    figure, axes
        The population's axes, then one a level.

    Raises
    ------
    OptionError
        For other fits, for more than 24 levels with ``groups="all"``, and for more than four
        conditions.

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.psychometric("faster ~ speed * vibration + (speed | subject)",
    ...     hb.load_dataset("touch_speed"), stimulus="speed", guess="lapse", lapse="estimate",
    ...     n="trials")
    >>> figure, axes = hb.plot.psychometric(model.fit())
    >>> axes.size
    13
    """
    fit = _checked(fit)
    found = psychometric_curves(fit, groups=_chosen(fit, groups), level=level)
    if len(found.conditions) > len(LOOKS):
        raise OptionError(
            f"The model has {len(found.conditions)} conditions; a picture shows up to "
            f"{len(LOOKS)}. fit.pse() has all of them in a table."
        )
    n_levels = len(found.levels) - 1
    with drawing(figure):
        n_columns = _columns(n_levels, narrow=is_narrow(figure))
        n_rows = -(-n_levels // n_columns)
        height = POPULATION_MM + PANEL_MM * n_rows + FRAME_MM * (n_rows > 0)
        drawn = any_figure(figure, width_mm=WIDTH_MM, height_mm=height)
        axes = _axes(drawn, found, n_rows, n_columns)
        share = NARROW_LETTERS if is_narrow(drawn) else 1.0
        _panel(axes[0], found, POPULATION, largest=share**2 * LARGEST)
        for ax, name in zip(axes[1:], found.levels[1:], strict=True):
            _panel(ax, found, name, largest=LARGEST_OF_LEVEL)
            ax.set_title(name, fontsize=letter_size("small"), pad=2.0)
        _name_axes(drawn, axes, found, data_name=fit.data_name, labels=labels)
        _legend(drawn, found)
    describe(drawn, _words(found))
    return drawn, np.asarray(axes)


def _checked(given: object) -> PsychometricFit | PsychometricPosterior:
    if isinstance(given, PsychometricFit | PsychometricPosterior):
        return given
    raise OptionError(
        "plot.psychometric takes a fit of hb.psychometric(...), by fit() or sample(); it got "
        f"{shown(type(given).__name__)}."
    )


def _chosen(
    fit: PsychometricFit | PsychometricPosterior, groups: ThresholdLevels | None
) -> ThresholdLevels:
    factors = fit.design.factors
    n_levels = factors[0].levels.size if len(factors) == 1 else 0
    if groups is None:
        return "all" if 0 < n_levels <= MOST_PANELS else "none"
    check_option("groups", groups, ThresholdLevels)
    if groups == "all" and n_levels > MOST_PANELS:
        raise OptionError(
            f"groups='all' would draw {n_levels} panels; up to {MOST_PANELS} can be read. "
            "groups='none' draws the population."
        )
    return groups


def _columns(n_levels: int, *, narrow: bool) -> int:
    """Panels in a row."""
    if narrow:
        return 3
    return 6 if n_levels > 12 else 4  # three rows at most


def _axes(
    figure: "Figure | SubFigure", found: PsychometricCurves, n_rows: int, n_columns: int
) -> list["Axes"]:
    """Make the population's axes above a grid of others, all with one scale."""
    if not n_rows:
        axes = [figure.add_subplot()]
    else:
        grid = figure.add_gridspec(1 + n_rows, n_columns, height_ratios=[TALL, *[1.0] * n_rows])
        axes = [figure.add_subplot(grid[0, :])]
        for i in range(len(found.levels) - 1):
            place = grid[1 + i // n_columns, i % n_columns]
            axes.append(figure.add_subplot(place, sharex=axes[0], sharey=axes[0]))
            last = i + n_columns >= len(found.levels) - 1
            axes[-1].tick_params(labelbottom=last, labelleft=i % n_columns == 0)
    if found.is_log:
        axes[0].set_xscale("log")
    axes[0].set_ylim(-0.04, 1.04)
    axes[0].set_yticks([0.0, 0.5, 1.0])
    return axes


def _panel(ax: "Axes", found: PsychometricCurves, name: str, *, largest: float) -> None:
    points = found.points[found.points["level"] == name]
    curves = found.curves[found.curves["level"] == name]
    most = float(points["trials"].max())
    for condition, look in zip(found.conditions, LOOKS, strict=False):
        own = curves[curves["condition"] == condition]
        if own.empty:
            continue
        if own["lower"].notna().all():
            ax.fill_between(
                own["x"], own["lower"], own["upper"],
                color=look["band"], alpha=0.7, linewidth=0, zorder=1,
            )  # fmt: skip
        ax.plot(
            own["x"], own["estimate"], color=look["color"], linestyle=look["linestyle"],
            linewidth=1.8 if name == POPULATION else 1.2, zorder=3,
        )  # fmt: skip
        at = points[points["condition"] == condition]
        ax.scatter(
            at["x"], at["share"], marker=look["marker"], zorder=4,
            s=largest * np.maximum(at["trials"] / most, SMALLEST),
            facecolors=look["face"],
            edgecolors=look["color"], linewidths=0.8,
        )  # fmt: skip
        if name == POPULATION:
            _threshold(ax, found, condition, own, look)


def _threshold(
    ax: "Axes",
    found: PsychometricCurves,
    condition: str,
    curve: pd.DataFrame,
    look: Mapping[str, Any],
) -> None:
    """Draw the PSE's interval at the height the curve has there."""
    table = found.thresholds
    row = table[(table["level"] == POPULATION) & (table["condition"] == condition)].iloc[0]
    if not np.isfinite([row["estimate"], row["lower"], row["upper"]]).all():
        return
    low, high = curve["x"].min(), curve["x"].max()
    if not low <= row["estimate"] <= high:
        return
    height = float(np.interp(row["estimate"], curve["x"], curve["estimate"]))
    ends = np.clip([row["lower"], row["upper"]], low, high)
    ax.plot(ends, [height] * 2, color=look["color"], linewidth=1.2, marker="|", markersize=7,
            zorder=5)  # fmt: skip
    ax.plot([row["estimate"]] * 2, [-0.04, height], color=look["color"], linewidth=0.8,
            linestyle=(0, (1, 2)), zorder=2)  # fmt: skip


def _name_axes(
    figure: "Figure | SubFigure",
    axes: Sequence["Axes"],
    found: PsychometricCurves,
    *,
    data_name: str,
    labels: Mapping[str, str] | None,
) -> None:
    from matplotlib.ticker import MaxNLocator

    x = axis_label(found.stimulus, found.points["x"], data_name=data_name, labels=labels)
    response = found.response.removeprefix("cbind(").split(",")[0]
    y = (labels or {}).get(response, f"share of {response}")
    axes[0].set_ylabel(y)
    if len(axes) == 1:
        axes[0].set_xlabel(x)
    else:
        figure.supxlabel(x)
        if not found.is_log:
            axes[0].xaxis.set_major_locator(MaxNLocator(TICKS))
        axes[0].set_title("population", pad=3.0)


def _legend(figure: "Figure | SubFigure", found: PsychometricCurves) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    size, room = letter_size("small"), width_of(figure) - KEY_MM
    handles: list[Any] = []
    words = []
    if len(found.conditions) > 1:
        name = f"{found.condition_names[0]}: " if len(found.condition_names) == 1 else ""
        for condition, look in zip(found.conditions, LOOKS, strict=False):
            line = {key: look[key] for key in ("color", "linestyle", "marker")}
            handles.append(Line2D([], [], **line, markerfacecolor=look["face"], markersize=5))
            words.append(f"{name}{condition}")
    band = f"{found.words}, PSE with its interval"
    if found.held:
        band += "; " + ", ".join(f"{name} = {value:.4g}" for name, value in found.held.items())
    handles.append(Patch(color=BAND, linewidth=0))
    words.append(wrapped(band, width_mm=room, points=size))
    together = sum(map(len, words)) < room / 2.2 and "\n" not in words[-1]
    figure.legend(
        handles, words, loc="outside upper center", ncols=len(words) if together else 1,
        frameon=False, fontsize=size, handlelength=2.4,
    )  # fmt: skip


def _words(found: PsychometricCurves) -> str:
    """Say in words where the thresholds are."""
    table = found.thresholds[found.thresholds["level"] == POPULATION]
    parts = [
        f"{row.condition}: PSE {row.estimate:.4g} ({row.lower:.4g} to {row.upper:.4g})"
        for row in table.itertuples()
    ]
    others = len(found.levels) - 1
    panels = f", and a panel for each of {others} levels of {found.group}" if others else ""
    return (
        f"Shares of {found.response} over {found.stimulus} with psychometric functions of the "
        f"population{panels}. {'; '.join(parts)}."
    )
