"""Likelihood profiles as text and HTML: limits, and how far from quadratic each profile is."""

import math

import numpy as np

from hierbayes.render.html_page import escape, fragment, heading, table
from hierbayes.render.layout import matrix_lines
from hierbayes.render.numbers import format_number
from hierbayes.reports.bayes_factor import decimals_of
from hierbayes.reports.summary import wrapped
from hierbayes.results.profile_result import ProfileResult

HOW_TO_READ = (
    "Limits are where the signed root zeta of the deviance change reaches the normal quantiles; "
    "to_frame() has zeta over the values of each parameter."
)


def profile_text(found: ProfileResult) -> str:
    """Write likelihood profiles as a table with one row a parameter."""
    columns = _columns(found)
    cells = [[column[i] for _, column in columns] for i in range(len(found.names))]
    lines = [*wrapped(_title(found), "", ""), *_about(found), ""]
    lines += matrix_lines(cells, found.names, [name for name, _ in columns])
    for sentence in _sentences(found):
        lines += ["", *wrapped(sentence, "", "")]
    return "\n".join(lines)


def profile_html(found: ProfileResult) -> str:
    """Show likelihood profiles; same numbers and sentences as the text."""
    parts = [heading(_title(found), 3)]
    parts += [f"<p><code>{escape(line)}</code></p>" for line in _about(found)]
    parts.append(table(_columns(found), found.names))
    parts += [f"<p>{escape(sentence)}</p>" for sentence in _sentences(found)]
    return fragment(*parts)


def _title(found: ProfileResult) -> str:
    count = len(found.names)
    return (
        f"Likelihood profile of {count} parameter{'s' if count != 1 else ''}, with "
        f"{format_number(100 * found.level, 4)} % confidence limits"
    )


def _about(found: ProfileResult) -> list[str]:
    data = [f"Data: {found.data_name}"] if found.data_name else []
    deviance = f"Deviance at the ML estimates: {found.deviance:.4f}"
    return [f"Formula: {found.formula_text}", *data, deviance]


def _columns(found: ProfileResult) -> list[tuple[str, list[str]]]:
    tails = ((1 - found.level) / 2, (1 + found.level) / 2)
    low, high = (f"{format_number(100 * t, 4)} %" for t in tails)
    decimals = [_decimals(*row) for row in zip(found.estimates, *found.limits.T, strict=True)]
    columns = [
        (name, [_cell(float(v), d) for v, d in zip(values, decimals, strict=True)])
        for name, values in (
            ("ML estimate", found.estimates),
            (low, found.limits[:, 0]),
            (high, found.limits[:, 1]),
        )
    ]
    counts = np.bincount(found.owner, minlength=len(found.names))
    return [*columns, ("points", [str(count) for count in counts])]


def _decimals(estimate: float, lower: float, upper: float) -> int:
    """Decimals that show an interval's width to about three digits."""
    widths = [w for w in (upper - lower, upper - estimate, estimate - lower) if w > 0]
    return decimals_of(widths[0] / 4) if widths else 3


def _cell(value: float, decimals: int) -> str:
    return "NA" if math.isnan(value) else f"{round(value, decimals) + 0.0:.{decimals}f}"


def _sentences(found: ProfileResult) -> list[str]:
    return [HOW_TO_READ, *(str(finding) for finding in found.findings)]
