"""A Bayes factor in blocks: the number, its error, and what it depends on."""

import math

import pandas as pd

from hierbayes.render.blocks import Blocks, Column, Heading, Table, facts, paragraphs
from hierbayes.render.numbers import format_factor, format_probability
from hierbayes.reports.coefficients import decimals_of
from hierbayes.results.comparison import BayesFactor, RestrictedFactor

BEYOND = 2.0  # Monte-Carlo errors from zero at which the sign of a log Bayes factor is certain
PLAIN_UP_TO = 1e6  # larger factors are given as a power of ten
CAUTION = (
    "A Bayes factor weighs the priors as well as the data: the wider the prior of what only one "
    "model has, the lower its marginal likelihood, however well it fits. Change the priors to see "
    "how far the conclusion depends on them."
)


SHOWN = (0.25, 0.5, 1.0, 2.0, 4.0)  # factors of widths of a table


def bayes_factor_blocks(found: BayesFactor) -> Blocks:
    """Show a Bayes factor: log marginal likelihoods, their difference and what it says."""
    names, columns = _table(found)
    widths = [] if found.by_width is None else [_widths(found.by_width)]
    data = f"{found.data_name}, {found.n_obs} rows" if found.data_name else ""
    pairs = zip(found.names, found.formulas, strict=True)
    return (
        Heading(f"Bayes factor of {found.names[0]} against {found.names[1]}"),
        *facts(("Data:", data), *((f"{name}:", formula) for name, formula in pairs)),
        Table(columns, names),
        *widths,
        *paragraphs(_sentences(found)),
    )


def _table(found: BayesFactor) -> tuple[list[str], list[Column]]:
    logs = [*found.log_marginal_likelihoods, found.log_bf]
    errors = [*found.mcses, found.log_bf_mcse]
    decimals = [decimals_of(error) for error in errors]
    names = [*(f"log p(y | {name})" for name in found.names), "log Bayes factor"]
    columns: list[Column] = [
        ("", [f"{value:.{d}f}" for value, d in zip(logs, decimals, strict=True)]),
        ("MC error", [f"{error:.{d}f}" for error, d in zip(errors, decimals, strict=True)]),
    ]
    return names, columns


def _widths(table: pd.DataFrame) -> Table:
    """Show the factor where all widths are multiplied."""
    rows = table[table["factor"].isin(SHOWN)]
    cells = [bayes_factor_text(log) for log in rows["log_bf"].to_numpy(dtype=float)]
    names = [f"x {factor:g}" for factor in rows["factor"]]
    head = "Bayes factor where the priors of what was dropped are so much wider:"
    return Table([("BF", cells)], names, caption=head, head=head)


def bayes_factor_text(log_factor: float) -> str:
    """Write a Bayes factor by its logarithm: a power of ten where it is large."""
    if math.isnan(log_factor):
        return "-"
    powers = log_factor / math.log(10)
    if abs(log_factor) > math.log(PLAIN_UP_TO):
        return f"10^{powers:.0f}"
    return format_factor(math.exp(log_factor))


def _over_widths(table: pd.DataFrame) -> str:
    """Say whether the direction of the evidence hangs on the width of the priors."""
    known = table[table["log_bf"].notna()]
    low, high = known["factor"].iloc[0], known["factor"].iloc[-1]
    speaks = known["log_bf"] > 0
    if speaks.all() or not speaks.any():
        side = "for" if speaks.all() else "against"
        return f"Priors from {low:.3g} to {high:.3g} times as wide all speak {side} the term."
    turns = known["factor"][speaks.ne(speaks.shift()) & (known.index > known.index[0])]
    where = ", ".join(f"{factor:.3g}" for factor in turns)
    return (
        f"The priors decide: over {low:.3g} to {high:.3g} times their width the evidence changes "
        f"sides at about {where} times."
    )


def restricted_blocks(found: RestrictedFactor) -> Blocks:
    """Show how much more likely a statement became."""
    rows = (
        (found.prior_probability, found.prior_mcse),
        (found.posterior_probability, found.posterior_mcse),
    )
    columns: list[Column] = [
        ("probability", [format_probability(p) for p, _ in rows]),
        ("MC error", [f"{error:.2g}" for _, error in rows]),
    ]
    return (
        Heading(f"Bayes factor of {found.statement}"),
        *facts(("Formula:", found.formula_text), ("Data:", found.data_name)),
        Table(columns, ["before the data", "after them"]),
        *paragraphs(_restricted_sentences(found)),
    )


def _restricted_sentences(found: RestrictedFactor) -> list[str]:
    out = []
    pairs = (
        ("the model without the restriction", found.log_bf, found.log_bf_mcse),
        ("its opposite", found.log_bf_complement, found.log_bf_complement_mcse),
    )
    for against, log_bf, mcse in pairs:
        if not math.isnan(log_bf):
            factor, error = bayes_factor_text(log_bf), math.exp(log_bf) * mcse
            out.append(
                f"Against {against} the Bayes factor of {found.statement} is {factor} "
                f"(Monte-Carlo error {error:.2g})."
            )
    out.append(
        "It hangs on the prior probability of the statement, which is that of the priors of the "
        "model: hb.Model(..., priors=)."
    )
    return out + [str(finding) for finding in found.findings]


def _sentences(found: BayesFactor) -> list[str]:
    """Say which model the data speak for, how the priors differ, and what to beware of."""
    out = [verdict(found)]
    if found.savage_dickey is not None:
        check = found.savage_dickey
        places = decimals_of(check.mcse)
        out.append(
            f"Savage and Dickey's ratio, of densities at zero, has a log Bayes factor of "
            f"{check.log_bf:.{places}f} (Monte-Carlo error {check.mcse:.{places}f})."
        )
    if found.by_width is not None:
        out.append(_over_widths(found.by_width))
    for name, lines in zip(found.names, found.prior_differences, strict=True):
        if lines:
            out.append(f"Priors only {name} has: {', '.join(lines)}.")
    out.append(CAUTION)
    return out + [str(finding) for finding in found.findings]


def verdict(found: BayesFactor) -> str:
    """One sentence: how many times more likely the data are, under which model."""
    first, second = found.names if found.log_bf >= 0 else found.names[::-1]
    size, error = abs(found.log_bf), found.log_bf_mcse
    if size <= BEYOND * error:
        return (
            f"The data are about equally likely under {first} and {second} given these priors: "
            f"the Bayes factor is {math.exp(found.log_bf):.3g} with a Monte-Carlo error of "
            f"{math.exp(found.log_bf) * error:.2g}."
        )
    if size > math.log(PLAIN_UP_TO):
        times = f"about 10^{size / math.log(10):.0f}"
        return (
            f"The data are {times} times more likely under {first} than under {second} given "
            f"these priors (log Bayes factor {size:.{decimals_of(error)}f})."
        )
    factor = math.exp(size)
    digits = max(2, math.ceil(math.log10(1 / max(error, 1e-3))))
    return (
        f"The data are {_plain(factor, digits)} times more likely under {first} than under "
        f"{second} given these priors (Monte-Carlo error {factor * error:.2g})."
    )


def _plain(value: float, digits: int) -> str:
    """Write a number with so many significant digits, never in scientific notation."""
    decimals = max(0, digits - 1 - math.floor(math.log10(value)))
    return f"{value:.{decimals}f}"
