"""Means, covariances and parameters of a posterior: what its tables are made of.

A point estimate is the posterior mean. Parameters come with their names and draws, in the order of
``tidy()``.
"""

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.calls import checked_methods
from hierbayes.naming.addresses import Addresses, posterior_addresses
from hierbayes.results.chains import ChainStatistics, chain_statistics
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.finding import Finding
from hierbayes.results.fit_tables import FitTables
from hierbayes.results.posterior_parameters import (
    Parameters,
    family_names,
    fixed_parameters,
    formula_parameters,
    level_parameters,
    variance_parameters,
)
from hierbayes.results.tidy import checked_effects
from hierbayes.specification.specification import Specification

if TYPE_CHECKING:
    from hierbayes.priors.model_priors import ModelPriors

# Findings that say the draws are not (yet) those of the posterior.
UNTRUSTED = frozenset({"r_hat", "low_ess", "divergences", "pareto_k", "quadrature_error"})


@checked_methods("fit")
class PosteriorNumbers(FitTables):
    """Numbers of the draws, and the parameters they are of."""

    spec: Specification
    draws: PosteriorDraws
    findings: tuple[Finding, ...]
    settings: dict[str, Any]

    method = "posterior"
    is_singular = False  # a posterior averages over the boundary, it is not on it

    @property
    def priors(self) -> "ModelPriors":
        """The priors of all parameters."""
        return self.spec.priors

    @property
    def sampler(self) -> str:
        """What made the draws: "collapsed" or "nuts"."""
        return self.draws.sampler

    @property
    def n_chains(self) -> int:
        """Number of chains."""
        return self.draws.beta.shape[0]

    @property
    def n_draws(self) -> int:
        """Number of draws over all chains."""
        return self.draws.beta.shape[0] * self.draws.beta.shape[1]

    @cached_property
    def beta(self) -> FloatArray:  # type: ignore[override]
        """Posterior means of the fixed effects, shape (p,)."""
        mean = self.draws.beta.mean(axis=(0, 1))
        mean.flags.writeable = False
        return mean

    @cached_property
    def vcov_beta(self) -> FloatArray:
        """Posterior covariance matrix of the fixed effects, shape (p, p)."""
        centred = self.draws.beta.reshape(self.n_draws, -1) - self.beta
        return np.asarray(centred.T @ centred / max(self.n_draws - 1, 1))

    @property
    def sigma(self) -> float:
        """Posterior mean of the residual sd; 1 where it is known.

        NaN where the family has none, or one that differs between rows by a formula.
        """
        if self.draws.sigma is None:
            return 1.0 if self.design.known_sd is not None else float("nan")
        return float(self.draws.sigma.mean())

    @property
    def n_params(self) -> int:
        """Number of parameters besides the random effects."""
        parts = [self.fixed_parameters, self.variance_parameters]
        parts += [part for pair in self.formula_parameters.values() for part in pair]
        return sum(part.draws.shape[2] for part in parts)

    @property
    def has_residual_sd(self) -> bool:
        """Whether one residual sd was estimated for all rows."""
        return self.draws.sigma is not None

    @property
    def converged(self) -> bool:
        """Whether nothing was found that makes the draws untrustworthy."""
        return not any(finding.code in UNTRUSTED for finding in self.findings)

    @property
    def log_marginal_likelihood(self) -> float | None:
        """Log p(y), from the collapsed sampler with proper priors; else None."""
        return self.draws.log_marginal_likelihood

    @property
    def log_marginal_likelihood_mcse(self) -> float | None:
        """Monte-Carlo standard error of ``log_marginal_likelihood``."""
        return self.draws.log_marginal_likelihood_mcse

    @property
    def pareto_k(self) -> float | None:
        """Pareto k of the collapsed sampler's importance weights; None from another sampler."""
        return self.draws.pareto_k

    # parameters

    @cached_property
    def addresses(self) -> Addresses:
        """The way from a text to a fixed effect or variance parameter, in the order of tidy()."""
        return posterior_addresses(
            self.design,
            self.kept.tolist(),
            has_sigma=self.draws.sigma is not None,
            family=family_names(self.draws),
            kept_of=self.spec.kept_of,
        )

    @property
    def _own_labels(self) -> tuple[str, ...]:
        """Labels of the parameters that are of no formula of a further one."""
        more = sum(
            len(posterior_addresses(self.design.of(name), kept.tolist(), has_sigma=False).labels)
            for name, kept in self.spec.kept_of.items()
        )
        labels = self.addresses.labels
        return labels[: len(labels) - more]

    @cached_property
    def fixed_parameters(self) -> Parameters:
        """Fixed effects with their draws."""
        labels = self._own_labels[: self.beta.size]
        return fixed_parameters(self.draws, labels, self.coef_names)

    @cached_property
    def variance_parameters(self) -> Parameters:
        """Sds, correlations, sigma and the family's parameters with their draws."""
        labels = self._own_labels[self.beta.size :]
        return variance_parameters(self.draws, self.design, labels)

    @cached_property
    def formula_parameters(self) -> dict[str, tuple[Parameters, Parameters]]:
        """Of each further parameter that has a formula, coefficients, and sds and correlations."""
        found, labels = {}, list(self.addresses.labels[len(self._own_labels) :])
        for name, draws in self.draws.formulas.items():
            design, kept = self.design.of(name), self.spec.kept_of[name]
            own = posterior_addresses(design, kept.tolist(), has_sigma=False).labels
            names = [design.coef_names[k] for k in kept]
            found[name] = formula_parameters(
                draws, design, names, parameter=name, labels=labels[: len(own)]
            )
            labels = labels[len(own) :]
        return found

    def parameters(self, effects: Any = ("fixed", "ran_pars")) -> list[Parameters]:
        """Parameters of the kinds asked for, with names and draws."""
        chosen = checked_effects(effects)
        found = [self.fixed_parameters] if "fixed" in chosen else []
        found += [self.variance_parameters] if "ran_pars" in chosen else []
        for fixed, varied in self.formula_parameters.values():
            found += [fixed] if "fixed" in chosen else []
            found += [varied] if "ran_pars" in chosen else []
        return found + (level_parameters(self.draws, self.design) if "ran_vals" in chosen else [])

    @cached_property
    def chain_statistics(self) -> ChainStatistics:
        """Convergence of fixed effects and variance parameters, in the order of ``tidy()``."""
        parts = [part.draws for part in self.parameters()]
        return chain_statistics(np.concatenate(parts, axis=2))
