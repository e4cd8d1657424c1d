"""The likelihood-ratio table in blocks, as lme4's ``anova`` prints it."""

from typing import Literal

from hierbayes.render.blocks import Blocks, Fact, Paragraph, Printed, paragraphs
from hierbayes.render.numbers import format_p_values
from hierbayes.render.text import text
from hierbayes.reports.coefficients import (
    AIC,
    BIC,
    DF,
    LOGLIK,
    NPAR,
    P_CHISQ,
    Columns,
    TestColumn,
    tests_table,
)
from hierbayes.results.anova_table import AnovaTable

AnovaStyle = Literal["lme4", "lecture"]

P_DIGITS = 4
REFITTED = "refitting model(s) with ML (instead of REML)"
DEVIANCE: TestColumn = ("deviance", "deviance", "zapped")
CHISQ: TestColumn = ("Chisq", "chisq", "statistic")
COLUMNS: Columns = (NPAR, AIC, BIC, LOGLIK, DEVIANCE, CHISQ, DF, P_CHISQ)
# what lme4 called columns before 1.1-22, as in the lecture of 2019
RENAMED: dict[str, dict[str, str]] = {"lme4": {}, "lecture": {"npar": "Df", "df": "Chi Df"}}


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
    columns = [(RENAMED[style].get(name, header), name, kind) for header, name, kind in COLUMNS]
    return (
        *([Paragraph(REFITTED, soft=True)] if anova.refitted else []),
        *([Fact("Data:", anova.data_name)] if anova.data_name else []),
        Printed(["Models:"], gap=False),
        *(Fact(f"{name}:", formula) for name, formula in anova.models.items()),
        tests_table(anova.table, columns, caption="Likelihood-ratio tests", gap=False),
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
