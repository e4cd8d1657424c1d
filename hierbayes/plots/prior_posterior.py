"""What the data changed: prior and posterior density of every parameter, on its own scale."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import hierbayes.plots.style as style
from hierbayes.comparison.parameter_densities import ParameterDensity, parameter_densities
from hierbayes.errors import OptionError
from hierbayes.options import ParameterView
from hierbayes.plots.alt_text import describe
from hierbayes.plots.labels import MOST_PANELS, broken
from hierbayes.plots.picture import picture
from hierbayes.results.posterior_fit import PosteriorFit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

COLUMNS, NARROW_COLUMNS = 3, 2
PANEL_MM, FRAME_MM = 40.0, 14.0
TOP = 1.1  # of a panel, in heights of what is drawn
TICKS = 4  # intervals between the numbers of a panel at most


@picture
def prior_posterior(
    posterior: PosteriorFit,
    parameters: Sequence[str] | None = None,
    *,
    view: ParameterView = "posterior",
    figure: "Figure | SubFigure | None" = None,
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw the density of every parameter before the data (dotted) and after them (grey).

    Both are densities per unit of the parameter, so a prior that says little lies near the floor.
    Where both look alike, the answer is the prior's. A flat prior has no line.

    Parameters
    ----------
    posterior : PosteriorFit
    parameters : names as ``tidy`` and ``compare`` write them, for example ``"Days"`` or
        ``"sd(Days|Subject)"``; all but the random effects unless said
    view : {"posterior", "prior"}
        Show the range of the posterior, or of both.
    figure : a matplotlib figure to draw into

    Returns
    -------
    figure, axes
        One axes a parameter.

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> figure, axes = hb.plot.prior_posterior(model.sample(random_seed=1))
    >>> [ax.get_title() for ax in axes]
    ['(Intercept)', 'sd((Intercept)|Batch)', 'sigma']
    """
    found = parameter_densities(posterior, parameters, view=view)
    if not 1 <= len(found) <= MOST_PANELS:
        raise OptionError(
            f"{len(found)} parameters are a panel each; choose 1 to {MOST_PANELS} by parameters=."
        )
    most = NARROW_COLUMNS if style.is_narrow(figure) or len(found) == NARROW_COLUMNS**2 else COLUMNS
    n_columns = min(most, len(found))
    n_rows = -(-len(found) // n_columns)
    with style.drawing(figure):
        drawn = style.any_figure(
            figure, width_mm=style.WIDTH_MM, height_mm=FRAME_MM + PANEL_MM * n_rows
        )
        axes = drawn.subplots(n_rows, n_columns, squeeze=False).ravel()
        room = 0.85 * style.width_of(drawn) / n_columns
        for ax, one in zip(axes, found, strict=False):
            _panel(ax, one)
            size = style.letter_size("small")
            ax.set_title(broken(one.name, width_mm=room, points=size), fontsize=size)
        for ax in axes[len(found) :]:
            ax.remove()
        handles, labels = axes[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
        drawn.supylabel("density")
    describe(drawn, " ".join(["Prior and posterior densities.", *map(_words, found)]))
    return drawn, np.asarray(axes[: len(found)])


def _panel(ax: "Axes", one: ParameterDensity) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.fill_between(one.x, one.posterior, color=style.BAND, linewidth=0, label="posterior")
    ax.plot(one.x, one.posterior, color=style.SOFT, linewidth=1.0)
    ax.plot(one.x, one.prior, **style.PRIOR, label="prior")
    height = np.concatenate([one.posterior, one.prior])
    top = TOP * float(np.nanmax(height[np.isfinite(height)]))
    ax.plot(
        [np.mean(one.draws)],
        [0.03 * top],
        "s",
        color=style.INK,
        markersize=4,
        label="posterior mean",
    )
    if one.x[0] <= one.bounds[0]:
        ax.axvline(one.bounds[0], **(style.REFERENCE | {"linestyle": "-"}))
    ax.set_ylim(0.0, top)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    if np.isfinite(one.bounds).all():
        ax.set_xticks([one.bounds[0], sum(one.bounds) / 2, one.bounds[1]])
    else:
        ax.xaxis.set_major_locator(MaxNLocator(TICKS))


def _words(one: ParameterDensity) -> str:
    """Say in a sentence where a parameter was and is."""
    mean, sd = float(np.mean(one.draws)), float(np.std(one.draws))
    prior = f"prior {one.prior_text}" if one.prior_text else "prior without a density"
    return f"{one.name}: {prior}; posterior mean {mean:.4g}, sd {sd:.3g}."
