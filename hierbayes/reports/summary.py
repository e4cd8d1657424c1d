"""The printed summary of a REML or ML fit: lme4's blocks in lme4's order, then our findings.

Reads what was estimated and writes it; computes nothing but quantiles and correlations.
"""

import textwrap
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.errors import OptionError
from hierbayes.formula.deparse import deparse_lines
from hierbayes.formula.parser import formula_lines, parse_expression
from hierbayes.options import Ddf, check_flag, check_option
from hierbayes.render.abbreviate import abbreviate
from hierbayes.render.layout import LINE_WIDTH, fill_lines, matrix_lines, named_vector_lines
from hierbayes.render.numbers import (
    FIVE_NUMBERS,
    five_numbers,
    format_common,
    format_number,
    round_half_even,
    zap_small,
)
from hierbayes.reports.coefficients import (
    SUMMARY_DIGITS,
    estimate_cells,
    p_value_cells,
    statistic_cells,
    table_lines,
)
from hierbayes.reports.varcorr import lower_triangle_cells, varcorr_lines

TESTS = {
    "satterthwaite": "t-tests use Satterthwaite's method",
    "kenward-roger": "t-tests use Kenward-Roger's method",
    "normal": "Tests use the normal distribution",
}
CORRELATION_UP_TO = 12  # lme4's option lme4.summary.cor.max
CRITERION_DECIMALS = 1
MOST_DIGITS = 17  # what a double holds
CORRELATION_DECIMALS = 3
ROW_NAME_LENGTH, COLUMN_NAME_LENGTH = 11, 6  # of the correlations of fixed effects


def summary_text(
    fit: Any,
    digits: int | None = None,
    correlation: bool | None = None,
    ddf: Ddf = "none",
) -> str:
    """Write the summary of a fit as lme4 prints it.

    Parameters
    ----------
    fit : LikelihoodFit
    digits : significant digits, lme4's default 4
    correlation : show the correlations of the fixed effects; as lme4, by default with at most
        12 coefficients
    ddf : {"none", "satterthwaite", "kenward-roger", "normal"}
        "none", as in lme4, shows no p values; otherwise the coefficients are those of lmerTest,
        with degrees of freedom (none for "normal") and p values

    Returns
    -------
    str
        Lines joined by newlines. What lme4 prints about its optimiser is left out; in its place
        stand the findings of the fit in words, and the rows dropped.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> print(fit.summary().splitlines()[0])
    Linear mixed model fit by REML ['lmerMod']
    """
    digits = _checked_digits(digits)
    check_option("ddf", ddf, Ddf)
    if correlation is not None:
        check_flag("correlation", correlation, "True (show those of the fixed effects) or False")
    if fit.is_linear_model:
        from hierbayes.reports.linear_model import linear_model_lines

        lines = linear_model_lines(fit, digits)
        return "\n".join([*lines, *finding_lines(fit)])
    lines = [*title_lines(fit, ddf), "", *criterion_lines(fit), ""]
    lines += residual_lines(fit, digits)
    lines += ["Random effects:"]
    lines += varcorr_lines(fit.varcorr(), digits=digits, with_variances=True)
    lines += group_lines(fit)
    lines += fixed_effects_lines(fit, digits, ddf)
    lines += correlation_lines(fit, correlation=correlation)
    lines += rank_lines(fit)
    return "\n".join([*lines, *finding_lines(fit, correlation=correlation, ddf=ddf)])


def _checked_digits(digits: Any) -> int:
    if digits is None:
        return SUMMARY_DIGITS
    whole = isinstance(digits, int | np.integer) and not isinstance(digits, bool)
    if whole and 1 <= digits <= MOST_DIGITS:
        return int(digits)
    raise OptionError(
        f"digits={digits!r} must be a whole number from 1 to {MOST_DIGITS}, for example "
        f"{SUMMARY_DIGITS}."
    )


def title_lines(fit: Any, ddf: Ddf = "none") -> list[str]:
    """Estimator and tests, formula, data, weights and offset."""
    by = "REML" if fit.method == "reml" else "maximum likelihood "
    lines = [f"Linear mixed model fit by {by} ['lmerMod']"]
    if ddf != "none":
        lines = [f"Linear mixed model fit by {by.strip()}. {TESTS[ddf]}"]
    lines += fill_lines(["Formula:", *formula_lines(fit.design.formula)])
    for label, texts in specification(fit):
        lines += fill_lines([f"{label:>8}", *texts])
    return lines


def specification(fit: Any) -> list[tuple[str, list[str]]]:
    """Labels and lines of data, weights, offset and known sds, those that were given."""
    parts = [("Data:", [fit.data_name])] if fit.data_name else []
    weights, offset = argument_lines(fit, "weights"), argument_lines(fit, "offset")
    if fit.weighted:
        parts.append(("Weights:", weights or ["(given as an array)"]))
    if offset:
        parts.append(("Offset:", offset))
    if getattr(fit.design, "known_sd", None) is not None:
        known = argument_lines(fit, "known_sd") or ["(given as an array)"]
        parts.append(("Known sd:", known))
    return parts


def argument_lines(fit: Any, name: str) -> list[str]:
    """Write an argument that was given as an expression, as R would; nothing for an array."""
    given = fit.model.arguments.get(name)
    return deparse_lines(parse_expression(given)) if isinstance(given, str) else []


def criterion_lines(fit: Any) -> list[str]:
    """Write the REML criterion; for ML the table of AIC, BIC, log-likelihood and deviance."""
    if fit.method == "reml":
        value = round_half_even(float(fit.criterion), CRITERION_DECIMALS)
        return [f"REML criterion at convergence: {format_number(value)}"]
    names, cells = information_cells(fit)
    return named_vector_lines(cells, names)


def information_cells(fit: Any) -> tuple[list[str], list[str]]:
    """Names and cells of AIC, BIC, log-likelihood, deviance and residual degrees of freedom."""
    values = [float(v) for v in (fit.aic, fit.bic, fit.loglik, fit.deviance)]
    df = int(fit.df_residual)
    cells = format_common([round_half_even(v, CRITERION_DECIMALS) for v in [*values, df]])[:4]
    return ["AIC", "BIC", "logLik", "deviance", "df.resid"], [*cells, str(df)]


def scaled_residuals(fit: Any) -> list[float]:
    """Five numbers of the Pearson residuals divided by sigma."""
    return five_numbers(np.asarray(fit.residuals("pearson"), dtype=float) / fit.sigma)


def residual_lines(fit: Any, digits: int) -> list[str]:
    """Write the five numbers of the scaled residuals."""
    cells = format_common(zap_small(scaled_residuals(fit), digits + 1), digits)
    return ["Scaled residuals: ", *named_vector_lines(cells, FIVE_NUMBERS), ""]


def group_lines(fit: Any) -> list[str]:
    """Write the numbers of observations and of levels per grouping factor."""
    return fill_lines([f"Number of obs: {fit.nobs}, groups: ", group_counts(fit)])


def group_counts(fit: Any) -> str:
    """Name and number of levels of each grouping factor."""
    return "; ".join(f"{name}, {levels}" for name, levels in fit.n_groups.items())


def estimated(fit: Any) -> tuple[list[str], FloatArray, FloatArray]:
    """Names, estimates and covariance of the coefficients that were not dropped."""
    vcov = np.asarray(fit.vcov(), dtype=float)
    beta = fit.fixef().to_numpy(dtype=float)[fit.kept]
    return list(fit.coef_names), beta, vcov


def fixed_effects_lines(fit: Any, digits: int, ddf: Ddf = "none") -> list[str]:
    """Write the table of coefficients with standard errors and t values, and tests if asked for."""
    names, beta, vcov = estimated(fit)
    if not names:
        return []
    if ddf == "none":
        return ["", "Fixed effects:", *table_lines(fixed_effects_cells(beta, vcov, digits), names)]
    columns, stars = tested_effects_cells(fit, digits, ddf)
    return ["", "Fixed effects:", *table_lines(columns, names, stars=stars)]


def tested_effects_cells(
    fit: Any, digits: int, ddf: Ddf
) -> tuple[list[tuple[str, list[str]]], list[str] | None]:
    """Columns of the table of coefficients with tests, by name, and stars."""
    tests = fit.model.coefficient_tests(fit, ddf)
    z = ddf == "normal"
    parts = [tests.estimate, tests.std_error] + ([] if z else [tests.df])
    cells = estimate_cells([part.tolist() for part in parts], digits)
    statistics = statistic_cells(tests.statistic.tolist(), digits)
    p_cells, stars = p_value_cells(tests.p_value.tolist(), digits)
    names = ["Estimate", "Std. Error", "df"][: len(parts)]
    last = ("z value", "Pr(>|z|)") if z else ("t value", "Pr(>|t|)")
    columns = [*zip(names, cells, strict=True), (last[0], statistics), (last[1], p_cells)]
    return columns, stars


def fixed_effects_cells(
    beta: FloatArray, vcov: FloatArray, digits: int
) -> list[tuple[str, list[str]]]:
    """Columns of the table of coefficients, by name."""
    se = np.sqrt(np.diag(vcov))
    estimates, errors = estimate_cells([beta.tolist(), se.tolist()], digits)
    statistics = statistic_cells((beta / se).tolist(), digits)
    return [("Estimate", estimates), ("Std. Error", errors), ("t value", statistics)]


def correlation_lines(fit: Any, *, correlation: bool | None) -> list[str]:
    """Write the correlations of the fixed effects, with shortened names."""
    names, _, vcov = estimated(fit)
    shown = len(names) <= CORRELATION_UP_TO if correlation is None else correlation
    if not shown or len(names) < 2:
        return []
    rows, columns, cells = correlation_cells(names, vcov)
    return ["", "Correlation of Fixed Effects:", *matrix_lines(cells, rows, columns, right=False)]


def correlation_cells(
    names: list[str], vcov: FloatArray
) -> tuple[list[str], list[str], list[list[str]]]:
    """Row names, column names and cells of the correlations of the fixed effects."""
    se = np.sqrt(np.diag(vcov))
    corr = vcov / np.outer(se, se)
    np.fill_diagonal(corr, 1.0)
    cells = lower_triangle_cells(corr, CORRELATION_DECIMALS)
    rows = abbreviate(names, ROW_NAME_LENGTH)
    columns = abbreviate(names, COLUMN_NAME_LENGTH)
    return rows[1:], columns[:-1], [row[:-1] for row in cells[1:]]


def rank_lines(fit: Any) -> list[str]:
    """Write lme4's note on dropped columns."""
    n = len(fit.dropped_columns)
    if not n:
        return []
    what = "1 column / coefficient" if n == 1 else f"{n} columns / coefficients"
    return [
        "fit warnings:",
        f"fixed-effect model matrix is rank deficient so dropping {what}",
    ]


def finding_sentences(fit: Any, *, correlation: bool | None = None, ddf: Ddf = "none") -> list[str]:
    """Sentences of the last block: what was found, rows dropped, what is held or not shown."""
    sentences = [str(finding) for finding in fit.findings]
    if ddf != "none":
        notes = fit.model.coefficient_tests(fit, ddf).notes
        sentences += [note for note in notes if note != fit.undetermined_note]  # a finding says it
    dropped = rows_dropped_sentence(fit)
    told = any(finding.code == "rows_dropped" for finding in fit.findings)
    if dropped and not told:
        sentences.append(dropped)
    p = len(fit.coef_names)
    if fit.is_linear_model and fit.method == "ml":
        sentences.append(
            "Fitted by maximum likelihood: the residual variance is divided by the number of "
            "rows, not by the residual degrees of freedom, so standard errors are a little "
            "smaller than those of method 'reml' (which are lm's)."
        )
    if not fit.is_linear_model and correlation is None and p > CORRELATION_UP_TO:
        sentences.append(
            f"The correlations of the fixed effects are not shown, as p = {p} > "
            f"{CORRELATION_UP_TO}; summary(correlation=True) shows them, vcov() holds them."
        )
    return sentences


def rows_dropped_sentence(fit: Any) -> str:
    """Say how many rows have missing values, and in which columns."""
    n_dropped = fit.n_rows_given - fit.nobs
    columns = {name: n for name, n in fit.rows_dropped.items() if n}
    if n_dropped <= 0 or not columns:
        return ""
    counts = ", ".join(f"{name} {n}" for name, n in columns.items())
    was = "was" if n_dropped == 1 else "were"
    return (
        f"{n_dropped} of {fit.n_rows_given} rows {was} dropped for missing values "
        f"(missing by column: {counts})."
    )


def finding_lines(fit: Any, *, correlation: bool | None = None, ddf: Ddf = "none") -> list[str]:
    """Write the last block: one wrapped paragraph a finding."""
    sentences = finding_sentences(fit, correlation=correlation, ddf=ddf)
    if not sentences:
        return []
    return ["", "Findings:", *(line for text in sentences for line in wrapped(text, "- ", "  "))]


def wrapped(text: str, first: str, rest: str) -> list[str]:
    """Break a sentence into lines that begin with ``first``, then ``rest``."""
    return textwrap.wrap(
        text,
        width=LINE_WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
