"""The report of one fit, and of a comparison: what was asked, found, checked, and the code."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hierbayes.plots.caterpillar import caterpillar
from hierbayes.plots.normal_qq import qq
from hierbayes.plots.residual_scatter import residuals
from hierbayes.render.blocks import Blocks, Heading, Paragraph, Picture, Preformatted, Section
from hierbayes.render.document import Document
from hierbayes.render.layout import wrapped
from hierbayes.reports.code_lines import comparison_code, fit_code
from hierbayes.reports.comparison import comparison_blocks
from hierbayes.reports.explain import explain_text
from hierbayes.reports.level_tables import level_tables_blocks
from hierbayes.reports.paper_table import paper_table
from hierbayes.results import verbs
from hierbayes.results.comparison import Comparison
from hierbayes.results.fit import Fit
from hierbayes.results.likelihood_fit import LikelihoodFit

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

MOST_LEVELS = 60  # drawn in the caterpillar plot


def fit_report(fit: Fit) -> Document:
    """Report a fit.

    Sections: model, table for a paper, summary, random effects, residuals (of a likelihood fit)
    and the code that makes the fit again.
    """
    summary: Blocks = verbs.ask(fit, "blocks")
    sections = [
        Section("Model", [Preformatted(_model_words(fit))]),
        Section("Estimates", [Paragraph(_interval_words(fit)), paper_table([fit])]),
        Section("Summary", summary),
    ]
    if fit.design.factors:
        sections.append(_effects(fit))
    if isinstance(fit, LikelihoodFit) and fit.response_family.expectation is not None:
        sections.append(_residuals(fit))
    sections.append(again(fit_code(fit)))
    data = f" on {fit.data_name}" if fit.data_name else ""
    return Document(f"{fit.formula_text}{data}", tuple(sections))


def comparison_report(found: Comparison) -> Document:
    """Report a comparison: the fits as columns of one table, then each difference with its why."""
    fits = [side.fit for side in found.fits]
    linear = fits[0].response_family.is_linear
    how = "Satterthwaite's degrees of freedom" if linear else "normal quantiles"
    words = (
        f"Estimates with {100 * found.level:g} % intervals: confidence intervals of the "
        f"likelihood fits ({how}), equal-tailed credible intervals of the posterior."
    )
    sections = [
        Section("Model", [Preformatted(_model_words(fits[0]))]),
        Section("Estimates side by side", [Paragraph(words), paper_table(fits, level=found.level)]),
        Section("What differs, and why", comparison_blocks(found)),
    ]
    if fits[0].design.factors:
        sections.append(_effects(*fits[:3]))
    sections.append(again(comparison_code(fits)))
    data = f" on {found.data_name}" if found.data_name else ""
    title = f"{found.formula_text}{data}: estimators side by side"
    return Document(title, tuple(sections))


def again(code: Sequence[str]) -> Section:
    """Return the section with the code that makes a result again."""
    shown = Preformatted("\n".join(code), language="python")
    return Section("How to make it again", [Heading("The code"), shown])


def picture_of_figure(figure: "Figure | SubFigure", alt: str) -> Picture:
    """Return a matplotlib figure as a picture, and close it.

    Dollars in names of columns and levels are shown, not read as mathematics.
    """
    from matplotlib import pyplot, rc_context
    from matplotlib.text import Text

    from hierbayes.plots.style import PNG_DPI

    stream, whole = io.BytesIO(), figure.figure
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    with rc_context({"text.parse_math": False}):  # labels of ticks that are made while drawing
        whole.savefig(stream, format="png", dpi=PNG_DPI)
    pyplot.close(whole)
    return Picture(png=stream.getvalue(), alt=alt, is_dark=_is_dark(whole))


def _is_dark(figure: "Figure | SubFigure") -> bool:
    """Whether a figure has a dark page."""
    from matplotlib.colors import to_rgb

    return sum(to_rgb(figure.get_facecolor())) < 1.5


def _model_words(fit: Fit) -> str:
    """Say what the formula became, and what of it the data do not determine."""
    unknown = [str(finding) for finding in fit.findings if finding.code == "not_identified"]
    said = explain_text(fit.design, family=fit.response_family)
    return "\n".join([said, *(line for one in unknown for line in ["", *wrapped(one)])])


def _interval_words(fit: Fit) -> str:
    if isinstance(fit, LikelihoodFit):
        how = "Satterthwaite's degrees of freedom"
        how = how if fit.response_family.is_linear else "normal quantiles"
        return (
            f"Estimates with 95 % confidence intervals and p values of the fixed effects ({how})."
        )
    return "Posterior means with 95 % equal-tailed credible intervals."


def _effects(*fits: Fit) -> Section:
    factor = min(fits[0].design.factors, key=lambda f: f.levels.size)
    tables = level_tables_blocks(fits[0].ranef())
    title = "Random effects of every level"
    if factor.levels.size > MOST_LEVELS:
        words = "Effects with their standard deviations."
        return Section(title, [Paragraph(words), *tables])
    figure, _ = caterpillar(*fits, group=factor.name)
    counted = f"{factor.levels.size} levels of {factor.name}"
    alt = f"Random effects of {counted}, sorted, with 95 % intervals."
    words = (
        f"Effects of the levels of {factor.name} with 95 % intervals, then all of them "
        "(of the first fit) with their standard deviations."
    )
    return Section(title, [Paragraph(words), picture_of_figure(figure, alt), *tables])


def _residuals(fit: LikelihoodFit) -> Section:
    from hierbayes.plots.style import new_figure

    figure = new_figure(width_mm=160, height_mm=72)
    left, right = figure.subplots(1, 2)
    residuals(fit, ax=left)
    qq(fit, ax=right)
    alt = "Residuals against fitted values, and against normal quantiles."
    words = (
        "Left a level cloud, right points along the line: then nothing speaks against the "
        "residual part of the model."
    )
    return Section("Residuals", [Paragraph(words), picture_of_figure(figure, alt)])
