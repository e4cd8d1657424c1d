"""The summary of a REML or ML fit in blocks: lme4's blocks in lme4's order, then our findings.

Reads what was estimated and writes it; computes nothing but quantiles and correlations.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.design.counted import quantiles_of
from hierbayes.errors import OptionError
from hierbayes.intervals.linear_tests import coefficient_tests
from hierbayes.options import Ddf, check_flag, check_option, is_whole
from hierbayes.render import blocks as kinds
from hierbayes.render.abbreviate import abbreviate
from hierbayes.render.layout import fill_lines
from hierbayes.render.numbers import (
    five_numbers,
    format_common,
    format_number,
    round_half_even,
)
from hierbayes.render.text import text
from hierbayes.reports.coefficients import (
    SUMMARY_DIGITS,
    estimate_cells,
    p_value_cells,
    statistic_cells,
)
from hierbayes.reports.linear_model import linear_model_blocks
from hierbayes.reports.model_facts import five_numbers_table, model_facts
from hierbayes.reports.residual_structure import residual_structure_blocks, residual_words
from hierbayes.reports.varcorr import lower_triangle_cells, variance_table
from hierbayes.results.fit import Fit
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit

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


def summary_text(fit: LinearFit, **options: Any) -> str:
    """Write the summary of a fit as lme4 prints it; the options are those of ``summary_blocks``.

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
    return text(summary_blocks(fit, **options))


def summary_blocks(
    fit: LinearFit, digits: int | None = None, correlation: bool | None = None, ddf: Ddf = "none"
) -> kinds.Blocks:
    """Show the summary of a fit: lme4's blocks in lme4's order, then our findings.

    Parameters
    ----------
    fit : LikelihoodFit
    digits : significant digits, lme4's default 4
    correlation : show the correlations of the fixed effects; as lme4, by default with at most
        12 coefficients
    ddf : {"none", "satterthwaite", "kenward-roger", "normal"}
        "none", as in lme4, shows no p values; otherwise the coefficients are those of lmerTest,
        with degrees of freedom (none for "normal") and p values
    """
    digits = checked_digits(digits)
    check_option("ddf", ddf, Ddf)
    if correlation is not None:
        check_flag("correlation", correlation, "True (show those of the fixed effects) or False")
    if fit.is_linear_model and fit.residual is None:
        return (*linear_model_blocks(fit, digits), kinds.Findings(finding_sentences(fit)))
    return (
        _title(fit, ddf),
        *model_facts(fit),
        criterion_block(fit),
        *residual_blocks(fit, digits),
        variance_table(
            fit.varcorr(),
            digits=digits,
            with_variances=True,
            head="Residuals:" if fit.is_linear_model else "Random effects:",
        ),
        *residual_structure_blocks(fit, digits),
        count_blocks(fit),
        *fixed_effects_blocks(fit, digits, ddf),
        *correlation_blocks(fit, correlation=correlation),
        *rank_note(fit),
        kinds.Findings(
            finding_sentences(fit, correlation=correlation, notes=_test_notes(fit, ddf))
        ),
    )


def checked_digits(digits: Any) -> int:
    """Return the number of significant digits to show, lme4's where none is given."""
    if digits is None:
        return SUMMARY_DIGITS
    if is_whole(digits) and 1 <= digits <= MOST_DIGITS:
        return int(digits)
    raise OptionError(
        f"digits={digits!r} must be a whole number from 1 to {MOST_DIGITS}, for example "
        f"{SUMMARY_DIGITS}."
    )


def _title(fit: LinearFit, ddf: Ddf) -> kinds.Block:
    """Estimator and tests."""
    by = "REML" if fit.method == "reml" else "maximum likelihood"
    title = f"Linear mixed model fit by {by}"
    if fit.residual is not None:
        mixed = "" if fit.is_linear_model else "mixed "
        title = f"Linear {mixed}model with {residual_words(fit)}, fit by {by}"
        return kinds.Heading(title if ddf == "none" else f"{title}. {TESTS[ddf]}")
    if ddf != "none":
        return kinds.Heading(f"{title}. {TESTS[ddf]}")
    gap = "" if fit.method == "reml" else " "  # lme4's
    return kinds.Printed([f"{title}{gap} ['lmerMod']"], [kinds.Heading(title)])


def criterion_block(fit: LikelihoodFit) -> kinds.Block:
    """Return the REML criterion; for ML the table of AIC, BIC, log-likelihood and deviance."""
    if fit.method == "reml":
        value = round_half_even(float(fit.criterion), CRITERION_DECIMALS)
        return kinds.Paragraph(f"REML criterion at convergence: {format_number(value)}")
    values = [float(v) for v in (fit.aic, fit.bic, fit.loglik, fit.deviance)]
    df = int(fit.df_residual)
    cells = format_common([round_half_even(v, CRITERION_DECIMALS) for v in [*values, df]])[:4]
    names = ("AIC", "BIC", "logLik", "deviance", "df.resid")
    return kinds.Table(kinds.columns_of([[*cells, str(df)]], names), layout="vector")


def residual_blocks(fit: LikelihoodFit, digits: int) -> kinds.Blocks:
    """Five numbers of the residuals; nothing of a stream, whose rows are gone."""
    if not fit.design.keeps_rows:
        return ()
    return (five_numbers_table(scaled_residuals(fit), digits, caption="Scaled residuals"),)


def scaled_residuals(fit: LikelihoodFit) -> list[float]:
    """Five numbers of the Pearson residuals divided by sigma."""
    if isinstance(fit, GeneralisedFit) and fit.design.cells is not None:
        counts = fit.design.cells.counts
        assert counts is not None
        values = fit.summand_residuals("pearson") / fit.sigma
        known = ~np.isnan(values)
        return quantiles_of(values[known], counts[known], (0.0, 0.25, 0.5, 0.75, 1.0)).tolist()
    if isinstance(fit, LinearFit) and fit.residual is not None:
        return five_numbers(np.asarray(fit.residuals("normalized"), dtype=float))
    return five_numbers(np.asarray(fit.residuals("pearson"), dtype=float) / fit.sigma)


def count_blocks(fit: LikelihoodFit) -> kinds.Block:
    """Numbers of observations and of levels per grouping factor."""
    if not fit.n_groups:
        return kinds.Paragraph(f"Number of obs: {fit.nobs}")
    groups = "; ".join(f"{name}, {levels}" for name, levels in fit.n_groups.items())
    said = f"Number of obs: {fit.nobs}, groups: "
    return kinds.Printed(
        fill_lines([said, groups]), [kinds.Paragraph(f"{said}{groups}")], gap=False
    )


def estimated(fit: LikelihoodFit) -> tuple[list[str], FloatArray, FloatArray]:
    """Names, estimates and covariance of the coefficients that were not dropped."""
    vcov = np.asarray(fit.vcov(), dtype=float)
    beta = fit.shown_beta
    return list(fit.coef_names), beta, vcov


def fixed_effects_blocks(fit: LikelihoodFit, digits: int, ddf: Ddf = "none") -> list[kinds.Table]:
    """Coefficients with standard errors and t values, and tests if asked for."""
    names, beta, vcov = estimated(fit)
    if not names:
        return []
    columns, stars = fixed_effects_cells(beta, vcov, digits), None
    if ddf != "none":
        columns, stars = tested_effects_cells(fit, digits, ddf)
    return [kinds.Table(columns, names, "Fixed effects", head="Fixed effects:", stars=stars)]


def tested_effects_cells(
    fit: LikelihoodFit, digits: int, ddf: Ddf
) -> tuple[list[kinds.Column], list[str] | None]:
    """Columns of the table of coefficients with tests, by name, and stars."""
    tests = coefficient_tests(fit, ddf)
    z = ddf == "normal"
    parts = [tests.estimate, tests.std_error] + ([] if z else [tests.df])
    cells = estimate_cells([part.tolist() for part in parts], digits)
    statistics = statistic_cells(tests.statistic.tolist(), digits)
    p_cells, stars = p_value_cells(tests.p_value.tolist(), digits)
    names = ["Estimate", "Std. Error", "df"][: len(parts)]
    last = ("z value", "Pr(>|z|)") if z else ("t value", "Pr(>|t|)")
    names += last
    return list(zip(names, [*cells, statistics, p_cells], strict=True)), stars


def fixed_effects_cells(beta: FloatArray, vcov: FloatArray, digits: int) -> list[kinds.Column]:
    """Columns of the table of coefficients, by name."""
    se = np.sqrt(np.diag(vcov))
    estimates, errors = estimate_cells([beta.tolist(), se.tolist()], digits)
    statistics = statistic_cells((beta / se).tolist(), digits)
    return [("Estimate", estimates), ("Std. Error", errors), ("t value", statistics)]


def correlation_blocks(fit: LikelihoodFit, *, correlation: bool | None) -> list[kinds.Table]:
    """Correlations of the fixed effects, with shortened names."""
    names, _, vcov = estimated(fit)
    shown = len(names) <= CORRELATION_UP_TO if correlation is None else correlation
    if not shown or len(names) < 2:
        return []
    rows, short, cells = correlation_cells(names, vcov)
    return [
        kinds.Table(
            kinds.columns_of(cells, short),
            rows,
            caption="Correlation of fixed effects",
            head="Correlation of Fixed Effects:",
            layout="left",
        )
    ]


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


def rank_note(fit: LikelihoodFit) -> list[kinds.Block]:
    """lme4's note on dropped columns."""
    n = len(fit.dropped_columns)
    if not n:
        return []
    what = "1 column / coefficient" if n == 1 else f"{n} columns / coefficients"
    note = f"fixed-effect model matrix is rank deficient so dropping {what}"
    return [kinds.Printed(["fit warnings:", note], [kinds.Paragraph(note)], gap=False)]


def _test_notes(fit: LinearFit, ddf: Ddf) -> list[str]:
    """Sentences of the tests; that on what the data do not determine is a finding already."""
    if ddf == "none":
        return []
    notes = coefficient_tests(fit, ddf).notes
    return [note for note in notes if note != fit.undetermined_note]


def finding_sentences(
    fit: Fit, *, correlation: bool | None = None, notes: Sequence[str] = ()
) -> list[str]:
    """Sentences of the last block: what was found, rows dropped, what is held or not shown."""
    sentences = [*(str(finding) for finding in fit.findings), *notes]
    dropped = _rows_dropped(fit)
    told = any(finding.code == "rows_dropped" for finding in fit.findings)
    if dropped and not told:
        sentences.append(dropped)
    p = len(fit.coef_names)
    if not isinstance(fit, GeneralisedFit) and fit.is_linear_model and fit.method == "ml":
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


def _rows_dropped(fit: Fit) -> str:
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
