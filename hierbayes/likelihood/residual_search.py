"""REML and ML fits where residuals are correlated or of unequal variance.

The criterion is a function of theta, the covariances of the random effects, and of phi, the
residuals' (``gaussian/residual/kernel.py``): one search over both. Its gradient is exact; the
curvature in theta is that of ``gaussian/marginal.py``, and what concerns phi comes from differences
of the gradient, all points of a step at once. Where a small model has one factor or none all
curvatures are such differences, of points evaluated in few calls (``one_factor.py``). Where it
ends, the search of ``lmm.py`` at that phi says what of theta is on the boundary, and both go on
while that finds a lower place.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.design.design import Design
from hierbayes.errors import DataError
from hierbayes.gaussian.covariance import CovarianceShape
from hierbayes.gaussian.marginal import Evaluation
from hierbayes.gaussian.moments import moment_start
from hierbayes.gaussian.residual.correlation import Bounded, Exchangeable, Serial
from hierbayes.gaussian.residual.kernel import Point, ResidualKernel, centred, residual_kernel
from hierbayes.gaussian.residual.of_design import DesignResiduals, residuals_of
from hierbayes.gaussian.residual.one_factor import OneFactor, is_small
from hierbayes.gaussian.residual.products import ResidualProducts, residual_products
from hierbayes.likelihood.criterion import DECREMENT_GOAL, FLOOR
from hierbayes.likelihood.fading import (
    HELD,
    HeldSds,
    are_scaled,
    fading_findings,
    held_sds,
)
from hierbayes.likelihood.lmm import NO_RESIDUALS, LmmFit, fit_lmm
from hierbayes.linalg.newton import GOAL_PER_ROW, Found, Goal, Locals, Problem, minimise, safely
from hierbayes.options import Method
from hierbayes.results.finding import Finding
from hierbayes.wording import counted, listed

STEP = 1e-5  # of phi, for curvatures: wrong by as much, which a Newton step forgives
ROUNDS = 5
LOWER = 1e-7  # by which another place must be lower to go on from
# Correlations of neighbours at which a search looks first.
NEIGHBOURS = (-0.4, 0.1, 0.4, 0.7, 0.93)
SHARES = (0.1, 0.5)  # of cs, parts of the way from zero to its bounds
SIZES = (1.0, 0.3)  # of theta by moments, at which a search looks first
AWAY = 1.2  # of log sds in their units, where a search looks besides
MOST_WAYS = 6
FIRST = Goal(decrement=1e-2, max_steps=12)  # of short searches
SMALL = 4.0  # of the log of an sd, below the largest, from which it may be going to zero
FADED = 1e-2  # change of the criterion up to which an sd may as well be another
LOWERED = 0.5  # of the log of an sd, by which it is
# Eigenvalues of the curvature, with a unit diagonal, below this are none: two parameters say the
# same of the data.
NO_CURVATURE = 1e-7
AT_END = 8.0  # a coordinate beyond it has a correlation within 1e-6 of its bound


@record
class ResidualLmmFit:
    """Where a search ended.

    Attributes
    ----------
    found : of theta, with the kernel at phi
    phi : array, shape (d,)
    findings : of phi
    """

    found: LmmFit
    phi: FloatArray
    findings: tuple[Finding, ...]


class JointCriterion(Problem[Evaluation]):
    """The criterion of theta and phi, one point x (k + d,) after the other.

    Attributes
    ----------
    k : number of coordinates of theta, which come first
    n_spreads : number of coordinates of sds, which come next; those of correlations are last
    ways : array, shape (d, d), what each coordinate after theta is in phi
    """

    def __init__(self, kernel: ResidualKernel) -> None:
        self.kernel = kernel
        self.shape = kernel.shape.in_basis(kernel.products.anchor.z_bases)
        self.k = self.shape.n_theta
        self.n_spreads = kernel.products.structure.n_spreads
        self.ways = np.eye(kernel.products.structure.size)

    def point(self, theta: FloatArray, phi: FloatArray) -> FloatArray:
        """Point of theta (k,) and phi (d,)."""
        return np.concatenate([theta, phi])

    def phi(self, x: FloatArray) -> FloatArray:
        """Phi (m, d) at points x."""
        return x[:, self.k :]

    def take(self, rows: IntArray) -> "JointCriterion":
        """Return itself: any number of points have the same criterion."""
        del rows
        return self

    def at(self, x: FloatArray) -> Locals[Evaluation]:
        """Return the criterion at points (m, k + d)."""
        k = self.k
        points = self.kernel.points(x[:, :k], x[:, k:])
        values = np.concatenate([point.at.criterion for point in points])

        def derivatives() -> tuple[FloatArray, FloatArray]:
            m, d = x.shape[0], x.shape[1] - k
            moves = STEP * np.concatenate([np.zeros((1, k + d)), np.eye(k + d)[k:]])
            there = (x[:, None] + moves).reshape(-1, k + d)
            try:
                gradients, curvatures = _derivatives(self.kernel.points(there[:, :k], there[:, k:]))
            except np.linalg.LinAlgError:  # at the edge of what can be computed: downhill alone
                gradient, own = _derivatives(points)
                curvature = np.tile(np.eye(k + d), (m, 1, 1))
                curvature[:, :k, :k] = own
                return gradient, curvature
            gradients = gradients.reshape(m, 1 + d, k + d)
            rows = (gradients[:, 1:] - gradients[:, :1]) / STEP
            curvature = np.empty((m, k + d, k + d))
            curvature[:, :k, :k] = curvatures[:: 1 + d]
            curvature[:, k:, :k] = rows[:, :, :k]
            curvature[:, :k, k:] = np.swapaxes(rows[:, :, :k], 1, 2)
            block = rows[:, :, k:]
            curvature[:, k:, k:] = (block + np.swapaxes(block, 1, 2)) / 2
            return gradients[:, 0], curvature

        return Locals(values, derivatives, [None] * x.shape[0])

    def projected(self, x: FloatArray) -> FloatArray:
        """Points with scales kept off zero."""
        if not self.k:
            return x
        theta = self.shape.kept_off_bounds(x[:, : self.k], FLOOR)
        return np.concatenate([theta, x[:, self.k :]], axis=1)

    def room(self, x: FloatArray) -> tuple[FloatArray, BoolArray] | None:
        """How far points are from the least of scales that must be positive."""
        found = self.shape.room(x[:, : self.k], FLOOR) if self.k else None
        if found is None:
            return None
        room, there = found
        d = x.shape[1] - self.k
        beside = np.full((x.shape[0], d), np.inf)
        return np.concatenate([room, beside], axis=1), np.concatenate([there, beside < 0], axis=1)

    def sizes(self, x: FloatArray) -> FloatArray | None:
        """Sizes of coordinates (m, k + d), a correlation has its own; None if all are one."""
        correlation = self.kernel.products.structure.correlation
        own = correlation.search_sizes(x[:, self.k + self.n_spreads :])
        if own is None:
            return None
        return np.concatenate([np.ones((x.shape[0], x.shape[1] - own.shape[1])), own], axis=1)

    def reach(self, x: FloatArray, sizes: FloatArray | None) -> FloatArray:
        """Longest steps (m,)."""
        del sizes
        return np.maximum(self.longest, np.abs(x[:, : self.k]).max(axis=1, initial=0.0))

    def known(self, there: Locals[Evaluation], rows: IntArray) -> Locals[Evaluation] | None:
        """Return what was found at some of many points; None where that would be work."""
        del there, rows
        return None


class SmallCriterion(JointCriterion):
    """The same of one grouping factor or none, with all curvatures by differences of gradients.

    Points that far apart cost next to nothing beside each other where they are small.
    """

    def __init__(self, kernel: ResidualKernel) -> None:
        super().__init__(kernel)
        self.own = OneFactor(kernel=kernel, shape=self.shape)

    def at(self, x: FloatArray) -> Locals[Evaluation]:
        """Return the criterion at points (m, k + d)."""
        m, r = x.shape
        there = x[:, None] + np.concatenate([np.zeros((1, r)), STEP * np.eye(r)])
        try:
            found = self.own.at(there.reshape(-1, r))
        except np.linalg.LinAlgError:  # at the edge of what can be computed: downhill alone
            alone = self.own.at(x)
            downhill = alone.gradient, np.tile(np.eye(r), (m, 1, 1))
            return Locals(alone.criterion, lambda: downhill, [None] * m)
        gradients = found.gradient.reshape(m, 1 + r, r)
        gradient = gradients[:, 0]
        rows = (gradients[:, 1:] - gradients[:, :1]) / STEP
        derivatives = gradient, (rows + np.swapaxes(rows, 1, 2)) / 2
        return Locals(found.criterion[:: 1 + r], lambda: derivatives, [None] * m)

    def known(self, there: Locals[Evaluation], rows: IntArray) -> Locals[Evaluation] | None:
        """Return what was found at some of many points."""
        return _part(there, rows)


class HeldCriterion(JointCriterion):
    """The same with small sds held: theta, ways that the other sds may go, correlations."""

    def __init__(self, whole: JointCriterion, held: HeldSds) -> None:
        super().__init__(whole.kernel)
        self.whole, self.held = whole, held
        G, self.n_spreads = held.basis.shape
        rest = self.ways.shape[0] - G
        self.ways = np.zeros((self.n_spreads + rest, G + rest))
        self.ways[: self.n_spreads, :G] = held.basis.T
        self.ways[self.n_spreads :, G:] = np.eye(rest)
        self.origin = np.concatenate([held.gammas, np.zeros(rest)])

    def point(self, theta: FloatArray, phi: FloatArray) -> FloatArray:
        """Point of theta (k,) and phi (d,), at which the sds are held."""
        return np.concatenate([theta, self.ways @ (phi - self.origin)])

    def phi(self, x: FloatArray) -> FloatArray:
        """Phi (m, d) at points x."""
        return np.asarray(self.origin + x[:, self.k :] @ self.ways)

    def at(self, x: FloatArray) -> Locals[Evaluation]:
        """Return the criterion at points."""
        k = self.k
        found = self.whole.at(np.concatenate([x[:, :k], self.phi(x)], axis=1))

        def derivatives() -> tuple[FloatArray, FloatArray]:
            gradient, curvature = found.derivatives()
            E = np.eye(x.shape[1], k + self.ways.shape[1])
            E[k:, k:] = self.ways
            return gradient @ E.T, E @ curvature @ E.T

        return Locals(found.value, derivatives, found.states)


def _part(there: Locals[Evaluation], rows: IntArray) -> Locals[Evaluation]:
    """Of functions whose derivatives are known, some."""
    gradient, curvature = there.derivatives()
    part = gradient[rows], curvature[rows]
    return Locals(there.value[rows], lambda: part, [there.states[i] for i in rows.tolist()])


def _derivatives(points: Sequence[Point]) -> tuple[FloatArray, FloatArray]:
    """Gradients (T, k + d), and curvatures (T, k, k) in theta."""
    own = [point.derivatives() for point in points]
    slopes = np.concatenate([point.slopes() for point in points])
    gradient = np.concatenate([np.concatenate([part.gradient for part in own]), slopes], axis=1)
    return gradient, np.concatenate([part.curvature for part in own])


def search_design(design: Design, method: Method) -> ResidualLmmFit:
    """Find the optimum of a design whose residuals have a structure, such as one less a term.

    Raises
    ------
    DataError, NotSupportedError
        As ``search`` and ``residual_kernel``.
    """
    residuals = residuals_of(design)
    products = residual_products(design, residuals.structure, weights=residuals.weights)
    kernel = replace(residual_kernel(design, products), method=method)
    return search(design, kernel, residuals)


def search(design: Design, kernel: ResidualKernel, residuals: DesignResiduals) -> ResidualLmmFit:
    """Find the optimum over theta and phi.

    Raises
    ------
    DataError
        If the criterion can't be computed, or the data do not tell the parameters apart.
    """
    middle = centred(kernel)
    problem, x, there = _best_start(middle)
    k = problem.k
    goal = Goal(decrement=DECREMENT_GOAL + GOAL_PER_ROW * kernel.products.n_obs, polished=True)
    best: LmmFit | None = None
    held: HeldSds | None = None
    steps = 0
    for _ in range(ROUNDS):
        joint = minimise(problem, x[None], goal=goal, there=there)
        if not np.isfinite(joint.value[0]):
            raise DataError(NO_RESIDUALS)
        if held is None and (held := _fading(problem, joint)) is not None:
            theta, phi = _at_held(problem, joint.x[0], held)
            problem = HeldCriterion(problem, held)
            joint = minimise(problem, problem.point(theta, phi)[None], goal=goal)
        steps += int(joint.steps[0])
        phi = problem.phi(joint.x)[0]
        unit = _unit(kernel, middle, problem.shape, phi)
        at_phi = kernel.at(phi)
        is_there = bool(joint.converged[0])
        start = joint.x[0, :k] * unit if k else None
        best = fit_lmm(design, at_phi, start=start, is_there=is_there)
        if float(best.at.criterion[0]) > float(joint.value[0]) - LOWER:
            break
        theta = at_phi.in_basis(best.theta) / unit if k else np.empty(0)
        x, there = problem.point(theta, phi), None
    assert best is not None
    _check_told_apart(problem, joint, residuals)
    found = LmmFit(
        kernel=best.kernel,
        at=best.at,
        theta=best.theta,
        converged=best.converged and bool(joint.converged[0]),
        is_singular=best.is_singular,
        findings=best.findings,
        steps=best.steps + steps,
    )
    places = () if held is None else held.places
    findings = (*_at_ends(phi, residuals), *fading_findings(residuals, places))
    return ResidualLmmFit(found=found, phi=phi, findings=findings)


def _fading(problem: JointCriterion, joint: Found[Evaluation]) -> HeldSds | None:
    """Return small sds where holding them, there or lower, changes the criterion by nothing."""
    structure, x = problem.kernel.products.structure, joint.x[0]
    phi = x[problem.k :]
    places = [held_sds(structure, phi, least=SMALL, held=at) for at in (HELD, HELD + LOWERED)]
    if places[0] is None or places[1] is None:
        return None
    some = [np.concatenate(_at_held(problem, x, held)) for held in places if held is not None]
    values = safely(problem, np.array(some)).value
    return places[0] if np.abs(values - joint.value[0]).max() < FADED else None


def _at_held(
    problem: JointCriterion, x: FloatArray, held: HeldSds
) -> tuple[FloatArray, FloatArray]:
    """Theta and phi of x (k + d,) with small sds where they are held and all else where it was."""
    k, G = problem.k, held.gammas.size
    theta = np.where(are_scaled(problem.shape), x[:k] * np.exp(-held.log_reference), x[:k])
    return theta, np.concatenate([held.gammas, x[k + G :]])


def _unit(
    kernel: ResidualKernel, middle: ResidualKernel, shape: CovarianceShape, phi: FloatArray
) -> FloatArray:
    """Sd of the middle of the rows in that of the reference, at scales of theta; one elsewhere."""
    structure = kernel.products.structure
    shift = (structure.spread.D - middle.products.structure.spread.D)[0]
    return np.where(are_scaled(shape), np.exp(shift @ phi[: structure.n_spreads]), 1.0)


def _best_start(
    kernel: ResidualKernel,
) -> tuple[JointCriterion, FloatArray, Locals[Evaluation] | None]:
    """Theta and phi of the lowest of a few short searches, and what is known of the criterion.

    Between effects of levels, correlations and unequal sds there may be several optima: rows of a
    small sd may say the effects, or the effects may be none and all correlation the residuals'.
    """
    phis = np.array(_first_phis(kernel))
    problem = SmallCriterion(kernel) if is_small(kernel) else JointCriterion(kernel)
    k = problem.k
    sizes = SIZES if k else (1.0,)
    theta = moment_start(kernel.at(phis[0])) if k else np.empty(0)
    x = np.array([np.concatenate([size * theta, phi]) for size in sizes for phi in phis])
    there = safely(problem, x)
    order = np.argsort(there.value, kind="stable")
    if not np.isfinite(there.value[order[0]]):
        raise DataError(NO_RESIDUALS)
    if not kernel.products.structure.n_spreads or len(phis) == 1:
        return problem, x[order[0]], problem.known(there, order[:1])
    # the best of each place of phi
    some = order[np.unique(order % len(phis), return_index=True)[1]]
    some = some[np.isfinite(there.value[some])]
    found = minimise(problem, x[some], goal=FIRST, there=problem.known(there, some))
    best = np.argmin(np.where(np.isfinite(found.value), found.value, np.inf))[None]
    return problem, found.x[best[0]], _part(found.here(), best)


def _first_phis(kernel: ResidualKernel) -> list[FloatArray]:
    """Places (d,) to look at first: correlations, and each sd smaller or larger.

    The middle one of the correlations is the first.
    """
    structure = kernel.products.structure
    G, correlation = structure.n_spreads, structure.correlation
    gamma = _first_spreads(kernel)
    rests = [np.zeros(correlation.size)]
    if isinstance(correlation, Serial):
        some = [r for r in NEIGHBOURS if r > correlation.lower]
        rests = [Bounded.coordinates(correlation, np.array([r])) for r in some]
    elif isinstance(correlation, Exchangeable):
        shares = [*SHARES, 0.5 * correlation.lower]
        rests = [correlation.coordinates(np.array([r])) for r in shares]
    middle = rests.pop(len(rests) // 2)
    found = [np.concatenate([gamma, rest]) for rest in (middle, *rests)]
    if G and (kernel.shape.n_theta or correlation.size):
        ways = [np.ones(G), -np.ones(G)]
        if G > 1:
            ways += [*np.eye(G)[:MOST_WAYS], *-np.eye(G)[:MOST_WAYS]]
        found += [np.concatenate([gamma + AWAY * way, middle]) for way in ways]
    return found


def _first_spreads(kernel: ResidualKernel) -> FloatArray:
    """Gammas (G,) by least squares of the log of what rows have left over."""
    spread = kernel.products.structure.spread
    if not spread.D.shape[1]:
        return np.empty(0)
    y = _left_over(kernel.products, spread.index.size)
    size = np.log(np.maximum(np.abs(y), 1e-3 * max(float(np.std(y)), 1e-300)))
    D = spread.D[spread.index]
    columns = np.column_stack([np.ones(y.size), D])
    return np.asarray(np.clip(np.linalg.lstsq(columns, size, rcond=None)[0][1:], -2.0, 2.0))


def _left_over(products: ResidualProducts, n: int) -> FloatArray:
    """Rows of y (n,) without the fixed part, and of one factor without effects of levels either.

    These are shrunk as those of variance one in the basis of the products.
    """
    units = products.units
    y = units.xy[-1, :n]
    if len(units.z) != 1:
        return y
    plain = products.products(np.zeros(products.structure.size))
    effects = np.linalg.solve(plain.zz[0] + np.eye(units.z[0].shape[0]), plain.zy[0][:, :, None])
    rows = effects[units.codes[0][:n], :, 0].T
    return np.asarray(y - (units.z[0][:, :n] * rows).sum(axis=0))


def _at_ends(phi: FloatArray, residuals: DesignResiduals) -> tuple[Finding, ...]:
    """Say which correlations ended at the end of their range."""
    G = residuals.structure.n_spreads
    if not isinstance(residuals.structure.correlation, Bounded):
        return ()
    at = [i for i in range(G, phi.size) if abs(phi[i]) > AT_END]
    if not at:
        return ()
    value = residuals.values(phi[None])[0]
    return tuple(
        Finding(
            "residual_correlation_at_end",
            f"The estimate of {residuals.names[i]} is {value[i]:.3g}, the end of its range.",
            "The data may say nothing of it beside the random effects: compare with the model "
            "without.",
            {"parameter": residuals.names[i]},
        )
        for i in at
    )


def _check_told_apart(
    problem: JointCriterion, joint: Found[Evaluation], residuals: DesignResiduals
) -> None:
    """Raise DataError where a parameter of the residuals says what others say already."""
    curvature, x = joint.curvature[0], joint.x[0]
    correlations = np.arange(x.size) >= problem.k + problem.n_spreads
    own = np.diag(curvature)
    inside = (own > 0) & ~(correlations & (np.abs(x) >= AT_END))
    root = np.sqrt(own[inside])
    size, axes = np.linalg.eigh(curvature[np.ix_(inside, inside)] / root / root[:, None])
    if not size.size or size[0] > NO_CURVATURE:
        return
    weight = np.zeros(x.size)
    weight[inside] = axes[:, 0]
    places = np.flatnonzero(np.abs(weight[problem.k :] @ problem.ways) > 0.1)
    if places.size:
        named = [residuals.names[i] for i in places.tolist()]
        raise DataError(
            f"The data do not tell {listed(named, 'and')} apart from the other variance "
            f"parameters: they say the same of the rows. {_fewer_parameters(residuals)}"
        )


def _fewer_parameters(residuals: DesignResiduals) -> str:
    """Say what to do where the data do not tell parameters apart."""
    series = residuals.series
    if series is None or series.visit is None:
        advice = "Leave one of them out, for example the random intercept beside cs()"
        return f"{advice} of the same group."
    term = series.term
    return (
        f"{counted(series.labels.size, 'series', 'series')} may be too few for the correlations of "
        f"{len(series.visits)} visits: write cs(1 | {term.group}) or ar1(...) instead of "
        f"{term.call}."
    )
