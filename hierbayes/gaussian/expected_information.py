"""Traces of the information on variance parameters, from the factor; no n x n matrix is formed.

The covariance of one factor's random effects (relative to sigma^2) has entries psi_r, and
V = W^-1 + sum_r psi_r G_r with G_r = Z (I x E_r) Z', where E_r has a one at both places of the
entry. With A = Z'V^-1Z,

    tr(V^-1 G_r) = tr(A (I x E_r)),    tr(V^-1 G_r V^-1 G_s) = tr(A (I x E_r) A (I x E_s)).

Columns of A = Z'WZ - Z'WZ Lambda (L L')^-1 Lambda'Z'WZ come from the factor. Levels that no chain
of rows connects have no entry of A in common, so one right side serves a level of each connected
part: q right sides for one factor, the levels of the largest part for nested ones.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hierbayes.gaussian.marginal import Evaluation, Kernel, times, transpose_times
from hierbayes.gaussian.products import Products, multiply

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

AT_ONCE = 2**22  # numbers of the right sides solved at once: 32 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """Traces of the k entries of the covariances, in the order of ``CovarianceShape.entries``.

    Attributes
    ----------
    single : array, shape (k,), tr(V^-1 G_r)
    double : array, shape (k, k), tr(V^-1 G_r V^-1 G_s)
    """

    single: FloatArray
    double: FloatArray


def covariance_traces(kernel: Kernel, at: Evaluation) -> Traces:
    """Compute the traces at one theta, from the evaluation ``at`` of a batch of one."""
    shape = kernel.shape
    single, double = np.zeros(shape.n_theta), np.zeros((shape.n_theta, shape.n_theta))
    places = level_places(kernel.products)
    gram = _gram_product(kernel.products)
    for f, (index, a, b) in enumerate(shape.factor_entries):
        own, squares = _sums_over_levels(_ColumnsOfA(kernel, at, gram), places, f)
        single[index] = own[a, b] * np.where(a == b, 1.0, 2.0)
        for g, (others, c, d) in enumerate(shape.factor_entries):
            total = np.zeros((index.size, others.size))
            for i, j in ((a, b), (b, a)):
                for m, n in ((c, d), (d, c)):
                    total += squares[g][m[None], i[:, None], n[None], j[:, None]]
            twice = np.where(a == b, 2.0, 1.0)[:, None] * np.where(c == d, 2.0, 1.0)
            double[np.ix_(index, others)] = total / twice
    return Traces(single=single, double=(double + double.T) / 2)


def _sums_over_levels(
    A: "_ColumnsOfA", places: list[IntArray], f: int
) -> tuple[FloatArray, list[FloatArray]]:
    """Sum the blocks A_jj of factor f (q, q), and products of its blocks with those of each g.

    The latter are T (q_g, q, q_g, q): T[c, a, d, b] = sum over levels j of f and k of g of
    A_kj[c, a] A_kj[d, b].
    """
    sizes = A.kernel.shape.sizes
    q = sizes[f]
    own = np.zeros((q, q))
    squares = [np.zeros((size * q, size * q)) for size in sizes]
    for first, sides in _batches(A.kernel.products, places[f], f):
        n = sides[f].shape[3] // q
        for g, columns in enumerate(A.times(sides)):
            J, size = columns.shape[1:3]
            blocks = columns.reshape(J, size, n, q)
            flat = blocks.swapaxes(1, 2).reshape(J * n, size * q)
            squares[g] += flat.T @ flat
            if g == f:
                inside = np.flatnonzero((places[f] >= first) & (places[f] < first + n))
                own += blocks[inside, :, places[f][inside] - first].sum(axis=0)
    shapes = [(size, q, size, q) for size in sizes]
    return own, [T.reshape(shape) for T, shape in zip(squares, shapes, strict=True)]


def level_places(products: Products) -> list[IntArray]:
    """Place of each level among the levels of its factor in the same connected part."""
    sizes = [A.shape[0] for A in products.zz]
    if len(sizes) == 1:
        return [np.zeros(sizes[0], dtype=np.intp)]
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    starts = np.concatenate([[0], np.cumsum(sizes)])
    pairs = [
        (starts[f] + c.rows, starts[g] + c.columns) for (f, g), c in products.couplings.items()
    ]
    rows = np.concatenate([row for row, _ in pairs])
    columns = np.concatenate([column for _, column in pairs])
    graph = coo_array((np.ones(rows.size), (rows, columns)), shape=(starts[-1], starts[-1]))
    part = connected_components(graph, directed=False)[1].astype(np.intp)
    return [_counted(part[a:b]) for a, b in pairwise(starts)]


def n_right_sides(kernel: Kernel) -> int:
    """Right sides that ``covariance_traces`` solves."""
    places = level_places(kernel.products)
    return sum((int(p.max()) + 1) * q for p, q in zip(places, kernel.shape.sizes, strict=True))


def _counted(part: IntArray) -> IntArray:
    """Return the place of each level among those of its part."""
    order = np.argsort(part, kind="stable")
    starts = np.flatnonzero(np.diff(part[order], prepend=-1))
    counts = np.diff(np.append(starts, part.size))
    places = np.empty(part.size, dtype=np.intp)
    places[order] = np.arange(part.size) - np.repeat(starts, counts)
    return places


def _batches(
    products: Products, places: IntArray, f: int
) -> Iterator[tuple[int, list[FloatArray]]]:
    """Yield unit right sides of factor f, (1, J, q, places x q) a factor, some places at a time."""
    q = products.zz[f].shape[1]
    numbers = sum(A.shape[0] * A.shape[1] for A in products.zz)
    numbers += max((c.blocks.size for c in products.couplings.values()), default=0)
    n_places = int(places.max()) + 1
    step = max(1, AT_ONCE // (numbers * q))
    for first in range(0, n_places, step):
        n = min(step, n_places - first)
        sides = [np.zeros((1, A.shape[0], A.shape[1], n * q)) for A in products.zz]
        inside = np.flatnonzero((places >= first) & (places < first + n))
        for a in range(q):
            sides[f][0, inside, a, (places[inside] - first) * q + a] = 1.0
        yield first, sides


@dataclass(frozen=True, slots=True)
class _ColumnsOfA:
    """A of one evaluation, as the map of right sides given per factor as (1, J, q, c)."""

    kernel: Kernel
    at: Evaluation
    gram: Callable[[list[FloatArray]], list[FloatArray]]

    def times(self, sides: list[FloatArray]) -> list[FloatArray]:
        """Multiply right sides by A."""
        factor, Lambdas = self.at.factor, self.at.Lambdas
        assert factor is not None
        spread = self.gram(sides)
        right = [transpose_times(L, s) for L, s in zip(Lambdas, spread, strict=True)]
        u = factor.back_solve(factor.half_solve(right))
        back = self.gram([times(L, x) for L, x in zip(Lambdas, u, strict=True)])
        return [s - b for s, b in zip(spread, back, strict=True)]


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
