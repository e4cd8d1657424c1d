"""A bootstrap in blocks: estimates, bias, standard errors and percentile intervals."""

from hierbayes.render.blocks import Blocks, Column, Heading, Table, facts, paragraphs
from hierbayes.reports.coefficients import decimals_of, fixed_cell, limit_names
from hierbayes.results.bootstrap_result import BootstrapResult

LEVEL = 0.95
TITLES = {"parametric": "Parametric", "residual": "Residual", "cases": "Cases"}


def bootstrap_blocks(found: BootstrapResult) -> Blocks:
    """Show a bootstrap as a table with one row a quantity."""
    return (
        Heading(_title(found)),
        *facts(
            ("Formula:", found.formula_text),
            ("Data:", found.data_name),
            ("Drawn anew:", found.drawn),
        ),
        Table(_columns(found), found.names),
        *paragraphs(_sentences(found)),
    )


def _title(found: BootstrapResult) -> str:
    count = f"{found.nsim:,} replicate{'s' if found.nsim > 1 else ''}"
    return f"{TITLES[found.kind]} bootstrap, {count} of a fit by {_by(found)}"


def _by(found: BootstrapResult) -> str:
    return "REML" if found.method == "reml" else "maximum likelihood"


def _columns(found: BootstrapResult) -> list[Column]:
    limits = found.confint(LEVEL)
    decimals = [decimals_of(float(s)) for s in found.sd]
    low, high = limit_names(LEVEL)
    columns = (
        ("estimate", found.estimates),
        ("bias", found.bias),
        ("sd", found.sd),
        (low, limits["lower"]),
        (high, limits["upper"]),
    )
    return [
        (name, [fixed_cell(float(v), d) for v, d in zip(values, decimals, strict=True)])
        for name, values in columns
    ]


def _sentences(found: BootstrapResult) -> list[str]:
    """Say what the limits are, and how many refits failed, are singular or lack a number."""
    out = [
        f"Limits are {100 * LEVEL:g} % percentile confidence intervals; sd is the bootstrap "
        "standard error."
    ]
    counts = []
    if found.n_boundary:
        counts.append(
            f"{_refits(found.n_boundary)} on the boundary (an sd of zero, or a perfect "
            f"correlation); {'they count as they are' if found.n_boundary > 1 else 'it counts'}"
        )
    if found.n_failed:
        reason = f" ({found.failure.rstrip('.')})" if found.failure else ""
        counts.append(f"{_refits(found.n_failed)} left out, not fitted{reason}")
    out += [f"{text}." for text in counts]
    for name, count in found.n_missing.items():
        out.append(
            f"{name} does not exist in {count} replicate{'s' if count > 1 else ''} beside an sd "
            "of zero; its numbers are from the others."
            if name.startswith("cor_")
            else f"{name} is missing in {count} replicate{'s' if count > 1 else ''}."
        )
    return out


def _refits(count: int) -> str:
    return f"{count} refit{'s are' if count > 1 else ' is'}"
