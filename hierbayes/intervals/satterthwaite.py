"""Satterthwaite's degrees of freedom of a t test of a linear combination of fixed effects.

With psi = (theta, sigma), V(psi) the covariance matrix of beta-hat and A the covariance matrix of
psi-hat (twice the inverse Hessian of the deviance before sigma is profiled out),

    df(L) = 2 (L'V L)^2 / (g'A g),    g_i = L' (dV / dpsi_i) L.

The Hessian and the derivatives of V come from central differences of the exact gradient and of
V, all thetas in one call of the kernel. Directions in which the deviance is flat (a covariance
on the boundary) say nothing about A and are left out, as in lmerTest.

Source: Kuznetsova, Brockhoff & Christensen (2017), J. Stat. Softw. 82(13), section 2.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hierbayes.gaussian.marginal import evaluate, gradient
from hierbayes.results.likelihood_fit import LikelihoodFit

FloatArray = npt.NDArray[np.float64]

STEP = 1e-5  # of theta, which is of order one in the basis of the products
FLAT = 1e-8  # eigenvalues of the Hessian below this part of the largest are flat


@dataclass(frozen=True, slots=True)
class VarianceUncertainty:
    """What the degrees of freedom of any combination follow from.

    Attributes
    ----------
    covariance : array, shape (m, m), A of the module's header, psi in the basis of the products
    slopes : array, shape (m, p, p), derivative of the covariance of beta in psi, user's scale
    """

    covariance: FloatArray
    slopes: FloatArray


def variance_uncertainty(fit: LikelihoodFit) -> VarianceUncertainty:
    """Hessian of the deviance in (theta, sigma) and derivatives of vcov(beta) at the estimates.

    Computed once a fit.
    """
    found = vars(fit).get("_variance_uncertainty")
    if found is None:
        found = vars(fit)["_variance_uncertainty"] = _variance_uncertainty(fit)
    return found


def _variance_uncertainty(fit: LikelihoodFit) -> VarianceUncertainty:
    kernel, sigma = fit.kernel, fit.sigma
    k = fit.theta.size
    m = k + (0 if kernel.sigma_known else 1)
    hessian = np.zeros((m, m))
    slopes = np.zeros((m, fit.beta.size, fit.beta.size))
    if k:
        steps = STEP * np.eye(k)
        there = evaluate(kernel, fit.at.theta + np.concatenate([steps, -steps]))
        slope = gradient(kernel, there, sigma=sigma)
        block = (slope[:k] - slope[k:]) / (2 * STEP)
        hessian[:k, :k] = (block + block.T) / 2
        inverse = np.linalg.inv(there.root_xvx)
        scaled = sigma**2 * np.swapaxes(inverse, 1, 2) @ inverse
        basis = kernel.products.anchor.x_basis
        slopes[:k] = basis @ ((scaled[:k] - scaled[k:]) / (2 * STEP)) @ basis.T
    if not kernel.sigma_known:
        slopes[-1] = 2 * fit.vcov_beta / sigma
        hessian[-1, -1] = 4 * kernel.df / sigma**2
        if k:  # the gradient in theta is a + b / sigma^2; two sigmas give b
            here, wide = (gradient(kernel, fit.at, sigma=s)[0] for s in (sigma, 2 * sigma))
            hessian[:k, -1] = hessian[-1, :k] = -2 * (here - wide) / 0.75 / sigma
    size, axes = np.linalg.eigh(hessian)
    kept = size > FLAT * size.max(initial=0.0)
    covariance = 2 * (axes[:, kept] / size[kept]) @ axes[:, kept].T
    return VarianceUncertainty(covariance, slopes)


def satterthwaite_df(fit: LikelihoodFit, L: FloatArray | None = None) -> FloatArray:
    """Degrees of freedom of t tests of the rows of L beta = 0.

    Parameters
    ----------
    fit : LikelihoodFit
    L : array, shape (c, p), optional
        Combinations of the kept fixed effects; each coefficient alone when not given.

    Returns
    -------
    array, shape (c,), infinite where nothing about the variance had to be estimated
    """
    L = np.eye(fit.beta.size) if L is None else L
    if fit.is_linear_model:
        exact = np.inf if fit.kernel.sigma_known else float(fit.nobs - fit.beta.size)
        return np.full(L.shape[0], exact)
    known = variance_uncertainty(fit)
    variance = np.einsum("ci,ij,cj->c", L, fit.vcov_beta, L)
    g = np.einsum("ci,mij,cj->cm", L, known.slopes, L)
    spread = np.einsum("cm,mk,ck->c", g, known.covariance, g)
    with np.errstate(divide="ignore"):
        return np.asarray(2 * variance**2 / spread)
