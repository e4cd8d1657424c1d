"""What the data changed: prior and posterior density of every parameter, on its own scale."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from hierbayes.comparison.parameter_densities import ParameterDensity, parameter_densities
from hierbayes.errors import OptionError
from hierbayes.options import ParameterView
from hierbayes.plots.alt_text import describe
from hierbayes.plots.palette import look, reference
from hierbayes.plots.picture import picture
from hierbayes.plots.sheet import Options, sheet
from hierbayes.results.posterior_fit import PosteriorFit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

WIDE_MM, TALL_MM = 38.0, 28.0  # of a panel
COLUMNS = 5
TOP = 1.1  # of a panel, in heights of what is drawn
FLOOR = 0.12  # height of a prior, in those of the posterior, below which it is drawn taller
TALLER = 0.45  # as tall as that, in heights of the posterior, at most
TICKS = 4  # intervals between the numbers of a panel at most


@picture
def prior_posterior(
    posterior: PosteriorFit,
    parameters: Sequence[str] | None = None,
    *,
    view: ParameterView = "posterior",
    **options: Unpack[Options],
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw the density of every parameter before the data (dotted) and after them (filled).

    Both are densities per unit of the parameter. A prior that says so little that it would lie on
    the floor is drawn taller, by the factor written over its panel. Where both look alike, the
    answer is the prior's. A flat prior has no line.

    Parameters
    ----------
    posterior : PosteriorFit
    parameters : names as ``tidy`` and ``compare`` write them, for example ``"Days"`` or
        ``"sd(Days|Subject)"``; all but the random effects unless said
    view : {"posterior", "prior"}
        Show the range of the posterior, or of both.

    Returns
    -------
    figure, axes
        One axes a parameter; where there are too many for a page, the first ones. ``labels`` are
        those of the parameters.

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> figure, axes = hb.plot.prior_posterior(model.sample(random_seed=1))
    >>> [ax.get_title().splitlines()[0] for ax in axes]
    ['(Intercept)', 'sd((Intercept)|Batch)', 'sigma']
    """
    found = parameter_densities(posterior, parameters, view=view)
    if not found:
        raise OptionError("parameters= names no parameter.")
    with sheet(options, "prior_posterior") as page:
        order = page.ordered([one.name for one in found], usual="data")
        room = page.room_for(len(found), wide_mm=WIDE_MM, tall_mm=TALL_MM, most_columns=COLUMNS)
        axes = page.grid(room.n, columns=room.columns, panel_mm=room.tall_mm)
        for ax, i in zip(axes, order, strict=False):
            taller = _panel(ax, found[i])
            words = f"\nprior \N{MULTIPLICATION SIGN} {taller:g}" if taller > 1 else ""
            ax.set_title(f"{page.label(found[i].name)}{words}", fontsize="small")
        if room.n < len(found):
            page.note(f"{room.n} of {len(found)} parameters; parameters= names others.")
        page.figure.supylabel("density")
        page.legend()
        describe(page.figure, " ".join(["Prior and posterior densities.", *map(_words, found)]))
    return page.figure, np.asarray(axes)


def _panel(ax: "Axes", one: ParameterDensity) -> float:
    """Draw one parameter; return the factor by which its prior is drawn taller."""
    from matplotlib.ticker import MaxNLocator

    after = look("posterior")
    ax.fill_between(one.x, one.posterior, **after.filled(label="posterior"))
    ax.plot(one.x, one.posterior, **after.line(linestyle="-", linewidth=1.0))
    taller = _taller(one)
    ax.plot(one.x, taller * one.prior, label="prior", **look("prior").line())
    height = np.concatenate([one.posterior, taller * one.prior])
    top = TOP * float(np.nanmax(height[np.isfinite(height)]))
    ax.plot([np.mean(one.draws)], [0.03 * top], label="posterior mean", **after.mark(4))
    if one.x[0] <= one.bounds[0]:
        ax.axvline(one.bounds[0], **reference(linestyle="-"))
    ax.set_ylim(0.0, top)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    if np.isfinite(one.bounds).all():
        ax.set_xticks([one.bounds[0], sum(one.bounds) / 2, one.bounds[1]])
    else:
        ax.xaxis.set_major_locator(MaxNLocator(TICKS))
    return taller


def _taller(one: ParameterDensity) -> float:
    """Return a round factor that lifts a prior off the floor; 1 where it is well above it."""
    known = one.prior[np.isfinite(one.prior)]
    most, of = (float(known.max()) if known.size else 0.0), float(np.nanmax(one.posterior))
    if not 0.0 < most < FLOOR * of:
        return 1.0
    wanted = TALLER * of / most
    power = 10.0 ** np.floor(np.log10(wanted))
    return float(max(step for step in (1, 2, 5) if step * power <= wanted) * power)


def _words(one: ParameterDensity) -> str:
    """Say in a sentence where a parameter was and is."""
    mean, sd = float(np.mean(one.draws)), float(np.std(one.draws))
    prior = f"prior {one.prior_text}" if one.prior_text else "prior without a density"
    return f"{one.name}: {prior}; posterior mean {mean:.4g}, sd {sd:.3g}."
