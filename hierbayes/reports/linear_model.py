"""The summary of a linear model without random effects, as R's ``summary(lm(.))``.

With weights W and residuals r the sums of squares are r'Wr (residual) and the weighted sum of
squares of the fitted values about their weighted mean (model; about zero without an intercept);
R-squared and the F statistic follow from the two.
"""

import math
from dataclasses import replace

import numpy as np

from hierbayes.arrays import record
from hierbayes.formula.deparse import deparse_lines
from hierbayes.formula.expressions import Call, Expression, Name
from hierbayes.formula.parser import parse_expression
from hierbayes.render.blocks import Block, Blocks, Column, Heading, Paragraph, Printed, Table
from hierbayes.render.layout import named_vector_lines
from hierbayes.render.numbers import (
    five_numbers,
    format_common,
    format_general,
    format_number,
    format_p_values,
    round_significant,
)
from hierbayes.reports.coefficients import estimate_cells, p_value_cells, statistic_cells
from hierbayes.reports.model_facts import five_numbers_table, model_facts
from hierbayes.results.linear_fit import LinearFit

INTERCEPT = "(Intercept)"
QUANTILES_ABOVE = 5  # with so few residual degrees of freedom R lists every residual


@record(kw_only=False)
class Explained:
    """What a linear model explains.

    Attributes
    ----------
    r_squared, adjusted : share of the sum of squares, plain and by degrees of freedom
    f : F statistic of the model against its intercept (or zero)
    df : its degrees of freedom
    p_value : probability of a larger F
    """

    r_squared: float
    adjusted: float
    f: float
    df: tuple[int, int]
    p_value: float


def residual_df(fit: LinearFit) -> int:
    """Rows less estimated coefficients (sigma not counted, unlike ``df_residual``)."""
    return int(fit.nobs - len(fit.coef_names))


def explained(fit: LinearFit) -> Explained | None:
    """R-squared and F statistic; None for a model of an intercept only or without residual df."""
    from scipy.special import fdtrc

    has_intercept = INTERCEPT in fit.coef_names
    df_model = len(fit.coef_names) - has_intercept
    df = residual_df(fit)
    if df_model < 1 or df < 1:
        return None
    weights = fit.design.weights
    fitted = np.asarray(fit.fitted(), dtype=float)
    w = np.ones_like(fitted) if weights is None else np.asarray(weights, dtype=float)
    centre = np.average(fitted, weights=w) if has_intercept else 0.0
    model_ss = float(w @ (fitted - centre) ** 2)
    residual_ss = float(np.sum(np.asarray(fit.residuals("pearson"), dtype=float) ** 2))
    r_squared = model_ss / (model_ss + residual_ss)
    adjusted = 1 - (1 - r_squared) * (fit.nobs - has_intercept) / df
    f = (model_ss / df_model) / (residual_ss / df)
    return Explained(r_squared, adjusted, f, (df_model, df), float(fdtrc(df_model, df, f)))


def linear_model_blocks(fit: LinearFit, digits: int) -> Blocks:
    """Call, residuals, coefficients with t tests, and the fit as R's ``summary.lm`` has them."""
    title = Printed(
        ["", "Call:", *_call_lines(fit)],
        [Heading("Linear model (no random effects)"), *model_facts(fit)],
    )
    return (
        title,
        _residuals(fit, digits),
        *_coefficients(fit, digits),
        Printed(_fit_lines(fit, digits), [Paragraph(_fit_words(fit, digits))]),
    )


def _call_lines(fit: LinearFit) -> list[str]:
    """Write the call of R's ``lm`` that gives this fit, broken where R breaks it."""
    arguments: list[tuple[str, Expression]] = [("formula", fit.design.formula.tree)]
    if fit.data_name:
        arguments.append(("data", Name(fit.data_name)))
    for name in ("weights", "offset"):
        given = getattr(fit.spec.arguments, name)
        if isinstance(given, str):
            arguments.append((name, parse_expression(given)))
    return deparse_lines(Call("lm", (), tuple(arguments)))


def _residuals(fit: LinearFit, digits: int) -> Block:
    residuals = fit.residuals("pearson")
    values = residuals.to_numpy(dtype=float)
    df = residual_df(fit)
    head = "Weighted Residuals:" if fit.weighted else "Residuals:"
    table = replace(
        five_numbers_table(five_numbers(values), digits, caption="Residuals"), head=head
    )
    if df > QUANTILES_ABOVE:
        return table
    lines = [f"ALL {fit.nobs} residuals are 0: no residual degrees of freedom!"]
    if df > 0:
        names = [str(label) for label in residuals.index]
        lines = named_vector_lines(format_common(values.tolist(), digits), names)
    return Printed([head, *lines], [table])


def _coefficients(fit: LinearFit, digits: int) -> list[Block]:
    if not len(fit.coef_names):
        return [Paragraph("No Coefficients")]
    n_dropped = len(fit.dropped_columns)
    note = f" ({n_dropped} not defined because of singularities)" if n_dropped else ""
    columns, stars = coefficient_cells(fit, digits)
    names = [str(name) for name in fit.fixef().index]
    return [Table(columns, names, "Coefficients", head=f"Coefficients:{note}", stars=stars)]


def coefficient_cells(fit: LinearFit, digits: int) -> tuple[list[Column], list[str] | None]:
    """Columns of the table of coefficients, and stars; NA for columns that were dropped."""
    from scipy.special import stdtr

    beta = fit.fixef().to_numpy(dtype=float)
    se = np.full(beta.shape, math.nan)
    variances = np.diag(np.asarray(fit.vcov(), dtype=float))
    kept = ~np.isnan(beta)
    se[kept] = np.sqrt(variances)
    t = beta / se
    p = 2 * stdtr(residual_df(fit), -np.abs(t))
    estimates, errors = estimate_cells([beta.tolist(), se.tolist()], digits)
    p_cells, stars = p_value_cells(p.tolist(), digits)
    columns: list[Column] = [
        ("Estimate", estimates),
        ("Std. Error", errors),
        ("t value", statistic_cells(t.tolist(), digits)),
        ("Pr(>|t|)", p_cells),
    ]
    return columns, stars


def _fit_lines(fit: LinearFit, digits: int) -> list[str]:
    """Residual sd, dropped rows, R-squared and the F test as R prints them."""
    sigma = format_number(round_significant(float(fit.sigma), digits))
    lines = [f"Residual standard error: {sigma} on {residual_df(fit)} degrees of freedom"]
    n_dropped = fit.n_rows_given - fit.nobs
    if n_dropped > 0:
        plural = "" if n_dropped == 1 else "s"
        lines.append(f"  ({n_dropped} observation{plural} deleted due to missingness)")
    share = explained(fit)
    if share is None:
        return lines
    return [
        *lines,
        f"Multiple R-squared:  {format_general(share.r_squared, digits)},\t"
        f"Adjusted R-squared:  {format_general(share.adjusted, digits)} ",
        f"F-statistic: {format_general(share.f, digits)} on {share.df[0]} and {share.df[1]} DF,  "
        f"p-value: {format_p_values([share.p_value], digits)[0]}",
    ]


def _fit_words(fit: LinearFit, digits: int) -> str:
    """Say the same in sentences."""
    sigma = format_general(float(fit.sigma), digits)
    words = f"Residual standard error: {sigma} on {residual_df(fit)} degrees of freedom."
    share = explained(fit)
    if share is None:
        return words
    return (
        f"{words} R-squared: {format_general(share.r_squared, digits)}, adjusted "
        f"{format_general(share.adjusted, digits)}. F = {format_general(share.f, digits)} "
        f"on {share.df[0]} and {share.df[1]} df, p-value: "
        f"{format_p_values([share.p_value], digits)[0]}."
    )
