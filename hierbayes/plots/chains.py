"""The draws of every chain in their order: whether chains tell the same, and keep telling it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from hierbayes.errors import OptionError
from hierbayes.plots.alt_text import describe
from hierbayes.plots.picture import picture
from hierbayes.plots.series import series
from hierbayes.plots.sheet import Options, sheet
from hierbayes.results.chains import chain_statistics
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.wording import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

WIDE_MM, TALL_MM = 60.0, 24.0  # of a panel
COLUMNS = 3
MOST_DRAWS = 1000  # of a chain that are drawn
HAIR = 0.5  # points


@picture
def chains(
    posterior: PosteriorFit, parameters: Sequence[str] | None = None, **options: Unpack[Options]
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw the draws of each chain one after the other: a trace plot.

    Chains that lie on each other, without a trend or a step, have found the same posterior; above
    each panel stand R-hat and the effective number of draws (bulk).

    Parameters
    ----------
    posterior : PosteriorFit
    parameters : as of ``plot.prior_posterior``

    Returns
    -------
    figure, axes
        As of ``plot.prior_posterior``.

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> figure, axes = hb.plot.chains(model.sample(random_seed=1))
    >>> [ax.get_title().splitlines()[0] for ax in axes]
    ['(Intercept)', 'sd((Intercept)|Batch)', 'sigma']
    """
    if not isinstance(posterior, PosteriorFit):
        raise OptionError(
            f"plot.chains takes a posterior, model.sample(...); it got {shown(posterior)}."
        )
    draws = np.concatenate([part.draws for part in posterior.parameters()], axis=2)
    labels = posterior.addresses.labels
    named = [parameters] if isinstance(parameters, str) else parameters
    chosen = labels if named is None else named
    at = list(dict.fromkeys(map(posterior.addresses.place, chosen)))
    if not at:
        raise OptionError("parameters= names no parameter.")
    found = chain_statistics(draws[:, :, at])
    with sheet(options, "chains") as page:
        order = page.ordered([labels[k] for k in at], usual="data")
        room = page.room_for(len(at), wide_mm=WIDE_MM, tall_mm=TALL_MM, most_columns=COLUMNS)
        axes = page.grid(room.n, columns=room.columns, panel_mm=room.tall_mm)
        looks = series([f"chain {c + 1}" for c in range(posterior.n_chains)])
        steps = np.arange(0, draws.shape[1], max(1, draws.shape[1] // MOST_DRAWS))
        for ax, i in zip(axes, order, strict=False):
            for own, chain in zip(looks, draws[:, :, at[i]], strict=True):
                line = own.line(linestyle="-", linewidth=HAIR, alpha=0.7, label=own.name)
                ax.plot(steps + 1, chain[steps], **line)
            agree = f"R-hat {found.r_hat[i]:.3f}, ESS {found.ess_bulk[i]:.0f}"
            known = np.isfinite([found.r_hat[i], found.ess_bulk[i]]).all()
            name = page.label(labels[at[i]])
            ax.set_title(f"{name}\n{agree}" if known else name, fontsize="small")
        if room.n < len(at):
            page.note(f"{room.n} of {len(at)} parameters; parameters= names others.")
        page.figure.supxlabel(page.label("draw"))
        page.legend()
        worst = np.nanmax(found.r_hat, initial=-np.inf)
        words = f" The largest R-hat is {worst:.3f}." if np.isfinite(worst) else ""
        drawn = f"{posterior.n_chains} chains of {draws.shape[1]} draws"
        describe(page.figure, f"Draws of {len(at)} parameters in order, {drawn}.{words}")
    return page.figure, np.asarray(axes)
