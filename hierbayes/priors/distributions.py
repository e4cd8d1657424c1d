"""Distributions of one number that can stand as a prior, with nothing but their parameters.

Each has a normalised log density and its derivative, quantiles, and the PyMC variable of the same
distribution. ``bounds`` says where it lives: on the real line (coefficients), above 0 (sds) or
between 0 and 1 (probabilities). Knows no model and no data.

Improper priors: ``Flat`` (real) and ``HalfFlat`` (positive) have log density 0 and no quantiles; a
model with one has no marginal likelihood.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hierbayes.arrays import FloatArray
from hierbayes.calls import checked_init
from hierbayes.errors import PriorError
from hierbayes.families.expression import Expression

LOG_2PI = math.log(2 * math.pi)
REAL = (-math.inf, math.inf)
POSITIVE = (0.0, math.inf)
UNIT = (0.0, 1.0)


def number_of(owner: str, name: str, given: Any) -> float:
    """Return a distribution's parameter as a finite float; else raise PriorError."""
    is_number = isinstance(given, int | float | np.integer | np.floating)
    if not is_number or isinstance(given, bool) or not math.isfinite(given):
        raise PriorError(f"{owner}: {name}={given!r} must be one finite number.")
    return float(given)


@dataclass(frozen=True)
class Prior(ABC):
    """A distribution of one number.

    Raises
    ------
    PriorError
        If a parameter isn't a finite number, or isn't positive where it has to be.
    """

    support: ClassVar[tuple[float, float]] = REAL
    positive: ClassVar[tuple[str, ...]] = ()  # parameters that must be > 0
    pymc_names: ClassVar[Mapping[str, str]] = {}  # parameters PyMC calls otherwise

    def __post_init__(self) -> None:
        name = type(self).__name__
        for parameter, given in self.parameters().items():
            value = number_of(name, parameter, given)
            if parameter in self.positive and value <= 0:
                raise PriorError(f"{name}: {parameter}={given!r} must be positive.")
            object.__setattr__(self, parameter, value)

    @abstractmethod
    def _log_density(self, x: FloatArray) -> FloatArray:
        """Log density at points of the support."""

    @abstractmethod
    def _derivative(self, x: FloatArray) -> FloatArray:
        """Return d log density / dx at points of the support."""

    @abstractmethod
    def _quantile(self, p: FloatArray) -> FloatArray:
        """Quantiles at probabilities in [0, 1]."""

    def bounds(self) -> tuple[float, float]:
        """Lower and upper end of the support."""
        return self.support

    def log_density(self, x: Any) -> Any:
        """Log density at ``x`` (any shape), normalised; -inf outside of the support.

        Also as an expression of one (``families/expression.py``).
        """
        if isinstance(x, Expression):
            return self._expression(x)
        return self._inside(x, self._log_density, -np.inf)

    def _expression(self, x: Any) -> Any:
        (low, high), value = self.bounds(), self._log_density(x)
        if low > -math.inf:
            value = np.where(x >= low, value, -np.inf)
        return np.where(x <= high, value, -np.inf) if high < math.inf else value

    def derivative(self, x: npt.ArrayLike) -> FloatArray:
        """Return d log density / dx at ``x`` (any shape); NaN outside of the support."""
        return self._inside(x, self._derivative, np.nan)

    def quantile(self, p: npt.ArrayLike) -> FloatArray:
        """Quantiles at the probabilities ``p`` (any shape); NaN for an improper prior."""
        return np.asarray(self._quantile(np.asarray(p, dtype=np.float64)))

    def parameters(self) -> dict[str, float]:
        """Parameters by name, in the order of the arguments."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def pymc(self, name: str, **kwargs: Any) -> Any:
        """Return the PyMC variable ``name`` of this distribution, inside a model's context."""
        import pymc as pm

        named = {self.pymc_names.get(key, key): value for key, value in self.parameters().items()}
        return getattr(pm, type(self).__name__)(name, **named, **kwargs)

    def __str__(self) -> str:
        values = ", ".join(f"{value:.4g}" for value in self.parameters().values())
        return f"{type(self).__name__}({values})"

    def _inside(self, x: npt.ArrayLike, function: Any, outside: float) -> FloatArray:
        points = np.asarray(x, dtype=np.float64)
        low, high = self.bounds()
        if (low, high) == REAL:
            return np.asarray(function(points))
        inside = (points >= low) & (points <= high)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            values = function(np.where(inside, points, np.nan))
        return np.where(inside, values, np.where(np.isnan(points), np.nan, outside))


@checked_init("hb.Normal")
@dataclass(frozen=True)
class Normal(Prior):
    """Normal with mean ``mu`` and sd ``sigma``.

    Examples
    --------
    >>> import hierbayes as hb
    >>> print(hb.Normal(0, 10))
    Normal(0, 10)
    """

    mu: float
    sigma: float
    positive: ClassVar[tuple[str, ...]] = ("sigma",)

    def _log_density(self, x: FloatArray) -> FloatArray:
        return -0.5 * ((x - self.mu) / self.sigma) ** 2 - math.log(self.sigma) - 0.5 * LOG_2PI

    def _derivative(self, x: FloatArray) -> FloatArray:
        return (self.mu - x) / self.sigma**2

    def _quantile(self, p: FloatArray) -> FloatArray:
        from scipy.special import ndtri

        return self.mu + self.sigma * ndtri(p)


@checked_init("hb.StudentT")
@dataclass(frozen=True)
class StudentT(Prior):
    """Student's t with ``nu`` degrees of freedom, location ``mu`` and scale ``sigma``."""

    nu: float
    mu: float
    sigma: float
    positive: ClassVar[tuple[str, ...]] = ("nu", "sigma")

    def _log_density(self, x: FloatArray) -> FloatArray:
        nu = self.nu
        constant = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi)
        squared = ((x - self.mu) / self.sigma) ** 2
        return constant - math.log(self.sigma) - (nu + 1) / 2 * np.log1p(squared / nu)

    def _derivative(self, x: FloatArray) -> FloatArray:
        away = x - self.mu
        return -(self.nu + 1) * away / (self.nu * self.sigma**2 + away**2)

    def _quantile(self, p: FloatArray) -> FloatArray:
        from scipy.special import stdtrit

        return self.mu + self.sigma * stdtrit(self.nu, p)


@checked_init("hb.Cauchy")
@dataclass(frozen=True)
class Cauchy(Prior):
    """Cauchy with location ``mu`` and scale ``sigma`` (half the distance of the quartiles)."""

    mu: float
    sigma: float
    positive: ClassVar[tuple[str, ...]] = ("sigma",)
    pymc_names: ClassVar[Mapping[str, str]] = {"mu": "alpha", "sigma": "beta"}

    def _log_density(self, x: FloatArray) -> FloatArray:
        return -np.log1p(((x - self.mu) / self.sigma) ** 2) - math.log(math.pi * self.sigma)

    def _derivative(self, x: FloatArray) -> FloatArray:
        away = x - self.mu
        return -2 * away / (self.sigma**2 + away**2)

    def _quantile(self, p: FloatArray) -> FloatArray:
        return self.mu + self.sigma * np.tan(math.pi * (p - 0.5))


@checked_init("hb.Flat")
@dataclass(frozen=True)
class Flat(Prior):
    """No preference: improper, density 1 on the whole line (on an sd: on the positive half)."""

    def _log_density(self, x: FloatArray) -> FloatArray:
        return np.zeros_like(x)

    def _derivative(self, x: FloatArray) -> FloatArray:
        return np.zeros_like(x)

    def _quantile(self, p: FloatArray) -> FloatArray:
        return np.full_like(p, np.nan)


@checked_init("hb.HalfFlat")
@dataclass(frozen=True)
class HalfFlat(Flat):
    """No preference among positive numbers: improper, density 1 on the positive half-line."""

    support = POSITIVE


@dataclass(frozen=True)
class _Folded(Prior):
    """A distribution symmetric about 0, folded onto the positive half-line."""

    support = POSITIVE

    @property
    @abstractmethod
    def whole(self) -> Prior:
        """The distribution before folding."""

    def _log_density(self, x: FloatArray) -> FloatArray:
        return math.log(2) + self.whole.log_density(x)

    def _derivative(self, x: FloatArray) -> FloatArray:
        return self.whole.derivative(x)

    def _quantile(self, p: FloatArray) -> FloatArray:
        return self.whole.quantile((1 + p) / 2)


@checked_init("hb.HalfNormal")
@dataclass(frozen=True)
class HalfNormal(_Folded):
    """The positive half of a Normal about 0 with sd ``sigma`` (before folding)."""

    sigma: float
    positive: ClassVar[tuple[str, ...]] = ("sigma",)

    @property
    def whole(self) -> Prior:
        """The distribution before folding."""
        return Normal(0, self.sigma)


@checked_init("hb.HalfStudentT")
@dataclass(frozen=True)
class HalfStudentT(_Folded):
    """The positive half of a t about 0 with ``nu`` degrees of freedom and scale ``sigma``."""

    nu: float
    sigma: float
    positive: ClassVar[tuple[str, ...]] = ("nu", "sigma")

    @property
    def whole(self) -> Prior:
        """The distribution before folding."""
        return StudentT(self.nu, 0, self.sigma)


@checked_init("hb.HalfCauchy")
@dataclass(frozen=True)
class HalfCauchy(_Folded):
    """The positive half of a Cauchy about 0 with scale ``sigma``, its median."""

    sigma: float
    positive: ClassVar[tuple[str, ...]] = ("sigma",)
    pymc_names: ClassVar[Mapping[str, str]] = {"sigma": "beta"}

    @property
    def whole(self) -> Prior:
        """The distribution before folding."""
        return Cauchy(0, self.sigma)


@checked_init("hb.Exponential")
@dataclass(frozen=True)
class Exponential(Prior):
    """Exponential with rate ``rate``: its mean is 1 / rate."""

    rate: float
    support = POSITIVE
    positive: ClassVar[tuple[str, ...]] = ("rate",)
    pymc_names: ClassVar[Mapping[str, str]] = {"rate": "lam"}

    def _log_density(self, x: FloatArray) -> FloatArray:
        return math.log(self.rate) - self.rate * x

    def _derivative(self, x: FloatArray) -> FloatArray:
        return np.where(np.isnan(x), np.nan, -self.rate)

    def _quantile(self, p: FloatArray) -> FloatArray:
        return -np.log1p(-p) / self.rate


@checked_init("hb.Gamma")
@dataclass(frozen=True)
class Gamma(Prior):
    """Gamma with shape ``alpha`` and rate ``beta``: its mean is alpha / beta."""

    alpha: float
    beta: float
    support = POSITIVE
    positive: ClassVar[tuple[str, ...]] = ("alpha", "beta")

    def _log_density(self, x: FloatArray) -> FloatArray:
        from scipy.special import xlogy

        constant = self.alpha * math.log(self.beta) - math.lgamma(self.alpha)
        return constant + xlogy(self.alpha - 1, x) - self.beta * x

    def _derivative(self, x: FloatArray) -> FloatArray:
        return (self.alpha - 1) / x - self.beta

    def _quantile(self, p: FloatArray) -> FloatArray:
        from scipy.special import gammaincinv

        return gammaincinv(self.alpha, p) / self.beta


@checked_init("hb.InverseGamma")
@dataclass(frozen=True)
class InverseGamma(Prior):
    """Inverse gamma with shape ``alpha`` and scale ``beta``: 1 / x is Gamma(alpha, beta)."""

    alpha: float
    beta: float
    support = POSITIVE
    positive: ClassVar[tuple[str, ...]] = ("alpha", "beta")

    def _log_density(self, x: FloatArray) -> FloatArray:
        constant = self.alpha * math.log(self.beta) - math.lgamma(self.alpha)
        positive = np.where(x > 0, x, np.nan)
        values = constant - (self.alpha + 1) * np.log(positive) - self.beta / positive
        return np.where(x == 0, -np.inf, values)

    def _derivative(self, x: FloatArray) -> FloatArray:
        return self.beta / x**2 - (self.alpha + 1) / x

    def _quantile(self, p: FloatArray) -> FloatArray:
        from scipy.special import gammainccinv

        return self.beta / gammainccinv(self.alpha, p)


@checked_init("hb.LogNormal")
@dataclass(frozen=True)
class LogNormal(Prior):
    """Log x is Normal(mu, sigma): the median is exp(mu)."""

    mu: float
    sigma: float
    support = POSITIVE
    positive: ClassVar[tuple[str, ...]] = ("sigma",)

    def _log_density(self, x: FloatArray) -> FloatArray:
        log_x = np.log(np.where(x > 0, x, np.nan))
        squared = ((log_x - self.mu) / self.sigma) ** 2
        values = -0.5 * squared - log_x - math.log(self.sigma) - 0.5 * LOG_2PI
        return np.where(x == 0, -np.inf, values)

    def _derivative(self, x: FloatArray) -> FloatArray:
        return -(1 + (np.log(x) - self.mu) / self.sigma**2) / x

    def _quantile(self, p: FloatArray) -> FloatArray:
        from scipy.special import ndtri

        return np.exp(self.mu + self.sigma * ndtri(p))


@checked_init("hb.Uniform")
@dataclass(frozen=True)
class Uniform(Prior):
    """Uniform between ``lower`` and ``upper``; for an sd, ``lower`` is at least 0."""

    lower: float
    upper: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.upper <= self.lower:
            raise PriorError(
                f"Uniform: upper={self.upper:.4g} must be larger than lower={self.lower:.4g}."
            )

    def bounds(self) -> tuple[float, float]:
        """Lower and upper end of the support."""
        return self.lower, self.upper

    def _log_density(self, x: FloatArray) -> FloatArray:
        return np.where(np.isnan(x), np.nan, -math.log(self.upper - self.lower))

    def _derivative(self, x: FloatArray) -> FloatArray:
        return np.where(np.isnan(x), np.nan, 0.0)

    def _quantile(self, p: FloatArray) -> FloatArray:
        return self.lower + (self.upper - self.lower) * p


@checked_init("hb.Beta")
@dataclass(frozen=True)
class Beta(Prior):
    """Beta with shapes ``alpha`` and ``beta``, for a probability."""

    alpha: float
    beta: float
    support = UNIT
    positive: ClassVar[tuple[str, ...]] = ("alpha", "beta")

    def _log_density(self, x: FloatArray) -> FloatArray:
        from scipy.special import xlog1py, xlogy

        a, b = self.alpha, self.beta
        constant = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
        return constant + xlogy(a - 1, x) + xlog1py(b - 1, -x)

    def _derivative(self, x: FloatArray) -> FloatArray:
        return (self.alpha - 1) / x - (self.beta - 1) / (1 - x)

    def _quantile(self, p: FloatArray) -> FloatArray:
        from scipy.special import betaincinv

        return betaincinv(self.alpha, self.beta, p)
