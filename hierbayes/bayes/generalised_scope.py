"""Which generalised models the collapsed sampler is for."""

import math

from hierbayes.generalised.chain import chain_of
from hierbayes.specification.specification import Specification

MOST_KEPT = 200  # effects that are not integrated out, whose curvature is a dense matrix a draw
MOST_BLOCKS = 10**6  # numbers of these with the levels of the finest factor


def generalised_applies(spec: Specification) -> bool:
    """Whether a model has a smooth density, unbounded coefficients, and few crossed effects."""
    family, factors = spec.family, spec.design.factors
    if (
        family.is_linear
        or family.log_density is None
        or not family.is_smooth
        or not factors
        or any(law.bounds() != (-math.inf, math.inf) for law in spec.priors.beta)
    ):
        return False
    return n_kept(spec) <= most_kept(spec)


def most_kept(spec: Specification) -> int:
    """How many effects may be kept: fewer beside a factor of very many levels."""
    finest = spec.design.factors[0]
    return min(MOST_KEPT, MOST_BLOCKS // (finest.levels.size * finest.z.shape[1]))


def n_kept(spec: Specification) -> int:
    """Effects that are not integrated out: of factors that are neither the finest nor nest it."""
    factors = spec.design.summands.factors
    J, q = [f.levels.size for f in factors], [f.z.shape[1] for f in factors]
    chain = chain_of([f.codes for f in factors], J, q)
    return sum(J[f] * q[f] for f in range(len(factors)) if f not in chain)
