"""Tables of F tests and of single-term deletions in blocks, as lmerTest and lme4 print them."""

import pandas as pd

from hierbayes.render.blocks import Block, Blocks, Fact, Heading, Paragraph, Printed, paragraphs
from hierbayes.reports.coefficients import AIC, NPAR, Columns, tests_table
from hierbayes.results.f_table import DeletionTable, FTable

F_COLUMNS: Columns = (
    ("Sum Sq", "sum_sq", "zapped"),
    ("Mean Sq", "mean_sq", "zapped"),
    ("NumDF", "num_df", "zapped"),
    ("DenDF", "den_df", "zapped"),
    ("F value", "f_value", "statistic"),
    ("Pr(>F)", "p_value", "p"),
)
DELETION_COLUMNS: Columns = (NPAR, AIC, ("LRT", "lrt", "statistic"), ("Pr(Chi)", "p_value", "p"))


def f_table_blocks(table: FTable) -> Blocks:
    """Show F tests: a title, the model, one row a term."""
    title = titled(table.title, table.formula_text, printed=f"{table.title}:")
    if table.type:  # the title says all
        title = Printed([table.title], title.page)
    return (title, _tests(table.table, F_COLUMNS), *paragraphs(table.notes))


def deletion_blocks(table: DeletionTable) -> Blocks:
    """Show likelihood-ratio tests of single-term deletions as lme4 prints them."""
    again = ", fitted again with ML (instead of REML)" if table.refitted else ""
    title = titled(f"Single term deletions{again}", table.formula_text)
    return (title, _tests(table.table, DELETION_COLUMNS))


def titled(title: str, formula_text: str, *, printed: str = "") -> Printed:
    """Title and model of a table of tests, as R's tests begin."""
    lines = [printed or title, "", "Model:", formula_text]
    return Printed(lines, [Heading(title), Fact("Model:", formula_text)])


def _tests(frame: pd.DataFrame, columns: Columns) -> Block:
    if frame.empty:
        return Paragraph("No terms to test.", gap=False)
    return tests_table(frame, columns, gap=False)
