"""Tensors in the place of arrays: a density written in NumPy's words becomes part of a PyMC model.

What PyTensor would take for something else is kept from it: ``y == 0`` of a tensor is Python's
identity there, and a bare ``3.0`` would be float32, which costs half the digits of a logarithm.
Imports PyTensor when a tensor is first made.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hierbayes.families.expression import Expression
from hierbayes.families.family import Family, Mean


class Symbolic(Expression):
    """A tensor ``of`` PyTensor as an operand of NumPy's operators and functions."""

    __slots__ = ("of",)

    def __init__(self, of: Any) -> None:
        self.of = of

    @property
    def value(self) -> "Symbolic":
        """Itself: a tensor carries no derivatives."""
        return self

    def __add__(self, other: Any) -> "Symbolic":
        return Symbolic(self.of + tensor(other))

    def __sub__(self, other: Any) -> "Symbolic":
        return Symbolic(self.of - tensor(other))

    def __rsub__(self, other: Any) -> "Symbolic":
        return Symbolic(tensor(other) - self.of)

    def __mul__(self, other: Any) -> "Symbolic":
        return Symbolic(self.of * tensor(other))

    def __truediv__(self, other: Any) -> "Symbolic":
        return Symbolic(self.of / tensor(other))

    def __rtruediv__(self, other: Any) -> "Symbolic":
        return Symbolic(tensor(other) / self.of)

    def __pow__(self, other: Any) -> "Symbolic":
        return Symbolic(self.of ** tensor(other))

    def __rpow__(self, other: Any) -> "Symbolic":
        return Symbolic(tensor(other) ** self.of)

    def __neg__(self) -> "Symbolic":
        return Symbolic(-self.of)

    def __abs__(self) -> "Symbolic":
        return Symbolic(abs(self.of))

    def __lt__(self, other: Any) -> "Symbolic":
        return _of("lt", self, other)

    def __le__(self, other: Any) -> "Symbolic":
        return _of("le", self, other)

    def __gt__(self, other: Any) -> "Symbolic":
        return _of("gt", self, other)

    def __ge__(self, other: Any) -> "Symbolic":
        return _of("ge", self, other)

    def __eq__(self, other: object) -> "Symbolic":  # type: ignore[override]
        return _of("eq", self, other)

    def __ne__(self, other: object) -> "Symbolic":  # type: ignore[override]
        return _of("neq", self, other)

    def __and__(self, other: Any) -> "Symbolic":
        return _of("and_", self, other)

    def __or__(self, other: Any) -> "Symbolic":
        return _of("or_", self, other)

    def __invert__(self) -> "Symbolic":
        return _of("invert", self)

    __radd__ = __add__
    __rmul__ = __mul__
    __rand__ = __and__
    __ror__ = __or__
    __hash__ = None  # type: ignore[assignment]


def tensor(x: Any) -> Any:
    """Return the tensor of a symbol, or numbers as float64 (conditions as they are)."""
    if isinstance(x, Symbolic):
        return x.of
    array = np.asarray(x)
    return array if array.dtype == bool else array.astype(np.float64)


def log_density(family: Family, y: Any, eta: Any, parameters: Mapping[str, Any]) -> Any:
    """Return the log density of a family as a tensor.

    Parameters
    ----------
    family : Family, with a density
    y : tensor, shape (n,), the response
    eta : tensor, shape (n,), the linear predictor
    parameters : tensors by name, and the trials of a family that counts them
    """
    import pytensor.tensor as pt

    assert family.log_density is not None
    at = {name: Symbolic(pt.cast(value, "float64")) for name, value in parameters.items()}
    mean = Mean(eta=Symbolic(eta), link=family.link)
    return tensor(family.log_density(Symbolic(pt.cast(y, "float64")), mean, at))


def _of(name: str, *inputs: Any) -> Symbolic:
    """Return one of PyTensor's functions of symbols."""
    import pytensor.tensor as pt

    return Symbolic(getattr(pt, name)(*(tensor(x) for x in inputs)))


def _log_ndtr(x: Any) -> Symbolic:
    """Log Phi; on the left, where Phi underflows, by the scaled complementary error function."""
    import pytensor.tensor as pt

    x = tensor(x)
    below, above = (pt.maximum(side, 0.0) / np.sqrt(2.0) for side in (-x, x))
    left = pt.log(pt.erfcx(below) / 2) - below**2
    return Symbolic(pt.switch(x < 0, left, pt.log1p(-pt.erfc(above) / 2)))


def _ndtr(x: Any) -> Symbolic:
    return _of("erfc", x * -(0.5**0.5)) * 0.5


PLAIN = {
    "absolute": "abs", "exp": "exp", "log": "log", "log1p": "log1p", "expm1": "expm1",
    "sqrt": "sqrt", "square": "sqr", "reciprocal": "reciprocal", "arctan": "arctan",
    "logaddexp": "logaddexp", "maximum": "maximum", "minimum": "minimum", "floor": "floor",
    "gammaln": "gammaln", "expit": "sigmoid", "isfinite": "isfinite",
    "logical_and": "and_", "logical_or": "or_", "bitwise_and": "and_", "bitwise_or": "or_",
    "logical_not": "invert", "invert": "invert",
}  # fmt: skip
Symbolic.where = lambda condition, yes, no: _of("switch", condition, yes, no)
Symbolic.functions = {
    **{name: lambda *x, of=of: _of(of, *x) for name, of in PLAIN.items()},
    "negative": lambda x: -x,
    "log_expit": lambda x: -_of("softplus", -x),
    "ndtr": _ndtr,
    "log_ndtr": _log_ndtr,
}
