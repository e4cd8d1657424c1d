"""Which function shows which result; it is imported when a result is first printed.

A result has one entry: the function that makes its blocks. The writers of ``render`` make text,
HTML, Markdown and LaTeX of them.
"""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierbayes.results.printing import (
    Form,
    Printable,
    register_picture,
    register_report,
    register_writer,
)

if TYPE_CHECKING:
    from hierbayes.render.blocks import Blocks

# class name -> function of its blocks, as module.function below hierbayes.reports
BLOCKS = {
    "LikelihoodFit": "summary.summary_blocks",
    "VarCorr": "varcorr.varcorr_blocks",
    "LevelTables": "level_tables.level_tables_blocks",
    "PredictionTable": "predictions.predictions_blocks",
    "ShrinkageTable": "shrinkage.shrinkage_blocks",
    "AnovaTable": "anova.anova_blocks",
    "FTable": "f_table.f_table_blocks",
    "DeletionTable": "f_table.deletion_blocks",
    "PosteriorFit": "posterior_summary.posterior_blocks",
    "Hypothesis": "posterior_summary.hypothesis_blocks",
    "BayesFactor": "bayes_factor.bayes_factor_blocks",
    "Loo": "loo.loo_blocks",
    "ElpdComparison": "elpd_comparison.elpd_blocks",
    "RanovaTable": "ranova.ranova_blocks",
    "ExactTest": "ranova.exact_test_blocks",
    "PbTest": "pb_test.pb_test_blocks",
    "ProfileResult": "profile.profile_blocks",
    "BootstrapResult": "bootstrap.bootstrap_blocks",
    "R2": "variance_explained.r2_blocks",
    "Icc": "variance_explained.icc_blocks",
    "EmmeansTable": "emmeans.emmeans_blocks",
    "ModelCheck": "model_check.model_check_blocks",
    "Reanalysis": "reanalysis.reanalysis_blocks",
    "Comparison": "comparison.comparison_blocks",
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
# form -> function of render that writes blocks in it
WRITERS: dict[Form, str] = {
    "text": "text.text",
    "html": "html.fragment",
    "markdown": "markdown.markdown",
    "latex": "latex.latex",
}


def register_reports() -> None:
    """Tell the results how they are shown and drawn; ``import hierbayes`` calls this once."""
    for class_name, name in BLOCKS.items():
        register_writer(class_name, partial(_written, partial(load, name)))
    for class_name, name in REPORTS.items():
        register_report(class_name, partial(_report, name))
    for class_name, name in PICTURES.items():
        register_picture(class_name, partial(load, name, layer="plots"))


def register_blocks[R: Printable](cls: type[R], blocks: Callable[[R], "Blocks"]) -> None:
    """Say which blocks a result of one's own has; it then prints, and is HTML, Markdown, LaTeX."""
    register_writer(cls.__name__, partial(_written, lambda: blocks))


def _written(load_blocks: Callable[[], Callable[[Any], "Blocks"]], result: Any, form: Form) -> str:
    written: str = load(WRITERS[form], layer="render")(load_blocks()(result))
    return written


def _report(name: str, result: Any, path: Any) -> Path:
    file: Path = load("document.write_document", layer="render")(load(name)(result), path)
    return file


def load(name: str, *, layer: str = "reports") -> Callable[..., Any]:
    """Return the function ``module.function`` of a layer."""
    module, _, function = name.partition(".")
    found: Callable[..., Any] = getattr(import_module(f"hierbayes.{layer}.{module}"), function)
    return found
