"""ML deviance of a linear mixed model before sigma is profiled out, one parameter held.

With V = W^-1 + Z Lambda Lambda' Z', r^2 the weighted residual sum of squares at the fixed effects
that are best given Lambda (and given the fixed effect that is held, if one is),

    d = log|L L'| - sum log w + n log(2 pi sigma^2) + r^2 / sigma^2.

The gradient is exact. The curvature is the average information, (V_i V^-1 e)' P (V_j V^-1 e), with
the exact term of Lambda entering squared and exact rows of log sigma and of the fixed effect.
Derivations and symbols are those of ``gaussian/marginal.py``; a batch entry here has its own turned
columns and its own sigma.

Source: Gilmour, Thompson & Cullis (1995), Biometrics 51:1440 (average information).
"""

from typing import Protocol

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.gaussian.marginal import (
    Kernel,
    Reduced,
    information,
    reduce,
    squares_of,
    times,
    traces_of,
)
from hierbayes.intervals.held_parameter import Held
from hierbayes.linalg.stacked import inverse_of_triangles

# Numbers the factors of one batch may hold: 80 MB, more than any small model needs.
BATCH_NUMBERS = 10**7


@record(kw_only=False)
class Local:
    """The deviance at a batch of points.

    Attributes
    ----------
    z : array, shape (T, k + 2), the points
    value : array, shape (T,), infinite where it cannot be computed
    gradient : array, shape (T, k + 2), in z
    hessian : array, shape (T, k + 2, k + 2), in z
    beta : array, shape (T, p), fixed effects, in the basis of the products
    """

    z: FloatArray
    value: FloatArray
    gradient: FloatArray
    hessian: FloatArray
    beta: FloatArray

    def put(self, index: IntArray, other: "Local") -> None:
        """Replace the entries at ``index``."""
        for name in ("z", "value", "gradient", "hessian", "beta"):
            getattr(self, name)[index] = getattr(other, name)

    def take(self, index: IntArray) -> "Local":
        """Return a copy of the entries at ``index``."""
        return Local(
            self.z[index],
            self.value[index],
            self.gradient[index],
            self.hessian[index],
            self.beta[index],
        )


class HeldDeviance(Protocol):
    """The deviance of a model in the coordinates of held parameters."""

    @property
    def n_rows(self) -> int:
        """Number of rows it is a sum over."""

    def at(self, held: Held, z: FloatArray) -> Local:
        """Return it at points z (T, ...), infinite where it cannot be computed."""


@record(kw_only=False)
class LinearDeviance:
    """That of a linear mixed model, by maximum likelihood."""

    kernel: Kernel

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.kernel.products.n_obs

    def at(self, held: Held, z: FloatArray) -> Local:
        """Return ``held_deviance``."""
        return held_deviance(self.kernel, held, z)


def held_deviance(kernel: Kernel, held: Held, z: FloatArray) -> Local:
    """Deviance, gradient and curvature at points z (T, k + 2), one held parameter each."""
    T = z.shape[0]
    most = max(1, BATCH_NUMBERS // max(kernel.pattern.n_numbers, 1))
    if most < T:
        parts = [np.arange(first, min(first + most, T)) for first in range(0, T, most)]
        return joined([_computed(kernel, held.take(part), z[part]) for part in parts])
    return _computed(kernel, held, z)


def _computed(kernel: Kernel, held: Held, z: FloatArray) -> Local:
    """Return the deviance; where a batch fails, entry by entry."""
    try:
        return _local(kernel, held, z)
    except np.linalg.LinAlgError:
        if z.shape[0] > 1:
            entries = [np.array([t]) for t in range(z.shape[0])]
            return joined([_computed(kernel, held.take(t), z[t]) for t in entries])
        size, p = z.shape[1], kernel.products.xy.size
        nothing = np.zeros((1, size))
        return Local(z, np.full(1, np.inf), nothing, np.zeros((1, size, size)), np.zeros((1, p)))


def joined(parts: list[Local]) -> Local:
    """Return parts of a batch one after the other."""
    return Local(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("z", "value", "gradient", "hessian", "beta")
        )
    )


@record(kw_only=False)
class _Residual:
    """The residual e = (y - X beta) / r at a batch of points and the columns of X around it.

    Attributes
    ----------
    columns : array, shape (T, p + 1, p + 1); [X y] times them: orthonormal columns of X in
        V^-1, a held one last, then e
    r2 : array, shape (T,)
    excess : array, shape (T,), product of r e with the held column (orthonormal), else zero
    length : array, shape (T,), length of the held column per unit of the fixed effect
    """

    columns: FloatArray
    r2: FloatArray
    excess: FloatArray
    length: FloatArray


def _residual(held: Held, z: FloatArray, gram_xy: FloatArray) -> _Residual:
    T, p = z.shape[0], gram_xy.shape[1] - 1
    around = np.zeros((T, p + 1, p + 1))
    around[:, :p, :p] = np.swapaxes(held.rotation, 1, 2)
    around[:, p, p] = 1.0
    root = np.linalg.cholesky(np.swapaxes(around, 1, 2) @ gram_xy @ around)
    columns = around @ np.swapaxes(inverse_of_triangles(root), 1, 2)
    r = root[:, p, p]
    excess, length = np.zeros(T), np.zeros(T)
    if held.is_beta.any():
        length = np.where(held.is_beta, root[:, p - 1, p - 1] / held.size, 0.0)
        excess = np.where(held.is_beta, root[:, p, p - 1] - z[:, -1] * length, 0.0)
        columns[:, :, p] = excess[:, None] * columns[:, :, p - 1] + r[:, None] * columns[:, :, p]
        columns[:, :, p] /= np.sqrt(r**2 + excess**2)[:, None]
    return _Residual(columns, r**2 + excess**2, excess, length)


@record
class _Point:
    """What the derivatives at a batch of points follow from.

    Attributes
    ----------
    entries : array, shape (T, k), the parameters of the triangles
    triangles, Lambdas : per factor, arrays (T, q, q), Lambda in turned columns and in those of the
        products
    reduced : the model with the random effects integrated out
    residual : see there
    last : array, shape (T,), r^2 / sigma^2
    """

    kernel: Kernel
    held: Held
    entries: FloatArray
    triangles: list[FloatArray]
    Lambdas: list[FloatArray]
    reduced: Reduced
    residual: _Residual
    last: FloatArray


@record
class _InEntries:
    """Derivatives in the k entries of the turned triangles.

    Attributes
    ----------
    gradient : of the deviance, array (T, k)
    curvature : array, shape (T, k, k)
    on_sigma : array, shape (T, k), cross derivative with log sigma
    on_held : array, shape (T, k), V_i V^-1 e times the held column of X
    """

    gradient: FloatArray
    curvature: FloatArray
    on_sigma: FloatArray
    on_held: FloatArray


@record
class InEntries:
    """The deviance in (k entries of the turned triangles, log sigma, held fixed effect).

    Attributes
    ----------
    local : the deviance and its derivatives in them
    reduced : the model with the random effects integrated out
    Lambdas : per factor, array (T, q, q), in the columns of the products
    e : array, shape (T, p + 1), [X y] times it is the residual, of length one in V^-1
    last : array, shape (T,), r^2 / sigma^2
    """

    local: Local
    reduced: Reduced
    Lambdas: list[FloatArray]
    e: FloatArray
    last: FloatArray


def _local(kernel: Kernel, held: Held, z: FloatArray) -> Local:
    found = deviance_in_entries(kernel, held, z).local
    gradient, hessian = held.chained(z, found.gradient, found.hessian)
    return Local(z, found.value, gradient, hessian, found.beta)


def deviance_in_entries(
    kernel: Kernel, held: Held, z: FloatArray, *, curved: bool = True
) -> InEntries:
    """Deviance and gradient, and where ``curved`` the curvature, at points z (T, ...).

    Of z count the k entries, log sigma after them and the held fixed effect, the last.
    """
    products, k = kernel.products, held.n_theta
    T, p = z.shape[0], products.xy.size
    entries = held.entries(z)
    triangles = kernel.basis_shape.unpack(entries)
    Lambdas = [
        np.swapaxes(turn, 1, 2) @ triangle
        for turn, triangle in zip(held.turns, triangles, strict=True)
    ]
    reduced = reduce(kernel, Lambdas, n_batch=T)
    residual = _residual(held, z, reduced.gram_xy)
    variance = np.exp(2 * z[:, k])
    last = residual.r2 / variance
    value = reduced.log_det - products.sum_log_weights
    value = value + products.n_obs * np.log(2 * np.pi * variance) + last
    gradient = np.zeros((T, k + 2))
    hessian = np.zeros((T, k + 2, k + 2))
    if k:
        point = _Point(
            kernel=kernel,
            held=held,
            entries=entries,
            triangles=triangles,
            Lambdas=Lambdas,
            reduced=reduced,
            residual=residual,
            last=last,
        )
        found = _in_entries(point, curved=curved)
        gradient[:, :k], hessian[:, :k, :k] = found.gradient, found.curvature
        hessian[:, :k, -2] = hessian[:, -2, :k] = found.on_sigma
        scale = 2 * residual.length * np.sqrt(residual.r2) / variance
        hessian[:, :k, -1] = hessian[:, -1, :k] = found.on_held * scale[:, None]
    gradient[:, -2] = 2 * products.n_obs - 2 * last
    gradient[:, -1] = -2 * residual.excess * residual.length / variance
    hessian[:, -2, -2] = 4 * last
    hessian[:, -1, -2] = hessian[:, -2, -1] = -2 * gradient[:, -1]
    hessian[:, -1, -1] = 2 * residual.length**2 / variance
    e = residual.columns[:, :, p]
    beta = -e[:, :p] * np.sqrt(residual.r2)[:, None]
    return InEntries(
        local=Local(z, value, gradient, hessian, beta),
        reduced=reduced,
        Lambdas=Lambdas,
        e=e,
        last=last,
    )


def _in_entries(point: _Point, *, curved: bool) -> _InEntries:
    kernel, reduced, last = point.kernel, point.reduced, point.last
    assert reduced.factor is not None
    T, k = last.size, kernel.basis_shape.n_theta
    e = point.residual.columns[:, None, :, -1:]
    u, h = _residual_modes(point, e)
    gradient, on_sigma = np.empty((T, k)), np.empty((T, k))
    curvature = np.zeros((T, k, k))
    directions = []
    traces = traces_of(kernel, point.Lambdas, reduced.factor)
    if not kernel.basis_shape.is_plain:
        return _in_parameters(point, u, h, traces, curved=curved)
    for f, (index, row, column) in enumerate(kernel.basis_shape.factor_entries):
        turn, vectors = point.held.turns[f], u[f][..., 0]
        hu = np.swapaxes(h[f][..., 0], 1, 2) @ vectors
        slope = turn @ (traces[f] - last[:, None, None] * hu)
        gradient[:, index] = 2 * slope[:, row, column]
        on_sigma[:, index] = 4 * last[:, None] * (turn @ hu)[:, row, column]
        if not curved:
            continue
        G = slope @ np.linalg.inv(point.triangles[f])
        G = G + np.swapaxes(G, 1, 2)  # twice the derivative in the covariance
        same = column[:, None] == column[None, :]
        curvature[:, index[:, None], index] = np.where(same, G[:, row[:, None], row], 0.0)
        back = np.swapaxes(turn, 1, 2)
        s = np.zeros((*vectors.shape, k))
        s[..., index] = back[:, None, :, row] * vectors[:, :, None, column]
        s[..., index] += (
            point.Lambdas[f][:, None, :, column] * (h[f][..., 0] @ back)[:, :, None, row]
        )
        directions.append(s)
    if not curved:
        return _flat(gradient, on_sigma)
    square, on_held = _information(point, directions)
    curvature += last[:, None, None] * square
    return _InEntries(gradient=gradient, curvature=curvature, on_sigma=on_sigma, on_held=on_held)


def _flat(gradient: FloatArray, on_sigma: FloatArray) -> _InEntries:
    """Return derivatives without the curvature."""
    T, k = gradient.shape
    nothing = np.zeros((T, k, k))
    return _InEntries(
        gradient=gradient, curvature=nothing, on_sigma=on_sigma, on_held=np.zeros((T, k))
    )


def _in_parameters(
    point: _Point,
    u: list[FloatArray],
    h: list[FloatArray],
    traces: list[FloatArray],
    *,
    curved: bool,
) -> _InEntries:
    """``_in_entries`` where parameters are no entries, in the derivatives T_i of the roots T.

    With Lambda = turn'T a direction is s_i = turn'T_i u + Lambda T_i'turn h.
    """
    shape, last = point.kernel.basis_shape, point.last
    slopes, directions = [], []
    gradient, on_sigma = np.zeros(point.entries.shape), np.zeros(point.entries.shape)
    for f, dT in enumerate(shape.slopes(point.entries)):
        turn, back = point.held.turns[f], np.swapaxes(point.held.turns[f], 1, 2)
        vectors, far = u[f][..., 0], h[f][..., 0] @ back
        hu = turn @ (np.swapaxes(h[f][..., 0], 1, 2) @ vectors)
        slope = turn @ traces[f] - last[:, None, None] * hu
        gradient += 2 * np.einsum("tab,tkab->tk", slope, dT)
        on_sigma += 4 * last[:, None] * np.einsum("tab,tkab->tk", hu, dT)
        slopes.append(slope)
        if not curved:
            continue
        directions.append(
            times(back, np.einsum("tkab,tjb->tjak", dT, vectors))
            + times(point.Lambdas[f], np.einsum("tkab,tja->tjbk", dT, far))
        )
    if not curved:
        return _flat(gradient, on_sigma)
    square, on_held = _information(point, directions)
    curvature = squares_of(shape, point.entries, point.triangles, slopes)
    curvature = curvature + last[:, None, None] * square
    return _InEntries(gradient=gradient, curvature=curvature, on_sigma=on_sigma, on_held=on_held)


def _residual_modes(point: _Point, e: FloatArray) -> tuple[list[FloatArray], list[FloatArray]]:
    """U and H of the column of e (T, 1, p + 1, 1) in the columns [X y]."""
    kernel, reduced = point.kernel, point.reduced
    if reduced.solved is not None:
        return [x @ e for x in reduced.solved.u], [x @ e for x in reduced.solved.h]
    assert reduced.factor is not None
    u = reduced.factor.back_solve([half @ e for half in reduced.half])
    at_u = [times(L, x) for L, x in zip(point.Lambdas, u, strict=True)]
    spread = kernel.blocks.times(at_u)
    return u, [z @ e - s for z, s in zip(kernel.zxy, spread, strict=True)]


def _information(point: _Point, directions: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """s_i' Z'V^-1Z s_j with X projected out (T, k, k), and s_i'Z'V^-1 times the held column."""
    is_beta = point.held.is_beta
    on_xy, square = information(point.kernel, point.Lambdas, point.reduced, directions)
    on_x = (np.swapaxes(point.residual.columns, 1, 2) @ on_xy)[:, :-1]
    on_held = np.zeros((on_x.shape[0], on_x.shape[2]))
    if is_beta.any():
        on_held = np.where(is_beta[:, None], on_x[:, -1], 0.0)
        on_x[is_beta, -1] = 0.0
    return square - np.swapaxes(on_x, 1, 2) @ on_x, on_held
