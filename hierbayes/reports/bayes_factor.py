"""A Bayes factor as text and HTML: the number, its error, and what it depends on."""

import math

from hierbayes.render.html_page import escape, fragment, heading, table
from hierbayes.render.layout import matrix_lines
from hierbayes.reports.summary import wrapped
from hierbayes.results.comparison import BayesFactor

BEYOND = 2.0  # Monte-Carlo errors from zero at which the sign of a log Bayes factor is certain
PLAIN_UP_TO = 1e6  # larger factors are given as a power of ten
CAUTION = (
    "A Bayes factor weighs the priors as well as the data: the wider the prior of what only one "
    "model has, the lower its marginal likelihood, however well it fits. Change the priors to see "
    "how far the conclusion depends on them."
)


def bayes_factor_text(found: BayesFactor) -> str:
    """Write a Bayes factor."""
    names, columns = _table(found)
    cells = [[column[i] for _, column in columns] for i in range(len(names))]
    lines = [_title(found), *_models(found), ""]
    lines += matrix_lines(cells, names, [name for name, _ in columns])
    for paragraph in paragraphs(found):
        lines += ["", *wrapped(paragraph, "", "")]
    return "\n".join(lines)


def bayes_factor_html(found: BayesFactor) -> str:
    """Show a Bayes factor; same numbers and sentences as the text."""
    names, columns = _table(found)
    parts = [heading(_title(found), 3)]
    parts += [f"<p><code>{escape(line)}</code></p>" for line in _models(found)]
    parts.append(table(columns, names))
    parts += [f"<p>{escape(text)}</p>" for text in paragraphs(found)]
    return fragment(*parts)


def _title(found: BayesFactor) -> str:
    return f"Bayes factor of {found.names[0]} against {found.names[1]}"


def _models(found: BayesFactor) -> list[str]:
    pairs = zip(found.names, found.formulas, strict=True)
    data = f"Data: {found.data_name}, {found.n_obs} rows" if found.data_name else ""
    return [line for line in (data, *(f"{name}: {text}" for name, text in pairs)) if line]


def _table(found: BayesFactor) -> tuple[list[str], list[tuple[str, list[str]]]]:
    logs = [*found.log_marginal_likelihoods, found.log_bf]
    errors = [*found.mcses, found.log_bf_mcse]
    decimals = [decimals_of(error) for error in errors]
    names = [*(f"log p(y | {name})" for name in found.names), "log Bayes factor"]
    columns = [
        ("", [f"{value:.{d}f}" for value, d in zip(logs, decimals, strict=True)]),
        ("MC error", [f"{error:.{d}f}" for error, d in zip(errors, decimals, strict=True)]),
    ]
    return names, columns


def decimals_of(error: float) -> int:
    """Decimals that show two digits of an error."""
    if not math.isfinite(error) or error <= 0:
        return 3
    return min(6, max(1, 1 - math.floor(math.log10(error))))


def paragraphs(found: BayesFactor) -> list[str]:
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
