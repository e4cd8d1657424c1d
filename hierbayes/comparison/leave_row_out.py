"""Log p(y_i | y_-i, phi) of single rows of a Gaussian model, in closed form.

phi are the sds, correlations and sigma; beta and b are integrated out (``collapsed_draws.py``).
With e_i the residual of row i from the mean of its linear predictor given all rows and phi, and
sigma^2 s_i the variance of that predictor, its leverage is h_i = w_i s_i, and

    y_i - E(y_i | y_-i, phi) = e_i / (1 - h_i),    Var(y_i | y_-i, phi) = sigma^2 / w_i / (1 - h_i).

Both follow from one factorisation a draw: with D = [X y] - Z Lambda U of the kernel, and
C = (L L')^-1,

    e_i = d_iy - d_ix'E(v),    sigma^2 s_i = sigma^2 z_i'Lambda C Lambda'z_i + d_ix'Var(v) d_ix.

The rows of another kernel, one with weight zero among them, are predicted by the same: a row that
is left out has the variance sigma^2 (1 / w_i + s_i).

Source: Gelfand, Dey & Chang (1992), Bayesian Statistics 4:147 (predictive densities without a row);
Christensen, Pearson & Johnson (1992), Technometrics 34:38 (leverages of mixed models).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray
from hierbayes.bayes.collapsed_points import numbers_of
from hierbayes.comparison.collapsed_draws import DETERMINED, LeftOut
from hierbayes.design.design import GroupingFactor
from hierbayes.gaussian.marginal import Kernel, Reduced, responses_of, times
from hierbayes.gaussian.products import residual_response
from hierbayes.linalg.stacked import UNROLLED, inverse_of_triangles

if TYPE_CHECKING:
    from scipy import sparse

# Numbers all factorisations of a crossed design may hold together: about a minute of work.
ROWS_UP_TO = 3e8


def rows_apply(kernel: Kernel, n_draws: int) -> bool:
    """Whether the factorisations of so many draws are few enough."""
    return numbers_of(kernel) * n_draws <= ROWS_UP_TO


def row_log_densities(problem: LeftOut) -> FloatArray:
    """Log p(y_i | y_-i, phi) of every row, a block each, and draw, shape (n, S).

    Raises
    ------
    DataError
        If with flat priors the other rows do not determine the coefficients.
    """
    _check_rows(problem)
    n = problem.codes.size
    found = np.empty((n, problem.flat.n_draws))
    weights = problem.row_weights[:, None]
    for at, sigma, residual, spread in moments(problem, problem.kernel, np.arange(n)):
        own = sigma**2 / weights
        rest = 1 - weights * spread
        found[:, at] = -(np.log(2 * np.pi * own / rest) + residual**2 / (own * rest)) / 2
    return found


def predicted_log_densities(problem: LeftOut, j: int) -> FloatArray:
    """Log p(y_i | y_-j, phi) of every row of block j, one by one, for every draw: (rows, S)."""
    out = problem.codes == j
    rows = np.flatnonzero(out)
    found = np.empty((rows.size, problem.flat.n_draws))
    weights = problem.row_weights[rows, None]
    for at, sigma, residual, spread in moments(problem, problem.kernel_without(out), rows):
        variance = sigma**2 * (1 / weights + spread)
        found[:, at] = -(np.log(2 * np.pi * variance) + residual**2 / variance) / 2
    return found


def moments(
    problem: LeftOut, kernel: Kernel, rows: IntArray
) -> Iterator[tuple[slice, FloatArray, FloatArray, FloatArray]]:
    """Predict m rows from all rows of a kernel, at a part of the draws after the other.

    Yields
    ------
    which draws, sigma (T,), the residuals e (m, T) and the variances s (m, T)
    """
    anchor = kernel.products.anchor
    design = problem.design.with_rows(rows)
    X = design.X[:, anchor.kept] @ anchor.x_basis
    columns = np.column_stack([X, residual_response(design, anchor)])
    zs = [f.z @ basis for f, basis in zip(design.factors, anchor.z_bases, strict=True)]
    places = _Places(design.factors, zs, kernel)
    p = X.shape[1]
    for at, sigma, Lambdas, reduced in problem.batches(kernel, rows.size * (p + 2)):
        known = problem.integrated(reduced.gram_xy / (sigma**2)[:, None, None], at)
        half = problem.coefficients.free @ np.swapaxes(inverse_of_triangles(known.root), 1, 2)
        left = places.left(columns, kernel, Lambdas, reduced)
        spread = _squares(left[:, :p], half / sigma[:, None, None])
        places.add_variances(spread, Lambdas, reduced)
        residual = left[:, p] - sum(left[:, c] * known.mean[:, c] for c in range(p))
        yield at, sigma, residual, spread


class _Places:
    """Where rows find their levels: sparse matrices over levels, and over pairs of them."""

    def __init__(
        self, factors: tuple[GroupingFactor, ...], zs: list[FloatArray], kernel: Kernel
    ) -> None:
        sizes = [A.shape[0] for A in kernel.products.zz]
        self.z = [_by_level(f.codes, z, J) for f, z, J in zip(factors, zs, sizes, strict=True)]
        self.own = [
            _by_level(f.codes, _outer(z, z), J) for f, z, J in zip(factors, zs, sizes, strict=True)
        ]
        self.pairs = {}
        for (f, g), coupling in kernel.products.couplings.items():
            keys = coupling.rows * sizes[g] + coupling.columns
            at = np.searchsorted(keys, factors[f].codes * sizes[g] + factors[g].codes)
            self.pairs[f, g] = _by_level(at, 2 * _outer(zs[f], zs[g]), keys.size)

    def left(
        self, columns: FloatArray, kernel: Kernel, Lambdas: list[FloatArray], reduced: Reduced
    ) -> FloatArray:
        """D = [X y] - Z Lambda U of columns [X y] (m, p + 1), shape (m, p + 1, T)."""
        D = np.repeat(columns[:, :, None], reduced.log_det.size, axis=2)
        if not self.z:
            return D
        effects = responses_of(kernel, Lambdas, reduced)[0]
        for z, Lambda, u in zip(self.z, Lambdas, effects, strict=True):
            D -= (z @ _draws_last(times(Lambda, u)).reshape(z.shape[1], -1)).reshape(D.shape)
        return D

    def add_variances(
        self, spread: FloatArray, Lambdas: list[FloatArray], reduced: Reduced
    ) -> None:
        """Add z'Lambda C Lambda'z to spread (m, T)."""
        if reduced.factor is None:
            return
        blocks = reduced.factor.covariances()
        for own, Lambda, C in zip(self.own, Lambdas, blocks, strict=True):
            spread += own @ _draws_last(_both_sides(Lambda, C, Lambda))
        for (f, g), C in reduced.factor.cross_covariances().items():
            spread += self.pairs[f, g] @ _draws_last(_both_sides(Lambdas[f], C, Lambdas[g]))


def _by_level(codes: IntArray, z: FloatArray, n_levels: int) -> "sparse.csr_array":
    """Rows z (m, k) at the place of their level: (m, n_levels k)."""
    from scipy import sparse  # here: its import takes as long as a small fit

    m, k = z.shape
    columns = (codes[:, None] * k + np.arange(k)).ravel()
    return sparse.csr_array((z.ravel(), columns, np.arange(m + 1) * k), shape=(m, n_levels * k))


def _outer(a: FloatArray, b: FloatArray) -> FloatArray:
    return (a[:, :, None] * b[:, None, :]).reshape(a.shape[0], -1)


def _both_sides(left: FloatArray, C: FloatArray, right: FloatArray) -> FloatArray:
    """Left C right' of blocks C (T, m, a, b): (T, m, a, b)."""
    return np.swapaxes(times(right, np.swapaxes(times(left, C), 2, 3)), 2, 3)


def _draws_last(blocks: FloatArray) -> FloatArray:
    """Blocks (T, m, a, b) as a matrix (m a b, T)."""
    return np.moveaxis(blocks, 0, 3).reshape(-1, blocks.shape[0])


def _squares(d: FloatArray, half: FloatArray) -> FloatArray:
    """Squared lengths of half' d for d (m, p, T) and half (T, p, r): (m, T)."""
    p = half.shape[1]
    if p > UNROLLED:
        return ((np.moveaxis(d, 2, 0) @ half) ** 2).sum(axis=2).T
    total = np.zeros((d.shape[0], d.shape[2]))
    for column in np.ascontiguousarray(np.moveaxis(half, 0, 2).swapaxes(0, 1)):
        total += sum(d[:, a] * column[a] for a in range(p)) ** 2
    return total


def _check_rows(problem: LeftOut) -> None:
    """Raise DataError if a row alone determines a coefficient with a flat prior."""
    if not problem.has_flat:
        return
    products = problem.kernel.products
    X = problem.design.X[:, products.anchor.kept] @ products.anchor.x_basis
    leverage = problem.row_weights * (X * np.linalg.solve(products.xx, X.T).T).sum(axis=1)
    alone: BoolArray = leverage >= 1 - DETERMINED
    if alone.any():
        raise problem.undetermined(int(np.flatnonzero(alone)[0]))
