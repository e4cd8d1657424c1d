"""Intervals of several kinds side by side: one row of axes a parameter, each with its own scale."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hierbayes.errors import OptionError
from hierbayes.plots.alt_text import describe
from hierbayes.plots.picture import picture
from hierbayes.plots.style import INK, SOFT, WIDTH_MM, any_figure, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

LINE_MM, PANEL_MM, FRAME_MM = 3.6, 9.0, 14.0
# of the kinds in turn: marker, its face, line style
MARKS = (
    ("o", INK, "-"),
    ("s", "white", "-"),
    ("D", SOFT, (0, (4, 1.5))),
    ("^", "white", (0, (1.5, 1))),
    ("v", INK, "-"),
)
ROOM = 0.06  # left free at both ends, as part of the range


@picture
def intervals(
    tables: Mapping[str, pd.DataFrame],
    *,
    figure: "Figure | SubFigure | None" = None,
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw intervals of the same parameters by several methods.

    Parameters
    ----------
    tables : what to call each kind -> table of ``hb.confint``: index parameters, columns
        ``estimate lower upper``; a missing limit leaves the estimate alone
    figure : a matplotlib figure to draw into

    Returns
    -------
    figure, axes
        One axes a parameter, each with its own scale; those of the sds of random effects begin
        at zero.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> kinds = {"Wald": hb.confint(fit), "profile": hb.confint(fit, method="profile")}
    >>> figure, axes = hb.plot.intervals(kinds)
    >>> len(axes)
    3
    """
    if not isinstance(tables, Mapping) or not 1 <= len(tables) <= len(MARKS):
        raise OptionError(
            f"intervals takes a dict of one to {len(MARKS)} tables of hb.confint, for example "
            '{"Wald": hb.confint(fit)}.'
        )
    for kind, table in tables.items():
        if not isinstance(table, pd.DataFrame) or not {"estimate", "lower", "upper"} <= set(table):
            raise OptionError(
                f"tables[{kind!r}] must be a table of hb.confint, with columns estimate, lower "
                "and upper."
            )
    names = list(dict.fromkeys(str(name) for table in tables.values() for name in table.index))
    height = FRAME_MM + len(names) * (PANEL_MM + LINE_MM * len(tables))
    with drawing(figure):
        drawn = any_figure(figure, width_mm=WIDTH_MM, height_mm=height)
        axes = drawn.subplots(len(names), 1, squeeze=False).ravel()
        for ax, name in zip(axes, names, strict=True):
            _panel(ax, name, tables)
        handles, labels = axes[0].get_legend_handles_labels()
        drawn.legend(
            handles,
            labels,
            loc="outside upper center",
            ncols=len(tables),
            columnspacing=1.2,
            frameon=False,
        )
    describe(drawn, " ".join(_words(name, tables) for name in names))
    return drawn, np.asarray(axes)


def _words(name: str, tables: Mapping[str, pd.DataFrame]) -> str:
    """Say the intervals of one parameter in words."""
    parts = []
    for kind, table in tables.items():
        if name in table.index:
            row: Any = table.loc[name]
            ends = f" ({row['lower']:.3g} to {row['upper']:.3g})" * bool(
                np.isfinite([row["lower"], row["upper"]]).all()
            )
            parts.append(f"{kind} {row['estimate']:.4g}{ends}")
    return f"{name}: {', '.join(parts)}."


def _panel(ax: "Axes", name: str, tables: Mapping[str, pd.DataFrame]) -> None:
    seen = []
    for y, (kind, table) in enumerate(tables.items()):
        marker, face, style = MARKS[y]
        row: Any = table.loc[name] if name in table.index else None
        low, high, value = (
            float("nan") if row is None else float(row.loc[end])
            for end in ("lower", "upper", "estimate")
        )
        ax.plot([low, high], [-y, -y], color=SOFT, linestyle=style, linewidth=1.6)
        ax.plot(
            [value],
            [-y],
            marker,
            markersize=5,
            markerfacecolor=face,
            markeredgecolor=INK,
            label=kind,
            linestyle="none",
        )
        seen += [v for v in (low, high, value) if np.isfinite(v)]
    low, high = (min(seen), max(seen)) if seen else (0.0, 1.0)
    room = ROOM * ((high - low) or abs(high) or 1.0)
    if name.startswith("sd_"):
        ax.axvline(0.0, color=INK, linewidth=1.0)
        ax.set_xlim(-0.01 * high, high + room)
    else:
        ax.set_xlim(low - room, high + room)
    ax.set_ylim(-len(tables) + 0.4, 0.6)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_title(name, loc="left", pad=2, fontsize="medium")
