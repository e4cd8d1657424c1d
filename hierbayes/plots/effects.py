"""What a model expects along a predictor, and how that depends on others: curves and panels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.values import Factor
from hierbayes.errors import OptionError
from hierbayes.formula.deparse import deparse
from hierbayes.formula.expressions import Call, Name
from hierbayes.marginal_means.effect_grid import EffectVariable
from hierbayes.marginal_means.effect_levels import (
    is_grouping_factor,
    level_means,
    new_response_limits,
)
from hierbayes.marginal_means.effect_means import EffectMeans, effect_means
from hierbayes.marginal_means.effect_rows import (
    EffectPoints,
    data_points,
    group_lines,
    partial_residuals,
)
from hierbayes.options import EffectPointKind, PredictionType, check_flag, check_option
from hierbayes.plots.alt_text import describe
from hierbayes.plots.curves import Curve, draw_curve, draw_lines, draw_points, key, shifts
from hierbayes.plots.labels import bundled_unit
from hierbayes.plots.palette import Look, look, now
from hierbayes.plots.picture import checked_fits, picture
from hierbayes.plots.series import MOST, in_colour, series
from hierbayes.plots.sheet import Options, Sheet, sheet
from hierbayes.results.fit import Fit, used_column
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.wording import listed, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

MOST_FITS = 3
ONE_MM, ONE_NARROW_MM = 82.0, 56.0  # height of a single panel
PANEL_MM, PANEL_NARROW_MM = 52.0, 38.0
COLUMNS, NARROW_COLUMNS = 3, 2
AROUND_MM = 45.0  # of panels, with legend and notes
ASIDE = 0.12  # of the points of a category, beside its only mean
POINTS = {"data": data_points, "residuals": partial_residuals}


@record
class _Shown:
    """What one fit has in the picture."""

    means: EffectMeans
    look: Look
    points: EffectPoints | None
    lines: pd.DataFrame | None
    group: str
    new: pd.DataFrame | None


@picture
def effects(
    *fits: Fit | str,
    x: str | None = None,
    by: str | Sequence[str] | None = None,
    at: Mapping[str, Any] | None = None,
    scale: PredictionType | None = None,
    points: EffectPointKind | None = None,
    group: str | bool | None = None,
    new_responses: bool = False,
    level: float = 0.95,
    **options: Unpack[Options],
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw what is expected along a predictor, with intervals, for one fit or several over it.

    The means are those of ``hb.emmeans``: of the typical group, other factors averaged over with
    equal weights, other numbers at their mean; ``at`` holds them elsewhere. Below the picture
    stands what was averaged over and held. The first predictor of ``by`` is told apart by colour,
    mark and line, the second (and the first, where it has more than six values) by panels.

    Parameters
    ----------
    *fits : one to three fits of the same model, LikelihoodFit or PosteriorFit
        After them ``x`` and ``by`` may follow as words, ``effects(fit, "cond", "size")``, or as
        one, ``"cond:size"``.
    x : a predictor of the fixed part, along the axis, or a grouping factor, whose levels it shows;
        unless said a number with a random slope, else a number that interacts with the first
        predictor, else this one; without predictors the first grouping factor
    by : up to two further predictors; where neither ``x`` nor ``by`` is said those that x
        interacts with. A number stands at its mean and one sd below and above
    at : values of predictors, ``{"age": 40}`` or ``{"age": [20, 40, 60]}``, or some levels
    scale : {"response", "link", "probability"}
        The response unless said, of ordered categories their probabilities.
    points : {"data", "residuals"}, optional
        Rows of the data (shares of bins of rows where the response has few values), or partial
        residuals: means plus residuals.
    group : name of a grouping factor, True for the first: a thin line for each level
    new_responses : bool
        Also limits of a new response of a new group, dotted; of Gaussian models.
    level : level of the intervals

    Returns
    -------
    figure, axes
        One axes a panel.

    Raises
    ------
    OptionError
        If a name is not in the model, or what is asked for is not on the scale.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("angle ~ recipe * temp + (1 | recipe:replicate)", hb.load_dataset("cake"))
    >>> figure, axes = hb.plot.effects(fit, "temp", "recipe")
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['recipe: A', 'recipe: B', 'recipe: C']
    """
    found, x, by = _fits_and_names(fits, x, by)
    if points is not None:
        check_option("points", points, EffectPointKind)
    check_flag("new_responses", new_responses, "True (limits of a new response) or False")
    with sheet(options, "effects") as page:
        everything = [
            _shown(fit, x, by, at, scale, points, group, new_responses, level) for fit in found
        ]
        _check_same(everything)
        axes = _draw(page, everything, found[0])
        describe(page.figure, _words(everything))
    return page.figure, axes


def _fits_and_names(
    given: tuple[Fit | str, ...], x: str | None, by: str | Sequence[str] | None
) -> tuple[tuple[Fit, ...], str | None, tuple[str, ...] | None]:
    """Tell fits from names after them, ``"a", "b"`` or ``"a:b"``."""
    words: list[str] = []
    left = list(given)
    while len(left) > 1 and isinstance(left[-1], str):
        words.insert(0, str(left.pop()))
    if not 1 <= len(left) <= MOST_FITS:
        raise OptionError(f"effects takes one to {MOST_FITS} fits; it got {len(left)}.")
    fits = checked_fits(left, "effects")
    if by is not None and not isinstance(by, str):
        by = _names(by)
    own = None if by is None else (by,) if isinstance(by, str) else tuple(by)
    if not words:
        return fits, _name("x", x), own
    if x is not None:
        raise OptionError(f"x={shown(x)} and the name {words[0]!r} both say what lies along x.")
    names = [name for word in words for name in _split(fits[0], word)]
    return fits, names[0], (*names[1:], *(own or ()))


def _split(fit: Fit, word: str) -> list[str]:
    """Read ``"a:b"`` and ``"a * b"`` as two names, unless that is the name of one thing."""
    if word in fit.n_groups or word in fit.design.mean.fixed_columns():
        return [word]
    return [part.strip() for part in word.replace("*", ":").split(":")]


def _name(argument: str, given: Any) -> str | None:
    if given is None or isinstance(given, str):
        return given
    raise OptionError(f"{argument}={shown(given)} must be the name of a predictor.")


def _names(by: Any) -> tuple[str, ...]:
    if (
        isinstance(by, Mapping)
        or not isinstance(by, Sequence)
        or not all(isinstance(name, str) for name in by)
    ):
        raise OptionError(f"by={shown(by)} must be a predictor's name or a list of names.")
    return tuple(by)


def _shown(
    fit: Fit,
    x: str | None,
    by: tuple[str, ...] | None,
    at: Mapping[str, Any] | None,
    scale: PredictionType | None,
    points: EffectPointKind | None,
    group: str | bool | None,
    new_responses: bool,
    level: float,
) -> _Shown:
    if is_grouping_factor(fit, x):
        if by:
            raise OptionError(f"Levels of {x!r} are not drawn apart by {by[0]!r}; leave by= out.")
        means = level_means(fit, group=x, at=at, scale=scale, level=level)
    else:
        means = effect_means(fit, x=x, by=by, at=at, scale=scale, level=level)
    return _Shown(
        means=means,
        look=look("ml" if fit.method == "ml" else "reml")
        if isinstance(fit, LikelihoodFit)
        else look("posterior"),
        points=None if points is None else POINTS[points](fit, means),
        lines=None if group in (None, False) else group_lines(fit, means, group or True),
        group=next(iter(fit.n_groups), "") if group is True else str(group),
        new=new_response_limits(fit, means) if new_responses else None,
    )


def _check_same(everything: list[_Shown]) -> None:
    """Raise OptionError where fits have other curves."""
    first = everything[0].means
    for other in everything[1:]:
        own = other.means
        same = (first.shown.x, *first.apart), (own.shown.x, *own.apart)
        if [(v.name, v.labels) for v in same[0]] != [(v.name, v.labels) for v in same[1]] or (
            first.response != own.response or first.scale != own.scale
        ):
            raise OptionError(
                "effects draws fits over each other that have the same response, predictors and "
                "values; draw these apart, into ax= of their own."
            )


def _draw(page: Sheet, everything: list[_Shown], fit: Fit) -> Any:
    first = everything[0].means
    coloured, panels = _layout(first.apart)
    is_number = first.shown.x.is_number
    names = [] if coloured is None else list(coloured.labels)
    order, places = _orders(page, first, coloured)
    looks = series([page.label(name) for name in names])
    axes = _axes(page, len(panels), sharex=True, sharey=True)
    n_beside = max(len(names), 1) * len(everything)
    beside = shifts(n_beside)
    most = max((s.points.table["n"].max() for s in everything if s.points is not None), default=1)
    for ax, codes in zip(axes, panels, strict=True):
        for place, k in enumerate(order or [None]):
            for f, one in enumerate(everything):
                rows = one if f == 0 else replace(one, points=None)  # the data are the same
                curve = first.curves.index(codes if k is None else (k, *codes))
                own = one.look
                if k is not None:
                    own = looks[k] if len(everything) == 1 else in_colour(own, looks[k].colour)
                shift = beside[place * len(everything) + f]
                _draw_one(ax, rows, curve, own, places=places, shift=shift, most=float(most))
        if codes:
            variables = first.apart if coloured is None else first.apart[1:]
            ax.set_title(_title(page, variables, codes))
    _name_axes(page, axes, first, fit, places)
    _legend(page, everything, looks, order, coloured, is_number=is_number)
    page.note(_caption(everything, fit))
    return axes


def _layout(apart: tuple[EffectVariable, ...]) -> tuple[EffectVariable | None, list[Any]]:
    """Return what is told apart by colour, and the positions of the others, panel by panel."""
    coloured = apart[0] if apart and len(apart[0].values) <= MOST else None
    faceted = apart if coloured is None else apart[1:]
    ranges = [range(len(one.values)) for one in reversed(faceted)]
    return coloured, [tuple(reversed(codes)) for codes in product(*ranges)]


def _orders(
    page: Sheet, first: EffectMeans, coloured: EffectVariable | None
) -> tuple[list[int], IntArray | None]:
    """Return the order of what colours tell apart, and the places of categories along x."""
    names = () if coloured is None else coloured.labels
    if first.shown.x.is_number:
        means = first.means.groupby("curve")["estimate"].mean()
        by_curve = means.reindex(range(len(names))).to_numpy()
        return (page.ordered(names, by_curve, usual="data") if names else []), None
    sizes = first.means.groupby("x")["estimate"].mean().reindex(range(len(first.shown.x.labels)))
    order = page.ordered(first.shown.x.labels, sizes.to_numpy(), usual="data")
    return list(range(len(names))), np.argsort(order)


def _axes(page: Sheet, n: int, **shared: Any) -> Any:
    if n == 1:
        return np.array([page.axes(ONE_NARROW_MM if page.is_narrow else ONE_MM)])
    panel = PANEL_NARROW_MM if page.is_narrow else PANEL_MM
    columns = NARROW_COLUMNS if page.is_narrow else COLUMNS
    columns = 2 if n in (2, 4) else columns
    rows = page.rows_that_fit(panel, AROUND_MM)
    if n > rows * columns:
        raise OptionError(
            f"{n} panels have no room in a picture; hold some of the values with at=."
        )
    return page.grid(n, columns=columns, panel_mm=panel, **shared)


def _draw_one(
    ax: "Axes",
    one: _Shown,
    curve: int,
    own: Look,
    *,
    places: IntArray | None,
    shift: float,
    most: float,
) -> None:
    """Draw one curve of one fit, behind it its rows and groups; places of categories along x."""
    is_number = places is None
    beside = 0.0 if is_number else shift

    def at(rows: pd.DataFrame) -> FloatArray:
        x = rows["x"].to_numpy(dtype=np.float64)
        return x if places is None else places[x.astype(np.intp)].astype(np.float64)

    def some(table: pd.DataFrame) -> pd.DataFrame:
        rows = table[table["curve"] == curve]
        return rows if is_number else rows.iloc[np.argsort(at(rows), kind="stable")]

    if one.lines is not None:
        lines = [
            (at(part) + beside, part["estimate"].to_numpy())
            for _, part in some(one.lines).groupby("group", sort=False)
        ]
        draw_lines(ax, lines, own)
    if one.points is not None:
        rows = some(one.points.table)
        data = look("data") if len(one.means.curves) == 1 else own
        cloud = shift if len(one.means.curves) > 1 else shift - ASIDE
        y, n = (rows[name].to_numpy(dtype=np.float64) for name in ("y", "n"))
        draw_points(ax, at(rows), y, n, data, is_number=is_number, most=most, shift=cloud)
    if one.new is not None:
        rows = some(one.new)
        for limit in ("lower", "upper"):
            style = own.line(linestyle=(0, (1, 2)), linewidth=1.1 * now().lines)
            ax.plot(at(rows) + beside, rows[limit], **style)
    rows = some(one.means.means)
    y, low, high = (rows[name].to_numpy() for name in ("estimate", "conf_low", "conf_high"))
    curve_of = Curve(x=at(rows), y=y, low=low, high=high, look=own, shift=shift)
    joined = not one.means.of_levels and len(one.means.curves) > 1
    draw_curve(ax, curve_of, is_number=is_number, joined=joined)


def _title(page: Sheet, variables: Sequence[EffectVariable], codes: tuple[int, ...]) -> str:
    return ", ".join(
        f"{page.label(one.name)}: {page.label(one.labels[code])}"
        for one, code in zip(variables, codes, strict=True)
    )


def _name_axes(
    page: Sheet, axes: Any, first: EffectMeans, fit: Fit, places: IntArray | None
) -> None:
    x = first.shown.x
    unit = ""
    if places is None:
        unit = bundled_unit(fit.data_name, x.name, used_column(fit, x.name))
    else:
        names = [page.label(x.labels[i]) for i in np.argsort(places)]
        for ax in axes:
            ax.set_xticks(range(len(names)), names)
            ax.set_xlim(-0.5, len(names) - 0.5)
    label = page.label(x.name, f"{x.name} ({unit})" if unit else x.name)
    up = page.label(first.response, response_words(fit, first.scale))
    for ax in axes:
        place = ax.get_subplotspec()
        if place is None or place.is_first_col():
            ax.set_ylabel(up)
        if place is None or ax.xaxis.get_tick_params()["labelbottom"]:
            ax.set_xlabel(label)


def response_words(fit: Fit, scale: PredictionType) -> str:
    """Name the response on a scale, with its unit where a bundled data set tells it."""
    name = fit.design.formula.response_label
    if scale == "probability":
        return f"probability of {name}"
    if scale == "link":
        return f"{fit.link} of the mean of {name}"
    if fit.response_family.counts_trials or fit.family == "bernoulli":
        return f"probability of {_success(fit)}"
    if fit.response_family.is_ordinal:
        return f"mean category of {name}"
    unit = bundled_unit(fit.data_name, name, fit.design.y) if fit.design.y.ndim == 1 else ""
    return f"{name} ({unit})" if unit else name


def _success(fit: Fit) -> str:
    """Name what a probability is of: a level, what is counted first, or the response."""
    response, name = fit.design.formula.response, fit.design.formula.response_label
    if isinstance(response, Call) and response.function == "cbind":
        return deparse(response.arguments[0])
    if isinstance(response, Name):
        column = used_column(fit, response.name)
        if isinstance(column, Factor) and len(column.levels) == 2:
            return f"{name} = {column.levels[1]}"
    return name


def _legend(
    page: Sheet,
    everything: list[_Shown],
    looks: list[Look],
    order: list[int],
    coloured: EffectVariable | None,
    *,
    is_number: bool,
) -> None:
    handles, words = [], []
    several = len(everything) > 1
    if coloured is not None:
        name = page.label(coloured.name)
        for k in order:
            own = looks[k]
            if several:
                own = in_colour(look("reml"), own.colour)
            handles.append(key(own, is_number=is_number))
            words.append(f"{name}: {looks[k].name}")
    if several:
        for one in everything:
            own = one.look if coloured is None else in_colour(one.look, now().soft)
            handles.append(key(own, is_number=is_number))
            words.append(own.name)
    if handles:
        page.legend(handles, words)


def _caption(everything: list[_Shown], fit: Fit) -> str:
    """Say in a few words what is averaged over, what is held, and what marks and bands are."""
    first = everything[0].means
    parts = []
    groups = [name for name in fit.n_groups if not (first.of_levels and name == first.shown.x.name)]
    if groups and not first.of_levels:
        parts.append(f"typical {listed(groups)}")
    parts += [first.words] if first.words else []
    kinds = dict.fromkeys(
        "credible" if one.means.is_posterior else "confidence" for one in everything
    )
    intervals = f"{100 * first.level:g} % {' and '.join(kinds)} intervals"
    found = [_sentence(parts)] if parts else []
    found.append(f"{'Bands' if first.shown.x.is_number else 'Bars'}: {intervals}.")
    if everything[0].points is not None:
        found.append(f"Points: {everything[0].points.words}.")
    if everything[0].lines is not None:
        found.append(f"Thin lines: levels of {everything[0].group}.")
    if everything[0].new is not None:
        found.append("Dotted: limits of a new response of a new group.")
    return " ".join(found)


def _sentence(parts: list[str]) -> str:
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _words(everything: list[_Shown]) -> str:
    """Say in words where each curve begins and ends."""
    first = everything[0].means
    along = first.shown.x
    parts = [f"{first.response} over {along.name}: means with intervals."]
    for one in everything:
        for k, codes in enumerate(first.curves):
            rows = one.means.means[one.means.means["curve"] == k]
            if rows.empty:
                continue
            left, right = rows.iloc[0], rows.iloc[-1]
            name = [f"{v.name} {v.labels[c]}" for v, c in zip(first.apart, codes, strict=True)]
            who = ", ".join([one.look.name, *name])
            parts.append(f"{who}: {_value(left)} on the left, {_value(right)} on the right.")
    return " ".join(parts)


def _value(row: Any) -> str:
    return f"{row['estimate']:.4g} ({row['conf_low']:.4g} to {row['conf_high']:.4g})"
