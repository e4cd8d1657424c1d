"""The parameters intervals are given for: lme4's names, and their values from (theta, sigma, beta).

The order is that of lme4's ``confint(fit, oldNames = FALSE)``: per covariance term the sds and
correlations in the order of theta (the lower triangle column by column: sd 1, cor 21, sd 2, ...),
or the parameters of its structure where it has one (``gaussian/structures.py``), then sigma, absent
where the residual sds are known or the family has none, then those of correlated residuals or of
unequal variance, then the further parameters of the family
of a generalised fit, then the fixed effects that were estimated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.design.design import Design
from hierbayes.gaussian.covariance import Structure
from hierbayes.gaussian.products import covariance_shape
from hierbayes.gaussian.structures import Searched, middle_and_half
from hierbayes.naming import addresses

if TYPE_CHECKING:
    from hierbayes.results.fit_tables import FitTables

ParameterKind = Literal["sd", "cor", "other", "sigma", "residual", "further", "fixed"]


@dataclass(frozen=True, slots=True)
class IntervalParameter:
    """One parameter of the list.

    Attributes
    ----------
    name : lme4's name, for example ``"cor_Days.(Intercept)|Subject"``; where two parameters have
        one, the label that tells them apart (``naming/addresses.py``)
    spellings : texts that address it
    kind : "sd", "cor", "sigma", "residual", "further" or "fixed"; of a structure its scales are
        sds, what it has between bounds are correlations, and the rest is "other"; "residual" are
        coefficients of log sds and correlations of residuals
    term : position of the covariance term; -1 for sigma, further parameters and fixed effects
    row, column : position within the term (row > column for a correlation, equal for an sd);
        a fixed effect, or further parameter, has its position among these as both
    place : position among the parameters of the term's structure; -1 where it has none
    """

    name: str
    spellings: tuple[str, ...]
    kind: ParameterKind
    term: int = -1
    row: int = -1
    column: int = -1
    place: int = -1


def interval_parameters(fit: "FitTables") -> tuple[IntervalParameter, ...]:
    """Return the m parameters of a fit in lme4's order."""
    design = fit.design
    found: list[tuple[tuple[str, ...], ParameterKind, int, int, int, int]] = []
    structures = covariance_shape(design).structures
    for i, (term, own) in enumerate(zip(design.terms, structures, strict=True)):
        columns = term.columns
        if own is not None:
            names = [design.factors[term.factor].columns[c] for c in columns]
            for k, (name, kind) in enumerate(_own_parameters(own, names)):
                ways = addresses.structure_spellings(design, i, name)
                if kind == "sd" and int(own.is_scale.sum()) == len(columns) > 1:
                    own_sd = addresses.sd_spellings(design, i, columns[k])
                    ways = tuple(dict.fromkeys([*ways, *own_sd]))
                found.append((ways, kind, i, -1, -1, k))
            continue
        for c in range(len(columns)):
            ways = addresses.sd_spellings(design, i, columns[c], by_group=True)
            found.append((ways, "sd", i, c, c, -1))
            for r in range(c + 1, len(columns)):
                pair = columns[r], columns[c]
                ways = addresses.correlation_spellings(design, i, pair, by_group=True)
                found.append((ways, "cor", i, r, c, -1))
    if fit.has_residual_sd:
        found.append((addresses.residual_spellings(design), "sigma", -1, -1, -1, -1))
    for j, name in enumerate(fit.residual_names):
        found.append(((name,), "residual", -1, j, j, -1))
    for j, name in enumerate(fit.further_parameters):
        found.append(((name,), "further", -1, j, j, -1))
    details = addresses.coefficient_details(design)
    for j, column in enumerate(fit.kept.tolist()):
        ways = addresses.coefficient_spellings(design.coef_names[column], details[column], j)
        found.append((ways, "fixed", -1, j, j, -1))
    labels = addresses.Addresses([ways for ways, *_ in found]).labels
    return tuple(
        IntervalParameter(label, *entry) for label, entry in zip(labels, found, strict=True)
    )


def own_parameters(
    design: Design, term: int, values: Sequence[float]
) -> tuple[tuple[str, float], ...]:
    """Names and values of the parameters of a term's structure; none of a full triangle."""
    own, at = covariance_shape(design).structures[term], design.terms[term]
    if own is None:
        return ()
    columns = [design.factors[at.factor].columns[c] for c in at.columns]
    names = [name for name, _ in _own_parameters(own, columns)]
    return tuple(zip(names, values, strict=True))


def _own_parameters(own: Structure, columns: Sequence[str]) -> list[tuple[str, ParameterKind]]:
    """Names and kinds of the parameters of a structure of a term with these columns."""
    assert not isinstance(own, Searched)
    bounded, _, _ = middle_and_half(own.is_scale, own.bounds)
    rest: list[ParameterKind] = ["cor" if inside else "other" for inside in bounded]
    kinds: list[ParameterKind] = [
        "sd" if scale else kind for scale, kind in zip(own.is_scale, rest, strict=True)
    ]
    return list(zip(own.names_of(columns), kinds, strict=True))


def interval_addresses(parameters: Sequence[IntervalParameter]) -> addresses.Addresses:
    """Return the way from a text to a parameter's position."""
    return addresses.Addresses([parameter.spellings for parameter in parameters])


def parameter_labels(design: Design) -> list[str]:
    """Names of the k sds and correlations, in the order of theta."""
    labels: list[str] = []
    for term, own in zip(design.terms, covariance_shape(design).structures, strict=True):
        factor = design.factors[term.factor]
        names = [factor.columns[c] for c in term.columns]
        if own is not None:
            pairs = (name.partition("_") for name, _ in _own_parameters(own, names))
            labels.extend(
                f"{kind}({what}|{factor.name})" if what else f"{kind}({factor.name})"
                for kind, _, what in pairs
            )
            continue
        for c, first in enumerate(names):
            labels.append(f"sd({first}|{factor.name})")
            labels.extend(f"cor({first}, {name}|{factor.name})" for name in names[c + 1 :])
    return labels


def parameter_names(fit: "FitTables") -> tuple[str, ...]:
    """Return lme4's names of the m parameters of a fit.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    """
    return tuple(parameter.name for parameter in interval_parameters(fit))


def parameter_values(
    fit: "FitTables",
    theta: FloatArray,
    sigma: FloatArray,
    *,
    beta: FloatArray,
    further: FloatArray | None = None,
    residual: FloatArray | None = None,
    bases: Sequence[FloatArray] | None = None,
) -> FloatArray:
    """Values of the parameters at a batch of T estimates.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
        Says which parameters there are.
    theta : array, shape (T, k)
        Relative covariance parameters, any triangles with the right Lambda Lambda'.
    sigma : array, shape (T,), response units
    beta : array, shape (T, p), the estimated fixed effects, on the user's scale
    further : array, shape (T, d), further parameters of the family; NaN when not given
    residual : array, shape (T, d), those of correlated residuals or of unequal variance; those of
        the fit when not given
    bases : per factor, array (q, q), optional
        ``anchor.z_bases`` of the kernel where theta is in the basis of its products; theta is on
        the user's scale when not given.

    Returns
    -------
    array, shape (T, m)
        In the order of ``parameter_names``; sds in response units per unit of their column,
        correlations NaN beside a zero sd; NaN what the data do not determine.
    """
    shape = covariance_shape(fit.design)
    roots = shape.unpack(theta)
    values = values_of_roots(
        fit, roots, sigma, beta=beta, further=further, residual=residual, bases=bases
    )
    for _, own, part in shape.structured:  # as they are, and not from their covariance again
        given = np.where(own.is_scale, sigma[:, None] * theta[:, part], theta[:, part])
        values[:, part] = np.where(np.isnan(values[:, part]), np.nan, given)
    return values


def values_of_roots(
    fit: "FitTables",
    roots: Sequence[FloatArray],
    sigma: FloatArray,
    *,
    beta: FloatArray,
    further: FloatArray | None = None,
    residual: FloatArray | None = None,
    bases: Sequence[FloatArray] | None = None,
) -> FloatArray:
    """``parameter_values`` from roots (T, q, q) of Var(b) / sigma^2 per factor, of any form."""
    parts = []
    shape = covariance_shape(fit.design)
    for (factor, at), own in zip(shape.blocks, shape.structures, strict=True):
        root = roots[factor][(slice(None), *at)]
        if bases is not None:
            root = bases[factor][at] @ root
        parts.append(_term_values(root, sigma) if own is None else _own_values(own, root, sigma))
    if fit.has_residual_sd:
        parts.append(sigma[:, None])
    if fit.residual_names:
        fitted = np.tile(fit.residual_values, (sigma.size, 1))
        parts.append(fitted if residual is None else residual)
    if further is None:
        further = np.full((sigma.size, len(fit.further_parameters)), np.nan)
    parts.append(further)
    values = np.concatenate([*parts, beta], axis=1)
    values[:, fit.undetermined_parameters] = np.nan
    return values


def _own_values(own: Structure, root: FloatArray, sigma: FloatArray) -> FloatArray:
    """Parameters (T, k) of a structure from roots (T, q, q); where all is zero only its scales."""
    found = own.nearest(root @ np.swapaxes(root, 1, 2))
    nothing = ~root.any(axis=(1, 2))[:, None]
    return np.where(own.is_scale, sigma[:, None] * found, np.where(nothing, np.nan, found))


def _term_values(root: FloatArray, sigma: FloatArray) -> FloatArray:
    """Sds and correlations of one term from roots (T, q, q), column by column (T, q(q+1)/2)."""
    q = root.shape[1]
    length = np.sqrt((root**2).sum(axis=2))
    if q == 1:
        return sigma[:, None] * length
    unit = np.divide(
        root, length[:, :, None], out=np.full_like(root, np.nan), where=length[:, :, None] > 0
    )
    values = np.clip(unit @ np.swapaxes(unit, 1, 2), -1.0, 1.0)
    values[:, np.arange(q), np.arange(q)] = sigma[:, None] * length
    rows, columns = np.triu_indices(q)  # of the transpose: the lower triangle column by column
    return values[:, columns, rows]
