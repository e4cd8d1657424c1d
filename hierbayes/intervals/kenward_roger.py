"""Kenward and Roger's covariance of beta-hat and degrees of freedom of its tests.

With V = sum_i gamma_i G_i the covariance of y (gamma: the entries of the random effects'
covariances, and sigma^2), Phi = (X'V^-1X)^-1 and

    P_i = -X'V^-1 G_i V^-1 X,    Q_ij = X'V^-1 G_i V^-1 G_j V^-1 X,
    W = 2 I^-1,  I_ij = tr(V^-1 G_i V^-1 G_j) - 2 tr(Phi Q_ij) + tr(Phi P_i Phi P_j),

where W is the covariance of gamma-hat, the covariance of beta-hat that includes the uncertainty of
gamma-hat is

    Phi_A = Phi + 2 Phi (sum_ij W_ij (Q_ij - P_i Phi P_j)) Phi.

V is linear in gamma, so there are no second derivatives. Of a covariance with a pattern (``cs ar1
toep``) gamma are its parameters and G_i derivatives of V in them; second derivatives are left out,
so that the answer is the same for any parameters (SAS's KENWARDROGER(FIRSTORDER)). Of residuals
with a structure the sums are those of ``residual_kenward_roger.py``. For the q rows
of L let D_i = R'Phi P_i Phi R with R R' = L'(L Phi L')^-1 L, A1 = sum_ij W_ij tr(D_i) tr(D_j) and
A2 = sum_ij W_ij tr(D_i D_j). The Wald statistic in Phi_A over q, times lambda, is about F(q, df),
lambda and df matching its first two moments.

All this is the same for any linear recombination of the gammas. In place of sigma^2 (where it is
estimated) V itself is taken, because its P is -Phi^-1, its Q_ij are -P_i and its traces those of
V^-1 G_i: nothing with the residuals has to be computed. In place of the covariances stand their
multiples S of ``gaussian/relative_frame.py``, which have no unit and lose no digits where the
residual sd is small beside them.

Source: Kenward & Roger (1997), Biometrics 53:983; Halekoh & Hojsgaard (2014), J. Stat. Softw.
59(9).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.capabilities import not_supported
from hierbayes.gaussian.covariance import CovarianceShape, lower_triangles
from hierbayes.gaussian.expected_information import Traces, covariance_traces, n_right_sides
from hierbayes.gaussian.levels_apart import levels_apart
from hierbayes.gaussian.marginal import Evaluation, Kernel, evaluate, gram, modes, transpose_times
from hierbayes.gaussian.patterned import check_patterned
from hierbayes.gaussian.relative_frame import Frame
from hierbayes.intervals.determined_part import DeterminedPart, determined_part
from hierbayes.intervals.residual_kenward_roger import dense_sums
from hierbayes.intervals.satterthwaite import DEPENDS, curved_inverse, frame_of
from hierbayes.likelihood.convergence import SINGULAR
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.once_a_fit import once_a_fit

ZERO = 1e-10  # numerators and denominators below it are zeros of the formulas, not numbers
NEAR_TWO = 1e-2  # degrees of freedom this near to 2, where lambda is not defined: as in pbkrtest
# Degrees of freedom that the random effects have to leave to the residual, tr(P W^-1) of n - p. A
# replicate of any kind leaves one or so however large the other variances are; where none is there
# the likelihood has no end, the search stops at 1e-5 or so by its own rules, and the sizes of all
# variances are accidents.
LEAST_RESIDUAL_DF = 1e-2
# Information on a covariance, as a part of the root of that on its two variances, that levels with
# both columns give: one of ten million gives 1e-7. Where no level has both there is none at all,
# of which rounding leaves 5e-16.
COMMON = 1e-11
# Operations that a fit with crossed factors may take: two minutes or so.
MOST_OPERATIONS = 1e11


@record
class KenwardRoger:
    """What the tests of any combination follow from, on the user's scale.

    Attributes
    ----------
    vcov : array, shape (p, p), Phi_A, the adjusted covariance of beta-hat
    plain : array, shape (p, p), Phi
    slopes : array, shape (m, p, p), Phi P_i Phi of each variance parameter
    spread : array, shape (m, m), W, the covariance of the variance parameters
    flat : array, shape (m, f), combinations of them of which the data say nothing; W has none
    """

    vcov: FloatArray
    plain: FloatArray
    slopes: FloatArray
    spread: FloatArray
    flat: FloatArray


@record
class FScaling:
    """Denominator degrees of freedom of an F test, and the factor lambda of its statistic.

    Both are NaN where no F distribution has the moments: variances that next to nothing is known
    of.
    """

    df: float
    factor: float


@once_a_fit
def kenward_roger(fit: LinearFit) -> KenwardRoger:
    """Return the adjusted covariance and what the degrees of freedom need, computed once a fit.

    Raises
    ------
    NotSupportedError
        For a fit by ML, where crossed factors are too large for it, and where the random effects
        leave nothing to the residual.
    """
    _check(fit)
    sums = _of_levels(fit) if fit.residual is None else _of_rows(fit)
    k, p = sums.P.shape[:2]
    m = k if fit.kernel.sigma_known else k + 1
    # columns of X orthonormal in V^-1, so Phi is the identity
    information, alone = np.zeros((m, m)), np.zeros(m)
    on_Q = np.einsum("iaja->ij", sums.Q)
    on_P = np.einsum("iab,jba->ij", sums.P, sums.P)
    information[:k, :k] = sums.double - 2 * on_Q + on_P
    alone[:k] = sums.alone
    P = sums.P
    if m > k:
        information[:k, k] = sums.single + np.einsum("iaa->i", P)
        information[k, :k] = information[:k, k]
        P = np.concatenate([P, -np.eye(p)[None]])
        alone[k] = information[k, k] = fit.nobs - p
    inverse, flat = curved_inverse(information, alone)
    W = 2 * inverse
    U = np.einsum("ij,iajb->ab", W[:k, :k], sums.Q)
    U -= np.einsum("ij,iab,jbc->ac", W[:k, :k], P[:k], P[:k])
    half = sums.half
    return KenwardRoger(
        vcov=half @ (np.eye(p) + U + U.T) @ half.T,
        plain=half @ half.T,
        slopes=half @ P @ half.T,
        spread=W,
        flat=flat,
    )


@record
class _Sums:
    """P, Q and traces of the k parameters but sigma, X orthonormal in V^-1.

    Attributes
    ----------
    P, Q : arrays, shape (k, p, p) and (k, p, k, p)
    single, double : arrays, shape (k,) and (k, k), traces
    alone : array, shape (k,), information on each if nothing else were estimated
    half : array, shape (p, p), root of the covariance of beta, user's scale
    """

    P: FloatArray
    Q: FloatArray
    single: FloatArray
    double: FloatArray
    alone: FloatArray
    half: FloatArray


def _of_levels(fit: LinearFit) -> _Sums:
    """Sum over levels, where residuals are independent."""
    part, p = _part(fit), fit.beta.size
    frame = frame_of(*_in_full_triangles(part.kernel, part.at))
    kernel, at = frame.kernel, frame.at
    J = _along_patterns(part.kernel, part.at, kernel.shape, frame.roots)
    k = kernel.shape.n_theta if J is None else J.shape[1]
    P, Q, alone = np.zeros((k, p, p)), np.zeros((k, p, k, p)), np.zeros(k)
    traces = Traces(single=np.zeros(k), double=np.zeros((k, k)))
    if k and p:
        P, Q, traces = _along(J, *_slopes(frame), covariance_traces(frame))
        own = np.diag(traces.double)
        alone = _information_alone(kernel.shape, own) if J is None else own
    half = fit.sigma * kernel.products.anchor.x_basis @ at.orthonormal[0, :p, :p]
    return _Sums(P=P, Q=Q, single=traces.single, double=traces.double, alone=alone, half=half)


def _of_rows(fit: LinearFit) -> _Sums:
    """Sum over blocks of rows, where residuals have a structure."""
    kernel, at = _in_full_triangles(fit.kernel, fit.at)
    shape, p = kernel.shape, fit.beta.size
    J = _along_patterns(fit.kernel, fit.at, shape, [np.eye(q) for q in shape.sizes])
    found = dense_sums(fit, kernel, at, J=J, most_operations=MOST_OPERATIONS)
    _check_left(fit, found.residual_df)
    alone = np.diag(found.double).copy()
    if J is None:
        alone[: shape.n_theta] = _information_alone(shape, alone[: shape.n_theta])
    return _Sums(
        P=found.P,
        Q=found.Q,
        single=found.single,
        double=found.double,
        alone=alone,
        half=fit.sigma * kernel.products.anchor.x_basis @ at.orthonormal[0, :p, :p],
    )


def _part(fit: LinearFit) -> DeterminedPart:
    """Return what the data determine, related levels in axes in which they are independent."""
    part = determined_part(fit)
    apart = levels_apart(part.kernel)
    if apart is None:
        return part
    return replace(part, kernel=apart.kernel, at=evaluate(apart.kernel, part.at.theta))


def _in_full_triangles(kernel: Kernel, at: Evaluation) -> tuple[Kernel, Evaluation]:
    """Return the same covariances with every entry of a term's triangle a parameter."""
    shape = kernel.shape
    if shape.is_plain:
        return kernel, at
    full = replace(kernel, shape=CovarianceShape(shape.sizes, shape.terms))
    theta = full.shape.pack([lower_triangles(Lambda) for Lambda in at.Lambdas])
    return full, evaluate(full, theta)


def _along_patterns(
    kernel: Kernel, at: Evaluation, full: CovarianceShape, roots: Sequence[FloatArray]
) -> FloatArray | None:
    """Return derivatives of the entries of S in the parameters of the covariances, (entries, k).

    S is in the columns of the products times ``roots``, one a factor, and has the shape ``full``.
    None where all terms have full covariances. Parameters at a bound are held there.
    """
    shape = kernel.shape
    if shape.is_plain:
        return None
    par = kernel.basis_shape.parameters(at.theta)
    free = kernel.basis_shape.above_bound(at.theta[0]) >= SINGULAR
    columns = []
    for i, own in enumerate(shape.structures):
        part, entries, (factor, block) = shape.slices[i], full.slices[i], shape.blocks[i]
        if own is None:
            columns.append(np.eye(full.n_theta)[:, entries])
            continue
        kept = free[part] & (not own.is_scale.any() or free[part][own.is_scale].any())
        with np.errstate(divide="ignore", invalid="ignore"):
            slope, root = own.slope(par[:, part])[0][kept], own.root(par[:, part])[0]
        basis = kernel.products.anchor.z_bases[factor][block]
        to_frame = np.linalg.inv(basis @ roots[factor][block])
        half = to_frame @ slope @ (to_frame @ root).T
        rows, places = np.triu_indices(root.shape[0])  # of the transpose: column by column
        found = np.zeros((full.n_theta, int(kept.sum())))
        found[entries] = (half + np.swapaxes(half, 1, 2))[:, places, rows].T
        columns.append(found)
    return np.concatenate(columns, axis=1)


def _along(
    J: FloatArray | None, P: FloatArray, Q: FloatArray, traces: Traces
) -> tuple[FloatArray, FloatArray, Traces]:
    """Return P, Q and the traces of parameters whose derivatives J (entries, k) are."""
    if J is None:
        return P, Q, traces
    own = Traces(single=J.T @ traces.single, double=J.T @ traces.double @ J)
    return np.tensordot(J.T, P, axes=1), np.einsum("ei,eafb,fj->iajb", J, Q, J), own


def _check(fit: LinearFit) -> None:
    if fit.method == "ml":
        raise not_supported("kenward-roger-ml")
    check_patterned(fit.design, "Kenward and Roger's method")
    if fit.residual is not None:
        return
    part = _part(fit)
    if not part.kernel.shape.sizes:
        return
    operations = n_right_sides(part.kernel) * float(part.kernel.pattern.n_numbers)
    if operations > MOST_OPERATIONS:
        raise not_supported("kenward-roger-size", operations=operations)
    _check_residual(fit, part)


def _information_alone(shape: CovarianceShape, own: FloatArray) -> FloatArray:
    """Information on each entry of S, shape (k,), if nothing else were estimated.

    Infinite for a covariance whose columns no level has together: whatever is left is rounding.
    """
    alone = own.copy()
    for index, row, column in shape.factor_entries:
        variance = np.zeros(int(row.max()) + 1)
        variance[row[row == column]] = own[index[row == column]]
        both = np.sqrt(variance[row] * variance[column])
        alone[index] = np.where(own[index] > COMMON * both, own[index], np.inf)
    return alone


def _check_residual(fit: LinearFit, part: DeterminedPart) -> None:
    """Raise NotSupportedError where the random effects leave nothing to estimate sigma from."""
    at = part.at
    if part.kernel.sigma_known or at.factor is None:
        return
    left = float(fit.nobs - fit.beta.size)
    found = modes(part.kernel, at)
    traces = at.factor.trace_blocks()
    for Lambda, trace, u, h in zip(at.Lambdas, traces, found.u, found.h, strict=True):
        # u is Lambda'h but of related levels, A Lambda'h
        squares = (u * transpose_times(Lambda, h))[..., :-1]
        left -= float(np.vdot(Lambda[0], trace[0])) - float(squares.sum())
    _check_left(fit, left)


def _check_left(fit: LinearFit, left: float) -> None:
    if left < LEAST_RESIDUAL_DF:
        raise not_supported("kenward-roger-residual", sigma=fit.sigma, df=max(left, 0.0))


def _slopes(frame: Frame) -> tuple[FloatArray, FloatArray]:
    """P (k, p, p) and Q (k, p, k, p) of the entries of S, in units of sigma^2 = 1."""
    shape, p = frame.kernel.shape, frame.at.root_xvx.shape[1]
    k = shape.n_theta
    left = [x[..., :p] for x in frame.responses(frame.at)[1]]
    P = np.zeros((k, p, p))
    directions = []
    for f, (index, row, column) in enumerate(shape.factor_entries):
        H = left[f][0]
        E_H = np.zeros((1, *H.shape[:2], k, p))
        for i, a, b in zip(index, row, column, strict=True):
            E_H[0, :, a, i] = H[:, b]
            E_H[0, :, b, i] = H[:, a]
            cross = H[:, a].T @ H[:, b]
            P[i] = -cross if a == b else -(cross + cross.T)
        directions.append(E_H.reshape(1, *H.shape[:2], k * p))
    Q = gram(directions, frame.times(directions))
    return P, Q[0].reshape(k, p, k, p)


def kenward_roger_df(fit: LinearFit, L: FloatArray | None = None) -> FloatArray:
    """Degrees of freedom of t tests of the rows of L beta = 0.

    Parameters
    ----------
    fit : LinearFit
        By REML.
    L : array, shape (c, p), optional
        Combinations of the kept fixed effects; each coefficient alone when not given.

    Returns
    -------
    array, shape (c,)
    """
    known = kenward_roger(fit)
    L = np.eye(fit.beta.size) if L is None else L
    variance = np.einsum("ci,ij,cj->c", L, known.plain, L)
    D = np.einsum("ci,mij,cj->cm", L, known.slopes, L) / variance[:, None]
    A = np.einsum("cm,mk,ck->c", D, known.spread, D)
    hangs = (np.abs(D @ known.flat) > DEPENDS).any(axis=1)
    with np.errstate(divide="ignore"):
        # what the formulas of f_scaling become for q = 1; lambda is 1
        return np.where(hangs, np.nan, np.where(A > ZERO, 2 / A, np.inf))


def f_scaling(known: KenwardRoger, L: FloatArray) -> FScaling:
    """Return degrees of freedom and lambda of the F test of L beta = 0.

    Parameters
    ----------
    known : KenwardRoger
    L : array, shape (q, p), of full row rank
    """
    q = L.shape[0]
    root = np.linalg.cholesky(L @ known.plain @ L.T)
    R = np.linalg.solve(root, L)
    D = R @ known.slopes @ R.T
    if (np.abs(np.einsum("mab,mf->fab", D, known.flat)) > DEPENDS).any():
        return FScaling(df=np.nan, factor=np.nan)
    traces = np.einsum("iaa->i", D)
    A1 = float(traces @ known.spread @ traces)
    A2 = float(np.einsum("iab,ij,jba->", D, known.spread, D))
    if A2 <= ZERO:
        return FScaling(df=np.inf, factor=1.0)
    if q == 1:
        return FScaling(df=2 / A2, factor=1.0)
    B = (A1 + 6 * A2) / (2 * q)
    g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
    below = 3 * q + 2 * (1 - g)
    V0 = 1 + g / below * B
    V1 = 1 - (q - g) / below * B
    V2 = 1 - (q + 2 - g) / below * B
    left = 1 - A2 / q
    ratio = 1.0 if abs(left) < ZERO and abs(V1) < ZERO else left / V1
    rho = ratio**2 * (0.0 if abs(V0) < ZERO else V0) / V2 / q
    df = 4 + (q + 2) / (q * rho - 1)
    factor = 1.0 if abs(df - 2) < NEAR_TWO else df * left / (df - 2)
    exists = df > 0 and factor > 0
    return FScaling(df=df, factor=factor) if exists else FScaling(df=np.nan, factor=np.nan)
