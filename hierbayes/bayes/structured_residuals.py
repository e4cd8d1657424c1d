"""Residuals with a structure as coordinates of the collapsed density, with their priors.

The residual sds are exp(gamma_0 + D gamma) with gamma_0 = log sigma among the variance parameters;
the coordinates here are gamma in units of the columns of D, first of a formula of sigma and then of
visits, and those of the correlations (``gaussian/residual/of_design.py``). Where sds have a formula
the priors are those of its coefficients, of the intercept at centred predictors, alpha = gamma_0 +
centre'gamma, and without one of all of them: so the model is the one that ``to_pymc()`` writes
down. All densities are of coordinates, Jacobians included.
"""

import numpy as np
from scipy.special import betaln

from hierbayes.arrays import FloatArray, record
from hierbayes.bayes.coordinates import log_lkj, log_lkj_slope
from hierbayes.errors import DataError, NotSupportedError
from hierbayes.families.parameter_formulas import unknown_residuals
from hierbayes.gaussian.residual.correlation import Bounded, Serial, Unstructured
from hierbayes.gaussian.residual.kernel import ResidualKernel, residual_kernel
from hierbayes.gaussian.residual.of_design import SIGMA, DesignResiduals, residuals_of
from hierbayes.gaussian.residual.products import residual_products
from hierbayes.priors.distributions import REAL, Beta, Flat, Prior
from hierbayes.priors.model_priors import ModelPriors
from hierbayes.results import verbs
from hierbayes.specification.specification import Specification

FARTHEST_START = 3.0  # of the coordinate of a correlation, inside of its range


@record
class SpreadPriors:
    """Priors of the logs of sds: coefficients of a formula of sigma, then visits.

    Attributes
    ----------
    laws : of the L combinations that have priors of their own
    rows : array, shape (L, 1 + G), these from log sigma and the G log ratios
    scale : array, shape (G,), a log ratio is its coordinate over this
    constant : log of the Jacobian, that of the coordinates included
    """

    laws: tuple[Prior, ...]
    rows: FloatArray
    scale: FloatArray
    constant: float

    def log_prior(self, log_sigma: FloatArray, phi: FloatArray) -> FloatArray:
        """Log prior density of phi (T, G), and of log sigma (T,) where it has a formula."""
        total = np.full(phi.shape[0], self.constant)
        for law, values in zip(self.laws, self._values(log_sigma, phi).T, strict=True):
            total += law.log_density(values)
        return total

    def slopes(self, log_sigma: FloatArray, phi: FloatArray) -> FloatArray:
        """Return the derivatives of ``log_prior`` in log sigma, then in phi, (T, 1 + G)."""
        values = self._values(log_sigma, phi)
        pairs = zip(self.laws, values.T, strict=True)
        own = np.array([law.derivative(value) for law, value in pairs]).reshape(values.T.shape)
        return np.asarray(own.T @ self.rows / np.append(1.0, self.scale))

    def _values(self, log_sigma: FloatArray, phi: FloatArray) -> FloatArray:
        log_sigma = np.broadcast_to(log_sigma, phi.shape[:1])
        return np.asarray(np.column_stack([log_sigma, phi / self.scale]) @ self.rows.T)


@record
class StructuredResiduals:
    """Unequal sds and correlations of residuals as coordinates, R of them.

    Attributes
    ----------
    kernel : as a function of them
    names : of the parameters (R,) that they stand for
    formula : array, shape (p, p), coefficients of a formula of sigma from log sigma and the first
        p - 1; none without
    spread : priors of the G that are relative sds
    law : prior of the one correlation that ar1, car1 and cs have; None of others
    eta : of the LKJ prior of the correlations that us has; None of others
    start : array, shape (R,), coordinates to climb to the mode from
    """

    kernel: ResidualKernel
    names: tuple[str, ...]
    formula: FloatArray
    spread: SpreadPriors
    law: Prior | None
    eta: float | None
    start: FloatArray

    @property
    def n_spreads(self) -> int:
        """Number of coordinates of sds, the first."""
        return self.spread.scale.size

    @property
    def n_formula(self) -> int:
        """How many of these are of a formula, the first."""
        return max(self.formula.shape[0] - 1, 0)

    @property
    def is_proper(self) -> bool:
        """Whether all priors integrate to 1."""
        return not any(isinstance(law, Flat) for law in self.spread.laws)

    def further(self, phi: FloatArray) -> dict[str, FloatArray]:
        """Return log relative sds of visits, and correlations, by name, each (T,)."""
        own, G = self.kernel.products.structure.correlation, self.n_spreads
        visits = (phi[:, :G] / self.spread.scale)[:, self.n_formula :]
        values = np.concatenate([visits, own.correlations(phi[:, G:])], axis=1)
        return dict(zip(self.names[self.n_formula :], values.T, strict=True))

    def coefficients(self, log_sigma: FloatArray, phi: FloatArray) -> FloatArray | None:
        """Return the coefficients (T, p) of the formula of log sigma; None without one."""
        if not self.formula.size:
            return None
        gamma = (phi[:, : self.n_spreads] / self.spread.scale)[:, : self.n_formula]
        return np.asarray(np.column_stack([log_sigma, gamma]) @ self.formula.T)

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
    found, kernel = _kernel(spec)
    if not kernel.is_stacked:
        raise unknown_residuals(
            "The collapsed sampler with this many levels of crossed or related factors"
        )
    own = spec.priors.formulas.get(SIGMA)
    if own is not None and any(law.bounds() != REAL for law in own.beta):
        raise unknown_residuals(
            "The collapsed sampler with bounded priors of coefficients of sigma"
        )
    correlation = kernel.products.structure.correlation
    one = isinstance(correlation, Bounded)
    return StructuredResiduals(
        kernel=kernel,
        names=found.names,
        formula=found.formula,
        spread=_spread_priors(spec.priors, found),
        law=spec.priors.family[found.names[-1]] if one else None,
        eta=spec.priors.visits,
        start=_start(spec, kernel) if start is None else start,
    )


def _kernel(spec: Specification) -> tuple[DesignResiduals, ResidualKernel]:
    sigma = spec.design.predictors.get(SIGMA)
    if spec.design.residual is not None or sigma is None or "(Intercept)" in sigma.coef_names:
        return spec.residuals, spec.residual_kernel("reml", related=True)
    found = residuals_of(spec.design, any_reference=True)
    products = residual_products(spec.design, found.structure, weights=found.weights)
    return found, residual_kernel(spec.design, products)


def _spread_priors(priors: ModelPriors, found: DesignResiduals) -> SpreadPriors:
    own, G, p = priors.formulas.get(SIGMA), found.scale.size, found.formula.shape[0]
    laws = tuple(priors.family[name] for name in found.names[G - found.visits : G])
    rows, constant = np.eye(1 + G)[1 + G - found.visits :], -float(np.log(found.scale).sum())
    if own is not None:
        formula = np.array(found.formula)
        constant += float(np.linalg.slogdet(formula)[1])
        if own.intercept is not None:
            formula[own.intercept] += own.centre @ found.formula
        laws = (*own.beta, *laws)
        rows = np.concatenate([np.pad(formula, ((0, 0), (0, 1 + G - p))), rows])
    return SpreadPriors(laws=laws, rows=rows, scale=found.scale, constant=constant)


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
