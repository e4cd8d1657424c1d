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

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.design.design import Design
from hierbayes.errors import DataError
from hierbayes.gaussian.covariance import CovarianceShape, term_covariances
from hierbayes.gaussian.kernel import with_products
from hierbayes.gaussian.marginal import Evaluation, Kernel, derivatives, evaluate
from hierbayes.gaussian.moments import moment_start
from hierbayes.gaussian.turned import principal_axes, turned
from hierbayes.likelihood.boundary import far_down, near_bounds, way_down, with_zeros
from hierbayes.likelihood.convergence import (
    boundary_finding,
    has_all_directions,
    is_term_singular,
    no_residual_finding,
    suspect_finding,
)
from hierbayes.likelihood.criterion import FLOOR, Criteria, goal_of, search_scale
from hierbayes.likelihood.determined import (
    check_structures,
    determined_design,
    determined_kernel,
    doubtful_terms,
    on_all_columns,
)
from hierbayes.likelihood.no_residual import beside_no_residual, far_out
from hierbayes.linalg.newton import MAX_STEPS, Locals, minimise
from hierbayes.results.design_findings import design_findings
from hierbayes.results.finding import Finding
from hierbayes.results.undetermined_findings import undetermined_findings

RESTARTS = 4
RESCALED = 5  # searches with scales of their own, where sds are far above the residual's
# A term whose smallest sd over directions is below this, in residual sds or as part of its largest,
# may hold the search in a valley (gaussian/turned.py); elsewhere it is done in far fewer steps
# than PATIENCE.
NEAR_ZERO = 0.05
PATIENCE = 30
TURNS = 4
NO_RESIDUALS = (
    "The fixed and random effects reproduce the response exactly, so there is no residual "
    "variation to model. Check the response and the formula for a copy of it."
)


@record
class Optimum:
    """Where a search ended.

    Attributes
    ----------
    x : array, shape (k,)
    at : the criterion there
    decrement : fall of the criterion that one more step promised
    steps : number of accepted steps
    converged : whether the decrement came below its goal, or as far as rounding allows
    """

    x: FloatArray
    at: Evaluation
    decrement: float
    steps: int
    converged: bool

    @property
    def value(self) -> float:
        """The criterion."""
        return float(self.at.criterion[0])


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


def fit_lmm(
    design: Design, kernel: Kernel, *, start: FloatArray | None = None, is_there: bool = False
) -> LmmFit:
    """Find the optimum of the criterion.

    Parameters
    ----------
    design : Design
        For the words of findings only.
    kernel : Kernel
    start : array, shape (k,), optional
        A theta to start from, in the basis of the products.
    is_there : whether a search with derivatives has ended at the start: what is left then is to
        see whether it is at the boundary, and whether there is a way down

    Raises
    ------
    DataError
        If the criterion cannot be computed at the start: the residual variation is zero; or if
        parameters of a term's structure are not determined.
    """
    check_structures(design, kernel)
    unknown = kernel.undetermined
    if unknown is None:
        return _fitted(design, kernel, start, is_there=is_there)
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
    is_there: bool = False,
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
    if is_there and not _is_near_boundary(shape, shape.unpack(first[None])):
        reached = Optimum(
            x=first, at=_evaluated(kernel, first), decrement=0.0, steps=0, converged=True
        )
    else:
        kernel, reached = _out_of_valleys(kernel, first)
    shape = kernel.basis_shape
    inside = reached.converged and shape.is_plain and _is_inside(shape, reached.at.Lambdas)
    best, moved, restarts, steps = reached, 0.0, 0, reached.steps
    if not inside:
        best, moved, restarts, steps = _search(kernel, reached)
    beside = beside_no_residual(kernel, best.x)
    no_residual = beside is not kernel
    if no_residual:
        kernel = beside
        best = _minimise(kernel, far_out(kernel, best.x))
        steps += best.steps
    x = shape.rectified(best.x)
    at = best.at if np.array_equal(x, best.x) else _evaluated(kernel, x)
    if not inside:
        x, at = _with_zeros(kernel, x, at)
    theta = kernel.from_basis(x)
    singular = [] if inside else singular_terms(shape, at.Lambdas)
    findings = []
    told = [i for i in singular if i not in silent]
    if told:
        covariances = term_covariances(kernel.shape, theta, float(at.sigma[0]))
        findings = [boundary_finding(design, i, covariances[i]) for i in told]
    if no_residual:
        findings.append(no_residual_finding(design, float(at.sigma[0])))
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


def all_findings(design: Design, found: LmmFit) -> tuple[Finding, ...]:
    """Return the findings of a design and of the search on it, in order."""
    kept = set(found.kernel.products.anchor.kept.tolist())
    dropped = [name for i, name in enumerate(design.coef_names) if i not in kept]
    unknown = undetermined_findings(design, found.kernel.undetermined)
    return (*design_findings(design, dropped), *unknown, *found.findings)


def singular_terms(shape: CovarianceShape, Lambdas: Sequence[FloatArray]) -> list[int]:
    """Positions of the covariance terms that lack a direction, in the basis of the products.

    ``Lambdas`` (1, q, q) are those of each factor.
    """
    terms = range(len(shape.terms))
    return [i for i in terms if is_term_singular(shape.triangle_of_term(Lambdas, i))]


def _evaluated(kernel: Kernel, x: FloatArray) -> Evaluation:
    try:
        return evaluate(kernel, x[None])
    except np.linalg.LinAlgError as error:
        raise DataError(NO_RESIDUALS) from error


def _out_of_valleys(kernel: Kernel, start: FloatArray) -> tuple[Kernel, Optimum]:
    """Search; near the boundary go on in the axes of the covariances found so far."""
    shape = kernel.basis_shape
    if all(len(at[1]) == 1 for _, at in shape.triangles):
        return kernel, _minimise(kernel, start)
    best = _minimise(kernel, start, max_steps=PATIENCE)
    for turn in range(TURNS):
        if best.converged and (turn or not _is_near_boundary(shape, best.at.Lambdas)):
            break
        axes, x = principal_axes(shape, best.x)
        products = turned(kernel.products, axes)
        kernel = with_products(kernel, products)
        found = _minimise(kernel, x, max_steps=PATIENCE)
        best = replace(found, steps=best.steps + found.steps)
    return kernel, best


def _is_inside(shape: CovarianceShape, Lambdas: Sequence[FloatArray]) -> bool:
    """Whether a quick look sees that no full triangle is near the boundary in any way.

    Entries of the diagonal are at least as large as the smallest singular value, which is.
    """
    return all(
        has_all_directions(Lambdas[factor][0][at], least=NEAR_ZERO)
        for factor, at in shape.triangles
    )


def _is_near_boundary(shape: CovarianceShape, Lambdas: Sequence[FloatArray]) -> bool:
    """Whether a term of several columns has a direction with hardly any variance."""
    for factor, at in shape.triangles:
        root = Lambdas[factor][0][at]
        if len(root) > 1 and not has_all_directions(root, least=NEAR_ZERO):
            sizes = np.linalg.svd(root, compute_uv=False)
            if sizes[-1] < NEAR_ZERO * max(sizes[0], 1.0):
                return True
    return False


def _search(kernel: Kernel, best: Optimum) -> tuple[Optimum, float, int, int]:
    """Search again from where the covariance slope, or a look far away, shows a way down.

    Returns the best optimum, how far beta moved in the last restart (standard errors), the number
    of restarts and of steps.
    """
    moved, steps, is_new = 0.0, best.steps, not kernel.shape.is_plain
    for restart in range(RESTARTS):
        again = _way_down(kernel, best)
        if again is None and best.converged and is_new:
            again, is_new = _inside(kernel.basis_shape, best.x), False
        if again is None and best.converged:
            return best, moved, restart, steps
        if again is None:
            again = best.x * 1.1 + 0.05 * kernel.basis_shape.is_diagonal
        other = _minimise(kernel, again)
        steps += other.steps
        if other.value < best.value or (other.converged and not best.converged):
            moved = _moved(best.at, other.at)
            best = other
        elif best.converged:
            return best, moved, restart + 1, steps
    return best, moved, RESTARTS, steps


def _minimise(kernel: Kernel, start: FloatArray, *, max_steps: int = MAX_STEPS) -> Optimum:
    """Search from a theta (k,), again in new scales where sds are far above the residual's."""
    once = kernel.remainder is None and kernel.shape.is_plain
    goal = goal_of(kernel, max_steps=max_steps if once else min(max_steps, PATIENCE), polished=True)
    x, there, steps = kernel.basis_shape.kept_off_bounds(start[None], FLOOR), None, 0
    if once:
        at = _evaluated(kernel, x[0])
        slopes = derivatives(kernel, at)
        if slopes.are_rounding[0]:  # as where one balanced factor makes the moments the answer
            return Optimum(x=x[0], at=at, decrement=0.0, steps=0, converged=True)
        there = Locals(at.criterion, lambda: (slopes.gradient, slopes.curvature), [at])
    for _ in range(1 if once else RESCALED):
        criteria = Criteria(kernel, search_scale(kernel, x[0]))
        found = minimise(criteria, x, goal=goal, there=there)
        x, steps = found.x, steps + int(found.steps[0])
        if found.converged[0] or steps >= max_steps:
            break
        there = found.here()
    there_at = found.states[0]
    if there_at is None:
        raise DataError(NO_RESIDUALS)
    return Optimum(
        x=x[0],
        at=there_at,
        decrement=float(found.decrement[0]),
        steps=steps,
        converged=bool(found.converged[0]),
    )


def _moved(a: Evaluation, b: Evaluation) -> float:
    """Largest change of beta in its standard errors; in the basis they are sigma root^-1."""
    step = b.root_xvx[0].T @ (b.beta[0] - a.beta[0])
    return float(np.abs(step).max(initial=0.0) / b.sigma[0])


def _inside(shape: CovarianceShape, x: FloatArray) -> FloatArray | None:
    """Theta (k,) with what a structure has at a bound in the middle of its range, None elsewhere.

    Beside an optimum at a bound there may be another inside, or at the other bound.
    """
    near = near_bounds(shape, x[None])[0] & shape.is_angle
    return np.where(near, 0.0, x) if near.any() else None


def _way_down(kernel: Kernel, found: Optimum) -> FloatArray | None:
    """Return a theta to go on from where variance lowers the criterion, None at an optimum."""
    shape = kernel.basis_shape
    x = shape.rectified(found.x)[None]
    near = bool(near_bounds(shape, x).any())
    if near:
        again, down = way_down(kernel, x)
        if down[0]:
            return again[0]
    if not found.converged or not (near or singular_terms(shape, found.at.Lambdas)):
        return None
    try:
        again, down = far_down(kernel, x, found.at.criterion)
    except np.linalg.LinAlgError:
        return None
    return again[0] if down[0] else None


def _with_zeros(kernel: Kernel, x: FloatArray, at: Evaluation) -> tuple[FloatArray, Evaluation]:
    """Set what is near its bound on it where it costs nothing."""
    if not near_bounds(kernel.basis_shape, x).any():
        return x, at
    found, states = with_zeros(kernel, x[None], at.criterion)
    return found[0], states[0] or at
