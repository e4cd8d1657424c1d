"""Variance of predictions of a REML or ML fit: what of beta, b and theta is not known.

A row's expected response is w = x'beta + z'b over the grouping factors that were chosen. Its
predictor w-hat has the prediction error variance v / sigma^2 = a(theta) + own, with

    a(theta) = d'(X'V^-1X)^-1 d + sum_fg z_f'Lambda_f [(LL')^-1]_fg Lambda_g'z_g,
    d        = x - sum_f (Z'V^-1X)_f' Lambda_f Lambda_f'z_f,
    own      = z'Lambda Lambda'z for effects nothing is known of (a level not fitted), and
               1 / weight for a new response,

which is (x, z)' times the inverse of the mixed-model equations' matrix times (x, z): the joint
covariance of (beta-hat, b-hat - b). It holds at a known theta. With A the covariance of theta-hat,

    delta = (dw-hat / dtheta)' A (dw-hat / dtheta)

at these data is what the spread of theta-hat adds, and by as much again v at theta-hat is too
small on average: the variance is v + 2 delta. Its degrees of freedom are Satterthwaite's,
2 (v + 2 delta)^2 / (g'A g) with g = dv / dpsi and psi of ``intervals/satterthwaite.py``.

Coverage of 95 % intervals, sleepstudy-like data of 6, 12, 18 subjects (2,400 data sets, half of
them unbalanced): 93.6 to 95.4 % for the expected responses of fitted subjects, where normal
quantiles without delta have 87 to 93 %; 94.1 to 95.2 % for their new responses, 94.6 to 94.9 %
for new responses of new subjects (normal: 91 to 94 %).

Derivatives are central differences in psi, all thetas in one call of the kernel. Directions of a
covariance that have no variance are held at it.
Z is never formed; rows are taken in blocks. Knows no formulas, data frames or options.

Source: Henderson (1975), Biometrics 31:423 (the equations); Kackar & Harville (1984), J. Am. Stat.
Assoc. 79:853 (delta); Booth & Hobert (1998), ibid. 93:262 (delta at the data); Prasad & Rao (1990),
ibid. 85:163, and Harville & Jeske (1992), ibid. 87:724 (twice).
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.gaussian.marginal import Evaluation, Kernel, evaluate, modes, times
from hierbayes.intervals.many_tests import t_quantile
from hierbayes.intervals.satterthwaite import STEP, variance_uncertainty
from hierbayes.results.linear_fit import LinearFit

AT_ONCE = 2**22  # numbers of one temporary array: 32 MB
# Near the boundary a variance has so large a relative error that its formal degrees of freedom fall
# below one, where quantiles run to a million. With two the intervals still hold enough (95 to 98 %
# for new groups of 4, 6 and 12 with small variances), and are half as wide as with one.
LEAST_DF = 2.0


@record
class GroupRows:
    """The effects of one chosen grouping factor in m rows, on the user's scale.

    Attributes
    ----------
    position : of the factor in the design
    codes : array of int, shape (m,), fitted levels; negative where the row has none
    z : array, shape (m, q)
    drawn : array of bool, shape (m,), rows without a fitted level whose effects vary as those of
        the fitted ones do; elsewhere such rows have effects of zero
    """

    position: int
    codes: IntArray
    z: FloatArray
    drawn: BoolArray


@record
class PredictionVariance:
    """Uncertainty of m predictions, response units squared.

    Attributes
    ----------
    given_theta : array, shape (m,), v of the module's header at the estimates
    delta : array, shape (m,), what the spread of theta-hat adds
    df : array, shape (m,), degrees of freedom; infinite where the variance is known

    ``delta`` and ``df`` are NaN where they hang on parameters of which the data say nothing.
    """

    given_theta: FloatArray
    delta: FloatArray
    df: FloatArray

    @property
    def sd(self) -> FloatArray:
        """Standard error of the predictions, shape (m,)."""
        return np.sqrt(self.given_theta + 2 * self.delta)

    def quantile(self, level: float) -> FloatArray:
        """Upper end of the central ``level`` of t with these degrees of freedom, shape (m,)."""
        return t_quantile(self.df, (1 + level) / 2)


def prediction_variance(
    fit: LinearFit,
    X: FloatArray,
    groups: Sequence[GroupRows],
    *,
    residual: FloatArray | None = None,
) -> PredictionVariance:
    """Variances of the predictions of m rows.

    Parameters
    ----------
    fit : LinearFit
    X : array, shape (m, p), kept columns
    groups : one a chosen grouping factor
    residual : array, shape (m,), optional
        One over the weights of new responses; none for expected responses.

    Returns
    -------
    PredictionVariance
        NaN where a row has a NaN in what is needed of it.
    """
    kernel = variance_uncertainty(fit).kernel
    rows = in_basis(kernel, X, groups)
    levels = [fit.design.factors[own.position].levels.size for own in groups]
    return _spread(fit, lambda theta: by_theta(kernel, theta, rows), levels, residual)


def combination_variance(
    fit: LinearFit, X: FloatArray, levels: Sequence[FloatArray]
) -> PredictionVariance:
    """Variances of m combinations of expected responses of fitted levels.

    A combination is l'beta + the sum over factors and levels of w'b, such as a mean of many rows.

    Parameters
    ----------
    fit : LinearFit
    X : array, shape (m, p), l of the kept columns
    levels : w of every grouping factor, arrays (m, J, q)
    """
    kernel, counts = variance_uncertainty(fit).kernel, [w.shape[1] for w in levels]
    return _spread(fit, lambda theta: combined(kernel, theta, X, levels), counts, None)


def _spread(
    fit: LinearFit,
    along: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    levels: Sequence[int],
    residual: FloatArray | None,
) -> PredictionVariance:
    """Variances and their own spread, from w-hat and v / sigma^2 (T, m) at thetas (T, k)."""
    known = variance_uncertainty(fit)
    steps = STEP * known.moves
    theta = known.theta + np.concatenate([np.zeros((1, known.theta.size)), steps, -steps])
    predicted, relative = along(theta)
    if residual is not None:
        relative += residual
    return uncertain(fit, predicted, relative, levels)


def uncertain(
    fit: LinearFit, predicted: FloatArray, relative: FloatArray, levels: Sequence[int]
) -> PredictionVariance:
    """Variances and their own spread.

    Parameters
    ----------
    fit : LinearFit
    predicted, relative : arrays, shape (1 + 2k, m), w-hat, up to a constant, and v / sigma^2, at
        the estimates and a step both ways along each psi but log sigma
    levels : of the chosen factors, how many there are
    """
    known, sigma = variance_uncertainty(fit), fit.sigma
    variance = sigma**2 * relative[0]
    slopes = np.empty((known.covariance.shape[0], variance.size))
    k = known.moves.shape[0]
    slopes[:k] = sigma**2 * _central(relative)
    slopes[k:] = 2 * variance  # log sigma, where it was estimated
    moves = np.zeros_like(slopes)
    moves[:k] = _central(predicted)
    delta = known.spread(moves.T, np.sqrt(variance))
    spread = known.spread(slopes.T, variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        formal = 2 * (variance + 2 * delta) ** 2 / spread
    df = np.where(spread == 0, np.inf, np.maximum(formal, _least_df(levels)))
    return PredictionVariance(given_theta=variance, delta=delta, df=df)


def _central(values: FloatArray) -> FloatArray:
    """Central differences (k, m) of values (1 + 2k, m) at, and a step both ways from, theta."""
    k = values.shape[0] // 2
    return np.asarray(values[1 : k + 1] - values[k + 1 :]) / (2 * STEP)


def _least_df(levels: Sequence[int]) -> float:
    """Lower bound of the degrees of freedom; none for fixed effects alone, as in their tests."""
    return float(np.clip(min(levels) - 1, 1, LEAST_DF)) if levels else 0.0


@record(kw_only=False)
class _Rows:
    """Rows in the basis of the products; z of the fitted levels, and z of those that vary."""

    X: FloatArray
    groups: tuple[GroupRows, ...]
    free: tuple[FloatArray, ...]


def in_basis(kernel: Kernel, X: FloatArray, groups: Sequence[GroupRows]) -> _Rows:
    """Return rows X (m, p) and their groups in the basis of the products."""
    anchor = kernel.products.anchor
    fitted, free = [], []
    for rows in groups:
        z = rows.z @ anchor.z_bases[rows.position]
        has_level = (rows.codes >= 0)[:, None]
        codes = np.maximum(rows.codes, 0)
        own = np.where(has_level, z, 0.0)
        fitted.append(GroupRows(position=rows.position, codes=codes, z=own, drawn=rows.drawn))
        free.append(np.where(rows.drawn[:, None], z, 0.0))
    return _Rows(X @ anchor.x_basis, tuple(fitted), tuple(free))


def by_theta(kernel: Kernel, theta: FloatArray, rows: _Rows) -> tuple[FloatArray, FloatArray]:
    """Return w-hat up to a constant, and v / sigma^2 of expected responses, both (T, m)."""
    T, m = theta.shape[0], rows.X.shape[0]
    predicted, relative = np.empty((T, m)), np.empty((T, m))
    p = rows.X.shape[1]
    sizes = [A.shape[0] * A.shape[1] * (p + 1 + A.shape[1]) for A in kernel.products.zz]
    for some in _blocks(T, 4 * sum(sizes) + 1):
        at = evaluate(kernel, theta[some])
        predicted[some], relative[some] = _with_fitted(kernel, at, rows)
        for group, z in zip(rows.groups, rows.free, strict=True):
            if z.any():
                relative[some] += ((z @ at.Lambdas[group.position]) ** 2).sum(axis=2)
    return predicted, relative


def _blocks(n: int, size: int) -> Iterator[slice]:
    """Cut n things of ``size`` numbers each into blocks that fit ``AT_ONCE``."""
    step = max(1, AT_ONCE // max(size, 1))
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def _with_fitted(kernel: Kernel, at: Evaluation, rows: _Rows) -> tuple[FloatArray, FloatArray]:
    """Return w-hat up to a constant, and a(theta), both (T, m)."""
    T, m, p = at.theta.shape[0], rows.X.shape[0], rows.X.shape[1]
    predicted, relative = np.empty((T, m)), np.empty((T, m))
    for some, D, square in _images(kernel, at, rows):
        relative[:, some] = square
        predicted[:, some] = -np.sqrt(at.pwrss)[:, None] * D[..., p]
    if len(rows.groups) > 1:
        relative += _between(kernel, at, rows.groups)
    return predicted, relative


def _images(
    kernel: Kernel, at: Evaluation, rows: _Rows
) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
    """Blocks of rows, C'(d, .) (T, rows, p + 1), and a(theta) but for what is between factors."""
    T, m, p = at.theta.shape[0], rows.X.shape[0], rows.X.shape[1]
    spread, covariances = _level_parts(kernel, at, rows.groups)
    q = max((group.z.shape[1] for group in rows.groups), default=1)
    for some in _blocks(m, T * q * (p + 1 + q)):
        D = rows.X[some] @ at.orthonormal[:, :p]
        for group, part in zip(rows.groups, spread, strict=True):
            D -= np.einsum("ma,tmac->tmc", group.z[some], part[:, group.codes[some]])
        square = (D[..., :p] ** 2).sum(axis=2)
        for group, cov in zip(rows.groups, covariances, strict=True):
            z = group.z[some]
            square += np.einsum("ma,tmab,mb->tm", z, cov[:, group.codes[some]], z)
        yield some, D, square


@record
class RowImages:
    """The rows of a fit in the metric of its mixed-model equations.

    Attributes
    ----------
    relative : array, shape (n,), (x, z)'M^-1(x, z) with M the matrix of the equations over sigma^2:
        the variance of each fitted value over that of a residual of weight 1
    image : array, shape (n, p), R'd with R R' = (X'V^-1X)^-1 and d of the header
    root : array, shape (p, p), R on the scale of the coefficients
    """

    relative: FloatArray
    image: FloatArray
    root: FloatArray


def row_images(fit: LinearFit, X: FloatArray, zs: Sequence[FloatArray]) -> RowImages:
    """Return rows X (n, p) and zs (n, q) of each factor in the metric of the fit.

    They are of the levels of the rows fitted: these, or combinations of rows of one level.
    """
    kernel, at, design = fit.kernel, fit.at, fit.design
    nothing = np.zeros(fit.nobs, dtype=np.bool_)
    groups = [
        GroupRows(position=position, codes=factor.codes, z=z, drawn=nothing)
        for position, (factor, z) in enumerate(zip(design.factors, zs, strict=True))
    ]
    rows, p = in_basis(kernel, X, groups), X.shape[1]
    relative, image = np.empty(fit.nobs), np.empty((fit.nobs, p))
    for some, D, square in _images(kernel, at, rows):
        relative[some], image[some] = square[0], D[0, :, :p]
    if len(groups) > 1:
        relative += _between(kernel, at, rows.groups)[0]
    root = kernel.products.anchor.x_basis @ at.orthonormal[0, :p, :p]
    return RowImages(relative=relative, image=image, root=root)


def combined(
    kernel: Kernel, theta: FloatArray, X: FloatArray, levels: Sequence[FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Return w-hat less X beta0 and v / sigma^2 of combinations at thetas (T, k), both (T, m)."""
    anchor = kernel.products.anchor
    levels = [w @ basis for w, basis in zip(levels, anchor.z_bases, strict=True)]
    X = X @ anchor.x_basis
    T, (m, p) = theta.shape[0], X.shape
    predicted, relative = np.empty((T, m)), np.empty((T, m))
    for some in _blocks(T, sum(w.size for w in levels) + 1):
        at = evaluate(kernel, theta[some])
        assert at.factor is not None
        D = X @ at.orthonormal[:, :p]
        found, right = modes(kernel, at), []
        for w, Lambda, u in zip(levels, at.Lambdas, found.u, strict=True):
            D -= np.einsum("mja,tjac->tmc", w, times(Lambda, u), optimize=True)
            right.append(np.einsum("tba,mjb->tjam", Lambda, w, optimize=True))
        relative[some] = (D[..., :p] ** 2).sum(axis=2)
        for half in at.factor.half_solve(right):
            relative[some] += (half**2).sum(axis=(1, 2))
        predicted[some] = -np.sqrt(at.pwrss)[:, None] * D[..., p]
    return predicted, relative


def _level_parts(
    kernel: Kernel, at: Evaluation, groups: Sequence[GroupRows]
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Lambda U C (T, J, q, p + 1) and Lambda (LL')^-1 Lambda' (T, J, q, q) by chosen factor."""
    if not groups:
        return [], []
    assert at.factor is not None
    found, blocks = modes(kernel, at), at.factor.covariances()
    spread, covariances = [], []
    for group in groups:
        Lambda, V = at.Lambdas[group.position], blocks[group.position]
        spread.append(times(Lambda, found.u[group.position]))
        covariances.append(Lambda[:, None] @ V @ np.swapaxes(Lambda, 1, 2)[:, None])
    return spread, covariances


def _between(kernel: Kernel, at: Evaluation, groups: Sequence[GroupRows]) -> FloatArray:
    """Twice the covariances between effects of different factors, the sum of f != g: (T, m).

    The levels of a pair of factors may never have met in the data, so they come from solves: one
    right side a column of each level there is, of all factors but the one with the most levels.
    """
    used = [(group, np.unique(group.codes[group.z.any(axis=1)])) for group in groups]
    used.sort(key=lambda pair: -pair[1].size)
    T = at.theta.shape[0]
    products = kernel.products
    sizes = [A.shape[0] * A.shape[1] for A in products.zz]
    sizes += [c.blocks.size for c in products.couplings.values()]
    total = np.zeros((T, groups[0].codes.size))
    for i, (group, levels) in enumerate(used[1:], start=1):
        q = group.z.shape[1]
        for some in _blocks(levels.size, T * q * sum(sizes)):
            solved = inverse_columns(kernel, at, position=group.position, levels=levels[some])
            place = np.full(products.zz[group.position].shape[0], -1)
            place[levels[some]] = np.arange(levels[some].size)
            rows = np.flatnonzero((place[group.codes] >= 0) & group.z.any(axis=1))
            right = group.z[rows] @ at.Lambdas[group.position]
            for other, _ in used[:i]:
                left = other.z[rows] @ at.Lambdas[other.position]
                columns = solved[other.position]
                for t in range(T):
                    block = columns[t][other.codes[rows], :, place[group.codes[rows]]]
                    total[t, rows] += 2 * np.einsum("ma,mab,mb->m", left[t], block, right[t])
    return total


def inverse_columns(
    kernel: Kernel, at: Evaluation, *, position: int, levels: IntArray
) -> list[FloatArray]:
    """Columns of (LL')^-1 at some levels of one factor: per factor (T, J, q_f, levels, q)."""
    assert at.factor is not None
    T, q = at.theta.shape[0], kernel.products.zz[position].shape[1]
    right = [np.zeros((T, *A.shape[:2], levels.size * q)) for A in kernel.products.zz]
    columns = np.arange(levels.size * q).reshape(levels.size, q)
    right[position][:, levels[:, None], np.arange(q), columns] = 1.0
    found = at.factor.back_solve(at.factor.half_solve(right))
    return [x.reshape(*x.shape[:3], levels.size, q) for x in found]
