"""Maximum-likelihood fits of generalised mixed models: from a specification to the optimum.

The criterion is -2 log-likelihood by Laplace (``n_quadrature=1``), by adaptive quadrature (more),
or by Laplace with beta profiled in the mode of the effects (0, lme4's ``nAGQ = 0``, quicker and not
the maximum). The search begins where a model without random effects has its beta, goes on with beta
profiled, and ends over (beta, theta, phi) together: damped Newton steps on exact gradients, whose
approximate curvature symmetric rank-one updates complete. At the end the Hessian is there, by
central differences of the exact gradient (within 1e-6 of it), for standard errors and for a last
step.

Zeros of variances are looked at as those of linear fits are (``boundary.py``): the slope in the
covariance, and much variance in place of none.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.capabilities import not_supported
from hierbayes.errors import DataError
from hierbayes.families.mean_ends import link_with_means, mean_ends
from hierbayes.gaussian.covariance import lower_triangles
from hierbayes.gaussian.kernel import one_thread_for
from hierbayes.gaussian.marginal import covariance_slope
from hierbayes.generalised.conditional import Conditional, conditional
from hierbayes.generalised.first_estimates import first_estimates
from hierbayes.generalised.pirls import Mode
from hierbayes.likelihood.boundary import (
    ADDED,
    TRY_ZERO,
    WAY_DOWN,
    ZERO_COST,
    far_starts_of_term,
)
from hierbayes.likelihood.convergence import is_term_singular
from hierbayes.likelihood.criterion import FLOOR
from hierbayes.likelihood.glmm_search import Search, hessian
from hierbayes.likelihood.laplace import Criterion
from hierbayes.likelihood.level_sums import MOST_COLUMNS, MOST_EVALUATIONS
from hierbayes.likelihood.quadrature import is_within_reach
from hierbayes.linalg.newton import GOAL_PER_ROW, Goal, minimise, spectrum
from hierbayes.specification.specification import Specification

FIRST_SDS = (0.5, 0.1, 0.01)  # of the random effects, units of eta; small where eta has ends
ROUGH = Goal(decrement=1e-3)  # ends the search with beta profiled
DECREMENT_GOAL = 1e-10  # the last step, by the exact Hessian, leaves its square
SETTLED = 1e-6  # fall that one more step would promise, above which a fit is suspect
RESTARTS = 4
LAST_STEPS = 3
# A coefficient runs away where eta has gone this far, along a direction known this badly (standard
# error in units of eta, of a column of unit length): one success or count in all rows would tell
# it better. exp(-12) is 6e-6.
FAR_ETA = 12.0
VANISHED = 30.0
RAN_AWAY = 30.0  # sd of random effects, units of eta, that no data of finite variance have
SHARE = 0.3  # part of the largest effect on eta from which a column counts as concerned


@record
class GlmmOptimum:
    """Where the search ended, on the user's scale.

    Attributes
    ----------
    model : the rows, in the basis of the search
    at : the criterion at the optimum, in that basis
    x : array, the point in that basis
    n_quadrature : 0, 1 or more
    beta : array, shape (p,), of the kept columns of X
    theta : array, shape (k,), lme4's packing; sds of the random effects are theirs alone, not
        relative to a residual sd
    dispersion : further parameters of the family by name, thresholds each under a name of its own
    loglik : log-likelihood with all constants
    hessian : array, shape (m, m), of -2 log-likelihood in (beta, theta, dispersion); rows of what
        is at its bound are NaN. With ``n_quadrature=0`` the part of beta is the working model's
    vcov : array, shape (m, m), 2 hessian^-1; NaN where that is not a covariance
    converged, is_singular : verdicts
    singular_terms : positions of the covariance terms that lack a direction
    runaway_columns : positions among the kept columns of those that separate the response
    runaway_terms : positions of terms whose sd grew without end
    flat_parameters : names of further parameters that went where the likelihood no longer depends
        on them (a negative binomial without overdispersion is Poisson); they have no vcov
    decrement : fall of the criterion that one more step would promise
    n_evaluations, n_steps : of the criterion, and of the rows within
    """

    model: Conditional
    at: Criterion
    x: FloatArray
    n_quadrature: int
    beta: FloatArray
    theta: FloatArray
    dispersion: dict[str, float]
    loglik: float
    hessian: FloatArray
    vcov: FloatArray
    converged: bool
    is_singular: bool
    singular_terms: tuple[int, ...]
    runaway_columns: tuple[int, ...]
    runaway_terms: tuple[int, ...]
    flat_parameters: tuple[str, ...]
    decrement: float
    n_evaluations: int
    n_steps: int

    @property
    def eta(self) -> FloatArray:
        """Linear predictor at the modes, (n,)."""
        eta, cell = self.at.mode.eta + self.model.centre @ self.beta, self.at.mode.model.cell
        return eta if cell is None else eta[cell]

    @property
    def family_parameters(self) -> dict[str, FloatArray]:
        """Further parameters as the family takes them: numbers, and thresholds (K,)."""
        return self.model.on_user_scale(self.at.mode.phi, self.at.mode.beta)

    @property
    def mu(self) -> FloatArray:
        """Mean parameter at the modes, (n,)."""
        return self.model.family.mean(self.eta)

    @property
    def modes(self) -> list[FloatArray]:
        """Modes of the random effects per factor, (J, q), on the user's scale."""
        mode = self.at.mode
        triples = zip(self.model.z_bases, mode.Lambdas, mode.u, strict=True)
        return [u[0, :, :, 0] @ (basis @ Lambda[0]).T for basis, Lambda, u in triples]

    @property
    def mode_covariances(self) -> list[FloatArray]:
        """Covariances of the random effects at their modes given the parameters, (J, q, q)."""
        mode = self.at.mode
        found = []
        for basis, Lambda, V in zip(
            self.model.z_bases, mode.Lambdas, mode.factor.covariances(), strict=True
        ):
            root = basis @ Lambda[0]
            found.append(root @ V[0] @ root.T)
        return found


def fit_glmm(spec: Specification, n_quadrature: int = 1) -> GlmmOptimum:
    """Find the maximum of the likelihood.

    Parameters
    ----------
    spec : Specification
        Of any family with a smooth density.
    n_quadrature : int
        Points a column of adaptive quadrature; 1 is Laplace, 0 profiles beta.

    Raises
    ------
    NotSupportedError
        If the family has no such density, for quadrature of more than three columns, or of very
        many effects of several factors.
    DataError
        If the likelihood cannot be computed at any start.
    """
    model = conditional(spec.design, spec.family, reaches_ends=True)
    check_quadrature(spec, n_quadrature)
    with one_thread_for(spec.design):
        return _fitted(model, n_quadrature)


def check_quadrature(spec: Specification, n_quadrature: int) -> None:
    """Refuse what has too many nodes, or too many effects beside the finest factor's.

    Raises
    ------
    NotSupportedError
        Of either.
    """
    factors = spec.design.factors
    if n_quadrature <= 1 or not factors:
        return
    columns = [factor.z.shape[1] for factor in factors]
    if columns[0] > MOST_COLUMNS:
        raise not_supported(
            "quadrature-of-columns",
            n=n_quadrature,
            factor=factors[0].name,
            columns=columns[0],
            most=MOST_COLUMNS,
        )
    nodes = n_quadrature ** columns[0]
    rows = spec.design.y.shape[0]
    if rows * nodes > MOST_EVALUATIONS:
        raise not_supported("quadrature-nodes", n=n_quadrature, nodes=nodes, rows=rows)
    levels = [factor.levels.size for factor in factors]
    if not is_within_reach(levels, columns, n_quadrature):
        coarse = sum(J * q for J, q in zip(levels[1:], columns[1:], strict=True))
        raise not_supported(
            "quadrature-size", n=n_quadrature, factor=factors[0].name, J=levels[0], coarse=coarse
        )


def fit_near(model: Conditional, n_quadrature: int, near: GlmmOptimum) -> GlmmOptimum:
    """Find the maximum for rows laid out already, beginning where another fit of them ended.

    Raises
    ------
    DataError
        If the likelihood cannot be computed at any start.
    """
    theta = model.basis_shape.kept_off_bounds(near.at.mode.theta, FIRST_SDS[1])
    phi = model.off_ends(np.clip(near.at.mode.phi, -FAR_ETA, FAR_ETA))
    try:
        return _from(model, n_quadrature, near.at.mode.beta, theta, phi)
    except np.linalg.LinAlgError:
        return _fitted(model, n_quadrature)


def curvature_correction(found: GlmmOptimum) -> FloatArray:
    """Return what the exact Hessian of an optimum has besides its approximate curvature, (m, m).

    In the basis of the search; zero where a variance is, as there the approximation has none, and
    where points beside the optimum have no mode of the effects.
    """
    if found.is_singular or not found.x.size:
        return np.zeros((found.x.size, found.x.size))
    search = Search(found.model, found.n_quadrature, found.at.mode.beta)
    search.last = found.at.mode
    everything = np.ones(found.x.size, dtype=np.bool_)
    try:
        exact = hessian(search, found.x, found.at, everything)
    except np.linalg.LinAlgError:
        return np.zeros((found.x.size, found.x.size))
    return exact - search.curvature(found.at)


def _fitted(model: Conditional, n_quadrature: int) -> GlmmOptimum:
    beta, phi = first_estimates(model.cells)
    for size in FIRST_SDS:
        first = [size * np.eye(q)[None] for q in model.shape.sizes]
        theta = model.basis_shape.pack(first)[0] if first else np.empty(0)
        try:
            return _from(model, n_quadrature, beta, theta, phi)
        except np.linalg.LinAlgError:
            continue
    family = model.family
    other = link_with_means(family) if mean_ends(family) else None
    advice = f"link={other!r} has no such range" if other else "Use another link"
    raise DataError(
        f"The likelihood of family={family.name!r} with link={family.link.name!r} cannot be "
        "computed: given any sds tried, the random effects have no most probable value inside the "
        f"range that the link allows. {advice}; or simplify the random effects."
    )


def _from(
    model: Conditional, n_quadrature: int, beta: FloatArray, theta: FloatArray, phi: FloatArray
) -> GlmmOptimum:
    """Search from one starting point.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the likelihood cannot be computed there.
    """
    search = rough = Search(model, 0, beta)
    x = rough.joined(beta, theta, phi)
    if x.size:
        x, at = _minimise(rough, x, ROUGH if n_quadrature else goal_of(model))
    else:
        at = rough.criterion(x)
    if n_quadrature:
        search = Search(model, n_quadrature, at.mode.beta)
        search.last = at.mode
        search.evaluations, search.steps = rough.evaluations, rough.steps
        x = search.joined(at.mode.beta, at.mode.theta, at.mode.phi)
    x, at = _searched(search, x)
    x, at = _with_zeros(search, x, at)
    x, at, bends, decrement = _last_steps(search, x, at)
    return _optimum(search, x, at, bends, decrement)


def climb(
    model: Conditional,
    n_quadrature: int,
    *,
    beta: FloatArray,
    theta: FloatArray,
    phi: FloatArray,
) -> Criterion:
    """Search the maximum from a point near it, in the basis of the model.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the likelihood cannot be computed there.
    """
    search = Search(model, n_quadrature, beta)
    x = search.projected(search.joined(beta, theta, phi)[None])[0]
    return _searched(search, x)[1]


def goal_of(model: Conditional) -> Goal:
    """When a search of the criterion ends."""
    decrement = DECREMENT_GOAL + GOAL_PER_ROW * model.y.size
    return Goal(decrement=decrement, polished=True)


def _minimise(search: Search, x: FloatArray, goal: Goal) -> tuple[FloatArray, Criterion]:
    m = x.size
    found = minimise(search, x[None], goal=goal, correction=np.zeros((1, m, m)))
    at = found.states[0]
    if at is None:
        raise np.linalg.LinAlgError("the likelihood cannot be computed at the start")
    if search.is_profiled:
        search.beta = at.mode.beta
    search.last = at.mode
    return found.x[0], at


def _searched(search: Search, x: FloatArray) -> tuple[FloatArray, Criterion]:
    """Search, and again from where variance in place of none lowers the criterion."""
    if not x.size:
        return x, search.criterion(x)
    goal = goal_of(search.model)
    x, at = _minimise(search, x, goal)
    for _ in range(RESTARTS):
        again = _way_down(search, x, at)
        if again is None:
            break
        x_new, at_new = _minimise(search, again, goal)
        if at_new.value >= at.value - ZERO_COST:
            break
        x, at = x_new, at_new
    return x, at


def _way_down(search: Search, x: FloatArray, at: Criterion) -> FloatArray | None:
    """Return a point with variance where there is hardly any and the criterion falls with it."""
    shape = search.model.basis_shape
    theta = shape.rectified(search.parts(x)[1])
    if not (shape.above_bound(theta) < TRY_ZERO).any():
        return None
    off = search.with_theta(x, shape.kept_off_bounds(theta, FLOOR))
    try:
        beside = search.criterion(off)
    except np.linalg.LinAlgError:
        return None
    Lambdas, found = [L.copy() for L in beside.mode.Lambdas], False
    for factor, (row, column) in shape.triangles:
        root = beside.mode.Lambdas[factor][:, row, column]
        slope = beside.covariance_slopes[factor][:, row, column]
        size, axes = np.linalg.eigh(covariance_slope(root, slope))
        lowest = axes[:, :, :1]
        there = float(np.linalg.norm(np.swapaxes(lowest, 1, 2) @ root))
        if size[0, 0] < -WAY_DOWN and there < TRY_ZERO:
            wider = np.concatenate([root, ADDED * lowest], axis=2)
            Lambdas[factor][:, row, column] = lower_triangles(wider)[:, :, :-1]
            found = True
    if found:
        return search.with_theta(x, shape.pack(Lambdas)[0])
    return _far_down(search, x, at, theta)


def _far_down(search: Search, x: FloatArray, at: Criterion, theta: FloatArray) -> FloatArray | None:
    """Return a point of much variance, with its own beta, where the criterion is lower."""
    model, shape = search.model, search.model.basis_shape
    best, lowest = None, at.value - ZERO_COST
    roots = shape.unpack(theta[None])
    beta, _, phi = search.parts(x)
    for i in range(len(shape.blocks)):
        if not is_term_singular(shape.triangle_of_term(roots, i)):
            continue
        for other in far_starts_of_term(shape, theta, i):
            try:
                profiled = Search(model, 0, beta).mode(np.concatenate([other, phi]))
                point = search.joined(profiled.beta, other, phi)
                value = search.criterion(point).value
            except np.linalg.LinAlgError:
                continue
            if value < lowest:
                best, lowest = point, value
    return best


def _with_zeros(search: Search, x: FloatArray, at: Criterion) -> tuple[FloatArray, Criterion]:
    """Put signs right and set what is near its bound on it, nearest first, where that is free."""
    shape = search.model.basis_shape
    theta = search.parts(x)[1]
    rectified = shape.rectified(theta)
    if not np.array_equal(theta, rectified):
        search.last = None  # the effects change signs with it
        x = search.with_theta(x, rectified)
        at = search.criterion(x)
    limit = at.value + ZERO_COST * max(1.0, abs(at.value) * 1e-3)
    above = shape.above_bound(rectified)
    for i in np.argsort(above, kind="stable"):
        if above[i] >= TRY_ZERO:
            break
        theta = search.parts(x)[1].copy()
        theta[i] = shape.on_bound(theta)[i]
        trial = search.with_theta(x, shape.rectified(theta))
        if (there := search.criterion_within(trial, limit)) is not None:
            x, at = trial, there
    return _with_ended_shares(search, x, at, limit)


def _with_ended_shares(
    search: Search, x: FloatArray, at: Criterion, limit: float
) -> tuple[FloatArray, Criterion]:
    """Set shares that are nearly zero to it, where that is free."""
    beta, theta, phi = search.parts(x)
    for i in np.flatnonzero(search.model.has_end & (np.abs(np.sin(phi)) < TRY_ZERO)):
        phi = phi.copy()
        phi[i] = 0.0
        trial = search.joined(beta, theta, phi)
        if (there := search.criterion_within(trial, limit)) is not None:
            x, at = trial, there
    return x, at


def _held(search: Search, x: FloatArray) -> BoolArray:
    """Which coordinates are at a bound, (m,): entries of zero diagonals and of their columns."""
    shape = search.model.basis_shape
    beta, theta, phi = search.parts(x)
    held = shape.above_bound(theta) == 0
    for at, _, column in shape.factor_entries:
        zero = {c for i, c in zip(at, column, strict=True) if shape.is_diagonal[i] and held[i]}
        held[at] |= np.isin(column, list(zero))
    ended = search.model.has_end & (phi == 0)
    return search.joined(np.zeros(beta.size), held, ended).astype(np.bool_)


def _last_steps(
    search: Search, x: FloatArray, at: Criterion
) -> tuple[FloatArray, Criterion, FloatArray, float]:
    """Newton steps with the exact Hessian; where they end, the Hessian and what one more promises.

    The Hessian is that before the last step, which moves no coordinate by more than a millionth of
    its standard error.
    """
    if not x.size:
        return x, at, np.zeros((0, 0)), 0.0
    free = ~_held(search, x)
    decrement = np.inf
    for _ in range(LAST_STEPS):
        try:
            H = hessian(search, x, at, free)
        except np.linalg.LinAlgError:  # beside the optimum the effects have no mode
            return x, at, np.full((x.size, x.size), np.nan), np.inf
        slope = search.gradient(at)
        settling = free.copy()  # a flat parameter has no optimum to settle at
        settling[[i - search.model.sizes[2] for i in _flat_parameters(search.model, H)]] = False
        _, decrement = _newton(H, slope, settling)
        step, promised = _newton(H, slope, free)
        if promised > SETTLED or not np.isfinite(promised):
            shorter = step * min(1.0, 1.0 / max(float(np.abs(step).max()), 1e-300))
        else:
            shorter = step
        try:
            there = search.criterion(x + shorter)
        except np.linalg.LinAlgError:
            break
        if there.value > at.value + SETTLED:
            break
        x, at = x + shorter, there
        if promised < DECREMENT_GOAL:
            break
    return x, at, H, decrement


def _newton(H: FloatArray, slope: FloatArray, free: BoolArray) -> tuple[FloatArray, float]:
    """Step of the free coordinates and the fall that it promises."""
    down = np.where(free, slope, 0.0)
    size, axes = (part[0] for part in spectrum(H[None], None, free[None]))
    step = np.where(free, -(axes / size) @ (axes.T @ down), 0.0)
    return step, float(-0.5 * step @ down)


def _optimum(
    search: Search, x: FloatArray, at: Criterion, bends: FloatArray, decrement: float
) -> GlmmOptimum:
    model, mode = search.model, at.mode
    theta = model.from_basis(mode.theta)
    roots = model.basis_shape.unpack(model.basis_shape.rectified(mode.theta)[None])
    terms = range(len(model.shape.terms))
    triangles = [model.basis_shape.triangle_of_term(roots, i) for i in terms]
    singular = tuple(i for i in terms if is_term_singular(triangles[i]))
    runaway = tuple(i for i in terms if np.linalg.norm(triangles[i], 2) > RAN_AWAY)
    columns, flat = _runaway_columns(at), _flat_parameters(model, bends)
    user_hessian, vcov = _on_user_scale(search, x, at, bends, flat)
    return GlmmOptimum(
        model=search.rows,
        at=at,
        x=x,
        n_quadrature=search.n_quadrature,
        beta=model.x_basis @ mode.beta,
        theta=theta,
        dispersion=_by_label(model, model.further_values(mode.phi, mode.beta)),
        loglik=-0.5 * at.value,
        hessian=user_hessian,
        vcov=vcov,
        converged=decrement < SETTLED and not columns and not runaway,
        is_singular=bool(singular),
        singular_terms=singular,
        runaway_columns=columns,
        runaway_terms=runaway,
        flat_parameters=tuple(model.coordinates[i].label for i in flat),
        decrement=decrement,
        n_evaluations=search.evaluations,
        n_steps=search.steps,
    )


def _runaway_columns(at: Criterion) -> tuple[int, ...]:
    """Columns whose coefficients run away: eta is far out where nothing is known of them."""
    mode, model = at.mode, at.mode.model
    if not model.family.is_discrete or not mode.beta.size:
        return ()
    size, axes = np.linalg.eigh(mode.information)
    unknown = axes[:, size < VANISHED**-2]
    concerned = np.zeros(mode.beta.size, dtype=np.bool_)
    for direction in unknown.T:
        rows = np.abs(model.X @ direction) > SHARE * np.abs(model.X @ direction).max()
        if np.abs(mode.eta[rows]).max() > FAR_ETA:
            effect = np.abs(model.x_basis @ direction) * _column_sizes(model)
            concerned |= effect > SHARE * effect.max()
    concerned &= np.abs(model.x_basis @ mode.beta) * _column_sizes(model) > SHARE * FAR_ETA
    return tuple(np.flatnonzero(concerned).tolist())


def _flat_parameters(model: Conditional, bends: FloatArray) -> list[int]:
    """Further parameters that the likelihood hardly depends on, from the Hessian (m, m)."""
    d = model.sizes[2]
    own = np.diag(bends)[bends.shape[0] - d :]
    return np.flatnonzero(own < 2 * VANISHED**-2).tolist()


def _column_sizes(model: Conditional) -> FloatArray:
    """Root mean square of each kept column of X, (p,)."""
    columns = model.X @ np.linalg.inv(model.x_basis)
    return np.sqrt(np.average(columns**2, axis=0, weights=model.counts))


def _on_user_scale(
    search: Search, x: FloatArray, at: Criterion, bends: FloatArray, flat: list[int]
) -> tuple[FloatArray, FloatArray]:
    """Hessian and covariance of (beta, theta, dispersion) on the user's scale, NaN at bounds."""
    model, mode = search.model, at.mode
    p, k, d = model.sizes
    whole = np.zeros((p + k + d, p + k + d))
    held = np.zeros(p + k + d, dtype=np.bool_)
    if search.is_profiled:
        whole[:p, :p], whole[p:, p:] = 2 * mode.information, bends
        held[p:] = _held(search, x)
    else:
        whole[:], held[:] = bends, _held(search, x)
    held[[p + k + i for i in flat]] = True
    jacobian = user_jacobian(mode, held)
    nan = np.full_like(whole, np.nan)
    free = np.flatnonzero(~held)
    part = np.ix_(free, free)
    try:
        if not np.isfinite(whole[part]).all():
            return nan, nan
        np.linalg.cholesky(whole[part])
        inverse = np.linalg.inv(jacobian[part])
        vcov = jacobian[part] @ np.linalg.solve(whole[part] / 2, jacobian[part].T)
    except np.linalg.LinAlgError:
        return nan, nan
    curved, covariance = nan, nan.copy()
    curved[part] = inverse.T @ whole[part] @ inverse
    covariance[part] = (vcov + vcov.T) / 2
    return curved, covariance


def user_jacobian(mode: Mode, held: BoolArray) -> FloatArray:
    """Return the derivative of (beta, theta, dispersion) in the search's coordinates, (m, m)."""
    model = mode.model
    p, k, d = model.sizes
    jacobian = np.zeros((held.size, held.size))
    jacobian[:p, :p] = model.x_basis
    jacobian[p : p + k, p : p + k] = _theta_jacobian(model, mode.theta, held[p : p + k])
    jacobian[p + k :] = _further_jacobian(model, mode.phi, (p, k, d))
    return jacobian


def _by_label(model: Conditional, values: FloatArray) -> dict[str, float]:
    """Return the numbers of further parameters (d,) by the labels of the coordinates."""
    return dict(zip((c.label for c in model.coordinates), values.tolist(), strict=True))


def _further_jacobian(
    model: Conditional, phi: FloatArray, sizes: tuple[int, int, int]
) -> FloatArray:
    """Differentiate the further parameters in (beta, theta, phi), (d, p + k + d)."""
    p, k, d = sizes
    found = np.zeros((d, p + k + d))
    cuts = [i for i, c in enumerate(model.coordinates) if c.along is not None]
    for i, coordinate in enumerate(model.coordinates):
        moved = coordinate.along if coordinate.along is not None else 1.0
        rows = cuts if coordinate.along is not None else i
        found[rows, p + k + i] = coordinate.transform.slope(phi[i]) * moved
    found[cuts, :p] = model.centre @ model.x_basis
    return found


def _theta_jacobian(model: Conditional, theta: FloatArray, held: BoolArray) -> FloatArray:
    """Return the derivative of theta on the user's scale in that of the search, (k, k)."""
    out = np.eye(theta.size)
    for i in np.flatnonzero(~held):
        step = 1e-6 * max(abs(theta[i]), 1e-2) * np.eye(theta.size)[i]
        both = [model.from_basis(theta + sign * step) for sign in (1, -1)]
        out[:, i] = (both[0] - both[1]) / (2 * step[i])
    return out


def glmm_at(
    spec: Specification,
    n_quadrature: int,
    *,
    beta: FloatArray,
    theta: FloatArray,
    dispersion: Mapping[str, float],
    reaches_ends: bool = True,
) -> GlmmOptimum:
    """Return the optimum of a search that ended at these estimates; nothing is searched.

    Without ``reaches_ends`` rare shares are coordinates that run without end, as densities and
    profiles take them.
    """
    model = conditional(spec.design, spec.family, reaches_ends=reaches_ends)
    search = Search(model, n_quadrature, np.linalg.solve(model.x_basis, beta))
    phi = model.phi_of(_by_name(model, dispersion), beta)
    with one_thread_for(spec.design):
        x = search.joined(search.beta, model.in_basis(theta), phi)
        at = search.criterion(x)
        H = hessian(search, x, at, ~_held(search, x)) if x.size else np.zeros((0, 0))
        return _optimum(search, x, at, H, 0.0)


def _by_name(model: Conditional, dispersion: Mapping[str, float]) -> dict[str, Any]:
    """Undo ``_by_label``: numbers, and lists of thresholds."""
    found: dict[str, Any] = {}
    for coordinate in model.coordinates:
        name, value = coordinate.parameter.name, dispersion[coordinate.label]
        if coordinate.along is None:
            found[name] = value
        else:
            found.setdefault(name, []).append(value)
    return found
