"""Whether two PyMC models have one graph, so that what was compiled for one serves the other.

Two models have the same key when their variables are computed by the same operations from the same
constants, and their data have the same names and dimensions; the values of data may differ.
"""

from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pymc as pm

Key = tuple[Any, ...]


def graph_key(model: "pm.Model") -> Key:
    """Return a hashable description of a model's graph."""
    from pytensor.graph.traversal import toposort

    outputs = [*model.basic_RVs, *model.deterministics, *model.potentials]
    densities = [getattr(rv.tag, "log_density", None) for rv in model.observed_RVs]
    outputs += [density for density in densities if density is not None]
    numbers: dict[Any, int] = {}
    described: list[Any] = []

    def describe(variable: Any) -> int:
        if variable not in numbers:
            numbers[variable] = len(numbers)
            described.append(_leaf(variable))
        return numbers[variable]

    for node in toposort(outputs):
        inputs = tuple(describe(variable) for variable in node.inputs)
        described.append((_operation(node.op), inputs))
        for variable in node.outputs:
            numbers[variable] = len(numbers)
    names = tuple((variable.name, numbers[variable]) for variable in outputs)
    observed = tuple(sorted(rv.name for rv in model.observed_RVs))
    transforms = tuple(
        (rv.name, _transform(transform)) for rv, transform in model.rvs_to_transforms.items()
    )
    lengths = tuple((name, len(values)) for name, values in model.coords.items() if name != "obs")
    return tuple(described), names, observed, transforms, lengths


def _leaf(variable: Any) -> Any:
    """Return data by name and type, constants by value; random states are all alike."""
    from pytensor.compile.sharedvalue import SharedVariable
    from pytensor.graph.basic import Constant

    if isinstance(variable, Constant):
        data = variable.data
        value = (data.dtype.str, data.shape, data.tobytes()) if hasattr(data, "tobytes") else data
        return "constant", str(variable.type), _hashable(value)
    if isinstance(variable, SharedVariable):
        return "data", variable.name, str(variable.type)
    return "input", variable.name, str(variable.type)


def _operation(op: Any) -> Any:
    props = getattr(op, "__props__", ())
    return type(op).__name__, str(op), tuple(repr(getattr(op, name, None)) for name in props)


def _transform(transform: Any) -> str:
    """Return what a transform does: ours are records, PyMC's are told apart by their class."""
    return repr(transform) if is_dataclass(transform) else type(transform).__name__


def _hashable(value: Any) -> Any:
    """Return the value, or its text where it has no hash."""
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value
