"""Covariances of random effects as multiples of their estimates: quantities without a unit.

With Lambda_0 the columns of Lambda that hold variance, and for each of the others a column of its
own, every covariance near the estimate is Lambda_0 S Lambda_0'. What derivatives in S need is

    B = Lambda_0'Z'V^-1Z Lambda_0    and    Lambda_0'Z'V^-1[X y].

For columns that hold variance these are I - (L L')^-1 and U of ``marginal.py``, all of order one:
nothing is lost where Lambda is large, as it is in the difference that Z'V^-1Z is there.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, partial

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.gaussian.marginal import Evaluation, Kernel, modes, times, transpose_times
from hierbayes.gaussian.products import Products, multiply


@record(slots=False)
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

    @cached_property
    def gram(self) -> Callable[[list[FloatArray]], list[FloatArray]]:
        """Z'WZ as a map of vectors (1, J, q, c)."""
        return _gram_product(self.kernel.products)

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
        lone = [np.where(m, 0.0, s * x) for m, s, x in zip(masks, units, sides, strict=True)]
        spread = [transpose_times(L, x) for L, x in zip(Lambdas, self.gram(lone), strict=True)]
        right = [np.where(m, x, 0.0) - s for m, x, s in zip(masks, sides, spread, strict=True)]
        solved = factor.back_solve(factor.half_solve(right))
        back = self.gram([times(L, c) + x for L, c, x in zip(Lambdas, solved, lone, strict=True)])
        return [
            np.where(m, x - c, s * b)
            for m, x, c, s, b in zip(masks, sides, solved, units, back, strict=True)
        ]


def frame_of_products(kernel: Kernel, at: Evaluation) -> Frame:
    """Return the frame that is no other than the basis of the products, in residual sds."""
    sizes = kernel.shape.sizes
    return Frame(
        kernel=kernel,
        at=at,
        has_variance=[np.zeros(q, dtype=bool) for q in sizes],
        sizes=[np.ones(q) for q in sizes],
    )


def _gram_product(products: Products) -> Callable[[list[FloatArray]], list[FloatArray]]:
    """Z'WZ as a map of vectors (1, J, q, c): a sparse matrix where factors meet, for its speed."""
    if len(products.zz) == 1:
        return partial(multiply, products)
    from scipy.sparse import csr_array

    sizes = [A.shape[:2] for A in products.zz]
    starts = np.concatenate([[0], np.cumsum([J * q for J, q in sizes])])
    rows, columns, values = [], [], []

    def add(f: int, g: int, at: IntArray, to: IntArray, blocks: FloatArray) -> None:
        i = starts[f] + at[:, None, None] * sizes[f][1] + np.arange(sizes[f][1])[:, None]
        j = starts[g] + to[:, None, None] * sizes[g][1] + np.arange(sizes[g][1])
        rows.append(np.broadcast_to(i, blocks.shape).ravel())
        columns.append(np.broadcast_to(j, blocks.shape).ravel())
        values.append(blocks.ravel())

    for f, A in enumerate(products.zz):
        add(f, f, np.arange(A.shape[0]), np.arange(A.shape[0]), A)
    for (f, g), c in products.couplings.items():
        add(f, g, c.rows, c.columns, c.blocks)
        add(g, f, c.columns, c.rows, np.swapaxes(c.blocks, 1, 2))
    places = (np.concatenate(rows), np.concatenate(columns))
    matrix = csr_array((np.concatenate(values), places), shape=(starts[-1], starts[-1]))

    def product(vectors: list[FloatArray]) -> list[FloatArray]:
        count = vectors[0].shape[3]
        flat = matrix @ np.concatenate([v.reshape(-1, count) for v in vectors])
        parts = np.split(flat, starts[1:-1])
        return [part.reshape(v.shape) for part, v in zip(parts, vectors, strict=True)]

    return product
