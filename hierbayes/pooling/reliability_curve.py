"""Reliability of a level of any number of rows: what more rows would do.

A level of n rows like the average row of the data has Z'WZ = n A with A the mean over rows, and
with Sigma the covariance between levels its conditional covariance is

    C(n) = (Sigma^-1 + n A / sigma^2)^-1 = Sigma - Sigma (Sigma + sigma^2 (n A)^-1)^-1 Sigma,

so that the reliability of a term is 1 - C(n) / Sigma on the diagonal: tau^2 / (tau^2 + sigma^2 / n)
for a random intercept. Other grouping factors count as known. Of a generalised fit A / sigma^2 is
the mean over rows of z W z' with the curvatures W of their log densities at the estimates.
"""

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, record
from hierbayes.capabilities import not_supported
from hierbayes.families.parameter_formulas import check_no_formulas
from hierbayes.pooling.level_covariances import (
    check_shrinks,
    covariance_draws,
    level_covariances,
    position_of_group,
    position_of_term,
    relative_roots,
    sigma_draws,
    some_draws,
)
from hierbayes.pooling.shrinkage_matrices import reliabilities
from hierbayes.results.fit import Fit
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.result_table import result_table
from hierbayes.results.tidy import check_level

POINTS = 80
BEYOND = 1.25  # the curve goes this far beyond the largest level


def reliability_curve(
    fit: Fit,
    *,
    group: str | None = None,
    term: str | None = None,
    n: FloatArray | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return the reliability and the standard error of a level of n rows.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    group, term : str, optional
        The first ones when not given.
    n : array, shape (m,), optional
        Numbers of rows; from 0 to beyond the largest level when not given.
    level : float
        Level of the credible interval of a posterior.

    Returns
    -------
    pandas.DataFrame
        Columns ``n se reliability lower upper``: ``se`` is the standard error of the unpenalised
        estimate; the limits are those of a posterior, NaN of a likelihood fit.
    """
    check_shrinks(fit, "reliability_curve")
    check_level(level)
    if fit.design.residual is not None:
        raise not_supported("reliability-of-series", term=fit.design.residual.call)
    if isinstance(fit, PosteriorFit):
        check_no_formulas(fit.design, "reliability_curve")
    position = position_of_group(fit, group)
    t = position_of_term(fit, position, term)
    factor = fit.design.factors[position]
    row_of = _typical_row(fit, position)
    A, basis = row_of.A, row_of.basis
    counts = np.bincount(factor.codes, minlength=factor.levels.size)
    grid = np.linspace(0.0, BEYOND * counts.max(), POINTS) if n is None else np.asarray(n, float)
    row = basis[t]
    unit = row_of.sigma * np.sqrt(row @ np.linalg.pinv(A, hermitian=True) @ row)
    with np.errstate(divide="ignore"):
        se = unit / np.sqrt(grid)
    lower = upper = np.full(grid.size, np.nan)
    if isinstance(fit, PosteriorFit):
        used = some_draws(fit, grid.size * A.size)
        sigma = sigma_draws(fit)[used, None, None]
        Sigmas = [covariance_draws(fit.draws, f.name)[used] for f in fit.design.factors]
        roots = relative_roots(level_covariances(fit).kernel, Sigmas, sigma)[position]
        shares = _reliability(roots, grid[:, None, None] * A, basis)[:, :, t]
        value = shares.mean(axis=0)
        lower, upper = np.quantile(shares, [(1 - level) / 2, (1 + level) / 2], axis=0)
    else:
        value = _reliability(row_of.Lambda, grid[:, None, None] * A, basis)[0, :, t]
    columns = {"n": grid, "se": se, "reliability": value, "lower": lower, "upper": upper}
    known = {"group": factor.name, "term": factor.columns[t], "level": level}
    return result_table(columns, "reliability", attrs=known)


@record
class _TypicalRow:
    """What a row like the average one tells of a level.

    Attributes
    ----------
    A : array, shape (q, q), the mean over rows of z z', weighted, in the basis
    basis : array, shape (q, q)
    Lambda : array, shape (1, q, q), root of Var(b) / sigma^2 in the basis
    sigma : residual sd; 1 where the weights have it
    """

    A: FloatArray
    basis: FloatArray
    Lambda: FloatArray
    sigma: float


def _typical_row(fit: Fit, position: int) -> _TypicalRow:
    """Return the average row of a fit; of a generalised one by the working weights."""
    n = fit.design.factors[position].codes.size
    if isinstance(fit, GeneralisedFit):
        z = fit.design.factors[position].z
        return _TypicalRow(
            A=z.T @ (fit.row_curvature[:, None] * z) / n,
            basis=np.eye(z.shape[1]),
            Lambda=fit.effect_roots[position][None],
            sigma=1.0,
        )
    at = level_covariances(fit)
    products = at.kernel.products
    return _TypicalRow(
        A=products.zz[position].sum(axis=0) / n,
        basis=products.anchor.z_bases[position],
        Lambda=at.Lambdas[position],
        sigma=at.sigma,
    )


def _reliability(roots: FloatArray, products: FloatArray, basis: FloatArray) -> FloatArray:
    """Reliability of every term (T, m, q) at roots (T, q, q) and blocks of Z'WZ (m, q, q)."""
    root = roots[:, None]
    turned = np.swapaxes(root, 2, 3)
    inner = turned @ products @ root + np.eye(basis.shape[0])
    C = root @ np.linalg.solve(inner, np.broadcast_to(turned, inner.shape))
    total = roots @ np.swapaxes(roots, 1, 2)
    return reliabilities(basis @ C @ basis.T, basis @ total @ basis.T)
