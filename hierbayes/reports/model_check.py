"""The panel of model checks as text and as HTML."""

from hierbayes.render.html_page import escape, fragment, heading, table
from hierbayes.render.layout import LINE_WIDTH
from hierbayes.reports.summary import wrapped
from hierbayes.results.model_check import ModelCheck

NAMES = {"reml": "a fit by REML", "ml": "a fit by ML", "posterior": "a posterior"}
ADVICE = "What says look is best looked at: .plot() draws the panel, each picture with a subtitle."


def model_check_text(found: ModelCheck) -> str:
    """Write a line a check, what was found and what a good value looks like."""
    lines = [f"Model checks of {NAMES[found.method]}", f"Formula: {found.formula_text}"]
    if found.data_name:
        lines.append(f"Data: {found.data_name}")
    lines.append("")
    for row in found.table.to_dict("records"):
        lines.append(f"[{row['verdict']}] {row['check']}"[:LINE_WIDTH])
        lines += wrapped(f"{row['value']}; good: {row['good']}", "       ", "       ")
    return "\n".join([*lines, "", *wrapped(ADVICE, "", "")])


def model_check_html(found: ModelCheck) -> str:
    """Show the same as a table."""
    names = [str(check) for check in found.table["check"]]
    columns = [
        ("found", [str(value) for value in found.table["value"]]),
        ("good", [str(value) for value in found.table["good"]]),
        ("", [str(value) for value in found.table["verdict"]]),
    ]
    return fragment(
        heading(f"Model checks of {NAMES[found.method]}", 3),
        f"<p><code>{escape(found.formula_text)}</code></p>",
        table(columns, names),
        f"<p>{escape(ADVICE)}</p>",
    )
