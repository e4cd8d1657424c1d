"""The posterior under other priors of some parameters, from draws under the present ones.

Weights are ratios of priors. In a Gaussian model with Normal or flat priors of the coefficients
they run over the variance parameters, beta and b integrated out (``conditional.py``); elsewhere
over the draws of all parameters. Where the weights can't be trusted the model is sampled under the
priors in question, and these draws serve the priors around them too.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.bayes.collapsed import sample_collapsed
from hierbayes.bayes.generalised import sample_generalised
from hierbayes.bayes.posterior import sample
from hierbayes.bayes.predictive import FlatDraws, flat_draws
from hierbayes.design.design import Design
from hierbayes.errors import HierBayesWarning
from hierbayes.gaussian.structures import structure
from hierbayes.options import Sampler
from hierbayes.prior_sensitivity.conditional import Conditional, conditional, is_conditional
from hierbayes.prior_sensitivity.weighted import Answer, answer
from hierbayes.priors.distributions import Flat, Normal, Prior
from hierbayes.priors.lkj import LKJ, lkj_log_density
from hierbayes.priors.model_priors import ModelPriors
from hierbayes.priors.parameter_names import Parameter
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.visit_correlations import as_matrix
from hierbayes.specification.specification import Specification

Laws = Mapping[Parameter, Prior | LKJ]
Cell = tuple[float, ...]  # widths of priors

# Up to 0.5 the weights have a finite variance, so that the errors of unsmoothed ones are known;
# Vehtari et al. (2024) trust smoothed ones up to 0.7.
FINITE_VARIANCE_K = 0.5
LEAST = 0.1  # part of the draws that has to be effective
LEAST_TAIL = 0.25  # of those beyond an end of the interval
# Posterior sds: a coefficient with so narrow a prior about zero is zero, to a millionth in the log
# of the density of the data.
HELD = 1e-3


@record
class Base:
    """Draws under known priors.

    Attributes
    ----------
    at : array, where on the axes of widths they were drawn, log widths
    priors, draws : what was sampled
    flat : the draws, chains one after the other
    given : the coefficients asked about given the variance parameters, or None
    is_refit : whether the model was sampled for these priors
    """

    at: FloatArray
    priors: ModelPriors
    draws: PosteriorDraws
    flat: FlatDraws
    given: Conditional | None
    is_refit: bool = False


@record
class Found:
    """An answer under some priors, and what it comes from.

    ``log_bf`` is against the coefficient being zero by its prior and posterior density there,
    ``log_bf_prior`` of these priors against those of the fit, with the error of the draws they come
    from; NaN where there is none.
    """

    answer: Answer
    base: Base
    is_trusted: bool
    log_bf: float
    log_bf_prior: float
    log_bf_prior_mcse: float


@record(kw_only=False)
class Evidence:
    """A log marginal likelihood or a difference of two, with its Monte-Carlo error."""

    value: float
    mcse: float


class Explorer:
    """Answers about one parameter under other priors of some.

    Parameters
    ----------
    fit : the posterior
    changed : the parameters whose priors change
    of : position among the parameters of ``tidy()``
    level : of intervals
    is_normal : whether all priors asked about are Normal or flat
    refit : whether to sample where weights can't be trusted
    rng : for that
    """

    def __init__(
        self,
        fit: PosteriorFit,
        changed: Sequence[Parameter],
        of: int,
        *,
        level: float,
        is_normal: bool,
        refit: bool,
        rng: np.random.Generator,
    ) -> None:
        self.fit, self.changed, self.of = fit, tuple(changed), of
        self.level, self.refit, self.rng = level, refit, rng
        self.is_coefficient = of < fit.beta.size
        self.is_structured = fit.residual_structure is not None
        known = is_conditional(fit.spec)
        self.integrates = known and is_normal and fit.priors.gaussian_beta() is not None
        self.own: Laws = {p: fit.priors.of(p) for p in changed}
        self.bases: list[Base] = []
        self.n_refits = 0

    def start(self, at: FloatArray) -> None:
        """Begin with the draws of the fit, whose priors are at ``at``."""
        self.bases = [self._base(at, self.fit.priors, self.fit.draws)]

    def every(self, asked: Mapping[Cell, Laws], places: Mapping[Cell, FloatArray]) -> list[Found]:
        """Answer under many priors, in their order, with as few samples as will do.

        Of those that weights do not reach the middle one is sampled, and its draws are tried for
        the others, until there is an answer to each or no help.
        """
        found = {cell: self.weighed(laws, places[cell]) for cell, laws in asked.items()}
        left = [cell for cell in asked if not found[cell].is_trusted]
        while left and self.refit:
            own = self.bases[0].at
            left.sort(key=lambda cell: float(np.abs(places[cell] - own).sum()))
            cell = left.pop(len(left) // 2)
            found[cell] = self.refitted(asked[cell], places[cell])
            found |= {other: self.weighed(asked[other], places[other]) for other in left}
            left = [other for other in left if not found[other].is_trusted]
        return [found[cell] for cell in asked]

    def found(self, laws: Laws, at: FloatArray) -> Found:
        """Answer under other priors, which are at ``at`` on the axes of widths."""
        first = self.weighed(laws, at)
        return first if first.is_trusted or not self.refit else self.refitted(laws, at)

    def weighed(self, laws: Laws, at: FloatArray) -> Found:
        """Answer by weights of the draws that are nearest."""
        nearest = min(self.bases, key=lambda base: float(np.abs(base.at - at).sum()))
        return self._weighed(nearest, laws)

    def refitted(self, laws: Laws, at: FloatArray) -> Found:
        """Answer by sampling the model under these priors; the draws are kept."""
        spec, draws = self._sampled(laws)
        base = self._base(at, spec.priors, draws, is_refit=True)
        self.bases.append(base)
        return replace(self._weighed(base, laws), is_trusted=not draws.findings)

    def of_null(self) -> Evidence | None:
        """Evidence of the fit's priors against the coefficient asked about being zero.

        By sampling the model with the coefficient held at zero by its prior.
        """
        own, own_mcse = self.fit.log_marginal_likelihood, self.fit.log_marginal_likelihood_mcse
        if own is None or not self.refit or self.null_of is None:
            return None
        held = Normal(0.0, HELD * float(np.sqrt(self.fit.vcov_beta[self.of, self.of])))
        draws = self._sampled({self.null_of: held})[1]
        if draws.findings or draws.log_marginal_likelihood is None:
            return None
        mcse = np.hypot(own_mcse or 0.0, draws.log_marginal_likelihood_mcse or 0.0)
        return Evidence(own - draws.log_marginal_likelihood, float(mcse))

    def _sampled(self, laws: Laws) -> tuple[Specification, PosteriorDraws]:
        """Sample the model with some priors in place of those of the fit."""
        spec = self.fit.spec.with_priors(_named(self.fit.priors, laws))
        self.n_refits += 1
        C, D = self.fit.draws.beta.shape[:2]
        options: dict[str, Any] = {"draws": D, "chains": C, "random_seed": self.rng}
        if self.is_structured:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", HierBayesWarning)  # its findings are looked at
                sampler: Sampler = "collapsed" if self.fit.sampler == "collapsed" else "nuts"
                return spec, sample(spec, sampler=sampler, **options).draws
        if spec.family.is_linear:
            kernel, priors = spec.kernel("reml"), spec.priors
            return spec, sample_collapsed(kernel, priors, spec.design, **options)
        if self.fit.sampler != "collapsed":
            return spec, sample(spec, sampler="nuts", **options).draws
        return spec, sample_generalised(spec, **options)

    def _base(
        self, at: FloatArray, priors: ModelPriors, draws: PosteriorDraws, is_refit: bool = False
    ) -> Base:
        flat = flat_draws(draws, self.fit.design)
        given, rows = None, self._rows()
        if self.integrates and rows.size:
            given = conditional(self.fit.spec, priors, flat, rows)
        return Base(at=at, priors=priors, draws=draws, flat=flat, given=given, is_refit=is_refit)

    def _rows(self) -> FloatArray:
        """Return combinations of coefficients as priors see them: those changed, the target."""
        priors = self.fit.priors
        unit = np.eye(len(priors.beta))
        rows = [unit[p.place[0]] for p in self.changed if p.kind == "beta"]
        if self.is_coefficient:
            target = unit[self.of].copy()
            if self.of == priors.intercept:
                target -= priors.centre
            rows.append(target)
        return np.array(rows).reshape(len(rows), unit.shape[0])

    def _weighed(self, base: Base, laws: Laws) -> Found:
        given, log_weights = base.given, np.zeros(base.flat.n_draws)
        place = 0
        for parameter, law in laws.items():
            old = base.priors.of(parameter)
            if given is not None and parameter.kind == "beta":
                assert isinstance(law, Prior) and isinstance(old, Prior)
                given, place = given.with_prior(place, old, law), place + 1
            else:
                new = log_prior_of(parameter, law, base.flat, self.fit.design, base.priors)
                now = log_prior_of(parameter, old, base.flat, self.fit.design, base.priors)
                log_weights = log_weights + new - now
        if given is not None:
            log_weights = log_weights + given.log_weights
        if given is not None and self.is_coefficient:
            mean, variance = given.mean[:, -1], given.covariance[:, -1, -1]
            said = answer(log_weights, mean, variance, self.level)
        else:
            said = answer(log_weights, self._values(base.draws), None, self.level)
        S = base.flat.n_draws
        enough = said.ess >= LEAST * S and said.tail_ess >= LEAST_TAIL * S * (1 - self.level) / 2
        return Found(
            answer=said,
            base=base,
            is_trusted=said.pareto_k <= FINITE_VARIANCE_K and enough,
            log_bf=self._null_density(laws) - said.log_density,
            log_bf_prior=(evidence := self._evidence(base, laws, said)).value,
            log_bf_prior_mcse=evidence.mcse,
        )

    def _values(self, draws: PosteriorDraws) -> FloatArray:
        fit = self.fit if draws is self.fit.draws else replace(self.fit, draws=draws)
        parts = np.concatenate([part.draws for part in fit.parameters()], axis=2)
        return np.asarray(parts[:, :, self.of].ravel())

    @cached_property
    def null_of(self) -> Parameter | None:
        """The coefficient asked about, if its prior is of itself and of nothing else besides."""
        priors = self.fit.priors
        if not self.is_coefficient or (self.of == priors.intercept and np.any(priors.centre)):
            return None
        return next(p for p in priors.parameters if p.kind == "beta" and p.place[0] == self.of)

    def _null_density(self, laws: Laws) -> float:
        """Log prior density of a coefficient at zero; NaN where it has none of its own."""
        if self.null_of is None:
            return np.nan
        law = laws.get(self.null_of, self.fit.priors.of(self.null_of))
        assert isinstance(law, Prior)
        return np.nan if isinstance(law, Flat) else float(law.log_density(0.0))

    def _evidence(self, base: Base, laws: Laws, said: Answer) -> Evidence:
        """Evidence of other priors against those of the fit, with the error of the draws' own."""
        if any(isinstance(law, Flat) for law in [*laws.values(), *self.own.values()]):
            return Evidence(np.nan, np.nan)
        if not base.is_refit:
            return Evidence(said.log_evidence, 0.0)
        first, last = self.fit.draws, base.draws
        if first.log_marginal_likelihood is None or last.log_marginal_likelihood is None:
            return Evidence(np.nan, np.nan)
        gap = last.log_marginal_likelihood - first.log_marginal_likelihood
        errors = (first.log_marginal_likelihood_mcse, last.log_marginal_likelihood_mcse)
        mcse = math.hypot(*(error or 0.0 for error in errors))
        return Evidence(gap + said.log_evidence, mcse)


def is_normal(law: Prior | LKJ) -> bool:
    """Whether a prior of a coefficient is Normal or flat, so that it can be integrated out."""
    return isinstance(law, Normal) or type(law) is Flat


def log_prior_of(
    parameter: Parameter, law: Prior | LKJ, flat: FlatDraws, design: Design, priors: ModelPriors
) -> FloatArray:
    """Log density of S draws of one parameter under a law, shape (S,)."""
    at = parameter.place
    if parameter.formula:
        name, plain = parameter.formula, replace(parameter, formula="")
        further = flat.formulas[name], design.of(name), priors.formulas[name]
        return log_prior_of(plain, law, *further)
    if parameter.kind == "visits":
        assert isinstance(law, LKJ)
        R = as_matrix(flat.family, parameter.name)[parameter.name]
        return np.asarray(lkj_log_density(R, law.eta))
    if isinstance(law, LKJ):
        term = design.terms[at[0]]
        corr, columns = flat.corr[term.factor], list(term.columns)
        assert corr is not None
        return np.asarray(lkj_log_density(corr[:, columns][:, :, columns], law.eta))
    if parameter.kind == "beta":
        values = flat.beta[:, at[0]]
        if at[0] == priors.intercept:
            values = values + flat.beta @ priors.centre
    elif parameter.kind == "sd":
        values = flat.sd[at[0]][:, at[1]]
    elif parameter.kind == "pattern":
        term = design.terms[at[0]]
        columns, own = list(term.columns), structure(term.covariance, len(term.columns))
        corr = flat.corr[term.factor]
        assert own is not None and corr is not None
        r = own.nearest(corr[:, columns][:, :, columns])[:, ~own.is_scale]
        values = r[:, at[1]]
    elif parameter.kind == "sigma":
        values = flat.sigma
    else:
        values = flat.family[parameter.name]
        if values.ndim == 2:  # thresholds at centred predictors
            centred = values - (flat.beta @ priors.centre)[:, None]
            return np.asarray(law.log_density(centred).sum(axis=1))
    return np.asarray(law.log_density(values))


def _named(priors: ModelPriors, laws: Laws) -> dict[str, Prior | LKJ]:
    """Return the prior of every parameter by its name, some of them others."""
    return {p.name: laws.get(p, priors.of(p)) for p in priors.all_parameters}
