"""Which pattern a model's factorisation follows, and the kernel of a design."""

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from hierbayes.arrays import FloatArray
from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design
from hierbayes.errors import DataError
from hierbayes.gaussian.factor.nested import nested_blocks
from hierbayes.gaussian.marginal import Blocks, Kernel, Pattern
from hierbayes.gaussian.pattern.level_graph import LevelGraph, level_graph
from hierbayes.gaussian.pattern.nested import NestedPattern, nested_pattern
from hierbayes.gaussian.products import (
    Products,
    Squares,
    covariance_shape,
    needs_remainder,
    products_of,
)
from hierbayes.gaussian.undetermined import (
    GRAM_CLEAR,
    products_determine_all,
    told_apart,
    undetermined,
)
from hierbayes.linalg.threads import one_blas_thread
from hierbayes.options import Method
from hierbayes.wording import listed

# Crossed factors up to here are handled without compiled code. A step costs r^3 for the r columns
# of all factors but the largest (half a second for 2500, and a third of that compiled), and the
# list of pairs 50 bytes and 0.1 microseconds each; the compiler costs a second once a session.
SMALL_REST = 2500
SMALL_COUPLING = 10**7
# Above, pairs of columns of the other factors that meet in a level of the largest, over all places
# of their matrix: where they are more, its factor is dense, and whole-matrix products are quickest.
FILLED = 0.05
# From so many multiplications a product is handed to all cores. Up to so many columns of all
# factors but the largest, and of X, they gain little: what is not a dense product takes longer, and
# where cores have other work a thread that waits makes it last up to five times as long.
MANY_THREADS = 2**18
ONE_THREAD_REST = 1500
ONE_THREAD_COLUMNS = 100


def pattern_of(graph: LevelGraph) -> Pattern:
    """Choose the pattern of the factorisation from which levels meet.

    Raises
    ------
    DataError
        If the factor does not fit in the memory of this computer.
    """
    if graph.is_nested:
        return nested_pattern(graph)
    # here, so that fits of one factor need not import scipy, nor those of small ones numba
    from hierbayes.gaussian.pattern.crossed import coupling_size, crossed_pattern

    if graph.n_rest <= SMALL_REST and coupling_size(graph) <= SMALL_COUPLING:
        return crossed_pattern(graph)
    from hierbayes.gaussian.pattern.schur import schur_pattern
    from hierbayes.gaussian.pattern.sparse import sparse_pattern

    if graph.n_pairs > FILLED * graph.n_rest**2:
        return schur_pattern(graph)
    return sparse_pattern(graph)


def one_thread_for(design: Design) -> AbstractContextManager[Any]:
    """Keep BLAS to one thread in a ``with`` block unless there are large dense matrices."""
    first, *others = [factor.levels.size * factor.z.shape[1] for factor in design.factors] or [0]
    rest, (n, p) = sum(others), design.X.shape
    columns = p + sum(factor.z.shape[1] for factor in design.factors)
    is_small = n * columns**2 + (first + rest) * rest**2 <= MANY_THREADS
    return one_blas_thread(
        not is_small and rest <= ONE_THREAD_REST and columns <= ONE_THREAD_COLUMNS
    )


def blocks_of(pattern: Pattern, products: Products | Squares) -> Blocks:
    """Lay the blocks of Z'WZ out for a pattern of the same levels."""
    if isinstance(pattern, NestedPattern):
        return nested_blocks(pattern, products)
    from hierbayes.gaussian.pattern.related import RelatedPattern

    if isinstance(pattern, RelatedPattern):
        from hierbayes.gaussian.factor.related import related_blocks

        return related_blocks(pattern, products)
    from hierbayes.gaussian.pattern.crossed import CrossedPattern

    if isinstance(pattern, CrossedPattern):
        from hierbayes.gaussian.factor.crossed import crossed_blocks

        return crossed_blocks(pattern, products)
    from hierbayes.gaussian.factor.schur import schur_blocks
    from hierbayes.gaussian.factor.sparse import sparse_blocks
    from hierbayes.gaussian.pattern.schur import SchurPattern
    from hierbayes.gaussian.pattern.sparse import SparsePattern

    if isinstance(pattern, SchurPattern):
        return schur_blocks(pattern, products)

    assert isinstance(pattern, SparsePattern)
    return sparse_blocks(pattern, products)


def with_products(kernel: Kernel, products: Products) -> Kernel:
    """Return the kernel of other products of the same levels, on the same pattern.

    Products of another response share Z'WZ with the old ones, and then its layout too, unless only
    one of the two is without the levels' own fits.
    """
    old = kernel.products
    same = products.zz is old.zz and products.couplings is old.couplings
    same = same and (products.remainder is None) == (old.remainder is None)
    blocks = kernel.blocks if same else blocks_of(kernel.pattern, products)
    return replace(kernel, products=products, blocks=blocks)


def of_other_levels(kernel: Kernel, products: Products) -> Kernel:
    """Return the kernel of products of other rows, whose levels may meet elsewhere."""
    related = kernel.pattern.name == "related"
    pattern = kernel.pattern if related else pattern_of(level_graph(products))
    blocks = blocks_of(pattern, products)
    return replace(kernel, products=products, blocks=blocks)


def kernel_of(design: Design, *, weights: FloatArray | None, method: Method) -> Kernel:
    """Cross-products of a design, laid out for its pattern.

    Parameters
    ----------
    design : Design
    weights : array, shape (n,), or None
        Precision weights; with known residual sds, one over their squares.
    method : {"reml", "ml"}

    Raises
    ------
    DataError
        If the fixed effects leave no residual variation to model.
    """
    if design.rows.sums is not None:
        return kernel_of_products(design, design.rows.sums.products(design), method)
    products = products_of(design, weights=weights)
    check_rows_left(products)
    shape = covariance_shape(design)
    return Kernel(
        products=products,
        shape=shape,
        blocks=blocks_of(pattern_of_design(design, products), products),
        method=method,
        sigma_known=design.known_sd is not None,
        undetermined=undetermined(design, products, shape, weights=weights),
    )


def kernel_of_products(design: Design, products: Products, method: Method) -> Kernel:
    """Return the kernel of products that were added up from rows nobody has any more.

    Raises
    ------
    DataError
        If the fixed effects leave no residual variation to model.
    NotSupportedError
        If the products leave open whether the data determine all variances, or have lost the
        digits of a residual that is tiny beside the effects of the levels.
    """
    check_rows_left(products)
    shape = covariance_shape(design)
    sigma_known = design.known_sd is not None
    if needs_remainder(products, sigma_known=sigma_known):
        groups = listed([factor.name for factor in design.factors])
        raise not_supported("stream-remainder", groups=groups)
    clear = products_determine_all(products, shape, sigma_known=sigma_known, safe=GRAM_CLEAR)
    if not clear:
        raise not_supported("stream-undetermined")
    return Kernel(
        products=products,
        shape=shape,
        blocks=blocks_of(pattern_of(level_graph(products)), products),
        method=method,
        sigma_known=sigma_known,
    )


def check_rows_left(products: Products) -> None:
    """Raise DataError if there are no more rows than independent columns of the fixed part."""
    n_columns = products.anchor.kept.size
    if n_columns >= products.n_obs:
        raise DataError(
            f"The fixed part has {n_columns} independent columns for {products.n_obs} rows; "
            "nothing is left to estimate variances from. Use fewer terms or more rows."
        )


def pattern_of_design(design: Design, products: Products) -> Pattern:
    """Return the pattern of the levels of a design, related or not."""
    graph = level_graph(products)
    relations = tuple(factor.relation for factor in design.factors)
    if all(relation is None for relation in relations):
        return pattern_of(graph)
    from hierbayes.gaussian.pattern.related import related_pattern

    return related_pattern(graph.sizes, relations)


def method_kernel(kernel: Kernel, method: Method) -> Kernel:
    """Return the kernel of the same data for another method."""
    return kernel if kernel.method == method else replace(kernel, method=method)


def are_determined(design: Design, kernel: Kernel) -> bool:
    """Whether the data determine the parameters of structures; there may be none."""
    relations = [factor.relation for factor in design.factors]
    shape = kernel.basis_shape
    return shape.is_plain or told_apart(
        kernel.products, shape, relations, sigma_known=kernel.sigma_known
    )
