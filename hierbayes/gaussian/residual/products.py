"""Cross-products of [Z X y] with R^-1 for residuals that are correlated or of unequal variance.

R^-1 has few classes of equal entries (``entries.py``), and a product is linear in them:

    Z'R^-1 Z = sum over classes k of c_k(phi) (Z'B_k Z),  and so on.

Made once, the products of the classes give those at any phi without touching a row. Where the
classes are too many for that (continuous times, sds by a number), the sums run over the entries at
each evaluation. Both are behind ``at``; nothing after it knows of residuals.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.design import Design
from hierbayes.gaussian.products import Anchor, Coupling, Products, anchor_of, residual_response
from hierbayes.gaussian.residual.entries import Factors, ResidualStructure

# Numbers of the products of all classes, by those that one pass over the entries makes, up to which
# the products are kept: a sum over classes is ten times as quick as one over entries.
KEPT = 10
MOST_CLASSES = 5000
FEW = 500_000  # so few numbers are kept in any case: what counts then are calls


@record
class Stacked:
    """Products at T points, or of K classes; arrays as in ``Products`` with this axis in front.

    Attributes
    ----------
    squares : array, shape (T, p + 1, p + 1), [X y]'R^-1[X y]
    zz : per factor, array (T, J, q, q)
    zxy : per factor, array (T, J, q, p + 1)
    couplings : per pair of factors, array (T, m, q_f, q_g)
    """

    squares: FloatArray
    zz: tuple[FloatArray, ...]
    zxy: tuple[FloatArray, ...]
    couplings: dict[tuple[int, int], FloatArray]

    @property
    def arrays(self) -> list[FloatArray]:
        """All of them."""
        return [self.squares, *self.zz, *self.zxy, *self.couplings.values()]

    @property
    def first(self) -> "Stacked":
        """Those of the first point, without the axis of points."""
        return Stacked(
            squares=self.squares[0],
            zz=tuple(A[0] for A in self.zz),
            zxy=tuple(A[0] for A in self.zxy),
            couplings={pair: A[0] for pair, A in self.couplings.items()},
        )

    def mixed(self, weights: FloatArray) -> "Stacked":
        """Return sums over the first axis with weights (T, K)."""

        def mix(A: FloatArray) -> FloatArray:
            flat = weights @ A.reshape(A.shape[0], -1)
            return np.asarray(flat.reshape(weights.shape[0], *A.shape[1:]))

        return Stacked(
            squares=mix(self.squares),
            zz=tuple(map(mix, self.zz)),
            zxy=tuple(map(mix, self.zxy)),
            couplings={pair: mix(A) for pair, A in self.couplings.items()},
        )

    def along(self, adjoint: "Stacked") -> FloatArray:
        """Inner products (T, K) of the K products here with the T adjoints."""
        pairs = zip(adjoint.arrays, self.arrays, strict=True)
        total: FloatArray | float = 0.0
        for a, b in pairs:
            total = total + a.reshape(a.shape[0], -1) @ b.reshape(b.shape[0], -1).T
        return np.asarray(total)


@record
class Units:
    """What entries stand between: rows [x y z] times sqrt(w), and sums of them.

    Attributes
    ----------
    xy : array, shape (p + 1, n_units)
    z : per factor, array (q, n_units)
    codes : per factor, array (n_units,), the level of each
    spread : array, shape (n_units,), which relative sd
    n_levels : per factor J
    """

    xy: FloatArray
    z: tuple[FloatArray, ...]
    codes: tuple[IntArray, ...]
    spread: IntArray
    n_levels: tuple[int, ...]

    @cached_property
    def meetings(self) -> dict[tuple[int, int], tuple[IntArray, IntArray, IntArray]]:
        """Per pair of factors the levels that meet, and which pair each unit belongs to."""
        found = {}
        for f in range(len(self.codes)):
            for g in range(f + 1, len(self.codes)):
                keys = self.codes[f].astype(np.int64) * self.n_levels[g] + self.codes[g]
                pairs, index = np.unique(keys, return_inverse=True)
                found[f, g] = pairs // self.n_levels[g], pairs % self.n_levels[g], index.ravel()
        return found


@record
class ResidualProducts:
    """Cross-products as functions of phi (T, d).

    Attributes
    ----------
    anchor : the basis
    structure : R
    units : what its entries stand between
    n_obs : number of rows
    sum_log_weights : sum of the log precision weights
    classes : array, shape (N,), the class of each entry
    kind, left, right : arrays, shape (K,), kind and the two sds of each class
    kept : the products of the classes; None where each evaluation sums over the entries
    """

    anchor: Anchor
    structure: ResidualStructure
    units: Units
    n_obs: int
    sum_log_weights: float
    classes: IntArray
    kind: IntArray
    left: IntArray
    right: IntArray
    kept: Stacked | None

    def weights(self, factors: Factors) -> FloatArray:
        """Factors c (T, K) of the classes."""
        s, value = factors.inverse_sd, factors.kinds.value[:, self.kind]
        return value if not self.structure.n_spreads else value * s[:, self.left] * s[:, self.right]

    def stacked(self, factors: Factors) -> Stacked:
        """Return the products at T points."""
        c = self.weights(factors)
        if self.kept is not None:
            return self.kept.mixed(c)
        parts = [_summed(self.structure, self.units, weights=one[self.classes]) for one in c]
        return _joined(parts)

    def slopes(self, factors: Factors, adjoint: Stacked) -> FloatArray:
        """Return the derivatives in phi (T, d) of what has derivatives ``adjoint`` in products.

        That of a square matrix is in all its entries, of which only the symmetric part counts.
        """
        if self.kept is not None:
            inner = self.kept.along(adjoint)
        else:
            inner = _along_entries(
                self.structure, self.units, adjoint, self.classes, self.kind.size
            )
        return self.along_classes(factors, inner)

    def along_classes(self, factors: Factors, inner: FloatArray) -> FloatArray:
        """Return derivatives in phi (T, d) from those in the factors of the classes (T, K)."""
        D, s = self.structure.spread.D, factors.inverse_sd
        if not self.structure.n_spreads:
            kinds = factors.kinds.slopes.value[:, :, self.kind]
            return np.asarray((kinds @ inner[:, :, None])[:, :, 0])
        both = s[:, self.left] * s[:, self.right]
        own = inner * factors.kinds.value[:, self.kind] * both
        of_spread = -own @ (D[self.left] + D[self.right])
        kinds = factors.kinds.slopes.value[:, :, self.kind]
        of_correlation = (kinds @ (inner * both)[:, :, None])[:, :, 0]
        return np.concatenate([of_spread, of_correlation], axis=1)

    @property
    def numbers_of_rows(self) -> int:
        """Numbers that an evaluation goes through besides those of levels: 0 without rows."""
        if self.kept is not None:
            return 0
        columns = self.units.xy.shape[0] + sum(z.shape[0] for z in self.units.z)
        return int(self.classes.size * columns)

    def products(self, phi: FloatArray) -> Products:
        """Return the products at one phi (d,), as of rows that are independent."""
        factors = self.structure.factors(phi[None])
        found = self.stacked(factors)
        return self.laid_out(found.first, found.squares[0], float(factors.log_det[0]))

    def laid_out(self, levels: Stacked, square: FloatArray, log_det: Any) -> Products:
        """Return products of levels, of one point or of many, and [X y]'R^-1[X y] (p + 1, p + 1).

        ``log_det`` is log|R|, one number or one a point.
        """
        p = square.shape[0] - 1
        met = self.units.meetings
        return Products(
            anchor=self.anchor,
            n_obs=self.n_obs,
            sum_log_weights=self.sum_log_weights - log_det,
            xx=square[:p, :p],
            xy=square[:p, p],
            yy=float(square[p, p]),
            zz=levels.zz,
            zx=tuple(A[..., :p] for A in levels.zxy),
            zy=tuple(A[..., p] for A in levels.zxy),
            couplings={
                pair: Coupling(rows=met[pair][0], columns=met[pair][1], blocks=A)
                for pair, A in levels.couplings.items()
            },
        )


def residual_products(
    design: Design, structure: ResidualStructure, *, weights: FloatArray | None = None
) -> ResidualProducts:
    """Cross-products of a design's rows whose residuals have a structure.

    Parameters
    ----------
    design : Design
        Every grouping factor is constant within a series.
    structure : ResidualStructure
    weights : array, shape (n,), or None
        Precision weights: Var(e) is divided by them.
    """
    anchor = anchor_of(design, weights)
    root = None if weights is None else np.sqrt(weights)
    units = _units(design, structure, anchor, root)
    entries = structure.entries
    S = structure.spread.D.shape[0]
    ends = np.sort(np.stack([units.spread[entries.left], units.spread[entries.right]]), axis=0)
    keys = (entries.kind.astype(np.int64) * S + ends[0]) * S + ends[1]
    distinct, classes = np.unique(keys, return_inverse=True)
    found = ResidualProducts(
        anchor=anchor,
        structure=structure,
        units=units,
        n_obs=design.y.shape[0],
        sum_log_weights=0.0 if weights is None else float(np.log(weights).sum()),
        classes=classes.ravel(),
        kind=distinct // S**2,
        left=distinct // S % S,
        right=distinct % S,
        kept=None,
    )
    if not _are_kept(found):
        return found
    kept = _summed(structure, units, classes=found.classes, n_classes=distinct.size)
    return replace(found, kept=kept)


def _are_kept(found: ResidualProducts) -> bool:
    """Whether a sum over the classes is quicker than one over the entries."""
    K, N, c = found.kind.size, found.classes.size, found.units.xy.shape[0]
    sizes = [(J, z.shape[0]) for J, z in zip(found.units.n_levels, found.units.z, strict=True)]
    numbers = c * c + sum(J * q * (q + c) for J, q in sizes)
    passes = c + sum(q * (q + c) for _, q in sizes)
    return K <= MOST_CLASSES and K * numbers <= max(KEPT * N * passes, FEW)


def _units(
    design: Design, structure: ResidualStructure, anchor: Anchor, root: FloatArray | None
) -> Units:
    """Rows and their sums in the basis of the anchor, times ``root`` (n,)."""
    X = design.X if anchor.kept.size == design.X.shape[1] else design.X[:, anchor.kept]
    xy = np.concatenate([anchor.x_basis.T @ X.T, residual_response(design, anchor)[None]])
    zs = [
        basis.T @ factor.z.T for factor, basis in zip(design.factors, anchor.z_bases, strict=True)
    ]
    if root is not None:
        xy, zs = xy * root, [z * root for z in zs]
    codes = [factor.codes for factor in design.factors]
    spread, first = structure.spread.index, structure.entries.block_row
    if first is not None:
        xy, zs = _with_sums(structure, xy), [_with_sums(structure, z) for z in zs]
        codes = [np.concatenate([own, own[first]]) for own in codes]
        spread = np.concatenate([spread, spread[first]])
    return Units(
        xy=xy,
        z=tuple(zs),
        codes=tuple(codes),
        spread=spread,
        n_levels=tuple(int(factor.levels.size) for factor in design.factors),
    )


def _with_sums(structure: ResidualStructure, columns: FloatArray) -> FloatArray:
    """Columns (c, n) of rows, and beside them those of their sums, (c, n_units)."""
    entries = structure.entries
    assert entries.block is not None
    sums = [np.bincount(entries.block, weights=one, minlength=entries.n_blocks) for one in columns]
    return np.concatenate([columns, np.array(sums).reshape(len(sums), -1)], axis=1)


def _halves(structure: ResidualStructure, weights: FloatArray | None) -> FloatArray:
    """Weights of entries that count both ways, (N,): an entry of the diagonal is there once."""
    entries = structure.entries
    half = np.where(entries.left == entries.right, 0.5, 1.0)
    return half if weights is None else half * weights


def _summed(
    structure: ResidualStructure,
    units: Units,
    *,
    classes: IntArray | None = None,
    n_classes: int = 1,
    weights: FloatArray | None = None,
) -> Stacked:
    """Sum the entries by class, or all of them with weights (N,)."""
    left, right = structure.entries.left, structure.entries.right
    half = _halves(structure, weights)
    x, y = units.xy[:, left] * half, units.xy[:, right]
    own = np.zeros_like(left) if classes is None else classes

    def sums(index: IntArray, m: int, values: FloatArray) -> FloatArray:
        return np.bincount(own * m + index, weights=values, minlength=n_classes * m)

    zz, zxy, couplings = [], [], {}
    sides = [(z[:, left] * half, z[:, right]) for z in units.z]
    for (a, b), codes, J in zip(sides, units.codes, units.n_levels, strict=True):
        q, level = a.shape[0], codes[left]
        square = np.empty((q, q, n_classes * J))
        for i in range(q):
            for k in range(i + 1):
                square[i, k] = square[k, i] = sums(level, J, a[i] * b[k] + b[i] * a[k])
        beside = np.array(
            [
                [sums(level, J, a[i] * y[c] + b[i] * x[c]) for c in range(x.shape[0])]
                for i in range(q)
            ]
        )
        zz.append(_levels_first(square, n_classes, J))
        zxy.append(_levels_first(beside, n_classes, J))
    for (f, g), (rows, _, meeting) in units.meetings.items():
        (a, b), (d, e) = sides[f], sides[g]
        met, m = meeting[left], rows.size
        block = np.array(
            [
                [sums(met, m, a[i] * e[k] + b[i] * d[k]) for k in range(d.shape[0])]
                for i in range(a.shape[0])
            ]
        )
        couplings[f, g] = _levels_first(block, n_classes, m)
    return Stacked(
        squares=_squares(x, y, classes, n_classes),
        zz=tuple(zz),
        zxy=tuple(zxy),
        couplings=couplings,
    )


def _levels_first(values: FloatArray, K: int, J: int) -> FloatArray:
    """Blocks (a, b, K J) as (K, J, a, b)."""
    a, b = values.shape[:2]
    return np.ascontiguousarray(values.reshape(a, b, K, J).transpose(2, 3, 0, 1))


def _squares(x: FloatArray, y: FloatArray, classes: IntArray | None, n_classes: int) -> FloatArray:
    """X y' + y x' over the entries of each class, (K, c, c), from x and y (c, N)."""
    if classes is None:
        found = (x @ y.T)[None]
    else:
        order = np.argsort(classes, kind="stable")
        ends = np.cumsum(np.bincount(classes, minlength=n_classes))
        x, y = x[:, order], y[:, order]
        pairs = zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)
        found = np.array([x[:, a:b] @ y[:, a:b].T for a, b in pairs])
    return np.asarray(found + np.swapaxes(found, 1, 2))


def _joined(parts: Sequence[Stacked]) -> Stacked:
    """Put points side by side."""
    first = parts[0]
    return Stacked(
        squares=np.concatenate([part.squares for part in parts]),
        zz=tuple(np.concatenate([p.zz[f] for p in parts]) for f in range(len(first.zz))),
        zxy=tuple(np.concatenate([p.zxy[f] for p in parts]) for f in range(len(first.zxy))),
        couplings={
            pair: np.concatenate([part.couplings[pair] for part in parts])
            for pair in first.couplings
        },
    )


def _along_entries(
    structure: ResidualStructure,
    units: Units,
    adjoint: Stacked,
    classes: IntArray,
    n_classes: int,
) -> FloatArray:
    """Inner products (T, K) of the classes with adjoints, by a sum over the entries."""
    left, right = structure.entries.left, structure.entries.right
    half = _halves(structure, None)
    x, y = units.xy[:, left], units.xy[:, right]
    sides = [(z[:, left], z[:, right]) for z in units.z]
    out = []
    for t in range(adjoint.squares.shape[0]):
        total = 2 * _form(x, adjoint.squares[t], y)
        for f, (a, b) in enumerate(sides):
            level = units.codes[f][left]
            own = np.moveaxis(adjoint.zz[f][t], 0, 2)[:, :, level]
            beside = np.moveaxis(adjoint.zxy[f][t], 0, 2)[:, :, level]
            total += 2 * _form(a, own, b) + _form(a, beside, y) + _form(b, beside, x)
        for (f, g), (_, _, meeting) in units.meetings.items():
            block = np.moveaxis(adjoint.couplings[f, g][t], 0, 2)[:, :, meeting[left]]
            (a, b), (d, e) = sides[f], sides[g]
            total += _form(a, block, e) + _form(b, block, d)
        out.append(np.bincount(classes, weights=half * total, minlength=n_classes))
    return np.array(out)


def _form(a: FloatArray, M: FloatArray, b: FloatArray) -> FloatArray:
    """A'M b of each entry, (N,), from a (i, N), M (i, k) or (i, k, N), b (k, N)."""
    if M.ndim == 2:
        return np.asarray((a * (M @ b)).sum(axis=0))
    return np.asarray(np.einsum("in,ikn,kn->n", a, M, b))
