"""Intervals of several kinds side by side: one row of axes a parameter, each with its own scale."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

from hierbayes.errors import OptionError
from hierbayes.plots.alt_text import describe
from hierbayes.plots.needed import intervals_for
from hierbayes.plots.palette import Look, look, reference
from hierbayes.plots.picture import picture
from hierbayes.plots.sheet import Options, sheet
from hierbayes.results.fit import Fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

LINE_MM, EDGE_MM = 3.4, 1.5  # height of an interval, and free above and below all
WIDE_MM, COLUMNS = 55.0, 1
# Marks of intervals of one estimator, in turn: marker, whether it is full, line style.
KINDS: tuple[tuple[str, bool, Any], ...] = (
    ("o", True, "-"),
    ("s", False, (0, (5, 1.5))),
    ("^", True, (0, (1.5, 1))),
    ("v", False, (0, (6, 1.5, 1.5, 1.5))),
    ("P", True, "-"),
)
ROOM = 0.06  # left free at both ends, as part of the range


@picture
def intervals(
    tables: Mapping[str, pd.DataFrame] | pd.DataFrame | Fit,
    *further: Fit,
    **options: Unpack[Options],
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw intervals of the same parameters by several methods.

    Parameters
    ----------
    tables : one or more fits, or tables of ``hb.confint``
        Fits: Wald and profile intervals of a likelihood fit, credible ones of a posterior, which
        are then made. One table, or what to call each kind -> table: index parameters, columns
        ``estimate lower upper``; a missing limit leaves the estimate alone.
    *further : more fits of the same model

    Returns
    -------
    figure, axes
        One axes a parameter, each with its own scale; those of the sds of random effects begin
        at zero. ``labels`` and ``order`` are those of the parameters.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> kinds = {"Wald": hb.confint(fit), "profile": hb.confint(fit, method="profile")}
    >>> figure, axes = hb.plot.intervals(kinds)
    >>> len(axes)
    3
    """
    found = _checked(intervals_for(tables, further))
    names = list(dict.fromkeys(str(name) for table in found.values() for name in table.index))
    tall = 2 * EDGE_MM + LINE_MM * len(found)
    with sheet(options, "intervals") as page:
        looks = _looks(found)
        order = page.ordered(names, usual="data")
        room = page.room_for(
            len(names), wide_mm=WIDE_MM, tall_mm=tall, most_columns=COLUMNS, around_mm=14.0
        )
        axes = page.grid(room.n, columns=room.columns, panel_mm=room.tall_mm)
        for ax, i in zip(axes, order, strict=False):
            _panel(ax, names[i], found, looks)
            ax.set_title(page.label(names[i]), loc="left", pad=2, fontsize="small")
        if room.n < len(names):
            page.note(f"{room.n} of {len(names)} parameters; a table of some rows has others.")
        page.legend()
        describe(page.figure, " ".join(_words(name, found) for name in names))
    return page.figure, np.asarray(axes)


def _checked(tables: Any) -> Mapping[str, pd.DataFrame]:
    if not isinstance(tables, Mapping) or not 1 <= len(tables) <= len(KINDS):
        raise OptionError(
            f"intervals takes fits, a table of hb.confint, or a dict of one to {len(KINDS)} of "
            'them, for example {"Wald": hb.confint(fit)}.'
        )
    for kind, table in tables.items():
        if not isinstance(table, pd.DataFrame) or not {"estimate", "lower", "upper"} <= set(table):
            raise OptionError(
                f"tables[{kind!r}] must be a table of hb.confint, with columns estimate, lower "
                "and upper."
            )
    return tables


def _looks(tables: Mapping[str, pd.DataFrame]) -> dict[str, Look]:
    """Return how each kind is drawn: in the colour of its estimator, marks in turn."""
    looks, drawn = {}, 0
    for kind, table in tables.items():
        if table.attrs.get("method") == "posterior":
            looks[kind] = look("posterior")
            continue
        role = "ml" if table.attrs.get("estimator") == "ml" else "reml"
        marker, is_full, linestyle = KINDS[drawn]
        drawn += 1
        looks[kind] = look("ml" if role == "ml" else "reml").as_kind(marker, is_full, linestyle)
    return looks


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


def _panel(
    ax: "Axes", name: str, tables: Mapping[str, pd.DataFrame], looks: Mapping[str, Look]
) -> None:
    from matplotlib.ticker import MaxNLocator

    seen = []
    for y, (kind, table) in enumerate(tables.items()):
        row: Any = table.loc[name] if name in table.index else None
        low, high, value = (
            float("nan") if row is None else float(row.loc[end])
            for end in ("lower", "upper", "estimate")
        )
        ax.plot([low, high], [-y, -y], **looks[kind].line())
        ax.plot([value], [-y], label=kind, **looks[kind].mark(5))
        seen += [v for v in (low, high, value) if np.isfinite(v)]
    low, high = (min(seen), max(seen)) if seen else (0.0, 1.0)
    room = ROOM * ((high - low) or abs(high) or 1.0)
    if name.startswith("sd_"):
        ax.axvline(0.0, **reference(linestyle="-"))
        low, room = 0.0, room or 1.0
        ax.set_xlim(-0.01 * high - 0.3 * room * (high == 0), high + room)
    else:
        ax.set_xlim(low - room, high + room)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    if name.startswith("sd_") and high == 0:
        ax.set_xticks([0.0])  # nothing else is known of it
    ax.set_ylim(-len(tables) + 0.4, 0.6)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="x", labelsize="small", pad=1.5, length=2.5)
