"""Random effects of all levels in order of size, with intervals, one fit beside the other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

from hierbayes.errors import OptionError
from hierbayes.plots.alt_text import describe
from hierbayes.plots.palette import Look, look, reference
from hierbayes.plots.picture import fits_and_word, picture
from hierbayes.plots.sheet import MOST_MM, Options, Sheet, sheet
from hierbayes.plots.style import MM_PER_POINT, letter_size
from hierbayes.results.fit import Fit, labelled_effects
from hierbayes.wording import listed, meant, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

ROW_MM, ROOM_MM = 4.2, 1.5  # height of a level; free above and below all of them
AROUND_MM = 30.0  # the height of what stands around the panels
LEAST_MM, NAMES_MM = 20.0, 14.0  # width of a panel, and of the names of levels
OFFSET = 0.17  # between two fits, in rows
LETTER = 0.85  # height of the letters of a level's name, in rows
SMALLEST = 5.5  # points, below which no level is named
MOST_FITS = 3


@picture
def caterpillar(
    *fits: Fit | str,
    group: str | None = None,
    level: float = 0.95,
    terms: Sequence[str] | None = None,
    **options: Unpack[Options],
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw the random effects of a grouping factor, one panel a term, levels sorted by the first.

    A likelihood fit shows conditional modes with normal intervals of their conditional sds, given
    the estimated covariance; a posterior its means with credible intervals, which average over it.

    Parameters
    ----------
    *fits : one to three fits of the same model, LikelihoodFit or PosteriorFit
    group : grouping factor, also by position after the fits; the first unless said
    level : level of the intervals
    terms : names of its terms; all that have room unless said

    Returns
    -------
    figure, axes
        One axes a term. Levels are sorted by the first fit's effects of the first term; where they
        are too many to be named, their number is said. ``labels`` are those of terms, levels and
        the grouping factor.

    Raises
    ------
    OptionError
        If no fit is given, or none of its grouping factors or terms has this name.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> figure, axes = hb.plot.caterpillar(fit, group="Batch")
    >>> axes[0].get_xlabel()
    '(Intercept)'
    """
    found, group = fits_and_word(fits, group, function="caterpillar", most=MOST_FITS)
    chosen = _chosen_group(found[0], group)
    tables = [_table(fit, chosen, level) for fit in found]
    if any(set(_keys(table)) != set(_keys(tables[0])) for table in tables[1:]):
        raise OptionError(
            f"caterpillar draws the same effects of {chosen} by each fit; these have other levels "
            "or other terms. Draw them apart."
        )
    known = list(dict.fromkeys(tables[0]["term"]))
    drawn = _chosen_terms(known, terms)
    first = tables[0].loc[tables[0]["term"] == drawn[0]]
    with sheet(options, "caterpillar") as page:
        looks = _looks(found)
        places = page.ordered(list(first["level"]), first["estimate"], usual="size")
        order = [first["level"].iloc[i] for i in places]
        room = page.columns(LEAST_MM + NAMES_MM / len(drawn), len(drawn))
        if room < len(drawn):
            page.note(f"{room} of {len(drawn)} terms; terms= names others.")
        drawn = drawn[:room]
        row = min(ROW_MM, (MOST_MM - AROUND_MM) / len(order))
        axes = page.grid(room, columns=room, panel_mm=2 * ROOM_MM + row * len(order), sharey=True)
        for ax, term in zip(axes, drawn, strict=True):
            ax.axvline(0.0, **reference())
            for number, table in enumerate(tables):
                rows = table.loc[table["term"] == term].set_index("level").loc[order]
                shift = OFFSET * ((len(tables) - 1) / 2 - number) * 2
                _marks(ax, rows, shift, looks[number], row)
            ax.set_xlabel(page.label(str(term)))
        _name_levels(axes[0], page, [str(name) for name in order], chosen, row)
        _note_zeros(page, tables, found, drawn)
        if len(found) > 1:
            page.legend()
        names = " and ".join(style.name for style in looks)
        describe(
            page.figure,
            f"Random effects of {len(order)} levels of {chosen} ({', '.join(map(str, drawn))}) by "
            f"{names}, sorted by {drawn[0]}, with {100 * level:g} % intervals: {order[0]} is the "
            f"lowest, {order[-1]} the highest.",
        )
    return page.figure, np.asarray(axes)


def _chosen_group(fit: Fit, group: str | None) -> str:
    known = tuple(fit.n_groups)
    chosen = str(known[0] if group is None and known else group)
    if chosen not in known:
        hint = meant(chosen, known)
        names = ", ".join(map(repr, known)) or "no grouping factors"
        raise OptionError(f"group={shown(chosen)}: this model has {names}{hint}")
    return chosen


def _chosen_terms(known: Sequence[Any], terms: Sequence[str] | None) -> list[Any]:
    if terms is None:
        return list(known)
    wanted = [terms] if isinstance(terms, str) else list(terms)
    for term in wanted:
        if term not in known:
            there = ", ".join(map(repr, known))
            hint = meant(term, tuple(map(str, known)))
            raise OptionError(f"terms={shown(term)} is not one of {there}{hint}")
    if not wanted:
        raise OptionError("terms= names no term.")
    return wanted


def _looks(fits: Sequence[Fit]) -> list[Look]:
    """Return how each fit is drawn; a second one of the same estimator has another mark."""
    marks = (("^", False), ("v", True))
    looks: list[Look] = []
    for number, fit in enumerate(fits):
        style = look(fit.method)
        again = [fit.method for fit in fits[:number]].count(fit.method)
        if again:
            style = style.as_kind(*marks[again - 1], linestyle=(0, (3, 1)))
        looks.append(style)
    return looks


def _table(fit: Fit, group: str, level: float) -> pd.DataFrame:
    found = labelled_effects(fit, level)
    return pd.DataFrame(found.loc[found["group"] == group])


def _keys(table: pd.DataFrame) -> "zip[tuple[Any, Any]]":
    return zip(table["term"], table["level"], strict=True)


def _marks(ax: "Axes", rows: pd.DataFrame, shift: float, style: Look, row_mm: float) -> None:
    y = np.arange(len(rows)) + shift
    share = min(row_mm / ROW_MM, 1.0)
    width = max(1.3 * share, 0.4)
    ax.hlines(y, rows["conf_low"], rows["conf_high"], color=style.colour, linewidth=width)
    size = max(4.0 * share, 1.3)
    ax.plot(rows["estimate"], y, label=style.name, **style.mark(size, markeredgewidth=width))


def _name_levels(ax: "Axes", page: Sheet, names: list[str], group: str, row_mm: float) -> None:
    """Name the levels at the side, in letters that rows have room for; else say how many."""
    ax.set_ylabel(page.label(group))
    ax.set_ylim(-0.8, len(names) - 0.2)
    labels = [page.label(name) for name in names]
    points = min(letter_size("small"), LETTER * row_mm / MM_PER_POINT)
    if points >= SMALLEST:
        ax.set_yticks(range(len(names)), labels, fontsize=points)
    else:
        ax.set_yticks([])
        ax.set_ylabel(f"{len(names)} levels of {page.label(group)}, sorted")


def _note_zeros(
    page: Sheet, tables: Sequence[pd.DataFrame], fits: Sequence[Fit], terms: Sequence[Any]
) -> None:
    """Say of terms whose sd is estimated as zero why all of their effects are zero."""
    for table, fit in zip(tables, fits, strict=True):
        at_zero = [
            str(term)
            for term in terms
            if (table.loc[table["term"] == term, "estimate"] == 0.0).all()
        ]
        if at_zero:
            page.note(
                f"{look(fit.method).name} estimates the sd of {listed(at_zero)} as 0, and so all "
                "its effects as 0."
            )
