"""The part of a fit that the data determine: the kernel that tests of fixed effects go by.

Where a variance cannot be determined, the model without it has the same information on all that
can be; degrees of freedom follow from that model.
"""

from dataclasses import replace

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.design.design import Design
from hierbayes.gaussian.marginal import Evaluation, Kernel, evaluate
from hierbayes.gaussian.undetermined import Undetermined
from hierbayes.likelihood.determined import (
    determined_design,
    determined_kernel,
    on_all_columns,
    on_kept_columns,
)
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.once_a_fit import once_a_fit

UNDETERMINED = "it, or its spread, is not determined by the data"


@record(kw_only=False)
class DeterminedPart:
    """A fit's design and kernel without the columns held at zero, evaluated at the estimates."""

    design: Design
    kernel: Kernel
    at: Evaluation
    unknown: Undetermined | None

    def whole(self, theta: FloatArray) -> FloatArray:
        """Theta of all columns (T, k) from that of the kept ones (T, r), user's scale."""
        if self.unknown is None:
            return theta
        return on_all_columns(self.unknown, theta)


@once_a_fit
def determined_part(fit: LinearFit) -> DeterminedPart:
    """Return the determined part of a fit; its own kernel if that is all."""
    kernel, unknown = determined_kernel(fit.kernel), fit.kernel.undetermined
    if kernel is fit.kernel or unknown is None:
        return DeterminedPart(fit.design, kernel, fit.at, None)
    theta = on_kept_columns(unknown, fit.representative)
    at = evaluate(kernel, np.asarray(kernel.in_basis(theta))[None])
    return DeterminedPart(determined_design(fit.design, unknown), kernel, at, unknown)


def determined_fit(fit: LinearFit) -> LinearFit:
    """Return the fit of the model without the columns held at zero."""
    part = determined_part(fit)
    if part.unknown is None:
        return fit.representing
    theta = on_kept_columns(part.unknown, fit.representative)
    spec = fit.spec.with_design(part.design, part.kernel)
    return replace(fit, spec=spec, kernel=part.kernel, at=part.at, representative=theta)


def determined_places(fit: LinearFit) -> IntArray:
    """Place of each of the m ``interval_parameters`` among those of that fit; -1 for none."""
    m = fit.undetermined_parameters.size
    kept = np.ones(m, dtype=np.bool_)
    found = fit.kernel.undetermined
    if found is not None:
        factor, row, column = found.shape.entries
        for i, (f, r, c) in enumerate(zip(factor, row, column, strict=True)):
            kept[i] = r in found.kept[f] and c in found.kept[f]
    return np.where(kept, np.cumsum(kept) - 1, -1)


def without_interval(fit: LikelihoodFit) -> BoolArray:
    """Which of ``interval_parameters`` have no interval, as they or their spread are undetermined.

    Shape (m,).
    """
    lost = fit.undetermined_parameters.copy()
    if fit.beta.size and fit.undetermined_note:
        lost[-fit.beta.size :] |= np.isnan(fit.std_errors)
    return lost


@record(kw_only=False)
class DeterminedRows:
    """Whether the data determine l'beta-hat and its variance, arrays of shape (c,)."""

    estimate: BoolArray
    variance: BoolArray


def determined_rows(fit: LikelihoodFit, L: FloatArray) -> DeterminedRows:
    """Say of combinations L (c, p) of the fixed effects which the data determine."""
    whole = fit.representing
    variance = ((L @ whole.vcov_root) ** 2).sum(axis=1)
    if not fit.alternatives:
        yes = np.ones(variance.shape, dtype=np.bool_)
        return DeterminedRows(yes, yes)
    se = np.sqrt(np.maximum(variance, 0.0))
    return DeterminedRows(
        estimate=fit.determined(lambda one: L @ one.beta, se),
        variance=fit.determined(lambda one: ((L @ one.vcov_root) ** 2).sum(axis=1)),
    )


def is_determined(fit: LikelihoodFit, L: FloatArray) -> bool:
    """Whether the data determine the F test of L beta, all rows together."""
    if not fit.alternatives:
        return True
    known = determined_rows(fit, L)
    if not (known.estimate & known.variance).all():
        return False
    size = np.sqrt(np.diag(L @ fit.representing.vcov_beta @ L.T))
    scale = size[:, None] * size
    return bool(fit.determined(lambda one: L @ one.vcov_beta @ L.T, scale).all())
