"""Psychometric functions with their responses: the population with its band, and each observer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

from hierbayes.errors import OptionError
from hierbayes.options import ThresholdLevels, check_option
from hierbayes.plots.alt_text import describe
from hierbayes.plots.labels import MOST_PANELS, axis_label
from hierbayes.plots.palette import Look, now
from hierbayes.plots.picture import picture
from hierbayes.plots.response_names import counted_name
from hierbayes.plots.series import MOST, series
from hierbayes.plots.sheet import Options, Sheet, sheet
from hierbayes.plots.style import NARROW_LETTERS
from hierbayes.psychometrics.curves import PsychometricCurves, psychometric_curves
from hierbayes.psychometrics.lines import POPULATION
from hierbayes.results.psychometric_fits import PsychometricFit, PsychometricPosterior
from hierbayes.wording import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

POPULATION_MM, NARROW_MM = 62.0, 44.0  # height of the population's panel
PANEL_MM, LEAST_PANEL_MM, TITLE_MM = 20.0, 12.0, 6.0  # heights of the others, and of a title
AROUND_MM = 34.0  # the height of what stands around them
LEAST_MM = 19.0  # width of a panel
TICKS = 4  # of the stimulus, where panels are small
LARGEST, LARGEST_OF_LEVEL = 60.0, 16.0  # areas of points of the most trials, points squared
SMALLEST = 0.12  # of these, for hardly any trials
BAND = 0.28  # of a condition's colour on the page, in its band


@picture
def psychometric(
    fit: PsychometricFit | PsychometricPosterior,
    *,
    groups: ThresholdLevels | None = None,
    level: float = 0.95,
    **options: Unpack[Options],
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

    Returns
    -------
    figure, axes
        The population's axes, then one a level. ``labels`` are those of columns, conditions and
        levels.

    Raises
    ------
    OptionError
        For other fits, for more than 24 levels with ``groups="all"``, and for more than six
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
    if len(found.conditions) > MOST:
        raise OptionError(
            f"The model has {len(found.conditions)} conditions; a picture shows up to {MOST}. "
            "fit.pse() has all of them in a table."
        )
    with sheet(options, "psychometric") as page:
        looks = dict(zip(found.conditions, series(list(found.conditions)), strict=True))
        others = list(found.levels[1:])
        order = page.ordered(others, usual="data") if others else []
        axes = _axes(page, found, len(others))
        share = NARROW_LETTERS if page.is_narrow else 1.0
        _panel(axes[0], found, POPULATION, looks, largest=share**2 * LARGEST)
        for ax, i in zip(axes[1:], order, strict=True):
            _panel(ax, found, others[i], looks, largest=LARGEST_OF_LEVEL)
            ax.set_title(page.label(others[i]), fontsize="small", pad=2.0)
        _name_axes(page, axes, found, fit)
        _legend(page, found, looks)
        describe(page.figure, _words(found))
    return page.figure, np.asarray(axes)


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


def _axes(page: Sheet, found: PsychometricCurves, n_levels: int) -> list["Axes"]:
    """Make the population's axes above a grid of others, all with one scale."""
    tall = NARROW_MM if page.is_narrow else POPULATION_MM
    columns = page.columns(LEAST_MM, 6)
    n_rows = -(-n_levels // columns)
    columns = -(-n_levels // n_rows) if n_rows else 1
    fits = page.rows_that_fit(TITLE_MM + PANEL_MM, AROUND_MM + tall)
    panel = PANEL_MM if n_rows <= fits else max(fits * PANEL_MM / n_rows, LEAST_PANEL_MM)
    figure = page.canvas(tall + n_rows * (panel + TITLE_MM))
    ratios = [tall, *[panel] * n_rows]
    grid = figure.add_gridspec(1 + n_rows, columns, height_ratios=ratios)
    axes: list[Axes] = [figure.add_subplot(grid[0, :])]
    for i in range(n_levels):
        place = grid[1 + i // columns, i % columns]
        axes.append(figure.add_subplot(place, sharex=axes[0], sharey=axes[0]))
        last = i + columns >= n_levels
        axes[-1].tick_params(labelbottom=last, labelleft=i % columns == 0)
    page.stack([(axes[0], tall), *((ax, panel) for ax in axes[1::columns])])
    if found.is_log:
        axes[0].set_xscale("log")
    axes[0].set_ylim(-0.04, 1.04)
    axes[0].set_yticks([0.0, 0.5, 1.0])
    return axes


def _panel(
    ax: "Axes",
    found: PsychometricCurves,
    name: str,
    looks: dict[str, Look],
    *,
    largest: float,
) -> None:
    points = found.points[found.points["level"] == name]
    curves = found.curves[found.curves["level"] == name]
    most = float(points["trials"].max())
    for condition, style in looks.items():
        own = curves[curves["condition"] == condition]
        if own.empty:
            continue
        if own["lower"].notna().all():
            ax.fill_between(
                own["x"], own["lower"], own["upper"],
                color=style.colour, alpha=BAND, linewidth=0, zorder=1,
            )  # fmt: skip
        width = (1.8 if name == POPULATION else 1.2) * now().lines
        ax.plot(own["x"], own["estimate"], **style.line(linewidth=width))
        at = points[points["condition"] == condition]
        areas = largest * np.maximum(at["trials"] / most, SMALLEST)
        ax.scatter(at["x"], at["share"], **(style.points() | {"s": areas}))
        if name == POPULATION:
            _threshold(ax, found, condition, own, style)


def _threshold(
    ax: "Axes",
    found: PsychometricCurves,
    condition: str,
    curve: pd.DataFrame,
    style: Look,
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
    ax.plot(ends, [height] * 2, color=style.colour, linewidth=1.2, marker="|", markersize=7,
            zorder=5)  # fmt: skip
    ax.plot([row["estimate"]] * 2, [-0.04, height], color=style.colour, linewidth=0.8,
            linestyle=(0, (1, 2)), zorder=2)  # fmt: skip


def _name_axes(
    page: Sheet,
    axes: Sequence["Axes"],
    found: PsychometricCurves,
    fit: PsychometricFit | PsychometricPosterior,
) -> None:
    from matplotlib.ticker import MaxNLocator

    ours = axis_label(found.stimulus, found.points["x"], data_name=fit.data_name)
    x = page.label(found.stimulus, ours)
    response = counted_name(fit.design.formula)
    axes[0].set_ylabel(page.label(response, f"share of {response}"))
    if len(axes) == 1:
        axes[0].set_xlabel(x)
    else:
        page.figure.supxlabel(x)
        if not found.is_log:
            axes[0].xaxis.set_major_locator(MaxNLocator(TICKS))
        axes[0].set_title("population", pad=3.0)


def _legend(page: Sheet, found: PsychometricCurves, looks: dict[str, Look]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = []
    words = []
    if len(looks) > 1:
        name = f"{found.condition_names[0]}: " if len(found.condition_names) == 1 else ""
        for condition, style in looks.items():
            handles.append(Line2D([], [], **(style.mark() | style.line())))
            words.append(f"{name}{page.label(condition)}")
    band = f"{found.words}, PSE with its interval"
    if found.held:
        band += "; " + ", ".join(f"{name} = {value:.4g}" for name, value in found.held.items())
    handles.append(Patch(color=now().band, linewidth=0))
    words.append(band)
    page.legend(handles, words)


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
