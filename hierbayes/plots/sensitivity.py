"""Sensitivity to priors: along the width of one, over those of two, and under powers."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.options import SensitivityColumn, check_option
from hierbayes.plots.alt_text import describe
from hierbayes.plots.curves import Curve, draw_curve
from hierbayes.plots.forest import AROUND_MM, NAME, broken_names, forest_mm, row_mm
from hierbayes.plots.needed import sensitivity_for
from hierbayes.plots.palette import look, mixed, now, reference
from hierbayes.plots.picture import picture
from hierbayes.plots.sheet import Options, Sheet, sheet
from hierbayes.plots.style import letter_size
from hierbayes.results.comparison import BayesFactor
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.sensitivity import PowerScaling, Sensitivity
from hierbayes.results.table_pictures import no_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

PANEL_MM, LEAST_MM = 52.0, 50.0
CELL_MM = 9.0  # height of a cell of a grid
LEAST_TALL_MM = 25.0  # height of parameters below each other
BESIDE = 0.42  # of the width, for their names
FLAT = 1.6  # times the widest finite prior, where the flat end is drawn
TICKS = (1, 2, 5)
MOST_TICKS = 5
SMALLEST = 1e-3  # sensitivity that is drawn
ERRORS = 2.0  # Monte-Carlo errors around a curve
PALE, DARK = 0.08, 0.6  # of ink on paper, in cells
WORDS = {
    "estimate": "estimate", "lower": "lower end", "upper": "upper end",
    "prob_positive": "probability above zero", "log_bf": "log Bayes factor",
}  # fmt: skip


@picture
def sensitivity(
    found: Sensitivity | PowerScaling | PosteriorFit,
    parameter: str | Sequence[str] | None = None,
    *,
    show: SensitivityColumn = "estimate",
    **options: Unpack[Options],
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw how far a posterior depends on its priors.

    Along the width of one prior: estimate with its interval, the probability that it is positive,
    and the Bayes factor against zero, as far as there are; a vertical line is at the width of the
    fit, a dotted one at that of the sceptic whom the data just convince, and at the right stands
    the answer without a prior. Over two widths: one number in each cell. Without a parameter: how
    much each parameter moves with its priors and with the likelihood, and where that matters.

    Parameters
    ----------
    found : what ``hb.sensitivity`` returns, or a posterior, whose sensitivity is then made
    parameter : of a posterior, whose prior changes
    show : {"estimate", "lower", "upper", "prob_positive", "log_bf"}
        What the cells of two widths hold.

    Returns
    -------
    figure, axes
        A panel a number of a curve, else one. ``labels`` are those of the parameters.

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> post = model.sample(random_seed=1)
    >>> figure, axes = hb.plot.sensitivity(post, "sd((Intercept)|Batch)")
    >>> axes[0].get_xscale()
    'log'
    """
    check_option("show", show, SensitivityColumn)
    made = sensitivity_for(found, parameter)
    with sheet(options, "sensitivity") as page:
        if isinstance(made, PowerScaling):
            axes = _powers(page, made)
        elif len(made.parameters) > 1:
            axes = _cells(page, made, show)
        else:
            axes = _curves(page, made)
        describe(page.figure, _words(made))
    return page.figure, np.asarray(axes)


def bayes_factor_curve(found: BayesFactor, **options: Unpack[Options]) -> "tuple[Any, Axes]":
    """Draw the log Bayes factor of a term over the width of the priors of what was dropped.

    Parameters
    ----------
    found : BayesFactor of a term
    **options : of every picture

    Returns
    -------
    figure, axes
    """
    table = found.by_width
    if table is None:
        raise no_picture("bayes_factor")
    with sheet(options, "bayes_factor") as page:
        ax = page.axes(PANEL_MM)
        x, y, mcse = (
            table[name].to_numpy(dtype=np.float64) for name in ("factor", "log_bf", "log_bf_mcse")
        )
        far = ERRORS * mcse
        curve = Curve(x=x, y=y, low=y - far, high=y + far, look=look("posterior"))
        draw_curve(ax, curve, is_number=True)
        ax.axhline(0.0, **reference())
        ax.axvline(1.0, label="priors of the model", **reference(linestyle="-"))
        ax.set_xscale("log")
        places = [0.1, 1.0, 10.0]
        ax.set_xticks(places, [f"{place:g}" for place in places])
        ax.set_xticks([], minor=True)
        ax.set_xlabel("width of the priors, times that of the model")
        ax.set_ylabel(WORDS["log_bf"])
        page.legend()
        known = table[table["log_bf"].notna()]
        describe(
            page.figure,
            f"Log Bayes factor {found.names[0]} against {found.names[1]} over priors "
            f"{known['factor'].min():.3g} to {known['factor'].max():.3g} times as wide: "
            f"from {known['log_bf'].min():.3g} to {known['log_bf'].max():.3g}.",
        )
    return page.figure, ax


def _curves(page: Sheet, found: Sensitivity) -> "Sequence[Axes]":
    """Panels of the numbers along the width of one prior."""
    table = found.table
    shown = ["estimate", *(n for n in ("prob_positive", "log_bf") if table[n].notna().any())]
    axes = list(
        page.grid(len(shown), columns=page.columns(LEAST_MM, 3), panel_mm=PANEL_MM, sharex=True)
    )
    widths = table["width"].to_numpy(dtype=np.float64)
    finite = widths[np.isfinite(widths)]
    x = np.where(np.isfinite(widths), widths, FLAT * finite.max())
    nothing = np.full(x.size, np.nan)
    for ax, name in zip(axes, shown, strict=True):
        low, high = nothing, nothing
        if name == "estimate":
            low, high = (table[end].to_numpy(dtype=np.float64) for end in ("lower", "upper"))
        y = table[name].to_numpy(dtype=np.float64)
        draw_curve(ax, Curve(x=x, y=y, low=low, high=high, look=look("posterior")), is_number=True)
        ax.axvline(found.fitted[0], label="prior of the fit", **reference(linestyle="-"))
        if found.reverse is not None and math.isfinite(found.reverse.width):
            ax.axvline(
                found.reverse.width, label="just convinced sceptic", **reference(linestyle=":")
            )
        ax.set_ylabel(page.label(found.of) if name == "estimate" else WORDS[name])
        if name != "estimate" or table["prob_positive"].notna().any():
            ax.axhline(0.5 if name == "prob_positive" else 0.0, **reference())
    axes[0].set_xscale("log")
    kind = str(table["prior"].iloc[0]).partition("(")[0]
    what, flat = ("eta", 1.0) if kind == "LKJ" else ("width", FLAT * float(finite.max()))
    _reference(axes[0], found, flat)
    _width_ticks(axes[0], finite, flat=bool(np.isinf(widths).any()))
    page.figure.supxlabel(f"{what} of the {kind} prior of {page.label(found.parameters[0])}")
    page.legend()
    return axes


def _reference(ax: "Axes", found: Sensitivity, x: float) -> None:
    """Draw the answer without a prior at the flat end."""
    own = found.reference
    if own is None or not math.isfinite(own.estimate):
        return
    style = look("reml" if own.method == "REML" else "ml")
    ax.plot([x], [own.estimate], label=own.method, **style.mark(6.0))
    if math.isfinite(own.lower) and math.isfinite(own.upper):
        ax.vlines([x], [own.lower], [own.upper], color=style.colour, linewidth=1.3 * now().lines)


def _width_ticks(ax: "Axes", widths: FloatArray, *, flat: bool) -> None:
    """Tick round widths, and the flat end."""
    low, high = float(widths.min()), float(widths.max())
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    places = [d * 10.0**p for p in powers for d in TICKS if low <= d * 10.0**p <= high]
    places = places[:: max(1, math.ceil(len(places) / MOST_TICKS))]
    words = [f"{place:g}" for place in places]
    ax.set_xticks(places + [FLAT * high] * flat, words + ["flat"] * flat)
    ax.set_xticks([], minor=True)


def _cells(page: Sheet, found: Sensitivity, show: SensitivityColumn) -> "Sequence[Axes]":
    """Draw one number over two widths."""
    across, down = (np.unique(found.table[f"width_{k}"]) for k in (1, 2))
    values = found.table[show].to_numpy(dtype=np.float64).reshape(across.size, down.size).T
    ax = page.axes(CELL_MM * down.size)
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    for (i, j), value in np.ndenumerate(values):
        share = (value - low) / ((high - low) or 1.0) if math.isfinite(value) else 0.0
        shade = mixed(now().soft, now().paper, PALE + (DARK - PALE) * share)
        ax.add_patch(_rectangle(j, i, shade))
        text = f"{value:.3g}" if math.isfinite(value) else "-"
        ax.text(j, i, text, ha="center", va="center", fontsize=letter_size("small"))
    ax.set_xlim(-0.5, across.size - 0.5)
    ax.set_ylim(-0.5, down.size - 0.5)
    ax.set_xticks(range(across.size), [f"{w:.3g}" for w in across])
    ax.set_yticks(range(down.size), [f"{w:.3g}" for w in down])
    ax.set_xlabel(f"width, {page.label(found.parameters[0])}")
    ax.set_ylabel(f"width, {page.label(found.parameters[1])}")
    page.note(f"Cells: {WORDS[show]} of {page.label(found.of)}.")
    return [ax]


def _rectangle(x: float, y: float, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.5, y - 0.5), 1.0, 1.0, facecolor=colour, edgecolor=now().paper)


def _powers(page: Sheet, found: PowerScaling) -> "Sequence[Axes]":
    """Draw the sensitivity of each parameter to priors and likelihood."""
    table = found.table
    names = [str(name) for name in table.index]
    order = page.ordered(names, table["prior"].to_numpy(dtype=np.float64), usual="data")
    words = broken_names([page.label(name) for name in names], room_mm=BESIDE * page.width_mm)
    most = page.rows_that_fit(row_mm(words, narrow=page.is_narrow), AROUND_MM)
    if len(order) > most:
        page.note(f"{most} of {len(order)} parameters, the first in this order.")
    order = order[:most][::-1]
    ax = page.axes(max(forest_mm([words[i] for i in order], narrow=page.is_narrow), LEAST_TALL_MM))
    for column, role, word in (("prior", "prior", "priors"), ("likelihood", "data", "likelihood")):
        values = np.maximum(table[column].to_numpy(dtype=np.float64)[order], SMALLEST)
        ax.plot(values, range(len(order)), label=word, **look(role).mark(6.0))
    ax.axvline(found.threshold, label=f"matters from {found.threshold:g}", **reference())
    ax.set_xscale("log")
    ax.set_xlim(left=SMALLEST * 0.8)
    largest = max(1.0, float(np.nanmax(table[["prior", "likelihood"]].to_numpy())))
    places = 10.0 ** np.arange(-3, math.ceil(math.log10(largest)) + 1)
    ax.set_xticks(places, [f"{place:g}" for place in places])
    ax.set_xticks([], minor=True)
    ax.set_yticks(range(len(order)), [words[i] for i in order], fontsize=NAME * letter_size())
    ax.set_ylim(-0.6, len(order) - 0.4)
    ax.set_xlabel("sensitivity to a power of the priors or of the likelihood")
    page.legend()
    if (table[["prior", "likelihood"]] < SMALLEST).any(axis=None):
        page.note(f"Sensitivities below {SMALLEST:g} are drawn there.")
    return [ax]


def _words(found: Sensitivity | PowerScaling) -> str:
    if isinstance(found, PowerScaling):
        moved = found.table.index[found.table["prior"] >= found.threshold]
        names = ", ".join(map(str, moved)) or "none"
        return f"Sensitivity of {len(found.table)} parameters; depending on priors: {names}."
    table: pd.DataFrame = found.table[found.table["estimate"].notna()]
    if table.empty:
        return f"Sensitivity of {found.of}; nothing could be computed."
    text = (
        f"Estimate of {found.of} under {len(found.table)} priors of "
        f"{' and '.join(found.parameters)}: from {table['estimate'].min():.4g} to "
        f"{table['estimate'].max():.4g}."
    )
    return f"{text} {found.reverse.sentence}" if found.reverse is not None else text
