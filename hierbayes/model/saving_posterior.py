"""Saving a posterior and reading it back: the file of ``saving.py`` with the draws as arrays."""

from collections.abc import Mapping
from inspect import signature
from typing import Any

import numpy as np
import numpy.typing as npt

from hierbayes.bayes.families import further_parameters
from hierbayes.model.archive import Archive, Damaged
from hierbayes.model.bayesian import posterior_fit, sample
from hierbayes.model.model import Model
from hierbayes.model.saving import (
    POSTERIOR,
    checked,
    read_findings,
    read_model,
    read_response,
    stored_findings,
    stored_model,
    write_file,
)
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.finding import Finding
from hierbayes.results.posterior_fit import PosteriorFit

FloatArray = npt.NDArray[np.float64]

NAMED = ("sd", "corr", "b", "family", "sample_stats")  # fields of draws by factor or name
NUMBERS = ("log_marginal_likelihood", "log_marginal_likelihood_mcse", "pareto_k", "seconds")
# Parameters of response families that are rates, scales, shapes or shares: all above zero.
POSITIVE = ("alpha", "kappa", "lam", "nu", "b", "psi", "sigma")
CORRELATION_MARGIN = 1e-9  # rounding of a product of q unit vectors' parts stays below 1e-14


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


def read_posterior(archive: Archive, findings: tuple[Finding, ...]) -> PosteriorFit:
    """Return the posterior that ``save_posterior`` wrote.

    Raises
    ------
    Damaged, KeyError, ValueError, TypeError
        If the draws don't belong to the model, or are of what can't be.
    """
    specification = archive.specification
    model = read_model(archive)
    response = read_response(archive, model)
    if not np.array_equal(response, model.design.y):
        model = model.with_response(response)
    draws = _read_draws(archive, model)
    _check_values(draws, model.family)
    settings = checked(specification["settings"], dict)
    plain = all(type(value) in (int, float, str) for value in settings.values())
    if not plain or not {"draws", "chains"} <= set(settings) <= set(signature(sample).parameters):
        raise Damaged("its settings are unknown")
    return posterior_fit(model, draws, settings=settings, findings=findings)


def _read_draws(archive: Archive, model: Model) -> PosteriorDraws:
    """Return the draws, whose shapes are those of the formula and the levels."""
    specification = archive.specification
    C, D = archive.header("draws_beta").shape[:2]
    if not C * D:
        raise Damaged("it holds no draws")
    sizes = {f.name: (f.levels.size, len(f.columns)) for f in model.design.factors}
    shapes: dict[str, Any] = {
        "sd": {name: (q,) for name, (_, q) in sizes.items()},
        "corr": {name: (q, q) for name, (_, q) in sizes.items()},
        "b": sizes,
        "family": {
            name: (None,) if name == "threshold" else ()
            for name in further_parameters(model.family)
        },
    }
    stored = specification["draws"]
    named: dict[str, Any] = {}
    for field, shape_of in shapes.items():
        if set(stored[field]) != set(shape_of) and not (
            field == "corr" and set(stored[field]) < set(shape_of)
        ):
            raise Damaged("its draws are of other parameters than the formula's")
        named[field] = {
            name: archive.array(key, kinds="f", shape=(C, D, *shape_of[name]))
            for name, key in stored[field].items()
        }
    named["sample_stats"] = {
        name: archive.array(key, kinds="biuf", shape=(C, D))
        for name, key in stored["sample_stats"].items()
    }
    has_sigma = archive.has("draws_sigma")
    if has_sigma != (model.model_priors.sigma is not None):
        raise Damaged("its draws are of other parameters than the formula's")
    numbers = {name: specification["numbers"][name] for name in NUMBERS}
    if not all(value is None or type(value) in (int, float) for value in numbers.values()):
        raise Damaged("its specification holds what can't be")
    return PosteriorDraws(
        beta=archive.array("draws_beta", kinds="f", shape=(C, D, model.kept_columns.size)),
        sigma=archive.array("draws_sigma", kinds="f", shape=(C, D)) if has_sigma else None,
        sampler=checked(specification["sampler"], str),
        findings=read_findings(specification["draws_findings"]),
        **named,
        **numbers,
    )


def _check_values(draws: PosteriorDraws, family: str) -> None:
    """Refuse draws that are not numbers, negative sds, and correlations that are none."""
    sigma = [] if draws.sigma is None else [draws.sigma]
    sds, corrs = list(draws.sd.values()), list(draws.corr.values())
    others = [draws.beta, *draws.b.values(), *draws.family.values()]
    if not all(np.isfinite(values).all() for values in [*sigma, *sds, *corrs, *others]):
        raise Damaged("some of its draws are not finite")
    if not all((values >= 0).all() for values in [*sigma, *sds]):
        raise Damaged("some of its draws of an sd are negative")
    if not all((values > 0).all() for name, values in draws.family.items() if name in POSITIVE):
        raise Damaged(f"some of its draws of a parameter of family {family!r} are not positive")
    for R in corrs:
        diagonal = np.diagonal(R, axis1=-2, axis2=-1)
        symmetric = np.abs(R - R.swapaxes(-1, -2)).max(initial=0) <= CORRELATION_MARGIN
        ones = np.abs(diagonal - 1).max(initial=0) <= CORRELATION_MARGIN
        if not (symmetric and ones and np.abs(R).max(initial=0) <= 1 + CORRELATION_MARGIN):
            raise Damaged("some of its draws of correlations are no correlations")
