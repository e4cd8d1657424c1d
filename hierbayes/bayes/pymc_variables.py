"""PyMC variables under the names of the posterior: coefficients, sds, correlations, effects.

A trace of ours gives a model all its free variables, since each of them is one of these vectors and
matrices; what samplers move instead is in ``pymc_transforms``.

All parameters go in as float64 arrays: PyTensor keeps a bare ``3.0`` as float32, and computing its
logarithm in float32 would put an error of 1e-8 in the log density.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.gaussian.patterned import Patterned
from hierbayes.priors.distributions import LOG_2PI, POSITIVE, REAL, Flat, HalfFlat, Prior
from hierbayes.priors.lkj import lkj_log_constant

Number = Callable[[str, FloatArray], Any]


def as_constant(name: str, values: FloatArray) -> Any:
    """Return parameters of a prior as part of the model's graph."""
    del name
    return np.asarray(values, dtype=np.float64)


def as_data(name: str, values: FloatArray) -> Any:
    """Return parameters of a prior as ``pm.Data``, so that they can change without compiling."""
    import pymc as pm

    return pm.Data(name, np.asarray(values, dtype=np.float64))


def independent(
    name: str,
    priors: Sequence[Prior],
    *,
    dims: str,
    number: Number,
    positive: bool = False,
    tied: Sequence[int] = (),
) -> Any:
    """Return a vector variable with one prior an element.

    Parameters
    ----------
    name : of the vector
    priors : one an element
    dims : dimension of the vector
    number : makes the priors' parameters constants or data
    positive : whether the elements are sds, so that Flat means the positive half-line
    tied : per element the position of the one that it equals, its own where it is free; empty where
        all are
    """
    priors = [_on_support(prior, positive) for prior in priors]
    if tied and list(tied) != list(range(len(priors))):
        free = sorted(set(tied))
        places = tuple(free.index(place) for place in tied)
        return _vector(name, [priors[k] for k in free], dims=dims, number=number, places=places)
    if len({type(prior) for prior in priors}) == 1:
        return _class_of(priors[0])(name, **_arguments(name, priors, number), dims=dims)
    return _vector(name, priors, dims=dims, number=number)


def coefficients(
    name: str,
    priors: Sequence[Prior],
    *,
    centre: FloatArray,
    intercept: int,
    dims: str,
    number: Number,
) -> Any:
    """Return coefficients of which the intercept has its prior at centred predictors.

    Parameters
    ----------
    name : of the vector
    priors : one an element
    centre : array, shape (p,), means of the predictors, 0 for the intercept
    intercept : position of the intercept
    dims : dimension of the vector
    number : makes the priors' parameters and the means constants or data
    """
    if not centre.any():
        return independent(name, priors, dims=dims, number=number)
    means = number("predictor_means" if name == "beta" else f"predictor_means_{name}", centre)
    return _vector(name, priors, dims=dims, number=number, means=means, intercept=intercept)


def _vector(
    name: str,
    priors: Sequence[Prior],
    *,
    dims: str,
    number: Number,
    means: Any = None,
    intercept: int | None = None,
    places: tuple[int, ...] | None = None,
) -> Any:
    """Return a vector whose elements have priors of several families, or a centred intercept.

    ``places`` says which of the elements with a prior each of the vector is, where not all differ.
    """
    import pymc as pm
    import pytensor.tensor as pt

    from hierbayes.bayes.pymc_transforms import Coefficients, at_means, at_zero, moved

    kinds = list(dict.fromkeys(type(prior) for prior in priors))
    at_kind = [[k for k, prior in enumerate(priors) if type(prior) is kind] for kind in kinds]
    named = [_arguments(name, [priors[k] for k in own], number) for own in at_kind]
    firsts = None if places is None else [places.index(k) for k in range(len(priors))]
    first = [] if intercept is None else [means]

    def parts(parameters: Sequence[Any]) -> list[Any]:
        rest = list(parameters[len(first) :])
        return [
            getattr(pm, kind.__name__).dist(
                **{key: rest.pop(0) for key in arguments}, shape=len(own)
            )
            for kind, own, arguments in zip(kinds, at_kind, named, strict=True)
        ]

    def whole(found: Sequence[Any], parameters: Sequence[Any]) -> Any:
        order = np.argsort(np.concatenate(at_kind))
        vector = pt.concatenate(found)[order if places is None else order[list(places)]]
        return vector if intercept is None else at_zero(vector, parameters[0], intercept)

    def dist(*parameters: Any) -> Any:
        return whole(parts(parameters), parameters)

    def support_point(rv: Any, size: Any, *parameters: Any) -> Any:
        from pymc.distributions.distribution import support_point as of

        return whole([of(part) for part in parts(parameters)], parameters)

    unbounded = places is None and all(prior.bounds() == REAL for prior in priors)

    def logp(value: Any, *parameters: Any) -> Any:
        free = moved(value) if unbounded else None
        if free is not None:  # what is moved is at centred predictors already
            value = free
        elif intercept is not None:
            value = at_means(value, parameters[0], intercept)
        elif firsts is not None:
            value = value[np.array(firsts)]
        densities = [
            pm.logp(part, value[np.array(own)]).sum()
            for part, own in zip(parts(parameters), at_kind, strict=True)
        ]
        return pt.sum(pt.stack(densities))

    parameters = [*first, *(value for arguments in named for value in arguments.values())]
    return pm.CustomDist(
        name,
        *parameters,
        dist=dist,
        logp=logp,
        support_point=support_point,
        class_name="".join(kind.__name__ for kind in kinds),
        signature=",".join(f"(k{n})" for n in range(len(parameters))) + "->(p)",
        transform=Coefficients(
            families=tuple(type(prior).__name__ for prior in priors),
            bounds=tuple(prior.bounds() for prior in priors),
            intercept=intercept,
            places=places,
        ),
        dims=dims,
    )


def thresholds(
    name: str,
    prior: Prior,
    *,
    size: int,
    increasing: bool,
    shift: Any,
    dims: str,
    number: Number,
) -> Any:
    """Return thresholds between categories, with their prior at centred predictors.

    Parameters
    ----------
    name, dims, number : as of ``coefficients``
    prior : of each; those that increase are independent draws of it in their order
    size : number of thresholds K
    increasing : whether they increase
    shift : tensor, what predictors at their means add to eta; None without predictors
    """
    import pymc as pm
    import pytensor.tensor as pt

    from hierbayes.bayes.pymc_transforms import Thresholds

    arguments = {key: value[0] for key, value in _arguments(name, [prior], number).items()}
    orders = math.lgamma(size + 1) if increasing else 0.0

    def law(values: Sequence[Any]) -> Any:
        named = dict(zip(arguments, values, strict=True))
        return _class_of(prior).dist(**named, shape=size)

    def dist(shift: Any, *values: Any) -> Any:
        drawn = law(values[: len(arguments)])
        return (pt.sort(drawn) if increasing else drawn) + shift

    def logp(value: Any, shift: Any, *values: Any) -> Any:
        return pm.logp(law(values), value - shift).sum() + np.float64(orders)

    start = np.linspace(-1.0, 1.0, size) if size > 1 else np.zeros(1)
    return pm.CustomDist(
        name,
        np.float64(0.0) if shift is None else shift,
        *arguments.values(),
        dist=dist,
        logp=logp,
        support_point=lambda rv, size_, shift, *values: pt.as_tensor(start) + shift,
        class_name=f"Thresholds{type(prior).__name__}",
        signature=",".join(["()"] * (1 + len(arguments))) + "->(k)",
        transform=Thresholds(size=size, increasing=increasing),
        dims=dims,
    )


def correlations(
    name: str,
    *,
    size: int,
    blocks: Sequence[tuple[int, ...]],
    etas: Sequence[float],
    patterns: Sequence[Patterned | None],
    laws: Sequence[Sequence[Prior]],
    dims: tuple[str, str],
) -> Any:
    """Return a correlation matrix of independent blocks, each with an LKJ prior or a pattern.

    Parameters
    ----------
    name : of the matrix
    size : its columns q
    blocks : per block, the places of its columns
    etas : per block, the parameter of its prior; 1 of one with a pattern
    patterns : per block its pattern, or None
    laws : per block, the priors of the parameters of its pattern
    dims : dimensions of the matrix
    """
    import pymc as pm
    import pytensor.tensor as pt

    from hierbayes.bayes.pymc_transforms import (
        Correlations,
        correlation_root,
        moved,
        of_pattern,
        pattern_matrix,
    )

    narrowed = tuple(
        None if own is None else replace(own, within=tuple(law.bounds() for law in given))
        for own, given in zip(patterns, laws, strict=True)
    )
    transform = Correlations(size, tuple(blocks), narrowed)

    def own_law(law: Prior) -> Any:
        named = {law.pymc_names.get(key, key): value for key, value in law.parameters().items()}
        arrays = {key: np.asarray(value, dtype=np.float64) for key, value in named.items()}
        return _class_of(law).dist(**arrays)

    def dist(eta: Any, shape: Any) -> Any:
        del shape
        matrix: Any = pt.eye(size)
        for n, block in enumerate(blocks):
            own = narrowed[n]
            if own is not None:
                r = pt.stack([own_law(law) for law in laws[n]])
                matrix = matrix[np.ix_(block, block)].set(pattern_matrix(own, r))
                continue
            columns = np.tril_indices(len(block), -1)[1]
            a = eta[n] + (len(block) - 2 - columns) / 2
            # the quantile of z = tanh(v) as v, so that |z| near 1 keeps its digits
            partial = pm.Beta.dist(a, a, shape=columns.size)
            L = correlation_root((pt.log(partial) - pt.log1p(-partial)) / 2, len(block))
            matrix = matrix[np.ix_(block, block)].set(L @ L.T)
        return matrix

    def logp(value: Any, eta: Any) -> Any:
        free = moved(value)
        known = None if free is None else transform.log_dets(free)
        parts = []
        for n, (block, eta_n) in enumerate(zip(blocks, etas, strict=True)):
            own, inner = narrowed[n], value[np.ix_(block, block)]
            if own is not None:
                r = of_pattern(own, inner)
                parts += [pm.logp(own_law(law), r[k]) for k, law in enumerate(laws[n])]
                continue
            log_det = _log_det(inner) if known is None else known[n]
            parts.append(np.float64(lkj_log_constant(len(block), eta_n)) + (eta[n] - 1) * log_det)
        return pt.sum(pt.stack(parts))

    return pm.CustomDist(
        name,
        np.asarray(etas, dtype=np.float64),
        dist=dist,
        logp=logp,
        support_point=lambda rv, size_, *parameters: pt.eye(size),
        class_name="LKJ",
        signature="(k)->(q,q)",
        transform=transform,
        dims=dims,
    )


def _log_det(matrix: Any) -> Any:
    import pytensor.tensor as pt

    return 2 * pt.log(pt.diagonal(pt.linalg.cholesky(matrix))).sum()


def correlated_effects(name: str, root: Any, *, dims: tuple[str, str], spherical: bool) -> Any:
    """Return random effects (J, q), each row Normal(0, root root').

    Parameters
    ----------
    name : of the effects
    root : tensor (q, q), lower triangle
    dims : dimensions of levels and of columns
    spherical : whether a sampler moves u with b = root u ("non-centred") instead of b
    """
    import pymc as pm
    import pytensor.tensor as pt

    from hierbayes.bayes.pymc_transforms import Rotated, moved

    def dist(root: Any, size: Any) -> Any:
        return pm.MvNormal.dist(mu=pt.zeros(root.shape[-1]), chol=root, size=size)

    def logp(value: Any, root: Any) -> Any:
        u = moved(value) if spherical else None
        if u is None:
            u = pt.linalg.solve_triangular(root, value.T, lower=True).T
        log_det = pt.log(pt.diagonal(root)).sum()
        return -0.5 * (u**2).sum(axis=1) - root.shape[0] * 0.5 * LOG_2PI - log_det

    law = {"dist": dist, "logp": logp, "class_name": "MvNormal", "signature": "(q,q)->(q)"}
    return _effects(name, root, dims=dims, transform=Rotated() if spherical else None, **law)


def related_effects(
    name: str, root: Any, relation: Any, *, dims: tuple[str, str], spherical: bool
) -> Any:
    """Return random effects (J, q) of related levels, Normal(0, A x root root').

    Parameters
    ----------
    name, dims : as of ``correlated_effects``
    root : tensor (q, q), lower triangle
    relation : tensor (J, J), lower Cholesky factor of A
    spherical : whether a sampler moves u with b = relation u root'
    """
    import pymc as pm
    import pytensor.tensor as pt

    from hierbayes.bayes.pymc_transforms import Related, moved

    def dist(root: Any, relation: Any, size: Any) -> Any:
        del size
        u = pm.Normal.dist(mu=0.0, sigma=1.0, shape=(relation.shape[0], root.shape[0]))
        return relation @ u @ root.T

    def logp(value: Any, root: Any, relation: Any) -> Any:
        u = moved(value) if spherical else None
        if u is None:
            u = pt.linalg.solve_triangular(relation, value, lower=True)
            u = pt.linalg.solve_triangular(root, u.T, lower=True).T
        J, q = relation.shape[0], root.shape[0]
        log_det = J * pt.log(pt.diagonal(root)).sum() + q * pt.log(pt.diagonal(relation)).sum()
        return -0.5 * (u**2).sum() - J * q * 0.5 * LOG_2PI - log_det

    law = {"dist": dist, "logp": logp, "class_name": "MatrixNormal"}
    law["signature"] = "(q,q),(j,j)->(j,q)"
    transform = Related() if spherical else None
    return _effects(name, root, relation, dims=dims, transform=transform, **law)


def _effects(name: str, *parameters: Any, transform: Any, **law: Any) -> Any:
    """Return random effects of a law of their own, that a sampler moves through a transform."""
    import pymc as pm
    import pytensor.tensor as pt

    if transform is not None:
        law["transform"] = transform
    start = {"support_point": lambda rv, size, *given: pt.zeros_like(rv)}
    return pm.CustomDist(name, *parameters, **start, **law)


def scalar(name: str, prior: Prior, *, number: Number, positive: bool = False) -> Any:
    """Return one variable with one prior."""
    prior = _on_support(prior, positive)
    arguments = _arguments(name, [prior], number)
    return _class_of(prior)(name, **{key: value[0] for key, value in arguments.items()})


def _arguments(name: str, priors: Sequence[Prior], number: Number) -> dict[str, Any]:
    names = priors[0].pymc_names
    found = {}
    for key in priors[0].parameters():
        values = np.array([prior.parameters()[key] for prior in priors])
        # The name last: ends of names of factors must not read as a kind or a parameter.
        kind = type(priors[0]).__name__
        found[names.get(key, key)] = number(f"prior_{kind}_{key}_{name}", values)
    return found


def _class_of(prior: Prior) -> Any:
    import pymc as pm

    return getattr(pm, type(prior).__name__)


def _on_support(prior: Prior, positive: bool) -> Prior:
    """Flat on an sd is flat on the positive half-line."""
    if positive and isinstance(prior, Flat) and prior.bounds() != POSITIVE:
        return HalfFlat()
    return prior
