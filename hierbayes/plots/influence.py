"""What each level of a grouping factor does to the estimates: Cook's distance, and fits without."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

from hierbayes.checks.influence import influence as influence_of
from hierbayes.errors import OptionError
from hierbayes.plots.alt_text import describe
from hierbayes.plots.palette import look, now, reference
from hierbayes.plots.picture import picture
from hierbayes.plots.sheet import Options, Sheet, sheet
from hierbayes.results.fit import Fit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.wording import did_you_mean, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

ROW_MM, FRAME_MM, AROUND_MM = 4.4, 6.0, 30.0
PANELS, NARROW_PANELS = 4, 2
ROW = "studentised_external"  # a column of tables of rows
ROWS_MM, ROWS_NARROW_MM = 80.0, 56.0
LARGEST, LEAST = 160.0, 5.0  # areas, square points
NAMED = 3
LARGE = 1.0  # a distance that moves the estimates to the edge of a region of about 50 %


@picture
def influence(
    given: LikelihoodFit | pd.DataFrame,
    group: str | None = None,
    *,
    rows: bool = False,
    parameters: str | Sequence[str] | None = None,
    **options: Unpack[Options],
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw what every level of a grouping factor does: the fits without it.

    Parameters
    ----------
    given : LikelihoodFit, or the table of ``hb.influence``
    group : grouping factor of a fit; the one with the fewest levels unless said
    rows : bool
        Every row of a fit instead: its studentised residual over its leverage, the area of the
        mark by its Cook's distance.
    parameters : which estimates to draw beside Cook's distance; unless said the first fixed
        effects that there is room for

    Returns
    -------
    figure, axes
        Cook's distance, then one axes a parameter: its estimate without each level. Levels are
        sorted by Cook's distance; where there are many, those of the largest.

    Raises
    ------
    OptionError
        If the table is none of influence, or has no such parameter.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> figure, axes = hb.plot.influence(fit)
    >>> [ax.get_xlabel() for ax in axes]
    ["Cook's distance", '(Intercept)', 'Days']
    """
    table = _table(given, group, rows=rows)
    with sheet(options, "influence") as page:
        if ROW in table:
            if parameters is not None:
                raise OptionError("parameters= is for levels; rows have none of their own.")
            axes = _of_rows(page, table)
        else:
            axes = _of_levels(page, table, parameters)
    return page.figure, axes


def _table(given: Any, group: str | None, *, rows: bool) -> pd.DataFrame:
    if isinstance(given, Fit):
        return influence_of(given, group, rows=rows)  # type: ignore[arg-type]
    is_table = isinstance(given, pd.DataFrame) and "cooks_distance" in given
    if not is_table or not (ROW in given or given.attrs.get("estimates")):
        raise OptionError(
            f"plot.influence takes a fit or what hb.influence(fit) returns; it got {shown(given)}."
        )
    if group is not None or rows:
        what = "group=" if group is not None else "rows="
        raise OptionError(f"{what} is for a fit; the table of hb.influence is of one kind already.")
    table: pd.DataFrame = given
    return table


def _of_levels(page: Sheet, table: pd.DataFrame, parameters: Any) -> Any:
    estimates = dict(table.attrs["estimates"])
    fixed = list(table.attrs.get("fixed", estimates))
    chosen = _chosen(page, list(estimates), fixed, parameters)
    cook = table["cooks_distance"].to_numpy(dtype=np.float64)
    names = [str(name) for name in table.index]
    order = page.ordered(names, cook, usual="size")
    most = page.rows_that_fit(ROW_MM, AROUND_MM)
    if len(order) > most:
        page.note(f"The {most} of {len(order)} levels of the largest Cook's distance.")
        largest = set(np.argsort(-np.nan_to_num(cook), kind="stable")[:most].tolist())
        order = [i for i in order if i in largest]
    n = 1 + len(chosen)
    axes = page.grid(n, columns=n, panel_mm=FRAME_MM + ROW_MM * len(order), sharey=True)
    _distance(axes[0], cook[order])
    for ax, name in zip(axes[1:], chosen, strict=True):
        _without(ax, table[name].to_numpy(dtype=np.float64)[order], estimates[name])
        ax.set_xlabel(page.label(name))
    axes[0].set_yticks(range(len(order)), [page.label(names[i]) for i in order])
    axes[0].set_ylim(-0.7, len(order) - 0.3)
    axes[0].set_xlabel(page.label("cooks_distance", "Cook's distance"))
    axes[0].set_ylabel(page.label(str(table.index.name)))
    if chosen:
        page.note("Marks: estimates without the level; dashed: with all.")
    describe(page.figure, _words(table, {name: estimates[name] for name in fixed}))
    return np.asarray(axes)


def _chosen(page: Sheet, known: list[str], fixed: list[str], parameters: Any) -> list[str]:
    room = (NARROW_PANELS if page.is_narrow else PANELS) - 1
    if parameters is None:
        return fixed[:room]
    names = [parameters] if isinstance(parameters, str) else list(parameters)
    for name in names:
        if name not in known:
            hint = did_you_mean(str(name), known)
            raise OptionError(f"parameters: {shown(name)} is no parameter of the fit{hint}")
    if len(names) > room:
        raise OptionError(f"parameters= names {len(names)}; at this width {room} have room.")
    return names


def _distance(ax: "Axes", cook: Any) -> None:
    y = np.arange(cook.size)
    ax.hlines(y, 0.0, cook, color=now().soft, linewidth=1.2 * now().lines, zorder=2)
    ax.plot(cook, y, **look("data").mark(4.5))
    high = float(np.nanmax(cook)) if np.isfinite(cook).any() else LARGE
    if high > 0.7 * LARGE:
        ax.axvline(LARGE, **reference())
    ax.set_xlim(0.0, 1.1 * (high or LARGE))


def _without(ax: "Axes", values: Any, estimate: float) -> None:
    ax.axvline(estimate, **reference())
    ax.plot(values, np.arange(values.size), **look("data").mark(4.5))
    ax.margins(x=0.1)


def _words(table: pd.DataFrame, estimates: dict[str, float]) -> str:
    """Say in words which level does the most."""
    cook = table["cooks_distance"].to_numpy(dtype=np.float64)
    name = str(table.index.name)
    if np.isnan(cook).all():
        return f"No level of {name} has a fit without it."
    worst = int(np.nanargmax(cook))
    parts = [
        f"{parameter} {float(table[parameter].to_numpy()[worst]):.4g} ({value:.4g} with all)"
        for parameter, value in estimates.items()
    ]
    return (
        f"{len(table)} levels of {name}: the largest Cook's distance is {cook[worst]:.2f} "
        f"({table.index[worst]}); without it the estimates are {', '.join(parts)}."
    )


def _of_rows(page: Sheet, table: pd.DataFrame) -> Any:
    """Draw studentised residuals over leverages, the area by Cook's distance."""
    own = look("data")
    x, y, cook = (
        table[name].to_numpy(dtype=np.float64) for name in ("leverage", ROW, "cooks_distance")
    )
    cook = np.nan_to_num(cook)
    ax = page.axes(ROWS_NARROW_MM if page.is_narrow else ROWS_MM)
    ax.axhline(0.0, **reference())
    area = np.maximum(LARGEST * cook / (float(cook.max()) or 1.0), LEAST)
    ax.scatter(
        x, y, s=area * now().lines ** 2, facecolors="none", edgecolors=own.colour,
        linewidths=0.9 * now().lines, zorder=3,
    )  # fmt: skip
    ax.set_xlabel(page.label("leverage"))
    ax.set_ylabel(page.label(ROW, "studentised residual"))
    ax.margins(0.1)
    largest = np.argsort(-cook, kind="stable")[:NAMED]
    names = ", ".join(f"{table.index[i]} ({cook[i]:.2g})" for i in largest)
    page.note(f"Area by Cook's distance; the largest: rows {names}.")
    worst = largest[0]
    describe(
        page.figure,
        f"Studentised residuals of {len(table)} rows over their leverages. The largest Cook's "
        f"distance is {cook[worst]:.3g}, of row {table.index[worst]}, whose residual is "
        f"{y[worst]:.2f} and leverage {x[worst]:.2f}.",
    )
    return np.asarray([ax])
