"""Student-t and Cauchy priors of coefficients as Normal ones of unknown sd.

With c the coefficient the prior speaks of,

    c | g ~ N(m, s^2 e^(-2g)),    e^(2g) ~ Gamma(nu / 2, nu / 2)    gives    c ~ t_nu(m, s),

so given g the coefficient is integrated out like any other, and g is a coordinate of the collapsed
sampler. A prior the data disagree with and the data themselves are then two places on a log scale,
however narrow either is.

Source: Andrews & Mallows (1974), J. R. Stat. Soc. B 36:99; Lange, Little & Taylor (1989), JASA
84:881.
"""

import math
from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.priors.distributions import Cauchy, Prior, StudentT


@record
class ScaleMixtures:
    """The K coefficients c = c0 + rows v with such priors.

    Attributes
    ----------
    rows : array, shape (K, p)
    away : array, shape (K,), m - c0
    degrees : array, shape (K,), nu
    precision : array, shape (K,), 1 / s^2
    depth : array, shape (K,), how far below g = 0 the data lie
    """

    rows: FloatArray
    away: FloatArray
    degrees: FloatArray
    precision: FloatArray
    depth: FloatArray

    def precisions(self, g: FloatArray) -> FloatArray:
        """Precision of each c given g (T, K), same shape."""
        return np.asarray(self.precision * np.exp(2 * g))

    def log_prior(self, g: FloatArray) -> FloatArray:
        """Log prior density of g (T, K), shape (T,)."""
        half = self.degrees / 2
        constant = [math.log(2) + h * math.log(h) - math.lgamma(h) for h in half]
        return np.asarray((constant + self.degrees * g - half * np.exp(2 * g)).sum(axis=1))

    def log_prior_slope(self, g: FloatArray) -> FloatArray:
        """Return the derivative of ``log_prior`` in g, shape (T, K)."""
        return np.asarray(self.degrees * (1 - np.exp(2 * g)))


def is_mixture(law: Prior) -> bool:
    """Whether a prior is a mixture of Normal ones of unknown sd."""
    return isinstance(law, StudentT | Cauchy)


def scale_mixtures(
    laws: Sequence[Prior], M: FloatArray, origin: FloatArray, *, near: FloatArray
) -> ScaleMixtures:
    """Return the mixtures of coefficients c = origin + M v, with laws Student-t or Cauchy.

    ``near`` (K,) is where the data have c.
    """
    known = [law.parameters() for law in laws]
    scale, middle = (np.array([one[name] for one in known]) for name in ("sigma", "mu"))
    return ScaleMixtures(
        rows=M,
        away=middle - origin,
        degrees=np.array([one.get("nu", 1.0) for one in known]),
        precision=scale**-2.0,
        depth=np.log(np.maximum(np.abs(near - middle) / scale, 1.0)),
    )
