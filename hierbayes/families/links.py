"""Links: how the linear predictor eta becomes the parameter mu that it belongs to.

mu = inverse(eta), eta = forward(mu). ``log_mu`` and ``log_complement`` give log mu and log(1 - mu)
from eta without the digits that 1 - mu loses. All but ``forward`` take arrays and series
(families/series.py), so their derivatives are exact.

A binary response with link F^-1 is a latent variable with distribution F above zero; the variance
of F is that of the latent residual (Nakagawa, Johnson & Schielzeth 2017, J. R. Soc. Interface 14).
"""

import math
from collections.abc import Callable

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.families import series
from hierbayes.families.series import Value


def _no_complement(eta: Value) -> Value:
    raise AssertionError("1 - mu has no logarithm under this link")


@record
class Link:
    """A link function and its inverse.

    Attributes
    ----------
    name : of bambi and of R
    forward : eta of mu
    inverse : mu of eta
    log_mu : log mu of eta, where mu is positive
    log_complement : log(1 - mu) of eta, where mu is a probability
    latex : eta as a function of mu_i
    latent_variance : of the latent residual of a binary response, NaN where there is none
    power : p of a link eta = mu^p, which carries units over; 0 of log, NaN of others
    """

    name: str
    forward: Callable[[FloatArray], FloatArray]
    inverse: Callable[[Value], Value]
    log_mu: Callable[[Value], Value]
    log_complement: Callable[[Value], Value] = _no_complement
    latex: str = ""
    latent_variance: float = math.nan
    power: float = math.nan

    @property
    def keeps_units(self) -> bool:
        """Whether eta has the units of the response."""
        return self.power == 1

    @property
    def may_have_no_mean(self) -> bool:
        """Whether some eta have no positive mu (inverse links: eta must be above 0)."""
        return self.power < 0

    def __str__(self) -> str:
        return self.name


def _log_of(inverse: Callable[[Value], Value]) -> Callable[[Value], Value]:
    return lambda eta: series.log(inverse(eta))


def _identity(eta: Value) -> Value:
    return eta


def _cloglog_inverse(eta: Value) -> Value:
    return -series.expm1(-series.exp(eta))


def _cauchit_inverse(eta: Value) -> Value:
    return series.arctan(eta) / math.pi + 0.5


def _inverse_squared(eta: Value) -> Value:
    return series.reciprocal(series.sqrt(eta))


LINKS: dict[str, Link] = {
    link.name: link
    for link in (
        Link(
            name="identity",
            forward=np.asarray,
            inverse=_identity,
            log_mu=series.log,
            log_complement=lambda eta: series.log1p(-eta),
            latex=r"\mu_i",
            power=1,
        ),
        Link(
            name="logit",
            forward=lambda mu: series.special.logit(mu),
            inverse=series.expit,
            log_mu=series.log_expit,
            log_complement=lambda eta: series.log_expit(-eta),
            latex=r"\operatorname{logit}(\mu_i)",
            latent_variance=math.pi**2 / 3,
        ),
        Link(
            name="probit",
            forward=lambda mu: series.special.ndtri(mu),
            inverse=series.ndtr,
            log_mu=series.log_ndtr,
            log_complement=lambda eta: series.log_ndtr(-eta),
            latex=r"\Phi^{-1}(\mu_i)",
            latent_variance=1.0,
        ),
        Link(
            name="cloglog",
            forward=lambda mu: np.log(-np.log1p(-mu)),
            inverse=_cloglog_inverse,
            log_mu=_log_of(_cloglog_inverse),
            log_complement=lambda eta: -series.exp(eta),
            latex=r"\log(-\log(1 - \mu_i))",
            latent_variance=math.pi**2 / 6,
        ),
        Link(
            name="cauchit",
            forward=lambda mu: np.tan(math.pi * (mu - 0.5)),
            inverse=_cauchit_inverse,
            log_mu=_log_of(_cauchit_inverse),
            log_complement=lambda eta: series.log(_cauchit_inverse(-eta)),
            latex=r"\tan(\pi (\mu_i - 1/2))",
        ),
        Link(
            name="log",
            forward=np.log,
            inverse=series.exp,
            log_mu=_identity,
            log_complement=lambda eta: series.log(-series.expm1(eta)),
            latex=r"\log(\mu_i)",
            power=0,
        ),
        Link(
            name="sqrt",
            forward=np.sqrt,
            inverse=series.square,
            log_mu=_log_of(series.square),
            latex=r"\sqrt{\mu_i}",
            power=0.5,
        ),
        Link(
            name="inverse",
            forward=np.reciprocal,
            inverse=series.reciprocal,
            log_mu=lambda eta: -series.log(eta),
            latex=r"1 / \mu_i",
            power=-1,
        ),
        Link(
            name="inverse_squared",
            forward=lambda mu: mu**-2.0,
            inverse=_inverse_squared,
            log_mu=lambda eta: -0.5 * series.log(eta),
            latex=r"1 / \mu_i^2",
            power=-2,
        ),
    )
}
