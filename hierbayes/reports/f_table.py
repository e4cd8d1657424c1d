"""Tables of F tests and of single-term deletions, as lmerTest and lme4 print them."""

import math
from collections.abc import Sequence

import pandas as pd

from hierbayes.render.html_page import escape, fragment, heading
from hierbayes.render.html_page import table as html_table
from hierbayes.reports.coefficients import (
    LEGEND,
    TABLE_DIGITS,
    p_value_cells,
    plain_cells,
    statistic_cells,
    table_lines,
)
from hierbayes.reports.summary import wrapped
from hierbayes.results.f_table import DeletionTable, FTable

REFITTED = "fitted again with ML (instead of REML)"
NOTHING = "No terms to test."
Cells = tuple[list[tuple[str, Sequence[str]]], list[str] | None]


def f_table_text(table: FTable) -> str:
    """Write F tests: a title, the model where the title needs it, one row a term."""
    lines = [table.title]
    if not table.type:
        lines = [f"{table.title}:", "", "Model:", table.formula_text]
    notes = [line for note in table.notes for line in wrapped(note, "", "")]
    notes = ["", *notes] if notes else []
    return "\n".join([_with_rows(lines, table.table, f_cells(table)), *notes])


def f_cells(table: FTable) -> Cells:
    """Columns of the table by name, and stars (None when no p value is below 0.1)."""
    frame = table.table
    columns: list[tuple[str, Sequence[str]]] = [
        (header, plain_cells(_numbers(frame, name), TABLE_DIGITS, zap=True, missing=""))
        for header, name in (
            ("Sum Sq", "sum_sq"),
            ("Mean Sq", "mean_sq"),
            ("NumDF", "num_df"),
            ("DenDF", "den_df"),
        )
    ]
    f_values = statistic_cells(_numbers(frame, "f_value"), TABLE_DIGITS, missing="")
    p_cells, stars = p_value_cells(_numbers(frame, "p_value"), TABLE_DIGITS, missing="")
    return [*columns, ("F value", f_values), ("Pr(>F)", p_cells)], stars


def f_table_html(table: FTable) -> str:
    """Show F tests: the same numbers and digits as the text."""
    return _html(table.title, table.formula_text, table.table, f_cells(table), table.notes)


def deletion_text(table: DeletionTable) -> str:
    """Write likelihood-ratio tests of single-term deletions as lme4 prints them."""
    lines = ["Single term deletions", "", "Model:", table.formula_text]
    if table.refitted:
        lines[0] = f"Single term deletions, {REFITTED}"
    return _with_rows(lines, table.table, deletion_cells(table))


def deletion_cells(table: DeletionTable) -> Cells:
    """Columns of the table by name, and stars (None when no p value is below 0.1)."""
    frame = table.table
    npar = plain_cells(_numbers(frame, "npar"), TABLE_DIGITS, missing="")
    aic = plain_cells(_numbers(frame, "aic"), TABLE_DIGITS, zap=True)
    lrt = statistic_cells(_numbers(frame, "lrt"), TABLE_DIGITS, missing="")
    p_cells, stars = p_value_cells(_numbers(frame, "p_value"), TABLE_DIGITS, missing="")
    return [("npar", npar), ("AIC", aic), ("LRT", lrt), ("Pr(Chi)", p_cells)], stars


def deletion_html(table: DeletionTable) -> str:
    """Show single-term deletions: the same numbers and digits as the text."""
    title = "Single term deletions" + (f", {REFITTED}" if table.refitted else "")
    return _html(title, table.formula_text, table.table, deletion_cells(table))


def _with_rows(lines: list[str], frame: pd.DataFrame, cells: Cells) -> str:
    columns, stars = cells
    if frame.empty:
        return "\n".join([*lines, NOTHING])
    rows = [str(label) for label in frame.index]
    return "\n".join([*lines, *table_lines(columns, rows, stars=stars)])


def _html(
    title: str, formula_text: str, frame: pd.DataFrame, cells: Cells, notes: Sequence[str] = ()
) -> str:
    columns, stars = cells
    model = f'<p><span class="soft">Model:</span> <code>{escape(formula_text)}</code></p>'
    if frame.empty:
        return fragment(heading(title, 3), model, f"<p>{NOTHING}</p>")
    named = [*columns, ("", stars)] if stars is not None else columns
    legend = f'<p class="soft">{escape(LEGEND)}</p>' if stars is not None else ""
    rows = [str(label) for label in frame.index]
    said = [f"<p>{escape(note)}</p>" for note in notes]
    return fragment(heading(title, 3), model, html_table(named, rows), legend, *said)


def _numbers(frame: pd.DataFrame, name: str) -> list[float]:
    return [float(v) for v in frame[name].to_numpy(dtype=float, na_value=math.nan)]
