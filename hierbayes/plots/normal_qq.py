"""Quantiles of the residuals against those of a normal distribution."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hierbayes.checks.residuals import normal_quantiles, residual_table
from hierbayes.plots.alt_text import describe
from hierbayes.plots.labels import bundled_unit
from hierbayes.plots.picture import picture
from hierbayes.plots.style import POINT, REFERENCE, drawing, figure_of
from hierbayes.results.likelihood_fit import LikelihoodFit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_MM, HEIGHT_MM = 120.0, 90.0
POINT_SIZE = 16.0


@picture
def qq(
    fit: LikelihoodFit, *, labels: Mapping[str, str] | None = None, ax: "Axes | None" = None
) -> "tuple[Any, Axes]":
    """Draw a normal QQ plot of the residuals; points of normal residuals follow the dashed line.

    Parameters
    ----------
    fit : LikelihoodFit
    labels : axis labels ``"theoretical"`` and ``"sample"``, in place of ours
    ax : matplotlib axes to draw into

    Returns
    -------
    figure, axes
        A point a residual, and the line through the quartiles.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> figure, ax = hb.plot.qq(fit)
    >>> ax.get_xlabel()
    'standard normal quantile'
    """
    found = normal_quantiles(residual_table(fit)["residual"].to_numpy(dtype=np.float64))
    unit = bundled_unit(fit.data_name, fit.design.formula.response_label, fit.design.y)
    ours = {
        "theoretical": "standard normal quantile",
        "sample": f"residual quantile ({unit})" if unit else "residual quantile",
    } | dict(labels or {})
    with drawing(ax):
        figure, axes = figure_of(ax, width_mm=WIDTH_MM, height_mm=HEIGHT_MM)
        axes.axline((0.0, found.intercept), slope=found.slope, **REFERENCE)
        axes.scatter(found.theoretical, found.sample, s=POINT_SIZE, alpha=0.7, **POINT)
        axes.set_xlabel(ours["theoretical"])
        axes.set_ylabel(ours["sample"])
        describe(
            axes,
            f"Normal QQ plot of {found.sample.size} residuals: from {found.sample.min():.3g} to "
            f"{found.sample.max():.3g}; normal ones would lie between "
            f"{found.intercept + found.slope * found.theoretical.min():.3g} and "
            f"{found.intercept + found.slope * found.theoretical.max():.3g}.",
        )
    return figure, axes
