"""Tables of F tests and of single-term deletions in blocks, as lmerTest and lme4 print them."""

from collections.abc import Sequence

import pandas as pd

from hierbayes.render.blocks import (
    Block,
    Blocks,
    Column,
    Fact,
    Heading,
    Paragraph,
    Printed,
    Table,
    paragraphs,
)
from hierbayes.reports.coefficients import (
    TABLE_DIGITS,
    numbers,
    p_value_cells,
    plain_cells,
    statistic_cells,
)
from hierbayes.results.f_table import DeletionTable, FTable

NOTHING = "No terms to test."


def f_table_blocks(table: FTable) -> Blocks:
    """Show F tests: a title, the model, one row a term."""
    frame = table.table
    columns: list[Column] = [
        (header, plain_cells(numbers(frame, name), TABLE_DIGITS, zap=True, missing=""))
        for header, name in (
            ("Sum Sq", "sum_sq"),
            ("Mean Sq", "mean_sq"),
            ("NumDF", "num_df"),
            ("DenDF", "den_df"),
        )
    ]
    f_values = statistic_cells(numbers(frame, "f_value"), TABLE_DIGITS, missing="")
    columns.append(("F value", f_values))
    title = titled(table.title, table.formula_text, printed=f"{table.title}:")
    if table.type:  # the title says all
        title = Printed([table.title], title.page)
    return (title, _tests(frame, columns, "Pr(>F)"), *paragraphs(table.notes))


def deletion_blocks(table: DeletionTable) -> Blocks:
    """Show likelihood-ratio tests of single-term deletions as lme4 prints them."""
    frame = table.table
    columns: list[Column] = [
        ("npar", plain_cells(numbers(frame, "npar"), TABLE_DIGITS, missing="")),
        ("AIC", plain_cells(numbers(frame, "aic"), TABLE_DIGITS, zap=True)),
        ("LRT", statistic_cells(numbers(frame, "lrt"), TABLE_DIGITS, missing="")),
    ]
    again = ", fitted again with ML (instead of REML)" if table.refitted else ""
    title = titled(f"Single term deletions{again}", table.formula_text)
    return (title, _tests(frame, columns, "Pr(Chi)"))


def titled(title: str, formula_text: str, *, printed: str = "") -> Printed:
    """Title and model of a table of tests, as R's tests begin."""
    lines = [printed or title, "", "Model:", formula_text]
    return Printed(lines, [Heading(title), Fact("Model:", formula_text)])


def _tests(frame: pd.DataFrame, columns: Sequence[Column], last: str) -> Block:
    """Return the table with its column of p values and their stars."""
    if frame.empty:
        return Paragraph(NOTHING, gap=False)
    p_cells, stars = p_value_cells(numbers(frame, "p_value"), TABLE_DIGITS, missing="")
    rows = [str(label) for label in frame.index]
    return Table([*columns, (last, p_cells)], rows, stars=stars, gap=False)
