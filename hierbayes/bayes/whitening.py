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

from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.bayes.hierarchical import FactorRows, Frozen, HierarchicalTarget
from hierbayes.bayes.hierarchical_kernel import AT, OF_FACTOR, place, rows
from hierbayes.generalised.first_estimates import first_estimates

ROUNDS = 5  # of freezing and climbing, at most
NEAR = 0.3  # distance, in sds, of two modes that are the same
STEP = 1e-4  # of coordinates, whose sizes are about one, in differences of slopes
MOST_STEPS = 100  # of a climb: a place near the mode will do
WIDEST = 4.0  # sd of a coordinate that is believed of a curvature
MOST_MIXED = 300  # coordinates beyond which levels of crossed factors are left as they are
MOST_LOGIT = 4.0  # of a share that a search begins at: 2 % or 98 %
NOWHERE = 1e100  # stands for minus a log density of minus infinity


def whitened(target: HierarchicalTarget) -> HierarchicalTarget:
    """Return the same density in coordinates around its mode, which is near zero.

    Raises
    ------
    DataError
        If the link leaves no possible mean near the response.
    """
    d = target.d
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
    """Coordinates of parameters without random effects, sds apart.

    A parameter that has a formula begins as the same in all rows, or nearly.
    """
    model = replace(target.model, predictors=())
    v, phi = first_estimates(model)
    known = model.parameters(phi)
    found = [target.spaces[0].start(known, v)]
    for own, space in zip(target.model.predictors, target.spaces[1:], strict=True):
        eta = own.link.predictor(known[own.link.parameter])
        if own.link.is_share:
            eta = np.clip(eta, -MOST_LOGIT, MOST_LOGIT)
        found.append(space.start({}, np.linalg.lstsq(own.X, eta - own.offset, rcond=None)[0]))
    return np.concatenate(found)


def _frozen(now: HierarchicalTarget, w: FloatArray) -> HierarchicalTarget:
    """Freeze what levels are known by at a point (D,), which becomes the origin, or nearly."""
    room = now.room()
    place(now.ints, now.floats, room, w)
    m, n, at = len(now.spaces), now.model.y.size, int(now.ints[AT.w_eta_slopes])
    weights = []
    for s in range(m):
        ends = []
        for step in (STEP, -STEP):
            rows(now.ints, now.floats, room, s, step)
            ends.append(room[at + s * n :][:n].copy())
        found = (ends[1] - ends[0]) / (2 * STEP)
        weights.append(np.where(np.isfinite(found), np.maximum(found, 0.0), 0.0))
    rows(now.ints, now.floats, room, 0, 0.0)
    slopes = room[at : at + m * n].reshape(m, n).copy()
    eta = room[int(now.ints[AT.w_eta]) :][: m * n].reshape(m, n).copy()
    levels: list[Frozen] = []
    for f, factor in enumerate(now.factors):
        s, codes, z = factor.predictor, factor.codes, factor.z
        b = now.effects_at(f, room, OF_FACTOR.w_b)
        own = weights[s]
        for g, before in enumerate(now.factors[:f]):
            if before.predictor == s:
                own = _without(before, levels[g].information, _root(now, room, g), factor, own)
        H = _level_sums(codes, (z[:, None] * z[None, :]) * own, b.shape[0])
        slope = _level_sums(codes, z * slopes[s], b.shape[0])
        eta[s] -= (z * b[codes].T).sum(axis=0)
        score = (H @ b[..., None])[..., 0] + slope
        levels.append(Frozen(information=H, score=score, weights=own, eta=eta[s].copy()))
    at, centre = int(now.ints[AT.w_rest]), np.zeros(now.n_rest)
    centre[: now.d] = room[at : at + now.d]
    return now.frozen_at(centre, levels)


def _without(
    before: FactorRows,
    information: FloatArray,
    root: FloatArray,
    factor: FactorRows,
    weights: FloatArray,
) -> FloatArray:
    """Information of the rows about levels of a factor, effects of one before integrated out.

    It is what a change of eta in all rows of a level of the factor, that share one of the other,
    does to slopes.
    """
    codes, z = before.codes, before.z
    _, cell = np.unique(np.stack([codes, factor.codes]), axis=1, return_inverse=True)
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
