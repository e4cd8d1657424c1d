"""What a response family is: one frozen record, below both estimators.

The response y of a row has a distribution with one parameter mu = inverse link(eta), eta the linear
predictor, and further parameters (a residual sd, the shape of a gamma, thresholds). The log
density of a family is written once, in NumPy's words (families/expression.py): on arrays it is
numbers, on series it has exact derivatives in eta and in each further parameter, on tensors it is
the likelihood of a PyMC model.

Knows no formulas, data frames or samplers. The built-in families have bambi's names and
parametrisations.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.calls import checked_init
from hierbayes.families.links import LINKS, Link
from hierbayes.families.series import Series, Value, variable

if TYPE_CHECKING:
    from hierbayes.families.psychometric import Curve

Parameters = Mapping[str, Value]
Response = Literal["numbers", "trials", "ordered"]
Scale = Literal["units", "mean", "shape", "share", "rare", "df", "skew", "cuts"]
Bounds = tuple[float, float]
POSITIVE: Bounds = (0.0, math.inf)
LARGEST_COUNT = 1e18  # means of counts beyond are more than generators of whole numbers take
BOUNDS: dict[str, Bounds] = {
    "share": (0.0, 1.0),
    "rare": (0.0, 1.0),
    "cuts": (-math.inf, math.inf),
}


@runtime_checkable
class Law(Protocol):
    """A prior distribution of one number, as ``hb.HalfNormal(2)`` is."""

    def bounds(self) -> Bounds:
        """Return the ends of its support."""

    def quantile(self, p: Any) -> FloatArray:
        """Quantiles at probabilities."""


@record
class Mean:
    """mu of one family at eta, and its logarithms, without loss of digits.

    Attributes
    ----------
    eta : linear predictor, array or series
    link : Link
    """

    eta: Value
    link: Link

    @property
    def mu(self) -> Value:
        """The parameter that eta belongs to."""
        return self.link.inverse(self.eta)

    @property
    def log(self) -> Value:
        """Log of mu."""
        return self.link.log_mu(self.eta)

    @property
    def log_complement(self) -> Value:
        """Log of 1 - mu."""
        return self.link.log_complement(self.eta)


@checked_init("hb.Support")
@record(kw_only=False)
class Support:
    """Which values a response may take.

    Attributes
    ----------
    words : in words
    holds : a test of each value
    mean_ends : between which ends mu must lie, whatever the link; None where it may be anything

    Examples
    --------
    >>> import hierbayes as hb
    >>> waits = hb.Support("numbers above 0", lambda y: y > 0)
    """

    words: str
    holds: Callable[[FloatArray], BoolArray]
    mean_ends: Bounds | None = None


@checked_init("hb.Parameter")
@record(kw_only=False)
class Parameter:
    """A further parameter of a family.

    Attributes
    ----------
    name : a word; bambi's in the built-in families
    prior : its default prior, such as ``hb.HalfNormal(2)``, whose support is that of the
        parameter; or what a weakly informative one is scaled by: "units" or "mean" of the
        response, or nothing ("shape", "share" of one, "rare", a share near zero, "df", "skew";
        "cuts" between categories)
    increasing : whether its values, one a threshold, increase

    Examples
    --------
    >>> import hierbayes as hb
    >>> hb.Parameter("scale", prior="units").bounds
    (0.0, inf)
    >>> hb.Parameter("skew", prior=hb.Normal(0, 1)).bounds
    (-inf, inf)
    """

    name: str
    prior: Scale | Law
    increasing: bool = False

    @property
    def bounds(self) -> Bounds:
        """Between which ends it lives."""
        if isinstance(self.prior, str):
            return BOUNDS.get(self.prior, POSITIVE)
        return self.prior.bounds()

    @property
    def is_positive(self) -> bool:
        """Whether it is above zero."""
        return self.bounds[0] >= 0


Density = Callable[[Value, Mean, Parameters], Value]
Draw = Callable[[np.random.Generator, FloatArray, Mapping[str, FloatArray]], Any]
Moment = Callable[[FloatArray, Mapping[str, FloatArray]], Any]


def _mu(mu: FloatArray, at: Mapping[str, FloatArray]) -> FloatArray:
    return mu


@checked_init("hb.Family")
@record
class Family:
    """A response family with one of its links.

    ``hb.Model(formula, data, family=...)`` takes one of your own; what is left out has the value of
    a continuous response without a range, whose expectation is mu.

    Attributes
    ----------
    name : a word; bambi's in the built-in families
    links : the links it has, the default first: names of built-in ones, or ``Link`` records
    log_density : of y given the mean and the parameters, ``(y, Mean, parameters)``, where ``Mean``
        has ``mu``, ``log`` (log mu), ``log_complement`` (log(1 - mu)) and ``eta``; None where only
        PyMC has it
    draw : responses, ``(rng, mu, parameters)``; None where only PyMC draws them
    support : values a response may take; None where every number may be one
    parameters : further parameters, besides mu
    expectation : of y given mu and the parameters; None where there is no formula for it
    variance : of y given mu and the parameters
    start : mu to begin a search at, from y (and trials)
    response : "numbers"; "trials", successes of so many; "ordered", categories in their order
    reads_categories : a response of two categories means failure and success
    weighs_sigma : its sd sigma takes precision weights, sigma / sqrt(weight)
    is_discrete : whether the response is a whole number
    is_log_response : mu belongs to the logarithm of the response
    is_smooth : whether the log density has derivatives everywhere
    title : how equations call the distribution; the name where not given
    relative_variance : variance over squared expectation in words, where the link is log: what a
        log-normal response of that spread has on the link scale
    add_likelihood : adds the observed response to a PyMC model, ``(name, eta, *, parameters,
        observed, dims)``; None for the log density as it is written
    curve : the asymptotes and the stimulus of a psychometric function, made by ``hb.psychometric``
    is_builtin : one of hierbayes, whose distribution in PyMC is bambi's of that name
    link_name : the link in use; the default where empty

    Examples
    --------
    A Rayleigh distribution, of waiting times with mean mu:

    >>> import numpy as np, hierbayes as hb
    >>> def log_density(y, mean, at):
    ...     r = np.pi * y / (2 * mean.mu)
    ...     return np.log(r / mean.mu) - r * y / (2 * mean.mu)
    >>> rayleigh = hb.Family(
    ...     name="rayleigh", links=("log",), log_density=log_density,
    ...     draw=lambda rng, mu, at: rng.rayleigh(mu * np.sqrt(2 / np.pi)),
    ...     support=hb.Support("positive numbers", lambda y: y > 0))
    >>> model = hb.Model("y ~ 1 + (1 | Batch)", data={
    ...     "y": [1.0, 2.0, 0.5, 3.0, 1.5, 2.5], "Batch": list("aabbcc")}, family=rayleigh)
    >>> model.family, model.link
    ('rayleigh', 'log')
    """

    name: str
    links: tuple[str | Link, ...]
    log_density: Density | None = None
    draw: Draw | None = None
    support: Support | None = None
    parameters: tuple[Parameter, ...] = ()
    expectation: Moment | None = _mu
    variance: Moment | None = None
    start: Callable[[FloatArray], FloatArray] | None = None
    response: Response = "numbers"
    reads_categories: bool = False
    weighs_sigma: bool = False
    is_discrete: bool = False
    is_log_response: bool = False
    is_smooth: bool = True
    title: str = ""
    relative_variance: str = ""
    add_likelihood: Callable[..., Any] | None = None
    curve: "Curve | None" = None
    is_builtin: bool = False
    link_name: str = ""

    def __str__(self) -> str:
        return self.name

    def with_link(self, name: str | None) -> "Family":
        """Return the family with another of its links; its default where None."""
        name = self.link_names[0] if name is None else name
        return self if name == self.link.name else replace(self, link_name=name)

    @cached_property
    def link(self) -> Link:
        """The link in use."""
        return self._links[self.link_name or self.link_names[0]]

    @property
    def link_names(self) -> tuple[str, ...]:
        """Names of the links it has, the default first."""
        return tuple(self._links)

    @cached_property
    def _links(self) -> dict[str, Link]:
        links = (LINKS[link] if isinstance(link, str) else link for link in self.links)
        return {link.name: link for link in links}

    @property
    def heading(self) -> str:
        """How equations call the distribution."""
        return self.title or self.name.replace("_", " ").title().replace(" ", "")

    @property
    def counts_trials(self) -> bool:
        """Whether the response is a number of successes of so many trials."""
        return self.response == "trials"

    @property
    def is_ordinal(self) -> bool:
        """Whether the response is one of ordered categories, with thresholds between them."""
        return self.response == "ordered"

    @property
    def is_linear(self) -> bool:
        """Whether the model is linear and Gaussian: everything has a closed form given theta."""
        return self.is_builtin and self.name == "gaussian" and self.link.name == "identity"

    @property
    def predictor_is_expectation(self) -> bool:
        """Whether eta itself is the expected response."""
        return self.link.name == "identity" and self.has_expectation and self.keeps_units

    @property
    def latent_variance(self) -> float:
        """Variance of the latent residual behind categories; NaN where there is none."""
        binary = self.reads_categories and not self.parameters
        increasing = self.is_ordinal and all(p.increasing for p in self.parameters)
        return self.link.latent_variance if binary or increasing else math.nan

    @property
    def mean_ends(self) -> Bounds | None:
        """Between which ends mu must lie; None where it may be anything, as that of a logarithm."""
        if self.counts_trials:
            return 0.0, 1.0
        is_mean = self.support is not None and not self.is_log_response
        return self.support.mean_ends if is_mean and self.support else None

    def is_drawable(self, mu: FloatArray) -> BoolArray:
        """Whether responses of mean mu are possible, and small enough to be drawn."""
        mu = np.asarray(mu)
        low, high = self.mean_ends or (-math.inf, math.inf)
        if self.is_discrete and high == math.inf:
            high = LARGEST_COUNT
        return np.asarray(np.isfinite(mu) & (mu >= low) & (mu <= high))

    @property
    def knows_expectation(self) -> bool:
        """Whether there is a formula for the expected response."""
        return self.is_ordinal or self.expectation is not None

    @property
    def knows_variance(self) -> bool:
        """Whether there is a formula for the variance of the response."""
        return self.is_ordinal or self.variance is not None

    @property
    def has_expectation(self) -> bool:
        """Whether mu is the expected response (the probability, of a number of successes)."""
        return self.expectation is _mu

    @property
    def keeps_units(self) -> bool:
        """Whether the response has units of its own, as numbers without a range do."""
        return self.response == "numbers" and self.support is None

    @cached_property
    def further_parameters(self) -> tuple[Parameter, ...]:
        """The parameters besides mu and a residual sd that takes weights."""
        return tuple(p for p in self.parameters if not (self.weighs_sigma and p.name == "sigma"))

    def mean(self, eta: FloatArray) -> FloatArray:
        """Mu at eta; where there is none the number that the link's formula gives, perhaps NaN."""
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return np.asarray(self.link.inverse(eta))

    def category_probabilities(
        self, eta: FloatArray, parameters: Mapping[str, FloatArray]
    ) -> FloatArray:
        """Probabilities of the K + 1 ordered categories.

        Parameters
        ----------
        eta : array, any shape
        parameters : with ``threshold`` of shape (K,), or (..., 1, K) beside eta

        Returns
        -------
        array, the shape of eta and (K + 1,)
        """
        assert self.is_ordinal and self.log_density is not None
        mean = Mean(eta=eta, link=self.link)
        n_categories = parameters["threshold"].shape[-1] + 1
        parts = [
            np.exp(self.log_density(np.full(eta.shape[-1:], float(k)), mean, parameters))
            for k in range(n_categories)
        ]
        return np.stack(parts, axis=-1)

    def expected(self, eta: FloatArray, parameters: Mapping[str, FloatArray]) -> FloatArray:
        """Return the expected response at eta; of an ordered one the mean category, from 0."""
        if self.is_ordinal:
            shares = self.category_probabilities(eta, parameters)
            return np.asarray(shares @ np.arange(shares.shape[-1]))
        assert self.expectation is not None
        return np.asarray(self.expectation(self.mean(eta), parameters))

    def variance_at(self, eta: FloatArray, parameters: Mapping[str, FloatArray]) -> FloatArray:
        """Return the variance of the response at eta."""
        if self.is_ordinal:
            shares = self.category_probabilities(eta, parameters)
            k = np.arange(shares.shape[-1])
            return np.asarray(shares @ k**2 - (shares @ k) ** 2)
        assert self.variance is not None
        return np.asarray(self.variance(self.mean(eta), parameters))

    def drawn(
        self, rng: np.random.Generator, eta: FloatArray, parameters: Mapping[str, FloatArray]
    ) -> FloatArray:
        """Draw responses at eta (draws, rows); of an ordered one the categories, from 0.

        NaN where there is none: a mean beyond its ends, or beyond all numbers.
        """
        if self.is_ordinal:
            below = np.cumsum(self.category_probabilities(eta, parameters)[..., :-1], axis=-1)
            return np.asarray((rng.random(eta.shape)[..., None] > below).sum(axis=-1), dtype=float)
        assert self.draw is not None
        mu = self.mean(eta)
        possible = self.is_drawable(mu)
        if not possible.any():
            return np.full(mu.shape, np.nan)
        if not possible.all():
            mu = np.where(possible, mu, mu[possible].flat[0])
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.asarray(self.draw(rng, mu, parameters), dtype=np.float64)
        return np.where(possible & np.isfinite(values), values, np.nan)

    def derivatives(
        self,
        y: FloatArray,
        eta: FloatArray,
        parameters: Mapping[str, FloatArray],
        *,
        order: int,
        of: str | None = None,
        order_of: int = 1,
        along: FloatArray | None = None,
    ) -> Series:
        """Log density with its derivatives.

        Parameters
        ----------
        y : array, shape (n,), or (n, 2), successes and trials
        eta : array, shape (n,)
        parameters : by name, what broadcasts with eta
        order : the highest derivative in eta
        of : a further parameter to differentiate in, besides
        order_of : the highest derivative in it
        along : array, shape (K,), the direction of the derivative in K thresholds

        Returns
        -------
        Series
            ``.derivative(i, j)`` is the i-th derivative in eta and j-th in the parameter.
        """
        assert self.log_density is not None
        second = 0 if of is None else order_of
        at: dict[str, Value] = dict(parameters)
        if of is not None and along is not None:
            z = variable(np.asarray(at[of], dtype=np.float64), order=order, second=second, of="z")
            z.c[0, 1] *= along
            at[of] = z
        elif of is not None:
            values = np.broadcast_to(np.asarray(at[of], dtype=np.float64), np.shape(eta))
            at[of] = variable(values, order=order, second=second, of="z")
        x = variable(eta, order=order, second=second)
        found = self.log_density(y, Mean(eta=x, link=self.link), at)
        assert isinstance(found, Series)
        return found
