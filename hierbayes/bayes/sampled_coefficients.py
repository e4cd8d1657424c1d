"""Coefficients with one-sided and other bounded priors, as coordinates of the collapsed sampler.

Let c = C beta be the coefficients their priors speak of (the intercept at centred predictors), S
those with such a prior, and beta = beta0 + T v in the basis of the products, so c = c0 + M v with
M = C T. With M_S' = Q_1 R (QR; Q_2 completes Q_1),

    v = Q_1 R'^-1 (c_S - c0_S) + Q_2 r,

so c_S stays as coordinates and r is integrated out: its prior given c_S is still Gaussian or flat.
Any prior of c_S then enters as it is, bounds, tails and constants.

Each c is moved on the whole line: with scale s, about the sd of c given the data, edge a and width
w in scales (infinite with one end only),

    c = a +- s (log(1 + e^g) - log(1 + e^(g - w))),    or c = a +- s e^g under a long-tailed prior:

as the log near the edge, and as c itself far from it where the prior is about as wide as the data.

Source: Golub & Van Loan, Matrix Computations, section 6.2 (least squares with constraints).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.bayes.scale_mixtures import is_mixture
from hierbayes.priors.distributions import (
    REAL,
    Flat,
    Gamma,
    HalfCauchy,
    HalfStudentT,
    InverseGamma,
    LogNormal,
    Prior,
)
from hierbayes.priors.model_priors import ModelPriors

# Priors that may have a peak at the edge and another one where the data are: on the log scale both
# are about as wide as they are far.
LONG_TAILED = (Gamma, HalfCauchy, HalfStudentT, InverseGamma, LogNormal)
INSIDE = 0.5  # scales from an edge that a climb to the mode starts at least


@record
class SampledCoefficients:
    """The coefficients S of one model, and their coordinates g.

    Attributes
    ----------
    laws : their priors
    edge, sign, scale, width : arrays, shape (S,); see the module's header
    is_log : array of bool, shape (S,), whether c - a moves as e^g
    to_basis : array, shape (p, S), Q_1 R'^-1
    free : array, shape (p, p - S), Q_2
    origin : array, shape (S,), c0
    start : array, shape (S,), g to climb to the mode from
    depth : array, shape (S,), how far below it the middle of a long-tailed prior is
    """

    laws: tuple[Prior, ...]
    edge: FloatArray
    sign: FloatArray
    scale: FloatArray
    width: FloatArray
    is_log: BoolArray
    to_basis: FloatArray
    free: FloatArray
    origin: FloatArray
    start: FloatArray
    depth: FloatArray

    def values(self, g: FloatArray) -> FloatArray:
        """Coefficients c_S (T, S) at g (T, S)."""
        rise = np.logaddexp(0, g) - np.logaddexp(0, g - self.width)
        x = np.where(self.is_log, np.exp(g), rise)
        return np.asarray(self.edge + self.sign * self.scale * x)

    def slopes(self, g: FloatArray) -> FloatArray:
        """Return the derivative of each c in its g, shape (T, S)."""
        return np.asarray(self.sign * np.exp(self._log_slopes(g)))

    def fixed(self, g: FloatArray) -> FloatArray:
        """Part of v (T, p) that c_S determines."""
        return np.asarray((self.values(g) - self.origin) @ self.to_basis.T)

    def log_prior(self, g: FloatArray) -> FloatArray:
        """Log prior density of g (T, S), Jacobian included, shape (T,)."""
        c = self.values(g)
        laws = [law.log_density(one) for law, one in zip(self.laws, c.T, strict=True)]
        return np.asarray(np.sum(laws, axis=0) + self._log_slopes(g).sum(axis=1))

    def log_prior_slope(self, g: FloatArray) -> FloatArray:
        """Return the derivative of ``log_prior`` in g, shape (T, S)."""
        c = self.values(g)
        laws = [law.derivative(one) for law, one in zip(self.laws, c.T, strict=True)]
        bends = np.where(self.is_log, 1.0, _sigmoid(-g) - _sigmoid(g - self.width))
        return np.asarray(np.stack(laws, axis=1) * self.slopes(g) + bends)

    def _log_slopes(self, g: FloatArray) -> FloatArray:
        rise = -np.logaddexp(0, -g) - np.logaddexp(0, g - self.width)
        rise += np.log(-np.expm1(-self.width))
        return np.asarray(np.log(self.scale) + np.where(self.is_log, g, rise))


def _sigmoid(x: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-np.logaddexp(0, -x)))


def is_sampled(law: Prior) -> bool:
    """Whether a coefficient with this prior can't be integrated out."""
    return law.bounds() != REAL


def stand_in(priors: ModelPriors) -> ModelPriors:
    """Return priors with Flat in the place of each that is not Gaussian: what the data say."""
    beta = [Flat() if is_sampled(law) or is_mixture(law) else law for law in priors.beta]
    return replace(priors, beta=tuple(beta))


def sampled_coefficients(
    laws: Sequence[Prior], M: FloatArray, origin: FloatArray, *, near: FloatArray, sds: FloatArray
) -> SampledCoefficients:
    """Lay coordinates for coefficients S.

    Parameters
    ----------
    laws : their priors
    M : array, shape (S, p), c_S = origin + M v
    origin : array, shape (S,)
    near, sds : arrays, shape (S,)
        Where c is and how far it may be from there, under flat priors.
    """
    ranges = np.array([np.diff(law.quantile([0.25, 0.75]))[0] for law in laws])
    low, high = np.array([law.bounds() for law in laws]).T
    is_log = np.array([isinstance(law, LONG_TAILED) for law in laws])
    scale = np.where(is_log, sds, np.fmin(sds, ranges))
    down = np.isneginf(low) | (np.isfinite(high) & (high - near < near - low))
    edge, sign = np.where(down, high, low), np.where(down, -1.0, 1.0)
    width = (high - low) / scale
    x = np.clip(sign * (near - edge) / scale, INSIDE, width - INSIDE)
    middle = np.array([law.quantile(0.5) for law in laws])
    deep = np.log(np.maximum(x * scale / np.abs(middle - edge), 1.0))
    rise = x + np.log(-np.expm1(-x)) - np.log(-np.expm1(x - width))
    Q, R = np.linalg.qr(M.T, mode="complete")
    S = origin.size
    return SampledCoefficients(
        laws=tuple(laws),
        edge=edge,
        sign=sign,
        scale=scale,
        width=width,
        is_log=is_log,
        to_basis=Q[:, :S] @ np.linalg.inv(R[:S]).T,
        free=Q[:, S:],
        origin=origin,
        start=np.where(is_log, np.log(x), rise),
        depth=np.where(is_log, deep, 0.0),
    )
