"""Estimated marginal means in blocks, with what they are averaged over."""

import math
from collections.abc import Sequence

import pandas as pd

from hierbayes.render import blocks as kinds
from hierbayes.render.numbers import format_common
from hierbayes.reports.coefficients import (
    MOST_DECIMALS,
    decimals_of,
    fixed_cell,
    limit_names,
    numbers,
)
from hierbayes.results.emmeans_table import (
    CONTRAST_COLUMNS,
    DRAW_COLUMNS,
    MEAN_COLUMNS,
    EmmeansTable,
    MarginalTests,
)

SE_DIGITS = 3  # of the smallest standard error; everything in its units has these decimals
STATISTIC_DECIMALS = 3
P_DECIMALS = 4
DF_DIGITS = 5


def emmeans_blocks(found: EmmeansTable) -> kinds.Blocks:
    """Show marginal means and their contrasts."""
    labels = (*found.specs, *found.by)
    means = estimate_columns(found.means, labels, MEAN_COLUMNS, level=found.level)
    blocks: list[kinds.Block] = [
        kinds.Heading(found.title),
        *kinds.facts(("Data:", found.data_name), ("Model:", found.formula_text)),
        kinds.Table(means, labels=len(labels)),
        *kinds.paragraphs(_mean_sentences(found)),
    ]
    if found.contrasts is not None:
        names = list(found.contrasts.columns)
        labels = tuple(names[: names.index("estimate")])
        contrasts = estimate_columns(found.contrasts, labels, CONTRAST_COLUMNS, level=found.level)
        blocks += [
            kinds.Table(contrasts, labels=len(labels)),
            kinds.Paragraph(found.contrast_words),
        ]
    return tuple(blocks)


def marginal_tests_blocks(found: MarginalTests) -> kinds.Blocks:
    """Show tests and intervals of marginal means or of contrasts."""
    one_sided = found.question.side != "two-sided"
    level = 2 * found.level - 1 if one_sided else found.level  # names of the ends of intervals
    columns = estimate_columns(found.table, found.labels, CONTRAST_COLUMNS, level=level)
    return (
        kinds.Heading(found.title),
        *kinds.facts(("Data:", found.data_name), ("Model:", found.formula_text)),
        kinds.Table(columns, labels=len(found.labels)),
        *kinds.paragraphs(_note_sentences(found.notes, found.words)),
    )


def _mean_sentences(found: EmmeansTable) -> list[str]:
    # short sentences on one paragraph: what is averaged over, then what the numbers are
    return _note_sentences(found.notes, found.mean_words)


def _note_sentences(notes: tuple[str, ...], words: str) -> list[str]:
    return [" ".join(notes), words] if notes else [words]


def estimate_columns(
    frame: pd.DataFrame, labels: tuple[str, ...], estimates: tuple[str, ...], *, level: float
) -> list[kinds.Column]:
    """Columns of a table: labels, then numbers; df, statistic and p are left out where all miss."""
    columns: list[kinds.Column] = [
        (name, [_label(value) for value in frame[name]]) for name in labels
    ]
    decimals = _decimals(numbers(frame, "std_error"))
    low, high = limit_names(level)
    headers = {
        "estimate": "estimate",
        "std_error": "SE",
        "df": "df",
        "statistic": "z" if all(map(math.isinf, numbers(frame, "df"))) else "t",
        "p_value": "p",
        "p_direction": "P(direction)",
        "probability": "probability",
        "conf_low": low,
        "conf_high": high,
    }
    for name in (*estimates, *DRAW_COLUMNS):
        if name not in frame:
            continue
        values = numbers(frame, name)
        if name in ("df", "statistic", "p_value") and all(map(math.isnan, values)):
            continue
        if name == "p_value":
            cells = [_p_cell(v) for v in values]
        elif name in DRAW_COLUMNS:
            cells = [fixed_cell(v, P_DECIMALS) for v in values]
        elif name == "df":
            cells = format_common([v if math.isinf(v) else round(v, 2) for v in values], DF_DIGITS)
        else:
            places = STATISTIC_DECIMALS if name == "statistic" else decimals
            cells = [fixed_cell(v, places) for v in values]
        columns.append((headers[name], cells))
    return columns


def _decimals(std_errors: Sequence[float]) -> int:
    """Decimals that show the smallest standard error with three digits."""
    sizes = [se for se in std_errors if math.isfinite(se) and se > 0]
    return decimals_of(min(sizes, default=1.0), digits=SE_DIGITS, most=MOST_DECIMALS, least=0)


def _p_cell(p_value: float) -> str:
    if math.isnan(p_value):
        return "NA"
    least = 10.0**-P_DECIMALS
    return f"<{least:.{P_DECIMALS}f}" if p_value < least else f"{p_value:.{P_DECIMALS}f}"


def _label(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
