"""Factor of Lambda'Z'WZ Lambda + (A x I)^-1 for levels with a known covariance A.

With b = (I x Lambda) v, v ~ N(0, sigma^2 A x I) and R R' = A x I, V^-1 and its determinant are
those of independent levels with K = R (R'Lambda'Z'WZ Lambda R + I)^-1 R' in the place of
(Lambda'Z'WZ Lambda + I)^-1: L^-1 below is the inverse of the Cholesky factor of the matrix in
brackets, times R'. Lambda and R commute, so G = R'Z'WZ R is made once. No inverse of A is needed.

One factor with one column is turned to the axes of R'Z'WZ R = Q D Q'. Then the matrix in brackets
is lambda^2 D + I, and an evaluation costs a product with R Q. One with several columns is turned to
the axes of its last (``related_slopes.py``).

Source: Henderson (1984), Applications of Linear Models in Animal Breeding, ch. 5; Lippert et al.
(2011), Nature Methods 8:833 (the turned form).
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.gaussian.factor.related_slopes import (
    RelatedColumns,
    SlopesFactor,
    related_columns,
    solved,
)
from hierbayes.gaussian.pattern.related import RelatedPattern
from hierbayes.gaussian.products import (
    LevelBlocks,
    Products,
    Squares,
    dense_levels,
    summed_diagonal_blocks,
)


@record
class RelatedBlocks(LevelBlocks):
    """The blocks of Z'WZ of levels that are related.

    Attributes
    ----------
    pattern : RelatedPattern
    zz, couplings : as in ``Products``, or with a leading axis T of their own, one W a batch entry
    """

    pattern: RelatedPattern

    @cached_property
    def dense(self) -> FloatArray:
        """Z'WZ of all effects, shape (N, N) or (T, N, N)."""
        return dense_levels(self.zz, self.couplings)

    @cached_property
    def inner(self) -> FloatArray:
        """R'Z'WZ R, shape (N, N) or (T, N, N)."""
        root = self.pattern.root
        if len(self.zz) == 1 and self.zz[0].shape[-1] == 1:
            return np.asarray(root.T @ (self.zz[0][..., 0] * root))
        return np.asarray(root.T @ self.dense @ root)

    @cached_property
    def turned(self) -> tuple[FloatArray, FloatArray]:
        """D (J,) and R Q (J, J), with R'Z'WZ R = Q D Q', of one factor with one column."""
        sizes, axes = np.linalg.eigh(self.inner)
        return np.maximum(sizes, 0.0), self.pattern.root @ axes

    def times(self, vectors: Sequence[FloatArray]) -> list[FloatArray]:
        """Z'WZ times vectors given per factor as (T, J, q, c)."""
        if len(vectors) == 1:
            return [np.asarray(self.zz[0] @ vectors[0])]
        return split(self.pattern, self.dense @ joined(vectors))

    def relate(self, vectors: Sequence[FloatArray]) -> list[FloatArray]:
        """Return A times vectors given per factor as (T, J, q, c)."""
        out = []
        for own, v in zip(self.pattern.relations, vectors, strict=True):
            if own is None:
                out.append(v)
            else:
                T, J, q, c = v.shape
                out.append((own.matrix @ v.reshape(T, J, q * c)).reshape(T, J, q, c))
        return out

    @cached_property
    def columns(self) -> RelatedColumns:
        """The blocks of one factor with several columns, turned."""
        (own,) = self.pattern.relations
        assert own is not None
        return related_columns(own.root, self.zz[0])

    def factorise(
        self, Lambdas: Sequence[FloatArray]
    ) -> "TurnedFactor | SlopesFactor | DenseFactor":
        """Factorise at one Lambda (T, q, q) a grouping factor."""
        if len(Lambdas) > 1 or self.zz[0].ndim == 4:
            return DenseFactor(self, Lambdas)
        if Lambdas[0].shape[1] == 1:
            return TurnedFactor(self, Lambdas[0][:, 0, 0])
        return SlopesFactor(self.columns, Lambdas[0], lambda: DenseFactor(self, Lambdas))


def related_blocks(pattern: RelatedPattern, products: Products | Squares) -> RelatedBlocks:
    """Lay the blocks of Z'WZ out for levels that are related."""
    return RelatedBlocks(pattern=pattern, zz=products.zz, couplings=products.couplings)


def joined(parts: Sequence[FloatArray]) -> FloatArray:
    """Put stacks (T, J, q, c) of all factors on top of each other, (T, N, c)."""
    flat = [part.reshape(part.shape[0], -1, part.shape[3]) for part in parts]
    return flat[0] if len(flat) == 1 else np.concatenate(flat, axis=1)


def split(pattern: RelatedPattern, whole: FloatArray) -> list[FloatArray]:
    """Undo ``joined``."""
    ends = np.cumsum([J * q for J, q in pattern.sizes])[:-1]
    parts = np.split(whole, ends, axis=1)
    return [
        part.reshape(part.shape[0], J, q, part.shape[2])
        for part, (J, q) in zip(parts, pattern.sizes, strict=True)
    ]


class TurnedFactor:
    """One factor with one column, at scales Lambda (T,)."""

    def __init__(self, blocks: RelatedBlocks, scale: FloatArray) -> None:
        self.scale = scale
        self.sizes, self.axes = blocks.turned
        self.squares = scale[:, None] ** 2 * self.sizes + 1.0  # (T, J)

    @property
    def log_det(self) -> FloatArray:
        """Log det(R'Lambda'Z'WZ Lambda R + I), shape (T,)."""
        return np.asarray(np.log(self.squares).sum(axis=1))

    @property
    def roots(self) -> FloatArray | None:
        """None: there is no remainder here."""
        return None

    def half_solve(self, right: Sequence[FloatArray]) -> list[FloatArray]:
        """L^-1 of a right side (T, J, 1, c)."""
        turned = self.axes.T @ right[0][:, :, 0]
        return [(turned / np.sqrt(self.squares)[..., None])[:, :, None]]

    def back_solve(self, half: Sequence[FloatArray]) -> list[FloatArray]:
        """L'^-1 of the result of ``half_solve``."""
        return [(self.axes @ (half[0][:, :, 0] / np.sqrt(self.squares)[..., None]))[:, :, None]]

    def covariances(self) -> list[FloatArray]:
        """Diagonal of K, (T, J, 1, 1)."""
        return [((1.0 / self.squares) @ (self.axes**2).T)[:, :, None, None]]

    def cross_covariances(self) -> dict[tuple[int, int], FloatArray]:
        """None: there is one factor."""
        return {}

    def trace_blocks(self) -> list[FloatArray]:
        """Return the trace of Z'WZ Lambda K, (T, 1, 1)."""
        return [(self.scale * (self.sizes / self.squares).sum(axis=1))[:, None, None]]


class DenseFactor:
    """Any factors, by a dense Cholesky factor."""

    def __init__(self, blocks: RelatedBlocks, Lambdas: Sequence[FloatArray]) -> None:
        self.blocks, self.Lambdas = blocks, Lambdas
        pattern = blocks.pattern
        T, N = Lambdas[0].shape[0], pattern.n_effects
        inner = np.broadcast_to(blocks.inner, (T, N, N))
        for _ in range(2):  # Lambda' on either side
            parts = [
                np.swapaxes(L, 1, 2)[:, None] @ part.reshape(T, J, q, N)
                for L, part, (J, q) in zip(
                    Lambdas, np.split(inner, self._ends(), axis=1), pattern.sizes, strict=True
                )
            ]
            inner = np.swapaxes(joined(parts), 1, 2)
        inner = inner + np.eye(N)
        self.L = np.linalg.cholesky(inner)
        self._inverse: FloatArray | None = None

    def _ends(self) -> list[int]:
        return np.cumsum([J * q for J, q in self.blocks.pattern.sizes])[:-1].tolist()

    @property
    def log_det(self) -> FloatArray:
        """Log det(R'Lambda'Z'WZ Lambda R + I), shape (T,)."""
        return np.asarray(2 * np.log(np.diagonal(self.L, axis1=1, axis2=2)).sum(axis=1))

    @property
    def roots(self) -> FloatArray | None:
        """None: there is no remainder here."""
        return None

    def half_solve(self, right: Sequence[FloatArray]) -> list[FloatArray]:
        """L^-1 of right sides given per factor as (T, J, q, c)."""
        whole = self.blocks.pattern.root.T @ joined(right)
        half = [solved(L, r) for L, r in zip(self.L, whole, strict=True)]
        return split(self.blocks.pattern, np.stack(half))

    def back_solve(self, half: Sequence[FloatArray]) -> list[FloatArray]:
        """L'^-1 of the result of ``half_solve``."""
        whole = joined(half)
        back = [solved(L, r, transpose=True) for L, r in zip(self.L, whole, strict=True)]
        return split(self.blocks.pattern, self.blocks.pattern.root @ np.stack(back))

    def covariances(self) -> list[FloatArray]:
        """Diagonal blocks of K per factor, (T, J, q, q)."""
        out = []
        for (J, q), rows in zip(self.blocks.pattern.sizes, self._rows(), strict=True):
            own = self._whole[:, rows, rows].reshape(-1, J, q, J, q)
            at = np.arange(J)
            out.append(np.moveaxis(own[:, at, :, at, :], 0, 1))
        return out

    def cross_covariances(self) -> dict[tuple[int, int], FloatArray]:
        """Blocks of K between factors where Z'WZ has blocks, (T, m, q_f, q_g)."""
        sizes, rows = self.blocks.pattern.sizes, self._rows()
        found = {}
        for (f, g), own in self.blocks.couplings.items():
            (J, q), (M, r) = sizes[f], sizes[g]
            block = self._whole[:, rows[f], rows[g]].reshape(-1, J, q, M, r)
            found[f, g] = np.moveaxis(block[:, own.rows, :, own.columns, :], 0, 1)
        return found

    def trace_blocks(self) -> list[FloatArray]:
        """Per factor the summed diagonal blocks of Z'WZ Lambda K, (T, q, q)."""
        return summed_diagonal_blocks(
            self.blocks, self.Lambdas, diagonal=self.covariances(), cross=self.cross_covariances()
        )

    @property
    def _whole(self) -> FloatArray:
        """K, shape (T, N, N)."""
        if self._inverse is None:
            root = self.blocks.pattern.root.T
            half = [solved(L, root) for L in self.L]
            self._inverse = np.stack([h.T @ h for h in half])
        return self._inverse

    def _rows(self) -> list[slice]:
        ends = np.cumsum([J * q for J, q in self.blocks.pattern.sizes]).tolist()
        return [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
