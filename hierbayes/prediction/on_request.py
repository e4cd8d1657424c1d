"""Arrays of an xarray object that are worked out when somebody first looks at them.

A pointwise log-likelihood has a number for each draw and row; most posteriors are never asked for
it. xarray reads files in the same way: the array stands in until its values are needed.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from xarray.backends import BackendArray
from xarray.core import indexing

from hierbayes.arrays import FloatArray
from hierbayes.results.effects_on_demand import EffectsOnDemand


class OnRequest(BackendArray):
    """Knows its shape; ``compute()`` gives its values when they are first indexed."""

    dtype = np.dtype(np.float64)

    def __init__(self, compute: Callable[[], FloatArray], shape: tuple[int, ...]) -> None:
        self.compute = compute
        self.shape = shape

    def __getitem__(self, key: Any) -> Any:
        return indexing.NumpyIndexingAdapter(self.compute())[key]


class LevelsOnRequest(BackendArray):
    """Draws of effects that are made for the levels that are indexed."""

    dtype = np.dtype(np.float64)

    def __init__(self, effects: EffectsOnDemand) -> None:
        self.effects = effects
        self.shape = effects.shape

    def __getitem__(self, key: Any) -> Any:
        support = indexing.IndexingSupport.BASIC
        return indexing.explicit_indexing_adapter(
            key, self.shape, support, self.effects.__getitem__
        )


class Deferred(indexing.LazilyIndexedArray):
    """Stands in for the values; a pickled copy holds the values themselves."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how the values are rebuilt."""
        return indexing.NumpyIndexingAdapter, (np.asarray(self.get_duck_array()),)


def levels_on_request(effects: EffectsOnDemand) -> Any:
    """Return an array for an ``xarray.Variable`` of draws that are made when they are indexed."""
    return indexing.MemoryCachedArray(Deferred(LevelsOnRequest(effects)))


def on_request(compute: Callable[[], FloatArray], shape: tuple[int, ...]) -> Any:
    """Return an array for an ``xarray.Variable`` whose values ``compute()`` gives, once."""
    return indexing.MemoryCachedArray(Deferred(OnRequest(compute, shape)))
