"""Traces of the information on variance parameters, from the factor; no n x n matrix is formed.

In a frame Lambda_0 (``relative_frame.py``) the covariance of one factor's random effects (relative
to sigma^2) is Lambda_0 S Lambda_0' with entries s_r, and V = W^-1 + sum_r s_r G_r with
G_r = Z Lambda_0 (I x E_r) Lambda_0'Z', where E_r has a one at both places of the entry. With
B = Lambda_0'Z'V^-1Z Lambda_0,

    tr(V^-1 G_r) = tr(B (I x E_r)),    tr(V^-1 G_r V^-1 G_s) = tr(B (I x E_r) B (I x E_s)).

Columns of B come from the factor. Levels that no chain of rows connects have no entry of B in
common, so one right side serves a level of each connected part: q right sides for one factor, the
levels of the largest part for nested ones.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.gaussian.marginal import Kernel
from hierbayes.gaussian.products import Products
from hierbayes.gaussian.relative_frame import Frame

AT_ONCE = 2**22  # numbers of the right sides solved at once: 32 MB


@record
class Traces:
    """Traces of the k entries of the covariances, in the order of ``CovarianceShape.entries``.

    Attributes
    ----------
    single : array, shape (k,), tr(V^-1 G_r)
    double : array, shape (k, k), tr(V^-1 G_r V^-1 G_s)
    """

    single: FloatArray
    double: FloatArray


def covariance_traces(frame: Frame) -> Traces:
    """Compute the traces at the estimate of a frame."""
    shape = frame.kernel.shape
    single, double = np.zeros(shape.n_theta), np.zeros((shape.n_theta, shape.n_theta))
    places = places_of(frame.kernel)
    for f, (index, a, b) in enumerate(shape.factor_entries):
        own, squares = _sums_over_levels(frame, places, f)
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
    frame: Frame, places: list[IntArray], f: int
) -> tuple[FloatArray, list[FloatArray]]:
    """Sum the blocks B_jj of factor f (q, q), and products of its blocks with those of each g.

    The latter are T (q_g, q, q_g, q): T[c, a, d, b] = sum over levels j of f and k of g of
    B_kj[c, a] B_kj[d, b].
    """
    sizes = frame.kernel.shape.sizes
    q = sizes[f]
    own = np.zeros((q, q))
    squares = [np.zeros((size * q, size * q)) for size in sizes]
    for first, sides in _batches(frame.kernel.products, places[f], f):
        n = sides[f].shape[3] // q
        for g, columns in enumerate(frame.times(sides)):
            J, size = columns.shape[1:3]
            blocks = columns.reshape(J, size, n, q)
            flat = blocks.swapaxes(1, 2).reshape(J * n, size * q)
            squares[g] += flat.T @ flat
            if g == f:
                inside = np.flatnonzero((places[f] >= first) & (places[f] < first + n))
                own += blocks[inside, :, places[f][inside] - first].sum(axis=0)
    shapes = [(size, q, size, q) for size in sizes]
    return own, [T.reshape(shape) for T, shape in zip(squares, shapes, strict=True)]


def places_of(kernel: Kernel) -> list[IntArray]:
    """Place of each level among those that have entries of B in common."""
    if kernel.pattern.name == "related":
        return [np.arange(A.shape[0]) for A in kernel.products.zz]
    return level_places(kernel.products)


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
    places = places_of(kernel)
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
