"""Draws of the random effects of very many levels, made a block of levels at a time when looked at.

4,000 draws of 100,000 effects are 3.2 GB, which nearly nobody looks at one by one: means, sds and
intervals of levels need the draws of some levels at a time. A block has a seed of its own, so that
it is the same whenever it is made, and whichever others are.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record

BLOCK = 64  # levels that are made together: a few megabytes of thousands of draws
AT_ONCE = 2**22  # numbers of arrays that are looked at together: 32 MB


@record(kw_only=False)
class LevelMoments:
    """Means (J, q) and covariances (J, q, q) of the effects of each level."""

    mean: FloatArray
    covariance: FloatArray


class EffectsOnDemand:
    """Stands for an array (C, D, J, q), or (S, J, q) of chains one after the other.

    Indexing makes the levels asked for and nothing else; ``numpy.asarray`` makes them all.

    Parameters
    ----------
    make : of the number of a block, returns the draws of its levels, (S, levels, q)
    shape : of the array
    """

    dtype = np.dtype(np.float64)

    def __init__(self, make: Callable[[int], FloatArray], shape: tuple[int, ...]) -> None:
        self.make: Any = make
        self.shape = shape
        self.ndim = len(shape)
        self.size = int(np.prod(shape, dtype=object))

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes that all of it would take."""
        return self.size * self.dtype.itemsize

    def blocks(self) -> Iterator[tuple[slice, FloatArray]]:
        """Return all blocks of levels, one after the other: which levels, and their draws."""
        J = self.shape[-2]
        for number, start in enumerate(range(0, J, BLOCK)):
            found = self.make(number)
            at = slice(start, min(start + BLOCK, J))
            yield at, found.reshape(*self.shape[:-2], *found.shape[1:])

    def levels(self, wanted: IntArray) -> FloatArray:
        """Return the draws of some levels, (..., m, q)."""
        out = np.empty((*self.shape[:-2], wanted.size, self.shape[-1]))
        numbers = wanted // BLOCK
        for number in np.unique(numbers):
            at = np.flatnonzero(numbers == number)
            own = self.make(int(number))[:, wanted[at] - number * BLOCK]
            out[..., at, :] = own.reshape(*self.shape[:-2], *own.shape[1:])
        return out

    def __getitem__(self, key: Any) -> Any:
        full = _full_key(key, self.ndim)
        if full is None:
            return np.asarray(self)[key]
        *draws, levels, column = full
        wanted = np.arange(self.shape[-2])[levels]
        if isinstance(levels, slice):
            picked = (*draws, slice(None), column)
            some = len(draws) == 1 and np.ndim(draws[0]) == 1  # of chains one after the other
            if not some and not all(isinstance(own, slice) for own in draws):
                return self.levels(wanted)[picked]
            steps = range(0, wanted.size, BLOCK)
            parts = [self.levels(wanted[k : k + BLOCK])[picked] for k in steps]
            return np.concatenate([self.levels(wanted[:0])[picked], *parts], axis=self.ndim - 2)
        distinct, places = np.unique(wanted, return_inverse=True)
        own = int(places.item()) if np.ndim(wanted) == 0 else places.reshape(np.shape(wanted))
        return self.levels(distinct)[(*draws, own, column)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        out = np.empty(self.shape)
        for at, own in self.blocks():
            out[..., at, :] = own
        return out if dtype is None else out.astype(dtype, copy=False)

    def reshape(self, *shape: int) -> Any:
        """Return it with the chains one after the other, or all of it in another shape."""
        J, q = self.shape[-2:]
        S = int(np.prod(self.shape[:-2]))
        if len(shape) == 3 and shape[0] in (S, -1) and shape[1] in (J, -1) and shape[2] == q:
            return EffectsOnDemand(self.make, (S, J, q))
        return np.asarray(self).reshape(*shape)

    @cached_property
    def moments(self) -> LevelMoments:
        """Means and covariances over all draws."""
        J, q = self.shape[-2:]
        mean, covariance = np.empty((J, q)), np.empty((J, q, q))
        for at, own in self.blocks():
            found = _moments(own.reshape(-1, *own.shape[-2:]))
            mean[at], covariance[at] = found.mean, found.covariance
        return LevelMoments(mean, covariance)

    def mean(self, axis: Any = None) -> Any:
        """Mean over all draws, (J, q); over other axes of all of it."""
        if axis == tuple(range(self.ndim - 2)) or (self.ndim == 3 and axis == 0):
            return self.moments.mean.copy()
        return np.asarray(self).mean(axis=axis)


class EffectsByTerm:
    """The same draws as parameters, (C, D, q J), level by level within each column."""

    dtype = np.dtype(np.float64)

    def __init__(self, effects: EffectsOnDemand) -> None:
        self.effects = effects
        *sample, J, q = effects.shape
        self.shape = (*sample, q * J)

    def blocks(self) -> Iterator[tuple[IntArray, FloatArray]]:
        """Return all parameters by blocks: which, (m,), and their draws, (C, D, m)."""
        J, q = self.effects.shape[-2:]
        for at, b in self.effects.blocks():
            places = (np.arange(q)[:, None] * J + np.arange(at.start, at.stop)).ravel()
            yield places, np.swapaxes(b, -1, -2).reshape(*self.shape[:-1], -1)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple) and key[0] is Ellipsis and isinstance(key[-1], int | np.integer):
            column, level = divmod(int(key[-1]), self.effects.shape[-2])
            return self.effects[..., level, column]
        return np.asarray(self)[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.swapaxes(np.asarray(self.effects, dtype), -1, -2).reshape(self.shape)

    def reshape(self, *shape: int) -> Any:
        """Return all of them in another shape."""
        return np.asarray(self).reshape(*shape)


def parameter_blocks(
    draws: "FloatArray | EffectsByTerm",
) -> Iterator[tuple[IntArray, FloatArray]]:
    """Draws of parameters (C, D, P) by blocks: which, (m,), and their draws."""
    if isinstance(draws, EffectsByTerm):
        yield from draws.blocks()
    else:
        yield np.arange(draws.shape[2]), draws


def _full_key(key: Any, ndim: int) -> list[Any] | None:
    """Return one key an axis; None for what is none of integers, slices and arrays."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if any(own is None for own in keys):
        return None
    if any(own is Ellipsis for own in keys):
        at = next(k for k, own in enumerate(keys) if own is Ellipsis)
        keys[at : at + 1] = [slice(None)] * (ndim - len(keys) + 1)
    keys += [slice(None)] * (ndim - len(keys))
    plain = all(
        isinstance(own, int | np.integer | slice)
        or np.ndim(own) == 1
        or isinstance(own, np.ndarray)
        for own in keys
    )
    return keys if plain and len(keys) == ndim else None


def _moments(b: FloatArray) -> LevelMoments:
    """Means (m, q) and covariances (m, q, q) of draws (S, m, q)."""
    mean = b.mean(axis=0)
    centred = b - mean
    q = b.shape[2]
    covariance = np.einsum("sja,sjb->jab", centred, centred, optimize=q > 1)
    return LevelMoments(mean, covariance / max(b.shape[0] - 1, 1))


def level_covariances(b: "FloatArray | EffectsOnDemand") -> FloatArray:
    """Return covariances (J, q, q) over draws of effects (C, D, J, q)."""
    if isinstance(b, EffectsOnDemand):
        return b.moments.covariance
    J, q = b.shape[2:]
    found = np.empty((J, q, q))
    for at, own in level_blocks(b):
        found[at] = _moments(own.reshape(-1, *own.shape[2:])).covariance
    return found


def level_blocks(b: "FloatArray | EffectsOnDemand") -> Iterator[tuple[slice, FloatArray]]:
    """Draws of effects (C, D, J, q) by blocks of levels: which levels, and their draws."""
    if isinstance(b, EffectsOnDemand):
        yield from b.blocks()
        return
    for at in _level_slices(b):
        yield at, b[..., at, :]


def _level_slices(b: FloatArray) -> Iterator[slice]:
    J = b.shape[-2]
    step = max(1, AT_ONCE // max(b.size // max(J, 1), 1))
    for start in range(0, J, step):
        yield slice(start, min(start + step, J))
