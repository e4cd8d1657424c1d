"""Tests of random effects in blocks: lmerTest's table, then p values that know the bound."""

import math
from collections.abc import Sequence

from hierbayes.render import blocks as kinds
from hierbayes.render.numbers import format_number, format_p_values
from hierbayes.reports.coefficients import (
    AIC,
    DF,
    LOGLIK,
    NPAR,
    P_CHISQ,
    TABLE_DIGITS,
    Columns,
    tests_table,
)
from hierbayes.reports.f_table import titled
from hierbayes.results.exact_test import ExactTest
from hierbayes.results.ranova_table import RanovaTable

COLUMNS: Columns = (NPAR, LOGLIK, AIC, ("LRT", "chisq", "statistic"), DF, P_CHISQ)
P_DIGITS = 4
BOUND = (
    "A variance cannot be negative, which the chi-squared of the table above ignores: its p is too "
    "large. These know it:"
)
NAMES = {"reml": "restricted likelihood ratio", "ml": "likelihood ratio"}


def ranova_blocks(found: RanovaTable) -> kinds.Blocks:
    """Show single-term deletions of random effects as lmerTest prints them."""
    names, tests = _bound_cells(found)
    return (
        titled(_title(found), found.formula_text),
        tests_table(found.table, COLUMNS, gap=False),
        *((kinds.Paragraph(BOUND), kinds.Table(tests, names, gap=False)) if names else ()),
        *kinds.paragraphs(_sentences(found)),
    )


def _title(found: RanovaTable) -> str:
    kind = "" if found.method == "reml" else " (maximum likelihood)"
    return f"ANOVA-like table for random-effects: Single term deletions{kind}"


def _bound_cells(found: RanovaTable) -> tuple[list[str], list[kinds.Column]]:
    """Rows whose mixture is known, with the mixture and the p values that go with it."""
    names = [name for name in found.table.index if name in found.mixtures]
    rows = found.table.loc[names]
    width = max((len(found.mixtures[name]) for name in names), default=0)
    columns: list[kinds.Column] = [
        ("mixture", [found.mixtures[name].ljust(width) for name in names]),
        ("p mixture", _p_cells(list(rows["p_mixture"]))),
    ]
    if found.nsim:
        columns.append(("p exact", _p_cells(list(rows["p_exact"]), least=1 / found.nsim)))
    return names, columns


def _p_cells(values: Sequence[float], *, least: float = 0.0) -> list[str]:
    """P values, those of a simulation no smaller than ``least``, what its draws can show."""
    cells = [cell.strip() for cell in format_p_values(values, P_DIGITS)]
    return [
        "" if math.isnan(v) else f"< {format_number(least, 2)}" if v < least * 1.5 else cell
        for v, cell in zip(values, cells, strict=True)
    ]


def _sentences(found: RanovaTable) -> list[str]:
    rows: dict[str, list[str]] = {}
    for name, why in found.reasons.items():
        rows.setdefault(why, []).append(name)
    out = [f"{'; '.join(names)}: no mixture p, because {why}." for why, names in rows.items()]
    determined = {str(name): int(df) for name, df in found.table["df"].dropna().items()}
    for name, count in found.undetermined.items():
        of = count + determined[name]
        what = f"what the data determine of the parameters taken out, {determined[name]} of {of}"
        out.append(f"{name}: Df counts {what}.")
    if found.nsim:
        out.append(
            f"p exact: {found.nsim} draws of the exact null distribution, which is right for any "
            "number of levels."
        )
    return out


def exact_test_blocks(found: ExactTest) -> kinds.Blocks:
    """Show the exact test of a variance component."""
    p_cell = _p_cells([found.p_value], least=1 / found.nsim)[0]
    columns = [
        ("statistic", [format_number(round(found.statistic, 4), TABLE_DIGITS)]),
        ("p", [p_cell]),
        ("MC error", [f"{found.mcse:.1g}"]),
    ]
    by = "REML" if found.method == "reml" else "ML"
    again = f" The model was fitted again by {by}." if found.refitted else ""
    return (
        kinds.Heading(f"Exact {NAMES[found.method]} test: is the variance of {found.term} zero?"),
        *kinds.facts(("Data:", found.data_name), ("Model:", found.formula_text)),
        kinds.Table(columns, [found.term]),
        kinds.Paragraph(
            f"{found.nsim} draws of the statistic's exact distribution under a variance of zero; "
            f"{found.zero_share:.0%} of it lies at zero.{again}"
        ),
    )
