"""Residuals with a structure as coordinates of the collapsed density, with their priors.

The residual sds are exp(gamma_0 + D gamma) with gamma_0 = log sigma among the variance parameters;
the coordinates here are gamma in units of the columns of D, first of a formula of sigma and then of
visits, and those of the correlations (``gaussian/residual/of_design.py``). Where sds have a formula
the priors are those of its coefficients, of the intercept at centred predictors, alpha = gamma_0 +
centre'gamma: so the model is the one that ``to_pymc()`` writes down. All densities are of
coordinates, Jacobians included.
"""

import numpy as np
from scipy.special import betaln

from hierbayes.arrays import FloatArray, record
from hierbayes.bayes.coordinates import log_lkj, log_lkj_slope
from hierbayes.errors import DataError, NotSupportedError
from hierbayes.families.parameter_formulas import unknown_residuals
from hierbayes.gaussian.residual.correlation import Bounded, Serial, Unstructured
from hierbayes.gaussian.residual.kernel import ResidualKernel
from hierbayes.gaussian.residual.of_design import SIGMA, DesignResiduals
from hierbayes.priors.distributions import REAL, Beta, Flat, Prior
from hierbayes.priors.model_priors import ModelPriors
from hierbayes.results import verbs
from hierbayes.specification.specification import Specification

FARTHEST_START = 3.0  # of the coordinate of a correlation, inside of its range


@record
class SpreadPriors:
    """Priors of the logs of relative sds: coefficients of a formula of sigma, then visits.

    Attributes
    ----------
    laws : of the columns of D, G of them
    intercept : at centred predictors; None where sigma has no formula, and a prior elsewhere
    centre : array, shape (G,), the means of the columns of the formula; zero of visits
    scale : array, shape (G,), a coefficient is its coordinate over this
    """

    laws: tuple[Prior, ...]
    intercept: Prior | None
    centre: FloatArray
    scale: FloatArray

    def log_prior(self, log_sigma: FloatArray, phi: FloatArray) -> FloatArray:
        """Log prior density of log sigma (T,) and phi (T, G), shape (T,)."""
        gamma, total = phi / self.scale, np.zeros(phi.shape[0])
        if self.intercept is not None:
            total = self.intercept.log_density(log_sigma + gamma @ self.centre)
        for law, values in zip(self.laws, gamma.T, strict=True):
            total = total + law.log_density(values)
        return np.asarray(total - np.log(self.scale).sum())

    def slopes(self, log_sigma: FloatArray, phi: FloatArray) -> FloatArray:
        """Return the derivatives of ``log_prior`` in log sigma, then in phi, (T, 1 + G)."""
        gamma, out = phi / self.scale, np.zeros((phi.shape[0], 1 + phi.shape[1]))
        if self.intercept is not None:
            out[:, 0] = self.intercept.derivative(log_sigma + gamma @ self.centre)
        for k, (law, values) in enumerate(zip(self.laws, gamma.T, strict=True)):
            out[:, 1 + k] = (law.derivative(values) + out[:, 0] * self.centre[k]) / self.scale[k]
        return out


@record
class StructuredResiduals:
    """Unequal sds and correlations of residuals as coordinates, R of them.

    Attributes
    ----------
    kernel : as a function of them
    names : of the parameters (R,) that they stand for
    n_formula : how many of them are coefficients of a formula of sigma, the first
    spread : priors of the G that are relative sds
    law : prior of the one correlation that ar1, car1 and cs have; None of others
    eta : of the LKJ prior of the correlations that us has; None of others
    start : array, shape (R,), coordinates to climb to the mode from
    """

    kernel: ResidualKernel
    names: tuple[str, ...]
    n_formula: int
    spread: SpreadPriors
    law: Prior | None
    eta: float | None
    start: FloatArray

    @property
    def n_spreads(self) -> int:
        """Number of coordinates of sds, the first."""
        return len(self.spread.laws)

    @property
    def is_proper(self) -> bool:
        """Whether all priors integrate to 1."""
        laws = (*self.spread.laws, self.spread.intercept)
        return not any(isinstance(law, Flat) for law in laws)

    def further(self, phi: FloatArray) -> dict[str, FloatArray]:
        """Return log relative sds of visits, and correlations, by name, each (T,)."""
        own, G = self.kernel.products.structure.correlation, self.n_spreads
        visits = (phi[:, :G] / self.spread.scale)[:, self.n_formula :]
        values = np.concatenate([visits, own.correlations(phi[:, G:])], axis=1)
        return dict(zip(self.names[self.n_formula :], values.T, strict=True))

    def coefficients(self, log_sigma: FloatArray, phi: FloatArray) -> FloatArray | None:
        """Return the coefficients (T, p) of the formula of log sigma; None without one."""
        if self.spread.intercept is None:
            return None
        gamma = (phi[:, : self.n_spreads] / self.spread.scale)[:, : self.n_formula]
        return np.concatenate([log_sigma[:, None], gamma], axis=1)

    def log_prior(self, log_sigma: FloatArray, phi: FloatArray) -> FloatArray:
        """Log prior density of phi (T, R), and of log sigma (T,) where it has a formula."""
        gamma, rest = phi[:, : self.n_spreads], phi[:, self.n_spreads :]
        total = self.spread.log_prior(log_sigma, gamma)
        if self.law is not None:
            total = total + correlation_log_prior(self._bounded, self.law, rest[:, 0])
        if self.eta is not None:
            total = total + log_lkj(rest, self._n_visits, self.eta)
        return total

    def log_prior_slopes(self, log_sigma: FloatArray, phi: FloatArray) -> FloatArray:
        """Return the derivatives of ``log_prior`` in log sigma, then in phi, (T, 1 + R)."""
        G, out = self.n_spreads, np.zeros((phi.shape[0], 1 + phi.shape[1]))
        out[:, : 1 + G] = self.spread.slopes(log_sigma, phi[:, :G])
        if self.law is not None:
            out[:, 1 + G] = correlation_log_prior_slope(self._bounded, self.law, phi[:, G])
        if self.eta is not None:
            out[:, 1 + G :] = log_lkj_slope(phi[:, G:], self._n_visits, self.eta)
        return out

    @property
    def _bounded(self) -> Bounded:
        own = self.kernel.products.structure.correlation
        assert isinstance(own, Bounded)
        return own

    @property
    def _n_visits(self) -> int:
        own = self.kernel.products.structure.correlation
        assert isinstance(own, Unstructured)
        return own.n_visits


def correlation_log_prior(own: Bounded, law: Prior, phi: FloatArray) -> FloatArray:
    """Log prior density of the coordinate (T,) of a correlation between bounds."""
    if isinstance(own, Serial) and isinstance(law, Beta):  # r may be too small for a number
        log_r = own.log_correlations(phi)
        density = (law.alpha - 1) * log_r - betaln(law.alpha, law.beta)
        if law.beta != 1:
            density += (law.beta - 1) * np.log(-np.expm1(log_r))
    else:
        density = law.log_density(np.clip(own.correlations(phi), own.lower, own.upper))
    return np.asarray(density + own.log_slope(phi))


def correlation_log_prior_slope(own: Bounded, law: Prior, phi: FloatArray) -> FloatArray:
    """Return the derivative of ``correlation_log_prior`` in phi, shape (T,)."""
    if isinstance(own, Serial) and isinstance(law, Beta):
        r, log_r = own.correlations(phi), own.log_correlations(phi)
        rest = 0.0 if law.beta == 1 else (law.beta - 1) * r / np.expm1(log_r)
        slope = (law.alpha - 1 + rest) * 2 * (1 - own.at_unit(phi)) / own.unit
    else:
        r = np.clip(own.correlations(phi), own.lower, own.upper)
        slope = law.derivative(r) * np.exp(own.log_slope(phi))
    return np.asarray(slope + own.log_slope_slope(phi))


def structured_residuals(
    spec: Specification, *, start: FloatArray | None = None
) -> StructuredResiduals:
    """Return the residuals of a linear model that ``has_residual_structure``.

    ``start`` (R,) is where to climb from, else where REML ends or the middle of the range.

    Raises
    ------
    DataError, NotSupportedError
        As ``Specification.residual_kernel``; if crossed grouping factors, or related levels, are
        very many, or a prior of a coefficient of sigma has an end.
    """
    kernel = spec.residual_kernel("reml", related=True)
    if not kernel.is_stacked:
        raise unknown_residuals(
            "The collapsed sampler with this many levels of crossed or related factors"
        )
    own = spec.priors.formulas.get(SIGMA)
    if own is not None and any(law.bounds() != REAL for law in own.beta):
        raise unknown_residuals(
            "The collapsed sampler with bounded priors of coefficients of sigma"
        )
    found, correlation = spec.residuals, kernel.products.structure.correlation
    one = isinstance(correlation, Bounded)
    return StructuredResiduals(
        kernel=kernel,
        names=found.names,
        n_formula=found.scale.size - found.visits,
        spread=_spread_priors(spec.priors, found),
        law=spec.priors.family[found.names[-1]] if one else None,
        eta=spec.priors.visits,
        start=_start(spec, kernel) if start is None else start,
    )


def _spread_priors(priors: ModelPriors, found: DesignResiduals) -> SpreadPriors:
    own, G = priors.formulas.get(SIGMA), found.scale.size
    of_visits = tuple(priors.family[name] for name in found.names[G - found.visits : G])
    if own is None:
        return SpreadPriors(laws=of_visits, intercept=None, centre=np.zeros(G), scale=found.scale)
    assert own.intercept == 0
    return SpreadPriors(
        laws=(*own.beta[1:], *of_visits),
        intercept=own.beta[0],
        centre=np.concatenate([own.centre[1:], np.zeros(found.visits)]),
        scale=found.scale,
    )


def _start(spec: Specification, kernel: ResidualKernel) -> FloatArray:
    """Where REML ends, correlations inside of their range; what it can't say is no matter."""
    try:
        fit = verbs.ask(spec, "fit", "reml", quietly=True)
    except (DataError, NotSupportedError):
        return np.zeros(kernel.size)
    start = np.array(fit.residual.phi)
    G = kernel.products.structure.n_spreads
    start[G:] = np.clip(start[G:], -FARTHEST_START, FARTHEST_START)
    return start
