"""The width of a prior, and the same prior narrower, wider or flat.

The width is the scale of a distribution in units of its parameter: ``sigma`` of Normal, Student-t,
Cauchy and their halves (of a LogNormal on the log scale), 1 / rate of Exponential and Gamma, the
scale of InverseGamma, the length of Uniform. Correlations have eta of their LKJ prior instead,
which grows as the prior narrows. The flat end of a scale is an infinite width; of LKJ it is eta 1.
"""

import math
from dataclasses import replace

from hierbayes.priors.distributions import (
    POSITIVE,
    Cauchy,
    Exponential,
    Flat,
    Gamma,
    HalfCauchy,
    HalfFlat,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
    LogNormal,
    Normal,
    Prior,
    StudentT,
    Uniform,
)
from hierbayes.priors.lkj import LKJ

SCALED = (Normal, StudentT, Cauchy, HalfNormal, HalfStudentT, HalfCauchy)
FLATTENED = (*SCALED, Exponential, Uniform)  # priors that are flat where they are wide


def width_of(law: Prior | LKJ) -> float | None:
    """Width of a prior, of LKJ its eta; None where it has none."""
    match law:
        case LKJ(eta):
            return eta
        case Exponential(rate) | Gamma(_, rate):
            return 1 / rate
        case InverseGamma(_, scale):
            return scale
        case Uniform(lower, upper):
            return upper - lower
        case LogNormal() | Normal() | StudentT() | Cauchy():
            return law.sigma
        case HalfNormal() | HalfStudentT() | HalfCauchy():
            return law.sigma
    return None


def can_be_flat(law: Prior | LKJ) -> bool:
    """Whether an infinite width is a flat prior."""
    return isinstance(law, FLATTENED)


def with_width(law: Prior | LKJ, width: float) -> Prior | LKJ:
    """Return the same distribution of another width; flat where that is infinite.

    A Uniform prior keeps its lower end where that is zero, else its middle.
    """
    if math.isinf(width):
        return HalfFlat() if isinstance(law, Prior) and law.bounds()[0] == POSITIVE[0] else Flat()
    match law:
        case LKJ():
            return LKJ(width)
        case Exponential():
            return Exponential(1 / width)
        case Gamma(alpha, _):
            return Gamma(alpha, 1 / width)
        case InverseGamma(alpha, _):
            return InverseGamma(alpha, width)
        case Uniform(lower, upper):
            middle = width / 2 if lower == 0 else (lower + upper) / 2
            return Uniform(middle - width / 2, middle + width / 2)
    return replace(law, sigma=width)  # type: ignore[call-arg]


def centred_at_zero(law: Prior | LKJ) -> bool:
    """Whether a prior is of a real number and has its middle at zero."""
    return isinstance(law, Normal | StudentT | Cauchy) and law.mu == 0
