"""Power over the size of a design, from a table of simulations."""

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

from hierbayes.errors import OptionError
from hierbayes.plots.alt_text import describe
from hierbayes.plots.curves import Curve, draw_curve, key
from hierbayes.plots.palette import look, reference
from hierbayes.plots.picture import picture
from hierbayes.plots.series import MOST, series
from hierbayes.plots.sheet import Options, sheet
from hierbayes.prediction.reference_grid import level_label
from hierbayes.wording import did_you_mean, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

ONE_MM, ONE_NARROW_MM = 75.0, 54.0
LIMITS = (("lower", "upper"), ("conf_low", "conf_high"))


@picture
def power(
    table: pd.DataFrame,
    x: str | None = None,
    by: str | None = None,
    *,
    target: float | None = 0.8,
    **options: Unpack[Options],
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw the power of a design over its size.

    Parameters
    ----------
    table : one row a design: columns of its sizes, ``power``, and ``lower`` and ``upper`` (or
        ``conf_low``, ``conf_high``), the limits of what simulations leave open
    x : the size along the axis, the first column unless said
    by : a further column whose values have a curve each; the second size unless said
    target : power that is wanted, a dashed line; None for none

    Returns
    -------
    figure, axes

    Raises
    ------
    OptionError
        If the table has no such columns, or several rows at one size.

    Examples
    --------
    >>> import pandas as pd, hierbayes as hb
    >>> table = pd.DataFrame({"subjects": [10, 20, 40], "power": [0.3, 0.55, 0.85],
    ...     "lower": [0.25, 0.5, 0.8], "upper": [0.35, 0.6, 0.9]})
    >>> figure, axes = hb.plot.power(table)
    >>> axes[0].get_xlabel()
    'subjects'
    """
    sizes, limits = _columns(table)
    x = _known(sizes, "x", x) or sizes[0]
    left = [name for name in sizes if name != x and table[name].nunique() > 1]
    by = _known(sizes, "by", by) or next(iter(left), None)
    if table.duplicated([x, *([by] if by else [])]).any():
        raise OptionError(f"The table has several rows at the same {x}; take those of one design.")
    if target is not None and not 0 < target < 1:
        raise OptionError(f"target={shown(target)} must be a probability between 0 and 1.")
    names = [] if by is None else [level_label(v) for v in dict.fromkeys(table[by])]
    if len(names) > MOST:
        raise OptionError(f"by={by!r} has {len(names)} values; draw at most {MOST}.")
    with sheet(options, "power") as page:
        ax = page.axes(ONE_NARROW_MM if page.is_narrow else ONE_MM)
        if target is not None:
            ax.axhline(target, **reference())
        looks = series([page.label(name) for name in names]) if names else [look("data")]
        parts = list(table.groupby(by, sort=False)) if by else [("", table)]
        for (_, given), own in zip(parts, looks, strict=True):
            rows = given.sort_values(x)
            place, value, low, high = (
                rows[name].to_numpy(dtype=np.float64) for name in (x, "power", *limits)
            )
            curve = Curve(x=place, y=value, low=low, high=high, look=own)
            draw_curve(ax, curve, is_number=True)
            ax.plot(place, value, **own.mark(5.0, zorder=6))
        ax.set_ylim(0.0, 1.02)
        ax.set_xlabel(page.label(x))
        ax.set_ylabel(page.label("power"))
        if by is not None:
            words = [f"{page.label(by)}: {own.name}" for own in looks]
            page.legend([key(own, is_number=False) for own in looks], words)
        describe(ax, _words(table, x, by, target))
    return page.figure, np.asarray([ax])


def _columns(table: Any) -> tuple[list[str], tuple[str, str]]:
    """Return the columns of sizes, and those of limits."""
    if isinstance(table, pd.DataFrame) and "power" in table:
        for limits in LIMITS:
            if set(limits) <= set(table.columns):
                others = [str(name) for name in table.columns if name not in ("power", *limits)]
                sizes = [name for name in others if pd.api.types.is_numeric_dtype(table[name])]
                if sizes:
                    return sizes, limits
    raise OptionError(
        "plot.power draws a table with the sizes of designs, power, and lower and upper; it got "
        f"{shown(table)}."
    )


def _known(sizes: list[str], argument: str, name: str | None) -> str | None:
    if name is not None and name not in sizes:
        hint = did_you_mean(str(name), sizes)
        raise OptionError(f"{argument}={shown(name)} is no size of the table{hint}")
    return name


def _words(table: pd.DataFrame, x: str, by: str | None, target: float | None) -> str:
    rows = table.sort_values(x)
    first, last = rows.iloc[0], rows.iloc[-1]
    text = (
        f"Power over {x}: {first['power']:.2f} at {first[x]:g}, {last['power']:.2f} at {last[x]:g}."
    )
    if target is None:
        return text
    enough = rows[rows["power"] >= target]
    if enough.empty:
        return f"{text} {target:g} is reached nowhere."
    return f"{text} {target:g} is reached from {enough.iloc[0][x]:g} on."
