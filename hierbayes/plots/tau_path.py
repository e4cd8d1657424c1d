"""Estimates of all levels as the between-level sd goes from zero to infinity."""

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

import hierbayes.plots.shrinkage_source as shared
from hierbayes.arrays import FloatArray
from hierbayes.errors import OptionError
from hierbayes.naming.addresses import effect_labels
from hierbayes.plots.alt_text import describe
from hierbayes.plots.level_names import spread_positions
from hierbayes.plots.palette import look, now
from hierbayes.plots.picture import picture
from hierbayes.plots.sheet import Options, Sheet, sheet
from hierbayes.plots.style import MM_PER_INCH, letter_size
from hierbayes.pooling.shrinkage_path import shrinkage_path
from hierbayes.results.density import density
from hierbayes.results.fit import Fit
from hierbayes.results.posterior_fit import PosteriorFit

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LEAST_MM, MOST_MM, NAME_MM = 78.0, 140.0, 2.9  # heights: of the panel, and of a name
LEADER_MM = 2.6  # between the end of a line and its name
MANY = 40  # levels from which none is named
STRIP = 0.16  # of the height, for the posterior of the sd
ROOM, NARROW_ROOM = 0.09, 0.17  # between ticks
SMALLEST = 0.5  # size of the letters of names, in those of the others
STYLES = ("-", (0, (6, 2)), (0, (2, 1.5)))  # so that neighbouring lines are told apart


@picture
def tau_path(
    fit: Fit,
    *,
    posterior: PosteriorFit | None = None,
    group: str | None = None,
    term: str | None = None,
    **options: Unpack[Options],
) -> "tuple[Any, Axes]":
    """Draw what each level's estimate would be at every between-level sd.

    At the left the sd is zero and all levels have the population's value, at the right it is
    infinite and each has its own. A likelihood fit takes the estimates at one sd, where the dashed
    line is; a posterior averages over all sds in proportion to the grey density.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
        Where the residual sd and the correlations stand.
    posterior : PosteriorFit, optional
        Of the same model, whose draws of the sd are shown below; ``fit`` if that is one.
    group, term : grouping factor and term; the first ones when not given

    Returns
    -------
    figure, axes
        The horizontal position is sd / (sd + s) with s the standard error of a level of average
        size: half of a deviation is kept in the middle. ``labels`` are those of the term, of
        ``"sd"`` and of levels; of more than 40 levels it is said how many they are.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> figure, ax = hb.plot.tau_path(fit)
    >>> ax.get_xticklabels()[0].get_text(), ax.get_xticklabels()[-1].get_text()
    ('0', '∞')
    """
    path = shrinkage_path(fit, group=group, term=term)
    if posterior is None and isinstance(fit, PosteriorFit):
        posterior = fit
    scale, own = path.attrs["scale"], path.attrs["sd"]
    name, picked = path["group"].iloc[0], path["term"].iloc[0]
    n_levels = path["level"].nunique()
    with sheet(options, "tau_path") as page:
        tall = NAME_MM * n_levels if n_levels <= MANY else 0.0
        axes = page.axes(min(max(tall, LEAST_MM), MOST_MM))
        ends = _lines(axes, path, scale)
        finite = path["coefficient"][np.isfinite(path["coefficient"])]
        low, high = float(finite.min()), float(finite.max())
        room = 0.04 * ((high - low) or 1.0)
        bottom = low - room
        if posterior is not None:
            bottom = low - room - STRIP / (1 - STRIP) * (high - low + 2 * room)
            _strip(axes, _sd_draws(posterior, name, picked), scale, low=bottom, high=low - room)
        words = f"{shared.ESTIMATOR[fit.method].split()[0]} {own:.3g}"
        line = look(fit.method).line(linestyle=(0, (5, 3)), zorder=2, linewidth=1.4)
        axes.axvline(_share(own, scale), label=words, **line)
        axes.set_ylim(bottom, high + room)
        axes.set_yticks([tick for tick in axes.get_yticks() if low - room <= tick <= high + room])
        axes.set_xlim(0.0, 1.0)
        _ticks(axes, scale, narrow=page.is_narrow)
        axes.set_xlabel(_x_label(fit, name, picked, page))
        axes.set_ylabel(shared.term_label(fit, picked, page))
        page.legend()
        if n_levels <= MANY:
            page.settle()
            _names(axes, ends, page)
        else:
            page.note(f"{n_levels} levels of {name}.")
        describe(axes, _words(fit, path, own))
    return page.figure, axes


def _share(sd: Any, scale: float) -> Any:
    """Place on the axis: 0 for an sd of zero, 1 for an infinite one."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(sd), 1.0, np.asarray(sd) / (np.asarray(sd) + scale))


def _lines(ax: "Axes", path: pd.DataFrame, scale: float) -> "pd.Series[float]":
    """Draw a line a level, and the population's; return where the lines end."""
    few = path["level"].nunique() <= MANY
    ends = {}
    for number, (level, rows) in enumerate(path.groupby("level", sort=False)):
        x = _share(rows["sd"].to_numpy(), scale)
        style: Any = STYLES[number % len(STYLES)] if few else "-"
        ax.plot(
            x, rows["coefficient"], color=now().ink, linewidth=0.9 if few else 0.3, linestyle=style
        )
        known = rows["coefficient"][np.isfinite(rows["coefficient"])]
        ends[str(level)] = float(known.iloc[-1])
    first = path[path["level"] == path["level"].iloc[0]]
    x = _share(first["sd"].to_numpy(), scale)
    ax.plot(x, first["population"], color=now().soft, linewidth=2.2, zorder=1, label="population")
    return pd.Series(ends, dtype=np.float64)


def _sd_draws(posterior: PosteriorFit, group: str, term: str) -> FloatArray:
    if not isinstance(posterior, PosteriorFit):
        raise OptionError(
            f"posterior takes a posterior (Model.sample()); it got {type(posterior).__name__}."
        )
    for number, factor in enumerate(posterior.design.factors):
        columns = effect_labels(posterior.design, number)
        if factor.name == group and term in columns:
            return posterior.draws.sd[group][:, :, columns.index(term)].ravel()
    raise OptionError(f"The posterior has no sd of {term!r} by {group!r}; take the same model.")


def _strip(ax: "Axes", draws: FloatArray, scale: float, *, low: float, high: float) -> None:
    """Draw the posterior density of the place on the axis, so that areas are probabilities."""
    found = density(_share(draws, scale), lower=0.0, upper=1.0)
    height = low + 0.9 * (high - low) * found.height / found.height.max()
    ax.fill_between(found.x, low, height, **look("posterior").filled(label="posterior of the sd"))
    ax.axhline(high, color=now().soft, linewidth=0.5, zorder=1)


def _ticks(ax: "Axes", scale: float, *, narrow: bool) -> None:
    """Tick round sds that have room beside each other, and both ends."""
    apart = NARROW_ROOM if narrow else ROOM
    places, words = [0.0], ["0"]
    powers = np.arange(np.floor(np.log10(scale)) - 3, np.log10(scale) + 4)
    for sd in (float(f"{digit}e{int(power)}") for power in powers for digit in (1, 2, 5)):
        place = float(_share(sd, scale))
        if places[-1] + apart <= place <= 1.0 - apart:
            places.append(place)
            words.append(f"{sd:g}")
    ax.set_xticks([*places, 1.0], [*words, "\N{INFINITY}"])


def _x_label(fit: Fit, group: str, term: str, page: Sheet) -> str:
    unit = shared.term_unit(fit, term)
    ours = f"sd of {term} between levels of {group}"
    return page.label("sd", f"{ours} ({unit})" if unit else ours)


def _names(ax: "Axes", ends: "pd.Series[float]", page: Sheet) -> None:
    """Name the lines at their right ends, moved apart where they are close."""
    low, high = ax.get_ylim()
    height = ax.get_window_extent().height / ax.figure.dpi * 72
    letter = min(
        shared.NAME * letter_size(), max(height / len(ends) / 1.05, SMALLEST * letter_size())
    )
    distance = 1.05 * letter * (high - low) / height
    order = ends.sort_values(kind="stable")
    places = spread_positions(
        np.array(order, dtype=np.float64), distance, low=low + distance / 2, high=high
    )
    names = shared.names_beside(page, list(order.index))
    line = {"arrowstyle": "-", "color": now().soft, "linewidth": 0.4, "shrinkB": 0}
    wide = ax.get_window_extent().width / ax.figure.dpi * MM_PER_INCH
    beside = 1.0 + LEADER_MM / wide
    line["relpos"] = (0.0, 0.5)  # it ends where the name begins, and crosses no other name
    for name, end, place in zip(names, order.tolist(), places, strict=True):
        ax.annotate(
            name,
            xy=(1.0, end),
            xytext=(beside, place),
            va="center",
            fontsize=letter,
            arrowprops=line,
            annotation_clip=False,
        )


def _words(fit: Fit, path: pd.DataFrame, own: float) -> str:
    finite = path[np.isfinite(path["coefficient"])]
    last = finite.groupby("level", sort=False)["coefficient"].last()
    start = float(path["population"].iloc[0])
    return (
        f"{path['term'].iloc[0]} of {len(last)} levels of {path['group'].iloc[0]} over the sd "
        f"between levels: all start at {start:.4g} for an sd of zero and fan out to their own "
        f"estimates, from {last.min():.4g} ({last.idxmin()}) to {last.max():.4g} "
        f"({last.idxmax()}). {shared.ESTIMATOR[fit.method]} stands at an sd of {own:.3g}."
    )
