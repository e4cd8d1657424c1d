"""A parametric-bootstrap test in blocks, laid out as pbkrtest prints it."""

import math

from hierbayes.render import blocks as kinds
from hierbayes.render.layout import wrapped
from hierbayes.reports.coefficients import (
    TABLE_DIGITS,
    numbers,
    p_value_cells,
    plain_cells,
    statistic_cells,
)
from hierbayes.results.pb_test import PbTest

HEADERS = ("stat", "df", "ddf", "p.value")
TITLE = "Parametric-bootstrap likelihood-ratio test"
AT_ZERO_NOTED = 0.02  # share of samples at zero from which the approximations are commented on
SURELY = 3.0  # standard errors below df from which a mean of the samples is surely below it
REFITTED = "Models were fitted again by ML (instead of REML)."


def pb_test_blocks(test: PbTest) -> kinds.Blocks:
    """Show a bootstrap test."""
    columns, stars = _cells(test)
    counts = _counts(test)
    return (
        kinds.Printed(
            wrapped(f"{TITLE}, {counts}"),
            [kinds.Heading(TITLE), kinds.Paragraph(f"{counts.capitalize()}.")],
        ),
        *kinds.facts(("Data:", test.data_name), ("small:", test.small), ("large:", test.large)),
        kinds.Table(columns, [str(name) for name in test.table.index], stars=stars),
        *kinds.paragraphs(_sentences(test)),
    )


def _counts(test: PbTest) -> str:
    samples = f"{test.n_samples:,} sample{'s' if test.n_samples > 1 else ''}"
    used = f", {test.used:,} used" if test.used < test.n_samples else ""
    return f"{samples}{used}, {test.extremes:,} extreme"


def _cells(test: PbTest) -> tuple[list[kinds.Column], list[str] | None]:
    frame = test.table
    p_cells, stars = p_value_cells(numbers(frame, "p_value"), TABLE_DIGITS)
    columns = (
        statistic_cells(numbers(frame, "statistic"), TABLE_DIGITS),
        plain_cells(numbers(frame, "df"), TABLE_DIGITS, missing=""),
        statistic_cells(numbers(frame, "ddf"), TABLE_DIGITS, missing=""),
        p_cells,
    )
    return list(zip(HEADERS, columns, strict=True)), stars


def _sentences(test: PbTest) -> list[str]:
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
