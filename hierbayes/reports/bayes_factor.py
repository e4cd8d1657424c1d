"""A Bayes factor in blocks: the number, its error, and what it depends on."""

import math

from hierbayes.render.blocks import Blocks, Column, Heading, Table, facts, paragraphs
from hierbayes.reports.coefficients import decimals_of
from hierbayes.results.comparison import BayesFactor

BEYOND = 2.0  # Monte-Carlo errors from zero at which the sign of a log Bayes factor is certain
PLAIN_UP_TO = 1e6  # larger factors are given as a power of ten
CAUTION = (
    "A Bayes factor weighs the priors as well as the data: the wider the prior of what only one "
    "model has, the lower its marginal likelihood, however well it fits. Change the priors to see "
    "how far the conclusion depends on them."
)


def bayes_factor_blocks(found: BayesFactor) -> Blocks:
    """Show a Bayes factor: log marginal likelihoods, their difference and what it says."""
    names, columns = _table(found)
    data = f"{found.data_name}, {found.n_obs} rows" if found.data_name else ""
    pairs = zip(found.names, found.formulas, strict=True)
    return (
        Heading(f"Bayes factor of {found.names[0]} against {found.names[1]}"),
        *facts(("Data:", data), *((f"{name}:", formula) for name, formula in pairs)),
        Table(columns, names),
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


def _sentences(found: BayesFactor) -> list[str]:
    """Say which model the data speak for, how the priors differ, and what to beware of."""
    out = [verdict(found)]
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
