"""Factor of Lambda'Z'WZ Lambda + I for one grouping factor, or factors nested in each other.

Every step is a stack of small Cholesky factorisations followed by sums over children
(gaussian/pattern/nested.py). All arrays carry a leading axis T: many thetas at once.

Source: Golub & Van Loan, Matrix Computations, sections 4.2 (block Cholesky) and 5.2 (modified
Gram-Schmidt, whose triangle is as good as Householder's: Bjoerck (1967), BIT 7:1); Takahashi,
Fagan & Chin (1973) for entries of the inverse on the pattern of the factor.
"""

from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.gaussian.pattern.nested import NestedPattern
from hierbayes.gaussian.products import LevelBlocks, Products, Squares, summed_diagonal_blocks
from hierbayes.linalg.stacked import (
    Triangles,
    cholesky_stack,
    gram_stack,
    log_det_stack,
    product_stack,
    sandwich,
    transposed_product,
)

NOTHING = 1e-14  # part of the largest eigenvalue that is rounding of the sums behind it


@record
class NestedBlocks(LevelBlocks):
    """The blocks of Z'WZ on a nested pattern: those of the products as they are.

    Attributes
    ----------
    pattern : NestedPattern
    zz, couplings : as in ``Products``, or with a leading axis T of their own, one W a batch entry
    roots : array, shape (J, q, q), R_j with R_j'R_j = Z_j'WZ_j where one factor of several columns
        leaves next to nothing of y, else None. There squares of Lambda lose the ones of
        Lambda'Z'WZ Lambda + I where a level has fewer rows than columns, and where Lambda is nearly
        singular.
    """

    pattern: NestedPattern
    roots: FloatArray | None

    def times(self, vectors: Sequence[FloatArray]) -> list[FloatArray]:
        """Z'WZ times vectors given per factor as (T, J, q, c)."""
        out = [product_stack(A, v) for A, v in zip(self.zz, vectors, strict=True)]
        for (f, g), coupling in self.couplings.items():
            children = self.pattern.children[f, g]
            out[f] += product_stack(coupling.blocks, vectors[g][:, children.parent])
            out[g] += children.sums(product_stack(coupling.blocks.swapaxes(-1, -2), vectors[f]))
        return out

    def factorise(self, Lambdas: Sequence[FloatArray]) -> "NestedFactor":
        """Factorise at one Lambda (T, q, q) a grouping factor."""
        return NestedFactor(self, Lambdas)


def nested_blocks(pattern: NestedPattern, products: Products | Squares) -> NestedBlocks:
    """Lay the blocks of Z'WZ out for a pattern of the same levels."""
    return NestedBlocks(
        pattern=pattern,
        zz=products.zz,
        couplings=products.couplings,
        roots=_level_roots(products),
    )


def _level_roots(products: Products | Squares) -> FloatArray | None:
    """R_j with R_j'R_j = Z_j'WZ_j, (J, q, q), where one factor needs them: see ``NestedBlocks``."""
    if products.remainder is None or len(products.zz) > 1 or products.zz[0].shape[1] == 1:
        return None
    sizes, axes = np.linalg.eigh(products.zz[0])
    known = np.where(sizes > NOTHING * sizes[:, -1:], sizes, 0.0)
    return np.asarray(np.sqrt(known)[:, :, None] * axes.swapaxes(1, 2))


def _lower_by_qr(roots: FloatArray, Lambda: FloatArray) -> FloatArray:
    """L of L L' = Lambda'R'R Lambda + I without squares, from R (J, q, q): (T, J, q, q).

    Modified Gram-Schmidt on the columns of [R Lambda; I], all levels at once.
    """
    K = roots @ Lambda[:, None]
    T, J, q = K.shape[:3]
    columns = np.zeros((q, 2 * q, T, J))
    columns[:, :q] = np.moveaxis(K, (3, 2), (0, 1))
    columns[range(q), range(q, 2 * q)] = 1.0
    L = np.zeros((T, J, q, q))
    for a in range(q):
        L[..., a, a] = size = np.sqrt((columns[a] ** 2).sum(axis=0))
        axis = columns[a] / size
        for b in range(a + 1, q):
            L[..., b, a] = along = (axis * columns[b]).sum(axis=0)
            columns[b] -= axis * along
    return L


class NestedFactor:
    """L L' = Lambda'Z'WZ Lambda + I, and what follows from it."""

    def __init__(self, blocks: NestedBlocks, Lambdas: Sequence[FloatArray]) -> None:
        self.blocks = blocks
        self.children = children = blocks.pattern.children
        self.Lambdas = Lambdas
        m = len(blocks.zz)
        diagonal = [
            sandwich(A, Lam, Lam) + np.eye(A.shape[-1])
            for A, Lam in zip(blocks.zz, Lambdas, strict=True)
        ]
        self.coupled = {
            (f, g): sandwich(c.blocks, Lambdas[f], Lambdas[g])
            for (f, g), c in blocks.couplings.items()
        }
        self.triangles: list[Triangles] = []
        for f in range(m):
            if blocks.roots is None:
                own = Triangles(cholesky_stack(diagonal[f]))
            else:
                own = Triangles(_lower_by_qr(blocks.roots, Lambdas[0]), inverted=False)
            self.triangles.append(own)
            for g in range(f + 1, m):
                self.coupled[f, g] = own.solve(self.coupled[f, g])
            for g in range(f + 1, m):
                left = self.coupled[f, g]
                diagonal[g] = diagonal[g] - children[f, g].sums(gram_stack(left))
                for h in range(g + 1, m):
                    update = transposed_product(left, self.coupled[f, h])
                    self.coupled[g, h] = self.coupled[g, h] - children[f, g].sums(update)
        self._covariances: list[FloatArray] | None = None
        self._cross: dict[tuple[int, int], FloatArray] = {}

    @property
    def L(self) -> list[FloatArray]:
        """Per factor the diagonal blocks of L, (T, J, q, q)."""
        return [own.L for own in self.triangles]

    @property
    def log_det(self) -> FloatArray:
        """Log det(Lambda'Z'WZ Lambda + I), shape (T,)."""
        return np.asarray(sum(log_det_stack(L) for L in self.L))

    @property
    def roots(self) -> FloatArray | None:
        """Those of ``NestedBlocks``."""
        return self.blocks.roots

    def half_solve(self, right: Sequence[FloatArray]) -> list[FloatArray]:
        """L^-1 of right sides given per factor as (T, J, q, c)."""
        rest = list(right)
        half = []
        for f, own in enumerate(self.triangles):
            half.append(own.solve(rest[f]))
            for g in range(f + 1, len(rest)):
                update = transposed_product(self.coupled[f, g], half[f])
                rest[g] = rest[g] - self.children[f, g].sums(update)
        return half

    def back_solve(self, half: Sequence[FloatArray]) -> list[FloatArray]:
        """L'^-1 of the result of ``half_solve``."""
        out: list[FloatArray] = [half[0]] * len(half)
        for f in reversed(range(len(half))):
            right = half[f]
            for g in range(f + 1, len(half)):
                parent = self.children[f, g].parent
                right = right - product_stack(self.coupled[f, g], out[g][:, parent])
            out[f] = self.triangles[f].solve_transposed(right)
        return out

    def covariances(self) -> list[FloatArray]:
        """Diagonal blocks of (L L')^-1 per factor, shape (T, J, q, q)."""
        if self._covariances is None:
            self._covariances = self._inverse()
        return self._covariances

    def cross_covariances(self) -> dict[tuple[int, int], FloatArray]:
        """Blocks of (L L')^-1 between factors where Z'WZ has blocks, (T, m, q_f, q_g)."""
        self.covariances()  # fills them in
        return self._cross

    def _inverse(self) -> list[FloatArray]:
        m = len(self.L)
        inverse: dict[tuple[int, int], FloatArray] = {}
        for f in reversed(range(m)):
            slopes = {
                g: self.triangles[f].solve_transposed(self.coupled[f, g]) for g in range(f + 1, m)
            }
            own = gram_stack(self.triangles[f].inverse)
            for g in range(f + 1, m):
                total = np.zeros_like(slopes[g])
                for h, slope in slopes.items():
                    at = self.children[f, min(g, h)].parent
                    block = inverse[min(g, h), max(g, h)][:, at]
                    if h > g:
                        block = block.swapaxes(-1, -2)
                    total -= product_stack(slope, block)
                inverse[f, g] = total
                own = own - product_stack(total, slopes[g].swapaxes(-1, -2))
            inverse[f, f] = own
        self._cross = {pair: block for pair, block in inverse.items() if pair[0] != pair[1]}
        return [inverse[f, f] for f in range(m)]

    def trace_blocks(self) -> list[FloatArray]:
        """Per factor the sum over levels of the diagonal blocks of Z'WZ Lambda (L L')^-1."""
        own, cross = self.covariances(), self.cross_covariances()
        return summed_diagonal_blocks(self.blocks, self.Lambdas, diagonal=own, cross=cross)
