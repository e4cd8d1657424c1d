"""Leave-one-out results in blocks: what was left out, elpd, and whether to trust it."""

import math

import numpy as np

from hierbayes.render.blocks import Blocks, Column, Fact, Findings, Heading, Paragraph, Table
from hierbayes.reports.coefficients import decimals_of, fixed_cell
from hierbayes.results.comparison import Loo

# Vehtari et al. (2024): below the first bound reliable, above the last without any meaning
K_BOUNDS = (0.7, 1.0)
K_WORDS = ("trusted", "doubtful", "not to be used")


def loo_blocks(found: Loo) -> Blocks:
    """Show a leave-one-out result."""
    names, columns = _estimates(found)
    data = f"Data: {found.data_name}; " if found.data_name else ""
    count = f"{len(found.pointwise)} {'rows' if found.by is None else 'levels'} left out in turn"
    return (
        Heading(f"Leave-one-{found.by or 'row'}-out prediction"),
        Fact("Formula:", found.formula_text),
        Fact("", f"{data}{count}, {found.n_draws} draws"),
        Paragraph(found.what, gap=False),
        Table(columns, names),
        Paragraph(pareto_line(found)),
        Findings([str(finding) for finding in found.findings]),
    )


def _estimates(found: Loo) -> tuple[list[str], list[Column]]:
    decimals = decimals_of(found.se)
    names, values, errors = (
        ["elpd"],
        [f"{found.elpd:.{decimals}f}"],
        [fixed_cell(found.se, decimals, missing="")],
    )
    mcse = [f"{found.mcse:.2g}"]
    if not math.isnan(found.p_loo):
        names, values = [*names, "p_loo"], [*values, f"{found.p_loo:.1f}"]
        errors, mcse = [*errors, ""], [*mcse, ""]
    return names, [("estimate", values), ("SE", errors), ("MC error", mcse)]


def pareto_line(found: Loo) -> str:
    """Count the terms by how far their Pareto k lets them be trusted."""
    refitted = found.pointwise["refitted"].to_numpy()
    k = found.pointwise["pareto_k"].to_numpy(dtype=float)[~refitted]
    counts = np.bincount(np.digitize(k, K_BOUNDS, right=True), minlength=3)
    again = f"; {refitted.sum()} sampled anew without the level" if refitted.any() else ""
    if counts[0] == k.size:
        rest = "the other " if again else "all "
        return f"Pareto k at most {K_BOUNDS[0]} for {rest}{k.size} terms, to be trusted{again}."
    bounds = (f"to {K_BOUNDS[0]}", f"{K_BOUNDS[0]} to {K_BOUNDS[1]:g}", f"above {K_BOUNDS[1]:g}")
    parts = [
        f"{n} {bound} ({word})" for n, bound, word in zip(counts, bounds, K_WORDS, strict=True) if n
    ]
    return f"Pareto k: {', '.join(parts)}{again}."
