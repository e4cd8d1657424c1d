"""The places that parameters have in the coordinates of a profile, made at an estimate.

What the coordinates are, and how a value stands in them, says ``held_parameter.py``.
"""

from collections.abc import Sequence
from dataclasses import field

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.gaussian.covariance import CovarianceShape, lower_triangle
from hierbayes.gaussian.marginal import Evaluation, Kernel, evaluate
from hierbayes.gaussian.structures import Searched
from hierbayes.intervals.held_parameter import END, RIGHT_ANGLE, Held
from hierbayes.results.interval_parameters import IntervalParameter

# A further parameter is followed so far on its log or logit scale, a factor of 3000: where the
# deviance has not risen by then the family is the one without it.
FARTHEST = 8.0
OF_CUT = 0  # place of a further parameter that is a threshold
LEANINGS = (-1.5, -0.7, 0.0, 0.7, 1.5)  # angles looked at where a structure has no variance
LITTLE = 0.03  # relative sd it gets there


def hold(
    kernel: Kernel,
    at: Evaluation,
    parameters: Sequence[IntervalParameter],
    *,
    residual: "ResidualPlaces | None" = None,
) -> tuple[Held, FloatArray]:
    """Coordinates for each of m parameters, and the estimate in them.

    Parameters
    ----------
    kernel : Kernel
    at : Evaluation
        Its optimum by maximum likelihood, one theta.
    parameters : the m parameters
    residual : coordinates of residuals that have a structure

    Returns
    -------
    Held, array of shape (m, k + 2), or (m, k + d + 2) with d coordinates of residuals
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
        residual=residual,
    )
    return hold_at(origin, parameters)


@record
class ResidualPlaces:
    """Coordinates of residuals that have a structure, between log sigma and the fixed effect.

    Attributes
    ----------
    phi : array, shape (d,), at the estimate
    ends : array, shape (d, 2), how far each is followed
    is_wide : array, shape (d,), whether it is a correlation that may have several optima
    """

    phi: FloatArray
    ends: FloatArray
    is_wide: BoolArray


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
    residual : coordinates of residuals that have a structure; None without
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
    residual: ResidualPlaces | None = None
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
        wide=np.array([place.wide for place in places]),
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
        residual = origin.residual
        d = 0 if residual is None else residual.phi.size
        n = k + d + 2 if origin.further is None else k + 1 + origin.further.size + p
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
        self.wide = np.zeros(n, dtype=bool)
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
        if residual is not None:
            self.z[k + 1 : k + 1 + d] = residual.phi
            self.wide[k + 1 : k + 1 + d] = residual.is_wide
        if origin.further is None:
            self.free[-1] = False
        else:
            self.z[k + 1 :] = np.concatenate([origin.further, origin.beta])
        self._hold(origin, parameter)
        self.free[self.own] = False
        self.diagonal[self.own] = self.angle[self.own] = self.wide[self.own] = False

    def _hold(self, origin: Origin, parameter: IntervalParameter) -> None:
        """Let a parameter stand for the place it has."""
        shape, k = origin.shape, origin.shape.n_theta
        if parameter.place >= 0 and parameter.term >= 0:
            self._hold_in_structure(shape, parameter, origin.sigma)
        elif parameter.kind in ("sd", "cor"):
            self._hold_in_term(origin, parameter)
        elif parameter.kind == "sigma" and origin.further is None:
            self.own = k
        elif parameter.kind == "residual":
            assert origin.residual is not None
            self.own = k + 1 + parameter.row
            self.lower, self.upper = origin.residual.ends[parameter.row].tolist()
            self.z[self.own] = np.clip(self.z[self.own], self.lower, self.upper)
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
                self.z[-row.size :] = self.rotation @ origin.beta
            self.z[-1] = row @ origin.beta

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
