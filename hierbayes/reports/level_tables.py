"""Random effects and coefficients of every level in blocks, as lme4 and R print them."""

from functools import partial

import pandas as pd

from hierbayes.formula.deparse import name_text
from hierbayes.render import blocks as kinds
from hierbayes.render.layout import matrix_lines
from hierbayes.render.numbers import PRINT_DIGITS, format_common
from hierbayes.results.level_tables import LevelTables

TITLES = {
    "ranef": "Random effects",
    "ranef_sd": "Conditional sds of the random effects",
    "coef": "Coefficients",
}
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
        columns = kinds.columns_of(frame_cells(shown), [str(column) for column in shown.columns])
        if sds is not None:
            beside = frame_cells(sds[name].head(ROWS_SHOWN))
            errors = kinds.columns_of(beside, ["(sd)"] * len(columns))
            columns = [column for pair in zip(columns, errors, strict=True) for column in pair]
        blocks.append(kinds.Heading(f"{TITLES[tables.kind]} of {name}"))
        blocks.append(kinds.Table(columns, [str(level) for level in shown.index]))
        if len(frame) > ROWS_SHOWN:
            blocks.append(kinds.Paragraph(f"First {ROWS_SHOWN} of {len(frame)} levels."))
    return blocks


def frame_cells(table: pd.DataFrame, digits: int = PRINT_DIGITS) -> list[list[str]]:
    """Cells of a table of numbers, by rows."""
    values = table.to_numpy(dtype=float)
    columns = [format_common(column.tolist(), digits) for column in values.T]
    return [[column[i] for column in columns] for i in range(values.shape[0])]
