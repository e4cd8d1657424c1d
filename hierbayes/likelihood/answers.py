"""Where the likelihood has no answer: refusals before a search, and after one that ran away.

Priors can answer for such models; REML and ML can't, and say so in one sentence.
"""

import numpy as np

from hierbayes.design.checks import check_levels
from hierbayes.design.design import Design
from hierbayes.errors import DataError
from hierbayes.gaussian.marginal import Kernel, evaluate
from hierbayes.likelihood.lmm import LmmFit
from hierbayes.results.interval_parameters import parameter_labels
from hierbayes.specification.magnitudes import too_little_left

# If the fixed and random effects together, the latter without shrinkage, leave less than this
# part of the sum of squares, the search runs towards a residual sd of zero without end.
NOTHING_LEFT = 1e-11
NO_SHRINKAGE = 1e6  # relative sd at which a level's effect is practically its own mean


def check_told_apart(design: Design) -> None:
    """Raise DataError if a term has as many random effects as rows, and sigma is not known.

    Likelihood alone can't tell its variances from the residual variance; priors can.
    """
    check_levels(
        design.factors,
        design.terms,
        formula=design.formula,
        n_rows=design.X.shape[0],
        allow_saturated=design.known_sd is not None,
    )


def check_sigma(design: Design, kernel: Kernel) -> None:
    """Raise DataError if no data of this design tell the residual sd from other variances."""
    found = kernel.undetermined
    if found is None or not found.sigma:
        return
    lost = zip(parameter_labels(design), found.parameters, strict=True)
    named = ", ".join(label for label, some in lost if some)
    raise DataError(
        f"{named} and sigma are not determined by the data one by one: what the fixed part leaves "
        "of the rows varies with the random effects as with the residuals. Use fewer fixed or "
        "random effects, give known_sd if the residual sds are known, or let priors tell them "
        "apart: Model(...).sample()."
    )


def check_bounded(design: Design, found: LmmFit) -> None:
    """Raise DataError if a search failed because the random effects leave no residuals."""
    kernel = found.kernel
    if found.converged or kernel.sigma_known:
        return
    theta = np.where(kernel.basis_shape.is_diagonal, NO_SHRINKAGE, 0.0)
    try:
        left = float(evaluate(kernel, theta[None]).pwrss[0]) / kernel.products.yy
    except np.linalg.LinAlgError:  # negative by rounding
        left = 0.0
    if left < NOTHING_LEFT:
        raise DataError(too_little_left(design, f"all but {left:.0e} of its squares"))
