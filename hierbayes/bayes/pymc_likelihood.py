"""The response's distribution in PyMC: bambi's where it has the family and link, else our own.

A family of one's own, or one of ours with a link that bambi lacks, has its log density, written in
NumPy's words, which becomes a graph of tensors here; its ``draw`` draws what PyMC predicts.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hierbayes.families.family import Family
from hierbayes.families.mean_ends import mean_ends
from hierbayes.families.own import unwritable
from hierbayes.families.symbolic import Symbolic, log_density, tensor


def is_bambis(family: Family) -> bool:
    """Whether bambi has the family with its link."""
    if not family.is_builtin:
        return False
    from bambi.defaults import get_builtin_family

    found = get_builtin_family(family.name)
    return family.link.name in found.SUPPORTED_LINKS[found.likelihood.parent]


def bambi_family(family: Family) -> Any:
    """Return bambi's family object with the link of ours for its parent parameter."""
    from bambi.defaults import get_builtin_family
    from bambi.families import Link

    found = get_builtin_family(family.name)
    found.link = {**found.link, found.likelihood.parent: Link(family.link.name)}
    return found


def add_likelihood(
    name: str, eta: Any, *, family: Family, parameters: Mapping[str, Any], observed: Any, dims: str
) -> Any:
    """Add the observed response to the PyMC model in context.

    Parameters
    ----------
    name : of the response variable
    eta : tensor, shape (n,), linear predictor
    family : Family
    parameters : the further parameters of the family, tensors by name
    observed : tensor or array, (n,) or (n, 2) as from ``checked_observations``
    dims : dimension of the rows
    """
    if family.add_likelihood is not None:
        return family.add_likelihood(name, eta, parameters=parameters, observed=observed, dims=dims)
    if not is_bambis(family):
        given = dict(parameters)
        if family.counts_trials:
            given["trials"], observed = observed[:, 1], observed[:, 0]
        return _own(name, eta, family=family, parameters=given, observed=observed, dims=dims)
    from bambi.backend.pymc import PyMCModel
    from bambi.backend.utils import get_distribution_from_likelihood, get_linkinv

    theirs = bambi_family(family)
    parent = theirs.likelihood.parent
    arguments = {**parameters, "observed": observed, "dims": dims}
    if hasattr(theirs, "transform_backend_eta"):
        eta = theirs.transform_backend_eta(eta, arguments)
    arguments[parent] = get_linkinv(theirs.link[parent], PyMCModel.INVLINKS)(eta)
    if hasattr(theirs, "transform_backend_kwargs"):
        arguments = theirs.transform_backend_kwargs(arguments)
    distribution = get_distribution_from_likelihood(theirs.likelihood)
    return distribution(name, **arguments)


def _own(
    name: str, eta: Any, *, family: Family, parameters: Mapping[str, Any], observed: Any, dims: str
) -> Any:
    """Add a response whose density is the family's log density as tensors."""
    import pymc as pm

    names = tuple(parameters)

    def logp(y: Any, eta: Any, *values: Any) -> Any:
        return _density(family, y, eta, dict(zip(names, values, strict=True)))

    def random(eta: Any, *values: Any, rng: Any = None, size: Any = None) -> Any:
        assert family.draw is not None
        mu = np.broadcast_to(family.mean(np.asarray(eta)), size or np.shape(eta))
        return np.asarray(family.draw(rng, mu, dict(zip(names, values, strict=True))))

    response = pm.CustomDist(
        name,
        eta,
        *parameters.values(),
        logp=logp,
        random=random,
        observed=observed,
        dims=dims,
        dtype="int64" if family.is_discrete else "float64",
        class_name=family.heading,
    )
    # Two families of one name are two densities; a compiled model serves graphs that are the same.
    response.tag.log_density = _density(family, observed, eta, parameters)
    return response


def _density(family: Family, y: Any, eta: Any, parameters: Mapping[str, Any]) -> Any:
    try:
        value = log_density(family, y, eta, parameters)
    except (TypeError, AttributeError, IndexError) as error:
        raise unwritable(family, error, Symbolic) from error
    ends = mean_ends(family)
    if ends is None:
        return value
    import pytensor.tensor as pt

    mu = tensor(family.link.inverse(Symbolic(eta)))
    return pt.switch(pt.and_(mu > ends[0], mu < ends[1]), value, -np.inf)
