"""The response's distribution in PyMC: bambi's, by the name of the family, or the family's own."""

from collections.abc import Mapping
from typing import Any

from hierbayes.families.family import Family


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
