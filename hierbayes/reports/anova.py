"""The likelihood-ratio table as text, as lme4's ``anova`` prints it."""

import math
from collections.abc import Sequence
from typing import Literal

from hierbayes.render.numbers import format_p_values
from hierbayes.reports.coefficients import (
    TABLE_DIGITS,
    p_value_cells,
    plain_cells,
    statistic_cells,
    table_lines,
)
from hierbayes.reports.summary import wrapped
from hierbayes.results.anova_table import AnovaTable

AnovaStyle = Literal["lme4", "lecture"]

P_DIGITS = 4
REFITTED = "refitting model(s) with ML (instead of REML)"
# names of the columns: lme4 since 1.1-22, and before it (the lecture of 2019)
HEADERS: dict[str, tuple[str, ...]] = {
    "lme4": ("npar", "AIC", "BIC", "logLik", "deviance", "Chisq", "Df", "Pr(>Chisq)"),
    "lecture": ("Df", "AIC", "BIC", "logLik", "deviance", "Chisq", "Chi Df", "Pr(>Chisq)"),
}


def anova_text(table: AnovaTable, *, style: AnovaStyle = "lme4") -> str:
    """Write a likelihood-ratio table as lme4 prints it.

    Parameters
    ----------
    table : AnovaTable
    style : ``"lme4"`` for today's column names, ``"lecture"`` for those of lme4 before 1.1-22
    """
    names, columns, stars = anova_cells(table, style=style)
    rows = [str(name) for name in table.table.index]
    named = list(zip(names, columns, strict=True))
    lines = [*heading_lines(table), *table_lines(named, rows, stars=stars)]
    for sentence in [*mixture_sentences(table), *table.notes]:
        lines += ["", *wrapped(sentence, "", "")]
    return "\n".join(lines)


def mixture_sentences(table: AnovaTable) -> list[str]:
    """Say where a variance is set to zero, which the chi-squared of the table ignores."""
    names = [str(name) for name in table.table.index]
    out = []
    for name, mixture in table.mixtures.items():
        at = names.index(name)
        p_value = format_p_values([float(table.table["p_mixture"].iloc[at])], P_DIGITS)[0]
        out.append(
            f"{names[at - 1]} sets one variance of {name} to zero. A variance cannot be negative, "
            f"so the p above is too large: under {mixture} it is {p_value.strip()}."
        )
    return out


def heading_lines(table: AnovaTable) -> list[str]:
    """Say whether models were fitted again, name the data and the formulas."""
    lines = [REFITTED] if table.refitted else []
    if table.data_name:
        lines.append(f"Data: {table.data_name}")
    return [*lines, "Models:", *(f"{name}: {text}" for name, text in table.models.items())]


def anova_cells(
    table: AnovaTable, *, style: AnovaStyle = "lme4"
) -> tuple[Sequence[str], list[list[str]], list[str] | None]:
    """Column names, cells by columns, and stars (None when no p-value is below 0.1)."""
    frame = table.table

    def numbers(name: str) -> list[float]:
        return [float(v) for v in frame[name].to_numpy(dtype=float, na_value=math.nan)]

    columns = [plain_cells(numbers("npar"), TABLE_DIGITS)]
    columns += [
        plain_cells(numbers(name), TABLE_DIGITS, zap=True)
        for name in ("aic", "bic", "loglik", "deviance")
    ]
    columns.append(statistic_cells(numbers("chisq"), TABLE_DIGITS, missing=""))
    columns.append(plain_cells(numbers("df"), TABLE_DIGITS, missing=""))
    p_cells, stars = p_value_cells(numbers("p_value"), TABLE_DIGITS, missing="")
    return HEADERS[style], [*columns, p_cells], stars
