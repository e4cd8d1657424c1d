"""What every level of a grouping factor does to the estimates: the fit without it, exactly.

Each refit works on the cross-products of the other rows and starts from the fit's own theta. Cook's
distance of a level is the squared distance of the fixed effects without it from those with it,

    D = (beta - beta_(j))' V^-1 (beta - beta_(j)) / p,    V the covariance matrix of beta,

so D = 1 moves the estimates as far as the surface of a confidence region of about 50 %.

Source: Cook (1977), Technometrics 19:15; Demidenko & Stukel (2005), Statistics in Medicine 24:893.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import BoolArray, FloatArray
from hierbayes.calls import checked_call
from hierbayes.capabilities import not_supported
from hierbayes.design.design import GroupingFactor
from hierbayes.errors import DataError, OptionError
from hierbayes.gaussian.kernel import of_other_levels
from hierbayes.gaussian.marginal import Kernel
from hierbayes.gaussian.products import products_of
from hierbayes.likelihood.lmm import fit_lmm
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.interval_parameters import parameter_names, parameter_values
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.wording import meant, shown

MOST_LEVELS = 500  # a refit each


@checked_call("hb.influence")
def influence(fit: LikelihoodFit, group: str | None = None) -> pd.DataFrame:
    """Refit without each level of a grouping factor in turn.

    Parameters
    ----------
    fit : LinearFit
    group : grouping factor; the one with the fewest levels unless said

    Returns
    -------
    pandas.DataFrame
        Index the levels; columns ``n`` (rows left out), ``cooks_distance``, and per parameter (by
        lme4's names: sds, correlations, sigma, fixed effects) its value without the level; NaN
        where the other rows do not determine it. ``attrs["estimates"]`` has those of all rows.

    Raises
    ------
    OptionError, NotSupportedError
        If there is no such factor, or too many levels.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> hb.influence(fit)["cooks_distance"].idxmax()
    '309'
    """
    if isinstance(fit, GeneralisedFit):
        raise not_supported("influence-of-family", family=fit.family, link=fit.link)
    if not isinstance(fit, LinearFit):
        raise not_supported("influence-of-posterior", given=type(fit).__name__)
    factor = fit.design.factors[_position(fit, group)]
    J = factor.levels.size
    if J > MOST_LEVELS:
        raise not_supported("influence-size", factor=factor.name, levels=J, most=MOST_LEVELS)
    names = parameter_names(fit)
    values = np.full((J, len(names)), np.nan)
    cook = np.full(J, np.nan)
    known = np.isfinite(fit.vcov_beta).all()
    for j in range(J):
        found = _without(fit, factor.codes != j)
        if found is None:
            continue
        theta, sigma, beta = found
        values[j] = parameter_values(fit, theta[None], np.array([sigma]), beta=beta[None])[0]
        step = beta - fit.beta
        cook[j] = _squared_length(fit, step) / max(beta.size, 1) if known else np.nan
    table = pd.DataFrame(values, columns=list(names))
    table.insert(0, "cooks_distance", cook)
    table.insert(0, "n", np.bincount(factor.codes, minlength=J))
    table.index = pd.Index([str(level) for level in factor.levels], name=factor.name)
    own = parameter_values(
        fit, fit.representative[None], np.array([fit.sigma]), beta=fit.beta[None]
    )[0]
    table.attrs["estimates"] = dict(zip(names, own.tolist(), strict=True))
    return table


def _squared_length(fit: LinearFit, step: FloatArray) -> float:
    """Step'V^-1 step with V the covariance of beta, of a step (p,) in any units of the columns."""
    p, basis = step.size, fit.kernel.products.anchor.x_basis
    size = np.abs(basis).max(axis=1, initial=0.0)  # in the unit of each coefficient
    within = np.linalg.solve(basis / size[:, None], step / size)
    along = np.linalg.solve(fit.at.orthonormal[0, :p, :p], within) / fit.at.sigma[0]
    return float(along @ along)


def _position(fit: LinearFit, group: Any) -> int:
    names = tuple(factor.name for factor in fit.design.factors)
    if not names:
        raise not_supported("influence-without-levels")
    if group is None:
        sizes = [factor.levels.size for factor in fit.design.factors]
        return int(np.argmin(sizes))
    if not isinstance(group, str) or group not in names:
        hint = meant(str(group), names)
        raise OptionError(f"group={shown(group)} is not one of {', '.join(map(repr, names))}{hint}")
    return names.index(group)


def _without(fit: LinearFit, kept: BoolArray) -> tuple[FloatArray, float, FloatArray] | None:
    """Theta, sigma and beta of the fit to some rows; None where they can't be estimated."""
    kernel = _kernel_of_rows(fit, kept)
    size = np.linalg.eigvalsh(kernel.products.xx)
    if kernel.df <= 0 or (size.size and size[0] <= 1e-10 * size[-1]):
        return None
    try:
        found = fit_lmm(fit.design, kernel, start=fit.at.theta[0])
    except (DataError, np.linalg.LinAlgError):
        return None
    anchor = found.kernel.products.anchor
    beta = anchor.beta0 + anchor.x_basis @ found.at.beta[0]
    return found.theta, float(found.at.sigma[0]), beta


def _kernel_of_rows(fit: LinearFit, rows: BoolArray) -> Kernel:
    """Kernel of some of the rows in the basis of all; levels without rows are left out."""
    part = fit.design.with_rows(rows)
    factors = tuple(_of_levels_present(factor) for factor in part.factors)
    part = part.with_mean(replace(part.mean, factors=factors))
    weights = None if fit.weights is None else fit.weights[rows]
    products = products_of(part, weights=weights, anchor=fit.kernel.products.anchor)
    return of_other_levels(fit.kernel, products)


def _of_levels_present(factor: GroupingFactor) -> GroupingFactor:
    used, codes = np.unique(factor.codes, return_inverse=True)
    return replace(factor, levels=factor.levels[used], codes=codes.astype(np.intp))
