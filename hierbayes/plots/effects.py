"""What a model says along one variable: data, typical line, group lines, and bands."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import hierbayes.plots.style as style
from hierbayes.plots.alt_text import describe
from hierbayes.plots.labels import axis_label, wrapped
from hierbayes.plots.picture import fits_and_word, picture
from hierbayes.prediction.effect_lines import EffectLines, effect_lines
from hierbayes.results.fit import Fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

HEIGHT_MM = 115.0
MOST_FITS = 3
MANY_LINES, MANY_POINTS = 40, 2000  # beyond which lines and points are faint
MOST_NAMES = 30  # of categories below the axis
LETTERS_IN_A_ROW = 26  # of their names, in one panel
KEY_MM = 18.0  # of a legend, besides its words
NAMES = {"reml": "REML", "ml": "ML", "posterior": "posterior"}


@picture
def effects(
    *fits: Fit | str,
    x: str | None = None,
    group: str | None = None,
    level: float = 0.95,
    new_responses: bool = True,
    labels: Mapping[str, str] | None = None,
    figure: "Figure | SubFigure | None" = None,
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw data, the typical group's line, a line a group, and bands, one panel a fit.

    Below the panels stands what the bands are of and which uncertainties are in them, as in a
    printed prediction. Other predictors stand at their mean, categories at the most frequent one.

    Parameters
    ----------
    *fits : one to three fits of the same model, LikelihoodFit or PosteriorFit
    x : a column of the data in the model, or its grouping factor, also by position after the fits;
        the first number with a random slope, else the first predictor, else the grouping factor
        unless said
    group : the grouping factor whose levels have lines; the first unless said
    level : level of the bands
    new_responses : whether to draw the band of a new response of a new group, too
    labels : axis labels by column, in place of ours
    figure : a matplotlib figure to draw into

    Returns
    -------
    figure, axes
        One axes a fit.

    Raises
    ------
    OptionError
        If ``x`` or ``group`` is not in the model.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> figure, axes = hb.plot.effects(fit)
    >>> axes[0].get_xlabel()
    'Days (days of sleep deprivation)'
    """
    found, x = fits_and_word(fits, x, function="effects", most=MOST_FITS)
    lines = [
        effect_lines(fit, x=x, group=group, level=level, new_responses=new_responses)
        for fit in found
    ]
    names = [NAMES.get(fit.method, "fit") for fit in found]
    stacked = style.is_narrow(figure) and len(found) > 1
    with style.drawing(figure):
        drawn = style.any_figure(figure, width_mm=style.WIDTH_MM, height_mm=HEIGHT_MM)
        shape = (len(found), 1) if stacked else (1, len(found))
        axes = drawn.subplots(*shape, sharex=True, sharey=True, squeeze=False).ravel()
        for ax, one, name in zip(axes, lines, names, strict=True):
            _panel(ax, one)
            if len(found) > 1:
                ax.set_title(name)
        _name_axes(axes, lines[0], found[0].data_name, labels, stacked=stacked)
        _legend(drawn, axes[0], lines, names)
    describe(drawn, _words(lines, names))
    return drawn, np.asarray(axes)


def _panel(ax: "Axes", one: EffectLines) -> None:
    step = 0 if one.categories is None else 0.25
    if one.new is not None:
        _band(ax, one.new, style.LIGHT, step, label="new")
    _band(ax, one.typical, style.BAND, step, label="typical")
    by_group = len(one.groups) > 0 and not one.groups["group"].duplicated().any()
    several = list(one.groups.groupby("group", sort=False))
    beside = _beside(one, step) if by_group else np.zeros(len(several))
    for number, (_, line) in enumerate(several):
        x = line["x"] + beside[number]
        if by_group:
            ax.vlines(x, line["lower"], line["upper"], color=style.SOFT, linewidth=1.2, zorder=3)
        ax.plot(
            x,
            line["prediction"],
            "D" if by_group else "-",
            color=style.INK if by_group else style.SOFT,
            markersize=3.5,
            linewidth=0.8 if len(several) <= MANY_LINES else 0.3,
            zorder=3 if by_group else 2,
            label="groups" if number == 0 else None,
        )
    points = one.points
    few = len(points) <= MANY_POINTS
    shift = 0.0 if one.categories is None else -0.5 * step
    ax.scatter(
        points["x"] + shift,
        points["y"],
        s=7 if few else 2,
        color=style.INK,
        alpha=0.45 if few else 0.1,
        linewidths=0,
        zorder=2,
    )
    ax.scatter([], [], s=7, color=style.INK, linewidths=0, label="data")
    flat = one.categories is None or one.x_name == one.group_name
    ax.plot(
        one.typical["x"],
        one.typical["prediction"],
        "-" if flat else "s",
        color=style.INK,
        linewidth=2.4,
        markersize=6,
        zorder=4,
        label="line",
    )


def _beside(one: EffectLines, step: float) -> Any:
    """Places of levels beside their category, so that they don't cover each other, (J,)."""
    if one.x_name == one.group_name:
        return np.zeros(len(one.groups))
    by_category = one.groups.groupby("x")["prediction"]
    rank = by_category.rank(method="first").to_numpy() / (by_category.transform("size") + 1)
    return np.asarray(step * (0.25 + 0.65 * rank))


def _band(ax: "Axes", table: Any, colour: str, step: float, *, label: str) -> None:
    """Draw limits as a band along x, or as a box a category."""
    ax.use_sticky_edges = False
    x, low, high = (table[name].to_numpy() for name in ("x", "lower", "upper"))
    if step and x[0] == 0:  # categories; where x is the group, a band goes over all of them
        ax.bar(x, high - low, width=2 * step, bottom=low, color=colour, label=label, zorder=1)
    else:
        ax.fill_between(x, low, high, color=colour, linewidth=0, label=label, zorder=1)


def _name_axes(
    axes: Any,
    one: EffectLines,
    data_name: str,
    labels: Mapping[str, str] | None,
    *,
    stacked: bool,
) -> None:
    below = axes[-1:] if stacked else axes
    if one.categories is not None:
        many = len(one.categories) > MOST_NAMES
        for ax in axes:
            upright = sum(map(len, one.categories)) > LETTERS_IN_A_ROW
            ticks = [] if many else range(len(one.categories))
            names = [] if many else one.categories
            ax.set_xticks(ticks, names, rotation=90 if upright else 0)
        label = (labels or {}).get(one.x_name, one.x_name)
    else:
        label = axis_label(one.x_name, one.points["x"], data_name=data_name, labels=labels)
    for ax in below:
        ax.set_xlabel(label)
    side = axes if stacked else axes[:1]
    for ax in side:
        name = axis_label(one.response, one.points["y"], data_name=data_name, labels=labels)
        ax.set_ylabel(name)


def _legend(
    figure: "Figure | SubFigure", ax: "Axes", lines: Sequence[EffectLines], names: list[str]
) -> None:
    handles, labels = ax.get_legend_handles_labels()
    by_label = dict(zip(labels, handles, strict=True))
    one = lines[0]
    held = ", ".join(f"{name} = {value}" for name, value in one.held.items())
    group = one.group_name or "group"
    words = {
        "data": "data",
        "line": f"typical {group}" + (f", at {held}" if held else ""),
        "groups": f"levels of {group}",
        "typical": _joined([found.typical_words for found in lines], names),
        "new": _joined([found.new_words for found in lines], names),
    }
    size = style.letter_size("small")
    room = style.width_of(figure) - KEY_MM
    marks = [key for key in ("data", "line", "groups") if key in by_label]
    columns = len(marks) if sum(len(words[key]) for key in marks) < room / 2.2 else 1
    bands = ["typical", "new"]
    places: Any = (
        (marks, "outside upper center", columns),
        (bands, "outside lower center", 1),
    )
    for keys, place, n in places:
        used = [key for key in keys if key in by_label]
        figure.legend(
            [by_label[key] for key in used],
            [wrapped(words[key], width_mm=room, points=size) for key in used],
            loc=place,
            ncols=n,
            frameon=False,
            fontsize=size,
            handlelength=1.8,
        )


def _joined(words: list[str], names: list[str]) -> str:
    """Return the words of all fits, once where they are the same."""
    if len(set(words)) == 1:
        return words[0]
    heads = [text.split("; in it: ") for text in words]
    if len({tuple(rest) for _, *rest in heads}) == 1:  # the same in it
        first = ". ".join(f"{name}: {head[0]}" for name, head in zip(names, heads, strict=True))
        return "; in it: ".join([first, *heads[0][1:]])
    return ". ".join(f"{name}: {text}" for name, text in zip(names, words, strict=True))


def _words(lines: Sequence[EffectLines], names: list[str]) -> str:
    """Say in words where the typical line begins and ends in each fit."""
    one = lines[0]
    parts = [f"{one.response} over {one.x_name}: data, typical line with bands, group lines."]
    for found, name in zip(lines, names, strict=True):
        first, last = found.typical.iloc[0], found.typical.iloc[-1]
        parts.append(
            f"{name}: {first['prediction']:.4g} ({first['lower']:.4g} to {first['upper']:.4g}) at "
            f"the left end, {last['prediction']:.4g} ({last['lower']:.4g} to "
            f"{last['upper']:.4g}) at the right end."
        )
    return " ".join(parts)
