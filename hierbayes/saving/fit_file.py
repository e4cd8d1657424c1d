"""Saving a REML or ML fit and reading it back: its specification, method, theta and verdicts.

Reading evaluates the kernel once at the stored theta; nothing is searched. Theta and columns are
checked by the criterion.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import numpy as np

from hierbayes.gaussian.products import covariance_shape
from hierbayes.likelihood.fitting import at_theta, at_theta_and_phi
from hierbayes.options import Method
from hierbayes.results.finding import Finding
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.saving.archive import Archive, Damaged
from hierbayes.saving.stored_specification import (
    checked,
    read_response,
    read_specification,
    stored_findings,
    stored_response,
    stored_specification,
    write_file,
)

# Of the criterion, relative to itself or the number of rows, whichever is larger: another processor
# or version adds in another order, which moves it by 1e-12 and in the worst designs by 1e-9; a
# theta off by a thousandth of a standard error by more than this.
CRITERION_MARGIN = 1e-7


def save(fit: LinearFit, path: Any) -> None:
    """Write a fit to ``path``; an existing file is replaced only when writing succeeded.

    Raises
    ------
    DataError
        If the file can't be written; nothing is left behind.
    """
    arrays: dict[str, Any] = stored_response(fit.spec) | {"theta": fit.representative}
    if fit.residual is not None:
        arrays["phi"] = fit.residual.phi
    own = {"method": fit.method}
    write_file(path, stored_specification(fit.spec, arrays) | own | stored_verdicts(fit), arrays)


def read(archive: Archive, findings: tuple[Finding, ...]) -> LinearFit:
    """Return the fit that ``save`` wrote; Damaged if its parts don't belong together."""
    specification = archive.specification
    method = checked(specification["method"], str)
    if method not in get_args(Method):
        raise Damaged("it names an unknown method")
    spec = read_specification(archive)
    shape = covariance_shape(spec.design)
    made: Callable[..., LinearFit] = at_theta
    theta = archive.array("theta", kinds="f", shape=(shape.n_theta,))
    if not np.isfinite(theta).all():
        raise Damaged("theta is not finite")
    if spec.has_residual_structure:
        phi = archive.array("phi", kinds="f", shape=(spec.residuals.structure.size,))
        if not np.isfinite(phi).all():
            raise Damaged("phi is not finite")
        made = partial(at_theta_and_phi, phi=phi)
    fit = made(
        spec,
        method,
        theta,
        response=read_response(archive, spec),
        findings=findings,
        **read_verdicts(specification),
    )
    check_criterion(fit, specification)
    return fit


def stored_verdicts(fit: LikelihoodFit) -> dict[str, Any]:
    """Return what the search said of the fit, as a file has it."""
    return {
        "converged": fit.converged,
        "is_singular": fit.is_singular,
        "criterion": fit.criterion,
        "findings": stored_findings(fit.findings),
    }


def read_verdicts(specification: dict[str, Any]) -> dict[str, bool]:
    """Return whether the search converged, and at a singular fit."""
    return {name: checked(specification[name], bool) for name in ("converged", "is_singular")}


def check_criterion(fit: LikelihoodFit, specification: dict[str, Any]) -> None:
    """Refuse estimates, response or columns that another criterion belongs to."""
    if not (np.isfinite(fit.criterion) and fit.sigma > 0 and np.isfinite(fit.beta).all()):
        raise Damaged("no fit has its theta")
    if "criterion" not in specification:  # written by hierbayes 0.1.0
        return
    stored = checked(specification["criterion"], float)
    bound = CRITERION_MARGIN * max(abs(fit.criterion), fit.nobs)
    if not abs(stored - fit.criterion) <= bound:
        raise Damaged(
            f"the criterion of its theta and data is {fit.criterion:.10g}, not {stored:.10g} as "
            "when it was saved"
        )
