"""The response of some rows given draws of eta: its expectation, its density and new draws.

``eta`` is (S, rows), one row a posterior draw; further parameters of a family are (S,), thresholds
(S, K), and those that have a formula (S, rows).
"""

from typing import Any

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.bayes.predictive import FlatDraws, linear_predictor
from hierbayes.capabilities import not_supported
from hierbayes.design.design import GroupingFactor
from hierbayes.errors import DataError
from hierbayes.families.deviances import dispersion
from hierbayes.families.family import Family, Mean
from hierbayes.families.mean_ends import mean_ends, no_responses_there
from hierbayes.families.observations import checked_observations, first_category, no_responses
from hierbayes.families.parameter_formulas import ParameterLink, links_of
from hierbayes.families.residuals import ResidualRows
from hierbayes.options import ResidualKind
from hierbayes.specification.specification import Specification
from hierbayes.wording import listed


@record
class FormulaRows:
    """The predictor of a further parameter that has a formula, in some rows.

    Attributes
    ----------
    link : from the predictor to the parameter
    X : array, shape (n, p), kept columns
    factors : grouping factors in the order of the draws; None leaves the effects of one out
    offset : array, shape (n,), or None
    flat : draws with the effects of these rows; None for those of the draws asked about
    """

    link: ParameterLink
    X: FloatArray
    factors: tuple[GroupingFactor | None, ...]
    offset: FloatArray | None
    flat: FlatDraws | None = None

    def values(self, flat: FlatDraws, rows: slice) -> FloatArray:
        """Return the family's parameter in a block of rows, shape (S, rows)."""
        own = flat.formulas[self.link.name] if self.flat is None else self.flat
        eta = linear_predictor(own, self.X, self.factors, offset=self.offset, rows=rows)
        with np.errstate(over="ignore"):
            return np.asarray(self.link.value(eta))


@record
class Response:
    """The distribution of the response of some rows.

    Attributes
    ----------
    family : Family
    y : array, shape (n,), observed; successes of binomial families, categories from 0 of ordinal
        ones; None for new rows
    trials : array, shape (n,), of binomial families; None means 1
    weights : array, shape (n,), precision weights of families with a residual sd, or None
    first : number of the first category of an ordinal response
    formulas : further parameters that differ between these rows
    """

    family: Family
    y: FloatArray | None
    trials: FloatArray | None = None
    weights: FloatArray | None = None
    first: float = 0.0
    formulas: tuple[FormulaRows, ...] = ()

    def mean(self, eta: FloatArray, flat: FlatDraws, rows: slice = slice(None)) -> FloatArray:
        """Return the expected response at eta (S, ...); of binomial families the probability.

        Raises
        ------
        NotSupportedError
            If the family has no formula for it.
        DataError
            If a mean is impossible: that of a draw under an inverse link, which has none over the
            draws then, or that of all draws.
        """
        family = self.family
        if not family.knows_expectation:
            raise no_responses(family)
        if mean_ends(family) is not None:
            mu = family.mean(eta)
            if family.link.may_have_no_mean:
                self._check_possible(eta, family.is_drawable(mu))
            else:  # the mean of all draws is a number there
                mu = mu.mean(axis=0)
                self._check_possible(family.link.forward(mu), family.is_drawable(mu))
        if family.has_expectation:
            return family.mean(eta)
        at = self._parameters(flat, rows)
        if eta.ndim > 2:  # one parameter a draw beside each of its numbers
            more = (1,) * (eta.ndim - 2)
            at = {
                name: value.reshape(*value.shape[:2], *more, *value.shape[2:])
                for name, value in at.items()
                if value.ndim > 1
            }
        return self.first + family.expected(eta, at)

    def category_probabilities(self, eta: FloatArray, flat: FlatDraws, rows: slice) -> FloatArray:
        """Probabilities of the ordered categories, shape (S, rows, K + 1)."""
        return self.family.category_probabilities(eta, self._parameters(flat, rows))

    def residuals(
        self,
        kind: ResidualKind,
        observed: FloatArray,
        eta: FloatArray,
        flat: FlatDraws,
        rows: slice,
    ) -> FloatArray:
        """Residuals of a block of rows in each draw, shape (S, rows); ``observed`` as reported."""
        assert self.y is not None
        family, at = self.family, self._parameters(flat, rows)
        sigma = flat.family.get("sigma", flat.sigma)
        if self.formulas:  # no dispersion is common to all rows
            sigma = np.ones(())
        elif "sigma" not in {parameter.name for parameter in family.parameters}:
            sigma = np.sqrt(dispersion(family, flat.family))
        return ResidualRows(
            family=family,
            response=observed - self.mean(eta, flat, rows),
            y=self.y[rows],
            eta=eta,
            parameters=at,
            sigma=sigma[:, None] if sigma.ndim else sigma,
            weights=None if self.weights is None else self.weights[rows],
        ).of_kind(kind)

    def log_density(self, eta: FloatArray, flat: FlatDraws, rows: slice) -> FloatArray:
        """Log density of the observed response of a block of rows, shape (S, rows)."""
        assert self.y is not None and self.family.log_density is not None
        mean = Mean(eta=eta, link=self.family.link)
        return np.asarray(self.family.log_density(self.y[rows], mean, self._parameters(flat, rows)))

    def draw(
        self,
        eta: FloatArray,
        flat: FlatDraws,
        rows: slice,
        rng: np.random.Generator,
        *,
        some_missing: bool = False,
    ) -> FloatArray:
        """Draw responses of a block of rows, shape (S, rows).

        Parameters
        ----------
        eta, flat, rows
        rng : np.random.Generator
        some_missing : bool
            Leave NaN where there is no response, instead of DataError.
        """
        family = self.family
        try:
            values = self.first + family.drawn(rng, eta, self._parameters(flat, rows))
        except ValueError as error:  # NumPy's, of a mean that can't be
            mu = family.mean(eta)
            raise DataError(
                f"Responses of family={family.name!r} can't be drawn where mu is between "
                f"{mu.min():.3g} and {mu.max():.3g} ({error}). Give narrower priors, or scale the "
                "predictors."
            ) from error
        if not some_missing:
            self._check_possible(eta, np.isfinite(values))
        return values

    def _check_possible(self, eta: FloatArray, possible: BoolArray) -> None:
        """Raise DataError where some draws of eta have no response of the family."""
        possible = possible | np.isnan(eta)  # a row that is not asked for
        if possible.all():
            return
        raise no_responses_there(self.family, eta, possible)

    def _parameters(self, flat: FlatDraws, rows: slice) -> dict[str, Any]:
        if len(self.formulas) != len(flat.formulas):
            raise not_supported("formula-rows", parameters=listed(list(flat.formulas)))
        found = {name: value[:, None] for name, value in flat.family.items()}
        sigma = flat.sigma[:, None]
        for own in self.formulas:
            value = own.values(flat, rows)
            if own.link.parameter == "sigma" and self.family.weighs_sigma:
                sigma = value
            else:
                found[own.link.parameter] = value
        if self.family.weighs_sigma or "sigma" not in found:
            found["sigma"] = sigma if self.weights is None else sigma / np.sqrt(self.weights[rows])
        found["trials"] = np.ones(1) if self.trials is None else self.trials[rows]
        return found


def observed_response(spec: Specification) -> Response:
    """Return the distribution of the response of the rows a model is of."""
    design, family = spec.design, spec.family
    observed = checked_observations(design, family)
    if family.counts_trials:
        y, trials = observed[:, 0], observed[:, 1]
        return Response(family=family, y=y, trials=trials, formulas=_fitted_rows(spec))
    first = first_category(design) if family.is_ordinal else 0.0
    return Response(
        family=family, y=observed, weights=spec.weights, first=first, formulas=_fitted_rows(spec)
    )


def _fitted_rows(spec: Specification) -> tuple[FormulaRows, ...]:
    """Return the rows that were fitted, as the formulas of further parameters have them."""
    found = []
    for name, link in links_of(spec.design, spec.family).items():
        own = spec.design.of(name)
        X = own.X[:, spec.kept_of[name]]
        found.append(FormulaRows(link=link, X=X, factors=own.factors, offset=own.offset))
    return tuple(found)
