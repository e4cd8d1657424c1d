"""How much of a level's own deviation is kept, against its number of rows or its standard error."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

import hierbayes.plots.shrinkage_source as shared
from hierbayes.options import Against, check_option
from hierbayes.plots.alt_text import describe
from hierbayes.plots.level_names import place_names
from hierbayes.plots.palette import Look, look
from hierbayes.plots.picture import picture
from hierbayes.plots.sheet import Options, Sheet, sheet
from hierbayes.plots.style import letter_size
from hierbayes.pooling.reliability_curve import reliability_curve
from hierbayes.results.fit import Fit
from hierbayes.results.shrinkage_table import ShrinkageTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT_MM = 72.0
SAME = 6  # digits to which two levels stand at the same place
MOST_WORDS = 10  # places that are described
CLEAR, LOW = 0.03, 0.12  # of reliability: beside a point, and so little that a curve is there
DISTANCES = (7.0, 16.0, 30.0, 45.0, 60.0)


@picture
def shrinkage_reliability(
    fit: Fit,
    *,
    group: str | None = None,
    term: str | None = None,
    against: Against = "n",
    level: float = 0.95,
    **options: Unpack[Options],
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

    Returns
    -------
    figure, axes
        The curve of what is kept, with a point where levels are. ``labels`` are those of ``"n"``,
        ``"se"`` and ``"reliability"``.

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
    with sheet(options, "shrinkage_reliability") as page:
        style = look(fit.method)
        axes = page.axes(HEIGHT_MM)
        _curve(axes, curve, style, against=against, level=level)
        most = places["count"].max()
        size = 24.0 + 60.0 * np.sqrt((places["count"] - 1) / max(most - 1, 1))
        axes.scatter(places["x"], places["reliability"], **(style.points() | {"s": size}))
        axes.set_ylim(-0.03, 1.04)
        if against == "n":
            axes.xaxis.set_major_locator(shared.whole_numbers())
        axes.set_xlim(0.0, _end(places["x"], curve, against))
        axes.set_xlabel(_x_label(fit, names, against=against, page=page))
        axes.set_ylabel(page.label("reliability", f"reliability of {names['term']}"))
        page.legend()
        if len(places) <= MOST_WORDS:
            page.settle()
            at = places[["x", "reliability"]].to_numpy(dtype=np.float64)
            beside = at + np.array([0.0, CLEAR])  # names stand below their points, off the curve
            beside[at[:, 1] < LOW] -= [0.0, 2 * CLEAR]  # and above a curve at the bottom
            shown = places["words"].tolist()
            letter = shared.NAME * letter_size()
            place_names(axes, at, shown, letter=letter, away_from=beside, distances=DISTANCES)
        describe(axes, _words(rows, curve))
    return page.figure, axes


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


def _curve(ax: "Axes", curve: pd.DataFrame, style: Look, *, against: str, level: float) -> None:
    known = curve[np.isfinite(curve[against])]
    if known["lower"].notna().any():
        words = f"{100 * level:g} % credible band"
        ends = known["lower"], known["upper"]
        ax.fill_between(known[against], *ends, **style.filled(label=words))
    line = style.line(linestyle="-")
    ax.plot(known[against], known["reliability"], label="a level with n typical rows", **line)


def _end(x: "pd.Series[float]", curve: pd.DataFrame, against: str) -> float:
    """Right end of the axis: all levels are inside, and the bend of the curve where it has one."""
    if against == "n":
        return float(curve["n"].max())
    return float(1.6 * max(x.max(), curve.loc[curve["n"] > 0, "se"].min()))


def _x_label(fit: Fit, names: Mapping[str, str], *, against: str, page: Sheet) -> str:
    if against == "n":
        return page.label("n", f"rows of a level of {names['group']}")
    unit = shared.unit_of(fit)
    ours = f"standard error of {names['term']}" + (f" ({unit})" if unit else "")
    return page.label("se", ours)


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
