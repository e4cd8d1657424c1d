"""A parametric-bootstrap test as text and HTML, laid out as pbkrtest prints it."""

import math

from hierbayes.render.html_page import escape, fragment, heading, table
from hierbayes.reports.coefficients import (
    LEGEND,
    TABLE_DIGITS,
    p_value_cells,
    plain_cells,
    statistic_cells,
    table_lines,
)
from hierbayes.reports.summary import wrapped
from hierbayes.results.pb_test import PbTest

HEADERS = ("stat", "df", "ddf", "p.value")
TITLE = "Parametric-bootstrap likelihood-ratio test"
AT_ZERO_NOTED = 0.02  # share of samples at zero from which the approximations are commented on
SURELY = 3.0  # standard errors below df from which a mean of the samples is surely below it
REFITTED = "Models were fitted again by ML (instead of REML)."


def pb_test_text(test: PbTest) -> str:
    """Write a bootstrap test."""
    columns, stars = _cells(test)
    named = list(zip(HEADERS, columns, strict=True))
    lines = [*wrapped(f"{TITLE}, {_counts(test)}", "", ""), *_models(test), ""]
    lines += table_lines(named, [str(name) for name in test.table.index], stars=stars)
    for sentence in sentences(test):
        lines += ["", *wrapped(sentence, "", "")]
    return "\n".join(lines)


def pb_test_html(test: PbTest) -> str:
    """Show a bootstrap test; same numbers and sentences as the text."""
    columns, stars = _cells(test)
    named = list(zip(HEADERS, columns, strict=True))
    if stars is not None:
        named.append(("", stars))
    parts = [heading(TITLE, 3), f"<p>{escape(_counts(test).capitalize())}.</p>"]
    parts += [f"<p><code>{escape(line)}</code></p>" for line in _models(test)]
    parts.append(table(named, [str(name) for name in test.table.index]))
    parts.append(f'<p class="soft">{escape(LEGEND)}</p>' if stars is not None else "")
    parts += [f"<p>{escape(sentence)}</p>" for sentence in sentences(test)]
    return fragment(*parts)


def _counts(test: PbTest) -> str:
    samples = f"{test.n_samples:,} sample{'s' if test.n_samples > 1 else ''}"
    used = f", {test.used:,} used" if test.used < test.n_samples else ""
    return f"{samples}{used}, {test.extremes:,} extreme"


def _models(test: PbTest) -> list[str]:
    data = [f"Data: {test.data_name}"] if test.data_name else []
    return [*data, f"small: {test.small}", f"large: {test.large}"]


def _cells(test: PbTest) -> tuple[list[list[str]], list[str] | None]:
    frame = test.table

    def numbers(name: str) -> list[float]:
        return [float(v) for v in frame[name]]

    p_cells, stars = p_value_cells(numbers("p_value"), TABLE_DIGITS)
    return [
        statistic_cells(numbers("statistic"), TABLE_DIGITS),
        plain_cells(numbers("df"), TABLE_DIGITS, missing=""),
        statistic_cells(numbers("ddf"), TABLE_DIGITS, missing=""),
        p_cells,
    ], stars


def sentences(test: PbTest) -> list[str]:
    """Say how sure the p-value is, what the rows below it are, and what happened to samples."""
    out = []
    if test.refitted:
        out.append(REFITTED)
    out.append(
        f"PBtest is the test: p = {test.p_value:.3g} with a Monte-Carlo error of "
        f"{test.p_mcse:.2g}. LRT takes the chi-squared distribution; Gamma, Bartlett and F are "
        "approximations from the mean and variance of the samples."
    )
    out += _boundary(test)
    lost = test.n_samples - test.used
    if lost:
        out.append(
            f"{lost} sample{'s' if lost > 1 else ''} could not be fitted by both models and "
            f"{'are' if lost > 1 else 'is'} left out."
        )
    return out


def _boundary(test: PbTest) -> list[str]:
    """Warn of the approximations where the samples say that the small model is on its boundary."""
    share, mean = test.share_at_zero, float(test.reference.mean()) if test.used else math.nan
    error = float(test.reference.std()) / math.sqrt(max(test.used, 1))
    if share >= AT_ZERO_NOTED:
        seen = f"In {100 * share:.0f} % of the samples the larger model fits no better"
    elif mean + SURELY * error < test.df:
        seen = f"The statistics of the samples average {mean:.2f}, less than df = {test.df}"
    elif mean <= test.df:
        return [
            f"The statistics of the samples average {mean:.2f}, not more than df = {test.df}, so "
            "there is no F approximation."
        ]
    else:
        return []
    return [
        f"{seen}: the smaller one lies on its boundary (a variance of zero), where the "
        "approximations do not hold. Read PBtest only."
    ]
