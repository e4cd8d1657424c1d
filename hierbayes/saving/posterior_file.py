"""Saving a posterior and reading it back: its specification, and the draws as arrays.

Beside them stands, for some of the draws, what ties them to the model and its data: the log
likelihood l(y | beta, b, sigma), and for each factor sum_j u_j' R u_j of the standardised effects
u_j = b_j / sd of its levels j, R their correlations. Both are computed again when the file is read.
"""

from collections.abc import Mapping
from dataclasses import replace
from inspect import signature
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.bayes.posterior import posterior_fit, sample
from hierbayes.bayes.residual_draws import structure_of
from hierbayes.design.design import Design
from hierbayes.errors import NotSupportedError
from hierbayes.families.family import Family
from hierbayes.families.parameter_formulas import links_of
from hierbayes.prediction.posterior_predict import log_likelihood
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.effects_on_demand import EffectsOnDemand
from hierbayes.results.finding import Finding
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.saving.archive import Archive, Damaged
from hierbayes.saving.stored_specification import (
    checked,
    read_findings,
    read_response,
    read_specification,
    stored_findings,
    stored_response,
    stored_specification,
    write_file,
)
from hierbayes.specification.specification import Specification

NAMED = ("sd", "corr", "b", "family", "sample_stats")  # fields of draws by factor or name
OF_PREDICTOR = ("sd", "corr", "b")  # those of the formula of a further parameter
NUMBERS = ("log_marginal_likelihood", "log_marginal_likelihood_mcse", "pareto_k", "seconds")
LATER_NUMBERS = ("quadrature_error",)  # that files of 0.1.0 have not
TIED = 16  # draws that are checked against model and data: chains and draws evenly
# Of what ties draws to their model, relative to its size and the rows: as for a criterion.
TIE_MARGIN = 1e-7
CORRELATION_MARGIN = 1e-9  # rounding of a product of q unit vectors' parts stays below 1e-14


def save(fit: PosteriorFit, path: Any) -> None:
    """Write a posterior to ``path``; see ``fit_file.save``."""
    draws = fit.draws
    arrays: dict[str, Any] = stored_response(fit.spec) | {"draws_beta": draws.beta}
    if draws.sigma is not None:
        arrays["draws_sigma"] = draws.sigma
    fields: dict[str, dict[str, str]] = {}
    later = [b.make for b in draws.b.values() if isinstance(b, EffectsOnDemand)]
    if later:  # they are made again
        draws = replace(draws, b={})
    for field in NAMED:
        values: Mapping[str, FloatArray] = getattr(draws, field)
        fields[field] = {name: f"draws_{field}_{i}" for i, name in enumerate(values)}
        arrays |= {fields[field][name]: value for name, value in values.items()}
    formulas: dict[str, Any] = {}
    for parameter, own in draws.formulas.items():
        arrays[f"draws_{parameter}_beta"] = own.beta
        formulas[parameter] = {}
        for field in OF_PREDICTOR:
            values = getattr(own, field)
            keys = {name: f"draws_{parameter}_{field}_{i}" for i, name in enumerate(values)}
            formulas[parameter][field] = keys
            arrays |= {keys[name]: value for name, value in values.items()}
    specification = stored_specification(fit.spec, arrays) | {
        "method": fit.method,
        "settings": fit.settings,
        "sampler": draws.sampler,
        "draws": fields,
        "draws_of_formulas": formulas,
        "numbers": {name: getattr(draws, name) for name in (*NUMBERS, *LATER_NUMBERS)},
        "draws_findings": stored_findings(draws.findings),
        "findings": stored_findings(fit.findings),
    }
    if later:
        specification["effects_seed"] = later[0].seed
    arrays["ties"] = _ties(fit)
    write_file(path, specification, arrays)


def read(archive: Archive, findings: tuple[Finding, ...]) -> PosteriorFit:
    """Return the posterior that ``save`` wrote.

    Raises
    ------
    Damaged, KeyError, ValueError, TypeError
        If the draws don't belong to the model, or are of what can't be.
    """
    specification = archive.specification
    spec = read_specification(archive)
    response = read_response(archive, spec)
    if response is not None and not np.array_equal(response, spec.design.summands.y):
        spec = spec.with_response(response)
    draws = _read_draws(archive, spec)
    _check_values(draws, spec.family)
    if "effects_seed" in specification:
        from hierbayes.bayes.level_effects import with_effects_later  # compiled code

        seed = checked(specification["effects_seed"], int)
        draws = with_effects_later(draws, spec.kernel("reml"), seed=seed)
    settings = checked(specification["settings"], dict)
    plain = all(type(value) in (int, float, str) for value in settings.values())
    if not plain or not {"draws", "chains"} <= set(settings) <= set(signature(sample).parameters):
        raise Damaged("its settings are unknown")
    fit = posterior_fit(spec, draws, settings=settings, findings=findings)
    if archive.has_digests:  # files of hierbayes 0.1.0 have neither
        _check_ties(fit, archive)
    return fit


def _ties(fit: PosteriorFit) -> FloatArray:
    """Return log likelihood and the forms of each factor's effects, shape (draws, 1 + factors)."""
    draws = fit.draws
    if any(isinstance(b, EffectsOnDemand) for b in draws.b.values()):
        return np.zeros((1, 1))  # they follow from what else is stored
    some = _some_draws(draws)
    try:
        columns = [log_likelihood(replace(fit, draws=some)).sum(axis=-1).ravel()]
    except NotSupportedError:  # a family whose densities are PyMC's only
        columns = [np.zeros(some.beta.shape[1])]
    for own in (some, *some.formulas.values()):
        for name, b in own.b.items():
            # An sd of zero has effects of zero.
            sd = own.sd[name][:, :, None, :]
            u = np.divide(b, sd, out=np.zeros_like(b), where=sd > 0)
            R = own.corr.get(name, np.eye(b.shape[-1]))
            columns.append(((u @ R) * u).sum(axis=(-2, -1)).ravel())
    return np.stack(columns, axis=1)


def _some_draws(draws: PosteriorDraws) -> PosteriorDraws:
    """Return up to ``TIED`` draws as one chain, evenly over chains and draws."""
    C, D = draws.beta.shape[:2]
    picked = np.unique(np.linspace(0, C * D - 1, TIED).astype(np.intp))

    def of(values: FloatArray) -> FloatArray:
        return values.reshape(C * D, *values.shape[2:])[picked][None]

    named: dict[str, Any] = {
        field: {name: of(values) for name, values in getattr(draws, field).items()}
        for field in NAMED
    }
    sigma = None if draws.sigma is None else of(draws.sigma)
    formulas = {name: _some_draws(own) for name, own in draws.formulas.items()}
    return replace(draws, beta=of(draws.beta), sigma=sigma, formulas=formulas, **named)


def _check_ties(fit: PosteriorFit, archive: Archive) -> None:
    """Refuse draws that another model, or other data, have."""
    found = _ties(fit)
    stored = archive.array("ties", kinds="f", shape=found.shape)
    room = TIE_MARGIN * fit.nobs
    same = np.isclose(found, stored, rtol=TIE_MARGIN, atol=room, equal_nan=True)
    if not same.all():
        raise Damaged(
            "the likelihood of its draws and data is not the one they had when they were saved"
        )


def _read_draws(archive: Archive, spec: Specification) -> PosteriorDraws:
    """Return the draws, whose shapes are those of the formula and the levels."""
    specification = archive.specification
    C, D = archive.header("draws_beta").shape[:2]
    if not C * D:
        raise Damaged("it holds no draws")
    about = {link.parameter for link in links_of(spec.design, spec.family).values()}
    of_family = {
        parameter.name: (None,) if parameter.prior == "cuts" else ()
        for parameter in spec.family.further_parameters
        if parameter.name not in about
    }
    if spec.design.residual is not None:
        of_family |= dict.fromkeys(structure_of(spec).own_names, ())
    shapes = _shapes(spec.design) | {"family": of_family}
    if "effects_seed" in specification:
        if len(spec.design.factors) != 1:
            raise Damaged("its effects can't be made again")
        shapes["b"] = {}
    stored = specification["draws"]
    named = _read_named(archive, stored, shapes, (C, D))
    of_formulas = specification.get("draws_of_formulas", {})
    if set(of_formulas) != set(spec.kept_of):
        raise Damaged("its draws are of other parameters than the formula's")
    named["formulas"] = {
        name: PosteriorDraws(
            beta=archive.array(f"draws_{name}_beta", kinds="f", shape=(C, D, kept.size)),
            sigma=None,
            sampler=checked(specification["sampler"], str),
            **_read_named(archive, of_formulas[name], _shapes(spec.design.of(name)), (C, D)),
        )
        for name, kept in spec.kept_of.items()
    }
    named["sample_stats"] = {
        name: archive.array(key, kinds="biuf", shape=(C, D))
        for name, key in stored["sample_stats"].items()
    }
    has_sigma = archive.has("draws_sigma")
    if has_sigma != (spec.priors.sigma is not None):
        raise Damaged("its draws are of other parameters than the formula's")
    numbers = {name: specification["numbers"][name] for name in NUMBERS}
    numbers |= {name: specification["numbers"].get(name) for name in LATER_NUMBERS}
    if not all(value is None or type(value) in (int, float) for value in numbers.values()):
        raise Damaged("its specification holds what can't be")
    return PosteriorDraws(
        beta=archive.array("draws_beta", kinds="f", shape=(C, D, spec.kept_columns.size)),
        sigma=archive.array("draws_sigma", kinds="f", shape=(C, D)) if has_sigma else None,
        sampler=checked(specification["sampler"], str),
        findings=read_findings(specification["draws_findings"]),
        **named,
        **numbers,
    )


def _shapes(design: Design) -> dict[str, Any]:
    """Shapes of what a predictor has by factor, behind chains and draws."""
    sizes = {f.name: (f.levels.size, len(f.columns)) for f in design.factors}
    return {
        "sd": {name: (q,) for name, (_, q) in sizes.items()},
        "corr": {name: (q, q) for name, (_, q) in sizes.items()},
        "b": sizes,
    }


def _read_named(
    archive: Archive, stored: Any, shapes: dict[str, Any], size: tuple[int, int]
) -> dict[str, Any]:
    """Read the fields of draws that have an array by name."""
    named: dict[str, Any] = {}
    for field, shape_of in shapes.items():
        if set(stored[field]) != set(shape_of) and not (
            field == "corr" and set(stored[field]) < set(shape_of)
        ):
            raise Damaged("its draws are of other parameters than the formula's")
        named[field] = {
            name: archive.array(key, kinds="f", shape=(*size, *shape_of[name]))
            for name, key in stored[field].items()
        }
    return named


def _check_values(draws: PosteriorDraws, family: Family) -> None:
    """Refuse draws that are not numbers, negative sds, and correlations that are none."""
    sigma = [] if draws.sigma is None else [draws.sigma]
    every = (draws, *draws.formulas.values())
    sds = [sd for own in every for sd in own.sd.values()]
    corrs = [corr for own in every for corr in own.corr.values()]
    others = [array for own in every for array in (own.beta, *own.b.values())]
    others += draws.family.values()
    if not all(np.isfinite(values).all() for values in [*sigma, *sds, *corrs, *others]):
        raise Damaged("some of its draws are not finite")
    if not all((values >= 0).all() for values in [*sigma, *sds]):
        raise Damaged("some of its draws of an sd are negative")
    known = draws.family.keys()
    positive = [p.name for p in family.further_parameters if p.is_positive and p.name in known]
    if not all((draws.family[name] > 0).all() for name in positive):
        raise Damaged(
            f"some of its draws of a parameter of family {family.name!r} are not positive"
        )
    for R in corrs:
        diagonal = np.diagonal(R, axis1=-2, axis2=-1)
        symmetric = np.abs(R - R.swapaxes(-1, -2)).max(initial=0) <= CORRELATION_MARGIN
        ones = np.abs(diagonal - 1).max(initial=0) <= CORRELATION_MARGIN
        if not (symmetric and ones and np.abs(R).max(initial=0) <= 1 + CORRELATION_MARGIN):
            raise Damaged("some of its draws of correlations are no correlations")
