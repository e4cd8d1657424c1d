"""Random effects of all levels in order of size, with intervals, one fit beside the other."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hierbayes.errors import OptionError
from hierbayes.plots.alt_text import describe
from hierbayes.plots.picture import fits_and_word, picture
from hierbayes.plots.style import INK, REFERENCE, SOFT, WIDTH_MM, any_figure, drawing
from hierbayes.results.fit import Fit, labelled_effects
from hierbayes.wording import meant, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

ROW_MM, FRAME_MM = 4.2, 26.0
OFFSET = 0.17  # between two fits, in rows
MOST_NAMES = 60  # levels named at the side
MOST_ROWS_MM = 230.0
# of the fits in turn: marker, its face, the colour of marker and interval
MARKS = (("o", INK, INK), ("s", "white", SOFT), ("D", SOFT, SOFT))
NAMES = {"reml": "REML", "ml": "ML", "posterior": "posterior"}


@picture
def caterpillar(
    *fits: Fit | str,
    group: str | None = None,
    level: float = 0.95,
    figure: "Figure | SubFigure | None" = None,
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw the random effects of a grouping factor, one panel a term, levels sorted by the first.

    A likelihood fit shows conditional modes with normal intervals of their conditional sds, given
    the estimated covariance; a posterior its means with credible intervals, which average over it.

    Parameters
    ----------
    *fits : one to three fits of the same model, LikelihoodFit or PosteriorFit
    group : grouping factor, also by position after the fits; the first unless said
    level : level of the intervals
    figure : a matplotlib figure to draw into

    Returns
    -------
    figure, axes
        One axes a term. Levels are sorted by the first fit's effects of the first term.

    Raises
    ------
    OptionError
        If no fit is given, or none of its grouping factors has this name.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> figure, axes = hb.plot.caterpillar(fit, group="Batch")
    >>> axes[0].get_xlabel()
    '(Intercept)'
    """
    found, group = fits_and_word(fits, group, function="caterpillar", most=len(MARKS))
    known = tuple(found[0].n_groups)
    chosen = str(known[0] if group is None and known else group)
    if chosen not in known:
        hint = meant(chosen, known)
        names = ", ".join(map(repr, known)) or "no grouping factors"
        raise OptionError(f"group={shown(chosen)}: this model has {names}{hint}")
    tables = [_table(fit, chosen, level) for fit in found]
    if any(set(_keys(table)) != set(_keys(tables[0])) for table in tables[1:]):
        raise OptionError(
            f"caterpillar draws the same effects of {chosen} by each fit; these have other levels "
            "or other terms. Draw them apart."
        )
    terms = list(dict.fromkeys(tables[0]["term"]))
    first = tables[0].loc[tables[0]["term"] == terms[0]]
    order = list(first.sort_values("estimate", kind="stable")["level"])
    height = min(FRAME_MM + ROW_MM * len(order), MOST_ROWS_MM)
    with drawing(figure):
        drawn = any_figure(figure, width_mm=WIDTH_MM, height_mm=height)
        axes = drawn.subplots(1, len(terms), sharey=True, squeeze=False).ravel()
        for ax, term in zip(axes, terms, strict=True):
            ax.axvline(0.0, **REFERENCE)
            for number, table in enumerate(tables):
                rows = table.loc[table["term"] == term].set_index("level").loc[order]
                shift = OFFSET * ((len(tables) - 1) / 2 - number) * 2
                _marks(ax, rows, shift, number, NAMES.get(found[number].method, "fit"))
            ax.set_xlabel(str(term))
        _name_levels(axes[0], [str(name) for name in order], chosen)
        if len(found) > 1:
            handles, labels = axes[0].get_legend_handles_labels()
            drawn.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    names = " and ".join(NAMES.get(fit.method, "fit") for fit in found)
    describe(
        drawn,
        f"Random effects of {len(order)} levels of {chosen} ({', '.join(map(str, terms))}) by "
        f"{names}, sorted by {terms[0]}, with {100 * level:g} % intervals: {order[0]} is the "
        f"lowest, {order[-1]} the highest.",
    )
    return drawn, np.asarray(axes)


def _table(fit: Fit, group: str, level: float) -> pd.DataFrame:
    found = labelled_effects(fit, level)
    return pd.DataFrame(found.loc[found["group"] == group])


def _keys(table: pd.DataFrame) -> "zip[tuple[Any, Any]]":
    return zip(table["term"], table["level"], strict=True)


def _marks(ax: "Axes", rows: pd.DataFrame, shift: float, number: int, name: str) -> None:
    marker, face, colour = MARKS[number]
    y = np.arange(len(rows)) + shift
    few = len(rows) <= MOST_NAMES
    ax.hlines(y, rows["conf_low"], rows["conf_high"], color=colour, linewidth=1.2 if few else 0.6)
    ax.plot(
        rows["estimate"],
        y,
        marker,
        markersize=4.0 if few else 1.8,
        markerfacecolor=face,
        markeredgecolor=colour,
        label=name,
    )


def _name_levels(ax: "Axes", names: list[str], group: str) -> None:
    ax.set_ylabel(group)
    ax.set_ylim(-0.8, len(names) - 0.2)
    if len(names) <= MOST_NAMES:
        ax.set_yticks(range(len(names)), names)
    else:
        ax.set_yticks([])
        ax.set_ylabel(f"{len(names)} levels of {group}, sorted")
