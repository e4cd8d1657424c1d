"""Structures of a model beside each other, in blocks."""

import math
from collections.abc import Sequence

from hierbayes.render import blocks as kinds
from hierbayes.render.numbers import format_p_values
from hierbayes.reports.coefficients import (
    AIC,
    BIC,
    NPAR,
    Columns,
    decimals_of,
    fixed_cell,
    numbers,
    tests_table,
)
from hierbayes.results.structure_table import StructureTable

P_DIGITS = 4
CRITERION = {"reml": "REML crit.", "ml": "-2 logLik"}
REFITTED = "The fixed parts differ, so all are fitted by ML."


def structure_blocks(found: StructureTable) -> kinds.Blocks:
    """Show a comparison of structures."""
    method = {"reml": "REML", "ml": "maximum likelihood"}[found.method]
    data = f"{found.data_name}, {found.n_obs} rows" if found.data_name else f"{found.n_obs} rows"
    models = ((f"{name}:", formula) for name, formula in found.models.items())
    fits: Columns = (NPAR, AIC, BIC, (CRITERION[found.method], "criterion", "zapped"))
    return (
        kinds.Heading(f"Structures compared, fitted by {method}"),
        *kinds.facts(("Data:", data), *models),
        tests_table(found.table, fits, caption="Fits"),
        *_tests(found),
        *_posteriors(found),
        *kinds.paragraphs([REFITTED] if found.refitted else []),
        *(kinds.Paragraph(words, gap=i == 0) for i, words in enumerate(found.verdict)),
        *kinds.paragraphs(list(found.notes)),
        kinds.Findings([str(finding) for finding in found.findings]),
    )


def _tests(found: StructureTable) -> list[kinds.Table]:
    """Table of likelihood ratios against the largest special case."""
    rows = found.table[found.table["against"] != ""]
    if rows.empty:
        return []
    columns: list[kinds.Column] = [
        ("against", [str(name) for name in rows["against"]]),
        ("Chisq", [fixed_cell(value, 3) for value in numbers(rows, "chisq")]),
        ("Df", [f"{value:.0f}" for value in numbers(rows, "df")]),
        ("Pr(>Chisq)", _p_cells(numbers(rows, "p_value"))),
    ]
    mixture = numbers(rows, "p_mixture")
    if not all(map(math.isnan, mixture)):
        columns.append(("mixture", _p_cells(mixture)))
    head = "Likelihood ratios:"
    return [kinds.Table(columns, [str(name) for name in rows.index], caption=head, head=head)]


def _p_cells(values: Sequence[float]) -> list[str]:
    known = iter(format_p_values([v for v in values if not math.isnan(v)], P_DIGITS))
    return ["" if math.isnan(v) else next(known).strip() for v in values]


def _posteriors(found: StructureTable) -> list[kinds.Table]:
    """Table of marginal likelihoods and of leave-one-out prediction."""
    table = found.table
    if not found.what:
        return []
    columns: list[kinds.Column] = []
    pairs = (
        ("log p(y)", "log_marginal_likelihood", "log_marginal_likelihood_mcse", "MC error"),
        ("elpd", "elpd", "se", "se"),
        ("elpd_diff", "elpd_diff", "se_diff", "se_diff"),
    )
    for header, name, error, error_header in pairs:
        errors = numbers(table, error)
        if all(map(math.isnan, errors)):
            continue
        decimals = [min(decimals_of(size), 2) for size in errors]
        for title, column in ((header, name), (error_header, error)):
            values = zip(numbers(table, column), decimals, strict=True)
            columns.append((title, [fixed_cell(value, d, missing="") for value, d in values]))
    if table["high_k"].any():
        columns.append(("k > 0.7", [f"{count:.0f}" for count in table["high_k"]]))
    rows = [str(name) for name in table.index]
    return [kinds.Table(columns, rows, "Posteriors", head="Posteriors:", notes=[found.what])]
