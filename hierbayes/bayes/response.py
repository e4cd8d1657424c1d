"""The response's own distribution: its expectation, its density and draws, given eta.

Parametrisations are bambi's. ``eta`` is (S, rows), one row a posterior draw; further parameters of
a family are (S,).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from hierbayes.bayes.distributions import LOG_2PI
from hierbayes.bayes.predictive import FlatDraws
from hierbayes.errors import NotSupportedError

FloatArray = npt.NDArray[np.float64]

BINOMIAL = ("bernoulli", "binomial")  # whose densities need logarithms worked out from eta
INVERSE_LINKS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "identity": lambda eta: eta,
    "log": np.exp,
    "logit": special.expit,
    "probit": special.ndtr,
    "cloglog": lambda eta: -np.expm1(-np.exp(eta)),
    "inverse": lambda eta: 1 / eta,
    "inverse_squared": lambda eta: 1 / np.sqrt(eta),
}


@dataclass(frozen=True, kw_only=True)
class Response:
    """The distribution of the response of some rows.

    Attributes
    ----------
    family, link : names
    y : array, shape (n,), observed; successes of binomial families; None for new rows
    trials : array, shape (n,), of binomial families; None means 1
    weights : array, shape (n,), precision weights of families with a residual sd, or None
    """

    family: str
    link: str
    y: FloatArray | None
    trials: FloatArray | None = None
    weights: FloatArray | None = None

    def mean(self, eta: FloatArray) -> FloatArray:
        """Return the expected response at eta; of binomial families the probability.

        Raises
        ------
        NotSupportedError
            If eta's parameter is not the expectation of the family.
        """
        if self.family not in EXPECTATION:
            _known(LOG_DENSITIES, self.family)
        return np.asarray(INVERSE_LINKS[self.link](eta))

    def log_density(self, eta: FloatArray, flat: FlatDraws, rows: slice) -> FloatArray:
        """Log density of the observed response of a block of rows, shape (S, rows)."""
        assert self.y is not None
        mu = self.mean(eta)
        density = _known(LOG_DENSITIES, self.family)
        parameters = self._parameters(flat, rows)
        if self.family in BINOMIAL:
            logarithms = LOG_PROBABILITIES.get(self.link, _log_of_mean(self.link))
            parameters["log_p"], parameters["log_q"] = logarithms(eta)
        return np.asarray(density(self.y[rows], mu, parameters))

    def draw(
        self, eta: FloatArray, flat: FlatDraws, rows: slice, rng: np.random.Generator
    ) -> FloatArray:
        """Draw responses of a block of rows, shape (S, rows)."""
        draw = _known(DRAWS, self.family)
        values = draw(rng, self.mean(eta), self._parameters(flat, rows))
        return np.asarray(values, dtype=np.float64)

    def _parameters(self, flat: FlatDraws, rows: slice) -> dict[str, FloatArray]:
        found = {n: value[:, None] for n, value in flat.family.items() if value.ndim == 1}
        sigma = flat.sigma[:, None]
        found["sigma"] = sigma if self.weights is None else sigma / np.sqrt(self.weights[rows])
        found["trials"] = np.ones(1) if self.trials is None else self.trials[rows]
        return found


def _log_normal(residual: FloatArray, sigma: FloatArray) -> FloatArray:
    """Log density of residuals, worked out in their place: there is one for each draw and row."""
    residual /= sigma
    residual *= residual
    residual *= -0.5
    residual -= np.log(sigma) + 0.5 * LOG_2PI
    return residual


def _log_binomial(y: FloatArray, trials: Any, at: "Parameters") -> FloatArray:
    """Log density of y successes: finite where the probability rounds to 1.

    Logarithms of p and 1 - p come from eta itself: at eta = 40 of a logit 1 - p is 4e-18, which
    can't be told from 0 once p is a number.
    """
    with np.errstate(invalid="ignore"):  # 0 times the logarithm of 0, which is not used
        successes = np.where(y > 0, y * at["log_p"], 0.0)
        failures = np.where(trials > y, (trials - y) * at["log_q"], 0.0)
    return np.asarray(successes + failures)


def _log_of_mean(link: str) -> Callable[[FloatArray], tuple[FloatArray, FloatArray]]:
    def logarithms(eta: FloatArray) -> tuple[FloatArray, FloatArray]:
        p = INVERSE_LINKS[link](eta)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(p), np.log1p(-p)

    return logarithms


def _cloglog(eta: FloatArray) -> tuple[FloatArray, FloatArray]:
    with np.errstate(over="ignore"):
        rate = np.exp(eta)
    small = eta < TINY_RATE  # where log(1 - exp(-rate)) is log(rate) to the last digit
    return np.where(small, eta, np.log(-np.expm1(-np.where(small, 1.0, rate)))), -rate


TINY_RATE = -40.0  # exp(-40) = 4e-18 is below the spacing of numbers at 1
LOG_PROBABILITIES: dict[str, Callable[[FloatArray], tuple[FloatArray, FloatArray]]] = {
    "logit": lambda eta: (special.log_expit(eta), special.log_expit(-eta)),
    "probit": lambda eta: (special.log_ndtr(eta), special.log_ndtr(-eta)),
    "cloglog": _cloglog,
}
Parameters = dict[str, FloatArray]
LOG_DENSITIES: dict[str, Callable[[FloatArray, FloatArray, Parameters], Any]] = {
    "gaussian": lambda y, mu, at: _log_normal(y - mu, at["sigma"]),
    "t": lambda y, mu, at: (
        special.gammaln((at["nu"] + 1) / 2)
        - special.gammaln(at["nu"] / 2)
        - 0.5 * np.log(np.pi * at["nu"])
        - np.log(at["sigma"])
        - (at["nu"] + 1) / 2 * np.log1p(((y - mu) / at["sigma"]) ** 2 / at["nu"])
    ),
    "bernoulli": lambda y, p, at: _log_binomial(y, 1.0, at),
    "binomial": lambda y, p, at: _log_choose(at["trials"], y) + _log_binomial(y, at["trials"], at),
    "poisson": lambda y, mu, at: special.xlogy(y, mu) - mu - special.gammaln(y + 1),
    "negativebinomial": lambda y, mu, at: (
        special.gammaln(y + at["alpha"])
        - special.gammaln(at["alpha"])
        - special.gammaln(y + 1)
        + at["alpha"] * np.log(at["alpha"] / (mu + at["alpha"]))
        + special.xlogy(y, mu / (mu + at["alpha"]))
    ),
    "gamma": lambda y, mu, at: (
        at["alpha"] * np.log(at["alpha"] / mu)
        - special.gammaln(at["alpha"])
        + (at["alpha"] - 1) * np.log(y)
        - at["alpha"] * y / mu
    ),
    "beta": lambda y, mu, at: (
        -special.betaln(mu * at["kappa"], (1 - mu) * at["kappa"])
        + (mu * at["kappa"] - 1) * np.log(y)
        + ((1 - mu) * at["kappa"] - 1) * np.log1p(-y)
    ),
    "exponential": lambda y, mu, at: -np.log(mu) - y / mu,
}
DRAWS: dict[str, Callable[[np.random.Generator, FloatArray, Parameters], Any]] = {
    "gaussian": lambda rng, mu, at: mu + at["sigma"] * rng.standard_normal(mu.shape),
    "t": lambda rng, mu, at: mu + at["sigma"] * rng.standard_t(np.broadcast_to(at["nu"], mu.shape)),
    "bernoulli": lambda rng, p, at: (rng.random(p.shape) < p).astype(np.float64),
    "binomial": lambda rng, p, at: rng.binomial(at["trials"].astype(np.int64), p),
    "poisson": lambda rng, mu, at: rng.poisson(mu),
    "negativebinomial": lambda rng, mu, at: rng.negative_binomial(
        np.broadcast_to(at["alpha"], mu.shape), at["alpha"] / (at["alpha"] + mu)
    ),
    "gamma": lambda rng, mu, at: rng.gamma(
        np.broadcast_to(at["alpha"], mu.shape), mu / at["alpha"]
    ),
    "beta": lambda rng, mu, at: rng.beta(mu * at["kappa"], (1 - mu) * at["kappa"]),
    "exponential": lambda rng, mu, at: rng.exponential(mu),
}
# families whose linear predictor belongs to the expectation (the probability, of binomial ones)
EXPECTATION = frozenset({*LOG_DENSITIES, "laplace", "wald", "weibull", "beta_binomial"})


def _log_choose(n: FloatArray, k: FloatArray) -> FloatArray:
    return np.asarray(special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1))


def _known[T](table: dict[str, T], family: str) -> T:
    if family in table:
        return table[family]
    raise NotSupportedError(
        f"family={family!r}: expected or new responses and their densities are not available in "
        f"this version; they are for {', '.join(table)}. to_pymc() gives a "
        "PyMC model that has them."
    )
