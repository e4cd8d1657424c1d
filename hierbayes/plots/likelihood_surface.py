"""The marginal likelihood over two variance parameters, with the estimates of ML and REML."""

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import chdtri

from hierbayes.errors import OptionError
from hierbayes.plots.alt_text import describe
from hierbayes.plots.picture import picture
from hierbayes.plots.style import INK, SOFT, WIDTH_MM, any_figure, drawing
from hierbayes.results.likelihood_surface import LikelihoodSurface

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

HEIGHT_MM = 82.0
ONE_MM = 95.0  # width of one panel alone
LEVELS = (0.5, 0.8, 0.95, 0.99)
EXCLUDED = 1e-4  # probability beyond which nothing is shown
SHADES = ("#8c8c8c", "#b0b0b0", "#d0d0d0", "#ebebeb")


@picture
def likelihood_surface(
    surface: LikelihoodSurface,
    *,
    figure: "Figure | SubFigure | None" = None,
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw the likelihood that ML maximises and the one REML does, over the same two parameters.

    Darker is more likely; the contours hold 50, 80, 95 and 99 % of a chi-squared distribution on
    two degrees of freedom: values outside the third one fit so badly that a 95 % region leaves
    them out.

    Parameters
    ----------
    surface : LikelihoodSurface
        Of ``hb.likelihood_surface``.
    figure : a matplotlib figure to draw into

    Returns
    -------
    figure, axes
        Two axes: ML, REML; of a generalised fit the first alone.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> figure, axes = hb.plot.likelihood_surface(hb.likelihood_surface(fit))
    >>> axes[1].get_title()
    'REML'
    """
    if not isinstance(surface, LikelihoodSurface):
        raise OptionError(
            "plot.likelihood_surface draws what hb.likelihood_surface(fit) returns; it got "
            f"{type(surface).__name__}."
        )
    with drawing(figure):
        panels = [("ML", surface.ml), ("REML", surface.reml)][: 2 if surface.has_reml else 1]
        width = WIDTH_MM if surface.has_reml else ONE_MM
        drawn = any_figure(figure, width_mm=width, height_mm=HEIGHT_MM)
        axes = drawn.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
        for ax, (title, values) in zip(axes, panels, strict=True):
            _panel(ax, surface, values)
            ax.set_title(title)
        _crop(axes[0], surface)
        drawn.supxlabel(surface.x_name)
        drawn.supylabel(surface.y_name)
        handles, labels = axes[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
    describe(drawn, _words(surface))
    return drawn, np.asarray(axes)


def _words(surface: LikelihoodSurface) -> str:
    """Say what is drawn, and where the likelihoods are highest."""
    over = f"Marginal likelihood over {surface.x_name} and {surface.y_name}"
    ml = f"ML {surface.ml_estimate[0]:.4g} and {surface.ml_estimate[1]:.4g}"
    if not surface.has_reml:
        return f"{over}. Best values: {ml}."
    reml = f"REML {surface.reml_estimate[0]:.4g} and {surface.reml_estimate[1]:.4g}"
    return f"{over}, by ML and by REML. Best values: {ml}, {reml}."


def _crop(ax: "Axes", surface: LikelihoodSurface) -> None:
    """Leave out what both likelihoods exclude."""
    far = float(chdtri(2, EXCLUDED))
    seen = np.fmin(surface.ml, surface.reml) <= far
    x, y = surface.x[seen.any(axis=0)], surface.y[seen.any(axis=1)]
    if x.size > 1 and y.size > 1:
        ax.set_xlim(x[0], x[-1])
        ax.set_ylim(y[0], y[-1])


def _panel(ax: "Axes", surface: LikelihoodSurface, values: Any) -> None:
    cuts = [float(chdtri(2, 1 - level)) for level in LEVELS]
    ax.contourf(surface.x, surface.y, values, levels=[-1.0, *cuts], colors=SHADES)
    ax.contour(surface.x, surface.y, values, levels=cuts, colors=SOFT, linewidths=0.8)
    marks: tuple[tuple[str, str, str, tuple[float, float]], ...] = (
        ("ML estimate", "o", "white", surface.ml_estimate),
        ("REML estimate", "D", INK, surface.reml_estimate),
    )
    for name, marker, face, (x, y) in marks[: 2 if surface.has_reml else 1]:
        ax.plot(
            [x],
            [y],
            marker,
            markerfacecolor=face,
            markeredgecolor=INK,
            markersize=6.5,
            linestyle="none",
            label=name,
            clip_on=False,
        )
