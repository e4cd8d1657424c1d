"""Quantiles of the residuals against those of a normal distribution."""

from typing import TYPE_CHECKING, Any, Unpack

from hierbayes.checks.residuals import (
    NORMALISED,
    check_fit,
    normal_quantiles,
    residual_word,
    standard_residuals,
)
from hierbayes.plots.alt_text import describe
from hierbayes.plots.labels import bundled_unit
from hierbayes.plots.palette import look, reference
from hierbayes.plots.picture import picture
from hierbayes.plots.sheet import Options, sheet
from hierbayes.results.fit import Fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT_MM = 70.0
AREA = 16.0


@picture
def qq(fit: Fit, **options: Unpack[Options]) -> "tuple[Any, Axes]":
    """Draw a normal QQ plot of the residuals; points of normal residuals follow the dashed line.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
        Of a posterior, residuals are posterior means. Where they are correlated or of unequal
        variance by the model, those of a REML or ML fit are normalised by it.

    Returns
    -------
    figure, axes
        A point a residual, and the line through the quartiles. ``labels`` are those of
        ``"theoretical"`` and ``"sample"``.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> figure, ax = hb.plot.qq(fit)
    >>> ax.get_xlabel()
    'standard normal quantile'
    """
    check_fit(fit)
    found, word = normal_quantiles(standard_residuals(fit)), residual_word(fit)
    unit = ""
    if word != NORMALISED:
        unit = bundled_unit(fit.data_name, fit.design.formula.response_label, fit.design.y)
    with sheet(options, "qq") as page:
        axes = page.axes(HEIGHT_MM)
        axes.axline((0.0, found.intercept), slope=found.slope, **reference())
        axes.scatter(found.theoretical, found.sample, alpha=0.7, **look("data").points(AREA))
        axes.set_xlabel(page.label("theoretical", "standard normal quantile"))
        ours = f"{word} quantile ({unit})" if unit else f"{word} quantile"
        axes.set_ylabel(page.label("sample", ours))
        describe(
            axes,
            f"Normal QQ plot of {found.sample.size} {word}s: from {found.sample.min():.3g} to "
            f"{found.sample.max():.3g}; normal ones would lie between "
            f"{found.intercept + found.slope * found.theoretical.min():.3g} and "
            f"{found.intercept + found.slope * found.theoretical.max():.3g}.",
        )
    return page.figure, axes
