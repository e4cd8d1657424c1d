"""The result of a maximum-likelihood fit of a generalised model, read as a linear one's is.

    y | b ~ family(eta, phi),   eta = X beta + Z b + offset,   b ~ N(0, Lambda Lambda')

Sds of random effects are those of Lambda, on the scale of eta, for every family. phi are the
further parameters of the family: a residual sd, the shape of a gamma.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, record
from hierbayes.calls import checked_methods
from hierbayes.families.observations import (
    checked_observations,
    first_category,
    no_responses,
)
from hierbayes.families.residuals import ResidualRows, expected_slope
from hierbayes.gaussian.covariance import term_covariances
from hierbayes.gaussian.products import covariance_shape
from hierbayes.options import (
    ResidualKind,
    RowsShown,
    check_option,
)
from hierbayes.results import verbs
from hierbayes.results.fit_tables import observed_of
from hierbayes.results.interval_parameters import (
    interval_parameters,
    own_parameters,
    parameter_values,
)
from hierbayes.results.laplace_error import LaplaceError
from hierbayes.results.likelihood_fit import LikelihoodFit, read_only
from hierbayes.results.varcorr import VarCorr, VarCorrTerm


class Optimum(Protocol):
    """Where the search for the maximum ended, on the user's scale."""

    @property
    def beta(self) -> FloatArray:
        """Coefficients of the columns that were kept, (p,)."""

    @property
    def theta(self) -> FloatArray:
        """Entries of Lambda, (k,)."""

    @property
    def dispersion(self) -> Mapping[str, float]:
        """Further parameters of the family by name, thresholds each under a name of its own."""

    @property
    def family_parameters(self) -> Mapping[str, FloatArray]:
        """Further parameters as the family takes them: numbers, and thresholds (K,)."""

    @property
    def loglik(self) -> float:
        """Maximised log-likelihood."""

    @property
    def modes(self) -> Sequence[FloatArray]:
        """Per factor the modes of the random effects, (J, q)."""

    @property
    def mode_covariances(self) -> Sequence[FloatArray]:
        """Per factor their conditional covariances, (J, q, q)."""

    @property
    def eta(self) -> FloatArray:
        """Linear predictor of the rows, (n,)."""

    @property
    def mu(self) -> FloatArray:
        """The parameter that eta belongs to, (n,)."""

    @property
    def vcov(self) -> FloatArray:
        """Covariance of (beta, theta, dispersion)."""

    @property
    def converged(self) -> bool:
        """Whether the search ended at a proven optimum."""

    @property
    def is_singular(self) -> bool:
        """Whether a covariance is on the boundary."""


@checked_methods("fit")
@record(repr=False)
class GeneralisedFit(LikelihoodFit):
    """A generalised linear (mixed) model fitted by maximum likelihood.

    Attributes
    ----------
    n_quadrature : nodes of the adaptive quadrature; 1 is the Laplace approximation, 0 profiles the
        coefficients out at the modes as lme4's ``nAGQ = 0``
    optimum : where the search ended
    """

    n_quadrature: int
    optimum: Optimum

    # numbers

    @property
    def dispersion(self) -> dict[str, float]:
        """Further parameters of the family by name, ``threshold[1]`` ...; empty without any."""
        return dict(self.optimum.dispersion)

    @property
    def n_params(self) -> int:
        """Number of estimated parameters: fixed effects, theta and those of the family."""
        return self.beta.size + self.representative.size + len(self.optimum.dispersion)

    @property
    def further_parameters(self) -> dict[str, tuple[float, float]]:
        """Parameters of the family besides mu and a residual sd: estimates and standard errors."""
        errors = np.sqrt(np.diagonal(self.optimum.vcov))[self.n_params - len(self.dispersion) :]
        return {
            name: (float(value), float(error))
            for (name, value), error in zip(self.optimum.dispersion.items(), errors, strict=True)
            if not (name == "sigma" and self.response_family.weighs_sigma)
        }

    # tables

    @cached_property
    def vcov_beta(self) -> FloatArray:
        """Covariance matrix of ``beta``, shape (p, p): of the Hessian in all parameters."""
        p = self.beta.size
        return np.array(self.optimum.vcov[:p, :p])

    @cached_property
    def vcov_root(self) -> FloatArray:
        """R (p, p) with R R' the covariance matrix of ``beta``; NaN where that has none."""
        return _root_of(self.vcov_beta)

    @cached_property
    def modes(self) -> tuple[FloatArray, ...]:
        """Conditional modes of the random effects per factor, (J, q), on the scale of eta."""
        return tuple(read_only(b) for b in self.optimum.modes)

    @cached_property
    def mode_covariances(self) -> tuple[FloatArray, ...]:
        """Conditional covariances of the random effects per factor, arrays (J, q, q)."""
        return tuple(read_only(V) for V in self.optimum.mode_covariances)

    @cached_property
    def effect_roots(self) -> tuple[FloatArray, ...]:
        """Per factor a root R (q, q) of the covariance R R' of a level's effects."""
        roots = covariance_shape(self.design).unpack(self.representative[None])
        return tuple(root[0] for root in roots)

    def varcorr(self) -> VarCorr:
        """Return sds and correlations of the random effects, on the scale of eta."""
        found = term_covariances(covariance_shape(self.design), self.representative, 1.0)
        terms = tuple(
            VarCorrTerm(
                name=term.name,
                columns=tuple(self.design.factors[term.factor].columns[c] for c in term.columns),
                sd=cov.sd,
                corr=cov.corr,
                undetermined=np.zeros(cov.corr.shape, dtype=np.bool_),
                structure=term.covariance,
                parameters=own_parameters(self.design, i, cov.own),
            )
            for i, (term, cov) in enumerate(zip(self.design.terms, found, strict=True))
        )
        return VarCorr(terms=terms, sigma=self.sigma, has_residual=self.has_residual_sd)

    @property
    def interval_estimates(self) -> FloatArray:
        """Values of ``interval_parameters``, shape (m,)."""
        dispersion = np.array([list(self.optimum.dispersion.values())])
        return generalised_values(self, self.representative[None], self.beta[None], dispersion)[0]

    @cached_property
    def laplace_error(self) -> LaplaceError:
        """How far the likelihood of this fit is from the exact one; worked out when first read.

        A record: ``loglik`` is the error of the log-likelihood at the estimates, ``shifts`` how
        far the estimates of the exact likelihood lie, in standard errors, and ``n_quadrature``
        the nodes recommended. It prints as a table, and is the same each time.

        Raises
        ------
        NotSupportedError
            For more than three columns of random effects of the factor with the most levels.

        Examples
        --------
        >>> import hierbayes as hb
        >>> cbpp = hb.load_dataset("cbpp")
        >>> fit = hb.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp)
        >>> bool(abs(fit.laplace_error.shifts).max() < 0.1)
        True
        """
        found: LaplaceError = verbs.ask(self, "laplace_error")
        return found

    # rows

    @property
    def linear_predictor(self) -> FloatArray:
        """Eta of every row, shape (n,)."""
        self.design.need_rows("the linear predictor of the rows")
        return self.optimum.eta

    @cached_property
    def fitted_values(self) -> FloatArray:
        """Expected response of every row, shape (n,); of binomial families the probability.

        Raises
        ------
        NotSupportedError
            If the family has no formula for it.
        """
        return self.expected_at(self.linear_predictor)

    def expected_at(self, eta: FloatArray) -> FloatArray:
        """Return the expected response at eta, of any shape.

        Raises
        ------
        NotSupportedError
            If the family has no formula for it.
        """
        if not self.response_family.knows_expectation:
            raise no_responses(self.response_family)
        at = self.optimum.family_parameters
        return self.first_category + self.response_family.expected(eta, at)

    @cached_property
    def first_category(self) -> float:
        """Number of the first category of an ordered response; 0 of others."""
        return first_category(self.design.summands) if self.response_family.is_ordinal else 0.0

    def expected_slope(self, eta: FloatArray) -> FloatArray:
        """Return the derivative of the expected response in eta, (m,).

        Raises
        ------
        NotSupportedError
            If the expected response is neither the family's mu nor a psychometric function of it.
        """
        at = {name: np.asarray(value) for name, value in self.optimum.dispersion.items()}
        return expected_slope(self.response_family, eta, at)

    @cached_property
    def row_parameters(self) -> dict[str, FloatArray]:
        """Further parameters of the distribution of each row, or cell: numbers or arrays (n,)."""
        found = dict(self.optimum.family_parameters)
        family = self.response_family
        if family.weighs_sigma and self._weights is not None:
            found["sigma"] = self.sigma / np.sqrt(self._weights)
        if family.counts_trials:
            found["trials"] = checked_observations(self.design.summands, family)[:, 1]
        return found

    @property
    def _weights(self) -> FloatArray | None:
        """Precision weights of the rows, or cells, (n,)."""
        return self.weights if self.design.cells is None else self.design.cells.weights

    @cached_property
    def row_curvature(self) -> FloatArray:
        """Minus the second derivative of each row's log density in eta, shape (n,).

        Where rows are cells, that of each cell: of all rows that it is.
        """
        design = self.design.summands
        y = checked_observations(design, self.response_family)
        y = y[:, 0] if self.response_family.counts_trials else y
        found = self.response_family.derivatives(y, self.optimum.eta, self.row_parameters, order=2)
        return -found.derivative(2) * (1.0 if design.counts is None else design.counts)

    @property
    def n_thresholds(self) -> int:
        """Number of thresholds between ordered categories; 0 of other families."""
        return len(self.dispersion) if self.response_family.is_ordinal else 0

    @cached_property
    def fixed_root(self) -> FloatArray:
        """R with R R' the covariance of (beta, thresholds), (p + K, p + K)."""
        p, m = self.beta.size, self.optimum.vcov.shape[0]
        at = np.r_[:p, m - self.n_thresholds : m]
        return _root_of(self.optimum.vcov[np.ix_(at, at)])

    @cached_property
    def whole_root(self) -> FloatArray:
        """R with R R' the covariance of (beta, theta, dispersion), (m, m).

        Rows of parameters at their bound, which have no spread, are zero.
        """
        covariance, p = self.optimum.vcov, self.beta.size
        known = np.isfinite(np.diagonal(covariance))
        known[:p] = True
        root = np.zeros(covariance.shape)
        root[np.ix_(known, known)] = _root_of(covariance[np.ix_(known, known)])
        return root

    @cached_property
    def fixed_curvature(self) -> FloatArray:
        """Minus the derivative of each row's slope along eta in (beta, thresholds), (n, p + K)."""
        design = self.design.summands
        along_beta = self.row_curvature[:, None] * design.X[:, self.kept]
        if not self.n_thresholds:
            return np.asarray(along_beta)
        y = checked_observations(design, self.response_family)
        found = [
            self.response_family.derivatives(
                y, self.optimum.eta, self.row_parameters, order=1, of="threshold", along=along
            ).derivative(1, 1)
            for along in np.eye(self.n_thresholds)
        ]
        counts = 1.0 if design.counts is None else design.counts[:, None]
        return np.column_stack([along_beta, -counts * np.stack(found, axis=1)])

    def category_probabilities(self, eta: FloatArray) -> FloatArray:
        """Return the probabilities of the ordered categories at eta (m,), (m, K + 1)."""
        return self.response_family.category_probabilities(eta, self.optimum.family_parameters)

    def category_slopes(self, eta: FloatArray) -> FloatArray:
        """Return derivatives of these in eta and each threshold, (m, K + 1, 1 + K)."""
        family, at = self.response_family, self.optimum.family_parameters
        shares = self.category_probabilities(eta)
        out = np.empty((*shares.shape, 1 + self.n_thresholds))
        for k in range(shares.shape[1]):
            y = np.full(eta.shape, float(k))
            out[:, k, 0] = family.derivatives(y, eta, at, order=1).derivative(1)
            for j, along in enumerate(np.eye(self.n_thresholds)):
                found = family.derivatives(y, eta, at, order=0, of="threshold", along=along)
                out[:, k, 1 + j] = found.derivative(0, 1)
        return np.asarray(out * shares[..., None])

    @property
    def row_scale(self) -> float:
        """Size of eta by which differences between equally good fits would count."""
        return float(np.std(self.optimum.eta)) or 1.0

    def residuals(self, kind: ResidualKind = "response", rows: RowsShown = "used") -> pd.Series:
        """Residuals of the rows used.

        Parameters
        ----------
        kind : {"response", "pearson", "deviance", "working"}
            "response": observed minus expected, of binomial families in shares. "pearson": that
            over the sd, times ``sigma``; divided by ``sigma`` they are lme4's scaled residuals.
            "deviance": the signed root of each row's part of the deviance. "working": the response
            ones on the scale of eta. Ordered categories count by their numbers.
        rows : {"used", "all"}
            The rows used, or those of the data: NaN where one was left out.

        Raises
        ------
        NotSupportedError
            If the family has no formula for the mean, variance or deviance they are made of.
        """
        check_option("kind", kind, ResidualKind)
        self.design.need_rows("the response of the rows")
        return self._in_rows(self.summand_residuals(kind), "residual", rows)

    def summand_residuals(self, kind: ResidualKind = "pearson") -> FloatArray:
        """Return residuals of the rows used, or of the cells that stand for them, (n,)."""
        design = self.design.summands
        y = checked_observations(design, self.response_family)
        return ResidualRows(
            family=self.response_family,
            response=observed_of(design) - self.expected_at(self.optimum.eta),
            y=y[:, 0] if self.response_family.counts_trials else y,
            eta=self.optimum.eta,
            parameters=self.row_parameters,
            sigma=np.asarray(self.sigma),
            weights=self._weights,
        ).of_kind(kind)


def generalised_values(
    fit: GeneralisedFit, theta: FloatArray, beta: FloatArray, dispersion: FloatArray
) -> FloatArray:
    """Return values of ``interval_parameters`` (T, m) at a batch of estimates.

    Parameters
    ----------
    theta, beta, dispersion : arrays, shapes (T, k), (T, p), (T, d), as those of the fit
    """
    names = list(fit.optimum.dispersion)
    own = [names.index(name) for name in fit.further_parameters]
    found = parameter_values(fit, theta, np.ones(len(theta)), beta=beta, further=dispersion[:, own])
    kinds = np.array([parameter.kind for parameter in interval_parameters(fit)])
    if (kinds == "sigma").any():
        found[:, kinds == "sigma"] = dispersion[:, [names.index("sigma")]]
    return found


def _root_of(covariance: FloatArray) -> FloatArray:
    """R with R R' a covariance matrix; NaN where that is none."""
    if not np.isfinite(covariance).all():
        return np.full(covariance.shape, np.nan)
    errors = np.sqrt(np.diagonal(covariance))[:, None]  # each in a unit of its own
    sizes, axes = np.linalg.eigh(covariance / (errors * errors.T))
    return np.asarray(errors * axes * np.sqrt(np.maximum(sizes, 0.0)))
