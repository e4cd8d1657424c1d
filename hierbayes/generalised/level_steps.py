"""Newton steps of the effects of one factor, level by level, and what kept effects have of them.

Compiled, for a chain of one factor (``joint_modes.py``): rows are worked on for some points at a
time and leave nothing but sums, as numbers for each of them would be more than a cache holds.
Imports numba: only samplers import it.
"""

import math

import numpy as np
from numba import njit

from hierbayes.arrays import FloatArray, record
from hierbayes.generalised.chain_rows import ChainRows, Points
from hierbayes.generalised.predictor import LANES, points_of, predict
from hierbayes.generalised.row_sums import add_row, one_more_factor, take_logarithms

# Part of the smallest eigenvalue of a curvature that rounding may take: a sum of many rows loses
# tens of times the rounding of one number.
LOST = 1e-3
EPS = float(np.finfo(float).eps)


@record
class LevelSteps:
    """Sums of the rows of each level, and steps of its effects where kept effects stay.

    Attributes
    ----------
    value : array, shape (J, T), log density of the rows, up to a constant
    root : array, shape (J, T, q, q), L
    fall : array, shape (J, T, q), slope g of the log density in the spherical effects
    half : array, shape (J, T, q), L^-1 g
    step : array, shape (J, T, q), (L L')^-1 g
    kept_slope : array, shape (d, T), slope of the rows' log density in the kept effects
    among_kept : array, shape (d, d, T), lower triangle of Lambda_c'Z_c'WZ_c Lambda_c
    to_kept : array, shape (T, J, q, d), F = L^-1 Lambda'Z'WZ_c Lambda_c
    """

    value: FloatArray
    root: FloatArray
    fall: FloatArray
    half: FloatArray
    step: FloatArray
    kept_slope: FloatArray
    among_kept: FloatArray
    to_kept: FloatArray


def level_steps(rows: ChainRows, at: Points, u: FloatArray, c: FloatArray) -> LevelSteps:
    """Find the steps from effects u (J, T, q) and kept effects c (T, d)."""
    J, T, q = u.shape
    d, own, sums = rows.n_kept, rows.chain[0], rows.sums
    at = rows.with_kept(at, c)
    found = LevelSteps(
        value=np.empty((J, T)),
        root=np.zeros((J, T, q, q)),
        fall=np.empty(u.shape),
        half=np.empty(u.shape),
        step=np.empty(u.shape),
        kept_slope=np.zeros((d, T)),
        among_kept=np.zeros((d, d, T)),
        to_kept=np.empty((T, J, q, d)),
    )
    Lambda_c = np.empty((0, T))
    sizes = np.empty(0, dtype=np.int64)
    if rows.kept:
        sizes = rows.kept_pattern.entries[2]
        packed = [np.moveaxis(at.Lambdas[f], 0, 2).reshape(-1, T) for f in rows.kept]
        Lambda_c = np.concatenate(packed)
    densities = np.empty((3, rows.n, 0))
    if sums is None:
        densities = np.stack(rows.model.second_order(rows.eta(at, [u[..., None]])[..., 0], at.phi))
    _level_steps(
        sums is None,
        sums is not None and sums.is_count,
        sums is not None and sums.is_single,
        densities,
        at.base,
        rows.model.y,
        rows.row_counts,
        rows.trials,
        rows.row_ends,
        rows.z(0),
        sizes,
        np.ascontiguousarray(at.Lambdas[own]),
        Lambda_c,
        np.ascontiguousarray(u),
        found.value,
        found.root,
        found.fall,
        found.half,
        found.step,
        found.kept_slope,
        found.among_kept,
        found.to_kept,
    )
    return found


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _level_steps(  # type: ignore[no-untyped-def]
    is_given, is_count, is_single, densities, base, y, counts, trials, ends, z, sizes, Lambda,
    Lambda_c, u, value, root, fall, half, step, kept_slope, among_kept, to_kept,
):  # fmt: skip
    J, T, q = u.shape
    S, d = base.z.shape[0], kept_slope.shape[0]
    beta, of_kept = np.empty((base.beta.shape[0], LANES)), np.empty((d, LANES))
    roots_c = np.empty((Lambda_c.shape[0], LANES))
    b, slope = np.empty((q, LANES)), np.empty((q, LANES))
    curvature = np.empty((q, q, LANES))
    shared, kept = np.empty((q, d, LANES)), np.empty((S, LANES))
    slope_c, among = np.empty((d, LANES)), np.empty((d, d, LANES))
    eta, e, spare = np.empty((1, LANES)), np.empty(LANES), np.empty((2, LANES))
    total, product = np.empty((1, LANES)), np.empty((1, LANES))
    pull, weight, own = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    room = np.empty((q, q))
    for t in range(0, T, LANES):
        L = min(LANES, T - t)
        points_of(base, t, L, beta, of_kept)
        for k in range(roots_c.shape[0]):
            for c in range(L):
                roots_c[k, c] = Lambda_c[k, t + c]
        slope_c[:], among[:] = 0.0, 0.0
        for j in range(J):
            for a in range(q):
                for c in range(L):
                    b[a, c] = 0.0
                    for f in range(q):
                        b[a, c] += Lambda[t + c, a, f] * u[j, t + c, f]
            slope[:], curvature[:], total[:], product[:] = 0.0, 0.0, 0.0, 1.0
            shared[:] = 0.0
            factors = 0
            for i in range(ends[j], ends[j + 1]):
                if is_given:
                    for c in range(L):
                        total[0, c] += counts[i] * densities[0, i, t + c]
                        pull[c], weight[c] = densities[1, i, t + c], densities[2, i, t + c]
                else:
                    predict(base, i, t, L, beta, of_kept, eta, 0)
                    for a in range(q):
                        for c in range(L):
                            eta[0, c] += z[a, i] * b[a, c]
                    factors = one_more_factor(factors, product, total, e, spare, L)
                    add_row(
                        is_count, is_single, eta, y[i], counts[i], trials[i], total, product, pull,
                        weight, e, spare, L,
                    )  # fmt: skip
                for a in range(q):
                    scale = counts[i] * z[a, i]
                    for c in range(L):
                        slope[a, c] += scale * pull[c]
                    for f in range(a + 1):
                        both = scale * z[f, i]
                        for c in range(L):
                            curvature[a, f, c] += both * weight[c]
                if d:
                    _on_spherical_scale(base.z, i, sizes, roots_c, kept, L)
                for s in range(S):
                    column, count = base.columns[s, i], counts[i]
                    for c in range(L):
                        own[c] = count * kept[s, c]
                    for c in range(L):
                        slope_c[column, c] += own[c] * pull[c]
                    for c in range(L):
                        own[c] *= weight[c]
                    for a in range(q):
                        scale = z[a, i]
                        for c in range(L):
                            shared[a, column, c] += scale * own[c]
                    for r in range(s + 1):
                        other = base.columns[r, i]
                        for c in range(L):
                            among[column, other, c] += own[c] * kept[r, c]
            take_logarithms(product, total, e, spare, 1, L)
            for c in range(L):
                value[j, t + c] = total[0, c]
                _step(j, t + c, c, slope, curvature, Lambda, u, root, fall, half, step, room)
                for f in range(d):
                    for a in range(q):
                        left = 0.0
                        for k in range(q):
                            left += room[a, k] * shared[k, f, c]
                        to_kept[t + c, j, a, f] = left
        for f in range(d):
            for c in range(L):
                kept_slope[f, t + c] = slope_c[f, c]
            for k in range(f + 1):
                for c in range(L):
                    among_kept[f, k, t + c] = among[f, k, c]


@njit(cache=True, nogil=True, error_model="numpy")
def _step(  # type: ignore[no-untyped-def]
    j, t, c, slope, curvature, Lambda, u, root, fall, half, step, room
):
    """Factorise the curvature of level j at point t, c of those at hand, and solve for its step.

    ``room`` (q, q) is L^-1 Lambda' in the end.
    """
    q = u.shape[2]
    trace, squares, is_finite = 0.0, 0.0, True
    for a in range(q):
        trace += curvature[a, a, c]
        along = -u[j, t, a]
        for b in range(q):
            squares += Lambda[t, a, b] ** 2
            along += Lambda[t, b, a] * slope[b, c]
            room[a, b] = 0.0
            for k in range(q):
                room[a, b] += Lambda[t, k, a] * curvature[max(k, b), min(k, b), c]
        fall[j, t, a] = along if math.isfinite(along) else -u[j, t, a]
    for a in range(q):
        for b in range(a + 1):
            entry = 1.0 if a == b else 0.0
            for k in range(q):
                entry += room[a, k] * Lambda[t, k, b]
            root[j, t, a, b] = entry
            is_finite = is_finite and math.isfinite(entry)
    # what columns share is left out where rounding takes it
    if not is_finite or (q > 1 and not EPS * trace * squares <= LOST):
        for a in range(q):
            entry = root[j, t, a, a]
            root[j, t, a, a] = entry if math.isfinite(entry) else 1.0
            for b in range(a):
                root[j, t, a, b] = 0.0
    for a in range(q):
        right = fall[j, t, a]
        for b in range(a + 1):
            entry = root[j, t, a, b]
            for k in range(b):
                entry -= root[j, t, a, k] * root[j, t, b, k]
            if a == b:  # never less than one, the curvature of the effects' own density
                root[j, t, a, a] = math.sqrt(max(entry, 1.0))
            else:
                root[j, t, a, b] = entry / root[j, t, b, b]
                right -= root[j, t, a, b] * half[j, t, b]
        half[j, t, a] = right / root[j, t, a, a]
        for b in range(q):
            entry = Lambda[t, b, a]
            for k in range(a):
                entry -= root[j, t, a, k] * room[k, b]
            room[a, b] = entry / root[j, t, a, a]
    for a in range(q - 1, -1, -1):
        right = half[j, t, a]
        for b in range(a + 1, q):
            right -= root[j, t, b, a] * step[j, t, b]
        step[j, t, a] = right / root[j, t, a, a]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _on_spherical_scale(z, i, sizes, Lambda, out, L):  # type: ignore[no-untyped-def]
    """Entries of row i of Z_c Lambda_c at L points, (S, L)."""
    start, place = 0, 0
    for q in sizes:
        for a in range(q):
            for c in range(L):
                out[start + a, c] = 0.0
            for b in range(q):
                own, at = z[start + b, i], place + b * q + a
                for c in range(L):
                    out[start + a, c] += own * Lambda[at, c]
        start += q
        place += q * q
