"""Fitting a generalised model by maximum likelihood: checks, search, findings, result."""

from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.errors import OptionError
from hierbayes.families.deviances import dispersion
from hierbayes.families.observations import checked_observations
from hierbayes.likelihood.generalised_findings import generalised_findings
from hierbayes.likelihood.generalised_refits import GeneralisedRefits
from hierbayes.likelihood.glmm import GlmmOptimum, fit_glmm, glmm_at
from hierbayes.likelihood.level_sums import MOST_POINTS
from hierbayes.options import is_whole
from hierbayes.results.finding import Finding, issue
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.psychometric_fits import PsychometricFit
from hierbayes.specification.specification import Specification
from hierbayes.wording import shown


def fit_generalised(spec: Specification, n_quadrature: int = 1) -> GeneralisedFit:
    """Fit by maximum likelihood; see ``Model.fit``.

    Raises
    ------
    NotSupportedError
        For families without a density that has derivatives.
    """
    check_fittable(spec, n_quadrature)
    found = fit_glmm(spec, n_quadrature)
    fit = generalised_fit(spec, found, n_quadrature=n_quadrature)
    fit = replace(fit, findings=generalised_findings(fit, found))
    issue(fit.findings)
    return fit


def check_fittable(spec: Specification, n_quadrature: Any) -> None:
    """Refuse what can't be fitted, and numbers of nodes that are none."""
    if not is_whole(n_quadrature) or n_quadrature < 0:
        raise OptionError(
            f"n_quadrature={shown(n_quadrature)} must be a whole number: 1 for the Laplace "
            "approximation, more for nodes of adaptive quadrature, 0 for a fast look."
        )
    if n_quadrature > MOST_POINTS:
        raise OptionError(
            f"n_quadrature={n_quadrature}: more than {MOST_POINTS} nodes a column add nothing but "
            "time; 10 are usually plenty. fit.laplace_error says how many are enough."
        )


def optimum_of(fit: GeneralisedFit) -> GlmmOptimum:
    """Return where the search of a fit ended, with the rows and the basis of the search."""
    assert isinstance(fit.optimum, GlmmOptimum)
    return fit.optimum


def refit(fit: GeneralisedFit, y: Any) -> GeneralisedFit:
    """Fit the same specification to another response; see ``LikelihoodFit.refit``."""
    return fit_generalised(fit.spec.with_response(y), fit.n_quadrature)


def fit_at(
    fit: GeneralisedFit, y: FloatArray, found: GeneralisedRefits, entry: int
) -> GeneralisedFit:
    """Return one of the refits as a fit of its response y (n,); nothing is searched.

    Of binomial families y are the numbers of successes, of ordinal ones the categories from 0.
    """
    design, family = fit.design, fit.response_family
    y = y + fit.first_category
    if family.counts_trials:
        trials = checked_observations(design, family)[:, 1]
        y = np.column_stack([y, trials - y]) if design.y.ndim == 2 else y / trials
    spec = fit.spec.with_rows_of(y)
    at = glmm_at(
        spec,
        fit.n_quadrature,
        beta=found.beta[entry],
        theta=found.theta[entry],
        dispersion=dict(zip(fit.dispersion, found.further[entry].tolist(), strict=True)),
    )
    return generalised_fit(
        spec,
        at,
        n_quadrature=fit.n_quadrature,
        converged=bool(found.converged[entry]),
        is_singular=bool(found.is_singular[entry]),
    )


def generalised_fit(
    spec: Specification,
    found: GlmmOptimum,
    *,
    n_quadrature: int,
    findings: tuple[Finding, ...] = (),
    converged: bool | None = None,
    is_singular: bool | None = None,
) -> GeneralisedFit:
    """Return the result of a search that ended at ``found``, with its verdicts unless others."""
    kind = GeneralisedFit if spec.family.curve is None else PsychometricFit
    return kind(
        spec=spec,
        method="ml",
        representative=found.theta,
        beta=found.beta,
        sigma=_sigma(spec, found),
        criterion=-2 * found.loglik,
        converged=found.converged if converged is None else converged,
        is_singular=found.is_singular if is_singular is None else is_singular,
        findings=findings,
        n_quadrature=int(n_quadrature),
        optimum=found,
    )


def _sigma(spec: Specification, found: GlmmOptimum) -> float:
    """Return the residual sd or the root of the dispersion; 1 where neither is estimated."""
    at = found.family_parameters
    if "sigma" in at:
        return float(at["sigma"])
    if spec.design.known_sd is not None:
        return 1.0
    return float(np.sqrt(dispersion(spec.family, at)))
