"""Leave-one-out results in blocks: what was left out, elpd, and whether to trust it."""

import math

import numpy as np

from hierbayes.render.blocks import Blocks, Column, Fact, Findings, Heading, Paragraph, Table
from hierbayes.reports.coefficients import decimals_of, fixed_cell
from hierbayes.results.comparison import KFold, Loo

# Vehtari et al. (2024): below the first bound reliable, above the last without any meaning
K_BOUNDS = (0.7, 1.0)
K_WORDS = ("trusted", "doubtful", "not to be used")


def loo_blocks(found: Loo) -> Blocks:
    """Show a leave-one-out result."""
    names, columns = _estimates(found)
    data = f"Data: {found.data_name}; " if found.data_name else ""
    units = {None: "rows", "block": "blocks"}.get(found.by, "levels")
    count = f"{len(found.pointwise)} {units} left out in turn"
    return (
        Heading(f"Leave-one-{found.by or 'row'}-out prediction"),
        Fact("Formula:", found.formula_text),
        Fact("", f"{data}{count}, {found.n_draws} draws"),
        Paragraph(f"{found.what} {found.how}", gap=False),
        Table(columns, names),
        Paragraph(pareto_line(found) + _anew(found) + _beside(found)),
        Findings([str(finding) for finding in found.findings]),
    )


def kfold_blocks(found: KFold) -> Blocks:
    """Show a k-fold result."""
    decimals = decimals_of(found.se)
    units = {None: "rows", "block": "blocks"}.get(found.by, f"levels of {found.by}")
    even = f", {found.stratify} spread evenly" if found.stratify else ""
    data = f"Data: {found.data_name}; " if found.data_name else ""
    dealt = f"{data}{len(found.pointwise)} {units} in {found.k} folds{even}"
    draws = f"{found.n_draws} draws of the posterior without each fold"
    return (
        Heading(f"{found.k}-fold prediction"),
        Fact("Formula:", found.formula_text),
        Fact("", dealt),
        Fact("", draws),
        Paragraph(found.what, gap=False),
        Table(
            [
                ("estimate", [f"{found.elpd:.{decimals}f}"]),
                ("SE", [fixed_cell(found.se, decimals, missing="")]),
                ("MC error", [f"{found.mcse:.2g}"]),
            ],
            ["elpd"],
        ),
        Findings([str(finding) for finding in found.findings]),
    )


def _estimates(found: Loo) -> tuple[list[str], list[Column]]:
    decimals = decimals_of(found.se)
    rows = [("elpd", found.elpd, fixed_cell(found.se, decimals, missing=""), found.mcse)]
    if not math.isnan(found.p_loo):
        rows.append(("p_loo", found.p_loo, "", math.nan))
    beside = found.by_draws
    if beside is not None and found.method != "draws":
        se = fixed_cell(beside.se, decimals, missing="")
        rows.append(("elpd by az.loo", beside.elpd, se, beside.mcse))
    return [name for name, *_ in rows], [
        ("estimate", [f"{value:.{max(decimals, 1)}f}" for _, value, *_ in rows]),
        ("SE", [se for *_, se, _ in rows]),
        ("MC error", ["" if math.isnan(mcse) else f"{mcse:.2g}" for *_, mcse in rows]),
    ]


def pareto_line(found: Loo) -> str:
    """Count the terms by how far their Pareto k lets them be trusted."""
    refitted = found.pointwise["refitted"].to_numpy()
    k = found.pointwise["pareto_k"].to_numpy(dtype=float)[~refitted]
    counts = np.bincount(np.digitize(k, K_BOUNDS, right=True), minlength=3)
    unit = {None: "row", "block": "block"}.get(found.by, "level")
    again = f"; {refitted.sum()} sampled anew without the {unit}" if refitted.any() else ""
    if counts[0] == k.size:
        rest = "the other " if refitted.any() else "all "
        return f"Pareto k at most {K_BOUNDS[0]} for {rest}{k.size} terms, to be trusted{again}."
    bounds = (f"to {K_BOUNDS[0]}", f"{K_BOUNDS[0]} to {K_BOUNDS[1]:g}", f"above {K_BOUNDS[1]:g}")
    parts = [
        f"{n} {bound} ({word})" for n, bound, word in zip(counts, bounds, K_WORDS, strict=True) if n
    ]
    return f"Pareto k: {', '.join(parts)}{again}."


def _anew(found: Loo) -> str:
    """Say for how many terms variance parameters were drawn anew."""
    anew = int(found.pointwise["anew"].sum())
    return f" For {anew} of them variance parameters were drawn anew." if anew else ""


def _beside(found: Loo) -> str:
    """Say how many terms of ``az.loo``, if it is another answer, are not to be trusted."""
    beside = found.by_draws
    if beside is None or found.method == "draws":
        return ""
    text = " az.loo reweighs draws of the random effects as well: "
    if not beside.n_untrusted:
        return f"{text}k at most {beside.pareto_k:.2f} there."
    return (
        f"{text}{beside.n_untrusted} of its terms {'are' if beside.n_untrusted > 1 else 'is'} not "
        f"to be trusted (k up to {beside.pareto_k:.2f})."
    )
