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
    blocks = np.empty((0, 3), dtype=np.int64)
    if rows.kept:
        blocks = rows.kept_pattern.blocks
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
        blocks,
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
    is_given, is_count, is_single, densities, base, y, counts, trials, ends, z, blocks, Lambda,
    Lambda_c, u, value, root, fall, half, step, kept_slope, among_kept, to_kept,
):  # fmt: skip
    J, T, q = u.shape
    S, d = base.z.shape[0], kept_slope.shape[0]
    beta, of_kept = np.empty((base.beta.shape[0], LANES)), np.empty((d, LANES))
    roots_c = np.empty((Lambda_c.shape[0], LANES))
    b, slope = np.empty((q, LANES)), np.empty((q, LANES))
    curvature = np.empty((q, q, LANES))
    shared, turned = np.empty((q, d, LANES)), np.empty((q, d, LANES))
    slope_c, column_c = np.empty((d, LANES)), np.empty((d, LANES))
    among = np.empty((d, d, LANES))
    eta, e, spare = np.empty((1, LANES)), np.empty(LANES), np.empty((2, LANES))
    total, product = np.empty((1, LANES)), np.empty((1, LANES))
    pull, weight = np.empty(LANES), np.empty(LANES)
    room = np.empty((q, q, LANES))
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
                    both = scale * z[a, i]
                    for c in range(L):
                        slope[a, c] += scale * pull[c]
                        curvature[a, a, c] += both * weight[c]
                    for f in range(a):
                        both = scale * z[f, i]
                        for c in range(L):
                            curvature[a, f, c] += both * weight[c]
                for s in range(S):
                    column, scale = base.columns[s, i], counts[i] * base.z[s, i]
                    for a in range(q):
                        both = scale * z[a, i]
                        for c in range(L):
                            shared[a, column, c] += both * weight[c]
                    both = scale * base.z[s, i]
                    for c in range(L):
                        slope_c[column, c] += scale * pull[c]
                        among[column, column, c] += both * weight[c]
                    for r in range(s):
                        other, both = base.columns[r, i], scale * base.z[r, i]
                        for c in range(L):
                            among[column, other, c] += both * weight[c]
            take_logarithms(product, total, e, spare, 1, L)
            for a in range(q):
                _on_spherical_scale(shared[a], blocks, roots_c, turned[a], L)
            for c in range(L):
                value[j, t + c] = total[0, c]
            if q == 1:
                _steps(j, t, L, slope, curvature, Lambda, u, root, fall, half, step, room)
            else:
                for c in range(L):
                    _step(j, t, c, slope, curvature, Lambda, u, root, fall, half, step, room)
            for a in range(q):
                for f in range(d):
                    for c in range(L):
                        shared[a, f, c] = room[a, 0, c] * turned[0, f, c]
                    for k in range(1, q):
                        for c in range(L):
                            shared[a, f, c] += room[a, k, c] * turned[k, f, c]
                for c in range(L):
                    for f in range(d):
                        to_kept[t + c, j, a, f] = shared[a, f, c]
        _on_spherical_scale(slope_c, blocks, roots_c, column_c, L)
        for f in range(d):
            for c in range(L):
                kept_slope[f, t + c] = column_c[f, c]
            for k in range(f):
                for c in range(L):
                    among[k, f, c] = among[f, k, c]
        for f in range(d):
            _on_spherical_scale(among[f], blocks, roots_c, column_c, L)
            among[f] = column_c
        for k in range(d):
            for f in range(d):
                for c in range(L):
                    slope_c[f, c] = among[f, k, c]
            _on_spherical_scale(slope_c, blocks, roots_c, column_c, L)
            for f in range(k, d):
                for c in range(L):
                    among_kept[f, k, t + c] = column_c[f, c]


@njit(cache=True, nogil=True, error_model="numpy")
def _steps(  # type: ignore[no-untyped-def]
    j, t, L, slope, curvature, Lambda, u, root, fall, half, step, room
):
    """Do what ``_step`` does for effects of one column, at L points."""
    for c in range(L):
        own, scale = u[j, t + c, 0], Lambda[t + c, 0, 0]
        entry = 1.0 + scale * curvature[0, 0, c] * scale
        along = scale * slope[0, c] - own
        along = along if math.isfinite(along) else -own
        size = math.sqrt(max(entry, 1.0) if math.isfinite(entry) else 1.0)
        root[j, t + c, 0, 0] = size
        fall[j, t + c, 0] = along
        half[j, t + c, 0] = along / size
        step[j, t + c, 0] = along / size / size
        room[0, 0, c] = scale / size


@njit(cache=True, nogil=True, error_model="numpy")
def _step(  # type: ignore[no-untyped-def]
    j, first, here, slope, curvature, Lambda, u, root, fall, half, step, room
):
    """Factorise the curvature of level j at point ``here`` of those at hand; solve for its step.

    ``room`` (q, q, LANES) has L^-1 Lambda' in the end.
    """
    t, q = first + here, u.shape[2]
    trace, squares, is_finite = 0.0, 0.0, True
    for a in range(q):
        trace += curvature[a, a, here]
        along = -u[j, t, a]
        for b in range(q):
            squares += Lambda[t, a, b] ** 2
            along += Lambda[t, b, a] * slope[b, here]
            room[a, b, here] = 0.0
            for k in range(q):
                room[a, b, here] += Lambda[t, k, a] * curvature[max(k, b), min(k, b), here]
        fall[j, t, a] = along if math.isfinite(along) else -u[j, t, a]
    for a in range(q):
        for b in range(a + 1):
            entry = 1.0 if a == b else 0.0
            for k in range(q):
                entry += room[a, k, here] * Lambda[t, k, b]
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
                entry -= root[j, t, a, k] * room[k, b, here]
            room[a, b, here] = entry / root[j, t, a, a]
    for a in range(q - 1, -1, -1):
        right = half[j, t, a]
        for b in range(a + 1, q):
            right -= root[j, t, b, a] * step[j, t, b]
        step[j, t, a] = right / root[j, t, a, a]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _on_spherical_scale(raw, blocks, Lambda, out, L):  # type: ignore[no-untyped-def]
    """Kept columns (d, L) times Lambda_c: the sums over b of entries b and Lambda_ba of a block.

    ``blocks`` are where the columns of each kept factor begin and end, and how many a level has.
    """
    place = 0
    for start, stop, q in blocks:
        for first in range(start, stop, q):
            for a in range(q):
                at = place + a
                for c in range(L):
                    out[first + a, c] = raw[first, c] * Lambda[at, c]
                for b in range(1, q):
                    at += q
                    for c in range(L):
                        out[first + a, c] += raw[first + b, c] * Lambda[at, c]
        place += q * q
