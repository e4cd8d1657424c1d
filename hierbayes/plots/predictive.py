"""Data beside what a model simulates: densities, statistics, groups, rows.

Source: Gabry et al. (2019), J. R. Stat. Soc. A 182:389; of the bars of counts Kleiber & Zeileis
(2016), Am. Stat. 70:296.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Unpack, cast

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.checks.predictive_check import (
    PredictiveDraws,
    RowGroups,
    Statistic,
    place_of_rows,
    predictive_draws,
    prior_draws_of_responses,
    row_groups,
    statistic_named,
    statistics_of,
)
from hierbayes.errors import OptionError
from hierbayes.options import PredictiveKind, SimulatedGroups, check_option
from hierbayes.plots.alt_text import describe
from hierbayes.plots.palette import Look, Role, look, now
from hierbayes.plots.picture import checked_fits, picture
from hierbayes.plots.response_names import category_names, observed_words
from hierbayes.plots.sheet import Options, Sheet, sheet
from hierbayes.results.density import density
from hierbayes.results.fit import Fit
from hierbayes.results.tidy import check_level
from hierbayes.specification.specified import Specified
from hierbayes.wording import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

FEW, MANY = 50, 400  # simulated data sets of densities, and of statistics and intervals
USUAL = ("mean", "sd", "min", "max")
ONE_MM, ONE_NARROW_MM = 75.0, 54.0
PANEL_MM, PANEL_NARROW_MM = 46.0, 36.0
AROUND_MM = 40.0
COLUMNS, NARROW_COLUMNS = 4, 2
GROUP_ROW_MM, FRAME_MM = 4.6, 6.0
MOST_BARS = 30  # values of a response that have a bar each
MOST_ROWS = 200  # rows drawn one by one
INNER = 0.5  # level of the inner intervals
MOST_PANELS = 12
TAIL = 0.005  # share of the simulated responses that the axis leaves out on either side
FAR = 5.0  # spans of the observed ones, from them to the ends of the axis


@record
class _Asked:
    """What is drawn of the simulated data."""

    kind: PredictiveKind
    by: str | None
    statistics: tuple[tuple[str, Statistic], ...]
    level: float


@picture
def ppc(
    fit: Fit,
    kind: PredictiveKind = "density",
    *,
    by: str | None = None,
    statistic: str | Statistic | Sequence[str | Statistic] | None = None,
    nsim: int | None = None,
    groups: SimulatedGroups | None = None,
    level: float = 0.95,
    random_seed: Any = None,
    **options: Unpack[Options],
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw the data among data sets that the fit simulates: a predictive check.

    Of a posterior each data set has the parameters of a draw of its own (posterior predictive
    check), of a REML or ML fit the estimates (parametric simulation).

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    kind : {"density", "statistic", "group", "intervals"}
        "density": the distribution of the data over those simulated, of counts and categories
        shares with intervals. "statistic": a statistic of the data among those of the simulated
        ones. "group": the statistic of each group with its simulated interval. "intervals": each
        row with its simulated intervals of 50 % and ``level``.
    by : a grouping factor or column of the data: a panel for each of its values ("density"), what
        "group" groups by (the first grouping factor unless said), or what lies along x
        ("intervals")
    statistic : "mean", "sd", "min", "max", "median", "iqr", "skewness", "zeros", a function of an
        array, or several; mean, sd, min and max unless said, of groups the mean
    nsim : data sets to simulate; 50 for densities, else 400
    groups : {"fitted", "new"}
        Random effects of the simulated data; of a posterior the fitted ones unless said, of a
        REML or ML fit new ones.
    level : level of intervals
    random_seed : int, Generator or SeedSequence

    Returns
    -------
    figure, axes
        One axes, or one a group of ``by`` or a statistic.

    Raises
    ------
    OptionError
        If ``by`` or ``statistic`` is not known.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> figure, axes = hb.plot.ppc(fit, "statistic", random_seed=1)
    >>> [ax.get_title() for ax in axes]
    ['mean', 'sd', 'min', 'max']
    """
    (fit,) = checked_fits([fit], "ppc")
    asked = _asked(kind, by, statistic, level, fit.design.factors)
    n = nsim if nsim is not None else FEW if kind == "density" else MANY
    with sheet(options, "ppc") as page:
        found = predictive_draws(fit, n, groups=groups, random_seed=random_seed)
        return _drawn(page, found, asked)


@picture
def prior_predictive(
    model: Specified,
    kind: PredictiveKind = "density",
    *,
    by: str | None = None,
    statistic: str | Statistic | Sequence[str | Statistic] | None = None,
    draws: int | None = None,
    level: float = 0.95,
    random_seed: Any = None,
    **options: Unpack[Options],
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw data sets that the priors of a model simulate, with the data for scale.

    Parameters
    ----------
    model : Model, or a fit or posterior of it
    kind, by, statistic, level, random_seed : as of ``hb.plot.ppc``
    draws : data sets to simulate; 50 for densities, else 400

    Returns
    -------
    figure, axes
        As of ``hb.plot.ppc``.

    Raises
    ------
    NotSupportedError
        If a prior is flat: it simulates nothing.

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.Model("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> figure, axes = hb.plot.prior_predictive(model, random_seed=1)
    >>> axes[0].get_xlabel()
    'Reaction (ms)'
    """
    if not isinstance(model, Specified):
        raise OptionError(
            f"plot.prior_predictive takes a model, hb.Model(...), or a fit of it; it got "
            f"{shown(model)}."
        )
    asked = _asked(kind, by, statistic, level, model.design.factors)
    n = draws if draws is not None else FEW if kind == "density" else MANY
    with sheet(options, "prior_predictive") as page:
        found = prior_draws_of_responses(model, n, random_seed=random_seed)
        return _drawn(page, found, asked)


def _asked(kind: Any, by: Any, statistic: Any, level: float, factors: Sequence[Any]) -> _Asked:
    check_option("kind", kind, PredictiveKind)
    check_level(level)
    if statistic is not None and kind not in ("statistic", "group"):
        raise OptionError(f"statistic= is for kind='statistic' and 'group', not {kind!r}.")
    given = statistic if statistic is not None else USUAL if kind == "statistic" else "mean"
    several = [given] if isinstance(given, str) or callable(given) else list(given)
    if not several or (kind == "group" and len(several) > 1):
        raise OptionError("statistic= must name one statistic, or several of kind='statistic'.")
    if kind == "statistic" and by is not None:
        raise OptionError("by= with a statistic is kind='group'.")
    if kind == "group" and by is None:
        if not factors:
            raise OptionError("The model has no grouping factor: say what to group by with by=.")
        by = factors[0].name
    named = tuple(statistic_named(one) for one in several)
    return _Asked(kind=kind, by=by, statistics=named, level=level)


def _drawn(page: Sheet, found: PredictiveDraws, asked: _Asked) -> Any:
    own = look(cast(Role, found.role))
    name = page.label(found.response, observed_words(found.model))
    draw: Callable[..., tuple[Any, str]] = {
        "density": _densities,
        "statistic": _statistics,
        "group": _groups,
        "intervals": _intervals,
    }[asked.kind]
    axes, words = draw(page, found, asked, own, name)
    page.note(found.words)
    describe(page.figure, f"{found.words} {words}")
    return page.figure, np.asarray(axes)


# Densities ----------------------------------------------------------------------------------------


def _densities(
    page: Sheet, found: PredictiveDraws, asked: _Asked, own: Look, name: str
) -> tuple[Any, str]:
    grouped = None if asked.by is None else row_groups(found.model.spec, asked.by)
    axes, panels = _panels(page, grouped, found.observed.size)
    values = np.unique(found.observed)
    barred = found.is_discrete and values.size <= MOST_BARS
    for ax, (label, rows) in zip(axes, panels, strict=True):
        if barred:
            _bars(ax, found, rows, own, asked.level, values)
        else:
            _curves(ax, found, rows, own)
        if label:
            ax.set_title(page.label(label))
        if barred:
            names = [page.label(one) for one in category_names(found.model, values)]
            ax.set_xticks(np.arange(values.size), names)
        _below(ax, name)
        if _is_first(ax):
            ax.set_ylabel(page.label("share", "share of rows") if barred else page.label("density"))
    if not barred:
        _limit(page, axes, found)
    words = ["data", f"simulated ({100 * asked.level:g} %)" if barred else "simulated"]
    page.legend(_keys(own, barred=barred), words)
    low, high = np.quantile(found.simulated, [0.025, 0.975])
    middle = np.quantile(found.observed, [0.025, 0.975])
    return axes, (
        f"95 % of the responses of {found.response} lie between {middle[0]:.4g} and "
        f"{middle[1]:.4g}, of the simulated ones between {low:.4g} and {high:.4g}."
    )


def _panels(page: Sheet, grouped: RowGroups | None, n: int) -> tuple[Any, list[tuple[str, Any]]]:
    if grouped is None:
        ax = page.axes(ONE_NARROW_MM if page.is_narrow else ONE_MM)
        return np.array([ax]), [("", np.arange(n))]
    used = [k for k in range(len(grouped.labels)) if (grouped.codes == k).any()]
    used = [used[i] for i in page.ordered([grouped.labels[k] for k in used], usual="data")]
    if len(used) > MOST_PANELS:
        page.note(f"{MOST_PANELS} of {len(used)} values of {grouped.name}, the first in order.")
        used = used[:MOST_PANELS]
    panel = PANEL_NARROW_MM if page.is_narrow else PANEL_MM
    columns = NARROW_COLUMNS if page.is_narrow else min(COLUMNS, max(2, len(used)))
    axes = page.grid(len(used), columns=columns, panel_mm=panel, sharex=True)
    return axes, [(grouped.labels[k], np.flatnonzero(grouped.codes == k)) for k in used]


def _curves(ax: "Axes", found: PredictiveDraws, rows: Any, own: Look) -> None:
    values = found.simulated[:, rows]
    alpha = 0.35 if values.shape[0] <= 2 * FEW else 0.15
    peaks = []
    for one in values:
        curve = density(one, lower=found.ends[0], upper=found.ends[1])
        if curve.x.size > 1:
            ax.plot(
                curve.x, curve.height, color=own.colour, linewidth=0.6 * now().lines, alpha=alpha,
                zorder=2,
            )  # fmt: skip
            peaks.append(curve.height.max())
    curve = density(found.observed[rows], lower=found.ends[0], upper=found.ends[1])
    if curve.x.size > 1:
        ax.plot(curve.x, curve.height, **look("data").line(linewidth=2.0 * now().lines, zorder=4))
        peaks.append(curve.height.max())
    if peaks:  # a few spikes do not flatten the others
        ax.set_ylim(0.0, 1.1 * max(peaks[-1], float(np.quantile(peaks, 0.9))))
    ax.set_yticks([])


def _limit(page: Sheet, axes: Any, found: PredictiveDraws) -> None:
    """Let the axis end where hardly any simulated response is, or far from all observed ones."""
    own_low, own_high = float(found.observed.min()), float(found.observed.max())
    span = (own_high - own_low) or abs(own_high) or 1.0
    tails = np.quantile(found.simulated, [TAIL, 1 - TAIL])
    low = max(min(own_low, tails[0]), own_low - FAR * span)
    high = min(max(own_high, tails[1]), own_high + FAR * span)
    for ax in axes:
        ax.set_xlim(low - 0.03 * (high - low), high + 0.03 * (high - low))
    beyond = float(((found.simulated < low) | (found.simulated > high)).mean())
    if beyond > 2.5 * TAIL:
        page.note(f"{100 * beyond:.2g} % of the simulated responses lie beyond the axis.")


def _bars(
    ax: "Axes", found: PredictiveDraws, rows: Any, own: Look, level: float, values: FloatArray
) -> None:
    """Draw the share of every value, and where it lies in simulated data sets."""
    observed = (found.observed[rows][:, None] == values).mean(axis=0)
    simulated = np.stack([(found.simulated[:, rows] == value).mean(axis=1) for value in values])
    tails = [(1 - level) / 2, 0.5, (1 + level) / 2]
    low, middle, high = np.quantile(simulated, tails, axis=1)
    place = np.arange(values.size)
    ax.bar(place, observed, width=0.7, color=look("data").band, zorder=1)
    ax.vlines(place, low, high, color=own.colour, linewidth=1.5 * now().lines, zorder=4)
    ax.plot(place, middle, **own.mark(4.5))
    ax.set_ylim(bottom=0.0)


def _keys(own: Look, *, barred: bool) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if barred:
        mark = own.mark(4.5) | {"linestyle": "-", "color": own.colour}
        mark.pop("zorder")
        return [Patch(color=look("data").band), Line2D([], [], **mark)]
    line = look("data").line(linewidth=2.0 * now().lines)
    line.pop("zorder")
    return [Line2D([], [], **line), Line2D([], [], color=own.colour, linewidth=1.0, alpha=0.6)]


# Statistics ---------------------------------------------------------------------------------------


def _statistics(
    page: Sheet, found: PredictiveDraws, asked: _Asked, own: Look, name: str
) -> tuple[Any, str]:
    n = len(asked.statistics)
    panel = PANEL_NARROW_MM if page.is_narrow else PANEL_MM
    if n == 1:
        axes: Any = np.array([page.axes(ONE_NARROW_MM if page.is_narrow else ONE_MM)])
    else:
        columns = NARROW_COLUMNS if page.is_narrow or n == 4 else min(COLUMNS - 1, n)
        axes = page.grid(n, columns=columns, panel_mm=panel)
    parts = []
    for ax, (label, statistic) in zip(axes, asked.statistics, strict=True):
        observed, simulated = statistics_of(found, statistic)
        simulated = simulated[np.isfinite(simulated)]
        share = float((simulated >= observed).mean()) if simulated.size else float("nan")
        bins = min(25, max(np.unique(simulated).size, 1))
        ax.hist(simulated, bins=bins, color=own.band, edgecolor=own.colour, linewidth=0.5, zorder=1)
        ax.axvline(observed, **look("data").line(linewidth=2.2 * now().lines, zorder=4))
        ax.set_title(page.label(label))
        ax.set_xlabel(f"{100 * share:.0f} % as large or larger")
        ax.set_yticks([])
        parts.append(
            f"{label} {observed:.4g}, simulated {simulated.mean():.4g}, {100 * share:.0f} % of "
            "them as large or larger"
        )
    page.legend(_histogram_keys(own), ["data", "simulated"])
    del name
    return axes, f"{'; '.join(parts)}."


def _histogram_keys(own: Look) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    line = look("data").line(linewidth=2.2 * now().lines)
    line.pop("zorder")
    return [Line2D([], [], **line), Patch(facecolor=own.band, edgecolor=own.colour, linewidth=0.5)]


# Groups and rows ----------------------------------------------------------------------------------


def _groups(
    page: Sheet, found: PredictiveDraws, asked: _Asked, own: Look, name: str
) -> tuple[Any, str]:
    assert asked.by is not None
    grouped = row_groups(found.model.spec, asked.by)
    label, statistic = asked.statistics[0]
    used = [k for k in range(len(grouped.labels)) if (grouped.codes == k).any()]
    rows = [np.flatnonzero(grouped.codes == k) for k in used]
    observed = np.array([statistic(found.observed[own_rows]) for own_rows in rows])
    order = page.ordered([grouped.labels[k] for k in used], observed, usual="size")
    most = page.rows_that_fit(GROUP_ROW_MM, AROUND_MM)
    if len(order) > most:
        places = np.unique(np.linspace(0, len(order) - 1, most).round().astype(int))
        page.note(f"{most} of {len(order)} groups of {grouped.name}, evenly from all.")
        order = [order[i] for i in places]
    simulated = np.array(
        [[statistic(one[rows[i]]) for one in found.simulated] for i in order], dtype=np.float64
    )
    tails = np.array(
        [(1 - asked.level) / 2, (1 - INNER) / 2, (1 + INNER) / 2, (1 + asked.level) / 2]
    )
    outer_low, low, high, outer_high = np.nanquantile(simulated, tails, axis=1)
    ax = page.axes(FRAME_MM + GROUP_ROW_MM * len(order))
    y = np.arange(len(order))
    ax.hlines(y, outer_low, outer_high, color=own.colour, linewidth=1.0 * now().lines, zorder=2)
    ax.hlines(y, low, high, color=own.colour, linewidth=3.0 * now().lines, alpha=0.6, zorder=3)
    ax.plot(observed[order], y, **look("data").mark(4.5))
    ax.set_yticks(y, [page.label(grouped.labels[used[i]]) for i in order])
    ax.set_ylim(-0.8, len(order) - 0.2)
    ax.set_ylabel(page.label(grouped.name))
    ax.set_xlabel(f"{page.label(label)} of {name}")
    _interval_legend(page, own, asked.level)
    inside = (observed[order] >= outer_low) & (observed[order] <= outer_high)
    return [ax], (
        f"{label} of {found.response} in each {grouped.name}: {inside.sum()} of {inside.size} lie "
        f"inside their simulated {100 * asked.level:g} % interval."
    )


def _intervals(
    page: Sheet, found: PredictiveDraws, asked: _Asked, own: Look, name: str
) -> tuple[Any, str]:
    tails = np.array(
        [(1 - asked.level) / 2, (1 - INNER) / 2, (1 + INNER) / 2, (1 + asked.level) / 2]
    )
    outer_low, low, high, outer_high = np.quantile(found.simulated, tails, axis=0)
    inside = (found.observed >= outer_low) & (found.observed <= outer_high)
    n = found.observed.size
    names: list[str] | None = None
    if asked.by is None:
        order, label = np.argsort(found.simulated.mean(axis=0), kind="stable"), "rows by their mean"
        place = np.arange(n, dtype=np.float64)
    else:
        place, order, names = _along(found, asked.by)
        label = asked.by
    chosen = np.arange(n)
    if n > MOST_ROWS:
        chosen = np.unique(np.linspace(0, n - 1, MOST_ROWS).round().astype(int))
        page.note(f"{chosen.size} of {n} rows, evenly from all.")
    ax = page.axes(ONE_NARROW_MM if page.is_narrow else ONE_MM)
    rows, x = order[chosen], place[chosen]
    ax.vlines(
        x, outer_low[rows], outer_high[rows], color=own.colour, linewidth=0.7 * now().lines,
        alpha=0.8, zorder=2,
    )  # fmt: skip
    ax.vlines(
        x, low[rows], high[rows], color=own.colour, linewidth=2.0 * now().lines, alpha=0.45,
        zorder=3,
    )  # fmt: skip
    ax.plot(x, found.observed[rows], **look("data").mark(2.8))
    if asked.by is None:
        ax.set_xticks([])
    elif names is not None:
        ax.set_xticks(range(len(names)), [page.label(one) for one in names])
    ax.set_xlabel(page.label(asked.by or "row", label))
    ax.set_ylabel(name)
    _interval_legend(page, own, asked.level)
    return [ax], (
        f"{inside.sum()} of {n} rows of {found.response} lie inside their simulated "
        f"{100 * asked.level:g} % interval."
    )


def _along(found: PredictiveDraws, by: str) -> tuple[FloatArray, Any, list[str] | None]:
    """Return places of rows along a column, in order, and the names of its categories."""
    axis = place_of_rows(found.model.spec, by)
    at, labels = axis.at, None if axis.labels is None else list(axis.labels)
    order = np.argsort(at, kind="stable")
    place = at[order]
    _, first, counts = np.unique(place, return_index=True, return_counts=True)
    within = np.arange(place.size) - np.repeat(first, counts)
    gap = 1.0 if labels is not None else float(np.diff(np.unique(at)).min(initial=np.inf))
    if np.isfinite(gap):  # rows of one place beside each other
        place = place + 0.7 * gap * ((within + 0.5) / np.repeat(counts, counts) - 0.5)
    return place, order, labels


def _interval_legend(page: Sheet, own: Look, level: float) -> None:
    from matplotlib.lines import Line2D

    mark = look("data").mark(4.0)
    mark.pop("zorder")
    handles = [
        Line2D([], [], **mark),
        Line2D([], [], color=own.colour, linewidth=3.0 * now().lines, alpha=0.6),
        Line2D([], [], color=own.colour, linewidth=1.0 * now().lines),
    ]
    page.legend(handles, ["data", f"simulated, {100 * INNER:g} %", f"{100 * level:g} %"])


def _below(ax: "Axes", name: str) -> None:
    if ax.xaxis.get_tick_params()["labelbottom"]:
        ax.set_xlabel(name)


def _is_first(ax: "Axes") -> bool:
    place = ax.get_subplotspec()
    return place is None or place.is_first_col()
