"""What is left of [X y] when the levels' own fits are taken off: digits for a tiny residual.

With a residual sd far below the sds between levels, [X y]'V^-1[X y] is a small difference of large
cross-products: with a ratio r of sds it is of the order 1 / r^2 of what is subtracted. So each
column of C = [X y] is written from its rows as

    C = Z B + R,

with B near the least-squares fit of the levels. For any B, with A = Z'WZ, M = Lambda'A Lambda + I,
U = M^-1 Lambda'Z'WC and D = B - Lambda U,

    H = Z'V^-1C = Z'WR + A D,    C'V^-1C = R'WR + R'WZ D + D'H + U'U:

the penalised sum of squares at its minimum, which an error of U enters squared only. No term is
much larger than the sum, so what is lost is of the order r times the machine epsilon, which is what
the response loses when it is stored. In the model's directions with little variance D is B itself,
so B may take off more than Lambda can explain.

B comes from sweeps over the factors, each fitting its levels to what the others left
(Gauss-Seidel), in rows: what is left of a column is computed from its rows, never from squares.

Source: Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), section 3.3 (the penalised
sum of squares); Golub & Van Loan, Matrix Computations, section 11.2 (Gauss-Seidel).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.design.design import GroupingFactor
from hierbayes.linalg.stacked import (
    cholesky,
    cholesky_stack,
    solve_lower_stack,
    solve_upper_stack,
)
from hierbayes.linalg.tiny import inverse_of_one, is_tiny

if TYPE_CHECKING:
    from scipy import sparse


# Mean square of the response over that within levels from where the ordinary cross-products are
# left: sds of a thousand to one cost six of sixteen digits, so both ways agree to nine there.
FAR = 1e6
# Ridge of the levels' fits as part of the mean level: takes off all but this in one sweep, and
# keeps fits of levels with fewer rows than columns far from rounding.
RIDGE = 1e-6
TINY_RIDGE = 1e-10  # for all factors at once: levels that few rows connect count as connected
CLEAR = 1e-5  # part of the squares left by the levels of one factor: no need to look further
MOST_SWEEPS = 200
STALLED = 0.67  # a sweep that leaves more than this part of the squares shows no small residual
SETTLED = 0.999  # a sweep that leaves more than this part of every column's squares is the last
WITHIN = 1e-7  # rms of a column of X within levels, of its own, below which it is between them
ROUNDED = 1e-30  # part of a column's squares that is rounding: nothing to take off any more


@record
class Remainder:
    """B and the cross-products of R, of c = p + 1 columns [X y]; T = 1 but for many responses.

    Attributes
    ----------
    levels : per factor, array (T, J, q, c), B
    zr : per factor, array (T, J, q, c), Z'WR
    rr : array, shape (T, c, c), R'WR
    """

    levels: tuple[FloatArray, ...]
    zr: tuple[FloatArray, ...]
    rr: FloatArray

    def take(self, rows: IntArray | slice) -> "Remainder":
        """Return that of some of the responses."""
        return Remainder(
            levels=tuple(B[rows] for B in self.levels),
            zr=tuple(z[rows] for z in self.zr),
            rr=self.rr[rows],
        )


@record(kw_only=False)
class Swept:
    """Columns (n, m) as Z B + R: B per factor (J, q, m), and R (n, m), ``left``."""

    levels: list[FloatArray]
    left: FloatArray


class LevelRows:
    """The rows of a design's grouping factors: Z_f as sparse matrices, and the levels' fits.

    Parameters
    ----------
    factors : the grouping factors
    bases : per factor, array (q, q); Z holds the columns z @ basis
    blocks : per factor, array (J, q, q), the diagonal blocks of Z'WZ
    weights : array, shape (n,), or None
    """

    def __init__(
        self,
        factors: Sequence[GroupingFactor],
        bases: Sequence[FloatArray],
        *,
        blocks: Sequence[FloatArray],
        weights: FloatArray | None,
    ) -> None:
        self._weights = weights
        self._sizes = [A.shape[:2] for A in blocks]
        self._zts = [transposed(f, f.z @ basis) for f, basis in zip(factors, bases, strict=True)]
        self._roots = [ridged_root(A) for A in blocks]
        self._root_weights = np.ones((1, 1)) if weights is None else np.sqrt(weights)[:, None]
        sizes = [np.linalg.eigvalsh(A) for A in blocks]
        self._told_apart = [size[:, 0] > RIDGE * size[:, -1] for size in sizes]

    def sums(self, f: int, columns: FloatArray) -> FloatArray:
        """Z_f'W times columns (n, m): (J, q, m)."""
        weighted = columns if self._weights is None else columns * self._weights[:, None]
        return np.asarray(self._zts[f] @ weighted).reshape(*self._sizes[f], columns.shape[1])

    def squares(self, columns: FloatArray) -> FloatArray:
        """Weighted sum of squares of each column (n, m): (m,)."""
        if self._weights is None:
            return np.einsum("im,im->m", columns, columns)
        return np.einsum("im,im,i->m", columns, columns, self._weights)

    def sweep(self, left: FloatArray) -> list[FloatArray]:
        """Fit the levels of each factor in turn to ``left`` (n, m), and take them off in place.

        Returns what was taken, per factor (J, q, m).
        """
        taken = []
        for f, root in enumerate(self._roots):
            step = solve_upper_stack(root, solve_lower_stack(root, self.sums(f, left)))
            left -= self._zts[f].T @ step.reshape(self._zts[f].shape[0], step.shape[2])
            taken.append(step)
        return taken

    def settled(self, columns: FloatArray) -> Swept:
        """Sweep columns (n, m) until nothing more comes off."""
        left = columns.copy()
        levels = [np.zeros((J, q, columns.shape[1])) for J, q in self._sizes]
        first = before = self.squares(left)
        for _ in range(MOST_SWEEPS):
            levels = [B + step for B, step in zip(levels, self.sweep(left), strict=True)]
            after = self.squares(left)
            if ((after >= SETTLED * before) | (after <= ROUNDED * first)).all():
                break
            before = after
        return Swept(levels, left)

    def fit_within(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, int]:
        """Coefficients (p, T) of y (n, T) on x (n, p), both swept, and the rank of x.

        The columns of x had a mean square of one before they were swept; what is left of one that
        lies between levels is rounding, and gets no coefficient.
        """
        half, vt, within = self._directions(x)
        return vt[within].T @ (half[:, within].T @ (self._root_weights * y)), int(within.sum())

    def _directions(self, x: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray]:
        """U / sizes (n, p), V' (p, p) of swept columns x (n, p), and which are not rounding."""
        u, size, vt = np.linalg.svd(self._root_weights * x, full_matrices=False)
        within = size > WITHIN * np.sqrt(x.shape[0])
        return u / np.where(within, size, 1.0), vt, within

    def fit_between(self, x: Swept, y: Swept, bases: Sequence[FloatArray]) -> FloatArray:
        """Coefficients (p,) of the directions of x that lie between levels, from the levels' fits.

        Each column of a bar counts by its own spread over the levels: a large variance of
        intercepts says nothing of a slope. Only levels whose rows tell the columns apart do.
        """
        _, vt, within = self._directions(x.left)
        free = vt[~within].T
        left, right = [], []
        for told, basis, of_x, of_y in zip(
            self._told_apart, bases, x.levels, y.levels, strict=True
        ):
            effects = basis @ of_y[told]
            spread = np.sqrt(effects.var(axis=0)) if told.any() else np.zeros(1)
            if free.size and (spread > 0).all():
                left.append((basis @ of_x[told] @ free / spread).reshape(-1, free.shape[1]))
                right.append((effects / spread).ravel())
        if not left:
            return np.zeros(vt.shape[1])
        return np.asarray(free @ np.linalg.lstsq(np.concatenate(left), np.concatenate(right))[0])

    def remainder(self, x: Swept, y: Swept) -> Remainder:
        """Return the remainder of the columns x (n, p) beside each response of y (n, T)."""
        p, T = x.left.shape[1], y.left.shape[1]
        weighted = y.left if self._weights is None else y.left * self._weights[:, None]
        x_weighted = x.left if self._weights is None else x.left * self._weights[:, None]
        rr = np.empty((T, p + 1, p + 1))
        rr[:, :p, :p] = x.left.T @ x_weighted
        rr[:, :p, p] = rr[:, p, :p] = weighted.T @ x.left
        rr[:, p, p] = self.squares(y.left)
        sums = [(self.sums(f, x.left), self.sums(f, y.left)) for f in range(len(x.levels))]
        return Remainder(
            levels=tuple(_beside(a, b) for a, b in zip(x.levels, y.levels, strict=True)),
            zr=tuple(_beside(a, b) for a, b in sums),
            rr=rr,
        )


def _beside(x: FloatArray, y: FloatArray) -> FloatArray:
    """Columns x (J, q, p) beside each of y (J, q, T): (T, J, q, p + 1)."""
    J, q, p = x.shape
    both = np.empty((y.shape[2], J, q, p + 1))
    both[..., :p] = x
    both[..., p] = np.moveaxis(y, 2, 0)
    return both


def ridged_root(A: FloatArray) -> FloatArray:
    """Cholesky factors of blocks (J, q, q) with the ridge."""
    mean = A.sum(axis=0).diagonal() / A.shape[0]
    return cholesky_stack(A + np.diag(RIDGE * np.where(mean > 0, mean, 1.0)))


def rows_left(factors: Sequence[GroupingFactor]) -> int:
    """Rows beyond what the levels of all factors can fit, 0 where they can fit them all."""
    if len(factors) == 1:
        counts = np.bincount(factors[0].codes)
        return int(np.maximum(counts - factors[0].z.shape[1], 0).sum())
    n_effects = sum(factor.levels.size * factor.z.shape[1] for factor in factors)
    return max(factors[0].codes.size - n_effects, 0)


def leave_little(of_x: FloatArray, of_xy: FloatArray, yy: float, *, explained: FloatArray) -> bool:
    """Whether the products leave it open that X and the levels fit y (almost).

    Parameters
    ----------
    of_x, of_xy, yy : X'WX (p, p), X'Wy (p,) and y'Wy
    explained : array, shape (p + 1, p + 1), part of [X y]'W[X y] that the levels explain
    """
    left_xy = of_xy - explained[:-1, -1]
    left_x = of_x - explained[:-1, :-1]
    size = of_x.diagonal()  # zero for a column that these rows don't have
    left_x.flat[:: of_xy.size + 1] += CLEAR / 10 * np.where(size > 0, size, 1.0)
    try:
        root = cholesky(left_x)
    except np.linalg.LinAlgError:  # nothing but rounding is left of a column
        return True
    half = inverse_of_one(root) @ left_xy if is_tiny(root) else np.linalg.solve(root, left_xy)
    return bool(yy - explained[-1, -1] - half @ half <= CLEAR * yy)


def is_far(rows: LevelRows, columns: FloatArray, *, n_left: int) -> bool:
    """Whether X and the levels leave of y less than 1 / ``FAR`` of its mean square.

    Parameters
    ----------
    rows : LevelRows
    columns : array, shape (n, c), [X y]
    n_left : rows beyond what the levels can fit
    """
    left = columns.copy()
    total = before = float(rows.squares(left[:, -1:])[0])
    for _ in range(MOST_SWEEPS):
        rows.sweep(left)
        beta, rank = rows.fit_within(left[:, :-1], left[:, -1:])
        after = float(rows.squares(left[:, -1:] - left[:, :-1] @ beta)[0])
        if after * columns.shape[0] * FAR < total * (n_left - rank):
            return True
        if after > STALLED * before:
            return False
        before = after
    return False


def transposed(factor: GroupingFactor, z: FloatArray) -> "sparse.csr_array":
    """Z' as a sparse matrix (J q, n), rows by level and then by column."""
    from scipy import sparse  # here, so that fits of one factor need not import it

    n, q = z.shape
    rows = (factor.codes[:, None] * q + np.arange(q)).ravel()
    columns = np.repeat(np.arange(n), q)
    shape = (factor.levels.size * q, n)
    return sparse.csr_array((z.ravel(), (rows, columns)), shape=shape)
