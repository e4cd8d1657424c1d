"""Inclusion Bayes factors in blocks: the terms, the models, and what they depend on."""

import math

from hierbayes.render.blocks import Blocks, Column, Findings, Heading, Table, facts, paragraphs
from hierbayes.render.numbers import format_probability
from hierbayes.reports.bayes_factor import bayes_factor_text
from hierbayes.results.comparison import Inclusion

WIDTHS = "x 0.25 and x 4: the factor where the priors of the term are so much narrower or wider."
MATCHED = (
    "Models with a term, and none of higher order, are compared with the same models without it."
)
ALL = "All models with a term are compared with all without it."
CAUTION = (
    "The factors weigh the priors of the terms as well as the data, and hang on which models were "
    "given: others, or wider priors, change them."
)


def inclusion_blocks(found: Inclusion) -> Blocks:
    """Show inclusion Bayes factors and the probabilities of the models."""
    table, models = found.table, found.models.sort_values("posterior", ascending=False)
    counts = zip(table["n_with"], table["n_without"], strict=True)
    terms: list[Column] = [
        ("P(prior)", [f"{p:.3f}" for p in table["prior"]]),
        ("P(data)", [format_probability(p) for p in table["posterior"]]),
        ("BF", [bayes_factor_text(value) for value in table["log_bf"]]),
        ("MC error", [_error(value) for value in table["log_bf_mcse"]]),
        *_over_widths(found),
        ("models", [f"{a:.0f}:{b:.0f}" for a, b in counts]),
    ]
    rows: list[Column] = [
        ("P(prior)", [f"{p:.3f}" for p in models["prior"]]),
        ("P(data)", [format_probability(p) for p in models["posterior"]]),
        ("BF of best", [bayes_factor_text(-value) for value in models["log_bf"]]),
    ]
    data = f"{found.data_name}, {found.n_obs} rows" if found.data_name else ""
    return (
        Heading("Inclusion Bayes factors"),
        *facts(("Data:", data), ("Priors:", found.priors_text)),
        Table(terms, [str(name) for name in table.index], notes=_notes(found)),
        Table(rows, [str(name) for name in models.index], "Models", head="Models:"),
        *paragraphs([CAUTION]),
        Findings([str(finding) for finding in found.findings]),
    )


def _notes(found: Inclusion) -> list[str]:
    return [MATCHED if found.matched else ALL, *([WIDTHS] if _over_widths(found) else [])]


def _over_widths(found: Inclusion) -> list[Column]:
    """Columns of the factors under narrower and wider priors of each term."""
    rows = found.by_width.reindex(found.table.index)
    if rows.isna().all(axis=None):
        return []
    ends = [rows.columns[0], rows.columns[-1]]
    return [(f"x {end:g}", [bayes_factor_text(value) for value in rows[end]]) for end in ends]


def _error(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.2g} %"
