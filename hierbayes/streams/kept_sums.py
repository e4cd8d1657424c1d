"""Products of smaller models from the sums of a larger one: no row is read again.

The sums are of X1 = X T and r = y - X b0, and Z1 = Z U, all columns of X included. A model whose
columns are X A and Z B has the products of X1 C with C = T^-1 A. Its basis comes from R C with
R'R = X1'X1: these p rows have the cross-products of all rows, at the accuracy of the rows
themselves, so that ranks and orthogonal columns are found as ``linalg/rank.py`` finds them. What
the smaller first fit leaves is r + X1 (c0 - V d), with c0 = T^-1 b0.

A and B follow from rows that are made up: every variable has numbers or levels of its own there.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.capabilities import not_supported
from hierbayes.design.coding import fill_columns
from hierbayes.design.design import Design
from hierbayes.design.grouping import factor_columns
from hierbayes.design.moments import Moments, RowMoments
from hierbayes.design.not_kept import not_kept
from hierbayes.design.values import Column
from hierbayes.errors import NotSupportedError
from hierbayes.formula.expressions import Expression
from hierbayes.gaussian.products import Anchor, Coupling, Products
from hierbayes.linalg.rank import RANK_TOLERANCE, column_basis, inverse_upper

EXACT = 1e-9  # part of a column that combinations of others may leave, of numbers of order one


@record
class StreamSums:
    """The sums of one stream.

    Attributes
    ----------
    design : of all columns; no rows
    whole : products in the provisional basis, all columns of X kept
    moments : of the columns of the design
    made, n_made : made-up rows
    counts : per grouping factor by name, rows of each level (J,)
    grams : per grouping factor by name, each level's [X1 r]'W[X1 r] as a triangle (J, m); m is 0
        where it was not kept
    """

    design: Design
    whole: Products
    moments: RowMoments
    made: Mapping[Expression, Column]
    n_made: int
    counts: Mapping[str, IntArray]
    grams: Mapping[str, FloatArray]

    def rows_per_level(self, name: str) -> IntArray:
        """Rows of each level of a grouping factor, shape (J,)."""
        return self.counts[name]

    @cached_property
    def root(self) -> FloatArray:
        """R (p, p), upper, with R'R = X1'X1; zero rows where a column depends on earlier ones."""
        G, T = self.whole.xx, self.whole.anchor.x_basis
        p = G.shape[0]
        inverse = np.linalg.inv(T) if p else T
        length = np.sqrt(np.maximum(np.einsum("ij,ik,kj->j", inverse, G, inverse), 0.0))
        L = np.zeros((p, p))
        for j in range(p):
            for k in range(j):
                if L[k, k] > 0:
                    L[j, k] = (G[j, k] - L[j, :k] @ L[k, :k]) / L[k, k]
            left = G[j, j] - L[j, :j] @ L[j, :j]
            if left > (RANK_TOLERANCE * abs(T[j, j]) * length[j]) ** 2:
                L[j, j] = np.sqrt(left)
        return L.T

    @cached_property
    def _columns(self) -> FloatArray:
        return fill_columns(self.design.mean.layout, self.made, self.n_made)

    def combination(self, design: Design) -> FloatArray:
        """Return A (p, s) that makes the fixed-effects columns of another design of these.

        Raises
        ------
        NotSupportedError
            If they are no combinations of these.
        """
        if design.mean.layout is self.design.mean.layout:
            return np.eye(len(self.design.coef_names))
        own = fill_columns(design.mean.layout, self.made, self.n_made)
        return _combination(self._columns, own, design.coef_names)

    def level_squares(
        self, design: Design, name: str, beta: FloatArray, effects: FloatArray
    ) -> FloatArray:
        """Sum of squares of the rows of each level without X beta and Z effects, shape (J,)."""
        at = [factor.name for factor in design.factors].index(name)
        places, maps = self._factors(design)
        f, effects = places[at], effects @ maps[at].T
        beta = self.combination(design) @ beta
        flat, p = self.grams[name], beta.size
        if not flat.shape[1]:
            column: FloatArray = not_kept("the squares of the rows of each level", flat.shape[0])
            return column[:]
        S = np.zeros((flat.shape[0], p + 1, p + 1))
        rows, columns = np.tril_indices(p + 1)
        S[:, rows, columns] = S[:, columns, rows] = flat
        anchor, e = self.whole.anchor, np.linalg.solve(self.whole.anchor.z_bases[f], effects.T).T
        delta = np.append(-np.linalg.solve(anchor.x_basis, beta - anchor.beta0), 1.0)
        own = np.einsum("jab,a,b->j", S, delta, delta)
        z_left = self.whole.zx[f] @ delta[:-1] + self.whole.zy[f]
        cross = np.einsum("jq,jq->j", e, z_left)
        return np.asarray(own - 2 * cross + np.einsum("jq,jqr,jr->j", e, self.whole.zz[f], e))

    def surrogate(self, columns: FloatArray) -> FloatArray:
        """Return p rows with the cross-products of all rows, (p, m), of made-up rows (n_made, m).

        They are of the columns that have ``columns`` in the made-up rows.
        """
        A = _combination(self._columns, columns, ("a column",) * columns.shape[1])
        return np.asarray(self.root @ np.linalg.solve(self.whole.anchor.x_basis, A))

    def products(self, design: Design) -> Products:
        """Cross-products of a design whose columns are combinations of those summed."""
        whole = self.whole
        n, G, T = whole.n_obs, whole.xx, whole.anchor.x_basis
        C = np.linalg.solve(T, self.combination(design)) if T.size else T
        basis = column_basis(self.root @ C)
        scale = np.sqrt(n / max(C.shape[0], 1))
        V = C[:, basis.kept] @ basis.to_basis * scale
        c0 = np.linalg.solve(T, whole.anchor.beta0) if T.size else whole.anchor.beta0
        xx = V.T @ G @ V
        d = np.linalg.solve(xx, V.T @ (whole.xy + G @ c0)) if V.shape[1] else np.zeros(0)
        e = c0 - V @ d
        places, maps = self._factors(design)
        zz, zx, zy, z_bases, W = [], [], [], [], []
        for k, (f, B) in enumerate(zip(places, maps, strict=True)):
            own = np.linalg.solve(whole.anchor.z_bases[f], B)
            gram = own.T @ (whole.zz[f].sum(axis=0) / n) @ own
            U = _orthogonal_terms(gram, design, k)
            w = own @ U
            zz.append(w.T @ whole.zz[f] @ w)
            zx.append(w.T @ (whole.zx[f] @ V))
            zy.append((whole.zy[f] + whole.zx[f] @ e) @ w)
            z_bases.append(U)
            W.append(w)
        return replace(
            whole,
            anchor=Anchor(
                kept=basis.kept,
                x_basis=basis.to_basis * scale,
                beta0=basis.to_basis @ d * scale,
                z_bases=tuple(z_bases),
            ),
            xx=xx,
            xy=V.T @ (whole.xy + G @ e),
            yy=float(whole.yy + 2 * e @ whole.xy + e @ G @ e),
            zz=tuple(zz),
            zx=tuple(zx),
            zy=tuple(zy),
            couplings={
                (i, k): self._coupling(places[i], places[k], W[i], W[k])
                for i in range(len(places))
                for k in range(i + 1, len(places))
            },
        )

    def _factors(self, design: Design) -> tuple[list[int], list[FloatArray]]:
        """Places of a design's grouping factors among these, and B (q, q') of each."""
        names = [factor.name for factor in self.design.factors]
        places, maps = [], []
        for factor in design.factors:
            if factor.name not in names:
                raise _other_columns(f"grouped by {factor.name}")
            place = names.index(factor.name)
            whole = self.design.factors[place]
            own = factor_columns(factor.layout, self.made, self.n_made)
            columns = factor_columns(whole.layout, self.made, self.n_made)
            places.append(place)
            maps.append(_combination(columns, own, factor.columns))
        return places, maps

    def _coupling(self, f: int, g: int, left: FloatArray, right: FloatArray) -> Coupling:
        if f < g:
            own = self.whole.couplings[f, g]
            return replace(own, blocks=left.T @ own.blocks @ right)
        own = self.whole.couplings[g, f]
        order = np.lexsort((own.rows, own.columns))
        blocks = left.T @ np.swapaxes(own.blocks[order], 1, 2) @ right
        return Coupling(rows=own.columns[order], columns=own.rows[order], blocks=blocks)

    def moments_of(self, design: Design) -> RowMoments:
        """Moments of the columns of another design."""
        names, own = self.design.coef_names, self.moments
        X = _by_name(names, own.X, design.coef_names)
        if X is None:
            X = self._moments_of_combinations(self.combination(design))
        z = []
        for factor, place in zip(design.factors, self._factors(design)[0], strict=True):
            found = _by_name(self.design.factors[place].columns, own.z[place], factor.columns)
            if found is None:
                raise _other_columns(", ".join(factor.columns))
            z.append(found)
        return replace(own, X=X, z=tuple(z))

    def _moments_of_combinations(self, A: FloatArray) -> Moments:
        rows = self.root @ np.linalg.solve(self.whole.anchor.x_basis, A)
        mean, n = self.moments.X.mean @ A, self.whole.n_obs
        one = np.flatnonzero(self.design.assign == 0)
        centred = rows
        if one.size:
            unit = self.root @ np.linalg.inv(self.whole.anchor.x_basis)[:, one[0]]
            unit = unit / np.sqrt(unit @ unit)
            centred = rows - np.outer(unit, unit @ rows)
        squares = np.einsum("ij,ij->j", centred, centred)
        if not one.size:
            squares = np.maximum(squares - n * mean**2, 0.0)
        return Moments(n, mean, squares, mean, mean)


def _other_columns(columns: str) -> NotSupportedError:
    return not_supported("stream-other-columns", columns=columns)


def _by_name(names: tuple[str, ...], own: Moments, wanted: tuple[str, ...]) -> Moments | None:
    if not set(wanted) <= set(names):
        return None
    at = [names.index(name) for name in wanted]
    return Moments(own.n, own.mean[at], own.squares[at], own.low[at], own.high[at])


def _combination(whole: FloatArray, own: FloatArray, names: tuple[str, ...]) -> FloatArray:
    """Return A with own = whole A, exact entries, or raise NotSupportedError."""
    A = np.linalg.lstsq(whole, own, rcond=None)[0]
    left = np.abs(whole @ A - own).max(axis=0, initial=0.0)
    bad = np.flatnonzero(left > EXACT * np.abs(own).max(initial=1.0))
    if bad.size:
        raise _other_columns(names[int(bad[0])])
    rounded = np.round(A)
    return np.where(np.abs(A - rounded) < EXACT, rounded, A)


def _orthogonal_terms(gram: FloatArray, design: Design, f: int) -> FloatArray:
    """Basis (q, q) in which the columns of each term of factor f are orthogonal, by z'z / n."""
    U = np.zeros(gram.shape)
    for term in design.terms:
        if term.factor == f:
            at = np.asarray(term.columns)
            block = gram[at[:, None], at]
            scale = np.sqrt(np.where(block.diagonal() > 0, block.diagonal(), 1.0))
            try:
                root = np.linalg.cholesky(block / scale / scale[:, None])
                own = inverse_upper(root.T * scale)
            except np.linalg.LinAlgError:  # dependent columns: scale them only
                own = np.diag(1.0 / scale)
            U[at[:, None], at] = own
    return U
