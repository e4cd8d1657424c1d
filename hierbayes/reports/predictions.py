"""Predictions with their intervals as text and HTML: what the interval is of, and what is in it."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from hierbayes.render.html_page import escape, fragment
from hierbayes.results.prediction_table import PREDICTION_COLUMNS, PredictionTable, heading_lines

SE_DIGITS = 3  # significant digits of the typical standard error
MAX_ROWS = 60  # of an HTML table, as pandas' own


def predictions_text(table: PredictionTable) -> str:
    """Write the table below a line on its intervals; without it where columns were taken out."""
    if not _has_intervals(table):
        return repr(pd.DataFrame(table))
    with pd.option_context("display.float_format", _format(table)):
        return "\n".join([*heading_lines(table), repr(pd.DataFrame(table))])


def predictions_html(table: PredictionTable) -> str:
    """Show the table below a line on its intervals."""
    shown = pd.DataFrame(table).to_html
    if not _has_intervals(table):
        return shown(max_rows=MAX_ROWS, show_dimensions=True)
    body = shown(float_format=_format(table), max_rows=MAX_ROWS, show_dimensions=True)
    return fragment(*(f"<p>{escape(line)}</p>" for line in heading_lines(table)), body)


def _has_intervals(table: PredictionTable) -> bool:
    return tuple(table.columns) == PREDICTION_COLUMNS and "includes" in table.attrs


def _format(table: PredictionTable) -> Callable[[float], str]:
    """Return how a number is written: the typical standard error with three digits."""
    se = table["se"].to_numpy()
    known = se[np.isfinite(se) & (se > 0)]
    decimals = 1
    if known.size:
        decimals = max(0, SE_DIGITS - 1 - math.floor(math.log10(np.median(known))))
    return f" {{:.{decimals}f}}".format  # pandas puts one space between columns
