"""The log density of any hierarchical model and its gradient, compiled once for all of them.

The density of a row hangs on one linear predictor or more: that of the mean, and those of further
parameters that have a formula. Each has rows, coefficients and factors of its own.

A point is a vector w. What a model is lies in three buffers, of whole numbers (``ints``), of
numbers (``floats``) and of room to work in (``room``). ``AT`` says what the header of ``ints``
has where, ``OF_FACTOR`` the same of the part of each factor; what begins with i, c or w there is a
position in ``ints``, ``floats`` or ``room``. In order:

1. rest = centre + A w for all but the effects of the first factor, which follow as they are;
2. a tape (``tape_kernel.py``) turns the first d numbers of the rest into Lambda of each factor,
   coefficients, parameters of the family, and the log prior density with its Jacobians;
3. spherical effects of each level, from information H and score h of the level and its part z of
   the point,

       C C' = I + Lambda'H Lambda,    u = C'^-1 (z + C^-1 Lambda'(h - s)),    b = Lambda u,

   where s is Z'W(eta - eta0), of eta without the effects of this factor and those before. With a
   Gaussian response of weights W, the effects of factors before this one integrated out, the z of a
   level are then standard normal given the rest, whatever its sds are;
4. log densities of the rows by a second tape, block by block;
5. all of it backwards.

Source: Griewank & Walther (2008), Evaluating Derivatives, SIAM, chapter 3; Murray (2016),
arXiv:1602.07527 (Cholesky factors backwards). Imports numba, so import this module only where it
is used. What numba keeps on disk is made anew when this file changes: touch it with
``tape_kernel.py``.
"""

import math
from typing import Any, NamedTuple

from numba import njit

from hierbayes.arrays import FloatArray, Int64Array
from hierbayes.bayes.tape_kernel import BLOCK, backwards, forwards


class Header(NamedTuple):
    """Places in the header."""

    n: int = 0  # rows
    factors: int = 1
    p: int = 2  # coefficients of all predictors
    predictors: int = 3
    d: int = 4  # inputs of the tape of shared numbers
    rest: int = 5  # numbers of a point before the effects of the first factor
    size: int = 6  # numbers of a point
    shared: int = 7  # places of shared numbers
    shared_operations: int = 8
    by_row: int = 9  # places of numbers a row
    row_operations: int = 10
    data: int = 11  # numbers each row has
    spread: int = 12  # shared numbers that operations of rows need
    value: int = 13  # place of the log density of a row
    log_prior: int = 14  # place of the log prior density among shared numbers
    is_mixed: int = 15  # whether A is there
    i_shared: int = 16
    i_rows: int = 17
    i_data: int = 18
    i_spread: int = 19
    i_etas: int = 20  # places of the predictors among the numbers of a row
    i_coefficients: int = 21
    i_owners: int = 22  # the predictor that each coefficient is of
    i_factors: int = 23
    c_numbers: int = 24
    c_data: int = 25
    c_x: int = 26
    c_offset: int = 27  # of each predictor
    c_counts: int = 28
    c_centre: int = 29
    c_mixing: int = 30
    c_constant: int = 31
    w_shared: int = 32
    w_shared_slopes: int = 33
    w_rows: int = 34
    w_row_slopes: int = 35
    w_eta: int = 36  # of each predictor
    w_eta_slopes: int = 37
    w_rest: int = 38
    w_rest_slopes: int = 39
    w_spare: int = 40
    room: int = 41  # size of the room
    end: int = 42


class FactorPart(NamedTuple):
    """Places in the part of one factor; q columns, J levels."""

    levels: int = 0
    q: int = 1
    predictor: int = 2  # that it is part of
    start: int = 3  # of its effects: in the rest, or in the point for the first factor
    i_codes: int = 4
    i_root: int = 5  # places of the entries of Lambda among shared numbers; -1 is zero
    c_z: int = 6
    c_information: int = 7
    c_score: int = 8
    c_weights: int = 9
    c_eta: int = 10
    w_root: int = 11
    w_root_slopes: int = 12
    w_chol: int = 13
    w_score: int = 14  # h - s
    w_half: int = 15  # C^-1 Lambda'(h - s)
    w_sum: int = 16  # z and this
    w_u: int = 17
    w_b: int = 18
    w_b_slopes: int = 19
    w_small: int = 20
    end: int = 21


AT = Header()
OF_FACTOR = FactorPart()


@njit(cache=True, nogil=True, error_model="numpy")
def _span(buffer: Any, at: int, size: int) -> Any:
    """Return some of the numbers of a buffer."""
    return buffer[at : at + size]


@njit(cache=True, nogil=True, error_model="numpy")
def log_density(
    ints: Int64Array, floats: FloatArray, room: FloatArray, w: FloatArray, gradient: FloatArray
) -> float:
    """Return the log density at a point w (D,); its gradient (D,) goes into ``gradient``."""
    log_jacobian = place(ints, floats, room, w)
    if not math.isfinite(log_jacobian):
        return -math.inf
    total = rows(ints, floats, room, 0, 0.0)
    if not math.isfinite(total):
        return -math.inf
    prior = room[ints[AT.w_shared] + ints[AT.log_prior]]
    squares = _back(ints, floats, room, gradient)
    return total + prior + log_jacobian - 0.5 * squares + floats[ints[AT.c_constant]]


@njit(cache=True, nogil=True, error_model="numpy")
def place(ints: Int64Array, floats: FloatArray, room: FloatArray, w: FloatArray) -> float:
    """Work out parameters, effects and eta of a point, all kept in ``room``.

    Returns the log volume of effects a volume of the point; NaN where the prior density is zero.
    """
    n, n_rest, n_shared = ints[AT.n], ints[AT.rest], ints[AT.shared]
    rest = _span(room, ints[AT.w_rest], n_rest)
    centre = ints[AT.c_centre]
    rest[:] = _span(floats, centre, n_rest)
    if ints[AT.is_mixed]:
        at = ints[AT.c_mixing]
        for k in range(n_rest):  # column k of A ends at row k
            factor = w[k]
            for i in range(k + 1):
                rest[i] += factor * floats[at + i]
            at += k + 1
    else:
        rest += w[:n_rest]
    at = ints[AT.w_shared]
    shared = _span(room, at, n_shared).reshape((n_shared, 1))
    shared[:, 0] = _span(floats, ints[AT.c_numbers], n_shared)
    shared[: ints[AT.d], 0] = rest[: ints[AT.d]]
    at, k = ints[AT.i_shared], ints[AT.shared_operations]
    forwards(_span(ints, at, 5 * k).reshape((k, 5)), shared, _spare(ints, room), 1)
    if not math.isfinite(shared[ints[AT.log_prior], 0]):
        return math.nan
    every = _span(room, ints[AT.w_eta], n * ints[AT.predictors])
    every[:] = _span(floats, ints[AT.c_offset], n * ints[AT.predictors])
    for k in range(ints[AT.p]):
        beta = shared[ints[ints[AT.i_coefficients] + k], 0]
        x = _span(floats, ints[AT.c_x] + k * n, n)
        eta = _span(every, ints[ints[AT.i_owners] + k] * n, n)
        for i in range(n):
            eta[i] += beta * x[i]
    total = 0.0
    for f in range(ints[AT.factors] - 1, -1, -1):
        part = _part(ints, f)
        _set_root(ints, part, room, shared)
        z = w if f == 0 else rest
        _set_score(ints, floats, room, part)
        total += _effects(ints, floats, room, part, z[part[OF_FACTOR.start] :])
        _add_effects(ints, floats, room, part)
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _spare(ints: Int64Array, room: FloatArray) -> FloatArray:
    """Room for operations of a tape."""
    at = ints[AT.w_spare]
    return _span(room, at, 4 * BLOCK).reshape((4, BLOCK))


@njit(cache=True, nogil=True, error_model="numpy")
def _part(ints: Int64Array, f: int) -> Int64Array:
    at = ints[AT.i_factors] + f * OF_FACTOR.end
    return _span(ints, at, OF_FACTOR.end)


@njit(cache=True, nogil=True, error_model="numpy")
def _set_root(ints: Int64Array, part: Int64Array, room: FloatArray, shared: FloatArray) -> None:
    for k in range(part[OF_FACTOR.q] ** 2):
        at = ints[part[OF_FACTOR.i_root] + k]
        room[part[OF_FACTOR.w_root] + k] = shared[at, 0] if at >= 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _set_score(ints: Int64Array, floats: FloatArray, room: FloatArray, part: Int64Array) -> None:
    """Set h - s of each level."""
    size, q, n = part[OF_FACTOR.levels] * part[OF_FACTOR.q], part[OF_FACTOR.q], ints[AT.n]
    score = _span(room, part[OF_FACTOR.w_score], size)
    score[:] = _span(floats, part[OF_FACTOR.c_score], size)
    weights, eta0 = part[OF_FACTOR.c_weights], part[OF_FACTOR.c_eta]
    eta, codes = ints[AT.w_eta] + n * part[OF_FACTOR.predictor], part[OF_FACTOR.i_codes]
    for a in range(q):
        z = part[OF_FACTOR.c_z] + a * n
        for i in range(n):
            moved = floats[weights + i] * (room[eta + i] - floats[eta0 + i])
            score[ints[codes + i] * q + a] -= floats[z + i] * moved


@njit(cache=True, nogil=True, error_model="numpy")
def _effects(
    ints: Int64Array, floats: FloatArray, room: FloatArray, part: Int64Array, z: FloatArray
) -> float:
    """Set u and b of each level; return the log volume of u a volume of z."""
    J, q = part[OF_FACTOR.levels], part[OF_FACTOR.q]
    size = J * q
    H = _span(floats, part[OF_FACTOR.c_information], size * q)
    score = _span(room, part[OF_FACTOR.w_score], size)
    half = _span(room, part[OF_FACTOR.w_half], size)
    both = _span(room, part[OF_FACTOR.w_sum], size)
    u = _span(room, part[OF_FACTOR.w_u], size)
    b = _span(room, part[OF_FACTOR.w_b], size)
    chol = _span(room, part[OF_FACTOR.w_chol], size * q)
    L = _span(room, part[OF_FACTOR.w_root], q * q)
    total = 0.0
    if q == 1:
        root = L[0]
        product = 1.0  # of diagonals, whose logarithm is taken now and then
        for j in range(J):
            c = math.sqrt(1.0 + root * root * H[j])
            chol[j] = c
            product *= c
            if product > 1e100:
                total -= math.log(product)
                product = 1.0
            half[j] = root * score[j] / c
            both[j] = half[j] + z[j]
            u[j] = both[j] / c
            b[j] = root * u[j]
        return total - math.log(product)
    small = _span(room, part[OF_FACTOR.w_small], q * q)
    for j in range(J):
        C = _span(chol, j * q * q, q * q)
        _times(_span(H, j * q * q, q * q), L, small, q)  # H Lambda
        for a in range(q):
            for c in range(a + 1):
                s = 1.0 if a == c else 0.0
                for k in range(q):
                    s += L[k * q + a] * small[k * q + c]
                for k in range(c):
                    s -= C[a * q + k] * C[c * q + k]
                if a == c:
                    C[a * q + a] = math.sqrt(s)
                    total -= math.log(C[a * q + a])
                else:
                    C[a * q + c] = s / C[c * q + c]
        at = j * q
        for a in range(q):
            s = 0.0
            for k in range(q):
                s += L[k * q + a] * score[at + k]
            for k in range(a):
                s -= C[a * q + k] * half[at + k]
            half[at + a] = s / C[a * q + a]
            both[at + a] = half[at + a] + z[at + a]
        for a in range(q - 1, -1, -1):
            s = both[at + a]
            for k in range(a + 1, q):
                s -= C[k * q + a] * u[at + k]
            u[at + a] = s / C[a * q + a]
        for a in range(q):
            s = 0.0
            for k in range(q):
                s += L[a * q + k] * u[at + k]
            b[at + a] = s
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _times(left: FloatArray, right: FloatArray, out: FloatArray, q: int) -> None:
    for a in range(q):
        for c in range(q):
            s = 0.0
            for k in range(q):
                s += left[a * q + k] * right[k * q + c]
            out[a * q + c] = s


@njit(cache=True, nogil=True, error_model="numpy")
def _add_effects(ints: Int64Array, floats: FloatArray, room: FloatArray, part: Int64Array) -> None:
    n, q, codes = ints[AT.n], part[OF_FACTOR.q], part[OF_FACTOR.i_codes]
    eta, b = ints[AT.w_eta] + n * part[OF_FACTOR.predictor], part[OF_FACTOR.w_b]
    for a in range(q):
        z = part[OF_FACTOR.c_z] + a * n
        for i in range(n):
            room[eta + i] += floats[z + i] * room[b + ints[codes + i] * q + a]


@njit(cache=True, nogil=True, error_model="numpy")
def rows(ints: Int64Array, floats: FloatArray, room: FloatArray, which: int, step: float) -> float:
    """Return the log density of the response at eta, one predictor moved by a step.

    Its slopes in all predictors are kept in ``room``.
    """
    n, n_places, k = ints[AT.n], ints[AT.by_row], ints[AT.row_operations]
    at = ints[AT.w_rows]
    values = _span(room, at, n_places * BLOCK).reshape((n_places, BLOCK))
    at = ints[AT.w_row_slopes]
    slopes = _span(room, at, n_places * BLOCK).reshape((n_places, BLOCK))
    operations = _span(ints, ints[AT.i_rows], 5 * k).reshape((k, 5))
    eta, to_eta, counts = ints[AT.w_eta], ints[AT.w_eta_slopes], ints[AT.c_counts]
    shared, n_shared = ints[AT.w_shared], ints[AT.shared]
    shared_slopes = _span(room, ints[AT.w_shared_slopes], n_shared)
    shared_slopes[:] = 0.0
    spread = ints[AT.i_spread]
    for s in range(ints[AT.spread]):
        values[ints[spread + 2 * s + 1], :] = room[shared + ints[spread + 2 * s]]
    total, spare = 0.0, _spare(ints, room)
    for start in range(0, n, BLOCK):
        m = min(BLOCK, n - start)
        for s in range(ints[AT.data]):
            own = values[ints[ints[AT.i_data] + s]]
            data = ints[AT.c_data] + s * n + start
            for i in range(m):
                own[i] = floats[data + i]
        for s in range(ints[AT.predictors]):
            x = values[ints[ints[AT.i_etas] + s]]
            moved = step if s == which else 0.0
            for i in range(m):
                x[i] = room[eta + s * n + start + i] + moved
        forwards(operations, values, spare, m)
        slopes[:] = 0.0
        found, seed = values[ints[AT.value]], slopes[ints[AT.value]]
        for i in range(m):
            seed[i] = floats[counts + start + i]
            total += seed[i] * found[i]
        backwards(operations, values, slopes, spare, m)
        for s in range(ints[AT.predictors]):
            own = slopes[ints[ints[AT.i_etas] + s]]
            for i in range(m):
                room[to_eta + s * n + start + i] = own[i]
        for s in range(ints[AT.spread]):
            own = slopes[ints[spread + 2 * s + 1]]
            sum_ = 0.0
            for i in range(m):
                sum_ += own[i]
            shared_slopes[ints[spread + 2 * s]] += sum_
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _back(ints: Int64Array, floats: FloatArray, room: FloatArray, gradient: FloatArray) -> float:
    """Carry slopes in eta back to the point; return the sum of squares of spherical effects."""
    n, n_rest, n_shared = ints[AT.n], ints[AT.rest], ints[AT.shared]
    to_rest = _span(room, ints[AT.w_rest_slopes], n_rest)
    to_rest[:] = 0.0
    to_shared = _span(room, ints[AT.w_shared_slopes], n_shared)
    squares = 0.0
    for f in range(ints[AT.factors]):
        part = _part(ints, f)
        _sum_slopes(ints, floats, room, part)
        to_z = gradient if f == 0 else to_rest
        squares += _effects_back(floats, room, part, to_z[part[OF_FACTOR.start] :])
        _score_back(ints, floats, room, part)
        for k in range(part[OF_FACTOR.q] ** 2):
            at = ints[part[OF_FACTOR.i_root] + k]
            if at >= 0:
                to_shared[at] += room[part[OF_FACTOR.w_root_slopes] + k]
    for k in range(ints[AT.p]):
        at = ints[AT.c_x] + k * n
        slopes = _span(room, ints[AT.w_eta_slopes] + n * ints[ints[AT.i_owners] + k], n)
        to_shared[ints[ints[AT.i_coefficients] + k]] += _dot(_span(floats, at, n), slopes)
    to_shared[ints[AT.log_prior]] += 1.0
    at, k = ints[AT.i_shared], ints[AT.shared_operations]
    values = _span(room, ints[AT.w_shared], n_shared).reshape((n_shared, 1))
    operations = _span(ints, at, 5 * k).reshape((k, 5))
    backwards(operations, values, to_shared.reshape((n_shared, 1)), _spare(ints, room), 1)
    for k in range(ints[AT.d]):
        to_rest[k] += to_shared[k]
    if ints[AT.is_mixed]:
        at = ints[AT.c_mixing]
        for k in range(n_rest):
            gradient[k] = _dot(_span(floats, at, k + 1), to_rest)
            at += k + 1
    else:
        gradient[:n_rest] = to_rest
    return squares


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _dot(left: FloatArray, right: FloatArray) -> float:
    """Inner product, as long as the first of the two."""
    total = 0.0
    for i in range(left.size):
        total += left[i] * right[i]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_slopes(ints: Int64Array, floats: FloatArray, room: FloatArray, part: Int64Array) -> None:
    """Set Z'g of each level."""
    n, q, codes = ints[AT.n], part[OF_FACTOR.q], part[OF_FACTOR.i_codes]
    to_eta, to_b = ints[AT.w_eta_slopes] + n * part[OF_FACTOR.predictor], part[OF_FACTOR.w_b_slopes]
    _span(room, to_b, part[OF_FACTOR.levels] * q)[:] = 0.0
    for a in range(q):
        z = part[OF_FACTOR.c_z] + a * n
        for i in range(n):
            room[to_b + ints[codes + i] * q + a] += floats[z + i] * room[to_eta + i]


@njit(cache=True, nogil=True, error_model="numpy")
def _effects_back(
    floats: FloatArray, room: FloatArray, part: Int64Array, to_z: FloatArray
) -> float:
    """Set slopes in z, Lambda and, in the place of h - s, in s; return the sum of squares of u."""
    J, q = part[OF_FACTOR.levels], part[OF_FACTOR.q]
    size = J * q
    H = _span(floats, part[OF_FACTOR.c_information], size * q)
    score = _span(room, part[OF_FACTOR.w_score], size)
    half = _span(room, part[OF_FACTOR.w_half], size)
    u = _span(room, part[OF_FACTOR.w_u], size)
    to_b = _span(room, part[OF_FACTOR.w_b_slopes], size)
    chol = _span(room, part[OF_FACTOR.w_chol], size * q)
    L = _span(room, part[OF_FACTOR.w_root], q * q)
    to_L = _span(room, part[OF_FACTOR.w_root_slopes], q * q)
    to_L[:] = 0.0
    squares = 0.0
    if q == 1:
        root, to_root = L[0], 0.0
        for j in range(J):
            squares += u[j] * u[j]
            c = chol[j]
            to_sum = (root * to_b[j] - u[j]) / c
            to_a = to_sum / c
            to_c = -(to_sum * u[j] + to_a * half[j] + 1.0 / c)
            to_root += to_b[j] * u[j] + to_a * score[j] + to_c * root * H[j] / c
            to_z[j] = to_sum
            score[j] = -root * to_a
        to_L[0] = to_root
        return squares
    at = part[OF_FACTOR.w_small]
    to_u, to_sum, to_a = _span(room, at, q), _span(room, at + q, q), _span(room, at + 2 * q, q)
    at += 3 * q
    to_C, mid = _span(room, at, q * q), _span(room, at + q * q, q * q)
    HL = _span(room, at + 2 * q * q, q * q)
    for j in range(J):
        C = _span(chol, j * q * q, q * q)
        o = j * q
        for a in range(q):
            s = -u[o + a]
            for k in range(q):
                s += L[k * q + a] * to_b[o + k]
                to_L[a * q + k] += to_b[o + a] * u[o + k]
            to_u[a] = s
            squares += u[o + a] * u[o + a]
        for a in range(q):
            s = to_u[a]
            for k in range(a):
                s -= C[a * q + k] * to_sum[k]
            to_sum[a] = s / C[a * q + a]
            to_z[o + a] = to_sum[a]
        for a in range(q - 1, -1, -1):
            s = to_sum[a]
            for k in range(a + 1, q):
                s -= C[k * q + a] * to_a[k]
            to_a[a] = s / C[a * q + a]
        for a in range(q):
            for k in range(a + 1):
                to_C[a * q + k] = -u[o + a] * to_sum[k] - to_a[a] * half[o + k]
            to_C[a * q + a] -= 1.0 / C[a * q + a]
        _cholesky_back(C, to_C, mid, q)  # now the slope in C C', symmetric
        _times(_span(H, j * q * q, q * q), L, HL, q)
        for a in range(q):
            for c in range(q):
                s = score[o + a] * to_a[c]
                for k in range(q):
                    s += 2.0 * HL[a * q + k] * to_C[k * q + c]
                to_L[a * q + c] += s
        for a in range(q):
            s = 0.0
            for k in range(q):
                s -= L[a * q + k] * to_a[k]
            to_u[a] = s
        for a in range(q):
            score[o + a] = to_u[a]
    return squares


@njit(cache=True, nogil=True, error_model="numpy")
def _cholesky_back(C: FloatArray, to_C: FloatArray, mid: FloatArray, q: int) -> None:
    """Replace the slope in a Cholesky factor C (lower) by that in C C', symmetric."""
    for a in range(q):  # mid = lower triangle of C' to_C with half its diagonal, mirrored
        for c in range(a + 1):
            s = 0.0
            for k in range(a, q):
                s += C[k * q + a] * to_C[k * q + c]
            mid[a * q + c] = 0.5 * s
            mid[c * q + a] = 0.5 * s
    for c in range(q):  # C'^-1 mid
        for a in range(q - 1, -1, -1):
            s = mid[a * q + c]
            for k in range(a + 1, q):
                s -= C[k * q + a] * mid[k * q + c]
            mid[a * q + c] = s / C[a * q + a]
    for r in range(q):  # and C^-1 from the right
        for a in range(q - 1, -1, -1):
            s = mid[r * q + a]
            for k in range(a + 1, q):
                s -= to_C[r * q + k] * C[k * q + a]
            to_C[r * q + a] = s / C[a * q + a]


@njit(cache=True, nogil=True, error_model="numpy")
def _score_back(ints: Int64Array, floats: FloatArray, room: FloatArray, part: Int64Array) -> None:
    """Add to slopes in eta, without this factor and those before, what they have through s."""
    n, q, codes = ints[AT.n], part[OF_FACTOR.q], part[OF_FACTOR.i_codes]
    to_eta, to_s = ints[AT.w_eta_slopes] + n * part[OF_FACTOR.predictor], part[OF_FACTOR.w_score]
    weights = part[OF_FACTOR.c_weights]
    for a in range(q):
        z = part[OF_FACTOR.c_z] + a * n
        for i in range(n):
            own = floats[z + i] * room[to_s + ints[codes + i] * q + a]
            room[to_eta + i] += floats[weights + i] * own


@njit(cache=True, nogil=True, error_model="numpy")
def parameters_of(
    ints: Int64Array,
    floats: FloatArray,
    room: FloatArray,
    points: FloatArray,
    shared: FloatArray,
    effects: FloatArray,
) -> None:
    """Set shared numbers (N, S) and effects b (N, r), in the basis, of points (N, D)."""
    at = ints[AT.w_shared]
    for k in range(points.shape[0]):
        place(ints, floats, room, points[k])
        shared[k] = _span(room, at, ints[AT.shared])
        end = 0
        for f in range(ints[AT.factors]):
            part = _part(ints, f)
            size = part[OF_FACTOR.levels] * part[OF_FACTOR.q]
            effects[k, end : end + size] = _span(room, part[OF_FACTOR.w_b], size)
            end += size
