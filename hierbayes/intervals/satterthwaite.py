"""Satterthwaite's degrees of freedom of a t test of a linear combination of fixed effects.

With psi the variance parameters, V(psi) the covariance matrix of beta-hat and A the covariance
matrix of psi-hat (twice the inverse Hessian of the deviance before sigma is profiled out),

    df(L) = 2 (L'V L)^2 / (g'A g),    g_i = L' (dV / dpsi_i) L.

No psi has a unit. One is log sigma. The others are the entries of E in Lambda (I + E), E lower
triangular: on its diagonal they are log sds, below it shares of one sd in another, in whatever
columns and units the effects are. With u and Lambda of ``gaussian/marginal.py`` and (u C)_x,
(u C)_e the columns of X and of e that are orthonormal in V^-1, sums over levels give exactly

    dV / dE_ij          = sigma^2 R ((u C)_x,i (u C)_x,j' + its transpose) R', R R' = (X'V^-1X)^-1
    dV / dlog sigma     = 2 V
    d2 / dE_ij dlog sigma = 4 m (u C)_e,i'(u C)_e,j,  d2 / dlog sigma^2 = 4 df,  m = r^2 / sigma^2

and the gradient 2 (Lambda' slope in Lambda)_ij. The second derivatives in E are central differences
of that gradient: exact ones need all of (L L')^-1, which crossed factors do not allow.

A covariance on the boundary has directions without variance. They are held there: what is left is
a covariance of lower rank, whose tangents E_ij have j among the directions with variance and i
among all, those without it being lengthened to a variance that a level would just show. The
deviance falls into two parts there, as V does not change to first order along what is held.

Where a term has a structure of its own psi are its parameters (``coordinate_curvature.py``).

Source: Kuznetsova, Brockhoff & Christensen (2017), J. Stat. Softw. 82(13), section 2.
"""

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.gaussian.covariance import CovarianceShape, term_covariances
from hierbayes.gaussian.kernel import with_products
from hierbayes.gaussian.marginal import Evaluation, Kernel, counted, evaluate
from hierbayes.gaussian.products import Products
from hierbayes.gaussian.relative_frame import Frame
from hierbayes.gaussian.turned import principal_axes, turned
from hierbayes.intervals.coordinate_curvature import Curved, coordinate_curvature
from hierbayes.intervals.determined_part import determined_part
from hierbayes.intervals.residual_curvature import residual_curvature
from hierbayes.likelihood.convergence import SINGULAR, is_term_singular
from hierbayes.likelihood.fading import SD_AT_ZERO
from hierbayes.likelihood.lmm import singular_terms
from hierbayes.options import Ddf
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.once_a_fit import once_a_fit

# Of psi. As functions of E the criterion's derivatives have their nearest poles one unit away or
# further, so central differences are wrong by about the square of this, and rounding adds 1e-12.
STEP = 1e-4
# Curvatures below this part of what they would be if nothing else were estimated, and eigenvalues
# of the Hessian with a unit diagonal below it, are no curvature: differences are good to 1e-8.
FLAT = 1e-6
# A variance that changes by less than this part along a flat direction does not depend on it.
DEPENDS = 1e-6
# Relative variance of an estimated variance that is rounding (1e-20) and not its uncertainty: more
# than 2e10 degrees of freedom are infinite, and change no digit of a p-value that is printed.
CERTAIN = 1e-10
AT_ONCE = 2**22  # numbers that the factors of one batch of thetas may hold: 32 MB


@record
class VarianceUncertainty:
    """What the degrees of freedom of any combination follow from.

    Attributes
    ----------
    kernel : the fit's kernel, turned to the axes of the covariances where one is singular
    theta : array, shape (k,), the estimate in it
    moves : array, shape (m - 1 or m, k), derivative of theta in each psi but log sigma, the last
    covariance : array, shape (m, m), A of the module's header
    root : array, shape (p, p), R of the covariance R R' of beta, user's scale
    slopes : array, shape (m, p, p), R S R' are the derivatives of that covariance in psi
    flat : array, shape (m, f), directions of psi of which the data say nothing; A has none of them
    """

    kernel: Kernel
    theta: FloatArray
    moves: FloatArray
    covariance: FloatArray
    root: FloatArray
    slopes: FloatArray
    flat: FloatArray

    def spread(self, slopes: FloatArray, values: FloatArray) -> FloatArray:
        """Variances of estimated variances ``values`` (c,) with ``slopes`` (c, m) in psi: (c,).

        NaN where a value hangs on what the data say nothing of.
        """
        found = np.asarray(((slopes @ self.covariance) * slopes).sum(axis=1))
        hangs = (np.abs(slopes @ self.flat) > DEPENDS * values[:, None]).any(axis=1)
        return np.where(hangs, np.nan, found)


@once_a_fit
def variance_uncertainty(fit: LinearFit) -> VarianceUncertainty:
    """Hessian of the deviance in psi and derivatives of vcov(beta) at the estimates."""
    if fit.residual is not None:
        return _of_residuals(fit)
    part = determined_part(fit)
    return uncertainty_at(part.kernel, part.at)


def _of_residuals(fit: LinearFit) -> VarianceUncertainty:
    """``variance_uncertainty`` where residuals have a structure, whose parameters count too."""
    found, p = residual_curvature(fit), fit.beta.size
    covariance, flat = curved_inverse(found.hessian, np.abs(np.diag(found.hessian)))
    return VarianceUncertainty(
        kernel=found.kernel,
        theta=found.at.theta[0],
        moves=found.moves[:, : found.at.theta.shape[1]],
        covariance=2 * covariance,
        root=fit.sigma * found.kernel.products.anchor.x_basis @ found.at.orthonormal[0, :p, :p],
        slopes=found.slopes,
        flat=flat,
    )


def uncertainty_at(kernel: Kernel, at: Evaluation) -> VarianceUncertainty:
    """Return ``variance_uncertainty`` of a kernel at its estimates, one theta."""
    plain = kernel.shape.is_plain and kernel.pattern.name != "related"  # U is not Lambda'H
    found = _along_tangents(kernel, at) if plain else coordinate_curvature(kernel, at)
    kernel, at, p = found.kernel, found.at, kernel.products.xy.size
    covariance, flat = curved_inverse(found.hessian, found.alone)
    return VarianceUncertainty(
        kernel=kernel,
        theta=at.theta[0],
        moves=found.moves,
        covariance=2 * covariance,
        root=at.sigma[0] * kernel.products.anchor.x_basis @ at.orthonormal[0, :p, :p],
        slopes=found.slopes,
        flat=flat,
    )


def _along_tangents(kernel: Kernel, at: Evaluation) -> Curved:
    """Differentiate in the entries of E, where every term has a full triangle."""
    tangents = _tangents(frame_of(kernel, at))
    kernel, at, k = tangents.frame.kernel, tangents.frame.at, tangents.row.size
    m = k + (0 if kernel.sigma_known else 1)
    p = kernel.products.xy.size
    hessian, slopes = np.zeros((m, m)), np.zeros((m, p, p))
    alone = np.zeros(m)  # size of the diagonal of the Hessian
    if k:
        crossed = _level_products(tangents)
        slopes[:k] = crossed[:, :p, :p] + np.swapaxes(crossed[:, :p, :p], 1, 2)
        hessian[:k, :k] = _curvature(tangents)
        alone[:k] = _size_of_curvature(tangents)
    if m > k:
        slopes[k] = 2 * np.eye(p)
        alone[k] = hessian[k, k] = 4 * kernel.df
        if k:
            weight = at.pwrss[0] / at.sigma[0] ** 2
            hessian[:k, k] = hessian[k, :k] = 4 * weight * crossed[:, p, p]
    return Curved(
        kernel=kernel,
        at=at,
        moves=tangents.moves,
        hessian=hessian,
        slopes=slopes,
        alone=alone,
    )


@record
class _Tangents:
    """The k entries of E, which keep a covariance of its rank.

    Attributes
    ----------
    frame : Lambda_0, in which E is counted
    factor, row, column : arrays of int, shape (k,), where the entries are
    moves : array, shape (k, k of theta), derivative of theta in each
    """

    frame: Frame
    factor: IntArray
    row: IntArray
    column: IntArray
    moves: FloatArray


def frame_of(kernel: Kernel, at: Evaluation) -> Frame:
    """Return the frame of an estimate; where a covariance is singular in the axes of them all."""
    shape = kernel.shape
    has_variance = _with_variance(shape, at.theta[0])
    if any(not has.all() for has in has_variance) and not shape.is_diagonal.all():
        axes, theta = principal_axes(shape, at.theta[0])
        products = turned(kernel.products, axes)
        kernel = with_products(kernel, products)
        at = evaluate(kernel, theta[None])
        has_variance = _with_variance(shape, theta)
    sizes = _shown(kernel.products)
    return Frame(kernel=kernel, at=at, has_variance=has_variance, sizes=sizes)


def _tangents(frame: Frame) -> _Tangents:
    shape = frame.kernel.shape
    factor, row, column = shape.entries
    is_free = np.zeros(shape.n_theta, dtype=bool)
    moved = [np.zeros((shape.n_theta, q, q)) for q in shape.sizes]
    for f, (index, i, j) in enumerate(shape.factor_entries):
        is_free[index] = frame.has_variance[f][j]
        moved[f][index, :, j] = frame.roots[f].T[i]
    return _Tangents(
        frame=frame,
        factor=factor[is_free],
        row=row[is_free],
        column=column[is_free],
        moves=shape.pack(moved)[is_free] if shape.n_theta else np.empty((0, 0)),
    )


def _with_variance(shape: CovarianceShape, theta: FloatArray) -> list[BoolArray]:
    """Which columns of each Lambda hold variance, array (q,) a factor.

    Of a singular covariance in its own axes the columns with none; else of a singular term none
    is known, and all count as without.
    """
    Lambdas = shape.unpack(theta[None])
    found = [np.ones(q, dtype=bool) for q in shape.sizes]
    for factor, columns in shape.terms:
        root = Lambdas[factor][0][np.ix_(columns, columns)]
        if is_term_singular(root):
            found[factor][list(columns)] = np.abs(np.diag(root)) >= SINGULAR
            if found[factor][list(columns)].all():
                found[factor][list(columns)] = False
    return found


def _shown(products: Products) -> list[FloatArray]:
    """Relative sds (q,) a factor with which a mean level has as much variance as its residuals."""
    diagonals = (np.diagonal(A, axis1=1, axis2=2).mean(axis=0) for A in products.zz)
    return [1 / np.sqrt(np.where(size > 0, size, 1.0)) for size in diagonals]


def _level_products(tangents: _Tangents) -> FloatArray:
    """Return sums over levels of (Lambda_0'H C)_i (Lambda_0'H C)_j', (k, p + 1, p + 1)."""
    _, left = tangents.frame.responses(tangents.frame.at)
    found = [
        left[f][0, :, i].T @ left[f][0, :, j]
        for f, i, j in zip(tangents.factor, tangents.row, tangents.column, strict=True)
    ]
    return np.array(found)


def _curvature(tangents: _Tangents) -> FloatArray:
    """Second derivatives (k, k) of the deviance at a fixed sigma in the entries of E."""
    frame, k = tangents.frame, tangents.row.size
    steps = STEP * np.concatenate([np.eye(k), -np.eye(k)])
    theta = frame.at.theta + steps @ tangents.moves
    most = max(1, AT_ONCE // max(frame.kernel.pattern.n_numbers, 1))
    gradients = np.concatenate(
        [
            _gradient(tangents, theta[i : i + most], steps[i : i + most])
            for i in range(0, 2 * k, most)
        ]
    )
    block = (gradients[:k] - gradients[k:]) / (2 * STEP)
    return np.asarray(block + block.T) / 2


def _gradient(tangents: _Tangents, theta: FloatArray, steps: FloatArray) -> FloatArray:
    """Return derivatives (T, k) of the deviance in E at thetas one entry of E away each.

    Lambda'D comes from u alone: what H loses to cancellation where Lambda is large is not in it.
    """
    frame, kernel = tangents.frame, tangents.frame.kernel
    at = evaluate(kernel, theta)
    assert at.factor is not None
    weight = at.pwrss / frame.at.sigma[0] ** 2
    slopes = []
    traces = at.factor.trace_blocks()
    for f, (u, left) in enumerate(zip(*frame.responses(at), strict=True)):
        has, unit = frame.has_variance[f], frame.sizes[f]
        own = np.swapaxes(at.Lambdas[f], 1, 2) @ traces[f]
        own = np.where(has[:, None], own, unit[:, None] * traces[f])
        slopes.append(own - counted(kernel, left, u, weight))
    # what was found is for columns of Lambda_0 (I + E); those of Lambda_0 itself are wanted
    for t, r in enumerate(np.abs(steps).argmax(axis=1)):
        i, j, step = tangents.row[r], tangents.column[r], steps[t, r]
        slope = slopes[tangents.factor[r]][t]
        slope[j] = slope[j] / (1 + step) if i == j else slope[j] - step * slope[i]
    entries = zip(tangents.factor, tangents.row, tangents.column, strict=True)
    return 2 * np.column_stack([slopes[f][:, i, j] for f, i, j in entries])


def _size_of_curvature(tangents: _Tangents) -> FloatArray:
    """Twice the expected information on each entry of E if the levels' effects were orthogonal."""
    frame, at = tangents.frame, tangents.frame.at
    assert at.factor is not None
    sums = []
    for f, trace in enumerate(at.factor.trace_blocks()):
        levels = frame.kernel.products.zz[f].shape[0]
        shown = np.diagonal(at.Lambdas[f][0].T @ trace[0]) / levels
        share = np.where(frame.has_variance[f], shown, 1.0)
        sums.append(4 * levels * np.outer(share, share))
    entries = zip(tangents.factor, tangents.row, tangents.column, strict=True)
    return np.array([sums[f][i, j] for f, i, j in entries])


def curved_inverse(curvature: FloatArray, alone: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Inverse of a Hessian or information without its flat directions, and those.

    Parameters
    ----------
    curvature : array, shape (m, m)
    alone : array, shape (m,), its diagonal if nothing else were estimated

    Returns
    -------
    array, shape (m, m); array, shape (m, f)
    """
    curved = np.diag(curvature) > FLAT * alone
    root = np.sqrt(np.where(curved, np.diag(curvature), 1.0))
    scaled = np.where(curved & curved[:, None], curvature / root / root[:, None], 0.0)
    size, axes = np.linalg.eigh(scaled)
    axes = axes / root[:, None]
    kept = size > FLAT
    return (axes[:, kept] / size[kept]) @ axes[:, kept].T, axes[:, ~kept]


def satterthwaite_df(fit: LinearFit, L: FloatArray | None = None) -> FloatArray:
    """Degrees of freedom of t tests of the rows of L beta = 0.

    Parameters
    ----------
    fit : LikelihoodFit
    L : array, shape (c, p), optional
        Combinations of the kept fixed effects; each coefficient alone when not given.

    Returns
    -------
    array, shape (c,), infinite where nothing about the variance had to be estimated, NaN where it
    hangs on parameters of which the data say nothing
    """
    L = np.eye(fit.beta.size) if L is None else L
    if fit.is_linear_model and fit.residual is None:
        exact = np.inf if fit.kernel.sigma_known else float(fit.nobs - fit.beta.size)
        return np.full(L.shape[0], exact)
    variance = ((L @ fit.representing.vcov_root) ** 2).sum(axis=1)
    return df_of(variance_uncertainty(fit), L, variance)


def df_of(known: VarianceUncertainty, L: FloatArray, variance: FloatArray) -> FloatArray:
    """Degrees of freedom (c,) of combinations L (c, p) whose variances (c,) are given."""
    rows = L @ known.root
    g = np.einsum("ci,mij,cj->cm", rows, known.slopes, rows)
    with np.errstate(divide="ignore", invalid="ignore"):  # a combination of nothing has none
        relative = known.spread(g / variance[:, None], np.ones_like(variance))
        return np.where(relative <= CERTAIN, np.inf, 2 / relative)


def held_notes(fit: LikelihoodFit, ddf: Ddf) -> tuple[str, ...]:
    """Say which parameters degrees of freedom hold at the boundary; nothing where there is none."""
    if not isinstance(fit, LinearFit):
        return ()
    unknown = fit.kernel.undetermined
    note = (fit.undetermined_note,) if unknown is not None else ()
    if ddf != "satterthwaite" or (fit.is_linear_model and fit.residual is None):
        return note
    covariances = term_covariances(fit.kernel.shape, fit.representative, fit.sigma)
    held = [
        f"the residual sd of {found.numbers['rows']} (zero)"
        for found in fit.findings
        if found.code == SD_AT_ZERO
    ]
    for i in singular_terms(fit.kernel.basis_shape, fit.at.Lambdas):
        if unknown is not None and unknown.parameters[unknown.slices[i]].any():
            continue
        term = fit.design.terms[i]
        factor = fit.design.factors[term.factor]
        names = [factor.columns[c] for c in term.columns]
        zero = [n for n, sd in zip(names, covariances[i].sd, strict=True) if sd == 0]
        what = "sd" if len(zero) == 1 else "sds"
        held.append(
            f"the between-{factor.name} {what} of {', '.join(zero)} (zero)"
            if zero
            else f"the covariance of {term.label} (singular: a combination of its effects does "
            "not vary)"
        )
    if not held:
        return note
    return (
        *note,
        f"Held at the boundary: {'; '.join(held)}. Degrees of freedom by Satterthwaite's method "
        "count the uncertainty of the other variances only.",
    )
