"""Inclusion Bayes factors of terms on a log scale."""

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from hierbayes.plots.alt_text import describe
from hierbayes.plots.palette import look, now, reference
from hierbayes.plots.sheet import Options, sheet
from hierbayes.results.comparison import Inclusion

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW_MM, LEAST_MM = 7.0, 25.0
ERRORS = 2.0  # Monte-Carlo errors around a factor


def inclusion_picture(found: Inclusion, **options: Unpack[Options]) -> "tuple[Any, Axes]":
    """Draw the log Bayes factor of each term, with its Monte-Carlo error.

    Parameters
    ----------
    found : Inclusion
    **options : of every picture

    Returns
    -------
    figure, axes
    """
    table = found.table[found.table["log_bf"].notna()]
    with sheet(options, "inclusion") as page:
        ax = page.axes(max(ROW_MM * len(table), LEAST_MM))
        names = [str(name) for name in table.index]
        values, mcse = (
            table[name].to_numpy(dtype=np.float64) for name in ("log_bf", "log_bf_mcse")
        )
        order = np.array(page.ordered(names, values, usual="data")[::-1], dtype=np.intp)
        places = np.arange(order.size)
        style = look("posterior")
        far = ERRORS * mcse[order]
        ax.hlines(
            places, values[order] - far, values[order] + far, color=style.colour,
            linewidth=1.3 * now().lines,
        )  # fmt: skip
        ax.plot(values[order], places, **style.mark(6.0))
        ax.axvline(0.0, **reference())
        ax.set_yticks(places, [page.label(names[i]) for i in order])
        ax.set_ylim(-0.6, order.size - 0.4)
        ax.set_xlabel("log inclusion Bayes factor")
        pairs = zip(names, values, strict=True)
        words = ", ".join(f"{name} {value:.2f}" for name, value in pairs)
        describe(page.figure, f"Log inclusion Bayes factors: {words}.")
    return page.figure, ax
