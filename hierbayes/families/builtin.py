"""The built-in families: bambi's univariate ones, by its names, each with its default link."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.families import densities, series
from hierbayes.families.family import LARGEST_COUNT, Draw, Family, Parameter, Support

At = Mapping[str, FloatArray]
TINY = float(np.finfo(float).tiny)
BELOW_ONE = 1.0 - 2.0**-53

ABOVE_ZERO = (0.0, math.inf)
COUNTS = Support(
    "whole numbers of at least 0", lambda y: (y >= 0) & (y == np.floor(y)), mean_ends=ABOVE_ZERO
)
POSITIVE = Support("positive numbers", lambda y: y > 0, mean_ends=ABOVE_ZERO)
NOT_NEGATIVE = Support("numbers of at least 0", lambda y: y >= 0, mean_ends=ABOVE_ZERO)
ZERO_ONE = Support("0 or 1", lambda y: (y == 0) | (y == 1), mean_ends=(0.0, 1.0))
SHARES = Support(
    "proportions between 0 and 1, neither 0 nor 1",
    lambda y: (y > 0) & (y < 1),
    mean_ends=(0.0, 1.0),
)
ANGLES = Support("angles between -pi and pi", lambda y: np.abs(y) <= np.pi)
CATEGORIES = Support("categories 1, 2, 3, ... in their order", lambda y: y == np.floor(y))

SIGMA = Parameter("sigma", prior="units")
NU = Parameter("nu", prior="df")
ALPHA = Parameter("alpha", prior="shape")
KAPPA = Parameter("kappa", prior="shape")
PSI = Parameter("psi", prior="share")
CUTS = Parameter("threshold", prior="cuts")
B = Parameter("b", prior="units")

REAL = ("identity", "log", "inverse")
PROBABILITY = ("logit", "probit", "cloglog")


def _wide(values: FloatArray, like: FloatArray) -> FloatArray:
    return np.broadcast_to(values, like.shape)


def _draw_gaussian(rng: np.random.Generator, mu: FloatArray, at: At) -> FloatArray:
    return np.asarray(mu + at["sigma"] * rng.standard_normal(mu.shape))


def _draw_t(rng: np.random.Generator, mu: FloatArray, at: At) -> FloatArray:
    return np.asarray(mu + at["sigma"] * rng.standard_t(_wide(at["nu"], mu)))


def _draw_bernoulli(rng: np.random.Generator, p: FloatArray, at: At) -> FloatArray:
    return (rng.random(p.shape) < p).astype(np.float64)


def _draw_binomial(rng: np.random.Generator, p: FloatArray, at: At) -> FloatArray:
    return np.asarray(rng.binomial(at["trials"].astype(np.int64), p))


def _draw_poisson(rng: np.random.Generator, mu: FloatArray, at: At) -> FloatArray:
    return np.asarray(rng.poisson(mu))


def _draw_negative_binomial(rng: np.random.Generator, mu: FloatArray, at: At) -> FloatArray:
    """Poisson numbers of gamma means, NaN where these are beyond all numbers."""
    mean = rng.gamma(_wide(at["alpha"], mu), mu / at["alpha"])
    possible = mean < LARGEST_COUNT
    return np.where(possible, rng.poisson(np.where(possible, mean, 0.0)), np.nan)


def _draw_gamma(rng: np.random.Generator, mu: FloatArray, at: At) -> FloatArray:
    return np.asarray(rng.gamma(_wide(at["alpha"], mu), mu / at["alpha"]))


def _draw_beta(rng: np.random.Generator, mu: FloatArray, at: At) -> FloatArray:
    a, b = (np.maximum(share * at["kappa"], TINY) for share in (mu, 1 - mu))
    return np.asarray(rng.beta(a, b))


def _draw_exponential(rng: np.random.Generator, mu: FloatArray, at: At) -> FloatArray:
    return np.asarray(rng.exponential(mu))


def _probability_start(y: FloatArray) -> FloatArray:
    """Half a success and half a failure added, as R's binomial() begins."""
    if y.ndim == 1:
        return np.asarray((y + 0.5) / 2)
    return np.asarray((y[:, 0] + 0.5) / (y[:, 1] + 1))


def _count_start(y: FloatArray) -> FloatArray:
    return np.asarray(y + 0.1)


def _draw_asymmetric_laplace(rng: np.random.Generator, mu: FloatArray, at: At) -> FloatArray:
    """Difference of exponentials with the rates of the two sides."""
    b, kappa = at["b"], at["kappa"]
    above, below = rng.exponential(size=mu.shape), rng.exponential(size=mu.shape)
    return np.asarray(mu + above / (b * kappa) - below * kappa / b)


def _draw_exgaussian(rng: np.random.Generator, mu: FloatArray, at: At) -> FloatArray:
    return _draw_gaussian(rng, mu, at) + at["nu"] * rng.exponential(size=mu.shape)


def _draw_von_mises(rng: np.random.Generator, mu: FloatArray, at: At) -> FloatArray:
    return np.asarray(rng.vonmises(mu, _wide(at["kappa"], mu)))


def _draw_poisson_above_zero(rng: np.random.Generator, mu: FloatArray, at: At) -> FloatArray:
    """Events of a process of rate one until mu, given that there is one: the first, and later."""
    first = -np.log1p(rng.random(mu.shape) * np.expm1(-mu))
    return np.asarray(1 + rng.poisson(np.maximum(mu - first, 0)))


def _draw_negative_binomial_above_zero(
    rng: np.random.Generator, mu: FloatArray, at: At
) -> FloatArray:
    """Sum of log-series numbers, as many as a Poisson process of that rate has events, not none."""
    alpha = _wide(at["alpha"], mu)
    rate = alpha * np.log1p(mu / alpha)
    first = -np.log1p(rng.random(mu.shape) * np.expm1(-rate))
    left = np.maximum(1 - first / rate, 0)
    later = _draw_negative_binomial(rng, mu * left, {"alpha": np.maximum(alpha * left, TINY)})
    return np.asarray(rng.logseries(np.minimum(mu / (alpha + mu), BELOW_ONE)) + later)


def _thinned(mu: FloatArray, at: At) -> FloatArray:
    """Return the expectation of a zero-inflated response, or of one that is zero at times."""
    return np.asarray(at["psi"] * mu)


def _mean_exgaussian(mu: FloatArray, at: At) -> FloatArray:
    return np.asarray(mu + at["nu"])


def _mean_asymmetric_laplace(mu: FloatArray, at: At) -> FloatArray:
    return np.asarray(mu + (1 / at["kappa"] - at["kappa"]) / at["b"])


def _mean_lognormal(mu: FloatArray, at: At) -> FloatArray:
    return np.asarray(np.exp(mu + at["sigma"] ** 2 / 2))


def _above_zero(mu: FloatArray, log_zero: FloatArray) -> FloatArray:
    """Return mu over the probability of more than zero, 1 where mu is 0."""
    return np.where(log_zero < 0, mu / -np.expm1(np.where(log_zero < 0, log_zero, -1.0)), 1.0)


def _mean_hurdle_poisson(mu: FloatArray, at: At) -> FloatArray:
    return np.asarray(at["psi"] * _above_zero(mu, -mu))


def _mean_hurdle_negative_binomial(mu: FloatArray, at: At) -> FloatArray:
    log_zero = -at["alpha"] * np.log1p(mu / at["alpha"])
    return np.asarray(at["psi"] * _above_zero(mu, log_zero))


def _mean_hurdle_lognormal(mu: FloatArray, at: At) -> FloatArray:
    return np.asarray(at["psi"] * _mean_lognormal(mu, at))


def _draw_laplace(rng: np.random.Generator, mu: FloatArray, at: At) -> FloatArray:
    return np.asarray(mu + at["b"] * rng.laplace(size=mu.shape))


def _draw_wald(rng: np.random.Generator, mu: FloatArray, at: At) -> FloatArray:
    return np.asarray(rng.wald(mu, _wide(at["lam"], mu)))


def _draw_weibull(rng: np.random.Generator, mu: FloatArray, at: At) -> FloatArray:
    scale = mu / series.special.gamma(1 + 1 / at["alpha"])
    return np.asarray(scale * rng.weibull(_wide(at["alpha"], mu)))


def _draw_lognormal(rng: np.random.Generator, mu: FloatArray, at: At) -> FloatArray:
    return np.exp(_draw_gaussian(rng, mu, at))


def _draw_beta_binomial(rng: np.random.Generator, p: FloatArray, at: At) -> FloatArray:
    return np.asarray(rng.binomial(at["trials"].astype(np.int64), _draw_beta(rng, p, at)))


def _none_at_times(draw: Draw) -> Draw:
    """Draw a zero-inflated or hurdle response: that of ``draw`` with probability psi, else 0."""
    return lambda rng, mu, at: draw(rng, mu, at) * (rng.random(mu.shape) < at["psi"])


def _variance_gaussian(mu: FloatArray, at: At) -> FloatArray:
    return np.asarray(at["sigma"] ** 2 + 0 * mu)


def _variance_binomial(p: FloatArray, at: At) -> FloatArray:
    return np.asarray(at["trials"] * p * (1 - p))


def _variance_beta_binomial(p: FloatArray, at: At) -> FloatArray:
    n = at["trials"]
    return np.asarray(n * p * (1 - p) * (1 + (n - 1) / (1 + at["kappa"])))


def _variance_thinned(mean: FloatArray, at: At, extra: Any) -> FloatArray:
    """Variance of a count of that mean and variance mean (1 + extra), 0 instead with 1 - psi."""
    return np.asarray(at["psi"] * mean * (1 + extra + (1 - at["psi"]) * mean))


def _builtin() -> list[Family]:
    """Return the families by the kind of their response."""
    return [*_continuous(), *_binary(), *_counts(), *_positive(), *_ordered()]


def _family(name: str, *links: str, **fields: Any) -> Family:
    return Family(name=name, links=links, is_builtin=True, **fields)


def _continuous() -> list[Family]:
    return [
        _family(
            "gaussian",
            *REAL,
            title="Normal",
            parameters=(SIGMA,),
            log_density=densities.gaussian,
            draw=_draw_gaussian,
            variance=_variance_gaussian,
            weighs_sigma=True,
        ),
        _family(
            "t",
            *REAL,
            title="t",
            parameters=(SIGMA, NU),
            log_density=densities.student_t,
            draw=_draw_t,
            weighs_sigma=True,
        ),
        _family(
            "laplace",
            *REAL,
            parameters=(B,),
            log_density=densities.laplace,
            draw=_draw_laplace,
            variance=lambda mu, at: 2 * at["b"] ** 2 + 0 * mu,
            is_smooth=False,
        ),
        _family(
            "asymmetriclaplace",
            *REAL,
            parameters=(B, Parameter("kappa", prior="skew")),
            log_density=densities.asymmetric_laplace,
            draw=_draw_asymmetric_laplace,
            expectation=_mean_asymmetric_laplace,
            is_smooth=False,
        ),
        _family(
            "exgaussian",
            *REAL,
            parameters=(SIGMA, Parameter("nu", prior="units")),
            log_density=densities.exgaussian,
            draw=_draw_exgaussian,
            expectation=_mean_exgaussian,
            variance=lambda mu, at: at["sigma"] ** 2 + at["nu"] ** 2 + 0 * mu,
        ),
        _family(
            "vonmises",
            "identity",
            support=ANGLES,
            parameters=(KAPPA,),
            log_density=densities.von_mises,
            draw=_draw_von_mises,
        ),
    ]


def _binary() -> list[Family]:
    probability = (*PROBABILITY, "identity", "cauchit", "log")
    trials = {"response": "trials", "reads_categories": True, "is_discrete": True}
    return [
        _family(
            "bernoulli",
            *probability,
            support=ZERO_ONE,
            log_density=densities.bernoulli,
            draw=_draw_bernoulli,
            variance=lambda p, at: p * (1 - p),
            start=_probability_start,
            reads_categories=True,
            is_discrete=True,
        ),
        _family(
            "binomial",
            *probability,
            log_density=densities.binomial,
            draw=_draw_binomial,
            variance=_variance_binomial,
            start=_probability_start,
            **trials,
        ),
        _family(
            "beta_binomial",
            *PROBABILITY,
            "cauchit",
            parameters=(KAPPA,),
            log_density=densities.beta_binomial,
            draw=_draw_beta_binomial,
            variance=_variance_beta_binomial,
            start=_probability_start,
            **trials,
        ),
        _family(
            "zero_inflated_binomial",
            *probability,
            parameters=(PSI,),
            log_density=densities.zero_inflated_binomial,
            draw=_none_at_times(_draw_binomial),
            expectation=_thinned,
            variance=lambda p, at: _variance_thinned(at["trials"] * p, at, -p),
            **trials,
        ),
        _family(
            "beta",
            *PROBABILITY,
            "cauchit",
            support=SHARES,
            parameters=(KAPPA,),
            log_density=densities.beta,
            draw=_draw_beta,
            variance=lambda mu, at: mu * (1 - mu) / (1 + at["kappa"]),
            start=np.asarray,
        ),
    ]


def _counts() -> list[Family]:
    counts = {"support": COUNTS, "is_discrete": True, "start": _count_start}
    poisson = ("log", "identity", "sqrt")
    negative_binomial = ("log", "identity", "cloglog", "sqrt")
    return [
        _family(
            "poisson",
            *poisson,
            log_density=densities.poisson,
            draw=_draw_poisson,
            variance=lambda mu, at: mu,
            relative_variance="1 / mean(y)",
            **counts,
        ),
        _family(
            "negativebinomial",
            *negative_binomial,
            parameters=(ALPHA,),
            log_density=densities.negative_binomial,
            draw=_draw_negative_binomial,
            variance=lambda mu, at: mu + mu**2 / at["alpha"],
            relative_variance="1 / mean(y) + 1 / alpha",
            **counts,
        ),
        _family(
            "zero_inflated_poisson",
            *poisson,
            parameters=(PSI,),
            log_density=densities.zero_inflated_poisson,
            draw=_none_at_times(_draw_poisson),
            expectation=_thinned,
            variance=lambda mu, at: _variance_thinned(mu, at, 0.0),
            **counts,
        ),
        _family(
            "zero_inflated_negativebinomial",
            *negative_binomial,
            parameters=(ALPHA, PSI),
            log_density=densities.zero_inflated_negative_binomial,
            draw=_none_at_times(_draw_negative_binomial),
            expectation=_thinned,
            variance=lambda mu, at: _variance_thinned(mu, at, mu / at["alpha"]),
            **counts,
        ),
        _family(
            "hurdle_poisson",
            *poisson,
            parameters=(PSI,),
            log_density=densities.hurdle_poisson,
            draw=_none_at_times(_draw_poisson_above_zero),
            expectation=_mean_hurdle_poisson,
            **counts,
        ),
        _family(
            "hurdle_negativebinomial",
            *negative_binomial,
            parameters=(ALPHA, PSI),
            log_density=densities.hurdle_negative_binomial,
            draw=_none_at_times(_draw_negative_binomial_above_zero),
            expectation=_mean_hurdle_negative_binomial,
            **counts,
        ),
    ]


def _positive() -> list[Family]:
    inverse_first = ("inverse", "identity", "log")
    log_first = ("log", "identity", "inverse")
    positive: dict[str, Any] = {"support": POSITIVE, "start": np.asarray}
    return [
        _family(
            "gamma",
            *inverse_first,
            parameters=(ALPHA,),
            log_density=densities.gamma,
            draw=_draw_gamma,
            variance=lambda mu, at: mu**2 / at["alpha"],
            relative_variance="1 / alpha",
            **positive,
        ),
        _family(
            "wald",
            "inverse_squared",
            *inverse_first,
            parameters=(Parameter("lam", prior="mean"),),
            log_density=densities.wald,
            draw=_draw_wald,
            variance=lambda mu, at: mu**3 / at["lam"],
            **positive,
        ),
        _family(
            "exponential",
            *log_first,
            log_density=densities.exponential,
            draw=_draw_exponential,
            variance=lambda mu, at: mu**2,
            **positive,
        ),
        _family(
            "weibull",
            *log_first,
            parameters=(ALPHA,),
            log_density=densities.weibull,
            draw=_draw_weibull,
            **positive,
        ),
        _family(
            "lognormal",
            *REAL,
            support=POSITIVE,
            parameters=(SIGMA,),
            log_density=densities.lognormal,
            draw=_draw_lognormal,
            expectation=_mean_lognormal,
            variance=lambda mu, at: np.expm1(at["sigma"] ** 2) * _mean_lognormal(mu, at) ** 2,
            is_log_response=True,
        ),
        _family(
            "hurdle_gamma",
            *log_first,
            support=NOT_NEGATIVE,
            parameters=(ALPHA, PSI),
            log_density=densities.hurdle_gamma,
            draw=_none_at_times(_draw_gamma),
            expectation=_thinned,
        ),
        _family(
            "hurdle_lognormal",
            *REAL,
            support=NOT_NEGATIVE,
            parameters=(SIGMA, PSI),
            log_density=densities.hurdle_lognormal,
            draw=_none_at_times(_draw_lognormal),
            expectation=_mean_hurdle_lognormal,
            is_log_response=True,
        ),
    ]


def _ordered() -> list[Family]:
    ordered = {"support": CATEGORIES, "response": "ordered"}
    return [
        _family(
            name,
            *PROBABILITY,
            parameters=(replace(CUTS, increasing=increasing),),
            log_density=density,
            expectation=None,
            is_discrete=True,
            **ordered,
        )
        for name, density, increasing in (
            ("cumulative", densities.cumulative, True),
            ("sratio", densities.stopping_ratio, False),
        )
    ]


FAMILIES: dict[str, Family] = {family.name: family for family in _builtin()}
GAUSSIAN = FAMILIES["gaussian"]
