"""Random effects and coefficients of every level in blocks, as lme4 and R print them."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.formula.deparse import name_text
from hierbayes.render import blocks as kinds
from hierbayes.render.layout import matrix_lines
from hierbayes.render.numbers import PRINT_DIGITS, format_common
from hierbayes.reports.coefficients import MOST_DECIMALS, decimals_of, fixed_cell
from hierbayes.results.level_tables import LevelTables

TITLES = {
    "ranef": "Random effects",
    "ranef_sd": "Conditional sds of the random effects",
    "coef": "Coefficients",
}
ERROR_DIGITS = 3  # significant digits of the typical sd on a page
ROWS_SHOWN = 1000  # a notebook with more rows of a table gets slow


def level_tables_blocks(tables: LevelTables) -> kinds.Blocks:
    """Show random effects, their sds, or coefficients of every level, by their kind.

    The terminal has lme4's ``print(ranef(fit))`` or R's ``print(coef(fit))`` without its class
    line; a page the conditional sds beside the estimates.
    """
    return (kinds.Printed(partial(_lines, tables), partial(_page, tables)),)


def _lines(tables: LevelTables) -> list[str]:
    lines = []
    for name, frame in tables.items():
        labels = [str(label) for label in frame.index]
        names = [str(column) for column in frame.columns]
        lines += [f"${name_text(name)}", *matrix_lines(frame_cells(frame), labels, names), ""]
    if tables.kind == "ranef" and tables.has_sds:
        quoted = " ".join(f"\u201c{name}\u201d" for name in tables)
        return [*lines, f"with conditional variances for {quoted} "]
    return lines[:-1]


def _page(tables: LevelTables) -> list[kinds.Block]:
    """One table a grouping factor, its first rows; each estimate with its sd beside it."""
    blocks: list[kinds.Block] = []
    sds = tables.sds
    for name, frame in tables.items():
        shown = frame.head(ROWS_SHOWN)
        beside = None if sds is None else sds[name].head(ROWS_SHOWN)
        columns: list[kinds.Column] = []
        for j, column in enumerate(shown.columns):
            values, errors = shown.iloc[:, j], None if beside is None else beside.iloc[:, j]
            places = _decimals(values if errors is None else errors)
            columns.append((str(column), [fixed_cell(float(v), places) for v in values]))
            if errors is not None:
                columns.append(("(sd)", [fixed_cell(float(v), places) for v in errors]))
        blocks.append(kinds.Heading(f"{TITLES[tables.kind]} of {name}"))
        blocks.append(kinds.Table(columns, [str(level) for level in shown.index]))
        if len(frame) > ROWS_SHOWN:
            blocks.append(kinds.Paragraph(f"First {ROWS_SHOWN} of {len(frame)} levels."))
    return blocks


def _decimals(values: "pd.Series[Any]") -> int:
    """Decimals that show the typical size of sds, or of effects without them, with three digits."""
    sizes = np.abs(values.to_numpy(dtype=np.float64))
    known = sizes[np.isfinite(sizes) & (sizes > 0)]
    typical = float(np.median(known)) if known.size else 1.0
    return decimals_of(typical, digits=ERROR_DIGITS, most=MOST_DECIMALS, least=0)


def frame_cells(table: pd.DataFrame, digits: int = PRINT_DIGITS) -> list[list[str]]:
    """Cells of a table of numbers, by rows."""
    values = table.to_numpy(dtype=float)
    columns = [format_common(column.tolist(), digits) for column in values.T]
    return [[column[i] for column in columns] for i in range(values.shape[0])]
