"""Posteriors compared by leave-one-out prediction, as text and HTML."""

import math

from hierbayes.render.html_page import escape, fragment, heading, table
from hierbayes.render.layout import matrix_lines
from hierbayes.reports.bayes_factor import decimals_of
from hierbayes.reports.summary import wrapped
from hierbayes.results.comparison import ElpdComparison

TITLE = "Comparison of posteriors by leave-one-out prediction"


def elpd_text(found: ElpdComparison) -> str:
    """Write a comparison by elpd."""
    columns = _columns(found)
    rows = [str(name) for name in found.table.index]
    cells = [[column[i] for _, column in columns] for i in range(len(rows))]
    lines = [TITLE, *_models(found), *wrapped(found.what, "", ""), ""]
    lines += matrix_lines(cells, rows, [name for name, _ in columns])
    lines += ["", *wrapped(found.verdict, "", "")]
    if found.findings:
        lines += ["", "Findings:"]
        lines += [line for f in found.findings for line in wrapped(str(f), "- ", "  ")]
    return "\n".join(lines)


def elpd_html(found: ElpdComparison) -> str:
    """Show a comparison by elpd; same numbers and sentences as the text."""
    parts = [heading(TITLE, 3)]
    parts += [f"<p><code>{escape(line)}</code></p>" for line in _models(found)]
    parts.append(f"<p>{escape(found.what)}</p>")
    parts.append(table(_columns(found), [str(name) for name in found.table.index]))
    parts.append(f"<p>{escape(found.verdict)}</p>")
    if found.findings:
        items = "\n".join(f"<li>{escape(str(finding))}</li>" for finding in found.findings)
        parts.append(f'{heading("Findings", 3)}\n<ul class="findings">\n{items}\n</ul>')
    return fragment(*parts)


def _models(found: ElpdComparison) -> list[str]:
    data = f"Data: {found.data_name}, {found.n_obs} rows" if found.data_name else ""
    models = [f"{name}: {text}" for name, text in found.formulas.items()]
    return [line for line in (data, *models) if line]


def _columns(found: ElpdComparison) -> list[tuple[str, list[str]]]:
    frame = found.table
    columns = []
    for name, error in (("elpd", "se"), ("elpd_diff", "se_diff")):
        for column in (name, error):
            shown = [
                f"{value + 0.0:.{min(decimals_of(size), 2)}f}"
                for value, size in zip(frame[column], frame[error], strict=True)
            ]
            columns.append((column, shown))
    p_loo = [float(value) for value in frame["p_loo"]]
    if not all(map(math.isnan, p_loo)):
        columns.append(("p_loo", [f"{value:.1f}" for value in p_loo]))
    if frame["high_k"].any():
        columns.append(("k > 0.7", [str(count) for count in frame["high_k"]]))
    return columns
