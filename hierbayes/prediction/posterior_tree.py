"""A posterior as an ``xarray.DataTree`` with every group that ArviZ's functions ask for.

``posterior``, ``sample_stats``, ``log_likelihood``, ``log_prior``, ``observed_data`` and
``constant_data``; ``posterior_predictive`` and ``prior`` on request. The pointwise log-likelihood
is worked out when it is first looked at.
"""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.bayes.predictive import flat_draws, log_prior_variables
from hierbayes.bayes.prior_draws import prior_draws
from hierbayes.bayes.prior_predictive import warn_of_impossible
from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design
from hierbayes.naming.variable_names import COEF, OBS, term_dims
from hierbayes.options import check_option, random_generator
from hierbayes.prediction.posterior_predict import log_likelihood, response_draws
from hierbayes.priors.model_priors import ModelPriors
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.effects_on_demand import EffectsOnDemand
from hierbayes.results.idata import (
    Labels,
    data_groups,
    dataset,
    in_formula,
    labels_of,
    parameter_variables,
)
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.visit_correlations import matrix_variable

if TYPE_CHECKING:
    from xarray import Dataset, DataTree

RequestedGroup = Literal["posterior_predictive", "prior"]
SAMPLE = ("chain", "draw")

# draws x rows of pointwise densities or predictions that are held in memory: 1 GB
LARGEST = 2**27


def datatree(
    fit: PosteriorFit, groups: tuple[str, ...] = (), random_seed: Any = None
) -> "DataTree":
    """Return the DataTree of a posterior, with the further groups asked for.

    Raises
    ------
    NotSupportedError
        If predictions for all draws and rows would take more than a gigabyte.
    """
    import xarray as xr

    for group in groups:
        check_option("groups", group, RequestedGroup)
    rng = random_generator(random_seed)
    labels = labels_of(fit.design, fit.kept, fit.spec.kept_of, fit.spec.visits)
    found: dict[str, xr.Dataset | xr.DataTree] = {}
    found.update(fit.idata.children if groups else _own_groups(fit, labels))
    if "posterior_predictive" in groups:
        check_size(fit, "posterior_predictive")
        y = response_draws(fit, flat_draws(fit.draws, fit.design), rng)
        found["posterior_predictive"] = _responses(y, labels, fit.draws)
    if "prior" in groups:
        draws = prior_draws(fit.design, fit.priors, like=fit.draws, rng=rng)
        found["prior"] = dataset(parameter_variables(draws, labels), labels)
        if fit.n_draws * fit.nobs <= LARGEST:
            flat = flat_draws(draws, fit.design)
            y = response_draws(fit, flat, rng, some_missing=True)
            warn_of_impossible(fit.spec, flat, np.isnan(y))
            found["prior_predictive"] = _responses(y, labels, draws)
    groups_of = {
        name: group if isinstance(group, xr.DataTree) else xr.DataTree(dataset=group)
        for name, group in found.items()
    }
    root = xr.Dataset(attrs=dict(_attrs(fit, "log_likelihood" in found)))
    return xr.DataTree(dataset=root, children=groups_of)


def _own_groups(fit: PosteriorFit, labels: Labels) -> "dict[str, Dataset]":
    from hierbayes.prediction.on_request import (  # imports xarray
        levels_on_request,
        on_request,
    )

    draws = fit.draws
    stats = {name: (SAMPLE, value) for name, value in draws.sample_stats.items()}
    variables: dict[str, Any] = dict(parameter_variables(draws, labels))
    for name, (dims, value) in variables.items():
        if isinstance(value, EffectsOnDemand):
            variables[name] = (dims, levels_on_request(value))
    found = {"posterior": dataset(variables, labels, attrs=_attrs(fit))}
    found["sample_stats"] = dataset(stats, labels)
    if not fit.design.keeps_rows:
        return found | {"log_prior": dataset(log_prior(fit, labels), labels)}
    if fit.n_draws * fit.nobs <= LARGEST and fit.response_family.log_density is not None:
        shape = (fit.n_chains, fit.n_draws // fit.n_chains, fit.nobs)
        values = on_request(partial(log_likelihood, fit), shape)
        found["log_likelihood"] = dataset({labels.response: ((*SAMPLE, OBS), values)}, labels)
    found["log_prior"] = dataset(log_prior(fit, labels), labels)
    return found | data_groups(labels)


def _log_prior(
    draws: PosteriorDraws, design: Design, priors: ModelPriors, labels: Labels
) -> dict[str, tuple[tuple[str, ...], FloatArray]]:
    found: dict[str, tuple[tuple[str, ...], FloatArray]] = {}
    for key, values in log_prior_variables(draws, design, priors).items():
        kind, _, factor = key.partition("|")
        if key in draws.family or key == matrix_variable(design):  # of residuals
            found[key] = ((*SAMPLE, f"{key}_dim")[: values.ndim], values)
        elif not factor:
            own = COEF if kind == "beta" else f"{kind}_dim"
            found[kind] = ((*SAMPLE, own)[: values.ndim], values)
        elif kind == "sd":
            name = labels.factors[factor]
            found[f"sd_{name}"] = ((*SAMPLE, term_dims(name)[0]), values)
        else:
            found[f"corr_{labels.factors[factor]}"] = (SAMPLE, values)
    return found


def log_prior(fit: PosteriorFit, labels: Labels) -> dict[str, tuple[tuple[str, ...], FloatArray]]:
    """Return dimensions and values of the log prior density of every variable."""
    found = _log_prior(fit.draws, fit.design, fit.priors, labels)
    for parameter, own in labels.formulas.items():
        draws, laws = fit.draws.formulas[parameter], fit.priors.formulas[parameter]
        found |= in_formula(parameter, _log_prior(draws, own.design, laws, own))
    return found


def log_likelihoods(fit: PosteriorFit) -> FloatArray:
    """Pointwise log-likelihood of every draw, (C, D, n), if that fits into a gigabyte."""
    check_size(fit, "log_likelihood")
    return log_likelihood(fit)


def check_size(fit: PosteriorFit, what: str) -> None:
    """Raise NotSupportedError if numbers for every draw and row don't fit into a gigabyte."""
    if fit.n_draws * fit.nobs > LARGEST:
        size = 8 * fit.n_draws * fit.nobs / 1e9
        raise not_supported(
            "size-of-draws", numbers=what, draws=fit.n_draws, rows=fit.nobs, gigabytes=size
        )


def _responses(y: FloatArray, labels: Labels, draws: PosteriorDraws) -> "Dataset":
    C, D = draws.beta.shape[:2]
    return dataset({labels.response: ((*SAMPLE, OBS), y.reshape(C, D, -1))}, labels)


def _attrs(fit: PosteriorFit, has_log_likelihood: bool = True) -> Mapping[str, Any]:
    attrs: dict[str, Any] = {
        "formula": fit.formula_text,
        "family": fit.family,
        "link": fit.link,
        "sampler": fit.sampler,
        "sampling_time": fit.draws.seconds,
        "inference_library": "hierbayes",
        "creation_library": "hierbayes",
    }
    if fit.data_name:
        attrs["data"] = fit.data_name
    if fit.log_marginal_likelihood is not None:
        attrs["log_marginal_likelihood"] = float(fit.log_marginal_likelihood)
    if fit.pareto_k is not None:
        attrs["pareto_k"] = float(fit.pareto_k)
    if not fit.design.keeps_rows:
        attrs["no_log_likelihood"] = "left out: a model of a stream keeps no rows"
    elif not has_log_likelihood:
        attrs["no_log_likelihood"] = (
            f"left out: {fit.n_draws} draws x {fit.nobs} rows of a {fit.family} response are too "
            "many, or their density is not known here"
        )
    return attrs
