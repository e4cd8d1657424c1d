"""The panel of model checks in blocks."""

from hierbayes.render.blocks import Blocks, Heading, Paragraph, Printed, Table, facts
from hierbayes.render.layout import LINE_WIDTH, wrapped
from hierbayes.results.model_check import ModelCheck

NAMES = {"reml": "a fit by REML", "ml": "a fit by ML", "posterior": "a posterior"}
ADVICE = "What says look is best looked at: .plot() draws the panel, each picture with a subtitle."


def model_check_blocks(found: ModelCheck) -> Blocks:
    """Show a check a row: what was found and what a good value looks like."""
    rows = found.table.astype(str).to_dict("records")
    lines = []
    for row in rows:
        lines.append(f"[{row['verdict']}] {row['check']}"[:LINE_WIDTH])
        lines += wrapped(f"{row['value']}; good: {row['good']}", "       ", "       ")
    columns = [
        (name, [row[key] for row in rows])
        for name, key in (("found", "value"), ("good", "good"), ("", "verdict"))
    ]
    return (
        Heading(f"Model checks of {NAMES[found.method]}"),
        *facts(("Formula:", found.formula_text), ("Data:", found.data_name)),
        Printed(lines, [Table(columns, [row["check"] for row in rows])]),
        Paragraph(ADVICE),
    )
