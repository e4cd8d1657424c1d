"""Likelihood profiles: zeta over the value of each parameter, or the density it implies."""

from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np
from scipy.special import ndtri

from hierbayes.options import check_option
from hierbayes.plots.alt_text import describe
from hierbayes.plots.needed import profile_for
from hierbayes.plots.palette import look, now, reference
from hierbayes.plots.picture import picture
from hierbayes.plots.sheet import Options, sheet
from hierbayes.results.fit import Fit
from hierbayes.results.profile_result import ProfileResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Kind = Literal["zeta", "density"]
WIDE_MM, TALL_MM = 38.0, 34.0  # of a panel
COLUMNS = 5
TICKS = 4  # intervals between the numbers of a panel at most
LEVELS = (0.5, 0.8, 0.95, 0.99)
CLEAR = 1.04  # of an axis, where the level of a bar is written beside it


@picture
def profile(
    result: ProfileResult | Fit,
    kind: Kind = "zeta",
    **options: Unpack[Options],
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw the profiles of ``hb.profile``.

    Parameters
    ----------
    result : ProfileResult, or a fit, which is then profiled
    kind : {"zeta", "density"}
        "zeta": the signed root of the rise of the deviance; a straight line means that a Wald
        interval is right. Bars are the 50, 80, 95 and 99 % intervals it reaches. "density":
        the density whose distribution function is that of zeta, read as a normal score.

    Returns
    -------
    figure, axes
        One axes a parameter, in the order of ``result.to_frame()``. ``labels`` are those of the
        parameters.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> figure, axes = hb.plot.profile(fit)
    >>> len(axes)
    3
    """
    from matplotlib.ticker import MaxNLocator

    check_option("kind", kind, Kind)
    found = profile_for(result, "profile")
    frame = found.to_frame()
    is_zeta = kind == "zeta"
    with sheet(options, "profile") as page:
        order = page.ordered(found.names, usual="data")
        room = page.room_for(len(order), wide_mm=WIDE_MM, tall_mm=TALL_MM, most_columns=COLUMNS)
        axes = page.grid(
            room.n, columns=room.columns, panel_mm=room.tall_mm, sharey="all" if is_zeta else "none"
        )
        for ax, i in zip(axes, order, strict=False):
            rows = frame.loc[frame["parameter"] == found.names[i]]
            draw = _zeta if is_zeta else _density
            draw(ax, rows["value"].to_numpy(), rows["zeta"].to_numpy())
            ax.xaxis.set_major_locator(MaxNLocator(TICKS))
            ax.set_title(page.label(found.names[i]), fontsize="small")
        if is_zeta:
            for ax in {*axes[room.columns - 1 :: room.columns], axes[-1]}:
                _name_levels(ax)
        if room.n < len(order):
            page.note(f"{room.n} of {len(order)} parameters; hb.profile(fit, names) takes others.")
        page.figure.supylabel("zeta" if is_zeta else "density implied by the profile")
        describe(page.figure, _words(found, kind))
    return page.figure, np.asarray(axes)


def _words(result: ProfileResult, kind: Kind) -> str:
    """Say what is drawn, and where the estimates are."""
    what = "Signed roots of the rise of the deviance" if kind == "zeta" else "Implied densities"
    parts = [
        f"{name} {value:.4g}" for name, value in zip(result.names, result.estimates, strict=True)
    ]
    return f"{what} of {len(parts)} parameters, a panel each, with estimates {', '.join(parts)}."


def _cut(level: float) -> float:
    return float(ndtri((1 + level) / 2))


def _zeta(ax: "Axes", value: Any, zeta: Any) -> None:
    ax.axhline(0.0, **reference())
    for level in LEVELS:
        cut = _cut(level)
        ends = [np.interp(sign * cut, zeta, value, left=np.nan, right=np.nan) for sign in (-1, 1)]
        for sign, end in zip((-1, 1), ends, strict=True):
            if np.isfinite(end):
                ax.plot([end, end], [0.0, sign * cut], color=now().soft, linewidth=0.9)
        if np.isfinite(ends).all():
            for sign in (-1, 1):
                ax.plot(ends, [sign * cut, sign * cut], color=now().band, linewidth=0.7, zorder=0)
    ax.plot(value, zeta, **look("ml").line(linestyle="-"))


def _name_levels(ax: "Axes") -> None:
    """Write the levels of the bars beside them, at the right."""
    low, high = ax.get_ylim()
    for level in LEVELS:
        if _cut(level) < high:
            ax.text(
                CLEAR,
                _cut(level),
                f"{100 * level:g} %",
                transform=ax.get_yaxis_transform(),
                va="center",
                fontsize="x-small",
                color=now().soft,
            )
    ax.set_ylim(low, high)


def _density(ax: "Axes", value: Any, zeta: Any) -> None:
    from scipy.interpolate import CubicSpline

    curve = CubicSpline(value, zeta)
    grid = np.linspace(value[0], value[-1], 200)
    height = np.exp(-0.5 * curve(grid) ** 2) / np.sqrt(2 * np.pi) * curve(grid, 1)
    ax.fill_between(grid, height, **look("ml").filled())
    ax.plot(grid, height, **look("ml").line(linestyle="-"))
    ax.set_ylim(bottom=0.0)
    ax.set_yticks([])
