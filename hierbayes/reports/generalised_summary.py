"""The summary of a generalised fit in blocks: lme4's blocks in lme4's order, then our findings.

Reads what was estimated and writes it.
"""

from hierbayes.errors import NotSupportedError
from hierbayes.families.observations import threshold_names
from hierbayes.options import Ddf, check_flag, check_option
from hierbayes.render import blocks as kinds
from hierbayes.render.layout import wrapped
from hierbayes.reports.coefficients import estimate_cells, statistic_cells
from hierbayes.reports.model_facts import LABEL_WIDTH, five_numbers_table, labelled, model_facts
from hierbayes.reports.summary import (
    checked_digits,
    correlation_blocks,
    count_blocks,
    criterion_block,
    finding_sentences,
    fixed_effects_blocks,
    rank_note,
    scaled_residuals,
)
from hierbayes.reports.varcorr import variance_table
from hierbayes.results.generalised_fit import GeneralisedFit

# R's names of families, where they are others than bambi's.
R_NAMES = {"gamma": "Gamma", "wald": "inverse.gaussian"}
TITLES = {"cumulative": "Cumulative link", "sratio": "Stopping ratio"}
TITLE_WIDTH = 70  # of lme4's line
LAPLACE = "Laplace Approximation"
QUADRATURE = "Adaptive Gauss-Hermite Quadrature, nAGQ = {}"


def generalised_blocks(
    fit: GeneralisedFit,
    digits: int | None = None,
    correlation: bool | None = None,
    ddf: Ddf = "normal",
) -> kinds.Blocks:
    """Show the summary of a generalised fit: lme4's blocks in lme4's order, then our findings.

    Parameters
    ----------
    fit : GeneralisedFit
    digits, correlation : as of ``summary_blocks``
    ddf : {"normal", "none"}
        z tests of the coefficients, or none
    """
    digits = checked_digits(digits)
    check_option("ddf", ddf, Ddf)
    if correlation is not None:
        check_flag("correlation", correlation, "True (show those of the fixed effects) or False")
    return (
        _title(fit),
        _family(fit),
        *model_facts(fit),
        criterion_block(fit),
        *_residuals(fit, digits),
        *_random(fit, digits),
        count_blocks(fit),
        *([] if fit.response_family.is_ordinal else _further(fit, digits)),
        *fixed_effects_blocks(fit, digits, ddf),
        *(_thresholds(fit, digits) if fit.response_family.is_ordinal else []),
        *correlation_blocks(fit, correlation=correlation),
        *rank_note(fit),
        kinds.Findings(finding_sentences(fit, correlation=correlation)),
    )


def _title(fit: GeneralisedFit) -> kinds.Block:
    mixed = "" if fit.is_linear_model else " mixed"
    title = f"{TITLES.get(fit.family, 'Generalized linear')}{mixed} model fit by maximum likelihood"
    if fit.is_linear_model:
        return kinds.Heading(title)
    how = LAPLACE if fit.n_quadrature == 1 else QUADRATURE.format(fit.n_quadrature)
    like = "clmm" if fit.response_family.is_ordinal else "glmerMod"
    lines = wrapped(f"{title} ({how}) [{like}]", rest="  ", width=TITLE_WIDTH)
    return kinds.Printed(lines, [kinds.Heading(f"{title} ({how})")])


def _family(fit: GeneralisedFit) -> kinds.Fact:
    name = R_NAMES.get(fit.family, fit.family)
    return labelled("Family:", [f"{name}  ( {fit.link} )"], LABEL_WIDTH)


def _residuals(fit: GeneralisedFit, digits: int) -> list[kinds.Block]:
    """Five numbers of the scaled residuals, where the family has a variance."""
    try:
        values = scaled_residuals(fit)
    except NotSupportedError:
        return []
    return [five_numbers_table(values, digits, caption="Scaled residuals")]


def _random(fit: GeneralisedFit, digits: int) -> list[kinds.Block]:
    if fit.is_linear_model and not fit.varcorr().has_residual:
        return []
    return [
        variance_table(fit.varcorr(), digits=digits, with_variances=True, head="Random effects:")
    ]


def _further(fit: GeneralisedFit, digits: int) -> list[kinds.Block]:
    """Further parameters of the family with their standard errors."""
    found = fit.further_parameters
    if not found:
        return []
    parts = [[value for value, _ in found.values()], [error for _, error in found.values()]]
    cells = estimate_cells(parts, digits)
    columns = list(zip(["Estimate", "Std. Error"], cells, strict=True))
    head = f"Parameters of the family {fit.family}"
    return [kinds.Table(columns, list(found), head, head=f"{head}:")]


def _thresholds(fit: GeneralisedFit, digits: int) -> list[kinds.Block]:
    """Thresholds between categories, each called by its two as in R's ordinal."""
    found = list(fit.further_parameters.values())
    parts = [[value for value, _ in found], [error for _, error in found]]
    statistics = statistic_cells([value / error for value, error in found], digits)
    columns = [*estimate_cells(parts, digits), statistics]
    names = ["Estimate", "Std. Error", "z value"]
    head = "Threshold coefficients"
    return [
        kinds.Table(
            list(zip(names, columns, strict=True)),
            threshold_names(fit.design, len(found)),
            head,
            head=f"{head}:",
        )
    ]
