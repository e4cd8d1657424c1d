"""Priors of standardised effects: Cauchy in units of the residual sd, Jeffreys on its square.

With grand mean mu and sigma^2 under p(mu, sigma^2) ~ 1 / sigma^2, the effects of each term are
sigma times independent Cauchy variables of scale r: normal ones of variance g, g inverse gamma
with shape 1/2 and scale r^2 / 2. The prior is improper in what all models share, and proper in what
one of them has alone.

Source: Rouder, Morey, Speckman & Province (2012), J. Math. Psychol. 56:356.
"""

import math
from dataclasses import dataclass, fields

from hierbayes.calls import checked_init
from hierbayes.errors import PriorError
from hierbayes.priors.distributions import number_of

HALF_ROOT = math.sqrt(0.5)


@checked_init("hb.JZS")
@dataclass(frozen=True)
class JZS:
    """Jeffreys-Zellner-Siow priors: Cauchy effects in units of the residual sd.

    Parameters
    ----------
    fixed : scale of the effects of factors and their interactions, in the orthonormal coding in
        which all levels are alike
    random : scale of the effects of grouping factors
    continuous : scale of the effects of numeric predictors, centred and made orthogonal, in units
        of their sd
    mean : scale of an intercept that is tested against zero

    Examples
    --------
    >>> import hierbayes as hb
    >>> hb.JZS(fixed=1.0).random
    1.0
    """

    fixed: float = 0.5
    random: float = 1.0
    continuous: float = HALF_ROOT / 2
    mean: float = HALF_ROOT

    def __post_init__(self) -> None:
        for field in fields(self):
            given = getattr(self, field.name)
            value = number_of("JZS", field.name, given)
            if value <= 0:
                raise PriorError(f"JZS: {field.name}={given!r} must be positive.")
            object.__setattr__(self, field.name, value)

    def __str__(self) -> str:
        return (
            f"JZS(fixed={self.fixed:.4g}, random={self.random:.4g}, "
            f"continuous={self.continuous:.4g}, mean={self.mean:.4g})"
        )
