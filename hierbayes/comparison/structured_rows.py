"""Rows and blocks left out of Gaussian models whose residuals are correlated or of unequal sd.

Given the variance parameters phi of a draw y has the covariance V = sigma^2 R + Z G Z', and where
beta with Normal or flat priors is integrated out the precision

    K = V^-1 - V^-1 X (X'V^-1 X + Q)^-1 X'V^-1.

Rows F are then known from all others: with y - m the response less the prior mean,

    y_F | y_-F, phi  ~  N(y_F - K_FF^-1 (K (y - m))_F, K_FF^-1),

which for a single row is what leave-one-out of correlated rows means: the density of the row given
all other rows, those of its series among them. V falls into parts without a common series or level;
each is inverted in full. Coefficients whose prior is neither Normal nor flat are taken from draws.

Source: Sundararajan & Keerthi (2001), Neural Computation 13:1103; Buerkner, Gabry & Vehtari (2021),
Computational Statistics 36:1243.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.bayes.predictive import AT_ONCE, FlatDraws, flat_draws
from hierbayes.bayes.residual_draws import (
    ResidualDraws,
    conditional_log_density,
    residual_draws,
)
from hierbayes.capabilities import not_supported
from hierbayes.comparison.left_out_blocks import Blocks
from hierbayes.design.design import Design
from hierbayes.errors import DataError
from hierbayes.gaussian.residual.between import correlations_between, placed_rows
from hierbayes.priors.distributions import Flat, Normal
from hierbayes.results.posterior_fit import PosteriorFit

# Operations of the inverses of all parts and draws: about a minute.
OPERATIONS_UP_TO = 2e10
# Smallest part of a column's length that must be left in the other rows to determine coefficients.
DETERMINED = 1e-9


def has_structured_rows(fit: PosteriorFit) -> bool:
    """Whether a posterior is of residuals with a structure, known from its design alone."""
    related = any(factor.relation is not None for factor in fit.design.factors)
    return fit.residual_structure is not None and not related


@record
class Rows:
    """The rows of a model, and draws of its parameters.

    Attributes
    ----------
    fit : the model
    flat : S draws, of the posterior of these rows or of some of them
    """

    fit: PosteriorFit
    flat: FlatDraws

    @property
    def design(self) -> Design:
        """The design."""
        return self.fit.design

    @cached_property
    def residuals(self) -> ResidualDraws:
        """Residuals of each draw."""
        return residual_draws(self.fit.spec, self.flat)

    @cached_property
    def parts(self) -> list[IntArray]:
        """Rows that hang together, by how many they are: arrays (k, m) of k parts."""
        codes = _components(self.design, self.residuals)
        order, counts = np.argsort(codes, kind="stable"), np.bincount(codes)
        starts = np.cumsum(counts) - counts
        return [
            order[starts[counts == m][:, None] + np.arange(m)] for m in np.unique(counts).tolist()
        ]

    @property
    def operations(self) -> float:
        """Operations for all draws."""
        return float(sum(at.shape[0] * float(at.shape[1]) ** 3 for at in self.parts)) * (
            self.flat.n_draws
        )

    @cached_property
    def columns(self) -> "_Columns":
        """The columns of X and what is known of their coefficients."""
        return _columns(self.fit, self.flat)

    def precisions(self) -> Iterator["Precision"]:
        """Yield the precision of y at some draws after the other."""
        n = self.design.y.size
        numbers = sum(at.size * at.shape[1] for at in self.parts)
        numbers += n * (self.columns.Q.shape[1] + 2)
        step = max(1, AT_ONCE // numbers)
        for start in range(0, self.flat.n_draws, step):
            yield self._precision(slice(start, min(start + step, self.flat.n_draws)))

    def _precision(self, at: slice) -> "Precision":
        known = self.columns
        inverses = [np.linalg.inv(self._covariance(rows, at)) for rows in self.parts]
        y = self.design.y - known.held[at]
        both = np.concatenate(
            [np.broadcast_to(known.Q, (y.shape[0], *known.Q.shape)), y[:, :, None]], axis=2
        )
        times = np.empty(both.shape)
        for rows, K in zip(self.parts, inverses, strict=True):
            times[:, rows] = K @ both[:, rows]
        p = known.Q.shape[1]
        KX, Ky = times[:, :, :p], times[:, :, p]
        P = known.Q.T @ KX + known.precision
        v = np.linalg.solve(P, (known.Q.T @ Ky[:, :, None]))
        half = KX @ np.linalg.inv(np.swapaxes(np.linalg.cholesky(P), 1, 2))
        return Precision(
            at=at, parts=self.parts, inverses=inverses, half=half, Ky=Ky - (KX @ v)[:, :, 0]
        )

    def _covariance(self, rows: IntArray, at: slice) -> FloatArray:
        """V of parts, (T, k, m, m)."""
        own = self.residuals
        placed = placed_rows(own.found, own.phi[0]).take(rows)
        sd = own.sds(at)[:, rows]
        V = correlations_between(own.found, own.phi[at], placed, placed)
        V = V * sd[..., :, None] * sd[..., None, :]
        for factor, root in zip(self.design.factors, self.flat.roots, strict=True):
            codes, z = factor.codes[rows], factor.z[rows]
            same = codes[:, :, None] == codes[:, None, :]
            u = z @ root[at, None]
            V += (u @ np.swapaxes(u, 2, 3)) * same
        return V


@record
class Precision:
    """K of y at T draws: inverses of the parts of V, less half half'.

    Attributes
    ----------
    at : which draws
    parts : the rows of the parts, arrays (k, m)
    inverses : of the parts of V, arrays (T, k, m, m)
    half : array, shape (T, n, p)
    Ky : array, shape (T, n), K (y - m)
    """

    at: slice
    parts: list[IntArray]
    inverses: list[FloatArray]
    half: FloatArray
    Ky: FloatArray

    @cached_property
    def diagonal(self) -> FloatArray:
        """K_ii, (T, n)."""
        found = -np.square(self.half).sum(axis=2)
        for rows, K in zip(self.parts, self.inverses, strict=True):
            found[:, rows] += np.diagonal(K, axis1=2, axis2=3)
        return np.asarray(found)

    def within(self, index: int, k: IntArray, local: IntArray) -> tuple[FloatArray, FloatArray]:
        """K_FF (T, B, m, m) and K (y - m) (T, B, m) of blocks that each lie in one part.

        Block b has the rows ``local[b]`` of the part ``k[b]`` of those of number ``index``.
        """
        rows = self.parts[index][k[:, None], local]
        K = self.inverses[index][:, k[:, None, None], local[:, :, None], local[:, None, :]]
        half = self.half[:, rows]
        return K - half @ np.swapaxes(half, 2, 3), self.Ky[:, rows]

    def across(self, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """K_FF (T, m, m) and K (y - m) (T, m) of any rows (m,)."""
        half, place = self.half[:, rows], np.full(self.Ky.shape[1], -1)
        place[rows] = np.arange(rows.size)
        K = -half @ np.swapaxes(half, 1, 2)
        for own, inverse in zip(self.parts, self.inverses, strict=True):
            inside = place[own]
            k, i, j = np.nonzero((inside[:, :, None] >= 0) & (inside[:, None, :] >= 0))
            K[:, inside[k, i], inside[k, j]] += inverse[:, k, i, j]
        return K, self.Ky[:, rows]


@record
class _Columns:
    """Coefficients that are integrated out, in an orthogonal basis, and those that are not.

    Attributes
    ----------
    Q : array, shape (n, p)
    precision : array, shape (p, p), of their prior; zero in flat directions
    held : array, shape (S, n), offset, prior means, and columns whose coefficients are held
    has_flat : whether some prior is flat, so that the rows have to determine coefficients
    """

    Q: FloatArray
    precision: FloatArray
    held: FloatArray
    has_flat: bool


def _columns(fit: PosteriorFit, flat: FlatDraws) -> _Columns:
    """Lay out the columns; coefficients are those that have priors, at centred predictors."""
    priors, X = fit.priors, fit.design.X[:, fit.kept]
    to_centred = np.eye(X.shape[1])
    if priors.intercept is not None:
        to_centred[priors.intercept] += priors.centre
    X, c = np.linalg.solve(to_centred.T, X.T).T, flat.beta @ to_centred.T
    normal = np.array([isinstance(law, Normal) for law in priors.beta], dtype=np.bool_)
    is_flat = np.array([type(law) is Flat for law in priors.beta], dtype=np.bool_)
    free = normal | is_flat
    mean = np.array([law.mu if isinstance(law, Normal) else 0.0 for law in priors.beta])
    weight = np.array([law.sigma**-2 if isinstance(law, Normal) else 0.0 for law in priors.beta])
    held = np.broadcast_to(X[:, free] @ mean[free], (flat.n_draws, X.shape[0])) + (
        c[:, ~free] @ X[:, ~free].T
    )
    held = held if fit.design.offset is None else held + fit.design.offset
    Q, R = np.linalg.qr(X[:, free])
    back = np.linalg.inv(R)
    precision = back.T @ (weight[free, None] * back)
    return _Columns(Q=Q, precision=precision, held=held, has_flat=bool(is_flat.any()))


def _components(design: Design, residuals: ResidualDraws) -> IntArray:
    """Return the part (n,) of each row: parts are without a common series or level."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = design.y.size
    groups = [factor.codes for factor in design.factors]
    if residuals.found.series is not None:
        groups.append(residuals.found.series.codes)
    left, right, count = [], [], n
    for codes in groups:
        left.append(np.arange(n))
        right.append(count + codes)
        count += int(codes.max()) + 1
    if not groups:
        return np.arange(n)
    ends = np.concatenate(left), np.concatenate(right)
    graph = coo_array((np.ones(ends[0].size), ends), shape=(count, count))
    labels = connected_components(graph, directed=False)[1][:n]
    return np.asarray(np.unique(labels, return_inverse=True)[1])


def structured_rows(fit: PosteriorFit, flat: FlatDraws | None = None) -> Rows:
    """Return the rows of a fit, at its own draws or at others."""
    return Rows(fit=fit, flat=flat_draws(fit.draws, fit.design) if flat is None else flat)


def rows_are_few(problem: Rows) -> bool:
    """Whether the parts of the covariance are small enough to be inverted for each draw."""
    return problem.operations <= OPERATIONS_UP_TO


def check_few(problem: Rows, blocks: Blocks) -> None:
    """Raise NotSupportedError if they are not."""
    if not rows_are_few(problem):
        largest = max(at.shape[1] for at in problem.parts)
        name = blocks.name or "row"
        raise not_supported(
            "loo-structured-size", name=name, rows=largest, draws=problem.flat.n_draws
        )


def row_densities(problem: Rows) -> FloatArray:
    """Log p(y_i | y_-i, phi) of every row and draw, shape (n, S).

    Raises
    ------
    DataError
        If with flat priors the other rows do not determine the coefficients.
    """
    known = problem.columns
    if known.has_flat:
        left = 1 - np.square(known.Q).sum(axis=1)
        _check_determined(problem, left[:, None], "row", problem.design.row_labels)
    found = np.empty((problem.design.y.size, problem.flat.n_draws))
    for K in problem.precisions():
        found[:, K.at] = conditional_log_density(K.diagonal, K.Ky).T
    return found


def block_densities(problem: Rows, blocks: Blocks) -> FloatArray:
    """Log p(y_j | y_-j, phi) of every block of rows and draw, shape (J, S).

    Raises
    ------
    DataError
        As ``row_densities``.
    """
    rows_of = _rows_of(blocks)
    if problem.columns.has_flat:
        left = [_left(problem, rows) for rows in rows_of]
        _check_determined(problem, np.array(left), blocks.name or "block", blocks.labels)
    inside, across = _placed(problem.parts, rows_of)
    found = np.empty((len(rows_of), problem.flat.n_draws))
    for K in problem.precisions():
        for index, which, k, local in inside:
            found[which, K.at] = _joint(*K.within(index, k, local)).T
        for j in across:
            found[j, K.at] = _joint(*K.across(rows_of[j]))
    return found


def fold_densities(problem: Rows, blocks: Blocks, own: IntArray) -> FloatArray:
    """Log density of each of the blocks ``own`` (B,) given all rows of other blocks, (B, S).

    Rows of other blocks of ``own`` are not known either.
    """
    out = np.flatnonzero(np.isin(blocks.codes, own))
    places = [np.flatnonzero(blocks.codes[out] == j) for j in own]
    found = np.empty((own.size, problem.flat.n_draws))
    for K in problem.precisions():
        K_FF, Ky = K.across(out)
        covariance = np.linalg.inv(K_FF)
        away = (covariance @ Ky[:, :, None])[:, :, 0]
        if blocks.name is None:
            variance = np.diagonal(covariance, axis1=1, axis2=2)
            found[:, K.at] = conditional_log_density(1 / variance, away / variance).T
            continue
        for b, at in enumerate(places):
            precision = np.linalg.inv(covariance[:, at[:, None], at])
            found[b, K.at] = _joint(precision, (precision @ away[:, at, None])[:, :, 0])
    return found


def _joint(K: FloatArray, Ky: FloatArray) -> FloatArray:
    """Log density (...,) of m numbers of precision K (..., m, m), at K times their distances."""
    root = np.linalg.cholesky(K)
    away = np.linalg.solve(root, Ky[..., None])[..., 0]
    log_det = 2 * np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
    return np.asarray((log_det - Ky.shape[-1] * np.log(2 * np.pi) - (away**2).sum(axis=-1)) / 2)


def _rows_of(blocks: Blocks) -> list[IntArray]:
    order = np.argsort(blocks.codes, kind="stable")
    return np.split(order, np.cumsum(blocks.n_rows)[:-1])


def _placed(
    parts: Sequence[IntArray], rows_of: Sequence[IntArray]
) -> tuple[list[tuple[int, IntArray, IntArray, IntArray]], list[int]]:
    """Sort blocks: those within one part together, by its size and theirs; and all others."""
    n = sum(rows.size for rows in parts)
    index, k, local = (np.empty(n, dtype=np.intp) for _ in range(3))
    for i, rows in enumerate(parts):
        index[rows] = i
        k[rows], local[rows] = np.indices(rows.shape)
    together: dict[tuple[int, int], list[int]] = {}
    across = []
    for j, rows in enumerate(rows_of):
        first = rows[0]
        if (index[rows] == index[first]).all() and (k[rows] == k[first]).all():
            together.setdefault((int(index[first]), rows.size), []).append(j)
        else:
            across.append(j)
    inside = []
    for (i, _), which in together.items():
        rows = np.array([rows_of[j] for j in which])
        inside.append((i, np.array(which), k[rows[:, 0]], local[rows]))
    return inside, across


def _left(problem: Rows, rows: IntArray) -> FloatArray:
    """Return the least that is left of a combination of columns without some rows."""
    Q = problem.columns.Q
    rest = np.eye(Q.shape[1]) - Q[rows].T @ Q[rows]
    return np.linalg.eigvalsh(rest)[:1] if Q.shape[1] else np.ones(1)


def _check_determined(problem: Rows, left: FloatArray, name: str, labels: object) -> None:
    alone = np.flatnonzero(left[:, 0] <= DETERMINED) if left.size else np.empty(0)
    if alone.size:
        label = np.asarray(labels)[alone[0]]
        raise DataError(
            f"Without {name} {label} the other rows do not determine all coefficients. Give all "
            "coefficients Normal priors to leave it out."
        )
