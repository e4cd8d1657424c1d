"""Residuals of rows given their linear predictor: one set of estimates, or one a draw.

    response   y - E(y), of binomial families in shares
    pearson    response / sd(y), times the root of the family's dispersion
    deviance   the signed root of the row's part of the deviance (deviances.py)
    working    response / (dE(y) / deta), on the scale of eta

Source: McCullagh & Nelder (1989), Generalized Linear Models, sections 2.4 and 2.5.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.capabilities import not_supported
from hierbayes.families.deviances import unit_deviance
from hierbayes.families.family import Family
from hierbayes.families.series import Series, variable
from hierbayes.options import ResidualKind


@record
class ResidualRows:
    """Rows with all that their residuals are made of.

    Attributes
    ----------
    family : of the response
    response : array, shape (..., n), observed minus expected
    y : array, shape (n,), as the likelihood takes it: successes, categories from 0
    eta : array, shape (..., n)
    parameters : of the distribution of each row, what broadcasts with eta, ``trials`` among them
    sigma : root of the dispersion, what broadcasts with eta
    weights : array, shape (n,), precision weights, or None
    """

    family: Family
    response: FloatArray
    y: FloatArray
    eta: FloatArray
    parameters: Mapping[str, FloatArray]
    sigma: FloatArray
    weights: FloatArray | None

    def of_kind(self, kind: ResidualKind) -> FloatArray:
        """Residuals, (..., n).

        Raises
        ------
        NotSupportedError
            If the family has no formula for the variance or deviance they are made of.
        """
        found: FloatArray = getattr(self, f"_{kind}")()
        return found

    def _response(self) -> FloatArray:
        return self.response

    def _pearson(self) -> FloatArray:
        family = self.family
        if not family.knows_variance:
            raise self._unknown("pearson")
        trials = self.parameters.get("trials", np.ones(1))
        with np.errstate(divide="ignore", invalid="ignore"):  # no trials, or a mean of 0 or 1
            variance = family.variance_at(self.eta, self.parameters) / trials**2
            scaled = self.sigma * self.response / np.sqrt(variance)
        return np.where(self.response == 0, 0.0, scaled)

    def _deviance(self) -> FloatArray:
        sign = np.sign(self.response)
        if self.family.is_ordinal:
            return np.asarray(sign * np.sqrt(-2 * self._log_probabilities()))
        deviance_of = unit_deviance(self.family)
        if deviance_of is None:
            raise self._unknown("deviance")
        with np.errstate(divide="ignore", invalid="ignore"):  # at means of exactly 0 or 1
            parts = deviance_of(self.y, self.family.mean(self.eta), self.parameters)
        if self.family.weighs_sigma and self.weights is not None:
            parts = parts * self.weights
        return np.asarray(sign * np.sqrt(np.maximum(parts, 0.0)))

    def _working(self) -> FloatArray:
        if not (self.family.has_expectation or self.family.curve is not None):
            raise self._unknown("working")
        return np.asarray(self.response / expected_slope(self.family, self.eta, self.parameters))

    def _log_probabilities(self) -> FloatArray:
        """Log probability of the category of each row, (..., n)."""
        shares = self.family.category_probabilities(self.eta, self.parameters)
        at = np.broadcast_to(self.y.astype(np.intp)[:, None], (*shares.shape[:-1], 1))
        return np.asarray(np.log(np.take_along_axis(shares, at, axis=-1)[..., 0]))

    def _unknown(self, kind: str) -> Exception:
        return not_supported("residual-kind-of-family", kind=kind, family=self.family.name)


def expected_slope(
    family: Family, eta: FloatArray, parameters: Mapping[str, FloatArray]
) -> FloatArray:
    """Return the derivative of the expected response in eta, in its shape.

    Raises
    ------
    NotSupportedError
        If the expected response is neither the family's mu nor a psychometric function of it.
    """
    if not family.has_expectation and family.curve is None:
        raise not_supported("interval-of-expectation", family=family.name)
    assert family.expectation is not None
    mu: Any = family.expectation(family.link.inverse(variable(eta, order=1)), parameters)
    return mu.derivative(1) if isinstance(mu, Series) else np.ones(eta.shape)
