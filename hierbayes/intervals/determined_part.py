"""The part of a fit that the data determine: the kernel that tests of fixed effects go by.

Where a variance cannot be determined, the model without it has the same information on all that
can be; degrees of freedom follow from that model.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hierbayes.gaussian.marginal import Evaluation, Kernel, evaluate
from hierbayes.likelihood.determined import on_kept_columns
from hierbayes.likelihood.lmm import determined_kernel
from hierbayes.results.likelihood_fit import LikelihoodFit

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DeterminedPart:
    """A kernel without the columns held at zero, and its evaluation at the estimates."""

    kernel: Kernel
    at: Evaluation


def determined_part(fit: LikelihoodFit) -> DeterminedPart:
    """Return the determined part of a fit, computed once; its own kernel if that is all."""
    found = vars(fit).get("_determined_part")
    if found is None:
        kernel = determined_kernel(fit.kernel)
        at = fit.at
        if kernel is not fit.kernel:
            assert fit.kernel.undetermined is not None
            theta = on_kept_columns(fit.kernel.undetermined, fit.representative)
            at = evaluate(kernel, np.asarray(kernel.in_basis(theta))[None])
        found = vars(fit)["_determined_part"] = DeterminedPart(kernel, at)
    return found


@dataclass(frozen=True, slots=True)
class DeterminedRows:
    """Whether the data determine l'beta-hat and its variance, arrays of shape (c,)."""

    estimate: BoolArray
    variance: BoolArray


def determined_rows(fit: LikelihoodFit, L: FloatArray) -> DeterminedRows:
    """Say of combinations L (c, p) of the fixed effects which the data determine."""
    whole = fit.representing
    variance = np.einsum("ci,ij,cj->c", L, whole.vcov_beta, L)
    if not fit.alternatives:
        yes = np.ones(variance.shape, dtype=np.bool_)
        return DeterminedRows(yes, yes)
    se = np.sqrt(np.maximum(variance, 0.0))
    return DeterminedRows(
        estimate=fit.determined(lambda one: L @ one.beta, se),
        variance=fit.determined(lambda one: np.einsum("ci,ij,cj->c", L, one.vcov_beta, L)),
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
