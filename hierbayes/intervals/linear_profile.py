"""What a profile of a linear fit needs: its optimum by maximum likelihood, and its deviance."""

from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.gaussian.covariance import CovarianceShape
from hierbayes.gaussian.kernel import method_kernel
from hierbayes.gaussian.marginal import Evaluation, Kernel
from hierbayes.intervals.held_deviance import LinearDeviance
from hierbayes.intervals.held_parameter import Held
from hierbayes.intervals.held_places import hold
from hierbayes.likelihood.lmm import fit_lmm
from hierbayes.results.interval_parameters import (
    IntervalParameter,
    parameter_names,
    parameter_values,
    values_of_roots,
)
from hierbayes.results.linear_fit import LinearFit


@record
class LinearOptimum:
    """Where the likelihood of a linear mixed model is highest.

    Attributes
    ----------
    fit : whose parameters are profiled
    kernel, at : by maximum likelihood, and its evaluation at the optimum
    names, values : all M parameters there
    """

    fit: LinearFit
    kernel: Kernel
    at: Evaluation
    names: tuple[str, ...]
    values: FloatArray

    @property
    def deviance(self) -> LinearDeviance:
        """The deviance in coordinates of held parameters."""
        return LinearDeviance(self.kernel)

    @property
    def shape(self) -> CovarianceShape:
        """In the basis of the search."""
        return self.kernel.basis_shape

    @property
    def lowest(self) -> float:
        """Minus twice the log-likelihood at the optimum."""
        return float(self.at.criterion[0])

    def hold(self, parameters: Sequence[IntervalParameter]) -> tuple[Held, FloatArray, None]:
        """Return coordinates for each parameter, and the optimum in them."""
        return *hold(self.kernel, self.at, parameters), None

    def values_at(
        self, held: Held, Lambdas: Sequence[FloatArray], z: FloatArray, beta: FloatArray
    ) -> FloatArray:
        """All parameters (N, M) at roots, points z (N, n) and fixed effects (N, p)."""
        del held
        sigma = np.exp(z[:, self.kernel.basis_shape.n_theta])
        beta, bases = _beta(self.kernel, beta), self.kernel.products.anchor.z_bases
        return values_of_roots(self.fit, Lambdas, sigma, beta=beta, bases=bases)

    def not_profiled(self, parameter: IntervalParameter) -> str:
        """Say why a parameter has no profile; empty where it has one."""
        del parameter
        return ""

    def never_ends(self, parameter: IntervalParameter) -> bool:
        """Whether the range of a parameter has no end."""
        return parameter.kind == "sigma"

    def reported(self, parameter: IntervalParameter, held: Held, z: FloatArray) -> FloatArray:
        """Values (N,) of the held parameter at points z (N, n) on the scale it is reported on."""
        del parameter
        return held.values(z)


def linear_optimum(fit: LinearFit) -> LinearOptimum:
    """Return where the likelihood is highest: that of a REML fit is searched."""
    kernel, at, theta = fit.kernel, fit.at, fit.representative
    if fit.method != "ml":
        found = fit_lmm(fit.design, method_kernel(kernel, "ml"))
        kernel, at, theta = found.kernel, found.at, found.theta
    beta = _beta(kernel, at.beta)
    values = parameter_values(fit, theta[None], at.sigma, beta=beta)[0]
    return LinearOptimum(fit=fit, kernel=kernel, at=at, names=parameter_names(fit), values=values)


def _beta(kernel: Kernel, beta: FloatArray) -> FloatArray:
    """Return fixed effects (T, p) on the user's scale."""
    anchor = kernel.products.anchor
    return np.asarray(anchor.beta0 + beta @ anchor.x_basis.T)
