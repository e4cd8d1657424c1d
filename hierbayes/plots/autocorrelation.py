"""Autocorrelations of residuals by lag, beside the bounds of independent residuals."""

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from hierbayes.checks.autocorrelation import autocorrelation as table_of
from hierbayes.errors import OptionError
from hierbayes.plots.alt_text import describe
from hierbayes.plots.palette import look, reference
from hierbayes.plots.picture import picture
from hierbayes.plots.sheet import Options, sheet
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.result_table import ResultTable
from hierbayes.wording import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT_MM = 60.0
AREA = 20.0
BAND = 0.6  # opacity


@picture
def autocorrelation(
    given: LikelihoodFit | ResultTable, series: str | None = None, **options: Unpack[Options]
) -> "tuple[Any, Axes]":
    """Draw autocorrelations of the residuals by lag; in the band are those of independent ones.

    Parameters
    ----------
    given : LikelihoodFit, or the table of ``hb.autocorrelation``
        Of a fit its normalised residuals, which are independent where the model holds.
    series : str, optional
        As of ``hb.autocorrelation``, for a fit.

    Returns
    -------
    figure, axes
        A stem a lag from 1. ``labels`` are those of ``"lag"`` and ``"autocorrelation"``.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
    >>> figure, ax = hb.plot.autocorrelation(fit, "Days | Subject")
    >>> ax.get_xlabel()
    'lag'
    """
    from matplotlib.ticker import MaxNLocator

    if isinstance(given, LikelihoodFit):
        given = table_of(given, series)
    elif not isinstance(given, ResultTable) or given.origin != "autocorrelation":
        raise OptionError(
            "plot.autocorrelation takes a fit or the table of hb.autocorrelation(fit); it got "
            f"{shown(given)}."
        )
    elif series is not None:
        raise OptionError("series= is for a fit; the table that was given has its series.")
    later = given.iloc[1:]
    lag, found = later.index.to_numpy(), later["autocorrelation"].to_numpy(dtype=np.float64)
    lower, upper = (later[name].to_numpy(dtype=np.float64) for name in ("lower", "upper"))
    own = look("data")
    with sheet(options, "autocorrelation") as page:
        axes = page.axes(HEIGHT_MM)
        edges = np.concatenate([[lag[0] - 0.5], lag + 0.5])
        both = np.repeat(edges, 2)[1:-1]
        low, high = np.repeat(lower, 2), np.repeat(upper, 2)
        axes.fill_between(both, low, high, color=own.band, alpha=BAND, linewidth=0)
        axes.axhline(0.0, **reference())
        axes.vlines(lag, 0.0, found, color=own.colour, linewidth=own.linewidth)
        axes.scatter(lag, found, **own.points(AREA))
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        axes.set_xlim(edges[0], edges[-1])
        axes.set_xlabel(page.label("lag"))
        words = {"normalized": "normalised", "pearson": "standardised", "response": "raw"}
        kind = words[given.attrs["kind"]]
        axes.set_ylabel(page.label("autocorrelation", f"autocorrelation of {kind} residuals"))
        outside = int((np.abs(found) > upper).sum())
        describe(
            axes,
            f"Autocorrelations of {kind} residuals at lags {lag[0]} to {lag[-1]}, from "
            f"{np.nanmin(found):.2g} to {np.nanmax(found):.2g}; {outside} outside of the "
            f"{100 * given.attrs['level']:g} % bounds of independent residuals.",
        )
    return page.figure, axes
