"""Residuals with a structure in each draw of a posterior: new ones, and what rows say of a row.

The coordinates phi of the covariance sigma^2 R (``gaussian/residual/of_design.py``) follow from the
draws of coefficients of log sigma, log relative sds of visits and correlations. Given mean and
parameters a row is not independent of the others: with K = (sigma^2 R)^-1 and e = y - eta,

    y_i | y_-i  ~  N(y_i - (K e)_i / K_ii, 1 / K_ii),

which is what its pointwise log-likelihood is of.

Source: Buerkner, Gabry & Vehtari (2021), Computational Statistics 36:1243, eq. 8 and 9.
"""

from collections.abc import Iterator

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.bayes.predictive import AT_ONCE, FlatDraws, linear_predictor
from hierbayes.design.design import GroupingFactor
from hierbayes.errors import DataError
from hierbayes.gaussian.residual.of_design import SIGMA, DesignResiduals, residuals_of
from hierbayes.gaussian.residual.root import (
    inverse_diagonal,
    inverse_times,
    log_det,
    through_root,
)
from hierbayes.specification.specification import Specification


@record
class ResidualDraws:
    """The covariance sigma^2 R of the residuals of a design in S draws.

    Attributes
    ----------
    found : R
    phi : array, shape (S, d)
    sigma : array, shape (S,), the sd of the reference
    effects : draws of the formula of sigma, where it has random effects
    factors : grouping factors of these
    """

    found: DesignResiduals
    phi: FloatArray
    sigma: FloatArray
    effects: FlatDraws | None = None
    factors: tuple[GroupingFactor, ...] = ()

    def sds(self, at: slice = slice(None)) -> FloatArray:
        """Residual sds of the rows in some draws, (T, n)."""
        spread, G = self.found.structure.spread, self.found.structure.n_spreads
        sd = np.exp(self.phi[at, :G] @ spread.D.T)[:, spread.index] * self.sigma[at, None]
        if self.effects is not None and self.factors:
            n, p = sd.shape[1], self.effects.beta.shape[1]
            nothing, rows = np.zeros((n, p)), slice(0, n)
            own = self.effects.take(at)
            sd *= np.exp(linear_predictor(own, nothing, self.factors, offset=None, rows=rows))
        weights = self.found.weights
        return np.asarray(sd if weights is None else sd / np.sqrt(weights))

    def drawn(self, rng: np.random.Generator) -> FloatArray:
        """Draw residuals of all rows with each draw, (S, n)."""
        n = self.found.structure.spread.index.size
        out = np.empty((self.sigma.size, n))
        for at in draw_blocks(*out.shape):
            numbers = rng.standard_normal((out[at].shape[0], n, 1))
            own = through_root(self.found, self.phi[at], numbers)
            out[at] = own[:, :, 0] * self.sds(at)
        return out

    def precision(self, at: slice = slice(None)) -> FloatArray:
        """Diagonal of K in some draws, (T, n)."""
        return np.asarray(inverse_diagonal(self.found, self.phi[at]) / self.sds(at) ** 2)

    def precision_times(self, rows: FloatArray, at: slice = slice(None)) -> FloatArray:
        """K times rows (T, n, c) in some draws."""
        sd = self.sds(at)[:, :, None]
        return inverse_times(self.found, self.phi[at], rows / sd) / sd

    def log_densities(self, e: FloatArray, at: slice = slice(None)) -> FloatArray:
        """Log density of each residual e (T, n) given the others of its series, in some draws."""
        K, Ke = self.precision(at), self.precision_times(e[:, :, None], at)[:, :, 0]
        return conditional_log_density(K, Ke)

    def joint_log_density(self, e: FloatArray, at: slice = slice(None)) -> FloatArray:
        """Log density (T,) of all residuals e (T, n) together, in some draws."""
        sd = self.sds(at)
        z = through_root(self.found, self.phi[at], (e / sd)[:, :, None], inverse=True)
        square = np.square(z).sum(axis=(1, 2)) + e.shape[1] * np.log(2 * np.pi)
        half_log_det = np.log(sd).sum(axis=1) + log_det(self.found, self.phi[at]) / 2
        return np.asarray(-square / 2 - half_log_det)


def conditional_log_density(K: FloatArray, Ke: FloatArray) -> FloatArray:
    """Log density of numbers given all others, from K_ii and (K e)_i of their precision K."""
    return np.asarray((np.log(K / (2 * np.pi)) - Ke**2 / K) / 2)


def draw_blocks(n_draws: int, n_rows: int) -> Iterator[slice]:
    """Cut draws into parts small enough for all rows at once."""
    step = max(1, AT_ONCE // max(n_rows, 1))
    for start in range(0, n_draws, step):
        yield slice(start, min(start + step, n_draws))


def structure_of(spec: Specification) -> DesignResiduals:
    """Return the structure of residuals, also of a formula of sigma as ``~ 0 + group``.

    Raises
    ------
    DataError
        If a formula of sigma has columns that do not add up to one.
    """
    try:
        return spec.residuals
    except DataError:
        return residuals_of(spec.design, any_reference=True)


def residual_draws(spec: Specification, flat: FlatDraws) -> ResidualDraws:
    """Return the residuals of a model with ``residual=`` or a formula of sigma, in draws of it.

    The draws may be of other rows of the same model: parameters are told by their names.
    """
    found = structure_of(spec)
    named, sigma = dict(flat.family), flat.sigma
    factors: tuple[GroupingFactor, ...] = ()
    if SIGMA in flat.formulas:
        beta, own = flat.formulas[SIGMA].beta, spec.design.of(SIGMA)
        factors = own.factors
        # log sigma of the reference, and log ratios to it
        ratios = np.linalg.solve(found.formula, beta.T)
        sigma = np.exp(ratios[0])
        named |= dict(zip(found.names, ratios[1:], strict=False))
    values = [named[name] for name in found.names]
    stacked = np.stack(values, axis=1) if values else np.zeros((sigma.size, 0))
    return ResidualDraws(
        found=found,
        phi=found.coordinates(stacked),
        sigma=sigma,
        effects=flat.formulas.get(SIGMA),
        factors=factors,
    )
