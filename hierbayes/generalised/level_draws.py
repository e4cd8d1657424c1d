"""Effects of the levels of one factor, drawn and matched to moments, level by level.

Compiled: all that is between uniform numbers and the effect that is drawn stays in a cache. Effects
are drawn by independence Metropolis through a few proposals (``bayes/generalised_effects.py``).
Imports numba: only samplers import it.
"""

import math

import numpy as np
from numba import njit

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.generalised.predictor import LANES, Predictor, points_of
from hierbayes.generalised.row_sums import RowSums, of_level, room_of
from hierbayes.linalg.exponentials import cosines_of_turns, logarithms

LEAST_P = 2.0**-53  # of uniform numbers whose logarithm is taken


@record(kw_only=False)
class LevelDraws:
    """Spherical effects (J, T, q), and where they have a density, (J, T)."""

    u: FloatArray
    possible: BoolArray


@record(kw_only=False)
class Matched:
    """Means (J, T, q), roots (J, T, q, q) of covariances, and the logs of their determinants."""

    mean: FloatArray
    root: FloatArray
    log_det: FloatArray


def drawn_levels(
    sums: RowSums,
    base: Predictor,
    Lambda: FloatArray,
    mean: FloatArray,
    root: FloatArray,
    n: int,
    rng: np.random.Generator,
) -> LevelDraws:
    """Draw effects by independence Metropolis through n proposals a level.

    Parameters
    ----------
    base : eta without the effects
    Lambda : array, shape (T, q, q)
    mean, root : arrays (J, T, q) and (J, T, q, q); proposals are mean + root x, with x of t
        distributions of four degrees of freedom
    """
    J, T, q = mean.shape
    p, turn = rng.random((2, J, T, q, n))
    found = LevelDraws(np.empty((J, T, q)), np.empty((J, T), dtype=np.bool_))
    _drawn(
        sums.packed,
        base,
        np.ascontiguousarray(Lambda),
        np.ascontiguousarray(mean, dtype=np.float64),
        np.ascontiguousarray(root, dtype=np.float64),
        p,
        turn,
        rng.random((J, T, n)),
        found.u,
        found.possible,
    )
    return found


def matched(
    curvature_root: FloatArray,
    centre: FloatArray,
    mean: FloatArray,
    covariance: FloatArray,
    *,
    floor: float,
    widest: float,
) -> Matched:
    """Return roots of covariances (J, T, q, q), with a little of the inverse curvature added.

    Parameters
    ----------
    curvature_root : array, shape (J, T, q, q), lower Cholesky factor L of the curvature
    centre, mean : arrays (J, T, q); where the covariance is none, centre and curvature are taken
    floor : part of the inverse curvature that is added
    widest : trace of L' covariance L from which there is none
    """
    J, T, q = mean.shape
    found = Matched(np.empty((J, T, q)), np.empty((J, T, q, q)), np.empty((J, T)))
    _matched(
        np.ascontiguousarray(curvature_root),
        np.ascontiguousarray(centre),
        np.ascontiguousarray(mean),
        np.ascontiguousarray(covariance),
        floor,
        widest,
        found.mean,
        found.root,
        found.log_det,
    )
    return found


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _drawn(  # type: ignore[no-untyped-def]
    rows, base, Lambda, mean, root, p, turn, uniform, out, possible
):
    """Write what ``drawn_levels`` finds, for some points (lanes) at a time.

    A t distributed number of four degrees of freedom is 2 cos(2 pi v) sqrt(1 / sqrt(1 - p) - 1), of
    two uniform ones (Bailey 1994, Math. Comp. 62:779); its log density is -2.5 log(1 + x^2 / 4).
    """
    J, T, q = mean.shape
    n = uniform.shape[2]
    beta = np.empty((base.beta.shape[0], LANES))
    of_kept = np.empty((base.effects.shape[0], LANES))
    x, u, own = np.empty((q, n, LANES)), np.empty((q, n, LANES)), np.empty((q, n, LANES))
    total, tails = np.empty((n, LANES)), np.empty(LANES)
    v, log, spare = np.empty(LANES), np.empty(LANES), np.empty((2, LANES))
    height, now = np.empty(LANES), np.empty(LANES, dtype=np.int64)
    room = room_of(rows.kinds.shape[0], n)
    for t in range(0, T, LANES):
        L = min(LANES, T - t)
        points_of(base, t, L, beta, of_kept)
        for j in range(J):
            for a in range(q):
                for m in range(n):
                    for c in range(L):
                        v[c] = turn[j, t + c, a, m]
                    cosines_of_turns(v, log, L)
                    for c in range(L):
                        far = 1.0 / math.sqrt(1.0 - p[j, t + c, a, m]) - 1.0
                        x[a, m, c] = 2.0 * log[c] * math.sqrt(far)
            for m in range(n):
                for a in range(q):
                    for c in range(L):
                        u[a, m, c] = mean[j, t + c, a]
                    for b in range(q):
                        for c in range(L):
                            u[a, m, c] += root[j, t + c, a, b] * x[b, m, c]
            for m in range(n):
                for a in range(q):
                    for c in range(L):
                        own[a, m, c] = 0.0
                    for b in range(q):
                        for c in range(L):
                            own[a, m, c] += Lambda[t + c, a, b] * u[b, m, c]
            of_level(rows, base, j, t, L, beta, of_kept, own, room, total)
            for m in range(n):
                for c in range(L):
                    tails[c] = 1.0
                for a in range(q):
                    for c in range(L):
                        tails[c] *= 1.0 + 0.25 * x[a, m, c] ** 2
                        total[m, c] -= 0.5 * u[a, m, c] ** 2
                logarithms(tails, log, spare, L)
                for c in range(L):
                    total[m, c] += 2.5 * log[c]
                    if not math.isfinite(total[m, c]):
                        total[m, c] = -math.inf
                if m == 0:
                    for c in range(L):
                        now[c], height[c] = 0, total[0, c]
                    continue
                for c in range(L):
                    v[c] = max(uniform[j, t + c, m], LEAST_P)
                logarithms(v, log, spare, L)
                for c in range(L):
                    # a first proposal without a density is left for any that has one
                    if log[c] < total[m, c] - height[c]:
                        now[c], height[c] = m, total[m, c]
            for c in range(L):
                possible[j, t + c] = height[c] > -math.inf
                for a in range(q):
                    out[j, t + c, a] = u[a, now[c], c]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _matched(  # type: ignore[no-untyped-def]
    curvature_root, centre, mean, covariance, floor, widest, out, out_root, log_det
):
    """Write what ``matched`` finds: with W = L' C L + floor I = R R', the root is L'^-1 R."""
    J, T, q = mean.shape
    within, half = np.empty((q, q)), np.empty((q, q))
    for j in range(J):
        for t in range(T):
            trace, logs = 0.0, 0.0
            for a in range(q):
                logs -= math.log(curvature_root[j, t, a, a])
                for b in range(q):
                    half[a, b] = 0.0
                    for k in range(a, q):
                        half[a, b] += curvature_root[j, t, k, a] * covariance[j, t, k, b]
            for a in range(q):
                for b in range(a + 1):
                    entry = floor if a == b else 0.0
                    for k in range(b, q):
                        entry += half[a, k] * curvature_root[j, t, k, b]
                    within[a, b] = entry
                trace += within[a, a]
            is_known = trace < widest
            for a in range(q):
                for b in range(a + 1):
                    entry = within[a, b]
                    for k in range(b):
                        entry -= half[a, k] * half[b, k]
                    if a > b:
                        half[a, b] = entry / half[b, b]
                    else:
                        is_known = is_known and entry > 0.0
                        half[a, a] = math.sqrt(entry) if is_known else 1.0
            for a in range(q):
                out[j, t, a] = mean[j, t, a] if is_known else centre[j, t, a]
                for b in range(q):
                    if b > a:
                        half[a, b] = 0.0
                    elif not is_known:
                        half[a, b] = 1.0 if a == b else 0.0
                logs += math.log(half[a, a])
            log_det[j, t] = logs
            for b in range(q):
                for a in range(q - 1, -1, -1):
                    entry = half[a, b]
                    for k in range(a + 1, q):
                        entry -= curvature_root[j, t, k, a] * out_root[j, t, k, b]
                    out_root[j, t, a, b] = entry / curvature_root[j, t, a, a]
