"""The LKJ distribution of a correlation matrix: density proportional to det(R)^(eta - 1).

eta = 1 is uniform over correlation matrices; larger values prefer correlations near 0. All
densities here are with respect to the correlations below the diagonal.

Source: Lewandowski, Kurowicka & Joe (2009), J. Multivariate Analysis 100(9), 1989-2001.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hierbayes.arrays import FloatArray
from hierbayes.calls import checked_init
from hierbayes.errors import PriorError
from hierbayes.priors.distributions import number_of


@checked_init("hb.LKJ")
@dataclass(frozen=True)
class LKJ:
    """LKJ(eta) over the correlations of the random effects of one term.

    Examples
    --------
    >>> import hierbayes as hb
    >>> print(hb.LKJ(2))
    LKJ(2)
    """

    eta: float

    def __post_init__(self) -> None:
        value = number_of("LKJ", "eta", self.eta)
        if value <= 0:
            raise PriorError(f"LKJ: eta={self.eta!r} must be positive.")
        object.__setattr__(self, "eta", value)

    def log_density(self, corr: npt.ArrayLike) -> FloatArray:
        """Log density at correlation matrices of shape (..., q, q)."""
        return lkj_log_density(corr, self.eta)

    def quantile(self, p: npt.ArrayLike, *, size: int = 2) -> FloatArray:
        """Quantiles of one correlation of a ``size`` x ``size`` matrix."""
        from scipy.special import betaincinv

        shape = self.eta + size / 2 - 1
        return np.asarray(2 * betaincinv(shape, shape, np.asarray(p, dtype=np.float64)) - 1)

    def parameters(self) -> dict[str, float]:
        """Parameters by name."""
        return {"eta": self.eta}

    def pymc(self, name: str, **kwargs: Any) -> Any:
        """Return ``pm.LKJCorr(name, n=..., eta=..., **kwargs)``; ``n`` must be given."""
        import pymc as pm

        return pm.LKJCorr(name, eta=self.eta, **kwargs)

    def __str__(self) -> str:
        return f"LKJ({self.eta:.4g})"


def lkj_log_constant(size: int, eta: float) -> float:
    """Log of the factor that makes det(R)^(eta - 1) integrate to 1 over q x q correlations."""
    constant = (size - 1) * math.lgamma(eta + (size - 1) / 2)
    for k in range(1, size):
        constant -= k / 2 * math.log(math.pi) + math.lgamma(eta + (size - 1 - k) / 2)
    return constant


def lkj_log_density(corr: npt.ArrayLike, eta: float) -> FloatArray:
    """Log density of LKJ(eta) at correlation matrices.

    Parameters
    ----------
    corr : array, shape (..., q, q)
    eta : float

    Returns
    -------
    array, shape (...)
        With respect to the q (q - 1) / 2 correlations; -inf where ``corr`` is not positive
        definite.
    """
    R = np.asarray(corr, dtype=np.float64)
    smallest = np.linalg.eigvalsh(R)[..., 0]
    with np.errstate(divide="ignore"):
        log_det = np.linalg.slogdet(R)[1]
    value = lkj_log_constant(R.shape[-1], eta) + _power(log_det, eta)
    return np.where(smallest > 0, value, -np.inf)


def _power(log_det: FloatArray, eta: float) -> FloatArray:
    """(eta - 1) log det; at eta = 1 a singular matrix is as likely as any other."""
    return np.zeros_like(log_det) if eta == 1 else (eta - 1) * log_det
