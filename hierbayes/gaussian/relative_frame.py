"""Covariances of random effects as multiples of their estimates: quantities without a unit.

With Lambda_0 the columns of Lambda that hold variance, and for each of the others a column of its
own, every covariance near the estimate is Lambda_0 S Lambda_0'. What derivatives in S need is

    B = Lambda_0'Z'V^-1Z Lambda_0    and    Lambda_0'Z'V^-1[X y].

For columns that hold variance these are I - (L L')^-1 and U of ``marginal.py``, all of order one:
nothing is lost where Lambda is large, as it is in the difference that Z'V^-1Z is there.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.gaussian.marginal import Evaluation, Kernel, modes, times, transpose_times


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

    def responses(self, at: Evaluation) -> tuple[list[FloatArray], list[FloatArray]]:
        """U C, and Lambda_0'H C with the rows of columns that hold variance as in U C.

        ``at`` may be other thetas than the frame's.
        """
        found = modes(self.kernel, at)
        if self.is_whole:
            return found.u, found.u
        left = [
            np.where(has[:, None], u, size[:, None] * h)
            for u, h, has, size in zip(found.u, found.h, self.has_variance, self.sizes, strict=True)
        ]
        return found.u, left

    def times(self, sides: Sequence[FloatArray]) -> list[FloatArray]:
        """Multiply right sides, per factor (1, J, q, c), by B."""
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
