"""The response of some rows given draws of eta: its expectation, its density and new draws.

``eta`` is (S, rows), one row a posterior draw; further parameters of a family are (S,), thresholds
(S, K).
"""

from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.bayes.predictive import FlatDraws
from hierbayes.errors import DataError
from hierbayes.families.family import Family, Mean
from hierbayes.families.observations import no_responses


@record
class Response:
    """The distribution of the response of some rows.

    Attributes
    ----------
    family : Family
    y : array, shape (n,), observed; successes of binomial families; None for new rows
    trials : array, shape (n,), of binomial families; None means 1
    weights : array, shape (n,), precision weights of families with a residual sd, or None
    """

    family: Family
    y: FloatArray | None
    trials: FloatArray | None = None
    weights: FloatArray | None = None

    def mean(self, eta: FloatArray, flat: FlatDraws, rows: slice = slice(None)) -> FloatArray:
        """Return the expected response at eta (S, ...); of binomial families the probability.

        Raises
        ------
        NotSupportedError
            If the family has no formula for it.
        """
        if self.family.expectation is None:
            raise no_responses(self.family)
        if self.family.has_expectation:
            return self.family.mean(eta)
        at = self._parameters(flat, rows)
        beside = {
            name: value.reshape(*value.shape, *(1,) * (eta.ndim - 2)) for name, value in at.items()
        }
        return np.asarray(self.family.expectation(self.family.mean(eta), beside))

    def log_density(self, eta: FloatArray, flat: FlatDraws, rows: slice) -> FloatArray:
        """Log density of the observed response of a block of rows, shape (S, rows)."""
        assert self.y is not None
        if self.family.log_density is None:
            raise no_responses(self.family)
        mean = Mean(eta=eta, link=self.family.link)
        return np.asarray(self.family.log_density(self.y[rows], mean, self._parameters(flat, rows)))

    def draw(
        self, eta: FloatArray, flat: FlatDraws, rows: slice, rng: np.random.Generator
    ) -> FloatArray:
        """Draw responses of a block of rows, shape (S, rows)."""
        if self.family.draw is None:
            raise no_responses(self.family)
        mu = self.family.mean(eta)
        try:
            values = self.family.draw(rng, mu, self._parameters(flat, rows))
        except ValueError as error:  # NumPy's, of a mean that is too large or can't be
            raise DataError(
                f"Responses of family={self.family.name!r} can't be drawn where mu is between "
                f"{mu.min():.3g} and {mu.max():.3g} ({error}). Give narrower priors, or scale the "
                "predictors."
            ) from error
        return np.asarray(values, dtype=np.float64)

    def _parameters(self, flat: FlatDraws, rows: slice) -> dict[str, Any]:
        found = {name: value[:, None] for name, value in flat.family.items()}
        sigma = flat.sigma[:, None]
        if self.family.weighs_sigma or "sigma" not in found:
            found["sigma"] = sigma if self.weights is None else sigma / np.sqrt(self.weights[rows])
        found["trials"] = np.ones(1) if self.trials is None else self.trials[rows]
        return found
