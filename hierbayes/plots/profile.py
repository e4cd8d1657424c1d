"""Likelihood profiles: zeta over the value of each parameter, or the density it implies."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import ndtri

import hierbayes.plots.style as style
from hierbayes.errors import OptionError
from hierbayes.options import check_option
from hierbayes.plots.alt_text import describe
from hierbayes.plots.labels import broken
from hierbayes.plots.picture import picture
from hierbayes.results.profile_result import ProfileResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Kind = Literal["zeta", "density"]
COLUMNS, NARROW_COLUMNS = 3, 2
PANEL_MM, FRAME_MM = 46.0, 14.0
LONG = 16  # letters of a name that stand on one line
SHARE = 0.8  # of the width of a panel with its frame, for its title
TICKS = 4  # intervals between the numbers of a panel at most
LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)


@picture
def profile(
    result: ProfileResult,
    kind: Kind = "zeta",
    *,
    figure: "Figure | SubFigure | None" = None,
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw the profiles of ``hb.profile``.

    Parameters
    ----------
    result : ProfileResult
    kind : {"zeta", "density"}
        "zeta": the signed root of the rise of the deviance; a straight line means that a Wald
        interval is right. Bars are the 50, 80, 90, 95 and 99 % intervals it reaches. "density":
        the density whose distribution function is that of zeta, read as a normal score.
    figure : a matplotlib figure to draw into

    Returns
    -------
    figure, axes
        One axes a parameter, in the order of ``result.to_frame()``.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> figure, axes = hb.plot.profile(hb.profile(fit))
    >>> len(axes)
    3
    """
    if not isinstance(result, ProfileResult):
        raise OptionError(
            f"plot.profile draws what hb.profile(fit) returns; it got {type(result).__name__}."
        )
    from matplotlib.ticker import MaxNLocator

    check_option("kind", kind, Kind)
    n = len(result.names)
    most = NARROW_COLUMNS if style.is_narrow(figure) or n == NARROW_COLUMNS**2 else COLUMNS
    n_columns = min(most, n)
    n_rows = -(-n // n_columns)
    frame = result.to_frame()
    with style.drawing(figure):
        drawn = style.any_figure(
            figure, width_mm=style.WIDTH_MM, height_mm=FRAME_MM + PANEL_MM * n_rows
        )
        axes = drawn.subplots(n_rows, n_columns, squeeze=False).ravel()
        room = SHARE * style.width_of(drawn) / n_columns
        for ax, name in zip(axes, result.names, strict=False):
            rows = frame.loc[frame["parameter"] == name]
            value, zeta = rows["value"].to_numpy(), rows["zeta"].to_numpy()
            if kind == "zeta":
                _zeta(ax, value, zeta)
            else:
                _density(ax, value, zeta)
            ax.xaxis.set_major_locator(MaxNLocator(TICKS))
            ax.set_title(_lines(name, room), fontsize="small")
        for ax in axes[n:]:
            ax.remove()
        drawn.supylabel("zeta" if kind == "zeta" else "density implied by the profile")
    describe(drawn, _words(result, kind))
    return drawn, np.asarray(axes[:n])


def _words(result: ProfileResult, kind: Kind) -> str:
    """Say what is drawn, and where the estimates are."""
    what = "Signed roots of the rise of the deviance" if kind == "zeta" else "Implied densities"
    parts = [
        f"{name} {value:.4g}" for name, value in zip(result.names, result.estimates, strict=True)
    ]
    return f"{what} of {len(parts)} parameters, a panel each, with estimates {', '.join(parts)}."


def _lines(name: str, room: float) -> str:
    """Break a long name before its grouping factor."""
    head, bar, tail = name.partition("|")
    lines = [head, f"| {tail}"] if bar and len(name) > LONG else [name]
    size = style.letter_size("small")
    return "\n".join(broken(line, width_mm=room, points=size) for line in lines)


def _zeta(ax: "Axes", value: Any, zeta: Any) -> None:
    ax.axhline(0.0, **style.REFERENCE)
    for level in LEVELS:
        cut = float(ndtri((1 + level) / 2))
        ends = [np.interp(sign * cut, zeta, value, left=np.nan, right=np.nan) for sign in (-1, 1)]
        for sign, end in zip((-1, 1), ends, strict=True):
            if np.isfinite(end):
                ax.plot([end, end], [0.0, sign * cut], color=style.SOFT, linewidth=0.9)
        if np.isfinite(ends).all():
            for sign in (-1, 1):
                ax.plot(ends, [sign * cut, sign * cut], color=style.BAND, linewidth=0.7, zorder=0)
    ax.plot(value, zeta, **style.LINE)


def _density(ax: "Axes", value: Any, zeta: Any) -> None:
    from scipy.interpolate import CubicSpline

    curve = CubicSpline(value, zeta)
    grid = np.linspace(value[0], value[-1], 200)
    height = np.exp(-0.5 * curve(grid) ** 2) / np.sqrt(2 * np.pi) * curve(grid, 1)
    ax.plot(grid, height, **style.LINE)
    ax.set_ylim(bottom=0.0)
    ax.set_yticks([])
