"""Arrays whose numbers were never kept: what stands in a design made from a stream of rows.

Such an array has a shape, so that all that counts rows and columns goes on; whatever asks for its
numbers gets one error that says so. This is the one place where a stream's missing rows show.
"""

from typing import Any, NoReturn, cast

import numpy as np

from hierbayes.capabilities import not_supported
from hierbayes.errors import NotSupportedError, RowsNotKeptError

SHAPE = frozenset(("shape", "ndim", "size", "dtype"))


def rows_not_kept(what: str) -> NotSupportedError:
    """Return the error of what needs ``what`` of the rows."""
    return not_supported("rows-of-stream", what=what, asked=RowsNotKeptError.ASKED)


class NotKept:
    """An array of a shape, without numbers.

    Parameters
    ----------
    what : what its numbers would be ("the fixed-effects columns"), for the message
    shape : its shape
    """

    __slots__ = ("dtype", "ndim", "shape", "size", "what")

    def __init__(self, what: str, shape: tuple[int, ...], dtype: type = np.float64) -> None:
        self.what = what
        self.shape = shape
        self.ndim = len(shape)
        self.size = int(np.prod(shape, dtype=object)) if shape else 1
        self.dtype = np.dtype(dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        size = " x ".join(f"{length:,}" for length in self.shape)
        return f"<{self.what}, {size}, not kept>"

    def _refuse(self, *args: Any, **options: Any) -> NoReturn:
        raise rows_not_kept(self.what)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # how Python and NumPy look for what an object can do
            raise AttributeError(name)
        self._refuse()

    __array__ = __array_ufunc__ = __array_function__ = _refuse
    __getitem__ = __iter__ = __contains__ = __bool__ = __float__ = __int__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
    __truediv__ = __rtruediv__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _refuse
    __neg__ = __abs__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __eq__ = __ne__ = _refuse
    __hash__ = object.__hash__


def not_kept(what: str, *shape: int, dtype: type = np.float64) -> Any:
    """Return an array of a shape, without numbers, in the place of one that has them."""
    return cast(Any, NotKept(what, shape, dtype))
