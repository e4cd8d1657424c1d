"""Covariances of random effects as multiples of their estimates: quantities without a unit.

With Lambda_0 the columns of Lambda that hold variance, and for each of the others a column of its
own, every covariance near the estimate is Lambda_0 S Lambda_0'. What derivatives in S need is

    B = Lambda_0'Z'V^-1Z Lambda_0    and    Lambda_0'Z'V^-1[X y].

For columns that hold variance these are I - (L L')^-1 and U of ``marginal.py``, all of order one:
nothing is lost where Lambda is large, as it is in the difference that Z'V^-1Z is there.

Of levels with a known covariance A = R R' a covariance near the estimate is that of A and
Lambda_0 S Lambda_0', so Z R stands for Z: R'Lambda_0' and its transpose go round Z'V^-1Z, which is
that difference.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.design.level_covariance import LevelCovariance
from hierbayes.gaussian.marginal import (
    Evaluation,
    Kernel,
    Pattern,
    modes,
    times,
    transpose_times,
)


def relations_of(pattern: Pattern) -> tuple[LevelCovariance | None, ...]:
    """Return the known covariance between the levels of each factor of a related pattern."""
    from hierbayes.gaussian.pattern.related import RelatedPattern

    assert isinstance(pattern, RelatedPattern)
    return pattern.relations


@record
class Frame:
    """Lambda_0 at one estimate.

    Attributes
    ----------
    kernel, at : the kernel and its evaluation at one theta
    has_variance : per factor, array of bool (q,), the columns of Lambda that hold variance
    sizes : per factor, array (q,), the diagonal Lambda_0 has in the other columns
    """

    kernel: Kernel
    at: Evaluation
    has_variance: list[BoolArray]
    sizes: list[FloatArray]

    @cached_property
    def roots(self) -> list[FloatArray]:
        """Lambda_0 of each factor, (q, q)."""
        return [
            np.where(has, Lambda[0], np.diag(size))
            for Lambda, has, size in zip(
                self.at.Lambdas, self.has_variance, self.sizes, strict=True
            )
        ]

    @cached_property
    def is_whole(self) -> bool:
        """Whether all columns hold variance."""
        return all(bool(has.all()) for has in self.has_variance)

    @property
    def is_related(self) -> bool:
        """Whether levels of some factor have a known covariance."""
        return self.kernel.pattern.name == "related"

    def _all(self, at: Evaluation) -> list[FloatArray]:
        """Lambda_0 for each theta of an evaluation, (T, q, q) a factor."""
        return [np.repeat(root[None], at.theta.shape[0], axis=0) for root in self.roots]

    def _along_levels(self, sides: Sequence[FloatArray], *, transpose: bool) -> list[FloatArray]:
        """R or R' times right sides, per factor (T, J, q, c)."""
        out = []
        for own, side in zip(relations_of(self.kernel.pattern), sides, strict=True):
            T, J, q, c = side.shape
            flat = side.reshape(T, J, q * c)
            if own is not None:
                flat = (own.root.T if transpose else own.root) @ flat
            out.append(flat.reshape(T, J, q, c))
        return out

    def _times_related(self, sides: Sequence[FloatArray]) -> list[FloatArray]:
        """Multiply right sides by R'B R with B as it is defined, a difference."""
        factor, Lambdas, multiply = self.at.factor, self.at.Lambdas, self.kernel.blocks.times
        assert factor is not None
        roots = self._all(self.at)
        spread = self._along_levels(sides, transpose=False)
        first = multiply([times(root, x) for root, x in zip(roots, spread, strict=True)])
        right = [transpose_times(L, x) for L, x in zip(Lambdas, first, strict=True)]
        solved = factor.back_solve(factor.half_solve(right))
        taken = multiply([times(L, x) for L, x in zip(Lambdas, solved, strict=True)])
        left = [
            transpose_times(root, x - y) for root, x, y in zip(roots, first, taken, strict=True)
        ]
        return self._along_levels(left, transpose=True)

    def responses(self, at: Evaluation) -> tuple[list[FloatArray], list[FloatArray]]:
        """U C, and Lambda_0'H C with the rows of columns that hold variance as in U C.

        ``at`` may be other thetas than the frame's.
        """
        found = modes(self.kernel, at)
        if self.is_related:
            left = [
                transpose_times(root, h) for root, h in zip(self._all(at), found.h, strict=True)
            ]
            return found.u, self._along_levels(left, transpose=True)
        if self.is_whole:
            return found.u, found.u
        left = [
            np.where(has[:, None], u, size[:, None] * h)
            for u, h, has, size in zip(found.u, found.h, self.has_variance, self.sizes, strict=True)
        ]
        return found.u, left

    def times(self, sides: Sequence[FloatArray]) -> list[FloatArray]:
        """Multiply right sides, per factor (1, J, q, c), by B."""
        if self.is_related:
            return self._times_related(sides)
        factor, Lambdas = self.at.factor, self.at.Lambdas
        assert factor is not None
        if self.is_whole:
            solved = factor.back_solve(factor.half_solve(sides))
            return [x - c for x, c in zip(sides, solved, strict=True)]
        masks = [has[:, None] for has in self.has_variance]
        units = [size[:, None] for size in self.sizes]
        multiply = self.kernel.blocks.times
        lone = [np.where(m, 0.0, s * x) for m, s, x in zip(masks, units, sides, strict=True)]
        spread = [transpose_times(L, x) for L, x in zip(Lambdas, multiply(lone), strict=True)]
        right = [np.where(m, x, 0.0) - s for m, x, s in zip(masks, sides, spread, strict=True)]
        solved = factor.back_solve(factor.half_solve(right))
        back = multiply([times(L, c) + x for L, c, x in zip(Lambdas, solved, lone, strict=True)])
        return [
            np.where(m, x - c, s * b)
            for m, x, c, s, b in zip(masks, sides, solved, units, back, strict=True)
        ]
