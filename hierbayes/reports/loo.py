"""Leave-one-out results as text and HTML: what was left out, elpd, and whether to trust it."""

import math

import numpy as np

from hierbayes.render.html_page import escape, fragment, heading, table
from hierbayes.render.layout import matrix_lines
from hierbayes.reports.bayes_factor import decimals_of
from hierbayes.reports.summary import wrapped
from hierbayes.results.comparison import Loo

# Vehtari et al. (2024): below the first bound reliable, above the last without any meaning
K_BOUNDS = (0.7, 1.0)
K_WORDS = ("trusted", "doubtful", "not to be used")


def loo_text(found: Loo) -> str:
    """Write a leave-one-out result."""
    lines = [_title(found), *_model(found), *wrapped(found.what, "", ""), ""]
    names, columns = _estimates(found)
    cells = [[column[i] for _, column in columns] for i in range(len(names))]
    lines += matrix_lines(cells, names, [name for name, _ in columns])
    lines += ["", *wrapped(pareto_line(found), "", "")]
    for finding in found.findings:
        lines += ["", *wrapped(str(finding), "", "")]
    return "\n".join(lines)


def loo_html(found: Loo) -> str:
    """Show a leave-one-out result; same numbers and sentences as the text."""
    names, columns = _estimates(found)
    parts = [heading(_title(found), 3)]
    parts += [f"<p><code>{escape(line)}</code></p>" for line in _model(found)]
    parts.append(f"<p>{escape(found.what)}</p>")
    parts.append(table(columns, names))
    parts.append(f"<p>{escape(pareto_line(found))}</p>")
    if found.findings:
        items = "\n".join(f"<li>{escape(str(finding))}</li>" for finding in found.findings)
        parts.append(f'{heading("Findings", 3)}\n<ul class="findings">\n{items}\n</ul>')
    return fragment(*parts)


def _title(found: Loo) -> str:
    return f"Leave-one-{found.by or 'row'}-out prediction"


def _model(found: Loo) -> list[str]:
    data = f"Data: {found.data_name}; " if found.data_name else ""
    count = f"{len(found.pointwise)} {'rows' if found.by is None else 'levels'} left out in turn"
    return [f"Formula: {found.formula_text}", f"{data}{count}, {found.n_draws} draws"]


def _estimates(found: Loo) -> tuple[list[str], list[tuple[str, list[str]]]]:
    decimals = decimals_of(found.se)
    names, values, errors = ["elpd"], [f"{found.elpd:.{decimals}f}"], [_number(found.se, decimals)]
    mcse = [f"{found.mcse:.2g}"]
    if not math.isnan(found.p_loo):
        names, values = [*names, "p_loo"], [*values, f"{found.p_loo:.1f}"]
        errors, mcse = [*errors, ""], [*mcse, ""]
    return names, [("estimate", values), ("SE", errors), ("MC error", mcse)]


def _number(value: float, decimals: int) -> str:
    return "" if math.isnan(value) else f"{value:.{decimals}f}"


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
