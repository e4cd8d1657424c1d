"""The likelihood-ratio table in blocks, as lme4's ``anova`` prints it."""

from typing import Literal

from hierbayes.render.blocks import Blocks, Column, Fact, Paragraph, Printed, Table, paragraphs
from hierbayes.render.numbers import format_p_values
from hierbayes.render.text import text
from hierbayes.reports.coefficients import (
    TABLE_DIGITS,
    numbers,
    p_value_cells,
    plain_cells,
    statistic_cells,
)
from hierbayes.results.anova_table import AnovaTable

AnovaStyle = Literal["lme4", "lecture"]

P_DIGITS = 4
REFITTED = "refitting model(s) with ML (instead of REML)"
# names of the columns: lme4 since 1.1-22, and before it (the lecture of 2019)
HEADERS: dict[str, tuple[str, ...]] = {
    "lme4": ("npar", "AIC", "BIC", "logLik", "deviance", "Chisq", "Df", "Pr(>Chisq)"),
    "lecture": ("Df", "AIC", "BIC", "logLik", "deviance", "Chisq", "Chi Df", "Pr(>Chisq)"),
}


def anova_text(anova: AnovaTable, *, style: AnovaStyle = "lme4") -> str:
    """Write a likelihood-ratio table; ``style="lecture"`` as lme4 before 1.1-22 named columns."""
    return text(anova_blocks(anova, style=style))


def anova_blocks(anova: AnovaTable, *, style: AnovaStyle = "lme4") -> Blocks:
    """Show a likelihood-ratio table as lme4 prints it, with the formulas of its models.

    Parameters
    ----------
    anova : AnovaTable
    style : ``"lme4"`` for today's column names, ``"lecture"`` for those of lme4 before 1.1-22
    """
    columns, stars = _cells(anova, style)
    rows = [str(name) for name in anova.table.index]
    caption = "Likelihood-ratio tests"
    return (
        *([Paragraph(REFITTED, soft=True)] if anova.refitted else []),
        *([Fact("Data:", anova.data_name)] if anova.data_name else []),
        Printed(["Models:"], gap=False),
        *(Fact(f"{name}:", formula) for name, formula in anova.models.items()),
        Table(columns, rows, caption=caption, stars=stars, gap=False),
        *paragraphs([*_mixture_sentences(anova), *anova.notes]),
    )


def _mixture_sentences(anova: AnovaTable) -> list[str]:
    """Say where a variance is set to zero, which the chi-squared of the table ignores."""
    names = [str(name) for name in anova.table.index]
    out = []
    for name, mixture in anova.mixtures.items():
        at = names.index(name)
        p_value = format_p_values([float(anova.table["p_mixture"].iloc[at])], P_DIGITS)[0]
        out.append(
            f"{names[at - 1]} sets one variance of {name} to zero. A variance cannot be negative, "
            f"so the p above is too large: under {mixture} it is {p_value.strip()}."
        )
    return out


def _cells(anova: AnovaTable, style: AnovaStyle) -> tuple[list[Column], list[str] | None]:
    """Columns of the table, and stars (None when no p-value is below 0.1)."""
    frame = anova.table
    columns = [plain_cells(numbers(frame, "npar"), TABLE_DIGITS)]
    columns += [
        plain_cells(numbers(frame, name), TABLE_DIGITS, zap=True)
        for name in ("aic", "bic", "loglik", "deviance")
    ]
    columns.append(statistic_cells(numbers(frame, "chisq"), TABLE_DIGITS, missing=""))
    columns.append(plain_cells(numbers(frame, "df"), TABLE_DIGITS, missing=""))
    p_cells, stars = p_value_cells(numbers(frame, "p_value"), TABLE_DIGITS, missing="")
    return list(zip(HEADERS[style], [*columns, p_cells], strict=True)), stars
