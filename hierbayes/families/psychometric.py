"""Psychometric functions: binomial responses whose probability runs between two asymptotes.

    psi = guess + (1 - guess - lapse) F(eta)

F is the core function, the inverse of the link. ``guess`` is the rate of successes where the
stimulus tells nothing (1/n of n alternatives), ``lapse`` that of failures where it tells all. A
family has mu = F(eta), the share of the core function; psi is its expectation. Rates that are not
known are further parameters. With overdispersion the probability of a row varies as
Beta(psi kappa, (1 - psi) kappa).

1 - psi = lapse + (1 - guess - lapse) (1 - F) is a sum as psi is, so that neither loses digits to
the other.

Source: Wichmann & Hill (2001), Percept. Psychophys. 63:1293 (rates); Schuett, Harmeling, Macke &
Wichmann (2016), Vision Res. 122:105 (overdispersion by a beta distribution).
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.families import densities, series
from hierbayes.families.family import Family, Mean, Parameter, Parameters
from hierbayes.families.links import Link
from hierbayes.families.series import Value

At = Mapping[str, FloatArray]

NAME = "psychometric"
GUESS, LAPSE, KAPPA = "guess", "lapse", "kappa"
LOGLOG = Link(
    name="loglog",
    forward=lambda mu: -np.log(-np.log(mu)),
    inverse=lambda eta: series.exp(-series.exp(-eta)),
    exact_log=lambda eta: -series.exp(-eta),
    exact_log_complement=lambda eta: series.log(-series.expm1(-series.exp(-eta))),
    latex=r"-\log(-\log(\mu_i))",
)
LINKS = ("probit", "logit", "cloglog", LOGLOG, "cauchit")
FIRST_RATE = 0.02  # of an unknown asymptote, where a search begins
INSIDE = 0.02  # of the core function, shares that a search begins at


@record
class Curve:
    """The asymptotes of a psychometric function, and the stimulus it runs along.

    Attributes
    ----------
    stimulus : column of the data
    guess, lapse : the rates, None where they are estimated
    is_symmetric : the lower asymptote is the lapse rate, so that both are equal; ``guess`` is None
    is_overdispersed : whether kappa is a parameter
    """

    stimulus: str
    guess: float | None
    lapse: float | None
    is_symmetric: bool = False
    is_overdispersed: bool = False

    @property
    def estimated(self) -> tuple[str, ...]:
        """Names of the rates that are parameters."""
        guess = [GUESS] if self.guess is None and not self.is_symmetric else []
        return (*guess, *([LAPSE] if self.lapse is None else []))

    @property
    def rates_are_known(self) -> bool:
        """Whether both asymptotes are given."""
        return not self.estimated

    @property
    def words(self) -> str:
        """Say where the asymptotes come from: ``guess 0.5, lapse estimated``."""
        lapse = "lapse estimated" if self.lapse is None else f"lapse {self.lapse:g}"
        if self.is_symmetric:
            return f"{lapse}, at both ends"
        guess = "guess estimated" if self.guess is None else f"guess {self.guess:g}"
        return f"{guess}, {lapse}"

    def rates(self, at: Parameters) -> tuple[Value, Value]:
        """Return guess and lapse at further parameters."""
        lapse = at[LAPSE] if self.lapse is None else self.lapse
        if self.is_symmetric:
            return lapse, lapse
        return at[GUESS] if self.guess is None else self.guess, lapse

    def logs(self, mean: Mean, at: Parameters) -> tuple[Value, Value]:
        """Log psi and log(1 - psi)."""
        guess, lapse = self.rates(at)
        span = series.log1p(-(guess + lapse))
        return _raised(guess, span + mean.log), _raised(lapse, span + mean.log_complement)

    def log_density(self, y: FloatArray, mean: Mean, at: Parameters) -> Value:
        """Log density of successes y."""
        success, failure = self.logs(mean, at)
        if self.is_overdispersed:
            return densities.beta_binomial_of_logs(y, success, failure, at)
        return densities.binomial_of_logs(y, success, failure, at)

    def expectation(self, mu: Any, at: Parameters) -> Any:
        """Psi where the core function is mu."""
        guess, lapse = self.rates(at)
        return guess + (1.0 - guess - lapse) * mu

    def variance(self, mu: FloatArray, at: At) -> FloatArray:
        """Variance of the number of successes."""
        psi, n = self.expectation(mu, at), at["trials"]
        wider = 1.0 + (n - 1.0) / (at[KAPPA] + 1.0) if self.is_overdispersed else 1.0
        return np.asarray(n * psi * (1.0 - psi) * wider)

    def draw(self, rng: np.random.Generator, mu: FloatArray, at: At) -> FloatArray:
        """Draw numbers of successes."""
        psi = self.expectation(mu, at)
        if self.is_overdispersed:
            psi = rng.beta(psi * at[KAPPA], (1.0 - psi) * at[KAPPA])
        return np.asarray(rng.binomial(at["trials"].astype(np.int64), psi))

    def start(self, y: FloatArray) -> FloatArray:
        """Share of the core function near each response, of successes and trials y (n, 2)."""
        psi = (y[:, 0] + 0.5) / (y[:, 1] + 1.0)
        guess, lapse = self.rates({GUESS: FIRST_RATE, LAPSE: FIRST_RATE})
        return np.clip((psi - guess) / (1.0 - guess - lapse), INSIDE, 1.0 - INSIDE)


def _raised(floor: Value, log_rest: Value) -> Value:
    """log(floor + rest), also where one of them is zero; a known floor of zero is none."""
    if isinstance(floor, float) and floor == 0.0:
        return log_rest
    total = floor + series.exp(log_rest)
    return series.where(series.value_of(total) > 0, series.log(total), log_rest)


def curve_record(curve: Curve) -> dict[str, Any]:
    """Return a curve in terms of JSON."""
    return {field.name: getattr(curve, field.name) for field in fields(curve)}


def read_curve(stored: Any) -> Curve:
    """Return the curve of ``curve_record``.

    Raises
    ------
    ValueError
        If it is none.
    """
    if not isinstance(stored, dict) or set(stored) != {field.name for field in fields(Curve)}:
        raise ValueError("no curve")
    rates = [stored[name] for name in ("guess", "lapse") if stored[name] is not None]
    flags = [stored[name] for name in ("is_symmetric", "is_overdispersed")]
    is_good = all(type(rate) is float and 0 <= rate < 1 for rate in rates) and sum(rates) < 1
    if not (is_good and all(type(flag) is bool for flag in flags)):
        raise ValueError("no curve")
    if not isinstance(stored["stimulus"], str) or (flags[0] and stored["guess"] is not None):
        raise ValueError("no curve")
    return Curve(**stored)


def psychometric_family(curve: Curve, link: str) -> Family:
    """Return the family of a psychometric function with one of the ``LINKS``."""
    parameters = [Parameter(name, prior="rare") for name in curve.estimated]
    if curve.is_overdispersed:
        parameters.append(Parameter(KAPPA, prior="shape"))
    return Family(
        name=NAME,
        links=LINKS,
        log_density=curve.log_density,
        draw=curve.draw,
        parameters=tuple(parameters),
        expectation=curve.expectation,
        variance=curve.variance,
        start=curve.start,
        response="trials",
        reads_categories=True,
        is_discrete=True,
        curve=curve,
        link_name=link,
    )
