"""A comparison of REML, ML and posterior in blocks: estimates, intervals, and why.

The decimals of a row follow its posterior sd or standard error, so all numbers of a parameter
stand to the same place.
"""

import math
from collections.abc import Sequence

import pandas as pd

from hierbayes.render import blocks as kinds
from hierbayes.render.layout import WIDE, fill_lines, wrapped
from hierbayes.reports.coefficients import decimals_of, fixed_cell, numbers
from hierbayes.results.comparison import ComparedFit, Comparison

ERROR_DIGITS = 3
LEGEND = {
    "shift": "posterior median minus {reference}, in standard errors (SE), or posterior sds (sd)",
    "width": "width of the posterior's interval over {reference}'s",
    "P(>0)": "posterior probability of a positive value",
    "p": "p-value of {reference}'s {test} test",
    "pull": "posterior sds the mean moves if the prior counts twice",
}


def comparison_blocks(found: Comparison) -> kinds.Blocks:
    """Show a comparison: estimates, intervals, and the reason of each difference."""
    rows = [str(name) for name in found.table.index]
    reasons = [str(reason) for reason in found.table["why"]]
    decimals = [_decimals(found.table.iloc[i], found) for i in range(len(rows))]
    shown = _head(found)
    facts = [kinds.Fact(label, "\n".join(texts)) for label, texts in shown]
    legend = _legend(found)
    intervals = f"Intervals ({100 * found.level:g} %)"
    return (
        kinds.Wide(
            [
                kinds.Heading(_title(found)),
                kinds.Printed(_head_lines(shown), facts, gap=False),
                kinds.Table(_estimates(found, decimals), rows, "Estimates", head="Estimates:"),
                kinds.Table(_intervals(found, decimals), rows, intervals, head=f"{intervals}:"),
                kinds.Printed(
                    [line for text in legend for line in _wrapped(text, "  ", "      ")],
                    [kinds.Paragraph(f"{'; '.join(legend)}.", soft=True)] if legend else [],
                    gap=False,
                ),
                kinds.Printed(
                    _reason_lines(rows, reasons),
                    [kinds.Table([("why", reasons)], rows, "Why", labels=1)],
                ),
                kinds.Findings(_findings(found)),
            ]
        ),
    )


def _reason_lines(rows: Sequence[str], reasons: Sequence[str]) -> list[str]:
    width = max(map(len, rows), default=0)
    lines = ["Why:"]
    for row, reason in zip(rows, reasons, strict=True):
        lines += _wrapped(reason or "-", f"{row:<{width}}  ", " " * (width + 2))
    return lines


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return wrapped(text, first, rest, width=WIDE)


def _title(found: Comparison) -> str:
    """Name the fits."""
    names = [fit.name for fit in found.fits]
    return f"Comparison of {', '.join(names[:-1])} and {names[-1]}"


def _head(found: Comparison) -> list[tuple[str, tuple[str, ...]]]:
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


def _head_lines(shown: Sequence[tuple[str, tuple[str, ...]]]) -> list[str]:
    lines = []
    for label, texts in shown:
        for i, text in enumerate(texts):
            first = f"{label if i == 0 else '':>10} "
            if label == "Formula:":
                lines += fill_lines([first[:-1], text], line_width=WIDE)
            else:
                lines += _wrapped(text, first, " " * 13)
    return lines


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
    return decimals_of(unit, digits=ERROR_DIGITS, least=0)


def _column(found: Comparison, name: str, decimals: Sequence[int]) -> list[str]:
    pairs = zip(numbers(found.table, name), decimals, strict=True)
    return [fixed_cell(value, places, missing="") for value, places in pairs]


def _estimates(found: Comparison, decimals: Sequence[int]) -> list[kinds.Column]:
    columns: list[kinds.Column] = []
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


def _intervals(found: Comparison, decimals: Sequence[int]) -> list[kinds.Column]:
    """Intervals of the reference and of the posteriors, and what compares them."""
    reference = next((fit for fit in found.fits if fit.name == found.shift_of), None)
    posteriors = [fit for fit in found.fits if fit.is_posterior]
    # beside a posterior only the reference: ML's intervals are in the frame
    shown = [fit for fit in found.fits if fit.is_posterior or fit is reference or not posteriors]
    columns: list[kinds.Column] = [
        (fit.name, _interval_cells(found, fit.prefix, decimals)) for fit in shown
    ]
    for fit in posteriors:
        columns += _against(found, fit, _lead(found, fit.name))
    if reference is not None:
        p_values = numbers(found.table, f"{reference.prefix}_p_value")
        columns.append(("p", ["" if math.isnan(p) else _p_value(p) for p in p_values]))
    return columns


def _interval_cells(found: Comparison, prefix: str, decimals: Sequence[int]) -> list[str]:
    ends = (_column(found, f"{prefix}_{end}", decimals) for end in ("low", "high"))
    return [f"[{low}, {high}]" if low else "" for low, high in zip(*ends, strict=True)]


def _against(found: Comparison, fit: ComparedFit, lead: str) -> list[kinds.Column]:
    """Columns of a posterior that compare it with the reference, zero and its prior."""
    frame, prefix, n = found.table, fit.prefix, len(found.table)
    columns: list[kinds.Column] = []
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


def _legend(found: Comparison) -> list[str]:
    """Say what the columns mean that are not estimates or interval ends."""
    if not any(fit.is_posterior for fit in found.fits):
        return []
    named = ("P(>0)", "pull") if not found.shift_of else tuple(LEGEND)
    test = "t" if found.fits[0].fit.response_family.is_linear else "z"
    facts = {"reference": found.shift_of, "test": test}
    return [f"{name}: {LEGEND[name].format(**facts)}" for name in named]


def _findings(found: Comparison) -> list[str]:
    """Return the findings of the fits, each once with the names of the fits that have it."""
    owners: dict[str, list[str]] = {}
    for name, finding in found.findings:
        owners.setdefault(str(finding), []).append(name)
    return [f"{', '.join(names)}: {text}" for text, names in owners.items()]
