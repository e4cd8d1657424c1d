"""Coefficients given the variance parameters, and what another prior of one makes of them.

With phi the variance parameters of a Gaussian model, c | phi, y ~ N(m, C) under Normal or flat
priors of the coefficients c. Seen from one of them, everything but its own prior is a likelihood

    exp(-lambda c^2 / 2 + eta c),    lambda = 1 / C_kk - tau,  eta = m_k / C_kk - tau mu

with tau and mu precision and mean of its prior. A prior N(mu', 1 / tau') in its place changes the
density of phi by the ratio of the integrals over c

    (log tau - log(lambda + tau) + (eta + tau mu)^2 / (lambda + tau) - tau mu^2) / 2

(tau = 2 pi outside of the sums where the prior is flat) and moves m and C along C_k / C_kk. So
weights run over phi alone, and no row or level is touched again.
"""

from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.bayes.collapsed_density import prior_directions, target_of
from hierbayes.bayes.collapsed_points import ResidualsOfDraws, coefficients_given
from hierbayes.bayes.predictive import FlatDraws
from hierbayes.bayes.residual_draws import residual_draws
from hierbayes.errors import DataError, NotSupportedError
from hierbayes.linalg.stacked import solve_lower_stack
from hierbayes.priors.distributions import Normal, Prior
from hierbayes.priors.model_priors import ModelPriors
from hierbayes.specification.specification import Specification


@record
class Conditional:
    """Normal distributions of d linear combinations of the coefficients, one for each of S draws.

    Attributes
    ----------
    mean, covariance : arrays, shapes (S, d) and (S, d, d)
    log_weights : array, shape (S,), by how much other priors change the density of each draw
    """

    mean: FloatArray
    covariance: FloatArray
    log_weights: FloatArray

    def with_prior(self, k: int, old: Prior, new: Prior) -> "Conditional":
        """Put another prior, Normal or flat as the one before, on the k-th combination."""
        variance = self.covariance[:, k, k]
        tau, mu = _natural(old)
        rest = np.maximum(1 / variance - tau, 0.0)
        pull = self.mean[:, k] / variance - tau * mu
        wanted, centre = _natural(new)
        precision = rest + wanted
        moved = (pull + wanted * centre) / precision - self.mean[:, k]
        along = self.covariance[:, :, k] / variance[:, None]
        narrowed = variance - 1 / precision
        gained = _log_integral(rest, pull, wanted, centre) - _log_integral(rest, pull, tau, mu)
        return replace(
            self,
            mean=self.mean + along * moved[:, None],
            covariance=self.covariance
            - along[:, :, None] * along[:, None, :] * narrowed[:, None, None],
            log_weights=self.log_weights + gained,
        )


def _natural(law: Prior) -> tuple[float, float]:
    """Precision and mean; both 0 of a flat prior."""
    return (law.sigma**-2, law.mu) if isinstance(law, Normal) else (0.0, 0.0)


def _log_integral(rest: FloatArray, pull: FloatArray, tau: float, mu: float) -> FloatArray:
    """Log of the likelihood of one coefficient integrated over its prior, up to a constant."""
    scale = np.log(tau if tau else 2 * np.pi)
    square = (pull + tau * mu) ** 2 / (rest + tau) - tau * mu**2
    return np.asarray((scale - np.log(rest + tau) + square) / 2)


def is_conditional(spec: Specification) -> bool:
    """Whether coefficients given the variance parameters are normal, by cross-products."""
    if not spec.family.is_linear:
        return False
    if not spec.has_residual_structure:
        return not spec.design.formulas and spec.design.residual is None
    try:
        spec.residual_kernel("reml")
    except (DataError, NotSupportedError):
        return False
    return True


def conditional(
    spec: Specification, priors: ModelPriors, flat: FlatDraws, rows: FloatArray
) -> Conditional:
    """Distributions of ``rows`` (d, p) times the coefficients as their priors see them.

    Parameters
    ----------
    spec : of a Gaussian model
    priors : Normal or flat ones of all coefficients
    flat : S draws, whose variance parameters count
    rows : array, shape (d, p)
    """
    if spec.has_residual_structure:
        draws, own = residual_draws(spec, flat), spec.residual_kernel("reml")
        kernel, residuals = own.at(draws.phi[0]), ResidualsOfDraws(kernel=own, phi=draws.phi)
        target, sigma = target_of(kernel, priors), draws.sigma
        mean, root = coefficients_given(target, flat.roots, sigma, residuals=residuals)
    else:
        kernel = spec.kernel("reml")
        target = target_of(kernel, priors)
        mean, root = coefficients_given(target, flat.roots, flat.sigma)
    M, origin = prior_directions(kernel, priors)
    seen = rows @ M
    half = solve_lower_stack(root, np.broadcast_to(seen.T, (*root.shape[:1], *seen.T.shape)))
    return Conditional(
        mean=rows @ origin + mean @ seen.T,
        covariance=np.swapaxes(half, 1, 2) @ half,
        log_weights=np.zeros(mean.shape[0]),
    )
