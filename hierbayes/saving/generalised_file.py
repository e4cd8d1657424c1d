"""Saving a generalised fit and reading it back: its specification, estimates and verdicts.

Reading finds the modes at the stored (beta, theta, dispersion) and searches nothing. They and the
columns are checked by the criterion.
"""

from typing import Any

import numpy as np

from hierbayes.errors import DataError
from hierbayes.generalised.conditional import conditional
from hierbayes.likelihood.generalised import generalised_fit
from hierbayes.likelihood.glmm import glmm_at
from hierbayes.results.finding import Finding
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.saving.archive import Archive, Damaged
from hierbayes.saving.fit_file import check_criterion, read_verdicts, stored_verdicts
from hierbayes.saving.stored_specification import (
    checked,
    read_response,
    read_specification,
    stored_response,
    stored_specification,
    write_file,
)


def save(fit: GeneralisedFit, path: Any) -> None:
    """Write a fit to ``path``; see ``fit_file.save``."""
    arrays: dict[str, Any] = stored_response(fit.spec) | {
        "theta": fit.representative,
        "beta": fit.beta,
    }
    specification = stored_specification(fit.spec, arrays) | {
        "method": "generalised",
        "n_quadrature": fit.n_quadrature,
        "dispersion": {name: float(value) for name, value in fit.dispersion.items()},
    }
    write_file(path, specification | stored_verdicts(fit), arrays)


def read(archive: Archive, findings: tuple[Finding, ...]) -> GeneralisedFit:
    """Return the fit that ``save`` wrote; Damaged if its parts don't belong together."""
    specification = archive.specification
    spec = read_specification(archive)
    response = read_response(archive, spec)
    if not np.array_equal(response, spec.design.summands.y):
        spec = spec.with_rows_of(response)
    stored = checked(specification["dispersion"], dict)
    dispersion = {name: checked(value, float) for name, value in stored.items()}
    labels = [c.label for c in conditional(spec.design, spec.family).coordinates]
    if sorted(dispersion) != sorted(labels):
        raise Damaged("it names unknown parameters of its family")
    size = sum(len(t.columns) * (len(t.columns) + 1) // 2 for t in spec.design.terms)
    theta = archive.array("theta", kinds="f", shape=(size,))
    beta = archive.array("beta", kinds="f", shape=(spec.kept_columns.size,))
    numbers = np.concatenate([theta, beta, list(dispersion.values())])
    if not np.isfinite(numbers).all():
        raise Damaged("its estimates are not finite")
    n_quadrature = checked(specification["n_quadrature"], int)
    verdicts = read_verdicts(specification)
    try:
        found = glmm_at(spec, n_quadrature, beta=beta, theta=theta, dispersion=dispersion)
    except DataError as error:  # thresholds out of order
        raise Damaged("its estimates contradict each other") from error
    fit = generalised_fit(spec, found, n_quadrature=n_quadrature, findings=findings, **verdicts)
    check_criterion(fit, specification)
    return fit
