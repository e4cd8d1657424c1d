"""Default priors of the correlations of residuals, and of the sds of visits.

Uniform between its bounds of ar1 and cs. Of car1 the correlation of neighbours at the median gap m
is uniform between 0 and 1, so that of a gap of one, r = rho^(1 / m), is Beta(m, 1): the unit of
time changes the unit of the prior and nothing else. The correlations of the visits of us have an
LKJ prior, and the log of the sd of each visit over that of the first the prior that a slope of a
formula of sigma has: Normal(0, 1 / sd(x)) with x the indicator of the visit.
"""

import numpy as np

from hierbayes.design.design import Design
from hierbayes.families.family import Parameter as FamilyParameter
from hierbayes.gaussian.residual.correlation import Bounded, Serial
from hierbayes.gaussian.residual.of_design import residuals_of
from hierbayes.naming.variable_names import visit_correlations_variable
from hierbayes.priors.default_priors import WIDE_LOG, column_spreads
from hierbayes.priors.distributions import Beta, Normal, Prior, Uniform
from hierbayes.priors.parameter_names import Parameter


def residual_parameters(design: Design) -> tuple[FamilyParameter, ...]:
    """Return the correlation of ar1, car1 or cs, or the sds of visits, with their priors."""
    if design.residual is None:
        return ()
    found = residuals_of(design)
    own, G = found.structure.correlation, found.structure.n_spreads
    if not isinstance(own, Bounded):
        assert found.series is not None and found.series.visit is not None
        at_visit = found.series.visit[:, None] == np.arange(1, found.visits + 1)
        spreads = column_spreads(at_visit.astype(np.float64)).tolist()
        pairs = zip(found.names[G - found.visits : G], spreads, strict=True)
        return tuple(FamilyParameter(name, Normal(0, WIDE_LOG / sd)) for name, sd in pairs)
    law: Prior = Uniform(own.lower, own.upper)
    if isinstance(own, Serial) and own.unit != 1:
        law = Beta(own.unit, 1)
    return (FamilyParameter(found.names[-1], law),)


def visit_correlations(design: Design) -> Parameter | None:
    """Return the correlations of the visits of us residuals; None of others."""
    if design.residual is None or design.residual.word != "us":
        return None
    name = visit_correlations_variable(design.residual.group)
    return Parameter(name, (name,), (), "visits", (residuals_of(design).visits + 1,))
