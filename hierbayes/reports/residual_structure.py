"""Residuals that are correlated or of unequal variance, in a summary and in sentences."""

from collections.abc import Sequence

from hierbayes.formula.residual_term import ResidualTerm
from hierbayes.render.blocks import Blocks
from hierbayes.render.numbers import format_plain
from hierbayes.reports.coefficients import fixed_cell
from hierbayes.reports.varcorr import residual_blocks
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.varcorr import ResidualRow
from hierbayes.wording import listed

DIGITS = 3  # of an estimate without an interval


def residual_words(fit: LinearFit) -> str:
    """Say what the residuals of a fit are, ``correlated residuals of unequal variance``."""
    found = fit.spec.residuals
    words = "residuals" if found.series is None else "correlated residuals"
    return f"{words} of unequal variance" if found.structure.n_spreads else words


def correlation_words(term: ResidualTerm | None) -> str:
    """Say in a sentence of methods which residuals are correlated; empty where none are."""
    if term is None:
        return ""
    how = {
        "ar1": "correlated by a first-order autoregression",
        "car1": "correlated by a continuous autoregression",
        "cs": "equally correlated",
        "us": "correlated without a pattern, each visit with an sd of its own",
    }[term.word]
    return f"Residuals of each {term.group} were {how} ({term.call})."


def series_words(term: ResidualTerm) -> str:
    """Say how residuals of one series are correlated."""
    inner = term.inner_label
    how = {
        "ar1": f"the correlation r^gap, the gap in {inner} in whole steps; r may be negative",
        "car1": f"the correlation r^gap, with the gap in {inner}; r is not negative",
        "cs": "the correlation r, whichever two rows they are",
        "us": f"a correlation for each pair of values of {inner}, and each value has an sd",
    }[term.word]
    return f"{term.call}: two residuals of one {term.group} have {how}."


def residual_sentences(rows: Sequence[ResidualRow], term: ResidualTerm | None) -> list[str]:
    """Say what residuals have beside sigma: sds of strata or coefficients, and correlations."""
    said = []
    sds = [f"{format_plain(row.value, DIGITS)} for {row.label}" for row in rows if row.is_sd]
    if sds:
        said.append(f"That is the one of the reference; it is {listed(sds)}.")
    slopes = [row for row in rows if not row.is_sd and row.group == "Residual"]
    if slopes:
        parts = [f"{format_plain(row.value, DIGITS)} of {row.label.partition(': ')[2]}"
                 for row in slopes]  # fmt: skip
        said.append(
            "That is the one where the terms of the formula of sigma are zero; its logarithm has "
            f"{'a coefficient' if len(parts) == 1 else 'coefficients'} of {listed(parts)}."
        )
    found = [row for row in rows if row.group != "Residual"]
    if term is None or not found:
        return said
    values = [fixed_cell(row.value, 2) for row in found]
    if term.word == "us":
        low, high = min(row.value for row in found), max(row.value for row in found)
        which = f"Correlations of the residuals of two visits of one {term.group}"
        return [*said, f"{which} lie between {fixed_cell(low, 2)} and {fixed_cell(high, 2)}."]
    apart = {"ar1": " at neighbouring times", "car1": f" with a gap of 1 in {term.inner_label}"}
    of = f"Residuals of one {term.group}{apart.get(term.word, '')}"
    return [*said, f"{of} have a correlation of {values[0]}."]


def residual_structure_blocks(fit: LinearFit, digits: int) -> Blocks:
    """Show strata, coefficients and correlations; nothing of independent residuals of one sd."""
    if fit.residual is None:
        return ()
    given = fit.spec.arguments
    said = [f"sigma {given.sigma.strip()}"] if given.sigma is not None else []
    said += [] if fit.design.residual is None else [fit.design.residual.call]
    head = f"Structure of the residuals: {', '.join(said)}"
    return residual_blocks(fit.varcorr(), digits=digits, head=head)
