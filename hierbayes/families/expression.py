"""What stands in a density in the place of an array: a Taylor series, or a tensor of a model.

A family's density is written once, in NumPy's words. Given arrays it is numbers; given a ``Series``
(families/series.py) it has exact derivatives; given a ``Symbolic`` (families/symbolic.py) it is
part of a PyMC model. Both answer for NumPy's operators and functions by its own protocols.

Source: NumPy Enhancement Proposals 13 (``__array_ufunc__``) and 18 (``__array_function__``).
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

# NumPy's functions of two arguments that are operators of Python: the name between underscores.
OPERATORS = {
    "add": "add",
    "subtract": "sub",
    "multiply": "mul",
    "divide": "truediv",
    "power": "pow",
}
# Comparisons, and what they are from the right.
COMPARISONS = {
    "equal": ("eq", "eq"), "not_equal": ("ne", "ne"), "less": ("lt", "gt"),
    "less_equal": ("le", "ge"), "greater": ("gt", "lt"), "greater_equal": ("ge", "le"),
}  # fmt: skip


class Expression:
    """An operand of NumPy's operators and of the functions its class has.

    Attributes
    ----------
    functions : by the names of NumPy's and SciPy's universal functions
    where : chooses point by point, as ``np.where``
    """

    __slots__ = ()
    functions: ClassVar[Mapping[str, Callable[..., Any]]]
    where: ClassVar[Callable[..., Any]]

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Answer for NumPy's function of an array: an operator, or one of ``functions``."""
        name = ufunc.__name__
        if method != "__call__" or options:
            return NotImplemented
        if name in type(self).functions:
            return type(self).functions[name](*inputs)
        if name in OPERATORS:
            own, other = (f"__{side}{OPERATORS[name]}__" for side in ("", "r"))
        elif name in COMPARISONS:
            own, other = (f"__{word}__" for word in COMPARISONS[name])
        else:
            return NotImplemented
        left, right = inputs
        if isinstance(left, Expression):
            return getattr(left, own)(right)
        return getattr(right, other)(left)

    def __array_function__(
        self, function: Any, types: Any, inputs: tuple[Any, ...], options: Mapping[str, Any]
    ) -> Any:
        """Answer for ``np.where(condition, yes, no)``."""
        del types
        if function is not np.where or options or len(inputs) != 3:
            return NotImplemented
        return type(self).where(*inputs)

    def __array__(self, *options: Any, **named: Any) -> Any:
        raise TypeError("what a density is given stays as it is; np.asarray can't hold it")

    def __bool__(self) -> bool:
        raise TypeError("a density chooses by np.where(condition, yes, no), not by if")


def known_functions(kind: type[Expression]) -> str:
    """List what a density may use of NumPy and SciPy, for sentences."""
    return ", ".join(["+ - * / **", "np.where", *sorted(kind.functions)])
