"""What every level of a grouping factor, or row, does to the estimates: the fit without it.

Each refit works on the cross-products of the other rows and starts from the fit's own theta; those
of a generalised fit are one batched search with rows left out. Cook's
distance of a level is the squared distance of the fixed effects without it from those with it,

    D = (beta - beta_(j))' V^-1 (beta - beta_(j)) / p,    V the covariance matrix of beta,

so D = 1 moves the estimates as far as the surface of a confidence region of about 50 %.

Source: Cook (1977), Technometrics 19:15; Demidenko & Stukel (2005), Statistics in Medicine 24:893.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.calls import checked_call
from hierbayes.capabilities import not_supported
from hierbayes.checks.row_influence import row_influence
from hierbayes.design.design import GroupingFactor
from hierbayes.errors import DataError, NotSupportedError, OptionError
from hierbayes.gaussian.kernel import of_other_levels
from hierbayes.gaussian.marginal import Kernel
from hierbayes.gaussian.products import products_of
from hierbayes.gaussian.residual.of_design import residuals_of
from hierbayes.likelihood.generalised import optimum_of
from hierbayes.likelihood.generalised_refits import Refitter
from hierbayes.likelihood.lmm import fit_lmm
from hierbayes.likelihood.residual_search import search_design
from hierbayes.linalg.rank import has_lost_directions
from hierbayes.options import check_flag
from hierbayes.results.generalised_fit import GeneralisedFit, generalised_values
from hierbayes.results.interval_parameters import parameter_names, parameter_values
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.result_table import ResultTable, result_table
from hierbayes.wording import meant, shown

MOST_LEVELS = 500  # a refit each


@record(kw_only=False)
class Levels:
    """What is left out in turn: its name, labels (J,), and the one of each row (n,)."""

    name: str
    levels: npt.NDArray[Any]
    codes: IntArray


@checked_call("hb.influence")
def influence(fit: LikelihoodFit, group: str | None = None, *, rows: bool = False) -> ResultTable:
    """Say what each level of a grouping factor, or each row, does to the estimates.

    Parameters
    ----------
    fit : LikelihoodFit
    group : grouping factor, each level of which is left out in turn by a refit; the one with the
        fewest levels unless said. Of correlated residuals, ``residual=``, also what makes their
        series, and that where there are no random effects
    rows : bool
        Every row instead, at the estimates of theta, without refitting: lme4's ``hatvalues``,
        ``rstudent`` and ``cooks.distance``.

    Returns
    -------
    pandas.DataFrame
        Of rows: index the labels of the rows used; ``fitted``, ``residual`` (response units),
        ``leverage`` (0 to 1, random effects included), ``studentised_internal``,
        ``studentised_external`` (the residual sd without the row), ``cooks_distance`` (of the
        fixed effects without the row, as for levels), ``cooks_distance_conditional`` (lme4's
        ``cooks.distance``, which counts the leverage of the random effects), ``covratio`` (of the
        fixed effects' covariance matrix without the row), and ``dfbetas[Days]`` of each
        coefficient (how far it moves without the row, in its standard errors). Exact at the theta
        of the fit, and of what residuals have beside sigma; of a generalised fit one step towards
        the estimates without the row. Beside correlated residuals a row leaves a gap in its
        series; studentised residuals are from what all other rows predict, those of its series
        too, and ``cooks_distance_conditional``, which takes rows for independent, is NaN.

        Of levels: index the levels; columns ``n`` (rows left out), ``cooks_distance``, and per
        parameter (by lme4's names: sds, correlations, sigma, fixed effects) its value without the
        level; NaN where the other rows do not determine it. ``attrs["estimates"]`` has those of
        all rows, ``attrs["fixed"]`` the names of the fixed effects.

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
    >>> hb.influence(fit, rows=True)["studentised_external"].abs().idxmax()
    56
    """
    if not isinstance(fit, LinearFit | GeneralisedFit):
        raise not_supported("influence-of-posterior", given=type(fit).__name__)
    if check_flag("rows", rows, "True (each row) or False (each level)"):
        if group is not None:
            raise OptionError("rows=True looks at each row and group= at levels; give one of them.")
        return result_table(row_influence(fit), "influence")
    factor = _levels_of(fit, group)
    J = factor.levels.size
    if J > MOST_LEVELS:
        raise not_supported("influence-size", factor=factor.name, levels=J, most=MOST_LEVELS)
    names = parameter_names(fit)
    values = _linear(fit, factor) if isinstance(fit, LinearFit) else _generalised(fit, factor)
    p = fit.beta.size
    steps = values[:, values.shape[1] - p :] - fit.beta
    known = np.isfinite(steps).all(axis=1) & np.isfinite(fit.vcov_beta).all()
    cook = np.full(J, np.nan)
    cook[known] = [_squared_length(fit, step) / max(p, 1) for step in steps[known]]
    table = pd.DataFrame(values, columns=list(names))
    table.insert(0, "cooks_distance", cook)
    table.insert(0, "n", np.bincount(factor.codes, minlength=J))
    table.index = pd.Index([str(level) for level in factor.levels], name=factor.name)
    known_too = {
        "fixed": list(names[len(names) - p :]),
        "estimates": dict(zip(names, fit.interval_estimates.tolist(), strict=True)),
    }
    return result_table(table, "influence", attrs=known_too)


def _linear(fit: LinearFit, factor: Levels) -> FloatArray:
    """Parameters (J, m) of a linear fit without each level."""
    J = factor.levels.size
    values = np.full((J, fit.undetermined_parameters.size), np.nan)
    for j in range(J):
        if fit.residual is not None:
            values[j] = _beside_residuals(fit, factor.codes != j)
            continue
        found = _without(fit, factor.codes != j)
        if found is not None:
            theta, sigma, beta = found
            values[j] = parameter_values(fit, theta[None], np.array([sigma]), beta=beta[None])[0]
    return values


def _beside_residuals(fit: LinearFit, kept: BoolArray) -> FloatArray:
    """Parameters (m,) of the fit to some rows, residuals of the same structure; NaN without."""
    none = np.full(fit.undetermined_parameters.size, np.nan)
    part = fit.design.with_rows(kept)
    part = part.with_mean(replace(part.mean, factors=tuple(map(_of_levels_present, part.factors))))
    try:
        residuals = residuals_of(part)
        best = search_design(part, fit.method)
    except (DataError, NotSupportedError, np.linalg.LinAlgError):
        return none
    found, anchor = best.found, best.found.kernel.products.anchor
    if residuals.names != fit.residual_names or not np.array_equal(anchor.kept, fit.kept):
        return none  # a stratum, a visit or a column has no rows left
    return parameter_values(
        fit,
        found.theta[None],
        np.array([float(found.at.sigma[0])]),
        beta=(anchor.beta0 + anchor.x_basis @ found.at.beta[0])[None],
        residual=residuals.values(best.phi[None]),
    )[0]


def _generalised(fit: GeneralisedFit, factor: Levels) -> FloatArray:
    """Parameters (J, m) of a generalised fit without each level: refits with rows left out."""
    own, J = optimum_of(fit), factor.levels.size
    kept = factor.codes[:, None] != np.arange(J)
    X = own.model.X
    determined = np.array([not has_lost_directions(X[rows].T @ X[rows]) for rows in kept.T])
    values = np.full((J, fit.undetermined_parameters.size), np.nan)
    Y = np.repeat(own.model.y[:, None], int(determined.sum()), axis=1)
    found = Refitter(own).fit(Y, np.ascontiguousarray(kept[:, determined]))
    refitted = generalised_values(fit, found.theta, found.beta, found.further)
    refitted[~found.converged] = np.nan
    values[determined] = refitted
    return values


def _squared_length(fit: LinearFit | GeneralisedFit, step: FloatArray) -> float:
    """Step'V^-1 step with V the covariance of beta, of a step (p,) in any units of the columns."""
    if isinstance(fit, GeneralisedFit):
        sd = fit.std_errors
        along = np.linalg.solve(fit.vcov_beta / np.outer(sd, sd), step / sd)
        return float(along @ (step / sd))
    p, basis = step.size, fit.kernel.products.anchor.x_basis
    size = np.abs(basis).max(axis=1, initial=0.0)  # in the unit of each coefficient
    within = np.linalg.solve(basis / size[:, None], step / size)
    along = np.linalg.solve(fit.at.orthonormal[0, :p, :p], within) / fit.at.sigma[0]
    return float(along @ along)


def _levels_of(fit: LikelihoodFit, group: Any) -> Levels:
    """Find the levels to leave out: of a grouping factor, or series of correlated residuals."""
    found = [Levels(own.name, own.levels, own.codes) for own in fit.design.factors]
    series = fit.spec.residuals.series if fit.design.residual is not None else None
    if series is not None and series.term.group not in [own.name for own in found]:
        found.append(Levels(series.term.group, series.labels, series.codes))
    names = tuple(own.name for own in found)
    if not names:
        raise not_supported("influence-without-levels")
    if group is None:
        own_factors = found[: len(fit.design.factors)] or found
        return min(own_factors, key=lambda own: own.levels.size)
    if not isinstance(group, str) or group not in names:
        each = str(group).lower().rstrip("s") in ("row", "ob", "observation", "case")
        hint = "; rows=True looks at each row." if each else meant(str(group), names)
        raise OptionError(f"group={shown(group)} is not one of {', '.join(map(repr, names))}{hint}")
    return found[names.index(group)]


def _without(fit: LinearFit, kept: BoolArray) -> tuple[FloatArray, float, FloatArray] | None:
    """Theta, sigma and beta of the fit to some rows; None where they can't be estimated."""
    kernel = _kernel_of_rows(fit, kept)
    if kernel.df <= 0 or has_lost_directions(kernel.products.xx):
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
    if factor.relation is not None:  # others speak for a level without rows
        return factor
    used, codes = np.unique(factor.codes, return_inverse=True)
    return replace(factor, levels=factor.levels[used], codes=codes.astype(np.intp))
