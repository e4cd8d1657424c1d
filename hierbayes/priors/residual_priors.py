"""Default priors of correlations of residuals.

Uniform between its bounds of ar1 and cs. Of car1 the correlation of neighbours at the median gap m
is uniform between 0 and 1, so that of a gap of one, r = rho^(1 / m), is Beta(m, 1): the unit of
time changes the unit of the prior and nothing else.
"""

from hierbayes.design.design import Design
from hierbayes.families.family import Parameter
from hierbayes.gaussian.residual.correlation import Bounded, Serial
from hierbayes.gaussian.residual.of_design import residuals_of
from hierbayes.priors.distributions import Beta, Prior, Uniform


def residual_parameters(design: Design) -> tuple[Parameter, ...]:
    """Return the correlation of ar1, car1 or cs with its prior; none of independent residuals."""
    if design.residual is None:
        return ()
    found = residuals_of(design)
    own = found.structure.correlation
    assert isinstance(own, Bounded)
    law: Prior = Uniform(own.lower, own.upper)
    if isinstance(own, Serial) and own.unit != 1:
        law = Beta(own.unit, 1)
    return (Parameter(found.names[-1], law),)
