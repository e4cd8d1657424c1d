"""What posterior draws say about rows: linear predictors, responses, pointwise densities.

Works on flat draws: S draws, chains one after the other. All functions take S draws at once and
a block of rows, so that nothing of size S x n is held unless it is the answer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import field, replace
from functools import cached_property
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.design import Design, GroupingFactor
from hierbayes.design.level_covariance import LevelCovariance
from hierbayes.gaussian.patterned import check_patterned
from hierbayes.gaussian.structures import structure
from hierbayes.priors.lkj import lkj_log_density
from hierbayes.priors.model_priors import ModelPriors
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.visit_correlations import as_matrix, matrix_variable

AT_ONCE = 2**22  # numbers of one S x rows block: 32 MB


@record
class FlatDraws:
    """Draws with the chains one after the other; S draws.

    Attributes
    ----------
    beta : array, shape (S, p)
    sigma : array, shape (S,); ones where it is known, NaN where it has a formula
    sd : per factor, array (S, q)
    corr : per factor, array (S, q, q), or None where no columns are correlated
    b : per factor, array (S, J, q)
    family : name -> array (S,) or (S, K), further parameters of the response family
    relations : per factor, the known covariance between its levels, or None
    formulas : name -> the draws of the predictor of a further parameter that has a formula
    """

    beta: FloatArray
    sigma: FloatArray
    sd: tuple[FloatArray, ...]
    corr: tuple[FloatArray | None, ...]
    b: tuple[FloatArray, ...]
    family: dict[str, FloatArray]
    relations: tuple[LevelCovariance | None, ...]
    formulas: dict[str, "FlatDraws"] = field(default_factory=dict)

    @property
    def n_draws(self) -> int:
        """Number of draws S."""
        return self.beta.shape[0]

    @cached_property
    def roots(self) -> tuple[FloatArray, ...]:
        """Per factor R (S, q, q) with R R' the covariance of a level's effects."""
        return tuple(
            sd[:, :, None] * (np.eye(sd.shape[1]) if corr is None else correlation_root(corr))
            for sd, corr in zip(self.sd, self.corr, strict=True)
        )

    def mean(self) -> "FlatDraws":
        """Return one draw that holds the mean of all."""
        return FlatDraws(
            beta=self.beta.mean(axis=0)[None],
            sigma=self.sigma.mean()[None],
            sd=tuple(sd.mean(axis=0)[None] for sd in self.sd),
            corr=tuple(None if c is None else c.mean(axis=0)[None] for c in self.corr),
            b=tuple(b.mean(axis=0)[None] for b in self.b),
            family={name: value.mean(axis=0)[None] for name, value in self.family.items()},
            relations=self.relations,
            formulas={name: own.mean() for name, own in self.formulas.items()},
        )

    def take(self, index: IntArray | slice) -> "FlatDraws":
        """Return the draws at ``index``."""
        return FlatDraws(
            beta=self.beta[index],
            sigma=self.sigma[index],
            sd=tuple(sd[index] for sd in self.sd),
            corr=tuple(None if c is None else c[index] for c in self.corr),
            b=tuple(b[index] for b in self.b),
            family={name: value[index] for name, value in self.family.items()},
            relations=self.relations,
            formulas={name: own.take(index) for name, own in self.formulas.items()},
        )

    def with_new_groups(self, rng: np.random.Generator) -> "FlatDraws":
        """Return the same draws with random effects of new levels in place of the fitted ones."""
        b = tuple(
            new_effects(root, part.shape[1], rng, relation)
            for root, part, relation in zip(self.roots, self.b, self.relations, strict=True)
        )
        formulas = {name: own.with_new_groups(rng) for name, own in self.formulas.items()}
        return replace(self, b=b, formulas=formulas)


def flat_draws(draws: PosteriorDraws, design: Design) -> FlatDraws:
    """Return draws (C, D, ...) as draws (S, ...); views where the arrays allow it."""
    C, D = draws.beta.shape[:2]
    S = C * D
    names = [factor.name for factor in design.factors]
    is_constant = draws.sigma is None and "sigma" not in design.formulas

    def flat(array: Any) -> Any:
        return array.reshape(S, *array.shape[2:])

    return FlatDraws(
        beta=flat(draws.beta),
        sigma=np.full(S, 1.0 if is_constant else np.nan)
        if draws.sigma is None
        else flat(draws.sigma),
        sd=tuple(flat(draws.sd[name]) for name in names),
        corr=tuple(flat(draws.corr[name]) if name in draws.corr else None for name in names),
        b=tuple(flat(draws.b[name]) for name in names),
        family={name: flat(value) for name, value in draws.family.items()},
        relations=tuple(factor.relation for factor in design.factors),
        formulas={name: flat_draws(own, design.of(name)) for name, own in draws.formulas.items()},
    )


def correlation_root(corr: FloatArray) -> FloatArray:
    """Return R with R R' = corr for matrices (S, q, q) that may be singular."""
    try:
        return np.linalg.cholesky(corr)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(corr)
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :])


def new_effects(
    root: FloatArray,
    n_levels: int,
    rng: np.random.Generator,
    relation: LevelCovariance | None = None,
) -> FloatArray:
    """Draw the effects of new levels with every draw of their covariance, (S, n_levels, q).

    ``relation`` is the known covariance between them, where there is one.
    """
    S, q, _ = root.shape
    v = rng.standard_normal((S, n_levels, q))
    if relation is not None:
        v = relation.root @ v
    return np.asarray(v @ np.swapaxes(root, 1, 2))


def row_blocks(n_draws: int, n_rows: int) -> Iterator[slice]:
    """Cut rows into blocks small enough for all draws at once."""
    step = max(1, AT_ONCE // max(n_draws, 1))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def linear_predictor(
    flat: FlatDraws,
    X: FloatArray,
    factors: Sequence[GroupingFactor | None],
    *,
    offset: FloatArray | None,
    rows: slice,
) -> FloatArray:
    """X beta + Z b plus offset of a block of rows for every draw, shape (S, rows).

    Parameters
    ----------
    flat : FlatDraws
    X : array, shape (n, p), kept columns
    factors : grouping factors of the same rows in the order of the draws, codes of fitted levels;
        None leaves the effects of a factor out
    offset : array, shape (n,), or None
    rows : slice
    """
    total = flat.beta @ X[rows].T
    if offset is not None:
        total += offset[rows]
    part = np.empty_like(total)  # one buffer: fresh memory costs more than the arithmetic
    for b, factor in zip(flat.b, factors, strict=True):
        if factor is None:
            continue
        codes, z = factor.codes[rows], factor.z[rows]
        if codes.size and (codes.min() < 0 or codes.max() >= b.shape[1]):
            raise IndexError("a code is not that of a fitted level")
        for k in range(z.shape[1]):
            np.take(b[:, :, k], codes, axis=1, out=part, mode="clip")
            part *= z[:, k]
            total += part
    return total


def fitted_predictor(flat: FlatDraws, design: Design, X: FloatArray, rows: slice) -> FloatArray:
    """Linear predictor of a block of the rows that were fitted."""
    return linear_predictor(flat, X, design.factors, offset=design.offset, rows=rows)


def log_prior_variables(
    draws: PosteriorDraws, design: Design, priors: ModelPriors
) -> dict[str, FloatArray]:
    """Log prior density of every draw, by parameter: a power of the prior scales all of them.

    Returns
    -------
    dict
        ``beta`` (C, D, p), ``sigma`` (C, D), per factor ``"sd|name"`` (C, D, q) and
        ``"corr|name"`` (C, D), the family's parameters and those of residuals; improper priors
        count as 0. The density of beta's intercept is that of the linear predictor at centred
        predictors.
    """
    check_patterned(design, "The prior's density of each draw")
    found: dict[str, FloatArray] = {}
    beta = draws.beta
    if priors.intercept is not None:
        beta = beta.copy()
        beta[..., priors.intercept] += draws.beta @ priors.centre
    parts = [prior.log_density(beta[..., k]) for k, prior in enumerate(priors.beta)]
    found["beta"] = np.stack(parts, axis=-1) if parts else np.zeros(beta.shape)
    tied = priors.tied
    for f, (factor, laws) in enumerate(zip(design.factors, priors.sd, strict=True)):
        sd = draws.sd[factor.name]
        values = [
            np.zeros(sd.shape[:2]) if (f, k) in tied else law.log_density(sd[..., k])
            for k, law in enumerate(laws)
        ]
        found[f"sd|{factor.name}"] = np.stack(values, axis=-1)
    for t, (term, eta) in enumerate(zip(design.terms, priors.lkj, strict=True)):
        given = [law for law in priors.patterns[t] if law is not None]
        if eta is None and not given:
            continue
        name, at = design.factors[term.factor].name, list(term.columns)
        corr = draws.corr[name][:, :, at][:, :, :, at]
        key = f"corr|{name}"
        if eta is not None:
            found[key] = found.get(key, 0.0) + lkj_log_density(corr, eta)
            continue
        own = structure(term.covariance, len(at))
        assert own is not None
        r = own.nearest(corr.reshape(-1, len(at), len(at)))[:, ~own.is_scale]
        density = np.sum([law.log_density(r[:, k]) for k, law in enumerate(given)], axis=0)
        found[key] = found.get(key, 0.0) + density.reshape(corr.shape[:2])
    if priors.sigma is not None and draws.sigma is not None:
        found["sigma"] = priors.sigma.log_density(draws.sigma)
    for name, value in draws.family.items():
        if name in priors.family:
            if value.ndim > 2:  # thresholds at centred predictors
                value = value - (draws.beta @ priors.centre)[..., None]
            found[name] = priors.family[name].log_density(value)
    variable = matrix_variable(design)
    if variable is not None and priors.visits is not None:
        R = as_matrix(draws.family, variable)[variable]
        found[variable] = lkj_log_density(R, priors.visits)
    return found
