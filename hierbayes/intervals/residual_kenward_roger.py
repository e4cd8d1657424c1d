"""What Kenward and Roger's method needs where residuals are correlated or of unequal variance.

The formulas are those of ``kenward_roger.py``, with V relative to sigma^2 and its derivatives V_i
in the entries of the random effects' covariances (or the parameters of their structure) and in the
coordinates phi of the residuals. First derivatives alone are taken, so the answer is the same for
any parameters: those of SAS's KENWARDROGER(FIRSTORDER), which are the full ones where V is linear
in its parameters (sds by strata, ``cs``, ``us``).

Rows fall into blocks that no series and no level connects, and V and V_i of a block are formed in
full: m^3 operations for its m rows, all blocks of one size at once.
"""

from collections.abc import Iterator

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.capabilities import not_supported
from hierbayes.gaussian.marginal import Evaluation, Kernel
from hierbayes.gaussian.residual.between import (
    PlacedRows,
    covariance_between,
    placed_rows,
    slopes_between,
)
from hierbayes.likelihood.residual_search import AT_END
from hierbayes.results.linear_fit import LinearFit

AT_ONCE = 2**22  # numbers of the matrices of one batch of blocks: 32 MB


@record
class DenseSums:
    """Sums over rows of what is made of V^-1 and its derivatives V_i, X orthonormal in V^-1.

    Attributes
    ----------
    P : array, shape (k, p, p), -X'V^-1 V_i V^-1 X
    Q : array, shape (k, p, k, p), X'V^-1 V_i V^-1 V_j V^-1 X
    single : array, shape (k,), tr(V^-1 V_i)
    double : array, shape (k, k), tr(V^-1 V_i V^-1 V_j)
    residual_df : degrees of freedom left to the residuals, tr(R P) of P = V^-1 - V^-1 X X'V^-1
    """

    P: FloatArray
    Q: FloatArray
    single: FloatArray
    double: FloatArray
    residual_df: float


@record
class _Rows:
    """The rows, and how V is made of them.

    Attributes
    ----------
    fit : LinearFit
    phi : array, shape (d,)
    placed : rows in their series
    X : array, shape (n, p), orthonormal in V^-1
    zs : per factor, array (n, q), in the basis of the products
    roots : per factor, array (q, q), Lambda in it
    J : array, shape (entries, c), of the covariances' parameters; None where these are the entries
    entries : factor, row and column of each entry
    free : places of phi that are off their bounds
    """

    fit: LinearFit
    phi: FloatArray
    placed: PlacedRows
    X: FloatArray
    zs: tuple[FloatArray, ...]
    roots: tuple[FloatArray, ...]
    J: FloatArray | None
    entries: tuple[tuple[int, int, int], ...]
    free: IntArray

    @property
    def n_effects(self) -> int:
        """Number of parameters of the random effects."""
        return len(self.entries) if self.J is None else self.J.shape[1]

    @property
    def size(self) -> int:
        """Number of parameters but sigma."""
        return self.n_effects + self.free.size

    def matrices(self, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """R, V (B, m, m) and V_i (k, B, m, m) of blocks of rows (B, m)."""
        found, factors = self.fit.spec.residuals, self.fit.design.factors
        placed = self.placed.take(rows)
        R = covariance_between(found, self.phi, placed, placed)
        V, parts = R, []
        same = [f.codes[rows][:, :, None] == f.codes[rows][:, None] for f in factors]
        for within, z, root in zip(same, self.zs, self.roots, strict=True):
            half = z[rows] @ root
            V = V + within * (half @ np.swapaxes(half, 1, 2))
        for f, a, b in self.entries:
            one = self.zs[f][rows]
            outer = one[:, :, a, None] * one[:, None, :, b]
            outer = outer if a == b else outer + np.swapaxes(outer, 1, 2)
            parts.append(same[f] * outer)
        of_effects = np.array(parts).reshape(len(parts), *V.shape)
        if self.J is not None:
            of_effects = np.tensordot(self.J.T, of_effects, axes=1)
        of_phi = slopes_between(found, self.phi, placed, placed)[self.free]
        return R, V, np.concatenate([of_effects, of_phi])


def dense_sums(
    fit: LinearFit,
    kernel: Kernel,
    at: Evaluation,
    *,
    J: FloatArray | None,
    most_operations: float,
) -> DenseSums:
    """Sum over the blocks of rows of a fit.

    Parameters
    ----------
    fit : LinearFit
        Whose residuals have a structure.
    kernel, at : at its estimates, with every entry of a covariance a parameter
    J : array, shape (entries, c), derivatives of these in the parameters there are; None where
        they are these
    most_operations : more are refused
    """
    rows = _rows(fit, kernel, at, J)
    k, p = rows.size, rows.X.shape[1]
    labels = block_labels(fit)
    sizes = np.bincount(labels)
    operations = float((sizes.astype(float) ** 3).sum()) * (k + 2)
    if operations > most_operations:
        raise not_supported("kenward-roger-series", operations=operations)
    P, Q = np.zeros((k, p, p)), np.zeros((k * p, k * p))
    single, double, left = np.zeros(k), np.zeros((k, k)), 0.0
    for block in _batches(labels, sizes, k):
        R, V, slopes = rows.matrices(block)
        inverse = np.linalg.inv(V)
        X = rows.X[block]
        held = inverse @ X
        turned = slopes @ inverse
        moved = slopes @ held
        flat = turned.reshape(k, -1)
        single += np.einsum("ibaa->i", turned)
        double += flat @ np.swapaxes(turned, 2, 3).reshape(k, -1).T
        P -= np.einsum("bma,ibmc->iac", held, moved)
        sides = moved.transpose(1, 2, 0, 3).reshape(*X.shape[:2], k * p)
        Q += (np.swapaxes(sides, 1, 2) @ (inverse @ sides)).sum(axis=0)
        left += float(np.einsum("bij,bji->", R, inverse))
        left -= float(np.einsum("bma,bmn,bna->", held, R, held))
    return DenseSums(
        P=P,
        Q=Q.reshape(k, p, k, p),
        single=single,
        double=(double + double.T) / 2,
        residual_df=left,
    )


def _rows(fit: LinearFit, kernel: Kernel, at: Evaluation, J: FloatArray | None) -> _Rows:
    assert fit.residual is not None
    phi, found, anchor = fit.residual.phi, fit.spec.residuals, kernel.products.anchor
    p, G = at.root_xvx.shape[1], found.structure.n_spreads
    factors = fit.design.factors
    entries = [(0, 0, 0)] * kernel.shape.n_theta
    for f, (index, row, column) in enumerate(kernel.shape.factor_entries):
        for i, a, b in zip(index.tolist(), row.tolist(), column.tolist(), strict=True):
            entries[i] = f, a, b
    is_free = np.ones(phi.size, dtype=np.bool_)
    is_free[G:] = np.abs(phi[G:]) < AT_END
    pairs = zip(factors, anchor.z_bases, strict=True)
    return _Rows(
        fit=fit,
        phi=phi,
        placed=placed_rows(found, phi),
        X=fit.design.X[:, fit.kept] @ anchor.x_basis @ at.orthonormal[0, :p, :p],
        zs=tuple(factor.z @ basis for factor, basis in pairs),
        roots=tuple(Lambda[0] for Lambda in at.Lambdas),
        J=J,
        entries=tuple(entries),
        free=np.flatnonzero(is_free),
    )


def block_labels(fit: LinearFit) -> IntArray:
    """Block (n,) of each row, numbered from 0: rows that a series or a level connects share one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = fit.nobs
    groups: list[IntArray] = [factor.codes for factor in fit.design.factors]
    series = fit.spec.residuals.series
    if series is not None:
        groups.append(series.codes)
    if not groups:
        return np.arange(n)
    if len(groups) == 1:
        return np.unique(groups[0], return_inverse=True)[1].ravel()
    starts = n + np.concatenate([[0], np.cumsum([g.max() + 1 for g in groups])])
    right = np.concatenate([s + g for s, g in zip(starts, groups, strict=False)])
    left = np.tile(np.arange(n), len(groups))
    size = int(starts[-1])
    graph = coo_array((np.ones(left.size), (left, right)), shape=(size, size))
    parts = connected_components(graph, directed=False)[1][:n]
    return np.unique(parts, return_inverse=True)[1].ravel()


def _batches(labels: IntArray, sizes: IntArray, k: int) -> Iterator[IntArray]:
    """Yield rows (B, m) of blocks of one size m, some at a time."""
    order = np.argsort(labels, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    for m in np.unique(sizes).tolist():
        of_size = starts[sizes == m]
        most = max(1, AT_ONCE // (m * m * (2 * k + 3)))
        for first in range(0, of_size.size, most):
            yield order[of_size[first : first + most, None] + np.arange(m)]
