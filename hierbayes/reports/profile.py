"""Likelihood profiles in blocks: limits, and how far from quadratic each profile is."""

import numpy as np

from hierbayes.render.blocks import Blocks, Column, Heading, Table, facts, paragraphs
from hierbayes.render.numbers import format_number
from hierbayes.reports.coefficients import decimals_of, fixed_cell, limit_names
from hierbayes.results.profile_result import ProfileResult

HOW_TO_READ = (
    "Limits are where the signed root zeta of the deviance change reaches the normal quantiles; "
    "to_frame() has zeta over the values of each parameter."
)


def profile_blocks(found: ProfileResult) -> Blocks:
    """Show likelihood profiles as a table with one row a parameter."""
    return (
        Heading(_title(found)),
        *facts(
            ("Formula:", found.formula_text),
            ("Data:", found.data_name),
            ("Deviance at the ML estimates:", f"{found.deviance:.4f}"),
        ),
        Table(_columns(found), found.names),
        *paragraphs([HOW_TO_READ, *map(str, found.findings)]),
    )


def _title(found: ProfileResult) -> str:
    count = len(found.names)
    return (
        f"Likelihood profile of {count} parameter{'s' if count != 1 else ''}, with "
        f"{format_number(100 * found.level, 4)} % confidence limits"
    )


def _columns(found: ProfileResult) -> list[Column]:
    low, high = limit_names(found.level)
    decimals = [_decimals(*row) for row in zip(found.estimates, *found.limits.T, strict=True)]
    columns: list[Column] = [
        (name, [fixed_cell(float(v), d) for v, d in zip(values, decimals, strict=True)])
        for name, values in (
            ("ML estimate", found.estimates),
            (low, found.limits[:, 0]),
            (high, found.limits[:, 1]),
        )
    ]
    counts = np.bincount(found.owner, minlength=len(found.names))
    return [*columns, ("points", [str(count) for count in counts])]


def _decimals(estimate: float, lower: float, upper: float) -> int:
    """Decimals that show an interval's width to about three digits."""
    widths = [w for w in (upper - lower, upper - estimate, estimate - lower) if w > 0]
    return decimals_of(widths[0] / 4) if widths else 3
