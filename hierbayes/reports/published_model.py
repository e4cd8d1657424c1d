"""A published model in blocks: what was read, and what can be made of it."""

from hierbayes.render.blocks import Blocks, Heading, Paragraph, facts
from hierbayes.reports.result_table import result_table_blocks
from hierbayes.results.published_model import PublishedModel
from hierbayes.results.result_table import result_table


def published_blocks(found: PublishedModel) -> Blocks:
    """Show the numbers and the notes."""
    table = found.table.drop(columns=["rounding"]).dropna(axis=1, how="all")
    groups = "; ".join(f"{name}, {n}" for name, n in found.n_groups.items())
    rows = f"{found.nobs}" + (f"; groups: {groups}" if groups else "") if found.nobs else ""
    criterion = "" if found.criterion is None else f"{found.criterion:g}"
    return (
        Heading(f"A published model, from {found.source}"),
        *facts(
            ("Formula:", found.formula_text),
            ("Data:", found.data_name),
            ("Family:", found.family),
            ("Method:", found.method.upper()),
            ("Rows:", rows),
            ("Criterion:", criterion),
        ),
        *result_table_blocks(result_table(table, "published")),
        *(Paragraph(note, soft=True) for note in found.notes),
    )
