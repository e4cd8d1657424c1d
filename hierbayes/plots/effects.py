"""What a model expects along a predictor, and how that depends on others: curves and panels."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from hierbayes.errors import OptionError
from hierbayes.marginal_means.effect_levels import (
    is_grouping_factor,
    level_means,
    new_response_limits,
)
from hierbayes.marginal_means.effect_means import EffectMeans, effect_means
from hierbayes.marginal_means.effect_rows import data_points, group_lines, partial_residuals
from hierbayes.options import EffectPointKind, PredictionType, check_flag, check_option
from hierbayes.plots.alt_text import describe
from hierbayes.plots.labels import bundled_unit
from hierbayes.plots.mean_panels import (
    Named,
    Shown,
    draw_means,
    mean_axes,
    panel_plan,
    words_of,
)
from hierbayes.plots.palette import look
from hierbayes.plots.picture import checked_fits, picture
from hierbayes.plots.response_names import response_words
from hierbayes.plots.sheet import Options, sheet
from hierbayes.results.fit import Fit, used_column
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.wording import listed, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

MOST_FITS = 3
POINTS = {"data": data_points, "residuals": partial_residuals}


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
        plan = panel_plan(everything[0].means.apart)
        axes = mean_axes(page, len(plan.panels))
        draw_means(page, everything, _named(found[0], everything[0].means), axes, plan)
        page.note(_caption(everything, found[0], group))
        describe(page.figure, words_of(everything))
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
) -> Shown:
    if is_grouping_factor(fit, x):
        if by:
            raise OptionError(f"Levels of {x!r} are not drawn apart by {by[0]!r}; leave by= out.")
        if group not in (None, False):
            raise OptionError("The levels of a grouping factor lie along x; leave group= out.")
        means = level_means(fit, group=x, at=at, scale=scale, level=level)
    else:
        means = effect_means(fit, x=x, by=by, at=at, scale=scale, level=level)
    return Shown(
        means=means,
        look=look("ml" if fit.method == "ml" else "reml")
        if isinstance(fit, LikelihoodFit)
        else look("posterior"),
        points=None if points is None else POINTS[points](fit, means),
        lines=None if group in (None, False) else group_lines(fit, means, group or True),
        new=new_response_limits(fit, means) if new_responses else None,
    )


def _check_same(everything: list[Shown]) -> None:
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


def _named(fit: Fit, means: EffectMeans) -> Named:
    x = means.shown.x
    unit = bundled_unit(fit.data_name, x.name, used_column(fit, x.name)) if x.is_number else ""
    return Named(x=f"{x.name} ({unit})" if unit else x.name, y=response_words(fit, means.scale))


def _caption(everything: list[Shown], fit: Fit, group: str | bool | None) -> str:
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
        found.append(
            f"Thin lines: levels of {next(iter(fit.n_groups)) if group is True else group}."
        )
    if everything[0].new is not None:
        found.append("Dotted: limits of a new response of a new group.")
    return " ".join(found)


def _sentence(parts: list[str]) -> str:
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."
