"""The marginal likelihood over two variance parameters, with the estimates of ML and REML."""

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from scipy.special import chdtri

from hierbayes.plots.alt_text import describe
from hierbayes.plots.needed import surface_for
from hierbayes.plots.palette import look, mixed, now
from hierbayes.plots.picture import picture
from hierbayes.plots.sheet import Options, sheet
from hierbayes.results.fit import Fit
from hierbayes.results.likelihood_surface import LikelihoodSurface

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

HEIGHT_MM = 56.0
LEAST_MM = 36.0  # width of a panel
LEVELS = (0.5, 0.8, 0.95, 0.99)
EXCLUDED = 1e-4  # probability beyond which nothing is shown
SHADES = (0.62, 0.42, 0.25, 0.1)  # of ink on paper, from the most to the least likely


@picture
def likelihood_surface(
    surface: LikelihoodSurface | Fit,
    **options: Unpack[Options],
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw the likelihood that ML maximises and the one REML does, over the same two parameters.

    Darker is more likely; the contours hold 50, 80, 95 and 99 % of a chi-squared distribution on
    two degrees of freedom: values outside the third one fit so badly that a 95 % region leaves
    them out.

    Parameters
    ----------
    surface : LikelihoodSurface of ``hb.likelihood_surface``, or a fit, whose surface is then made

    Returns
    -------
    figure, axes
        Two axes: ML, REML; of a generalised fit the first alone. ``labels`` are those of the two
        parameters.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> figure, axes = hb.plot.likelihood_surface(fit)
    >>> axes[1].get_title()
    'REML'
    """
    found = surface_for(surface)
    panels = [("ML", found.ml), ("REML", found.reml)][: 2 if found.has_reml else 1]
    with sheet(options, "likelihood_surface") as page:
        axes = page.grid(
            len(panels),
            columns=page.columns(LEAST_MM, 2),
            panel_mm=HEIGHT_MM,
            sharex=True,
            sharey=True,
        )
        for ax, (title, values) in zip(axes, panels, strict=True):
            _panel(ax, found, values)
            ax.set_title(title)
        _crop(axes[0], found)
        page.figure.supxlabel(page.label(found.x_name))
        page.figure.supylabel(page.label(found.y_name))
        page.legend()
        describe(page.figure, _words(found))
    return page.figure, np.asarray(axes)


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
    shades = [mixed(now().soft, now().paper, share) for share in SHADES]
    ax.contourf(surface.x, surface.y, values, levels=[-1.0, *cuts], colors=shades)
    ax.contour(surface.x, surface.y, values, levels=cuts, colors=now().soft, linewidths=0.8)
    marks = [("ML estimate", look("ml"), surface.ml_estimate)]
    if surface.has_reml:
        marks.append(("REML estimate", look("reml"), surface.reml_estimate))
    for name, style, (x, y) in marks:
        ax.plot([x], [y], label=name, clip_on=False, **style.mark(6.5))
