"""The report of one fit, and of a comparison, as a reader meets it.

First what was found, in a paragraph; then the table for the paper and the pictures: effects, the
levels of every grouping factor, checks. Summary, model, numbers of every level and the code that
makes the result again are folded below.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hierbayes.checks.panel import check
from hierbayes.errors import HierBayesError
from hierbayes.plots.caterpillar import caterpillar
from hierbayes.plots.check import check as draw_check
from hierbayes.plots.compare import compare as draw_comparison
from hierbayes.plots.effects import effects
from hierbayes.plots.normal_qq import qq
from hierbayes.plots.residual_scatter import residuals
from hierbayes.plots.shrinkage_slopegraph import shrinkage_slopegraph
from hierbayes.render.blocks import (
    Block,
    Blocks,
    Findings,
    Folded,
    Heading,
    Mathematics,
    Paragraph,
    Picture,
    Preformatted,
    Section,
)
from hierbayes.render.document import Document
from hierbayes.reports.code_lines import comparison_code, fit_code
from hierbayes.reports.comparison import comparison_blocks
from hierbayes.reports.explain import explain_blocks, explain_text
from hierbayes.reports.level_tables import level_tables_blocks
from hierbayes.reports.paper_table import paper_table
from hierbayes.reports.sentences import comparison_sentence, fit_sentence
from hierbayes.reports.summary import finding_sentences
from hierbayes.results import verbs
from hierbayes.results.comparison import Comparison
from hierbayes.results.fit import Fit
from hierbayes.results.likelihood_fit import LikelihoodFit

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

MOST_LEVELS = 60  # drawn one by one
MOST_FACTORS = 4  # whose levels are drawn
CHECK_SEED = 1  # of the simulated responses: a report is the same whenever it is written
CHECK_SIMULATIONS = 100
ROWS_CHECKED = 20_000  # beyond it the panel of checks takes longer than the rest of the report


def fit_report(
    fit: Fit, *, labels: Mapping[str, str] | None = None, equation: bool = False
) -> Document:
    """Report a fit.

    Sections: result, table, effects, levels, checks, details and the code that makes the fit again.
    """
    summary: Blocks = verbs.ask(fit, "blocks")
    result = fit_sentence(fit, labels=labels, part="results")
    methods = fit_sentence(fit, labels=labels, part="methods")
    found = [*_verdict(fit), *result.blocks, Heading("Methods"), *methods.blocks]
    sections = [
        Section("What was found", found, "result"),
        Section("The table", [paper_table([fit])], "table"),
        *_effects(fit),
        *_levels(fit),
        *_checks(fit),
    ]
    details = [
        Folded("Summary", summary),
        Folded("Model: what the formula became", _model(fit, equation=equation)),
    ]
    details += _every_level(fit)
    sections += [Section("Details", details, "details"), again(fit_code(fit))]
    data = f" on {fit.data_name}" if fit.data_name else ""
    return Document(f"{fit.formula_text}{data}", tuple(sections))


def comparison_report(
    found: Comparison, *, labels: Mapping[str, str] | None = None, equation: bool = False
) -> Document:
    """Report a comparison: what differs, the fits as columns of one table, then pictures."""
    fits = [side.fit for side in found.fits]
    result = comparison_sentence(found, labels=labels, part="results")
    methods = comparison_sentence(found, labels=labels, part="methods")
    words = [*result.blocks, Heading("Methods"), *methods.blocks]
    picture = drawn_picture(
        lambda: draw_comparison(found)[0],
        "Densities and intervals of every parameter by each estimator.",
    )
    sections = [
        Section("What was found", words, "result"),
        Section("Estimates side by side", [paper_table(fits, level=found.level)], "table"),
        Section("The estimators in a picture", [picture], "picture"),
        Section("What differs, and why", comparison_blocks(found), "differences"),
        *_levels(*fits[:3]),
        Section(
            "Details",
            [
                Folded("Model: what the formula became", _model(fits[0], equation=equation)),
                *_every_level(fits[0]),
            ],
            "details",
        ),
        again(comparison_code(fits)),
    ]
    data = f" on {found.data_name}" if found.data_name else ""
    title = f"{found.formula_text}{data}: estimators side by side"
    return Document(title, tuple(sections))


def again(code: Sequence[str]) -> Section:
    """Return the section with the code that makes a result again."""
    shown = Preformatted("\n".join(code), language="python")
    return Section("How to make it again", [Heading("The code"), shown], "code")


def picture_of_figure(figure: "Figure | SubFigure", alt: str) -> Picture:
    """Return a matplotlib figure as a picture, and close it.

    Dollars in names of columns and levels are shown, not read as mathematics.
    """
    return Picture(png=_png(figure), alt=alt, is_dark=_is_dark(figure.figure))


def _png(figure: "Figure | SubFigure") -> bytes:
    from matplotlib import pyplot, rc_context
    from matplotlib.text import Text

    from hierbayes.plots.style import PNG_DPI

    stream, whole = io.BytesIO(), figure.figure
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    with rc_context({"text.parse_math": False}):  # labels of ticks that are made while drawing
        whole.savefig(stream, format="png", dpi=PNG_DPI)
    pyplot.close(whole)
    return stream.getvalue()


def _is_dark(figure: "Figure | SubFigure") -> bool:
    """Whether a figure has a dark page."""
    from matplotlib.colors import to_rgb

    return sum(to_rgb(figure.get_facecolor())) < 1.5


def drawn_picture(draw: Callable[[], Any], alt: str) -> Picture:
    """Return a picture that is drawn when a page asks for it; none where the fit has no such."""

    def png() -> bytes:
        try:
            return _png(draw())
        except HierBayesError:
            return b""

    return Picture(png=png, alt=alt)


def _verdict(fit: Fit) -> list[Block]:
    """Say what speaks against the numbers, before anybody reads them."""
    said = finding_sentences(fit, correlation=False)
    if said:
        return [Findings(said)]
    words = "Nothing was found that speaks against the fit: it converged"
    words += ", the chains agree." if fit.method == "posterior" else "."
    return [Paragraph(words, soft=True)] if fit.converged else []


def _model(fit: Fit, *, equation: bool) -> list[Block]:
    """Say what the formula became, and what of it the data do not determine."""
    unknown = [str(finding) for finding in fit.findings if finding.code == "not_identified"]
    said = explain_text(fit.design, family=fit.response_family)
    shown: list[Block] = [Mathematics(str(fit.model.latex()))] if equation else []
    return [*shown, *explain_blocks(said), *(Paragraph(one) for one in unknown)]


def _effects(fit: Fit) -> list[Section]:
    """Return the picture of the fixed part, where it has predictors."""
    if not any(name != "(Intercept)" for name in fit.coef_names):
        return []
    alt = "Expected response along the predictors of the fixed part, with 95 % intervals."
    words = "What the model expects of a typical group, with 95 % intervals."
    return [
        Section(
            "Effects", [Paragraph(words), drawn_picture(lambda: effects(fit)[0], alt)], "effects"
        )
    ]


def _levels(*fits: Fit) -> list[Section]:
    blocks = level_blocks(*fits)
    return [Section("Levels", blocks, "levels")] if blocks else []


def level_blocks(*fits: Fit) -> list[Block]:
    """Return pictures of the levels of every grouping factor: shrinkage, and effects sorted."""
    blocks: list[Block] = []
    for factor in fits[0].design.factors[:MOST_FACTORS]:
        n, name = factor.levels.size, factor.name
        blocks.append(Heading(f"{n} levels of {name}"))
        if n > MOST_LEVELS:
            blocks.append(
                Paragraph(
                    f"More than {MOST_LEVELS} levels are not drawn one by one; "
                    f"hb.plot.caterpillar(fit, group={name!r}) does."
                )
            )
            continue
        blocks += _pictures_of(fits, name, n)
    return blocks


def _pictures_of(fits: Sequence[Fit], name: str, n: int) -> list[Block]:
    return [
        Paragraph(
            "Effects with 95 % intervals, sorted; then how far each level's own estimate is pulled "
            "to the population's."
        ),
        drawn_picture(
            lambda: caterpillar(*fits, group=name)[0],
            f"Random effects of {n} levels of {name}, sorted, with 95 % intervals.",
        ),
        drawn_picture(
            lambda: shrinkage_slopegraph(fits[0], group=name)[0],
            f"Shrinkage of {n} levels of {name}: a line from each level's own estimate to the "
            "estimate of the model.",
        ),
    ]


def _checks(fit: Fit) -> list[Section]:
    """Return the panel of checks, of large data the residuals alone."""
    if fit.nobs <= ROWS_CHECKED:
        alt = "Checks of the model: simulated responses, residuals and random effects."
        words = "Is the model one that makes data such as these?"
        return [
            Section("Checks", [Paragraph(words), drawn_picture(lambda: _panel(fit), alt)], "checks")
        ]
    if not isinstance(fit, LikelihoodFit) or fit.response_family.expectation is None:
        return []
    alt = "Residuals against fitted values, and against normal quantiles."
    words = (
        "Left a level cloud, right points along the line: then nothing speaks against the "
        "residual part of the model."
    )
    return [
        Section("Checks", [Paragraph(words), drawn_picture(lambda: _residuals(fit), alt)], "checks")
    ]


def _panel(fit: Fit) -> Any:
    found = check(fit, nsim=CHECK_SIMULATIONS, random_seed=CHECK_SEED, leave_out=False)
    return draw_check(found)[0]


def _residuals(fit: LikelihoodFit) -> Any:
    from hierbayes.plots.style import new_figure

    figure = new_figure(width_mm=160, height_mm=72)
    left, right = figure.subplots(1, 2)
    residuals(fit, ax=left)
    qq(fit, ax=right)
    return figure


def _every_level(fit: Fit) -> list[Folded]:
    if not fit.design.factors:
        return []
    words = Paragraph("Effects with their standard deviations.")
    return [Folded("Random effects of every level", [words, *level_tables_blocks(fit.ranef())])]
