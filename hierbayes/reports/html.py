"""HTML twins of the printed results: the same numbers and digits, as tables.

Each function returns a piece of HTML that brings its own style (for a notebook, or a section of a
page); findings stand last, as in the text.
"""

from collections.abc import Sequence
from typing import Any

from hierbayes.options import Ddf, check_option
from hierbayes.render.html_page import Picture, Section, escape, fragment, heading, page, table
from hierbayes.render.numbers import (
    FIVE_NUMBERS,
    five_numbers,
    format_common,
    format_general,
    format_number,
    format_p_values,
    round_half_even,
    zap_small,
)
from hierbayes.reports.anova import REFITTED, anova_cells, mixture_sentences
from hierbayes.reports.coefficients import LEGEND, SUMMARY_DIGITS
from hierbayes.reports.level_tables import frame_cells
from hierbayes.reports.summary import (
    CORRELATION_UP_TO,
    CRITERION_DECIMALS,
    TESTS,
    correlation_cells,
    estimated,
    finding_sentences,
    fixed_effects_cells,
    group_counts,
    information_cells,
    rank_lines,
    scaled_residuals,
    specification,
    tested_effects_cells,
)
from hierbayes.reports.varcorr import VARCORR_DIGITS, varcorr_cells
from hierbayes.results.anova_table import AnovaTable
from hierbayes.results.level_tables import LevelTables
from hierbayes.results.varcorr import VarCorr

__all__ = [
    "Picture",
    "Section",
    "anova_html",
    "level_tables_html",
    "page",
    "summary_html",
    "varcorr_html",
]

LEVEL_TITLES = {
    "ranef": "Random effects",
    "ranef_sd": "Conditional sds of the random effects",
    "coef": "Coefficients",
}
ROWS_SHOWN = 1000  # a notebook with more rows of a table gets slow


def summary_html(
    fit: Any,
    digits: int | None = None,
    correlation: bool | None = None,
    ddf: Ddf = "none",
) -> str:
    """Show the summary of a fit; same blocks, numbers and arguments as ``summary_text``."""
    digits = SUMMARY_DIGITS if digits is None else digits
    check_option("ddf", ddf, Ddf)
    if fit.is_linear_model:
        return _linear_model_html(fit, digits)
    by = "REML" if fit.method == "reml" else "maximum likelihood"
    title = f"Linear mixed model fit by {by}"
    parts = [heading(title if ddf == "none" else f"{title}. {TESTS[ddf]}", 3), _specification(fit)]
    parts.append(_criterion(fit))
    zapped = format_common(zap_small(scaled_residuals(fit), digits + 1), digits)
    parts.append(_one_row(FIVE_NUMBERS, zapped, caption="Scaled residuals"))
    parts.append(_variance_components(fit.varcorr(), digits=digits, with_variances=True))
    parts.append(f"<p>Number of obs: {fit.nobs}, groups: {escape(group_counts(fit))}</p>")
    names, beta, vcov = estimated(fit)
    if names:
        columns, stars = fixed_effects_cells(beta, vcov, digits), None
        if ddf != "none":
            columns, stars = tested_effects_cells(fit, digits, ddf)
        named = [*columns, ("", stars)] if stars is not None else columns
        parts.append(table(named, names, caption="Fixed effects"))
        parts.append(_legend(stars))
    shown = len(names) <= CORRELATION_UP_TO if correlation is None else correlation
    if shown and len(names) > 1:
        rows, short, cells = correlation_cells(names, vcov)
        by_column = [(short[j], [row[j] for row in cells]) for j in range(len(short))]
        parts.append(table(by_column, rows, caption="Correlation of fixed effects"))
    parts += [f"<p>{escape(line)}</p>" for line in rank_lines(fit)[1:]]
    return fragment(*parts, _findings(finding_sentences(fit, correlation=correlation, ddf=ddf)))


def _specification(fit: Any) -> str:
    parts = [("Formula:", [fit.formula_text]), *specification(fit)]
    return "\n".join(_labelled(label, " ".join(map(str.strip, lines))) for label, lines in parts)


def _labelled(label: str, code: str) -> str:
    return f'<p><span class="soft">{escape(label)}</span> <code>{escape(code)}</code></p>'


def _criterion(fit: Any) -> str:
    if fit.method == "reml":
        value = format_number(round_half_even(float(fit.criterion), CRITERION_DECIMALS))
        return f"<p>REML criterion at convergence: {value}</p>"
    names, cells = information_cells(fit)
    return _one_row(names, cells)


def _one_row(names: Sequence[str], cells: Sequence[str], caption: str = "") -> str:
    columns = [(name, [cell]) for name, cell in zip(names, cells, strict=True)]
    return table(columns, caption=caption)


def _findings(sentences: Sequence[str]) -> str:
    if not sentences:
        return ""
    items = "\n".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'{heading("Findings", 3)}\n<ul class="findings">\n{items}\n</ul>'


def _linear_model_html(fit: Any, digits: int) -> str:
    from hierbayes.reports.linear_model import coefficient_cells, explained, residual_df

    parts = [heading("Linear model (no random effects)", 3), _specification(fit)]
    residuals = five_numbers(fit.residuals("pearson").to_numpy(dtype=float))
    cells = format_common(zap_small(residuals, digits + 1), digits)
    parts.append(_one_row(FIVE_NUMBERS, cells, caption="Residuals"))
    columns, stars = coefficient_cells(fit, digits)
    named = [*columns, ("", stars)] if stars is not None else columns
    parts.append(table(named, list(fit.fixef().index), caption="Coefficients"))
    parts.append(_legend(stars))
    sigma = format_general(float(fit.sigma), digits)
    text = f"Residual standard error: {sigma} on {residual_df(fit)} degrees of freedom."
    share = explained(fit)
    if share is not None:
        p_value = format_p_values([share.p_value], digits)[0]
        text += (
            f" R-squared: {format_general(share.r_squared, digits)}, adjusted "
            f"{format_general(share.adjusted, digits)}. F = {format_general(share.f, digits)} "
            f"on {share.df[0]} and {share.df[1]} df, p-value: {p_value}."
        )
    parts.append(f"<p>{escape(text)}</p>")
    return fragment(*parts, _findings(finding_sentences(fit)))


def _legend(stars: Sequence[str] | None) -> str:
    return f'<p class="soft">{escape(LEGEND)}</p>' if stars is not None else ""


def varcorr_html(varcorr: VarCorr) -> str:
    """Show standard deviations and correlations of the random effects."""
    shown = _variance_components(varcorr, digits=VARCORR_DIGITS, with_variances=False)
    return fragment(shown)


def _variance_components(varcorr: VarCorr, *, digits: int, with_variances: bool) -> str:
    names, rows = varcorr_cells(varcorr, digits=digits, with_variances=with_variances)
    columns = [(name, [row[j] for row in rows]) for j, name in enumerate(names)]
    return table(columns, caption="Random effects", text_columns=2)


def level_tables_html(tables: LevelTables) -> str:
    """Show random effects or coefficients of every level, one table a grouping factor."""
    parts, sds = [], tables.sds
    for name, frame in tables.items():
        parts.append(heading(f"{LEVEL_TITLES[tables.kind]} of {name}", 3))
        shown = frame.head(ROWS_SHOWN)
        columns, cells = [str(c) for c in shown.columns], frame_cells(shown)
        if sds is not None:  # each estimate with its conditional sd beside it
            beside = frame_cells(sds[name].head(ROWS_SHOWN))
            columns = [label for column in columns for label in (column, "(sd)")]
            cells = [
                [cell for pair in zip(row, sd_row, strict=True) for cell in pair]
                for row, sd_row in zip(cells, beside, strict=True)
            ]
        by_column = [(label, [row[j] for row in cells]) for j, label in enumerate(columns)]
        parts.append(table(by_column, [str(level) for level in shown.index]))
        if len(frame) > ROWS_SHOWN:
            parts.append(f"<p>First {ROWS_SHOWN} of {len(frame)} levels.</p>")
    return fragment(*parts)


def anova_html(anova: AnovaTable) -> str:
    """Show a likelihood-ratio table with the formulas of its models."""
    names, columns, stars = anova_cells(anova)
    named = list(zip(names, columns, strict=True))
    if stars is not None:
        named.append(("", stars))
    parts = [f'<p class="soft">{escape(REFITTED)}</p>' if anova.refitted else ""]
    parts.append(_labelled("Data:", anova.data_name) if anova.data_name else "")
    parts += [_labelled(f"{name}:", text) for name, text in anova.models.items()]
    rows = [str(name) for name in anova.table.index]
    parts.append(table(named, rows, caption="Likelihood-ratio tests"))
    sentences = [*mixture_sentences(anova), *anova.notes]
    notes = [f"<p>{escape(sentence)}</p>" for sentence in sentences]
    return fragment(*parts, _legend(stars), *notes)
