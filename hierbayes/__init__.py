"""hierbayes: multilevel models by lme4 formula, REML/ML beside the posterior.

    fit = hb.lmer("Reaction ~ Days + (Days | Subject)", data)   REML; hb.glmer for other families
    post = fit.model.sample(random_seed=1)                      the posterior of the same model
    hb.compare(fit, post)                                       side by side, and why they differ

A fit is asked for what was estimated (``fit.summary()``, ``fixef()``, ``ranef()``, ``varcorr()``,
``tidy()``, ``predict()``; ``dir(fit)`` lists all). Functions compute something new from it:

    tests and intervals     confint profile bootstrap anova drop1 ranova pb_test exact_rlrt
    means and effects       emmeans predictions comparisons slopes
    models                  compare compare_structures loo kfold bayes_factor inclusion sensitivity
                            r2 icc shrinkage
    checks                  check influence likelihood_surface simulate
    before the data         design_study
    related levels          relationship phylogeny
    published work          read_summary read_coefficients read_cells reanalyse archive
    pictures                hb.plot.effects, hb.plot.caterpillar, hb.plot.check ...
    data                    load_dataset list_datasets

``help(hb.lmer)`` and the like say what each takes; docs/spellings.md has the words of lme4, brms
and statsmodels beside ours.
"""

import importlib
from typing import TYPE_CHECKING, Any

from hierbayes.contract import unknown_function
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
    MissingPackageError,
    NewLevelError,
    NotSupportedError,
    OptionError,
    PriorError,
    RankDeficientWarning,
    RowsNotKeptError,
    SamplingError,
    UnknownNameError,
)

if TYPE_CHECKING:  # the same names as in _LAZY, for editors and type checkers
    from hierbayes import plots as plot
    from hierbayes.checks.autocorrelation import autocorrelation as autocorrelation
    from hierbayes.checks.influence import influence as influence
    from hierbayes.checks.panel import check as check
    from hierbayes.checks.r2 import icc as icc
    from hierbayes.checks.r2 import r2 as r2
    from hierbayes.comparison.anova import anova as anova
    from hierbayes.comparison.bayes_factor import bayes_factor as bayes_factor
    from hierbayes.comparison.compare import compare as compare
    from hierbayes.comparison.compare_structures import compare_structures as compare_structures
    from hierbayes.comparison.drop1 import drop1 as drop1
    from hierbayes.comparison.exact_rlrt import exact_lrt as exact_lrt
    from hierbayes.comparison.exact_rlrt import exact_rlrt as exact_rlrt
    from hierbayes.comparison.inclusion import inclusion as inclusion
    from hierbayes.comparison.kfold import kfold as kfold
    from hierbayes.comparison.loo import loo as loo
    from hierbayes.comparison.pb_test import pb_test as pb_test
    from hierbayes.comparison.ranova import ranova as ranova
    from hierbayes.families.family import Family as Family
    from hierbayes.families.family import Parameter as Parameter
    from hierbayes.families.family import Support as Support
    from hierbayes.families.links import Link as Link
    from hierbayes.families.named import register_family as register_family
    from hierbayes.intervals.bootstrap import bootstrap as bootstrap
    from hierbayes.intervals.confint import confint as confint
    from hierbayes.intervals.likelihood_surface import likelihood_surface as likelihood_surface
    from hierbayes.intervals.profile import profile as profile
    from hierbayes.marginal_effects.effects import comparisons as comparisons
    from hierbayes.marginal_effects.effects import predictions as predictions
    from hierbayes.marginal_effects.effects import slopes as slopes
    from hierbayes.marginal_means.effect_size import eff_size as eff_size
    from hierbayes.marginal_means.emmeans import emmeans as emmeans
    from hierbayes.marginal_means.emtrends import emtrends as emtrends
    from hierbayes.marginal_means.joint_tests import joint_tests as joint_tests
    from hierbayes.model.model import Model as Model
    from hierbayes.model.model import glmer as glmer
    from hierbayes.model.model import lmer as lmer
    from hierbayes.model.psychometric import psychometric as psychometric
    from hierbayes.planning.design_study import design_study as design_study
    from hierbayes.pooling.shrinkage import shrinkage as shrinkage
    from hierbayes.pooling.shrinkage_path import shrinkage_path as shrinkage_path
    from hierbayes.prediction.simulate_formula import simulate as simulate
    from hierbayes.prior_sensitivity.sensitivity import sensitivity as sensitivity
    from hierbayes.priors.distributions import Beta as Beta
    from hierbayes.priors.distributions import Cauchy as Cauchy
    from hierbayes.priors.distributions import Exponential as Exponential
    from hierbayes.priors.distributions import Flat as Flat
    from hierbayes.priors.distributions import Gamma as Gamma
    from hierbayes.priors.distributions import HalfCauchy as HalfCauchy
    from hierbayes.priors.distributions import HalfFlat as HalfFlat
    from hierbayes.priors.distributions import HalfNormal as HalfNormal
    from hierbayes.priors.distributions import HalfStudentT as HalfStudentT
    from hierbayes.priors.distributions import InverseGamma as InverseGamma
    from hierbayes.priors.distributions import LogNormal as LogNormal
    from hierbayes.priors.distributions import Normal as Normal
    from hierbayes.priors.distributions import StudentT as StudentT
    from hierbayes.priors.distributions import Uniform as Uniform
    from hierbayes.priors.lkj import LKJ as LKJ
    from hierbayes.priors.standardised import JZS as JZS
    from hierbayes.relatedness.given import Precision as Precision
    from hierbayes.relatedness.newick import phylogeny as phylogeny
    from hierbayes.relatedness.pedigree import relationship as relationship
    from hierbayes.reports.paper_table import table as table
    from hierbayes.results.finding import Finding as Finding
    from hierbayes.results.likelihood_fit import LikelihoodFit as LikelihoodFit
    from hierbayes.results.posterior_fit import PosteriorFit as PosteriorFit
    from hierbayes.results.varcorr import VarCorr as VarCorr
    from hierbayes.saving.loading import load as load
    from hierbayes.saving.study_archive import archive as archive
    from hierbayes.saving.study_archive import data_digest as data_digest
    from hierbayes.streams.stream import Stream as Stream
    from hierbayes.studies.lme4_summary import read_summary as read_summary
    from hierbayes.studies.published import read_cells as read_cells
    from hierbayes.studies.published import read_coefficients as read_coefficients
    from hierbayes.studies.reanalysis import reanalyse as reanalyse

__version__ = "0.1.0"


# names whose modules are imported when first asked for
_LAZY = {
    "Beta": "hierbayes.priors.distributions",
    "Cauchy": "hierbayes.priors.distributions",
    "Exponential": "hierbayes.priors.distributions",
    "Family": "hierbayes.families.family",
    "Finding": "hierbayes.results.finding",
    "Flat": "hierbayes.priors.distributions",
    "Gamma": "hierbayes.priors.distributions",
    "HalfCauchy": "hierbayes.priors.distributions",
    "HalfFlat": "hierbayes.priors.distributions",
    "HalfNormal": "hierbayes.priors.distributions",
    "HalfStudentT": "hierbayes.priors.distributions",
    "InverseGamma": "hierbayes.priors.distributions",
    "JZS": "hierbayes.priors.standardised",
    "LKJ": "hierbayes.priors.lkj",
    "LikelihoodFit": "hierbayes.results.likelihood_fit",
    "Link": "hierbayes.families.links",
    "LogNormal": "hierbayes.priors.distributions",
    "Model": "hierbayes.model.model",
    "Normal": "hierbayes.priors.distributions",
    "Parameter": "hierbayes.families.family",
    "PosteriorFit": "hierbayes.results.posterior_fit",
    "Precision": "hierbayes.relatedness.given",
    "Stream": "hierbayes.streams.stream",
    "StudentT": "hierbayes.priors.distributions",
    "Support": "hierbayes.families.family",
    "Uniform": "hierbayes.priors.distributions",
    "VarCorr": "hierbayes.results.varcorr",
    "anova": "hierbayes.comparison.anova",
    "archive": "hierbayes.saving.study_archive",
    "autocorrelation": "hierbayes.checks.autocorrelation",
    "bayes_factor": "hierbayes.comparison.bayes_factor",
    "bootstrap": "hierbayes.intervals.bootstrap",
    "check": "hierbayes.checks.panel",
    "compare": "hierbayes.comparison.compare",
    "compare_structures": "hierbayes.comparison.compare_structures",
    "comparisons": "hierbayes.marginal_effects.effects",
    "design_study": "hierbayes.planning.design_study",
    "drop1": "hierbayes.comparison.drop1",
    "confint": "hierbayes.intervals.confint",
    "data_digest": "hierbayes.saving.study_archive",
    "eff_size": "hierbayes.marginal_means.effect_size",
    "emmeans": "hierbayes.marginal_means.emmeans",
    "emtrends": "hierbayes.marginal_means.emtrends",
    "exact_lrt": "hierbayes.comparison.exact_rlrt",
    "exact_rlrt": "hierbayes.comparison.exact_rlrt",
    "glmer": "hierbayes.model.model",
    "icc": "hierbayes.checks.r2",
    "inclusion": "hierbayes.comparison.inclusion",
    "influence": "hierbayes.checks.influence",
    "joint_tests": "hierbayes.marginal_means.joint_tests",
    "kfold": "hierbayes.comparison.kfold",
    "likelihood_surface": "hierbayes.intervals.likelihood_surface",
    "lmer": "hierbayes.model.model",
    "load": "hierbayes.saving.loading",
    "loo": "hierbayes.comparison.loo",
    "pb_test": "hierbayes.comparison.pb_test",
    "phylogeny": "hierbayes.relatedness.newick",
    "plot": "hierbayes.plots",
    "predictions": "hierbayes.marginal_effects.effects",
    "profile": "hierbayes.intervals.profile",
    "psychometric": "hierbayes.model.psychometric",
    "r2": "hierbayes.checks.r2",
    "ranova": "hierbayes.comparison.ranova",
    "relationship": "hierbayes.relatedness.pedigree",
    "read_cells": "hierbayes.studies.published",
    "read_coefficients": "hierbayes.studies.published",
    "read_summary": "hierbayes.studies.lme4_summary",
    "reanalyse": "hierbayes.studies.reanalysis",
    "register_family": "hierbayes.families.named",
    "sensitivity": "hierbayes.prior_sensitivity.sensitivity",
    "simulate": "hierbayes.prediction.simulate_formula",
    "shrinkage": "hierbayes.pooling.shrinkage",
    "shrinkage_path": "hierbayes.pooling.shrinkage_path",
    "slopes": "hierbayes.marginal_effects.effects",
    "table": "hierbayes.reports.paper_table",
}

__all__ = [
    "JZS",
    "LKJ",
    "Beta",
    "BoundaryWarning",
    "Cauchy",
    "ConvergenceWarning",
    "DataError",
    "DesignWarning",
    "Exponential",
    "Family",
    "Finding",
    "Flat",
    "FormulaError",
    "FormulaSyntaxError",
    "Gamma",
    "HalfCauchy",
    "HalfFlat",
    "HalfNormal",
    "HalfStudentT",
    "HierBayesError",
    "HierBayesWarning",
    "InverseGamma",
    "LikelihoodFit",
    "Link",
    "LogNormal",
    "MissingPackageError",
    "Model",
    "NewLevelError",
    "Normal",
    "NotSupportedError",
    "OptionError",
    "Parameter",
    "PosteriorFit",
    "Precision",
    "PriorError",
    "RankDeficientWarning",
    "RowsNotKeptError",
    "SamplingError",
    "Stream",
    "StudentT",
    "Support",
    "Uniform",
    "UnknownNameError",
    "VarCorr",
    "anova",
    "archive",
    "autocorrelation",
    "bayes_factor",
    "bootstrap",
    "check",
    "compare",
    "compare_structures",
    "comparisons",
    "confint",
    "data_digest",
    "describe_dataset",
    "design_study",
    "drop1",
    "eff_size",
    "emmeans",
    "emtrends",
    "exact_lrt",
    "exact_rlrt",
    "glmer",
    "icc",
    "inclusion",
    "influence",
    "joint_tests",
    "kfold",
    "likelihood_surface",
    "list_datasets",
    "lmer",
    "load",
    "load_dataset",
    "loo",
    "pb_test",
    "phylogeny",
    "plot",
    "predictions",
    "profile",
    "psychometric",
    "r2",
    "ranova",
    "read_cells",
    "read_coefficients",
    "read_summary",
    "reanalyse",
    "register_family",
    "relationship",
    "sensitivity",
    "shrinkage",
    "shrinkage_path",
    "simulate",
    "slopes",
    "table",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        if name.startswith("_"):
            raise AttributeError(f"module 'hierbayes' has no attribute {name!r}")
        raise UnknownNameError(unknown_function(name, __all__))
    module = importlib.import_module(_LAZY[name])
    found = module if name == "plot" else getattr(module, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
