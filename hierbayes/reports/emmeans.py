"""Estimated marginal means as text and HTML, with what they are averaged over."""

import math
from collections.abc import Iterable

import pandas as pd

from hierbayes.render.html_page import escape, fragment, heading, table
from hierbayes.render.layout import display_width, matrix_lines, pad
from hierbayes.render.numbers import format_common
from hierbayes.reports.summary import wrapped
from hierbayes.results.emmeans_table import CONTRAST_COLUMNS, MEAN_COLUMNS, EmmeansTable

TITLE = "Estimated marginal means"
SE_DIGITS = 3  # of the smallest standard error; everything in its units has these decimals
STATISTIC_DECIMALS = 3
P_DECIMALS = 4
DF_DIGITS = 5


def emmeans_text(found: EmmeansTable) -> str:
    """Write marginal means and their contrasts."""
    n_labels = len(found.specs) + len(found.by)
    lines = [TITLE, *_model(found), "", *_lines(_mean_cells(found), n_labels)]
    for sentence in _mean_sentences(found):
        lines += ["", *wrapped(sentence, "", "")]
    if found.contrasts is not None:
        lines += ["", *_lines(_contrast_cells(found), len(found.by) + 1), ""]
        lines += wrapped(found.contrast_words, "", "")
    return "\n".join(lines)


def emmeans_html(found: EmmeansTable) -> str:
    """Show marginal means and their contrasts; same numbers and sentences as the text."""
    n_labels = len(found.specs) + len(found.by)
    parts = [heading(TITLE, 3)]
    parts += [f"<p><code>{escape(line)}</code></p>" for line in _model(found)]
    parts.append(table(_mean_cells(found), text_columns=n_labels))
    parts += [f"<p>{escape(sentence)}</p>" for sentence in _mean_sentences(found)]
    if found.contrasts is not None:
        parts.append(table(_contrast_cells(found), text_columns=len(found.by) + 1))
        parts.append(f"<p>{escape(found.contrast_words)}</p>")
    return fragment(*parts)


def _model(found: EmmeansTable) -> list[str]:
    data = [f"Data: {found.data_name}"] if found.data_name else []
    return [*data, f"Model: {found.formula_text}"]


def _mean_sentences(found: EmmeansTable) -> list[str]:
    # short sentences on one paragraph: what is averaged over, then what the numbers are
    return [" ".join(found.notes), found.mean_words] if found.notes else [found.mean_words]


def _lines(columns: list[tuple[str, list[str]]], n_labels: int) -> list[str]:
    """Lines of a table whose first columns label its rows, and keep their names at the head."""
    labels, numbers = columns[:n_labels], columns[n_labels:]
    head = " ".join(name for name, _ in labels)
    names = [" ".join(parts) for parts in zip(*(cells for _, cells in labels), strict=True)]
    cells = [[column[i] for _, column in numbers] for i in range(len(names))]
    lines = matrix_lines(cells, names, [name for name, _ in numbers])
    # the head of a block of columns begins with blanks where the rows have their labels
    return [line if line[: len(head)].strip() else head + line[len(head) :] for line in lines]


def _mean_cells(found: EmmeansTable) -> list[tuple[str, list[str]]]:
    return _cells(found.means, (*found.specs, *found.by), MEAN_COLUMNS, level=found.level)


def _contrast_cells(found: EmmeansTable) -> list[tuple[str, list[str]]]:
    assert found.contrasts is not None
    labels = (*found.by, "contrast")
    return _cells(found.contrasts, labels, CONTRAST_COLUMNS, level=found.level)


def _cells(
    frame: pd.DataFrame, labels: tuple[str, ...], numbers: tuple[str, ...], *, level: float
) -> list[tuple[str, list[str]]]:
    """Columns of a table: labels, then numbers; df, statistic and p are left out where all miss."""
    columns = []
    for name in labels:
        texts = [_label(value) for value in frame[name]]
        width = max(map(display_width, [name, *texts]))
        padded = [pad(text, width, right=False) for text in [name, *texts]]
        columns.append((padded[0], padded[1:]))
    decimals = _decimals(frame["std_error"])
    tail = (1 - level) / 2 * 100
    headers = {
        "estimate": "estimate",
        "std_error": "SE",
        "df": "df",
        "statistic": "t",
        "p_value": "p",
        "conf_low": f"{tail:.3g} %",
        "conf_high": f"{100 - tail:.4g} %",
    }
    for name in numbers:
        values = [float(v) for v in frame[name]]
        if name in ("df", "statistic", "p_value") and all(map(math.isnan, values)):
            continue
        if name == "p_value":
            cells = [_p_cell(v) for v in values]
        elif name == "df":
            cells = format_common([v if math.isinf(v) else round(v, 2) for v in values], DF_DIGITS)
        else:
            places = STATISTIC_DECIMALS if name == "statistic" else decimals
            cells = ["NA" if math.isnan(v) else f"{v + 0.0:.{places}f}" for v in values]
        columns.append((headers[name], cells))
    return columns


def _decimals(std_errors: Iterable[float]) -> int:
    """Decimals that show the smallest standard error with three digits."""
    sizes = [float(se) for se in std_errors if math.isfinite(se) and se > 0]
    return max(0, SE_DIGITS - 1 - math.floor(math.log10(min(sizes, default=1.0))))


def _p_cell(p_value: float) -> str:
    if math.isnan(p_value):
        return "NA"
    least = 10.0**-P_DECIMALS
    return f"<{least:.{P_DECIMALS}f}" if p_value < least else f"{p_value:.{P_DECIMALS}f}"


def _label(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
