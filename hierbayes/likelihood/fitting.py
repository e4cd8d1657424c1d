"""Fitting a specification by REML or maximum likelihood: search, checks, findings, result."""

import warnings
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.capabilities import not_supported
from hierbayes.errors import DesignWarning, OptionError
from hierbayes.gaussian.kernel import one_thread_for
from hierbayes.gaussian.marginal import Evaluation, Kernel, evaluate
from hierbayes.likelihood.answers import check_bounded, check_sigma, check_told_apart
from hierbayes.likelihood.fitted_sds import fit_to_fitted
from hierbayes.likelihood.lmm import LmmFit, all_findings, fit_lmm
from hierbayes.likelihood.no_residual import beside_no_residual
from hierbayes.likelihood.residual_search import search
from hierbayes.options import Method, check_option
from hierbayes.results.finding import Finding, issue
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.residual_estimate import ResidualEstimate
from hierbayes.specification.build import with_formula
from hierbayes.specification.specification import Specification
from hierbayes.wording import listed, shown, warn

MANY_COLUMNS = 1000  # of X: a fit of n rows takes n times their square operations


def fit(
    spec: Specification,
    method: Method | None = None,
    *,
    n_quadrature: int = 1,
    quietly: bool = False,
) -> LikelihoodFit:
    """Fit; see ``Model.fit``. ``quietly`` issues no warnings."""
    if quietly:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return fit(spec, method, n_quadrature=n_quadrature)
    if method is not None:
        check_option("method", method, Method)
    if spec.has_residual_structure:
        _check_no_quadrature(n_quadrature)
        return fit_residuals(spec, "reml" if method is None else method)
    if spec.design.formulas:
        raise not_supported("likelihood-formulas", parameters=listed(list(spec.design.formulas)))
    if spec.family.is_linear:
        _check_no_quadrature(n_quadrature)
        return fit_linear(spec, "reml" if method is None else method)
    if method == "reml":
        raise not_supported("reml-of-family", family=spec.family.name, link=spec.family.link.name)
    from hierbayes.likelihood.generalised import fit_generalised

    return fit_generalised(spec, n_quadrature)


def _check_no_quadrature(n_quadrature: Any) -> None:
    if n_quadrature != 1 or isinstance(n_quadrature, bool):
        raise OptionError(
            f"n_quadrature={shown(n_quadrature)} is for families other than Gaussian with the "
            "identity link, whose likelihood needs no quadrature; leave it out."
        )


def fit_linear(spec: Specification, method: Method) -> LinearFit:
    """Fit a Gaussian model with the identity link."""
    check_told_apart(spec.design)
    _warn_of_many_columns(spec)
    with one_thread_for(spec.design):
        kernel = spec.kernel(method)
    check_sigma(spec.design, kernel)
    with one_thread_for(spec.design):  # once more: that of several factors brings scipy's BLAS
        found = fit_lmm(spec.design, kernel)
        check_bounded(spec.design, found)
        findings = all_findings(spec.design, found)
    issue(findings)
    return _found(spec, found, findings)


def fit_residuals(spec: Specification, method: Method) -> LinearFit:
    """Fit a Gaussian model whose residuals are correlated or of unequal variance."""
    if spec.has_fitted_sds:
        found = fit_to_fitted(spec, partial(_fit_residuals, method=method))
    else:
        found = _fit_residuals(spec, method)
    issue(found.findings)
    return found


def _fit_residuals(spec: Specification, method: Method) -> LinearFit:
    check_told_apart(spec.design)
    with one_thread_for(spec.design):
        kernel = spec.residual_kernel(method)
        found = search(spec.design, kernel, spec.residuals)
        check_bounded(spec.design, found.found)
    findings = (*all_findings(spec.design, found.found), *found.findings)
    return replace(_found(spec, found.found, findings), residual=ResidualEstimate(phi=found.phi))


def refit(fit: LinearFit, y: Any) -> LinearFit:
    """Fit the same specification to another response; see ``LikelihoodFit.refit``."""
    spec = fit.spec.with_response(y)
    if fit.residual is not None:
        return fit_residuals(spec, fit.method)
    with one_thread_for(spec.design):
        found = fit_lmm(spec.design, spec.kernel(fit.method))
    check_bounded(spec.design, found)
    issue(found.findings)  # those of the design were issued when the model was first fitted
    return _found(spec, found, all_findings(spec.design, found))


def update(before: LikelihoodFit, formula: str) -> LikelihoodFit:
    """Fit a changed formula to the same data in the same way; see ``LikelihoodFit.update``."""
    nodes = getattr(before, "n_quadrature", 1)
    return fit(with_formula(before.spec, formula), before.method, n_quadrature=nodes)


def at_theta(
    spec: Specification,
    method: Method,
    theta: FloatArray,
    *,
    response: FloatArray | None = None,
    **verdicts: Any,
) -> LinearFit:
    """Return the fit whose search ended at ``theta`` (k,), lme4's; nothing is searched.

    Parameters
    ----------
    spec : Specification
    method : {"reml", "ml"}
    theta : array, shape (k,)
    response : array, shape (n,), in place of the specification's own
    **verdicts : ``converged``, ``is_singular`` and ``findings`` of that search
    """
    if response is not None and not np.array_equal(response, spec.design.y):
        spec = spec.with_response(response)
    kernel = spec.kernel(method)
    x = kernel.in_basis(theta)
    kernel = beside_no_residual(kernel, x)
    at = evaluate(kernel, x[None])
    return _result(spec, kernel, at, representative=theta, **verdicts)


def at_theta_and_phi(
    spec: Specification,
    method: Method,
    theta: FloatArray,
    *,
    phi: FloatArray,
    response: FloatArray | None = None,
    **verdicts: Any,
) -> LinearFit:
    """``at_theta`` where residuals have a structure, whose coordinates are ``phi`` (d,)."""
    if response is not None and not np.array_equal(response, spec.design.y):
        spec = spec.with_response(response)
    kernel = spec.residual_kernel(method).at(phi)
    at = evaluate(kernel, (kernel.in_basis(theta) if theta.size else theta)[None])
    found = _result(spec, kernel, at, representative=theta, **verdicts)
    return replace(found, residual=ResidualEstimate(phi=phi))


def _warn_of_many_columns(spec: Specification) -> None:
    p = spec.design.X.shape[1]
    if p > MANY_COLUMNS and not spec.has_kernel:
        warn(
            f"The fixed part has {p} columns, so this fit takes long. A factor of so many "
            "levels usually belongs right of a bar, as in (1 | factor).",
            DesignWarning,
        )


def _found(spec: Specification, found: LmmFit, findings: tuple[Finding, ...]) -> LinearFit:
    return _result(
        spec,
        found.kernel,
        found.at,
        representative=found.theta,
        converged=found.converged,
        is_singular=found.is_singular,
        findings=findings,
    )


def _result(spec: Specification, kernel: Kernel, at: Evaluation, **estimates: Any) -> LinearFit:
    anchor = kernel.products.anchor
    return LinearFit(
        spec=spec,
        method=kernel.method,
        beta=anchor.beta0 + anchor.x_basis @ at.beta[0],
        sigma=float(at.sigma[0]),
        criterion=float(at.criterion[0]),
        kernel=kernel,
        at=at,
        **estimates,
    )
