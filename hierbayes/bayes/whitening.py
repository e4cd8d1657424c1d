"""Coordinates in which the posterior of a hierarchical model is nearly a standard normal one.

The mode of the parameters, effects integrated out roughly, is found in coordinates in which the
effects of each level already depend little on the sds: information and scores of the levels are
frozen at a place, the mode of the density with these is found, and again from there. Then

- levels of the first factor are known by the information of their own rows;
- levels of the others by the curvature of the density in their effects, those of the first factor
  moving along;
- what is left of dependence among parameters and these effects is taken out by the Cholesky factor
  of their curvature.

The posterior does not depend on any of this; only how fast a sampler moves in it does.
"""

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.bayes.hierarchical import Frozen, HierarchicalTarget
from hierbayes.bayes.hierarchical_kernel import AT, OF_FACTOR, place, rows
from hierbayes.generalised.conditional import Conditional
from hierbayes.generalised.first_estimates import first_estimates

ROUNDS = 5  # of freezing and climbing, at most
NEAR = 0.3  # distance, in sds, of two modes that are the same
STEP = 1e-4  # of coordinates, whose sizes are about one, in differences of slopes
MOST_STEPS = 100  # of a climb: a place near the mode will do
WIDEST = 4.0  # sd of a coordinate that is believed of a curvature
MOST_MIXED = 300  # coordinates beyond which levels of crossed factors are left as they are
NOWHERE = 1e100  # stands for minus a log density of minus infinity


def whitened(target: HierarchicalTarget) -> HierarchicalTarget:
    """Return the same density in coordinates around its mode, which is near zero.

    Raises
    ------
    DataError
        If the link leaves no possible mean near the response.
    """
    d = target.space.size
    w = np.zeros(target.size)
    w[:d] = _start(target)
    now = target
    for _ in range(ROUNDS):
        now = _mixed(_frozen(now, w), d)
        w = _climbed(now)
        if np.abs(w[: now.n_rest]).max(initial=0.0) < NEAR:
            break
    now = _frozen(now, w)
    return _mixed(now, now.n_rest if now.n_rest <= MOST_MIXED else d)


def _start(target: HierarchicalTarget) -> FloatArray:
    """Coordinates of parameters without random effects, sds apart."""
    model = target.space.model
    v, phi = first_estimates(model)
    return target.space.start(model.parameters(phi), v)


def _frozen(now: HierarchicalTarget, w: FloatArray) -> HierarchicalTarget:
    """Freeze what levels are known by at a point (D,), which becomes the origin, or nearly."""
    room, model = now.room(), now.space.model
    place(now.ints, now.floats, room, w)
    n, at = model.y.size, int(now.ints[AT.w_eta_slopes])
    slopes = []
    for step in (STEP, -STEP, 0.0):
        rows(now.ints, now.floats, room, step)
        slopes.append(room[at : at + n].copy())
    weights = (slopes[1] - slopes[0]) / (2 * STEP)
    weights = np.where(np.isfinite(weights), np.maximum(weights, 0.0), 0.0)
    eta = room[int(now.ints[AT.w_eta]) :][:n].copy()
    levels: list[Frozen] = []
    for f, (codes, z) in enumerate(zip(model.levels.codes, model.levels.z, strict=True)):
        b = now.effects_at(f, room, OF_FACTOR.w_b)
        own = weights
        for g in range(f):
            own = _without(model, g, levels[g].information, _root(now, room, g), f, own)
        H = _level_sums(codes, (z[:, None] * z[None, :]) * own, b.shape[0])
        slope = _level_sums(codes, z * slopes[2], b.shape[0])
        eta = eta - (z * b[codes].T).sum(axis=0)
        score = (H @ b[..., None])[..., 0] + slope
        levels.append(Frozen(information=H, score=score, weights=own, eta=eta))
    at, centre = int(now.ints[AT.w_rest]), np.zeros(now.n_rest)
    centre[: now.space.size] = room[at : at + now.space.size]
    return now.frozen_at(centre, levels)


def _without(
    model: Conditional,
    g: int,
    information: FloatArray,
    root: FloatArray,
    f: int,
    weights: FloatArray,
) -> FloatArray:
    """Information of the rows about levels of factor f, the effects of factor g integrated out.

    It is what a change of eta in all rows of a level of f, that share one of g, does to slopes.
    """
    codes, z = model.levels.codes[g], model.levels.z[g]
    _, cell = np.unique(np.stack([codes, model.levels.codes[f]]), axis=1, return_inverse=True)
    cell = cell.ravel()
    pulled = _level_sums(cell, z * weights, int(cell.max()) + 1)[cell]  # (n, q)
    inner = np.eye(root.shape[0]) + root.T @ information @ root
    moved = (root @ np.linalg.solve(inner, root.T[None]))[codes] @ pulled[..., None]
    return np.asarray(weights * np.clip(1.0 - (z.T * moved[..., 0]).sum(axis=1), 0.0, 1.0))


def _level_sums(codes: IntArray, values: FloatArray, J: int) -> FloatArray:
    """Return sums (J, ...) over the rows of each level of values (..., n)."""
    flat = values.reshape(-1, values.shape[-1])
    sums = np.stack([np.bincount(codes, weights=own, minlength=J) for own in flat], axis=1)
    return sums.reshape(J, *values.shape[:-1])


def _root(now: HierarchicalTarget, room: FloatArray, f: int) -> FloatArray:
    q, at = (int(now.part(f)[k]) for k in (OF_FACTOR.q, OF_FACTOR.w_root))
    return room[at : at + q * q].reshape(q, q)


def _curvature(now: HierarchicalTarget, size: int) -> FloatArray:
    """Minus second derivatives at the origin in the first coordinates, by differences of slopes."""
    room, found = now.room(), np.empty((size, size))
    for k in range(size):
        step = np.zeros(now.size)
        step[k] = STEP
        up, down = (now.evaluate(sign * step, room)[1][:size] for sign in (1.0, -1.0))
        found[k] = (down - up) / (2 * STEP)
    found = np.where(np.isfinite(found), found, 0.0)
    return (found + found.T) / 2


def _mixed(now: HierarchicalTarget, size: int) -> HierarchicalTarget:
    """Take dependence among the first coordinates out, as it is at the origin."""
    mixing = np.eye(now.n_rest)
    values, vectors = np.linalg.eigh(_curvature(now, size))
    values = np.maximum(values, WIDEST**-2.0)
    root = np.linalg.cholesky((vectors * values) @ vectors.T)
    mixing[:size, :size] = np.linalg.inv(root).T
    return now.mixed_by(mixing)


def _climbed(now: HierarchicalTarget) -> FloatArray:
    """Return a point near the mode, from the origin."""
    from scipy.optimize import minimize

    room = now.room()

    def minus(w: FloatArray) -> tuple[float, FloatArray]:
        value, slope = now.evaluate(w, room)
        if not np.isfinite(value):
            return NOWHERE, np.zeros_like(slope)
        return -value, -slope

    found = minimize(
        minus, np.zeros(now.size), jac=True, method="L-BFGS-B", options={"maxiter": MOST_STEPS}
    )
    return np.asarray(found.x)
