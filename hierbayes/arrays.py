"""Array types, and the decorator of every record: what all layers share.

A record is made once, never changes, and is the same as another only when it is that one: records
hold arrays, whose comparison is an array again. So records can be members of sets and keys of
dictionaries, and what is derived from one can be kept beside it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, dataclass_transform, overload

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]
Int64Array = npt.NDArray[np.int64]  # of compiled code


@overload
def record[T](cls: type[T]) -> type[T]: ...
@overload
def record[T](*, kw_only: bool = ..., repr: bool = ...) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True, kw_only_default=True, eq_default=False)
def record(cls: Any = None, *, kw_only: bool = True, repr: bool = True) -> Any:
    """Make a frozen dataclass that compares by identity.

    Parameters
    ----------
    cls : the class; none when options are given
    kw_only : False for a record of two or three fields that go by their order
    repr : False where the class prints itself
    """
    made = dataclass(frozen=True, kw_only=kw_only, repr=repr, eq=False)
    return made if cls is None else made(cls)
