"""Predictions with their intervals in blocks: what the interval is of, and what is in it."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from hierbayes.render.blocks import Blocks, Paragraph, Printed
from hierbayes.reports.coefficients import MOST_DECIMALS, decimals_of, fixed_cell
from hierbayes.reports.frames import frame_table
from hierbayes.reports.result_table import result_table_blocks
from hierbayes.results.prediction_table import PREDICTION_COLUMNS, PredictionTable, heading_lines
from hierbayes.results.result_table import frame_lines

SE_DIGITS = 3  # significant digits of the typical standard error


def predictions_blocks(table: PredictionTable, whole: bool = False) -> Blocks:
    """Show the table below a line on its intervals; without it where columns were taken out."""
    frame = pd.DataFrame(table)
    if not _has_intervals(table):
        return result_table_blocks(table, whole=whole)
    decimals = _decimals(table)
    said = heading_lines(table)
    words = [Paragraph(line) for line in said]
    lines = partial(_printed, frame, f" {{:.{decimals}f}}".format)  # pandas separates by one blank
    rows = frame_table(frame, lambda values: [fixed_cell(v, decimals) for v in values], whole=whole)
    return (Printed(said, words), Printed(lines, rows, gap=False))


def _printed(frame: pd.DataFrame, write: Callable[[float], str]) -> list[str]:
    with pd.option_context("display.float_format", write):
        return frame_lines(frame)


def _has_intervals(table: PredictionTable) -> bool:
    return tuple(table.columns) == PREDICTION_COLUMNS and "includes" in table.attrs


def _decimals(table: PredictionTable) -> int:
    """Decimals that show the typical standard error with three digits."""
    se = table["se"].to_numpy()
    known = se[np.isfinite(se) & (se > 0)]
    if not known.size:
        return 1
    return decimals_of(float(np.median(known)), digits=SE_DIGITS, most=MOST_DECIMALS, least=0)
