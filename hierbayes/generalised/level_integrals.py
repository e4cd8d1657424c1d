"""Integrals over the effects of each level of one grouping factor, at many parameters at once.

Given beta, Lambda and the further parameters the levels are independent,

    p(y | beta, Lambda, ...) = prod_j I_j,   I_j = int N(u; 0, I) prod_i f(y_i | eta_i) du,
    eta_i = x_i'beta + z_i'Lambda u + offset_i,

and each I_j is found by adaptive Gauss-Hermite quadrature: with u_j near the mode of the integrand
and R_j R_j' the inverse of the curvature there, the nodes of the product rule lie at u_j + R_j t.
A rule of enough points is exact wherever it is put, so that the modes are found roughly, by damped
Newton steps with negative curvatures of the rows counted as zero.

The parts p_jt of the nodes in I_j give the moments of u_j given the data, and with them the slope
of log I_j in any parameter as the mean of the slope of log f (Fisher's identity).

Rows come first in all arrays, (n, T, N) for T points and N nodes, so that a sum over the rows of a
level adds contiguous pieces. Equal rows of a level are one row with a count.

Source: Pinheiro & Bates (1995), J. Comput. Graph. Stat. 4:12; Louis (1982), J. R. Stat. Soc. B
44:226.
"""

from collections.abc import Iterator
from functools import cache, cached_property
from itertools import product

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.families.family import Mean
from hierbayes.families.mean_ends import has_mean
from hierbayes.generalised.conditional import Conditional
from hierbayes.linalg.stacked import (
    cholesky_stack,
    inverse_of_triangles,
    solve_lower_stack,
    solve_upper_stack,
)

AT_ONCE = 2**16  # numbers a row, point and node worked on together: what stays in a cache
# Squared distance from the mode, in sds of u, that the last step may begin with: it ends far
# nearer, where nodes are as good as at the mode itself.
NEAR = 0.1
MAX_STEPS = 40
LOST = 0.1  # part of the smallest eigenvalue of a curvature that rounding may take
SLACK = 1e-9  # rise of minus a log density, as a part of it, that is rounding


@record
class Points:
    """Parameters in the basis of the model, T of them.

    Attributes
    ----------
    beta : array, shape (T, p)
    Lambda : array, shape (T, q, q), a square root that need not be triangular
    phi : array, shape (T, d), coordinates of the further parameters
    others : array, shape (T, n), what effects of other factors add to eta; None without any
    """

    beta: FloatArray
    Lambda: FloatArray
    phi: FloatArray
    others: FloatArray | None = None

    def __getitem__(self, at: slice | BoolArray) -> "Points":
        others = None if self.others is None else self.others[at]
        return Points(beta=self.beta[at], Lambda=self.Lambda[at], phi=self.phi[at], others=others)


@record
class Places:
    """Where the integrand of each level has its mass, roughly.

    Attributes
    ----------
    u : array, shape (J, T, q)
    root : array, shape (J, T, q, q), lower Cholesky factor L of the curvature there
    """

    u: FloatArray
    root: FloatArray


@record
class NodeIntegrals:
    """The integrals of the levels of a factor at a batch of points, node by node.

    Attributes
    ----------
    log_parts : array, shape (J, T, N), logs of the parts of the sum of each level
    nodes : array, shape (J, T, q, N), spherical effects
    """

    log_parts: FloatArray
    nodes: FloatArray

    @cached_property
    def log_levels(self) -> FloatArray:
        """Log I_j, shape (J, T)."""
        return log_sum(self.log_parts)

    @property
    def log_likelihood(self) -> FloatArray:
        """Log p(y | parameters), shape (T,)."""
        return self.log_levels.sum(axis=0)

    @cached_property
    def shares(self) -> FloatArray:
        """Part of each node in the integral of its level, (J, T, N)."""
        return np.exp(self.log_parts - self.log_levels[..., None])

    def moments(self) -> tuple[FloatArray, FloatArray]:
        """Mean (J, T, q) and covariance (J, T, q, q) of the effects given data and parameters."""
        shares = self.shares[:, :, None, :]
        mean = (self.nodes * shares).sum(axis=3)
        away = self.nodes - mean[..., None]
        return mean, np.asarray((away * shares) @ np.swapaxes(away, 2, 3))


def log_sum(parts: FloatArray) -> FloatArray:
    """Log of the sum of exponentials over the last axis, which is short."""
    top = parts[..., 0]
    for i in range(1, parts.shape[-1]):
        top = np.maximum(top, parts[..., i])
    top = np.where(np.isfinite(top), top, 0.0)
    away = parts - top[..., None]
    np.exp(away, out=away)
    total = away[..., 0]
    for i in range(1, away.shape[-1]):
        total = total + away[..., i]
    with np.errstate(divide="ignore"):
        return np.asarray(top + np.log(total))


@record
class ScaledIntegrals(NodeIntegrals):
    """Those by nodes put to modes and curvatures.

    Attributes
    ----------
    scale : array, shape (J, T, q, q), root R of the inverse of the curvature
    """

    scale: FloatArray


@record
class Slopes:
    """Log p(y | parameters) and its slopes at T points.

    Attributes
    ----------
    value : array, shape (T,)
    beta, Lambda, phi : arrays (T, p), (T, q, q), (T, d), slopes in the fields of ``Points``
    """

    value: FloatArray
    beta: FloatArray
    Lambda: FloatArray
    phi: FloatArray


@record
class LevelRows:
    """The rows of a model of one grouping factor, those of a level together.

    Attributes
    ----------
    model : the rows, sorted by level, equal ones once
    starts : array, shape (J,), where each level begins
    counts : array, shape (n,), how many rows each stands for; None where each is one
    place : array, shape (rows of the data,), which of them each row of the data is
    """

    model: Conditional
    starts: IntArray
    counts: FloatArray | None
    place: IntArray

    @property
    def codes(self) -> IntArray:
        """Level of each row, (n,)."""
        return self.model.levels.codes[0]

    @property
    def size(self) -> tuple[int, int, int]:
        """Numbers of rows n, levels J and columns q."""
        return self.codes.size, self.starts.size, self.model.levels.z[0].shape[0]

    @cached_property
    def _is_one(self) -> tuple[bool, ...]:
        return tuple(bool((z == 1).all()) for z in self.model.levels.z[0])

    def chunks(self, T: int, n_nodes: int = 1) -> Iterator[slice]:
        """Slices of T points that are worked on together."""
        step = max(1, AT_ONCE // (self.size[0] * n_nodes))
        return (slice(start, start + step) for start in range(0, T, step))

    def integrated(
        self, at: Points, n_points: int
    ) -> Iterator[tuple[slice, Points, ScaledIntegrals]]:
        """Integrate at a part of T points after the other, by ``n_points`` a column.

        Yields
        ------
        which points, these, and the integrals at them
        """
        _, J, q = self.size
        T = at.beta.shape[0]
        for part in self.chunks(T):
            own = at[part]
            found = self.places(own, np.zeros((J, own.beta.shape[0], q)))
            for some in self.chunks(own.beta.shape[0], n_points**q):
                here = Places(u=found.u[:, some], root=found.root[:, some])
                points = own[some]
                start = part.start + some.start
                which = slice(start, start + points.beta.shape[0])
                yield which, points, self.integrals(points, here, n_points)

    def places(self, at: Points, start: FloatArray) -> Places:
        """Go to the modes from effects (J, T, q)."""
        return _Search(self, at).places(start)

    def integrals(self, at: Points, places: Places, n_points: int) -> ScaledIntegrals:
        """Integrate by the product rule of ``n_points`` a column."""
        t, log_weights = rule(n_points, self.size[2])
        R = np.swapaxes(inverse_of_triangles(places.root), 2, 3)
        nodes = places.u[..., None] + _product(R, t)
        diagonal = np.diagonal(places.root, axis1=2, axis2=3)
        log_det = 2 * np.log(diagonal).sum(axis=2)
        log_parts = self.log_joint(at, nodes) + log_weights - 0.5 * log_det[..., None]
        lost = _is_lost((places.root**2).sum(axis=(2, 3)))
        return ScaledIntegrals(
            log_parts=np.where(lost[..., None], -np.inf, log_parts) if lost.any() else log_parts,
            nodes=nodes,
            scale=R,
        )

    def log_joint(self, at: Points, u: FloatArray) -> FloatArray:
        """Log density of the rows of each level and of u (J, T, q, N), up to a constant.

        Returns
        -------
        array, shape (J, T, N)
            The constant is that of N(u; 0, I).
        """
        return np.asarray(self._summed(self.row_densities(at, u)) - 0.5 * (u**2).sum(axis=2))

    def row_densities(self, at: Points, u: FloatArray) -> FloatArray:
        """Log density of each row at effects u (J, T, q, N), shape (n, T, N)."""
        family = self.model.family
        eta = self._eta(at, u)
        with np.errstate(all="ignore"):
            values = family.log_density(  # type: ignore[misc]
                _rows(self.model.y), Mean(eta=eta, link=family.link), self.model.given(at.phi)
            )
        return np.where(np.isfinite(values) & has_mean(family, eta), values, -np.inf)

    def slopes(self, at: Points, found: ScaledIntegrals) -> Slopes:
        """Slopes of log p(y | parameters) in the parameters."""
        model = self.model
        eta = self._eta(at, found.nodes)
        shares = found.shares[self.codes]
        slope = self._derivative(at, eta, (1, 0))
        mean = (slope * shares).sum(axis=2)
        weighted = mean if self.counts is None else mean * self.counts[:, None]
        along = np.stack(
            [
                np.einsum("jtn,jtbn->tb", self._summed(z[:, None, None] * slope * shares), u)
                for z, u in ((z, found.nodes) for z in model.levels.z[0])
            ],
            axis=1,
        )
        phi = np.empty_like(at.phi)
        for which in range(at.phi.shape[1]):
            per_row = (self._derivative(at, eta, (0, 1), which) * shares).sum(axis=2)
            phi[:, which] = self._summed(per_row).sum(axis=0)
        return Slopes(value=found.log_likelihood, beta=weighted.T @ model.X, Lambda=along, phi=phi)

    def _derivative(
        self, at: Points, eta: FloatArray, orders: tuple[int, int], which: int | None = None
    ) -> FloatArray:
        coordinate = None if which is None else self.model.coordinates[which]
        with np.errstate(all="ignore"):
            found = self.model.family.derivatives(
                _rows(self.model.y),
                eta,
                self.model.given(at.phi),
                order=orders[0],
                of=None if coordinate is None else coordinate.parameter.name,
                along=None if coordinate is None else coordinate.along,
            )
        derivative = found.derivative(*orders)
        if coordinate is not None:
            slope = np.asarray(coordinate.transform.slope(at.phi[:, which]))
            derivative = derivative * np.broadcast_to(slope, at.phi.shape[:1])[:, None]
            if coordinate.label == "sigma" and self.model.precisions is not None:
                derivative = derivative / np.sqrt(_rows(self.model.precisions))
        return np.where(np.isfinite(found.value) & np.isfinite(derivative), derivative, 0.0)

    def base(self, at: Points) -> FloatArray:
        """X beta + offset and what other factors add, (n, T)."""
        found = self.model.X @ at.beta.T + self.model.offset[:, None]
        return np.asarray(found if at.others is None else found + at.others.T)

    def _eta(self, at: Points, u: FloatArray) -> FloatArray:
        """Eta at effects u (J, T, q, N), (n, T, N)."""
        eta = np.broadcast_to(self.base(at)[:, :, None], (self.size[0], *u.shape[1::2]))
        for c, (z, is_one) in enumerate(zip(self.model.levels.z[0], self._is_one, strict=True)):
            b = sum(at.Lambda[:, c, d, None] * u[:, :, d] for d in range(u.shape[2]))
            own = np.asarray(b)[self.codes]
            eta = eta + (own if is_one else z[:, None, None] * own)
        return np.asarray(eta)

    def _summed(self, rows: FloatArray) -> FloatArray:
        """Add the rows of each level up, (J, ...) from (n, ...)."""
        if self.counts is not None:
            rows = rows * self.counts.reshape(-1, *[1] * (rows.ndim - 1))
        return np.add.reduceat(rows, self.starts, axis=0)


class _Search:
    """Damped Newton steps to the modes of all levels at the points of a batch."""

    def __init__(self, rows: LevelRows, at: Points) -> None:
        self.rows, self.at = rows, at
        self.z = rows.model.levels.z[0]

    def places(self, u: FloatArray) -> Places:
        """Go to the modes from u (J, T, q), on with those points alone that are not there yet."""
        found_u, found_root = np.empty(u.shape), np.empty((*u.shape, u.shape[2]))
        left = np.arange(u.shape[1])
        h, fall, root = self._around(u)
        step = _newton(root, fall)
        part = np.ones(h.shape)
        for tries in range(MAX_STEPS + 1):
            far = (part < 1) | ((fall * step).sum(axis=2) > NEAR)
            done = ~far.any(axis=0) | (tries == MAX_STEPS)
            found_u[:, left[done]] = (u + np.where(part < 1, 0.0, 1.0)[..., None] * step)[:, done]
            found_root[:, left[done]] = root[:, done]
            if done.all():
                break
            go = ~done
            left, self.at = left[go], self.at[go]
            u, h, fall, root, step, part = (v[:, go] for v in (u, h, fall, root, step, part))
            there = u + part[..., None] * step
            h_there, fall_there, root_there = self._around(there)
            better = h_there <= h + SLACK * (1 + np.abs(h))
            many, block = better[..., None], better[..., None, None]
            u, fall = np.where(many, there, u), np.where(many, fall_there, fall)
            h, root = np.where(better, h_there, h), np.where(block, root_there, root)
            step = np.where(many, _newton(root, fall), step)
            part = np.where(better, 1.0, part / 2)
        return Places(u=found_u, root=found_root)

    def _around(self, u: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return minus the log density (J, T), its fall (J, T, q) and the root of its curvature."""
        rows, Lambda = self.rows, self.at.Lambda
        eta = rows._eta(self.at, u[..., None])[..., 0]
        value, slope, weight = rows.model.second_order(eta, self.at.phi)
        q = u.shape[2]
        G = np.empty(u.shape)
        W = np.empty((*u.shape, q))
        for c in range(q):
            G[:, :, c] = rows._summed(self.z[c][:, None] * slope)
            for d in range(c + 1):
                product_ = self.z[c] * self.z[d]
                W[:, :, c, d] = W[:, :, d, c] = rows._summed(product_[:, None] * weight)
        h = 0.5 * (u**2).sum(axis=2) - rows._summed(value)
        with np.errstate(all="ignore"):
            fall = np.einsum("tcd,jtc->jtd", Lambda, G) - u
            H = np.swapaxes(Lambda, 1, 2) @ W @ Lambda + np.eye(q)
        H = np.where(np.isfinite(H).all(axis=(2, 3), keepdims=True), H, np.eye(q))
        lost = _is_lost(np.trace(H, axis1=2, axis2=3))
        if lost.any():  # a step without what columns share
            H = np.where(lost[..., None, None], H * np.eye(q), H)
        return h, np.where(np.isfinite(fall), fall, -u), cholesky_stack(H)


def _newton(root: FloatArray, fall: FloatArray) -> FloatArray:
    return solve_upper_stack(root, solve_lower_stack(root, fall[..., None]))[..., 0]


def level_rows(model: Conditional) -> LevelRows:
    """Sort the cells of a model of one factor by level."""
    cells = model.cells
    order = np.argsort(cells.levels.codes[0], kind="stable")
    ordered = cells.of_rows(order)
    place = np.empty(order.size, dtype=np.intp)
    place[order] = np.arange(order.size)
    levels = np.arange(ordered.levels.n_levels[0])
    return LevelRows(
        model=ordered,
        starts=np.searchsorted(ordered.levels.codes[0], levels),
        counts=ordered.counts,
        place=place if cells.cell is None else place[cells.cell],
    )


def _is_lost(trace: FloatArray) -> BoolArray:
    """Whether rounding takes the smallest eigenvalue, one or more, of matrices of this trace."""
    return np.asarray(np.finfo(float).eps * trace > LOST)


def _rows(values: FloatArray) -> FloatArray:
    return values[:, None, None]


def _product(R: FloatArray, t: FloatArray) -> FloatArray:
    """R t for a stack (J, T, q, q) and nodes (q, N): (J, T, q, N)."""
    return np.asarray(sum(R[..., d, None] * t[d] for d in range(t.shape[0])))


@cache
def rule(n_points: int, q: int) -> tuple[FloatArray, FloatArray]:
    """Nodes (q, N) of the standard normal product rule, and log weights + t't / 2, (N,)."""
    x, w = np.polynomial.hermite_e.hermegauss(n_points)
    log_w = np.log(w) - np.log(w.sum()) + 0.5 * x**2
    at = np.array(list(product(range(n_points), repeat=q))).T
    nodes, log_weights = x[at], log_w[at].sum(axis=0)
    nodes.flags.writeable = log_weights.flags.writeable = False
    return nodes, log_weights
