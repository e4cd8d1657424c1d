"""Conditional modes of the random effects against normal quantiles, with their intervals."""

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

from hierbayes.checks.residuals import normal_quantiles
from hierbayes.errors import OptionError
from hierbayes.plots.alt_text import describe
from hierbayes.plots.palette import Look, look, reference
from hierbayes.plots.picture import checked_fits, picture
from hierbayes.plots.sheet import Options, sheet
from hierbayes.results.fit import Fit, labelled_effects

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

WIDE_MM, TALL_MM = 38.0, 46.0  # of a panel
COLUMNS = 4
FEW = 100  # levels up to which each has an interval


@picture
def ranef_qq(
    fit: Fit,
    *,
    level: float = 0.95,
    **options: Unpack[Options],
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw a normal QQ plot of the random effects of every term.

    Normal effects follow the dashed line; bars are normal intervals of the conditional (posterior)
    sds. Effects that are shrunk a lot look more normal than they are.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    level : level of the intervals

    Returns
    -------
    figure, axes
        One axes a term of each grouping factor; ``labels`` are those of ``"Subject: Days"``.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> figure, axes = hb.plot.ranef_qq(fit)
    >>> [ax.get_title() for ax in axes]
    ['Subject: (Intercept)', 'Subject: Days']
    """
    (fit,) = checked_fits([fit], "ranef_qq")
    table = labelled_effects(fit, level)
    if table.empty:
        raise OptionError("ranef_qq draws random effects; this model has none.")
    table = table[table["estimate"].notna()]  # the others are not determined by the data
    if table.empty:
        raise OptionError(f"ranef_qq has no random effect to draw. {fit.undetermined_note}")
    panels = list(table.groupby(["group", "term"], sort=False))
    names = [f"{group}: {term}" for (group, term), _ in panels]
    with sheet(options, "ranef_qq") as page:
        order = page.ordered(names, usual="data")
        room = page.room_for(len(panels), wide_mm=WIDE_MM, tall_mm=TALL_MM, most_columns=COLUMNS)
        axes = page.grid(room.n, columns=room.columns, panel_mm=room.tall_mm)
        for ax, i in zip(axes, order, strict=False):
            _panel(ax, panels[i][1], look(fit.method))
            ax.set_title(page.label(names[i]))
        if room.n < len(panels):
            page.note(f"{room.n} of {len(panels)} terms.")
        page.figure.supxlabel("standard normal quantile")
        page.figure.supylabel("random effect")
        describe(
            page.figure,
            f"Normal QQ plots of the random effects with {100 * level:g} % intervals: "
            + ", ".join(f"{len(rows)} levels of {g} ({t})" for (g, t), rows in panels)
            + ".",
        )
    return page.figure, np.asarray(axes)


def _panel(ax: "Axes", rows: pd.DataFrame, style: Look) -> None:
    found = normal_quantiles(rows["estimate"].to_numpy(dtype=np.float64))
    ordered = rows.sort_values("estimate", kind="stable")
    place = np.sort(found.theoretical)
    if np.isfinite(found.slope):
        ax.axline((0.0, found.intercept), slope=found.slope, **reference())
    few = len(rows) <= FEW
    if few:
        ends = ordered["conf_low"], ordered["conf_high"]
        ax.vlines(place, *ends, color=style.colour, linewidth=0.8, alpha=0.6)
    ax.plot(place, ordered["estimate"], **style.mark(3.5 if few else 2.0))
