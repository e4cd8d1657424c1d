"""Saving a posterior and reading it back: the file of ``saving.py`` with the draws as arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hierbayes.model.bayesian import posterior_fit
from hierbayes.model.saving import (
    POSTERIOR,
    read_findings,
    read_model,
    stored_findings,
    stored_model,
    write_file,
)
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.posterior_fit import PosteriorFit

FloatArray = npt.NDArray[np.float64]

NAMED = ("sd", "corr", "b", "family", "sample_stats")  # fields of draws by factor or name
NUMBERS = ("log_marginal_likelihood", "log_marginal_likelihood_mcse", "pareto_k", "seconds")


def save_posterior(fit: PosteriorFit, path: Any) -> None:
    """Write a posterior to ``path``; see ``saving.save``."""
    draws = fit.draws
    arrays: dict[str, Any] = {"response": fit.design.y, "draws_beta": draws.beta}
    if draws.sigma is not None:
        arrays["draws_sigma"] = draws.sigma
    fields: dict[str, dict[str, str]] = {}
    for field in NAMED:
        values: Mapping[str, FloatArray] = getattr(draws, field)
        fields[field] = {name: f"draws_{field}_{i}" for i, name in enumerate(values)}
        arrays |= {fields[field][name]: value for name, value in values.items()}
    specification = stored_model(fit.model, arrays) | {
        "method": POSTERIOR,
        "settings": fit.settings,
        "sampler": draws.sampler,
        "draws": fields,
        "numbers": {name: getattr(draws, name) for name in NUMBERS},
        "draws_findings": stored_findings(draws.findings),
        "findings": stored_findings(fit.findings),
    }
    write_file(path, specification, arrays)


def read_posterior(specification: dict[str, Any], arrays: dict[str, Any]) -> PosteriorFit:
    """Return the posterior that ``save_posterior`` wrote.

    Raises
    ------
    KeyError, ValueError, TypeError
        If the draws don't belong to the model.
    """
    model = read_model(specification, arrays)
    if not np.array_equal(arrays["response"], model.design.y):
        model = model.with_response(arrays["response"])
    named: dict[str, Any] = {
        field: {name: arrays[key] for name, key in specification["draws"][field].items()}
        for field in NAMED
    }
    draws = PosteriorDraws(
        beta=arrays["draws_beta"],
        sigma=arrays.get("draws_sigma"),
        sampler=specification["sampler"],
        findings=read_findings({"findings": specification["draws_findings"]}),
        **named,
        **{name: specification["numbers"][name] for name in NUMBERS},
    )
    _check_shapes(model, draws)
    return posterior_fit(
        model, draws, settings=specification["settings"], findings=read_findings(specification)
    )


def _check_shapes(model: Any, draws: PosteriorDraws) -> None:
    C, D, p = draws.beta.shape
    right = p == model.kept_columns.size
    for factor in model.design.factors:
        J, q = factor.levels.size, len(factor.columns)
        right &= draws.b[factor.name].shape == (C, D, J, q)
        right &= draws.sd[factor.name].shape == (C, D, q)
        right &= draws.corr.get(factor.name, np.empty((C, D, q, q))).shape == (C, D, q, q)
    singles = [*draws.family.values(), *([] if draws.sigma is None else [draws.sigma])]
    if not right or any(single.shape[:2] != (C, D) for single in singles):
        raise ValueError("the draws do not fit the formula")
