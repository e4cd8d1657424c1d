"""A bootstrap as text and HTML: estimates, bias, standard errors and percentile intervals."""

import math

from hierbayes.render.html_page import escape, fragment, heading, table
from hierbayes.render.layout import matrix_lines
from hierbayes.render.numbers import format_number
from hierbayes.reports.bayes_factor import decimals_of
from hierbayes.reports.summary import wrapped
from hierbayes.results.bootstrap_result import BootstrapResult

LEVEL = 0.95
TITLES = {"parametric": "Parametric", "residual": "Residual", "cases": "Cases"}


def bootstrap_text(found: BootstrapResult) -> str:
    """Write a bootstrap as a table with one row a quantity."""
    names, columns = _table(found)
    cells = [[column[i] for _, column in columns] for i in range(len(names))]
    lines = [*wrapped(_title(found), "", ""), *_about(found), ""]
    lines += matrix_lines(cells, names, [name for name, _ in columns])
    for sentence in sentences(found):
        lines += ["", *wrapped(sentence, "", "")]
    return "\n".join(lines)


def bootstrap_html(found: BootstrapResult) -> str:
    """Show a bootstrap; same numbers and sentences as the text."""
    names, columns = _table(found)
    parts = [heading(_title(found), 3)]
    parts += [f"<p><code>{escape(line)}</code></p>" for line in _about(found)]
    parts.append(table(columns, names))
    parts += [f"<p>{escape(sentence)}</p>" for sentence in sentences(found)]
    return fragment(*parts)


def _title(found: BootstrapResult) -> str:
    count = f"{found.nsim:,} replicate{'s' if found.nsim > 1 else ''}"
    return f"{TITLES[found.kind]} bootstrap, {count} of a fit by {_by(found)}"


def _by(found: BootstrapResult) -> str:
    return "REML" if found.method == "reml" else "maximum likelihood"


def _about(found: BootstrapResult) -> list[str]:
    data = [f"Data: {found.data_name}"] if found.data_name else []
    return [f"Formula: {found.formula_text}", *data, f"Drawn anew: {found.drawn}"]


def _table(found: BootstrapResult) -> tuple[list[str], list[tuple[str, list[str]]]]:
    limits = found.confint(LEVEL)
    sd = found.sd
    decimals = [decimals_of(float(s)) for s in sd]
    low, high = (f"{format_number(100 * t, 4)} %" for t in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    columns = (
        ("estimate", found.estimates),
        ("bias", found.bias),
        ("sd", sd),
        (low, limits["lower"]),
        (high, limits["upper"]),
    )
    cells = [
        (name, [_cell(float(v), d) for v, d in zip(values, decimals, strict=True)])
        for name, values in columns
    ]
    return list(found.names), cells


def _cell(value: float, decimals: int) -> str:
    return "NA" if math.isnan(value) else f"{round(value, decimals) + 0.0:.{decimals}f}"


def sentences(found: BootstrapResult) -> list[str]:
    """Say what the limits are, and how many refits failed, are singular or lack a number."""
    out = [
        f"Limits are {100 * LEVEL:g} % percentile confidence intervals; sd is the bootstrap "
        "standard error."
    ]
    counts = []
    if found.n_boundary:
        counts.append(
            f"{_refits(found.n_boundary)} on the boundary (an sd of zero, or a perfect "
            f"correlation); {'they count as they are' if found.n_boundary > 1 else 'it counts'}"
        )
    if found.n_failed:
        reason = f" ({found.failure.rstrip('.')})" if found.failure else ""
        counts.append(f"{_refits(found.n_failed)} left out, not fitted{reason}")
    out += [f"{text}." for text in counts]
    for name, count in found.n_missing.items():
        out.append(
            f"{name} does not exist in {count} replicate{'s' if count > 1 else ''} beside an sd "
            "of zero; its numbers are from the others."
            if name.startswith("cor_")
            else f"{name} is missing in {count} replicate{'s' if count > 1 else ''}."
        )
    return out


def _refits(count: int) -> str:
    return f"{count} refit{'s are' if count > 1 else ' is'}"
