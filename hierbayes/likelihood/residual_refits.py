"""A model whose residuals have a structure, fitted to many responses, one after the other.

What differs between the fits is the response's part of the products; each search is that of
``residual_search.py``, with its several starts, so that every fit is as good as one made alone.
"""

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.errors import HierBayesError
from hierbayes.likelihood.refits import Refits
from hierbayes.likelihood.residual_search import search
from hierbayes.results.linear_fit import LinearFit


@record
class ResidualRefits:
    """Estimates from T responses, on the user's scale.

    Attributes
    ----------
    refits : theta, sigma, beta, criterion and verdicts
    phi : array, shape (T, d), coordinates of the residuals; NaN where a fit failed
    """

    refits: Refits
    phi: FloatArray


def refit_residuals(fit: LinearFit, Y: FloatArray) -> ResidualRefits:
    """Fit the model of a fit, whose residuals have a structure, to responses Y (n, T)."""
    assert fit.residual is not None
    T = Y.shape[1]
    theta = np.full((T, fit.representative.size), np.nan)
    phi, beta = np.full((T, fit.residual.phi.size), np.nan), np.full((T, fit.beta.size), np.nan)
    sigma, criterion = np.full(T, np.nan), np.full(T, np.nan)
    converged, is_singular = np.zeros(T, dtype=np.bool_), np.zeros(T, dtype=np.bool_)
    for t in range(T):
        spec = fit.spec.with_response(Y[:, t])
        try:
            with np.errstate(all="ignore"):
                kernel = spec.residual_kernel(fit.method)
                end = search(spec.design, kernel, spec.residuals)
        except (HierBayesError, np.linalg.LinAlgError):
            continue  # nothing left to model: it stays missing
        found, anchor = end.found, end.found.kernel.products.anchor
        theta[t], phi[t] = found.theta, end.phi
        sigma[t], criterion[t] = found.at.sigma[0], found.at.criterion[0]
        beta[t] = anchor.beta0 + anchor.x_basis @ found.at.beta[0]
        converged[t], is_singular[t] = found.converged, found.is_singular
    refits = Refits(
        theta=theta,
        sigma=sigma,
        beta=beta,
        criterion=criterion,
        converged=converged,
        is_singular=is_singular,
    )
    return ResidualRefits(refits=refits, phi=phi)
