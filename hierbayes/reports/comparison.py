"""A comparison of REML, ML and posterior as text and HTML: estimates, intervals, and why.

The cells are made once for both. The decimals of a row follow its posterior sd or standard error,
so all numbers of a parameter stand to the same place.
"""

import math
import textwrap
from collections.abc import Sequence

import pandas as pd

from hierbayes.arrays import record
from hierbayes.render.html_page import escape, fragment, heading, table
from hierbayes.render.layout import fill_lines, matrix_lines
from hierbayes.results.comparison import ComparedFit, Comparison

LINE_WIDTH = 100
ERROR_DIGITS = 3
MOST_DECIMALS = 6
LEGEND = {
    "shift": "posterior median minus {reference}, in standard errors (SE), or posterior sds (sd)",
    "width": "width of the posterior's interval over {reference}'s",
    "P(>0)": "posterior probability of a positive value",
    "p": "p-value of {reference}'s t test",
    "pull": "posterior sds the mean moves if the prior counts twice",
}


@record
class Block:
    """One table: its title, and the name and cells of each column."""

    title: str
    columns: list[tuple[str, list[str]]]


def comparison_text(found: Comparison) -> str:
    """Write a comparison."""
    rows = [str(name) for name in found.table.index]
    lines = [title(found), *_head_lines(found)]
    for block in blocks(found):
        cells = [[column[i] for _, column in block.columns] for i in range(len(rows))]
        names = [name for name, _ in block.columns]
        lines += ["", f"{block.title}:"]
        lines += matrix_lines(cells, rows, names, line_width=LINE_WIDTH)
    lines += [line for text in legend_of(found) for line in _wrapped(text, "  ", "      ")]
    lines += ["", "Why:"]
    width = max(map(len, rows), default=0)
    for row, reason in zip(rows, found.table["why"], strict=True):
        lines += _wrapped(reason or "-", f"{row:<{width}}  ", " " * (width + 2))
    if found.findings:
        lines += ["", "Findings:"]
        lines += [line for text in findings_of(found) for line in _wrapped(text, "- ", "  ")]
    return "\n".join(lines)


def comparison_html(found: Comparison) -> str:
    """Show a comparison; same blocks, numbers and sentences as the text."""
    rows = [str(name) for name in found.table.index]
    parts = [heading(title(found), 3)]
    for label, texts in head(found):
        shown = "<br>".join(f"<code>{escape(text)}</code>" for text in texts)
        parts.append(f'<p><span class="soft">{escape(label)}</span> {shown}</p>')
    parts += [table(block.columns, rows, caption=block.title) for block in blocks(found)]
    legend = legend_of(found)
    if legend:
        parts.append(f'<p class="soft">{escape("; ".join(legend))}.</p>')
    reasons = [("why", [str(reason) for reason in found.table["why"]])]
    parts.append(table(reasons, rows, caption="Why", text_columns=1))
    sentences = findings_of(found)
    if sentences:
        items = "\n".join(f"<li>{escape(text)}</li>" for text in sentences)
        parts.append(f'{heading("Findings", 3)}\n<ul class="findings">\n{items}\n</ul>')
    return fragment(*parts)


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    """Break a sentence into lines that begin with ``first``, then ``rest``; no break before "%"."""
    lines = textwrap.wrap(
        text.replace(" %", "\u00a0%"),
        width=LINE_WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\u00a0%", " %") for line in lines]


def title(found: Comparison) -> str:
    """Name the fits."""
    names = [fit.name for fit in found.fits]
    return f"Comparison of {', '.join(names[:-1])} and {names[-1]}"


def head(found: Comparison) -> list[tuple[str, tuple[str, ...]]]:
    """Labels and lines of the model, its data, intervals, draws and priors."""
    groups = "; ".join(f"{name}, {levels}" for name, levels in found.n_groups.items())
    counted = f"{found.n_obs} used" + (f"; groups: {groups}" if groups else "")
    parts = [
        ("Formula:", (found.formula_text,)),
        ("Data:", (found.data_name,)),
        ("Rows:", (counted,)),
        ("Intervals:", found.intervals),
        ("Draws:", found.samplers),
        ("Priors:", found.priors),
    ]
    return [(label, texts) for label, texts in parts if any(texts)]


def _head_lines(found: Comparison) -> list[str]:
    lines = []
    for label, texts in head(found):
        for i, text in enumerate(texts):
            first = f"{label if i == 0 else '':>10} "
            if label == "Formula:":
                lines += fill_lines([first[:-1], text], line_width=LINE_WIDTH)
            else:
                lines += _wrapped(text, first, " " * 13)
    return lines


def blocks(found: Comparison) -> list[Block]:
    """Tables of estimates and of intervals."""
    frame = found.table
    decimals = [_decimals(frame.iloc[i], found) for i in range(len(frame))]
    percent = f"{100 * found.level:g} %"
    return [
        Block(title="Estimates", columns=_estimates(found, decimals)),
        Block(title=f"Intervals ({percent})", columns=_intervals(found, decimals)),
    ]


def _decimals(row: pd.Series, found: Comparison) -> int:
    """Decimals that show three digits of the smallest error of a row."""
    names = [f"{fit.prefix}_{'sd' if fit.is_posterior else 'se'}" for fit in found.fits]
    errors = [float(row[name]) for name in names]
    known = [error for error in errors if error > 0 and math.isfinite(error)]
    if known:
        unit = min(known)
    else:  # a likelihood fit gives sds no standard error: five digits of the value
        values = [abs(float(row[f"{fit.prefix}_estimate"])) for fit in found.fits]
        finite = [value for value in values if value > 0 and math.isfinite(value)]
        unit = max(finite) / 100 if finite else 1.0
    return min(MOST_DECIMALS, max(0, ERROR_DIGITS - 1 - math.floor(math.log10(unit))))


def _cells(values: Sequence[float], decimals: Sequence[int]) -> list[str]:
    return [
        "" if math.isnan(value) else f"{round(value, places) + 0.0:.{places}f}"
        for value, places in zip(values, decimals, strict=True)
    ]


def _column(found: Comparison, name: str, decimals: Sequence[int]) -> list[str]:
    return _cells([float(value) for value in found.table[name]], decimals)


def _estimates(found: Comparison, decimals: Sequence[int]) -> list[tuple[str, list[str]]]:
    columns = []
    for fit in found.fits:
        if fit.is_posterior:
            lead = _lead(found, fit.name)
            for name in ("mean", "median", "mode", "sd"):
                columns.append((lead + name, _column(found, f"{fit.prefix}_{name}", decimals)))
            continue
        columns.append((fit.name, _column(found, f"{fit.prefix}_estimate", decimals)))
        columns.append(("SE", _column(found, f"{fit.prefix}_se", decimals)))
    return columns


def _lead(found: Comparison, name: str) -> str:
    """Name before the columns of a posterior; nothing where there is only one."""
    return f"{name} " if sum(fit.is_posterior for fit in found.fits) > 1 else ""


def _intervals(found: Comparison, decimals: Sequence[int]) -> list[tuple[str, list[str]]]:
    """Intervals of the reference and of the posteriors, and what compares them."""
    reference = next((fit for fit in found.fits if fit.name == found.shift_of), None)
    posteriors = [fit for fit in found.fits if fit.is_posterior]
    # beside a posterior only the reference: ML's intervals are in the frame
    shown = [fit for fit in found.fits if fit.is_posterior or fit is reference or not posteriors]
    columns = [(fit.name, _interval_cells(found, fit.prefix, decimals)) for fit in shown]
    for fit in posteriors:
        columns += _against(found, fit, _lead(found, fit.name))
    if reference is not None:
        p_values = [float(value) for value in found.table[f"{reference.prefix}_p_value"]]
        columns.append(("p", ["" if math.isnan(p) else _p_value(p) for p in p_values]))
    return columns


def _interval_cells(found: Comparison, prefix: str, decimals: Sequence[int]) -> list[str]:
    ends = (_column(found, f"{prefix}_{end}", decimals) for end in ("low", "high"))
    return [f"[{low}, {high}]" if low else "" for low, high in zip(*ends, strict=True)]


def _against(found: Comparison, fit: ComparedFit, lead: str) -> list[tuple[str, list[str]]]:
    """Columns of a posterior that compare it with the reference, zero and its prior."""
    frame, prefix, n = found.table, fit.prefix, len(found.table)
    columns = []
    if found.shift_of:
        columns.append((lead + "width", _column(found, f"{prefix}_width_ratio", [2] * n)))
        pairs = zip(frame[f"{prefix}_shift"], frame[f"{prefix}_shift_unit"], strict=True)
        shifts = [
            f"{round(v, 2) + 0.0:+.2f} {unit}" if math.isfinite(v) else "" for v, unit in pairs
        ]
        columns.append((lead + "shift", shifts))
    columns.append((lead + "P(>0)", _column(found, f"{prefix}_prob_positive", [3] * n)))
    columns.append((lead + "pull", _column(found, f"{prefix}_prior_pull", [2] * n)))
    return columns


def _p_value(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def legend_of(found: Comparison) -> list[str]:
    """Say what the columns mean that are not estimates or interval ends."""
    if not any(fit.is_posterior for fit in found.fits):
        return []
    named = ("P(>0)", "pull") if not found.shift_of else tuple(LEGEND)
    return [f"{name}: {LEGEND[name].format(reference=found.shift_of)}" for name in named]


def findings_of(found: Comparison) -> list[str]:
    """Return the findings of the fits, each once with the names of the fits that have it."""
    owners: dict[str, list[str]] = {}
    for name, finding in found.findings:
        owners.setdefault(str(finding), []).append(name)
    return [f"{', '.join(names)}: {text}" for text, names in owners.items()]
