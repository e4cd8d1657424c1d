"""REML and ML fits of linear mixed models: from a design to the optimum over theta.

The criterion is a function of theta alone (``gaussian/marginal.py``). The search runs over the
triangles of Lambda without constraints, in a basis where the columns of each random-effects term
are orthogonal and of unit length: there every estimate is of order one and one starting point
serves all data. A triangle that differs by the signs of its columns is the same model, so signs are
put right at the end, and entries that run into zero are set to exactly zero when that costs
nothing.

At a zero the derivative in Lambda vanishes whether or not the criterion still falls when variance
is added; so the derivative in the covariance is checked there, and where it is negative the
search goes on from a point with variance in that direction. Near the boundary the search goes on in
the axes of the covariances found so far (``gaussian/turned.py``), where no curved valley is left.
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.design.design import Design
from hierbayes.errors import DataError
from hierbayes.gaussian.covariance import CovarianceShape, lower_triangle, term_covariances
from hierbayes.gaussian.kernel import with_products
from hierbayes.gaussian.marginal import (
    Evaluation,
    Kernel,
    covariance_slope,
    derivatives,
    evaluate,
)
from hierbayes.gaussian.turned import principal_axes, turned
from hierbayes.likelihood.convergence import (
    boundary_finding,
    design_findings,
    has_all_directions,
    is_term_singular,
    suspect_finding,
)
from hierbayes.likelihood.determined import (
    determined_design,
    determined_kernel,
    doubtful_terms,
    on_all_columns,
)
from hierbayes.likelihood.optimise import MAX_STEPS, Local, Optimum, minimise
from hierbayes.likelihood.undetermined_findings import undetermined_findings
from hierbayes.linalg.stacked import cholesky_stack, solve_lower_stack
from hierbayes.results.finding import Finding

# Diagonal entries are kept this far from zero during the search, so that the curvature in the
# covariance, slope / Lambda, is defined; the criterion moves by the square of it.
FLOOR = 1e-5
# Entries below this are tried as exact zeros; kept if the criterion does not rise by more than
# ZERO_COST, far below what a deviance means and far above its rounding.
TRY_ZERO = 3e-3
ZERO_COST = 1e-9
# A covariance slope below minus this (deviance per squared relative sd) is a way down.
WAY_DOWN = 1e-3
FAR = (0.3, 1.0, 3.0, 10.0, 30.0)  # sds, in residual sds, looked at where one is estimated as zero
NEAR = (0.03, 0.1)  # where also a structure is looked at, as no direction downhill is asked for
START_RANGE = (0.01, 100.0)  # of the variances the search starts from, in residual variances
SMALLEST_START = 1e-4  # residual variance to start from, as part of the total
# Keeps levels with fewer rows than columns solvable, as part of the mean level: small enough that
# balanced factors get their exact answer, then large enough that rounding cannot matter.
RIDGE = 1e-13
SURE_RIDGE = 1e-6
RESTARTS = 4
RESCALED = 5  # searches with scales of their own, where sds are far above the residual's
# A term whose smallest sd over directions is below this, in residual sds or as part of its largest,
# may hold the search in a valley (gaussian/turned.py); elsewhere it is done in far fewer steps
# than PATIENCE.
NEAR_ZERO = 0.05
PATIENCE = 30
TURNS = 4


@record
class LmmFit:
    """Where the search ended, in the basis of the products.

    Attributes
    ----------
    kernel : the kernel of the method, perhaps in other columns than the one that was given
    at : its evaluation at the optimum
    theta : array, shape (k,), lme4's theta, on the user's scale
    converged, is_singular : verdicts
    findings : conditions met during the search
    steps : accepted steps over all searches
    """

    kernel: Kernel
    at: Evaluation
    theta: FloatArray
    converged: bool
    is_singular: bool
    findings: tuple[Finding, ...]
    steps: int


def fit_lmm(design: Design, kernel: Kernel, *, start: FloatArray | None = None) -> LmmFit:
    """Find the optimum of the criterion.

    Parameters
    ----------
    design : Design
        For the words of findings only.
    kernel : Kernel
    start : array, shape (k,), optional
        A theta to start from, in the basis of the products.

    Raises
    ------
    DataError
        If the criterion cannot be computed at the start: the residual variation is zero.
    """
    unknown = kernel.undetermined
    if unknown is None:
        return _fitted(design, kernel, start)
    silent = doubtful_terms(unknown)
    if not any(unknown.removed):
        return _fitted(design, kernel, start, silent=silent)
    part = _fitted(
        determined_design(design, unknown), determined_kernel(kernel), None, silent=silent
    )
    theta = on_all_columns(unknown, part.theta[None])[0]
    at = _evaluated(kernel, kernel.in_basis(theta))
    return replace(part, kernel=kernel, at=at, theta=theta)


def _fitted(
    design: Design,
    kernel: Kernel,
    start: FloatArray | None,
    *,
    silent: AbstractSet[int] = frozenset(),
) -> LmmFit:
    """``fit_lmm`` where no column is held at zero; no word of the boundary of ``silent`` terms."""
    shape = kernel.basis_shape
    if shape.n_theta == 0:
        at = _evaluated(kernel, np.empty(0))
        return LmmFit(
            kernel=kernel,
            at=at,
            theta=np.empty(0),
            converged=True,
            is_singular=False,
            findings=(),
            steps=0,
        )
    first = moment_start(kernel) if start is None else start
    kernel, reached = _out_of_valleys(kernel, first)
    shape = kernel.basis_shape
    best, moved, restarts, steps = _search(kernel, reached)
    x = shape.rectified(best.x)
    at = best.state if np.array_equal(x, best.x) else _evaluated(kernel, x)
    x, at = _with_zeros(kernel, x, at)
    theta = kernel.from_basis(x)
    singular = singular_terms(shape, x)
    findings = []
    told = [i for i in singular if i not in silent]
    if told:
        covariances = term_covariances(kernel.shape, theta, float(at.sigma[0]))
        findings = [boundary_finding(design, i, covariances[i]) for i in told]
    if not best.converged:
        findings.append(suspect_finding(best.decrement, moved, restarts))
    return LmmFit(
        kernel=kernel,
        at=at,
        theta=theta,
        converged=best.converged,
        is_singular=bool(singular),
        findings=tuple(findings),
        steps=steps,
    )


def moment_start(kernel: Kernel) -> FloatArray:
    """Theta (k,) to start from: covariances by moments, each factor as if it were the only one.

    With c_j = z_j'y and A_j = z_j'z_j for level j, c_j c_j' has mean sigma^2 A_j + A_j Sigma A_j,
    and sigma^2 is what a fit of every level on its own leaves over. Under REML the columns of X
    that lie between levels take their part of the levels' degrees of freedom. For one balanced
    factor this is the optimum itself.
    """
    products, shape = kernel.products, kernel.basis_shape
    total = products.yy / products.n_obs
    sigma2 = 1.0 if kernel.sigma_known else total
    far = products.remainder
    excess = []
    for A, zx, c in zip(products.zz, products.zx, products.zy, strict=True):
        J, q = A.shape[:2]
        sums = A.sum(axis=0)
        root = _root_of_levels(A, size=float(np.trace(sums)) / J)
        fitted = solve_lower_stack(root, np.concatenate([zx, c[:, :, None]], axis=2))
        squares = (fitted**2).sum(axis=(0, 1))
        between = float(squares[:-1].sum()) / products.n_obs  # columns of X between levels
        left = products.n_obs - J * q
        lost = 0.0
        if kernel.method == "reml":
            left -= products.xy.size - round(between)
            lost = between / q
        if left > 0 and not kernel.sigma_known:
            sigma2 = min(sigma2, (products.yy - float(squares[-1])) / left)
        diagonal = np.diagonal(A, axis1=1, axis2=2)
        scale = diagonal.T @ diagonal
        excess.append((c.T @ c * (J / max(J - lost, 1.0)), sums, scale))
    sigma2 = max(sigma2, SMALLEST_START * total)
    least, most = START_RANGE
    if far is not None:
        most = np.inf
        if not kernel.sigma_known:
            sigma2 = float(far.rr[0, -1, -1]) / residual_df(kernel)
    roots = [np.zeros((1, q, q)) for q in shape.sizes]
    for factor, at in shape.blocks:
        squares, sums, scale = (part[at] for part in excess[factor])
        met = scale > 0  # columns that never meet in a level say nothing of their covariance
        moments = np.divide(squares / sigma2 - sums, scale, where=met, out=np.zeros_like(scale))
        size, axes = np.linalg.eigh(moments)
        roots[factor][0][at] = lower_triangle(axes * np.sqrt(np.clip(size, least, most)))
    return np.asarray(shape.pack(roots)[0])


def residual_df(kernel: Kernel) -> int:
    """Rows beyond what X and all levels fit, one at least: the divisor of what these leave."""
    products = kernel.products
    n_effects = sum(A.shape[0] * A.shape[1] for A in products.zz)
    return max(products.n_obs - n_effects - products.xy.size, 1)


def _root_of_levels(A: FloatArray, *, size: float) -> FloatArray:
    """Cholesky factors of the levels' blocks (J, q, q), levels with too few rows included."""
    try:
        return cholesky_stack(A + RIDGE * size * np.eye(A.shape[1]))
    except np.linalg.LinAlgError:
        return cholesky_stack(A + SURE_RIDGE * size * np.eye(A.shape[1]))


def all_findings(design: Design, found: LmmFit) -> tuple[Finding, ...]:
    """Return the findings of a design and of the search on it, in order."""
    kept = set(found.kernel.products.anchor.kept.tolist())
    dropped = [name for i, name in enumerate(design.coef_names) if i not in kept]
    unknown = undetermined_findings(design, found.kernel.undetermined)
    return (*design_findings(design, dropped), *unknown, *found.findings)


def singular_terms(shape: CovarianceShape, x: FloatArray) -> list[int]:
    """Positions of the covariance terms that lack a direction; x in the basis of the products."""
    Lambdas = shape.unpack(x[None])
    terms = range(len(shape.terms))
    return [i for i in terms if is_term_singular(shape.triangle_of_term(Lambdas, i))]


def _evaluated(kernel: Kernel, x: FloatArray) -> Evaluation:
    try:
        return evaluate(kernel, x[None])
    except np.linalg.LinAlgError as error:
        raise DataError(
            "The fixed and random effects reproduce the response exactly, so there is no residual "
            "variation to model. Check the response and the formula for a copy of it."
        ) from error


def _out_of_valleys(kernel: Kernel, start: FloatArray) -> tuple[Kernel, Optimum[Evaluation]]:
    """Search; near the boundary go on in the axes of the covariances found so far."""
    shape = kernel.basis_shape
    if all(len(at[1]) == 1 for _, at in shape.triangles):
        return kernel, _minimise(kernel, start)
    best = _minimise(kernel, start, max_steps=PATIENCE)
    for turn in range(TURNS):
        if best.converged and (turn or not _is_near_boundary(shape, best.x)):
            break
        axes, x = principal_axes(shape, best.x)
        products = turned(kernel.products, axes)
        kernel = with_products(kernel, products)
        found = _minimise(kernel, x, max_steps=PATIENCE)
        best = replace(found, steps=best.steps + found.steps)
    return kernel, best


def _is_near_boundary(shape: CovarianceShape, x: FloatArray) -> bool:
    """Whether a term of several columns has a direction with hardly any variance."""
    Lambdas = shape.unpack(x[None])
    for factor, at in shape.triangles:
        root = Lambdas[factor][0][at]
        if len(root) > 1 and not has_all_directions(root, least=NEAR_ZERO):
            sizes = np.linalg.svd(root, compute_uv=False)
            if sizes[-1] < NEAR_ZERO * max(sizes[0], 1.0):
                return True
    return False


def _search(
    kernel: Kernel, best: Optimum[Evaluation]
) -> tuple[Optimum[Evaluation], float, int, int]:
    """Search again from where the covariance slope, or a look far away, shows a way down.

    Returns the best optimum, how far beta moved in the last restart (standard errors), the number
    of restarts and of steps.
    """
    moved, steps = 0.0, best.steps
    for restart in range(RESTARTS):
        again = _way_down(kernel, best)
        if again is None and best.converged:
            again = _far_down(kernel, best)
        if again is None and best.converged:
            return best, moved, restart, steps
        if again is None:
            again = best.x * 1.1 + 0.05 * kernel.basis_shape.is_diagonal
        other = _minimise(kernel, again)
        steps += other.steps
        if other.value < best.value or (other.converged and not best.converged):
            moved = _moved(best.state, other.state)
            best = other
        elif best.converged:
            return best, moved, restart + 1, steps
    return best, moved, RESTARTS, steps


def _minimise(
    kernel: Kernel, start: FloatArray, *, max_steps: int = MAX_STEPS
) -> Optimum[Evaluation]:
    shape = kernel.basis_shape

    def off_zero(x: FloatArray) -> FloatArray:
        return shape.kept_off_bounds(x, FLOOR)

    def local_at(at: Evaluation) -> Local[Evaluation]:
        def slopes() -> tuple[FloatArray, FloatArray]:
            found = derivatives(kernel, at)
            return found.gradient[0], found.curvature[0]

        return Local(float(at.criterion[0]), slopes, at)

    def local(x: FloatArray) -> Local[Evaluation] | None:
        try:
            return local_at(evaluate(kernel, x[None]))
        except np.linalg.LinAlgError:
            return None

    first = off_zero(start)
    there, n_rows = local_at(_evaluated(kernel, first)), kernel.products.n_obs
    if kernel.remainder is None:
        return minimise(local, first, there, project=off_zero, max_steps=max_steps, n_rows=n_rows)
    found = None
    for _ in range(RESCALED):
        scale = search_scale(shape, first)
        again = _minimise_scaled(
            local,
            Started(first, there, scale),
            project=off_zero,
            max_steps=min(max_steps, PATIENCE),
            n_rows=n_rows,
        )
        found = again if found is None else replace(again, steps=found.steps + again.steps)
        if found.converged or found.steps >= max_steps:
            break
        first, there = found.x, local_at(found.state)
    assert found is not None
    return found


def search_scale(shape: CovarianceShape, x: FloatArray) -> FloatArray:
    """Size (k,) a step in each entry of theta has: the diagonal of its row, one at least.

    The curvature in an entry is about one over the square of the diagonal of its row, until the
    rows' own noise takes over at one residual sd.
    """
    out = np.ones_like(x)
    for Lambda, (at, row, _) in zip(shape.unpack(x[None]), shape.factor_entries, strict=True):
        out[at] = np.maximum(1.0, np.abs(np.diagonal(Lambda[0]))[row])
    for _, own, part in shape.structured:
        out[part] = np.where(own.is_scale, np.maximum(1.0, np.abs(x[part])), 1.0)
    return out


@record(kw_only=False)
class Started:
    """Where a search in theta / scale starts: theta (k,), what is known there, and the scale."""

    theta: FloatArray
    there: Local[Evaluation]
    scale: FloatArray


def _minimise_scaled(
    local: Callable[[FloatArray], Local[Evaluation] | None],
    start: "Started",
    *,
    project: Callable[[FloatArray], FloatArray],
    max_steps: int,
    n_rows: int,
) -> Optimum[Evaluation]:
    """Search in theta / scale: where sds differ by powers of ten so do all curvatures."""
    scale = start.scale

    def scaled(there: Local[Evaluation]) -> Local[Evaluation]:
        def slopes() -> tuple[FloatArray, FloatArray]:
            gradient, curvature = there.derivatives()
            return gradient * scale, curvature * scale * scale[:, None]

        return Local(there.value, slopes, there.state)

    def function(z: FloatArray) -> Local[Evaluation] | None:
        found = local(z * scale)
        return None if found is None else scaled(found)

    found = minimise(
        function,
        start.theta / scale,
        scaled(start.there),
        project=lambda z: project(z * scale) / scale,
        max_steps=max_steps,
        n_rows=n_rows,
    )
    return replace(
        found,
        x=found.state.theta[0],
        gradient=found.gradient / scale,
        curvature=found.curvature / scale / scale[:, None],
    )


def _moved(a: Evaluation, b: Evaluation) -> float:
    """Largest change of beta in its standard errors; in the basis they are sigma root^-1."""
    step = b.root_xvx[0].T @ (b.beta[0] - a.beta[0])
    return float(np.abs(step).max(initial=0.0) / b.sigma[0])


def _way_down(kernel: Kernel, found: Optimum[Evaluation]) -> FloatArray | None:
    """Return a theta with variance added where that lowers the criterion, None at an optimum."""
    shape = kernel.basis_shape
    x = shape.rectified(found.x)
    if not (np.abs(x[shape.is_diagonal]) < TRY_ZERO).any():
        return None
    x = np.where(shape.is_diagonal & (x < FLOOR), FLOOR, x)
    at = evaluate(kernel, x[None])
    slopes = derivatives(kernel, at).slopes
    Lambdas = shape.unpack(x[None])
    changed = False
    for factor, at_term in shape.triangles:
        root = Lambdas[factor][0][at_term]
        G = covariance_slope(root[None], slopes[factor][0][at_term][None])[0]
        size, axes = np.linalg.eigh(G)
        if size[0] < -WAY_DOWN and np.linalg.norm(axes[:, 0] @ root) < TRY_ZERO:
            changed = True
            Lambdas[factor][0][at_term] = lower_triangle(np.column_stack([root, 0.3 * axes[:, 0]]))
    return shape.pack(Lambdas)[0] if changed else None


def far_starts(shape: CovarianceShape, x: FloatArray) -> FloatArray:
    """Thetas (M, k) with much variance in place of the hardly any that terms of x (k,) have.

    At zero the criterion may have a minimum of its own beside another one far away: where a term
    explains what the fixed part explains almost as well.
    """
    Lambdas = shape.unpack(x[None])
    found = []
    for i, (factor, at) in enumerate(shape.blocks):
        if not is_term_singular(shape.triangle_of_term(Lambdas, i)):
            continue
        for size in FAR if shape.structures[i] is None else (*NEAR, *FAR):
            changed = [Lambda.copy() for Lambda in Lambdas]
            changed[factor][0][at] = size * np.eye(at[1].size)
            found.append(shape.pack(changed)[0])
    return np.array(found).reshape(-1, x.size)


def _far_down(kernel: Kernel, found: Optimum[Evaluation]) -> FloatArray | None:
    """Return a theta far from zero variances where the criterion is lower, or None."""
    shape = kernel.basis_shape
    x = shape.rectified(found.x)
    x = np.where(shape.is_diagonal & (x < TRY_ZERO), 0.0, x)
    starts = far_starts(shape, x)
    if not len(starts):
        return None
    try:
        values = evaluate(kernel, starts).criterion
    except np.linalg.LinAlgError:
        return None
    lowest = int(np.argmin(values))
    return starts[lowest] if values[lowest] < found.value - ZERO_COST else None


def _with_zeros(kernel: Kernel, x: FloatArray, at: Evaluation) -> tuple[FloatArray, Evaluation]:
    """Set what is near its bound (small diagonals) on it, nearest first, where it costs nothing."""
    shape = kernel.basis_shape
    limit = float(at.criterion[0]) + ZERO_COST * max(1.0, abs(float(at.criterion[0])) * 1e-3)
    above = shape.above_bound(x)
    small = np.flatnonzero(above < TRY_ZERO)
    for i in small[np.argsort(above[small])]:
        trial = x.copy()
        trial[i] = shape.on_bound(x)[i]
        trial = shape.rectified(trial)
        try:
            there = evaluate(kernel, trial[None])
        except np.linalg.LinAlgError:  # without this variance the response is reproduced exactly
            continue
        if there.criterion[0] <= limit:
            x, at = trial, there
    return x, at
