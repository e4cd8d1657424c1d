"""The kernel of a fit and the covariance of its levels in the kernel's basis, for both estimators.

A likelihood fit has its optimum; a posterior is taken at the posterior means of beta, of each
factor's Var(b) and of sigma, or draw by draw.
"""

from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.bayes.predictive import flat_draws
from hierbayes.bayes.residual_draws import residual_draws
from hierbayes.capabilities import not_supported
from hierbayes.errors import OptionError
from hierbayes.families.parameter_formulas import check_no_formulas
from hierbayes.gaussian.marginal import Kernel
from hierbayes.gaussian.pattern.related import check_unrelated
from hierbayes.naming.addresses import effect_addresses
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.fit import Fit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.wording import meant, shown

AT_ONCE = 2**22  # numbers of the factors of one batch of draws: 32 MB
MOST, FEWEST = 1000, 40  # draws a reliability is averaged over: errors below 0.003 and 0.015


@record
class LevelCovariances:
    """Where a fit stands, in the basis of the kernel's products.

    Attributes
    ----------
    kernel : the kernel
    gamma : array, shape (p,), beta in the basis of X
    Lambdas : per factor, array (1, q, q), a square root of Var(b) / sigma^2
    sigma : residual sd; 1 where it is known and in the weights
    """

    kernel: Kernel
    gamma: FloatArray
    Lambdas: list[FloatArray]
    sigma: float


def check_shrinks(
    given: object, function: str, *, of_families: bool = False, of_related: bool = False
) -> Fit:
    """Return a fit with random effects; related levels, and posteriors of families, if allowed."""
    if not isinstance(given, Fit):
        raise not_supported("shrinkage-of-what", function=function, given=type(given).__name__)
    if given.is_linear_model:
        raise not_supported("shrinkage-without-effects")
    if not of_related:
        check_unrelated(given.design, function)
    has_structure = isinstance(given, PosteriorFit) and given.residual_structure is not None
    if has_structure:
        check_unrelated(given.design, function)
    elif not isinstance(given, LinearFit):  # whose kernel has the covariance of residuals
        check_no_formulas(given.design, function)
    family = given.response_family
    if isinstance(given, PosteriorFit) and not family.is_linear:
        if of_families and family.is_smooth and family.log_density is not None:
            return given
        if of_families:
            raise not_supported("shrinkage-of-density", function=function, family=given.family)
        raise not_supported(
            "shrinkage-of-family", function=function, family=given.family, link=given.link
        )
    return given


def position_of_group(fit: Fit, group: str | None) -> int:
    """Return the position of a grouping factor; of the first one when not named."""
    names = [factor.name for factor in fit.design.factors]
    if group is None:
        return 0
    if isinstance(group, str) and group in names:
        return names.index(str(group))
    raise OptionError(_not_one_of("group", group, names))


def position_of_term(fit: Fit, position: int, term: str | None) -> int:
    """Return the position of a term among the columns of a factor; the first when not named."""
    if term is None:
        return 0
    return effect_addresses(fit.design, position).place(term, "term={text} is not one of {listed}")


def _not_one_of(argument: str, given: Any, names: Any) -> str:
    listed = ", ".join(repr(name) for name in names)
    hint = meant(given, tuple(names), "")
    return f"{argument}={shown(given)} is not one of {listed}{hint}"


def level_covariances(fit: Fit) -> LevelCovariances:
    """Return where a fit stands; a posterior at its means."""
    if isinstance(fit, LinearFit):
        return LevelCovariances(
            kernel=fit.kernel, gamma=fit.at.beta[0], Lambdas=fit.at.Lambdas, sigma=fit.sigma
        )
    assert isinstance(fit, PosteriorFit)
    sigma = fit.sigma
    if fit.residual_structure is None:
        kernel: Kernel = fit.spec.kernel("reml")
    else:
        kernel = fit.spec.residual_kernel("reml").at(mean_phi(fit))
        sigma = fit.varcorr().sigma
    anchor = kernel.products.anchor
    means = [covariance_draws(fit.draws, f.name).mean(axis=0)[None] for f in fit.design.factors]
    return LevelCovariances(
        kernel=kernel,
        gamma=np.linalg.solve(anchor.x_basis, fit.beta - anchor.beta0),
        Lambdas=relative_roots(kernel, means, sigma),
        sigma=sigma,
    )


def mean_phi(fit: PosteriorFit) -> FloatArray:
    """Coordinates (d,) of the posterior means of what the residuals have beside sigma."""
    found = fit.spec.residuals
    mean = [float(fit.residual_draws[name].mean()) for name in found.names]
    return found.coordinates(np.array([mean]))[0]


def relative_roots(kernel: Kernel, Sigmas: list[FloatArray], sigma: Any) -> list[FloatArray]:
    """Square roots in the kernel's basis of Var(b) / sigma^2, from Var(b) (T, q, q) a factor."""
    found = []
    for basis, Sigma in zip(kernel.products.anchor.z_bases, Sigmas, strict=True):
        inverse = np.linalg.inv(basis)
        sizes, axes = np.linalg.eigh(inverse @ Sigma @ inverse.T)
        found.append(axes * np.sqrt(np.maximum(sizes, 0.0))[:, None, :] / sigma)
    return found


def covariance_draws(draws: PosteriorDraws, name: str) -> FloatArray:
    """Draws of Var(b) of a factor's levels, shape (C D, q, q)."""
    sd = draws.sd[name].reshape(-1, draws.sd[name].shape[2])
    q = sd.shape[1]
    corr = draws.corr[name].reshape(-1, q, q) if name in draws.corr else np.eye(q)
    return np.asarray(sd[:, :, None] * corr * sd[:, None, :])


def sigma_draws(fit: PosteriorFit) -> FloatArray:
    """Draws of the residual sd, shape (C D,), of the reference; ones where it is known."""
    if fit.residual_structure is not None:
        return residual_draws(fit.spec, flat_draws(fit.draws, fit.design)).sigma
    return np.ones(fit.n_draws) if fit.draws.sigma is None else fit.draws.sigma.ravel()


def some_draws(fit: PosteriorFit, size: int, *, most: int = MOST) -> IntArray:
    """Positions of draws to average over, evenly spaced: fewer where one holds many numbers."""
    n = int(np.clip(AT_ONCE // max(size, 1), FEWEST, most))
    return np.unique(np.linspace(0, fit.n_draws - 1, min(n, fit.n_draws)).round().astype(np.intp))
