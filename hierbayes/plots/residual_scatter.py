"""Residuals against the fitted values or a variable of the model, with a line at zero."""

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

from hierbayes.checks.residuals import jittered, residual_table
from hierbayes.plots.alt_text import describe
from hierbayes.plots.labels import axis_label, bundled_unit
from hierbayes.plots.palette import look, reference
from hierbayes.plots.picture import picture
from hierbayes.plots.sheet import Options, Sheet, sheet
from hierbayes.plots.style import area_of_points
from hierbayes.results.fit import Fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT_MM, WIDE = 70.0, 0.8  # of the panel: height, and share of the width of the picture
AREA = 16.0
TIES = 2  # rows per distinct value from which points would cover each other


@picture
def residuals(
    fit: Fit,
    x: str | None = None,
    *,
    jitter: bool | None = None,
    random_seed: Any = 1,
    **options: Unpack[Options],
) -> "tuple[Any, Axes]":
    """Draw the residuals of a fit; a good picture is a level cloud around the dashed zero line.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
        Of a posterior, residuals are observed responses minus the posterior means of the expected.
    x : name of a variable or grouping factor of the model; the fitted values when not given
    jitter : move points sideways at random by at most a fifth of the distance between values, so
        that equal values don't cover each other; where values repeat, unless said
    random_seed : of the jitter

    Returns
    -------
    figure, axes
        A point a row, its residual upwards. ``labels`` are those of the variable, ``"residual"``
        and ``"fitted"``; ``order`` is that of the levels of a factor.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> figure, ax = hb.plot.residuals(fit, "Days")
    >>> ax.get_ylabel()
    'residual (ms)'
    """
    table = residual_table(fit, x)
    column = table["x"]
    with sheet(options, "residuals") as page:
        axes = page.axes(HEIGHT_MM)
        values = _places(axes, page, column)
        if jitter is None:
            jitter = values.size >= TIES * np.unique(values).size
        drawn = jittered(values, random_seed=random_seed) if jitter else values
        axes.axhline(0.0, **reference())
        wide = WIDE * page.width_mm
        area = area_of_points(len(table), AREA, wide_mm=wide, tall_mm=HEIGHT_MM)
        axes.scatter(drawn, table["residual"], alpha=0.7, **look("data").points(area))
        axes.set_xlabel(_x_label(fit, x, values if not _is_factor(column) else None, page))
        axes.set_ylabel(_with_unit(fit, "residual", page))
        low, high = table["residual"].min(), table["residual"].max()
        describe(
            axes,
            f"Residuals over {axes.get_xlabel()}, from {low:.3g} to {high:.3g}, with a dashed line "
            "at zero.",
        )
    return page.figure, axes


def _places(ax: "Axes", page: Sheet, column: "pd.Series[Any]") -> "np.ndarray[Any, Any]":
    """Return where rows stand; levels of a factor are named under the axis."""
    from matplotlib.ticker import MaxNLocator

    if _is_factor(column):
        levels = [str(level) for level in column.cat.categories]
        order = page.ordered(levels, usual="data")
        ax.set_xticks(range(len(levels)), [page.label(levels[i]) for i in order])
        place = np.argsort(order)
        return np.asarray(place[column.cat.codes], dtype=np.float64)
    values = np.asarray(column, dtype=np.float64)
    if (values == np.floor(values)).all():
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    return values


def _is_factor(column: "pd.Series[Any]") -> bool:
    return isinstance(column.dtype, pd.CategoricalDtype)


def _x_label(fit: Fit, x: str | None, values: Any, page: Sheet) -> str:
    if x is None:
        return _with_unit(fit, "fitted", page)
    return page.label(x, x if values is None else axis_label(x, values, data_name=fit.data_name))


def _with_unit(fit: Fit, name: str, page: Sheet) -> str:
    """Label of a quantity in units of the response."""
    unit = bundled_unit(fit.data_name, fit.design.formula.response_label, fit.design.y)
    word = {"fitted": "fitted value"}.get(name, name)
    return page.label(name, f"{word} ({unit})" if unit else word)
