"""How much of a level's own deviation is kept, against its number of rows or its standard error."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import hierbayes.plots.shrinkage_source as shared
from hierbayes.options import Against, check_option
from hierbayes.plots.alt_text import describe
from hierbayes.plots.level_names import place_names, settle
from hierbayes.plots.picture import picture
from hierbayes.plots.style import BAND, INK, LINE, drawing, figure_of
from hierbayes.pooling.reliability_curve import reliability_curve
from hierbayes.results.fit import Fit
from hierbayes.results.shrinkage_table import ShrinkageTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_MM, HEIGHT_MM = 120.0, 90.0
SAME = 6  # digits to which two levels stand at the same place
MOST_WORDS = 10  # places that are described
NAME_SIZE, SMALL_NAME = 8.5, 7.0
CLEAR = 0.03
DISTANCES = (7.0, 16.0, 30.0, 45.0, 60.0)


@picture
def shrinkage_reliability(
    fit: Fit,
    *,
    group: str | None = None,
    term: str | None = None,
    against: Against = "n",
    level: float = 0.95,
    labels: Mapping[str, str] | None = None,
    ax: "Axes | None" = None,
) -> "tuple[Any, Axes]":
    """Draw the reliability of every level, with the curve for a level of any size.

    The reliability is the share of the variance between levels that a level's rows reveal, and for
    a random intercept alone the factor by which its deviation is multiplied: tau^2 / (tau^2 +
    SE^2). It depends on the variances and on the level's standard errors, which are written beside
    the points in the order of the terms.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    group, term : grouping factor and term; the first ones when not given
    against : {"n", "se"}
        Rows of the level, or standard error of its unpenalised estimate.
    level : level of the credible band of a posterior
    labels : axis labels ``"n"``, ``"se"`` and ``"reliability"``, in place of ours
    ax : matplotlib axes to draw into

    Returns
    -------
    figure, axes
        The curve of what is kept, with a point where levels are.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> figure, ax = hb.plot.shrinkage_reliability(fit, term="Days")
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('rows of a level of Subject', 'reliability of Days')
    """
    check_option("against", against, Against)
    table = shared.table_of(fit)
    rows = shared.rows_of(table, group, term)
    names = {"group": rows.attrs["group"], "term": rows.attrs["term"]}
    curve = reliability_curve(fit, level=level, **names)
    places = _places(table, rows, "n" if against == "n" else "unpenalised_se")
    with drawing():
        figure, axes = figure_of(ax, width_mm=WIDTH_MM, height_mm=HEIGHT_MM)
        _curve(axes, curve, against=against, level=level)
        most = places["count"].max()
        size = 24.0 + 60.0 * np.sqrt((places["count"] - 1) / max(most - 1, 1))
        axes.scatter(places["x"], places["reliability"], s=size, color=INK, linewidths=0, zorder=4)
        axes.set_ylim(-0.03, 1.04)
        if against == "n":
            axes.xaxis.set_major_locator(shared.whole_numbers())
        axes.set_xlim(0.0, _end(places["x"], curve, against))
        axes.set_xlabel(_x_label(fit, names, against=against, labels=labels))
        axes.set_ylabel((labels or {}).get("reliability", f"reliability of {names['term']}"))
        shared.legend_above(axes)
        if len(places) <= MOST_WORDS:
            settle(axes)
            at = places[["x", "reliability"]].to_numpy(dtype=np.float64)
            letter = SMALL_NAME if shared.is_narrow(axes) else NAME_SIZE
            beside = at + np.array([0.0, CLEAR])  # names stand below their points, off the curve
            shown = places["words"].tolist()
            place_names(axes, at, shown, letter=letter, away_from=beside, distances=DISTANCES)
    describe(axes, _words(rows, curve))
    return figure, axes


def _places(table: ShrinkageTable, rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Distinct places of the levels: ``x reliability count words``."""
    assert table.details is not None
    group = rows.attrs["group"]
    own = pd.DataFrame(table)
    own = own[own["group"] == group]
    terms = table.details.factors[group].terms
    errors = own["unpenalised_se"].to_numpy(dtype=np.float64).reshape(-1, len(terms))
    found: dict[tuple[str, ...], list[int]] = {}
    for i, (x, y) in enumerate(zip(rows[column], rows["reliability"], strict=True)):
        found.setdefault((f"{x:.{SAME}g}", f"{y:.{SAME}g}"), []).append(i)
    places, names = [], shared.short_names(list(rows.index))
    for members in found.values():
        i = members[0]
        se = ", ".join(_error(value) for value in errors[i])
        who = names[i] if len(members) == 1 else f"{len(members)} levels"
        places.append(
            {
                "x": float(rows[column].iloc[i]),
                "reliability": float(rows["reliability"].iloc[i]),
                "count": len(members),
                "words": f"{who}\nSE ({se})",
            }
        )
    return pd.DataFrame(places).replace([np.inf], np.nan).dropna().reset_index(drop=True)


def _error(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "\N{INFINITY}"


def _curve(ax: "Axes", curve: pd.DataFrame, *, against: str, level: float) -> None:
    known = curve[np.isfinite(curve[against])]
    if known["lower"].notna().any():
        words = f"{100 * level:g} % credible band"
        band: dict[str, Any] = {"color": BAND, "linewidth": 0, "zorder": 1, "label": words}
        ax.fill_between(known[against], known["lower"], known["upper"], **band)
    ax.plot(known[against], known["reliability"], **LINE, label="a level with n typical rows")


def _end(x: "pd.Series[float]", curve: pd.DataFrame, against: str) -> float:
    """Right end of the axis: all levels are inside, and the bend of the curve where it has one."""
    if against == "n":
        return float(curve["n"].max())
    return float(1.6 * max(x.max(), curve.loc[curve["n"] > 0, "se"].min()))


def _x_label(
    fit: Fit, names: Mapping[str, str], *, against: str, labels: Mapping[str, str] | None
) -> str:
    if labels is not None and against in labels:
        return labels[against]
    if against == "n":
        return f"rows of a level of {names['group']}"
    unit = shared.unit_of(fit)
    return f"standard error of {names['term']}" + (f" ({unit})" if unit else "")


def _words(rows: pd.DataFrame, curve: pd.DataFrame) -> str:
    share, n = rows["reliability"], rows["n"]
    sizes = f"{n.min()} rows each" if n.min() == n.max() else f"{n.min()} to {n.max()} rows"
    half = curve.loc[(curve["reliability"] >= 0.5), "n"]
    bend = f" A level of {np.ceil(half.iloc[0]):.0f} rows has half." if len(half) else ""
    return (
        f"Reliability of {rows.attrs['term']} by {rows.attrs['group']}: {len(rows)} levels of "
        f"{sizes} have reliabilities from {share.min():.2f} to {share.max():.2f}; the curve rises "
        f"with the number of rows.{bend}"
    )
