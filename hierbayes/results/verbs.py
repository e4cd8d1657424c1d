"""What is asked of a result and answered in a layer above it: one table.

A result is printed by ``reports``, drawn by ``plots``, predicts by ``prediction``; a specification
is fitted by ``likelihood``. ``TABLE`` says for each class and verb which function does it, as
``module:function`` below ``hierbayes``; it is imported when first asked for, so a fit that is never
printed never imports what prints it. A class answers as its ancestors do where it has no entry of
its own. Classes from elsewhere get entries by ``register``.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from inspect import signature
from typing import Any

from hierbayes.errors import OptionError

Function = Callable[..., Any]

TABLE: Mapping[str, Mapping[str, str]] = {
    "Specification": {
        "fit": "likelihood.fitting:fit",
        "model": "model.model:model_of",
    },
    "LikelihoodFit": {
        "report": "reports.fit_report:fit_report",
        "sentence": "reports.sentences:fit_sentence",
        "tests": "intervals.linear_tests:coefficient_tests",
        "contrast": "intervals.contrast:contrast",
        "update": "likelihood.fitting:update",
        "joint_covariance": "prediction.joint_covariance:joint_covariance",
    },
    "LinearFit": {
        "blocks": "reports.summary:summary_blocks",
        "predict": "prediction.predict:predict",
        "simulate": "prediction.simulate:simulate",
        "refit": "likelihood.fitting:refit",
        "save": "saving.fit_file:save",
    },
    "GeneralisedFit": {
        "blocks": "reports.generalised_summary:generalised_blocks",
        "predict": "prediction.generalised_predict:predict",
        "simulate": "prediction.simulate:simulate_generalised",
        "refit": "likelihood.generalised:refit",
        "save": "saving.generalised_file:save",
        "laplace_error": "likelihood.laplace_error:laplace_error",
    },
    "PosteriorFit": {
        "report": "reports.fit_report:fit_report",
        "sentence": "reports.sentences:fit_sentence",
        "blocks": "reports.posterior_summary:posterior_blocks",
        "predict": "prediction.posterior_predict:predict",
        "expect": "prediction.posterior_predict:expected_response",
        "residuals": "prediction.posterior_predict:mean_residuals",
        "simulate": "prediction.simulate_rows:simulate_rows",
        "joint_covariance": "prediction.joint_covariance:joint_covariance",
        "log_likelihood": "prediction.posterior_tree:log_likelihoods",
        "datatree": "prediction.posterior_tree:datatree",
        "refit": "bayes.posterior:refit",
        "update": "bayes.posterior:update",
        "save": "saving.posterior_file:save",
    },
    "Thresholds": {
        "pse": "psychometrics.thresholds:pse",
        "jnd": "psychometrics.thresholds:jnd",
        "threshold": "psychometrics.thresholds:threshold",
        "width": "psychometrics.thresholds:width",
        "slope": "psychometrics.thresholds:slope",
        "goodness_of_fit": "psychometrics.goodness:goodness_of_fit",
    },
    "ThresholdTable": {"blocks": "reports.thresholds:threshold_blocks"},
    "GoodnessOfFit": {
        "blocks": "reports.thresholds:goodness_blocks",
        "picture": "plots.distributions:null_distribution",
    },
    "PaperTable": {"blocks": "reports.paper_table:paper_table_blocks"},
    "PriorTable": {"blocks": "reports.prior_table:prior_blocks"},
    "RichText": {"blocks": "results.rich_text:blocks_of"},
    "ResultTable": {"blocks": "reports.result_table:result_table_blocks"},
    "VarCorr": {"blocks": "reports.varcorr:varcorr_blocks"},
    "LevelTables": {"blocks": "reports.level_tables:level_tables_blocks"},
    "PredictionTable": {"blocks": "reports.predictions:predictions_blocks"},
    "ShrinkageTable": {"blocks": "reports.shrinkage:shrinkage_blocks"},
    "AnovaTable": {"blocks": "reports.anova:anova_blocks"},
    "FTable": {"blocks": "reports.f_table:f_table_blocks"},
    "DeletionTable": {"blocks": "reports.f_table:deletion_blocks"},
    "Hypothesis": {
        "blocks": "reports.posterior_summary:hypothesis_blocks",
        "picture": "plots.estimates:estimates",
    },
    "BayesFactor": {
        "blocks": "reports.bayes_factor:bayes_factor_blocks",
        "picture": "plots.sensitivity:bayes_factor_curve",
    },
    "Inclusion": {
        "blocks": "reports.inclusion:inclusion_blocks",
        "picture": "plots.inclusion:inclusion_picture",
    },
    "RestrictedFactor": {"blocks": "reports.bayes_factor:restricted_blocks"},
    "Loo": {"blocks": "reports.loo:loo_blocks", "picture": "plots.loo:loo"},
    "PowerScaling": {
        "blocks": "reports.sensitivity:power_scaling_blocks",
        "picture": "plots.sensitivity:sensitivity",
    },
    "Sensitivity": {
        "blocks": "reports.sensitivity:sensitivity_blocks",
        "picture": "plots.sensitivity:sensitivity",
    },
    "KFold": {"blocks": "reports.loo:kfold_blocks", "picture": "plots.loo:loo"},
    "ElpdComparison": {"blocks": "reports.elpd_comparison:elpd_blocks"},
    "StructureTable": {"blocks": "reports.structures:structure_blocks"},
    "RanovaTable": {"blocks": "reports.ranova:ranova_blocks"},
    "ExactTest": {
        "blocks": "reports.ranova:exact_test_blocks",
        "picture": "plots.distributions:null_distribution",
    },
    "LaplaceError": {"blocks": "reports.laplace_error:laplace_error_blocks"},
    "PbTest": {
        "blocks": "reports.pb_test:pb_test_blocks",
        "picture": "plots.distributions:null_distribution",
    },
    "ProfileResult": {
        "blocks": "reports.profile:profile_blocks",
        "picture": "plots.profile:profile",
    },
    "BootstrapResult": {
        "blocks": "reports.bootstrap:bootstrap_blocks",
        "picture": "plots.distributions:bootstrap",
    },
    "R2": {
        "blocks": "reports.variance_explained:r2_blocks",
        "picture": "plots.estimates:estimates",
    },
    "Icc": {
        "blocks": "reports.variance_explained:icc_blocks",
        "picture": "plots.estimates:estimates",
    },
    "LikelihoodSurface": {"picture": "plots.likelihood_surface:likelihood_surface"},
    "DesignStudy": {
        "blocks": "reports.design_study:design_study_blocks",
        "sentence": "reports.design_study:design_study_sentence",
        "picture": "plots.power:power",
    },
    "EffectTable": {
        "blocks": "reports.effects:effect_blocks",
        "picture": "plots.estimates:estimates",
    },
    "Contrastable": {
        "contrast": "marginal_means.questions:contrast",
        "test": "marginal_means.questions:test",
        "confint": "marginal_means.questions:confint",
        "eff_size": "marginal_means.questions:eff_size",
        "picture": "plots.estimates:estimates",
    },
    "EmmeansTable": {
        "blocks": "reports.emmeans:emmeans_blocks",
        "regrid": "marginal_means.questions:regrid",
    },
    "MarginalTests": {"blocks": "reports.emmeans:marginal_tests_blocks"},
    "ModelCheck": {
        "blocks": "reports.model_check:model_check_blocks",
        "picture": "plots.check:check",
    },
    "PublishedModel": {
        "blocks": "reports.published_model:published_blocks",
        "model": "studies.published:model_of",
    },
    "Reanalysis": {
        "blocks": "reports.reanalysis:reanalysis_blocks",
        "report": "reports.reanalysis:reanalysis_report",
    },
    "Comparison": {
        "blocks": "reports.comparison:comparison_blocks",
        "report": "reports.fit_report:comparison_report",
        "sentence": "reports.sentences:comparison_sentence",
        "picture": "plots.compare:compare",
    },
    "Reportable": {"by_guideline": "reports.guideline_report:guideline_report"},
    "Document": {"write": "render.document:write_document"},
}
_registered: dict[tuple[type, str], Function] = {}


def register(cls: type, verb: str, function: Function) -> None:
    """Say what answers a verb for results of a class and of those derived from it."""
    _registered[cls, verb] = function


def function_of(cls: type, verb: str) -> Function:
    """Return the function that answers a verb for a class.

    Raises
    ------
    LookupError
        If neither the class nor an ancestor has an entry.
    """
    for ancestor in cls.__mro__:
        if (ancestor, verb) in _registered:
            return _registered[ancestor, verb]
        if ancestor.__module__.startswith("hierbayes."):
            place = TABLE.get(ancestor.__name__, {}).get(verb)
            if place is not None:
                return load(place)
    raise LookupError(
        f"Nothing is registered that answers {verb!r} for {cls.__name__}; "
        f"register({cls.__name__}, {verb!r}, function) says what does."
    )


def load(place: str) -> Function:
    """Return the function ``module:function`` below ``hierbayes``."""
    module, _, name = place.partition(":")
    found: Function = getattr(import_module(f"hierbayes.{module}"), name)
    return found


def ask(result: object, verb: str, *given: Any, **options: Any) -> Any:
    """Return what the function of a verb answers for a result."""
    return function_of(type(result), verb)(result, *given, **options)


def whole_blocks(result: object, digits: int | None = None) -> Any:
    """Return the blocks of a result, with every row of its tables, to so many digits.

    Raises
    ------
    OptionError
        If the result's tables have fixed digits and others are asked for.
    """
    function = function_of(type(result), "blocks")
    known = signature(function).parameters
    options: dict[str, Any] = {"whole": True} if "whole" in known else {}
    if digits is not None:
        if "digits" not in known:
            raise OptionError(
                "digits= is for tables whose decimals follow their standard errors; this one has "
                "R's. Leave it out, or take .to_pandas().round(...)."
            )
        options["digits"] = digits
    return function(result, **options)


def export(result: object, form: str, path: Any, *, digits: int | None, **shown: Any) -> Any:
    """Return a whole result in a form, written to a file too if one is named."""
    return load("render.exports:exported")(whole_blocks(result, digits), form, path, **shown)
