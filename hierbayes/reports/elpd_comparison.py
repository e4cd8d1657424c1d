"""Posteriors compared by leave-one-out prediction, in blocks."""

import math

from hierbayes.render import blocks as kinds
from hierbayes.reports.coefficients import decimals_of
from hierbayes.results.comparison import ElpdComparison


def elpd_blocks(found: ElpdComparison) -> kinds.Blocks:
    """Show a comparison by elpd."""
    data = f"{found.data_name}, {found.n_obs} rows" if found.data_name else ""
    models = ((f"{name}:", formula) for name, formula in found.formulas.items())
    return (
        kinds.Heading(f"Comparison of posteriors by {_way(found)} prediction"),
        *kinds.facts(("Data:", data), *models),
        kinds.Paragraph(found.what, gap=False),
        kinds.Table(_columns(found), [str(name) for name in found.table.index]),
        kinds.Paragraph(found.verdict),
        kinds.Findings([str(finding) for finding in found.findings]),
    )


def _way(found: ElpdComparison) -> str:
    return "leave-one-out" if found.k is None else f"{found.k}-fold"


def _columns(found: ElpdComparison) -> list[kinds.Column]:
    frame = found.table
    columns: list[kinds.Column] = []
    for name, error in (("elpd", "se"), ("elpd_diff", "se_diff")):
        for column in (name, error):
            shown = [
                f"{value + 0.0:.{min(decimals_of(size), 2)}f}"
                for value, size in zip(frame[column], frame[error], strict=True)
            ]
            columns.append((column, shown))
    p_loo = [float(value) for value in frame["p_loo"]]
    if not all(map(math.isnan, p_loo)):
        columns.append(("p_loo", [f"{value:.1f}" for value in p_loo]))
    if frame["high_k"].any():
        columns.append(("k > 0.7", [str(count) for count in frame["high_k"]]))
    return columns
