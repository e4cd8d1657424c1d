"""Prior and posterior densities of the parameters of a model, each on its own scale.

The posterior's is that of its draws, smoothed; the prior's is in closed form. Two priors need a
step: the intercept's is stated at the mean of the predictors and is shifted to their zero, by the
priors of the slopes; an LKJ(eta) prior of a q x q correlation matrix makes each correlation r
Beta distributed: (r + 1) / 2 ~ Beta(a, a) with a = eta + q / 2 - 1.

Source: Lewandowski, Kurowicka & Joe (2009), J. Multivariate Analysis 100(9), for the marginals.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.design.design import Design
from hierbayes.errors import OptionError
from hierbayes.gaussian.patterned import check_patterned
from hierbayes.gaussian.products import covariance_shape
from hierbayes.options import ParameterView, check_option
from hierbayes.priors.distributions import Flat, Normal, Prior
from hierbayes.priors.model_priors import ModelPriors
from hierbayes.results.density import density
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.visit_correlations import visits_of_correlations

LogDensity = Callable[[FloatArray], FloatArray]

GRID = 401  # points of a density
TAIL = 0.001  # of the posterior, left out at both ends
ROOM = 0.35  # beyond it on both sides, as part of the range
PRIOR_TAIL = 0.025  # of the prior, left out where its range is shown
MIXED = 20_000  # points of a prior that is a sum of others
REAL, POSITIVE, SIGNED = (-math.inf, math.inf), (0.0, math.inf), (-1.0, 1.0)


@record
class ParameterDensity:
    """One parameter: where it may be before and after the data.

    Attributes
    ----------
    name : for example "Days", "sd(Days|Subject)", "cor((Intercept),Days|Subject)", "sigma"
    bounds : the values it can have
    x : array, shape (G,), a grid on the parameter's own scale
    posterior, prior : arrays, shape (G,), densities per unit of x; the prior NaN where it is flat
    prior_text : the prior as text; empty where it has no name of its own
    draws : array, shape (S,), of the posterior
    """

    name: str
    bounds: tuple[float, float]
    x: FloatArray
    posterior: FloatArray
    prior: FloatArray
    prior_text: str
    draws: FloatArray


@record
class _Law:
    """A prior: its log density, its text and two far quantiles (NaN where it is improper)."""

    log_density: LogDensity
    text: str
    low: float
    high: float


def parameter_densities(
    posterior: PosteriorFit,
    parameters: Sequence[str] | None = None,
    *,
    view: ParameterView = "posterior",
) -> tuple[ParameterDensity, ...]:
    """Return the densities of parameters before and after the data.

    Parameters
    ----------
    posterior : PosteriorFit
    parameters : names as ``tidy`` and ``compare`` write them; all but the random effects unless
        said
    view : {"posterior", "prior"}
        Which of the two the grid holds nearly all of.

    Raises
    ------
    OptionError
        If a name is unknown, or this is no posterior.

    Examples
    --------
    >>> import hierbayes as hb
    >>> from hierbayes.comparison.parameter_densities import parameter_densities
    >>> model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> [d.name for d in parameter_densities(model.sample(random_seed=1))]
    ['(Intercept)', 'sd((Intercept)|Batch)', 'sigma']
    """
    if not isinstance(posterior, PosteriorFit):
        raise OptionError(
            "Prior and posterior are those of a posterior fit, model.sample(); this is "
            f"{type(posterior).__name__}."
        )
    check_option("view", view, ParameterView)
    check_patterned(posterior.design, "Densities of prior and posterior")
    known = _draws_and_laws(posterior)
    chosen = list(known)
    if parameters is not None:
        is_one = isinstance(parameters, str) or not isinstance(parameters, Iterable)
        given: list[Any] = [parameters] if is_one else list(parameters)
        places = [posterior.addresses.place(name) for name in given]
        chosen = [posterior.addresses.labels[place] for place in places]
    return tuple(_density(name, *known[name], view=view) for name in chosen)


def compared_densities(posterior: PosteriorFit, names: Sequence[str]) -> list[ParameterDensity]:
    """Return the densities of rows of a comparison, sds of strata of residuals among them.

    The prior of these follows from those of other parameters; it is NaN.
    """
    if not posterior.residual_quantities:
        return list(parameter_densities(posterior, names))
    known = _draws_and_laws(posterior)
    for own in posterior.residual_quantities:
        bounds = POSITIVE if own.is_sd else REAL if own.group == "Residual" else SIGNED
        _, law, _ = known.get(own.parameter, (None, _unknown(), None))
        known[own.parameter] = (own.values, law, bounds)
    return [_density(name, *known[name], view="posterior") for name in names]


def _draws_and_laws(
    fit: PosteriorFit,
) -> dict[str, tuple[FloatArray, _Law, tuple[float, float]]]:
    """Draws, prior and bounds of every parameter but the random effects."""
    found = {}
    own, further = (fit.design, fit.priors, fit.draws), []
    for name, draws in fit.draws.formulas.items():
        further.append((fit.design.of(name), fit.priors.formulas[name], draws))
    predictors = [one for one in (own, *further) for _ in range(2)]  # coefficients, then scales
    for part, (design, priors, draws) in zip(fit.parameters(), predictors, strict=True):
        is_fixed = part.effect == "fixed"
        laws = _fixed_laws(priors) if is_fixed else _variance_laws(design, priors, draws)
        for i, (name, (law, bounds)) in enumerate(zip(part.names, laws, strict=True)):
            found[name] = (part.draws[:, :, i].ravel(), law, bounds)
    return found


def _fixed_laws(priors: ModelPriors) -> list[tuple[_Law, tuple[float, float]]]:
    laws = [(_law(prior), prior.bounds()) for prior in priors.beta]
    if priors.intercept is not None and np.any(priors.centre):
        laws[priors.intercept] = (_intercept_law(priors, priors.intercept), REAL)
    return laws


def _intercept_law(priors: ModelPriors, intercept: int) -> _Law:
    """Prior of the intercept where the predictors are zero: alpha - centre' beta."""
    text = f"{priors.beta[intercept]} at the mean of the predictors"
    parts = [(priors.beta[k], -float(c)) for k, c in enumerate(priors.centre) if c != 0]
    parts.append((priors.beta[intercept], 1.0))
    if any(isinstance(prior, Flat) for prior, _ in parts):
        return _Law(log_density=_unknown().log_density, text=text, low=math.nan, high=math.nan)
    normal = [(prior, weight) for prior, weight in parts if isinstance(prior, Normal)]
    if len(normal) == len(parts):
        mu = sum(weight * prior.mu for prior, weight in normal)
        law = _law(Normal(mu, math.hypot(*(weight * prior.sigma for prior, weight in normal))))
        return _Law(log_density=law.log_density, text=text, low=law.low, high=law.high)
    rng = np.random.default_rng(0)  # of points of a distribution, not of an answer
    total = np.zeros(MIXED)
    for prior, weight in parts:
        total += weight * prior.quantile((rng.permutation(MIXED) + 0.5) / MIXED)
    smooth = density(total)
    with np.errstate(divide="ignore"):
        heights = np.log(smooth.height)
    low, high = np.quantile(total, [PRIOR_TAIL, 1 - PRIOR_TAIL]).tolist()

    def log_density(x: FloatArray) -> FloatArray:
        return np.asarray(np.interp(x, smooth.x, heights, left=-np.inf, right=-np.inf))

    return _Law(log_density=log_density, text=text, low=low, high=high)


def _variance_laws(
    design: Design, priors: ModelPriors, draws: PosteriorDraws
) -> list[tuple[_Law, tuple[float, float]]]:
    """Priors in the order of ``variance_parameters``."""
    laws: list[tuple[_Law, tuple[float, float]]] = []
    structures = covariance_shape(design).structures
    for t, (term, eta, own) in enumerate(zip(design.terms, priors.lkj, structures, strict=True)):
        q = len(term.columns)
        if own is not None:
            given = [law for law in priors.of_structure(t) if law is not None]
            laws += [(_law(law), law.bounds()) for law in given]
            continue
        laws += [(_law(priors.sd[term.factor][column]), POSITIVE) for column in term.columns]
        if eta is not None:
            laws += [(_correlation_law(float(eta), q), SIGNED)] * (q * (q - 1) // 2)
    if priors.sigma is not None:
        laws.append((_law(priors.sigma), POSITIVE))
    n_visits = visits_of_correlations(len([name for name in draws.family if name[:4] == "cor_"]))
    for name, value in draws.family.items():
        prior = priors.family.get(name)
        law = (_unknown(), REAL) if prior is None else (_law(prior), prior.bounds())
        if prior is None and priors.visits is not None:
            law = (_correlation_law(priors.visits, n_visits), SIGNED)
        laws += [law if value.ndim == 2 else (_unknown(), REAL)] * value[0, 0].size
    return laws


def _law(prior: Prior) -> _Law:
    if isinstance(prior, Flat):
        return _Law(
            log_density=_unknown().log_density, text=str(prior), low=math.nan, high=math.nan
        )
    low, high = prior.quantile([PRIOR_TAIL, 1 - PRIOR_TAIL]).tolist()
    return _Law(log_density=prior.log_density, text=str(prior), low=low, high=high)


def _correlation_law(eta: float, size: int) -> _Law:
    from scipy.special import betaincinv, betaln

    a = eta + size / 2 - 1
    constant = -(2 * a - 1) * math.log(2) - float(betaln(a, a))

    def log_density(r: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore"):
            return np.asarray(constant + (a - 1) * np.log1p(-np.square(r)))

    low = 2 * float(betaincinv(a, a, PRIOR_TAIL)) - 1
    return _Law(log_density=log_density, text=f"LKJ({eta:.4g})", low=low, high=-low)


def _unknown() -> _Law:
    return _Law(
        log_density=lambda x: np.full(np.shape(x), np.nan), text="", low=math.nan, high=math.nan
    )


def _density(
    name: str,
    draws: FloatArray,
    law: _Law,
    bounds: tuple[float, float],
    *,
    view: ParameterView,
) -> ParameterDensity:
    low, high = np.quantile(draws, [TAIL, 1 - TAIL]).tolist()
    room = ROOM * ((high - low) or abs(high) or 1.0)
    low, high = low - room, high + room
    if view == "prior" and np.isfinite([law.low, law.high]).all():
        low, high = min(low, law.low), max(high, law.high)
    if bounds == SIGNED:
        low, high = SIGNED
    elif bounds[0] == 0 and low < 0.25 * high:  # near zero: show it
        low = 0.0
    x = np.linspace(max(low, bounds[0]), min(high, bounds[1]), GRID)
    smooth = density(draws, lower=bounds[0], upper=bounds[1])
    with np.errstate(divide="ignore", over="ignore"):
        prior = np.exp(np.asarray(law.log_density(x), dtype=np.float64))
    return ParameterDensity(
        name=name,
        bounds=bounds,
        x=x,
        posterior=np.interp(x, smooth.x, smooth.height, left=0.0, right=0.0),
        prior=prior,
        prior_text=law.text,
        draws=draws,
    )
