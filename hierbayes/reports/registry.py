"""Which functions render which result; they are imported when a result is first printed."""

from functools import partial
from importlib import import_module
from typing import Any

from hierbayes.results.printing import register_picture, register_renderers, register_report

# class name -> function of its text and of its HTML, as module.function below hierbayes.reports
RENDERERS = {
    "LikelihoodFit": ("summary.summary_text", "html.summary_html"),
    "VarCorr": ("varcorr.varcorr_text", "html.varcorr_html"),
    "LevelTables": ("level_tables.level_tables_text", "html.level_tables_html"),
    "PredictionTable": ("predictions.predictions_text", "predictions.predictions_html"),
    "ShrinkageTable": ("shrinkage.shrinkage_text", "shrinkage.shrinkage_html"),
    "AnovaTable": ("anova.anova_text", "html.anova_html"),
    "FTable": ("f_table.f_table_text", "f_table.f_table_html"),
    "DeletionTable": ("f_table.deletion_text", "f_table.deletion_html"),
    "PosteriorFit": ("posterior_summary.posterior_text", "posterior_html.posterior_html"),
    "Hypothesis": ("posterior_summary.hypothesis_text", "posterior_html.hypothesis_html"),
    "BayesFactor": ("bayes_factor.bayes_factor_text", "bayes_factor.bayes_factor_html"),
    "Loo": ("loo.loo_text", "loo.loo_html"),
    "ElpdComparison": ("elpd_comparison.elpd_text", "elpd_comparison.elpd_html"),
    "RanovaTable": ("ranova.ranova_text", "ranova.ranova_html"),
    "ExactTest": ("ranova.exact_test_text", "ranova.exact_test_html"),
    "PbTest": ("pb_test.pb_test_text", "pb_test.pb_test_html"),
    "ProfileResult": ("profile.profile_text", "profile.profile_html"),
    "BootstrapResult": ("bootstrap.bootstrap_text", "bootstrap.bootstrap_html"),
    "R2": ("variance_explained.r2_text", "variance_explained.r2_html"),
    "Icc": ("variance_explained.icc_text", "variance_explained.icc_html"),
    "EmmeansTable": ("emmeans.emmeans_text", "emmeans.emmeans_html"),
    "ModelCheck": ("model_check.model_check_text", "model_check.model_check_html"),
    "Reanalysis": ("reanalysis.reanalysis_text", "reanalysis.reanalysis_html"),
    "Comparison": ("comparison.comparison_text", "comparison.comparison_html"),
}
# class name -> function of its report, below hierbayes.reports
REPORTS = {
    "LikelihoodFit": "fit_report.fit_report",
    "PosteriorFit": "fit_report.fit_report",
    "Comparison": "fit_report.comparison_report",
    "Reanalysis": "reanalysis.reanalysis_report",
}
# class name -> function that draws it, below hierbayes.plots
PICTURES = {"Comparison": "compare.compare", "ModelCheck": "check.check"}


def register_reports() -> None:
    """Tell the results how they are rendered and drawn; ``import hierbayes`` calls this once."""
    for class_name, (text, html) in RENDERERS.items():
        register_renderers(class_name, text=partial(load, text), html=partial(load, html))
    for class_name, name in REPORTS.items():
        register_report(class_name, partial(_written, name))
    for class_name, name in PICTURES.items():
        register_picture(class_name, partial(load, name, layer="plots"))


def _written(name: str, result: Any, path: Any) -> Any:
    return load("document.write_document")(load(name)(result), path)


def load(name: str, *, layer: str = "reports") -> Any:
    """Return the function ``module.function`` of a layer."""
    module, _, function = name.partition(".")
    return getattr(import_module(f"hierbayes.{layer}.{module}"), function)
