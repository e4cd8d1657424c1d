"""The report of one fit, and of a comparison: what was asked, found, checked, and the code."""

import textwrap
from typing import Any

from hierbayes.plots.caterpillar import caterpillar
from hierbayes.plots.normal_qq import qq
from hierbayes.plots.residual_scatter import residuals
from hierbayes.reports.code_lines import comparison_code, fit_code
from hierbayes.reports.document import Document, Part, picture_of_figure
from hierbayes.reports.explain import explain_text
from hierbayes.reports.html import level_tables_html
from hierbayes.reports.paper_table import paper_grid
from hierbayes.results.comparison import Comparison
from hierbayes.results.likelihood_fit import LikelihoodFit

MOST_LEVELS = 60  # drawn in the caterpillar plot


def fit_report(fit: Any) -> Document:
    """Report a LikelihoodFit or PosteriorFit.

    Sections: model, table for a paper, summary, random effects, residuals (of a likelihood fit)
    and the code that makes the fit again.
    """
    parts = [
        Part(heading="Model", printed=_model_words(fit)),
        Part(heading="Estimates", text=_interval_words(fit), grids=(paper_grid([fit]),)),
        Part(heading="Summary", printed=fit.summary(), html=fit._repr_html_()),
    ]
    if fit.design.factors:
        parts.append(_effects(fit))
    if isinstance(fit, LikelihoodFit):
        parts.append(_residuals(fit))
    parts.append(Part(heading="How to make it again", code=fit_code(fit)))
    data = f" on {fit.data_name}" if fit.data_name else ""
    return Document(f"{fit.formula_text}{data}", tuple(parts))


def comparison_report(found: Comparison) -> Document:
    """Report a comparison: the fits as columns of one table, then each difference with its why."""
    fits = [side.fit for side in found.fits]
    parts = [
        Part(heading="Model", printed=_model_words(fits[0])),
        Part(
            heading="Estimates side by side",
            text=f"Estimates with {100 * found.level:g} % intervals: confidence intervals of the "
            "likelihood fits (Satterthwaite's degrees of freedom), equal-tailed credible "
            "intervals of the posterior.",
            grids=(paper_grid(fits, level=found.level),),
        ),
        Part(heading="What differs, and why", printed=str(found), html=found._repr_html_()),
    ]
    if fits[0].design.factors:
        parts.append(_effects(*fits[:3]))
    parts.append(Part(heading="How to make it again", code=comparison_code(fits)))
    data = f" on {found.data_name}" if found.data_name else ""
    return Document(f"{found.formula_text}{data}: estimators side by side", tuple(parts))


def _model_words(fit: Any) -> str:
    """Say what the formula became, and what of it the data do not determine."""
    family = {} if isinstance(fit, LikelihoodFit) else {"family": fit.response_family}
    unknown = [str(finding) for finding in fit.findings if finding.code == "not_identified"]
    said = explain_text(fit.design, **family)
    return "\n".join([said, *("\n" + textwrap.fill(one, 80) for one in unknown)])


def _interval_words(fit: Any) -> str:
    if isinstance(fit, LikelihoodFit):
        return (
            "Estimates with 95 % confidence intervals and p values of the fixed effects "
            "(Satterthwaite's degrees of freedom)."
        )
    return "Posterior means with 95 % equal-tailed credible intervals."


def _effects(*fits: Any) -> Part:
    factor = min(fits[0].design.factors, key=lambda f: f.levels.size)
    tables = fits[0].ranef()
    few = factor.levels.size <= MOST_LEVELS
    picture = None
    if few:
        figure, _ = caterpillar(*fits, group=factor.name)
        alt = (
            f"Random effects of {factor.levels.size} levels of {factor.name}, sorted, with 95 % "
            "intervals."
        )
        picture = picture_of_figure(figure, alt)
    return Part(
        heading="Random effects of every level",
        text=f"Effects of the levels of {factor.name} with 95 % intervals, then all of them "
        "(of the first fit) with their standard deviations."
        if few
        else "Effects with their standard deviations.",
        printed=str(tables),
        html=level_tables_html(tables),
        picture=picture,
    )


def _residuals(fit: LikelihoodFit) -> Part:
    from hierbayes.plots.style import new_figure

    figure = new_figure(width_mm=160, height_mm=72)
    left, right = figure.subplots(1, 2)
    residuals(fit, ax=left)
    qq(fit, ax=right)
    alt = "Residuals against fitted values, and against normal quantiles."
    return Part(
        heading="Residuals",
        text="Left a level cloud, right points along the line: then nothing speaks against the "
        "residual part of the model.",
        picture=picture_of_figure(figure, alt),
    )
