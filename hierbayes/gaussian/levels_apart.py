"""Related levels of a factor with one column, in the axes in which they are independent.

With A = R R' the covariance of the levels and R'Z'WZ R = Q D Q', the effects b = R Q v have
independent v ~ N(0, sigma^2 lambda^2 I), and V = W^-1 + lambda^2 (Z R Q)(Z R Q)' + ... So the
criterion is that of independent levels with the blocks D and the products (R Q)'Z'W[X y] and, with
other factors beside, (R Q)'Z'WZ_g: each of these levels meets all of theirs. What draws, or
evaluates at many lambdas, works on these, and b comes back by one product.

Source: Lippert et al. (2011), Nature Methods 8:833.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.gaussian.kernel import blocks_of, pattern_of
from hierbayes.gaussian.marginal import Kernel
from hierbayes.gaussian.pattern.level_graph import level_graph
from hierbayes.gaussian.products import Coupling, Products

MOST_COUPLED = 10**7  # numbers of blocks between these levels and all others


@record
class LevelsApart:
    """A kernel of independent levels, and the way back.

    Attributes
    ----------
    kernel : Kernel
    factor : position of the factor whose levels are related
    axes : array, shape (J, J), R Q: effects of the related levels are axes @ v
    """

    kernel: Kernel
    factor: int
    axes: FloatArray

    def related(self, effects: Sequence[FloatArray]) -> list[FloatArray]:
        """Return effects of all factors, (S, J, q) each, of the levels as they are related."""
        found = list(effects)
        found[self.factor] = (found[self.factor][:, :, 0] @ self.axes.T)[:, :, None]
        return found


def levels_apart(kernel: Kernel) -> LevelsApart | None:
    """Return the kernel of independent levels; None without one related factor of one column."""
    if kernel.pattern.name != "related" or kernel.responses is not None:
        return None
    from hierbayes.gaussian.pattern.related import RelatedPattern

    assert isinstance(kernel.pattern, RelatedPattern)
    relations, old = kernel.pattern.relations, kernel.products
    related = [f for f, own in enumerate(relations) if own is not None]
    if len(related) > 1 or old.zz[related[0]].shape[1] > 1:
        return None
    f = related[0]
    others = sum(A.shape[0] * A.shape[1] for g, A in enumerate(old.zz) if g != f)
    if old.zz[f].shape[0] * others > MOST_COUPLED:
        return None
    own = relations[f]
    assert own is not None
    sizes, axes = np.linalg.eigh(own.root.T @ (old.zz[f][:, :, 0] * own.root))
    axes = own.root @ axes
    products = _turned(old, f, np.maximum(sizes, 0.0), axes)
    blocks = blocks_of(pattern_of(level_graph(products)), products)
    apart = replace(kernel, products=products, blocks=blocks)
    return LevelsApart(kernel=apart, factor=f, axes=axes)


def independent(kernel: Kernel) -> Kernel:
    """Return the kernel of the same density whose levels are independent, where there is one."""
    apart = levels_apart(kernel)
    return kernel if apart is None else apart.kernel


def without_relation(kernel: Kernel, position: int) -> Kernel:
    """Return the kernel in which the levels of one factor are independent."""
    if kernel.pattern.name != "related":
        return kernel
    from hierbayes.gaussian.pattern.related import RelatedPattern

    assert isinstance(kernel.pattern, RelatedPattern)
    relations = tuple(
        None if f == position else own for f, own in enumerate(kernel.pattern.relations)
    )
    pattern = (
        pattern_of(level_graph(kernel.products))
        if all(own is None for own in relations)
        else replace(kernel.pattern, relations=relations)
    )
    return replace(kernel, blocks=blocks_of(pattern, kernel.products))


def _turned(old: Products, f: int, sizes: FloatArray, axes: FloatArray) -> Products:
    """Return products with the levels of factor f, of one column, replaced by combinations."""
    zz, zx, zy = list(old.zz), list(old.zx), list(old.zy)
    zz[f] = sizes[:, None, None]
    zx[f] = (axes.T @ old.zx[f][:, 0])[:, None]
    zy[f] = axes.T @ old.zy[f]
    couplings = {
        pair: _turned_coupling(old, pair, f, axes) if f in pair else own
        for pair, own in old.couplings.items()
    }
    return replace(old, zz=tuple(zz), zx=tuple(zx), zy=tuple(zy), couplings=couplings)


def _turned_coupling(old: Products, pair: tuple[int, int], f: int, axes: FloatArray) -> Coupling:
    own, other = old.couplings[pair], pair[0] if pair[1] == f else pair[1]
    M, q = old.zz[other].shape[:2]
    J = axes.shape[0]
    of_f, of_other = (own.rows, own.columns) if pair[0] == f else (own.columns, own.rows)
    dense = np.zeros((J, M, q))
    dense[of_f, of_other] = own.blocks.reshape(-1, q)
    dense = (axes.T @ dense.reshape(J, M * q)).reshape(J, M, q)
    if pair[0] == f:
        rows, columns = np.divmod(np.arange(J * M), M)
        return Coupling(rows=rows, columns=columns, blocks=dense.reshape(J * M, 1, q))
    rows, columns = np.divmod(np.arange(M * J), J)
    return Coupling(rows=rows, columns=columns, blocks=dense.swapaxes(0, 1).reshape(M * J, q, 1))
