"""Conditional modes of the random effects against normal quantiles, with their intervals."""

from typing import TYPE_CHECKING, Any

import numpy as np

import hierbayes.plots.style as style
from hierbayes.checks.residuals import normal_quantiles
from hierbayes.errors import OptionError
from hierbayes.plots.alt_text import describe
from hierbayes.plots.labels import broken
from hierbayes.plots.picture import checked_fits, picture
from hierbayes.results.fit import Fit, labelled_effects

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

PANEL_MM, FRAME_MM = 62.0, 10.0
COLUMNS = 2
SHARE = 0.72  # of the width of a panel with its frame, for its title
FEW = 100  # levels up to which each has an interval


@picture
def ranef_qq(
    fit: Fit,
    *,
    level: float = 0.95,
    figure: "Figure | SubFigure | None" = None,
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw a normal QQ plot of the random effects of every term.

    Normal effects follow the dashed line; bars are normal intervals of the conditional (posterior)
    sds. Effects that are shrunk a lot look more normal than they are.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    level : level of the intervals
    figure : a matplotlib figure to draw into

    Returns
    -------
    figure, axes
        One axes a term of each grouping factor.

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
    n_columns = min(COLUMNS, len(panels))
    n_rows = -(-len(panels) // n_columns)
    with style.drawing(figure):
        width = style.WIDTH_MM if n_columns > 1 else 0.6 * style.WIDTH_MM
        drawn = style.any_figure(figure, width_mm=width, height_mm=FRAME_MM + PANEL_MM * n_rows)
        axes = drawn.subplots(n_rows, n_columns, squeeze=False).ravel()
        room = SHARE * style.width_of(drawn) / n_columns
        for ax, ((group, term), rows) in zip(axes, panels, strict=False):
            found = normal_quantiles(rows["estimate"].to_numpy(dtype=np.float64))
            ordered = rows.sort_values("estimate", kind="stable")
            if np.isfinite(found.slope):
                ax.axline((0.0, found.intercept), slope=found.slope, **style.REFERENCE)
            if len(rows) <= FEW:
                ax.vlines(
                    np.sort(found.theoretical),
                    ordered["conf_low"],
                    ordered["conf_high"],
                    color=style.SOFT,
                    linewidth=1.0,
                )
            ax.plot(
                np.sort(found.theoretical),
                ordered["estimate"],
                "o",
                color=style.INK,
                markersize=3.5,
            )
            size = style.letter_size()
            ax.set_title(broken(f"{group}: {term}", width_mm=room, points=size))
        for ax in axes[len(panels) :]:
            ax.remove()
        drawn.supxlabel("standard normal quantile")
        drawn.supylabel("random effect")
    describe(
        drawn,
        f"Normal QQ plots of the random effects with {100 * level:g} % intervals: "
        + ", ".join(f"{len(rows)} levels of {g} ({t})" for (g, t), rows in panels)
        + ".",
    )
    return drawn, np.asarray(axes[: len(panels)])
