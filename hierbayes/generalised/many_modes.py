"""The same generalised model with T responses, at T points: modes of the random effects, together.

``pirls.py`` for a batch: a Newton step solves (Lambda'Z'WZ Lambda + I) du = Lambda'Z'g - u for
every entry of the batch, each with its own response, parameters and weights, and steps that do not
raise a density are halved for that entry alone. Rows may be left out of an entry (``kept``): they
add nothing to its density.

For one grouping factor, nested ones, or none. Arrays of rows are (n, T), vectors of random effects
(T, J, q, c) a factor.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.families.mean_ends import has_mean
from hierbayes.families.series import Series
from hierbayes.gaussian.many_weights import ManyWeights
from hierbayes.gaussian.marginal import Factor
from hierbayes.gaussian.weighted import to_effects, to_spherical
from hierbayes.generalised.conditional import Conditional, Densities, InParameter
from hierbayes.generalised.pirls import ENOUGH, FLAT, HALVINGS, LAST_STEP, MAX_STEPS, SURE_STEP


@record
class ManyResponses:
    """A model laid out for T responses.

    Attributes
    ----------
    model : its rows; ``model.y`` is not looked at
    weights : the rows of Z
    Y : array, shape (n, T)
    kept : array, shape (n, T), which rows an entry has; None for all
    """

    model: Conditional
    weights: ManyWeights
    Y: FloatArray
    kept: BoolArray | None = None

    def take(self, entries: IntArray) -> "ManyResponses":
        """Return the model of some of the responses."""
        return ManyResponses(
            model=self.model,
            weights=self.weights,
            Y=self.Y[:, entries],
            kept=None if self.kept is None else self.kept[:, entries],
        )

    def _given(self, phi: FloatArray) -> dict[str, FloatArray]:
        """Further parameters by name, (T,), (T, K) or (n, T), at their coordinates (T, d)."""
        return self.model.with_observed(self.model.parameters(phi), lambda rows: rows[:, None])

    def _possible(self, found: Series, eta: FloatArray) -> BoolArray:
        """Which rows have a density at eta."""
        return np.asarray(np.isfinite(found.value) & has_mean(self.model.family, eta))

    def densities(self, eta: FloatArray, phi: FloatArray, *, order: int = 2) -> Densities:
        """Log densities of the rows at eta (n, T) with derivatives up to ``order``, 2 or 3."""
        with np.errstate(all="ignore"):
            found = self.model.family.derivatives(self.Y, eta, self._given(phi), order=order)
        possible = self._possible(found, eta)
        value, *slopes = (found.derivative(i) for i in range(order + 1))
        if not possible.all():
            value = np.where(possible, value, -np.inf)
            slopes = [np.where(possible, slope, 0.0) for slope in slopes]
        if (counts := self.model.counts) is not None:
            value = counts[:, None] * value
            slopes = [counts[:, None] * slope for slope in slopes]
        if self.kept is not None:
            value = np.where(self.kept, value, 0.0)
            slopes = [np.where(self.kept, slope, 0.0) for slope in slopes]
        return Densities.of(value, slopes)

    def in_parameter(self, eta: FloatArray, phi: FloatArray, which: int) -> InParameter:
        """Return derivatives in the coordinate of one further parameter."""
        model, given = self.model, self._given(phi)
        coordinate = model.coordinates[which]
        name, transform = coordinate.parameter.name, coordinate.transform
        with np.errstate(all="ignore"):
            found = model.family.derivatives(
                self.Y, eta, given, order=2, of=name, order_of=2, along=coordinate.along
            )
        at = np.asarray(transform.inverse(phi[:, which]))
        scale = given[name] / at if model.precisions is not None and name == "sigma" else 1.0
        x = phi[:, which]
        slope, bend = transform.slope(x) * scale, transform.bend(x) * scale
        counts = 1.0 if model.counts is None else model.counts[:, None]
        used = self._possible(found, eta)
        if self.kept is not None:
            used &= self.kept
        return InParameter(
            value=np.where(used, found.derivative(0, 1) * (counts * slope), 0.0),
            slope=np.where(used, found.derivative(1, 1) * (counts * slope), 0.0),
            weight=np.where(used, -found.derivative(2, 1) * (counts * slope), 0.0),
            bend=np.where(
                used,
                counts * (found.derivative(0, 2) * slope**2 + found.derivative(0, 1) * bend),
                0.0,
            ),
        )


@record
class ManyModes:
    """The effects of every entry at, or on the way to, their mode.

    Attributes
    ----------
    rows : ManyResponses
    beta, theta, phi : arrays (T, p), (T, k), (T, d), in the basis of the search
    Lambdas : per factor, array (T, q, q)
    u : spherical effects, per factor (T, J, q, 1)
    eta : array, shape (n, T)
    densities : of the rows
    h : array, shape (T,), minus the joint log density of y and u, up to a constant
    """

    rows: ManyResponses
    beta: FloatArray
    theta: FloatArray
    phi: FloatArray
    Lambdas: list[FloatArray]
    u: list[FloatArray]
    eta: FloatArray
    densities: Densities
    h: FloatArray

    def take(self, entries: IntArray) -> "ManyModes":
        """Return some of the entries."""
        found = self.densities
        third = found.weight_slope
        return ManyModes(
            rows=self.rows.take(entries),
            beta=self.beta[entries],
            theta=self.theta[entries],
            phi=self.phi[entries],
            Lambdas=[Lambda[entries] for Lambda in self.Lambdas],
            u=[x[entries] for x in self.u],
            eta=self.eta[:, entries],
            densities=Densities(
                value=found.value[:, entries],
                slope=found.slope[:, entries],
                weight=found.weight[:, entries],
                weight_slope=None if third is None else third[:, entries],
            ),
            h=self.h[entries],
        )

    @cached_property
    def factor(self) -> Factor:
        """L L' = Lambda'Z'WZ Lambda + I at the observed curvature.

        Raises
        ------
        numpy.linalg.LinAlgError
            Where one of them is not positive definite.
        """
        return self.factor_of(self.densities.weight)

    def factor_of(self, weight: FloatArray) -> Factor:
        """Return the factor at other weights (n, T)."""
        return self.rows.weights.blocks(weight).factorise(self.Lambdas)

    def spherical(self, rows: FloatArray) -> list[FloatArray]:
        """Lambda'Z'r of rows (n, T, c), per factor (T, J, q, c)."""
        return to_spherical(self.Lambdas, self.rows.weights.sums_of(rows))

    def along_rows(self, u: Sequence[FloatArray], columns: int) -> FloatArray:
        """Z Lambda u of spherical vectors (T, J, q, c), (n, T, c)."""
        effects = to_effects(self.Lambdas, u)
        return self.rows.weights.rows_of(effects, (self.h.size, columns))


def at_effects(
    rows: ManyResponses,
    beta: FloatArray,
    theta: FloatArray,
    phi: FloatArray,
    u: Sequence[FloatArray],
    *,
    order: int = 2,
) -> ManyModes:
    """Evaluate the rows at parameters (T, ...) and given effects u."""
    model, T = rows.model, beta.shape[0]
    Lambdas = model.basis_shape.unpack(theta)
    eta = model.offset[:, None] + model.X @ beta.T
    eta += rows.weights.rows_of(to_effects(Lambdas, u), (T, 1))[:, :, 0]
    densities = rows.densities(eta, phi, order=order)
    squares = sum((x**2).sum(axis=(1, 2, 3)) for x in u)
    with np.errstate(over="ignore"):
        h = 0.5 * squares - densities.value.sum(axis=0)
    return ManyModes(
        rows=rows,
        beta=beta,
        theta=theta,
        phi=phi,
        Lambdas=Lambdas,
        u=list(u),
        eta=eta,
        densities=densities,
        h=np.asarray(h),
    )


def find_modes(here: ManyModes) -> ManyModes:
    """Search the modes of all entries from the effects given.

    Raises
    ------
    numpy.linalg.LinAlgError
        If one has none to be found from here.
    """
    if not np.isfinite(here.h).all():
        raise np.linalg.LinAlgError("a response is impossible at the start")
    whole, u = here, [x.copy() for x in here.u]
    left = np.arange(here.h.size)
    for _ in range(MAX_STEPS):
        du, promised = _newton(here)
        here = _moved(here, du, promised)
        for own, new in zip(u, here.u, strict=True):
            own[left] = new
        going = promised >= LAST_STEP
        if not going.any():
            break
        if not going.all():
            left, here = left[going], here.take(np.flatnonzero(going))
    else:
        raise np.linalg.LinAlgError("the mode of the effects was not found")
    return at_effects(whole.rows, whole.beta, whole.theta, whole.phi, u, order=3)


def _newton(at: ManyModes) -> tuple[list[FloatArray], FloatArray]:
    """Return steps of u, and twice the falls of h (T,) that they promise."""
    slope = at.densities.slope
    right = [a - b for a, b in zip(at.spherical(slope[:, :, None]), at.u, strict=True)]
    if not right:
        return [], np.zeros(at.h.size)
    try:
        factor = at.factor
    except np.linalg.LinAlgError:
        factor = at.factor_of(np.abs(at.densities.weight))
    du = factor.back_solve(factor.half_solve(right))
    pairs = zip(right, du, strict=True)
    promised = np.asarray(sum((a * b).sum(axis=(1, 2, 3)) for a, b in pairs))
    steepest = np.max([np.abs(x).max(axis=(1, 2, 3)) for x in right], axis=0)
    if not (promised >= 0).all():
        raise np.linalg.LinAlgError("no way down")
    return du, np.where(steepest < FLAT, 0.0, promised)


def _moved(at: ManyModes, du: Sequence[FloatArray], promised: FloatArray) -> ManyModes:
    """Take the steps, each shortened until it lowers its h."""
    u = [x + d for x, d in zip(at.u, du, strict=True)]
    there = at_effects(at.rows, at.beta, at.theta, at.phi, u)
    part, bad = 1.0, np.flatnonzero(~_is_lower(at, there, promised))
    if not bad.size:
        return there
    near, step, promised = at.take(bad), [d[bad] for d in du], promised[bad]
    for _ in range(HALVINGS):
        part /= 2
        shorter = [x + part * d for x, d in zip(near.u, step, strict=True)]
        found = at_effects(near.rows, near.beta, near.theta, near.phi, shorter)
        lower = _is_lower(near, found, promised, part)
        for own, new in zip(u, found.u, strict=True):
            own[bad[lower]] = new[lower]
        if lower.all():
            return at_effects(at.rows, at.beta, at.theta, at.phi, u)
        left = np.flatnonzero(~lower)
        bad, near, promised = bad[left], near.take(left), promised[left]
        step = [d[left] for d in step]
    raise np.linalg.LinAlgError("no step of the effects raises their density")


def _is_lower(
    at: ManyModes, there: ManyModes, promised: FloatArray, part: float = 1.0
) -> BoolArray:
    """Which h have fallen by enough of what was promised, or are where rounding is more, (T,)."""
    enough = at.h - there.h >= ENOUGH * part * promised
    return np.isfinite(there.h) & ((promised < SURE_STEP) | enough)


def no_effects(rows: ManyResponses) -> list[FloatArray]:
    """Spherical effects of zero, per factor (T, J, q, 1)."""
    levels, T = rows.model.levels, rows.Y.shape[1]
    pairs = zip(levels.n_levels, levels.z, strict=True)
    return [np.zeros((T, J, z.shape[0], 1)) for J, z in pairs]
