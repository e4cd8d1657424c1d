"""The shrinkage table of a generalised fit, on the scale of the link and of the response.

On the scale of the link the columns are those of a linear fit: beta + b_j with the conditional
mode b_j, the population's beta, and what the level's own rows say (``generalised_levels.py``). With
C_j the covariance of b_j given beta and the variances, S_j = (Var(b) - C_j) Var(b)^-1, which is
what of a level's own deviation is kept where the likelihood of a level is quadratic.

On the scale of the response a level has one number: the mean over its rows (over its trials, of
binomial responses) of the expected response, with its own effects, with the modes, and without
any. Its own one is the observed mean for a canonical link and a random intercept: 0 or 1 where all
of its responses are of one kind, which no finite coefficient says.
"""

from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.capabilities import not_supported
from hierbayes.gaussian.patterned import check_patterned
from hierbayes.naming.addresses import effect_labels, fixed_partners
from hierbayes.options import ShrinkageType
from hierbayes.pooling.generalised_levels import (
    OwnEffects,
    effects_alone,
    moved_by_fixed,
    own_effects,
)
from hierbayes.pooling.shrinkage_matrices import reliabilities
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.shrinkage_table import (
    FactorShrinkage,
    ShrinkageTable,
    gathered_table,
)

RESPONSE = "(response)"  # what the term of a level's expected response is called


@record
class FactorTables:
    """Matrices of each factor, and its columns of the table."""

    factors: dict[str, FactorShrinkage]
    columns: list[dict[str, Any]]


def generalised_shrinkage(fit: GeneralisedFit, scale: ShrinkageType) -> ShrinkageTable:
    """Return the table of a fit; see ``hb.shrinkage``."""
    found = factor_tables(fit, scale)
    return gathered_table(fit, found.factors, found.columns, scale=scale)


def factor_tables(fit: GeneralisedFit, scale: ShrinkageType) -> FactorTables:
    """Return the parts of the table of a fit.

    Raises
    ------
    NotSupportedError
        For ``scale="response"`` where mu is not the expected response.
    """
    check_patterned(fit.design, "hb.shrinkage")
    if scale == "response" and not fit.response_family.has_expectation:
        raise not_supported("shrinkage-of-expectation", family=fit.family)
    factors: dict[str, FactorShrinkage] = {}
    columns: list[dict[str, Any]] = []
    moved = moved_by_fixed(fit)
    parts = zip(own_effects(fit), effects_alone(fit), moved, strict=True)
    for position, (own, alone, D) in enumerate(parts):
        found = _factor(fit, own, position=position)
        factors[fit.design.factors[position].name] = found
        if scale == "link":
            columns.append(_on_link(fit, own, alone, D=D, position=position, found=found))
        else:
            columns.append(_on_response(fit, own, D=D, position=position, found=found))
    return FactorTables(factors=factors, columns=columns)


def _factor(fit: GeneralisedFit, own: OwnEffects, *, position: int) -> FactorShrinkage:
    factor, root = fit.design.factors[position], fit.effect_roots[position]
    partners = fixed_partners(fit.design, fit.kept.tolist(), position)
    Sigma, C = root @ root.T, fit.mode_covariances[position]
    return FactorShrinkage(
        levels=tuple(factor.levels.tolist()),
        terms=effect_labels(fit.design, position),
        population=np.append(fit.beta, 0.0)[list(partners)],
        covariance=Sigma,
        matrices=(Sigma - C) @ np.linalg.pinv(Sigma, hermitian=True),
        unpenalised_covariance=own.covariance,
        effect_covariance=C,
        own_effect=own.effect,
    )


def _on_link(
    fit: GeneralisedFit,
    own: OwnEffects,
    alone: OwnEffects,
    *,
    D: FloatArray,
    position: int,
    found: FactorShrinkage,
) -> dict[str, Any]:
    """Columns of one factor as arrays (J, q), coefficients on the scale of the link."""
    design, effect = fit.design.summands, fit.modes[position]
    factor, counts = design.factors[position], design.counts
    J, q = effect.shape
    lines = -D
    for t, partner in enumerate(fixed_partners(fit.design, fit.kept.tolist(), position)):
        if partner >= 0:
            lines[:, t, partner] += 1.0
    variance = np.diagonal(found.effect_covariance, axis1=1, axis2=2)
    variance = variance + ((lines @ fit.vcov_root) ** 2).sum(axis=2)
    within_se = np.sqrt(np.diagonal(alone.covariance, axis1=1, axis2=2))
    return {
        "group": np.repeat(np.array(factor.name, dtype=object), J * q),
        "level": np.repeat(factor.levels, q),
        "term": np.tile(np.array(found.terms, dtype=object), J),
        "n": np.repeat(np.bincount(factor.codes, counts, minlength=J).astype(np.intp), q),
        "within_group": found.population + np.where(alone.unknown, np.nan, alone.shown),
        "within_group_se": np.where(alone.unknown, np.nan, within_se),
        "unpenalised": found.population + own.shown,
        "unpenalised_se": np.sqrt(np.diagonal(own.covariance, axis1=1, axis2=2)),
        "population": np.tile(found.population, (J, 1)),
        "effect": effect,
        "effect_sd": np.sqrt(np.diagonal(found.effect_covariance, axis1=1, axis2=2)),
        "coefficient": found.population + effect,
        "coefficient_sd": np.sqrt(variance),
        "reliability": reliabilities(found.effect_covariance[None], found.covariance[None])[0],
    }


def _on_response(
    fit: GeneralisedFit, own: OwnEffects, *, D: FloatArray, position: int, found: FactorShrinkage
) -> dict[str, Any]:
    """Columns of one factor as arrays (J,), expected responses of the rows of each level."""
    design = fit.design.summands
    factor = design.factors[position]
    J, q = fit.modes[position].shape
    counts = np.ones(factor.codes.size) if design.counts is None else design.counts
    weights = counts * fit.row_parameters.get("trials", np.ones(factor.codes.size))
    shares = weights / np.bincount(factor.codes, weights=weights, minlength=J)[factor.codes]

    def mean(rows: FloatArray) -> FloatArray:
        return np.bincount(factor.codes, weights=shares * rows, minlength=J)

    eta = fit.optimum.eta
    without = eta - (factor.z * fit.modes[position][factor.codes]).sum(axis=1)
    unpenalised, kept, none = (mean(fit.expected_at(at)) for at in (own.eta, eta, without))
    slope = fit.expected_slope(eta)
    along_z = np.column_stack([mean(slope * z) for z in factor.z.T])
    along_x = np.column_stack([mean(slope * x) for x in design.X[:, fit.kept].T])
    C = found.effect_covariance
    variance = np.einsum("ja,jab,jb->j", along_z, C, along_z)
    lines = along_x.reshape(J, -1) - np.einsum("ja,jap->jp", along_z, D)
    own_slope = fit.expected_slope(own.eta)
    at_own = np.column_stack([mean(own_slope * z) for z in factor.z.T])
    known = own.is_finite & ~own.unknown.any(axis=1)
    own_variance = np.full(J, np.nan)
    own_variance[known] = np.einsum(
        "ja,jab,jb->j", at_own[known], own.covariance[known], at_own[known]
    )
    share = reliabilities(C[None], found.covariance[None])[0]
    return {
        "group": np.repeat(np.array(factor.name, dtype=object), J),
        "level": factor.levels,
        "term": np.repeat(np.array(RESPONSE, dtype=object), J),
        "n": np.bincount(factor.codes, counts, minlength=J).astype(np.intp),
        "within_group": unpenalised if len(fit.modes) == 1 else np.full(J, np.nan),
        "within_group_se": np.sqrt(own_variance) if len(fit.modes) == 1 else np.full(J, np.nan),
        "unpenalised": unpenalised,
        "unpenalised_se": np.sqrt(own_variance),
        "population": none,
        "effect": kept - none,
        "effect_sd": np.sqrt(variance),
        "coefficient": kept,
        "coefficient_sd": np.sqrt(variance + ((lines @ fit.vcov_root) ** 2).sum(axis=1)),
        "reliability": share[:, 0] if q == 1 else np.full(J, np.nan),
    }
