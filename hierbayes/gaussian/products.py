"""Cross-products of [Z X y]: everything a Gaussian model needs from its rows.

With weights W the model y = X beta + Z b + e needs Z'WZ (a q x q block a level, sparse blocks
between factors), Z'W[X y] and [X y]'W[X y]. After one pass over the rows no step of a fit touches
a row again. ``Products`` of parts add up to the products of the whole, as long as both parts use
the same ``Anchor``.

The anchor says in which basis the products are kept: X is mapped to orthogonal columns, y has a
first fit X beta0 taken off, and the columns of each random-effects term are mapped to orthogonal
ones. This changes nothing in the model, and it keeps cross-products, which square condition
numbers, accurate for a mean of a million with a sd of one, or for a slope on years.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

import hierbayes.gaussian.patterned  # noqa: F401  registers the structures of formulas
from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.design import Design, GroupingFactor
from hierbayes.gaussian.covariance import CovarianceShape, shape_of
from hierbayes.gaussian.remainder import (
    CLEAR,
    FAR,
    TINY_RIDGE,
    LevelRows,
    Remainder,
    is_far,
    leave_little,
    rows_left,
)
from hierbayes.gaussian.structures import UNSTRUCTURED, structure
from hierbayes.linalg.rank import (
    GRAM_SAFE,
    RANK_TOLERANCE,
    ColumnBasis,
    column_basis,
    inverse_upper,
)
from hierbayes.linalg.stacked import (
    cholesky,
    cholesky_stack,
    product_stack,
    solve_lower_stack,
    solve_upper_stack,
    summed_products,
)

# Multiply-adds of an elimination of all levels, a millisecond or two, up to which the products are
# asked: sweeping the rows costs more.
QUICK_ELIMINATION = 5 * 10**7
# Keeps levels with fewer rows than columns solvable, as part of the mean level: small enough that
# balanced factors get their exact moments, then large enough that rounding cannot matter.
RIDGE = 1e-13
# Steps of the look at what large crossed levels leave of y, and the part of it that one must take.
MOST_GRADIENTS = 100
SLIGHT = 1e-3
SURE_RIDGE = 1e-6


@record
class Anchor:
    """The basis in which cross-products are kept.

    Attributes
    ----------
    kept : array of int, shape (p,), the columns of X that are not dependent on earlier ones
    x_basis : array, shape (p, p), the products are of X[:, kept] @ x_basis
    beta0 : array, shape (p,), coefficients of the kept columns that are taken off y
    z_bases : per factor, array (q, q), the products are of z @ z_basis
    """

    kept: IntArray
    x_basis: FloatArray
    beta0: FloatArray
    z_bases: tuple[FloatArray, ...]

    def equals(self, other: "Anchor") -> bool:
        """Whether products in both bases add up; one may have travelled to another process."""
        pairs = [
            (self.kept, other.kept),
            (self.x_basis, other.x_basis),
            (self.beta0, other.beta0),
            *zip(self.z_bases, other.z_bases, strict=True),
        ]
        return all(a is b or np.array_equal(a, b) for a, b in pairs)


@record
class Coupling:
    """Z_f'W Z_g between two factors: one block a pair of levels that meet in a row.

    Attributes
    ----------
    rows, columns : arrays of int, shape (m,), levels of f and of g, sorted by (row, column)
    blocks : array, shape (m, q_f, q_g)
    """

    rows: IntArray
    columns: IntArray
    blocks: FloatArray


@record
class LevelBlocks:
    """Z'WZ by levels.

    Attributes
    ----------
    zz : per factor, array (J, q, q)
    couplings : Z_f'WZ_g for each pair f < g of factors
    """

    zz: tuple[FloatArray, ...]
    couplings: dict[tuple[int, int], Coupling]

    def relate(self, vectors: Sequence[FloatArray]) -> list[FloatArray]:
        """Return A times vectors given per factor as (T, J, q, c); here A = I."""
        return list(vectors)


@record
class Products:
    """Cross-products of one model, in the basis of ``anchor``.

    Attributes
    ----------
    anchor : the basis
    n_obs : number of rows
    sum_log_weights : sum of the log precision weights
    xx : array, shape (p, p)
    xy : array, shape (p,)
    yy : float
    zz : per factor, array (J, q, q)
    zx : per factor, array (J, q, p)
    zy : per factor, array (J, q)
    couplings : Z_f'WZ_g for each pair f < g of factors
    remainder : [X y] without the levels' own fits, where these leave next to nothing of y and the
        products above no longer hold what is left; None elsewhere
    """

    anchor: Anchor
    n_obs: int
    sum_log_weights: float
    xx: FloatArray
    xy: FloatArray
    yy: float
    zz: tuple[FloatArray, ...]
    zx: tuple[FloatArray, ...]
    zy: tuple[FloatArray, ...]
    couplings: dict[tuple[int, int], Coupling]
    remainder: Remainder | None = None

    @cached_property
    def explained_alone(self) -> tuple[FloatArray, ...]:
        """Per factor the part of [X y]'W[X y] that its levels explain alone, (p + 1, p + 1)."""
        found = []
        for root, columns in zip(self.level_roots, self.zxy, strict=True):
            half = solve_lower_stack(root, columns).reshape(-1, columns.shape[2])
            found.append(half.T @ half)
        return tuple(found)

    @cached_property
    def first_fit(self) -> FloatArray:
        """Coefficients of the kept columns from X'Wy in the basis, (p, p)."""
        return np.asarray(self.anchor.x_basis @ np.linalg.inv(self.xx))

    @cached_property
    def level_roots(self) -> tuple[FloatArray, ...]:
        """Per factor the Cholesky factors of zz, (J, q, q), with next to nothing added."""
        return tuple(_root_of_levels(A) for A in self.zz)

    @cached_property
    def zxy(self) -> list[FloatArray]:
        """Per factor Z'W[X y], (J, q, p + 1)."""
        pairs = zip(self.zx, self.zy, strict=True)
        return [np.concatenate([zx, zy[:, :, None]], axis=2) for zx, zy in pairs]

    def __add__(self, other: "Products") -> "Products":
        """Products of the rows of both; they must share one anchor and the same levels."""
        if not self.anchor.equals(other.anchor):
            raise ValueError("Products add up only when both were made with the same anchor.")
        if self.remainder is not None or other.remainder is not None:
            raise ValueError("Products add up only where no levels' fits were taken off.")
        pairs = zip(self.couplings.items(), other.couplings.values(), strict=True)
        return replace(
            self,
            n_obs=self.n_obs + other.n_obs,
            sum_log_weights=self.sum_log_weights + other.sum_log_weights,
            xx=self.xx + other.xx,
            xy=self.xy + other.xy,
            yy=self.yy + other.yy,
            zz=tuple(a + b for a, b in zip(self.zz, other.zz, strict=True)),
            zx=tuple(a + b for a, b in zip(self.zx, other.zx, strict=True)),
            zy=tuple(a + b for a, b in zip(self.zy, other.zy, strict=True)),
            couplings={key: _merged(a, b, self.zz[key[1]].shape[0]) for (key, a), b in pairs},
        )


@record
class Squares(LevelBlocks):
    """Z'WZ alone: all that a factorisation needs of ``Products``."""

    remainder: None = None


def covariance_shape(design: Design) -> CovarianceShape:
    """Return the covariance shape of a design's random-effects terms."""
    sizes = tuple(len(factor.columns) for factor in design.factors)
    terms = tuple((term.factor, term.columns) for term in design.terms)
    if all(term.covariance == UNSTRUCTURED for term in design.terms):
        return shape_of(sizes, terms)
    covariances = tuple(structure(term.covariance, len(term.columns)) for term in design.terms)
    return CovarianceShape(sizes, terms, covariances)


def anchor_of(design: Design, weights: FloatArray | None) -> Anchor:
    """Choose the basis from a design's rows; further parts of the same data may reuse it."""
    root = None if weights is None else np.sqrt(weights)
    X = design.X if root is None else design.X * root[:, None]
    basis = column_basis(X)
    all_kept = basis.kept.size == design.X.shape[1]
    first = (X if all_kept else X[:, basis.kept]) @ basis.to_basis
    y = _response(design)
    beta0 = basis.to_basis @ (first.T @ (y if root is None else y * root)) / X.shape[0]
    z_bases = [
        basis.to_basis[:q, :q] if q else term_basis(design, f, weights)
        for f, q in enumerate(_shared_columns(design, basis))
    ]
    return Anchor(kept=basis.kept, x_basis=basis.to_basis, beta0=beta0, z_bases=tuple(z_bases))


def _shared_columns(design: Design, basis: ColumnBasis) -> list[int]:
    """Per factor how many columns it has if these are the first of X, in one term, else 0.

    The basis of these columns is then the first part of that of X.
    """
    found = []
    for f, factor in enumerate(design.factors):
        q = factor.z.shape[1]
        alike = sum(term.factor == f for term in design.terms) == 1
        alike = alike and q <= basis.kept.size and basis.kept[q - 1] == q - 1
        alike = alike and bool((basis.to_basis.diagonal()[:q] > 0).all())
        found.append(q if alike and _begins_with(design.X, factor.z) else 0)
    return found


def _begins_with(X: FloatArray, z: FloatArray) -> bool:
    """Whether the columns z (n, q) are the first of X."""
    return z is X or np.array_equal(z, X[:, : z.shape[1]])


def _n_shared(z: FloatArray, basis: FloatArray, X: FloatArray, x_basis: FloatArray) -> int:
    """How many columns z (n, q) has if in its basis they are the first of X in its own, else 0."""
    q = z.shape[1]
    alike = _begins_with(X, z) and np.array_equal(basis, x_basis[:q, :q])
    return q if alike else 0


def products_of(
    design: Design, *, weights: FloatArray | None = None, anchor: Anchor | None = None
) -> Products:
    """Cross-products of a design's rows.

    Parameters
    ----------
    design : Design
    weights : array, shape (n,), or None
        Precision weights of the rows (``1 / known_sd**2`` where the sds are known). A row of
        weight zero counts for nothing but the places of its levels.
    anchor : Anchor, optional
        The basis to use; chosen from the rows when not given.
    """
    given = anchor
    anchor = anchor_of(design, weights) if given is None else given
    X = design.X if anchor.kept.size == design.X.shape[1] else design.X[:, anchor.kept]
    x = anchor.x_basis.T @ X.T
    y = residual_response(design, anchor)
    xw = x if weights is None else x * weights
    shared = [
        _n_shared(factor.z, basis, X, anchor.x_basis)
        for factor, basis in zip(design.factors, anchor.z_bases, strict=True)
    ]
    zs = [
        x[:q] if q else basis.T @ factor.z.T
        for q, factor, basis in zip(shared, design.factors, anchor.z_bases, strict=True)
    ]
    weighted = zs if weights is None else [z * weights for z in zs]
    zz, zx, zy = [], [], []
    for factor, z, zw, q in zip(design.factors, zs, weighted, shared, strict=True):
        J = factor.levels.size
        zz.append(_symmetric_sums(factor.codes, z, zw, J))
        others = _level_sums(factor.codes, zw, x[q:], J)
        zx.append(np.concatenate([zz[-1], others], axis=2) if q else others)
        zy.append(_level_sums(factor.codes, zw, y[None], J)[:, :, 0])
    products = Products(
        anchor=anchor,
        n_obs=y.size if weights is None else int(np.count_nonzero(weights)),
        sum_log_weights=0.0 if weights is None else float(np.log(weights[weights > 0]).sum()),
        xx=x @ xw.T,
        xy=xw @ y,
        yy=float(y @ y if weights is None else (y * weights) @ y),
        zz=tuple(zz),
        zx=tuple(zx),
        zy=tuple(zy),
        couplings={
            (f, g): _coupling(design.factors[f], design.factors[g], weighted[f], zs[g])
            for f in range(len(zs))
            for g in range(f + 1, len(zs))
        },
    )
    return _with_remainder(products, design, weights, y, may_move=given is None)


def _with_remainder(
    products: Products,
    design: Design,
    weights: FloatArray | None,
    y: FloatArray,
    *,
    may_move: bool,
) -> Products:
    """Add what X and the levels leave, where that is next to nothing of y (n,).

    The first fit is then taken within levels, if it ``may_move``, and from the levels' own fits:
    one over all rows would leave in y a part of the levels' effects along X.
    """
    if not design.factors or not products.yy > 0:
        return products
    if any(factor.relation is not None for factor in design.factors):
        return products  # a level's rows are not its own: others speak for them
    known = design.known_sd is not None
    n_left = y.size if known else rows_left(design.factors)
    if not n_left or (known and products.yy <= FAR * y.size):
        return products
    if not known and not _may_be_far(products):
        return products
    anchor = products.anchor
    X = design.X[:, anchor.kept] @ anchor.x_basis
    rows = LevelRows(design.factors, anchor.z_bases, blocks=products.zz, weights=weights)
    if not known and not is_far(rows, np.column_stack([X, y]), n_left=n_left):
        return products
    x_swept, y_swept = rows.settled(X), rows.settled(y[:, None])
    if may_move:
        step = rows.fit_within(x_swept.left, y_swept.left)[0][:, 0]
        y_swept = rows.settled((y - X @ step)[:, None])
        step = step + rows.fit_between(x_swept, y_swept, anchor.z_bases)
        moved = replace(anchor, beta0=anchor.beta0 + anchor.x_basis @ step)
        y = y - X @ step
        products = _of_response(products, X, y, anchor=moved, design=design, weights=weights)
        y_swept = rows.settled(y[:, None])
    return replace(products, remainder=rows.remainder(x_swept, y_swept))


def needs_remainder(products: Products, *, sigma_known: bool) -> bool:
    """Whether the products say that X and the levels may leave next to nothing of y.

    What is left is then lost in the squares, and only the rows have it (``Remainder``).
    """
    if not products.zz or not products.yy > 0:
        return False
    if sigma_known:
        return products.yy > FAR * products.n_obs
    first, *others = [A.shape[0] * A.shape[1] for A in products.zz]
    if sum(others) ** 2 * (first + sum(others)) <= QUICK_ELIMINATION:
        return _may_be_far(products)
    return _left_by_all(products) <= CLEAR * products.yy


def _left_by_all(products: Products) -> float:
    """Squares of y that X and the levels leave, or more: by conjugate gradients.

    Stops where that is clearly not next to nothing, or nothing more comes off.
    """
    roots = [cholesky_stack(_with_tiny_ridge(A)) for A in products.zz]
    zx = [C[None] for C in products.zx]

    def times(x: FloatArray, z: list[FloatArray]) -> tuple[FloatArray, list[FloatArray]]:
        own = products.xx @ x + sum(
            np.einsum("jqp,jq->p", C[0], v[0, :, :, 0]) for C, v in zip(zx, z, strict=True)
        )
        rest = multiply(products, z)
        return own, [r + (C @ x)[..., None] for r, C in zip(rest, zx, strict=True)]

    def scaled(x: FloatArray, z: list[FloatArray]) -> tuple[FloatArray, list[FloatArray]]:
        halves = [solve_lower_stack(R, v[0]) for R, v in zip(roots, z, strict=True)]
        own = [solve_upper_stack(R, h)[None] for R, h in zip(roots, halves, strict=True)]
        return x / products.xx.diagonal(), own

    def inner(
        a: tuple[FloatArray, list[FloatArray]], b: tuple[FloatArray, list[FloatArray]]
    ) -> float:
        return float(a[0] @ b[0]) + sum(
            float(np.vdot(u, v)) for u, v in zip(a[1], b[1], strict=True)
        )

    r = (products.xy.copy(), [c[None, :, :, None].copy() for c in products.zy])
    step = scaled(*r)
    left, size = products.yy, inner(r, step)
    for _ in range(MOST_GRADIENTS):
        image = times(*step)
        curvature = inner(step, image)
        if not curvature > 0:
            break
        length = size / curvature
        taken = length * size
        left -= taken
        if left <= CLEAR * products.yy or taken <= SLIGHT * left:
            break
        r = (
            r[0] - length * image[0],
            [a - length * b for a, b in zip(r[1], image[1], strict=True)],
        )
        own = scaled(*r)
        before, size = size, inner(r, own)
        step = (
            own[0] + size / before * step[0],
            [a + size / before * b for a, b in zip(own[1], step[1], strict=True)],
        )
    return left


def _may_be_far(products: Products) -> bool:
    """Whether the products leave it open; those of several factors are asked only when small."""
    zz = products.zz
    first, *others = [A.shape[0] * A.shape[1] for A in zz]
    rest = sum(others)
    if rest**2 * (first + rest) > QUICK_ELIMINATION:
        return True
    if rest:
        try:
            explained = _explained(zz, products.couplings, products.zxy)
        except np.linalg.LinAlgError:  # columns of a level that hardly differ from each other
            return True
    else:
        explained = products.explained_alone[0]
    return leave_little(products.xx, products.xy, products.yy, explained=explained)


def _root_of_levels(A: FloatArray) -> FloatArray:
    """Cholesky factors of the levels' blocks (J, q, q), levels with too few rows included."""
    J, q = A.shape[:2]
    ridge = float(np.einsum("jaa->", A)) / J * np.eye(q)
    try:
        return cholesky_stack(A + RIDGE * ridge)
    except np.linalg.LinAlgError:
        return cholesky_stack(A + SURE_RIDGE * ridge)


def _explained(
    zz: Sequence[FloatArray], couplings: dict[tuple[int, int], Coupling], zxy: Sequence[FloatArray]
) -> FloatArray:
    """Part of [X y]'W[X y] that the levels of all factors explain, (c, c), from Z'W[X y].

    The levels of the first factor are eliminated as a stack, those of the others as one matrix.
    """
    r = sum(A.shape[0] * A.shape[1] for A in zz[1:])
    right = np.concatenate([dense_beside_first(zz, couplings), zxy[0]], axis=2)
    root = cholesky_stack(_with_tiny_ridge(zz[0]))
    half = solve_lower_stack(root, right).reshape(-1, right.shape[2])
    taken = half.T @ half
    left = np.concatenate([z.reshape(-1, z.shape[2]) for z in zxy[1:]]) - taken[:r, r:]
    A = _with_tiny_ridge(dense_levels(zz, couplings, first=1))
    return np.asarray(taken[r:, r:] + left.T @ np.linalg.solve(A - taken[:r, :r], left))


def _with_tiny_ridge(A: FloatArray) -> FloatArray:
    """Matrices (..., q, q) with a ridge, as part of each column's own square."""
    own = np.diagonal(A, axis1=-2, axis2=-1)
    return A + (TINY_RIDGE * np.where(own > 0, own, 1.0))[..., None] * np.eye(A.shape[-1])


def dense_beside_first(
    zz: Sequence[FloatArray], couplings: dict[tuple[int, int], Coupling]
) -> FloatArray:
    """Z_0'WZ_r between the first factor and the columns r of all others, dense, (..., J, q, r)."""
    *leading, J, q, _ = zz[0].shape
    parts = []
    for (f, g), c in couplings.items():
        if f == 0:
            J_g, q_g = zz[g].shape[-3:-1]
            part = np.zeros((*leading, J * J_g, q, q_g))
            part[..., c.rows * J_g + c.columns, :, :] = c.blocks
            part = part.reshape(*leading, J, J_g, q, q_g)
            parts.append(np.swapaxes(part, -3, -2).reshape(*leading, J, q, J_g * q_g))
    return np.concatenate(parts, axis=-1)


def dense_levels(
    zz: Sequence[FloatArray], couplings: dict[tuple[int, int], Coupling], *, first: int = 0
) -> FloatArray:
    """Z'WZ of all factors from ``first`` on as one dense matrix, or one a leading entry."""
    starts = np.cumsum([0] + [A.shape[-3] * A.shape[-2] for A in zz[first:]])
    Z = np.zeros((*zz[0].shape[:-3], starts[-1], starts[-1]))
    for A, start in zip(zz[first:], starts[:-1], strict=True):
        J, q = A.shape[-3:-1]
        at = start + np.arange(J * q).reshape(J, q)
        Z[..., at[:, :, None], at[:, None, :]] = A
    for (f, g), c in couplings.items():
        if f >= first:
            q_f, q_g = c.blocks.shape[-2:]
            row = starts[f - first] + c.rows[:, None] * q_f + np.arange(q_f)
            column = starts[g - first] + c.columns[:, None] * q_g + np.arange(q_g)
            Z[..., row[:, :, None], column[:, None, :]] = c.blocks
            Z[..., column[:, :, None], row[:, None, :]] = np.swapaxes(c.blocks, -1, -2)
    return Z


def _of_response(
    products: Products,
    X: FloatArray,
    y: FloatArray,
    *,
    anchor: Anchor,
    design: Design,
    weights: FloatArray | None,
) -> Products:
    """Return products of another residual response y (n,), with X (n, p) in their basis.

    ``anchor`` is theirs with the first fit that was taken off.
    """
    wy = y if weights is None else y * weights
    zy = tuple(
        _level_sums(factor.codes, factor.z.T, wy[None], factor.levels.size)[:, :, 0] @ basis
        for factor, basis in zip(design.factors, anchor.z_bases, strict=True)
    )
    found = replace(products, anchor=anchor, xy=wy @ X, yy=float(wy @ y), zy=zy, remainder=None)
    vars(found)["level_roots"] = products.level_roots  # of the same levels
    return found


def with_response(
    products: Products,
    design: Design,
    *,
    weights: FloatArray | None,
    y: FloatArray,
    fitted: bool = False,
) -> Products:
    """Products with another response y (n,) on the same rows; only what holds y is computed.

    A response of another mean needs another first fit X beta0, or its squares hide the rest: with
    ``fitted`` it is its own, taken within levels where X and these leave next to nothing of y.
    """
    anchor = products.anchor
    X = design.X if anchor.kept.size == design.X.shape[1] else design.X[:, anchor.kept]
    basis_x = X @ anchor.x_basis
    y = y if design.offset is None else y - design.offset
    if fitted:
        wy = y if weights is None else y * weights
        anchor = replace(anchor, beta0=products.first_fit @ (wy @ basis_x))
    residual = y - X @ anchor.beta0
    found = _of_response(products, basis_x, residual, anchor=anchor, design=design, weights=weights)
    return _with_remainder(found, design, weights, residual, may_move=fitted)


def residual_response(design: Design, anchor: Anchor) -> FloatArray:
    """Return y without offset and first fit, shape (n,): the response the products are of."""
    X = design.X if anchor.kept.size == design.X.shape[1] else design.X[:, anchor.kept]
    return np.asarray(_response(design) - X @ anchor.beta0)


def _response(design: Design) -> FloatArray:
    return design.y if design.offset is None else design.y - design.offset


def term_basis(design: Design, f: int, weights: FloatArray | None) -> FloatArray:
    """Basis (q, q) in which the columns of each term of factor f are orthogonal over all rows."""
    terms = [term.columns for term in design.terms if term.factor == f]
    return basis_within_terms(design.factors[f].z, terms, weights=weights)


def basis_within_terms(
    z: FloatArray, terms: Sequence[tuple[int, ...]], *, weights: FloatArray | None
) -> FloatArray:
    """Basis (q, q) in which the columns of each term are orthogonal and of length sqrt(n).

    Parameters
    ----------
    z : array, shape (n, q), the columns of a factor
    terms : the columns of each of its terms
    weights : array, shape (n,), or None
    """
    basis = np.zeros((z.shape[1], z.shape[1]))
    gram = z.T @ (z if weights is None else z * weights[:, None]) / z.shape[0]
    for columns in terms:
        at = np.asarray(columns)
        block = gram[at[:, None], at]
        scale = np.sqrt(block.diagonal())
        scale[scale == 0] = 1.0
        upper = _upper_factor(block / scale / scale[:, None], z[:, at], scale, weights)
        # dependent columns in one term: scale them only
        own = np.diag(1.0 / scale) if upper is None else inverse_upper(upper * scale)
        basis[at[:, None], at] = own
    return basis


def _upper_factor(
    gram: FloatArray, z: FloatArray, scale: FloatArray, weights: FloatArray | None
) -> FloatArray | None:
    """R (q, q) of columns z / scale of length sqrt(n), R'R = Gram matrix / n; None if dependent.

    The Gram matrix decides as long as it is far from singular, as in ``linalg/rank.py``.
    """
    try:
        lower = cholesky(gram)
    except np.linalg.LinAlgError:
        lower = np.zeros_like(gram)
    if lower.diagonal().min() > GRAM_SAFE:
        return np.asarray(lower.T)
    if z.shape[0] < z.shape[1]:
        return None
    columns = z / scale
    root = columns if weights is None else columns * np.sqrt(weights)[:, None]
    upper = np.linalg.qr(root, mode="r") / np.sqrt(root.shape[0])
    upper = upper * np.where(upper.diagonal() < 0, -1.0, 1.0)[:, None]
    return np.asarray(upper) if upper.diagonal().min() > RANK_TOLERANCE else None


def _level_sums(codes: IntArray, left: FloatArray, right: FloatArray, J: int) -> FloatArray:
    """Sum left x right over the rows of each level: (a, n) and (b, n) give (J, a, b)."""
    out = np.empty((J, left.shape[0], right.shape[0]))
    for i, a in enumerate(left):
        for k, b in enumerate(right):
            out[:, i, k] = np.bincount(codes, weights=a * b, minlength=J)
    return out


def _symmetric_sums(codes: IntArray, z: FloatArray, zw: FloatArray, J: int) -> FloatArray:
    q = z.shape[0]
    out = np.empty((J, q, q))
    for i in range(q):
        for k in range(i + 1):
            out[:, i, k] = out[:, k, i] = np.bincount(codes, weights=zw[i] * z[k], minlength=J)
    return out


def _coupling(f: GroupingFactor, g: GroupingFactor, zf: FloatArray, zg: FloatArray) -> Coupling:
    n_columns = g.levels.size
    keys = f.codes.astype(np.int64) * n_columns + g.codes
    pairs, index = np.unique(keys, return_inverse=True)
    return Coupling(
        rows=pairs // n_columns,
        columns=pairs % n_columns,
        blocks=_level_sums(index, zf, zg, pairs.size),
    )


def _merged(a: Coupling, b: Coupling, n_columns: int) -> Coupling:
    keys = np.concatenate([a.rows * n_columns + a.columns, b.rows * n_columns + b.columns])
    pairs, index = np.unique(keys, return_inverse=True)
    blocks = np.zeros((pairs.size, *a.blocks.shape[1:]))
    np.add.at(blocks, index, np.concatenate([a.blocks, b.blocks]))
    return Coupling(rows=pairs // n_columns, columns=pairs % n_columns, blocks=blocks)


def multiply(products: Products, vectors: Sequence[FloatArray]) -> list[FloatArray]:
    """Z'WZ times vectors given per factor as (T, J, q, c); the result has the same shapes."""
    out = [product_stack(A, v) for A, v in zip(products.zz, vectors, strict=True)]
    for (f, g), coupling in products.couplings.items():
        at, to, blocks = coupling.rows, coupling.columns, coupling.blocks
        _add_sums(out[f], at, product_stack(blocks, vectors[g][:, to]))
        _add_sums(out[g], to, product_stack(blocks.swapaxes(1, 2), vectors[f][:, at]))
    return out


def summed_diagonal_blocks(
    blocks: LevelBlocks,
    Lambdas: Sequence[FloatArray],
    *,
    diagonal: Sequence[FloatArray],
    cross: dict[tuple[int, int], FloatArray],
) -> list[FloatArray]:
    """Per factor the sum over levels of the diagonal blocks of Z'WZ Lambda V, (T, q, q).

    Parameters
    ----------
    blocks : of Z'WZ
    Lambdas : per factor, array (T, q, q)
    diagonal : per factor, array (T, J, q, q), the diagonal blocks of a symmetric V
    cross : per pair of factors, array (T, m, q_f, q_g), its blocks where ``couplings`` has blocks
    """
    sums = [
        summed_products(_times(A, Lam), V)
        for A, Lam, V in zip(blocks.zz, Lambdas, diagonal, strict=True)
    ]
    for (f, g), coupling in blocks.couplings.items():
        V, A = cross[f, g], coupling.blocks
        left, right = _times(A, Lambdas[g]), _times(np.swapaxes(A, -1, -2), Lambdas[f])
        sums[f] = sums[f] + summed_products(left, V)
        sums[g] = sums[g] + summed_products(right, np.swapaxes(V, 2, 3))
    return sums


def _times(A: FloatArray, Lambda: FloatArray) -> FloatArray:
    """Blocks (J, a, q), or (T, J, a, q), times Lambda (T, q, q): (T, J, a, q)."""
    if A.ndim == 4:
        return np.asarray(A * Lambda[:, None] if A.shape[-1] == 1 else A @ Lambda[:, None])
    J, a, q = A.shape
    return np.asarray((A.reshape(J * a, q) @ Lambda).reshape(-1, J, a, q))


def _add_sums(target: FloatArray, index: IntArray, values: FloatArray) -> None:
    T, J, a, c = target.shape
    for t in range(T):
        for i in range(a):
            for k in range(c):
                target[t, :, i, k] += np.bincount(index, weights=values[t, :, i, k], minlength=J)
