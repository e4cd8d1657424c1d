"""PyMC variables of prior distributions: one vector variable where one family of priors serves.

All parameters go in as float64 arrays: PyTensor keeps a bare ``3.0`` as float32, and computing its
logarithm in float32 would put an error of 1e-8 in the log density.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hierbayes.bayes.distributions import POSITIVE, Flat, HalfFlat, Prior
from hierbayes.results.variable_names import element_variables

FloatArray = npt.NDArray[np.float64]
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
    labels: Sequence[str],
    number: Number,
    positive: bool = False,
) -> Any:
    """Return a vector variable with one prior an element.

    Priors of one family make one variable; mixed ones make a variable each, named after the
    element's label, and ``name`` is their stack.

    Parameters
    ----------
    name : of the vector
    priors : one an element
    dims : dimension of the vector
    labels : of the elements
    number : makes the priors' parameters constants or data
    positive : whether the elements are sds, so that Flat means the positive half-line
    """
    import pymc as pm
    import pytensor.tensor as pt

    priors = [_on_support(prior, positive) for prior in priors]
    if len({type(prior) for prior in priors}) == 1:
        return _class_of(priors[0])(name, **_arguments(name, priors, number), dims=dims)
    parts = [
        scalar(f"{name}_{own}", prior, number=number)
        for own, prior in zip(element_variables(labels), priors, strict=True)
    ]
    return pm.Deterministic(name, pt.stack(parts), dims=dims)


def scalar(name: str, prior: Prior, *, number: Number, positive: bool = False) -> Any:
    """Return one variable with one prior."""
    prior = _on_support(prior, positive)
    arguments = _arguments(name, [prior], number)
    return _class_of(prior)(name, **{key: value[0] for key, value in arguments.items()})


def sd_distribution(name: str, priors: Sequence[Prior], *, number: Number) -> Any:
    """Return the unregistered vector distribution that ``pm.LKJCholeskyCov`` takes for its sds."""
    import pymc as pm
    import pytensor.tensor as pt

    priors = [_on_support(prior, positive=True) for prior in priors]
    if len({type(prior) for prior in priors}) == 1:
        arguments = _arguments(name, priors, number)
        return _class_of(priors[0]).dist(**arguments, shape=len(priors))
    named = [_arguments(f"{name}_{k}", [prior], number) for k, prior in enumerate(priors)]
    flat = [value[0] for arguments in named for value in arguments.values()]

    def stacked(*values: Any) -> Any:
        rest, parts = list(values[:-1]), []
        for prior, arguments in zip(priors, named, strict=True):
            own = {key: rest.pop(0) for key in arguments}
            parts.append(_class_of(prior).dist(**own))
        return pt.stack(parts)

    inputs = ",".join(["()"] * len(flat))
    return pm.CustomDist.dist(
        *flat, dist=stacked, class_name="StandardDeviations", signature=f"{inputs}->(k)"
    )


def _arguments(name: str, priors: Sequence[Prior], number: Number) -> dict[str, Any]:
    names = priors[0].pymc_names
    found = {}
    for key in priors[0].parameters():
        values = np.array([prior.parameters()[key] for prior in priors])
        found[names.get(key, key)] = number(f"prior_{name}_{key}", values)
    return found


def _class_of(prior: Prior) -> Any:
    import pymc as pm

    return getattr(pm, type(prior).__name__)


def _on_support(prior: Prior, positive: bool) -> Prior:
    """Flat on an sd is flat on the positive half-line."""
    if positive and isinstance(prior, Flat) and prior.bounds() != POSITIVE:
        return HalfFlat()
    return prior
