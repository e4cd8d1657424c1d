"""Unit deviances: how far the mean mu lies from a response y, on the scale of the log density.

d(y, mu) is twice the log density at mu = y minus that at mu, times the dispersion where the family
has one, so that it is 0 at mu = y and about (y - mu)^2 / V(mu) near it. V is the variance function.

Source: McCullagh & Nelder (1989), Generalized Linear Models, section 2.3.
"""

from collections.abc import Callable, Mapping

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.families.family import Family

At = Mapping[str, FloatArray]
UnitDeviance = Callable[[FloatArray, FloatArray, At], FloatArray]


def _xlogy(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return x log(y), 0 where x is."""
    return np.asarray(x * np.log(np.where(x > 0, y, 1.0)))


def _squares(y: FloatArray, mu: FloatArray, at: At) -> FloatArray:
    return np.asarray((y - mu) ** 2)


def _bernoulli(y: FloatArray, mu: FloatArray, at: At) -> FloatArray:
    return np.asarray(-2 * (_xlogy(y, mu) + _xlogy(1 - y, 1 - mu)))


def _binomial(y: FloatArray, mu: FloatArray, at: At) -> FloatArray:
    n = at["trials"]
    return np.asarray(2 * (_xlogy(y, y / n / mu) + _xlogy(n - y, (n - y) / n / (1 - mu))))


def _poisson(y: FloatArray, mu: FloatArray, at: At) -> FloatArray:
    return np.asarray(2 * (_xlogy(y, y / mu) - (y - mu)))


def _negative_binomial(y: FloatArray, mu: FloatArray, at: At) -> FloatArray:
    a = at["alpha"]
    return np.asarray(2 * (_xlogy(y, y / mu) - (y + a) * np.log((y + a) / (mu + a))))


def _gamma(y: FloatArray, mu: FloatArray, at: At) -> FloatArray:
    return np.asarray(2 * ((y - mu) / mu - np.log(y / mu)))


def _wald(y: FloatArray, mu: FloatArray, at: At) -> FloatArray:
    return np.asarray((y - mu) ** 2 / (y * mu**2))


DEVIANCES: dict[str, UnitDeviance] = {
    "gaussian": _squares,
    "bernoulli": _bernoulli,
    "binomial": _binomial,
    "poisson": _poisson,
    "negativebinomial": _negative_binomial,
    "gamma": _gamma,
    "exponential": _gamma,
    "wald": _wald,
}
# The dispersion phi of V(y) = phi V(mu), of families with a parameter for it.
DISPERSIONS: dict[str, Callable[[At], FloatArray]] = {
    "gaussian": lambda at: np.asarray(at["sigma"] ** 2),
    "gamma": lambda at: np.asarray(1 / at["alpha"]),
    "wald": lambda at: np.asarray(1 / at["lam"]),
}


def unit_deviance(family: Family) -> UnitDeviance | None:
    """Return the unit deviance of a family of ours; None where it has none."""
    curve = family.curve
    if curve is not None:
        if curve.is_overdispersed:
            return None
        return lambda y, mu, at: _binomial(y, np.asarray(curve.expectation(mu, at)), at)
    return DEVIANCES.get(family.name) if family.is_builtin else None


def dispersion(family: Family, at: At) -> FloatArray:
    """Return the dispersion of a family at its parameters, in their shape; 1 where it has none."""
    own = DISPERSIONS.get(family.name) if family.is_builtin else None
    return np.ones(()) if own is None else own(at)
