"""What a profile of a generalised fit needs: its optimum, its deviance, values to be reported.

Residual sds and further parameters are profiled on the scale of their search (logs, logits) and
reported on their own.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.gaussian.covariance import CovarianceShape
from hierbayes.intervals.generalised_deviance import GeneralisedDeviance
from hierbayes.intervals.held_parameter import Held
from hierbayes.intervals.held_places import OF_CUT
from hierbayes.likelihood.generalised import optimum_of
from hierbayes.likelihood.glmm import GlmmOptimum, fit_glmm, glmm_at
from hierbayes.results.finding import Finding
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.interval_parameters import (
    IntervalParameter,
    interval_parameters,
    parameter_names,
    values_of_roots,
)

LEAST_SHARE = 1e-9  # in the place of a share of zero, whose logit is no number
ENDLESS = "it has no finite estimate, as the likelihood rises with it for ever"
PROFILED_BY_LAPLACE = Finding(
    "profiled_by_laplace",
    "The Laplace likelihood was profiled: that of n_quadrature=0 is not maximised over the fixed "
    "effects, so the model was fitted again by Laplace first.",
    "The limits belong to the estimates of n_quadrature=1.",
    {},
)


@record
class GeneralisedOptimum:
    """Where the likelihood is highest.

    Attributes
    ----------
    fit : whose parameters are profiled
    found : its optimum, by Laplace or quadrature
    """

    fit: GeneralisedFit
    found: GlmmOptimum

    @cached_property
    def deviance(self) -> GeneralisedDeviance:
        """-2 log-likelihood in coordinates of held parameters."""
        return GeneralisedDeviance(self.found)

    @property
    def shape(self) -> CovarianceShape:
        """In the basis of the search."""
        return self.found.model.basis_shape

    @property
    def lowest(self) -> float:
        """-2 log-likelihood at the optimum."""
        return -2 * self.found.loglik

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all M parameters."""
        return parameter_names(self.fit)

    @cached_property
    def values(self) -> FloatArray:
        """All M parameters at the optimum."""
        mode = self.found.at.mode
        roots = [Lambda[0] for Lambda in mode.Lambdas]
        return self._values([root[None] for root in roots], mode.phi[None], mode.beta[None])[0]

    def hold(self, parameters: Sequence[IntervalParameter]) -> tuple[Held, FloatArray, FloatArray]:
        """Return coordinates for each parameter, the optimum in them, and what curvature lacks."""
        return self.deviance.hold([self._placed(parameter) for parameter in parameters])

    def _placed(self, parameter: IntervalParameter) -> IntervalParameter:
        """Return a parameter of the family with its position among all of them."""
        if parameter.kind not in ("sigma", "further"):
            return parameter
        coordinates = self.found.model.coordinates
        row = [coordinate.label for coordinate in coordinates].index(self._name(parameter))
        if coordinates[row].along is None:
            return replace(parameter, row=row)
        first = next(i for i, own in enumerate(coordinates) if own.along is not None)
        return replace(parameter, row=row - first, place=OF_CUT)

    def _name(self, parameter: IntervalParameter) -> str:
        if parameter.kind == "sigma":
            return "sigma"
        return list(self.fit.further_parameters)[parameter.row]

    def values_at(
        self, held: Held, Lambdas: Sequence[FloatArray], z: FloatArray, beta: FloatArray
    ) -> FloatArray:
        """All parameters (N, M) at roots, points z (N, n) and fixed effects (N, p)."""
        every = range(z.shape[0])
        phi = [self.deviance.phi(held.take(np.array([i])), z[i]) for i in every]
        return self._values(Lambdas, np.array(phi).reshape(z.shape[0], -1), beta)

    def _values(
        self, Lambdas: Sequence[FloatArray], phi: FloatArray, beta: FloatArray
    ) -> FloatArray:
        model, fit = self.found.model, self.fit
        values = model.further_values(phi, beta)
        at = {
            coordinate.label: value
            for coordinate, value in zip(model.coordinates, values.T, strict=True)
        }
        further = [at[name] for name in fit.further_parameters]
        found = values_of_roots(
            fit,
            Lambdas,
            np.ones(beta.shape[0]),
            beta=beta @ model.x_basis.T,
            further=np.stack(further, axis=1) if further else np.empty((beta.shape[0], 0)),
            bases=model.z_bases,
        )
        kinds = np.array([parameter.kind for parameter in interval_parameters(fit)])
        if (kinds == "sigma").any():
            found[:, kinds == "sigma"] = at["sigma"][:, None]
        return found

    def not_profiled(self, parameter: IntervalParameter) -> str:
        """Say why a parameter has no profile; empty where it has one."""
        found = self.found
        if parameter.kind == "fixed":
            endless = parameter.row in found.runaway_columns
        elif parameter.kind in ("sigma", "further"):
            endless = self._name(parameter) in found.flat_parameters
        else:
            endless = parameter.term in found.runaway_terms
        return ENDLESS if endless else ""

    def never_ends(self, parameter: IntervalParameter) -> bool:
        """Whether the range of a parameter has no end."""
        return parameter.kind in ("sigma", "further")

    def reported(self, parameter: IntervalParameter, held: Held, z: FloatArray) -> FloatArray:
        """Values (N,) of the held parameter at points z (N, n) on the scale it is reported on."""
        if parameter.kind not in ("sigma", "further"):
            return held.values(z)
        own = self._placed(parameter)
        if own.place == OF_CUT:
            return np.asarray(z[np.arange(z.shape[0]), held.own])
        row = own.row
        transform = self.found.model.coordinates[row].transform
        return np.asarray(transform.inverse(z[:, held.n_theta + 1 + row]))


def generalised_optimum(fit: GeneralisedFit) -> GeneralisedOptimum:
    """Return the optimum of a fit; of ``n_quadrature=0``, which has none, that of Laplace."""
    found = optimum_of(fit) if fit.n_quadrature else fit_glmm(fit.spec)
    if found.model.has_end.any():  # a profile takes logits
        found = glmm_at(
            fit.spec,
            found.n_quadrature,
            beta=found.beta,
            theta=found.theta,
            dispersion={n: max(v, LEAST_SHARE) for n, v in found.dispersion.items()},
            reaches_ends=False,
        )
    return GeneralisedOptimum(fit=fit, found=found)
