"""R2 and intraclass correlations as text and HTML, with the definition they have."""

import math

from hierbayes.render.html_page import escape, fragment, heading, table
from hierbayes.render.layout import matrix_lines
from hierbayes.render.numbers import format_number
from hierbayes.reports.summary import wrapped
from hierbayes.results.variance_explained import R2, Icc

DECIMALS = 3
VARIANCE_DIGITS = 4
R2_WORDS = (
    "Marginal: the variance of the fixed part over the total; conditional: that of fixed part and "
    "random effects."
)
ICC_WORDS = (
    "Adjusted: the variance of the random effects over random plus residual; unadjusted: over the "
    "total, the fixed part included. The rows of the grouping factors add up to the adjusted one."
)


def r2_text(found: R2) -> str:
    """Write marginal and conditional R2."""
    return _text(found, "R2 (Nakagawa)", R2_WORDS)


def r2_html(found: R2) -> str:
    """Show marginal and conditional R2; same numbers and sentences as the text."""
    return _html(found, "R2 (Nakagawa)", R2_WORDS)


def icc_text(found: Icc) -> str:
    """Write intraclass correlations."""
    return _text(found, "Intraclass correlation", ICC_WORDS)


def icc_html(found: Icc) -> str:
    """Show intraclass correlations; same numbers and sentences as the text."""
    return _html(found, "Intraclass correlation", ICC_WORDS)


def _text(found: R2 | Icc, title: str, words: str) -> str:
    columns, names = _cells(found)
    cells = [[column[i] for _, column in columns] for i in range(len(names))]
    lines = [title, *_model(found), ""]
    lines += matrix_lines(cells, names, [name for name, _ in columns])
    for sentence in _sentences(found, words):
        lines += ["", *wrapped(sentence, "", "")]
    return "\n".join(lines)


def _html(found: R2 | Icc, title: str, words: str) -> str:
    columns, names = _cells(found)
    parts = [heading(title, 3)]
    parts += [f"<p><code>{escape(line)}</code></p>" for line in _model(found)]
    parts.append(table(columns, names))
    parts += [f"<p>{escape(sentence)}</p>" for sentence in _sentences(found, words)]
    return fragment(*parts)


def _model(found: R2 | Icc) -> list[str]:
    data = [f"Data: {found.data_name}"] if found.data_name else []
    return [*data, f"Model: {found.formula_text}"]


def _cells(found: R2 | Icc) -> tuple[list[tuple[str, list[str]]], list[str]]:
    headers = {"estimate": "estimate"}
    if found.interval_words:
        tail = (1 - found.level) / 2 * 100
        headers |= {"conf_low": f"{tail:.3g} %", "conf_high": f"{100 - tail:.4g} %"}
    columns = [
        (header, [_number(float(v)) for v in found.table[name]]) for name, header in headers.items()
    ]
    return columns, [str(name) for name in found.table.index]


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.{DECIMALS}f}"


def _sentences(found: R2 | Icc, words: str) -> list[str]:
    parts = [
        f"{name} {format_number(value, VARIANCE_DIGITS)}" for name, value in found.variances.items()
    ]
    out = [words, f"Variances: {', '.join(parts)} ({found.residual_words})."]
    return [*out, found.interval_words] if found.interval_words else out
