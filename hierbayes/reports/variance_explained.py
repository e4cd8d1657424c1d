"""R2 and intraclass correlations in blocks, with the definition they have."""

from hierbayes.render.blocks import Blocks, Column, Heading, Table, facts, paragraphs
from hierbayes.render.numbers import format_number
from hierbayes.reports.coefficients import fixed_cell, limit_names, numbers
from hierbayes.results.variance_explained import R2, Icc
from hierbayes.wording import listed

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


def r2_blocks(found: R2) -> Blocks:
    """Show marginal and conditional R2."""
    return _blocks(found, "R2 (Nakagawa)", R2_WORDS)


def icc_blocks(found: Icc) -> Blocks:
    """Show intraclass correlations."""
    words = ICC_WORDS
    if found.related:
        words += (
            f" That of {listed(found.related)}, whose levels are related, is the heritability "
            "(of species: the phylogenetic signal) of a level whose own entry in cov is 1."
        )
    return _blocks(found, "Intraclass correlation", words)


def _blocks(found: R2 | Icc, title: str, words: str) -> Blocks:
    return (
        Heading(title),
        *facts(("Data:", found.data_name), ("Model:", found.formula_text)),
        Table(_columns(found), [str(name) for name in found.table.index]),
        *paragraphs(_sentences(found, words)),
    )


def _columns(found: R2 | Icc) -> list[Column]:
    headers = {"estimate": "estimate"}
    if found.interval_words:
        low, high = limit_names(found.level)
        headers |= {"conf_low": low, "conf_high": high}
    return [
        (header, [fixed_cell(v, DECIMALS, missing="") for v in numbers(found.table, name)])
        for name, header in headers.items()
    ]


def _sentences(found: R2 | Icc, words: str) -> list[str]:
    parts = [
        f"{name} {format_number(value, VARIANCE_DIGITS)}" for name, value in found.variances.items()
    ]
    out = [words, f"Variances: {', '.join(parts)} ({found.residual_words})."]
    return [*out, found.interval_words] if found.interval_words else out
