"""Default priors of correlations of residuals: uniform between their bounds."""

from hierbayes.design.design import Design
from hierbayes.families.family import Parameter
from hierbayes.gaussian.residual.correlation import Bounded
from hierbayes.gaussian.residual.of_design import residuals_of
from hierbayes.priors.distributions import Uniform


def residual_parameters(design: Design) -> tuple[Parameter, ...]:
    """Return the correlation of ar1 or cs with its prior; nothing of independent residuals."""
    if design.residual is None:
        return ()
    found = residuals_of(design)
    own = found.structure.correlation
    assert isinstance(own, Bounded)
    return (Parameter(found.names[-1], Uniform(own.lower, own.upper)),)
