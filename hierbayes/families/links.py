"""Links: how the linear predictor eta becomes the parameter mu that it belongs to.

mu = inverse(eta), eta = forward(mu). ``log_mu`` and ``log_complement`` give log mu and log(1 - mu)
from eta without the digits that 1 - mu loses. All but ``forward`` take arrays, series and tensors
(families/expression.py), so their derivatives are exact.

A binary response with link F^-1 is a latent variable with distribution F above zero; the variance
of F is that of the latent residual (Nakagawa, Johnson & Schielzeth 2017, J. R. Soc. Interface 14).
"""

import math
from collections.abc import Callable

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.calls import checked_init
from hierbayes.families import series
from hierbayes.families.series import Value


@checked_init("hb.Link")
@record
class Link:
    """A link function and its inverse, in NumPy's words.

    Attributes
    ----------
    name : a word; of bambi and of R in the built-in links
    forward : eta of mu
    inverse : mu of eta
    exact_log : log mu of eta where the logarithm of ``inverse`` would lose digits
    exact_log_complement : log(1 - mu) of eta where that of 1 - mu would
    latex : eta as a function of mu_i; the name where not given
    latent_variance : of the latent residual of a binary response, NaN where there is none
    power : p of a link eta = mu^p, which carries units over; 0 of log, NaN of others

    Examples
    --------
    The log-log link, for events that become certain slowly:

    >>> import numpy as np, hierbayes as hb
    >>> loglog = hb.Link(name="loglog", forward=lambda mu: -np.log(-np.log(mu)),
    ...     inverse=lambda eta: np.exp(-np.exp(-eta)), exact_log=lambda eta: -np.exp(-eta))
    >>> round(float(loglog.inverse(loglog.forward(0.25))), 12)
    0.25
    """

    name: str
    forward: Callable[[FloatArray], FloatArray]
    inverse: Callable[[Value], Value]
    exact_log: Callable[[Value], Value] | None = None
    exact_log_complement: Callable[[Value], Value] | None = None
    latex: str = ""
    latent_variance: float = math.nan
    power: float = math.nan

    def log_mu(self, eta: Value) -> Value:
        """Log mu of eta, where mu is positive."""
        if self.exact_log is None:
            return series.log(self.inverse(eta))
        return self.exact_log(eta)

    def log_complement(self, eta: Value) -> Value:
        """log(1 - mu) of eta, where mu is a probability."""
        if self.is_symmetric:
            return self.log_mu(-eta)
        if self.exact_log_complement is None:
            return series.log1p(-self.inverse(eta))
        return self.exact_log_complement(eta)

    @property
    def is_symmetric(self) -> bool:
        """Whether 1 - mu of eta is mu of -eta, known of built-in links."""
        return self.name in SYMMETRIC and LINKS[self.name] is self

    @property
    def equation(self) -> str:
        """Eta as a function of mu_i, in LaTeX."""
        return self.latex or rf"\operatorname{{{self.name}}}(\mu_i)"

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


def _identity(eta: Value) -> Value:
    return eta


def _cloglog_inverse(eta: Value) -> Value:
    return -series.expm1(-series.exp(eta))


def _cauchit_inverse(eta: Value) -> Value:
    return series.arctan(eta) / math.pi + 0.5


def _inverse_squared(eta: Value) -> Value:
    return series.reciprocal(series.sqrt(eta))


SYMMETRIC = ("logit", "probit", "cauchit")
LINKS: dict[str, Link] = {
    link.name: link
    for link in (
        Link(
            name="identity",
            forward=np.asarray,
            inverse=_identity,
            latex=r"\mu_i",
            power=1,
        ),
        Link(
            name="logit",
            forward=lambda mu: series.special.logit(mu),
            inverse=series.expit,
            exact_log=series.log_expit,
            latex=r"\operatorname{logit}(\mu_i)",
            latent_variance=math.pi**2 / 3,
        ),
        Link(
            name="probit",
            forward=lambda mu: series.special.ndtri(mu),
            inverse=series.ndtr,
            exact_log=series.log_ndtr,
            latex=r"\Phi^{-1}(\mu_i)",
            latent_variance=1.0,
        ),
        Link(
            name="cloglog",
            forward=lambda mu: np.log(-np.log1p(-mu)),
            inverse=_cloglog_inverse,
            exact_log_complement=lambda eta: -series.exp(eta),
            latex=r"\log(-\log(1 - \mu_i))",
            latent_variance=math.pi**2 / 6,
        ),
        Link(
            name="cauchit",
            forward=lambda mu: np.tan(math.pi * (mu - 0.5)),
            inverse=_cauchit_inverse,
            latex=r"\tan(\pi (\mu_i - 1/2))",
        ),
        Link(
            name="log",
            forward=np.log,
            inverse=series.exp,
            exact_log=_identity,
            exact_log_complement=lambda eta: series.log(-series.expm1(eta)),
            latex=r"\log(\mu_i)",
            power=0,
        ),
        Link(
            name="sqrt",
            forward=np.sqrt,
            inverse=series.square,
            latex=r"\sqrt{\mu_i}",
            power=0.5,
        ),
        Link(
            name="inverse",
            forward=np.reciprocal,
            inverse=series.reciprocal,
            exact_log=lambda eta: -series.log(eta),
            latex=r"1 / \mu_i",
            power=-1,
        ),
        Link(
            name="inverse_squared",
            forward=lambda mu: mu**-2.0,
            inverse=_inverse_squared,
            exact_log=lambda eta: -0.5 * series.log(eta),
            latex=r"1 / \mu_i^2",
            power=-2,
        ),
    )
}
