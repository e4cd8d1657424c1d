"""Variance components in blocks: ``print(VarCorr(fit))`` and the table in lme4's summary."""

from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.formula.functions import PATTERNS
from hierbayes.render.blocks import Blocks, Table, columns_of
from hierbayes.render.numbers import PRINT_DIGITS, format_common, round_half_even
from hierbayes.results.varcorr import VarCorr, VarCorrTerm

VARCORR_DIGITS = PRINT_DIGITS - 2  # lme4's print of VarCorr
UNKNOWN = "undetermined"  # by the data; an sd is NaN for no other reason


def varcorr_blocks(varcorr: VarCorr, digits: int = VARCORR_DIGITS) -> Blocks:
    """Show standard deviations and correlations as lme4's ``print(VarCorr(fit))``.

    Below it stands what residuals have that are correlated or of unequal variance.
    """
    more = residual_blocks(varcorr, digits=digits, head="Structure of the residuals:")
    return (variance_table(varcorr, digits=digits), *more)


def residual_blocks(varcorr: VarCorr, *, digits: int, head: str) -> Blocks:
    """Show sds of strata, coefficients of log sds and correlations, a column for each kind."""
    rows = varcorr.residual
    kinds = {
        "Std.Dev.": [row.is_sd for row in rows],
        "Coef.": [not row.is_sd and row.group == "Residual" for row in rows],
        "Corr": [row.group != "Residual" for row in rows],
    }
    columns = [("Groups", [row.group for row in rows]), ("Name", [row.label for row in rows])]
    for name, own in kinds.items():
        if any(own):
            shown = [row.value for row, is_own in zip(rows, own, strict=True) if is_own]
            is_corr = name == "Corr"
            cells = iter(
                _decimals(shown, max(2, digits - 2)) if is_corr else format_common(shown, digits)
            )
            columns.append((name, [next(cells) if is_own else "" for is_own in own]))
    return (Table(columns, None, head, head=head, labels=2, layout="left"),) if rows else ()


def variance_table(
    varcorr: VarCorr, *, digits: int, with_variances: bool = False, head: str = ""
) -> Table:
    """Table of variance components; the summary shows variances too."""
    names, rows = varcorr_cells(varcorr, digits=digits, with_variances=with_variances)
    columns = columns_of(rows, names)
    return Table(columns, None, "Random effects", head=head, labels=2, layout="left")


def varcorr_cells(
    varcorr: VarCorr, *, digits: int, with_variances: bool
) -> tuple[list[str], list[list[str]]]:
    """Column names and rows of the table of variance components.

    One row a random effect and one for the residual; all variances share a format, so do all
    standard deviations; the correlations of a term stand in as many columns as the widest
    term needs. A covariance with a pattern has a row for each sd of its own, and its correlations
    (of Toeplitz ones those of columns 1, 2, ... apart) in the first of them.
    """
    named = [_effects_shown(term) for term in varcorr.terms]
    sds = [sd for own in named for _, sd in own]
    groups = [
        n
        for term, own in zip(varcorr.terms, named, strict=True)
        for n in (term.name, *[""] * (len(own) - 1))
    ]
    columns = [name for own in named for name, _ in own]
    correlations = _correlation_rows(varcorr, max(2, digits - 2))
    if varcorr.has_residual:
        sds.append(varcorr.sigma)
        groups.append("Residual")
        columns.append("")
        correlations.append([""] * len(correlations[0]) if correlations else [])
    names = ["Groups", "Name"]
    body = [groups, columns]
    if with_variances:
        names.append("Variance")
        body.append(format_common([s * s for s in sds], digits, missing=UNKNOWN))
    names.append("Std.Dev.")
    body.append(format_common(sds, digits, missing=UNKNOWN))
    n_correlations = len(correlations[0]) if correlations else 0
    names += ["Corr", *[""] * (n_correlations - 1)] if n_correlations else []
    rows = [[column[i] for column in body] + correlations[i] for i in range(len(groups))]
    return names, rows


def _correlation_rows(varcorr: VarCorr, decimals: int) -> list[list[str]]:
    """Lower triangles of the correlations, padded to the widest term; no last column."""
    own = [_pattern_cells(term, decimals) for term in varcorr.terms]
    widest = max(
        (
            len(term.columns) if cells is None else 1 + len(cells)
            for term, cells in zip(varcorr.terms, own, strict=True)
        ),
        default=0,
    )
    rows = []
    for term, cells in zip(varcorr.terms, own, strict=True):
        if cells is not None:
            rest = [[""] * widest] * (len(_effects_shown(term)) - 1)
            rows += [(row + [""] * widest)[: widest - 1] for row in (cells, *rest)]
            continue
        corr = np.array(term.corr, dtype=float)
        np.fill_diagonal(corr, 1.0)
        triangle = lower_triangle_cells(corr, decimals)
        if term.undetermined is not None:
            triangle = [
                [UNKNOWN if lost and cell else cell for cell, lost in zip(row, gone, strict=True)]
                for row, gone in zip(triangle, term.undetermined, strict=True)
            ]
        rows += [(row + [""] * widest)[: widest - 1] for row in triangle]
    return rows


def _effects_shown(term: VarCorrTerm) -> list[tuple[str, float]]:
    """Names and sds of the rows of a term: of a pattern with one sd a single row."""
    sds = [(name, value) for name, value in term.parameters if name.startswith("sd_")]
    if term.structure in PATTERNS and len(sds) == 1:
        return [(f"* ({len(term.columns)} columns)", sds[0][1])]
    return [(name, float(sd)) for name, sd in zip(term.columns, term.sd, strict=True)]


def _pattern_cells(term: VarCorrTerm, decimals: int) -> list[str] | None:
    """Cells of the correlations of a pattern, its name in the last; None of a full covariance."""
    if term.structure not in PATTERNS:
        return None
    word, _ = PATTERNS[term.structure]
    rho = [value for name, value in term.parameters if name == "cor_rho"]
    if word == "toep":
        rho = [float(r) for r in term.corr[1:, 0]]
    cells = _decimals(rho, decimals)
    return [*cells[:-1], f"{cells[-1]} ({word})"] if cells else []


def _decimals(correlations: Sequence[float], decimals: int) -> list[str]:
    rounded = [round_half_even(r, decimals) for r in correlations]
    return format_common(rounded, PRINT_DIGITS, min_decimals=decimals, missing="NaN")


def lower_triangle_cells(corr: FloatArray, decimals: int) -> list[list[str]]:
    """Cells of a correlation matrix with everything but its lower triangle blanked."""
    q = corr.shape[0]
    rounded = [round_half_even(float(r), decimals) for r in corr.ravel()]
    cells = format_common(rounded, PRINT_DIGITS, min_decimals=decimals, missing="NaN")
    return [[cells[i * q + j] if j < i else "" for j in range(q)] for i in range(q)]
