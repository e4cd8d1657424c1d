"""Responses drawn from a fit for the parametric and the residual bootstrap, many at once.

Parametric: y* = X beta + Z b* + e* with b* ~ N(0, sigma^2 Lambda Lambda') and
e* ~ N(0, sigma^2 W^-1): what the model says.

Residual: b* are conditional modes and e* residuals of the fit, drawn with replacement. Both are
shrunk, so before that they are centred and rescaled ("reflated") to the estimated covariance: with
b = L v, L L' = sigma^2 Lambda Lambda' and S the second moment of v, v S^-1/2 has covariance I. It
keeps the shape of their distributions, skewness and outliers, and assumes that they are
exchangeable.

Of residuals that are correlated or of unequal variance e* comes from independent numbers by the
root of their covariance (``gaussian/residual/root.py``): normal ones, or the normalised residuals,
rescaled and drawn with replacement.

Source: Carpenter, Goldstein & Rasbash (2003), J. R. Stat. Soc. C 52:431-443.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.families.family import Family
from hierbayes.families.mean_ends import no_responses_there
from hierbayes.gaussian.residual.root import coloured, whitened
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.linear_fit import LinearFit

# Directions of the modes with less than this part of the largest second moment have none: they
# are those in which the random effects do not vary.
NO_VARIANCE = 1e-10
NO_SD = 1e-8  # the same of the estimated covariance, whose zeros are exact up to rounding


class ResponseDraws:
    """Draws responses from a fit, a new one with new random effects and residuals each time.

    Parameters
    ----------
    fit : LinearFit
    kind : {"parametric", "residual"}

    Attributes
    ----------
    is_parametric : whether the draws are from the model's normal distributions
    """

    def __init__(self, fit: LinearFit, kind: Literal["parametric", "residual"]) -> None:
        self.is_parametric = kind == "parametric"
        self._fixed = fit.fixed_part
        self._factors = fit.design.factors
        # by theta, not by the factor the search ended with: a loaded fit draws the same numbers
        Lambdas = fit.kernel.shape.unpack(fit.representative[None])
        self._roots = [fit.sigma * Lambda[0] for Lambda in Lambdas]
        self._root_weights = None if fit.weights is None else np.sqrt(fit.weights)
        self._sigma = fit.sigma
        self._residual = None
        if fit.residual is not None:
            self._residual = fit.spec.residuals, fit.residual.phi
        self._spherical: list[FloatArray] | None = None
        if kind == "residual":
            pairs = zip(fit.modes, self._roots, strict=True)
            self._spherical = [reflated_modes(b, root) for b, root in pairs]
            residuals = fit.design.y - fit.fitted_values
            if self._residual is not None:
                residuals = whitened(*self._residual, residuals[:, None])[:, 0]
            elif self._root_weights is not None:
                residuals = residuals * self._root_weights
            self._residuals = reflated_modes(residuals[:, None], np.eye(1))[:, 0] * fit.sigma

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Return ``count`` responses, shape (n, count), response units."""
        Y = np.repeat(self._fixed[:, None], count, axis=1)
        for f, (factor, root) in enumerate(zip(self._factors, self._roots, strict=True)):
            shape = (factor.levels.size, root.shape[0], count)
            if self._spherical is None:
                v = rng.standard_normal(shape)
                v = factor.spread(v.reshape(shape[0], -1)).reshape(shape)
            else:
                drawn = rng.integers(shape[0], size=(shape[0], count))
                v = np.swapaxes(self._spherical[f][drawn], 1, 2)
            b = np.einsum("ab,jbt->ajt", root, v)
            for column, effects in zip(factor.z.T, b, strict=True):
                Y += column[:, None] * effects[factor.codes]
        if self._spherical is None:
            e = self._sigma * rng.standard_normal(Y.shape)
        else:
            e = self._residuals[rng.integers(Y.shape[0], size=Y.shape)]
        if self._residual is not None:
            return Y + coloured(*self._residual, e)
        return Y + (e if self._root_weights is None else e / self._root_weights[:, None])


def reflated_modes(b: FloatArray, root: FloatArray) -> FloatArray:
    """Spherical modes with mean zero and second moment I from modes b (J, q) = v root'.

    Directions in which b does not vary stay without variance.
    """
    sd = np.sqrt((root**2).sum(axis=1))  # columns of any units, each in its own sd
    sd[sd == 0] = 1.0
    v = ((b - b.mean(axis=0)) / sd) @ np.linalg.pinv(root / sd[:, None], rcond=NO_SD).T
    size, axes = np.linalg.eigh(v.T @ v / v.shape[0])
    kept = size > NO_VARIANCE * max(float(size.max(initial=0.0)), np.finfo(float).tiny)
    # Without variance is zero but for rounding, on either side of it.
    scale = np.where(kept, 1.0 / np.sqrt(np.where(kept, size, 1.0)), 0.0)
    return np.asarray(v @ (axes * scale) @ axes.T)


def drawn_responses(
    fit: GeneralisedFit, count: int, rng: np.random.Generator, *, some_missing: bool = False
) -> FloatArray:
    """Return responses of a generalised fit, each of new random effects, shape (n, count).

    Of binomial families the numbers of successes, of ordinal ones the categories from 0. Where a
    mean is met that cannot be: NaN if ``some_missing``.

    Raises
    ------
    DataError
        If a mean is met that cannot be.
    """
    family = fit.response_family
    eta = np.repeat(fit.fixed_part[None], count, axis=0)
    for factor, root in zip(fit.design.factors, fit.effect_roots, strict=True):
        b = rng.standard_normal((count, factor.levels.size, root.shape[1])) @ root.T
        eta += np.einsum("nq,snq->sn", factor.z, b[:, factor.codes])
    y = responses_at(family, rng, eta, fit.row_parameters, some_missing=some_missing)
    return np.ascontiguousarray(y.T)


def responses_at(
    family: Family,
    rng: np.random.Generator,
    eta: FloatArray,
    parameters: Mapping[str, FloatArray],
    *,
    some_missing: bool = False,
) -> FloatArray:
    """Return a response drawn at each eta; NaN where there is none, if ``some_missing``.

    Raises
    ------
    DataError
        If a mean is met that cannot be.
    """
    y = family.drawn(rng, eta, parameters)
    possible = np.isfinite(y)
    if not some_missing and not possible.all():
        raise no_responses_there(family, eta, possible)
    return y
