"""Which generalised models the collapsed sampler is for; light, as every posterior asks."""

import math

from hierbayes.specification.specification import Specification

MOST_COLUMNS = 2  # of the grouping factor, whose product rule has a power of nodes


def generalised_applies(spec: Specification) -> bool:
    """Whether a model has one factor, a smooth density, and coefficients without bounds."""
    family, factors = spec.family, spec.design.factors
    return (
        not family.is_linear
        and family.log_density is not None
        and family.is_smooth
        and len(factors) == 1
        and factors[0].z.shape[1] <= MOST_COLUMNS
        and all(law.bounds() == (-math.inf, math.inf) for law in spec.priors.beta)
    )


def is_quick(spec: Specification) -> bool:
    """Whether it takes a second or two: with two columns skewed levels want too many nodes."""
    return generalised_applies(spec) and spec.design.factors[0].z.shape[1] == 1
