"""The mode of the random effects: penalised iteratively reweighted least squares.

Given Lambda, beta and phi the spherical effects u have the log posterior density

    -h(u) = sum_i log f(y_i | eta_i) - u'u / 2 + const,   eta = X beta + Z Lambda u + offset.

A Newton step solves (Lambda'Z'WZ Lambda + I) du = Lambda'Z'g - u with the slopes g and the observed
curvatures W of the log densities, on the block pattern of the kernel. Where that matrix is not
positive definite away from the mode, the sizes of the curvatures are taken. Steps are halved until
h falls. With ``profiled`` the coefficients move too, to the mode of u and beta together.

Source: Bates (2010), lme4: Mixed-effects modeling with R, section 5; Nocedal & Wright (2006),
section 3.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.families.mean_ends import has_mean, mean_ends
from hierbayes.gaussian.marginal import Factor, transpose_times
from hierbayes.gaussian.weighted import to_effects, to_spherical
from hierbayes.generalised.conditional import Conditional, Densities

# A step that promises h to fall by less than this half squares the error that is left: what it
# leaves, 1e-12 standard deviations of u, is rounding, also for differences of gradients.
LAST_STEP = 1e-12
SURE_STEP = 1e-6  # promised falls so small that h itself may not show them
# Slopes of h this small promise nothing along u, whose curvature is at least one; a coefficient
# that separates the response has neither slope nor curvature then.
FLAT = 1e-11
MAX_STEPS = 100
HALVINGS = 30
LONGER = 4.0  # times the last part of a step that was taken, the next is tried at most
LEAST = 1e-12  # part of the sums of curvatures in beta below which a difference is their rounding
TINY = 1e-30  # there may be none
NEGATIVE = 1e3  # times that, from which a negative curvature is no rounding
ENOUGH = 1e-4  # part of the promised fall that a step must deliver


@record
class Mode:
    """The effects at, or on the way to, their mode.

    Attributes
    ----------
    model : Conditional
    theta, beta, phi : where, in the basis of the search
    Lambdas : per factor, array (1, q, q)
    u : spherical effects, per factor (1, J, q, 1)
    eta : array, shape (n,)
    densities : of the rows
    h : minus the joint log density of y and u, up to (2 pi)^(-size of u / 2)
    profiled : whether beta is at the mode too
    converged : whether this is the mode
    steps : evaluations of the rows so far
    """

    model: Conditional
    theta: FloatArray
    beta: FloatArray
    phi: FloatArray
    Lambdas: list[FloatArray]
    u: list[FloatArray]
    eta: FloatArray
    densities: Densities
    h: float
    profiled: bool
    converged: bool = False
    steps: int = 1

    @cached_property
    def factor(self) -> Factor:
        """L L' = Lambda'Z'WZ Lambda + I at the observed curvature.

        Raises
        ------
        numpy.linalg.LinAlgError
            Where it is not positive definite.
        """
        return self.model.levels.blocks(self.densities.weight).factorise(self.Lambdas)

    @cached_property
    def half_x(self) -> list[FloatArray]:
        """L^-1 Lambda'Z'WX as the factor gives it."""
        return self.factor.half_solve(self.spherical(self.densities.weight[:, None] * self.model.X))

    @cached_property
    def information(self) -> FloatArray:
        """X'WX less what u explains, X'V^-1X of the working model, (p, p)."""
        X = self.model.X
        taken = inner(self.half_x, self.half_x)
        return np.asarray(X.T @ (self.densities.weight[:, None] * X) - taken)

    @property
    def _least(self) -> float:
        """Curvature in beta that may be rounding, against what the rows' weights add up to."""
        squares = np.abs(self.densities.weight) @ self.model.X**2
        return max(LEAST * float(squares.max(initial=0.0)), TINY)

    def spherical(self, rows: FloatArray) -> list[FloatArray]:
        """Lambda'Z'r of rows (n, c), per factor (1, J, q, c)."""
        return to_spherical(self.Lambdas, self.model.levels.sums_of(rows))

    def rows(self, u: Sequence[FloatArray]) -> FloatArray:
        """Z Lambda u of spherical vectors, (n, c)."""
        return self.model.levels.rows_of(to_effects(self.Lambdas, u))

    def solve(
        self, right: Sequence[FloatArray], along_x: FloatArray
    ) -> tuple[list[FloatArray], FloatArray]:
        """Solve with the curvature of h in u, and in beta where it is profiled.

        Parameters
        ----------
        right : spherical vectors, per factor (1, J, q, c)
        along_x : array, shape (p, c), the right side of beta; unused where beta is held

        Returns
        -------
        spherical vectors, and an array (p, c), zero where beta is held
        """
        half = self.factor.half_solve(right)
        if not self.profiled:
            return self.factor.back_solve(half), np.zeros_like(along_x)
        beta = _solved(self.information, along_x - inner(self.half_x, half), least=self._least)
        rest = [a - b @ beta for a, b in zip(half, self.half_x, strict=True)]
        return self.factor.back_solve(rest), beta


def inner(left: Sequence[FloatArray], right: Sequence[FloatArray]) -> FloatArray | float:
    """Left'right of spherical vectors, (c, d); 0 where there are none."""
    products = (
        a.reshape(math.prod(a.shape[:-1]), a.shape[-1]).T
        @ b.reshape(math.prod(b.shape[:-1]), b.shape[-1])
        for a, b in zip(left, right, strict=True)
    )
    return sum(products, start=0.0)


def _solved(information: FloatArray, right: FloatArray, *, least: float) -> FloatArray:
    """Solve for coefficients; along what separates the response hardly any curvature is left."""
    try:
        np.linalg.cholesky(information)
    except np.linalg.LinAlgError:
        size, axes = np.linalg.eigh(information)
        if size[0] < -NEGATIVE * least:
            raise
        return np.asarray(axes / np.maximum(size, least) @ (axes.T @ right))
    return np.asarray(np.linalg.solve(information, right))


def at_effects(
    model: Conditional,
    theta: FloatArray,
    beta: FloatArray,
    phi: FloatArray,
    u: Sequence[FloatArray],
    *,
    profiled: bool,
    order: int = 2,
) -> Mode:
    """Evaluate the rows at given effects u."""
    Lambdas = model.basis_shape.unpack(theta[None])
    start = model.offset + model.X @ beta
    eta = start + model.levels.rows_of(to_effects(Lambdas, u))[:, 0]
    densities = model.densities(eta, phi, order=order)
    squares = sum(float((x**2).sum()) for x in u)
    return Mode(
        model=model,
        theta=theta,
        beta=beta,
        phi=phi,
        Lambdas=Lambdas,
        u=list(u),
        eta=eta,
        densities=densities,
        h=0.5 * squares - _total(densities.value),
        profiled=profiled,
    )


def _total(log_densities: FloatArray) -> float:
    """Sum; minus infinity where it is beyond all numbers."""
    with np.errstate(over="ignore"):
        return float(log_densities.sum())


def followed(at: Mode, beta: FloatArray, theta: FloatArray, phi: FloatArray) -> list[FloatArray]:
    """Spherical effects near the mode at other parameters, by its derivative at a mode."""
    model, slope = at.model, at.densities.slope
    dL = [
        np.tensordot(theta - at.theta, L[0], axes=(0, 0))[None]
        for L in model.basis_shape.slopes(at.theta[None])
    ]
    moved = model.levels.rows_of(to_effects(dL, at.u))[:, 0]
    if not at.profiled:
        moved += model.X @ (beta - at.beta)
    rows = -at.densities.weight * moved
    for which in np.flatnonzero(phi != at.phi).tolist():
        rows += model.in_parameter(at.eta, at.phi, which).slope * (phi[which] - at.phi[which])
    both = model.levels.sums_of(np.column_stack([rows, slope]))
    pulls = zip(at.Lambdas, dL, both, strict=True)
    right = [transpose_times(L, x[..., :1]) + transpose_times(d, x[..., 1:]) for L, d, x in pulls]
    du, _ = at.solve(right, (model.X.T @ rows)[:, None])
    return [u + d for u, d in zip(at.u, du, strict=True)]


def find_mode(here: Mode) -> Mode:
    """Search the mode from effects (and coefficients) given.

    Raises
    ------
    numpy.linalg.LinAlgError
        If there is none to be found from here.
    """
    if not np.isfinite(here.h):
        raise np.linalg.LinAlgError("the response is impossible at the start")
    steps, part = here.steps, 1.0
    for _ in range(MAX_STEPS):
        du, dbeta, promised = _newton(here)
        longest = 1.0 if promised < LAST_STEP else min(1.0, LONGER * part)
        halved = _halved(here, du, dbeta, promised, longest)
        if halved is None:
            raise np.linalg.LinAlgError("no step of the effects raises their density")
        here, tries, part = halved
        steps += tries
        if promised < LAST_STEP:
            return replace(here, converged=True, steps=steps)
    raise np.linalg.LinAlgError("the mode of the effects was not found")


def _newton(at: Mode) -> tuple[list[FloatArray], FloatArray, float]:
    """Step of u and beta, and twice the fall of h that it promises."""
    try:
        return _step(at)
    except np.linalg.LinAlgError:
        weight = np.abs(at.densities.weight)
        return _step(replace(at, densities=replace(at.densities, weight=weight)))


def _step(at: Mode) -> tuple[list[FloatArray], FloatArray, float]:
    slope = at.densities.slope
    right = [a - b for a, b in zip(at.spherical(slope[:, None]), at.u, strict=True)]
    along_x = (at.model.X.T @ slope)[:, None]
    steepest = max(float(np.abs(x).max(initial=0.0)) for x in (*right, along_x * at.profiled))
    if steepest < FLAT:
        return [0.0 * u for u in at.u], 0.0 * at.beta, 0.0
    du, dbeta = at.solve(right, along_x)
    promised = float(np.sum(inner(right, du)) + (along_x * dbeta).sum())
    if not promised >= 0:
        raise np.linalg.LinAlgError("no way down")
    return du, dbeta[:, 0], promised


def _halved(
    at: Mode, du: Sequence[FloatArray], dbeta: FloatArray, promised: float, longest: float
) -> tuple[Mode, int, float] | None:
    """Where a step leads, or the part of it that lowers h; how many were tried, and that part."""
    family, along = at.model.family, None
    if mean_ends(family) is not None:
        along = at.model.X @ dbeta + at.rows(du)[:, 0]
    part, tries = 2 * longest, 0
    while part > 2.0 ** (1 - HALVINGS):
        part, tries = part / 2, tries + 1
        if along is not None and not np.all(has_mean(family, at.eta + part * along)):
            continue  # told without the densities, which would be minus infinity
        there = at_effects(
            at.model,
            at.theta,
            at.beta + part * dbeta,
            at.phi,
            [u + part * d for u, d in zip(at.u, du, strict=True)],
            profiled=at.profiled,
            order=3 if promised < LAST_STEP else 2,
        )
        fall = at.h - there.h
        if np.isfinite(there.h) and (promised < SURE_STEP or fall >= ENOUGH * part * promised):
            return there, tries, part
    return None


def no_effects(model: Conditional) -> list[FloatArray]:
    """Spherical effects of zero, per factor (1, J, q, 1)."""
    levels = model.levels
    return [np.zeros((1, J, z.shape[0], 1)) for J, z in zip(levels.n_levels, levels.z, strict=True)]
