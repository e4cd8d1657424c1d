"""The report of one fit as a self-contained HTML page."""

from hierbayes.reports.explain import explain_text
from hierbayes.reports.html import level_tables_html, summary_html, varcorr_html
from hierbayes.reports.html_page import Section, page
from hierbayes.results.likelihood_fit import LikelihoodFit


def fit_page(fit: LikelihoodFit) -> str:
    """Show formula, what it became, summary, variance components and random effects of a fit.

    Parameters
    ----------
    fit : LikelihoodFit

    Returns
    -------
    str
        A whole HTML file; findings stand at the end of the summary.
    """
    data = f" on {fit.data_name}" if fit.data_name else ""
    sections = [
        Section(heading="Model", preformatted=explain_text(fit.design)),
        Section(heading="Summary", html=summary_html(fit)),
    ]
    if not fit.is_linear_model:
        sections += [
            Section(
                heading="Variance components",
                text="Standard deviations and correlations of the random effects, and the "
                "residual standard deviation.",
                html=varcorr_html(fit.varcorr()),
            ),
            Section(
                heading="Random effects of every level",
                text="Conditional modes, each with its conditional standard deviation beside it.",
                html=level_tables_html(fit.ranef()),
            ),
        ]
    return page(f"{fit.formula_text}{data}", sections)
