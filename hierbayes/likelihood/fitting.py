"""Fitting a specification by REML or maximum likelihood: search, checks, findings, result."""

import warnings
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.capabilities import not_supported
from hierbayes.errors import DesignWarning
from hierbayes.gaussian.kernel import one_thread_for
from hierbayes.gaussian.marginal import Evaluation, Kernel, evaluate
from hierbayes.likelihood.answers import check_bounded, check_sigma, check_told_apart
from hierbayes.likelihood.lmm import LmmFit, all_findings, fit_lmm
from hierbayes.options import Method, check_option
from hierbayes.results.finding import Finding, issue
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.specification.build import with_formula
from hierbayes.specification.specification import Specification
from hierbayes.wording import warn

MANY_COLUMNS = 1000  # of X: a fit of n rows takes n times their square operations


def fit(spec: Specification, method: Method = "reml", *, quietly: bool = False) -> LikelihoodFit:
    """Fit; see ``Model.fit``. ``quietly`` issues no warnings."""
    if quietly:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return fit(spec, method)
    check_option("method", method, Method)
    if not spec.family.is_linear:
        raise not_supported("fit-of-family", family=spec.family.name, link=spec.family.link.name)
    check_told_apart(spec.design)
    _warn_of_many_columns(spec)
    with one_thread_for(spec.design):
        check_sigma(spec.design, spec.kernel(method))
        found = fit_lmm(spec.design, spec.kernel(method))
        check_bounded(spec.design, found)
        findings = all_findings(spec.design, found)
    issue(findings)
    return _found(spec, found, findings)


def refit(fit: LikelihoodFit, y: Any) -> LikelihoodFit:
    """Fit the same specification to another response; see ``LikelihoodFit.refit``."""
    spec = fit.spec.with_response(y)
    with one_thread_for(spec.design):
        found = fit_lmm(spec.design, spec.kernel(fit.method))
    check_bounded(spec.design, found)
    issue(found.findings)  # those of the design were issued when the model was first fitted
    return _found(spec, found, all_findings(spec.design, found))


def update(before: LikelihoodFit, formula: str) -> LikelihoodFit:
    """Fit a changed formula to the same data by the same method; see ``LikelihoodFit.update``."""
    return fit(with_formula(before.spec, formula), before.method)


def at_theta(
    spec: Specification,
    method: Method,
    theta: FloatArray,
    *,
    response: FloatArray | None = None,
    **verdicts: Any,
) -> LikelihoodFit:
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
    at = evaluate(kernel, kernel.in_basis(theta)[None])
    return _result(spec, kernel, at, representative=theta, **verdicts)


def _warn_of_many_columns(spec: Specification) -> None:
    p = spec.design.X.shape[1]
    if p > MANY_COLUMNS and not spec.has_kernel:
        warn(
            f"The fixed part has {p} columns, so this fit takes long. A factor of so many "
            "levels usually belongs right of a bar, as in (1 | factor).",
            DesignWarning,
        )


def _found(spec: Specification, found: LmmFit, findings: tuple[Finding, ...]) -> LikelihoodFit:
    return _result(
        spec,
        found.kernel,
        found.at,
        representative=found.theta,
        converged=found.converged,
        is_singular=found.is_singular,
        findings=findings,
    )


def _result(spec: Specification, kernel: Kernel, at: Evaluation, **estimates: Any) -> LikelihoodFit:
    anchor = kernel.products.anchor
    return LikelihoodFit(
        spec=spec,
        method=kernel.method,
        beta=anchor.beta0 + anchor.x_basis @ at.beta[0],
        sigma=float(at.sigma[0]),
        criterion=float(at.criterion[0]),
        kernel=kernel,
        at=at,
        **estimates,
    )
