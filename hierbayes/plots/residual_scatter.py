"""Residuals against the fitted values or a variable of the model, with a line at zero."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hierbayes.checks.residuals import jittered, residual_table
from hierbayes.plots.alt_text import describe
from hierbayes.plots.labels import axis_label, bundled_unit
from hierbayes.plots.picture import picture
from hierbayes.plots.style import POINT, REFERENCE, drawing, figure_of
from hierbayes.results.likelihood_fit import LikelihoodFit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.ticker import MaxNLocator

WIDTH_MM, HEIGHT_MM = 120.0, 90.0
POINT_SIZE = 16.0
MOST_NAMES = 30  # levels named under the axis
LETTERS_IN_A_ROW = 30
TIES = 2  # rows per distinct value from which points would cover each other


@picture
def residuals(
    fit: LikelihoodFit,
    x: str | None = None,
    *,
    jitter: bool | None = None,
    random_seed: Any = 1,
    labels: Mapping[str, str] | None = None,
    ax: "Axes | None" = None,
) -> "tuple[Any, Axes]":
    """Draw the residuals of a fit; a good picture is a level cloud around the dashed zero line.

    Parameters
    ----------
    fit : LikelihoodFit
    x : name of a variable of the model; the fitted values when not given
    jitter : move points sideways at random by at most a fifth of the distance between values, so
        that equal values don't cover each other; where values repeat, unless said
    random_seed : of the jitter
    labels : axis labels by column, in place of ours; ``"residual"`` and ``"fitted"`` too
    ax : matplotlib axes to draw into

    Returns
    -------
    figure, axes
        A point a row, its residual upwards.

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
    levels = list(column.cat.categories) if _is_factor(column) else None
    position = column.cat.codes if levels is not None else column
    values = np.asarray(position, dtype=np.float64)
    if jitter is None:
        jitter = values.size >= TIES * np.unique(values).size
    drawn = jittered(values, random_seed=random_seed) if jitter else values
    with drawing(ax):
        figure, axes = figure_of(ax, width_mm=WIDTH_MM, height_mm=HEIGHT_MM)
        axes.axhline(0.0, **REFERENCE)
        axes.scatter(drawn, table["residual"], s=POINT_SIZE, alpha=0.7, **POINT)
        if levels is not None:
            _name_levels(axes, [str(level) for level in levels])
        elif (values == np.floor(values)).all():
            axes.xaxis.set_major_locator(_whole_numbers())
        axes.set_xlabel(_x_label(fit, x, values if levels is None else None, labels))
        axes.set_ylabel(_with_unit(fit, "residual", labels))
        low, high = table["residual"].min(), table["residual"].max()
        describe(
            axes,
            f"Residuals over {axes.get_xlabel()}, from {low:.3g} to {high:.3g}, with a dashed line "
            "at zero.",
        )
    return figure, axes


def _is_factor(column: "pd.Series[Any]") -> bool:
    return isinstance(column.dtype, pd.CategoricalDtype)


def _whole_numbers() -> "MaxNLocator":
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator("auto", integer=True)


def _name_levels(ax: "Axes", levels: list[str]) -> None:
    """Name levels under the axis: upright where they are many, not all where they are too many."""
    step = -(-len(levels) // MOST_NAMES)
    upright = sum(map(len, levels)) > LETTERS_IN_A_ROW
    ax.set_xticks(range(0, len(levels), step), levels[::step], rotation=90 if upright else 0)


def _x_label(
    fit: LikelihoodFit, x: str | None, values: Any, labels: Mapping[str, str] | None
) -> str:
    if x is None:
        return _with_unit(fit, "fitted", labels)
    if values is None:
        return (labels or {}).get(x, x)
    return axis_label(x, values, data_name=fit.data_name, labels=labels)


def _with_unit(fit: LikelihoodFit, name: str, labels: Mapping[str, str] | None) -> str:
    """Label of a quantity in units of the response."""
    if labels is not None and name in labels:
        return labels[name]
    unit = bundled_unit(fit.data_name, fit.design.formula.response_label, fit.design.y)
    word = {"fitted": "fitted value"}.get(name, name)
    return f"{word} ({unit})" if unit else word
