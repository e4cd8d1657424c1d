"""hierbayes: multilevel models by lme4 formula, REML/ML beside the posterior."""

import importlib
from typing import Any

from hierbayes.datasets import describe_dataset, list_datasets, load_dataset
from hierbayes.errors import (
    BoundaryWarning,
    ConvergenceWarning,
    DataError,
    DesignWarning,
    FormulaError,
    FormulaSyntaxError,
    HierBayesError,
    HierBayesWarning,
    NewLevelError,
    NotSupportedError,
    OptionError,
    RankDeficientWarning,
)
from hierbayes.model import Model, glmer, lmer, load
from hierbayes.reports.registry import register_reports
from hierbayes.results.finding import Finding
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.varcorr import VarCorr

__version__ = "0.1.0"

register_reports()

# functions whose modules are imported when first asked for
_LAZY = {"anova": "hierbayes.comparison.anova", "plot": "hierbayes.plots"}

__all__ = [
    "BoundaryWarning",
    "ConvergenceWarning",
    "DataError",
    "DesignWarning",
    "Finding",
    "FormulaError",
    "FormulaSyntaxError",
    "HierBayesError",
    "HierBayesWarning",
    "LikelihoodFit",
    "Model",
    "NewLevelError",
    "NotSupportedError",
    "OptionError",
    "RankDeficientWarning",
    "VarCorr",
    "anova",
    "describe_dataset",
    "glmer",
    "list_datasets",
    "lmer",
    "load",
    "load_dataset",
    "plot",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'hierbayes' has no attribute {name!r}")
    module = importlib.import_module(_LAZY[name])
    found = module if name == "plot" else getattr(module, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
