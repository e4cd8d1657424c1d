"""Which functions render which result; they are imported when a result is first printed."""

from functools import partial
from importlib import import_module

from hierbayes.results.printing import Renderer, register_renderers

# class name -> module and function of its text; of its HTML, in hierbayes.reports.html unless said
RENDERERS = {
    "LikelihoodFit": ("summary", "summary_text", "summary_html"),
    "VarCorr": ("varcorr", "varcorr_text", "varcorr_html"),
    "LevelTables": ("level_tables", "level_tables_text", "level_tables_html"),
    "AnovaTable": ("anova", "anova_text", "anova_html"),
    "PosteriorFit": ("posterior_summary", "posterior_text", "posterior_html.posterior_html"),
    "Hypothesis": ("posterior_summary", "hypothesis_text", "posterior_html.hypothesis_html"),
    "BayesFactor": ("bayes_factor", "bayes_factor_text", "bayes_factor.bayes_factor_html"),
    "Loo": ("loo", "loo_text", "loo.loo_html"),
    "ElpdComparison": ("elpd_comparison", "elpd_text", "elpd_comparison.elpd_html"),
    "Comparison": ("comparison", "comparison_text", "comparison.comparison_html"),
}


def register_reports() -> None:
    """Tell the results how they are rendered; ``import hierbayes`` calls this once."""
    for class_name, (module, text, html) in RENDERERS.items():
        register_renderers(
            class_name,
            text=partial(_load, module, text),
            html=partial(_load, html.rpartition(".")[0] or "html", html.rpartition(".")[2]),
        )


def _load(module: str, function: str) -> Renderer:
    renderer: Renderer = getattr(import_module(f"hierbayes.reports.{module}"), function)
    return renderer
