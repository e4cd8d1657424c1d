"""Estimates of all levels as their between-level sd goes from zero to infinity.

At zero every level has the population's coefficients (complete pooling), at infinity its own (no
pooling); what REML, ML or a posterior choose lies between. Var(b) of one factor is scaled as a
whole, its correlations and ratios kept (where the term's sd is estimated as zero, all its columns
get equal sds in the orthogonal basis); sigma and the covariances of other factors stay where the
fit has them, and beta is estimated anew at every step. All steps are one batched evaluation of the
kernel.

Source: Rubin (1981), J. Educ. Stat. 6:377 (the picture for eight schools).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.calls import checked_call
from hierbayes.gaussian.covariance import lower_triangles
from hierbayes.gaussian.marginal import evaluate, modes, times
from hierbayes.gaussian.patterned import check_patterned
from hierbayes.naming.addresses import fixed_partners
from hierbayes.pooling.generalised_path import Path, generalised_path, grid_of
from hierbayes.pooling.level_covariances import (
    AT_ONCE,
    LevelCovariances,
    check_shrinks,
    level_covariances,
    position_of_group,
    position_of_term,
)
from hierbayes.results.fit import Fit
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.result_table import ResultTable, result_table

# Relative sd that stands for infinity: estimates are then within 1e-8 of no pooling.
INFINITE = 1e4


@checked_call("hb.shrinkage_path")
def shrinkage_path(
    fit: Fit, *, group: str | None = None, term: str | None = None, sds: Any = None
) -> ResultTable:
    """Return the coefficients of all levels at a range of between-level sds.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
        Where sigma, correlations and other factors stand; a posterior at its means.
    group : str, optional
        Grouping factor; the first when not given.
    term : str, optional
        The term whose coefficients and sd are shown; the first when not given.
    sds : array, shape (T,), optional
        Between-level sds of the term, response units per unit of the term; 0 and infinity are
        allowed. From 0 to infinity when not given, closest where the estimates move.

    Returns
    -------
    pandas.DataFrame
        Columns ``group level term sd coefficient population``: T rows a level, in order of sd;
        ``population`` is the fixed effect at that sd. NaN where the fixed effects are not
        determined at that sd, infinite where a level of a generalised fit has no finite own
        estimate. ``attrs`` hold the fit's own ``sd`` and
        ``scale``, the typical standard error of a level, at which half of a deviation is kept.

    Raises
    ------
    OptionError
        For an unknown group or term, or a negative sd.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> path = hb.shrinkage_path(fit, sds=[0, 42, float("inf")])
    >>> path[path.level == "E"].coefficient.round(1).tolist()
    [1527.5, 1584.2, 1600.0]
    """
    check_shrinks(fit, "hb.shrinkage_path", of_related=True)
    check_patterned(fit.design, "hb.shrinkage_path")
    position = position_of_group(fit, group)
    t = position_of_term(fit, position, term)
    if isinstance(fit, GeneralisedFit):
        return path_table(fit, generalised_path(fit, position, t, sds), position=position, t=t)
    at = level_covariances(fit)
    direction = _direction(at, position, t)
    own = _sd(at, at.Lambdas[position][0], (position, t))
    scale = _typical_error(at, position, t)
    grid = grid_of(scale, sds)
    unit = _sd(at, direction, (position, t))
    factors = np.where(np.isfinite(grid), grid / unit, INFINITE / np.abs(direction).max())
    coefficients, population = _estimates(
        fit, at, factors, direction=direction, place=(position, t)
    )
    found = Path(sds=grid, coefficients=coefficients, population=population, own=own, scale=scale)
    return path_table(fit, found, position=position, t=t)


def path_table(fit: Fit, found: Path, *, position: int, t: int) -> ResultTable:
    """Return a path as the table that ``shrinkage_path`` promises."""
    factor, size = fit.design.factors[position], found.sds.size
    J = factor.levels.size
    table = pd.DataFrame(
        {
            "group": np.repeat(np.array(factor.name, dtype=object), J * size),
            "level": np.repeat(factor.levels, size),
            "term": np.repeat(np.array(factor.columns[t], dtype=object), J * size),
            "sd": np.tile(found.sds, J),
            "coefficient": found.coefficients.T.ravel(),
            "population": np.tile(found.population, J),
        }
    )
    return result_table(table, "shrinkage_path", attrs={"sd": found.own, "scale": found.scale})


def _direction(at: LevelCovariances, position: int, t: int) -> FloatArray:
    """Return the Lambda (q, q) that is scaled: the fit's, or equal sds where the term has none."""
    Lambda = at.Lambdas[position][0]
    return Lambda if _sd(at, Lambda, (position, t)) > 0 else np.eye(Lambda.shape[0])


def _sd(at: LevelCovariances, Lambda: FloatArray, place: tuple[int, int]) -> float:
    """Between-level sd of a term at a Lambda (q, q), response units per unit of the term."""
    position, t = place
    row = at.kernel.products.anchor.z_bases[position][t] @ Lambda
    return float(at.sigma * np.sqrt(row @ row))


def _typical_error(at: LevelCovariances, position: int, t: int) -> float:
    """Return the standard error of a term within a level of average size."""
    products = at.kernel.products
    A = products.zz[position].mean(axis=0)
    row = products.anchor.z_bases[position][t]
    return float(at.sigma * np.sqrt(row @ np.linalg.pinv(A, hermitian=True) @ row))


def _estimates(
    fit: Fit,
    at: LevelCovariances,
    factors: FloatArray,
    *,
    direction: FloatArray,
    place: tuple[int, int],
) -> tuple[FloatArray, FloatArray]:
    """Coefficients (T, J) and fixed effects (T,) of one term at multiples (T,) of a Lambda."""
    position, t = place
    kernel = replace(at.kernel, method="reml") if at.kernel.method != "reml" else at.kernel
    anchor = kernel.products.anchor
    partner = fixed_partners(fit.design, fit.kept.tolist(), position)[t]
    row = anchor.x_basis[partner] if partner >= 0 else None
    first = anchor.beta0[partner] if partner >= 0 else 0.0
    T, J = factors.size, kernel.products.zz[position].shape[0]
    coefficients, population = np.empty((T, J)), np.zeros(T)
    size = 4 * max(kernel.pattern.n_numbers, sum(z[0].size for z in kernel.zxy))
    left = np.array_split(np.arange(T), min(T, -(-T * size // AT_ONCE)))
    while left:
        some = left.pop()
        Lambdas = _scaled(at.Lambdas, direction, factors[some], position=position)
        try:
            found = evaluate(kernel, kernel.basis_shape.pack(Lambdas))
        except np.linalg.LinAlgError:  # at that sd the data tell fixed and random effects not apart
            coefficients[some] = population[some] = np.nan
            left += np.array_split(some, some.size) if some.size > 1 else []
            continue
        if row is not None:
            population[some] = first + found.beta @ row
        u = modes(kernel, found).u[position][..., -1:]
        b = times(found.Lambdas[position], u)[..., 0] @ anchor.z_bases[position][t]
        coefficients[some] = population[some, None] + np.sqrt(found.pwrss)[:, None] * b
    return coefficients, population


def _scaled(
    Lambdas: Sequence[FloatArray], direction: FloatArray, factors: FloatArray, *, position: int
) -> list[FloatArray]:
    """Lambda of every factor (T, q, q) as lower triangles, that of one factor at the multiples."""
    found = [np.repeat(lower_triangles(Lambda), factors.size, axis=0) for Lambda in Lambdas]
    found[position] = factors[:, None, None] * lower_triangles(direction[None])
    return found
