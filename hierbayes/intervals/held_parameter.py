"""Coordinates of a linear mixed model in which one parameter is a coordinate of its own.

A likelihood profile holds one parameter (an sd, a correlation, sigma or a fixed effect) and lets
all others follow. For each parameter the columns of its random-effects term are turned so that
its value stands in one place of the triangle Lambda of Var(b) = sigma^2 Lambda Lambda':

    sd s of b_1:            Lambda_11 = s / (n sigma), with b_1 = n y_1 for a unit direction y_1
    correlation sin(phi):   b_1 = n y_1, b_2 = c y_1 + d y_2 and Lambda_11 = a,
                            Lambda_21 = t sin(phi) - (c / d) a, Lambda_22 = t cos(phi)

Beside an sd the second row is polar too (with c = 0): where s is near zero, Lambda_21 and Lambda_22
run along a circle on which the deviance hardly changes, and a circle is straight in phi.

The other columns of the term follow in the principal axes of what the estimate leaves to them,
so that directions without variance come last and none of the valleys of a singular triangle is
met. A term with a structure of its own (``gaussian/structures.py``) keeps the coordinates of its
search; a held scale is s = n sigma x with its unit n. A point is z = (k entries or what stands for
them, log sigma, value of the held fixed effect), the same length for all parameters, so that a
batch may hold different ones. Of a generalised model, whose fixed effects are not profiled out, it
is (k entries, log sigma = 0, further parameters, all fixed effects with the held one last).

Source: Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), section 5.1 (profiles).
"""

from collections.abc import Sequence
from dataclasses import field, fields, replace
from functools import cached_property

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.gaussian.covariance import CovarianceShape, lower_triangle
from hierbayes.gaussian.marginal import Evaluation, Kernel, evaluate
from hierbayes.gaussian.structures import Searched, off_right_angle
from hierbayes.results.interval_parameters import IntervalParameter

# Diagonal entries stay this far from zero, so that the curvature there is defined; the deviance
# moves by the square of it.
FLOOR = 1e-6
# The held parameter comes this close to the end of its range: an sd in residual sds, phi of a
# correlation to a right angle. Closer than FLOOR, so that nothing is left of what it multiplies.
END = 1e-9
RIGHT_ANGLE = np.pi / 2 - END
# A further parameter is followed so far on its log or logit scale, a factor of 3000: where the
# deviance has not risen by then the family is the one without it.
FARTHEST = 8.0
OF_CUT = 0  # place of a further parameter that is a threshold
LEANINGS = (-1.5, -0.7, 0.0, 0.7, 1.5)  # angles looked at where a structure has no variance
LITTLE = 0.03  # relative sd it gets there


@record
class Held:
    """What is held in each entry of a batch; arrays with a leading axis T, like the points.

    Attributes
    ----------
    own : array of int, shape (T,), the place in z of the parameter that is held
    cut : array of int, shape (T,), the threshold of ordered categories that is held, from 0; -1 for
        others. It takes the place of a coordinate that it is the sum of with others
    n_theta : k
    free : array, shape (T, k + 2), the places of z that follow
    turns : per factor, array (T, q, q), rows are the directions Lambda's rows stand for
    is_sd, is_cor, is_beta : arrays, shape (T,)
    is_polar : array, shape (T,), whether the second row of the term is in t and phi
    size : array, shape (T,), n above, or the length of the fixed effect's row of ``x_basis``
    middle, half : arrays, shape (T,), of the range of a held correlation: 0 and 1, or a structure's
    corner : array of int, shape (T, 3), places of Lambda_11, Lambda_21, Lambda_22 where polar
    ratio : array, shape (T,), c / d above
    rotation : array, shape (T, p, p), rotates the columns of X so that the held one is last
    shift : array, shape (T,), what to add to the coordinate of the held fixed effect: it is kept
        small, so that a mean of a million does not take its digits
    diagonal, positive : arrays, shape (T, k + 2), places that must not be zero, not be negative
    angle : array, shape (T, k + 2), places of a structure that must not be right angles
    below : array, shape (T, k + 2), places under the diagonal entry that is zero at a bound; there
        the rest of its column is the same as later columns and would be searched in vain
    lower, upper : arrays, shape (T,), bounds of the held coordinate
    """

    own: IntArray
    cut: IntArray
    n_theta: int
    free: BoolArray
    turns: tuple[FloatArray, ...]
    is_sd: BoolArray
    is_cor: BoolArray
    is_beta: BoolArray
    is_polar: BoolArray
    size: FloatArray
    middle: FloatArray
    half: FloatArray
    corner: IntArray
    ratio: FloatArray
    rotation: FloatArray
    shift: FloatArray
    diagonal: BoolArray
    positive: BoolArray
    angle: BoolArray
    below: BoolArray
    lower: FloatArray
    upper: FloatArray

    @cached_property
    def sds(self) -> IntArray:
        """Entries that hold an sd."""
        return self.is_sd.nonzero()[0]

    @cached_property
    def polar(self) -> IntArray:
        """Entries whose second row is in t and phi."""
        return self.is_polar.nonzero()[0]

    @cached_property
    def angled(self) -> IntArray:
        """Those of them whose phi is not what is held."""
        return (self.is_polar & ~self.is_cor).nonzero()[0]

    def take(self, index: IntArray) -> "Held":
        """Return the batch of these entries."""
        chosen = {
            part.name: getattr(self, part.name)[index]
            for part in fields(self)
            if part.name not in ("turns", "n_theta")
        }
        turns = tuple(turn[index] for turn in self.turns)
        return Held(turns=turns, n_theta=self.n_theta, **chosen)

    def projected(self, z: FloatArray, limit: float = FLOOR) -> FloatArray:
        """Points kept off the places where an entry on the diagonal of Lambda is zero."""
        sign = np.where((z < 0) & ~self.positive, -1.0, 1.0)
        size = np.where(self.positive, z, np.abs(z))
        found = np.where(self.diagonal & (size < limit), sign * limit, z)
        at = self.angled
        if at.size:
            phi = found[at, self.corner[at, 1]]
            found[at, self.corner[at, 1]] = off_right_angle(phi, limit)
        if self.angle.any():
            found = np.where(self.angle, off_right_angle(found, limit), found)
        return found

    def at_bound(self, value: FloatArray) -> BoolArray:
        """Which held coordinates (T,) are at a bound."""
        return np.asarray((value <= self.lower) | (value >= self.upper))

    def without_redundant(self, value: FloatArray) -> "Held":
        """Return the batch with places that say nothing at these values (T,) not free."""
        redundant = self.below & self.at_bound(value)[:, None]
        return replace(self, free=self.free & ~redundant) if redundant.any() else self

    def entries(self, z: FloatArray) -> FloatArray:
        """Entries of Lambda in the turned columns, shape (T, k)."""
        k = self.n_theta
        found = z[:, :k].copy()
        at = self.sds
        found[at, self.own[at]] *= np.exp(-z[at, k]) / self.size[at]
        at = self.polar
        if at.size:
            one, two, three = self.corner[at].T
            a, phi, t = z[at, one], z[at, two], z[at, three]
            found[at, two] = t * np.sin(phi) - self.ratio[at] * a
            found[at, three] = t * np.cos(phi)
        return found

    def chained(
        self, z: FloatArray, gradient: FloatArray, hessian: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Gradient (T, k + 2) and Hessian in z from those in (entries, log sigma, fixed effect)."""
        T, size = z.shape
        J = np.zeros((T, size, size))
        J[:, np.arange(size), np.arange(size)] = 1.0
        extra = np.zeros_like(hessian)
        at = self.sds
        own = self.own[at]
        k = self.n_theta
        slope = np.exp(-z[at, k]) / self.size[at]
        entry = slope * z[at, own]
        J[at, own, own], J[at, own, k] = slope, -entry
        extra[at, own, k] = extra[at, k, own] = -gradient[at, own] * slope
        extra[at, k, k] = gradient[at, own] * entry
        at = self.polar
        if at.size:
            one, two, three = self.corner[at].T
            sine, cosine, t = np.sin(z[at, two]), np.cos(z[at, two]), z[at, three]
            J[at, two, one] = -self.ratio[at]
            J[at, two, two], J[at, two, three] = t * cosine, sine
            J[at, three, two], J[at, three, three] = -t * sine, cosine
            g, h = gradient[at, two], gradient[at, three]
            extra[at, two, two] = -t * (g * sine + h * cosine)
            extra[at, two, three] = extra[at, three, two] = g * cosine - h * sine
        transposed = np.swapaxes(J, 1, 2)
        return (transposed @ gradient[:, :, None])[:, :, 0], transposed @ hessian @ J + extra

    def values(self, z: FloatArray) -> FloatArray:
        """Values of the held parameters on the scale they are reported on, shape (T,)."""
        own = z[np.arange(z.shape[0]), self.own]
        is_sigma = self.own == self.n_theta
        bounded = np.where(self.is_sd & (own <= self.lower), 0.0, own + self.shift)
        angle = np.clip(own, -RIGHT_ANGLE, RIGHT_ANGLE)
        at_end = np.abs(angle) >= RIGHT_ANGLE
        sine = np.where(at_end, np.sign(angle), np.sin(angle))
        correlation = self.middle + self.half * sine
        return np.where(
            self.is_cor, correlation, np.where(is_sigma, np.exp(own * is_sigma), bounded)
        )


def hold(
    kernel: Kernel, at: Evaluation, parameters: Sequence[IntervalParameter]
) -> tuple[Held, FloatArray]:
    """Coordinates for each of m parameters, and the estimate in them.

    Parameters
    ----------
    kernel : Kernel
    at : Evaluation
        Its optimum by maximum likelihood, one theta.
    parameters : the m parameters

    Returns
    -------
    Held, array of shape (m, k + 2)
    """
    anchor = kernel.products.anchor
    origin = Origin(
        shape=kernel.basis_shape,
        z_bases=anchor.z_bases,
        x_basis=anchor.x_basis,
        beta0=anchor.beta0,
        theta=_leaning(kernel, at.theta[0]),
        Lambdas=tuple(Lambda[0] for Lambda in at.Lambdas),
        sigma=float(at.sigma[0]),
        sigma_known=kernel.sigma_known,
        beta=at.beta[0],
        further=None,
    )
    return hold_at(origin, parameters)


@record
class Origin:
    """The optimum that the coordinates are made at.

    Attributes
    ----------
    shape : in the basis of the search
    z_bases, x_basis, beta0 : beta0 + x_basis @ beta are the user's fixed effects, and so on
    theta : array, shape (k,)
    Lambdas : per factor, array (q, q)
    sigma : residual sd, one where random effects are not relative to it
    sigma_known : whether it is no coordinate to be searched
    beta : array, shape (p,)
    further : array, shape (d,), further parameters that are coordinates, with the fixed effects;
        None where the fixed effects are profiled out
    cuts : array, shape (K,), thresholds of ordered categories, which these hold; empty of others
    cut_places : array of int, shape (K,), of ``further``, what each takes the place of
    """

    shape: CovarianceShape
    z_bases: tuple[FloatArray, ...]
    x_basis: FloatArray
    beta0: FloatArray
    theta: FloatArray
    Lambdas: tuple[FloatArray, ...]
    sigma: float
    sigma_known: bool
    beta: FloatArray
    further: FloatArray | None
    cuts: FloatArray = field(default_factory=lambda: np.empty(0))
    cut_places: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.intp))


def hold_at(origin: Origin, parameters: Sequence[IntervalParameter]) -> tuple[Held, FloatArray]:
    """Coordinates for each of m parameters, and the optimum in them; see ``hold``."""
    places = [_Places(origin, parameter) for parameter in parameters]
    held = Held(
        own=np.array([place.own for place in places], dtype=np.intp),
        cut=np.array([place.cut for place in places], dtype=np.intp),
        n_theta=origin.shape.n_theta,
        free=np.array([place.free for place in places]),
        turns=tuple(
            np.array([place.turns[f] for place in places]) for f in range(len(origin.shape.sizes))
        ),
        is_sd=np.array([p.kind == "sd" for p in parameters]),
        is_cor=np.array([p.kind == "cor" for p in parameters]),
        is_beta=np.array([p.kind == "fixed" for p in parameters]),
        is_polar=np.array([place.is_polar for place in places]),
        size=np.array([place.size for place in places]),
        middle=np.array([place.middle for place in places]),
        half=np.array([place.half for place in places]),
        corner=np.array([place.corner for place in places], dtype=np.intp),
        ratio=np.array([place.ratio for place in places]),
        rotation=np.array([place.rotation for place in places]),
        shift=np.array([place.shift for place in places]),
        diagonal=np.array([place.diagonal for place in places]),
        positive=np.array([place.positive for place in places]),
        angle=np.array([place.angle for place in places]),
        below=np.array([place.below for place in places]),
        lower=np.array([place.lower for place in places]),
        upper=np.array([place.upper for place in places]),
    )
    z = np.array([place.z for place in places])
    return held, np.where(held.diagonal, held.projected(z), z)


def _leaning(kernel: Kernel, theta: FloatArray) -> FloatArray:
    """Theta (k,) with angles of structures without variance where a little of it costs least.

    At zero they say nothing, and a search away from zero that begins at others may fall back to it.
    """
    shape, out = kernel.basis_shape, theta.copy()
    for _, own, part in shape.structured:
        angles = shape.is_angle[part]
        if theta[part][own.is_scale].any() or not angles.any():
            continue
        looked_at = np.repeat(theta[None], len(LEANINGS), axis=0)
        looked_at[:, part] = np.where(
            own.is_scale, LITTLE, np.where(angles, np.array(LEANINGS)[:, None], theta[part])
        )
        lowest = int(np.argmin(evaluate(kernel, looked_at).criterion))
        out[part] = np.where(angles, LEANINGS[lowest], theta[part])
    return out


class _Places:
    """The coordinates of one parameter, made at the estimate."""

    def __init__(self, origin: Origin, parameter: IntervalParameter) -> None:
        shape = origin.shape
        k, p = shape.n_theta, origin.beta.size
        n = k + 2 if origin.further is None else k + 1 + origin.further.size + p
        self.own, self.size, self.ratio, self.shift = n - 1, 1.0, 0.0, 0.0
        self.corner, self.is_polar, self.cut = (0, 0, 0), False, -1
        self.middle, self.half = 0.0, 1.0
        self.rotation = np.eye(p)
        self.lower, self.upper = -np.inf, np.inf
        self.turns = [np.eye(q) for q in shape.sizes]
        others = np.zeros(n - k, dtype=bool)
        self.diagonal = np.append(shape.is_diagonal, others)
        self.positive = np.zeros(n, dtype=bool)
        self.angle = np.append(shape.is_angle, others)
        self.below = np.zeros(n, dtype=bool)
        self.free = np.ones(n, dtype=bool)
        self.free[k] = not origin.sigma_known
        self.z = np.zeros(n)
        self.z[k] = np.log(origin.sigma)
        roots, bases = origin.Lambdas, origin.z_bases
        for i, (factor, columns) in enumerate(shape.terms):
            if shape.structures[i] is not None:
                continue
            block = np.ix_(columns, columns)
            leading = np.empty((0, len(columns)))
            if i == parameter.term:
                chosen = sorted({parameter.column, parameter.row})
                leading = bases[factor][block][chosen]
            self.turns[factor][block] = _turn(leading, roots[factor][block])
        turned = [turn @ root for turn, root in zip(self.turns, roots, strict=True)]
        triangles = _triangles(shape, turned)
        if k:
            self.z[:k] = shape.packed_triangles(triangles)[0]
        for _, _, part in shape.structured:
            self.z[part] = origin.theta[part]
        if origin.further is None:
            self.free[-1] = False
        else:
            self.z[k + 1 :] = np.concatenate([origin.further, origin.beta])
        if parameter.place >= 0 and parameter.term >= 0:
            self._hold_in_structure(shape, parameter, origin.sigma)
        elif parameter.kind in ("sd", "cor"):
            self._hold_in_term(origin, parameter)
        elif parameter.kind == "sigma" and origin.further is None:
            self.own = k
        elif parameter.kind in ("sigma", "further"):
            self.own = k + 1 + parameter.row
            if parameter.place == OF_CUT:
                self.cut = parameter.row
                self.own = k + 1 + int(origin.cut_places[self.cut])
                self.z[self.own] = origin.cuts[self.cut]
            middle = self.z[self.own]
            reach = np.inf if self.cut >= 0 else FARTHEST
            self.lower, self.upper = middle - reach, middle + reach
        else:
            row = origin.x_basis[parameter.row]
            self.size, self.shift = float(np.linalg.norm(row)), float(origin.beta0[parameter.row])
            self.rotation = _completed(row[None] / self.size)[::-1]
            if origin.further is not None:
                self.z[n - p :] = self.rotation @ origin.beta
            self.z[-1] = row @ origin.beta
        self.free[self.own] = False
        self.diagonal[self.own] = self.angle[self.own] = False

    def _hold_in_structure(
        self, shape: CovarianceShape, parameter: IntervalParameter, sigma: float
    ) -> None:
        """Let a parameter of a structure stand for its coordinate."""
        own, part = shape.structures[parameter.term], shape.slices[parameter.term]
        assert isinstance(own, Searched)
        self.own = part.start + parameter.place
        if parameter.kind == "sd":
            self.size = float(own.units[parameter.place])
            self.lower = END * sigma * self.size
            self.z[self.own] = max(self.z[self.own] * sigma * self.size, self.lower)
            if own.is_scale.sum() == 1:  # without the only scale nothing else counts
                self.below[part] = ~own.is_scale
            return
        self.positive[part] = own.is_scale  # with a negative one it may be another correlation
        if parameter.kind == "cor":
            self.middle, self.half = own.range_of(parameter.place)
            self.lower, self.upper = -RIGHT_ANGLE, RIGHT_ANGLE
            self.z[self.own] = np.clip(self.z[self.own], self.lower, self.upper)

    def _hold_in_term(self, origin: Origin, parameter: IntervalParameter) -> None:
        """Let an sd or a correlation stand for the place it has in its term's triangle."""
        shape, sigma = origin.shape, origin.sigma
        factor, columns = shape.terms[parameter.term]
        block = np.ix_(columns, columns)
        basis = origin.z_bases[factor][block]
        turn = self.turns[factor][block]
        first = shape.slices[parameter.term].start
        if parameter.kind == "sd":
            self.own = first
            self.size = float(np.linalg.norm(basis[parameter.row]))
            self.z[first] *= sigma * self.size
            self.lower = END * sigma * self.size
            self.z[first] = max(self.z[first], self.lower)
            self.below[first + 1 : first + len(columns)] = True
            if len(columns) > 1:
                self._make_polar((first, first + 1, first + len(columns)), ratio=0.0)
            return
        along, across = turn[:2] @ basis[parameter.row]
        self._make_polar((first, first + 1, first + len(columns)), ratio=float(along / across))
        one, two, three = self.corner
        self.own = two
        self.lower, self.upper = -RIGHT_ANGLE, RIGHT_ANGLE
        self.z[two] = np.clip(self.z[two], self.lower, self.upper)
        self.positive[[one, three]] = True
        self.below[three + 1 : three + len(columns) - 1] = True

    def _make_polar(self, corner: tuple[int, int, int], *, ratio: float) -> None:
        """Let phi and t stand for the second row of the term's triangle."""
        one, two, three = corner
        x, y = self.z[two] + ratio * self.z[one], self.z[three]
        self.z[two], self.z[three] = np.arctan2(x, y), np.hypot(x, y)
        self.is_polar, self.corner, self.ratio = True, corner, ratio


def _turn(leading: FloatArray, root: FloatArray) -> FloatArray:
    """Directions (q, q): those of the leading rows, then axes of what they leave of root root'."""
    n, q = leading.shape
    directions = _completed(leading)
    if n < q:
        rest = lower_triangle(directions @ root)[n:, n:]
        axes = np.linalg.svd(rest)[0]
        directions[n:] = axes.T @ directions[n:]
    return directions


def _completed(rows: FloatArray) -> FloatArray:
    """Orthonormal rows (q, q) whose first ones span the given rows, one after the other."""
    n, q = rows.shape
    found, triangle = np.linalg.qr(np.concatenate([rows.T, np.eye(q)], axis=1))
    signs = np.ones(q)
    signs[:n] = np.where(np.diag(triangle)[:n] < 0, -1.0, 1.0)
    return np.asarray((found * signs).T).copy()


def _triangles(shape: CovarianceShape, roots: Sequence[FloatArray]) -> list[FloatArray]:
    """Lower triangles (1, q, q) per factor of the covariances of roots (q, q), term by term."""
    found = [np.zeros((1, q, q)) for q in shape.sizes]
    for factor, at in shape.triangles:
        found[factor][0][at] = lower_triangle(roots[factor][at])
    return found
